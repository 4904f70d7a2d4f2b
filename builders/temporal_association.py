"""Temporal association: what becomes of things over the frames of a video; say where they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow.compute

from builders import temporal_scenes as scenes
from builders import temporal_turns as turns
from builders.asking import Naming, image_names
from builders.frames import Track, box_of
from builders.sightings import Looks
from builders.tracking_turns import LETTERS, Given, Scene, shown
from mgdata.data import Association, Count, Drop, Image, Record, Region, Sample, Shape, Turn
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder
from mgdata.wording import load, noun

WORDING = load(__file__, turns.NEEDS)
pc: Any = pyarrow.compute
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]

SERVES: dict[str, tuple[Count, ...]] = {
    "again": ("none", "one", "many"),
    "several": ("many",),
    "before_after": ("one", "many"),
    "order": ("one",),
}
"""Numbers of targets that each kind of question can have."""
WEIGHTS = {"again": 3.0, "several": 1.0, "before_after": 2.0, "order": 1.0}


@dataclass(frozen=True, kw_only=True)
class TemporalAssociation(Builder):
    """One sample a clip and one question, of four kinds; in the first three image 1 is a reference.

    - `again`: the reference shows one or several things by letters; which of them do later frames
      show, and where? None, one or many targets. Later frames are in random order.
    - `several`: likewise, but each thing is to be boxed in each later frame, in order of time, or
      said to be not visible. Many targets.
    - `order`: other frames, in order of time, show the thing in part; where is it seen first, or
      last? One target. It is never asked in what order frames were taken: motion may be reversible.
    - `before_after`: a question of the corpus about an action (`Record.expressions` of the form
      question); where is the object at the start of the frames and at their end, or at one of the
      two? One or many. Only frames with a region of that object are shown.

    A thing is not visible in a frame where the annotation says so, or where its class is completely
    annotated, nothing there can be it and no frame beside it shows it (`sightings`); silence
    elsewhere is not absence, and such a frame is not shown. A clip is asked `again` only if it
    could have been with none, with one and with many targets, and all but the frames that follow is
    chosen before that number is: nothing but looking tells it. The place of a target among the
    frames is uniform.

    An answer goes image by image and from left to right. Of the published set are known this
    group's name, its size and STAR as a source; kinds, counts and wording are our choice.
    """

    association: ClassVar[Association] = "temporal"
    shapes: ClassVar[tuple[Shape, ...]] = ("clip",)
    targets: ClassVar[str] = "none, one or many"

    count: Count | None = None
    """Targets a sample has; None: each number that its kind of question can have equally often."""
    kinds: dict[str, float] | None = None
    """How often each kind is tried first, by name, any positive numbers; a kind not named is never
    asked, nor one that `count` rules out.

    None: again 3, before_after 2, several 1, order 1. A clip with questions of its own is asked
    these where `before_after` is among the kinds; of others, one that cannot be asked what was
    drawn is asked several or order.
    """
    images: tuple[int, int] = (3, 5)
    """Fewest and most images a sample, uniformly as far as clips allow."""
    objects: tuple[int, int] = (1, 4)
    """Fewest and most things that `again` shows, as far as a clip has things that come and go
    together, and `several`, two at least there."""
    most: int = 12
    """Most targets a sample could have: fewer things are shown where there are many frames."""
    given: Given | Literal["mixed"] = "mixed"
    """How things are shown: by boxes in the question, drawn rectangles, or both."""
    hidden: float = 0.5
    """Share of `several` in which a thing is not visible in some frame, where a clip has that."""
    complete_tracks: bool = False
    """Trust that everything of a class is followed, though records do not say so: for the people of
    MOTChallenge. A thing that left by the image's border is then not visible where all that there
    is had been seen beside it; elsewhere nothing is known, since who returns has another name."""
    span: int | None = None
    """Use this many consecutive images of a clip, at a random place; None: all."""
    naming: Naming = "mixed"
    """`the third image`, `Image-3`, or either; never both in a sample."""
    per_clip: int = 1
    """Most tries a clip; every clip is tried once before any is tried again."""
    min_visibility: float = 0.0
    """Visible share that a box must exceed, where the corpus gives one."""
    min_side: float = 8.0
    """Shortest side of a box, in pixels; in a frame with a smaller one a thing is not asked for."""
    min_area: float = 0.0
    """Smallest share of the image that a box covers, likewise."""
    slivers: bool = False
    """Keep frames in which a box is much smaller than usual and of another shape, mostly a strip
    beside an occluder or at the border."""

    def __post_init__(self) -> None:
        """Refuse settings that no clip could meet."""
        kinds = WEIGHTS if self.kinds is None else self.kinds
        if unknown := [name for name in kinds if name not in SERVES]:
            raise ValueError(f"kinds: unknown {unknown[0]!r}; known are {', '.join(SERVES)}")
        # Not `<= 0`, which a NaN would pass.
        if not kinds or not all(0 < weight < float("inf") for weight in kinds.values()):
            raise ValueError(f"kinds: expected positive weights, found {self.kinds}")
        if not self._weights():
            raise ValueError(f"count: {', '.join(kinds)} cannot have {self.count}")
        fewest, most = self.images
        if not 3 <= fewest <= most:
            raise ValueError(f"images: expected 3 <= fewest <= most, found {fewest} and {most}")
        if not 1 <= self.objects[0] <= self.objects[1] <= len(LETTERS):
            raise ValueError(f"objects: expected 1 to {len(LETTERS)}, found {self.objects}")
        if self.most < (fewest - 1) * max(2, self.objects[0]):
            raise ValueError(
                f"most: {self.most} is less than the things times the later frames, {fewest - 1} "
                "at least"
            )
        if self.span is not None and self.span <= most:
            raise ValueError(f"span: {self.span} frames are too few to choose {most} from")
        if not 0 <= self.hidden <= 1 or self.per_clip < 1:
            raise ValueError("expected hidden from 0 to 1, and per_clip of at least 1")

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Every clip that may do, in random order; then again, `per_clip` times in all."""
        rows = index.rows[self._may_do(index)]
        for _ in range(self.per_clip):
            yield from zip(rows[rng.permutation(len(rows))].tolist(), strict=True)

    def _may_do(self, index: Index) -> Flags:
        """Clips that by their numbers could be asked one of the kinds."""
        kinds = self._weights()
        images, tracks = index.numbers("images"), index.numbers("tracks")
        boxes = _summed(index, "counts")
        silent = boxes < images * tracks
        # An absence is a region without a box, or follows from a class that is complete.
        told = (index.numbers("regions") > boxes) | (_lengths(index, "exhaustive") > 0)
        absent = silent & (told | self.complete_tracks) & (images > self.images[0] - 1)
        found = np.zeros(len(index), np.bool_)
        if "again" in kinds:
            found |= absent & (tracks >= self.objects[0])
        if "order" in kinds:
            found |= absent
        if "several" in kinds:
            found |= (tracks >= max(2, self.objects[0])) & (images >= self.images[0])
        if "before_after" in kinds:
            found |= _lengths(index, "expressions") > 0
        return found

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """One sample of the clip; `Rejected` where none of its kinds can be asked."""
        clip = records[0]
        kinds = self._drawn(clip, rng)
        makers = {"again": self._again, "several": self._several, "order": self._order}
        looks: Looks | None = None
        made: _Made | None = None
        for kind in kinds:
            if kind == "before_after":
                made = self._before_after(clip, rng)
            else:
                looks = looks or self._looks(clip, rng)
                made = makers[kind](looks, rng)
            if made is not None:
                yield self.sample(records, made[0], [made[1]])
                return
        raise Rejected("nothing to ask over time", " or ".join(kinds))

    def _weights(self) -> dict[str, float]:
        """Weights of the kinds that can have the wanted number of targets."""
        kinds = WEIGHTS if self.kinds is None else self.kinds
        return {
            kind: weight
            for kind, weight in kinds.items()
            if self.count is None or self.count in SERVES[kind]
        }

    def _drawn(self, clip: Record, rng: Stream) -> list[str]:
        """The kinds to try, in order.

        Nothing else falls back on `again`: it would then be asked more often of clips that cannot
        be asked the others, and which these are depends on the number of targets.
        """
        weights = self._weights()
        asked = any(text.form == "question" for text in clip.expressions)
        if "before_after" in weights and asked:
            return ["before_after"]
        weights.pop("before_after", None)
        drawn: list[str] = []
        while weights:
            kind = _one(weights, rng)
            del weights[kind]
            if kind != "again" or not drawn:
                drawn.append(kind)
        return drawn

    def _limits(self) -> scenes.Limits:
        return scenes.Limits(images=self.images, objects=self.objects, most=self.most)

    def _looks(self, clip: Record, rng: Stream) -> Looks:
        length, start = len(clip.images), 0
        if self.span is not None and self.span < length:
            start = rng.below(length - self.span + 1)
            length = self.span
        return Looks(
            clip,
            self._usable,
            followed=self.complete_tracks,
            keep_slivers=self.slivers,
            window=range(start, start + length),
        )

    def _usable(self, region: Region, image: Image) -> bool:
        box, seen = region.box, region.visibility
        if box is None or (seen is not None and seen <= self.min_visibility):
            return False
        if min(box.width, box.height) < self.min_side:
            return False
        return not self.min_area or box.area >= self.min_area * image.width * image.height

    def _again(self, looks: Looks, rng: Stream) -> _Made | None:
        found = scenes.reappearing(looks, self._limits(), rng)
        if found is None:
            return None
        frames = scenes.reappearance(found, self.count or rng.choice(SERVES["again"]), rng)
        scene = self._scene([look.seen for look in found.tracks], found.reference, frames, rng)
        return _shown(looks.clip, scene), turns.again(scene, rng)

    def _several(self, looks: Looks, rng: Stream) -> _Made | None:
        found = scenes.followed(looks, self._limits(), rng)
        if found is None:
            return None
        frames = scenes.course(found, self.hidden, rng)
        scene = self._scene([look.seen for look in found.tracks], found.reference, frames, rng)
        return _shown(looks.clip, scene), turns.several(scene, rng)

    def _order(self, looks: Looks, rng: Stream) -> _Made | None:
        found = scenes.passage(looks, self._limits(), rng)
        if found is None:
            return None
        scene = self._scene([found.track], found.reference, found.frames, rng)
        return _shown(looks.clip, scene), turns.order(scene, 1 + found.place, found.moment, rng)

    def _before_after(self, clip: Record, rng: Stream) -> _Made | None:
        found = scenes.action(clip, self._limits(), self._usable, self.slivers, rng)
        if found is None:
            return None
        deed = turns.Deed(
            words=WORDING,
            names=image_names(self.naming, rng),
            question=found.question,
            boxes=[found.track[frame] for frame in found.frames],
        )
        wanted = self.count or rng.choice(SERVES["before_after"])
        turn = turns.before_after(deed, rng) if wanted == "many" else turns.moment(deed, rng)
        return [clip.images[frame] for frame in found.frames], turn

    def _scene(self, tracks: list[Track], reference: int, frames: list[int], rng: Stream) -> Scene:
        given = rng.choice(("coordinates", "mark", "both")) if self.given == "mixed" else self.given
        # Half of the questions name the class; by coordinates or mark they are clear without.
        word = noun(tracks[0][reference].label) if rng.below(2) else "object"
        return Scene(
            words=WORDING,
            tracks=sorted(tracks, key=lambda track: box_of(track[reference]).x1),
            frames=[reference, *frames],
            reference=0,
            asked=list(range(1, len(frames) + 1)),
            given=given,
            names=image_names(self.naming, rng),
            noun=word,
        )


_Made = tuple[list[Image], Turn]
"""A sample's images and its one turn."""


def _shown(clip: Record, scene: Scene) -> list[Image]:
    return [shown(clip.images[frame], scene, place) for place, frame in enumerate(scene.frames)]


def _one(weights: dict[str, float], rng: Stream) -> str:
    """One name, with odds as its weight."""
    at = rng.uniform() * sum(weights.values())
    for name, weight in weights.items():
        at -= weight
        if at < 0:
            return name
    return next(reversed(weights))


def _lengths(index: Index, column: str) -> Numbers:
    return pc.fill_null(pc.list_value_length(index.text(column)), 0).to_numpy()


def _summed(index: Index, column: str) -> Numbers:
    """The sum of each row's list."""
    lists = index.lists(column)
    sums = np.concatenate([[0], np.cumsum(lists.values)])
    return sums[lists.starts[1:]] - sums[lists.starts[:-1]]
