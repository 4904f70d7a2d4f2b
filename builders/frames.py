"""Which frames of a clip a question can use: following objects, and samplers. Knows no question.

Not a task; tasks over clips share it. Frames are indices of the record's images.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from mgdata.data import Image, Record, Region
from mgdata.errors import Rejected
from mgdata.geometry import Box, array, iou_pairs
from mgdata.identity import Stream

Sampler = Literal["segments", "even", "random"]
Track = dict[int, Region]
"""One object's regions with a usable box, by frame."""


def box_of(region: Region) -> Box:
    """The box of a region of a track, which has one.

    Raises:
        ValueError: it has none.
    """
    if region.box is None:
        raise ValueError(f"{region.label!r} in image {region.image} has no box")
    return region.box


class Followed(NamedTuple):
    """Objects that can be asked for together."""

    tracks: list[Track]
    frames: list[int]
    """Where every one of them is usable, in order."""
    hidden: list[int]
    """Where every one of them is known not to be visible, in order."""


def follow(
    clip: Record, most: int, fewest: int, usable: Callable[[Region, Image], bool], rng: Stream
) -> Followed:
    """Up to `most` objects that share at least `fewest` frames, the first uniformly.

    Regions to be ignored and those without an identity belong to no object. A frame where an
    object has no region, or one that is not `usable`, is in neither list: nothing is known there.

    Raises:
        Rejected: no object has so many frames.
    """
    by_track: defaultdict[str, list[Region]] = defaultdict(list)
    for region in clip.regions:
        if region.track is not None and not region.ignore:
            by_track[region.track].append(region)
    names = list(by_track)
    rng.shuffle(names)
    found, longest = Followed([], [], []), 0
    for name in names:
        regions = by_track[name]
        track = {r.image: r for r in regions if usable(r, clip.images[r.image])}
        frames, hidden = list(track), [r.image for r in regions if r.box is None]
        if found.tracks:
            frames = [frame for frame in found.frames if frame in track]
            hidden = sorted(set(hidden).intersection(found.hidden))
        longest = max(longest, len(frames))
        if len(frames) >= fewest:
            found = Followed([*found.tracks, track], frames, hidden)
            if len(found.tracks) == most:
                break
    if not found.tracks:
        raise Rejected("too few visible frames", f"{longest} of {fewest}")
    return found


LEAST = 0.4
"""Share of the usual size below which a box may be a sliver."""


def sliver(box: Box, usual: Box, least: float = LEAST) -> bool:
    """Whether a box is both smaller than usual, by `least`, and twice as narrow or as flat.

    Most such boxes hold a strip beside an occluder or at the border; an object that is further
    off keeps its shape, and one that turns keeps more of its size.
    """
    # Products of sides, as a quotient would need a guard: a box may be as thin as a pixel.
    narrow, flat = box.width * usual.height, usual.width * box.height
    return box.area < least * usual.area and (2 * narrow < flat or narrow > 2 * flat)


def slivers(tracks: list[Track], images: Sequence[Image]) -> Callable[[int], bool]:
    """A test of a frame of these tracks: whether it shows any of the objects as a `sliver`.

    Or as less than a quarter of the usual at the image's border, whatever its shape: a corner.
    """
    usual = [(track, box, LEAST * box.area) for track in tracks for box in (_usual(track),)]

    def found(frame: int) -> bool:
        for track, normal, enough in usual:
            box = box_of(track[frame])
            # Most boxes are neither, and this is asked of every frame.
            if (area := box.area) >= enough:
                continue
            corner = area < normal.area / 4 and at_border(box, images[frame])
            if corner or sliver(box, normal):
                return True
        return False

    return found


def at_border(box: Box, image: Image) -> bool:
    """Whether less than two pixels, which is annotation noise, are between them."""
    right, bottom = image.width - box.x2, image.height - box.y2
    return min(box.x1, box.y1, right, bottom) < 2


def differ(track: Track, frames: Sequence[int], alike: float = 0.95) -> bool:
    """Whether the object's box changes from each frame to the next: their IoU is below `alike`."""
    boxes = array([box_of(track[frame]) for frame in frames if frame in track])
    return bool((iou_pairs(boxes[:-1], boxes[1:]) < alike).all())


def _usual(track: Track) -> Box:
    """Median width and height over at most 25 frames."""
    regions = list(track.values())
    boxes = [box_of(region) for region in regions[:: -(-len(regions) // 25)]]
    middle = len(boxes) // 2
    width = sorted(box.width for box in boxes)[middle]
    return Box(0, 0, width, sorted(box.height for box in boxes)[middle])


def choose(
    frames: list[int],
    sampler: Sampler,
    n: tuple[int, int],
    span: int | None,
    rng: Stream,
    poor: Callable[[int], bool] | None = None,
) -> list[int]:
    """Between `n[0]` and `n[1]` of the frames, in order; from `span` neighbours among them.

    One that is `poor` is exchanged for the nearest that is not, as far as there are.
    """
    if span is not None and len(frames) > span:
        start = rng.below(len(frames) - span + 1)
        frames = frames[start : start + span]
    length = len(frames)
    count = rng.between(n[0], min(n[1], length))
    if sampler == "segments":
        places = segments(length, count)
    elif sampler == "even":
        places = even(length, count)
    else:
        places = sorted(rng.sample(range(length), count))
    chosen = [frames[place] for place in places]
    return _exchanged(chosen, places, frames, poor) if poor else chosen


def _exchanged(
    chosen: list[int], places: list[int], frames: list[int], poor: Callable[[int], bool]
) -> list[int]:
    free = set(frames).difference(chosen) if any(map(poor, chosen)) else set[int]()
    found: list[int] = []
    for frame, place in zip(chosen, places, strict=True):
        better = frame
        if free and poor(frame):
            near = sorted(range(len(frames)), key=lambda other: abs(other - place))
            fit = (frames[p] for p in near if frames[p] in free and not poor(frames[p]))
            better = next(fit, frame)
            free.discard(better)
        found.append(better)
    return sorted(found)


def segments(length: int, n: int) -> list[int]:
    """The first of each of n equal parts: floor(k L / n).

    MIG-Bench's frame numbers, which count from 1, are floor(k L / 6) + 1 in all 550 questions.
    """
    return [k * length // n for k in range(n)]


def even(length: int, n: int) -> list[int]:
    """Equal spacing from first to last: k (L - 1) / (n - 1), halves rounded up."""
    return [(2 * k * (length - 1) + n - 1) // (2 * (n - 1)) for k in range(n)]


def with_hidden(
    frames: list[int], hidden: list[int], share: float, span: int | None, rng: Stream
) -> list[int]:
    """Each frame but the first exchanged with odds `share` for one of `hidden` after the first.

    Fewer are exchanged where there are not enough; with `span`, none further from the first.
    """
    first, *later = frames
    pool = [frame for frame in hidden if first < frame < first + (span or frame)]
    rng.shuffle(pool)
    for i in range(len(later)):
        if rng.uniform() < share and pool:
            later[i] = pool.pop()
    return [first, *sorted(later)]
