"""How boxes are told apart: by number, letter and colour.

A target has a number and a colour, a given box a letter, and one that a teacher claims `T` and a
number. The page, its text and the contact sheet all number marks here, so that they agree.
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


CLAIMED = "#f2ff3d"
"""Colour of boxes that a teacher claims, which are dotted."""


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A mark with its name in the sample."""

    turn: int
    """Index of its turn."""
    mark: Mark
    """The box."""
    label: str
    """`1`, `2` ... for targets, `A`, `B` ... for given boxes, `T1`, `T2` ... for claimed ones,
    counted over the sample's turns."""
    colour: int | None
    """Index into the palette; None for a given or claimed box."""
    claimed: bool = False
    """A teacher's box."""


class Tagged(msgspec.Struct, frozen=True, kw_only=True):
    """The marks of one turn."""

    given: tuple[Tag, ...]
    targets: tuple[Tag, ...]
    claimed: tuple[Tag, ...] = ()

    @property
    def all(self) -> tuple[Tag, ...]:
        """Given boxes, then targets, then claimed ones."""
        return self.given + self.targets + self.claimed

    @property
    def told(self) -> Tagged:
        """The boxes that a reasoning may speak of: the teacher's own in place of the targets."""
        return Tagged(given=self.given, targets=self.claimed) if self.claimed else self


def tag(turns: Sequence[Exchange]) -> list[Tagged]:
    """Name every mark of a sample; the counts run on from turn to turn."""
    tagged: list[Tagged] = []
    letters = numbers = claims = 0
    for index, turn in enumerate(turns):
        given = tuple(
            Tag(turn=index, mark=mark, label=letter(letters + i), colour=None)
            for i, mark in enumerate(turn.given)
        )
        targets = tuple(
            Tag(turn=index, mark=mark, label=str(n + 1), colour=n % len(PALETTE))
            for n, mark in enumerate(turn.targets, start=numbers)
        )
        claimed = tuple(
            Tag(turn=index, mark=mark, label=f"T{n}", colour=None, claimed=True)
            for n, mark in enumerate(turn.trace.claimed if turn.trace else (), start=claims + 1)
        )
        letters += len(given)
        numbers += len(targets)
        claims += len(claimed)
        tagged.append(Tagged(given=given, targets=targets, claimed=claimed))
    return tagged


def letter(index: int) -> str:
    """A, B ... Z, AA, AB ... as a spreadsheet names its columns; `index` counts from 0."""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("A") + rest) + text
    return text
