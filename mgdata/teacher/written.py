"""A written question read strictly: a turn whose boxes are the annotation's, or one reason why not.

The writer names numbered objects and writes no box, so that none comes from nowhere. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from mgdata.contents import with_slots
from mgdata.data import Reply, Target, Turn
from mgdata.teacher.acceptance import FAILURES
from mgdata.teacher.language import Bounds
from mgdata.teacher.listing import Listing
from mgdata.teacher.replies import (
    ReplyError,
    Strict,
    check_images,
    check_language,
    check_words,
    decoded,
    named_images,
)
from mgdata.wording import ImageNames

NAMES = ImageNames("number")
"""What written questions and their answers call images."""
QUESTION = Bounds(least_words=4, most_words=90)
"""Twice what is asked for at most, and half of the least."""
EXPLANATION = Bounds(least_words=4, most_words=150)

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_ARTICLES = frozenset(("a", "an", "the"))


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A written question, ready to be asked."""

    turn: Turn
    """With slots for all images; its targets are the annotation's boxes."""
    explanation: str
    """Why these objects are the answer; may be empty."""
    objects: tuple[int, ...]
    """Their numbers, rising."""


class _Written(Strict, frozen=True, kw_only=True):
    question: str
    explanation: str
    objects: tuple[int, ...]


def read_written(
    reply: Reply, listing: Listing, *, most_objects: int = 1, explained: bool = False
) -> Question:
    """The question of a reply to `write`, with the boxes of the objects that it names.

    Refused is also what could be right and cannot be known to be: an object that another thing of
    its image shares its phrase with. Numbers are checked before words, words before names.

    Args:
        reply: What was answered.
        listing: What the writer was told of.
        most_objects: Most objects that may be asked for.
        explained: Whether there must be an explanation.

    Raises:
        ReplyError: it is refused, for one of `REASONS`.
    """
    _check_whole(reply)
    told = decoded(reply.text, _Written, "written")
    question, explanation = " ".join(told.question.split()), " ".join(told.explanation.split())
    if not (question or told.objects):
        raise ReplyError("written: declined", explanation[:160])
    numbers = _numbers(told.objects, listing, most_objects)
    chosen = [listing.objects[number - 1] for number in numbers]
    _check_question(question, chosen, listing, numbers)
    _check_explanation(explanation, len(listing.draft.images), explained)
    return Question(
        turn=_turn(question, chosen, len(listing.draft.images)),
        explanation=explanation,
        objects=numbers,
    )


def _check_whole(reply: Reply) -> None:
    """Refuse what is not there or ends in the middle, for the reasons of `acceptance`."""
    if reply.finish == "failed":
        known = reply.reason in FAILURES
        said = [reply.value] if known else [reply.reason, reply.value]
        name = reply.reason if known else "failed"
        raise ReplyError(f"reply: {name}", ": ".join(part for part in said if part))
    if reply.finish == "length":
        raise ReplyError("reply: cut", reply.text[-80:])


def _numbers(told: Sequence[int], listing: Listing, most: int) -> tuple[int, ...]:
    """The numbers of objects, rising, if they are such as were offered."""
    shown = ", ".join(map(str, told[:20]))
    if not told:
        raise ReplyError("objects: none")
    for number in told:
        if not 1 <= number <= len(listing.objects):
            raise ReplyError("objects: unknown", f"{number} of {len(listing.objects)}")
    if len({*told}) < len(told):
        raise ReplyError("objects: repeated", shown)
    if len(told) > most:
        raise ReplyError("objects: too many", f"{shown}: at most {most}")
    numbers = tuple(sorted(told))
    rest = [thing for place, thing in enumerate(listing.objects, 1) if place not in numbers]
    taken = {(thing.image, _key(thing.phrase)) for thing in (*rest, *listing.others)}
    for number in numbers:
        thing = listing.objects[number - 1]
        if (thing.image, _key(thing.phrase)) in taken:
            raise ReplyError("objects: ambiguous", f"{number}: {thing.phrase}")
    return numbers


def _check_question(
    question: str, chosen: Sequence[Target], listing: Listing, numbers: Sequence[int]
) -> None:
    count = len(listing.draft.images)
    if not question:
        raise ReplyError("question: empty")
    check_language("question", question, QUESTION)
    check_words("question", question)
    named = named_images(question, count)
    check_images("question", named, count)
    if told := sorted(named & {thing.image for thing in chosen}):
        raise ReplyError("question: names its image", NAMES.one(told[0]))
    words = _key(question)
    for number, thing in zip(numbers, chosen, strict=True):
        phrase = _key(thing.phrase)
        # The name of a class alone is no more than a hint.
        if phrase != _key(listing.labels[number - 1]) and _within(phrase, words):
            raise ReplyError("question: names its target", thing.phrase or "")


def _check_explanation(explanation: str, count: int, needed: bool) -> None:
    if not explanation:
        if needed:
            raise ReplyError("explanation: empty")
        return
    check_language("explanation", explanation, EXPLANATION)
    check_words("explanation", explanation)
    check_images("explanation", named_images(explanation, count), count)


def _key(text: str | None) -> tuple[str, ...]:
    """The words of a text without articles, blind to case and punctuation."""
    words = _WORD.findall((text or "object").casefold())
    return tuple(word for word in words if word not in _ARTICLES)


def _within(some: tuple[str, ...], words: tuple[str, ...]) -> bool:
    n = len(some)
    return n > 0 and any(words[at : at + n] == some for at in range(len(words) - n + 1))


def _turn(question: str, chosen: Sequence[Target], images: int) -> Turn:
    """The turn: an answer with a line for each object, its image, its phrase and its box."""
    targets = tuple(sorted(chosen, key=lambda target: (target.image, target.box.x1)))
    lines = [
        f"{NAMES.one(target.image)}: {target.phrase} <target:{place}>"
        for place, target in enumerate(targets)
    ]
    return Turn(question=with_slots(question, images), answer="\n".join(lines), targets=targets)
