"""Images named in prose, and which of them a box belongs to.

Knows no model's tokens: a box is a span of the answer's text.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from mgdata.data import Turn

Span = tuple[int, int]
Name = tuple[int, int, int]
"""Start, end, and the image from 0."""

_ORDINALS: list[str] = re.findall(
    r"\w+",
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth",
)
_NUMBERS: list[str] = re.findall(
    r"\w+", "one two three four five six seven eight nine ten eleven twelve"
)
_ORDER = {word: i for i, word in enumerate(_ORDINALS)}
# Not "frame": it may be the number in the video, and an image's place in the list is another.
# The nouns come first in the pattern, so that the search skips to them: scoring reads tens of
# thousands of answers a second, and a pattern that begins with the ordinals takes thrice as long.
_NAME = re.compile(
    r"(image|picture|photo)(?:(?:[ -]?(?:#|no\.|number)? ?([0-9]{1,4})"
    rf"|[ -]({'|'.join(_NUMBERS)}))\b)?"
)
_ORDINAL = re.compile(
    rf"(?<!\w)(?:({'|'.join(_ORDINALS)}|last|final)|([0-9]{{1,3}})(?:st|nd|rd|th))\Z"
)
_REACH = max(map(len, _ORDINALS)) + 1
_ITEM_END = re.compile(r"[.!?;]\s+|\n+")
_ATTACHED = re.compile(r"\s+(?:in|of|on|from|within|inside)\s+(?:the\s+)?", re.IGNORECASE)


def image_names(text: str, count: int) -> list[Name]:
    """Where `text` names one of `count` images: (start, end, index from 0), in order.

    `the third image`, `3rd image`, `the last image`, `Image-3`, `image 3`, `Image3`, `image #3`,
    `image three`, and the same with picture or photo. A number may be beyond the images: `image
    0` gives -1. Plurals (`the first and second images`) name no single image and are left out.
    """
    low = _lower(text)
    if "image" not in low and "picture" not in low and "photo" not in low:
        return []
    return [name for found in _NAME.finditer(low) if (name := _name(low, found, count))]


def only_image(turn: Turn, count: int) -> int:
    """The one of `count` images that a turn asks about.

    Raises:
        ValueError: it asks about several, so that a box has to say where it is.
    """
    asked = turn.asked or tuple(range(count))
    if len(asked) != 1:
        raise ValueError(f"a box does not say which of {len(asked)} images it is in")
    return asked[0]


def place(text: str, boxes: Sequence[Span], turn: Turn, count: int) -> list[int]:
    """The image (from 0) that each box of an answer belongs to, told from the words round it.

    An item is a sentence, a part up to a semicolon, or a line. A box belongs to the first of:

    1. the name it is joined to: "(box) in the second image";
    2. the nearest name before it in its item: "In the third image, at (box)", "Image-1: (box)";
       where an item starts with a box, the nearest after it: "(box) and (box), image 2";
    3. the name that was last read before its item: "It is in the second image. (box)";
    4. the one image that the turn asks about.

    Args:
        text: The whole answer.
        boxes: Start and end of each box in `text`, in order.
        turn: What was asked.
        count: Number of images of the sample.

    Raises:
        ValueError: a box whose image cannot be told, or which is beyond the images.
    """
    if not boxes:
        return []
    plain = _blanked(text, boxes)
    names = image_names(plain, count)
    if not names:
        images = [only_image(turn, count)] * len(boxes)
    elif names[0][1] <= boxes[0][0] and len({name[2] for name in names}) == 1:
        images = [names[0][2]] * len(boxes)  # whichever rule it is, it finds this image
    else:
        images = _told(plain, names, boxes, turn, count)
    for number, image in enumerate(images, 1):
        if not 0 <= image < count:
            raise ValueError(f"box {number} is in image {image + 1}, but images are 1 to {count}")
    return images


def _told(
    text: str, names: Sequence[Name], boxes: Sequence[Span], turn: Turn, count: int
) -> list[int]:
    """The image of each box where several are named; `text` with the boxes blanked."""
    starts = [start for start, _ in boxes]
    name_starts, name_ends = [name[0] for name in names], [name[1] for name in names]
    images: list[int] = []
    item = seen = 0
    for start, end in boxes:
        before = bisect_right(name_ends, start)
        # The next name counts where no item ends before it.
        if before < len(names) and not _ITEM_END.search(text, end, names[before][0]):
            after = names[before]
            joined = _ATTACHED.match(text, end)
            for found in _ITEM_END.finditer(text, seen, start):
                item = found.end()
            seen = start
            first_name = name_starts[bisect_left(name_starts, item)]
            first_box = starts[bisect_left(starts, item)]
            if first_box < first_name or (joined and joined.end() == after[0]):
                images.append(after[2])
                continue
        images.append(names[before - 1][2] if before else only_image(turn, count))
    return images


def _lower(text: str) -> str:
    """`text` in lower case, every letter at its place."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(letter.lower()[0] for letter in text)


def without(text: str, spans: Sequence[Span], filler: str) -> str:
    """`text` with `filler` for each of `spans`."""
    if len(spans) == 1:
        ((start, end),) = spans
        return f"{text[:start]}{filler}{text[end:]}"
    parts: list[str] = []
    last = 0
    for start, end in spans:
        parts.append(text[last:start])
        last = end
    return filler.join((*parts, text[last:]))


def _blanked(text: str, boxes: Sequence[Span]) -> str:
    """`text` with boxes that hold no names and no ends of items, and keep their places."""
    parts: list[str] = []
    last = 0
    for start, end in boxes:
        parts += (text[last:start], "\0" * (end - start))
        last = end
    return "".join((*parts, text[last:]))


def _name(low: str, found: re.Match[str], count: int) -> Name | None:
    start, end = found.span()
    before = low[start - 1] if start else ""
    if before in (" ", "-") and (ordinal := _ordinal(low, start - 1, count)):
        noun_end = found.end(1)
        if not _wordy(low[noun_end : noun_end + 1]):
            return ordinal[0], noun_end, ordinal[1]
    _, digits, word = found.groups()
    if not (digits or word) or _wordy(before):
        return None
    return start, end, int(digits) - 1 if digits else _NUMBERS.index(word)


def _ordinal(low: str, end: int, count: int) -> tuple[int, int] | None:
    """Where an ordinal that ends at `end` starts, and the image it names."""
    if (
        not end or low[end - 1] not in "thdl"
    ):  # what ordinals end with: first to fourth, last, final
        return None
    word = low[max(0, end - _REACH) : end].rpartition(" ")[2]
    if (index := _ORDER.get(word)) is not None:
        return end - len(word), index
    if not (found := _ORDINAL.search(low, max(0, end - _REACH), end)):
        return None
    word, digits = found.groups()
    if digits:
        return found.start(), int(digits) - 1
    return found.start(), _ORDER.get(word, count - 1)


def _wordy(letter: str) -> bool:
    return letter.isalnum() or letter == "_"
