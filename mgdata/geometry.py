"""Boxes: overlap, matching, coordinate frames, rotation. Float pixels until something writes them.

Pure functions over numbers. Knows no image file, no notation and no task.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Numbers = tuple[float, float, float, float]


class Box(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A rectangle in float pixels of the upright image; right and bottom edge exclusive.

    Written in JSON as `[x1, y1, x2, y2]`. The origin is the top left corner of the top left pixel.
    """

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height


def from_xywh(x: float, y: float, w: float, h: float, base: int = 0) -> Box:
    """The box of a corner and a size, as annotation files write it.

    Args:
        x: Left edge, or number of the leftmost pixel, in pixels.
        y: Top edge, or number of the topmost pixel, in pixels.
        w: Width in pixels.
        h: Height in pixels.
        base: Number of the first pixel: 0, or 1 for files written by MATLAB. A 1-based pixel
            `x` covers `x - 1` to `x`, so the box is `x - 1` to `x - 1 + w`.
    """
    left, top = x - base, y - base
    return Box(left, top, left + w, top + h)


def valid(box: Box, width: int, height: int) -> bool:
    """Whether `box` is finite, has an area and lies in a `width` x `height` image; no tolerance."""
    # A comparison with NaN is False, and no infinity lies between 0 and a side.
    return 0 <= box.x1 < box.x2 <= width and 0 <= box.y1 < box.y2 <= height


