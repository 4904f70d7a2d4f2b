"""Parts of objects, labelled `object:part`: their names in a sentence, and photos with only one.

Not a task; tasks about parts share it. It knows no question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from builders.asking import box_of
from builders.sets import Entries, Ints, Photos
from mgdata.data import Record, Region
from mgdata.geometry import Box
from mgdata.index import Index
from mgdata.wording import noun

NO_FUNCTION: tuple[str, ...] = tuple(
    re.findall(
        r"\w+",
        "arm back blade body border bottom bridge cover decoration dial drawing ear embroidery eye "
        "face foot frame hand head heel hole hood inner_body inner_side inner_wall key label light "
        "logo loop lug mouth neck nose outer_side quarter rail rim ring shoulder side sign sticker "
        "string surface tail text throat tip tongue top window",
    )
)
"""Parts named by place, shape or what is printed on them, and names that mean two things."""


class Purposes(NamedTuple):
    """What parts are for, by their labels."""

    functions: Mapping[str, Sequence[str]]
    """Parts or labels that serve one purpose, by a name for it."""
    none: Sequence[str]
    """Parts or labels that serve none, unless they are among `functions`."""

    def of(self, label: str) -> str | None:
        """What a part is for; None for a whole object, or where its name does not tell."""
        if ":" not in label:
            return None
        part = label.partition(":")[2]
        for purpose, names in self.functions.items():
            if label in names or part in names:
                return f"={purpose}"
        return None if label in self.none or part in self.none else part

    def numbers(self, names: Sequence[str]) -> Ints:
        """A number for the purpose of each label; -1 for none."""
        purposes = [self.of(name) for name in names]
        number = {purpose: i for i, purpose in enumerate(sorted(set(filter(None, purposes))))}
        return np.array([number.get(purpose or "", -1) for purpose in purposes], np.int64)


def owners(names: Sequence[str]) -> tuple[Ints, Ints]:
    """A number for the object that each part belongs to, and for each object; -1 for the others."""
    number = {name: i for i, name in enumerate(names) if ":" not in name}
    owner = [number.get(object_of(name), -1) if ":" in name else -1 for name in names]
    thing = [number.get(name, -1) for name in names]
    return np.array(owner, np.int64), np.array(thing, np.int64)


def alone(index: Index, photos: Photos, entries: Entries, kinds: Ints, mine: Ints) -> Entries:
    """The entries in whose photo nothing else, even to be ignored, is of the kind that is theirs.

    Args:
        index: Of the same rows as `photos`.
        photos: What positions and codes of the entries mean.
        entries: What is looked through.
        kinds: For each class, the kind that its regions count for; below 0 for none.
        mine: For each class, the kind that its entries ask for; below 0 admits them all.
    """
    code = {name: i for i, name in enumerate(photos.names)}
    size = len(photos.names) + 1
    keys, weights = list[Ints](), list[Ints]()
    for column in ("labels", "crowds"):
        lists = index.lists(column)
        if not len(lists.values):
            continue
        known = np.array([kinds[code[name]] for name in lists.names], np.int64)[lists.values]
        at = np.repeat(np.arange(len(index)), np.diff(lists.starts))
        keys.append((at * size + known)[known >= 0])
        many = index.lists("counts").values if column == "labels" else np.full(len(known), 2)
        weights.append(many[known >= 0])
    if not keys:
        return entries
    there, place = np.unique(np.concatenate(keys), return_inverse=True)
    several = there[np.bincount(place, np.concatenate(weights), len(there)) > 1]
    asked = mine[entries.codes]
    keyed = entries.positions.astype(np.int64) * size + asked
    return entries.where((asked < 0) | ~np.isin(keyed, several))


def object_of(label: str) -> str:
    """`mug` of `mug:handle`; of a whole object, itself."""
    return label.partition(":")[0]


@lru_cache(4096)
def spoken(label: str) -> str:
    """A label without punctuation: `glass rim` for `glass_(drink_container):rim`."""
    plain = re.sub(r"\([^()]*\)", " ", label).replace(":", " ").replace("_", " ")
    return " ".join(plain.split()) or label


def thing_of(label: str) -> str | None:
    """The object that a part belongs to, as a noun in the singular; None where it is none."""
    words = spoken(object_of(label))
    return words if noun(words) == words else None


def name_of(label: str) -> str | None:
    """A part and its object, as in `the drawer's handle`; None where that is no English."""
    thing, part = thing_of(label), spoken(label.partition(":")[2] or label)
    return f"{thing}'s {part}" if thing and noun(part) == part else None


def clear(region: Region, record: Record, overlap: float) -> bool:
    """Whether the box of a part is not nearly that of another region: none above that IoU."""
    box = box_of(region)
    return not any(
        other is not region
        and other.box is not None
        and other.image == region.image
        and _iou(box, other.box) > overlap
        for other in record.regions
    )


def _iou(first: Box, second: Box) -> float:
    across = min(first.x2, second.x2) - max(first.x1, second.x1)
    down = min(first.y2, second.y2) - max(first.y1, second.y1)
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    return shared / (first.area + second.area - shared)
