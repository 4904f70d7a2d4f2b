"""Scores of many answers as a table of figures: shares, means, and what they are means of.

Sums as it goes and keeps no score. It says what each figure means, and knows no file.
"""

from __future__ import annotations

from collections.abc import Iterable

from mgdata.data import Turn
from mgdata.scoring.matching import Score

THRESHOLDS = (0.3, 0.5, 0.7)
"""IoU thresholds of the accuracies, as MIG-Bench has them."""

Row = dict[str, float | int | None]
"""Figures by name; None where there is nothing to take a mean of."""

_PARTS = ("iou", "precision", "recall", "f1", "soft_f1")
_NAMES = ("miou", *_PARTS[1:])


class Tally:
    """Adds up the scores of some items; `row` gives the figures.

    - `items`: all that were asked; `missing`: those without an answer; `format`: share that could
      be read. An answer that is missing or cannot be read is wrong, and 0 in every other figure.
    - `acc@0.3`, `acc@0.5`, `acc@0.7`: share of all items that are right as a whole: every target is
      hit at that IoU and no other box named, where there is no target no box is named, and the
      short answer, where one is asked for, is right.
    - Over the items that ask for boxes (`boxed` of them; those without a target among them):
      `image`: share whose boxes name the right images, each as often as it has targets; `miou`:
      mean over items of the mean IoU over their targets; `precision`, `recall`, `f1`, `soft_f1` at
      the judge's threshold: means over items.
    - For each kind of short answer that was asked for: `choice_acc`, `order_acc`, `count_acc`,
      `text_acc`: share that is right; `order_pairs` and `text_f1`: how much of it is, on average
      (`short.Said.partial`); `count_off`: mean distance from the right number where one was read.
    """

    __slots__ = (
        "_boxed",
        "_hits",
        "_images",
        "_items",
        "_missing",
        "_off",
        "_parts",
        "_read",
        "_short",
    )

    def __init__(self) -> None:
        self._items = self._missing = self._read = self._boxed = self._images = 0
        self._hits = [0] * len(THRESHOLDS)
        self._parts = [0.0] * len(_PARTS)
        self._short: dict[str, list[float]] = {}
        """By kind: items, right ones, sum of the shares that are right."""
        self._off = [0, 0]
        """Sum of distances, and how many counts could be read."""

    def add(self, turn: Turn, score: Score | None, *, missing: bool = False) -> None:
        """One more item; no score where its answer is missing or cannot be read."""
        self._items += 1
        self._missing += missing
        boxed = turn.kind == "boxes" or bool(turn.targets)
        self._boxed += boxed
        if score is not None:
            self._read += 1
            self._hit(score)
            if boxed:
                self._images += score.image == 1.0
                parts = self._parts
                parts[0] += score.iou
                parts[1] += score.precision
                parts[2] += score.recall
                parts[3] += score.f1
                parts[4] += score.soft_f1
        if turn.kind != "boxes":
            self._say(turn.kind, score)

    def _hit(self, score: Score) -> None:
        if score.predicted != score.targets or score.text != 1.0:
            return
        worst = min((value for _, _, value in score.pairs), default=1.0)
        if len(score.pairs) == score.targets and worst >= THRESHOLDS[-1]:
            for place in range(len(THRESHOLDS)):
                self._hits[place] += 1
        else:
            for place, threshold in enumerate(THRESHOLDS):
                self._hits[place] += score.right(threshold)

    def _say(self, kind: str, score: Score | None) -> None:
        told = self._short.setdefault(kind, [0.0, 0.0, 0.0])
        told[0] += 1
        if score is not None:
            told[1] += score.text
            told[2] += score.partial
            if score.off is not None:
                self._off[0] += score.off
                self._off[1] += 1

    def merged(self, others: Iterable[Tally]) -> Tally:
        """The tally of these items and of others'."""
        whole = Tally()
        for one in (self, *others):
            for name in ("_items", "_missing", "_read", "_boxed", "_images"):
                setattr(whole, name, getattr(whole, name) + getattr(one, name))
            for name in ("_hits", "_parts", "_off"):
                sums = zip(getattr(whole, name), getattr(one, name), strict=True)
                setattr(whole, name, [a + b for a, b in sums])
            for kind, told in one._short.items():
                sums = zip(whole._short.get(kind, [0.0] * 3), told, strict=True)
                whole._short[kind] = [a + b for a, b in sums]
        return whole

    def row(self) -> Row:
        """The figures, by name."""
        row: Row = {"items": self._items, "missing": self._missing}
        row["format"] = _mean(self._read, self._items)
        for threshold, number in zip(THRESHOLDS, self._hits, strict=True):
            row[f"acc@{threshold:g}"] = _mean(number, self._items)
        row["boxed"] = self._boxed
        row["image"] = _mean(self._images, self._boxed)
        for name, total in zip(_NAMES, self._parts, strict=True):
            row[name] = _mean(total, self._boxed)
        for kind, (items, right, partial) in sorted(self._short.items()):
            row[f"{kind}_acc"] = _mean(right, items)
            if kind in ("order", "text"):
                row["order_pairs" if kind == "order" else "text_f1"] = _mean(partial, items)
            if kind == "count":
                row["count_off"] = _mean(*self._off)
        return row


def mean(rows: Iterable[Row]) -> Row:
    """The mean of each figure over rows, every row alike however many items it has.

    Numbers of items are left out, and so is a figure in a row that has none.
    """
    found: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in ("items", "missing", "boxed"):
                found.setdefault(name, []).extend([] if value is None else [value])
    return {name: _mean(sum(values), len(values)) for name, values in found.items()}


def _mean(total: float, number: float) -> float | None:
    return total / number if number else None
