"""TAO: any object that moves, 833 categories, followed through 2,907 videos of seven sources.

    ROOT/annotations/{train,validation}.json            videos images tracks annotations categories
    ROOT/frames/train/YFCC100M/v_25685519b728afd7/frame0391.jpg    `file_name` below `frames`

After TAO's own toolkit (tao/toolkit/tao/tao.py): boxes are x, y, width, height in pixels from 0 of
what shows of an object, the right edge x + width; some leave the image and are cut. About one frame
a second is annotated, and only those are a record's images: other frames may lie beside them. A
category may be `merged` into another, whose name its annotations then have.

A video is a federated annotation: it was searched for its positive categories (those that have a
track) and for `neg_category_ids`. Complete are those of them that are not in
`not_exhaustive_category_ids`; the negative ones are known to be absent, and nothing is known of any
other. Categories that annotators named in their own words (synset `unknown`) were not searched for:
they are never complete. That a negative category was later merged into a larger one says nothing of
that one. Where a box of a category had to be left out, that category is not called complete.

Several videos are cut from one film: videos of one AVA or HACS film (`.._scene_2_24458-25635`) and
of one BDD drive share a unit; one of LaSOT or Charades has the unit that it has in those corpora.
The terms of the sources were not found in text: where the file names none, the licence is
`unknown`.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from mgdata.corpora import clips, sides
from mgdata.corpora.tao_table import Frame, Id, Mark, Table, Video, table
from mgdata.data import Drop, Image, Record, Region, Shape
from mgdata.errors import OutsideRoot, Rejected, StorageError
from mgdata.geometry import from_xywh
from mgdata.headers import Header, header_of
from mgdata.plugins import Corpus

_SPLITS = ("train", "validation")
_FILM = re.compile(r"(?:.*_v_)?(.{11})_scene_[0-9]+_[0-9]+-[0-9]+", re.DOTALL)
_TERMS = re.compile(r"creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)")


@dataclass(frozen=True, kw_only=True)
class Tao(Corpus):
    """Reads TAO: a record is a video, its key `<name>/<split>/<source>/<video>`.

    Its images are the annotated frames in order of time; a track is a track's id.
    """

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://taodataset.org/"
    layout: ClassVar[str] = (
        "annotations/{train,validation}.json\nframes/<split>/<source>/<video>/frame0001.jpg"
    )
    shape: ClassVar[Shape] = "clip"

    splits: tuple[str, ...] = ()
    """Names of annotation files without their ending, read in this order. Empty: `train` and
    `validation`, where they are there; `train_with_freeform` has categories in the annotators' own
    words too, and the test set is a benchmark."""
    frames: str = "frames"
    """Folder that the images' file names start from."""

    def parts(self) -> list[str]:
        """The annotation files; each is read once."""
        there = self.root.list("annotations")
        wanted = [f"{split}.json" for split in self.splits or _SPLITS]
        found = [name for name in wanted if name in there]
        if not found or (self.splits and found != wanted):
            absent = [name for name in wanted if name not in there]
            raise clips.wrong_layout(self, f"{' or '.join(absent)} in annotations")
        return [f"annotations/{name}" for name in dict.fromkeys(found)]

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The records of one file's videos in its order, then the entries that belong to none."""
        try:
            found = table(self.root, part)
        except Rejected as error:
            yield self.drop(part, error.reason, error.value)
            return
        clip = found.clip()
        for video in found.videos.values():
            try:
                if video.id in found.ambiguous:
                    raise Rejected("repeated video", f"{part}: id {video.id}, name {video.name}")
                yield self._record(found, video, clip.get(video.id, []))
            except (Rejected, StorageError) as error:
                yield sides.drop(self, video.name, error)
        for lost in found.lost:
            yield self.drop(f"{part}#{lost.where}", lost.reason, lost.value)
        yield from self._homeless(found, part)

    def _homeless(self, found: Table, part: str) -> Iterator[Drop]:
        for frame in found.frames.values():
            if frame.video_id not in found.videos:
                value = f"video {frame.video_id}, {frame.file_name}"
                yield self.drop(f"{part}#image={frame.id}", "image of an unknown video", value)
        for id_, marks in found.marks.items():
            if id_ not in found.frames:
                value = f"{len(marks)} annotations"
                yield self.drop(f"{part}#image={id_}", "annotation for an unknown image", value)

    def _record(self, found: Table, video: Video, frames: Sequence[Frame]) -> Record:
        if not frames:
            raise Rejected("no frames", video.name)
        clip = _Clip(self, found, video)
        for frame in frames:
            clip.take(frame)
        if not clip.images:
            raise Rejected(clip.why, frames[0].file_name)
        if not clip.regions and not clip.skipped and not video.neg_category_ids:
            raise Rejected("video without annotation", video.name)
        exhaustive, absent = clip.known()
        return Record(
            key=f"{self.name}/{video.name}",
            shape=self.shape,
            unit=_unit(self.name, video.name),
            images=tuple(clip.images),
            regions=tuple(clip.regions),
            license=clip.terms(),
            exhaustive=exhaustive,
            absent=absent,
            skipped=dict(sorted(clip.skipped.items())),
        )


