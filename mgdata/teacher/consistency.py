"""Whether a reasoning agrees with the answer that comes after it.

What it names must exist: images, and boxes inside them. What it concludes must be what the answer
says: the image, the box, that nothing is there, how many, which option. Only what is plainly said
is held against it; whether any of it is right is for scoring.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence

import msgspec

from mgdata.data import Image, Target, Turn
from mgdata.notations.naming import Name, image_names
from mgdata.plugins import Notation
from mgdata.teacher.conclusions import Conclusion, conclusions
from mgdata.teacher.mentions import (
    BoxMention,
    Span,
    agrees,
    extent,
    given,
    image_of,
    quote,
    round_it,
    within,
)
from mgdata.teacher.prose import Prose, as_prose
from mgdata.teacher.thought import Finding

REASONS = (
    "no such image",
    "inverted box",
    "box out of range",
    "misquoted region",
    "says absent",
    "says present",
    "other box",
    "other image",
    "other count",
    "other option",
)
"""What can disagree. An image or a box that cannot be; a given region with other numbers; a
conclusion that nothing is there before boxes, or that something is before none; a concluded box,
image, number or option that is not the answer's."""

_SUPPOSED = re.compile(r"\b(?:no|not|if|were|isn't|only) (?:\w+ ){0,3}\Z")
# "In the picture two dogs play": a number in words is a name only where a verb or a stop follows.
_NAME_ENDS = re.compile(r"\s*(?:[.,;:)]|$|(?:is|was|shows?|has|contains?|depicts?|and|there)\b)")
_CITED = re.compile(
    r"\b(?:given|provided|marked|drawn|red|question(?:'s)?|query|reference)\b[^.;]{0,80}\Z"
)
_LETTER = re.compile(r"\W*(?:[Oo]ption |[Tt]he answer is )?([A-H])\b")
_WHOLE = re.compile(r"\b\d{1,6}\b")


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    """A reasoning with what it names, beside its answer."""

    text: str
    low: str
    spans: Sequence[Span]
    names: Sequence[Name]
    boxes: Sequence[BoxMention]
    given: list[Target]
    answer: str
    targets: Sequence[Target]
    turn: Turn
    images: Sequence[Image]
    notation: Notation
    agree: float

    def finding(self, reason: str, span: Span) -> Finding:
        return Finding(reason=reason, quote=quote(self.text, *span))


def check(
    reasoning: str | Prose,
    *,
    answer: str,
    targets: Sequence[Target],
    turn: Turn,
    images: Sequence[Image],
    notation: Notation,
    agree: float = 0.5,
) -> Finding | None:
    """Where a reasoning disagrees with its answer, or None. Linear in its length.

    Args:
        reasoning: What stands between the think tags.
        answer: What stands between the answer tags.
        targets: The boxes that the answer names (`judgement.Verdict.targets`).
        turn: What was asked.
        images: Those of the sample.
        notation: How boxes are written; boxes in prose are read as its numbers.
        agree: Least IoU at which a box in the reasoning is taken for one of the answer's.
    """
    prose = as_prose(reasoning)
    read = _Read(
        text=prose.text,
        low=prose.low,
        spans=prose.spans or [(0, len(prose.text))],
        names=prose.names(len(images)),
        boxes=prose.boxes,
        given=given(turn, images),
        answer=answer,
        targets=targets,
        turn=turn,
        images=images,
        notation=notation,
        agree=agree,
    )
    return next(_findings(read), None)


def _findings(read: _Read) -> Iterator[Finding]:
    yield from _named_images(read)
    yield from _named_boxes(read)
    concluded = conclusions(read.text, read.low, read.spans, read.names)
    if read.turn.kind == "boxes":
        yield from _presence(read, concluded)
    yield from _concluded_boxes(read, concluded)
    yield from _concluded_image(read, concluded)
    yield from _concluded_words(read, concluded)


def _named_images(read: _Read) -> Iterator[Finding]:
    for start, end, place in read.names:
        if 0 <= place < len(read.images) or _SUPPOSED.search(read.low, max(0, start - 40), start):
            continue
        in_words = not any(letter.isdecimal() for letter in read.low[start:end])
        if in_words and not _NAME_ENDS.match(read.low, end):
            continue
        yield read.finding("no such image", round_it(read.spans, start))


def _place(read: _Read, box: BoxMention) -> int | None:
    """The image a box is in, where that is said and there is one."""
    place = image_of(read.text, box, read.names, read.spans)
    return place if place is not None and 0 <= place < len(read.images) else None


def _named_boxes(read: _Read) -> Iterator[Finding]:
    for box in read.boxes:
        x1, y1, x2, y2 = box.numbers
        if not (x1 < x2 and y1 < y2):
            yield read.finding("inverted box", (box.start, box.end))
            continue
        place = _place(read, box)
        if not _inside(read, box, place):
            yield read.finding("box out of range", (box.start, box.end))
        elif read.given and _misquoted(read, box, place):
            yield read.finding("misquoted region", round_it(read.spans, box.start))


