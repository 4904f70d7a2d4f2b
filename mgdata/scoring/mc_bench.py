"""MC-Bench's two figures: image accuracy, and AP50 over groups of boxes.

After the benchmark's script (eval_mc_bench.py of XuYunqiu/MC-Bench) and COCOeval of pycocotools,
whose result at IoU 0.5 this gives for equal groups, boxes and scores. It knows no file, no
notation and no corpus.

Accuracy: an item counts where for each of its images "something is there" agrees between answer
and gold. AP50: a group is a category; the average precision of each over all items, weighted by
its gold boxes. Before that, the groups of an answer, whose numbers mean nothing, are given to
those gold groups of its item that they fit best.

Where this departs from the script:

- Every item is regrouped. The script rewrites a fresh copy of the answers for each image with a
  second group and scores the last copy, so that all but one item keep the numbers they came with;
  within an item it rewrites one number after the other, which can melt two groups into one.
- The best assignment is the one with the greatest sum of matched IoUs over both images, found by
  the Hungarian method. The script tries all permutations for the greatest mean, which a group of
  one good box wins against one of many.
- An answer may number its groups as it likes; the script takes them for 1, 2, 3.
- A group of an answer that overlaps no gold group, or finds none left, is a set of false positives
  among the item's first gold group. The script leaves it under its own number, where COCOeval may
  have no gold box at all, and then it costs nothing.

An answer without groups is one group, as in a results file that says category 1 throughout.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from mgdata.data import Flow, Target
from mgdata.geometry import Box, Floats, array, iou, match

THRESHOLD = 0.5
"""Least IoU of a hit."""
MAX_BOXES = 100
"""Boxes of an image and group that count, the best first: COCOeval's largest `maxDets`."""
_RECALLS = np.linspace(0.0, 1.0, 101)
_FIRST = 1
"""The group of false positives where the gold has none: nearly all of the benchmark's boxes."""

_Ranked = list[tuple[float, bool]]


class Item(Flow, frozen=True, kw_only=True):
    """An item of the benchmark, and what was answered."""

    gold: tuple[Target, ...]
    """All instances, in pixels; none for a negative."""
    groups: tuple[int, ...] = ()
    """The group of each gold box; empty: all are of group 1."""
    predicted: tuple[Target, ...] = ()
    """Boxes of the answer in its order, in pixels. One in an image that is not there is wrong."""
    predicted_groups: tuple[int, ...] = ()
    """The group of each, any numbers; empty: the answer names no groups."""
    scores: tuple[float, ...] = ()
    """How sure the answer is of each; empty: 1 for all, as text gives no numbers."""
    images: int = 2
    """How many images there are."""


def marks(items: Sequence[Item]) -> dict[str, float]:
    """How right all answers together are: `items` (how many), `acc` and `ap50`, 0 to 1.

    Boxes of equal score are ranked in the order of the items, as COCOeval ranks them by image id:
    pass the items in the benchmark's order. `acc` is left out where there is no item, and `ap50`
    where no item has a gold box.

    Raises:
        ValueError: groups or scores of another length than their boxes, or a score that is NaN.
    """
    found = {"items": float(len(items))}
    if items:
        found["acc"] = sum(map(agrees, items)) / len(items)
    precision = ap50(items)
    return found if precision is None else {**found, "ap50": precision}


def agrees(item: Item) -> bool:
    """Whether gold and answer say of the same images of the item that something is there."""
    there = range(item.images)
    gold, predicted = ({t.image for t in boxes} for boxes in (item.gold, item.predicted))
    return gold.intersection(there) == predicted.intersection(there)


def ap50(items: Iterable[Item]) -> float | None:
    """Average precision at IoU 0.5 of each gold group, weighted by its boxes; None without any.

    Raises as `marks` does.
    """
    totals: Counter[int] = Counter()
    ranked: dict[int, _Ranked] = defaultdict(list)
    for item in items:
        _check(item)
        totals.update(_gold_groups(item))
        for group, boxes in _judged(item):
            ranked[group] += boxes
    if not totals:
        return None
    weighted = (total * _precision(ranked[group], total) for group, total in totals.items())
    return math.fsum(weighted) / totals.total()


