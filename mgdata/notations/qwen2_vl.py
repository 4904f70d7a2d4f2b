"""Qwen2-VL's box tokens, with the rounding of Migician's released data (frame 0-999).

A box is `<|box_start|>(x1,y1),(x2,y2)<|box_end|>` inside prose; the sentence round it names the
image. Qwen2-VL's own data runs to 1000; Migician's, which our corpora continue, ends at 999
(`geometry.Truncated` says how). It knows no task and no wording.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mgdata.data import Image, Target, Turn
from mgdata.geometry import PER999
from mgdata.notations.naming import place, without
from mgdata.notations.tokens import CORNERS, FOUR
from mgdata.plugins import Notation

_POINT = r"\(\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*\)"
_BOX = re.compile(rf"<\|box_start\|>\s*{_POINT}\s*,\s*{_POINT}\s*<\|box_end\|>")
# What looks like a box but is not one: a token without its partner, or coordinates without tokens.
_STRAY = re.compile(rf"<\|box_(?:start|end)\|>|{CORNERS}")
_LOOSE = re.compile(rf"{_STRAY.pattern}|{FOUR}")


@dataclass(frozen=True, kw_only=True)
class Qwen2VL(Notation):
    """Boxes as tokens in prose, whole numbers 0 to 999, truncated."""

    @property
    def frame(self) -> str:
        """0 to 999 of a thousand steps."""
        return PER999.name

    def region(self, target: Target, image: Image) -> str:
        """`<|box_start|>(x1,y1),(x2,y2)<|box_end|>`; the phrase is left to the text round it.

        Raises:
            ValueError: the box is not inside the image.
        """
        x1, y1, x2, y2 = PER999.write(target.box, image.width, image.height)
        return f"<|box_start|>({x1},{y1}),({x2},{y2})<|box_end|>"

    def parse(self, text: str, turn: Turn, images: Sequence[Image]) -> list[Target]:
        """The boxes of an answer, in the order of the text; none where it writes none.

        `notations.place` says which image each belongs to.

        Raises:
            ValueError: a broken token pair, coordinates outside tokens, an inverted, empty or
                out of range box, or one whose image cannot be told.
        """
        found = list(_BOX.finditer(text))
        spans = [box.span() for box in found]
        rest = without(text, spans, " ")
        if stray := (_LOOSE if turn.kind == "boxes" else _STRAY).search(rest):
            raise ValueError(f"{stray[0]!r} is not part of a <|box_start|>..<|box_end|> pair")
        places = place(text, spans, turn, len(images))
        targets: list[Target] = []
        for box, index in zip(found, places, strict=True):
            numbers = [int(group) for group in box.groups()]
            image = images[index]
            targets.append(Target(image=index, box=PER999.read(numbers, image.width, image.height)))
        return targets
