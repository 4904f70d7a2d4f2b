"""STAR: questions about what people do with things, in Charades videos with Action Genome boxes.

    ROOT/STAR_train.json                    a list of questions; `_val`, `_test` likewise
    ROOT/object_classes.txt                 `o010 cup/glass/bottle` a line
    ROOT/frames/<video>.mp4/000682.png      from Action Genome's dump_frames.py, of the 480p videos

(The lists may lie in `annotations` or in the folders they are downloaded as.) After STAR's
visualisation tool and Action Genome's README and answers: `situations[frame].bbox[i]` is x1, y1,
x2, y2 in float pixels from 0, its class `bbox_labels[i]`. A record is a question; its images are
the annotated frames of `situations`, all of them between the question's `start` and `end` seconds:
what happens before and after is in no record.

Boxes say where something is, silence says nothing. In a frame only those objects were looked for
whose action was under way, of each class only the one instance that is dealt with, so that a class
is a track; others of its class may stand beside it. Person boxes are a detector's: one person even
where there are several. A null box means that nothing was annotated, mostly but not always because
the object is hidden: it is left out and counted, and no region is ever `not visible`. So nothing is
exhaustive and nothing absent, and a question over several frames may show only those in which its
object has a region.

An expression is a question that a thing answers (`Which object was put down by the person?`, `The
blanket.`); its regions are all boxes of that one class. `What happened after ..?` is answered by an
action (`Put down the blanket.`): with `actions` these are expressions too, of the boxes of what was
acted on. `kinds` leaves out questions of a guess (Prediction, Feasibility), which several things
may answer. Each record without an expression is counted with its cause.

Frames of another size than the boxes refer to cannot be used: those larger than 480p, and those
that a box of the record leaves by more than a tenth. The data terms of Charades and Action Genome
were not found in text: the licence is `unknown`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

from mgdata.corpora import clips, json_list, sides
from mgdata.corpora.star_answers import asked, named
from mgdata.corpora.star_situations import Clip, Question, Videos, decoded
from mgdata.data import Drop, Expression, Record, Region, Shape
from mgdata.errors import Rejected, StorageError, UsageError
from mgdata.plugins import Corpus
from mgdata.storage import Root

PART = 32 << 20
"""Bytes of a file of questions for each part it is cut into: some 3,000 questions."""

_FOLDERS = (
    "",
    "annotations",
    "classes",
    "Question_Answer_SituationGraph",
    "STAR_classes",
    "annotations/STAR_classes",
    "Annotations/classes",
)
"""Where a copy may keep the lists."""
_SLICE = re.compile(r"(.*)#(\d+)/(\d+)", re.DOTALL)
_CLASS = re.compile(r"(o[0-9]{3})\s+([!-~]+)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Star(Corpus):
    """Reads STAR: a record is a question, its key `<name>/STAR_<split>/<question id>`.

    A track is the code of a class (`o010`), its label that class's name; the unit is the video.
    """

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://github.com/csbobby/STAR_Benchmark"
    layout: ClassVar[str] = (
        "STAR_{train,val,test}.json (or below annotations/)\n"
        "object_classes.txt (or below classes/)\n"
        "frames/<video>.mp4/<frame>.png (Action Genome's dump_frames.py)"
    )
    shape: ClassVar[Shape] = "clip"

    splits: tuple[str, ...] = ("train",)
    """Which `STAR_<split>.json` are read, in this order."""
    frames: str = "frames"
    """Folder of the dumped frames."""
    kinds: tuple[str, ...] = ("Interaction", "Sequence")
    """Beginnings of the question ids whose questions become expressions."""
    actions: bool = False
    """Questions answered by an action become expressions too: their regions are not the answer,
    but the thing that it is done to."""
    short_side: int = 480
    """Pixels above which a frame's shorter side shows that it is not of the 480p videos, to which
    the boxes refer; 0 takes any."""

    def parts(self) -> list[str]:
        """The files of questions; a large one as `<path>#<slice>/<slices>`."""
        self._classes()
        parts: list[str] = []
        for split in self.splits:
            path = self._list(f"STAR_{split}.json", f"(splits: {', '.join(self.splits)})")
            slices = max(1, self.root.size(path) // PART)
            parts += [path] if slices == 1 else [f"{path}#{i}/{slices}" for i in range(slices)]
        if not parts:
            raise clips.wrong_layout(self, "STAR_<split>.json (splits: none)")
        return parts

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The questions of one part in the file's order, as records or drops."""
        sliced = _SLICE.fullmatch(part)
        path, i, n = (sliced[1], int(sliced[2]), int(sliced[3])) if sliced else (part, 0, 1)
        found = _elements(self.root, path, self.root.size(path))
        if i == 0 and found.fault is not None:
            yield self.drop(path, found.fault.reason, found.fault.value)
        elif i == 0 and not len(found):
            yield self.drop(path, "no questions", path)
        first, last = i * len(found) // n, (i + 1) * len(found) // n
        stem = path.rpartition("/")[2].removesuffix(".json")
        videos = Videos(self, self.frames, self.short_side)
        reading = _Reading(self, stem, self._classes(), videos)
        for at, data in enumerate(json_list.read(self.root, path, found, first, last), first):
            yield reading.read(at, data)

    def _list(self, name: str, why: str = "") -> str:
        for folder in _FOLDERS:
            if name in self.root.list(folder):
                return f"{folder}/{name}" if folder else name
        raise clips.wrong_layout(self, " ".join(f"{name} {why}".split()))

    def _classes(self) -> dict[str, str]:
        """Name of every class by its code.

        Raises:
            UsageError: the list is not there, or a line of it is not `o000 name`.
        """
        path = self._list("object_classes.txt")
        names: dict[str, str] = {}
        for number, line in enumerate(clips.listed(self, path) or (), 1):
            found = _CLASS.fullmatch(line)
            if found is None or names.setdefault(found[1], found[2].lower()) != found[2].lower():
                raise UsageError(
                    f"{self.root.url}: {path}:{number}: found {line[:80]!r}, expected `o010 "
                    "cup/glass/bottle`, every code once; get a fresh copy of this list"
                )
        if not names:
            raise UsageError(f"{self.root.url}: {path} is empty; get a fresh copy of this list")
        return names


