"""Which frames of a clip a question can use: following objects, and samplers. Knows no question.

Not a task; tasks over clips share it. Frames are indices of the record's images.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Literal, NamedTuple

from mgdata.data import Image, Record, Region
from mgdata.errors import Rejected
from mgdata.geometry import Box
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


def choose(
    frames: list[int], sampler: Sampler, n: tuple[int, int], span: int | None, rng: Stream
) -> list[int]:
    """Between `n[0]` and `n[1]` of the frames, in order; from `span` neighbours among them."""
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
    return [frames[place] for place in places]


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
