"""Qwen2.5-VL's JSON boxes: whole pixels of the image as the model's processor resizes it.

The objects are those of `qwen3-vl`, `"image": k` being our own key there too; the numbers are the
ones of Qwen-VL's finetuning notebook `process_bbox` (`geometry.Resized`). They mean something only
beside the processor's settings: train and ask with the same ones. The frame states them, so that
a release says what its boxes mean. It knows no task and no wording.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from mgdata.geometry import Frame, resized
from mgdata.notations.objects import ObjectNotation

_resized = cache(resized)


@dataclass(frozen=True, kw_only=True)
class Qwen2_5VL(ObjectNotation):
    """Boxes as JSON objects, whole pixels of the resized image, rounded to the nearest.

    An edge is at most half a resized pixel from where it was, the far edge of the image up to one
    and a half, since the last number is the side minus 1; a box thinner than a pixel is written
    one pixel wide. A box in the last pixel is out of reach: it is written beside it. An image of
    which one side is over 200 times the other has no resized size: its boxes are refused.
    """

    keys = ("bbox_2d", "label", "image")
    key = "bbox_2d"
    mark = "bbox_2d"
    whole = True

    factor: int = 28
    """Sides become multiples of this: patch size times merge size."""
    min_pixels: int = 3136
    """Least number of pixels of a resized image: the processor's `min_pixels`."""
    max_pixels: int = 1003520
    """Greatest number of pixels of a resized image: the processor's `max_pixels`."""

    def __post_init__(self) -> None:
        """Refuse settings that no image can be resized by."""
        if self.factor < 2:
            raise ValueError(f"factor is 2 or more, found {self.factor}")
        if not 1 <= self.min_pixels <= self.max_pixels:
            raise ValueError(
                f"min_pixels is 1 to max_pixels, found {self.min_pixels} to {self.max_pixels}"
            )

    def coordinates(self) -> Frame:
        """Pixels of the resized image; the settings are in the name."""
        return _resized(factor=self.factor, min_pixels=self.min_pixels, max_pixels=self.max_pixels)
