"""What can be wrong with a release: the names of faults, and the faults of one row.

Pure functions over a row and what is known of its pictures. Knows no file; `check` does. What a
lesson must hold beyond any row is in `lesson_faults`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

import msgspec

from mgdata import placeholders
from mgdata.data import Association, Flow, Image, Target, Turn
from mgdata.errors import MgdataError, Rejected
from mgdata.geometry import Box
from mgdata.images import needs_convert, verify
from mgdata.notations import IMAGE_TOKEN, conversation
from mgdata.plugins import Notation
from mgdata.release import lesson_faults
from mgdata.release.rows import LessonRow, Row, RowTarget, RowTurn
from mgdata.teacher import thought
from mgdata.validity import box_fault, turn_fault

KINDS = {
    "no card": "README.md is missing or its front matter cannot be read",
    "card": "the card names other configurations, splits or row counts than the files hold",
    "stray file": "a file that belongs to no split",
    "missing file": "the numbering of a split's files has a gap",
    "unreadable file": "not a whole Parquet file",
    "schema": "columns or types differ from the release row's",
    "mixed rows": "a configuration has files of plain rows and files of lessons",
    "features": "the `huggingface` key is missing or names other features",
    "row format": "written for another version of the row",
    "page index": "a column has no page index",
    "row group size": "a row group is too large once decoded",
    "row type": "a value is missing or has the wrong type",
    "image count": "images and image_info differ in length, or there is none",
    "image": "an image does not decode",
    "image format": "an image that readers do not agree on: not an upright 8-bit RGB JPEG or PNG",
    "image size": "an image has another size than its row states",
    "image hash": "the bytes of an image have another SHA-256 than its row states",
    "image name": "an image is not named after its content",
    "box": "a box is not finite, empty, inverted, outside its image or in no image",
    "placeholder": "a placeholder is missing, doubled or points nowhere",
    "turn": "a turn breaks a rule",
    "notation": "the notation is unknown, or has another frame than the row states",
    "messages": "the messages are not the turns written in the notation",
    "answer": "the written answer does not read back as the targets",
    "form": "a lesson has another form than its configuration",
    "reasoning": "a reasoning is missing, is not to be there, or cannot be read back",
    "ground truth": "a ground truth is not that of the last turn in the row's notation",
    "pass rate": "a pass rate is no share of its answers",
    "teacher": "what is said of the teacher does not go together",
    "empty field": "a text field is empty or has a value it cannot have",
    "licence": "the licence is empty",
    "split": "the row states another split than its file",
    "duplicate id": "two rows of a configuration have one id",
    "order": "the order column is no permutation",
    "shared picture": "a picture is in two splits",
    "shared record": "a record is in two splits",
}
"""Every kind of fault, with what it means."""

KEPT = 20
"""Faults of one kind that are kept; all are counted."""


class Fault(Flow, frozen=True):
    """One thing that is wrong."""

    kind: str
    """One of `KINDS`."""
    file: str
    """Relative to the release; empty where it concerns no one file."""
    row: int | None
    """Row of that file."""
    id: str
    """The row's id, where it can be told."""
    what: str
    """What was found."""


class Faults:
    """Collects faults: every one counted, the first few of each kind kept."""

    def __init__(self) -> None:
        self.kept: list[Fault] = []
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, file: str, what: str, *, row: int | None = None, id: str = "") -> None:
        """One more fault of a kind named in `KINDS`."""
        assert kind in KINDS, kind
        self.counts[kind] += 1
        if self.counts[kind] <= KEPT:
            self.kept.append(Fault(kind=kind, file=file, row=row, id=id, what=what))


Found = tuple[str, str]
"""Kind and what was found."""

Part = tuple[str, str]
"""Configuration and split."""


class Picture(Flow, frozen=True):
    """What is known of one image's bytes."""

    sha256: str
    """Of the bytes."""
    bytes: int
    """How many they are."""
    width: int = 0
    """Pixels, upright; 0 where it does not decode."""
    height: int = 0
    """Pixels, upright; 0 where it does not decode."""
    ending: str = ""
    """Of its name, by its format."""
    fault: Found | None = None
    """Why it cannot be published."""


