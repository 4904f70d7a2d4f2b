"""All that a TAO annotation file says, joined: videos, their frames, what is marked in each.

The lists may come in any order. An entry that is not what it should be is kept as a `Lost`, so that
it can be told of; a broken annotation of which the image is known is kept without its box. It opens
no image and builds no record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mgdata.corpora import sides
from mgdata.corpora.coco_json import Broken, Section, read
from mgdata.errors import Rejected
from mgdata.storage import Root

Id = int | str
_FREE_FORM = "unknown"
"""Synset of a category that annotators named themselves."""


class Video(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `videos`."""

    id: Id
    name: str
    """Split, source and name there: its folder below the frames."""
    neg_category_ids: tuple[Id, ...] | None = None
    """Categories known not to be there."""
    not_exhaustive_category_ids: tuple[Id, ...] | None = None
    """Categories of which not every instance has a track."""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `images`: an annotated frame."""

    id: Id
    video_id: Id
    file_name: str
    frame_index: int
    width: float | None = None
    height: float | None = None
    license: Id | None = None


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `annotations`: a box of a track in one frame."""

    image_id: Id
    bbox: tuple[float, float, float, float] | None = None
    category_id: Id | None = None
    track_id: Id | None = None
    video_id: Id | None = None
    iscrowd: int | bool | None = 0
    id: Id | None = None


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `tracks`: an object followed through one video."""

    id: Id
    category_id: Id
    video_id: Id


class License(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `licenses`."""

    id: Id
    name: str | None = None
    url: str | None = None


class _Merged(msgspec.Struct, frozen=True, kw_only=True):
    id: Id


class _Category(msgspec.Struct, frozen=True, kw_only=True):
    id: Id
    name: str
    synset: str | None = None
    merged: tuple[_Merged, ...] = ()


@dataclass(frozen=True)
class Lost:
    """An entry of the file that is in no record, and why."""

    where: str
    reason: str
    value: str | None = None


@dataclass
class Table:
    """The joined file; grows while it is read."""

    videos: dict[Id, Video] = field(default_factory=dict[Id, Video])
    ambiguous: set[Id] = field(default_factory=set[Id])
    """Videos whose id or name stands for two."""
    frames: dict[Id, Frame] = field(default_factory=dict[Id, Frame])
    clashing: set[Id] = field(default_factory=set[Id])
    """Frames whose id stands for two files."""
    marks: defaultdict[Id, list[Mark]] = field(default_factory=lambda: defaultdict(list))
    """By frame, in the file's order."""
    tracks: dict[Id, Track | None] = field(default_factory=dict[Id, Track | None])
    """None: the id stands for two tracks."""
    licenses: dict[Id, License] = field(default_factory=dict[Id, License])
    labels: dict[Id, str] = field(default_factory=dict[Id, str])
    """Label of every category, also of one that was merged into another: that other's."""
    merged: dict[Id, Id] = field(default_factory=dict[Id, Id])
    """The category that each merged one became a part of."""
    searched: dict[str, set[Id]] = field(default_factory=dict[str, set[Id]])
    """Ids of each label that TAO searched its videos for; of no label in the annotators' words."""
    lost: list[Lost] = field(default_factory=list[Lost])
    unattributed: bool = False
    """An annotation was lost of which even the frame is not known."""

    def clip(self) -> dict[Id, list[Frame]]:
        """The frames of every video that has some, in time order."""
        found: defaultdict[Id, list[Frame]] = defaultdict(list)
        for frame in self.frames.values():
            found[frame.video_id].append(frame)
        for frames in found.values():
            frames.sort(key=lambda frame: frame.frame_index)
        return dict(found)


def table(root: Root, path: str) -> Table:
    """Read the whole file at `path`.

    Raises:
        Rejected: it is cut, is no JSON, or lacks one of its lists.
        StorageError: it cannot be read.
    """
    reading = _Reading(Table())
    sections: dict[str, Section[Any]] = {
        "videos": Section(Video, reading.videos, reading.broken("videos", "video")),
        "images": Section(Frame, reading.frames, reading.broken("images", "image entry")),
        "annotations": Section(Mark, reading.marks, reading.broken_mark),
        "tracks": Section(Track, reading.tracks, reading.broken("tracks", "track")),
        "categories": Section(
            _Category, reading.categories.extend, reading.broken("categories", "category")
        ),
        "licenses": Section(License, reading.licenses, lambda broken: None),
    }
    found = read(root, path, sections)
    missing = [name for name in sections if name not in found and name != "licenses"]
    if missing:
        raise Rejected("not a TAO annotation file", f"{path} has no {' and no '.join(missing)}")
    reading.named()
    return reading.table


