"""Ego-Exo4D relations: one moment of a take, seen by the camera worn and by those around it.

    ROOT/annotations/relations_{train,val,test}.json   masks of objects, at most one frame a second
    ROOT/takes/<take>/frame_aligned_videos/<camera>.mp4    30 frames a second
    ROOT/frames/<take uid>/<camera>/<frame>.jpg            in their place, where they were extracted

After the relations benchmark's own repository (ego-exo4d-relation). A JSON is
`annotations[take uid] = {take_name, object_masks[object][camera]}`; there `annotation[frame]` is
`{width, height, encodedMask}`: an LZString of COCO run lengths at the video's full size, from which
the box is made. Frames may be smaller (that preparation halves the ego camera's and quarters the
others'), so boxes are scaled to what the image's or video's own header says. `annotated_frames`
lists the frames in which a camera's picture was looked at: one without a mask does not show the
object; a frame that is not listed says nothing. `aria..` is the camera worn; its picture may be
stored turned by a quarter, which nobody marks: boxes and pictures agree as stored. The data takes a
signed agreement whose terms were not found in text: the licence is `unknown`.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import ijson
import msgspec

from mgdata import media
from mgdata.corpora import clips, lzstring_text, rle
from mgdata.data import Drop, Image, Record, Region, Shape
from mgdata.errors import MissingFile, OutsideRoot, Rejected, StorageError
from mgdata.geometry import Box, upright
from mgdata.headers import Header, header_of
from mgdata.plugins import Corpus

_EGO = "aria"
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_COPY = re.compile(r"(_[0-9]+)+$", re.ASCII)
_MOST_PIXELS = 1 << 28
"""Pixels above which a mask's size is no size: a cube of any run lengths could be claimed."""


class _Mask(msgspec.Struct):
    width: int
    height: int
    encodedMask: str


class _Camera(msgspec.Struct):
    annotation: dict[str, Any] = {}
    annotated_frames: list[int] | None = None


class _Take(msgspec.Struct):
    take_name: str
    object_masks: dict[str, dict[str, _Camera]]


_Looks = dict[int, dict[str, dict[str, Any]]]
"""What was looked at: frame, camera, object; its mask, or None where the object does not show."""


@dataclass(frozen=True)
class _Footage:
    """Where one camera's frames lie, and the size they are stored in."""

    path: str
    """The folder of extracted frames, or the video."""
    files: Mapping[int, str] | None
    """Names of extracted frames by number; None for a video."""
    count: int
    """Frames of a video."""
    header: Header

    def file(self, frame: int) -> str:
        """Path of one frame."""
        if self.files is None:
            if frame >= self.count:
                said = f"{self.path} has {self.count} frames, none of number {frame}"
                raise Rejected("frame beyond the end of the video", said)
            return f"{self.path}#frame={frame}"
        if frame not in self.files:
            raise Rejected("missing image", f"{self.path}/{frame}")
        return f"{self.path}/{self.files[frame]}"