def regrouped(item: Item) -> list[int | None]:
    """The gold group that each predicted box belongs to; None where its own group fits none.

    Where there is but one group on either side, it fits, whatever its boxes.
    """
    gold, own = _gold_groups(item), item.predicted_groups or (_FIRST,) * len(item.predicted)
    theirs, ours = sorted(set(own)), sorted(set(gold))
    if not ours or len(theirs) == len(ours) == 1:
        return [ours[0] if ours else None] * len(own)
    fit = np.zeros((len(theirs), len(ours)))
    for row, group in enumerate(theirs):
        boxes = [box for box, of in zip(item.predicted, own, strict=True) if of == group]
        for column, other in enumerate(ours):
            there = [box for box, of in zip(item.gold, gold, strict=True) if of == other]
            fit[row, column] = _overlap(boxes, there)
    best = {theirs[row]: ours[column] for row, column in match(fit)}
    return [best.get(group) for group in own]


def _check(item: Item) -> None:
    for told, boxes, what in (
        (item.groups, item.gold, "groups of gold boxes"),
        (item.predicted_groups, item.predicted, "groups of predicted boxes"),
        (item.scores, item.predicted, "scores"),
    ):
        if told and len(told) != len(boxes):
            raise ValueError(f"{len(told)} {what} for {len(boxes)} boxes")
    if any(map(math.isnan, item.scores)):
        raise ValueError("a score is NaN, which has no rank")


def _gold_groups(item: Item) -> tuple[int, ...]:
    return item.groups or (_FIRST,) * len(item.gold)


def _overlap(predicted: Sequence[Target], gold: Sequence[Target]) -> float:
    """The greatest sum of IoUs that boxes matched one to one within their images can have."""
    total = 0.0
    for image in sorted({box.image for box in predicted} & {box.image for box in gold}):
        overlap = iou(_of(predicted, image), _of(gold, image))
        total += sum(float(overlap[pair]) for pair in match(overlap))
    return total


def _of(boxes: Sequence[Target], image: int) -> Floats:
    return array([box.box for box in boxes if box.image == image])


def _judged(item: Item) -> list[tuple[int, _Ranked]]:
    """Scores and hits of the answer's boxes by group, image after image; what fits none last."""
    if not item.predicted:
        return []
    golds = _gold_groups(item)
    first = min(golds, default=_FIRST)
    scores = item.scores or (1.0,) * len(item.predicted)
    found: dict[tuple[bool, int, int], list[tuple[float, Box]]] = {}
    for box, group, score in zip(item.predicted, regrouped(item), scores, strict=True):
        where = (group is None, box.image, first if group is None else group)
        found.setdefault(where, []).append((score, box.box))
    judged: list[tuple[int, _Ranked]] = []
    for (stray, image, group), boxes in sorted(found.items()):
        # Stable, so that equal scores keep the answer's order.
        best = sorted(boxes, key=_surest)[:MAX_BOXES]
        there = [
            t.box for t, g in zip(item.gold, golds, strict=True) if g == group and t.image == image
        ]
        judged.append((group, _hits(best, [] if stray else there)))
    return judged


def _surest(found: tuple[float, Box]) -> float:
    return -found[0]


def _hits(predicted: Sequence[tuple[float, Box]], gold: list[Box]) -> _Ranked:
    """Which boxes, the surest first, find a gold box of their own: COCOeval's greedy matching."""
    free = list(gold)
    hits: _Ranked = []
    for score, box in predicted:
        least, taken = THRESHOLD, -1
        for place, other in enumerate(free):
            overlap = _iou(box, other)
            if overlap >= least:  # of equals the last, as there
                least, taken = overlap, place
        if taken >= 0:
            del free[taken]
        hits.append((score, taken >= 0))
    return hits


def _iou(one: Box, two: Box) -> float:
    """As `geometry.iou`, which takes ten times as long for the one or two boxes of most answers."""
    width = min(one.x2, two.x2) - max(one.x1, two.x1)
    height = min(one.y2, two.y2) - max(one.y1, two.y1)
    if not (width > 0 and height > 0):
        return 0.0
    shared = width * height
    return shared / (one.area + two.area - shared)


def _precision(ranked: _Ranked, total: int) -> float:
    """Mean over 101 recalls of the best precision at that recall or a higher one.

    Args:
        ranked: score and whether it hits, in order of items and images.
        total: how many gold boxes there are, at least 1.
    """
    if not ranked:
        return 0.0
    order = np.argsort([-score for score, _ in ranked], kind="stable")
    hits = np.cumsum(np.array([hit for _, hit in ranked])[order])
    recall = hits / total
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, _RECALLS, side="left")
    return float(np.append(best, 0.0)[places].mean())
