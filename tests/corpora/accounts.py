"""What a reader owes for each item of a corpus, found by a second, plain look at its files.

`unpaid` names the items that are neither a record nor a drop. Where a file is no JSON (or has a
key twice, of which nobody knows which counts) it is owed one drop or record that names it.
"""

from __future__ import annotations

import io
import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

import accounts_captions
import accounts_masks
import accounts_mc_bench
import accounts_refer
import accounts_stories
import accounts_views
import pyarrow as pa
import pyarrow.parquet as pq

from mgdata.data import Drop, Record

Files = Mapping[str, bytes]
Outcome = Mapping[str, list[Record | Drop]]
"""What was read, by part."""
Owed = Iterator[tuple[str, ...]]
"""For each item the keys of which one must be there."""


class Unreadable(Exception):
    """Nothing can be said of the items of this file."""


def unpaid(layout: str, files: Files, outcome: Outcome) -> list[str]:
    """The items of the files that are in no record and no drop, and the like."""
    found = [item for items in outcome.values() for item in items]
    keys = {item.key.partition("/")[2] for item in found}
    faults: list[str] = []
    for file, owed in OWED[layout](files, outcome):
        try:
            for choice in owed:
                if not keys.intersection(choice) and file not in keys:
                    faults.append(f"{file}: nothing for {' or '.join(choice)}")
        except Unreadable:
            read = outcome.get(file, found)
            if not read and not any(_names(item, file) for item in found):
                faults.append(f"{file} cannot be read, and nothing says so")
    more = REGIONS.get(layout)
    return faults + (more(files, outcome) if more else [])


def _names(item: Record | Drop, file: str) -> bool:
    stem = posixpath.splitext(file)[0]
    return stem in item.key or (isinstance(item, Drop) and file in (item.value or ""))


def listing(files: Files, folder: str) -> list[str]:
    """Names of the files and folders in a folder."""
    start = f"{folder}/" if folder else ""
    return sorted({path.removeprefix(start).split("/")[0] for path in files if path.startswith(start)})  # fmt: skip


def folders(files: Files, folder: str) -> list[str]:
    """Names without a dot that are folders."""
    start = f"{folder}/" if folder else ""
    names = listing(files, folder)
    return [n for n in names if "." not in n and any(p.startswith(f"{start}{n}/") for p in files)]


def parsed(files: Files, path: str, errors: str = "strict") -> Any:
    """The content of a JSON file in which no key stands twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise Unreadable
        return dict(pairs)

    try:
        return json.loads(files[path].decode("utf-8-sig", errors), object_pairs_hook=once)
    except (KeyError, ValueError, RecursionError):
        raise Unreadable from None


def got10k(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    for split in dict.fromkeys(part.partition("/")[0] for part in outcome):
        path = f"{split}/list.txt"
        if path in files:
            lines = files[path].decode("utf-8-sig").splitlines()
            yield path, ((f"{split}/{line.strip()}",) for line in lines if line.strip())


def lasot(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    for kind in folders(files, ""):
        names = [n for n in folders(files, kind) if n.rpartition("-")[0] == kind]
        yield kind, ((f"{kind}/{name}",) for name in names)


def trackingnet(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    for chunk in dict.fromkeys(part.partition("/")[0] for part in outcome):
        notes = [n for n in listing(files, f"{chunk}/anno") if n.endswith(".txt") and n[0] != "."]
        names = {*folders(files, f"{chunk}/frames"), *(n.removesuffix(".txt") for n in notes)}
        yield chunk, ((f"{chunk}/{name}",) for name in sorted(names))


def motchallenge(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    yield "train", ((f"train/{name}",) for name in folders(files, "train"))


def coco(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    for path in dict.fromkeys(part.partition("#")[0] for part in outcome):
        yield path, _coco(files, path)


def _coco(files: Files, path: str) -> Owed:
    content = parsed(files, path, "replace")  # its reader passes over fields that it has no use for
    stem = path.removesuffix(".json")
    for name, key in (("images", "id"), ("annotations", "image_id")):
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise Unreadable
        for at, entry in enumerate(content[name]):
            id_ = entry.get(key) if isinstance(entry, dict) else None
            yield f"{stem}/{_whole(id_)}", f"{path}#{name}[{at}]"


def _whole(id_: Any) -> Any:
    return int(id_) if isinstance(id_, float) and id_.is_integer() else id_


def coco_regions(files: Files, outcome: Outcome) -> list[str]:
    """Every annotation of a record's image is a region or was counted as left out."""
    faults: list[str] = []
    for path, items in outcome.items():
        try:
            annotations = parsed(files, path)["annotations"]
        except (Unreadable, KeyError, TypeError):
            continue
        owners = [str(_whole(a.get("image_id"))) for a in annotations if isinstance(a, dict)]
        for item in items:
            if isinstance(item, Record):
                there = owners.count(item.key.rpartition("/")[2])
                faults += _differ(item, there)
    return faults


