"""All that a COCO-style file says of images and boxes, as columns: what a record is made from.

25 million annotations take 50 bytes each, so that a file of several GB fits. Images and
annotations may come in any order; they are joined by number here. It builds no record.

Measured on generated files like Objects365's, whose many small annotations are the worst case, on
one core: 843 MB (3.8 M annotations) in 6.0 s, 140 MB/s, at a peak of 0.5 GB; 5.8 GB (1.7 M images,
25.5 M annotations) in 45 s of CPU time at a peak of 2.6 GB. ijson's yajl2_c gave the same
annotations as dictionaries at 70 MB/s, before anything was made of them.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mgdata.corpora.coco_json import Broken, Section, read
from mgdata.errors import Rejected
from mgdata.identity import name_hash
from mgdata.storage import Root

Id = int | str
Four = tuple[float, float, float, float]

_NOWHERE: Four = (math.nan, math.nan, math.nan, math.nan)
_NO_ID = -(1 << 63)


class Picture(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One entry of `images`."""

    id: Id
    file_name: str | None = None
    coco_url: str | None = None
    width: float | None = None
    height: float | None = None
    license: Id | None = None
    neg_category_ids: tuple[Id, ...] | None = None
    """LVIS: categories known not to be there."""
    not_exhaustive_category_ids: tuple[Id, ...] | None = None
    """LVIS: categories of which not every instance is annotated."""


class _Annotation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    image_id: Id
    category_id: Id | None = None
    bbox: Four | None = None
    iscrowd: int | bool | None = 0
    id: Id | None = None
    segmentation: msgspec.Raw = msgspec.Raw(b"")


class _Category(msgspec.Struct, frozen=True, kw_only=True):
    id: Id
    name: str


class _License(msgspec.Struct, frozen=True, kw_only=True):
    id: Id
    name: str | None = None
    url: str | None = None


class Rle(msgspec.Struct, frozen=True, kw_only=True):
    """The mask of a crowd."""

    size: tuple[int, int]
    """Height and width."""
    counts: str | list[float]


@dataclass(frozen=True)
class Lost:
    """An entry of the file that is in no record, and why."""

    where: str
    reason: str
    value: str | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """The joined file. Images have numbers in the order in which they are first named."""

    pictures: list[Picture | None]
    """By number; None for an image that only annotations name."""
    names: list[Id]
    """Ids of the images, by number."""
    clashing: frozenset[int]
    """Numbers of images whose id stands for two files."""
    categories: dict[Id, str]
    codes: list[Id | None]
    """Category ids by code."""
    licenses: dict[Id, _License]
    boxes: NDArray[np.float64]
    """[annotations, 4]: x, y, width, height as written; NaN where there is none."""
    category: NDArray[np.int64]
    """[annotations]: code of the category."""
    crowd: NDArray[np.bool_]
    repeated: NDArray[np.bool_]
    """[annotations]: an earlier annotation has this id."""
    masks: dict[int, bytes]
    """JSON of a crowd's run lengths, by row."""
    order: NDArray[np.int64]
    """Rows sorted by image, in the file's order within one."""
    starts: NDArray[np.int64]
    """[images + 1]: the rows of image i are `order[starts[i]:starts[i + 1]]`."""
    lost: list[Lost]
    unattributed: bool
    """An annotation was lost of which even the image is not known."""

    def rows(self, number: int) -> NDArray[np.int64]:
        """Annotations of one image."""
        return self.order[self.starts[number] : self.starts[number + 1]]


def table(root: Root, path: str) -> Table:
    """Read the whole file at `path`.

    Raises:
        Rejected: it is cut, is no JSON, or lacks images, annotations or categories.
        StorageError: it cannot be read.
    """
    reading = _Reading()
    found = read(
        root,
        path,
        {
            "images": Section(Picture, reading.pictures, reading.broken_picture),
            "annotations": Section(_Annotation, reading.annotations, reading.broken_annotation),
            "categories": Section(_Category, reading.categories, reading.broken_category),
            "licenses": Section(_License, reading.licenses, lambda broken: None),
        },
    )
    missing = [name for name in ("images", "annotations", "categories") if name not in found]
    if missing:
        raise Rejected("not a COCO annotation file", f"{path} has no {' and no '.join(missing)}")
    return reading.finished()


