"""What is known of a set of photos: how many of which class are where, and what may be compared.

Not a task; `reasoning` uses it. It reads records and knows neither a question nor its wording.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from builders.reasoning_words import distinct
from mgdata.data import Image, Record, Target, complete
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.wording import ImageNames, Wording

SLIVER = 4
"""Times `min_area` that a thing cut by the photo's edge covers at least; of a smaller one, as of an
arm that reaches in, readers will not agree whether it counts."""
EDGE = 1.0
"""Pixels from the image's edge within which a box is taken to go on beyond it."""
Counts = tuple[int | None, ...]
"""How many of a class each photo shows; None where the annotation does not say for sure."""


class Limits(NamedTuple):
    """How clear a difference must be, and how much may be asked for; the task's settings."""

    min_area: float
    most: int
    ratio: float
    shift: float
    difference: int
    at_once: float
    followed: float


class Scene(NamedTuple):
    """Photos in the order shown, and what is surely in them."""

    words: Wording
    names: ImageNames
    limits: Limits
    sizes: list[tuple[int, int]]
    """Width and height of each photo in pixels."""
    counts: dict[str, Counts]
    """By noun, in the order of the classes' names."""
    boxes: dict[str, list[list[Box]]]
    """By noun and photo, from left to right; those of a photo matter where its count is known."""

    @property
    def photos(self) -> range:
        """The places of all photos."""
        return range(len(self.sizes))

    def shuffled(self, rng: Stream) -> list[str]:
        """All nouns in random order."""
        return rng.sample(list(self.counts), len(self.counts))

    def known(self) -> list[tuple[str, list[int]]]:
        """Nouns of which every photo's count is known, with the counts."""
        sure = (
            (word, [n for n in counts if n is not None]) for word, counts in self.counts.items()
        )
        return [(word, counts) for word, counts in sure if len(counts) == len(self.sizes)]

    def total(self, word: str, places: Sequence[int]) -> int | None:
        """How many there are in some photos; None where one of them does not say."""
        counts = [self.counts[word][place] for place in places]
        return None if None in counts else sum(n or 0 for n in counts)

    def targets(self, word: str, places: Sequence[int]) -> tuple[Target, ...]:
        """Every one of a class in some photos, given in order."""
        return tuple(
            Target(image=place, box=box, phrase=word)
            for place in places
            for box in self.boxes[word][place]
        )


def look(records: Sequence[Record], names: ImageNames, words: Wording, limits: Limits) -> Scene:
    """The scene of some records of one photo each, in the order given.

    Parts (`chair:leg`) are no class of their own. Of a class that has a crowd in a photo, a region
    to be ignored, or one too small to be seen by all or all but cut off by the edge, that photo's
    count is not known.
    """
    there = [_found(record, limits.min_area) for record in records]
    nouns = distinct(sorted({label for found in there for label in found}))
    counts: dict[str, Counts] = {}
    boxes: dict[str, list[list[Box]]] = {}
    for label, word in nouns.items():
        pairs = list(zip(records, there, strict=True))
        counts[word] = tuple(_count(record, found, label) for record, found in pairs)
        boxes[word] = [found.get(label) or [] for found in there]
    sizes = [(record.images[0].width, record.images[0].height) for record in records]
    return Scene(words, names, limits, sizes, counts, boxes)


def _found(record: Record, min_area: float) -> dict[str, list[Box] | None]:
    """The boxes of each class, from left to right; None for a class with an unclear one."""
    image = record.images[0]
    smallest = min_area * image.width * image.height
    found: dict[str, list[Box] | None] = {}
    for region in record.regions:
        box = region.box
        if ":" in region.label:
            continue
        if region.ignore or box is None or _unclear(box, image, smallest):
            found[region.label] = None
        elif (boxes := found.setdefault(region.label, [])) is not None:
            boxes.append(box)
    for boxes in found.values():
        if boxes is not None and len(boxes) > 1:
            boxes.sort(key=lambda box: (box.x1, box.y1))
    return found


def _unclear(box: Box, image: Image, smallest: float) -> bool:
    """Whether a box is tiny, or small and ends at the edge, where its thing may go on beyond."""
    if box.area >= SLIVER * smallest:
        return False
    return box.area < smallest or (
        min(box.x1, box.y1) < EDGE or box.x2 > image.width - EDGE or box.y2 > image.height - EDGE
    )


def _count(record: Record, found: dict[str, list[Box] | None], label: str) -> int | None:
    if label in found:
        boxes = found[label]
        return None if boxes is None or not complete(record, label) else len(boxes)
    return 0 if label in record.absent or complete(record, label) else None
