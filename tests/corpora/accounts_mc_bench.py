"""What MC-Bench's reader owes: a record or a drop for each description, image entry and box.

A box is a region of its image's item, or that item (or the one it names) is a drop, or it is a
drop of its own. So is an image entry.
"""

from __future__ import annotations

from typing import Any

import accounts

from mgdata.data import Drop, Record


def mc_bench(files: accounts.Files, outcome: accounts.Outcome) -> Any:
    for path in outcome:
        yield path, _owed(files, path)


def _owed(files: accounts.Files, path: str) -> accounts.Owed:
    content = accounts.parsed(files, path)
    lists = ("descriptions", "images", "annotations")
    if not isinstance(content, dict) or not all(isinstance(content.get(n), list) for n in lists):
        raise accounts.Unreadable
    owners: dict[Any, list[str]] = {}
    for at, one in enumerate(content["descriptions"]):
        key = _text(one, "id") or f"descriptions[{at}]"
        yield (key,)
        for id_ in (isinstance(one, dict) and one.get("images_id")) or ():
            owners.setdefault(str(id_), []).append(key)
    for name, field in (("images", "id"), ("annotations", "image_id")):
        for at, one in enumerate(content[name]):
            id_ = _text(one, field)
            yield (*owners.get(id_, ()), _text(one, "text_id"), f"{path}#{name}[{at}]")


def _text(entry: Any, field: str) -> str:
    value = entry.get(field) if isinstance(entry, dict) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if type(value) is int else ""


def mc_bench_regions(files: accounts.Files, outcome: accounts.Outcome) -> list[str]:
    """A record has every box that the file has for its two images."""
    faults: list[str] = []
    for path, items in outcome.items():
        try:
            content = accounts.parsed(files, path)
            images = {_text(d, "id"): [str(i) for i in d["images_id"]] for d in content["descriptions"] if _text(d, "id") and isinstance(d.get("images_id"), list)}  # fmt: skip
            boxes = [_text(one, "image_id") for one in content["annotations"]]
        except (accounts.Unreadable, KeyError, TypeError, AttributeError):
            continue
        loose = [one.key for one in items if isinstance(one, Drop) and "#annotations" in one.key]
        for item in items:
            if isinstance(item, Record):
                own = images[item.key.partition("/")[2]]
                there = sum(image in own for image in boxes)
                if there != len(item.regions) or len(item.expressions) != 1:
                    faults.append(f"{item.key}: {len(item.regions)} regions of {there}, {loose}")
    return faults


OWED = {"mc_bench": mc_bench}
REGIONS = {"mc_bench": mc_bench_regions}
