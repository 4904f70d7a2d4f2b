"""DeepSeek-VL2's box tokens, whole numbers 0 to 999.

A box is `<|ref|>phrase<|/ref|><|det|>[[x1, y1, x2, y2]]<|/det|>` inside prose, as the model's
README shows it. Its own drawing code reads a number as `x / 999 * width` (`parse_ref_bbox` in
`serve/app_modules/utils.py`), so 999 is the far edge: unlike Migician's 0 to 999, which are a
thousand steps. The sentence round a box names its image here, as in Migician's data.
"""

from __future__ import annotations

from dataclasses import dataclass

from mgdata.geometry import Grid
from mgdata.notations.tokens import TokenNotation, tokens

NINES = Grid(name="0-999 rounded", units=999)
"""`round(x / width * 999)`."""


@dataclass(frozen=True, kw_only=True)
class DeepSeekVL2(TokenNotation):
    """Boxes as tokens in prose, whole numbers 0 to 999, rounded to the nearest.

    An edge is at most half a step, a 1998th of the side, from where it was; a box thinner than a
    step is written one step wide (`geometry.Grid`). A phrase that holds `<|ref|>`, `<|/ref|>`,
    `<|det|>` or `<|/det|>` is refused.
    """

    tokens = tokens(phrase=("<|ref|>", "<|/ref|>"), boxes=("<|det|>", "<|/det|>"))

    def coordinates(self) -> Grid:
        """Shares of 999 of the image."""
        return NINES
