"""Qwen3-VL's JSON boxes, whole numbers 0 to 1000.

Its common form is a list of `{"bbox_2d": [x1, y1, x2, y2], "label": "..."}`. How several images are
told apart is not defined there, so `"image": k` is our own key: the image's place, counted from 1,
as prose counts images. It knows no task and no wording.
"""

from __future__ import annotations

from dataclasses import dataclass

from mgdata.geometry import THOUSAND, Frame
from mgdata.notations.objects import ObjectNotation


@dataclass(frozen=True, kw_only=True)
class Qwen3VL(ObjectNotation):
    """Boxes as JSON objects, whole numbers 0 to 1000, rounded to the nearest.

    An edge is at most half a step, a two-thousandth of the side, from where it was; a box thinner
    than a step is written one step wide (`geometry.Grid`).
    """

    keys = ("bbox_2d", "label", "image")
    key = "bbox_2d"
    mark = "bbox_2d"
    whole = True

    def coordinates(self) -> Frame:
        """Thousandths of the image."""
        return THOUSAND
