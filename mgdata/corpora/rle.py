"""COCO run lengths to a box: how crowds and masks are written in COCO, Ego-Exo4D and their like.

Counts are runs of 0 and 1 in turn, down the columns; compressed, each is a signed number of 5-bit
groups, from the fourth on as the difference to the one two before (cocoapi, common/maskApi.c).
pycocotools decodes the same but checks nothing: a cut string makes it read beyond its end, and
runs that do not fill the mask give boxes far outside. Here they are refused. It knows no corpus.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mgdata.errors import Rejected
from mgdata.geometry import Box

Runs = NDArray[np.int64]

WRONG_SIZE = "RLE of the wrong size"
UNDECODABLE = "RLE does not decode"

_LONGEST = 6
"""5-bit groups of one number: 30 bits, more than any image has pixels."""


def decode_box(
    counts: str | bytes | Sequence[int], size: tuple[int, int], expected: tuple[int, int]
) -> Box | None:
    """The bounds of a mask's pixels, right and bottom exclusive; None where it has none.

    Args:
        counts: compressed, or the run lengths themselves.
        size: height and width that the mask states.
        expected: height and width of the image it belongs to.

    Raises:
        Rejected: `RLE of the wrong size`, or `RLE does not decode`: no runs, or runs that do not
            fill a mask of this size.
    """
    if tuple(size) != tuple(expected):
        raise Rejected(
            WRONG_SIZE, f"{size[1]}x{size[0]}, the image has {expected[1]}x{expected[0]}"
        )
    runs = decompress(counts) if isinstance(counts, (str, bytes)) else _whole(counts)
    height, width = size
    if len(runs) == 0 or runs.min() < 0 or int(runs.sum()) != height * width:
        raise Rejected(UNDECODABLE, f"{len(runs)} runs do not fill {width}x{height}")
    ends = np.cumsum(runs)
    start, stop = ends[0::2][: len(runs) // 2], ends[1::2]
    start, stop = start[start < stop], stop[start < stop]
    if len(start) == 0:
        return None
    left, right = start // height, (stop - 1) // height
    # A run that goes on in the next column touches the bottom of one and the top of the other.
    over = right > left
    top = np.where(over, 0, start % height).min()
    bottom = np.where(over, height - 1, (stop - 1) % height).max()
    return Box(float(left.min()), float(top), float(right.max() + 1), float(bottom + 1))


def decompress(counts: str | bytes) -> Runs:
    """The run lengths of a compressed string.

    Raises:
        Rejected: it holds a character that stands for nothing, or ends inside a number.
    """
    data = counts.encode("utf-8", "replace") if isinstance(counts, str) else counts
    groups = np.frombuffer(data, np.uint8).astype(np.int64) - 48
    if len(groups) == 0 or groups.min() < 0 or groups.max() > 63 or groups[-1] & 32:
        raise Rejected(UNDECODABLE, f"{data[:40]!r} is no whole run-length string")
    last = np.flatnonzero((groups & 32) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    if (last - first).max() >= _LONGEST:
        raise Rejected(UNDECODABLE, "a run length of over 30 bits")
    place = np.arange(len(groups)) - np.repeat(first, last - first + 1)
    runs = np.add.reduceat((groups & 31) << (5 * place), first)
    negative = (groups[last] & 16) > 0
    runs -= np.where(negative, np.int64(1) << (5 * (last - first + 1)), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def _whole(counts: Sequence[int]) -> Runs:
    """Run lengths as JSON has them; some tools write them as floats."""
    try:
        runs = np.asarray(counts, np.float64)
    except (TypeError, ValueError):
        raise Rejected(UNDECODABLE, "a run length that is no number") from None
    if runs.ndim != 1 or not np.isfinite(runs).all() or (runs % 1).any() or (runs > 1 << 40).any():
        raise Rejected(UNDECODABLE, "a run length that is no whole number")
    return runs.astype(np.int64)
