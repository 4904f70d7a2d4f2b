"""MOTChallenge: many people a clip. MOT15, 16, 17, 20, DanceTrack and SportsMOT share the layout.

    ROOT/<split>/<sequence>/img1/000001.jpg   frames, from 1; the folder may be named in seqinfo.ini
                            gt/gt.txt         a row a box, sorted by id then frame, from 1
                            seqinfo.ini       `key=value`; older files have only some keys

    9 columns: frame,id,x,y,w,h,flag,class,visibility    10 (MOT15): frame,id,x,y,w,h,flag,X,Y,Z

After TrackEval (trackeval/datasets/mot_challenge_2d_box.py): a person counts where the flag is not
0 and the class is 1. Every other row (flag 0; in MOT20 distractors carry flag 1) is kept with its
class as its label and `ignore`, so that it can make a question ambiguous but never be its answer.

Visibility 0 says that a person is there and wholly hidden: known not to be visible. Below
`min_visibility` but above 0 it is neither: the region keeps its box and is ignored. An id without a
row in a frame says nothing about that frame. Boxes leave the image often and are cut.

Copies are often trimmed: the files on disk are the clip, and rows beyond them are counted. The
three copies of a MOT17 sequence (DPM, FRCNN, SDP) differ in their detections only; one is read,
and its unit is that of the video, which MOT16 has too. The terms of use were not found in text:
the licence is `unknown`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from mgdata.corpora import clips
from mgdata.data import Drop, Record, Region, Shape
from mgdata.errors import Rejected
from mgdata.plugins import Corpus

PERSON = 1
CLASSES = {
    2: "person on vehicle",
    3: "car",
    4: "bicycle",
    5: "motorbike",
    6: "non-motorised vehicle",
    7: "static person",
    8: "distractor",
    9: "occluder",
    10: "occluder on the ground",
    11: "full occluder",
    12: "reflection",
    13: "crowd",
}
_COPY = re.compile(r"(.+)-(DPM|FRCNN|SDP)")


@dataclass(frozen=True, kw_only=True)
class MotChallenge(Corpus):
    """Reads MOTChallenge: a record is a sequence, its key `<name>/<split>/<sequence>`."""

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://motchallenge.net/"
    layout: ClassVar[str] = (
        "<split>/<sequence>/img1/000001.jpg\n"
        "<split>/<sequence>/gt/gt.txt\n"
        "<split>/<sequence>/seqinfo.ini"
    )
    shape: ClassVar[Shape] = "clip"

    splits: tuple[str, ...] = ("train",)
    """Folders to read; `test` of MOTChallenge has no annotations."""
    label: str = "person"
    """What class 1 is called: `dancer` for DanceTrack, `player` for SportsMOT."""
    detector: Literal["DPM", "FRCNN", "SDP"] = "FRCNN"
    """Which of the three copies of a MOT17 sequence to read; another where it is not there."""
    min_visibility: float = 0.0
    """Less of a person than this, but more than nothing, is ignored."""
    measured: bool = True
    """False where column 9 was never measured: DanceTrack and SportsMOT write 1 in every row."""

    def parts(self) -> list[str]:
        """`<split>/<sequence>` for every sequence, one a video."""
        return sorted(f"{split}/{name}" for split in self.splits for name in self._names(split))

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The record of one sequence, or its drop."""
        return clips.read_clip(self, part, self._read)

    def _names(self, split: str) -> list[str]:
        names = clips.folders(self, split)
        marks = (f"{split}/{name}/{mark}" for name in names for mark in ("gt", "seqinfo.ini"))
        if not any(map(self.root.exists, marks)):
            raise clips.wrong_layout(self, f"{split}/<sequence>/gt/gt.txt")
        chosen: dict[str, str] = {}
        for name in names:
            copy = _COPY.fullmatch(name)
            video = copy[1] if copy else name
            if video not in chosen or (copy and copy[2] == self.detector):
                chosen[video] = name
        return list(chosen.values())

    def _read(self, part: str) -> Record:
        info = self._info(part)
        suffixes = (info["imExt"].lower(),) if info.get("imExt") else clips.SUFFIXES
        clip = clips.frames(self, f"{part}/{info.get('imDir') or 'img1'}", suffixes)
        path = f"{part}/gt/gt.txt"
        rows = clips.numbers(self, path, {9, 10})
        if not len(rows):
            raise Rejected("no annotation rows", path)
        _check(path, rows)
        name = part.rpartition("/")[2]
        copy = _COPY.fullmatch(name)
        unit = (copy[1] if copy else name).replace("MOT16-", "MOT17-")
        return clips.record(self, part, clip, self._regions(clip, rows), unit)

    def _info(self, part: str) -> dict[str, str]:
        path = f"{part}/seqinfo.ini"
        if not self.root.exists(path):
            return {}
        pairs = (line.partition("=") for line in clips.text(self, path).splitlines())
        return {key.strip(): value.strip() for key, _, value in pairs}

    def _regions(self, clip: clips.Frames, rows: clips.Rows) -> tuple[list[Region], Counter[str]]:
        on_disk = np.array([image.frame for image in clip.images])
        there = np.isin(rows[:, 0], on_disk)
        skipped: Counter[str] = Counter({"row without a frame": int((~there).sum())})
        rows = rows[there]
        rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        again = np.zeros(len(rows), dtype=bool)
        again[1:] = (rows[1:, :2] == rows[:-1, :2]).all(axis=1) & (rows[1:, 1] >= 0)
        skipped["second row of one id"] = int(again.sum())
        rows = rows[~again]
        images = np.searchsorted(on_disk, rows[:, 0]).tolist()
        boxes, cut, reasons = clips.place(rows[:, 2:6], clip.header, clip.pixels)
        labels, ignored, visible = self._meaning(rows)
        tracks = [str(int(number)) if number >= 0 else None for number in rows[:, 1].tolist()]
        regions: list[Region] = []
        for image, box, clipped, reason, label, track, ignore, seen in zip(
            images, boxes, cut, reasons, labels, tracks, ignored, visible, strict=True
        ):
            if seen == 0:
                box, clipped = None, False
            elif box is None:
                skipped[reason] += 1
                continue
            regions.append(
                Region(
                    image=image,
                    box=box,
                    label=label,
                    track=track,
                    visibility=seen,
                    clipped=clipped,
                    ignore=ignore,
                )
            )
        return regions, +skipped

    def _meaning(self, rows: clips.Rows) -> tuple[list[str], list[bool], list[float | None]]:
        """Label, ignore and visibility of each row."""
        mot15 = rows.shape[1] == 10
        kind = np.full(len(rows), PERSON) if mot15 else rows[:, 7].astype(np.int64)
        share = np.full(len(rows), -1.0) if mot15 or not self.measured else rows[:, 8]
        known = (share >= 0) & (share <= 1)
        hardly = known & (share > 0) & (share < self.min_visibility)
        ignored = (rows[:, 6] == 0) | (kind != PERSON) | hardly
        names = CLASSES | {PERSON: self.label}
        labels = [names.get(number, f"class {number}") for number in kind.tolist()]
        visible = [
            value if says else None for value, says in zip(share.tolist(), known, strict=True)
        ]
        return labels, ignored.tolist(), visible


def _check(path: str, rows: clips.Rows) -> None:
    """Refuse a row whose frame, id or class is no whole number, or whose flag is no number."""
    whole = rows[:, [0, 1, 7]] if rows.shape[1] == 9 else rows[:, :2]
    other = rows[:, 6:]
    sound = (whole == np.floor(whole)) & (np.abs(whole) < 2**53)
    bad = ~(sound.all(axis=1) & np.isfinite(other).all(axis=1))
    if bad.any():
        number = int(bad.argmax())
        line = ",".join(f"{value:g}" for value in rows[number].tolist())
        raise clips.malformed_line(path, number + 1, line)
