"""Visual Genome: 108,077 photos with named boxes, and with phrases for boxes.

    ROOT/image_data.json             [{image_id, url, width, height, coco_id, flickr_id}]
    ROOT/objects.json                [{image_id, objects: [{object_id, x, y, w, h, names, ...}]}]
    ROOT/region_descriptions.json    [{id, regions: [{region_id, x, y, width, height, phrase}]}]
    ROOT/VG_100K/<id>.jpg            the `url` says in which folder of the two
    ROOT/VG_100K_2/<id>.jpg

After the project's own data readme. An entry's image is `image_id` or `id`, whichever it has (the
releases differ), and so are an object's and a region's own numbers. Boxes are pixels from 0 and
leave the image rather often: they are cut. Half of the photos are COCO's: these have COCO's unit,
so that a photo is in one split whichever corpus it came from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

from mgdata.corpora import clips, json_list
from mgdata.corpora.coco_places import Places
from mgdata.corpora.coco_table import Picture
from mgdata.corpora.visual_genome_json import Item, Listed, Photo, items, listed
from mgdata.data import Drop, Image, Record, Region, Shape
from mgdata.errors import MissingFile, OutsideRoot, Rejected, StorageError
from mgdata.geometry import Box, clip, from_xywh, upright, valid
from mgdata.headers import Header, header_of
from mgdata.plugins import Corpus
from mgdata.storage import Root

PART = 16 << 20
"""Bytes of an annotation file for each part it is cut into: about 2,500 images."""
REGION = "region"
"""Label of all that region descriptions speak of."""
FOLDERS = ("", "images", "VG_100K", "VG_100K_2")
"""Where the last two steps of a photo's URL, or its last one, are looked for."""