def look(data: bytes, known: Mapping[str, Picture]) -> Picture:
    """Hash and fully decode one image; of one that is already `known` by its hash, hash only."""
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 in known:
        return known[sha256]
    try:
        header = verify(data, "strict")
    except Rejected as error:
        return Picture(sha256=sha256, bytes=len(data), fault=("image", str(error)))
    width, height = header.upright
    why = needs_convert(header)
    if header.orientation != 1:
        why = f"EXIF orientation {header.orientation}"
    return Picture(
        sha256=sha256,
        bytes=len(data),
        width=width,
        height=height,
        ending={"jpeg": ".jpg", "png": ".png"}.get(header.format, ""),
        fault=("image format", why) if why else None,
    )


def row_faults(
    row: Row, part: Part, pictures: Sequence[Picture], notation: Callable[[str, str], Notation]
) -> Iterator[Found]:
    """What is wrong with one row of a file of `part`.

    `pictures` are its images, in order; `notation` makes a notation of its name and its frame's. A
    fault that only follows from another is not named: what cannot be written is not compared with
    the messages.
    """
    config, split = part
    yield from _fields(row, split)
    if isinstance(row, LessonRow):
        yield from lesson_faults.fields(row, config)
    if not row.images or len(row.images) != len(row.image_info):
        yield "image count", f"{len(row.images)} images, {len(row.image_info)} image_info"
        return
    for i, picture in enumerate(pictures):
        if found := _image_fault(row, i, picture):
            yield found
    # A size that is stated wrong is one fault, not also one of every box and number beside it.
    images = [
        Image(uri=info.uri, width=picture.width or info.width, height=picture.height or info.height)
        for info, picture in zip(row.image_info, pictures, strict=True)
    ]
    found = list(_turn_faults(row, images))
    if isinstance(row, LessonRow):
        found += lesson_faults.reasoning_faults(row, config)
    yield from found
    if not found:
        yield from _text_faults(row, config, images, notation)


def _fields(row: Row, split: str) -> Iterator[Found]:
    for name in ("id", "task"):
        if not getattr(row, name).strip():
            yield "empty field", f"{name} is empty"
    if not row.records or not all(record.strip() for record in row.records):
        yield "empty field", "records holds no key, or an empty one"
    if row.association not in get_args(Association):
        yield "empty field", f"association is {row.association!r}"
    if not row.license.strip():
        yield "licence", "license is empty"
    if row.split != split:
        yield "split", f"split is {row.split!r} in a file of {split!r}"


def _image_fault(row: Row, i: int, picture: Picture) -> Found | None:
    info, path = row.image_info[i], row.images[i].path
    # A wrong hash first: bytes that are not the stated ones may well decode to nothing.
    if info.sha256 != picture.sha256:
        return "image hash", f"image {i}: {picture.sha256}, stated {info.sha256}"
    if picture.fault:
        return picture.fault[0], f"image {i}: {picture.fault[1]}"
    if (info.width, info.height) != (picture.width, picture.height):
        stated = f"{info.width}x{info.height}"
        return "image size", f"image {i}: {picture.width}x{picture.height}, stated {stated}"
    if path != (name := picture.sha256[:16] + picture.ending):
        return "image name", f"image {i}: {path!r}, its content asks for {name!r}"
    return None


def _turn_faults(row: Row, images: Sequence[Image]) -> Iterator[Found]:
    """The first fault of the turns, or of the image slots over all of them."""
    slots: list[int] = []
    if not row.turns:
        yield "turn", "there is no turn"
    for number, turn in enumerate(row.turns):
        found = _box_fault(turn, images) or _rule_fault(turn, images)
        if found:
            yield found[0], f"turn {number}: {found[1]}"
            return
        slots += [i for kind, i in placeholders.find(turn.question) if kind == "image"]
    if row.turns and slots != list(range(len(images))):
        yield "placeholder", f"image slots {slots} for {len(images)} images"


def _box_fault(turn: RowTurn, images: Sequence[Image]) -> Found | None:
    for target in (*turn.regions, *turn.targets):
        if not 0 <= target.image < len(images):
            return "box", f"in image {target.image}, there are {len(images)}"
        if fault := box_fault(Box(*target.box), images[target.image]):
            return "box", fault
    return None


