"""Lets nothing be asked for by words that fit something else in the same image."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from mgdata.data import Record, Region, Shape
from mgdata.geometry import Floats, array, iou
from mgdata.plugins import Filter

_ARTICLES = frozenset(("a", "an", "the"))
# fmt: off
_LINKS = frozenset((
    "above", "across", "against", "along", "among", "and", "are", "around", "at", "behind", "below",
    "beneath", "beside", "between", "by", "carrying", "for", "from", "has", "have", "having",
    "holding", "in", "inside", "into", "is", "near", "next", "of", "off", "on", "onto", "over",
    "riding", "sitting", "standing", "that", "to", "toward", "towards", "under", "underneath", "up",
    "walking", "wearing", "which", "who", "whose", "with", "without",
))
# fmt: on
"""Words after which a phrase no longer names its thing, but says more of it."""


class Name(NamedTuple):
    """What a phrase or label says, for comparing."""

    words: tuple[str, ...]
    """Lower case, without articles and punctuation."""
    all: frozenset[str]
    """The words, in any order."""
    core: frozenset[str]
    """Those before the first preposition or verb."""
    head: str
    """The last of these: `dog` in "the brown dog with a ball"."""


@dataclass(frozen=True, kw_only=True)
class Ambiguity(Filter):
    """Compares the regions of each image by their words and boxes.

    A phrase fits another region whose phrase (or label, where it has none) has the same words; or
    all of its words and more, of the same label and the same thing: "dog" fits the "brown dog"
    and every other region labelled dog, "man" fits the "man in blue" and not the "woman next to a
    man". A region to be ignored is there all the same: "person" fits a crowd of persons. Whether
    "brown dog" fits a second dog that has no phrase is not known, and it stays.

    Regions of equal boxes are one object described twice, and keep their phrases. One that is
    annotated twice with no more to say keeps its first region, or the one that has a phrase.

    For tasks that ask for one region by its words. Where a phrase is meant to name several
    regions, leave this filter out or set `phrases` to False.
    """

    phrases: bool = True
    """Look at regions that have a phrase."""
    labels: bool = False
    """Look at regions without a phrase too, by their label: one instance of a class an image."""
    same: float = 0.9
    """Boxes whose IoU exceeds this are of one object."""
    shapes: tuple[Shape, ...] = ("image",)
    """Records that are looked at: of frames, the class name alone is often enough."""

    def __post_init__(self) -> None:
        """Refuse what is no IoU."""
        if not 0 < self.same <= 1:
            raise ValueError(f"same: expected an IoU over 0 and up to 1, found {self.same}")

    def regions(self, record: Record) -> Iterator[tuple[int, str]]:
        """Regions annotated twice, then those whose words fit another one."""
        if record.shape not in self.shapes:
            return
        images: dict[int, list[int]] = defaultdict(list)
        for place, region in enumerate(record.regions):
            if region.box is not None:
                images[region.image].append(place)
        for places in images.values():
            if len(places) > 1:
                yield from self._image(record, places)

    def _image(self, record: Record, places: list[int]) -> Iterator[tuple[int, str]]:
        """The regions of one image, at these positions of the record."""
        regions = [record.regions[place] for place in places]
        boxes = array([region.box for region in regions if region.box is not None])
        overlap = iou(boxes, boxes)
        twins = self._twins(regions, overlap)
        for i in twins:
            yield places[i], "annotated twice"
        rest = [i for i in range(len(regions)) if i not in twins]
        for i in self._ambiguous(regions, rest, overlap):
            yield places[i], "phrase fits two regions"

    def _twins(self, regions: list[Region], overlap: Floats) -> list[int]:
        """Of each object annotated twice in the same words, all regions but one."""
        kept: dict[str, list[int]] = defaultdict(list)
        twins: list[int] = []
        for i in sorted(range(len(regions)), key=lambda i: (not regions[i].phrase, i)):
            region = regions[i]
            if region.ignore:
                continue
            others = kept[region.label]
            if any(overlap[i, j] > self.same and _alike(region, regions[j]) for j in others):
                twins.append(i)
            else:
                others.append(i)
        return sorted(twins)

    def _ambiguous(self, regions: list[Region], rest: list[int], overlap: Floats) -> Iterator[int]:
        asked = [i for i in rest if self._asked(regions[i])]
        if not asked:
            return
        names = {i: name_of(regions[i].phrase or regions[i].label) for i in rest}
        equal: dict[tuple[str, ...], list[int]] = defaultdict(list)
        alike: dict[str, list[int]] = defaultdict(list)
        for i in rest:
            equal[names[i].words].append(i)
            alike[regions[i].label].append(i)
        for i in asked:
            label = regions[i].label
            inner = (j for j in alike[label] if _fits(names[i], names[j], label))
            for j in (*equal[names[i].words], *inner):
                if j != i and overlap[i, j] <= self.same and not _tracked(regions[i], regions[j]):
                    yield i
                    break

    def _asked(self, region: Region) -> bool:
        return not region.ignore and (self.phrases if region.phrase else self.labels)


@lru_cache(1 << 16)
def name_of(text: str) -> Name:
    """A phrase or label, taken apart by a few rules of English word order."""
    words = tuple(w for w in re.findall(r"\w+", text.lower()) if w not in _ARTICLES)
    end = next((i for i, word in enumerate(words) if i and word in _LINKS), len(words))
    core = words[:end]
    return Name(words, frozenset(words), frozenset(core), core[-1] if core else "")


def _fits(said: Name, other: Name, label: str) -> bool:
    """Whether what is said of one region of a label is true of another of the same label."""
    if not said.words:
        return False
    known = name_of(label)
    return said.all <= other.all | known.all and said.head in other.core | known.core


def _alike(region: Region, kept: Region) -> bool:
    """Whether a region says no more of its object than the one that is kept."""
    if not region.phrase or not kept.phrase:
        return True
    return name_of(region.phrase).words == name_of(kept.phrase).words


def _tracked(first: Region, second: Region) -> bool:
    return first.track is not None and first.track == second.track
