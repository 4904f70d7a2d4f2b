"""How good an answer can get in a notation, whose numbers may not hold the right box.

Works through the `Notation` contract alone: what can be written is found by writing it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import msgspec

from mgdata.data import Image, Target, Turn
from mgdata.geometry import Box, array, iou, match, valid
from mgdata.plugins import Notation

_SAME = 1e-9
"""Pixels by which edges may differ that are equal but for floating point."""


def ceiling(notation: Notation, turn: Turn, images: Sequence[Image]) -> list[float]:
    """For each target, the IoU that the right answer reaches once it is written in this notation.

    It is written, parsed back and matched to the targets in the same image; 0 where a target's
    box is lost. A tiny box in a coarse frame has a ceiling under 1. It is what can be asked of an
    answer; of a box of a few steps another answer may by chance be better: `bound` says how much.

    Raises:
        ValueError: the notation cannot write this turn, or cannot read what it wrote.
    """
    pairs = _read_back(notation, turn, images)
    return [pairs[i][1] if i in pairs else 0.0 for i in range(len(turn.targets))]


def bound(notation: Notation, turn: Turn, images: Sequence[Image]) -> list[float]:
    """For each target, the best IoU that any answer in this notation can reach: `ceiling` or more.

    The nearest numbers need not make the best box, as an edge may lie better on its other side,
    so the neighbours of every edge are tried. It costs about 0.1 ms a target.

    Raises:
        ValueError: as `ceiling`.
    """
    pairs = _read_back(notation, turn, images)
    return [
        _best(notation, target, pairs[i][0], images) if i in pairs else 0.0
        for i, target in enumerate(turn.targets)
    ]


def _read_back(
    notation: Notation, turn: Turn, images: Sequence[Image]
) -> dict[int, tuple[Box, float]]:
    """The box that each target is read back as, and their IoU, by the target's place."""
    parsed = notation.parse(notation.answer(turn, images), turn, images)
    overlap = iou(array([t.box for t in turn.targets]), array([t.box for t in parsed]))
    for row, target in enumerate(turn.targets):
        for column, found in enumerate(parsed):
            if found.image != target.image:
                overlap[row, column] = 0.0
    return {i: (parsed[j].box, float(overlap[i, j])) for i, j in match(overlap)}


def _best(notation: Notation, target: Target, found: Box, images: Sequence[Image]) -> float:
    """The IoU of `target` with the best of all boxes that the notation has round it.

    With three edges fixed, IoU only falls as the fourth leaves its place in either direction, so
    that the best box has each edge on one of the two numbers next to it.
    """
    edges = [
        {value, *_neighbours(notation, target, place, images)}
        for place, value in enumerate(_numbers(found))
    ]
    boxes = array([Box(*numbers) for numbers in product(*map(sorted, edges))])
    return float(iou(array([target.box]), boxes).max())


def _neighbours(
    notation: Notation, target: Target, place: int, images: Sequence[Image]
) -> list[float]:
    """Where the notation can put the edge at `place` (0 to 3): next to it, on either side."""
    edge = _numbers(target.box)[place]
    nearest = _read(notation, target, place, edge, images)
    if nearest is None or abs(nearest - edge) < _SAME:
        return [edge if nearest is None else nearest]
    # Half a step lies between the edge and the next number's share of the line at most, and no
    # step is known here: doubling from the error finds that number and skips none.
    away = edge - nearest
    while True:
        other = _read(notation, target, place, edge + away, images)
        if other is None:
            return [nearest]
        if (other - edge) * away > 0:
            return [nearest, other]
        away *= 2


def _read(
    notation: Notation, target: Target, place: int, edge: float, images: Sequence[Image]
) -> float | None:
    """Where an edge is once written and read; None where there is no such edge in the image.

    The box reaches to the far side of the image, so that it is not so thin that one edge moves
    another.
    """
    image = images[target.image]
    numbers = [0.0, 0.0, float(image.width), float(image.height)]
    numbers[place] = edge
    box = Box(*numbers)
    if not valid(box, image.width, image.height):
        return None
    moved = msgspec.structs.replace(target, box=box)
    turn = Turn(question="", answer="<target:0>", targets=(moved,), asked=(target.image,))
    (found,) = notation.parse(notation.answer(turn, images), turn, images)
    return _numbers(found.box)[place]


def _numbers(box: Box) -> tuple[float, float, float, float]:
    return box.x1, box.y1, box.x2, box.y2
