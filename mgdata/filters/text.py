"""Drops samples whose words are faulty, or give away what they ask for.

Knows English wording and the names of images (`mgdata.wording`); opens no image.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from mgdata.data import Drop, Sample, Target, Turn
from mgdata.geometry import Box, array, iou
from mgdata.placeholders import find
from mgdata.plugins import Filter
from mgdata.wording import number, ordinal

NEUTRAL = ("yes", "no", "true", "false", "none", "neither", "both", "same", "different")

_SLOT = re.compile(r"<(?:image|region|target):\d+>")
_NUMBERED = re.compile(r"\b[Ii]mages?[- ](\d+(?:(?:, | and | or |, and |, or )(?:Image-)?\d+)*)")
_ORDINALS = {ordinal(i): i - 1 for i in range(1, 101)}
_NTH = "|".join(sorted(_ORDINALS, key=len, reverse=True))
_LISTED = re.compile(
    rf"\b((?:{_NTH})(?:(?:, and |, or |, | and (?:the )?| or (?:the )?)(?:{_NTH}))*) "
    r"(?:image|picture|photo|frame|view)s?\b",
    re.IGNORECASE,
)
_NTH_ALONE = re.compile(rf"\b(?:{_NTH})\b", re.IGNORECASE)
_AMOUNT = re.compile(
    r"\b\w+ (?:\w+ )?(?:images|pictures|photos|photographs|frames|views)\b", re.IGNORECASE
)
_NUMBER = r"-?\d+(?:\.\d+)?"
_FOUR = re.compile(rf"(?<![\d.])({_NUMBER})" + rf"[\s,;()\[\]]+({_NUMBER})" * 3)
_BEFORE = re.compile(r"\bor (?:an? |the )?[\"'(]*$")
_AFTER = re.compile(r"^[\"')]*(?:,[^.?!;:]*)?,? or\b")


@dataclass(frozen=True, kw_only=True)
class Text(Filter):
    """Looks at every turn as a reader would, placeholders taken for what they stand for.

    What it minds, each a reason of its own: a question without words, an answer without words or
    boxes, a blank phrase, a control or replacement character, a text that is too long, a question
    asked twice in a sample, and a question that holds the right answer (singled out: not among the
    options, and not as one side of "A or B"), the asked box (as digits, or given as a region), or
    the name of the only image with a target where the image is to be found. An image is to be
    found where `asked` is empty or has several; one that a given box lies in may be named.
    """

    longest: int = 1000
    """Characters of a question or an answer, placeholders and the options' texts left out."""
    neutral: tuple[str, ...] = NEUTRAL
    """Right answers that any question may name, lower case: telling how to answer ("say none if
    nothing fits") gives nothing away."""

    def __post_init__(self) -> None:
        """Refuse a length that no text has."""
        if self.longest < 1:
            raise ValueError(f"longest: expected at least 1, found {self.longest}")

    def sample(self, sample: Sample) -> Drop | None:
        """A drop for the first turn with a fault."""
        seen: set[tuple[str, tuple[tuple[int, Box], ...]]] = set()
        for turn in sample.turns:
            for reason, value in self._faults(turn, sample):
                return Drop(key=sample.id, stage="filter", reason=reason, value=value)
            asked = (_plain(turn.question), tuple((r.image, r.box) for r in turn.regions))
            if asked in seen:
                reason = "question asked twice"
                return Drop(key=sample.id, stage="filter", reason=reason, value=_bare(turn))
            seen.add(asked)
        return None

    def _faults(self, turn: Turn, sample: Sample) -> Iterator[tuple[str, str]]:
        question = _bare(turn)
        if not _worded(question):
            yield "empty question", turn.question
        boxes = any(kind != "image" for kind, _ in find(turn.answer))
        if not boxes and not _worded(_SLOT.sub(" ", turn.answer)):
            yield "empty answer", turn.answer
        for target in (*turn.regions, *turn.targets):
            if target.phrase is not None and not _worded(target.phrase):
                yield "blank phrase", repr(target.phrase)
        for text in (turn.question, turn.answer, turn.gold, *turn.options):
            if (sign := _unprintable(text)) is not None:
                yield "unprintable character", f"U+{ord(sign):04X} in {_start(text)!a}"
        options = sum(map(len, turn.options))
        for text in (question, _SLOT.sub(" ", turn.answer)):
            if len(text) - options > self.longest:
                yield "text too long", f"{len(text)} characters: {_start(text)}"
        if turn.kind == "boxes":
            yield from _boxes_given_away(turn, question, sample)
        elif turn.kind != "order" and turn.gold.lower() not in self.neutral:
            yield from _gold_given_away(turn, question)


def _boxes_given_away(turn: Turn, question: str, sample: Sample) -> Iterator[tuple[str, str]]:
    if not turn.targets:
        return
    if all(_given(target, turn) or _written(target, question, sample) for target in turn.targets):
        yield "question holds the box", question
    where = {target.image for target in turn.targets}
    if len(sample.images) > 1 and len(turn.asked) != 1 and len(where) == 1:
        shown = {region.image for region in turn.regions}
        if images_named(question) == where and not where <= shown:
            yield "question names the image", question


