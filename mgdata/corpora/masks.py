"""Masks to boxes: what a PNG of object numbers, or COCO run lengths, shows of each object.

A mask's pixel is the number of an object, so a PNG is read as it is stored, never converted to
colours. Separate pieces of an object share one box; the smallest, up to a share of its pixels, are
taken for slips of the brush and left out. Knows no corpus, no frame and no time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mgdata import images
from mgdata.corpora import rle
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.headers import Header

Pixels = NDArray[np.uint8]
Size = tuple[int, int]
"""Width and height."""

VOID = 255
"""Number of pixels that belong to nobody, in masks that hold other numbers too."""
DISAGREE = "mask and frame disagree"
NO_NUMBERS = "mask without object numbers"

_MOST = 64
"""Numbers in one mask above which they are grey levels; DAVIS and YouTube-VOS have at most 10."""
_FLAT = ("L", "P", "1")


class Mark(NamedTuple):
    """What a mask shows of one object."""

    box: Box
    """Bounds of its pixels in pixels of the mask, without specks."""
    pixels: int
    """All of them."""
    specks: int
    """Those that were left out, where the box is smaller for it."""


def numbers(data: bytes, fits: Callable[[Size], object]) -> Pixels:
    """The object numbers of a PNG, [height, width]; 0 is no object.

    Args:
        data: the file.
        fits: is told the size, to raise before anything is decoded.

    Raises:
        Rejected: a damaged file, no PNG, or one of colours or grey levels (interpolated, or
            painted with a palette's colours): no number can be told from them.
    """
    header = images.verify(data, "structural")
    if header.format != "png" or (header.mode == "grey" and header.bits in (2, 4)):
        raise Rejected(NO_NUMBERS, f"{header.mode} {header.format} of {header.bits} bits")
    fits((header.width, header.height))
    picture = images.load(data, header)
    pixels: Any = np.asarray(picture)
    if picture.mode in ("RGB", "RGBA", "LA"):
        colours = pixels[..., : len(picture.mode.rstrip("A"))]
        if (colours != colours[..., :1]).any():
            raise Rejected(NO_NUMBERS, "colours in place of numbers")
        pixels = np.ascontiguousarray(colours[..., 0])
    elif picture.mode not in _FLAT:
        raise Rejected(NO_NUMBERS, f"pixels of mode {picture.mode}")
    return pixels.astype(np.uint8) if pixels.dtype != np.uint8 else pixels


def marks(pixels: Pixels, specks: float) -> dict[int, Mark]:
    """What object numbers [height, width] show, by number, rising; 0 is no object.

    `specks` as in `mark`.

    Raises:
        Rejected: more numbers than anyone would annotate.
    """
    import cv2

    # A histogram takes a quarter of numpy.bincount's time and a tenth of numpy.unique's.
    counts = cv2.calcHist([pixels], [0], None, [256], [0, 256]).ravel()
    found = (np.flatnonzero(counts[1:]) + 1).tolist()
    if len(found) > _MOST:
        raise Rejected(NO_NUMBERS, f"{len(found)} different values")
    made: dict[int, Mark] = {}
    for number in found:
        shown = mark((pixels == number).view(np.uint8), specks)
        if shown is not None:
            made[number] = shown
    return made


def mark(mask: Any, specks: float) -> Mark | None:
    """What a mask [height, width] shows, 0 being nothing; None where it is empty.

    Args:
        mask: 8-bit.
        specks: Share of the pixels that may be left out of the box: of the separate pieces (8
            neighbours), the smallest, as long as they make up no more than that together.
    """
    import cv2

    x, y, width, height = cv2.boundingRect(mask)
    if not width:
        return None
    inner = mask[y : y + height, x : x + width]
    pixels = cv2.countNonZero(inner)
    whole = Mark(Box(float(x), float(y), float(x + width), float(y + height)), pixels, 0)
    most = int(specks * pixels)
    if not most or _held(inner, most):
        return whole
    _, _, stats, _ = cv2.connectedComponentsWithStats(inner, connectivity=8)
    pieces = stats[1:]
    pieces = pieces[np.argsort(pieces[:, cv2.CC_STAT_AREA], kind="stable")]
    areas = pieces[:, cv2.CC_STAT_AREA]
    # Pieces of one size go or stay together: which of them comes first means nothing.
    small = int((np.cumsum(areas)[np.searchsorted(areas, areas, "right") - 1] <= most).sum())
    kept = pieces[small:, :4]
    low, high = kept[:, :2].min(0), (kept[:, :2] + kept[:, 2:]).max(0)
    box = Box(*map(float, (x + low[0], y + low[1], x + high[0], y + high[1])))
    if box == whole.box:
        return whole
    return Mark(box, pixels, int(areas[:small].sum()))


def _held(inner: Any, most: int) -> bool:
    """Whether a piece of more than `most` pixels touches each side of a mask cut to its bounds.

    Such a box stays as it is, and most are such: to fill one piece costs a third of finding all.
    """
    import cv2

    fill = np.minimum(inner, 1)
    height, width = fill.shape
    for line, at in (
        (fill[0], lambda place: (place, 0)),
        (fill[-1], lambda place: (place, height - 1)),
        (fill[:, 0], lambda place: (0, place)),
        (fill[:, -1], lambda place: (width - 1, place)),
    ):
        place = int(line.argmax())  # a filled pixel, where there is one
        if line[place] == 1 and cv2.floodFill(fill, None, at(place), 2, flags=8)[0] <= most:
            return False
    return True


def rle_mark(counts: str, size: Size, specks: float) -> Mark | None:
    """What compressed COCO run lengths of a mask of this size show; None where it is empty.

    `specks` as in `mark`. Only the columns of the object are painted, and none without specks.

    Raises:
        Rejected: as `rle.decode_box`.
    """
    width, height = size
    runs = rle.decompress(counts)
    box = rle.decode_box(runs.tolist(), (height, width), (height, width))
    if box is None:
        return None
    pixels = int(runs[1::2].sum())
    if int(specks * pixels) == 0:
        return Mark(box, pixels, 0)
    left, right = int(box.x1), int(box.x2)
    total = (right - left) * height
    edges = np.cumsum(runs)[: len(runs) // 2 * 2] - left * height
    # Runs of no length may stand anywhere, so that some edges lie before the first column.
    lengths = np.diff(np.clip(edges, 0, total), prepend=0, append=total)
    flags = np.zeros(len(lengths), np.uint8)
    flags[1::2] = 1
    columns = np.repeat(flags, lengths).reshape(right - left, height)
    made = mark(columns, specks)
    if made is None:
        return None
    turned = made.box
    upright = Box(turned.y1 + left, turned.x1, turned.y2 + left, turned.x2)
    return Mark(upright, pixels, made.specks)


def fit(mask: Size, frame: Size) -> None:
    """Hold a mask's size against its frame's, as `scaled` will need them.

    Raises:
        Rejected: neither equal to within a pixel nor of one scale.
    """
    if not (_near(mask, frame) or _one_scale(mask, frame)):
        raise Rejected(DISAGREE, f"{mask[0]}x{mask[1]}, the frame has {frame[0]}x{frame[1]}")


def scaled(box: Box, mask: Size, header: Header) -> Box:
    """A box of a mask of this size in stored pixels of its frame; may leave it by a pixel.

    A mask a pixel larger or smaller than its frame, as some are, was cut and not scaled.
    """
    frame = (header.width, header.height)
    if _near(mask, frame):
        return box
    across, down = frame[0] / mask[0], frame[1] / mask[1]
    right = frame[0] if box.x2 == mask[0] else box.x2 * across
    bottom = frame[1] if box.y2 == mask[1] else box.y2 * down
    return Box(box.x1 * across, box.y1 * down, float(right), float(bottom))


def _near(mask: Size, frame: Size) -> bool:
    return all(abs(one - other) <= 1 for one, other in zip(mask, frame, strict=True))


def _one_scale(mask: Size, frame: Size) -> bool:
    """Whether one scale makes the mask's size the frame's, each side to within a pixel."""
    low = max((side - 1) / full for side, full in zip(frame, mask, strict=True))
    high = min((side + 1) / full for side, full in zip(frame, mask, strict=True))
    return low <= high
