"""MIG-Bench: ten tasks of multi-image grounding, one question and one box an item.

    ROOT/MIG_data.json          a list of items: task, images, question, answer, additional_info,
                                need_format
    ROOT/images/<folder>/...    as `images.zip` unpacks; the items call it ./MIG-Bench/images/...
    ROOT/MIG-Bench/{MIG_data.json, images/...} is read as well

After the released file and its evaluation script (eval/MIG-Bench of thunlp/Migician). `answer` is
x1, y1, x2, y2 as shares of the image's sides, three decimals, so half a thousandth of a side is
the best any box can do. Each question has one target image: the last image that the question
names (common_object, multi_view, object_tracking), the source, image 1 (region), the one that the
sentence in `additional_info` names (group_grounding), else image 2. Questions are kept byte for
byte, wrong English ("2th image") included.

The released labels hold faults. Each is a drop with a reason and none is mended; labels are looked
at before images, so that a copy without pixels can be checked too. A box in 0-1000 that a question
gives (multi_view, object_tracking) is a region to be ignored, in image 1.

The host's tag says Apache-2.0, but the images are those of Objects365, SA-1B, GOT-10k and others,
whose terms differ: the licence is `unknown`.
"""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import msgspec

from mgdata.corpora import clips
from mgdata.corpora.looked import Looked
from mgdata.data import Drop, Image, Record, Region, Shape
from mgdata.errors import Rejected
from mgdata.geometry import THOUSAND, Box, upright
from mgdata.headers import Header
from mgdata.identity import content_id
from mgdata.plugins import Corpus

FILE = "MIG_data.json"
FOLDER = "MIG-Bench/"

Where = Literal["named", "sentence", "source", "second"]


class _Task(NamedTuple):
    least: int
    """Images of an item, at least and at most."""
    most: int
    where: Where
    """What tells the image that is asked about."""


TASKS = {
    "common_object": _Task(3, 5, "named"),
    "correspondence": _Task(2, 2, "second"),
    "diff": _Task(2, 2, "second"),
    "group_grounding": _Task(3, 5, "sentence"),
    "multi_view": _Task(2, 6, "named"),
    "object_tracking": _Task(6, 6, "named"),
    "reasoning": _Task(2, 2, "second"),
    "refer_grounding": _Task(2, 2, "second"),
    "region": _Task(2, 4, "source"),
    "view_diff": _Task(2, 2, "second"),
}
"""The released file's tasks and their numbers of images."""

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
_NTH = rf"(?:(\d+)(?:st|nd|rd|th)|({'|'.join(_ORDINALS)}))"
_IMAGE = re.compile(rf"\bimage[- ]?(\d+)\b|\b{_NTH} image\b", re.IGNORECASE)
_CROP = re.compile(rf"\b{_NTH} region\b", re.IGNORECASE)
_GIVEN = re.compile(r"<\|box_start\|>\((-?\d+), ?(-?\d+)\), ?\((-?\d+), ?(-?\d+)\)<\|box_end\|>")


class _Raw(msgspec.Struct):
    """An item as it is written; `answer` is looked at by itself."""

    task: str
    images: list[str]
    question: str
    answer: Any
    additional_info: str = ""


class _Item(NamedTuple):
    """An item whose label holds together."""

    task: str
    images: tuple[str, ...]
    question: str
    answer: tuple[float, float, float, float]
    asked: int
    """Index of the image that holds the answer."""
    given: Box | None
    """The box that the question gives in the first image, 0 to 1000."""


