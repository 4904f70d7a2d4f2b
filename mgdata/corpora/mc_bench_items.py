"""MC-Bench's one file, joined into items: each text with its two images and their boxes.

The released labels hold faults: every item that one touches has it named, nothing is mended, and
an entry that belongs to no item is named by its place in the file. It opens no image.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import msgspec

from mgdata.errors import Rejected

IMAGES = 2
"""Images of an item: the benchmark has pairs only."""
_UNKNOWN, _NO_PICTURE = "unknown image id", "malformed image entry"
IMAGE_FAULTS = (_UNKNOWN, _NO_PICTURE)
"""What is wrong with an item of which an image's name is not known."""
GROUP = re.compile(r"group ([1-9][0-9]{0,8})")

_Raw = TypeVar("_Raw", bound="_Entry")
_LONGEST = 1 << 31
_TEXTS = ("text", "text_style", "file_name")


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    id: int


class Description(_Entry, frozen=True, kw_only=True):
    """A text and the ids of the images that it is about."""

    images_id: list[int]
    text: str
    positive_sample: bool
    text_style: str = ""


class Picture(_Entry, frozen=True, kw_only=True):
    """An image as one item shows it; another item has another entry for the same file."""

    file_name: str
    text_id: int | None = None
    width: int | None = None
    height: int | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels as the file states them; None where it does not."""
        if self.width is None or self.height is None:
            return None
        sides = self.width, self.height
        return sides if all(0 < side < _LONGEST for side in sides) else None


class _Annotation(_Entry, frozen=True, kw_only=True):
    """A box; the page that describes the file spells `catgory_id`."""

    image_id: int
    bbox: Any
    text_id: int | None = None
    category_id: int | None = None
    catgory_id: int | None = None
    iscrowd: int = 0


class Instance(NamedTuple):
    """A box of an item, in the pixels that the file means."""

    image: int
    """0 or 1."""
    xywh: tuple[float, float, float, float]
    """Left, top, width and height; width and height are positive, all are finite."""
    group: str
    crowd: bool


class Item(NamedTuple):
    """An item whose labels hold together, but for what only its images can tell."""

    description: Description
    pictures: tuple[Picture, ...]
    instances: tuple[Instance, ...]
    """Sorted by image."""

    @property
    def text(self) -> str:
        """What it asks for; a few texts of the file end in a line break."""
        return self.description.text.strip()


@dataclass(frozen=True)
class Labels:
    """What a file holds, in its order."""

    items: dict[int, Item] = field(default_factory=dict[int, Item])
    """By position among the descriptions."""
    faults: dict[int, Rejected] = field(default_factory=dict[int, Rejected])
    """What is wrong with the others, by position."""
    loose: list[tuple[str, Rejected]] = field(default_factory=list[tuple[str, Rejected]])
    """Entries of no item: `images[12]`, `annotations[3]`."""
    ids: list[int | None] = field(default_factory=list[int | None])
    """The id of each description; None where there is none to be read."""
    files: dict[int, tuple[str, ...]] = field(default_factory=dict[int, tuple[str, ...]])
    """Image files of each description, faulty or not, as far as they are known; by position."""
    spare: dict[str, str] = field(default_factory=dict[str, str])
    """Image files of the loose entries that have one."""


def read(text: str) -> Labels:
    """The items of a file and all that is wrong with it.

    Raises:
        Rejected: it is no JSON, or lacks one of its lists.
    """
    try:
        # Python's own: it reads NaN, so that one such number loses an item and not the file.
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Rejected("malformed annotation", str(error)) from None
    lists: list[list[Any]] = []
    for name in ("descriptions", "images", "annotations"):
        entries: Any = found.get(name) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if not isinstance(entries, list):
            raise Rejected("malformed annotation", f"no list of {name}")
        lists.append(entries)  # pyright: ignore[reportUnknownArgumentType]
    descriptions, images, annotations = lists
    return _Join(descriptions, images, annotations, _groups(found.get("categories"))).labels()  # pyright: ignore[reportUnknownMemberType]


def _groups(categories: Any) -> dict[int, str] | None:
    """Names of the groups by category id; None where the file has no such list."""
    if not isinstance(categories, list):
        return None
    names: dict[int, str] = {}
    for entry in categories:  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(entry, dict):
            continue
        id_: Any = entry.get("id")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        name: Any = entry.get("name")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if type(id_) is int and isinstance(name, str):
            # An id with two names is none: which of them is meant, the file does not say.
            names[id_] = name if names.get(id_, name) == name else ""
    return names


class _Join:
    """Brings the three lists together by their ids."""

    def __init__(
        self,
        descriptions: Sequence[Any],
        images: Sequence[Any],
        annotations: Sequence[Any],
        groups: Mapping[int, str] | None,
    ) -> None:
        self._groups = groups
        self._labels = Labels()
        self._descriptions = [
            _typed(one, Description, "malformed description") for one in descriptions
        ]
        self._labels.ids.extend(_id(one, "id") for one in descriptions)
        self._positions: dict[int, list[int]] = defaultdict(list)
        for position, id_ in enumerate(self._labels.ids):
            if id_ is not None:
                self._positions[id_].append(position)
        self._owners: dict[int, list[int]] = defaultdict(list)
        self._shown = [_images(one) for one in descriptions]
        for position, ids in enumerate(self._shown):
            for id_ in dict.fromkeys(ids):
                self._owners[id_].append(position)
        self._pictures: dict[int, list[Picture | Rejected]] = defaultdict(list)
        self._take_images(images)
        self._boxes: dict[int, list[_Annotation]] = defaultdict(list)
        self._take_annotations(annotations)

    def labels(self) -> Labels:
        """All of it. Of several faults of an item, its description's own is told first."""
        found = self._labels
        for position, one in enumerate(self._descriptions):
            pictures = [p for id_ in self._shown[position] for p in self._pictures.get(id_, ())]
            found.files[position] = tuple(p.file_name for p in pictures if isinstance(p, Picture))
            try:
                description = self._sound(one)
                if position not in found.faults:
                    found.items[position] = self._item(description)
            except Rejected as error:
                found.faults[position] = error
        for position, error in _repeats(found.items).items():
            found.faults[position] = error
            del found.items[position]
        return found

    def _take_images(self, images: Sequence[Any]) -> None:
        for place, raw in enumerate(images):
            picture = _typed(raw, Picture, _NO_PICTURE)
            id_ = _id(raw, "id")
            if id_ in self._owners:
                self._pictures[id_].append(picture)
                continue
            where = f"images[{place}]"
            if isinstance(picture, Picture):
                self._labels.spare[where] = picture.file_name
                picture = Rejected("image of no item", picture.file_name)
            self._labels.loose.append((where, picture))

    def _take_annotations(self, annotations: Sequence[Any]) -> None:
        seen: Counter[int] = Counter()
        told: dict[int, set[int]] = defaultdict(set)
        for place, raw in enumerate(annotations):
            one = _typed(raw, _Annotation, "malformed annotation entry")
            concerned = self._concerned(raw)
            if not concerned:
                error = one if isinstance(one, Rejected) else None
                error = error or Rejected("annotation of no item", f"image {_id(raw, 'image_id')}")
                self._labels.loose.append((f"annotations[{place}]", error))
                continue
            if isinstance(one, Rejected):
                self._fault(concerned, one)
                continue
            self._boxes[one.image_id].append(one)
            seen[one.id] += 1
            told[one.id] |= concerned
            if one.image_id not in self._owners:
                value = f"annotation {one.id} of image {one.image_id}"
                self._fault(concerned, Rejected("annotation of another image", value))
            elif len(concerned) > 1 or not self._agree(one.text_id, concerned):
                value = f"annotation {one.id} of image {one.image_id} and text {one.text_id}"
                self._fault(concerned, Rejected("text ids disagree", value))
        for id_, count in seen.items():
            if count > 1:
                self._fault(told[id_], Rejected("repeated annotation id", str(id_)))

    def _concerned(self, raw: Any) -> set[int]:
        """The items that an annotation may belong to: its image's, and the one it names."""
        image, text = _id(raw, "image_id"), _id(raw, "text_id")
        owners = self._owners.get(image, []) if image is not None else []
        named = self._positions.get(text, []) if text is not None else []
        return {*owners, *named}

    def _agree(self, text: int | None, positions: set[int]) -> bool:
        return text is None or all(self._labels.ids[p] == text for p in positions)

    def _fault(self, positions: set[int], error: Rejected) -> None:
        for position in positions:
            self._labels.faults.setdefault(position, error)

    def _sound(self, one: Description | Rejected) -> Description:
        if isinstance(one, Rejected):
            raise one
        if len(same := self._positions[one.id]) > 1:
            raise Rejected("repeated description id", f"at {', '.join(map(str, same))}")
        if not one.text.strip():
            raise Rejected("blank text")
        if len(one.images_id) != IMAGES:
            raise Rejected("wrong number of images", str(len(one.images_id)))
        for id_ in one.images_id:
            if one.images_id.count(id_) > 1 or len(self._owners[id_]) > 1:
                raise Rejected("image id in use twice", str(id_))
        return one

    def _item(self, one: Description) -> Item:
        pictures = tuple(self._picture(id_, one) for id_ in one.images_id)
        instances = tuple(
            _instance(image, annotation, self._groups)
            for image, id_ in enumerate(one.images_id)
            for annotation in self._boxes.get(id_, ())
        )
        _whole(one, instances)
        return Item(one, pictures, instances)

    def _picture(self, id_: int, one: Description) -> Picture:
        found = self._pictures.get(id_, [])
        if not found:
            raise Rejected(_UNKNOWN, str(id_))
        if len(found) > 1:
            raise Rejected("repeated image id", str(id_))
        (picture,) = found
        if isinstance(picture, Rejected):
            raise picture
        if picture.text_id not in (None, one.id):
            raise Rejected("text ids disagree", f"image {id_} of text {picture.text_id}")
        return picture