def _differ(record: Record, there: int) -> list[str]:
    made = len(record.regions) + sum(record.skipped.values())
    faults = [] if made == there else [f"{record.key}: {there} annotations, {made} accounted for"]
    if record.skipped and "*" in record.exhaustive:
        faults.append(f"{record.key}: says that all is annotated, though {record.skipped}")
    return faults


def voc(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    for folder in dict.fromkeys(part.partition("#")[0] for part in outcome):
        names = [n for n in listing(files, folder) if n.endswith(".xml") and n != ".xml"]
        yield folder, ((f"{folder}/{name.removesuffix('.xml')}",) for name in names)


def voc_regions(files: Files, outcome: Outcome) -> list[str]:
    """Every object of an XML file is a region or was counted as left out."""
    faults: list[str] = []
    for items in outcome.values():
        for item in items:
            if isinstance(item, Record):
                tree = ElementTree.fromstring(files[item.key.partition("/")[2] + ".xml"])
                faults += _differ(item, len(tree.findall("object")))
    return faults


def grand(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    names = [n for n in listing(files, "annotations") if n.endswith(".json") and n[0] != "."]
    yield "annotations", ((name.removesuffix(".json"),) for name in names)


def clevr_change(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    path = "change_captions_with_bbox.json"

    def owed() -> Owed:
        content = parsed(files, path)
        for key in content if isinstance(content, dict) else ():
            if re.fullmatch("[0-9]{1,9}", key):
                yield f"{int(key):06d}/changed", f"{int(key):06d}"
                yield f"{int(key):06d}/unchanged", f"{int(key):06d}"
            else:
                yield (key[:60].encode("ascii", "backslashreplace").decode(),)

    yield path, owed()


def img_diff(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    path = "img_diff_object_replacement.json"

    def owed() -> Owed:
        for at, row in enumerate(parsed(files, path)):
            yield f"#{at}", str(row.get("path")) if isinstance(row, dict) else ""

    yield path, owed()


def spot_the_diff(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    for split in dict.fromkeys(part.partition("/")[0] for part in outcome):
        path = f"data/annotations/{split}.json"

        def owed(split: str = split, path: str = path) -> Owed:
            for at, entry in enumerate(parsed(files, path)):
                id_ = entry.get("img_id") if isinstance(entry, dict) else None
                yield f"{split}/#{at}", f"{split}/{id_}"

        yield path, owed()


def magicbrush(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    """As many items as rows: one of unreadable rows says how many are lost."""
    for path, items in outcome.items():
        if path not in files:
            continue
        try:
            rows = pq.ParquetFile(io.BytesIO(files[path])).metadata.num_rows
        except (pa.ArrowException, OSError):
            rows = None
        lost = [
            re.search(r"rows (\d+) to (\d+) are lost", item.value or "")
            for item in items
            if isinstance(item, Drop)
        ]
        spans = [int(found[2]) - int(found[1]) for found in lost if found]
        whole = any(item.key.endswith(path) for item in items)
        if rows is not None and not whole and rows != len(items) + sum(spans):
            yield path, iter([(f"{rows} rows, got {len(items)}",)])


def mig_bench(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    for path in outcome:

        def owed(path: str = path) -> Owed:
            items = parsed(files, path)
            for at, item in enumerate(items if isinstance(items, list) else ()):
                yield f"unknown/{at}", f"{item.get('task') if isinstance(item, dict) else ''}/{at}"

        yield path, owed()


def egoexo4d(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    for path in outcome:
        yield path, _egoexo4d(files, path)


def _egoexo4d(files: Files, path: str) -> Owed:
    content = parsed(files, path)
    takes = content.get("annotations") if isinstance(content, dict) else None
    for uid, take in takes.items() if isinstance(takes, dict) else ():
        try:
            for cameras in take["object_masks"].values():
                for notes in cameras.values():
                    for frame in [*notes.get("annotation", {}), *(notes.get("annotated_frames") or ())]:  # fmt: skip
                        number = int(frame) if re.fullmatch("[0-9]{1,9}", str(frame)) else frame
                        yield f"{uid}/{number}", uid
        except (AttributeError, KeyError, TypeError):
            yield (uid,)


OWED: dict[str, Callable[[Files, Outcome], Iterator[tuple[str, Owed]]]] = {
    "clevr_change": clevr_change,
    "coco": coco,
    "egoexo4d": egoexo4d,
    **accounts_masks.OWED,
    **accounts_refer.OWED,
    **accounts_captions.OWED,
    "got10k": got10k,
    "grand": grand,
    "img_diff": img_diff,
    "lasot": lasot,
    "magicbrush": magicbrush,
    "mig_bench": mig_bench,
    "motchallenge": motchallenge,
    **accounts_mc_bench.OWED,
    **accounts_views.OWED,
    "spot_the_diff": spot_the_diff,
    **accounts_stories.OWED,
    "trackingnet": trackingnet,
    "voc": voc,
}
REGIONS = {
    "coco": coco_regions,
    "voc": voc_regions,
    **accounts_masks.REGIONS,
    **accounts_refer.REGIONS,
    **accounts_mc_bench.REGIONS,
    **accounts_views.REGIONS,
    **accounts_captions.REGIONS,
    **accounts_stories.REGIONS,
}
