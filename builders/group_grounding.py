"""Group grounding: one of several unrelated photos shows what is asked for; say which, and where.

Or the other way round: a box in one of them is given, and what it holds is to be said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import pyarrow.compute

from builders.asking import Band, Naming, Turns, area_of, expected, image_names, one_by_one, samples
from builders.group_grounding_turns import (
    NEEDS,
    Asked,
    Scene,
    Words,
    at_once,
    described,
    found,
    of_label,
    of_phrase,
)
from builders.rivals import alike
from builders.sets import Photos, one_has, pool
from mgdata.data import Association, Drop, Record, Region, Sample, Shape, complete
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder, Grouping
from mgdata.wording import load

WORDING = load(__file__, NEEDS)
pc: Any = pyarrow.compute


@dataclass(frozen=True, kw_only=True)
class GroupGrounding(Builder):
    """One sample a set of photos; each question has one target, in an image that is to be found.

    What is asked for fits one region of one image alone: its class is known to be in no other photo
    of the set, its phrase is nowhere else, and its own photo has no second thing of the class, or
    none that the phrase would fit; nor does any photo of the set show a class that by its name may
    be the same thing (`rivals`). (The published set takes random photos, from GranD, and describes
    no such check.) An image may be asked about twice, so that questions before tell nothing of the
    next.

    In the other direction the box and its image are given and the words are asked for: no target.
    A sample has questions of one direction.
    """

    association: ClassVar[Association] = "referential"
    shapes: ClassVar[tuple[Shape, ...]] = ("image",)
    targets: ClassVar[str] = "one a question; none where a box is to be described"
    grouping: ClassVar[Grouping] = "one has"

    images: tuple[int, int] = (3, 5)
    """Fewest and most photos a sample, uniformly."""
    area: Band = (0.01, 0.8)
    """Smallest and largest share of its photo that a region asked about covers."""
    direction: Literal["ground", "describe", "mixed"] = "mixed"
    """Words to box, box to words, or either; describing is a question a turn even with `all`."""
    words: Literal["phrase", "label", "either"] = "either"
    """What regions are called by; `either` prefers the phrase."""
    unique: Literal["label", "phrase"] = "label"
    """`phrase` admits several things of a class in the target's own photo, if all have phrases and
    none of the others' holds every word of the target's."""
    asked: tuple[int, int] = (1, 3)
    """Fewest and most questions a sample, as far as there is something unique to ask for."""
    turns: Turns = "mixed"
    """A question a turn, all in one answer, a sample for each question, or the first two mixed."""
    naming: Naming = "mixed"
    """`the third image`, `Image-3`, or either; never both in a sample."""
    per_image: int = 3
    """Most sets that a photo is used in."""
    power: float = 0.5
    """Classes of n photos come as n to this power: 1 as the corpus has them, 0 equally often."""

    def __post_init__(self) -> None:
        """Refuse settings that no set could meet."""
        if not 2 <= self.images[0] <= self.images[1]:
            raise ValueError(f"images: expected 2 <= fewest <= most, found {self.images}")
        if not 1 <= self.asked[0] <= self.asked[1]:
            raise ValueError(f"asked: expected 1 <= fewest <= most, found {self.asked}")
        if not 0 <= self.area[0] < self.area[1] <= 1:
            raise ValueError(f"area: expected 0 <= smallest < largest <= 1, found {self.area}")
        if self.unique == "phrase" and self.words == "label":
            raise ValueError("unique: phrase needs phrases, and words says label")
        if self.per_image < 1:
            raise ValueError(f"per_image: expected at least 1, found {self.per_image}")
        if not 0 <= self.power <= 1:
            raise ValueError(f"power: expected 0 to 1, found {self.power}")

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Sets whose first photo has something of a class that is in no other."""
        if self.words == "phrase":
            lengths = pc.fill_null(pc.list_value_length(index.table["phrases"]), 0)
            index = index.view(lengths.to_numpy()[index.rows] > 0)
        photos = Photos(pool(index, rng), self.per_image)
        entries = photos.entries(self.area, single=self.unique == "label")
        yield from one_has(photos, entries, self.images, rng, self.power)

    def expected(self) -> float:
        """A sample a question where they are asked apart."""
        return expected(self.turns, *self.asked)

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """One sample of the set, or one a question where they are asked apart."""
        records = rng.sample(records, len(records))
        asked = self._chosen(self._askable(records), rng)
        scene = Scene(WORDING, asked, image_names(self.naming, rng), self.turns == "apart")
        ground = self.direction == "ground" or (self.direction == "mixed" and rng.below(2) == 0)
        separate = one_by_one(self.turns, rng) or len(asked) == 1
        if not ground:
            turns = described(scene, rng)
        else:
            turns = found(scene, rng) if separate else [at_once(scene, rng)]
        yield from samples(self, records, [r.images[0] for r in records], turns, self.turns)

    def _askable(self, records: Sequence[Record]) -> list[list[Asked]]:
        """For each photo, the regions that can be asked about."""
        present = [{region.label for region in record.regions} for record in records]
        doubtful = alike(set().union(*present))
        said = Counter(name for record in records for r in record.regions for name in _names(r))
        found: list[list[Asked]] = []
        for place, record in enumerate(records):
            others = [k for k in range(len(records)) if k != place]
            fits: dict[str, bool] = {}
            found.append([])
            for region in record.regions:
                label = region.label
                if label not in fits:
                    fits[label] = (
                        label not in doubtful
                        and complete(record, label)
                        and all(
                            label not in present[k]
                            and (complete(records[k], label) or label in records[k].absent)
                            for k in others
                        )
                    )
                if not fits[label] or not self._fits(region, record):
                    continue
                words = self._words(region)
                if words is None or said[_plain(words.gold)] > 1:
                    continue
                found[place].append(Asked(place, region, words))
        return found

    def _fits(self, region: Region, record: Record) -> bool:
        """Whether a region may be asked about, and nothing else in its photo can be meant."""
        if region.ignore or not self.area[0] <= area_of(region, record) <= self.area[1]:
            return False
        alike = [r for r in record.regions if r.label == region.label and r is not region]
        if not alike or self.unique == "label" or region.phrase is None:
            return not alike
        mine = set(_plain(region.phrase).split())
        return all(
            not r.ignore and r.phrase and not mine <= set(_plain(r.phrase).split()) for r in alike
        )

    def _words(self, region: Region) -> Words | None:
        if region.phrase and self.words != "label":
            return of_phrase(region.phrase)
        return None if self.words == "phrase" else of_label(region.label)

    def _chosen(self, askable: list[list[Asked]], rng: Stream) -> list[Asked]:
        """What is asked about: an image at random, then one of its regions."""
        left = [rng.sample(some, len(some)) for some in askable if some]
        chosen: list[Asked] = []
        for _ in range(rng.between(*self.asked)):
            if not left:
                break
            place = rng.below(len(left))
            chosen.append(left[place].pop())
            if not left[place]:
                del left[place]
        if len(chosen) < self.asked[0]:
            raise Rejected("nothing unique to ask for", f"{len(chosen)} of {self.asked[0]}")
        return chosen


def _names(region: Region) -> set[str]:
    """What a region may be called: its class, and its phrase."""
    return {_plain(name) for name in (region.label, region.phrase) if name}


@lru_cache(1 << 16)
def _plain(phrase: str) -> str:
    return " ".join(phrase.lower().split()).strip(" .,")