@dataclass(frozen=True, kw_only=True)
class MigBench(Corpus):
    """Reads MIG-Bench: a record is one item, its key `<name>/<task>/<position in the file>`.

    Positions count from 0. The answer is the region that is not to be ignored; its label is the
    task and its phrase the question. Items over the same images share a unit.
    """

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://github.com/thunlp/Migician"
    layout: ClassVar[str] = "MIG_data.json\nimages/<folder>/..."
    shape: ClassVar[Shape] = "set"

    names_only: bool = False
    """For `filters.exclude` alone: every item becomes a record, faulty or not, without regions.

    Its images are not opened and need not be there; they pass for 1 x 1 pixels. Without this, a
    faulty item or one whose images are missing is no record, and excludes nothing.
    """

    def parts(self) -> list[str]:
        """MIG_data.json, or whatever MIG_data*.json lie beside each other where it is not there."""
        for folder in ("", FOLDER):
            names = [n for n in self.root.list(folder) if re.fullmatch(r"MIG_data.*\.json", n)]
            if names:
                return [folder + name for name in ([FILE] if FILE in names else names)]
        raise clips.wrong_layout(self, f"{FILE} and images/")

    def records(self, part: str) -> Iterator[Record | Drop]:
        """A record or a drop for every item of the file."""
        try:
            raw = self._items(part)
        except Rejected as error:
            yield self.drop(part, error.reason, error.value)
            return
        if self.names_only:
            yield from self._names(raw)
            return
        items, faults = _checked(raw)
        looked = self.looked()
        for position, found in enumerate(raw):
            key = _key(found, position)
            try:
                if position in faults:
                    raise faults[position]
                yield self._record(key, items[position], looked)
            except Rejected as error:
                yield self.drop(key, error.reason, error.value)

    def _items(self, part: str) -> list[Any]:
        try:
            # Python's own: it reads NaN, so that one such number loses an item and not the file.
            found = json.loads(clips.text(self, part))
        except (ValueError, RecursionError) as error:
            raise Rejected("malformed annotation", f"{part}: {error}") from None
        if not isinstance(found, list):
            raise Rejected("malformed annotation", f"{part}: {type(found).__name__}, not a list")
        return found  # pyright: ignore[reportUnknownVariableType]

    def _names(self, raw: Sequence[Any]) -> Iterator[Record | Drop]:
        base = self._base()
        for position, found in enumerate(raw):
            key = _key(found, position)
            try:
                paths = [base + _inner(path) for path in _typed(found).images]
                if not paths:
                    raise Rejected("wrong number of images", "0")
                images = tuple(Image(uri=self.uri(p), width=1, height=1) for p in paths)
                yield self._made(key, images, ())
            except Rejected as error:
                yield self.drop(key, error.reason, error.value)

    def _record(self, key: str, item: _Item, looked: Looked) -> Record:
        base = self._base()
        paths = [base + _inner(path) for path in item.images]
        found = [looked.header(path) for path in paths]
        regions: list[Region] = []
        if item.given is not None:
            given = THOUSAND.read(msgspec.structs.astuple(item.given), *_stored(found[0]))
            regions.append(self._region(0, found[0], given, item, ignore=True))
        width, height = _stored(found[item.asked])
        x1, y1, x2, y2 = item.answer
        box = Box(x1 * width, y1 * height, x2 * width, y2 * height)
        regions.append(self._region(item.asked, found[item.asked], box, item))
        images = tuple(
            Image(
                uri=self.uri(path),
                width=header.upright[0],
                height=header.upright[1],
                orientation=header.orientation,
                format=header.format,
            )
            for path, header in zip(paths, found, strict=True)
        )
        return self._made(key, images, tuple(sorted(regions, key=lambda r: r.image)))

    def _region(
        self, image: int, header: Header, box: Box, item: _Item, ignore: bool = False
    ) -> Region:
        """A region for a box in stored pixels; the given one has no phrase."""
        return Region(
            image=image,
            box=upright(box, *_stored(header), header.orientation),
            label=item.task,
            phrase=None if ignore else item.question,
            track=clips.TARGET if item.given is not None else None,
            ignore=ignore,
        )

    def _made(self, key: str, images: tuple[Image, ...], regions: tuple[Region, ...]) -> Record:
        return Record(
            key=f"{self.name}/{key}",
            shape=self.shape,
            unit=content_id(*(image.uri for image in images)),
            images=images,
            regions=regions,
            license=self.license,
        )

    def looked(self) -> Looked:
        """Where the headers of its images are had from."""
        return Looked(self.root)

    def _base(self) -> str:
        return FOLDER if self.root.exists(FOLDER + "images") else ""


def _stored(header: Header) -> tuple[int, int]:
    return header.width, header.height


