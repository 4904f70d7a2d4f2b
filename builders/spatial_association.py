"""Spatial association: one camera shows an object; say where others see the same one, if at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from builders.asking import Band, Naming, image_names
from builders.spatial_cases import CASES, Case, Kind, Thing, candidates, look
from builders.spatial_turns import LETTERS, NEEDS, Scene, pictures, turn
from builders.tracking_turns import COLOURS, Given
from builders.views import Side, on_side
from mgdata.data import Association, Count, Drop, Record, Region, Sample, Shape
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder, Grouping
from mgdata.wording import load, noun

WORDING = load(__file__, NEEDS)
COUNTS: tuple[Count, ...] = ("none", "one", "many")
_EQUALLY: dict[Kind, float] = {"everywhere": 1.0, "which": 1.0, "several": 1.0}
_PEOPLE = frozenset(("person", "pedestrian", "man", "woman", "child", "boy", "girl"))


class Plan(NamedTuple):
    """What is asked of a moment."""

    kind: Kind
    size: int
    """Candidates a view, or objects."""
    case: Case
    things: list[Thing]
    views: list[int]
    """Asked about, in the order they are shown."""


@dataclass(frozen=True, kw_only=True)
class SpatialAssociation(Builder):
    """One sample a moment: a view with an object given, and what other views show of the same one.

    The question is open: the object may be visible in none, one or several of the other views,
    which come in random order. Kinds: `everywhere`, one object in all other views; `which`, one
    object, and in each other view as many boxes of its class to choose from, itself among them
    where it is visible; `several`, two or three objects at once. Targets are sorted by image, then
    from left to right, and named in that order.

    A view is shown only where the annotation speaks of each object asked for: it has a box, or it
    is known not to be visible. It speaks of the very object, so that others of its class may be in
    the view; to mistake them for it is what makes this hard. Silence, a box outside the size band,
    a strip, a box too little of which is visible: neither visible nor hidden, and not shown. The
    box given, like every candidate, is nearly that of nothing else in its view.

    The number of views, of candidates and of objects and the kind of question are those of a moment
    that has questions of all counts for them, so that none of these tells the count; where the
    settings leave no choice of them, a moment need only have a question of the `count` set. MVTrack
    has one object a moment and so needs `kinds: {everywhere: 1}` and one number of `images`. All
    of this is ours: of MG-Data-240K's spatial part only size and sources are known.
    """

    association: ClassVar[Association] = "spatial"
    shapes: ClassVar[tuple[Shape, ...]] = ("views",)
    targets: ClassVar[str] = "none, one or many"
    grouping: ClassVar[Grouping] = "alone"

    count: Count | None = None
    """Targets a sample has; None: whatever comes."""
    images: tuple[int, int] = (2, 5)
    """Fewest and most views a sample, the reference too; two have many targets only of several
    objects."""
    kinds: dict[Kind, float] | None = None
    """Weight of each kind of question among those that a moment has; None: all equally."""
    candidates: tuple[int, int] = (2, 3)
    """Fewest and most boxes to choose from in each view, for `which`."""
    objects: tuple[int, int] = (2, 3)
    """Fewest and most objects asked for at once, for `several`; times the other views, this is the
    greatest number of targets."""
    reference: Side = "mixed"
    """Image 1: the worn camera, one that stands, any that shows the object, or the first two in
    halves, as far as both are there. A camera is worn if its name has `aria` in it."""
    given: Given | Literal["mixed"] = "mixed"
    """How objects and candidates are given: boxes in the question, drawn rectangles, or both."""
    named: float = 0.0
    """Share of questions that name the class; a class may be hidden more often than others. People
    are always called so."""
    area: Band = (0.0005, 0.6)
    """Smallest and largest share of its view that a box covers: 16 x 16 pixels of 960 x 540."""
    slivers: bool = False
    """Keep boxes with a side below a sixteenth of the view's that are twice as narrow or as flat as
    the object's largest: mostly what an occluder or the border leaves of it."""
    visibility: float = 0.5
    """Least visible share, where the corpus states or estimates one."""
    naming: Naming = "mixed"
    """`the third image`, `Image-3`, or either; never both in a sample."""
    per_record: int = 1
    """Most samples a moment; each is used once before any is used again."""
    per_unit: int | None = None
    """Most moments tried of a take or recording, those used again too."""

    def __post_init__(self) -> None:
        """Refuse settings that no moment could meet."""
        for name, (low, high), least in (
            ("images", self.images, 2),
            ("candidates", self.candidates, 2),
            ("objects", self.objects, 2),
        ):
            if not least <= low <= high:
                raise ValueError(f"{name}: expected {least} <= fewest <= most, found {low}, {high}")
        kinds = _EQUALLY if self.kinds is None else self.kinds
        # Not `<= 0`, which a NaN would pass.
        if not kinds or not all(0 < weight < float("inf") for weight in kinds.values()):
            raise ValueError(f"kinds: expected positive weights, found {self.kinds}")
        most = self.candidates[1]
        if most > len(COLOURS) or most * (self.images[1] - 1) > len(LETTERS):
            raise ValueError(f"candidates: at most {len(COLOURS)} a view, {len(LETTERS)} in all")
        if self.objects[1] > len(COLOURS):
            raise ValueError(f"objects: expected at most {len(COLOURS)}, found {self.objects[1]}")
        if not 0 <= self.area[0] < self.area[1] <= 1:
            raise ValueError(f"area: expected 0 <= smallest < largest <= 1, found {self.area}")
        if not (0 <= self.named <= 1 and 0 <= self.visibility <= 1):
            raise ValueError("named and visibility: expected shares from 0 to 1")
        if self.per_record < 1 or (self.per_unit is not None and self.per_unit < 1):
            raise ValueError("per_record and per_unit: expected at least 1")
        if self.count == "many" and self.images[1] == 2 and "several" not in kinds:
            raise ValueError("images: with two views only the kind several has many targets")

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Every moment with views enough, in random order; again and again, `per_record` times."""
        seen = 1 if self.count in (None, "none") else 2
        enough = (index.numbers("longest") >= seen) & (index.numbers("images") >= self.images[0])
        some = index.view(enough)
        units = some.text("unit").to_pylist() if self.per_unit else []
        used: Counter[str] = Counter()
        for _ in range(self.per_record):
            for place in rng.permutation(len(some)).tolist():
                if self.per_unit:
                    used[units[place]] += 1
                    if used[units[place]] > self.per_unit:
                        continue
                yield (int(some.rows[place]),)

    def expected(self) -> float:
        """Half, since not every moment has a question of the count wanted."""
        return 0.5

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """One sample of the moment; `Rejected` where it has no question of the count wanted."""
        moment = records[0]
        plan = self._plan(moment, rng)
        reference = plan.case.reference
        things = [thing.regions[reference] for thing in plan.case.things]
        offered: list[list[Region]] = []
        if plan.kind == "which":
            offered = [candidates(plan.case, v, plan.size, plan.things, rng) for v in plan.views]
        scene = Scene(
            words=WORDING,
            kind=plan.kind,
            given=rng.choice(("coordinates", "mark", "both"))
            if self.given == "mixed"
            else self.given,
            names=image_names(self.naming, rng),
            noun=_noun(things, named=rng.uniform() < self.named),
            things=things,
            shown=[[thing.regions.get(view) for thing in plan.case.things] for view in plan.views],
            candidates=offered,
            colours=[
                [*COLOURS[: len(things)]],
                *(rng.sample(COLOURS, len(row)) for row in offered),
            ],
        )
        images = [moment.images[view] for view in (reference, *plan.views)]
        yield self.sample(records, pictures(scene, images), [turn(scene, rng)])

    def _plan(self, moment: Record, rng: Stream) -> Plan:
        """A question of the moment: its kind by weight, then views and sizes uniformly."""
        things = look(moment, self.area, slivers=self.slivers, visibility=self.visibility)
        clear = 0
        for thing in things:
            clear |= thing.clear
        views = [view for view in range(len(moment.images)) if clear >> view & 1]
        sides = sum(1 << view for view in on_side(moment, views, self.reference, rng))
        kinds = _EQUALLY if self.kinds is None else self.kinds
        choices = {kind: self._choices(kind, len(moment.images)) for kind in kinds}
        alike = self.count is not None and sum(len(self._choices(kind)) for kind in kinds) > 1
        for kind in _by_weight(kinds, rng):
            cases: dict[int, list[Case]] = {}
            for images, size in rng.sample(choices[kind], len(choices[kind])):
                if size not in cases:
                    cases[size] = CASES[kind](things, sides, size, rng)
                served: list[Count] = [
                    c for c in COUNTS if any(x.serves(images - 1, c) for x in cases[size])
                ]
                if len(served) < len(COUNTS) if alike else self.count not in (None, *served):
                    continue
                if not served:
                    continue
                count = self.count or rng.choice(served)
                case = next(case for case in cases[size] if case.serves(images - 1, count))
                return Plan(kind, size, case, things, case.views(images - 1, count, rng))
        if alike:
            raise Rejected("no number of views has questions of every count")
        raise Rejected("no object is known in views enough", self.count)

    def _choices(self, kind: Kind, most: int | None = None) -> list[tuple[int, int]]:
        """Numbers of images, at most so many, with those of candidates or objects."""
        sizes = {"everywhere": (1, 1), "which": self.candidates, "several": self.objects}[kind]
        last = self.images[1] if most is None else min(most, self.images[1])
        return [
            (images, size)
            for images in range(self.images[0], last + 1)
            for size in range(sizes[0], sizes[1] + 1)
        ]


def _noun(things: Sequence[Region], *, named: bool) -> str:
    """What questions call the objects."""
    labels = {thing.label for thing in things}
    if len(labels) > 1:
        return "object"
    (label,) = labels
    return noun(label) if named or label in _PEOPLE else "object"


def _by_weight(weights: dict[Kind, float], rng: Stream) -> list[Kind]:
    """All kinds in random order: each next one is drawn by weight from those left."""
    left, found = dict(weights), list[Kind]()
    while left:
        at = rng.uniform() * sum(left.values())
        for kind in left:
            at -= left[kind]
            if at < 0:
                break
        else:
            kind = next(iter(left))
        found.append(kind)
        del left[kind]
    return found