def _inside(read: _Read, box: BoxMention, place: int | None) -> bool:
    """Whether a box is within its image; within any, where it is not said in which it is."""
    x1, y1, x2, y2 = box.numbers
    if x1 < 0 or y1 < 0:
        return False
    sizes = {(i.width, i.height) for i in (read.images if place is None else [read.images[place]])}
    limits = [extent(read.notation, *size) for size in sorted(sizes)]
    # An edge may be one beyond: 999 is the last number of some frames, and 1000 the side.
    return any(limit is None or (x2 <= limit[0] + 1 and y2 <= limit[1] + 1) for limit in limits)


def _misquoted(read: _Read, box: BoxMention, place: int | None) -> bool:
    if place is None or place not in {region.image for region in read.given}:
        return False
    first, _ = round_it(read.spans, box.start)
    if not _CITED.search(read.low, max(first, box.start - 120), box.start):
        return False
    known = [*read.given, *read.targets]
    return not agrees(box, place, known, read.images, read.notation, read.agree)


def _presence(read: _Read, concluded: Sequence[Conclusion]) -> Iterator[Finding]:
    """Boxes after a last word that nothing is there, or none after one that something is."""
    last = next((c for c in reversed(concluded) if c.images or c.nothing or c.gone), None)
    if read.targets:
        if last and (last.nothing or (last.gone and read.given and _gone_from_answer(read, last))):
            yield read.finding("says absent", last.span)
    elif last and set(last.images) - {region.image for region in read.given}:
        yield read.finding("says present", last.span)
    else:
        for box, span in _claimed(read, concluded):
            if not _is(read, box, read.given):
                yield read.finding("says present", span)


def _gone_from_answer(read: _Read, last: Conclusion) -> bool:
    """Whether an image that something is gone from is the only one the answer has a box in."""
    named = {place for _, _, place in within(read.names, last.span)}
    only = {target.image for target in read.targets}
    return len(only) == 1 and (named or {*read.turn.asked}) == only


def _claimed(read: _Read, concluded: Sequence[Conclusion]) -> Iterator[tuple[BoxMention, Span]]:
    """Boxes in clauses that claim, each with its sentence."""
    for conclusion in concluded:
        for start, end in conclusion.clauses:
            first = bisect_left(read.boxes, start, key=_start)
            last = bisect_left(read.boxes, end, key=_start)
            for box in read.boxes[first:last]:
                yield box, conclusion.span


def _start(box: BoxMention) -> int:
    return box.start


def _is(read: _Read, box: BoxMention, targets: Sequence[Target]) -> bool:
    return agrees(box, _place(read, box), targets, read.images, read.notation, read.agree)


def _concluded_boxes(read: _Read, concluded: Sequence[Conclusion]) -> Iterator[Finding]:
    if not read.targets:
        return
    for box, span in _claimed(read, concluded):
        if not _is(read, box, [*read.targets, *read.given]):
            yield read.finding("other box", span)


def _concluded_image(read: _Read, concluded: Sequence[Conclusion]) -> Iterator[Finding]:
    """The last image that something is said to be in must be one of the answer's."""
    last = next((c for c in reversed(concluded) if c.images), None)
    if last is None:
        return
    answered = {target.image for target in read.targets}
    if read.turn.kind in ("text", "choice"):
        answered |= {place for _, _, place in image_names(read.answer, len(read.images))}
    claimed = set(last.images) - ({region.image for region in read.given} - answered)
    if answered and claimed and not claimed & answered:
        yield read.finding("other image", last.span)


def _concluded_words(read: _Read, concluded: Sequence[Conclusion]) -> Iterator[Finding]:
    for conclusion in concluded[-2:]:
        if conclusion.count is not None and not _counts(read, conclusion):
            yield read.finding("other count", conclusion.span)
    option = next((c for c in reversed(concluded) if c.option), None)
    said = _LETTER.match(read.answer) if read.turn.kind == "choice" else None
    if option and said and option.option != said[1]:
        yield read.finding("other option", option.span)


def _counts(read: _Read, conclusion: Conclusion) -> bool:
    """Whether a total may be meant for the answer: boxes in all or in one image, images, things."""
    if within(read.names, conclusion.span):
        return True
    if read.turn.kind == "count":
        said = [int(number) for number in _WHOLE.findall(read.answer)]
        return len(said) != 1 or conclusion.count == said[0]
    if read.turn.kind != "boxes" or not read.targets:
        return True
    places = [target.image for target in read.targets]
    totals = {len(places), len({*places}), *(places.count(place) for place in places)}
    return conclusion.count in totals
