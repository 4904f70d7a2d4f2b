"""YouTube-VOS: 4,453 clips of 94 classes, every fifth frame with the masks of some objects.

    ROOT/train/JPEGImages/<video>/00000.jpg     frames, numbered in steps of 5
    ROOT/train/Annotations/<video>/00000.png    masks: palette PNG, a pixel is an object's number
    ROOT/train/meta.json    {"videos": {<video>: {"objects": {"1": {"category", "frames"}}}}}
    ROOT/{valid,test}/...   the same, but an object is drawn in the frame where it is new, only

A box is the bounds of an object's pixels, right and bottom exclusive; 255 is nobody's. Objects come
in when they first show, or when an annotator first saw them: before that nothing is known of them.
After it, a training mask without the object says that it is not visible; in `valid` and `test` it
says nothing. `frames` in meta.json is not read: the masks say more. An object that meta.json does
not name is `object`, as is one of its category `others`; one that no mask shows is counted. Copies
with every frame (`train_all_frames`) give the annotated ones, the rest is counted. Not everything
is annotated, so nothing is known absent. Terms were not found in text: the licence is `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import msgspec

from mgdata.corpora import clips, mask_clips, sides
from mgdata.data import Drop, Record, Shape
from mgdata.errors import Rejected
from mgdata.plugins import Corpus

_WHOLE = ("train", "train_all_frames")
"""Splits whose masks show every object that is visible."""
_UNNAMED = "others"


class _Object(msgspec.Struct):
    category: Any = None


class _Video(msgspec.Struct):
    objects: dict[str, _Object]


class _Meta(msgspec.Struct):
    videos: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class YoutubeVos(Corpus):
    """Reads YouTube-VOS: a record is a video, its key `<name>/<split>/<video>`.

    A track is an object's number, its label the category in words (`giant_panda`: giant panda).
    """

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://youtube-vos.org"
    layout: ClassVar[str] = (
        "train/JPEGImages/<video>/00000.jpg\n"
        "train/Annotations/<video>/00000.png\n"
        "train/meta.json\n"
        "valid, test: the same"
    )
    shape: ClassVar[Shape] = "clip"

    splits: tuple[str, ...] = ("train",)
    """Folders to read."""
    specks: float = 0.005
    """Share of an object's pixels that its box may leave out, the smallest separate pieces first:
    stray pixels of the annotation, one of which can make a box half as large again."""
    min_pixels: int = 16
    """Pixels below which a mask shows too little of an object to say anything; counted."""

    def parts(self) -> list[str]:
        """`<split>/<video>` for every video of meta.json or with masks."""
        found: list[str] = []
        for split in self.splits:
            names = {*self._videos(split), *clips.folders(self, f"{split}/Annotations")}
            if not names:
                raise clips.wrong_layout(self, f"videos in {split}/meta.json")
            found += [f"{split}/{name}" for name in sorted(names)]
        if not found:
            raise clips.wrong_layout(self, "<split>/meta.json (splits: none)")
        return found

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The record of one video, or its drop."""
        return clips.read_clip(self, part, self._read)

    def _videos(self, split: str) -> Mapping[str, Any]:
        path = f"{split}/meta.json"
        if not self.root.exists(path) or self.root.list(path):
            raise clips.wrong_layout(self, path)
        return _videos(self, path, self.root.size(path))

    def _read(self, part: str) -> Record:
        split, _, video = part.partition("/")
        labels, unread = self._labels(split, video)
        brush = mask_clips.Brush(self.specks, self.min_pixels)
        frames, folder = (f"{split}/{kind}/{video}" for kind in ("JPEGImages", "Annotations"))
        read = mask_clips.sheets(self, frames, folder, brush)
        if not read.numbers:
            raise Rejected("no object in any mask", folder)
        looks = read.looks(whole=split in _WHOLE)
        made, skipped = mask_clips.regions(looks, labels, read.clip.header, brush)
        skipped += read.skipped
        if undrawn := len(labels.keys() - {str(number) for number in read.numbers}):
            skipped["object without a mask"] += undrawn
        if unread:
            skipped["class name is no text"] += unread
        return clips.record(self, part, read.clip, (made, skipped))

    def _labels(self, split: str, video: str) -> tuple[dict[str, str], int]:
        """Labels by object number, and how many class names could not be read.

        Raises:
            Rejected: meta.json has no such video, or no objects for it.
        """
        try:
            entry = msgspec.convert(self._videos(split)[video], _Video)
        except KeyError:
            raise Rejected("not in meta.json", video) from None
        except msgspec.ValidationError as error:
            raise Rejected("malformed annotation", f"meta.json, {video}: {error}") from None
        labels: dict[str, str] = {}
        unread = 0
        for number, found in entry.objects.items():
            try:
                label = mask_clips.label_of(found.category)
            except Rejected:
                label, unread = mask_clips.NAMELESS, unread + 1
            labels[number] = mask_clips.NAMELESS if label == _UNNAMED else label
        return labels, unread


@lru_cache(maxsize=4)
def _videos(corpus: YoutubeVos, path: str, size: int) -> Mapping[str, Any]:
    """The videos of one meta.json, kept for the parts that a worker is asked for."""
    del size  # another size is another file
    return sides.decoded(corpus, path, _Meta).videos
