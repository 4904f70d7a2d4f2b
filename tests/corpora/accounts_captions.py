"""What the readers of photos with phrases owe: Flickr30k Entities and Visual Genome."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import accounts

from mgdata.data import Record

OF_PHRASES = (
    "blank phrase", "malformed phrase", "object without a box", "phrase of a chain boxed in part",
    "phrase of a chain with a lost box", "phrase of a chain without a box", "phrase of two chains",
    "pronoun", "unrelated sentence",
)  # fmt: skip
"""What Flickr30k Entities' reader leaves out that is no box."""


def flickr30k(
    files: accounts.Files, outcome: accounts.Outcome
) -> Iterator[tuple[str, accounts.Owed]]:
    """Every id of a list is a record or a drop."""
    for path in dict.fromkeys(f"{part.partition('/')[0]}.txt" for part in outcome):
        if path in files:
            lines = files[path].decode("utf-8-sig").splitlines()
            yield path, ((line.strip(),) for line in lines if line.strip())


def flickr30k_boxes(files: accounts.Files, outcome: accounts.Outcome) -> list[str]:
    """Every name of an object with a box is a region or was counted as left out."""
    faults: list[str] = []
    for items in outcome.values():
        for item in items:
            if isinstance(item, Record):
                id_ = item.key.partition("/")[2]
                tree = ElementTree.fromstring(files[f"Annotations/{id_}.xml"])
                boxed = [o for o in tree.findall("object") if o.find("bndbox") is not None]
                there = sum(max(1, len(o.findall("name"))) for o in boxed)
                lost = [n for reason, n in item.skipped.items() if reason not in OF_PHRASES]
                made = len(item.regions) + sum(lost)
                if made != there:
                    faults.append(f"{item.key}: {there} boxes, {made} accounted for")
    return faults


def visual_genome(
    files: accounts.Files, outcome: accounts.Outcome
) -> Iterator[tuple[str, accounts.Owed]]:
    """Every entry of the list of photos and of the annotation file is a record or a drop."""
    for path in dict.fromkeys(part.partition("#")[0] for part in outcome):
        yield path, _entries(files, path)
    yield "image_data.json", _entries(files, "image_data.json")


def _entries(files: accounts.Files, path: str) -> accounts.Owed:
    content = accounts.parsed(files, path, "replace")
    if not isinstance(content, list):
        raise accounts.Unreadable
    for at, entry in enumerate(content):
        yield str(_id(entry)), f"{path}#{at}"


def _id(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return None
    id_ = entry.get("id") if entry.get("image_id") is None else entry["image_id"]
    return int(id_) if isinstance(id_, float) and id_.is_integer() else id_


def visual_genome_boxes(files: accounts.Files, outcome: accounts.Outcome) -> list[str]:
    """Every object or region of a record's entry is a region or was counted as left out."""
    faults: list[str] = []
    for part, items in outcome.items():
        path = part.partition("#")[0]
        try:
            content = accounts.parsed(files, path, "replace")
        except accounts.Unreadable:
            continue
        kind = "objects" if path == "objects.json" else "regions"
        entries = {str(_id(entry)): entry for entry in reversed(content)}
        for item in items:
            if isinstance(item, Record):
                there = len(entries[item.key.partition("/")[2]][kind])
                made = len(item.regions) + sum(item.skipped.values())
                if made != there:
                    faults.append(f"{item.key}: {there} boxes, {made} accounted for")
    return faults


OWED = {"flickr30k_entities": flickr30k, "visual_genome": visual_genome}
REGIONS = {"flickr30k_entities": flickr30k_boxes, "visual_genome": visual_genome_boxes}
