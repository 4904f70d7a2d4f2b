"""Records from a joined COCO-style table: boxes made ours, what is complete, what was left out.

A box that was left out is still there in the image: its label is then no longer called complete,
so that nobody takes its silence for absence. It knows no settings' defaults and no folder.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from mgdata.corpora.coco_places import Places
from mgdata.corpora.coco_table import Id, Picture, Rle, Table
from mgdata.corpora.rle import UNDECODABLE, decode_box
from mgdata.data import ALL, Drop, Image, Record, Region
from mgdata.errors import MissingFile, Rejected
from mgdata.geometry import Box, upright, upright_size
from mgdata.headers import header_of
from mgdata.plugins import Corpus

NAN, INVERTED, ZERO, OUTSIDE = "nan box", "inverted box", "zero box", "box outside the image"
_REASONS = ("", NAN, INVERTED, ZERO, OUTSIDE)
_SLACK = 0.01
"""Pixels by which a box may leave the image without being called cut: files round to hundredths,
and x + width is a float sum."""
_LICENSE = re.compile(r"creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)")
_COCO_PHOTO = re.compile(r"(?:COCO_(?:train|val|test)2014_)?(\d{12})\.jpg")


@dataclass(frozen=True)
class Choices:
    """What the corpus' settings say about records."""

    complete: bool
    empty: bool
    """Keep images that have no annotation."""
    header: bool
    """Read every image's header, also where the file states a size."""


@dataclass(frozen=True)
class _Face:
    """One image on disk. Sizes are of the pixels that its boxes refer to."""

    path: str
    width: int
    height: int
    orientation: int = 1
    """1 where its boxes refer to upright pixels already."""
    exif: int = 1
    format: str = ""


