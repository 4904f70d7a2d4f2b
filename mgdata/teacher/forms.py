"""Forms that a model's reply can be held to while it is written: a regular expression or a schema.

Everything in them is bounded, so that even a model that ends nothing by itself comes to an end. A
form makes a reply readable, not right: every image of the sample may be named and every number
that lies in that image, and a box may still be inverted, since a grammar cannot compare numbers.
Patterns use only what the grammar engines of model servers know: classes, groups, alternatives and
bounded repetition.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from mgdata.data import Image, PromptKind, Turn
from mgdata.notations.objects import ObjectNotation
from mgdata.plugins import Notation
from mgdata.teacher.mentions import extent

MOST_BOXES = 16
"""Boxes in a list."""
THINKING = (1, 6000)
"""Fewest and most characters of a reasoning."""

_LABEL = "[A-Za-z0-9 ,.'()-]{1,60}"
_DECIMALS = "(\\.[0-9]{1,2})?"


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What a reply must fit; nothing where neither is set."""

    schema: str | None = None
    """JSON Schema of the whole reply."""
    pattern: str | None = None
    """Regular expression that the whole reply matches."""


def form(
    kind: PromptKind,
    turn: Turn,
    images: Sequence[Image],
    notation: Notation,
    *,
    thinking: tuple[int, int] = THINKING,
    most_boxes: int = MOST_BOXES,
) -> Form:
    """The form of a reply to a prompt about a turn.

    Boxes have one in notations that write JSON lists (`json`, `qwen2.5-vl`, `qwen3-vl`); a choice,
    an order and a count have one in all. Prose, and a caption, have none.

    Args:
        kind: Kind of the prompt.
        turn: What is asked; of its answer nothing is looked at.
        images: Those of the sample.
        notation: How boxes are written.
        thinking: Fewest and most characters of the reasoning.
        most_boxes: Most boxes of an answer.
    """
    if kind in ("refine", "write", "verify"):
        return reply_form(kind)
    answer = None if kind == "caption" else _answer(turn, images, notation, most_boxes)
    if answer is None:
        return Form()
    answer = f"<answer>{answer}</answer>"
    if kind == "direct":
        return Form(pattern=answer)
    least, most = thinking
    return Form(pattern=f"<think>[^<]{{{least},{most}}}</think>{answer}")


def reply_form(kind: PromptKind, objects: int = 999, most: int = MOST_BOXES) -> Form:
    """The form of a reply to `refine`, `write` (`most` of so many `objects`) or `verify`."""
    text = {"type": "string", "maxLength": 600}
    yes = {"type": "boolean"}
    number = {"type": "integer", "minimum": 1, "maximum": max(1, objects)}
    fields: dict[str, dict[str, Any]] = {
        "refine": {"fits": yes, "phrase": {"type": "string", "maxLength": 200}},
        "write": {
            "question": text,
            "explanation": text,
            "objects": {"type": "array", "items": number, "maxItems": most},
        },
        "verify": {"reason": text, "answerable": yes, "unique": yes, "correct": yes},
    }
    if kind not in fields:
        return Form()
    schema = {
        "type": "object",
        "properties": fields[kind],
        "required": [*fields[kind]],
        "additionalProperties": False,
    }
    return Form(schema=msgspec.json.encode(schema).decode())


def _answer(turn: Turn, images: Sequence[Image], notation: Notation, most: int) -> str | None:
    if turn.kind == "boxes":
        if not isinstance(notation, ObjectNotation):
            return None
        sizes = tuple((image.width, image.height) for image in images)
        return _list(notation, sizes, most)
    if turn.kind == "choice":
        return f"[A-{chr(ord('A') + min(26, len(turn.options) or 4) - 1)}]"
    if turn.kind == "count":
        return upto(999)
    if turn.kind == "order" and not turn.options:
        one = upto(len(images), least=1)
        return f"{one}(, {one}){{0,{max(1, len(images) - 1)}}}"
    return None


@lru_cache(4096)
def _list(notation: ObjectNotation, sizes: tuple[tuple[int, int], ...], most: int) -> str | None:
    """A JSON list of boxes, written as `notation` writes it; each image has its own numbers."""
    by_limits: dict[tuple[float, float], list[int]] = {}
    for place, size in enumerate(sizes, 1):
        if (limits := extent(notation, *size)) is None:
            return None
        by_limits.setdefault(limits, []).append(place)
    one = "|".join(
        _object(notation, limits, places, len(sizes)) for limits, places in by_limits.items()
    )
    return rf"\[(({one})(, ({one})){{0,{most - 1}}})?\]"


def _object(
    notation: ObjectNotation, limits: tuple[float, float], places: list[int], images: int
) -> str:
    across, down = (_number(limit, notation.whole) for limit in limits)
    whole = len(places) == images
    image = upto(images, least=1) if whole else f"({'|'.join(map(str, places))})"
    values = {
        notation.key: rf"\[{across}, {down}, {across}, {down}\]",
        "label": f'"{_LABEL}"',
        "image": image,
    }
    fields = ", ".join(f'"{key}": {values[key]}' for key in notation.keys)
    return rf"\{{{fields}\}}"


def _number(limit: float, whole: bool) -> str:
    last = int(limit)
    return upto(last) if whole else f"({upto(last - 1)}{_DECIMALS}|{last})"


def upto(last: int, least: int = 0) -> str:
    """Regular expression of the whole numbers `least` (0 or 1) to `last`, without leading zeros."""
    digits = str(last)
    forms: list[str] = []
    for length in range(1, len(digits)):
        first = least if length == 1 else 1
        forms.append(_between(first, 9) + "[0-9]" * (length - 1))
    for place, digit in enumerate(digits):
        lowest = (1 if len(digits) > 1 else least) if place == 0 else 0
        if lowest < int(digit):
            rest = "[0-9]" * (len(digits) - place - 1)
            forms.append(digits[:place] + _between(lowest, int(digit) - 1) + rest)
    return f"({'|'.join([*forms, digits])})"


def _between(low: int, high: int) -> str:
    return str(low) if low == high else f"[{low}-{high}]"
