"""COCO-style instances that texts refer to by number: each annotation with its id, image by image.

`coco_table` holds millions of boxes as columns and forgets their ids; the files of referring
corpora are small (RefCOCO's: 200,000 annotations) and joined through those ids, so here they are
kept as structs. It makes the regions of one image, and knows no text and no record.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mgdata.corpora import clips
from mgdata.corpora.coco_json import Broken, Section, read
from mgdata.corpora.coco_places import Places
from mgdata.corpora.coco_table import Id, Lost, Picture, id_of
from mgdata.data import Image, Region
from mgdata.errors import MissingFile, OutsideRoot, Rejected
from mgdata.geometry import Box, clip, upright, valid
from mgdata.headers import header_of
from mgdata.plugins import Corpus
from mgdata.storage import Root

Four = tuple[float, float, float, float]

UNKNOWN = "unknown category"
REPEATED = "repeated annotation id"
_SLACK = 0.01
"""Pixels by which a box may leave the image without being called cut: x + width is a float sum."""
_TERMS = re.compile(r"creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)")
_PHOTO = re.compile(r"(?:COCO_(?:train|val|test)2014_)?(\d{12})\.jpg")


class Annotation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One annotated box."""

    image_id: Id
    id: Id | None = None
    category_id: Id | None = None
    bbox: Four | None = None
    """x, y, width, height in pixels of the image; None where it is no box at all."""
    iscrowd: int | bool | None = 0


class _Category(msgspec.Struct, frozen=True, kw_only=True):
    id: Id
    name: str


class _License(msgspec.Struct, frozen=True, kw_only=True):
    id: Id
    name: str | None = None
    url: str | None = None


@dataclass(kw_only=True)
class Instances:
    """The joined file. Filled once, then only read."""

    path: str
    pictures: dict[Id, Picture] = field(default_factory=dict[Id, Picture])
    clashing: set[Id] = field(default_factory=set[Id])
    """Ids that stand for two image files."""
    boxes: dict[Id, list[Annotation]] = field(default_factory=dict[Id, list[Annotation]])
    """The annotations of each image id, in the file's order."""
    labels: dict[Id, str] = field(default_factory=dict[Id, str])
    """Label of each category id."""
    passed: frozenset[Id] = frozenset()
    """Category ids that are known and not wanted: their boxes are passed over."""
    terms: dict[Id, str] = field(default_factory=dict[Id, str])
    """Licence of each licence id."""
    repeated: set[Id] = field(default_factory=set[Id])
    """Annotation ids that occur twice."""
    lost: list[Lost] = field(default_factory=list[Lost])
    unattributed: bool = False
    """An annotation was lost of which even the image is not known."""

    def add(self, one: Annotation) -> None:
        """Put an annotation to those of its image."""
        self.boxes.setdefault(one.image_id, []).append(one)


@dataclass(frozen=True)
class Face:
    """One image on disk, by its header. Sizes are of the pixels that its boxes refer to."""

    path: str
    width: int
    height: int
    orientation: int
    """1 where its boxes refer to upright pixels already."""
    exif: int
    format: str

    def image(self, corpus: Corpus) -> Image:
        """The reference to it."""
        turned = self.orientation >= 5
        return Image(
            uri=corpus.uri(self.path),
            width=self.height if turned else self.width,
            height=self.width if turned else self.height,
            orientation=self.exif,
            format=self.format,
        )


@dataclass(frozen=True)
class Found:
    """The regions of one image, and what was left out."""

    regions: list[Region]
    ids: list[Id | None]
    """Annotation id of each region."""
    skipped: Counter[str]
    lost: set[str | None]
    """Labels of boxes left out; None for a box of unknown label."""


def instances(root: Root, path: str) -> Instances:
    """Read the COCO-style file at `path`.

    Raises:
        Rejected: it is missing, cut, no JSON, or lacks images, annotations or categories.
        StorageError: it cannot be read.
    """
    reading = _Reading(Instances(path=path))
    broken = reading.broken
    sections: dict[str, Section[Any]] = {
        "images": Section(Picture, reading.pictures, broken("images", "image entry")),
        "annotations": Section(Annotation, reading.annotations, reading.broken_annotation),
        "categories": Section(_Category, reading.categories, broken("categories", "category")),
        "licenses": Section(_License, reading.licenses, lambda broken: None),
    }
    try:
        found = read(root, path, sections)
    except MissingFile:
        raise Rejected("missing annotation", path) from None
    missing = [name for name in ("images", "annotations", "categories") if name not in found]
    if missing:
        raise Rejected("not a COCO annotation file", f"{path} has no {' and no '.join(missing)}")
    return reading.made


