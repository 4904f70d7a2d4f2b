"""What can be asked over the views of one moment, and which views then have how many targets.

Not a task; `spatial_association` is the one that uses it. Knows no wording. A set of views is a
number whose bit i stands for view i.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Any, Literal, NamedTuple

import numpy as np

from builders.asking import Band, box_of
from builders.views import by_track, known
from mgdata.data import Count, Record, Region
from mgdata.geometry import array, iou_pairs
from mgdata.identity import Stream

Kind = Literal["everywhere", "which", "several"]
ALIKE = 0.5
"""IoU from which two boxes of one view may be taken for one another."""
_COMBINATIONS = 64
"""Sets of several objects that are all looked at."""
_DRAWN = 32
"""Random ones that are looked at where there are more."""


class Thing(NamedTuple):
    """One object of a moment."""

    regions: dict[int, Region]
    """By view, where it is visible."""
    label: str
    seen: int
    hidden: int
    """Views known not to show it."""
    clear: int
    """Views where it is visible and its box is nearly that of nothing else."""


class Case(NamedTuple):
    """A reference view, the objects given in it, and how many of them each other view shows."""

    reference: int
    things: tuple[Thing, ...]
    none: int
    one: int
    more: int
    """Views that show none, one and several of them; of views in none of the three not all is
    known."""

    def serves(self, others: int, count: Count) -> bool:
        """Whether some `others` of the views have that many targets together."""
        if count == "none":
            return self.none.bit_count() >= others
        if count == "one":
            return self.one > 0 and self.none.bit_count() >= others - 1
        return bool(self._showing(others))

    def views(self, others: int, count: Count, rng: Stream) -> list[int]:
        """So many of them, in random order."""
        one, more = bits(self.one), bits(self.more)
        if count == "none":
            showing = list[int]()
        elif count == "one":
            showing = [rng.choice(one)]
        else:
            n = rng.choice(self._showing(others))
            showing = rng.sample(one + more if n > 1 else more, n)
        found = showing + rng.sample(bits(self.none), others - len(showing))
        rng.shuffle(found)
        return found

    def _showing(self, others: int) -> list[int]:
        """How many of the views may show anything where there are several targets."""
        fewest = max(1 if self.more else 2, others - self.none.bit_count())
        return list(range(fewest, min((self.one | self.more).bit_count(), others) + 1))


def look(moment: Record, area: Band, *, slivers: bool, visibility: float) -> list[Thing]:
    """The objects of a moment that are visible anywhere; for the arguments see `views.known`."""
    unclear = _unclear(moment)
    things: list[Thing] = []
    for name, regions in by_track(moment).items():
        seen, hidden = known(moment, regions, area, slivers=slivers, visibility=visibility)
        if seen:
            clear = [view for view in seen if (name, view) not in unclear]
            sets = (_number(views) for views in (seen, hidden, clear))
            things.append(Thing(seen, regions[0].label, *sets))
    return things


def everywhere(things: Sequence[Thing], sides: int, size: int, rng: Stream) -> list[Case]:
    """One object at a time, in all views that say anything of it."""
    return [
        Case(view, (thing,), thing.hidden, thing.seen & ~(1 << view), 0)
        for thing in rng.sample(things, len(things))
        if (fit := thing.clear & sides)
        for view in (rng.choice(bits(fit)),)
    ]


def which(things: Sequence[Thing], sides: int, size: int, rng: Stream) -> list[Case]:
    """One object, in views with `size` of its class to choose from, itself too if visible."""
    counts: Counter[tuple[str, int]] = Counter(
        (thing.label, view) for thing in things for view in bits(thing.clear)
    )
    rich: Counter[str] = Counter()
    for (label, view), n in counts.items():
        if n >= size:
            rich[label] += 1 << view
    return [
        case._replace(
            none=case.none & rich[thing.label], one=case.one & thing.clear & rich[thing.label]
        )
        for case in everywhere(things, sides, size, rng)
        for thing in case.things
    ]


def several(things: Sequence[Thing], sides: int, size: int, rng: Stream) -> list[Case]:
    """`size` objects at a time, in views that say something of every one of them."""
    there = {view: [t for t in things if t.clear >> view & 1] for view in bits(sides)}
    sets: list[tuple[int, tuple[Thing, ...]]] = []
    if sum(comb(len(found), size) for found in there.values()) <= _COMBINATIONS:
        sets += [(v, some) for v, found in there.items() for some in combinations(found, size)]
        rng.shuffle(sets)
    else:
        fit = [view for view, found in there.items() if len(found) >= size]
        for view in (rng.choice(fit) for _ in range(_DRAWN)):
            sets.append((view, tuple(rng.sample(there[view], size))))
    return [_together(view, some) for view, some in sets]


CASES: dict[Kind, Callable[[Sequence[Thing], int, int, Stream], list[Case]]] = {
    "everywhere": everywhere,
    "which": which,
    "several": several,
}
"""By kind of question, all that can be asked, in random order: of these objects, the reference
among these views, with so many candidates or objects."""


def candidates(
    case: Case, view: int, size: int, things: Sequence[Thing], rng: Stream
) -> list[Region]:
    """Boxes of one class in a view, in random order: the object's, if visible, and others'."""
    (thing,) = case.things
    fit = [t for t in things if t.label == thing.label and t.clear >> view & 1]
    others = [t.regions[view] for t in fit if t is not thing]
    own = [thing.regions[view]] if view in thing.regions else []
    found = own + rng.sample(others, size - len(own))
    rng.shuffle(found)
    return found


def bits(views: int) -> list[int]:
    """The views of a set, rising."""
    return [view for view in range(views.bit_length()) if views >> view & 1]


def _number(views: Iterable[int]) -> int:
    found = 0
    for view in views:
        found |= 1 << view
    return found


def _together(view: int, things: tuple[Thing, ...]) -> Case:
    """Several objects and one reference view."""
    certain, once, twice = ~(1 << view), 0, 0
    for thing in things:
        certain &= thing.seen | thing.hidden
        twice |= once & thing.seen
        once |= thing.seen
    return Case(view, things, certain & ~once, certain & once & ~twice, certain & twice)


def _unclear(moment: Record) -> set[tuple[str | None, int]]:
    """Tracks and views where a box is nearly that of something else, be it to be ignored."""
    boxed = [region for region in moment.regions if region.box is not None]
    views = np.array([region.image for region in boxed], np.int64)
    first, second = _pairs(tuple(np.bincount(views).tolist()))
    boxes = array([box_of(region) for region in boxed])
    close = iou_pairs(boxes[first], boxes[second]) >= ALIKE
    return {
        (boxed[i].track, boxed[i].image)
        for i in np.concatenate([first[close], second[close]]).tolist()
    }


@lru_cache(1024)
def _pairs(sizes: tuple[int, ...]) -> tuple[Any, Any]:
    """Places of all pairs in one view, where regions are sorted by view; so many in each."""
    found = [np.zeros((2, 0), np.int64)]
    start = 0
    for size in sizes:
        found.append(np.array(np.triu_indices(size, 1)) + start)
        start += size
    first, second = np.concatenate(found, axis=1)
    return first, second