@dataclass(frozen=True, kw_only=True)
class EgoExo4D(Corpus):
    """Reads Ego-Exo4D relations: a record is a moment, its key `<name>/<take uid>/<frame>`.

    Its images are the cameras of which that frame was annotated and is at hand, the camera worn
    first; a track is an object's own name (`plate_1`), its label that name without the number.
    """

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://ego-exo4d-data.org"
    layout: ClassVar[str] = (
        "annotations/relations_{train,val,test}.json\n"
        "takes/<take>/frame_aligned_videos/<camera>.mp4\n"
        "frames/<take uid>/<camera>/<frame>.jpg (in place of the videos)"
    )
    shape: ClassVar[Shape] = "views"

    splits: tuple[str, ...] = ("train",)
    """Which `relations_<split>.json` are read, in this order."""
    videos: str = "frame_aligned_videos"
    """Folder of a take's videos; `frame_aligned_videos/downscaled/448` for the small ones."""
    extracted: str = "frames"
    """Folder of extracted frames; a camera that has none there is read from its video."""
    min_pixels: int = 100
    """Pixels of a mask, at its full size, below which it is taken for a slip and left out."""

    def parts(self) -> list[str]:
        """The annotation file of every split: each is read once, take by take."""
        there = self.root.list("annotations")
        names = [f"relations_{split}.json" for split in self.splits]
        absent = [name for name in names if name not in there]
        if absent or not names:
            wanted = ", ".join(absent) or "relations_<split>.json"
            asked = ", ".join(self.splits) or "none"
            raise clips.wrong_layout(self, f"{wanted} in annotations (splits: {asked})")
        return [f"annotations/{name}" for name in names]

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The moments of every take of one annotation file, take by take, or their drops."""
        seen: set[str] = set()
        with media.open_file(self.root, part) as file:
            try:
                for uid, data in ijson.kvitems(file, "annotations", use_float=True):
                    yield from self._take(uid, data, seen)
            except (ijson.JSONError, UnicodeDecodeError) as error:
                said = f"{part} after {len(seen)} takes: {' '.join(str(error).split())[:120]}"
                yield self.drop(part, "broken JSON", said)
        if not seen:
            yield self.drop(part, "no takes", part)

    def _take(self, uid: str, data: Any, seen: set[str]) -> Iterator[Record | Drop]:
        if uid in seen:
            yield self.drop(uid, "repeated take", uid)
            return
        seen.add(uid)
        try:
            take = msgspec.convert(data, _Take)
        except msgspec.ValidationError as error:
            yield self.drop(uid, "malformed annotation", str(error))
            return
        footage: dict[str, _Footage | Rejected] = {}
        looks: _Looks = defaultdict(lambda: defaultdict(dict))
        yield from self._looks(uid, take, looks)
        for frame in sorted(looks):
            for camera in looks[frame]:
                if camera not in footage:
                    footage[camera] = self._footage(uid, take.take_name, camera)
            yield self._moment(uid, frame, looks[frame], footage)

    def _looks(self, uid: str, take: _Take, looks: _Looks) -> Iterator[Drop]:
        """Fill `looks`; a drop for each frame number that is none."""
        for name, cameras in take.object_masks.items():
            for camera, notes in cameras.items():
                for frame in notes.annotated_frames or ():
                    looks[frame][camera][name] = None
                for frame, mask in notes.annotation.items():
                    if _NUMBER.fullmatch(frame):
                        looks[int(frame)][camera][name] = mask
                    else:
                        said = f"{name}, {camera}: {frame!r}"
                        yield self.drop(f"{uid}/{frame}", "bad frame number", said)
        for frame in [frame for frame in looks if frame < 0]:
            del looks[frame]
            yield self.drop(f"{uid}/{frame}", "bad frame number", str(frame))

    def _footage(self, uid: str, take: str, camera: str) -> _Footage | Rejected:
        """One camera's frames; what is wrong with them concerns that camera only."""
        try:
            folder = posixpath.join(self.extracted, uid, camera)
            if files := _numbered(self.root.list(folder)):
                first = f"{folder}/{files[min(files)]}"
                return _Footage(folder, files, 0, header_of(self.root, first))
            path = posixpath.join("takes", take, self.videos, f"{camera}.mp4")
            found = media.video(self.root, path)
            header = Header(format="", width=found.width, height=found.height)
            return _Footage(path, None, found.frames, header)
        except Rejected as error:
            return error
        except OutsideRoot as error:
            return Rejected(clips.OUTSIDE, error.path)
        except MissingFile as error:
            return Rejected("missing video", error.path)
        except StorageError as error:
            return Rejected("unreadable file", str(error))

    def _moment(
        self,
        uid: str,
        frame: int,
        looks: Mapping[str, Mapping[str, Any]],
        footage: Mapping[str, _Footage | Rejected],
    ) -> Record | Drop:
        """The record of one frame of a take, or its drop where no camera's picture is there."""
        images: list[Image] = []
        regions: list[Region] = []
        skipped: Counter[str] = Counter()
        last = Rejected("no camera")
        for camera in sorted(looks, key=lambda name: (_EGO not in name.lower(), name)):
            try:
                shot = _usable(footage[camera])
                image = self._image(shot, camera, frame)
            except Rejected as error:
                last = error
                skipped[error.reason] += 1
                continue
            for name, mask in sorted(looks[camera].items()):
                try:
                    box = None if mask is None else self._box(mask, shot.header)
                    regions.append(_region(len(images), name, box))
                except Rejected as error:
                    skipped[error.reason] += 1
            images.append(image)
        key = f"{uid}/{frame}"
        if not images:
            return self.drop(key, last.reason, last.value)
        return Record(
            key=f"{self.name}/{key}",
            shape=self.shape,
            unit=uid,
            images=tuple(images),
            regions=tuple(regions),
            license=self.license,
            skipped=dict(sorted(skipped.items())),
        )

    def _image(self, footage: _Footage, camera: str, frame: int) -> Image:
        width, height = footage.header.upright
        return Image(
            uri=self.uri(footage.file(frame)),
            width=width,
            height=height,
            orientation=footage.header.orientation,
            format=footage.header.format,
            frame=frame,
            view=camera,
        )

    def _box(self, encoded: Any, header: Header) -> Box:
        """A mask's bounds in pixels of the frame, turned upright with it."""
        try:
            mask = msgspec.convert(encoded, _Mask)
        except msgspec.ValidationError as error:
            raise Rejected("malformed mask", str(error)) from None
        width, height = mask.width, mask.height
        if width < 1 or height < 1 or width * height > _MOST_PIXELS:
            raise Rejected("malformed mask", f"{width}x{height}")
        if not _one_scale((width, height), (header.width, header.height)):
            said = f"{width}x{height}, the frame has {header.width}x{header.height}"
            raise Rejected("mask and frame disagree", said)
        runs = rle.decompress(lzstring_text.decompress(mask.encodedMask)).tolist()
        box = rle.decode_box(runs, (height, width), (height, width))
        if box is None or sum(runs[1::2]) < self.min_pixels:
            raise Rejected("empty mask" if box is None else "small mask")
        scaled = Box(
            box.x1 * header.width / width,
            box.y1 * header.height / height,
            box.x2 * header.width / width,
            box.y2 * header.height / height,
        )
        return upright(scaled, header.width, header.height, header.orientation)


def _usable(footage: _Footage | Rejected) -> _Footage:
    if isinstance(footage, Rejected):
        raise footage
    return footage


def _region(image: int, name: str, box: Box | None) -> Region:
    label = " ".join(_COPY.sub("", name).replace("_", " ").lower().split())
    if not label:
        raise Rejected("no object name", name)
    visibility = 0.0 if box is None else None
    return Region(image=image, box=box, label=label, track=name, visibility=visibility)


def _one_scale(mask: tuple[int, int], frame: tuple[int, int]) -> bool:
    """Whether one scale makes the mask's size the frame's, each side to within a pixel.

    A pixel, because scaled videos have even sides: 448 lines of 3840x2160 are 796, not 796.4.
    """
    low = max((side - 1) / full for side, full in zip(frame, mask, strict=True))
    high = min((side + 1) / full for side, full in zip(frame, mask, strict=True))
    return low <= high


def _numbered(names: list[str]) -> dict[int, str]:
    """Image files by frame number; the first in name order of those that share one."""
    found: dict[int, str] = {}
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        if _NUMBER.fullmatch(stem) and f"{dot}{suffix.lower()}" in clips.SUFFIXES:
            found.setdefault(int(stem), name)
    return found