@dataclass(frozen=True)
class Reader:
    """Makes the records of one annotation file."""

    corpus: Corpus
    path: str
    table: Table
    places: Places
    labels: Mapping[Id, str]
    """Label of each category id."""
    choices: Choices

    def records(self, first: int, last: int) -> Iterator[Record | Drop]:
        """The images from number `first` to before `last`, in order."""
        faces = [self._face(number) for number in range(first, last)]
        rows = self.table.order[self.table.starts[first] : self.table.starts[last]]
        counts = np.diff(self.table.starts[first : last + 1])
        sizes = [(f.width, f.height) if isinstance(f, _Face) else (1, 1) for f in faces]
        size = np.repeat(np.array(sizes, np.float64).reshape(-1, 2), counts, axis=0)
        corners, cut, why = _placed(self.table.boxes[rows], size)
        offset = int(self.table.starts[first])
        for number, face in zip(range(first, last), faces, strict=True):
            if isinstance(face, Drop):
                yield face
                continue
            span = slice(*(int(s) - offset for s in self.table.starts[number : number + 2]))
            boxes = zip(
                rows[span].tolist(), corners[span].tolist(), cut[span].tolist(), why[span].tolist(),
                strict=True,
            )  # fmt: skip
            yield self._record(number, face, boxes)

    def _key(self, number: int) -> str:
        return f"{self.path.removesuffix('.json')}/{self.table.names[number]}"

    def _face(self, number: int) -> _Face | Drop:
        picture = self.table.pictures[number]
        count = len(self.table.rows(number))
        if picture is None:
            return self.corpus.drop(
                self._key(number), "annotation for an unknown image", f"{count} annotations"
            )
        key = self._key(number)
        try:
            if number in self.table.clashing:
                raise Rejected("repeated image id", f"{picture.file_name} and another file")
            path = self.places.find(picture)
            federated = picture.neg_category_ids is not None
            if count == 0 and not self.choices.empty and not federated:
                raise Rejected("image without annotation", path)
            return self._sized(picture, path)
        except Rejected as error:
            return self.corpus.drop(key, error.reason, error.value)

    def _sized(self, picture: Picture, path: str) -> _Face:
        stated = (_side(picture.width), _side(picture.height))
        if 0 not in stated and not self.choices.header:
            return _Face(path, *stated)
        try:
            header = header_of(self.corpus.root, path)
        except MissingFile:
            raise Rejected("missing image", path) from None
        stored = (header.width, header.height)
        if 0 in stated or stated == stored:
            return _Face(path, *stored, header.orientation, header.orientation, header.format)
        if stated == header.upright:
            return _Face(path, *stated, 1, header.orientation, header.format)
        value = f"{path}: {stored[0]}x{stored[1]}, stated {stated[0]}x{stated[1]}"
        raise Rejected("size differs from the annotation", value)

    def _record(
        self, number: int, face: _Face, boxes: Iterator[tuple[int, list[float], bool, int]]
    ) -> Record:
        table = self.table
        picture = table.pictures[number]
        assert picture is not None
        regions: list[Region] = []
        skipped: Counter[str] = Counter()
        lost: set[str | None] = {None} if table.unattributed else set()
        for row, corners, clipped, why in boxes:
            label = self._label(table.codes[int(table.category[row])])
            box, reason = Box(*corners), _REASONS[why]
            if table.repeated[row]:
                reason = "repeated annotation id"
            elif label is None:
                reason = "unknown category"
            elif table.crowd[row] and row in table.masks:
                box, clipped, reason = self._crowd(row, face, box, clipped, reason)
            if reason or label is None:
                skipped[reason] += 1
                lost.add(label)
                continue
            if face.orientation != 1:
                box = upright(box, face.width, face.height, face.orientation)
            ignore = bool(table.crowd[row])
            regions.append(Region(image=0, box=box, label=label, clipped=clipped, ignore=ignore))
        exhaustive, absent = self._known(picture, {r.label for r in regions}, lost)
        width, height = upright_size(face.width, face.height, face.orientation)
        return Record(
            key=f"{self.corpus.name}/{self._key(number)}",
            shape=self.corpus.shape,
            unit=self._unit(face.path),
            images=(
                Image(
                    uri=self.corpus.uri(face.path),
                    width=width,
                    height=height,
                    orientation=face.exif,
                    format=face.format,
                ),
            ),
            regions=tuple(regions),
            license=self._license(picture),
            exhaustive=exhaustive,
            absent=absent,
            skipped=dict(sorted(skipped.items())),
        )

    def _label(self, category: Id | None) -> str | None:
        return None if category is None else self.labels.get(category)

    def _crowd(
        self, row: int, face: _Face, box: Box, clipped: bool, reason: str
    ) -> tuple[Box, bool, str]:
        """A crowd's box: as written, or its mask's where that is none; a bad mask spoils both."""
        try:
            mask = msgspec.json.decode(self.table.masks[row], type=Rle)
            counts = mask.counts if isinstance(mask.counts, str) else [*map(int, mask.counts)]
            bounds = decode_box(counts, mask.size, (face.height, face.width))
        except (msgspec.MsgspecError, ValueError, OverflowError):
            return box, clipped, UNDECODABLE
        except Rejected as error:
            return box, clipped, error.reason
        if not reason or bounds is None:
            return box, clipped, reason
        return bounds, False, ""

    def _known(
        self, picture: Picture, seen: set[str], lost: set[str | None]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Labels annotated completely, and labels known not to be there.

        LVIS: an image was searched for its positive and its negative categories, and is complete
        for those that are not in its list of exceptions. All other categories are unknown.
        """
        unsure = None in lost
        if picture.neg_category_ids is None and picture.not_exhaustive_category_ids is None:
            if not self.choices.complete or unsure:
                return (), ()
            return ((ALL,) if not lost else tuple(sorted(set(self.labels.values()) - lost))), ()
        negative, partial = (
            {label for id_ in ids or () if (label := self.labels.get(id_)) is not None}
            for ids in (picture.neg_category_ids, picture.not_exhaustive_category_ids)
        )
        absent = negative - seen - lost
        whole = set() if unsure else (seen | absent) - partial - lost
        return tuple(sorted(whole)), tuple(sorted(absent))

    def _unit(self, path: str) -> str:
        """The photo. One of COCO's has the same number in every release, whatever its folder."""
        photo = _COCO_PHOTO.fullmatch(posixpath.basename(path))
        return f"coco-{photo[1]}" if photo else f"{self.corpus.name}/{path}"

    def _license(self, picture: Picture) -> str:
        """What the file says of this photo; `unknown` where it says nothing."""
        found = None if picture.license is None else self.table.licenses.get(picture.license)
        if found is None:
            return self.corpus.license
        terms = _LICENSE.search(found.url or "")
        if terms:
            return f"CC-{terms[1].upper()}-{terms[2]}"
        return (found.name or "").strip() or self.corpus.license


def _placed(
    xywh: NDArray[np.float64], size: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Corners cut at the image's edge, whether they were, and the number of the reason if none."""
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = xywh[:, :2], xywh[:, :2] + xywh[:, 2:]
        inside_low, inside_high = np.clip(low, 0, size), np.clip(high, 0, size)
        why = np.select(
            [
                ~np.isfinite(xywh).all(axis=1) | ~np.isfinite(high).all(axis=1),
                (xywh[:, 2:] < 0).any(axis=1),
                (xywh[:, 2:] == 0).any(axis=1),
                (inside_low >= inside_high).any(axis=1),
            ],
            [1, 2, 3, 4],
            0,
        )
        beyond = np.maximum(np.abs(low - inside_low), np.abs(high - inside_high)).max(axis=1)
    return np.hstack([inside_low, inside_high]), beyond > _SLACK, why


def _side(value: float | None) -> int:
    """Width or height as a whole number, 0 where it is none."""
    if value is None or not 1 <= value < 1 << 31 or value % 1:
        return 0
    return int(value)
