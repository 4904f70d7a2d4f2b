"""What the readers of D3 and RefCOCO owe: a photo for each image entry, a text for each sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mgdata.corpora.pickles import unpickled
from mgdata.data import Drop, Record
from mgdata.errors import Rejected

Files = Mapping[str, bytes]
Outcome = Mapping[str, list[Record | Drop]]
Owed = Iterator[tuple[str, ...]]


def _content(files: Files, path: str) -> Any:
    """A file's content, None where nothing can be said of it.

    Python's own reader must not see a damaged pickle: it would run it.
    """
    try:
        return unpickled(files[path]) if path.endswith(("p", "pkl")) else _json(files[path])
    except (Rejected, KeyError, ValueError, RecursionError):
        return None


def _json(data: bytes) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    return json.loads(data.decode("utf-8-sig"), object_pairs_hook=once)


def _listed(found: Any, name: str) -> list[Any]:
    value = found.get(name) if isinstance(found, dict) else None
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def d3(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    """A photo for each entry, or a drop for the entry or its file."""
    folder = "d3_pkl/" if any(path.startswith("d3_pkl/") for path in files) else ""
    for name in ("images", "sentences", "groups", "annotations"):
        path = f"{folder}{name}.pkl"
        found = _content(files, path)
        if path in files and found is None:
            yield path, iter([(path, folder.rstrip("/"))])
        elif isinstance(found, dict) and name == "images":
            kept = ((str(id_), f"{path}[{id_!a}]"[:120], path) for id_ in found)
            yield folder.rstrip("/"), kept


def refcoco(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    for part in outcome:
        folder = part.partition("/")[0]
        refs, boxes = _content(files, part), _content(files, f"{folder}/instances.json")
        if not isinstance(refs, list) or not isinstance(boxes, dict):
            if not outcome[part]:
                yield part, iter([(f"{part} cannot be read, and nothing says so",)])
            continue
        splits: dict[int, set[Any]] = {}
        for at, ref in enumerate(refs):
            id_ = ref.get("image_id") if isinstance(ref, dict) else None
            if type(id_) is int:
                splits.setdefault(id_, set()).add(str(ref.get("split")))
                if ref.get("split") == "train":
                    yield part, iter([(f"{folder}/{id_}", f"{part}#[{at}]")])
        ids = [one.get("id") for one in _listed(boxes, "images")]
        wanted = [i for i in ids if type(i) is int and splits.get(i, {"train"}) == {"train"}]
        yield part, ((f"{folder}/{id_}",) for id_ in wanted)


def refcoco_texts(files: Files, outcome: Outcome) -> list[str]:
    """Every text and box of a record's photo is there or was counted as left out."""
    faults: list[str] = []
    for part, items in outcome.items():
        folder = part.partition("/")[0]
        refs, boxes = _content(files, part), _content(files, f"{folder}/instances.json")
        lost = [item for item in items if isinstance(item, Drop) and f"{part}#[" in item.key]
        for record in items:
            if not isinstance(record, Record) or not isinstance(refs, list):
                continue
            id_ = record.key.rpartition("/")[2]
            texts = sum(
                len(r["sentences"])
                for r in refs
                if isinstance(r, dict)
                and str(r.get("image_id")) == id_
                and r.get("split") == "train"
                and isinstance(r.get("sentences"), list)
            )
            left = sum(n for why, n in record.skipped.items() if "expression" in why)
            if not lost and texts != len(record.expressions) + left:
                faults.append(f"{record.key}: {texts} texts, {len(record.expressions)} and {left}")
            there = [str(a.get("image_id")) for a in _listed(boxes, "annotations")].count(id_)
            made = len(record.regions) + sum(record.skipped.values()) - left
            if boxes is not None and there != made:
                faults.append(f"{record.key}: {there} annotations, {made} accounted for")
            if sum(record.skipped.values()) > left and "*" in record.exhaustive:
                faults.append(f"{record.key}: all is annotated, though {record.skipped}")
    return faults


OWED = {"d3": d3, "refcoco": refcoco}
REGIONS = {"refcoco": refcoco_texts}
