"""COCO and everything written like it: Objects365, LVIS, PACO and any file with their three lists.

    ROOT/annotations/instances_train2017.json    COCO; 2014 likewise, 2017's ids are the same
    ROOT/train2017/000000000009.jpg
    ROOT/annotations/zhiyuan_objv2_train.json    Objects365; file_name images/v1/patch0/*.jpg
    ROOT/train/patch0/objects365_v1_00000001.jpg     (or train/images/v1/patch0/*.jpg)
    ROOT/lvis_v1_train.json                      LVIS; no file_name, or one of 2014: coco_url counts
    ROOT/annotations/paco_lvis_v1_train.json     PACO; parts are categories: `bench:leg`

After the COCO API (pycocotools/coco.py): boxes are x, y, width, height in float pixels of the
stored image, from 0, the right edge x + width. `iscrowd` regions are to be ignored; their box is
written, or that of their run-length mask. Where an image states LVIS' `neg_category_ids` or
`not_exhaustive_category_ids`, only its positive and negative categories were looked for; elsewhere
every category is taken to be annotated completely (`complete`). A photo's licence is the one its
entry names; the corpora's own terms were not found in text, so where it names none: `unknown`.

Objects365 has a few wrong class names, and copies lack some images: `renames` and `names` mend
the first, the others are drops. An image entry without any annotation says nothing for sure and is
dropped, unless `empty` is `keep`; for LVIS its negative categories are annotation enough.

A file is read once a worker in one pass (`coco_table`); a large one is cut into parts by images.
"""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import ClassVar, Literal

from mgdata.corpora import clips
from mgdata.corpora.coco_places import Places
from mgdata.corpora.coco_records import Choices, Reader
from mgdata.corpora.coco_table import Id, Table, table
from mgdata.data import Drop, Record, Shape
from mgdata.errors import MissingFile, OutsideRoot, Rejected, UsageError
from mgdata.plugins import Corpus
from mgdata.storage import Root

PART = 16 << 20
"""Bytes of an annotation file for each part it is cut into: about 5,000 images of Objects365."""