@dataclass
class _Reading:
    """Columns that grow."""

    number: dict[Id, int] = field(default_factory=dict[Id, int])
    picture: dict[int, Picture] = field(default_factory=dict[int, Picture])
    clashing: set[int] = field(default_factory=set[int])
    names: dict[Id, str] = field(default_factory=dict[Id, str])
    ambiguous: set[Id] = field(default_factory=set[Id])
    known: dict[Id, _License] = field(default_factory=dict[Id, _License])
    code: dict[Id | None, int] = field(default_factory=dict[Id | None, int])
    image: array[int] = field(default_factory=lambda: array("q"))
    category: array[int] = field(default_factory=lambda: array("q"))
    ids: array[int] = field(default_factory=lambda: array("q"))
    box: array[float] = field(default_factory=lambda: array("d"))
    crowd: bytearray = field(default_factory=bytearray)
    masks: dict[int, bytes] = field(default_factory=dict[int, bytes])
    lost: list[Lost] = field(default_factory=list[Lost])
    unattributed: bool = False

    def pictures(self, block: Sequence[Picture]) -> None:
        for found in block:
            number = self.number.setdefault(found.id, len(self.number))
            first = self.picture.setdefault(number, found)
            if first is not found:
                if first.file_name != found.file_name or first.coco_url != found.coco_url:
                    self.clashing.add(number)
                value = f"{first.file_name}, {found.file_name}"
                self.lost.append(Lost(f"image={found.id}", "repeated image id", value))

    def broken_picture(self, broken: Broken) -> None:
        where = f"images[{broken.at}]"
        self.lost.append(Lost(where, "malformed image entry", _shown(broken.value)))

    def annotations(self, block: Sequence[_Annotation]) -> None:
        number, code = self.number, self.code
        row = len(self.crowd)
        self.image.extend([number.setdefault(a.image_id, len(number)) for a in block])
        self.category.extend([code.setdefault(a.category_id, len(code)) for a in block])
        self.box.extend(chain.from_iterable([a.bbox or _NOWHERE for a in block]))
        crowd = [bool(a.iscrowd) for a in block]
        self.crowd.extend(crowd)
        try:
            self.ids.extend([a.id for a in block])  # pyright: ignore[reportArgumentType]
        except (TypeError, OverflowError):
            del self.ids[row:]
            self.ids.extend([_key(a.id) for a in block])
        if True in crowd:
            for at, found in enumerate(block):
                if found.iscrowd and (mask := bytes(found.segmentation))[:1] == b"{":
                    self.masks[row + at] = mask

    def broken_annotation(self, broken: Broken) -> None:
        """Keep what says to which image it belongs, so that its box is counted as left out."""
        mended = _mended(broken.value)
        if mended is not None:
            self.annotations([mended])
            return
        self.unattributed = True
        where = f"annotations[{broken.at}]"
        self.lost.append(Lost(where, "malformed annotation", _shown(broken.value)))

    def categories(self, block: Sequence[_Category]) -> None:
        for found in block:
            if self.names.setdefault(found.id, found.name) != found.name:
                self.ambiguous.add(found.id)
                value = f"{self.names[found.id]}, {found.name}"
                self.lost.append(Lost(f"category={found.id}", "repeated category id", value))

    def broken_category(self, broken: Broken) -> None:
        where = f"categories[{broken.at}]"
        self.lost.append(Lost(where, "malformed category", _shown(broken.value)))

    def licenses(self, block: Sequence[_License]) -> None:
        for found in block:
            self.known.setdefault(found.id, found)

    def finished(self) -> Table:
        image = np.frombuffer(self.image, np.int64)
        order = np.argsort(image, kind="stable")
        starts = np.searchsorted(image[order], np.arange(len(self.number) + 1))
        return Table(
            pictures=[self.picture.get(number) for number in range(len(self.number))],
            names=list(self.number),
            clashing=frozenset(self.clashing),
            categories={id_: name for id_, name in self.names.items() if id_ not in self.ambiguous},
            codes=list(self.code),
            licenses=self.known,
            boxes=np.frombuffer(self.box, np.float64).reshape(-1, 4),
            category=np.frombuffer(self.category, np.int64),
            crowd=np.frombuffer(self.crowd, np.bool_),
            repeated=_repeated(np.frombuffer(self.ids, np.int64)),
            masks=self.masks,
            order=order,
            starts=starts.astype(np.int64),
            lost=self.lost,
            unattributed=self.unattributed,
        )


def _repeated(ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True where an earlier row has the same id."""
    again = np.zeros(len(ids), np.bool_)
    if (np.diff(ids) > 0).all():
        return again
    order = np.argsort(ids, kind="stable")
    ranked = ids[order]
    again[order[1:]] = (ranked[1:] == ranked[:-1]) & (ranked[1:] != _NO_ID)
    return again


def _key(id_: Id | None) -> int:
    """An annotation's id as 64 bits."""
    if id_ is None:
        return _NO_ID
    if isinstance(id_, int) and -(1 << 63) < id_ < 1 << 63:
        return id_
    return name_hash(str(id_)) - (1 << 63)


def _mended(value: Any) -> _Annotation | None:
    """What can be kept of an annotation that is not as it should be; None without its image."""
    if not isinstance(value, dict):
        return None
    found: dict[str, Any] = value
    image = id_of(found.get("image_id"))
    if image is None:
        return None
    try:
        box = msgspec.convert(found.get("bbox"), Four | None)
    except msgspec.ValidationError:
        box = None
    # What is no 0 is taken for a crowd: that only sets the box aside.
    return _Annotation(
        image_id=image,
        category_id=id_of(found.get("category_id")),
        bbox=box,
        iscrowd=int(found.get("iscrowd", 0) not in (0, None, False, "0")),
        id=id_of(found.get("id")),
        segmentation=msgspec.Raw(_encoded(found.get("segmentation"))),
    )


def _encoded(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value) if isinstance(value, dict) else b""
    except (msgspec.MsgspecError, ValueError, RecursionError, TypeError):
        return b"{}"


def id_of(value: Any) -> Id | None:
    """A number or text that can name something; a float that is whole is one too."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def _shown(value: Any) -> str:
    return str(value)[:80]
