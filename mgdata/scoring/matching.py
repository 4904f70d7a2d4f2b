"""One answer against its turn: predicted boxes matched to the targets, a short answer to the gold.

Says how right an answer is, never whether that is enough. It sees parsed boxes, not how they were
written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from mgdata.data import Target, Turn
from mgdata.geometry import array, iou, match


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How right one answer is; every part is 0 to 1.

    Where neither the turn nor the answer has boxes, the parts about boxes are 1; where only one
    of them has, they are 0.
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
    pairs: tuple[tuple[int, int, float], ...] = ()
    """Matched (predicted, target, IoU), whatever the threshold, so that another can be applied."""

    @property
    def full(self) -> bool:
        """Whether everything is right: the images, the boxes at the threshold, the short answer."""
        return self.image == self.f1 == self.text == 1.0


def score(
    predicted: Sequence[Target], turn: Turn, *, text: str = "", threshold: float = 0.5
) -> Score:
    """Score the boxes and, for kinds other than `boxes`, the text of one answer.

    Boxes are matched one to one within an image so that the sum of their IoUs is greatest; the
    matching does not depend on the threshold.

    Args:
        predicted: Boxes of the answer, in pixels.
        turn: What was asked; holds the targets and the gold answer.
        text: The whole answer as text; looked at for kinds other than `boxes`.
        threshold: Least IoU at which a box is right, as in MIG-Bench's code (`>=`).
    """
    gold = turn.targets
    pairs = matched(predicted, gold)
    hits = [value for *_, value in pairs if value >= threshold]
    return Score(
        image=_f1(_same_image(predicted, gold), len(predicted), len(gold)),
        iou=_share(sum(value for *_, value in pairs), len(gold), len(predicted)),
        precision=_share(len(hits), len(predicted), len(gold)),
        recall=_share(len(hits), len(gold), len(predicted)),
        f1=_f1(len(hits), len(predicted), len(gold)),
        soft_f1=_f1(sum(hits), len(predicted), len(gold)),
        text=float(turn.kind == "boxes" or says(text, turn)),
        pairs=tuple(pairs),
    )


def matched(predicted: Sequence[Target], gold: Sequence[Target]) -> list[tuple[int, int, float]]:
    """One-to-one pairs (predicted, gold, IoU) of boxes that overlap in the same image."""
    if not predicted or not gold:
        return []
    overlap = iou(array([t.box for t in predicted]), array([t.box for t in gold]))
    for row, found in enumerate(predicted):
        for column, target in enumerate(gold):
            if found.image != target.image:
                overlap[row, column] = 0.0
    return [(i, j, float(overlap[i, j])) for i, j in match(overlap)]


def says(text: str, turn: Turn) -> bool:
    """Whether `text` is the gold answer, or the whole right sentence; compared as `plain` text."""
    return plain(text) in {plain(turn.gold), plain(turn.answer)} - {""}


def plain(text: str) -> str:
    """Lower case, runs of white space made one space, none of `.,;:!?` or spaces at the end."""
    return " ".join(text.casefold().split()).rstrip(".,;:!? ")


def _same_image(predicted: Sequence[Target], gold: Sequence[Target]) -> int:
    shared = Counter(t.image for t in predicted) & Counter(t.image for t in gold)
    return shared.total()


def _share(part: float, whole: int, other: int) -> float:
    """`part` of `whole`; with an empty `whole`, full marks only if `other` is empty too."""
    return part / whole if whole else float(other == 0)


def _f1(part: float, predicted: int, gold: int) -> float:
    return _share(2 * part, predicted + gold, 0)
