"""What all notations share: a conversation's messages, a notation's ceiling, images named in prose.

A notation is one module here, named as a recipe writes it, with `-` as `_`. This file knows no
model's tokens; it works through the `Notation` contract.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mgdata.data import Image, Turn
from mgdata.geometry import array, iou, match
from mgdata.placeholders import find
from mgdata.plugins import Notation

IMAGE_TOKEN = "<image>"
"""What trainers replace by an image, in order."""

_SLOT = re.compile(r"<image:\d+>")

_ORDINALS: list[str] = re.findall(
    r"\w+",
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth",
)
_NUMBERS: list[str] = re.findall(
    r"\w+", "one two three four five six seven eight nine ten eleven twelve"
)
# Not "frame": it may be the number in the video, and an image's place in the list is another.
_NAME = re.compile(
    rf"\b(?:(?P<ordinal>{'|'.join(_ORDINALS)}|last|final|[0-9]{{1,3}}(?:st|nd|rd|th))[ -]"
    r"(?:image|picture|photo)"
    r"|(?:image|picture|photo)(?:[ -]?(?:#|no\.|number)? ?(?P<digits>[0-9]{1,4})"
    rf"|[ -](?P<word>{'|'.join(_NUMBERS)})))\b",
    re.IGNORECASE,
)
_ITEM_END = re.compile(r"(?<=[.!?;])\s+|\n+")
_ATTACHED = re.compile(r"\s+(?:in|of|on|from|within|inside)\s+(?:the\s+)?", re.IGNORECASE)

Span = tuple[int, int]


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


def ceiling(notation: Notation, turn: Turn, images: Sequence[Image]) -> list[float]:
    """For each target, the best IoU that a perfect answer in this notation can reach.

    The right answer is written, parsed back and matched to the targets in the same image; 0
    where a target's box is lost. A tiny box in a coarse frame has a ceiling under 1.

    Raises:
        ValueError: the notation cannot write this turn, or cannot read what it wrote.
    """
    parsed = notation.parse(notation.answer(turn, images), turn, images)
    overlap = iou(array([t.box for t in turn.targets]), array([t.box for t in parsed]))
    for row, target in enumerate(turn.targets):
        for column, found in enumerate(parsed):
            if found.image != target.image:
                overlap[row, column] = 0.0
    best = dict(match(overlap))
    return [float(overlap[i, best[i]]) if i in best else 0.0 for i in range(len(turn.targets))]


def image_names(text: str, count: int) -> list[tuple[int, int, int]]:
    """Where `text` names one of `count` images: (start, end, index from 0), in order.

    `the third image`, `3rd image`, `the last image`, `Image-3`, `image 3`, `Image3`, `image #3`,
    `image three`, and the same with picture or photo. A number may be beyond the images: `image
    0` gives -1. Plurals (`the first and second images`) name no single image and are left out.
    """
    names: list[tuple[int, int, int]] = []
    for found in _NAME.finditer(text):
        if word := found["word"]:
            index = _NUMBERS.index(word.lower())
        elif digits := found["digits"]:
            index = int(digits) - 1
        elif (ordinal := found["ordinal"].lower()) in _ORDINALS:
            index = _ORDINALS.index(ordinal)
        else:
            index = count - 1 if ordinal in ("last", "final") else int(ordinal[:-2]) - 1
        names.append((found.start(), found.end(), index))
    return names


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
    # Boxes hold no names or ends of sentences once they are blanked, and keep their places.
    plain = text
    for start, end in boxes:
        plain = plain[:start] + "\0" * (end - start) + plain[end:]
    names = image_names(plain, count)
    ends = [found.end() for found in _ITEM_END.finditer(plain)]
    images: list[int] = []
    for number, (start, end) in enumerate(boxes, 1):
        item = (
            max((e for e in ends if e <= start), default=0),
            min((e for e in ends if e >= end), default=len(plain)),
        )
        image = _named(plain, names, boxes, (start, end), item)
        if image is None:
            image = only_image(turn, count)
        if not 0 <= image < count:
            raise ValueError(f"box {number} is in image {image + 1}, but images are 1 to {count}")
        images.append(image)
    return images


def _named(
    text: str, names: list[tuple[int, int, int]], boxes: Sequence[Span], box: Span, item: Span
) -> int | None:
    joined = _ATTACHED.match(text, box[1])
    before = [name for name in names if name[1] <= box[0]]
    after = [name for name in names if box[1] <= name[0] < item[1]]
    if joined and after and after[0][0] == joined.end():
        return after[0][2]
    here = [name for name in before if name[0] >= item[0]]
    first_box = min(start for start, _ in boxes if start >= item[0])
    if after and not (here and here[0][0] < first_box):
        return after[0][2]
    return before[-1][2] if before else None