def _key(found: Any, position: int) -> str:
    task: Any = found.get("task") if isinstance(found, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    known = isinstance(task, str) and task in TASKS
    return f"{task if known else 'unknown'}/{position}"


def _inner(path: str) -> str:
    """An image's path below the folder that holds `images`."""
    return posixpath.normpath(path).removeprefix(FOLDER) if ".." not in path else path


def _checked(raw: Sequence[Any]) -> tuple[dict[int, _Item], dict[int, Rejected]]:
    """The items whose labels hold together, and what is wrong with the others, by position."""
    items: dict[int, _Item] = {}
    faults: dict[int, Rejected] = {}
    for position, found in enumerate(raw):
        try:
            items[position] = _item(_typed(found))
        except Rejected as error:
            faults[position] = error
    return items, faults | _repeats(items)


def _typed(found: Any) -> _Raw:
    try:
        raw = msgspec.convert(found, _Raw)
        "".join((raw.question, raw.additional_info, *raw.images)).encode()
    except msgspec.ValidationError as error:
        raise Rejected("malformed item", str(error)) from None
    except UnicodeEncodeError:  # JSON can write a half of a surrogate pair
        raise Rejected("malformed item", "text that is not Unicode") from None
    return raw


def _item(raw: _Raw) -> _Item:
    task = TASKS.get(raw.task)
    if task is None:
        raise Rejected("unknown task", ascii(raw.task[:80]))
    if not task.least <= len(raw.images) <= task.most:
        raise Rejected("wrong number of images", f"{raw.task} with {len(raw.images)}")
    if not raw.question.strip():
        raise Rejected("blank question")
    answer = _answer(raw.answer)
    asked = _asked(raw, task)
    if task.where == "sentence" and (told := _GIVEN.search(raw.additional_info)):
        apart = [abs(int(n) / 1000 - a) for n, a in zip(told.groups(), answer, strict=True)]
        if max(apart) > 0.002:  # both are rounded to a thousandth, one may be cut instead
            raise Rejected("answer and sentence differ", f"{raw.answer} and {told[0]}")
    given = _given(raw) if task.where == "named" else None
    return _Item(raw.task, tuple(raw.images), raw.question, answer, asked, given)


def _answer(answer: Any) -> tuple[float, float, float, float]:
    """The four numbers of an answer, which must be a box within 0 to 1."""
    shown = json.dumps(answer)[:80]
    numbers: list[Any] = answer if isinstance(answer, list) else []
    if len(numbers) != 4 or any(type(n) not in (int, float) for n in numbers):
        raise Rejected("answer is not four numbers", shown)
    try:
        x1, y1, x2, y2 = (float(n) for n in numbers)
    except OverflowError:  # JSON's whole numbers have no end
        raise Rejected("answer is not four numbers", shown) from None
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        raise Rejected("nan box", shown)
    if not all(0 <= n <= 1 for n in (x1, y1, x2, y2)):
        raise Rejected("box outside the image", shown)
    if x1 > x2 or y1 > y2:
        raise Rejected("inverted box", shown)
    if x1 == x2 or y1 == y2:
        raise Rejected("zero box", shown)
    return x1, y1, x2, y2


def _asked(raw: _Raw, task: _Task) -> int:
    """Index of the image that holds the answer."""
    if task.where == "second":
        return 1
    text = raw.additional_info if task.where == "sentence" else raw.question
    named = (_CROP if task.where == "source" else _IMAGE).findall(text)
    if not named:
        raise Rejected("asked image not told", text[:80] or None)
    numbers = [n for n in named[-1] if n]
    number = int(numbers[0]) if numbers[0].isdigit() else 1 + _ORDINALS.index(numbers[0].lower())
    # A region's number counts the crops, which follow the source.
    last = len(raw.images) - (task.where == "source")
    if not 1 <= number <= last:
        raise Rejected("asked image is not there", f"{number} of {last}")
    return 0 if task.where == "source" else number - 1


def _given(raw: _Raw) -> Box | None:
    found = _GIVEN.search(raw.question)
    if found is None:
        return None
    numbers = [int(n) for n in found.groups()]
    try:
        THOUSAND.read(numbers, 1000, 1000)
    except ValueError:
        raise Rejected("given box is no box", found[0]) from None
    return Box(*map(float, numbers))


def _repeats(items: Mapping[int, _Item]) -> dict[int, Rejected]:
    """What is wrong with items that ask what another one asks, by position."""
    asked: dict[tuple[str, tuple[str, ...], str], list[int]] = {}
    for position, item in items.items():
        asked.setdefault((item.task, item.images, item.question), []).append(position)
    faults: dict[int, Rejected] = {}
    for same in asked.values():
        if len({items[position].answer for position in same}) > 1:
            # Which of them is right, the file does not say.
            together = ", ".join(map(str, same))
            faults |= {p: Rejected("two answers to one question", together) for p in same}
        else:
            faults |= {p: Rejected("repeated item", f"first at {same[0]}") for p in same[1:]}
    return faults
