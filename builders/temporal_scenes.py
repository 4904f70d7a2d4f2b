"""Which things and frames of a clip a question about time can use, kind by kind.

Not a task: `temporal_association` is the one that uses it. It knows no wording. Whatever decides
whether something can be asked is decided before the number of targets is: what is chosen up to then
comes from one distribution, however many targets a sample is to have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from builders.frames import Track, differ, slivers
from builders.sightings import Looks, Sighting
from mgdata.data import Count, Image, Record, Region
from mgdata.identity import Stream

Moment = Literal["first", "last"]

_Until = Callable[[dict[int, int], int], int]

TRIES = 6
"""Things that are tried as the first of several."""
MORE = 24
"""Things that are tried as the others."""


class Limits(NamedTuple):
    """What the settings say."""

    images: tuple[int, int]
    objects: tuple[int, int]
    most: int


class Episode(NamedTuple):
    """Things that a reference shows together, and later frames in which all of them are known."""

    tracks: list[Sighting]
    reference: int
    after: dict[int, int]
    """Frames in order, and how many of the things each shows."""
    n: int
    """How many of them are shown."""

    def showing(self, fewest: int, most: int) -> list[int]:
        """Frames after the reference that show so many of the things."""
        return [frame for frame, count in self.after.items() if fewest <= count <= most]


class Passage(NamedTuple):
    """Frames in order of time, of which one shows a thing first or last."""

    track: Track
    reference: int
    frames: list[int]
    """Without the reference."""
    moment: Moment
    place: int
    """Among the frames: the one that is asked for."""


class Action(NamedTuple):
    """A question of the corpus, and frames in order of time that show the answer's object."""

    question: str
    track: Track
    frames: list[int]


def reappearing(looks: Looks, limits: Limits, rng: Stream) -> Episode | None:
    """Things of which later frames can show none, exactly one, or several: each could be asked."""
    need = limits.images[0] - 1
    names = [name for name in looks.names(rng) if len(looks.hidden(name)) >= need]
    found = _episode(looks, names, limits, limits.objects, _may_reappear, rng)
    return found and found._replace(n=min(found.n, len(found.showing(0, 0))))


def reappearance(episode: Episode, count: Count, rng: Stream) -> list[int]:
    """Frames that show so many of the things over all, in random order."""
    none, some, several = (
        episode.showing(*bounds) for bounds in ((0, 0), (1, 1), (2, len(episode.tracks)))
    )
    n = episode.n
    if count == "none":
        return rng.sample(none, n)
    if count == "one":
        frames = [rng.choice(some), *rng.sample(none, n - 1)]
    else:
        pairs = some + several
        alone = bool(several) and (len(pairs) < 2 or rng.below(2) == 0)
        frames = rng.sample(several, 1) if alone else rng.sample(pairs, 2)
        left = [frame for frame in episode.after if frame not in frames]
        frames += rng.sample(left, n - len(frames))
    rng.shuffle(frames)
    return frames


def followed(looks: Looks, limits: Limits, rng: Stream) -> Episode | None:
    """Two things and more, of which each of enough later frames shows one at least."""
    fewest, most = limits.objects
    objects = max(fewest, 2), max(most, 2)
    found = _episode(looks, looks.names(rng), limits, objects, _may_be_followed, rng)
    return found and found._replace(n=min(found.n, len(found.showing(1, len(found.tracks)))))


def course(episode: Episode, hidden: float, rng: Stream) -> list[int]:
    """Frames in order of time; with odds `hidden` one does not show all things, if there is one."""
    shown = episode.showing(1, len(episode.tracks))
    frames = rng.sample(shown, episode.n)
    partial = episode.showing(1, len(episode.tracks) - 1)
    if rng.uniform() < hidden and partial and not set(partial).intersection(frames):
        frames[-1] = rng.choice(partial)
    return sorted(frames)


def passage(looks: Looks, limits: Limits, rng: Stream) -> Passage | None:
    """Frames of which each could have been the one in which a thing shows first, or last.

    Around that frame enough are known on both sides for it to take any place, so that its place is
    uniform.
    """
    n = rng.between(*limits.images) - 1
    for name in looks.names(rng)[:MORE]:
        if len(looks.hidden(name)) < limits.images[0] - 2:
            continue
        seen, hidden, clear = looks.of(name)
        if len(seen) < 2 or not clear:
            continue
        for moment in rng.sample(_MOMENTS, 2):
            for frame in rng.sample(list(seen), min(TRIES, len(seen))):
                references = [other for other in seen if other != frame and other in clear]
                if not references:
                    continue
                reference = rng.choice(references)
                known = sorted({*seen, *hidden} - {frame, reference})
                before = [f for f in known if f < frame and (moment == "last" or f in hidden)]
                after = [f for f in known if f > frame and (moment == "first" or f in hidden)]
                shown = min(n, 1 + len(before), 1 + len(after))
                if shown < limits.images[0] - 1 or not differ(seen, [reference, frame]):
                    continue
                place = rng.below(shown)
                frames = rng.sample(before, place), rng.sample(after, shown - 1 - place)
                chosen = [*sorted(frames[0]), frame, *sorted(frames[1])]
                return Passage(seen, reference, chosen, moment, place)
    return None