_KINDS = ("instances_*.json", "zhiyuan_objv2_*.json", "lvis_*.json", "paco_*.json", "*.json")
"""Names of annotation files; those of the first kind that is there are read."""
_OTHERS = ("captions_*", "person_keypoints_*", "image_info_*", "stuff_*", "panoptic_*")
_SLICE = re.compile(r"(.*)#(\d+)/(\d+)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Coco(Corpus):
    """Reads COCO-style files: a record is an image, its key `<name>/<file>/<image id>`."""

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://cocodataset.org/"
    layout: ClassVar[str] = (
        "annotations/*.json, or *.json (COCO, Objects365, LVIS, PACO: images, annotations, "
        "categories)\n"
        "<images>/... (where the entries' file_name or coco_url points, below any folder named "
        "like the split)"
    )
    shape: ClassVar[Shape] = "image"

    annotations: tuple[str, ...] = ()
    """Annotation files, as patterns below the root. Empty: those of the best-known name."""
    images: tuple[str, ...] = ()
    """Folders that image paths start from. Empty: those that the file's name suggests."""
    complete: bool = True
    """Every category is annotated completely in every image (but where the file speaks of it)."""
    empty: Literal["drop", "keep"] = "drop"
    """Images without any annotation: `keep` trusts that nothing is there to annotate."""
    sizes: Literal["stated", "header"] = "stated"
    """`header` opens every image: for files with wrong sizes, and for photos with an EXIF rotation,
    which a later stage drops if their record does not know it."""
    renames: dict[str, str] = field(default_factory=dict[str, str])
    """Other labels for categories, by id (as text) or by name; an id counts more."""
    names: str = ""
    """Path of a list of corrected names below the root: lines of `id,old name,new name`."""

    def parts(self) -> list[str]:
        """The annotation files; a large one as `<path>#<slice>/<slices>`."""
        self._corrected()
        found = self._files()
        if not found:
            looked_for = " or ".join(self.annotations) or "annotations/*.json or *.json"
            raise clips.wrong_layout(self, looked_for)
        parts: list[str] = []
        for path in found:
            slices = max(1, self.root.size(path) // PART)
            if slices == 1:
                parts.append(path)
            else:
                parts += [f"{path}#{i}/{slices}" for i in range(slices)]
        return parts

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The records of the images of one part, in the file's order.

        What is wrong with the file as a whole is dropped once, by its first part.
        """
        sliced = _SLICE.fullmatch(part)
        path, i, n = (sliced[1], int(sliced[2]), int(sliced[3])) if sliced else (part, 0, 1)
        if n > 1:
            found, places = _kept(self.root, path, self.images, self.root.size(path))
        else:
            found, places = _read(self.root, path), Places(self.root, path, self.images)
        if isinstance(found, Rejected):
            if i == 0:
                yield self.drop(path, found.reason, found.value)
            return
        if i == 0:
            for lost in found.lost:
                yield self.drop(f"{path}#{lost.where}", lost.reason, lost.value)
        reader = Reader(
            corpus=self,
            path=path,
            table=found,
            places=places,
            labels=self._labels(found),
            choices=Choices(self.complete, self.empty == "keep", self.sizes == "header"),
        )
        count = len(found.names)
        # A few thousand at a time: their boxes are placed as one array.
        for start in range(i * count // n, (i + 1) * count // n, 4096):
            yield from reader.records(start, min(start + 4096, (i + 1) * count // n))
        if n > 1 and i == n - 1:
            _kept.cache_clear()  # gigabytes that nobody asks for again

    def _files(self) -> list[str]:
        if self.annotations:
            paths = [path for pattern in self.annotations for path in self._matching(pattern)]
            return list(dict.fromkeys(paths))
        there = [
            posixpath.join(folder, name)
            for folder in ("annotations", "")
            for name in self.root.list(folder)
            if not any(fnmatchcase(name, other) for other in _OTHERS)
        ]
        for kind in _KINDS:
            paths = [path for path in there if fnmatchcase(posixpath.basename(path), kind)]
            if paths:
                return paths
        return []

    def _matching(self, pattern: str) -> list[str]:
        """Paths below the root: a `*` in the last step of the pattern stands for any name."""
        folder, _, last = pattern.rpartition("/")
        return [
            posixpath.join(folder, name)
            for name in self.root.list(folder)
            if fnmatchcase(name, last)
        ]

    def _labels(self, found: Table) -> dict[Id, str]:
        """The label of every category that has a name."""
        corrected = self._corrected()
        labels: dict[Id, str] = {}
        for id_, name in found.categories.items():
            name = corrected.get(str(id_), name)
            label = " ".join(name.lower().split())
            for called in (label, name, str(id_)):
                label = self.renames.get(called, label)
            if label:
                labels[id_] = label
        return labels

    def _corrected(self) -> Mapping[str, str]:
        """The names of the list of corrections, by category id.

        Raises:
            UsageError: it is not there, or a line of it is not `id,old name,new name`.
        """
        if not self.names:
            return {}
        try:
            text = self.root.read(self.names).decode("utf-8-sig")
        except (MissingFile, OutsideRoot, UnicodeDecodeError) as error:
            raise UsageError(f"corpus {self.name}: names: {error}") from None
        corrected: dict[str, str] = {}
        for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
            if len(row) != 3 or not row[2].strip():
                raise UsageError(
                    f"corpus {self.name}: {self.names}:{number}: found {','.join(row)!r}, "
                    "expected id,old name,new name"
                )
            corrected[row[0].strip()] = row[2]
        return corrected


def _read(root: Root, path: str) -> Table | Rejected:
    try:
        return table(root, path)
    except Rejected as error:
        return error


@lru_cache(maxsize=1)
def _kept(
    root: Root, path: str, folders: tuple[str, ...], size: int
) -> tuple[Table | Rejected, Places]:
    """The table of the file whose parts a worker is asked for, one after the other."""
    del size  # another size is another file
    return _read(root, path), Places(root, path, folders)
