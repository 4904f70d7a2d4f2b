"""Object tracking: an object is shown in one frame of a clip; say where it is in later frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from builders import asking
from builders.frames import Sampler, Track, box_of, choose, differ, follow, slivers, with_hidden
from builders.tracking_turns import (
    LETTERS,
    NEEDS,
    Given,
    Scene,
    all_at_once,
    polling,
    shown,
    with_order,
)
from mgdata.data import Association, Drop, Image, Record, Region, Sample, Shape
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder
from mgdata.wording import ImageNames, load, noun

WORDING = load(__file__, NEEDS)


@dataclass(frozen=True, kw_only=True)
class ObjectTracking(Builder):
    """One sample a clip: the reference frame, later frames, and questions about these.

    Only an annotated box is asked for; a frame in which the annotation is silent about the object
    is never shown. A frame that shows only a strip of the object, as its box tells, gives way to
    the nearest that shows more. Letters name objects, from left to right in the reference. Shuffled
    samples follow one object and name images by number, since `first` could mean either order.
    """

    association: ClassVar[Association] = "temporal"
    shapes: ClassVar[tuple[Shape, ...]] = ("clip",)
    targets: ClassVar[str] = "one a frame, or one an object; none where a hidden frame is asked"

    frames: tuple[int, int] = (4, 6)
    """Fewest and most images a sample, uniformly."""
    sampler: Sampler = "random"
    """`segments`: first of n equal parts, floor(k L / n), as MIG-Bench; `even`: first to last."""
    span: int | None = None
    """Draw from this many consecutive usable frames at a random place; None: from all."""
    given: Given | Literal["mixed"] = "mixed"
    """How the target is shown: its box in the question, a drawn rectangle, or both."""
    turns: asking.Turns = "mixed"
    """One frame a turn, all frames in one answer, or a sample for each frame as in MIG-Bench."""
    asked: int | None = None
    """How many of the later frames are asked about; None: all of them."""
    objects: int = 1
    """Most objects asked for at once, where that many share enough frames."""
    shuffled: float = 0.0
    """Share of samples whose frames are out of order, with a last turn that asks for the order;
    smaller where clips hardly move, as frames that look the same have none."""
    absent: float = 0.0
    """Share of later frames in polling samples in which the object is known not to be visible."""
    naming: asking.Naming = "mixed"
    """`the third image`, `Image-3`, or either; never both in a sample."""
    per_clip: int = 1
    """Most samples a clip; every clip is used once before any is used again."""
    min_visibility: float = 0.0
    """Visible share that a box must exceed, where the corpus gives one."""
    min_side: float = 0.0
    """Shortest side of a box, in pixels."""
    min_area: float = 0.0
    """Smallest share of the image that a box covers."""
    slivers: bool = False
    """Keep frames in which a box is much smaller than usual and of another shape: mostly a strip
    beside an occluder or at the border, by which nobody could tell what is followed."""

    def __post_init__(self) -> None:
        """Refuse settings that no clip could meet."""
        fewest, most = self.frames
        if not 2 <= fewest <= most:
            raise ValueError(f"frames: expected 2 <= fewest <= most, found {fewest} and {most}")
        if self.shuffled and fewest < 3:
            raise ValueError(
                f"frames: two have no order to ask for; shuffled needs 3, found {fewest}"
            )
        if self.span is not None and self.span < most:
            raise ValueError(f"span: {self.span} frames are too few to choose {most} from")
        if not 1 <= self.objects <= len(LETTERS):
            raise ValueError(f"objects: expected 1 to {len(LETTERS)}, found {self.objects}")
        if self.per_clip < 1 or (self.asked is not None and self.asked < 1):
            raise ValueError("per_clip and asked: expected at least 1")
        if self.turns == "apart" and self.shuffled:
            raise ValueError("shuffled: the order is asked after the boxes, not apart from them")
        if not (0 <= self.shuffled <= 1 and 0 <= self.absent <= 1):
            raise ValueError("shuffled and absent: expected a share from 0 to 1")

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Every clip long enough, in random order; then again, `per_clip` times in all."""
        rows = index.rows[index.numbers("longest") >= self.frames[0]]
        for _ in range(self.per_clip):
            yield from zip(rows[rng.permutation(len(rows))].tolist(), strict=True)

    def expected(self) -> float:
        """A sample a later frame where they are asked apart."""
        if self.asked is not None:
            return asking.expected(self.turns, self.asked, self.asked)
        return asking.expected(self.turns, self.frames[0] - 1, self.frames[1] - 1)

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """One sample of the clip; `Rejected` where no object is visible often enough."""
        clip = records[0]
        out_of_order = rng.uniform() < self.shuffled
        one_by_one = asking.one_by_one(self.turns, rng)
        objects = 1 if out_of_order else rng.between(1, self.objects)
        found = follow(clip, objects, self.frames[0], self._usable, rng)
        poor = None if self.slivers else slivers(found.tracks, clip.images)
        frames = choose(found.frames, self.sampler, self.frames, self.span, rng, poor)
        if one_by_one and self.absent:
            frames = with_hidden(frames, found.hidden, self.absent, self.span, rng)
        reference = frames[0]
        # Frames that look the same have no order that could be told.
        if out_of_order := out_of_order and differ(found.tracks[0], frames):
            rng.shuffle(frames)
        scene = self._scene(found.tracks, frames, reference, out_of_order, rng)
        images = [shown(clip.images[frame], scene, i) for i, frame in enumerate(frames)]
        if self.turns == "apart":
            for place in scene.asked:
                yield self.sample(records, images, polling(scene._replace(asked=[place]), rng))
            return
        alone = one_by_one or len(scene.asked) == 1
        turns = polling(scene, rng) if alone else [all_at_once(scene, rng)]
        if out_of_order:
            turns = with_order(turns, scene, rng)
        yield self.sample(records, images, turns)

    def _usable(self, region: Region, image: Image) -> bool:
        box, seen = region.box, region.visibility
        if box is None or (seen is not None and seen <= self.min_visibility):
            return False
        # Asked of every region of a clip: where no size is asked for, none is computed.
        if not (self.min_side or self.min_area):
            return True
        large = box.area / (image.width * image.height) >= self.min_area
        return large and min(box.width, box.height) >= self.min_side

    def _scene(
        self, tracks: list[Track], frames: list[int], first: int, by_number: bool, rng: Stream
    ) -> Scene:
        reference = frames.index(first)
        asked = [place for place in range(len(frames)) if place != reference]
        if self.asked is not None:
            asked = sorted(rng.sample(asked, min(self.asked, len(asked))))
        naming = rng.choice(("ordinal", "number")) if self.naming == "mixed" else self.naming
        given = rng.choice(("coordinates", "mark", "both")) if self.given == "mixed" else self.given
        # Half of the questions name the class; by coordinates or mark they are clear without.
        word = noun(tracks[0][first].label) if rng.below(2) else "object"
        return Scene(
            words=WORDING,
            tracks=sorted(tracks, key=lambda track: box_of(track[first]).x1),
            frames=frames,
            reference=reference,
            asked=asked,
            given=given,
            names=ImageNames("number" if by_number else naming),
            noun=word,
        )