@dataclass
class _Reading:
    made: Instances
    seen: set[Id] = field(default_factory=set[Id])

    def pictures(self, block: Sequence[Picture]) -> None:
        for found in block:
            first = self.made.pictures.setdefault(found.id, found)
            if first is not found:
                if (first.file_name, first.coco_url) != (found.file_name, found.coco_url):
                    self.made.clashing.add(found.id)
                self._lose(f"image={found.id}", "repeated image id", f"{found.file_name}")

    def annotations(self, block: Sequence[Annotation]) -> None:
        for found in block:
            if found.id is not None:
                if found.id in self.seen:
                    self.made.repeated.add(found.id)
                self.seen.add(found.id)
            self.made.add(found)

    def broken_annotation(self, broken: Broken) -> None:
        """Keep what says to which image it belongs, so that its box is counted as left out."""
        mended = _mended(broken.value)
        if mended is not None:
            self.annotations([mended])
            return
        self.made.unattributed = True
        self._lose(f"annotations[{broken.at}]", "malformed annotation", shown(broken.value))

    def categories(self, block: Sequence[_Category]) -> None:
        for found in block:
            label = label_of(found.name)
            if not label or self.made.labels.setdefault(found.id, label) != label:
                self.made.labels.pop(found.id, None)
                self._lose(f"category={found.id}", "repeated or blank category", shown(found.name))

    def licenses(self, block: Sequence[_License]) -> None:
        for found in block:
            terms = _TERMS.search(found.url or "")
            named = f"CC-{terms[1].upper()}-{terms[2]}" if terms else (found.name or "").strip()
            if named:
                self.made.terms.setdefault(found.id, named)

    def broken(self, section: str, what: str) -> Callable[[Broken], None]:
        """What to do with an element of a section that is not as it should be."""

        def lose(broken: Broken) -> None:
            self._lose(f"{section}[{broken.at}]", f"malformed {what}", shown(broken.value))

        return lose

    def _lose(self, where: str, reason: str, value: str) -> None:
        self.made.lost.append(Lost(where, reason, value))


def face_of(root: Root, found: Instances, id_: Id, places: Places) -> Face:
    """The file of an image, by its own header.

    Raises:
        Rejected: it is missing, no image, of another size than its entry says, not in the root, or
            its id stands for two files.
    """
    picture = found.pictures[id_]
    if id_ in found.clashing:
        raise Rejected("repeated image id", f"{picture.file_name} and another file")
    path = places.find(picture)
    try:
        header = header_of(root, path)
    except MissingFile:
        raise Rejected("missing image", path) from None
    except OutsideRoot:
        raise Rejected(clips.OUTSIDE, path) from None
    stored, stated = (header.width, header.height), (picture.width, picture.height)
    if None in stated or stated == stored:
        return Face(path, *stored, header.orientation, header.orientation, header.format)
    if stated == header.upright:
        return Face(path, *header.upright, 1, header.orientation, header.format)
    value = f"{path}: {stored[0]}x{stored[1]}, stated {stated[0]}x{stated[1]}"
    raise Rejected("size differs from the annotation", value)


def regions_of(found: Instances, id_: Id, face: Face, *, phrases: bool = False) -> Found:
    """The regions of one image, in the file's order; `phrases` where labels are texts."""
    made = Found([], [], Counter(), {None} if found.unattributed else set())
    seen: set[Id] = set()
    for one in found.boxes.get(id_, ()):
        if one.category_id in found.passed:
            continue
        label = None if one.category_id is None else found.labels.get(one.category_id)
        place = placed(one.bbox, face.width, face.height)
        reason = place if isinstance(place, str) else ""
        if one.id is not None and one.id in found.repeated:
            # The first one stays, as a box. No text is joined to either.
            reason = REPEATED if one.id in seen else reason
            seen.add(one.id)
        if label is None:
            reason = UNKNOWN
        if reason or label is None or isinstance(place, str):
            made.skipped[reason] += 1
            made.lost.add(label)
            continue
        box, clipped = place
        if face.orientation != 1:
            box = upright(box, face.width, face.height, face.orientation)
        made.regions.append(
            Region(
                image=0,
                box=box,
                label=label,
                phrase=label if phrases else None,
                clipped=clipped,
                ignore=bool(one.iscrowd),
            )
        )
        made.ids.append(one.id)
    return made


def placed(bbox: Four | None, width: int, height: int) -> tuple[Box, bool] | str:
    """A written x, y, width, height as our box and whether it was cut, or why it is none."""
    if bbox is None:
        return "no box"
    x, y, w, h = bbox
    box = Box(x, y, x + w, y + h)
    inside = clip(box, width, height)
    if not all(-1e300 < side < 1e300 for side in (x, y, box.x2, box.y2)):
        return "nan box"
    if w < 0 or h < 0:
        return "inverted box"
    if w == 0 or h == 0:
        return "zero box"
    if not valid(inside, width, height):
        return "box outside the image"
    cut = max(inside.x1 - x, inside.y1 - y, box.x2 - inside.x2, box.y2 - inside.y2)
    return inside, cut > _SLACK


def unit_of(corpus: Corpus, path: str) -> str:
    """The photo: one of COCO's has the same number in every corpus that shows it."""
    photo = _PHOTO.fullmatch(posixpath.basename(path))
    return f"coco-{photo[1]}" if photo else f"{corpus.name}/{path}"


def label_of(text: str) -> str:
    """A category's name in lower case, spaces single; empty where it is none."""
    label = " ".join(text.lower().split())
    return label if label.isprintable() and _encodes(label) else ""


def shown(value: Any) -> str:
    """The beginning of a value, for a ledger."""
    try:
        return ascii(value)[:80]
    except RecursionError:
        return type(value).__name__


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mended(value: Any) -> Annotation | None:
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
    return Annotation(
        image_id=image,
        id=id_of(found.get("id")),
        category_id=id_of(found.get("category_id")),
        bbox=box,
        # What is no 0 is taken for a crowd: that only sets the box aside.
        iscrowd=int(found.get("iscrowd", 0) not in (0, None, False, "0")),
    )
