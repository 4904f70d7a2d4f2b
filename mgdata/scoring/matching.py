"""One answer against its turn: predicted boxes matched to the targets, a short answer to the gold.

Says how right an answer is, and whether that is enough at a threshold. It sees parsed boxes, not
how they were written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from mgdata.data import Target, Turn
from mgdata.scoring.pairs import Pair, matched
from mgdata.scoring.short import Said, read


class Score(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How right one answer is; every part but the last six is 0 to 1.

    Where neither the turn nor the answer has boxes, the parts about boxes are 1; where only one
    of them has, they are 0. A turn of a kind other than `boxes` that has no targets is judged by
    its words alone: boxes in its answer are not looked at, and those parts are 1.
    """

    image: float
    """F1 over images alone: each box counts for naming its image, wherever it lies there."""
    iou: float
    """Mean IoU over the targets; 0 for a target that no box was matched to."""
    precision: float
    """Share of the answer's boxes that reach the threshold."""
    recall: float
    """Share of the targets that are reached."""
    f1: float
    """Harmonic mean of precision and recall."""
    soft_f1: float
    """As `f1`, but a box that reaches the threshold counts its IoU instead of 1."""
    text: float
    """1 where the short answer is the gold one; always 1 for kind `boxes`."""
    partial: float = 1.0
    """How much of the short answer is right, as `short.Said` has it."""
    off: int | None = None
    """For kind `count`: how far the number is from the right one; None where none can be read."""
    predicted: int = 0
    """Boxes of the answer that were looked at."""
    targets: int = 0
    """Boxes asked for."""
    pairs: tuple[Pair, ...] = ()
    """Matched (predicted, target, IoU), whatever the threshold, so that another can be applied."""
    ceilings: tuple[float, ...] | None = None
    """The best IoU that can be reached for each target; None: 1."""

    @property
    def full(self) -> bool:
        """Whether everything is right: the images, the boxes at the threshold, the short answer."""
        return self.image == self.f1 == self.text == 1.0

    def right(self, threshold: float) -> bool:
        """Whether all targets are hit at `threshold` and nothing else is named, and the text right.

        With no target, whether the answer names none.
        """
        if self.predicted != self.targets or self.text != 1.0:
            return False
        return len(hits(self.pairs, threshold, self.ceilings)) == self.targets


def hits(
    pairs: Sequence[Pair], threshold: float, ceilings: Sequence[float] | None = None
) -> list[float]:
    """IoUs of the pairs that count as right.

    A pair does where its IoU is at least the threshold, or at least the target's ceiling where
    that is lower: nobody can be asked for more than a perfect answer in the notation would get. A
    ceiling of 0, a box that cannot be written at all, lowers nothing.
    """
    if ceilings is None:
        return [value for _, _, value in pairs if value >= threshold]
    return [v for _, j, v in pairs if v >= threshold or v >= ceilings[j] > 0]


def score(
    predicted: Sequence[Target],
    turn: Turn,
    *,
    text: str = "",
    threshold: float = 0.5,
    ceilings: Sequence[float] | None = None,
) -> Score:
    """Score the boxes and, for kinds other than `boxes`, the text of one answer.

    Boxes are matched one to one within an image so that the sum of their IoUs is greatest; the
    matching does not depend on the threshold.

    Args:
        predicted: Boxes of the answer, in pixels.
        turn: What was asked; holds the targets and the gold answer.
        text: The whole answer as text; looked at for kinds other than `boxes`.
        threshold: Least IoU at which a box is right, as in MIG-Bench's code (`>=`).
        ceilings: For each target the best IoU that can be reached (`notations.ceiling`); a box is
            right from there on even where that is under the threshold.

    Raises:
        ValueError: there is not one ceiling for each target.
    """
    gold = turn.targets
    if ceilings is not None and len(ceilings) != len(gold):
        raise ValueError(f"{len(ceilings)} ceilings for {len(gold)} targets")
    said = _WORDLESS if turn.kind == "boxes" else read(text, turn)
    if turn.kind != "boxes" and not gold:
        return _boxless(1.0, said, 0, 0)
    n, m = len(predicted), len(gold)
    if not n or not m:
        return _boxless(float(n == m), said, n, m)
    pairs = matched(predicted, gold)
    found = hits(pairs, threshold, ceilings)
    return Score(
        image=_images(predicted, gold),
        iou=sum([value for _, _, value in pairs]) / m,
        precision=len(found) / n,
        recall=len(found) / m,
        f1=2 * len(found) / (n + m),
        soft_f1=2 * sum(found) / (n + m),
        text=float(said.right),
        partial=said.partial,
        off=said.off,
        predicted=n,
        targets=m,
        pairs=tuple(pairs),
        ceilings=None if ceilings is None else tuple(ceilings),
    )


_WORDLESS = Said(right=True, partial=1.0)


def _boxless(value: float, said: Said, predicted: int, targets: int) -> Score:
    """Every part about boxes has one value."""
    return Score(
        image=value,
        iou=value,
        precision=value,
        recall=value,
        f1=value,
        soft_f1=value,
        text=float(said.right),
        partial=said.partial,
        off=said.off,
        predicted=predicted,
        targets=targets,
    )


def _images(predicted: Sequence[Target], gold: Sequence[Target]) -> float:
    named, asked = [t.image for t in predicted], [t.image for t in gold]
    if named == asked:
        return 1.0
    if len(named) == len(asked) == 1:
        return 0.0
    return 2 * (Counter(named) & Counter(asked)).total() / (len(named) + len(asked))
