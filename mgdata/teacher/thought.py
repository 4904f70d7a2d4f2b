"""`<think>..</think><answer>..</answer>`: a teacher's text taken apart, or why it cannot be.

Strict: besides the two pairs of tags there may be white space and nothing else. Knows no notation,
no task and no image; what stands between the tags is for others to read.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

Kind = Literal["direct", "reason", "rationalise", "trajectory"]
"""Kinds of prompt whose answer is judged. `direct` asks for the answer alone; the others for a
reasoning before it: blind, with the answer as a hidden anchor, and from annotated objects."""

REASONS = (
    "empty",
    "misspelt tag",
    "tag twice",
    "no think",
    "think not opened",
    "think not closed",
    "no answer",
    "answer not opened",
    "answer not closed",
    "nested tags",
    "tags out of order",
    "text outside",
    "empty reasoning",
    "empty answer",
    "think not asked",
)
"""Why a text is no thought, in the order in which they are looked for. `not opened` is a closing
tag alone, as where a chat template has put the opening one into the prompt; `not closed` an opening
one alone, as where an answer was cut; `think not asked` any think tag in a `direct` answer."""

_TAG = re.compile(r"</?(?:think|answer)>")
# Possessive, so that many spaces after many brackets are each looked at once.
_LIKE = re.compile(r"<\s*+/?\s*+(?:think(?:ing)?|answers?)\s*+/?\s*+>", re.IGNORECASE)
_PAIRS = {"think": ("<think>", "</think>"), "answer": ("<answer>", "</answer>")}
_RIGHT = (*_PAIRS["think"], *_PAIRS["answer"])
_SHOWN = 80


class Thought(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A text taken apart, without the white space round its parts."""

    reasoning: str
    """What stands between the think tags; empty for `direct`."""
    answer: str
    """What stands between the answer tags; never empty."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a check objects to in a reasoning."""

    reason: str
    """One of the reasons that the check lists."""
    quote: str
    """The words it is about, or the figure."""


class FormatError(ValueError):
    """A text that is not in the format; `reason` is one of `REASONS`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


def read(text: str, kind: Kind) -> Thought:
    """The reasoning and the answer of what a teacher wrote. Time is linear in the text.

    A `direct` answer is bare or stands between one pair of answer tags.

    Raises:
        FormatError: it is not in the format of its kind of prompt.
        ValueError: there is no such kind.
    """
    if kind not in ("direct", "reason", "rationalise", "trajectory"):
        raise ValueError(f"no format is known for prompts of kind {kind!r}")
    if not text or text.isspace():
        raise FormatError("empty", "the text is empty")
    tags = list(_TAG.finditer(text))
    names = tuple(tag[0] for tag in tags)
    if text.count("<") > len(tags):
        _check_spelling(text)
    if kind == "direct":
        return _direct(text, tags, names)
    if names != _RIGHT:
        raise _misplaced(names)
    think, end, answer, last = tags
    _check_outside(text[: think.start()], text[end.end() : answer.start()], text[last.end() :])
    reasoning = text[think.end() : end.start()].strip()
    if not reasoning:
        raise FormatError("empty reasoning", "nothing stands between the think tags")
    return Thought(reasoning=reasoning, answer=_answer(text[answer.end() : last.start()]))


def _direct(text: str, tags: list[re.Match[str]], names: tuple[str, ...]) -> Thought:
    if not names:
        return Thought(reasoning="", answer=text.strip())
    for tag in _PAIRS["think"]:
        if tag in names:
            raise FormatError("think not asked", f"{tag} in an answer that is asked for alone")
    if names != _PAIRS["answer"]:
        raise _misplaced((*_PAIRS["think"], *names))
    first, last = tags
    _check_outside(text[: first.start()], text[last.end() :])
    return Thought(reasoning="", answer=_answer(text[first.end() : last.start()]))


def _answer(text: str) -> str:
    answer = text.strip()
    if not answer:
        raise FormatError("empty answer", "nothing stands between the answer tags")
    return answer


def _check_spelling(text: str) -> None:
    """Refuse `<Think>`, `< answer >`, `<thinking>` and the like, which are no tags to a trainer."""
    for found in _LIKE.finditer(text):
        if found[0] not in _RIGHT:
            raise FormatError(
                "misspelt tag", f"{found[0][:_SHOWN]!r} is no tag; tags are {' '.join(_RIGHT)}"
            )


def _check_outside(*parts: str) -> None:
    for part in parts:
        if stray := part.strip():
            raise FormatError("text outside", f"{stray[:_SHOWN]!r} stands outside the tags")


def _misplaced(names: tuple[str, ...]) -> FormatError:
    """What is wrong with tags that are not the four in their order."""
    for name in _RIGHT:
        if names.count(name) > 1:
            return FormatError("tag twice", f"{name} is there {names.count(name)} times")
    for what, (opening, closing) in _PAIRS.items():
        if opening not in names and closing not in names:
            return FormatError(f"no {what}", f"there is no {opening}")
        if opening not in names:
            return FormatError(f"{what} not opened", f"{closing} without {opening}")
        if closing not in names:
            return FormatError(f"{what} not closed", f"{opening} without {closing}")
    order = [names.index(name) for name in _RIGHT]
    apart = order[1] < order[2] or order[3] < order[0]
    if order[0] < order[1] and order[2] < order[3] and not apart:
        return FormatError("nested tags", "one pair of tags reaches into the other")
    return FormatError("tags out of order", f"tags stand in the order {' '.join(names)}")