_SLICE = re.compile(r"(.*)#(\d+)/(\d+)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class VisualGenome(Corpus):
    """Reads Visual Genome: a record is one photo, its key `<name>/<image id>`.

    A region is an object, its label the first of its names; or a region description, its label
    `region` and its phrase what was said of it. Nothing is exhaustive: people drew what they
    liked, often the same thing more than once under several names, so no silence is an absence
    and a label says little about other boxes. Left out and counted: a box that is none inside the
    photo, an object without a name, a blank phrase, a number that comes again in its photo, and
    the same words at the same place again. Mirrors of the data state CC BY 4.0; the photos are
    Flickr's and have terms of their own.
    """

    license: ClassVar[str] = "CC-BY-4.0"
    homepage: ClassVar[str] = "https://homes.cs.washington.edu/~ranjay/visualgenome/"
    layout: ClassVar[str] = (
        "image_data.json, objects.json and/or region_descriptions.json\n"
        "VG_100K/<image id>.jpg, VG_100K_2/<image id>.jpg (or below images/)"
    )
    shape: ClassVar[Shape] = "image"

    annotations: Literal["objects", "regions"] = "objects"
    """Which file is read: boxes with names, or boxes with phrases."""
    file: str = ""
    """Path of that file below the root; empty: `objects.json`, `region_descriptions.json`."""
    photos: str = "image_data.json"
    """Path of the list of photos below the root."""
    swapped: bool = False
    """Take widths for heights and heights for widths: some copies of version 1.0 are said to
    have them so. Look at a few boxes drawn on their photos."""

    def parts(self) -> list[str]:
        """`<file>#<slice>/<slices>`, a slice for every 16 MB.

        Raises:
            UsageError: there is no such file, or no list of photos.
            StorageError: one of them cannot be read.
        """
        _listed.cache_clear()
        for path in (self.photos, self._path):
            try:
                self.root.head(path, 1)
            except MissingFile:
                raise clips.wrong_layout(self, path) from None
        slices = max(1, self.root.size(self._path) // PART)
        return [f"{self._path}#{i}/{slices}" for i in range(slices)]

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The records of the photos of one slice, in the file's order.

        What is wrong with the files as a whole is dropped once, by the first slice.
        """
        sliced = _SLICE.fullmatch(part)
        i, n = (int(sliced[2]), int(sliced[3])) if sliced else (0, 1)
        known = _listed(self.root, self.photos, self._path, self.root.size(self._path))
        if i == 0:
            yield from (self.drop(*lost) for lost in known.lost)
        places = Places(self.root, self._path, FOLDERS)
        first, last = (j * len(known.ids) // n for j in (i, i + 1))
        found = json_list.read(self.root, self._path, known.found, first, last)
        for number, data in enumerate(found, first):
            id_ = known.ids[number]
            if id_ is None:
                shown = data[:80].decode("utf-8", "backslashreplace")
                yield self.drop(f"{self._path}#{number}", "malformed annotation", shown)
            elif known.first[id_] != number:
                yield self.drop(f"{self._path}#{number}", "repeated image id", str(id_))
            else:
                yield self._read(id_, known, data, places)

    @property
    def _path(self) -> str:
        whole = "objects" if self.annotations == "objects" else "region_descriptions"
        return self.file or f"{whole}.json"

    def _read(self, id_: int, known: Listed, data: bytes, places: Places) -> Record | Drop:
        try:
            return self._record(id_, known.photo(id_), data, places)
        except Rejected as error:
            return self.drop(str(id_), error.reason, error.value)
        except OutsideRoot as error:
            return self.drop(str(id_), clips.OUTSIDE, error.path)
        except StorageError as error:
            return self.drop(str(id_), "unreadable file", str(error))

    def _record(self, id_: int, photo: Photo, data: bytes, places: Places) -> Record:
        skipped: Counter[str] = Counter()
        written = items(data, self.annotations, skipped)
        if not written and not skipped:
            raise Rejected("image without annotation", f"{self._path}: {id_}")
        name = None if photo.url else f"{id_}.jpg"
        path = places.find(Picture(id=id_, file_name=name, coco_url=photo.url))
        try:
            header = header_of(self.root, path)
        except MissingFile:
            raise Rejected("missing image", path) from None
        turned = _turned(photo, header, path)
        width, height = header.upright
        return Record(
            key=f"{self.name}/{id_}",
            shape=self.shape,
            unit=photo.unit or f"{self.name}/{path}",
            images=(
                Image(
                    uri=self.uri(path),
                    width=width,
                    height=height,
                    orientation=header.orientation,
                    format=header.format,
                ),
            ),
            regions=self._regions(id_, written, header, turned, skipped),
            license=self.license,
            skipped=dict(sorted(skipped.items())),
        )

    def _regions(
        self, id_: int, written: list[Item], header: Header, turned: bool, skipped: Counter[str]
    ) -> tuple[Region, ...]:
        size = (header.width, header.height) if turned else header.upright
        regions: list[Region] = []
        numbers: set[int] = set()
        said: set[tuple[str, Box]] = set()
        for item in written:
            try:
                if item.owner not in (None, id_):
                    raise Rejected("of another image")
                if item.number in numbers:
                    raise Rejected("repeated number")
                if item.number is not None:
                    numbers.add(item.number)
                text = self._text(item)
                box, cut = _placed(item, size, self.swapped)
                if (text, box) in said:
                    raise Rejected("repeated words and box")
                said.add((text, box))
            except Rejected as error:
                skipped[error.reason] += 1
                continue
            if turned:
                box = upright(box, header.width, header.height, header.orientation)
            named = self.annotations == "objects"
            regions.append(
                Region(
                    image=0,
                    box=box,
                    label=text if named else REGION,
                    phrase=None if named else text,
                    clipped=cut,
                )
            )
        return tuple(regions)

    def _text(self, item: Item) -> str:
        """The label of an object, or the phrase of a region.

        Raises:
            Rejected: `object without a name`, or `blank phrase`.
        """
        if self.annotations == "regions":
            if phrase := " ".join((item.phrase or "").split()):
                return phrase
            raise Rejected("blank phrase")
        names = item.names or ([item.name] if item.name else [])
        for name in names[:1]:
            if label := " ".join(name.lower().split()):
                return label
        raise Rejected("object without a name")


@lru_cache(maxsize=1)
def _listed(root: Root, photos: str, path: str, size: int) -> Listed:
    """What the files list, for the parts that a worker is asked for one after the other."""
    del size  # another size is another file
    return listed(root, photos, path)


def _turned(photo: Photo, header: Header, path: str) -> bool:
    """Whether boxes are in stored pixels that the photo's EXIF orientation turns.

    Raises:
        Rejected: the photo's size is not the one that its boxes were drawn at.
    """
    stored = (header.width, header.height)
    if photo.size is None or photo.size == stored:
        return header.orientation != 1
    if photo.size == header.upright:
        return False
    value = f"{path}: {stored[0]}x{stored[1]}, stated {photo.size[0]}x{photo.size[1]}"
    raise Rejected("size differs from the annotation", value)


def _placed(item: Item, size: tuple[int, int], swapped: bool) -> tuple[Box, bool]:
    """The box of an item inside its photo, and whether the edge cut it.

    Raises:
        Rejected: `nan box`, `inverted box`, `zero box` or `box outside the image`.
    """
    numbers = item.xywh
    if numbers is None:
        raise Rejected("nan box")
    x, y, w, h = numbers
    if swapped:
        w, h = h, w
    if w < 0 or h < 0:
        raise Rejected("inverted box")
    if w == 0 or h == 0:
        raise Rejected("zero box")
    whole = from_xywh(x, y, w, h)
    box = clip(whole, *size)
    if not valid(box, *size):
        raise Rejected("box outside the image")
    return box, box != whole