def _rule_fault(turn: RowTurn, images: Sequence[Image]) -> Found | None:
    for name in ("question", "answer"):
        if not getattr(turn, name).strip():
            return "empty field", f"{name} is empty"
    sizes = {"image": len(images), "region": len(turn.regions), "target": len(turn.targets)}
    if fault := placeholders.check(turn.question, turn.answer, sizes):
        return "placeholder", fault
    fault = turn_fault(_turn(turn), images)
    return ("turn", fault) if fault else None


def _text_faults(
    row: Row, config: str, images: Sequence[Image], notation: Callable[[str, str], Notation]
) -> Iterator[Found]:
    try:
        speaker = notation(row.notation, row.frame)
    except MgdataError:
        yield "notation", f"no notation {row.notation!r} with frame {row.frame!r}"
        return
    if row.frame != speaker.frame:
        yield "notation", f"{row.notation} has frame {speaker.frame}, stated {row.frame!r}"
    turns = [_turn(turn) for turn in row.turns]
    if isinstance(row, LessonRow):
        yield from lesson_faults.truth_faults(row, speaker.frame, turns[-1], images)
    try:
        written = conversation(speaker, turns, images)
        if isinstance(row, LessonRow):
            written = lesson_faults.expected(row, config, written)
    except ValueError as error:
        yield "messages", f"the turns cannot be written: {error}"
        return
    slots = sum(m.content.count(IMAGE_TOKEN) for m in row.messages if m.role == "user")
    if slots != len(images):
        yield "messages", f"{slots} {IMAGE_TOKEN} for {len(images)} images"
    elif [(m.role, m.content) for m in row.messages] != [
        (message["role"], message["content"]) for message in written
    ]:
        yield "messages", _difference(row, written)
    else:
        answers = [message.content for message in row.messages[1::2]]
        for number, (text, turn) in enumerate(zip(answers, turns, strict=False)):
            reasoned = number == len(turns) - 1 and getattr(row, "form", "") == "reason"
            if fault := _answer_fault(speaker, text, turn, images, reasoned=reasoned):
                yield "answer", f"turn {number}: {fault}"


def _difference(row: Row, written: Sequence[Mapping[str, str]]) -> str:
    if len(row.messages) != len(written):
        return f"{len(row.messages)} messages for {len(row.turns)} turns"
    pairs = zip(row.messages, written, strict=True)
    number, (found, wanted) = next(
        (i, (m, w))
        for i, (m, w) in enumerate(pairs)
        if (m.role, m.content) != (w["role"], w["content"])
    )
    return f"message {number} is {found.content[:60]!r}, the turn gives {wanted['content'][:60]!r}"


def _answer_fault(
    notation: Notation, text: str, turn: Turn, images: Sequence[Image], *, reasoned: bool
) -> str | None:
    """Why a written answer does not read back as its targets, each to the notation's rounding."""
    try:
        answer = thought.read(text, "reason").answer if reasoned else text
        parsed = notation.parse(answer, turn, images)
    except ValueError as error:
        return str(error)
    wanted = _written(notation, turn.targets, images)
    # An answer may repeat a box of its question, but only at its place and never as a new one.
    allowed = wanted | _written(notation, turn.regions, images)
    found = _written(notation, parsed, images)
    if wanted <= found <= allowed:
        return None
    return f"reads as {len(found)} boxes, {len(found & wanted)} of the {len(wanted)} targets"


def _written(
    notation: Notation, targets: Sequence[Target], images: Sequence[Image]
) -> set[tuple[int, str]]:
    bare = [msgspec.structs.replace(target, phrase=None) for target in targets]
    return {(target.image, notation.region(target, images[target.image])) for target in bare}


def _turn(turn: RowTurn) -> Turn:
    values: dict[str, Any] = {name: getattr(turn, name) for name in turn.__struct_fields__}
    values["regions"] = tuple(map(_target, turn.regions))
    values["targets"] = tuple(map(_target, turn.targets))
    return Turn(**values)


def _target(target: RowTarget) -> Target:
    return Target(image=target.image, box=Box(*target.box), phrase=target.phrase)
