"""DAVIS 2016 and 2017: every frame of a short clip with a mask of one or several objects.

    ROOT/JPEGImages/480p/<sequence>/00000.jpg     frames, from 0; 1080p or Full-Resolution too
    ROOT/Annotations/480p/<sequence>/00000.png    masks; Annotations_unsupervised in the 2019 one
    ROOT/ImageSets/2017/{train,val}.txt           a sequence a line (480p/ of 2016: pairs of paths)
    ROOT/davis_semantics.json                     {sequence: {object number: class}}, if it is there

A mask of 2017 is a palette PNG whose pixel is the number of an object, 255 nobody's (so the
evaluation toolkit reads it); one of 2016 has 255 for its only object: 255 is an object where it is
the only number of a sequence. A box is the bounds of an object's pixels, right and bottom
exclusive. A mask a pixel larger or smaller than its frame is laid on its top left corner, one of
another scale is scaled, any other left out and counted. Test sequences are annotated in the first
frame only. The masks do not say what an object is, and a sequence's name does not either
(`bmx-trees`): its label is `object`, unless the classes of the semantics release lie in the root.
Not everything is annotated, so nothing is known absent. DAVIS says of itself that it is released
under the BSD licence, and its licence text has three clauses; copies of the 2017 packages were seen
cited as CC BY-NC 4.0, so read the README of yours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from mgdata.corpora import clips, mask_clips, sides
from mgdata.data import Drop, Record, Shape
from mgdata.errors import Rejected, UsageError
from mgdata.plugins import Corpus

SEMANTICS = "davis_semantics.json"

_LINE = re.compile(r"(?:.*/)?([^/\s]+)/[^/\s]+\.(?:jpg|png)(?:\s.*)?", re.IGNORECASE)
"""A line of the lists of 2016: `/JPEGImages/480p/bear/00000.jpg /Annotations/480p/...`."""


@dataclass(frozen=True, kw_only=True)
class Davis(Corpus):
    """Reads DAVIS: a record is a sequence, its key `<name>/<sequence>`, a track an object number.

    A sequence is the same video in 2016 and in 2017, and both give it the same unit.
    """

    license: ClassVar[str] = "BSD-3-Clause"
    homepage: ClassVar[str] = "https://davischallenge.org"
    layout: ClassVar[str] = (
        "JPEGImages/480p/<sequence>/00000.jpg\n"
        "Annotations/480p/<sequence>/00000.png\n"
        "ImageSets/{480p,2017}/{train,val}.txt (for sets)\n"
        "davis_semantics.json (classes, where it was downloaded)"
    )
    shape: ClassVar[Shape] = "clip"

    resolution: str = "480p"
    """Folder of frames and masks: `480p`, `1080p` or `Full-Resolution`."""
    annotations: str = "Annotations"
    """Folder of masks: `Annotations_unsupervised` has other objects in the same sequences."""
    sets: tuple[str, ...] = ()
    """Lists below ImageSets to read, as `2017/train`; none: every sequence that is there."""
    specks: float = 0.005
    """Share of an object's pixels that its box may leave out, the smallest separate pieces first:
    stray pixels of the annotation, one of which can make a box half as large again."""
    min_pixels: int = 16
    """Pixels below which a mask shows too little of an object to say anything; counted."""

    def parts(self) -> list[str]:
        """Every sequence with frames or masks, or those of the lists, sorted."""
        _ = self._classes  # an unreadable file is told of before the run
        if self.sets:
            return sorted({name for path in self.sets for name in self._listed(path)})
        found = {name for folder in self._folders for name in clips.folders(self, folder)}
        if not found:
            raise clips.wrong_layout(self, f"{self._folders[1]}/<sequence>/")
        return sorted(found)

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The record of one sequence, or its drop."""
        return clips.read_clip(self, part, self._read)

    @property
    def _folders(self) -> tuple[str, str]:
        return f"JPEGImages/{self.resolution}", f"{self.annotations}/{self.resolution}"

    def _listed(self, name: str) -> list[str]:
        path = f"ImageSets/{name.removesuffix('.txt')}.txt"
        lines = clips.listed(self, path)
        if not lines:
            raise clips.wrong_layout(self, f"sequence names in {path} (sets: {name})")
        return [match[1] if (match := _LINE.fullmatch(line)) else line for line in lines]

    def _read(self, part: str) -> Record:
        frames, folder = (f"{base}/{part}" for base in self._folders)
        brush = mask_clips.Brush(self.specks, self.min_pixels)
        read = mask_clips.sheets(self, frames, folder, brush)
        if not read.numbers:
            raise Rejected("no object in any mask", folder)
        classes: Any = self._classes.get(part, {})
        if not isinstance(classes, Mapping):
            raise Rejected("malformed classes", f"{SEMANTICS}: {part}")
        labels = {str(n): mask_clips.label_of(classes.get(str(n))) for n in read.numbers}  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        made, skipped = mask_clips.regions(read.looks(), labels, read.clip.header, brush)
        return clips.record(self, part, read.clip, (made, read.skipped + skipped))

    @cached_property
    def _classes(self) -> Mapping[str, Any]:
        """Classes by sequence and object number; none where there is no such file.

        Raises:
            UsageError: it is no JSON, or something else than an object.
        """
        if not self.root.exists(SEMANTICS):
            return {}
        if self.root.list(SEMANTICS):
            raise UsageError(f"{self.root.url}: {SEMANTICS} is a folder; remove or replace it")
        return sides.decoded(self, SEMANTICS, dict[str, Any])
