"""How boxes are told apart: a number and a colour for each target, a letter for each given box.

The page, its text and the contact sheet all number marks here, so that they agree.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mgdata.view.shown import Exchange, Mark

PALETTE = (
    "#ff5a4f",
    "#2f9bff",
    "#26b56a",
    "#ffb020",
    "#b26bff",
    "#12c2d6",
    "#ff6fb5",
    "#a3c614",
)
"""Colours of targets, told apart on photographs and on light and dark ground; they repeat."""

GIVEN = "#ffffff"
"""Colour of given boxes, which are dashed over a dark casing."""


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A mark with its name in the sample."""

    turn: int
    """Index of its turn."""
    mark: Mark
    """The box."""
    label: str
    """`1`, `2` ... for targets, `A`, `B` ... for given boxes, counted over the sample's turns."""
    colour: int | None
    """Index into the palette; None for a given box."""


class Tagged(msgspec.Struct, frozen=True, kw_only=True):
    """The marks of one turn."""

    given: tuple[Tag, ...]
    targets: tuple[Tag, ...]

    @property
    def all(self) -> tuple[Tag, ...]:
        """Given boxes, then targets."""
        return self.given + self.targets


def tag(turns: Sequence[Exchange]) -> list[Tagged]:
    """Name every mark of a sample; the counts run on from turn to turn."""
    tagged: list[Tagged] = []
    letters = numbers = 0
    for index, turn in enumerate(turns):
        given = tuple(
            Tag(turn=index, mark=mark, label=letter(letters + i), colour=None)
            for i, mark in enumerate(turn.given)
        )
        targets = tuple(
            Tag(turn=index, mark=mark, label=str(n + 1), colour=n % len(PALETTE))
            for n, mark in enumerate(turn.targets, start=numbers)
        )
        letters += len(given)
        numbers += len(targets)
        tagged.append(Tagged(given=given, targets=targets))
    return tagged


def letter(index: int) -> str:
    """A, B ... Z, AA, AB ... as a spreadsheet names its columns; `index` counts from 0."""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("A") + rest) + text
    return text