def _typed(raw: Any, kind: type[_Raw], what: str) -> _Raw | Rejected:
    try:
        found = msgspec.convert(raw, kind)
        "".join(getattr(found, name, "") for name in _TEXTS).encode()
    except msgspec.ValidationError as error:
        return Rejected(what, str(error))
    except UnicodeEncodeError:  # JSON can write a half of a surrogate pair
        return Rejected(what, "text that is not Unicode")
    return found


def _id(raw: Any, name: str) -> int | None:
    """An entry's id as far as it can be read; 3.0 is 3, as it is where the whole entry is read."""
    value: Any = raw.get(name) if isinstance(raw, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if type(value) is float and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def _images(raw: Any) -> list[int]:
    """The image ids of a description, as far as they can be read."""
    ids: Any = raw.get("images_id") if isinstance(raw, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(ids, list):
        return []
    found = (_id({"id": one}, "id") for one in ids)  # pyright: ignore[reportUnknownVariableType]
    return [id_ for id_ in found if id_ is not None]


def _instance(image: int, one: _Annotation, groups: Mapping[int, str] | None) -> Instance:
    ids = {id_ for id_ in (one.category_id, one.catgory_id) if id_ is not None}
    if len(ids) != 1:
        raise Rejected("category id is not told", f"annotation {one.id}")
    (id_,) = ids
    group = f"group {id_}" if groups is None else groups.get(id_, "")
    if not GROUP.fullmatch(group):
        raise Rejected("category is no group", f"annotation {one.id}: {id_} {group[:40]!a}")
    return Instance(image, _xywh(one), group, bool(one.iscrowd))


def _xywh(one: _Annotation) -> tuple[float, float, float, float]:
    shown = f"annotation {one.id}: {ascii(one.bbox)[:80]}"
    numbers: list[Any] = one.bbox if isinstance(one.bbox, list) else []
    if len(numbers) != 4 or any(type(n) not in (int, float) for n in numbers):
        raise Rejected("box is not four numbers", shown)
    try:
        x, y, w, h = (float(n) for n in numbers)
    except OverflowError:  # JSON's whole numbers have no end
        raise Rejected("box is not four numbers", shown) from None
    if not all(map(math.isfinite, (x, y, w, h, x + w, y + h))):
        raise Rejected("nan box", shown)
    if w < 0 or h < 0:
        raise Rejected("inverted box", shown)
    if w == 0 or h == 0:
        raise Rejected("zero box", shown)
    return x, y, w, h


def _whole(one: Description, instances: Sequence[Instance]) -> None:
    """Boxes are there where they should be, once each."""
    counted = [instance for instance in instances if not instance.crowd]
    if one.positive_sample and not counted:
        raise Rejected("positive without a box")
    if instances and not one.positive_sample:
        raise Rejected("negative with a box", f"{len(instances)}")
    if len(set(counted)) < len(counted):
        ((again, _),) = Counter(counted).most_common(1)
        raise Rejected("repeated box", f"image {again.image}: {list(again.xywh)}")


def _repeats(items: Mapping[int, Item]) -> dict[int, Rejected]:
    """What is wrong with items that ask what another one asks, by position."""
    asked: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for position, item in items.items():
        files = (picture.file_name for picture in item.pictures)
        asked[(item.text, *files)].append(position)
    faults: dict[int, Rejected] = {}
    for same in asked.values():
        ids = [items[position].description.id for position in same]
        if len({frozenset(items[position].instances) for position in same}) > 1:
            # Which of them is right, the file does not say.
            together = ", ".join(map(str, ids))
            faults |= {p: Rejected("two answers to one text", together) for p in same}
        else:
            faults |= {p: Rejected("repeated item", f"first as {ids[0]}") for p in same[1:]}
    return faults


def units(files: Mapping[int, tuple[str, ...]]) -> Iterator[tuple[int, str]]:
    """For each position the first of all files that hang together with its own by shared items."""
    root: dict[str, str] = {}

    def top(file: str) -> str:
        while (above := root.setdefault(file, file)) != file:
            root[file] = root[above]
            file = above
        return file

    for named in files.values():
        tops = sorted({top(file) for file in named})
        root.update(dict.fromkeys(tops, tops[0] if tops else ""))
    for position, named in files.items():
        if named:
            yield position, top(named[0])