@dataclass
class _Reading:
    table: Table
    categories: list[_Category] = field(default_factory=list[_Category])
    names: dict[str, Id] = field(default_factory=dict[str, Id])

    def broken(self, name: str, kind: str) -> Callable[[Broken], None]:
        def take(broken: Broken) -> None:
            where = f"{name}[{broken.at}]"
            self._lose(where, f"malformed {kind}", str(broken.value)[:80])

        return take

    def videos(self, block: Sequence[Video]) -> None:
        for video in block:
            first = self.table.videos.setdefault(video.id, video)
            if first is not video:
                self._lose(f"video={video.id}", "repeated video id", f"{first.name}, {video.name}")
                if first != video:
                    self.table.ambiguous.add(video.id)
            elif (other := self.names.setdefault(video.name, video.id)) != video.id:
                self.table.ambiguous |= {other, video.id}

    def frames(self, block: Sequence[Frame]) -> None:
        for frame in block:
            first = self.table.frames.setdefault(frame.id, frame)
            if first is not frame:
                value = f"{first.file_name}, {frame.file_name}"
                self._lose(f"image={frame.id}", "repeated image id", value)
                if (first.file_name, first.video_id) != (frame.file_name, frame.video_id):
                    self.table.clashing.add(frame.id)

    def marks(self, block: Sequence[Mark]) -> None:
        for mark in block:
            self.table.marks[mark.image_id].append(mark)

    def broken_mark(self, broken: Broken) -> None:
        """Keep what says to which frame it belongs, so that its box is counted as left out."""
        mended = _mended(broken.value)
        if mended is not None:
            self.marks([mended])
            return
        self.table.unattributed = True
        where = f"annotations[{broken.at}]"
        self._lose(where, "malformed annotation", str(broken.value)[:80])

    def tracks(self, block: Sequence[Track]) -> None:
        for track in block:
            if self.table.tracks.setdefault(track.id, track) != track:
                self.table.tracks[track.id] = None
                self._lose(f"track={track.id}", "repeated track id")

    def licenses(self, block: Sequence[License]) -> None:
        for found in block:
            self.table.licenses.setdefault(found.id, found)

    def named(self) -> None:
        """Fill what is known of categories, once all of them were read."""
        names: dict[Id, str] = {}
        twice: set[Id] = set()
        for found in self.categories:
            if names.setdefault(found.id, found.name) != found.name:
                twice.add(found.id)
                value = f"{names[found.id]}, {found.name}"
                self._lose(f"category={found.id}", "repeated category id", value)
        for found in self.categories:
            for part in found.merged:
                self.table.merged.setdefault(part.id, found.id)
        for id_ in {**names, **self.table.merged}:
            whole = _whole(id_, self.table.merged)
            label = " ".join(names.get(whole, "").lower().split())
            if label and whole not in twice and id_ not in twice:
                self.table.labels[id_] = label
        self._searched()

    def _searched(self) -> None:
        free: set[str] = set()
        for found in self.categories:
            label = self.table.labels.get(found.id)
            if label is not None and found.id not in self.table.merged:
                self.table.searched.setdefault(label, set()).add(found.id)
                if found.synset in (None, "", _FREE_FORM):
                    free.add(label)
        for label in free:
            del self.table.searched[label]

    def _lose(self, where: str, reason: str, value: str | None = None) -> None:
        if value is not None:
            value = value.encode("utf-8", "backslashreplace").decode()
        self.table.lost.append(Lost(where, reason, value))


def _whole(id_: Id, merged: Mapping[Id, Id]) -> Id:
    """What a category was merged into in the end; itself where nothing, or in a circle."""
    seen = {id_}
    while (into := merged.get(id_)) is not None and into not in seen:
        seen.add(into)
        id_ = into
    return id_


def _mended(value: Any) -> Mark | None:
    """What can be kept of an annotation that is not as it should be; None without its frame."""
    if not isinstance(value, dict):
        return None
    found: dict[str, Any] = value
    image = _id(found.get("image_id"))
    if image is None:
        return None
    # What is no 0 is taken for a crowd: that only sets the box aside.
    return Mark(
        image_id=image,
        bbox=sides.four(found.get("bbox")),
        category_id=_id(found.get("category_id")),
        track_id=_id(found.get("track_id")),
        video_id=_id(found.get("video_id")),
        iscrowd=int(found.get("iscrowd", 0) not in (0, None, False)),
        id=_id(found.get("id")),
    )


def _id(value: Any) -> Id | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        return value if value.isascii() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
