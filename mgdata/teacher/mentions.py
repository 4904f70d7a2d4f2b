"""Boxes and images named in a reasoning, and the sentences round them.

Prose writes boxes as it likes: a notation's own, or four bare numbers, or two corners. Their
numbers are taken to be those of the notation that the answer is in. Knows no rule about what may
be named.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from mgdata.data import Image, Target, Turn
from mgdata.geometry import Box
from mgdata.notations.naming import Name
from mgdata.plugins import Notation

Span = tuple[int, int]

_NUMBER = r"\s*+(-?[0-9]{1,9}(?:\.[0-9]{1,9})?)\s*+"
_BOX = re.compile(
    rf"[\[(]{_NUMBER},{_NUMBER}(?:,{_NUMBER},{_NUMBER}[\])]"
    rf"|[\])]\s*+(,|to|-|\u2013)?\s*+[\[(]{_NUMBER},{_NUMBER}[\])])"
)
# Two points joined by "to" are a way from one to the other, unless it is said that they are a box.
_EXTENT = re.compile(r"box|span|rectangle|region|corner|coordinates|extend|area|reach")
_LIST = re.compile(r"(?:images|pictures|photos|order|sequence|numbers)(?: is| are|:)*\s*\Z")
_BEFORE = 60
_STOPS = (". ", "! ", "? ", "\n")
# A name that a box is joined to, past the token or bracket that closes the box.
_JOINED = re.compile(r"(?:[\])]|<[^<>\s]{1,12}>)*\s+(?:in|of|on|from|within|inside)\s+(?:the\s+)?")
_IMAGE_KEY = re.compile(r'"image"\s*+:\s*+([0-9]{1,4})\b')


class BoxMention(msgspec.Struct, frozen=True, gc=False):
    """Four numbers that a text gives as a box, whether or not they make one."""

    start: int
    end: int
    numbers: tuple[float, float, float, float]


def lowered(text: str) -> str:
    """`text` in lower case, every letter at its place."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(letter.lower()[0] for letter in text)


def sentences(text: str) -> list[Span]:
    """Start and end of each sentence or line that is not blank, in order."""
    ends = [len(text)]
    for stop in _STOPS:  # four searches for two letters are a third of one search by pattern
        at = text.find(stop)
        while at >= 0:
            ends.append(at + 1)
            at = text.find(stop, at + 1)
    ends.sort()
    starts = [0, *ends]
    spans = zip(starts, ends, strict=False)
    return [(start, end) for start, end in spans if not text[start:end].isspace() and start < end]


def within(names: Sequence[Name], span: Span) -> Sequence[Name]:
    """The names that begin in a span; `names` in order."""
    return names[bisect_left(names, (span[0],)) : bisect_left(names, (span[1],))]


def round_it(spans: Sequence[Span], at: int) -> Span:
    """The sentence that the character `at` is in; the first where it is in none."""
    return spans[max(0, bisect_right(spans, at, key=_start) - 1)]


def _start(span: Span) -> int:
    return span[0]


def boxes(text: str) -> list[BoxMention]:
    """The boxes that `text` names, in order: `[a, b, c, d]`, `(a, b), (c, d)` and their like.

    Numbers of a notation's tokens and JSON objects are among them. Lists that are said to be of
    images or an order are none.
    """
    return [*_boxes(text)] if "," in text and ("[" in text or "(" in text) else []


def _boxes(text: str) -> Iterator[BoxMention]:
    for found in _BOX.finditer(text):
        a, b, c, d, joint, *rest = found.groups()
        before = text[max(0, found.start() - _BEFORE) : found.start()].lower()
        if joint not in (None, ",") and not _EXTENT.search(before):
            continue
        if c is not None and _LIST.search(before):
            continue
        right, bottom = rest if c is None else (c, d)
        numbers = (float(a), float(b), float(right), float(bottom))
        yield BoxMention(found.start(), found.end(), numbers)


def image_of(
    text: str, mention: BoxMention, names: Sequence[Name], spans: Sequence[Span]
) -> int | None:
    """The image (from 0, perhaps beyond the last) that a box is said to be in; None if not said.

    The name it is joined to ("(box) in the second image"), or the `image` of its JSON object, or
    the nearest name before it in its sentence, or the nearest after it there, or the last before.
    """
    opening = text.rfind("{", max(0, mention.start - 200), mention.start)
    if opening >= 0 and (key := _IMAGE_KEY.search(text, opening, mention.end + 200)):
        return int(key[1]) - 1
    first, last = round_it(spans, mention.start)
    after = bisect_left(names, (mention.end,))
    if after < len(names):
        joined = _JOINED.match(text, mention.end)
        if joined and joined.end() == names[after][0]:
            return names[after][2]
    if after and (names[after - 1][0] >= first or after == len(names) or names[after][0] >= last):
        return names[after - 1][2]
    if after < len(names) and names[after][0] < last:
        return names[after][2]
    return None


@lru_cache(maxsize=4096)
def extent(notation: Notation, width: int, height: int) -> tuple[float, float] | None:
    """The greatest x and y that a notation writes in an image of this size, in its own numbers.

    Learnt from how it writes the whole image, so that any registered notation will do; None where
    it writes no such box.
    """
    whole = Target(image=0, box=Box(0.0, 0.0, float(width), float(height)))
    try:
        written = boxes(notation.region(whole, Image(uri="", width=width, height=height)))
    except ValueError:
        return None
    if len(written) != 1:
        return None
    _, _, right, bottom = written[0].numbers
    return (right, bottom) if right > 0 and bottom > 0 else None


def in_pixels(mention: BoxMention, notation: Notation, image: Image) -> Box | None:
    """The box in pixels of `image`, to a step of the notation; None if it cannot be told."""
    limits = extent(notation, image.width, image.height)
    if limits is None:
        return None
    across, down = image.width / limits[0], image.height / limits[1]
    x1, y1, x2, y2 = mention.numbers
    return Box(x1 * across, y1 * down, x2 * across, y2 * down)


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes, 0 to 1; `geometry.iou` is for many at a time."""
    wide = min(first.x2, second.x2) - max(first.x1, second.x1)
    high = min(first.y2, second.y2) - max(first.y1, second.y1)
    if not (wide > 0 and high > 0):
        return 0.0
    union = first.area + second.area - wide * high
    return wide * high / union if union > 0 else 0.0


def quote(text: str, start: int, end: int, most: int = 160) -> str:
    """The words from `start` to `end` on one line, cut where they are many."""
    words = " ".join(text[start : min(end, start + 4 * most)].split())
    return words if len(words) <= most else f"{words[: most - 3]}..."


def given(turn: Turn, images: Sequence[Image]) -> list[Target]:
    """The boxes that a question gives: its regions, and the marks drawn in its images."""
    marks = [
        Target(image=place, box=edit.box)
        for place, image in enumerate(images)
        for edit in image.edits
        if edit.kind == "mark" and edit.box is not None
    ]
    return [*turn.regions, *marks]


def agrees(
    mention: BoxMention,
    place: int | None,
    targets: Sequence[Target],
    images: Sequence[Image],
    notation: Notation,
    least: float,
) -> bool:
    """Whether a box is one of `targets`: their overlap is `least` or more.

    A box of which the image is not said may be in any; one that a notation has no numbers for is
    taken to agree, as nothing can be said of it.
    """
    for target in targets:
        if place is not None and place != target.image:
            continue
        box = in_pixels(mention, notation, images[target.image])
        if box is None or overlap(box, target.box) >= least:
            return True
    return False
