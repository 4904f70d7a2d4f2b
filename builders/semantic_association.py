"""Semantic association: over several photos, what is of one kind or use, and what is odd."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from builders import key_draws
from builders.asking import Band, Naming, image_names
from builders.association_facts import KINDS, Kind, Limits, facts
from builders.association_sets import Sets, Wanted
from builders.association_turns import NEEDS, Scene, asked
from builders.sets import pool
from builders.tracking_turns import Given
from mgdata.data import Association, Count, Drop, Record, Sample, Shape
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder, Grouping
from mgdata.wording import load

WORDING = load(__file__, NEEDS)
SHARES: dict[Kind, float] = {"kind": 0.5, "use": 0.15, "part": 0.1, "odd": 0.15, "odd_set": 0.1}
"""How often each kind of question comes, as far as the photos and `count` allow it."""
FEWEST: dict[Kind, int] = {"kind": 2, "use": 3, "part": 3, "odd": 3, "odd_set": 4}
"""Photos that each kind of question needs. Of three, any two share something that no corpus boxes
(a wall, a shirt), so that a class which just two share would be one guess among several."""


@dataclass(frozen=True, kw_only=True)
class SemanticAssociation(Builder):
    """One sample a set of photos and one question about what things have in common.

    Only the name and the size of the published group are known (77,000 samples; COCO is among the
    sources); what follows is our choice. Five kinds of question:

    - `kind` (none, one or many targets): one photo has a thing given; everything of that kind in
      all other photos is to be boxed. Every other photo has its class annotated completely or is
      known not to show it; no photo with a crowd of it, a region to be ignored, a thing outside the
      size band, or a class that may be called the same (`rivals`). The photo of the given thing may
      show more of its kind, which the question does not ask for.
    - `use` (none, one or many): candidates are given in the other photos, and those that serve the
      same purpose as the given thing are the answer: always things of another class, by a table
      of everyday classes that leaves out what can be argued about (`kinds_of_use`). Things that
      nobody annotated may serve it too, so only the candidates count.
    - `part` (none, one or many): the same with parts of objects (`chair:leg`): the same part, of
      the same class of object or of another one. Corpora do not annotate the parts of every object.
    - `odd` (one): a thing is given in each photo, of one class in all but one.
    - `odd_set` (many): all but one of four photos or more share exactly one class, of which all is
      to be boxed. Only of photos in which every class is annotated.

    The given thing stands in any of the photos, which are in random order. An answer has its
    targets image by image and from left to right, each after the name of its image; candidates are
    lettered in that order too. Questions of the first three kinds have the same wording and photos
    of the same number whatever the number of targets, and their classes are drawn in the same way.
    Which kind a photo is asked for as the first of a set, and of which class, hangs on its key
    alone, so another seed puts it beside other photos, but asks the same of it.
    """

    association: ClassVar[Association] = "semantic"
    shapes: ClassVar[tuple[Shape, ...]] = ("image",)
    targets: ClassVar[str] = "none, one or many"
    grouping: ClassVar[Grouping] = "any"

    count: Count | None = None
    """Targets a sample has; None: whatever comes."""
    images: tuple[int, int] = (2, 6)
    """Fewest and most photos a sample, uniformly; `kind` has two at least, `odd_set` four, the
    others three."""
    kinds: dict[Kind, float] | None = None
    """How often each kind of question comes, by name, any positive numbers; one not named is never
    asked. None: half `kind`, 3 in 20 `use` and `odd`, 1 in 10 `part` and `odd_set`.

    With a `count` those that cannot have it are left out.
    """
    marked: Band = (0.015, 0.8)
    """Smallest and largest share of its photo that a thing covers which the question gives: 68 x 68
    pixels of 640 x 480."""
    area: Band = (0.001, 0.95)
    """Smallest and largest share of its photo that a thing to be found covers, else no question: 18
    x 18 pixels of 640 x 480."""
    shared: Band = (0.05, 0.8)
    """`odd_set`: smallest and largest share that the largest thing of the shared class covers."""
    most: int = 12
    """Most targets a question; sets with more are not asked about."""
    candidates: tuple[int, int] = (3, 4)
    """Fewest and most candidates, uniformly; one a photo at least, so more where photos are."""
    overlap: float = 0.7
    """IoU with another annotated region from which a given box is not clear; 0 to 1."""
    given: Given | Literal["mixed"] = "mixed"
    """How things are given: boxes in the question, drawn rectangles, or both."""
    named: float = 0.25
    """Share of questions that tell the class of the given thing; not those for the odd one."""
    hard: float = 0.5
    """Share of photos without the kind asked for that share another class with the first photo, and
    of odd things whose photo shows what the others are, as far as there are such."""
    naming: Naming = "mixed"
    """`the third image`, `Image-3`, or either; never both in a sample."""
    per_image: int = 3
    """Most sets that a photo is used in."""
    power: float = 0.5
    """Classes of n photos come as n to this power: 1 as the corpus has them, 0 equally often."""

    def __post_init__(self) -> None:
        """Refuse settings that no set could meet."""
        if not 2 <= self.images[0] <= self.images[1] <= 20:
            raise ValueError(f"images: expected 2 <= fewest <= most <= 20, found {self.images}")
        if not 3 <= self.candidates[0] <= self.candidates[1] <= 6:
            raise ValueError(f"candidates: expected 3 <= fewest <= most <= 6: {self.candidates}")
        for name in ("marked", "area", "shared"):
            low, high = getattr(self, name)
            if not 0 <= low < high <= 1:
                raise ValueError(
                    f"{name}: expected 0 <= smallest < largest <= 1, found {low, high}"
                )
        for name in ("overlap", "named", "hard", "power"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected 0 to 1, found {getattr(self, name)}")
        if self.most < 2 or self.per_image < 1:
            raise ValueError("expected most of at least 2 and per_image of at least 1")
        kinds = SHARES if self.kinds is None else self.kinds
        if unknown := [name for name in kinds if name not in KINDS]:
            raise ValueError(f"kinds: unknown {unknown[0]!r}; known are {', '.join(KINDS)}")
        # Not `<= 0`, which a NaN would pass.
        if not kinds or not all(0 < weight < float("inf") for weight in kinds.values()):
            raise ValueError(f"kinds: expected positive weights, found {self.kinds}")
        if not self._weights:
            raise ValueError(f"kinds: {', '.join(kinds)} cannot have count {self.count}, "
                             f"or need more photos than {self.images[1]}")  # fmt: skip

    @property
    def _weights(self) -> dict[Kind, float]:
        """The kinds of question that can be asked, in one order however they were written."""
        weights = SHARES if self.kinds is None else self.kinds
        return {
            kind: weights[kind]
            for kind, counts in KINDS.items()
            if kind in weights
            and (self.count is None or self.count in counts)
            and self.images[1] >= FEWEST[kind]
        }

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Sets for each kind of question, mixed; the photo that the question is for comes first."""
        wanted = Wanted(
            weights=self._weights,
            count=self.count,
            images={
                kind: (max(fewest, self.images[0]), self.images[1])
                for kind, fewest in FEWEST.items()
            },
            hard=self.hard,
            power=self.power,
            per_image=self.per_image,
        )
        yield from Sets(pool(index, rng), self._limits, wanted, rng).rows()

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """The sample of one set; `Rejected` where its answer is not certain."""
        kind = key_draws.kind(records[0].key, self._weights)
        found = facts(kind, records, self.count, self._limits, rng)
        order = rng.sample(range(len(records)), len(records))
        scene = Scene(
            kind=kind,
            facts=found,
            places=[order.index(place) for place in range(len(records))],
            names=image_names(self.naming, rng),
            given=rng.choice(get_args(Given)) if self.given == "mixed" else self.given,
            named=kind not in ("odd", "odd_set") and rng.uniform() < self.named,
            wording=WORDING,
        )
        shown = [records[place] for place in order]
        turn, images = asked(scene, [record.images[0] for record in shown], rng)
        yield self.sample(shown, images, [turn])

    @property
    def _limits(self) -> Limits:
        return Limits(
            marked=self.marked,
            area=self.area,
            shared=self.shared,
            most=self.most,
            offered=self.candidates,
            overlap=self.overlap,
        )
