"""Plain JSON boxes in pixels, for readers who are no model.

A list of `{"image": 1, "box": [x1, y1, x2, y2], "label": "..."}`: `image` is the image's place,
counted from 1, `box` is in pixels of the image as published, right and bottom exclusive. No
model's format; it knows no task and no wording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mgdata.geometry import PIXELS, Box, Frame, Grid, Numbers
from mgdata.notations.objects import ObjectNotation


class Hundredths(Grid, frozen=True, kw_only=True):
    """Pixels written to two decimals; read with any number of them."""

    def extent(self, width: int, height: int) -> tuple[int, int]:
        """Hundredths of a pixel across the image."""
        return 100 * width, 100 * height

    def write(self, box: Box, width: int, height: int) -> Numbers:
        """The four numbers x1, y1, x2, y2 of a box, in pixels to two decimals.

        Raises:
            ValueError: the box is not `valid` in this image.
        """
        x1, y1, x2, y2 = super().write(box, width, height)
        return x1 / 100, y1 / 100, x2 / 100, y2 / 100

    def read(self, numbers: Sequence[float], width: int, height: int) -> Box:
        """The box that four numbers of pixels are.

        Raises:
            ValueError: not four numbers, out of the image, inverted or empty.
        """
        try:
            return PIXELS.read([float(number) for number in numbers], width, height)
        except OverflowError:  # a whole number of hundreds of digits
            raise ValueError(f"a number is outside 0 to {max(width, height)}") from None


CENTIPIXELS = Hundredths(name="pixels to 0.01")
"""`round(x * 100) / 100`."""


@dataclass(frozen=True, kw_only=True)
class Json(ObjectNotation):
    """Boxes as JSON objects, pixels of the published image, rounded to two decimals.

    An edge is at most 0.005 pixels from where it was; a box thinner than 0.01 is written so wide.
    """

    keys = ("image", "box", "label")
    key = "box"
    mark = '"box"'
    whole = False

    def coordinates(self) -> Frame:
        """Pixels of the published image."""
        return CENTIPIXELS