_MOMENTS: tuple[Moment, Moment] = ("first", "last")


def action(
    clip: Record,
    limits: Limits,
    usable: Callable[[Region, Image], bool],
    keep_slivers: bool,
    rng: Stream,
) -> Action | None:
    """A question whose object is boxed in enough frames, and not in the same place at both ends.

    Only frames are shown in which the one thing of the object's class has a region.
    """
    asked = [text for text in clip.expressions if text.form == "question" and text.regions]
    for text in rng.sample(asked, len(asked)):
        track = _answer(clip, text.regions, usable)
        if track and not keep_slivers:
            poor = slivers([track], clip.images)
            track = {frame: region for frame, region in track.items() if not poor(frame)}
        frames = list(track)
        if len(frames) < limits.images[0] or not differ(track, [frames[0], frames[-1]]):
            continue
        n = rng.between(limits.images[0], min(limits.images[1], len(frames)))
        between = sorted(rng.sample(frames[1:-1], n - 2))
        return Action(text.text, track, [frames[0], *between, frames[-1]])
    return None


def _answer(clip: Record, places: Sequence[int], usable: Callable[[Region, Image], bool]) -> Track:
    """The object's region in each frame where it is the only one of its class and can be used."""
    own = [clip.regions[place] for place in places]
    labels = {region.label for region in own}
    if len(labels) != 1 or len({region.track for region in own}) != 1:
        return {}
    counts: dict[int, int] = {}
    for region in clip.regions:
        if region.label in labels:
            counts[region.image] = counts.get(region.image, 0) + 1
    return {
        region.image: region
        for region in own
        if counts[region.image] == 1
        and not region.ignore
        and usable(region, clip.images[region.image])
    }


def _episode(
    looks: Looks,
    names: list[str],
    limits: Limits,
    objects: tuple[int, int],
    until: _Until,
    rng: Stream,
) -> Episode | None:
    """As many things as drawn, or as share the frames it takes; at least the fewest."""
    n, k = rng.between(*limits.images) - 1, rng.between(*objects)
    # Neither depends on the other's chances more than the greatest number of boxes demands.
    k = max(objects[0], min(k, limits.most // n))
    n = min(n, limits.most // k)
    need = limits.images[0] - 1
    for number, name in enumerate(names[:TRIES]):
        chosen = [looks.of(name)]
        found = _references(chosen, need, until)
        others = iter((names[number + 1 :] + names[:number])[:MORE] if found else ())
        while len(chosen) < k and (other := next(others, None)) is not None:
            more = [*chosen, looks.of(other)]
            if references := _references(more, need, until):
                chosen, found = more, references
        if found and len(chosen) >= objects[0]:
            reference = rng.choice(found)
            after = {f: c for f, c in _counts(chosen).items() if f > reference}
            return Episode(chosen, reference, after, n)
    return None


def _counts(tracks: Sequence[Sighting]) -> dict[int, int]:
    """How many of some things each frame shows in which all of them are known, in order."""
    known = set.intersection(*({*track.seen, *track.hidden} for track in tracks))
    return {frame: sum(frame in track.seen for track in tracks) for frame in sorted(known)}


def _references(tracks: Sequence[Sighting], need: int, until: _Until) -> list[int]:
    """Frames that show all of some things, each clearly, and come early enough."""
    counts = _counts(tracks)
    end = until(counts, need)
    clear = frozenset.intersection(*(track.clear for track in tracks))
    return [frame for frame in counts if frame in clear and frame < end]


def _may_reappear(counts: dict[int, int], need: int) -> int:
    """The frame before which a reference must be for any number of targets to be had after it."""
    none = [frame for frame, count in counts.items() if count == 0]
    one = [frame for frame, count in counts.items() if count == 1]
    some = [frame for frame, count in counts.items() if count]
    if len(none) < need or not one or len(some) < 2:
        return -1
    return min(none[-need], one[-1], max(some[-2], *(f for f in some if counts[f] > 1), -1))


def _may_be_followed(counts: dict[int, int], need: int) -> int:
    """The frame before which a reference must be for enough frames after it to show something."""
    some = [frame for frame, count in counts.items() if count]
    return some[-need] if len(some) >= need else -1
