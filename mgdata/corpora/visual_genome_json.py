"""What Visual Genome's files hold: photos, and for each photo its objects or regions.

Fast where an entry is as it should be, item by item else, so that one bad number costs one item.
It knows the JSON of all releases, no folder and no image.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from mgdata.corpora import json_list
from mgdata.errors import Rejected
from mgdata.storage import Root

MALFORMED = "malformed annotation"
REPEATED = "repeated image id"


class Photo(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the list of photos."""

    image_id: int | None = None
    id: int | None = None
    """What version 1.0 calls `image_id`."""
    url: str | None = None
    width: float | None = None
    height: float | None = None
    coco_id: int | None = None
    flickr_id: int | None = None

    @property
    def number(self) -> int | None:
        """The photo's id."""
        return self.id if self.image_id is None else self.image_id

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height as stated; None where they are none."""
        sides = (self.width, self.height)
        if any(side is None or not 1 <= side < 1 << 31 or side % 1 for side in sides):
            return None
        return int(self.width or 0), int(self.height or 0)

    @property
    def unit(self) -> str | None:
        """The photo's number in COCO as the reader of COCO writes it, or else in Flickr."""
        if self.coco_id is not None and 0 < self.coco_id < 10**12:
            return f"coco-{self.coco_id:012d}"
        return None if self.flickr_id is None else f"flickr-{self.flickr_id}"


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One object or region as it is written."""

    x: float | None = None
    y: float | None = None
    w: float | None = None
    h: float | None = None
    width: float | None = None
    """A region's `w`."""
    height: float | None = None
    names: list[str] | None = None
    name: str | None = None
    phrase: str | None = None
    object_id: int | None = None
    region_id: int | None = None
    id: int | None = None
    """What version 1.0 calls `object_id` or `region_id`."""
    image_id: int | None = None
    image: int | None = None
    """What version 1.0 calls `image_id`."""

    @property
    def number(self) -> int | None:
        """The item's own id."""
        for one in (self.object_id, self.region_id):
            if one is not None:
                return one
        return self.id

    @property
    def owner(self) -> int | None:
        """Id of the photo that the item itself names."""
        return self.image if self.image_id is None else self.image_id

    @property
    def xywh(self) -> tuple[float, float, float, float] | None:
        """Left, top, width and height in pixels; None where one is no finite number."""
        w = self.width if self.w is None else self.w
        h = self.height if self.h is None else self.h
        if self.x is None or self.y is None or w is None or h is None:
            return None
        four = (self.x, self.y, w, h)
        return four if all(map(math.isfinite, four)) else None


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    objects: list[Item] | None = None
    regions: list[Item] | None = None


class _Owner(msgspec.Struct, frozen=True, kw_only=True):
    image_id: int | None = None
    id: int | None = None


_photo = msgspec.json.Decoder(Photo).decode
_entry = msgspec.json.Decoder(_Entry).decode
_item = msgspec.json.Decoder(Item).decode
_owner = msgspec.json.Decoder(_Owner).decode


@dataclass
class Listed:
    """The photos, and where in the annotation file which photo's entry lies."""

    found: json_list.Elements
    ids: list[int | None]
    """Of each entry: its photo; None where it names none."""
    photos: dict[int, Photo]
    clashing: set[int]
    """Photos whose id stands for two different ones."""
    first: dict[int, int] = field(default_factory=dict[int, int])
    """The number of each photo's first entry."""
    lost: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """Key, reason and value of what no entry of the annotation file will give account of."""

    def photo(self, id_: int) -> Photo:
        """The photo of an id.

        Raises:
            Rejected: there is none, or more than one.
        """
        if id_ in self.clashing:
            raise Rejected(REPEATED, "two photos have this id")
        if id_ not in self.photos:
            raise Rejected("annotation for an unknown image", str(id_))
        return self.photos[id_]


def listed(root: Root, photos: str, path: str) -> Listed:
    """Read the list of photos and find the entries of the annotation file at `path`.

    Raises as `Root.read` does.
    """
    known: dict[int, Photo] = {}
    clashing: set[int] = set()
    lost: list[tuple[str, str, str]] = []
    raw: list[bytes] = []
    all_photos = json_list.elements(root, photos, raw.append)
    for number, data in enumerate(raw):
        photo = _decoded(data)
        if photo is None or photo.number is None:
            lost.append((f"{photos}#{number}", "malformed image entry", _shown(data)))
        elif known.setdefault(photo.number, photo) != photo:
            clashing.add(photo.number)
            lost.append((f"{photos}#{number}", REPEATED, str(photo.number)))
    ids: list[int | None] = []
    found = json_list.elements(root, path, lambda data: ids.append(_id_of(data)))
    first: dict[int, int] = {}
    for number, id_ in enumerate(ids):
        if id_ is not None:
            first.setdefault(id_, number)
    for name, whole in ((photos, all_photos), (path, found)):
        if whole.fault is not None:
            lost.append((name, whole.fault.reason, whole.fault.value or name))
    reason = "image without annotation" if found.fault is None else found.fault.reason
    lost += [(str(id_), reason, path) for id_ in known if id_ not in first]
    return Listed(found, ids, known, clashing, first, lost)


def items(data: bytes, kind: Literal["objects", "regions"], skipped: Counter[str]) -> list[Item]:
    """The objects or regions of one entry; those of wrong types are counted in `skipped`.

    Raises:
        Rejected: it is no JSON, or has no such list.
    """
    try:
        entry = _entry(data)
        written = entry.objects if kind == "objects" else entry.regions
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        written = _patient(data, kind, skipped)
    if written is None:
        raise Rejected(MALFORMED, f"an entry without {kind}")
    return written


def _patient(data: bytes, kind: str, skipped: Counter[str]) -> list[Item] | None:
    raw = _lenient(data)
    found: Any = raw.get(kind) if isinstance(raw, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if not isinstance(found, list):
        return None
    written: list[Item] = []
    for one in found:  # pyright: ignore[reportUnknownVariableType]
        try:
            # Encoded again, so that half a character and a wrong type are found out.
            written.append(_item(msgspec.json.encode(one)))
        except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
            skipped["malformed item"] += 1
    return written


def _decoded(data: bytes) -> Photo | None:
    try:
        return _photo(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _id_of(data: bytes) -> int | None:
    """The photo that an entry belongs to."""
    try:
        owner = _owner(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raw = _lenient(data)
        if not isinstance(raw, dict):
            return None
        entry: dict[str, Any] = raw
        try:
            owner = msgspec.convert({k: entry.get(k) for k in ("image_id", "id")}, _Owner)
        except (msgspec.MsgspecError, OverflowError):
            return None
    return owner.id if owner.image_id is None else owner.image_id


def _lenient(data: bytes) -> Any:
    """What Python makes of an entry: it takes NaN, any type, and bytes that are not UTF-8."""
    try:
        return json.loads(data.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None


def _shown(data: bytes) -> str:
    return data[:80].decode("utf-8", "backslashreplace")