def clip(box: Box, width: int, height: int) -> Box:
    """`box` cut at the edges of a `width` x `height` image.

    A box that lies outside becomes one of zero width or height, and NaN stays NaN: ask `valid`.
    """
    # max(x, 0.0) and not max(0.0, x): the first argument survives where the comparison is False,
    # so that NaN is not turned into an edge of the image.
    return Box(
        min(max(box.x1, 0.0), float(width)),
        min(max(box.y1, 0.0), float(height)),
        min(max(box.x2, 0.0), float(width)),
        min(max(box.y2, 0.0), float(height)),
    )


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height of a stored `width` x `height` image after its EXIF orientation (1 to 8).

    Raises:
        ValueError: the orientation is not 1 to 8.
    """
    if orientation not in range(1, 9):
        raise ValueError(f"EXIF orientation is 1 to 8, got {orientation}")
    return (height, width) if orientation >= 5 else (width, height)


def upright(box: Box, width: int, height: int, orientation: int) -> Box:
    """`box` in pixels of the stored `width` x `height` image, in pixels of the upright one.

    EXIF 2.3, tag 274: the value says which side of the scene the stored row 0 and column 0 are.

    Raises:
        ValueError: the orientation is not 1 to 8.
    """
    upright_size(width, height, orientation)
    x1, y1, x2, y2 = box.x1, box.y1, box.x2, box.y2
    if orientation in (2, 3, 7, 8):  # column 0 is on the right (2, 3), or at the bottom (7, 8)
        x1, x2 = width - x2, width - x1
    if orientation in (3, 4, 6, 7):  # row 0 is at the bottom (3, 4), or on the right (6, 7)
        y1, y2 = height - y2, height - y1
    return Box(y1, x1, y2, x2) if orientation >= 5 else Box(x1, y1, x2, y2)


def array(boxes: Sequence[Box]) -> Floats:
    """`boxes` as an (n, 4) float array; (0, 4) for none."""
    return np.array([(b.x1, b.y1, b.x2, b.y2) for b in boxes], dtype=np.float64).reshape(-1, 4)


def iou(first: Floats, second: Floats) -> Floats:
    """Intersection over union of every pair: (n, 4) and (m, 4) boxes to (n, m) values of 0 to 1.

    A box without an area, inverted or not a number overlaps nothing: 0.
    """
    return iou_pairs(first[:, None, :], second[None, :, :])


def iou_pairs(first: Floats, second: Floats) -> Floats:
    """Intersection over union row by row: (..., 4) and (..., 4) boxes to (...) values of 0 to 1.

    A box without an area, inverted or not a number overlaps nothing: 0.
    """
    with np.errstate(all="ignore"):
        low = np.maximum(first[..., :2], second[..., :2])
        high = np.minimum(first[..., 2:], second[..., 2:])
        shared = _areas(high - low)
        union = _areas(first[..., 2:] - first[..., :2]) + _areas(second[..., 2:] - second[..., :2])
        ratio = shared / (union - shared)
    return np.where(ratio > 0, ratio, 0.0)


def _areas(sides: Floats) -> Floats:
    sides = np.maximum(sides, 0.0)
    return sides[..., 0] * sides[..., 1]


def match(similarity: Floats) -> list[tuple[int, int]]:
    """The one-to-one pairs (row, column) whose sum of similarity is greatest, sorted by row.

    Only pairs of positive similarity are matched. The Hungarian method, as SciPy has it.

    Raises:
        ValueError: a similarity is NaN or infinite.
    """
    from scipy.optimize import linear_sum_assignment

    # A negative value must not be traded against a positive one only to complete an assignment.
    gain = np.maximum(similarity, 0.0)
    if not np.isfinite(gain).all():
        raise ValueError("cannot match by a similarity that is not a finite number")
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if gain[row, column] > 0
    ]


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A way to write a box's coordinates, given the size of its image. This one rounds nothing.

    `write` and `read` take the image's size in upright pixels. Both refuse what is not a box in
    that image, rather than mend it: a box is clipped (`clip`) where that can be recorded.
    """

    name: str
    """How the frame is called in a release."""
    units: int | None = None
    """Frame units across the whole image in each direction; None: the image's own pixels."""

    def extent(self, width: int, height: int) -> tuple[int, int]:
        """Frame units across an image of this size."""
        return (self.units, self.units) if self.units else (width, height)

    def write(self, box: Box, width: int, height: int) -> Numbers:
        """The four numbers x1, y1, x2, y2 of a box given in pixels.

        Raises:
            ValueError: the box is not `valid` in this image, or too thin for this frame's floats.
        """
        if not valid(box, width, height):
            raise ValueError(f"{_shown(box)} is not a box in a {width} x {height} image")
        across, down = self.extent(width, height)
        x1, x2 = (self._scale(x, width, across) for x in (box.x1, box.x2))
        y1, y2 = (self._scale(y, height, down) for y in (box.y1, box.y2))
        x1, x2 = self._put(x1, x2, across)
        y1, y2 = self._put(y1, y2, down)
        if not (x1 < x2 and y1 < y2):
            raise ValueError(f"{_shown(box)} is too thin to be written in frame {self.name}")
        return x1, y1, x2, y2

    def read(self, numbers: Sequence[float], width: int, height: int) -> Box:
        """The box in pixels that four numbers x1, y1, x2, y2 of this frame mean.

        Raises:
            ValueError: not four numbers, NaN, out of this frame's range, inverted or empty.
        """
        if len(numbers) != 4:
            raise ValueError(f"a box has 4 numbers, found {len(numbers)}")
        self._check(numbers, width, height)
        across, down = self.extent(width, height)
        x1, y1, x2, y2 = numbers
        box = Box(
            self._scale(self._at(x1), across, width),
            self._scale(self._at(y1), down, height),
            self._scale(self._at(x2), across, width),
            self._scale(self._at(y2), down, height),
        )
        if not valid(box, width, height):
            raise ValueError(f"{_shown(box)} is not a box in a {width} x {height} image")
        return box

    def last(self, extent: int) -> int:
        """The greatest number this frame writes for an image that is `extent` units across."""
        return extent

    def _scale(self, value: float, size: int, extent: int) -> float:
        if self.units is None and size == extent:
            return value  # v / s * s is not always v
        return value / size * extent

    def _put(self, low: float, high: float, extent: int) -> tuple[float, float]:
        del extent
        return low, high

    def _at(self, number: float) -> float:
        return number

    def _check(self, numbers: Sequence[float], width: int, height: int) -> None:
        across, down = self.extent(width, height)
        x1, y1, x2, y2 = numbers
        # All is well in one comparison; what is wrong is looked for one by one.
        if 0 <= x1 < x2 <= self.last(across) and 0 <= y1 < y2 <= self.last(down):
            return
        limits = [self.last(across), self.last(down)] * 2
        for number, limit in zip(numbers, limits, strict=True):
            if not 0 <= number <= limit:
                raise ValueError(
                    f"{number} is outside 0 to {limit}, the range of frame {self.name}"
                )
        raise ValueError(f"the box {list(numbers)} is inverted or empty")


class Grid(Frame, frozen=True, kw_only=True):
    """A frame of whole numbers: each edge goes to the nearest, halves to the even one.

    Read back, an edge is at most half a step from where it was. Where both edges of a thin box
    fall on one number, the box is written one step wide, on the side where its middle lies, so
    that it is never empty; its edges are then at most one step off.
    """

    def _round(self, value: float) -> int:
        return round(value)

    def _put(self, low: float, high: float, extent: int) -> tuple[int, int]:
        last = self.last(extent)
        first, second = min(self._round(low), last), min(self._round(high), last)
        if first == second:
            up = first == 0 or (first < last and (low + high) / 2 >= self._at(first))
            first, second = (first, first + 1) if up else (first - 1, first)
        return first, second

    def _check(self, numbers: Sequence[float], width: int, height: int) -> None:
        Frame._check(self, numbers, width, height)
        for number in numbers:
            if number % 1:
                raise ValueError(f"{number} is not a whole number, as frame {self.name} has them")


