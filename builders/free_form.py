"""Free-form: drafts for a teacher, sets of photos and the objects that are annotated in them.

A recipe with this task should have a section `teacher.write`: the teacher then replaces the turn
with a question and an answer of its own. A draft that nobody rewrites is a plain, true listing of
annotated objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from builders.asking import Band, area_of, box_of, called, in_order
from builders.dealing import Deck
from builders.lookalikes import lookalikes, vectors
from builders.sets import Entries, Ints, interleaved, pool
from mgdata.data import Association, Drop, Record, Region, Sample, Shape, Target, Turn
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder, Grouping
from mgdata.wording import ImageNames, Needs, load

WORDING = load(__file__, {"ask": Needs(), "answer": Needs(each="image box")})
NAMES = ImageNames("number")


@dataclass(frozen=True, kw_only=True)
class FreeForm(Builder):
    """One draft a set of photos: its turn lists annotated objects of all of them, with boxes.

    Sets are put together in the three ways of the published sub-set, which needs a section of the
    recipe each (32,000, 35,000 and 33,000 samples there): photos that share an object class, any
    photos, and photos that look alike by a vector that a record measure gave (Algorithm 1 of
    Migician; how many photos it puts in a set is published for this one alone). Photos of a set
    are of one corpus and in random order.

    Listed are objects with a name, of any class, within the size band; nothing that is to be
    ignored. Of a photo with more than `most_objects`, the largest of each class come first, then
    the next largest of each. A photo with none is left out, a set of less than two dropped.
    """

    association: ClassVar[Association] = "semantic"
    shapes: ClassVar[tuple[Shape, ...]] = ("image",)
    targets: ClassVar[str] = "many: annotated objects of every photo, until a teacher asks for some"
    grouping: ClassVar[Grouping] = "any"
    drafts: ClassVar[bool] = True

    by: Literal["shared", "random", "alike"] = "shared"
    """What a set has in common: an object class, nothing that was looked for, or its looks."""
    images: tuple[int, int] = (4, 6)
    """Fewest and most photos a set, uniformly."""
    most_objects: int = 20
    """Most objects listed of a photo."""
    area: Band = (0.001, 0.95)
    """Smallest and largest share of its photo that a listed object covers."""
    vectors: str = "embedding"
    """`alike`: the fact of a record measure that says what a photo looks like."""
    kept: Band = (0.1, 1.0)
    """`alike`: smallest and largest share of the other photos, ranked by likeness, that a set is
    drawn from; uniformly, anew for each set."""
    per_image: int = 3
    """Most sets that a photo is used in; once in the published algorithm for `alike`."""
    power: float = 0.5
    """`shared`: classes of n photos come as n to this power: 1 as the corpus has them, 0 equally
    often."""

    def __post_init__(self) -> None:
        """Refuse settings that no set could meet."""
        if not 2 <= self.images[0] <= self.images[1] <= 20:
            raise ValueError(f"images: expected 2 <= fewest <= most <= 20, found {self.images}")
        if not 0 <= self.area[0] < self.area[1] <= 1:
            raise ValueError(f"area: expected 0 <= smallest < largest <= 1, found {self.area}")
        if not 0 < self.kept[0] <= self.kept[1] <= 1:
            raise ValueError(f"kept: expected 0 < smallest <= largest <= 1, found {self.kept}")
        if self.most_objects < 1 or self.per_image < 1:
            raise ValueError("most_objects and per_image: expected at least 1")
        if not 0 <= self.power <= 1:
            raise ValueError(f"power: expected 0 to 1, found {self.power}")

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Sets of photos that have something to list, put together as `by` says."""
        index = pool(index, rng)
        photos = Deck(index, self.per_image)
        entries = photos.entries(self.area, complete=False, single=False)
        named = np.array([called(name) is not None for name in photos.names], np.bool_)
        entries = entries.where(named[entries.codes]) if len(entries) else entries
        some = np.unique(entries.positions)
        if self.by == "shared":
            yield from self._shared(photos, entries, rng)
        for _ in range(self.per_image):
            if self.by == "random":
                order = some[rng.permutation(len(some))]
                yield from photos.dealt(order, photos.corpora[order], self.images, rng)
            elif self.by == "alike":
                yield from self._alike(photos, index, some, rng)

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """The draft of one set."""
        listed = [(one, self._things(one)) for one in rng.sample(records, len(records))]
        listed = [(record, things) for record, things in listed if things]
        if len(listed) < 2:
            raise Rejected("fewer than two photos with objects to list", str(len(listed)))
        targets, _ = in_order(
            [
                Target(image=place, box=box_of(region), phrase=_name(region))
                for place, (_, things) in enumerate(listed)
                for region in things
            ]
        )
        each = [
            {"image": NAMES.one(target.image), "box": f"<target:{place}>"}
            for place, target in enumerate(targets)
        ]
        turn = Turn(
            question=WORDING.pick(rng, "ask").fill(),
            answer=WORDING.pick(rng, "answer").fill(each=each),
            targets=targets,
        )
        found = [record for record, _ in listed]
        yield self.sample(found, [record.images[0] for record in found], [turn])

    def _shared(self, photos: Deck, entries: Entries, rng: Stream) -> Iterator[tuple[int, ...]]:
        """Sets whose photos all have one class, and maybe more."""
        order = interleaved(entries.codes, rng, self.power)
        positions, codes = entries.positions[order], entries.codes[order].astype(np.int64)
        # A class means something within its corpus alone.
        heaps = photos.corpora[positions] * len(photos.names) + codes
        yield from photos.dealt(positions, heaps, self.images, rng)

    def _alike(
        self, photos: Deck, index: Index, some: Ints, rng: Stream
    ) -> Iterator[tuple[int, ...]]:
        """Sets of photos that look alike, corpora taking turns as often as they have photos."""
        places, values = vectors(index, self.vectors)
        fit = np.isin(places, some)
        places, values = places[fit], values[fit]
        corpora = photos.corpora[places]
        members = {int(c): np.flatnonzero(corpora == c) for c in np.unique(corpora)}
        streams = {
            corpus: lookalikes(
                values[mine], photos.units[places[mine]], self.images, self.kept, rng
            )
            for corpus, mine in members.items()
        }
        for corpus in corpora[rng.permutation(len(corpora))].tolist():
            if (group := next(streams[corpus], None)) is None:
                continue
            chosen = places[members[corpus][group]].tolist()
            if photos.new(chosen):
                yield photos.taken(chosen)

    def _things(self, record: Record) -> list[Region]:
        """What is listed of a photo: the largest of each class, then the next of each."""
        ranks: dict[str, int] = {}
        found: list[tuple[int, Region]] = []
        fit = [r for r in record.regions if r.image == 0 and self._fits(r, record)]
        for region in sorted(fit, key=lambda region: -area_of(region, record)):
            ranks[region.label] = ranks.get(region.label, -1) + 1
            found.append((ranks[region.label], region))
        found.sort(key=lambda ranked: ranked[0])
        return [region for _, region in found[: self.most_objects]]

    def _fits(self, region: Region, record: Record) -> bool:
        if region.ignore or region.box is None or _name(region) is None:
            return False
        return self.area[0] <= area_of(region, record) <= self.area[1]


def _name(region: Region) -> str | None:
    return region.phrase or called(region.label)
