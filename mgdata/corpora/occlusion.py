"""How much of people shows in a picture of which only their boxes are known.

An estimate from boxes and where they stand. It knows no pixel and no corpus.
"""

from __future__ import annotations

import numpy as np

from mgdata.geometry import Floats


def shown(boxes: Floats, size: tuple[int, int]) -> Floats:
    """The share of each box that lies in the image and under no nearer box: (n, 4) to (n,).

    On level ground, nearer is whose foot (the box's lower edge) is lower in the picture. Of two
    with equal feet the wider is; where that is equal too, each is taken to be before the other.
    The areas are exact: those of the grid that the boxes' edges make.

    Args:
        boxes: x1, y1, x2, y2 in pixels, each with an area; they may leave the image.
        size: width and height of the image.
    """
    low = np.clip(boxes[:, :2], 0, size)
    high = np.clip(boxes[:, 2:], 0, size)
    foot = boxes[:, 3]
    with np.errstate(over="ignore"):  # a box of 1e308 pixels shows nothing
        wide = boxes[:, 2] - boxes[:, 0]
        area = wide * (foot - boxes[:, 1])
    found = np.zeros(len(boxes))
    for i in range(len(boxes)):
        near = (foot > foot[i]) | ((foot == foot[i]) & (wide >= wide[i]))
        near[i] = False
        near &= (low < high[i]).all(axis=1) & (high > low[i]).all(axis=1)
        found[i] = _uncovered(low[i], high[i], low[near], high[near]) / area[i]
    return found.clip(0, 1)


def _uncovered(low: Floats, high: Floats, lows: Floats, highs: Floats) -> float:
    """Area of one box, given by its corners, outside all others."""
    edges = np.concatenate([low[None], high[None], lows, highs]).clip(low, high)
    x, y = np.unique(edges[:, 0]), np.unique(edges[:, 1])
    across = (lows[:, :1] <= x[:-1]) & (highs[:, :1] >= x[1:])
    down = (lows[:, 1:] <= y[:-1]) & (highs[:, 1:] >= y[1:])
    covered = (down[:, :, None] & across[:, None, :]).any(axis=0)
    return float((np.outer(np.diff(y), np.diff(x)) * ~covered).sum())