@dataclass
class _Clip:
    """One video's record while it grows, frame by frame."""

    corpus: Tao
    table: Table
    video: Video
    images: list[Image] = field(default_factory=list[Image])
    regions: list[Region] = field(default_factory=list[Region])
    skipped: Counter[str] = field(default_factory=Counter[str])
    lost: set[str | None] = field(default_factory=set[str | None])
    """Labels of annotations that were left out; None for one of an unknown category."""
    why: str = ""
    """Why the last frame without an image has none."""
    _header: Header | None = None
    _files: set[str] = field(default_factory=set[str])
    _seen: set[Id] = field(default_factory=set[Id])
    """Ids of annotations."""
    _licenses: set[Id | None] = field(default_factory=set[Id | None])
    _names: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    def take(self, frame: Frame) -> None:
        """Add a frame and what is marked in it, or count both as left out."""
        marks = self.table.marks.get(frame.id, [])
        try:
            header = self._image(frame)
        except Rejected as error:
            self.why = error.reason
            self.skipped[error.reason] += 1
            if marks:
                self.skipped["annotation of a frame left out"] += len(marks)
            return
        tracks: set[Id] = set()
        for mark in marks:
            label = None if mark.category_id is None else self.table.labels.get(mark.category_id)
            try:
                self.regions.append(self._region(mark, label, header, tracks))
            except Rejected as error:
                self.skipped[error.reason] += 1
                self.lost.add(label)

    def _image(self, frame: Frame) -> Header:
        if frame.id in self.table.clashing:
            raise Rejected("repeated image id")
        path = self._path(frame.file_name)
        if path in self._files:
            raise Rejected("two images of one file")
        if self._header is None:
            self._header = header_of(self.corpus.root, path)
        header = self._header
        stated, stored = (frame.width, frame.height), (header.width, header.height)
        if None not in stated and stated not in (stored, header.upright):
            raise Rejected("size differs from the annotation")
        self._files.add(path)
        width, height = header.upright
        self.images.append(
            Image(
                uri=self.corpus.uri(path),
                width=width,
                height=height,
                orientation=header.orientation,
                format=header.format,
                frame=frame.frame_index,
            )
        )
        self._licenses.add(frame.license)
        return header

    def _path(self, name: str) -> str:
        steps = name.replace("\\", "/").split("/")
        if any(step in ("", ".", "..") for step in steps) or "\0" in name:
            raise Rejected(clips.OUTSIDE)
        path = posixpath.join(self.corpus.frames, *steps)
        folder, _, last = path.rpartition("/")
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(self.corpus.root.list(folder))
            except OutsideRoot:
                raise Rejected(clips.OUTSIDE) from None
        if last not in self._names[folder]:
            raise Rejected("missing image")
        return path

    def _region(self, mark: Mark, label: str | None, header: Header, tracks: set[Id]) -> Region:
        """One box; `tracks` are those that have one in this frame already.

        Raises:
            Rejected: it is left out.
        """
        if mark.id is not None and mark.id in self._seen:
            raise Rejected("repeated annotation id")
        if mark.id is not None:
            self._seen.add(mark.id)
        if label is None:
            raise Rejected("unknown category")
        track = self._track(mark, label)
        if track in tracks:
            raise Rejected("second box of a track in one frame")
        if mark.bbox is None:
            raise Rejected("no box")
        placed = sides.placed(from_xywh(*mark.bbox), header)
        if isinstance(placed, str):
            raise Rejected(placed)
        tracks.add(track)
        return Region(
            image=len(self.images) - 1,
            box=placed[0],
            label=label,
            track=str(track),
            clipped=placed[1],
            ignore=bool(mark.iscrowd),
        )

    def _track(self, mark: Mark, label: str) -> Id:
        track = None if mark.track_id is None else self.table.tracks.get(mark.track_id)
        if track is None:
            known = mark.track_id is not None and mark.track_id in self.table.tracks
            raise Rejected("repeated track id" if known else "unknown track")
        if track.video_id != self.video.id or mark.video_id not in (None, self.video.id):
            raise Rejected("track of another video")
        named = self.table.labels.get(track.category_id)
        if named != label:
            self.lost.add(named)
            raise Rejected("track of another category")
        return track.id

    def known(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Labels annotated completely, and labels known not to be there."""
        video, found = self.video, self.table
        if video.neg_category_ids is None or video.not_exhaustive_category_ids is None:
            return (), ()
        partial = {found.labels.get(id_) for id_ in video.not_exhaustive_category_ids}
        denied = set(video.neg_category_ids)
        seen = {region.label for region in self.regions}
        unsure = found.unattributed or None in self.lost
        negative = {label for label, ids in found.searched.items() if ids <= denied}
        absent = set[str]() if unsure else negative - seen - self.lost
        present = {label for label in seen if label in found.searched}
        whole = set[str]() if unsure else (present | absent) - partial - self.lost
        return tuple(sorted(whole)), tuple(sorted(absent))

    def terms(self) -> str:
        """The licence that all frames name; the corpus' own where they name none, or several."""
        id_ = next(iter(self._licenses)) if len(self._licenses) == 1 else None
        found = None if id_ is None else self.table.licenses.get(id_)
        if found is None:
            return self.corpus.license
        terms = _TERMS.search(found.url or "")
        if terms:
            return f"CC-{terms[1].upper()}-{terms[2]}"
        name = (found.name or "").strip()
        return self.corpus.license if name.lower() in ("", "unknown") else name


def _unit(corpus: str, name: str) -> str:
    """What a video was cut from, by its name; one of LaSOT or Charades as those readers call it."""
    source, _, own = name.partition("/")[2].partition("/")
    if source == "LaSOT":
        return posixpath.basename(own) or name
    if source == "Charades":
        return f"charades-{own}"
    if source == "BDD":
        return f"bdd-{own.partition('-')[0]}"
    film = _FILM.fullmatch(own)
    if source in ("AVA", "HACS") and film:
        return f"youtube-{film[1]}"
    return f"{corpus}/{source}/{own}" if own else f"{corpus}/{name}"
