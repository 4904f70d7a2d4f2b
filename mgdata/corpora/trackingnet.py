"""TrackingNet: one object a clip, 30,000 YouTube clips, boxes only.

    ROOT/TRAIN_0 .. TRAIN_11, TEST/frames/<video>/0.jpg   frames, not padded: sort as numbers
                                   anno/<video>.txt       x,y,w,h a line
    ROOT/trackingnet_classmap.txt                         `<video> TAB <class>`, optional

After the devkit's layout and pytracking's reader (ltr/dataset/tracking_net.py). `<video>` is a
YouTube id (it may begin with `-`) and the number of the object in that video: two objects of one
video show the same scene, so the unit is the YouTube id. The annotations name no class; pytracking
ships a class map, which is read where it lies in the root, else the label is `object`. There are
no visibility flags: a frame says where the object is and nothing else. Between the frames drawn
by hand the boxes are largely a tracker's. `TEST` has one box a clip: asked for, each of its clips
is dropped.

Licence: a re-host's card says gpl-3.0, which is not a licence for the frames of other people's
YouTube videos; whether they may be passed on is a separate question, so it is `unknown` here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from mgdata.corpora import clips
from mgdata.data import Drop, Record, Shape
from mgdata.plugins import Corpus

CLASS_MAP = "trackingnet_classmap.txt"
_CHUNK = re.compile(r"TRAIN_\d+")


@dataclass(frozen=True, kw_only=True)
class TrackingNet(Corpus):
    """Reads TrackingNet: a record is a clip, its key `<name>/<chunk>/<video>`."""

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://tracking-net.org/"
    layout: ClassVar[str] = (
        "TRAIN_<n>/frames/<video>/0.jpg\n"
        "TRAIN_<n>/anno/<video>.txt\n"
        "trackingnet_classmap.txt (optional)"
    )
    shape: ClassVar[Shape] = "clip"

    splits: tuple[str, ...] = ("TRAIN",)
    """Folders to read; `TRAIN` stands for every TRAIN_<n> that is there."""

    def parts(self) -> list[str]:
        """`<chunk>/<video>` for every clip that has frames or an annotation."""
        return sorted(
            f"{chunk}/{video}"
            for split in self.splits
            for chunk in self._chunks(split)
            for video in self._videos(chunk)
        )

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The record of one clip, or its drop."""
        return clips.read_clip(self, part, self._read)

    def _chunks(self, split: str) -> list[str]:
        if split != "TRAIN":
            return [split]
        chunks = [name for name in self.root.list() if _CHUNK.fullmatch(name)]
        if not chunks:
            raise clips.wrong_layout(self, "TRAIN_<n>/anno/ and TRAIN_<n>/frames/")
        return chunks

    def _videos(self, chunk: str) -> set[str]:
        annotated = {
            name.removesuffix(".txt")
            for name in self.root.list(f"{chunk}/anno")
            if name.endswith(".txt") and not name.startswith(".")
        }
        videos = annotated | set(clips.folders(self, f"{chunk}/frames"))
        if not videos:
            raise clips.wrong_layout(self, f"{chunk}/anno/ and {chunk}/frames/")
        return videos

    def _read(self, part: str) -> Record:
        chunk, _, video = part.partition("/")
        clip = clips.frames(self, f"{chunk}/frames/{video}")
        path = f"{chunk}/anno/{video}.txt"
        boxes = clips.numbers(self, path, {4})
        clips.agree(path, len(boxes), len(clip))
        label = self._classes.get(video, "object")
        found = clips.follow(clip, boxes, label=label, visibility=[None] * len(clip))
        return clips.record(self, part, clip, found, unit=video.rpartition("_")[0] or video)

    @cached_property
    def _classes(self) -> dict[str, str]:
        """Class of each video that the map knows; `Unknown` in the map is no class."""
        pairs = (line.partition("\t") for line in clips.listed(self, CLASS_MAP) or [])
        return {
            video: name.strip().lower()
            for video, _, name in pairs
            if name.strip() and name.strip() != "Unknown"
        }
