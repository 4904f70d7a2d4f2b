"""LaSOT: one object a clip, 70 classes, 2,500 frames a clip, with a sentence that describes it.

    ROOT/<class>/<class>-<n>/img/00000001.jpg    frames, 8 digits, from 1
                             groundtruth.txt     x,y,w,h a line, integers, from 1
                             full_occlusion.txt  0 or 1 a frame, ONE line, commas
                             out_of_view.txt     likewise
                             nlp.txt             one lower-case phrase, no newline
    ROOT/{training_set,testing_set}.txt          sequence names, where a copy has them

After pytracking's reader (ltr/dataset/lasot.py) and the evaluation toolkit's annotations: the
object is not visible where full_occlusion OR out_of_view is 1. It is never inferred from the box:
in 73 % of the 97,968 such frames the box is a stale, non-zero one. A zero box without a flag (7 in
the corpus) is left out and counted; 25,587 boxes begin before the first pixel and are cut. The
class is the sequence's name up to its last hyphen. A sequence without `nlp.txt` has no phrase.
The terms of use were not found in text: the licence is `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from mgdata.corpora import clips
from mgdata.data import Drop, Record, Shape
from mgdata.errors import Rejected
from mgdata.plugins import Corpus

FLAG = {"0": False, "1": True}


@dataclass(frozen=True, kw_only=True)
class Lasot(Corpus):
    """Reads LaSOT: a record is a sequence, its key `<name>/<class>/<class>-<n>`."""

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "http://vision.cs.stonybrook.edu/~lasot/"
    layout: ClassVar[str] = (
        "<class>/<class>-<n>/img/00000001.jpg\n"
        "<class>/<class>-<n>/{groundtruth,full_occlusion,out_of_view,nlp}.txt\n"
        "training_set.txt, testing_set.txt (for split: train or test)"
    )
    shape: ClassVar[Shape] = "clip"

    split: Literal["all", "train", "test"] = "all"
    """`train` and `test` read the sequences that training_set.txt and testing_set.txt name."""

    def parts(self) -> list[str]:
        """`<class>/<sequence>` for every sequence of the split."""
        if self.split != "all":
            return sorted(f"{_class(name)}/{name}" for name in self._listed())
        found = [
            f"{kind}/{name}"
            for kind in clips.folders(self)
            for name in clips.folders(self, kind)
            if _class(name) == kind
        ]
        if not found:
            raise clips.wrong_layout(self, "<class>/<class>-<n>/")
        return sorted(found)

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The record of one sequence, or its drop."""
        return clips.read_clip(self, part, self._read)

    def _listed(self) -> list[str]:
        path = f"{self.split}ing_set.txt"
        names = clips.listed(self, path)
        if not names:
            raise clips.wrong_layout(self, f"sequence names in {path} (split: {self.split})")
        return names

    def _read(self, part: str) -> Record:
        if not self.root.exists(part):
            raise Rejected("listed but missing", part)
        clip = clips.frames(self, f"{part}/img")
        boxes = clips.numbers(self, f"{part}/groundtruth.txt", {4})
        clips.agree("groundtruth.txt", len(boxes), len(clip))
        occluded, outside = (
            self._flags(f"{part}/{name}.txt", len(clip))
            for name in ("full_occlusion", "out_of_view")
        )
        seen = [0.0 if hidden else None for hidden in map(max, occluded, outside)]
        label = part.partition("/")[0].lower()
        found = clips.follow(clip, boxes, label=label, phrase=self._phrase(part), visibility=seen)
        return clips.record(self, part, clip, found)

    def _flags(self, path: str, frames: int) -> list[bool]:
        found = clips.flags(self, path, FLAG, separator=",")
        clips.agree(path, len(found), frames)
        return found

    def _phrase(self, part: str) -> str | None:
        path = f"{part}/nlp.txt"
        if not self.root.exists(path):
            return None
        return " ".join(clips.text(self, path).split()) or None


def _class(sequence: str) -> str:
    return sequence.rpartition("-")[0]