def _given(target: Target, turn: Turn) -> bool:
    """Whether a box given in the question is the one asked for."""
    boxes = array([region.box for region in turn.regions if region.image == target.image])
    return bool((iou(array([target.box]), boxes) > 0.9).any())


def _written(target: Target, question: str, sample: Sample) -> bool:
    """Whether four numbers in the question are the box asked for, in a frame models write."""
    image = sample.images[target.image]
    for found in _FOUR.finditer(question):
        x1, y1, x2, y2 = (float(digits) for digits in found.groups())
        for units in (None, 1000.0, 1.0):
            across = 1.0 if units is None else image.width / units
            down = 1.0 if units is None else image.height / units
            box = Box(x1 * across, y1 * down, x2 * across, y2 * down)
            if iou(array([box]), array([target.box]))[0, 0] > 0.9:
                return True
    return False


def _gold_given_away(turn: Turn, question: str) -> Iterator[tuple[str, str]]:
    """Where the right answer stands in the question's own words, and no other option does."""
    if turn.kind == "choice":
        answer = _chosen(turn)
        own = _without_options(question, turn.options)
        others = [option for option in turn.options if _norm(option) != _norm(answer)]
        if _holds(own, answer) and not all(_holds(own, option) for option in others):
            yield "question holds the answer", question
        return
    rest = _LISTED.sub("", _NUMBERED.sub("", turn.gold))
    if (images := images_named(turn.gold)) and not _worded(_norm(rest)):
        if images_named(question) == images:
            yield "question holds the answer", question
        return
    if turn.kind == "count":
        own = _AMOUNT.sub(" ", _LISTED.sub(" ", _NUMBERED.sub(" ", question)))
        if any(_holds(own, word) for word in _number_words(turn.gold)):
            yield "question holds the answer", question
    elif _holds(_without_options(question, turn.options), turn.gold):
        yield "question holds the answer", question


def images_named(text: str) -> set[int]:
    """Indices of the images that a text names: `Image-3`, `the second and third images`."""
    found: set[int] = set()
    for match in _NUMBERED.finditer(text):
        found |= {int(digits) - 1 for digits in re.findall(r"\d+", match[1])}
    for match in _LISTED.finditer(text):
        found |= {_ORDINALS[word.lower()] for word in _NTH_ALONE.findall(match[1])}
    return found


def _chosen(turn: Turn) -> str:
    """The text of the right option; gold may be its letter."""
    if turn.gold not in turn.options and re.fullmatch(r"[A-Za-z]", turn.gold):
        place = ord(turn.gold.upper()) - ord("A")
        if place < len(turn.options):
            return turn.options[place]
    return turn.gold


def _without_options(question: str, options: tuple[str, ...]) -> str:
    """The question's own words: each option's last appearance, where they are listed, taken out."""
    for option in sorted(options, key=len, reverse=True):
        places = list(_found(question, option))
        if places:
            last = places[-1]
            question = f"{question[: last.start()]}<>{question[last.end() :]}"
    return question


def _holds(question: str, answer: str) -> bool:
    """Whether a question names an answer, other than as one side of "A or B"."""
    return any(
        not _BEFORE.search(question[: found.start()]) and not _AFTER.match(question[found.end() :])
        for found in _found(question, answer)
    )


def _found(question: str, answer: str) -> Iterator[re.Match[str]]:
    words = _norm(answer)
    if not words or (len(words) == 1 and words.isalpha()):  # a letter is as often an article
        return iter(())
    pattern = r"\s+".join(re.escape(word) for word in words.split())
    return re.finditer(rf"(?<!\w){pattern}(?!\w)", question, re.IGNORECASE)


def _number_words(gold: str) -> tuple[str, ...]:
    # "One" is no number in "which one".
    return (gold, number(int(gold))) if gold.isdecimal() and int(gold) > 1 else (gold,)


def _bare(turn: Turn) -> str:
    """A question as its reader hears it: no placeholder, single spaces."""
    return " ".join(_SLOT.sub(" ", turn.question).split())


def _plain(question: str) -> str:
    """A question for comparing: image slots, case and spacing do not count."""
    return " ".join(re.sub(r"<image:\d+>", " ", question).lower().split())


def _norm(text: str) -> str:
    """Lower case, without a leading article and a closing stop."""
    return re.sub(r"^(?:an?|the)\s+", "", text.lower().strip(" .\n\t"))


def _worded(text: str) -> bool:
    return any(sign.isalnum() for sign in text)


def _unprintable(text: str) -> str | None:
    """The first control, unassigned, private or replacement character.

    Line breaks and tabs are let through, and so are joiners, which some scripts need.
    """
    if text.isascii() and text.replace("\n", "").isprintable():
        return None
    for sign in text:
        if sign == "\ufffd" or sign == "\ufeff":
            return sign
        if sign not in "\n\t" and unicodedata.category(sign) in ("Cc", "Cn", "Co", "Cs"):
            return sign
    return None


def _start(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."
