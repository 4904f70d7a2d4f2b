"""Correspondence: a part is marked in one photo; find what corresponds to it in another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from builders.asking import Band, Naming, area_of, box_of, image_names
from builders.parts import (
    NO_FUNCTION,
    Purposes,
    alone,
    clear,
    name_of,
    object_of,
    owners,
    spoken,
    thing_of,
)
from builders.rivals import alike
from builders.sets import Photos, pairs, pool
from builders.tracking_turns import Given
from mgdata.data import (
    ALL,
    Association,
    Drop,
    Edit,
    Record,
    Region,
    Sample,
    Shape,
    Target,
    Turn,
    complete,
)
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder, Grouping
from mgdata.wording import Needs, load

WORDING = load(
    __file__,
    {
        "target_coordinates": Needs(must="part box reference"),
        "target_mark": Needs(must="part mark reference"),
        "target_both": Needs(must="part box mark reference"),
        "ask_semantic": Needs(must="target image"),
        "ask_functional": Needs(must="target image"),
        "ask_functional_on": Needs(must="target image thing"),
        "answer": Needs(must="box", may="name image"),
    },
)
Sort = Literal["semantic", "functional"]


class Found(NamedTuple):
    """A part and its counterpart."""

    sort: Sort
    first: Region
    second: Region
    on: bool
    """Whether the question must name the object in image 2 for its answer to be the only one."""


class Photo(NamedTuple):
    """The regions of one photo that count, by label, and how many parts serve each purpose."""

    regions: dict[str, list[Region]]
    serving: Counter[str]


@dataclass(frozen=True, kw_only=True)
class Correspondence(Builder):
    """Image 1 has a part given, image 2 one part that corresponds to it.

    `semantic`: the same part of the same kind of object. `functional`: the part that serves the
    same purpose on an object of another class: by default the part of the same name
    (`mug:handle`, `drawer:handle`), as far as that name tells a purpose. Image 2 has exactly one
    part to answer with: one of that label, all of which are annotated; for `functional`, one over
    all objects there. Where other objects' parts may be un-annotated, a functional question names
    the object, so that its answer stays the only one. Where objects are annotated too, the part's
    is the only one of its class in image 2, and none there may be called the same (`rivals`).

    Needs corpora whose labels are `object:part`: PACO as it is; for PartImageNet, whose parts are
    called `Quadruped Head`, the `renames` of the COCO reader can write them so. In PACO the parts
    of one name of an object share one box (all legs of a chair). MIG-Bench's 117 questions were
    annotated by hand, on photos from the web and its makers' own, with a dark red box drawn into
    image 1; those seen name neither part nor object. Everything in the choice here is ours.
    """

    association: ClassVar[Association] = "semantic"
    shapes: ClassVar[tuple[Shape, ...]] = ("image",)
    targets: ClassVar[str] = "one, in the second image"
    grouping: ClassVar[Grouping] = "two share"

    kinds: Literal["semantic", "functional", "mixed"] = "mixed"
    """Same part of the same kind of object, same purpose on another, or both."""
    functional: float = 0.5
    """Share of functional questions where `kinds` is `mixed`, as far as both can be asked."""
    functions: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Parts (`handle`) or labels (`drawer:knob`) that serve one purpose, by any name for it.

    Beyond equal names: with it two photos may share no part name, against `two share`.
    """
    no_function: tuple[str, ...] = NO_FUNCTION
    """Parts or labels whose equal names do not mean the same purpose; `functions` comes first."""
    given: Given | Literal["mixed"] = "mixed"
    """How the part is shown: its box in the question, a drawn rectangle (MIG-Bench), or both."""
    named: float = 0.0
    """Share of questions that name the given part and its object."""
    area: Band = (0.002, 0.5)
    """Smallest and largest share of its photo that a part covers."""
    overlap: float = 0.7
    """IoU with another annotated region from which a given box is not clear; 0 to 1."""
    naming: Naming = "mixed"
    """`the second image`, `Image-2`, or either; never both in a sample."""
    per_image: int = 3
    """Most pairs that a photo is used in."""
    power: float = 0.5
    """Parts of n photos come as n to this power: 1 as the corpus has them, 0 equally often."""

    def __post_init__(self) -> None:
        """Refuse settings that no pair could meet."""
        if not 0 <= self.area[0] < self.area[1] <= 1:
            raise ValueError(f"area: expected 0 <= smallest < largest <= 1, found {self.area}")
        shares = (self.functional, self.named, self.overlap, self.power)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError("functional, named, overlap and power: expected 0 to 1")
        if self.per_image < 1:
            raise ValueError(f"per_image: expected at least 1, found {self.per_image}")
        listed = Counter(part for parts in self.functions.values() for part in parts)
        if twice := [part for part, n in listed.items() if n > 1]:
            raise ValueError(f"functions: {twice[0]!r} is listed twice; give it one purpose")

    @property
    def _purposes(self) -> Purposes:
        return Purposes(self.functions, self.no_function)

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Two photos of different units: one with the part, one with what corresponds."""
        photos = Photos(pool(index, rng), self.per_image)
        purpose = self._purposes.numbers(photos.names)
        owner, thing = owners(photos.names)
        part = np.array([":" in name for name in photos.names], np.bool_)
        first = photos.entries(self.area, complete=False)
        second = photos.entries(self.area)
        if not part.any():
            return
        first, second = (entries.where(part[entries.codes]) for entries in (first, second))
        second = alone(index, photos, second, thing, owner)
        sources: dict[Sort, Iterator[tuple[int, ...]]] = {}
        if self.kinds != "functional":
            sources["semantic"] = pairs(photos, first, second, rng, power=self.power)
        if self.kinds != "semantic":
            serving = alone(index, photos, second, purpose, purpose)
            sources["functional"] = pairs(
                photos, first, serving, rng, power=self.power, kinds=purpose
            )
        while sources:
            sort: Sort = "functional" if self._functional(rng) else "semantic"
            source = sources.get(sort) or next(iter(sources.values()))
            if (found := next(source, None)) is not None:
                yield found
            else:
                sources = {name: other for name, other in sources.items() if other is not source}

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """One sample of the pair; `Rejected` where nothing corresponds or too much does."""
        found = self._choose(records, rng)
        names = image_names(self.naming, rng)
        given = rng.choice(("coordinates", "mark", "both")) if self.given == "mixed" else self.given
        # The part's name would tell what to look for, so boxes in questions have none either.
        told = name_of(found.first.label) if rng.uniform() < self.named else None
        target = WORDING.pick(rng, f"target_{given}").fill(
            part=told or "part", box="<region:0>", mark="a red rectangle", reference=names.one(0)
        )
        ask = f"ask_{found.sort}_on" if found.on else f"ask_{found.sort}"
        name = name_of(found.second.label) if rng.below(2) else None
        box = box_of(found.first)
        first = Target(image=0, box=box, phrase=told or "part")
        images = [record.images[0] for record in records]
        if given != "coordinates":
            mark = Edit(kind="mark", box=box)
            images[0] = images[0].__replace__(edits=(*images[0].edits, mark))
        turn = Turn(
            question=WORDING.pick(rng, ask).fill(
                target=target, image=names.one(1), thing=thing_of(found.second.label) or ""
            ),
            answer=WORDING.pick(rng, "answer").fill(
                box="<target:0>", image=names.one(1), name=f"the {name or 'corresponding part'}"
            ),
            regions=() if given == "mark" else (first,),
            targets=(Target(image=1, box=box_of(found.second), phrase=spoken(found.second.label)),),
            asked=(1,),
        )
        yield self.sample(records, images, [turn])

    def _functional(self, rng: Stream) -> bool:
        if self.kinds == "mixed":
            return rng.uniform() < self.functional
        return self.kinds == "functional"

    def _choose(self, records: Sequence[Record], rng: Stream) -> Found:
        first, second = (self._photo(record) for record in records)
        found = list(self._found(first, second, records))
        if not found:
            raise Rejected("no part that corresponds")
        plain = [one for one in found if clear(one.first, records[0], self.overlap)]
        if not plain:
            raise Rejected("the given box fits another region too", found[0].first.label)
        wanted = "functional" if self._functional(rng) else "semantic"
        return rng.choice([one for one in plain if one.sort == wanted] or plain)

    def _found(self, first: Photo, second: Photo, records: Sequence[Record]) -> Iterator[Found]:
        """Every part of image 1 with what corresponds to it in image 2, and nothing else does."""
        purposes = self._purposes
        # A mug's handle is no sure answer beside a cup.
        doubtful = alike({object_of(label) for label in second.regions})
        answers = [
            (label, region)
            for label, regions in second.regions.items()
            if object_of(label) not in doubtful
            and (region := self._only(regions, label, second, records[1]))
        ]
        for label, regions in first.regions.items():
            region = regions[0]
            if ":" not in label or len(regions) > 1 or not self._fits(region, records[0]):
                continue
            for other, answer in answers:
                if other == label:
                    if self.kinds != "functional":
                        yield Found("semantic", region, answer, False)
                    continue
                objects = {object_of(label), object_of(other)}
                if self.kinds == "semantic" or len(objects) == 1 or alike(objects):
                    continue
                purpose = purposes.of(label)
                if purpose is None or purposes.of(other) != purpose or second.serving[purpose] > 1:
                    continue
                on = ALL not in records[1].exhaustive
                if not on or (thing_of(other) and complete(records[1], object_of(other))):
                    yield Found("functional", region, answer, on)

    def _only(
        self, regions: Sequence[Region], label: str, photo: Photo, record: Record
    ) -> Region | None:
        """The one part of a label, where it is certain to be the only one."""
        if ":" not in label or len(regions) > 1 or not complete(record, label):
            return None
        owners = photo.regions.get(object_of(label), ())
        if len(owners) > 1 or any(owner.ignore for owner in owners):
            return None
        return regions[0] if self._fits(regions[0], record) else None

    def _fits(self, region: Region, record: Record) -> bool:
        inside = self.area[0] <= area_of(region, record) <= self.area[1]
        return inside and not region.ignore and region.box is not None

    def _photo(self, record: Record) -> Photo:
        regions: defaultdict[str, list[Region]] = defaultdict(list)
        purposes = self._purposes
        for region in record.regions:
            regions[region.label].append(region)
        serving = Counter[str]()
        for label, there in regions.items():
            if (purpose := purposes.of(label)) is not None:
                serving[purpose] += len(there)
        return Photo(dict(regions), serving)
