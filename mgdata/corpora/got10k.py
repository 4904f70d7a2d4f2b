"""GOT-10k: one object a clip, 563 classes, with a box, an absence flag and a cover level a frame.

    ROOT/{train,val,test}/list.txt                      names of the sequences
    ROOT/<split>/GOT-10k_<Split>_000001/00000001.jpg    frames, 8 digits, from 1
                                        groundtruth.txt x,y,w,h a line, decimals, from 1
                                        absence.label   0 or 1 a line
                                        cover.label     0 to 8 a line: eighths that are visible
                                        meta_info.ini   `key: value` lines

After the toolkit's reader (got-10k/toolkit, got10k/datasets/got10k.py) and pytracking's
(ltr/dataset/got10k.py): an object is visible where it is not absent and its cover is above 0;
lines and frames must be equally many. Absence is never inferred from the box: an absent frame
holds 0,0,0,0 or anything else. The meta file's `url` holds colons, so a line is split at its
first. `test` has one box a clip and nothing else: asked for, each of its clips is dropped.
`list.txt` may name sequences that are not unpacked: each is a drop; without `list.txt` the
split's folders named GOT-10k_* are read. The terms of use were not found in text: the licence is
`unknown`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mgdata.corpora import clips
from mgdata.data import Drop, Record, Shape
from mgdata.errors import Rejected
from mgdata.plugins import Corpus

ABSENT = {"0": False, "1": True}
COVER = {str(level): level / 8 for level in range(9)}


@dataclass(frozen=True, kw_only=True)
class Got10k(Corpus):
    """Reads GOT-10k: a record is a sequence, its key `<name>/<split>/<sequence>`."""

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "http://got-10k.aitestunion.com/downloads"
    layout: ClassVar[str] = (
        "<split>/list.txt\n"
        "<split>/<sequence>/00000001.jpg\n"
        "<split>/<sequence>/{groundtruth.txt,absence.label,cover.label,meta_info.ini}"
    )
    shape: ClassVar[Shape] = "clip"

    splits: tuple[str, ...] = ("train",)
    """Which of `train`, `val` and `test` to read. MIG-Bench tracks over `val`."""

    def parts(self) -> list[str]:
        """`<split>/<sequence>` for every sequence its split's list names."""
        return sorted(f"{split}/{name}" for split in self.splits for name in self._names(split))

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The record of one sequence, or its drop."""
        return clips.read_clip(self, part, self._read)

    def _names(self, split: str) -> list[str]:
        names = clips.listed(self, f"{split}/list.txt")
        if names is None:
            names = [name for name in clips.folders(self, split) if name.startswith("GOT-10k_")]
        if not names:
            raise clips.wrong_layout(self, f"{split}/list.txt or {split}/GOT-10k_*/")
        return names

    def _read(self, part: str) -> Record:
        if not self.root.exists(part):
            raise Rejected("listed but missing", part)
        clip = clips.frames(self, part)
        boxes = clips.numbers(self, f"{part}/groundtruth.txt", {4})
        clips.agree("groundtruth.txt", len(boxes), len(clip))
        absent = clips.flags(self, f"{part}/absence.label", ABSENT)
        clips.agree("absence.label", len(absent), len(clip))
        cover = clips.flags(self, f"{part}/cover.label", COVER)
        clips.agree("cover.label", len(cover), len(clip))
        seen = [0.0 if away else share for away, share in zip(absent, cover, strict=True)]
        found = clips.follow(clip, boxes, label=self._label(part), visibility=seen)
        return clips.record(self, part, clip, found)

    def _label(self, part: str) -> str:
        path = f"{part}/meta_info.ini"
        for line in clips.text(self, path).splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "object_class" and value.strip():
                return value.strip().lower()
        raise Rejected("no object class", path)
