"""What the readers of MVTrack and WILDTRACK owe, found by a second, plain look at their files.

MVTrack is read with `every: 1` here, so that each frame of each view is owed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping

from mgdata.data import Drop, Record

Files = Mapping[str, bytes]
Outcome = Mapping[str, list[Record | Drop]]
Owed = Iterator[tuple[str, ...]]

_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def _below(files: Files, folder: str) -> dict[str, list[str]]:
    """Folders in a folder, each with the paths below it."""
    found: dict[str, list[str]] = {}
    start = f"{folder}/" if folder else ""
    for path in sorted(files):
        name, slash, rest = path.removeprefix(start).partition("/")
        if path.startswith(start) and slash and not name.startswith("."):
            found.setdefault(name, []).append(rest)
    return found


def _numbers(names: list[str]) -> set[int]:
    """Numbers of the pictures among these names."""
    parted = [posixpath.splitext(name) for name in names]
    return {int(stem) for stem, ending in parted if _NUMBER.fullmatch(stem) and ending.lower() in _ENDINGS}  # fmt: skip


def _views(files: Files) -> Iterator[tuple[str, str, set[int]]]:
    """Sequence, view and frames of every view folder; an empty view for a sequence without any."""
    for sequence in _below(files, ""):
        inside = _below(files, sequence)
        names = [n for n in inside if re.fullmatch(f"{re.escape(sequence)}-[0-9]{{1,9}}", n)]
        if not names:
            yield sequence, "", set()
        for name in names:
            frames = [path.removeprefix("img/") for path in inside[name] if path.startswith("img/")]
            yield sequence, name, _numbers(frames)


def mvtrack(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    for sequence, view, frames in _views(files):
        if not view:
            yield sequence, iter([(sequence,)])
        else:
            lost = f"{sequence}/{view}"
            yield lost, iter([(f"{sequence}/{n}", lost) for n in sorted(frames)] or [(lost,)])


def mvtrack_images(files: Files, outcome: Outcome) -> list[str]:
    """Every frame of a view that is not dropped is in its moment; a box each, or a count."""
    found = {item.key.partition("/")[2]: item for items in outcome.values() for item in items}
    faults: list[str] = []
    for sequence, view, frames in _views(files):
        if not isinstance(found.get(f"{sequence}/{view}"), Drop) and view:
            for frame in frames:
                record = found.get(f"{sequence}/{frame}")
                names = [i.view for i in record.images] if isinstance(record, Record) else []
                if view.rpartition("-")[2] not in names:
                    faults.append(f"{view}, frame {frame}: in no record")
    for item in found.values():
        if isinstance(item, Record):
            made = len(item.regions) + sum(item.skipped.values())
            if made != len(item.images):
                faults.append(f"{item.key}: {len(item.images)} views, {made} accounted for")
    return faults


def _notes(files: Files) -> list[str]:
    start = "annotations_positions/"
    names = [path.removeprefix(start) for path in sorted(files) if path.startswith(start)]
    heads = dict.fromkeys(name.partition("/")[0] for name in names)
    return [name for name in heads if name.endswith(".json") and not name.startswith(".")]


def wildtrack(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    for name in _notes(files):
        stem, path = name.removesuffix(".json"), f"annotations_positions/{name}"
        yield path, iter([(str(int(stem)) if _NUMBER.fullmatch(stem) else path, path)])
    found = [item for items in outcome.values() for item in items]
    records = [item for item in found if isinstance(item, Record)]
    views = {image.view for record in records for image in record.images}
    # A camera that is in no moment was dropped, or each moment counts its missing picture.
    missing = any("missing image" in record.skipped for record in records)
    for name in _below(files, "Image_subsets") if records and not missing else ():
        if re.fullmatch("C[1-9][0-9]{0,3}", name) and name not in views:
            yield f"Image_subsets/{name}", iter([(f"Image_subsets/{name}",)])


def wildtrack_regions(files: Files, outcome: Outcome) -> list[str]:
    """Every entry of everyone is a region or was counted as left out."""
    from accounts import Unreadable, parsed

    numbered: dict[str, str] = {}
    for name in _notes(files):
        if _NUMBER.fullmatch(stem := name.removesuffix(".json")):
            numbered.setdefault(str(int(stem)), f"annotations_positions/{name}")
    faults: list[str] = []
    for item in (item for items in outcome.values() for item in items):
        if not isinstance(item, Record):
            continue
        try:
            content = parsed(files, numbered[item.key.partition("/")[2]])
        except Unreadable:
            continue
        there = 0
        for entry in content:
            sound = isinstance(entry, dict) and type(entry.get("personID")) is int
            sound = sound and isinstance(entry.get("views"), list)
            there += len(entry["views"]) if sound else 1
        skipped = sum(n for reason, n in item.skipped.items() if reason != "missing image")
        if len(item.regions) + skipped != there:
            faults.append(
                f"{item.key}: {there} entries, {len(item.regions)} and {skipped} left out"
            )
    return faults


OWED: dict[str, Callable[[Files, Outcome], Iterator[tuple[str, Owed]]]] = {
    "mvtrack": mvtrack,
    "wildtrack": wildtrack,
}
REGIONS = {"mvtrack": mvtrack_images, "wildtrack": wildtrack_regions}
