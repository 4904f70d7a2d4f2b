"""What the readers of TAO and STAR owe for each entry of their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import accounts

from mgdata.data import Drop, Record


def tao(files: accounts.Files, outcome: accounts.Outcome) -> Iterator[tuple[str, accounts.Owed]]:
    for path in outcome:
        yield path, _tao(files, path)


def _tao(files: accounts.Files, path: str) -> accounts.Owed:
    content = accounts.parsed(files, path, "replace")
    names = ("videos", "images", "annotations", "tracks", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(n), list) for n in names):
        raise accounts.Unreadable
    called = {_id(v, "id"): str(v.get("name")) for v in reversed(_dicts(content["videos"]))}
    homes = {_id(i, "id"): _id(i, "video_id") for i in reversed(_dicts(content["images"]))}
    for at, video in enumerate(content["videos"]):
        name = str(video.get("name")) if isinstance(video, dict) else ""
        yield name, f"{path}#videos[{at}]", f"{path}#video={_id(video, 'id')}"
    for at, image in enumerate(content["images"]):
        name = called.get(_id(image, "video_id"), "")
        yield name, f"{path}#images[{at}]", f"{path}#image={_id(image, 'id')}"
    for at, mark in enumerate(content["annotations"]):
        image = _id(mark, "image_id")
        name = called.get(homes.get(image), "")
        yield name, f"{path}#annotations[{at}]", f"{path}#image={image}"


def _dicts(entries: list[Any]) -> list[dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)]


def _id(entry: Any, key: str) -> Any:
    found = entry.get(key) if isinstance(entry, dict) else None
    if isinstance(found, float) and found.is_integer():
        return int(found)
    return found if isinstance(found, int | str) else None


def tao_regions(files: accounts.Files, outcome: accounts.Outcome) -> list[str]:
    """Every frame of a record's video, and every annotation in one, is there or was counted."""
    faults: list[str] = []
    for path, items in outcome.items():
        lost = {item.key.partition("/")[2] for item in items if isinstance(item, Drop)}
        try:
            content = accounts.parsed(files, path)
            ids = {v["name"]: _id(v, "id") for v in _dicts(content["videos"]) if "name" in v}
            images = [
                i for at, i in enumerate(content["images"]) if f"{path}#images[{at}]" not in lost
            ]
            homes = {_id(i, "id"): _id(i, "video_id") for i in reversed(_dicts(images))}
            marks = [homes.get(_id(a, "image_id")) for a in _dicts(content["annotations"])]
        except (accounts.Unreadable, KeyError, TypeError):
            continue
        frames = list(homes.values())
        for item in items:
            if isinstance(item, Record):
                video = ids[item.key.partition("/")[2]]
                made = len(item.images) + len(item.regions) + sum(item.skipped.values())
                there = frames.count(video) + marks.count(video)
                if made != there:
                    faults.append(f"{item.key}: {there} frames and boxes, {made} accounted for")
    return faults


def star(files: accounts.Files, outcome: accounts.Outcome) -> Iterator[tuple[str, accounts.Owed]]:
    for path in outcome:

        def owed(path: str = path) -> accounts.Owed:
            stem = path.rpartition("/")[2].removesuffix(".json")
            content = accounts.parsed(files, path)
            for at, entry in enumerate(content if isinstance(content, list) else ()):
                id_ = entry.get("question_id") if isinstance(entry, dict) else None
                yield f"{stem}/{id_}", f"{stem}/#{at}"

        yield path, owed()


def star_regions(files: accounts.Files, outcome: accounts.Outcome) -> list[str]:
    """Every frame of a question, and every box in one, is there or was counted."""
    faults: list[str] = []
    for path, items in outcome.items():
        try:
            entries = {q["question_id"]: q for q in reversed(_dicts(accounts.parsed(files, path)))}
        except (accounts.Unreadable, KeyError, TypeError):
            continue
        for item in items:
            if isinstance(item, Record):
                there = _boxes(item, entries[item.key.rpartition("/")[2]]["situations"])
                made = len(item.images) + len(item.regions) + sum(item.skipped.values())
                if made != there + (not item.expressions):
                    faults.append(f"{item.key}: {there} frames and boxes, {made} accounted for")
    return faults


def _boxes(record: Record, situations: Mapping[str, Any]) -> int:
    """Frames of a question, and the boxes in those that the record has."""
    there, kept = len(situations), {image.frame for image in record.images}
    for frame in sorted(situations):
        if frame.isdigit() and int(frame) in kept:
            kept.discard(int(frame))
            there += len(situations[frame]["bbox"])
    return there


OWED: dict[
    str, Callable[[accounts.Files, accounts.Outcome], Iterator[tuple[str, accounts.Owed]]]
] = {
    "star": star,
    "tao": tao,
}
REGIONS = {"star": star_regions, "tao": tao_regions}
