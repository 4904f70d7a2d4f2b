"""Region locating: a photo and crops cut from it; say where in the photo each crop comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from builders.asking import Band, Naming, Turns, expected, image_names, one_by_one, samples
from mgdata.data import Association, Drop, Edit, Image, Record, Region, Sample, Shape, Target, Turn
from mgdata.edits import crop_window
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder
from mgdata.wording import ImageNames, Needs, load

WORDING = load(
    __file__,
    {
        "ask_one": Needs(must="crop", may="source"),
        "ask_next": Needs(must="crop", may="source"),
        "ask_all": Needs(must="crops source"),
        "answer_one": Needs(must="box", may="crop source"),
        "answer_all": Needs(each="crop box source"),
    },
)
BANDS: dict[str, Band] = {"area": (0.01, 0.1995), "side": (0.2, 0.49)}


@dataclass(frozen=True, kw_only=True)
class RegionLocating(Builder):
    """Image 1 is the photo, the others are one to three of its annotated regions, cut out.

    The crop's whole pixels are asked for: the box rounded outwards, as the crop shows it, so that
    the answer is exact. No class is named; in notations with labels a box is labelled with the
    name of its crop. Every box lies in image 1, and crops are in random order.

    The published filters are the defaults: more than 10 annotated boxes, aspect 0.5 to 2, more
    than 2,000 pixels, and a "region-to-image ratio" of 0.2 to 0.49, which does not say whether of
    areas or of sides. Released questions of MIG-Bench have an area share of 0.01 to 0.1995 and
    nothing beyond: that is our default; `ratio: side` takes the published numbers as shares of
    width and of height. Crops of one sample may overlap little only, or two of them would be
    nearly one; that threshold is ours. Whether a crop shows anything (and not mere sky) is not
    known without pixels: annotated boxes hold an object.
    """

    association: ClassVar[Association] = "referential"
    shapes: ClassVar[tuple[Shape, ...]] = ("image",)
    targets: ClassVar[str] = "one a crop, all in the first image"

    crops: tuple[int, int] = (1, 3)
    """Fewest and most crops a sample, uniformly; fewer than drawn where the photo has no more."""
    turns: Turns = "mixed"
    """A crop a turn, all in one answer, or (`apart`, as in MIG-Bench) a sample for each crop."""
    min_boxes: int = 11
    """Least number of annotated boxes in the photo."""
    aspect: Band = (0.5, 2.0)
    """Smallest and largest width of a crop by its height."""
    ratio: Literal["area", "side"] = "area"
    """Whether `band` is of the photo's area, or of its width and of its height."""
    band: Band | None = None
    """Least and largest share of the photo; None: 0.01 to 0.1995 of area, 0.2 to 0.49 of sides."""
    min_pixels: int = 2001
    """Fewest pixels of a crop."""
    overlap: float = 0.1
    """Largest IoU of two crops of one sample, 0 to 1."""
    margin: float = 0.0
    """Surroundings added on each side, as a share of the box's side; the answer has them too."""
    naming: Naming = "mixed"
    """`the second image`, `Image-2`, or either; never both in a sample."""
    per_image: int = 1
    """Most samples a photo (before `apart`); each is used once before any is used again."""

    def __post_init__(self) -> None:
        """Refuse settings that no photo could meet."""
        fewest, most = self.crops
        if not 1 <= fewest <= most:
            raise ValueError(f"crops: expected 1 <= fewest <= most, found {fewest} and {most}")
        for name, band in (("aspect", self.aspect), ("band", self._band)):
            if not 0 <= band[0] <= band[1]:
                raise ValueError(f"{name}: expected 0 <= least <= most, found {list(band)}")
        if self.margin < 0 or not 0 <= self.overlap <= 1:
            raise ValueError("margin and overlap: expected at least 0, overlap at most 1")
        if self.per_image < 1:
            raise ValueError(f"per_image: expected at least 1, found {self.per_image}")

    @property
    def _band(self) -> Band:
        return self.band or BANDS[self.ratio]

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Every photo with boxes enough, one of them perhaps large enough, in random order."""
        areas = index.lists("areas")
        at = np.repeat(np.arange(len(index)), np.diff(areas.starts))
        # Of each class only the largest box is known, and a margin makes a crop larger than that.
        least = self._band[0] if self.ratio == "area" else self._band[0] ** 2
        large = np.zeros(len(index), np.bool_)
        large[at[areas.values * (1 + 2 * self.margin) ** 2 >= least * 0.99]] = True
        rows = index.rows[(index.numbers("regions") >= self.min_boxes) & large]
        for _ in range(self.per_image):
            yield from zip(rows[rng.permutation(len(rows))].tolist(), strict=True)

    def expected(self) -> float:
        """A sample a crop where they are asked apart."""
        return expected(self.turns, *self.crops)

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """The photo and its crops; `Rejected` where too few regions can be told apart."""
        photo = records[0]
        boxes = sum(region.box is not None for region in photo.regions)
        if boxes < self.min_boxes:
            raise Rejected("too few boxes", str(boxes))
        wanted = rng.between(*self.crops)
        windows = self._windows(photo, wanted, rng)
        if len(windows) < self.crops[0]:
            raise Rejected("no region to crop", f"{len(windows)} of {self.crops[0]}")
        images = [photo.images[0], *(cut(photo.images[0], window) for window in windows)]
        names = image_names(self.naming, rng)
        yield from samples(self, records, images, self._turns(windows, names, rng), self.turns)

    def _windows(self, photo: Record, wanted: int, rng: Stream) -> list[Box]:
        """Crops in random order that fit and stay apart; those of a class may be among them."""
        image, found = photo.images[0], list[Box]()
        for place in rng.permutation(len(photo.regions)).tolist():
            window = self._window(photo.regions[place], image)
            if window and all(_iou(window, other) <= self.overlap for other in found):
                found.append(window)
                if len(found) == wanted:
                    break
        return found

    def _window(self, region: Region, image: Image) -> Box | None:
        """The whole pixels cut out for a region, or None where it is not to be asked for."""
        if region.ignore or region.image != 0 or (box := region.box) is None:
            return None
        dx, dy = self.margin * box.width, self.margin * box.height
        wider = Box(box.x1 - dx, box.y1 - dy, box.x2 + dx, box.y2 + dy)
        window = Box(*map(float, crop_window(wider, image.width, image.height)))
        across, down = window.width / image.width, window.height / image.height
        low, high = self._band
        shares = (across * down,) if self.ratio == "area" else (across, down)
        fits = (
            window.area >= self.min_pixels
            and self.aspect[0] <= window.width / window.height <= self.aspect[1]
            and all(low <= share <= high for share in shares)
        )
        return window if fits else None

    def _turns(self, windows: Sequence[Box], names: ImageNames, rng: Stream) -> list[Turn]:
        source = names.one(0)
        crops = [names.one(place) for place in range(1, len(windows) + 1)]
        given = [
            Target(image=0, box=box, phrase=crop) for box, crop in zip(windows, crops, strict=True)
        ]
        if not one_by_one(self.turns, rng) and len(given) > 1:
            return [_all_at_once(given, names, rng)]
        first = WORDING.pick_several(rng, "ask_one", len(given))
        asks = first
        if self.turns != "apart":
            asks = [first[0], *WORDING.pick_several(rng, "ask_next", len(given) - 1)]
        form = WORDING.pick(rng, "answer_one")
        return [
            Turn(
                question=ask.fill(crop=crop, source=source),
                answer=form.fill(crop=crop, source=source, box="<target:0>"),
                targets=(target,),
                asked=(0,),
            )
            for ask, crop, target in zip(asks, crops, given, strict=True)
        ]


def _all_at_once(given: Sequence[Target], names: ImageNames, rng: Stream) -> Turn:
    """One turn for all crops, told in the order of the images; each is named with its box."""
    targets = sorted(given, key=lambda target: target.box.x1)
    each = [
        {
            "crop": names.one(place),
            "box": f"<target:{targets.index(target)}>",
            "source": names.one(0),
        }
        for place, target in enumerate(given, 1)
    ]
    crops = names.several(range(1, len(given) + 1))
    return Turn(
        question=WORDING.pick(rng, "ask_all").fill(crops=crops, source=names.one(0)),
        answer=WORDING.pick(rng, "answer_all").fill(each=each),
        targets=tuple(targets),
        asked=(0,),
    )


def cut(image: Image, window: Box) -> Image:
    """The image of which only these whole pixels are shown."""
    return image.__replace__(
        width=int(window.width),
        height=int(window.height),
        edits=(*image.edits, Edit(kind="crop", box=window)),
    )


def _iou(first: Box, second: Box) -> float:
    across = min(first.x2, second.x2) - max(first.x1, second.x1)
    down = min(first.y2, second.y2) - max(first.y1, second.y1)
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    return shared / (first.area + second.area - shared)
