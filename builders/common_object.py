"""Common object: all photos of a set show one kind of thing; say what it is, and where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from builders.asking import (
    Band,
    Naming,
    Turns,
    box_of,
    called,
    expected,
    image_names,
    one_by_one,
    only,
    samples,
    thing,
)
from builders.rivals import alike
from builders.sets import Photos, all_share, pool
from mgdata.data import ALL, Association, Drop, Record, Sample, Shape, Target, Turn
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder, Grouping
from mgdata.wording import ImageNames, Needs, load

WORDING = load(
    __file__,
    {
        "ask_all": Needs(),
        "ask_all_named": Needs(must="thing"),
        "ask_one": Needs(must="image"),
        "ask_one_named": Needs(must="thing image"),
        "ask_next": Needs(must="image"),
        "answer_all": Needs(must="thing", each="image box"),
        "answer_all_bare": Needs(each="image box"),
        "answer_one": Needs(must="thing box", may="image"),
        "answer_one_bare": Needs(must="box", may="image"),
    },
)


class Scene(NamedTuple):
    """What the turns of one sample share."""

    targets: list[Target]
    """One an image, in the order of the images."""
    thing: str | None
    """The shared class as an answer names it; None: it has no name."""
    named: bool
    """Whether the question tells the class."""
    names: ImageNames


@dataclass(frozen=True, kw_only=True)
class CommonObject(Builder):
    """One sample a set of photos that have exactly one annotated class in common.

    In each photo one thing of that class is to be boxed: the only one there, and large, so that no
    other can be meant, nor one of a class that a reader may call the same (`rivals`). The class
    must be found first, from what the photos share; a share of the questions may tell it. One
    target an image. Published sets choose large boxes too (thresholds are not known), of classes
    that do not always occur together: for these there is the `cooccurrence` filter. The area band
    is what MIG-Bench's boxes span, 5th to 95th percentile.
    """

    association: ClassVar[Association] = "semantic"
    shapes: ClassVar[tuple[Shape, ...]] = ("image",)
    targets: ClassVar[str] = "one an image"
    grouping: ClassVar[Grouping] = "all share"

    images: tuple[int, int] = (3, 5)
    """Fewest and most photos a sample, uniformly."""
    area: Band = (0.12, 0.64)
    """Smallest and largest share of its photo that a target covers."""
    complete: bool = True
    """Only photos in which every class is annotated: elsewhere they may share something else too.

    False for corpora that annotate one class a photo (ImageNet-LOC); all of this one's instances
    must be annotated even so.
    """
    named: float = 0.0
    """Share of samples whose question tells the class."""
    turns: Turns = "mixed"
    """An image a turn, all in one answer, a sample for each image, or the first two mixed."""
    naming: Naming = "mixed"
    """`the third image`, `Image-3`, or either; never both in a sample."""
    per_image: int = 3
    """Most sets that a photo is used in."""
    power: float = 0.5
    """Classes of n photos come as n to this power: 1 as the corpus has them, 0 equally often."""

    def __post_init__(self) -> None:
        """Refuse settings that no set could meet."""
        fewest, most = self.images
        if not 2 <= fewest <= most:
            raise ValueError(f"images: expected 2 <= fewest <= most, found {fewest} and {most}")
        if not 0 <= self.area[0] < self.area[1] <= 1:
            raise ValueError(f"area: expected 0 <= smallest < largest <= 1, found {self.area}")
        if self.per_image < 1:
            raise ValueError(f"per_image: expected at least 1, found {self.per_image}")
        if not (0 <= self.named <= 1 and 0 <= self.power <= 1):
            raise ValueError("named and power: expected 0 to 1")

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Sets with one class in common and one thing of it in each photo."""
        photos = Photos(pool(index, rng), self.per_image)
        entries = photos.entries(self.area, everything=self.complete)
        yield from all_share(photos, entries, self.images, rng, self.power)

    def expected(self) -> float:
        """A sample an image where they are asked apart."""
        return expected(self.turns, *self.images)

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """One sample of the set, or one an image where they are asked apart."""
        label = self._shared(records)
        records = rng.sample(records, len(records))
        targets = [
            Target(image=place, box=self._box(record, label), phrase=called(label))
            for place, record in enumerate(records)
        ]
        name = called(label)
        scene = Scene(
            targets=targets,
            thing=thing(name) if name else None,
            named=name is not None and rng.uniform() < self.named,
            names=image_names(self.naming, rng),
        )
        separate = one_by_one(self.turns, rng)
        turns = _polling(scene, self.turns == "apart", rng) if separate else [_all(scene, rng)]
        yield from samples(self, records, [r.images[0] for r in records], turns, self.turns)

    def _shared(self, records: Sequence[Record]) -> str:
        if self.complete and not all(ALL in record.exhaustive for record in records):
            raise Rejected("classes not all annotated")
        shared = set.intersection(*({r.label for r in record.regions} for record in records))
        if len(shared) != 1:
            raise Rejected("not one class in common", ", ".join(sorted(shared)) or None)
        label = shared.pop()
        if label in alike({r.label for record in records for r in record.regions}):
            raise Rejected("a class of another name may be the same", label)
        return label

    def _box(self, record: Record, label: str) -> Box:
        region = only(record, label, self.area)
        if region is None:
            raise Rejected("no single thing of the class", label)
        return box_of(region)


def _all(scene: Scene, rng: Stream) -> Turn:
    """One turn for all images; each is named before its box."""
    each = [
        {"image": scene.names.one(target.image), "box": f"<target:{place}>"}
        for place, target in enumerate(scene.targets)
    ]
    ask = WORDING.pick(rng, "ask_all_named" if scene.named else "ask_all")
    answer = WORDING.pick(rng, "answer_all" if scene.thing else "answer_all_bare")
    told = scene.thing or ""
    return Turn(
        question=ask.fill(thing=told),
        answer=answer.fill(thing=told, each=each),
        targets=tuple(scene.targets),
    )


def _polling(scene: Scene, apart: bool, rng: Stream) -> list[Turn]:
    """A turn for each image, in random order; the first of a conversation names the class."""
    turns: list[Turn] = []
    nexts = WORDING.pick_several(rng, "ask_next", len(scene.targets))
    bare = WORDING.pick(rng, "answer_one_bare")
    told = scene.thing or ""
    for target in rng.sample(scene.targets, len(scene.targets)):
        ask, answer = nexts[len(turns)], bare
        if apart or not turns:
            ask = WORDING.pick(rng, "ask_one_named" if scene.named else "ask_one")
            answer = WORDING.pick(rng, "answer_one" if scene.thing else "answer_one_bare")
        image = scene.names.one(target.image)
        turns.append(
            Turn(
                question=ask.fill(thing=told, image=image),
                answer=answer.fill(thing=told, image=image, box="<target:0>"),
                targets=(target,),
                asked=(target.image,),
            )
        )
    return turns
