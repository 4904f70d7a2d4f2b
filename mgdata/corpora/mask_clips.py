"""What the corpora of masked clips share: masks beside frames, and what a clip knows of an object.

From the frame in which an object is first drawn, a mask that was looked at and does not show it
says that it is not visible. Before that nothing is known: annotators begin where they noticed it.
A frame without a mask is no image of the record. It knows no corpus' layout.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mgdata.corpora import clips, masks, sides
from mgdata.data import Region
from mgdata.errors import Rejected
from mgdata.headers import Header
from mgdata.plugins import Corpus

NAMELESS = "object"
"""Label where the corpus does not say what an object is."""
SMALL = "small mask"
SPECKS = "specks left out of a box"
UNMASKED = "frame without a mask"
UNFRAMED = "mask without a frame"

_NUMBERED = re.compile(r"([0-9]{1,18})\.png", re.IGNORECASE)

Look = Mapping[str, masks.Mark | None]
"""What is known of each object in one frame, by track; None: looked for, and not there."""


@dataclass(frozen=True)
class Brush:
    """How masks become boxes."""

    specks: float
    """Share of an object's pixels that may be left out of its box."""
    min_pixels: int
    """Pixels below which a mask shows too little to say anything."""


class Sheets(NamedTuple):
    """The masks of a clip, frame by frame."""

    clip: clips.Frames
    """The frames that have a mask."""
    found: list[dict[int, masks.Mark]]
    """What each shows, by object number."""
    skipped: Counter[str]

    @property
    def numbers(self) -> list[int]:
        """Every object number, rising."""
        return sorted({number for marks in self.found for number in marks})

    def looks(self, *, whole: bool = True) -> list[Look]:
        """What is known in each frame, by number as a text; `whole`: of every object."""
        numbers = self.numbers
        return [
            {str(number): marks.get(number) for number in numbers if whole or number in marks}
            for marks in self.found
        ]


def numbered(corpus: Corpus, folder: str) -> dict[int, str]:
    """The names of the PNG files in a folder by number, rising.

    Raises:
        Rejected: none, or two of one number.
    """
    names = [
        (int(match[1]), name)
        for name in corpus.root.list(folder)
        if (match := _NUMBERED.fullmatch(name))
    ]
    if not names:
        raise Rejected("missing annotation", folder)
    names.sort()
    for (one, name), (other, second) in pairwise(names):
        if one == other:
            raise Rejected("two masks for one frame", f"{name}, {second}")
    return dict(names)


def sheets(corpus: Corpus, frames: str, folder: str, brush: Brush) -> Sheets:
    """The frames of one folder with the masks of another that bear their numbers.

    Raises:
        Rejected: no frames, no masks, or none that can be read.
    """
    clip = clips.frames(corpus, frames)
    names = numbered(corpus, folder)
    skipped: Counter[str] = Counter()
    kept: list[int] = []
    found: list[dict[int, masks.Mark]] = []
    last = Rejected("no frame has a mask", folder)
    for at, image in enumerate(clip.images):
        name = names.pop(image.frame if image.frame is not None else -1, None)
        if name is None:
            skipped[UNMASKED] += 1
            continue
        try:
            found.append(drawn(corpus, f"{folder}/{name}", clip.header, brush))
            kept.append(at)
        except Rejected as error:
            skipped[error.reason] += 1
            last = Rejected(error.reason, f"{folder}/{name}: {error.value}")
    if not kept:
        raise last
    if names:
        skipped[UNFRAMED] += len(names)
    clip, lone = replace(clip, images=tuple(clip.images[at] for at in kept)), _lone(found)
    return Sheets(clip, [_own(marks, lone) for marks in found], skipped)


def _lone(found: Sequence[Mapping[int, masks.Mark]]) -> bool:
    """Whether no mask of a clip has another number than 255, as in DAVIS 2016."""
    return {number for marks in found for number in marks} == {masks.VOID}


def _own(marks: Mapping[int, masks.Mark], lone: bool) -> dict[int, masks.Mark]:
    """Without the pixels that are nobody's; 255 is object 1 where it is the `lone` number."""
    if lone:
        return {1: marks[masks.VOID]} if marks else {}
    return {number: mark for number, mark in marks.items() if number != masks.VOID}


def drawn(
    corpus: Corpus, path: str, header: Header, brush: Brush, *, one: bool = False
) -> dict[int, masks.Mark]:
    """What the mask at `path` shows, by object number, in stored pixels of its frame.

    Where the file is that of `one` object, all its numbers mean that object: number 1.

    Raises:
        Rejected: it is damaged, no mask, or of another size than its frame.
        StorageError: as `Root.read`.
    """
    frame = (header.width, header.height)
    pixels = masks.numbers(corpus.root.read(path), lambda size: masks.fit(size, frame))
    size = (pixels.shape[1], pixels.shape[0])
    if one:
        pixels = (pixels != 0).astype(np.uint8)
    return {
        number: mark._replace(box=masks.scaled(mark.box, size, header))
        for number, mark in masks.marks(pixels, brush.specks).items()
    }


def regions(
    looks: Sequence[Look],
    labels: Mapping[str, str],
    header: Header,
    brush: Brush,
    *,
    hides: bool = True,
) -> tuple[list[Region], Counter[str]]:
    """The regions of a clip, by frame and in the order of each look, and what was left out.

    Args:
        looks: one for each image of the record.
        labels: what each track is; a track that is not in it is `NAMELESS`.
        header: of the frames; boxes come in its stored pixels and leave upright.
        brush: as the looks were made with.
        hides: whether a mask that does not show an object says that it is not visible.
    """
    made: list[Region] = []
    skipped: Counter[str] = Counter()
    begun: set[str] = set()
    for image, look in enumerate(looks):
        for track, mark in look.items():
            label = labels.get(track, NAMELESS)
            if mark is None:
                if hides and track in begun:
                    gone = Region(image=image, box=None, label=label, track=track, visibility=0.0)
                    made.append(gone)
                continue
            begun.add(track)
            if mark.pixels < brush.min_pixels:
                skipped[SMALL] += 1
                continue
            placed = sides.placed(mark.box, header)
            if isinstance(placed, str):
                skipped[placed] += 1
                continue
            skipped[SPECKS] += mark.specks > 0
            box, cut = placed
            made.append(Region(image=image, box=box, label=label, track=track, clipped=cut))
    return made, +skipped


def label_of(name: object) -> str:
    """A class as a corpus spells it, in words; `NAMELESS` where there is none.

    Raises:
        Rejected: it is no text.
    """
    if name is None:
        return NAMELESS
    if not isinstance(name, str):
        raise Rejected("class name is no text", str(name)[:80])
    return " ".join(name.replace("_", " ").lower().split()) or NAMELESS
