"""What all notations share: a conversation's messages, a notation's ceiling, images named in prose.

A notation is one module here, named as a recipe writes it, with `-` and `.` as `_`. Two kinds
share what is beside them: boxes between tokens (`tokens`) and as JSON objects (`objects`). This
file knows no model's tokens; it works through the `Notation` contract.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from mgdata.data import Image, Turn
from mgdata.notations.ceilings import bound, ceiling
from mgdata.notations.naming import image_names, only_image, place
from mgdata.placeholders import find
from mgdata.plugins import Notation

__all__ = [
    "IMAGE_TOKEN",
    "bound",
    "ceiling",
    "conversation",
    "image_names",
    "only_image",
    "place",
    "settings_in",
]

IMAGE_TOKEN = "<image>"
"""What trainers replace by an image, in order."""

_SLOT = re.compile(r"<image:\d+>")
_SETTING = re.compile(r"(\w+)=(\S+)")


def conversation(
    notation: Notation, turns: Sequence[Turn], images: Sequence[Image]
) -> list[dict[str, str]]:
    """The turns as `{"role": "user" | "assistant", "content": text}`, in a notation.

    Every `<image:i>` slot becomes `<image>`. Trainers replace these by the images in order, so
    the slots must be 0, 1, ... n-1 over all questions, each once, and no text may hold the token
    itself.

    Raises:
        ValueError: slots out of order, an image slot in an answer, `<image>` in a text, or a
            region or target that was not filled.
    """
    messages: list[dict[str, str]] = []
    slots: list[int] = []
    for turn in turns:
        question, answer = notation.question(turn, images), notation.answer(turn, images)
        for text in (question, answer):
            if IMAGE_TOKEN in text:
                raise ValueError(f"the text holds {IMAGE_TOKEN}, which stands for an image: {text}")
        unfilled = [found for found in find(question) if found[0] != "image"] + find(answer)
        for kind, i in unfilled:
            raise ValueError(f"<{kind}:{i}> cannot stand in the turn {question!r}, {answer!r}")
        slots += [i for _, i in find(question)]
        messages.append({"role": "user", "content": _SLOT.sub(IMAGE_TOKEN, question)})
        messages.append({"role": "assistant", "content": answer})
    if slots != list(range(len(images))):
        raise ValueError(f"image slots must be 0 to {len(images) - 1} in order, found {slots}")
    return messages


def settings_in(frame: str) -> dict[str, Any]:
    """The notation's settings that the name of its frame states as `key=value`; often none.

    With them and its name a notation is made again from a release alone.
    """
    return {key: _value(text) for key, text in _SETTING.findall(frame)}


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return text
