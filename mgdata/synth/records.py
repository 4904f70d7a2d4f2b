"""A table of records that have no images: to plan at the scale of a million, in a second or two.

Columns are those of `mgdata.index.Index`. It makes numbers only; nothing in it can be ingested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from mgdata.identity import Stream

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute

Ints = NDArray[np.int64]

# fmt: off
LABELS = (
    "bear", "bicycle", "bird", "boat", "book", "bottle", "bus", "car", "cat", "chameleon",
    "coin", "cow", "crab", "cup", "dog", "drone", "elephant", "fox", "frisbee", "giraffe",
    "goat", "guitar", "helmet", "horse", "kite", "lion", "monkey", "person", "sheep", "train",
)
# fmt: on
"""Class names, alphabetical."""


def index_table(clips: int, seed: int, corpora: Sequence[str]) -> pa.Table:
    """One row a clip, the corpora one after the other in nearly equal parts.

    `key`, `unit`, `license` (text), `shape` ("clip"), `labels` (list of text), `images`, `regions`,
    `tracks`, `longest` (int32). A clip has 20 to 599 images and mostly one track; every corpus
    whose name holds "mot" has 2 to 12. About one clip in eight shares its unit with the one before.

    Raises:
        ValueError: a negative number of clips, or no corpora.
    """
    if clips < 0 or not corpora:
        raise ValueError(f"needs clips and corpora, got {clips} and {list(corpora)}")
    raw = np.random.PCG64(Stream("synth", "records", str(seed)).below(1 << 62)).random_raw

    def below(n: int, low: int = 0) -> Ints:
        return low + _scaled(np.asarray(raw(clips), np.uint64), n)

    home = np.arange(clips, dtype=np.int64) * len(corpora) // max(clips, 1)
    many = np.array(["mot" in name for name in corpora])[home]
    images = below(580, 20)
    tracks = np.where(many, below(11, 2), 1)
    longest = images - images * below(40) // 100
    regions = np.minimum(
        longest + (tracks - 1) * (images * (20 + below(60)) // 100), images * tracks
    )
    rows = np.arange(clips, dtype=np.int64)
    first = np.flatnonzero(np.diff(home, prepend=-1))
    alone = below(8) > 0
    alone[first] = True
    keys = _keys(corpora, home, rows)
    return pa.table(
        {
            "key": keys,
            "shape": _repeated(["clip"], np.zeros(clips, np.int64)),
            "unit": keys.take(pa.array(np.maximum.accumulate(np.where(alone, rows, 0)))),
            "license": _repeated(["unknown"], np.zeros(clips, np.int64)),
            "labels": _labels(below(len(LABELS)), np.where(many, 1 + below(3), 1)),
            "images": pa.array(images, pa.int32()),
            "regions": pa.array(regions, pa.int32()),
            "tracks": pa.array(tracks, pa.int32()),
            "longest": pa.array(longest, pa.int32()),
        }
    )


def _scaled(raw: NDArray[np.uint64], n: int) -> Ints:
    """Integers in [0, n) from the upper half of raw draws (bias below n / 2^32)."""
    return (((raw >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32)).astype(np.int64)


def _keys(corpora: Sequence[str], home: Ints, rows: Ints) -> pa.Array:
    """`<corpus>/clip-0000012`: unique, in row order."""
    text = pa.array(rows).cast(pa.string())
    numbers = pc.call_function("utf8_lpad", [text], pc.PadOptions(7, "0"))
    return pc.call_function(
        "binary_join_element_wise", [_repeated(corpora, home), numbers, "/clip-"]
    )


def _repeated(names: Sequence[str], which: Ints) -> pa.Array:
    """Plain strings, `names[which[i]]`."""
    return pa.array(list(names), pa.string()).take(pa.array(which))


def _labels(first: Ints, counts: Ints) -> pa.ListArray:
    """Lists of `counts` labels in alphabetical order, from `first` on, seven apart."""
    offsets = np.concatenate([[0], np.cumsum(counts)])
    row = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(row)) - offsets[row]
    chosen = (first[row] + 7 * place) % len(LABELS)
    order = np.lexsort((chosen, row))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), _repeated(LABELS, chosen[order]))
