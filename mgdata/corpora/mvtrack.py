"""MVTrack: one object followed by three or four synchronised cameras, indoors, 27 categories.

    ROOT/<sequence>/<sequence>-<view>/img/00001.jpg     frames, 5 digits, from 1
                                      groundtruth.txt   x,y,w,h a line, commas
                                      invisible.txt     0 or 1 a frame, commas, one line
    ROOT/{train,val,test}_split.txt                     views (`ashbin1-2`), one a line

After the readers and the page of MITracker, the tracker that it came with (lib/train/dataset and
lib/test/evaluation of its repository): `invisible` is 1 where the object is fully hidden or out of
view; there the box is not looked at, as it may be stale or four noughts. A box of noughts without
a flag is left out and counted. A sequence is named after what it follows and a number (`ashbin1`):
the class is its name without the digits at its end. `BEV/xyz_index.txt`, `calibs.json` and
`attributes.json` (of which only the name is known) are not read.

What no text says, as we read it: pixels count from 0 (`base`), since those readers take a box as it
stands; frames of one number are one moment, since they ask every view for the same number. Only
the followed object is annotated, others of its class may be there: no class is complete or known
absent. Access takes a form; the terms were not found in text: the licence is `unknown`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from mgdata.corpora import clips
from mgdata.data import Drop, Image, Record, Region, Shape
from mgdata.errors import OutsideRoot, Rejected, StorageError
from mgdata.geometry import Box
from mgdata.plugins import Corpus

_SPLITS = ("{split}_split.txt", "mvtrack_{split}_split.txt")
"""The list of a split, as the readers call it and as the page does."""
_FLAG = {"0": False, "1": True}
_SEPARATOR = re.compile(r"[\s,]+")
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True)
class _Seen:
    """What one view says of one frame."""

    image: Image
    box: Box | None
    clipped: bool
    skipped: str
    """Why its box was left out; empty where it was not."""


@dataclass(frozen=True, kw_only=True)
class MVTrack(Corpus):
    """Reads MVTrack: a record is a moment of a sequence, its key `<name>/<sequence>/<frame>`.

    Its images are the views that have that frame, in order of their numbers; its one track is the
    sequence's name. A view without frames, or whose files do not fit together, is a drop of its
    own, and the moments are made of the others; a view that ends before the others is in the
    moments that it has.
    """

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://github.com/XuM007/MITracker"
    layout: ClassVar[str] = (
        "<sequence>/<sequence>-<view>/img/00001.jpg\n"
        "<sequence>/<sequence>-<view>/{groundtruth,invisible}.txt\n"
        "{train,val,test}_split.txt (for split: train, val or test)"
    )
    shape: ClassVar[Shape] = "views"

    split: Literal["all", "train", "val", "test"] = "all"
    """Which list of views is read; `all` reads every folder and no list."""
    every: int = 10
    """Frames from one moment to the next, from the first on; neighbours hardly differ."""
    base: Literal[0, 1] = 0
    """Number of the first pixel in groundtruth.txt."""

    def __post_init__(self) -> None:
        """Refuse a step that leads nowhere."""
        if self.every < 1:
            raise ValueError(f"every: expected at least 1, found {self.every}")

    def parts(self) -> list[str]:
        """The sequences of the split, sorted."""
        if self.split != "all":
            return sorted(self._listed())
        found = clips.folders(self)
        if not any(self._views(sequence) for sequence in found):
            raise clips.wrong_layout(self, "<sequence>/<sequence>-<view>/")
        return found

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The moments of one sequence, and a drop for each view that cannot be read."""
        try:
            views = self._views(part)
            wanted = None if self.split == "all" else self._listed().get(part, ())
        except OutsideRoot as error:
            yield self.drop(part, clips.OUTSIDE, error.path)
            return
        except StorageError as error:
            yield self.drop(part, "unreadable file", str(error))
            return
        if wanted:
            for view in (view for view in wanted if view not in views):
                yield self.drop(f"{part}/{view}", "listed but missing", f"{part}/{view}")
            views = [view for view in views if view in wanted]
        if not views:
            yield self.drop(part, "no views", part)
            return
        seen: dict[str, Mapping[int, _Seen]] = {}
        for view in views:
            try:
                seen[view] = self._read(part, view)
            except Rejected as error:
                yield self.drop(f"{part}/{view}", error.reason, error.value)
            except OutsideRoot as error:
                yield self.drop(f"{part}/{view}", clips.OUTSIDE, error.path)
            except StorageError as error:
                yield self.drop(f"{part}/{view}", "unreadable file", str(error))
        frames = sorted(set[int]().union(*seen.values()))
        for frame in frames:
            if (frame - frames[0]) % self.every == 0:
                found = [view[frame] for view in seen.values() if frame in view]
                yield self._moment(part, frame, found)

    def _views(self, sequence: str) -> list[str]:
        """Names of a sequence's view folders, in order of their numbers."""
        found = [
            name
            for name in clips.folders(self, sequence)
            if name.startswith(f"{sequence}-") and _NUMBER.fullmatch(name[len(sequence) + 1 :])
        ]
        return sorted(found, key=lambda name: (int(name[len(sequence) + 1 :]), name))

    def _listed(self) -> dict[str, list[str]]:
        """The sequences of the split, each with the views that its list names; none means all.

        Raises:
            UsageError: there is no such list, or nothing in it.
        """
        names = [name.format(split=self.split) for name in _SPLITS]
        lines = next((lines for name in names if (lines := clips.listed(self, name))), None)
        if lines is None:
            looked = f"views in {' or '.join(names)} (split: {self.split})"
            raise clips.wrong_layout(self, looked)
        found: dict[str, list[str]] = {}
        whole: list[str] = []
        for line in lines:
            sequence, _, number = line.rpartition("-")
            if sequence and _NUMBER.fullmatch(number):
                found.setdefault(sequence, []).append(line)
            else:
                whole.append(line)
        return found | {sequence: [] for sequence in whole}

    def _read(self, sequence: str, view: str) -> Mapping[int, _Seen]:
        """What a view shows, by number of the frame."""
        folder = f"{sequence}/{view}"
        clip = clips.frames(self, f"{folder}/img")
        rows = clips.numbers(self, f"{folder}/groundtruth.txt", {4})
        clips.agree("groundtruth.txt", len(rows), len(clip))
        hidden = self._flags(f"{folder}/invisible.txt")
        clips.agree("invisible.txt", len(hidden), len(clip))
        rows[:, :2] += 1 - self.base
        boxes, cut, reasons = clips.place(rows, clip.header, self.frame)
        name, found = view[len(sequence) + 1 :], dict[int, _Seen]()
        for image, box, clipped, reason, no in zip(
            clip.images, boxes, cut, reasons, hidden, strict=True
        ):
            image = image.__replace__(view=name)
            number = image.frame or 0
            found[number] = _Seen(image, None if no else box, clipped, "" if no else reason)
        return found

    def _flags(self, path: str) -> list[bool]:
        """One a frame, whether it is flagged: between commas, or a line each."""
        tokens = _SEPARATOR.split(clips.text(self, path).strip())
        for number, token in enumerate(tokens, 1):
            if token not in _FLAG:
                raise clips.malformed_line(path, number, token)
        return [_FLAG[token] for token in tokens]

    def _moment(self, sequence: str, frame: int, views: list[_Seen]) -> Record:
        label = _label(sequence)
        skipped = Counter(view.skipped for view in views if view.skipped)
        regions = [
            Region(
                image=place,
                box=view.box,
                label=label,
                track=sequence,
                visibility=0.0 if view.box is None else None,
                clipped=view.clipped and view.box is not None,
            )
            for place, view in enumerate(views)
            if not view.skipped
        ]
        return Record(
            key=f"{self.name}/{sequence}/{frame}",
            shape=self.shape,
            unit=sequence,
            images=tuple(view.image for view in views),
            regions=tuple(regions),
            license=self.license,
            skipped=dict(sorted(skipped.items())),
        )


def _label(sequence: str) -> str:
    """`ashbin` of `ashbin1`; a name of digits alone stays."""
    name = " ".join(sequence.rstrip("0123456789").replace("_", " ").replace("-", " ").split())
    return name.lower() or sequence