class Truncated(Grid, frozen=True, kw_only=True):
    """Coordinates 0 to 999 as Migician's training data has them: `int(x / width * 1000)`.

    Its README says 0 to 1000 and its helper does not clip, but its released boxes end at 999: so
    we truncate and clip there. A number is read as the middle of its step, (n + 0.5) / 1000, which
    is at most half a step off, where the lower edge, n / 1000, would be up to a whole step off and
    always to the left. (MIG-Bench's evaluation reads n / 1000.) Reading then writing gives the
    same number. A box inside the last step is written 998 to 999: up to one and a half steps off.
    """

    def last(self, extent: int) -> int:
        """999 for 1000 steps."""
        return extent - 1

    def _round(self, value: float) -> int:
        return int(value)

    def _at(self, number: float) -> float:
        return number + 0.5


class Resized(Grid, frozen=True, kw_only=True):
    """Whole pixels of the image as the model sees it, after `resized_size`: Qwen2.5-VL's frame.

    Rounded to the nearest pixel and cut at the side minus 1, as the Qwen-VL finetuning notebook
    `process_bbox` does, so the far edge of the image is one pixel off. It means something only
    beside the three settings, which is why they are in its name (`resized` makes it).
    """

    factor: int
    """Sides become multiples of this: patch size times merge size (28; Qwen3-VL 32)."""
    min_pixels: int
    """Least number of pixels after resizing."""
    max_pixels: int
    """Greatest number of pixels after resizing."""

    def extent(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the resized image."""
        return resized_size(
            width,
            height,
            factor=self.factor,
            min_pixels=self.min_pixels,
            max_pixels=self.max_pixels,
        )

    def last(self, extent: int) -> int:
        """The number of the last pixel."""
        return extent - 1


PIXELS = Frame(name="pixels")
"""Float pixels; no rounding."""
UNIT = Frame(name="0-1", units=1)
"""Shares of the image's width and height; no rounding."""
THOUSAND = Grid(name="0-1000", units=1000)
"""`round(x / width * 1000)`: Qwen2-VL, Qwen3-VL, InternVL."""
PER999 = Truncated(name="0-999", units=1000)
"""`int(x / width * 1000)`, at most 999: Migician and its data."""


def resized(*, factor: int = 28, min_pixels: int = 3136, max_pixels: int = 1003520) -> Resized:
    """The frame of an image resized to a pixel budget; the defaults are Qwen2-VL's processor's."""
    name = f"resized factor={factor} min_pixels={min_pixels} max_pixels={max_pixels}"
    return Resized(name=name, factor=factor, min_pixels=min_pixels, max_pixels=max_pixels)


def resized_size(
    width: int, height: int, *, factor: int, min_pixels: int, max_pixels: int
) -> tuple[int, int]:
    """Width and height after Qwen's "smart resize": each side the nearest multiple of `factor`.

    Where that makes more than `max_pixels` both sides shrink by one ratio and are cut down to a
    multiple, where it makes fewer than `min_pixels` they grow and go up to one. The order is the
    one in transformers' `image_processing_qwen2_vl`; `qwen_vl_utils` differs for images with a
    side under half a `factor`. A long strip may still miss the budget, as no side goes below
    one `factor`, and so may a budget that no two multiples fit.

    Raises:
        ValueError: a size or setting makes no image, or a side is over 200 times the other.
    """
    if min(width, height) < 1 or factor < 2 or not 1 <= min_pixels <= max_pixels:
        raise ValueError(
            f"cannot resize {width} x {height} to {min_pixels} to {max_pixels} pixels by {factor}"
        )
    if max(width, height) > 200 * min(width, height):
        raise ValueError(f"{width} x {height}: Qwen refuses sides of over 200 to 1")
    wide, high = round(width / factor) * factor, round(height / factor) * factor
    if wide * high > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        wide = max(factor, math.floor(width / shrink / factor) * factor)
        high = max(factor, math.floor(height / shrink / factor) * factor)
    elif wide * high < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        wide = math.ceil(width * grow / factor) * factor
        high = math.ceil(height * grow / factor) * factor
    return wide, high


def _shown(box: Box) -> str:
    return f"[{box.x1:g}, {box.y1:g}, {box.x2:g}, {box.y2:g}]"
