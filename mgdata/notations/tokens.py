"""Boxes between tokens in prose: `<ref>phrase</ref><box>[[x1, y1, x2, y2]]</box>` and its like.

The sentence round a box names its image, as in `qwen2-vl`. Knows no model: a notation says which
tokens and which frame.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from mgdata.data import Image, Target, Turn
from mgdata.geometry import Grid
from mgdata.notations.naming import place, without
from mgdata.plugins import Notation

_NUMBER = r"\s*-?[0-9.]+\s*"
CORNERS = rf"\({_NUMBER},{_NUMBER}\)(?:\s|,|to)*\({_NUMBER},{_NUMBER}\)"
"""Two points in a row: a box, also where its tokens are gone."""
FOUR = rf"[(\[]{','.join([_NUMBER] * 4)}[)\]]"
"""Four numbers in brackets: a box in an answer of kind `boxes`, but maybe an order elsewhere."""
_BOX = r"\[\s*[0-9]{1,9}\s*(?:,\s*[0-9]{1,9}\s*){3}\]"
_WHOLE = re.compile("[0-9]+")


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """A family's four tokens, each beginning with `<`, and the patterns made of them."""

    phrase: tuple[str, str]
    """What stands before and after a phrase."""
    boxes: tuple[str, str]
    """What stands before and after a list of boxes."""
    one: re.Pattern[str]
    """Any of the tokens."""
    pair: re.Pattern[str]
    """A list of boxes between its tokens, with the phrase before it, if there is one."""
    stray: re.Pattern[str]
    """What must not be left beside the pairs."""
    loose: re.Pattern[str]
    """What must not be left in an answer of kind `boxes`."""


def tokens(phrase: tuple[str, str], boxes: tuple[str, str]) -> Tokens:
    """The tokens of a family with their patterns."""
    start, end, first, last = map(re.escape, (*phrase, *boxes))
    one = "|".join((start, end, first, last))
    # Possessive, so that a torn answer is given up in time linear in its length.
    text = rf"[^<]*+(?:(?!{one})<[^<]*+)*+"
    stray = rf"{one}|\[\s*{FOUR}|{CORNERS}"
    return Tokens(
        phrase=phrase,
        boxes=boxes,
        one=re.compile(one),
        pair=re.compile(
            rf"<(?:{start[1:]}({text}){end}\s*+<)?{first[1:]}\s*\[\s*({_BOX}(?:\s*,\s*{_BOX})*)\s*\]\s*{last}"
        ),
        stray=re.compile(stray),
        loose=re.compile(rf"{stray}|{FOUR}"),
    )


@dataclass(frozen=True, kw_only=True)
class TokenNotation(Notation):
    """A notation that writes a box as a phrase and a list of one box, each between tokens."""

    tokens: ClassVar[Tokens]

    @abstractmethod
    def coordinates(self) -> Grid:
        """What the numbers mean."""

    @property
    def frame(self) -> str:
        """The name of its coordinates."""
        return self.coordinates().name

    def region(self, target: Target, image: Image) -> str:
        """The phrase between its tokens, where there is one, and the box between its own.

        Raises:
            ValueError: the box is not inside the image, or the phrase holds one of the tokens,
                which the format cannot quote.
        """
        numbers = list(self.coordinates().write(target.box, image.width, image.height))
        first, last = self.tokens.boxes
        written = f"{first}[{numbers}]{last}"
        if target.phrase is None:
            return written
        if found := self.tokens.one.search(target.phrase):
            raise ValueError(f"the phrase {target.phrase!r} holds the token {found[0]}")
        start, end = self.tokens.phrase
        return f"{start}{target.phrase}{end}{written}"

    def parse(self, text: str, turn: Turn, images: Sequence[Image]) -> list[Target]:
        """The boxes of an answer, in the order of the text; none where it writes none.

        A list of several boxes is read as one target each, with its one phrase and in one image.
        `naming.place` says which image that is; words of a phrase name none.

        Raises:
            ValueError: a broken token pair, coordinates outside tokens, an inverted, empty or
                out of range box, or one whose image cannot be told.
        """
        found = list(self.tokens.pair.finditer(text))
        spans = [pair.span() for pair in found]
        rest = without(text, spans, " ")
        unread = self.tokens.loose if turn.kind == "boxes" else self.tokens.stray
        if stray := unread.search(rest):
            first, last = self.tokens.boxes
            raise ValueError(f"{stray[0]!r} is not part of a {first}[[x1, y1, x2, y2]]{last} pair")
        places = place(text, spans, turn, len(images))
        targets: list[Target] = []
        grid = self.coordinates()
        for pair, index in zip(found, places, strict=True):
            image = images[index]
            phrase, boxes = pair.groups()
            numbers = [int(number) for number in _WHOLE.findall(boxes)]
            for at in range(0, len(numbers), 4):
                box = grid.read(numbers[at : at + 4], image.width, image.height)
                targets.append(Target(image=index, box=box, phrase=phrase))
        return targets
