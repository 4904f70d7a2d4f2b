"""Groups of look-alike photos by a vector each: Migician's Algorithm 1, over hundred thousands.

Not a task: `free_form` uses it. Vectors are int8, so that products are whole numbers below 2^24,
which 32-bit floats add up exactly, in whatever order a machine does it: same vectors, same groups.
It never holds more than `AT_ONCE` products.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from builders.sets import Ints
from mgdata.errors import UsageError
from mgdata.identity import Stream
from mgdata.index import Index

AT_ONCE = 32_000_000
"""Products of vectors held at a time, four bytes each."""
TILE = 16_384
"""Vectors that are made floats at a time."""
SEEDS = 50
"""One in so many photos is a seed at a time: most others are still left when their turn comes."""
SPARE = 4
"""Photos drawn beyond those wanted, for such as share a unit with one of the group."""
LENGTH = 512
"""Longest vector, in whole numbers: four times what `mgdata.measures.vectors` writes."""


class Vectors(NamedTuple):
    """Vectors of some photos."""

    positions: Ints
    """Which photos of the view: those that have a vector."""
    values: np.ndarray[tuple[int, int], np.dtype[np.int8]]
    """A row for each of them."""


def vectors(index: Index, column: str) -> Vectors:
    """The vectors in a column of bytes; a photo with none is left out.

    Raises:
        UsageError: no measure gave such a column, or it holds no vectors of one length.
    """
    if column not in index.table.column_names:
        raise UsageError(
            f"by: alike needs a column {column!r} of the index: name the measure embedding or "
            "appearance under measures, and its fact in this task's setting vectors"
        )
    found: list[np.ndarray[Any, np.dtype[np.int8]]] = []
    places: list[Ints] = []
    order = np.argsort(index.rows, kind="stable")
    rows, start = index.rows[order], 0
    for chunk in index.table[column].chunks:
        first, last = np.searchsorted(rows, [start, start + len(chunk)])
        # Chunk by chunk: bytes of millions of photos do not fit one array's offsets.
        some = chunk.take(pa.array(rows[first:last] - start))
        held = np.flatnonzero(np.asarray(some.is_valid()))
        if len(held):
            found.append(_rows(some.drop_null(), column))
            places.append(order[first:last][held])
        start += len(chunk)
    if len({some.shape[1] for some in found}) != 1:
        raise UsageError(f"column {column!r} of the index holds no vectors of one length")
    return Vectors(np.concatenate(places), np.concatenate(found))


def _rows(some: Any, column: str) -> np.ndarray[Any, np.dtype[np.int8]]:
    """A row for each value of a binary array without nulls."""
    if not pa.types.is_binary(some.type):
        raise UsageError(f"column {column!r} of the index holds {some.type}, no vectors")
    _, offsets, data = some.buffers()
    ends = np.frombuffer(offsets, np.int32)[some.offset : some.offset + len(some) + 1]
    sizes = np.unique(np.diff(ends))
    if len(sizes) != 1 or sizes[0] == 0:
        raise UsageError(f"column {column!r} of the index holds no vectors of one length")
    return np.frombuffer(data, np.int8)[ends[0] : ends[-1]].reshape(len(some), -1)


def lookalikes(
    values: np.ndarray[tuple[int, int], np.dtype[np.int8]],
    units: Ints,
    images: tuple[int, int],
    kept: tuple[float, float],
    rng: Stream,
) -> Iterator[list[int]]:
    """Rows of `values` in groups, each row in at most one: a random one first, then its likes.

    Algorithm 1 of Migician (arXiv 2501.05767): while photos are left, rank the others by how much
    they look like a seed, keep a share t of the ranking, drawn anew, take some of these at random,
    and remove the group. Here the seed is random, at least as many are kept as a group needs and
    `SPARE` more, two photos of a unit are never in a group, and a seed for which too few are found
    is removed alone. 100,000 vectors of 512 numbers take 26 s on two cores, 0.3 GB beside them.

    Args:
        values: Photos x numbers.
        units: What must not be twice in a group, by number.
        images: Fewest and most photos of a group, uniformly.
        kept: Smallest and largest t.
        rng: Where chance comes from.

    Raises:
        ValueError: vectors too long for exact products.
    """
    longest = int(np.einsum("ij,ij->i", values, values, dtype=np.int64).max(initial=0))
    if longest > LENGTH * LENGTH:
        raise ValueError(f"a vector is longer than {LENGTH}: write it with mgdata.measures.vectors")
    left = np.arange(len(values))
    while len(left) >= images[0]:
        block = max(1, min(len(left) // SEEDS, AT_ONCE // len(left)))
        seeds = rng.permutation(len(left))[:block]
        likeness = _products(values, left[seeds], left)
        gone = np.zeros(len(left), np.bool_)
        for seed, row in zip(seeds.tolist(), likeness, strict=True):
            if gone[seed]:
                continue
            size, share = rng.between(*images), kept[0] + rng.uniform() * (kept[1] - kept[0])
            gone[seed] = True
            row[gone] = -longest - 1
            top = _most_alike(row, int(share * (len(row) - gone.sum())), size - 1 + SPARE, rng)
            group = _apart([seed, *top], units[left], size)
            if len(group) >= images[0]:
                gone[group] = True
                yield left[group].tolist()
        left = left[~gone]


def _products(
    values: np.ndarray[tuple[int, int], np.dtype[np.int8]], seeds: Ints, left: Ints
) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Products of each seed with each of those left."""
    found = np.empty((len(seeds), len(left)), np.int32)
    mine = values[seeds].astype(np.float32)
    for start in range(0, len(left), TILE):
        tile = values[left[start : start + TILE]].astype(np.float32)
        found[:, start : start + TILE] = mine @ tile.T
    return found


def _most_alike(
    row: np.ndarray[Any, np.dtype[np.int32]], top: int, wanted: int, rng: Stream
) -> list[int]:
    """`wanted` of the `top` photos with the largest products, or of as many as there are to draw.

    Of equals the first ones rank higher. The smallest product of all is none: those are gone.
    """
    lowest, highest = int(row.min()), int(row.max())
    bins = np.bincount(highest - row)
    bins[highest - lowest] = 0
    ranked = np.cumsum(bins)
    top = min(max(top, wanted), int(ranked[-1]))
    if not top:
        return []
    last = int(np.searchsorted(ranked, top))
    better = np.flatnonzero(row > highest - last)
    equal = np.flatnonzero(row == highest - last)[: top - len(better)]
    places = _distinct(top, min(top, wanted), rng)
    return [int(better[k] if k < len(better) else equal[k - len(better)]) for k in places]


def _distinct(below: int, n: int, rng: Stream) -> list[int]:
    """`n` different numbers below a bound, at random."""
    if below <= 4 * n:
        return rng.sample(range(below), n)
    found: dict[int, None] = {}
    while len(found) < n:
        found[rng.below(below)] = None
    return list(found)


def _apart(group: Sequence[int], units: Ints, size: int) -> list[int]:
    """The first photos of a group that share no unit, at most `size`."""
    first: dict[int, int] = {}
    for place in group:
        first.setdefault(int(units[place]), place)
    return list(first.values())[:size]
