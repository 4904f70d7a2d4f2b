"""One-to-one pairs of boxes within an image whose IoUs add up to the most.

Pure arithmetic over boxes: it knows neither questions nor thresholds. Answers are judged by the
hundred thousand and most have one box or a few, for which numpy and SciPy cost ten times as much
to call as the arithmetic itself: so small sets are matched without them, to the same result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations

from mgdata.data import Target
from mgdata.geometry import Box, array, iou, match

Pair = tuple[int, int, float]
"""Place among the first boxes, place among the second, IoU."""

_PLAIN = 200
"""Most pairs of boxes whose IoUs are worked out one by one; numpy is faster beyond."""
_FEW = 3
"""Most boxes on either side of a knot for which every assignment is tried."""


def matched(predicted: Sequence[Target], gold: Sequence[Target]) -> list[Pair]:
    """One-to-one pairs (predicted, gold, IoU) of boxes that overlap in the same image.

    Of all assignments one with the greatest sum of IoUs, sorted by predicted box. Boxes that
    overlap nothing are left out. A box without an area, inverted or not a number overlaps nothing.
    """
    if len(predicted) == len(gold) == 1:
        found, target = predicted[0], gold[0]
        value = overlap(found.box, target.box) if found.image == target.image else 0.0
        return [(0, 0, value)] if value else []
    if len(predicted) * len(gold) > _PLAIN:
        return _solved(_matrix_pairs(predicted, gold))
    return _solved(
        [
            (i, j, value)
            for i, found in enumerate(predicted)
            for j, target in enumerate(gold)
            if found.image == target.image and (value := overlap(found.box, target.box))
        ]
    )


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1, to the last bit as `geometry.iou` has it."""
    low_x = one.x1 if one.x1 > other.x1 else other.x1
    high_x = one.x2 if one.x2 < other.x2 else other.x2
    if not low_x < high_x:
        return 0.0
    low_y = one.y1 if one.y1 > other.y1 else other.y1
    high_y = one.y2 if one.y2 < other.y2 else other.y2
    if not low_y < high_y:
        return 0.0
    shared = (high_x - low_x) * (high_y - low_y)
    first = (one.x2 - one.x1) * (one.y2 - one.y1)
    second = (other.x2 - other.x1) * (other.y2 - other.y1)
    union = (first + second) - shared
    # With a NaN a comparison above may have passed; the areas hold it too, and this one fails.
    if not (shared > 0 and union > 0):
        return 0.0
    ratio = shared / union
    return ratio if ratio > 0 else 0.0


def _matrix_pairs(predicted: Sequence[Target], gold: Sequence[Target]) -> list[Pair]:
    """Every pair that overlaps in the same image, for many boxes."""
    import numpy as np

    values = iou(array([t.box for t in predicted]), array([t.box for t in gold]))
    images = np.array([t.image for t in predicted])[:, None]
    values[images != np.array([t.image for t in gold])] = 0.0
    rows, columns = np.nonzero(values)
    return [(int(i), int(j), float(values[i, j])) for i, j in zip(rows, columns, strict=True)]


def _solved(pairs: list[Pair]) -> list[Pair]:
    """The best of `pairs`, no box twice: each knot of boxes that compete is solved by itself."""
    if len({i for i, _, _ in pairs}) == len(pairs) == len({j for _, j, _ in pairs}):
        return pairs
    if (nearest := _nearest(pairs)) is not None:
        return nearest
    chosen: list[Pair] = []
    for knot in _knots(pairs):
        chosen += knot if len(knot) == 1 else _best(knot)
    return sorted(chosen)


def _nearest(pairs: list[Pair]) -> list[Pair] | None:
    """Each box with what it overlaps most, where no two want the same: nothing adds up to more.

    So it is with nearly every answer that is about right.
    """
    best: dict[int, Pair] = {}
    for pair in pairs:
        if pair[0] not in best or pair[2] > best[pair[0]][2]:
            best[pair[0]] = pair
    found = list(best.values())
    return found if len({j for _, j, _ in found}) == len(found) else None


def _knots(pairs: Iterable[Pair]) -> list[list[Pair]]:
    """`pairs` put together where they share a box, directly or through others."""
    knots: list[list[Pair]] = []
    owner: dict[tuple[bool, int], list[Pair]] = {}
    for pair in pairs:
        keys = ((False, pair[0]), (True, pair[1]))
        mine, other = owner.get(keys[0]), owner.get(keys[1])
        if mine is None and other is None:
            mine = []
            knots.append(mine)
        elif mine is None:
            mine = other
        elif other is not None and other is not mine:
            mine.extend(other)
            for i, j, _ in other:
                owner[False, i] = owner[True, j] = mine
            other.clear()
        assert mine is not None
        mine.append(pair)
        owner[keys[0]] = owner[keys[1]] = mine
    return [knot for knot in knots if knot]


def _best(knot: list[Pair]) -> list[Pair]:
    rows, columns = sorted({i for i, _, _ in knot}), sorted({j for _, j, _ in knot})
    values = {(i, j): value for i, j, value in knot}
    if max(len(rows), len(columns)) > _FEW:
        chosen = _assigned(rows, columns, values)
    else:
        wide = len(columns) >= len(rows)
        few, many = (rows, columns) if wide else (columns, rows)
        # The first of equals, so that the result depends on nothing but the boxes and their order.
        best, chosen = -1.0, list[tuple[int, int]]()
        for order in permutations(many, len(few)):
            some = (
                list(zip(few, order, strict=True)) if wide else list(zip(order, few, strict=True))
            )
            if (total := sum(values.get(place, 0.0) for place in some)) > best:
                best, chosen = total, some
    return [(i, j, values[i, j]) for i, j in chosen if (i, j) in values]


def _assigned(
    rows: list[int], columns: list[int], values: dict[tuple[int, int], float]
) -> list[tuple[int, int]]:
    """The Hungarian method over one knot."""
    import numpy as np

    gain = np.array([[values.get((i, j), 0.0) for j in columns] for i in rows])
    return [(rows[a], columns[b]) for a, b in match(gain)]
