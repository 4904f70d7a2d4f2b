"""The situations of a STAR question: frames of a Charades video, each with boxes and their classes.

It knows the file's form and the folder of dumped frames; no question and no answer.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mgdata.corpora import clips, sides
from mgdata.data import Image, Region
from mgdata.errors import OutsideRoot, Rejected
from mgdata.geometry import Box
from mgdata.headers import Header, header_of
from mgdata.plugins import Corpus

OTHER_SIZE = "frames of another size than the boxes"

_VIDEO = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_QUESTION = re.compile(r"[ -~]{1,200}")
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_SUFFIXES = (".png", ".jpg")
_SPILL = 1.1
"""How many times the frame's size a box's far edge must be for the frame to be of another size."""
_REMEMBERED = 1024
"""Videos whose frames are remembered: many questions share one."""


class Question(msgspec.Struct, frozen=True):
    """One element of the file."""

    question_id: str
    video_id: str
    situations: dict[str, Any]
    question: str | None = None
    answer: str | None = None


class _Situation(msgspec.Struct, frozen=True):
    bbox: list[Any]
    bbox_labels: list[Any]


class OtherSize(Rejected):
    """The frames are not those that the boxes refer to: nothing in them can be used."""


def decoded(data: bytes) -> Question:
    """One element of the list of questions; NaN and infinities are numbers here.

    Raises:
        Rejected: `malformed question`.
    """
    try:
        try:
            found = msgspec.json.decode(data, type=Question)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            found = msgspec.convert(json.loads(data), Question)
        # Half a surrogate is no text to us.
        f"{found.question_id}{found.question}{found.answer}{found.video_id}".encode()
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Rejected("malformed question", str(error)[:120]) from None
    if not _QUESTION.fullmatch(found.question_id):
        raise Rejected("malformed question", f"question_id {found.question_id[:80]!r}")
    return found


@dataclass(frozen=True)
class Video:
    """The dumped frames of one video; the first one's header stands for all."""

    folder: str
    names: frozenset[str]
    header: Header

    def file(self, frame: str) -> str:
        """Path of one frame."""
        for suffix in _SUFFIXES:
            if f"{frame}{suffix}" in self.names:
                return f"{self.folder}/{frame}{suffix}"
        raise Rejected("missing image")


@dataclass
class Videos:
    """Finds the frames of videos."""

    corpus: Corpus
    frames: str
    """Folder of the videos' folders."""
    short_side: int
    """Pixels above which a frame's shorter side is too long; 0: none is."""
    _known: dict[str, Video | Rejected] = field(default_factory=dict[str, "Video | Rejected"])

    def find(self, name: str) -> Video:
        """The frames of the video `name`.

        Raises:
            Rejected: there are none, or they are of another size than the boxes refer to.
            StorageError: a file cannot be read.
        """
        if not _VIDEO.fullmatch(name):
            raise Rejected(clips.OUTSIDE if "/" in name or ".." in name else "bad video id", name)
        if name not in self._known:
            if len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            try:
                self._known[name] = self._opened(f"{self.frames}/{name}.mp4")
            except Rejected as error:
                self._known[name] = error
            except OutsideRoot as error:
                self._known[name] = Rejected(clips.OUTSIDE, error.path)
        found = self._known[name]
        if isinstance(found, Rejected):
            raise Rejected(found.reason, found.value)
        return found

    def _opened(self, folder: str) -> Video:
        names = sorted(name for name in self.corpus.root.list(folder) if _is_frame(name))
        if not names:
            raise Rejected("missing image", f"no frames in {folder}")
        path = f"{folder}/{names[0]}"
        header = header_of(self.corpus.root, path)
        if self.short_side and min(header.width, header.height) > self.short_side:
            size = f"{header.width}x{header.height}"
            raise Rejected(OTHER_SIZE, f"{path}: {size}, the boxes are those of 480p videos")
        return Video(folder, frozenset(names), header)


@dataclass
class Clip:
    """The images and regions of one record while they grow, frame by frame."""

    corpus: Corpus
    video: Video
    classes: Mapping[str, str]
    """Name of every class, by its code."""
    images: list[Image] = field(default_factory=list[Image])
    regions: list[Region] = field(default_factory=list[Region])
    skipped: Counter[str] = field(default_factory=Counter[str])

    def take(self, situations: Mapping[str, Any]) -> None:
        """Add all frames in order of time, or count what is left out.

        Raises:
            OtherSize: a box shows that the frames have another size.
        """
        numbers = [frame for frame in situations if _NUMBER.fullmatch(frame)]
        if len(situations) > len(numbers):
            self.skipped["bad frame number"] = len(situations) - len(numbers)
        taken: set[int] = set()
        for frame in sorted(numbers, key=lambda frame: (int(frame), frame)):
            try:
                if int(frame) in taken:
                    raise Rejected("two situations of one frame")
                situation = _situation(situations[frame])
                path = self.video.file(frame)
            except Rejected as error:
                self.skipped[error.reason] += 1
                continue
            taken.add(int(frame))
            self._image(path, int(frame))
            self._boxes(situation.bbox, situation.bbox_labels)

    def _image(self, path: str, frame: int) -> None:
        header = self.video.header
        width, height = header.upright
        self.images.append(
            Image(
                uri=self.corpus.uri(path),
                width=width,
                height=height,
                orientation=header.orientation,
                format=header.format,
                frame=frame,
            )
        )

    def _boxes(self, values: Sequence[Any], codes: Sequence[Any]) -> None:
        """Add the regions of the frame that was added last."""
        counts = Counter(code for code in codes if isinstance(code, str))
        for value, code in zip(values, codes, strict=True):
            try:
                box, clipped = _placed(value, self.video.header)
                if not isinstance(code, str) or code not in self.classes:
                    raise Rejected("unknown category")
                if counts[code] > 1:
                    raise Rejected("several boxes of one class")
            except OtherSize:
                raise
            except Rejected as error:
                self.skipped[error.reason] += 1
                continue
            self.regions.append(
                Region(
                    image=len(self.images) - 1,
                    box=box,
                    label=self.classes[code],
                    track=code,
                    clipped=clipped,
                )
            )


def _situation(value: Any) -> _Situation:
    try:
        found = msgspec.convert(value, _Situation)
    except msgspec.ValidationError:
        raise Rejected("malformed situation") from None
    if len(found.bbox) != len(found.bbox_labels):
        raise Rejected("boxes and labels differ")
    return found


def _is_frame(name: str) -> bool:
    stem, dot, suffix = name.rpartition(".")
    return f"{dot}{suffix}" in _SUFFIXES and _NUMBER.fullmatch(stem) is not None


def _placed(value: Any, header: Header) -> tuple[Box, bool]:
    """A box as ours, and whether it was cut.

    Raises:
        Rejected: it is left out; `OtherSize` where it shows that the frame has another size.
    """
    if value is None:
        raise Rejected("null box")
    four = sides.four(value)
    if four is None:
        raise Rejected("malformed box")
    box = Box(*four)
    beyond = box.x2 > _SPILL * header.width or box.y2 > _SPILL * header.height
    if beyond and all(map(math.isfinite, four)):
        said = f"box to {box.x2:g}, {box.y2:g} in a frame of {header.width}x{header.height}"
        raise OtherSize(OTHER_SIZE, said)
    placed = sides.placed(box, header)
    if isinstance(placed, str):
        raise Rejected(placed)
    return placed
