"""Boxes."""

from __future__ import annotations

import msgspec


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
