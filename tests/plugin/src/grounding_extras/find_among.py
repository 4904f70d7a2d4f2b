"""Find among: several photos of different things; find the one that is named, and box it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mgdata.data import Association, Drop, Record, Sample, Shape, Target, Turn
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder
from mgdata.wording import ImageNames, Needs, load, noun

WORDING = load(__file__, {"ask": Needs(must="noun"), "answer": Needs(must="image box")})


@dataclass(frozen=True, kw_only=True)
class FindAmong(Builder):
    """One sample a photo, among photos whose labels differ from its own."""

    association: ClassVar[Association] = "referential"
    shapes: ClassVar[tuple[Shape, ...]] = ("image",)
    targets: ClassVar[str] = "one"

    images: int = 3
    """Photos a sample."""

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Every photo, with others at random that show something else."""
        labels = [found[0] for found in index.text("labels").to_pylist()]
        for place in rng.permutation(len(index)).tolist():
            others = [i for i, label in enumerate(labels) if label != labels[place]]
            if len(others) >= self.images - 1:
                chosen = [place, *rng.sample(others, self.images - 1)]
                yield [int(index.rows[i]) for i in chosen]

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """One question, about the first record; the photo stands at any place."""
        wanted = records[0]
        order = list(records)
        rng.shuffle(order)
        place = order.index(wanted)
        region = wanted.regions[0]
        assert region.box is not None
        names = ImageNames(rng.choice(("ordinal", "number")))
        turn = Turn(
            question=WORDING.pick(rng, "ask").fill(noun=noun(region.label)),
            answer=WORDING.pick(rng, "answer").fill(image=names.one(place), box="<target:0>"),
            targets=(Target(image=place, box=region.box, phrase=region.label),),
        )
        yield self.sample(records, [record.images[0] for record in order], [turn])