@lru_cache(maxsize=1)
def _elements(root: Root, path: str, size: int) -> json_list.Elements:
    """Where the questions of a file lie; kept for the next of its parts."""
    del size  # another size is another file
    return json_list.elements(root, path, lambda element: None)


@dataclass
class _Reading:
    """Reads the questions of one part."""

    corpus: Star
    stem: str
    classes: Mapping[str, str]
    videos: Videos
    codes: dict[str, str] = field(init=False)
    _seen: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        names = Counter(self.classes.values())
        self.codes = {name: code for code, name in self.classes.items() if names[name] == 1}

    def read(self, at: int, data: bytes) -> Record | Drop:
        """The record of question number `at`, or its drop."""
        key = f"{self.stem}/#{at}"
        try:
            found = decoded(data)
            key = f"{self.stem}/{found.question_id}"
            if found.question_id in self._seen:
                raise Rejected("repeated question id", f"element {at}")
            self._seen.add(found.question_id)
            return self._record(key, found)
        except (Rejected, StorageError) as error:
            return sides.drop(self.corpus, key, error)

    def _record(self, key: str, found: Question) -> Record:
        video = self.videos.find(found.video_id)
        clip = Clip(self.corpus, video, self.classes)
        clip.take(found.situations)
        if not clip.images:
            reason = "missing image" if clip.skipped["missing image"] else "no frames"
            why = ", ".join(reason for reason, count in sorted(clip.skipped.items()) if count)
            raise Rejected(reason, f"{video.folder}: {why or 'no situations'}")
        expression = self._expression(found, clip.regions)
        if isinstance(expression, str):
            clip.skipped[expression] += 1
        return Record(
            key=f"{self.corpus.name}/{key}",
            shape=self.corpus.shape,
            unit=f"charades-{found.video_id}",
            images=tuple(clip.images),
            regions=tuple(clip.regions),
            license=self.corpus.license,
            expressions=() if isinstance(expression, str) else (expression,),
            skipped=dict(sorted(clip.skipped.items())),
        )

    def _expression(self, found: Question, regions: Sequence[Region]) -> Expression | str:
        """The question with the boxes of the class that its answer names, or why there is none."""
        question, answer = (" ".join((t or "").split()) for t in (found.question, found.answer))
        if not question or not answer:
            return "no question or no answer"
        if found.question_id.partition("_")[0] not in self.corpus.kinds:
            return "question of another kind"
        if not self.corpus.actions and asked(question) == "action":
            return "question answered by an action"
        code = named(question, answer, self.codes)
        if code is None:
            return "answer names no single class"
        places = tuple(i for i, region in enumerate(regions) if region.track == code)
        if not places:
            return "answer without a box"
        return Expression(text=question, regions=places, label=self.classes[code], form="question")
