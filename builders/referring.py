"""Referring: one image shows an object, large and alone; find another of its kind in the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from builders.asking import Band, Naming, area_of, box_of, called, image_names, only, thing
from builders.rivals import alike
from builders.sets import Photos, pairs, pool
from mgdata.data import (
    ALL,
    Association,
    Drop,
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
        "ask": Needs(must="reference image"),
        "ask_named": Needs(must="thing reference image"),
        "answer": Needs(must="box", may="image"),
    },
)
EDGE = 1.0
"""Pixels from the image's edge within which a box is taken to go on beyond it."""


@dataclass(frozen=True, kw_only=True)
class Referring(Builder):
    """One sample a pair of photos: the first shows what to look for, the second is searched.

    The reference is by category: the second photo shows another thing of the same class, not the
    same thing. In the first photo the object is the only one of its class, the largest of all that
    is annotated there and wholly inside; in the second it is less conspicuous and the only one of
    its class. The photos have no other annotated class in common, so that nothing else in the first
    can be meant, and no class that a reader may call the same (`rivals`). One target, always in the
    second image: the order of the two is the question. The published set pairs so too, from
    ImageNet, by thresholds that are not known: the bands, the edge and the margin are our choice.
    """

    association: ClassVar[Association] = "referential"
    shapes: ClassVar[tuple[Shape, ...]] = ("image",)
    targets: ClassVar[str] = "one, in the second image"
    grouping: ClassVar[Grouping] = "two share"

    reference: Band = (0.2, 0.9)
    """Smallest and largest share of the first photo that the object covers."""
    area: Band = (0.005, 0.15)
    """Smallest and largest share of the second photo that the target covers."""
    margin: float = 0.5
    """Other boxes of the first photo cover at most this share of what the object covers."""
    whole: bool = True
    """The object in the first photo does not touch the photo's edge."""
    complete: bool = False
    """Only photos in which every class is annotated.

    Needed where photos are crowded with classes; ImageNet-LOC annotates one a photo. The second
    photo's only thing of the class is known to be the only one either way.
    """
    named: float = 0.0
    """Share of samples whose question tells the class."""
    naming: Naming = "mixed"
    """`the third image`, `Image-3`, or either; never both in a sample."""
    per_image: int = 3
    """Most pairs that a photo is used in."""
    power: float = 0.5
    """Classes of n photos come as n to this power: 1 as the corpus has them, 0 equally often."""

    def __post_init__(self) -> None:
        """Refuse settings that no pair could meet."""
        for name, band in (("reference", self.reference), ("area", self.area)):
            if not 0 <= band[0] < band[1] <= 1:
                raise ValueError(f"{name}: expected 0 <= smallest < largest <= 1, found {band}")
        if self.area[1] > self.reference[1]:
            raise ValueError("area: the target must be able to be smaller than the reference")
        if self.per_image < 1:
            raise ValueError(f"per_image: expected at least 1, found {self.per_image}")
        if not all(0 <= share <= 1 for share in (self.named, self.power, self.margin)):
            raise ValueError("named, power and margin: expected 0 to 1")

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Pairs of a photo that shows a class large and one that shows it small."""
        photos = Photos(pool(index, rng), self.per_image)
        first = photos.entries(self.reference, everything=self.complete, largest=True)
        second = photos.entries(self.area, everything=self.complete)
        yield from pairs(photos, first, second, rng, power=self.power, alone=True)

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """One sample of the pair."""
        shown, searched = records
        if self.complete and not (ALL in shown.exhaustive and ALL in searched.exhaustive):
            raise Rejected("classes not all annotated")
        label = self._label(shown, searched)
        target = self._target(searched, label)
        names, name = image_names(self.naming, rng), called(label)
        named = name is not None and rng.uniform() < self.named
        image = names.one(1)
        turn = Turn(
            question=WORDING.pick(rng, "ask_named" if named else "ask").fill(
                reference=names.one(0), image=image, thing=thing(name) if name else ""
            ),
            answer=WORDING.pick(rng, "answer").fill(image=image, box="<target:0>"),
            targets=(Target(image=1, box=box_of(target), phrase=name),),
            asked=(1,),
        )
        yield self.sample(records, [shown.images[0], searched.images[0]], [turn])

    def _label(self, shown: Record, searched: Record) -> str:
        """The class of what the first photo shows, which is all that the two have in common."""
        shared = {r.label for r in shown.regions} & {r.label for r in searched.regions}
        if len(shared) != 1:
            raise Rejected("not one class in common", ", ".join(sorted(shared)) or None)
        label = shared.pop()
        if label in alike({r.label for r in (*shown.regions, *searched.regions)}):
            raise Rejected("a class of another name may be the same", label)
        region = only(shown, label, self.reference)
        if region is None or not complete(shown, label):
            raise Rejected("no single thing of the class to show", label)
        if self.whole and not _inside(region, shown):
            raise Rejected("the object to show is cut by the edge", label)
        most = max((area_of(r, shown) for r in shown.regions if r is not region), default=0.0)
        if most > self.margin * area_of(region, shown):
            raise Rejected("another object is nearly as large", label)
        return label

    def _target(self, searched: Record, label: str) -> Region:
        region = only(searched, label, self.area)
        if region is None or not complete(searched, label):
            raise Rejected("no single thing of the class to find", label)
        return region


def _inside(region: Region, record: Record) -> bool:
    """Whether a box is neither cut nor at the edge of its image."""
    box, image = box_of(region), record.images[0]
    return (
        not region.clipped
        and min(box.x1, box.y1) > EDGE
        and box.x2 < image.width - EDGE
        and box.y2 < image.height - EDGE
    )
