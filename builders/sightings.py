"""What a clip says of each thing in each frame: it is seen, it is not visible, or nothing is known.

Not a task; tasks that ask where something is not share it. Frames are indices of the record's
images. It knows no question.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from builders.frames import Track, at_border, slivers
from mgdata.data import Image, Record, Region, complete
from mgdata.geometry import array, iou
from mgdata.identity import Stream
from mgdata.scoring.pairs import overlap

ALIKE = 0.5
"""IoU from which two boxes of one frame may be taken for one another."""
FEW = 12
"""Boxes of a frame up to which plain arithmetic is faster than numpy."""


class Sighting(NamedTuple):
    """One thing. A frame that is neither in `seen` nor in `hidden` must not be shown."""

    seen: Track
    """Its regions that can be asked for, by frame, in order."""
    hidden: frozenset[int]
    """Frames in which it is known not to be visible."""
    clear: frozenset[int]
    """Frames of `seen` in which its box is nearly that of nothing else: it can be pointed at."""


class Looks:
    """The sightings of a clip's things, each worked out when it is first asked for.

    A thing is known not to be visible where the annotation says so (a region without a box), and
    where its class is annotated completely (`data.complete`, or `followed`) and it has no region,
    if besides no other region of the frame can be it under another name: each region of its class,
    and each to be ignored, must be of something that was seen beside it in some other frame. Nor is
    it known next to a frame that has a region of it: what little shows of a thing that comes or
    goes has no box (synthetic TAO: 12 % of all frames without one, and none further off). With
    `followed`, by which the corpus' readers are trusted instead of its records, the thing must also
    have left or entered by the image's border, since such tracks also end where somebody gets
    small or is lost behind others.
    """

    def __init__(
        self,
        clip: Record,
        usable: Callable[[Region, Image], bool],
        *,
        followed: bool = False,
        keep_slivers: bool = False,
        window: range | None = None,
    ) -> None:
        self.clip = clip
        self.window = window or range(len(clip.images))
        self._usable, self._followed, self._slivers = usable, followed, keep_slivers
        self._regions: defaultdict[str, list[Region]] = defaultdict(list)
        self._there: defaultdict[int, list[Region]] = defaultdict(list)
        for region in clip.regions:
            if region.image in self.window:
                self._there[region.image].append(region)
                if region.track is not None:
                    self._regions[region.track].append(region)
        self._found: dict[str, Sighting] = {}
        self._hidden: dict[str, frozenset[int]] = {}
        self._others: dict[str, dict[int, set[str | None]]] = {}
        self._doubles: dict[int, set[str | None]] = {}

    def names(self, rng: Stream) -> list[str]:
        """Every thing that has an identity, in random order."""
        return rng.sample(list(self._regions), len(self._regions))

    def of(self, name: str) -> Sighting:
        """What is known of one thing."""
        if name not in self._found:
            seen = self._seen(self._regions[name])
            clear = frozenset(frame for frame in seen if name not in self._alike(frame))
            self._found[name] = Sighting(seen, self.hidden(name), clear)
        return self._found[name]

    def hidden(self, name: str) -> frozenset[int]:
        """Where one thing is known not to be visible: found out faster than where it is seen."""
        if name not in self._hidden:
            regions = self._regions[name]
            said = {r.image for r in regions if r.box is None and not r.ignore}
            self._hidden[name] = frozenset(said | self._unmarked(regions))
        return self._hidden[name]

    def _seen(self, regions: list[Region]) -> Track:
        images = self.clip.images
        seen = {r.image: r for r in regions if not r.ignore and self._usable(r, images[r.image])}
        if seen and not self._slivers:
            poor = slivers([seen], images)
            seen = {frame: region for frame, region in seen.items() if not poor(frame)}
        return seen

    def _unmarked(self, regions: list[Region]) -> set[int]:
        """Frames without a region of this thing in which it is not visible either."""
        label = regions[0].label
        whole = complete(self.clip, label)
        if not (whole or self._followed) or any(r.label != label for r in regions):
            return set()
        marked = {r.image for r in regions}
        left = self._far_from(marked)
        if not whole:
            left = _beyond(left, regions, self.clip.images)
        if not left:
            return set()
        others = self._rivals(label)
        beside: set[str | None] = set()
        for region in regions:
            if region.box is not None:
                beside |= others.get(region.image, set())
        beside.discard(None)
        return {frame for frame in left if others.get(frame, set()) <= beside}

    def _far_from(self, marked: set[int]) -> list[int]:
        """Frames not in `marked` nor next to one that is, or that may be, beyond the window."""
        near = {frame + step for frame in marked for step in (-1, 0, 1)}
        if self.window.start > 0:
            near.add(self.window.start)
        if self.window.stop < len(self.clip.images):
            near.add(self.window.stop - 1)
        return [frame for frame in self.window if frame not in near]

    def _alike(self, frame: int) -> set[str | None]:
        """What has a box in a frame that is nearly that of something else, be it to be ignored."""
        if frame not in self._doubles:
            there = [(r.track, r.box) for r in self._there[frame] if r.box is not None]
            if len(there) > FEW:
                sides = array([box for _, box in there])
                # Each is one with itself.
                near = np.flatnonzero((iou(sides, sides) >= ALIKE).sum(axis=1) > 1).tolist()
            else:
                pairs = combinations(range(len(there)), 2)
                near = {
                    i
                    for a, b in pairs
                    if overlap(there[a][1], there[b][1]) >= ALIKE
                    for i in (a, b)
                }
            self._doubles[frame] = {there[i][0] for i in near}
        return self._doubles[frame]

    def _rivals(self, label: str) -> dict[int, set[str | None]]:
        """By frame the identities of what shows there and is of a class, or to be ignored."""
        if label not in self._others:
            self._others[label] = {
                frame: {
                    r.track for r in there if r.box is not None and (r.label == label or r.ignore)
                }
                for frame, there in self._there.items()
            }
        return self._others[label]


def _beyond(frames: list[int], regions: list[Region], images: Sequence[Image]) -> list[int]:
    """Those of some frames before a thing came in by the border, and after it left by it."""
    first, last = regions[0], regions[-1]
    comes = first.image if _cut(first, images) else -1
    leaves = last.image if _cut(last, images) else len(images)
    return [frame for frame in frames if frame < comes or frame > leaves]


def _cut(region: Region, images: Sequence[Image]) -> bool:
    if region.box is None:
        return False
    return region.clipped or at_border(region.box, images[region.image])
