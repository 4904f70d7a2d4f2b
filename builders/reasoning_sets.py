"""Sets of photos of which some show a class and the others are known not to: any mixture.

Not a task; `reasoning` uses it. It sees index columns only, and keeps the rules of `sets`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from builders.sets import TRIES, Entries, Ints, Photos, interleaved
from mgdata.identity import Stream

ALONE = 8
"""Of so many sets, one has a single photo with the class."""


def some_have(
    photos: Photos, entries: Entries, images: tuple[int, int], rng: Stream, power: float = 0.5
) -> Iterator[tuple[int, ...]]:
    """Rows of sets of which one photo to all show a class; the first one does.

    Two, three and so on up to all are equally likely, one alone less. Where no more photos of a
    class are free, others without it take their places.
    """
    order = interleaved(entries.codes, rng, power)
    grouped = np.argsort(entries.codes, kind="stable")
    starts = np.searchsorted(entries.codes[grouped], np.arange(len(photos.names) + 1))
    members = entries.positions[grouped]
    for i in order.tolist():
        first, code = int(entries.positions[i]), int(entries.codes[i])
        if not photos.free(first, ()):
            continue
        size = rng.between(*images)
        pool = members[starts[code] : starts[code + 1]]
        # One alone is rarer here, since most classes of a random photo are in no other anyway.
        have = 1 if rng.below(ALONE) == 0 else rng.between(2, size)
        chosen = _joined(photos, [first], pool, have, rng)
        while len(chosen) < size:
            if (other := photos.without(code, chosen, rng)) is None:
                break
            chosen.append(other)
        if len(chosen) == size and photos.new(chosen):
            yield photos.taken(chosen)


def _joined(photos: Photos, chosen: list[int], pool: Ints, size: int, rng: Stream) -> list[int]:
    """The chosen photos and random free ones of a pool, as many as can be found of `size`."""
    for _ in range(TRIES if len(pool) > 1 else 0):
        if len(chosen) == size:
            break
        other = int(pool[rng.below(len(pool))])
        if photos.free(other, chosen):
            chosen.append(other)
    return chosen
