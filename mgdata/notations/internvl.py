"""InternVL's box tokens, whole numbers 0 to 1000.

A box is `<ref>phrase</ref><box>[[x1, y1, x2, y2]]</box>` inside prose, as InternVL's documentation
has it (Chat Data Format, Grounding / Detection Data): `round(x / width * 1000)`, and several boxes
of one phrase in one list. The documentation shows single images alone; the sentence round a box
names its image here, as in Migician's data.
"""

from __future__ import annotations

from dataclasses import dataclass

from mgdata.geometry import THOUSAND, Grid
from mgdata.notations.tokens import TokenNotation, tokens


@dataclass(frozen=True, kw_only=True)
class InternVL(TokenNotation):
    """Boxes as tokens in prose, whole numbers 0 to 1000, rounded to the nearest.

    An edge is at most half a step, a two-thousandth of the side, from where it was; a box thinner
    than a step is written one step wide (`geometry.Grid`). A phrase that holds `<ref>`, `</ref>`,
    `<box>` or `</box>` is refused.
    """

    tokens = tokens(phrase=("<ref>", "</ref>"), boxes=("<box>", "</box>"))

    def coordinates(self) -> Grid:
        """Thousandths of the image."""
        return THOUSAND
