"""What the readers of masked clips owe: a second, plain look at masks and their lists."""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image

from mgdata.data import Drop, Record

Files = Mapping[str, bytes]
Outcome = Mapping[str, list[Record | Drop]]
Owed = Iterator[tuple[str, ...]]


def _folders(files: Files, folder: str) -> list[str]:
    found = {path.removeprefix(f"{folder}/") for path in files if path.startswith(f"{folder}/")}
    return sorted({rest.split("/")[0] for rest in found if "/" in rest and rest[0] != "."})


def davis(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    for base in ("JPEGImages/480p", "Annotations/480p"):
        yield base, ((name,) for name in _folders(files, base))


def youtube_vos(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    from accounts import parsed

    for split in dict.fromkeys(part.partition("/")[0] for part in outcome):
        path = f"{split}/meta.json"

        def owed(split: str = split, path: str = path) -> Owed:
            yield from ((f"{split}/{name}",) for name in parsed(files, path)["videos"])

        yield path, owed()
        folder = f"{split}/Annotations"
        yield folder, ((f"{split}/{name}",) for name in _folders(files, folder))


def sav(files: Files, outcome: Outcome) -> Iterator[tuple[str, Owed]]:
    found = [
        re.fullmatch(r"(sav_train/[^./]+/[^./]+?)(_manual\.json|\.mp4)", path) for path in files
    ]
    yield "sav_train", ((match[1],) for match in found if match)


def _masks(files: Files, folder: str) -> dict[int, set[int]]:
    """The numbers in every PNG of a folder that Pillow can read, by the file's number."""
    found: dict[int, set[int]] = {}
    for path, data in files.items():
        stem, ending = posixpath.splitext(posixpath.basename(path))
        if posixpath.dirname(path) == folder and ending.lower() == ".png" and stem.isdecimal():
            try:
                pixels = np.asarray(Image.open(io.BytesIO(data)))
            except Exception:
                continue
            if pixels.ndim == 2:
                found[int(stem)] = set(np.unique(pixels).tolist()) - {0}
    return found


def _palette_regions(files: Files, items: list[Record | Drop], folder: str) -> list[str]:
    """Every object that a mask shows is a box or was counted as left out."""
    faults: list[str] = []
    for record in items:
        if not isinstance(record, Record):
            continue
        masks = _masks(files, folder)
        shown = [masks[image.frame or 0] for image in record.images]
        lone = set().union(*shown) == {255}
        there = sum(len(numbers if lone else numbers - {255}) for numbers in shown)
        boxes = sum(region.box is not None for region in record.regions)
        left_out = sum(
            count
            for reason, count in record.skipped.items()
            if reason == "small mask" or reason.endswith("the image")
        )
        if boxes + left_out != there:
            faults.append(f"{record.key}: masks show {there} objects, {boxes} and {left_out} out")
        frames = len(record.images) + record.skipped.get("frame without a mask", 0)
        if frames + _unread(record) < _count(files, folder.replace("Annotations", "JPEGImages")):
            faults.append(f"{record.key}: a frame is not accounted for")
    return faults


def _unread(record: Record) -> int:
    """Masks that could not be read, whose frames are left out with them."""
    others = (
        "small mask",
        "frame without a mask",
        "mask without a frame",
        "specks left out of a box",
    )
    return sum(n for reason, n in record.skipped.items() if reason not in others)


def _count(files: Files, folder: str) -> int:
    names = [path for path in files if posixpath.dirname(path) == folder]
    return sum(bool(re.fullmatch(r"[0-9]+\.(jpg|jpeg|png)", posixpath.basename(n))) for n in names)


def davis_regions(files: Files, outcome: Outcome) -> list[str]:
    return [
        fault
        for part, items in outcome.items()
        for fault in _palette_regions(files, items, f"Annotations/480p/{part}")
    ]


def youtube_vos_regions(files: Files, outcome: Outcome) -> list[str]:
    return [
        fault
        for part, items in outcome.items()
        for fault in _palette_regions(files, items, part.replace("/", "/Annotations/", 1))
    ]


def sav_regions(files: Files, outcome: Outcome) -> list[str]:
    """Every entry of a file of masklets is an image or was counted as left out."""
    from accounts import Unreadable, parsed

    faults: list[str] = []
    for part, items in outcome.items():
        for record in items:
            if isinstance(record, Record):
                try:
                    entries = parsed(files, f"{part}_manual.json")["masklet"]
                except Unreadable:
                    continue
                beyond = record.skipped.get("frame beyond the end of the video", 0)
                if len(record.images) + beyond != len(entries):
                    faults.append(
                        f"{record.key}: {len(entries)} entries, {len(record.images)} images"
                    )
    return faults


OWED = {"davis": davis, "sav": sav, "youtube_vos": youtube_vos}
REGIONS = {"davis": davis_regions, "sav": sav_regions, "youtube_vos": youtube_vos_regions}
