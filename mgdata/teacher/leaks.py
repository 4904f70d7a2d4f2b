"""Whether a reasoning betrays that the answer was there before it.

A teacher may be shown the answer as a hidden anchor, and must then not speak of it, nor begin with
it and find reasons afterwards (the pseudo-reasoning that MG-Thinker filters, arXiv 2609.37374). A
blind teacher that speaks of a given answer makes it up, which is no better. What the question
itself gives may be cited. Knows nothing of whether the answer is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mgdata.data import Image, Target, Turn
from mgdata.notations.naming import Name, image_names
from mgdata.plugins import Notation
from mgdata.teacher.leak_rules import (
    ANSWER,
    BECAUSE,
    ELSEWHERE,
    FILLER,
    HEDGED,
    IT_IS,
    LOCATED,
    NAMED_RIGHT,
    NOTHING,
    OPTION,
    PLAIN_WORDS,
    PREAMBLE,
    RULES,
    SOUGHT,
    Rule,
)
from mgdata.teacher.mentions import (
    Span,
    agrees,
    boxes,
    extent,
    given,
    quote,
    sentences,
)
from mgdata.teacher.prose import Cues, Prose, as_prose
from mgdata.teacher.thought import Finding, Kind

REASONS = (
    *(rule.reason for rule in RULES),
    "conclusion first",
    "box first",
    "box told",
    "box digits",
)
"""What betrays an answer, in the order in which it is looked for. After the phrases of `RULES`: the
first sentence states the conclusion; it gives a box that is asked for; a box stands in a reasoning
that must have none; three of the four numbers of one do."""

_OPENING = 1500
_AROUND = 240
_EARLY = 0.6
_SAME = 0.5
_NUMBER = re.compile(r"(?<![\w.])(?:[0-9]{2,5}(?:\.[0-9]{1,3})?|0?\.[0-9]{1,4})(?![\w])")
_SMALL = 13
_SHARE_STEP = 0.006
_MOST = 3
_CUES = Cues(*(need for rule in RULES for need in rule.needs), r"[0-9]{2}|\.[0-9]")
_WORD = re.compile(r"\w{3,}")
_JOINED = re.compile(r"[^,;.]{0,60}\b(?:in|of|for|from) (?:the )?\Z")


def _needed() -> Iterator[tuple[Rule, int]]:
    """The rules, each with the bits that `_CUES` gives to its needs."""
    bit = 0
    for rule in RULES:
        yield rule, ((1 << len(rule.needs)) - 1) << bit
        bit += len(rule.needs)


_RULES = tuple(_needed())
_DIGITS = 1 << sum(len(rule.needs) for rule in RULES)


def check(
    reasoning: str | Prose, *, kind: Kind, turn: Turn, images: Sequence[Image], notation: Notation
) -> Finding | None:
    """What in a reasoning betrays the answer, or None. Linear in its length.

    Args:
        reasoning: What stands between the think tags.
        kind: `rationalise` allows no box but those of the question; `trajectory` lists the objects
            of each image, and may begin with one that is asked for.
        turn: What was asked, with the targets that the teacher may have seen.
        images: Those of the sample; of them sizes and marks are looked at.
        notation: How boxes are written; boxes in prose are read as its numbers.
    """
    prose = as_prose(reasoning)
    if not prose.words:
        return None
    shown = given(turn, images)
    found = _phrase(prose, shown, len(images)) or _conclusion(prose, turn, shown, len(images))
    if found or not turn.targets:
        return found
    if kind == "rationalise":
        return _box_told(prose, shown, images, notation) or _digits(
            prose, turn, shown, images, notation
        )
    return None if kind == "trajectory" else _box_first(prose, turn, images, notation)


def _phrase(prose: Prose, given_: Sequence[Target], count: int) -> Finding | None:
    words = _CUES.of(prose.distinct)
    rules = [(rule, needed) for rule, needed in _RULES if words & needed == needed]
    if not rules:
        return None
    low, shown = prose.low, {region.image for region in given_}
    spans = [(span, _CUES.of({*low[span[0] : span[1]].split()})) for span in prose.spans]
    for rule, needed in rules:
        for span, words in spans:
            if words & needed != needed:
                continue
            for found in rule.pattern.finditer(low, *span):
                if not _pardoned(low, found, rule, shown, count):
                    start, end = _sentence(low, found.start(), found.end())
                    return Finding(reason=rule.reason, quote=quote(prose.text, start, end))
    return None


def _pardoned(low: str, found: re.Match[str], rule: Rule, shown: set[int], count: int) -> bool:
    """Whether a phrase speaks of a region that the question gives."""
    if rule.given == "never" or not shown:
        return False
    _, end = _sentence(low, found.start(), found.end())
    if ELSEWHERE.match(low, found.end(), end):
        return False
    for start, _, place in image_names(low[found.end() : end], count)[:1]:
        if _JOINED.match(low[found.end() : found.end() + start]):
            return place in shown
    return rule.given == "any"


def _sentence(low: str, start: int, end: int) -> tuple[int, int]:
    """The sentence round a phrase, at most `_AROUND` characters to either side."""
    window = max(0, start - _AROUND)
    before = max(low.rfind(mark, window, start) for mark in (". ", "! ", "? ", "\n"))
    stops = [low.find(mark, end, end + _AROUND) for mark in (". ", "! ", "? ", "\n")]
    after = min((stop + 1 for stop in stops if stop >= 0), default=min(len(low), end + _AROUND))
    return (before + 1 if before >= 0 else window), after


def _opening(prose: Prose, count: int) -> Sequence[Span]:
    """The first sentence that is no preamble, and the one after it."""
    found = _after_preamble(prose.low, prose.spans, count)
    if len(prose.low) > _OPENING and (len(found) < 2 or found[-1][1] > _OPENING):
        low = prose.low[:_OPENING]
        return _after_preamble(low, sentences(low), count) or [(0, len(prose.low))]
    return found or [(0, len(prose.low))]


def _after_preamble(low: str, spans: Sequence[Span], count: int) -> Sequence[Span]:
    for place, (start, end) in enumerate(spans):
        sentence = low[start:end].strip()
        if not PREAMBLE.match(sentence) or image_names(sentence, count) or boxes(sentence):
            return spans[place : place + 2]
    return spans[-1:]


def _conclusion(prose: Prose, turn: Turn, shown: Sequence[Target], count: int) -> Finding | None:
    """The conclusion as the first sentence, or as the second where most of the text comes after."""
    for place, (start, end) in enumerate(_opening(prose, count)):
        sentence = prose.low[start:end].strip()
        if filler := FILLER.match(sentence):
            sentence = sentence[filler.end() :]
        if place and (end > _EARLY * len(prose.low) or not ANSWER.match(sentence)):
            continue
        if _concludes(sentence, turn, {region.image for region in shown}, count) and not (
            HEDGED.search(sentence)
        ):
            return Finding(reason="conclusion first", quote=quote(prose.text, start, end))
    return None


def _concludes(sentence: str, turn: Turn, shown: set[int], count: int) -> bool:
    names = [name for name in image_names(sentence, count) if name[2] not in shown]
    if answer := ANSWER.match(sentence):
        rest = sentence[answer.end() :]
        secret = len(turn.asked or range(count)) > 1
        named = secret and any(name[0] >= answer.end() for name in names)
        return bool(named or boxes(rest) or BECAUSE.search(rest) or OPTION.match(rest))
    if NOTHING.match(sentence):
        return True
    if not names or len(turn.asked or range(count)) == 1:
        return False  # or the image is no secret
    for start, end, place in names:
        before = sentence[:start]
        alone = before in ("", "the ") and not sentence[end:].strip(" .:*")
        if NAMED_RIGHT.match(sentence, end) or (alone and place != min(turn.asked, default=0)):
            return True
        if IT_IS.match(before):
            return True
        if LOCATED.search(before) and (SOUGHT.match(sentence) or BECAUSE.search(sentence, end)):
            return True
    return _described(sentence, names, turn, count)


def _described(sentence: str, names: Sequence[Name], turn: Turn, count: int) -> bool:
    """Whether it gives one image the whole description, before it could come to that image."""
    places = {place for _, _, place in names}
    first = min(turn.asked, default=0)
    if len(places) != 1 or first in places or len(turn.asked or range(count)) == 1:
        return False
    words = {*_WORD.findall(sentence)}
    for target in turn.targets:
        told = {*_WORD.findall((target.phrase or "").lower())} - PLAIN_WORDS
        if target.image in places and len(told) > 1 and told <= words:
            return True
    return False


def _box_first(
    prose: Prose, turn: Turn, images: Sequence[Image], notation: Notation
) -> Finding | None:
    if "[" not in prose.low and "(" not in prose.low:
        return None
    start, end = _opening(prose, len(images))[0]
    for box in boxes(prose.text[start:end]):
        if agrees(box, None, turn.targets, images, notation, _SAME):
            return Finding(reason="box first", quote=quote(prose.text, start, end))
    return None


def _box_told(
    prose: Prose, shown: Sequence[Target], images: Sequence[Image], notation: Notation
) -> Finding | None:
    for box in prose.boxes:
        if not agrees(box, None, shown, images, notation, _SAME):
            return Finding(reason="box told", quote=quote(prose.text, box.start, box.end))
    return None


def _digits(
    prose: Prose,
    turn: Turn,
    shown: Sequence[Target],
    images: Sequence[Image],
    notation: Notation,
) -> Finding | None:
    """Three of a target's four numbers, in pixels, shares, thousandths or the notation's own."""
    if not _CUES.of(prose.distinct) & _DIGITS:
        return None
    told = {float(number) for number in _NUMBER.findall(prose.low)}
    if len(told) < 3:
        return None
    for numbers in _written(shown, images, notation):
        told -= {number for number in told if any(_near(number, one) for one in numbers)}
    for numbers in _written(turn.targets, images, notation):
        known = [one for one in numbers if any(_near(number, one) for number in told)]
        used = [number for number in told if any(_near(number, one) for one in numbers)]
        if min(len(known), len(used)) >= _MOST:
            shown_as = ", ".join(f"{one:g}" for one in sorted(used))
            return Finding(reason="box digits", quote=f"numbers of a box: {shown_as}")
    return None


def _written(
    targets: Sequence[Target], images: Sequence[Image], notation: Notation
) -> list[tuple[float, ...]]:
    """Each box in pixels, thousandths, shares, and the notation's own numbers."""
    rows: list[tuple[float, ...]] = []
    for target in targets:
        image, box = images[target.image], target.box
        sizes = (image.width, image.height) * 2
        limits = {(image.width, image.height), (1000, 1000), (1, 1)}
        if own := extent(notation, image.width, image.height):
            limits.add((round(own[0]), round(own[1])))
        edges = (box.x1, box.y1, box.x2, box.y2)
        rows += [
            tuple(
                edge / size * most for edge, size, most in zip(edges, sizes, ends * 2, strict=True)
            )
            for ends in sorted(limits)
        ]
    return rows


def _near(number: float, other: float) -> bool:
    """Whether two coordinates are one, rounded differently; small numbers may count anything."""
    if number < 1 and other < 1:
        return number > 0 and abs(number - other) <= _SHARE_STEP
    return min(number, other) >= _SMALL and abs(number - other) <= 1
