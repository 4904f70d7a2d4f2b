"""What a reward is made of: settings, published formulas, and what an answer's boxes are worth.

Works on scores alone; it reads no text. `rewards` has the signatures of trainers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast

import msgspec

from mgdata.scoring.matching import Score, hits

_Weight = Annotated[float, msgspec.Meta(ge=0)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is rewarded: a weighted sum of terms, each 0 to 1 (but see `over`).

    `image` and `box` are left out where neither the turn nor its kind has to do with boxes, and
    `text` where the turn asks for boxes alone.
    """

    format: _Weight = 0.1
    """Weight of a text that is in its form and whose boxes can be read."""
    image: _Weight = 0.2
    """Weight of naming the right images."""
    box: _Weight = 0.7
    """Weight of the boxes."""
    text: _Weight = 0.7
    """Weight of the short answer: the share of it that is right."""
    low: _Share = 0.0
    """A box of this IoU or less is worth nothing."""
    high: _Share = 1.0
    """A box of this IoU or more is worth 1; between the two it is worth its IoU. 0 and 1: dense;
    two times 0.5: a threshold."""
    capped: bool = True
    """A box as good as the right answer is once written in the notation is worth 1 as well."""
    over: Literal["both", "targets", "sum"] = "both"
    """What boxes, and images named, are a share of. `both`: F1 over targets and boxes of the
    answer. `targets`: of the targets, so that boxes too many cost nothing. `sum`: of nothing."""
    total: Literal["mean", "sum"] = "mean"
    """`mean`: the sum of the terms is divided by their weights, so that the best reward is 1."""
    strict: bool = True
    """A text out of its form gets nothing. Otherwise each of the two pairs of tags that is right
    is worth half of `format`, and an answer between tags that are right is judged."""
    threshold: _Share = 0.5
    """Least IoU of a box for `acc`, which is told beside the reward and is no part of it."""
    opened: bool = False
    """The chat template ends with `<think>`, so that the text begins after it."""
    ends: tuple[str, ...] = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "</s>")
    """Tokens that may end a text, where the trainer leaves them in."""

    def __post_init__(self) -> None:
        """Refuse terms that make no reward.

        Raises:
            ValueError: a weight that is no finite number, no weight at all, or `low` over `high`.
        """
        weights = (self.format, self.image, self.box, self.text)
        if not all(map(math.isfinite, weights)) or not sum(weights):
            raise ValueError(f"weights are finite and not all 0, found {weights}")
        if self.low > self.high:
            raise ValueError(f"low is at most high, found {self.low} and {self.high}")


PRESETS: dict[str, Terms] = {
    "default": Terms(),
    "threshold": Terms(low=0.5, high=0.5),
    "mg-thinker": Terms(
        format=0.5,
        image=1.0,
        box=1.0,
        text=1.0,
        low=0.1,
        high=0.9,
        capped=False,
        over="sum",
        total="sum",
        strict=False,
    ),
    "leap": Terms(format=0.1, image=0.0, box=1.0, text=1.0, capped=False, over="both", total="sum"),
}
"""Settings by name. `threshold`: boxes right or wrong at IoU 0.5. `mg-thinker` (arXiv 2609.37374):
0.25 for each pair of tags, and for each target 1 for its image and its IoU, 1 from 0.9 on and 0 up
to 0.1. `leap`: F1 of IoU over matched boxes and 0.1 for the format; leap matches boxes of different
images as well, which here never happens."""


Settings = Terms | Mapping[str, Any] | str | None
"""Terms, their fields by name (with `preset` the rest is that preset's), the name of a preset, or
nothing for the default."""


def terms_of(settings: Settings) -> Terms:
    """The terms that settings mean.

    Raises:
        ValueError: an unknown preset or field, or a value that does not fit; says which.
    """
    if isinstance(settings, Terms):
        return settings
    if settings is None or isinstance(settings, str):
        return _preset(settings or "default")
    # A trainer's configuration may be a mapping and lists of its own kinds.
    found = {str(key): _builtin(value) for key, value in settings.items()}
    start = _preset(str(found.pop("preset", "default")))
    try:
        return msgspec.convert(msgspec.structs.asdict(start) | found, Terms)
    except msgspec.ValidationError as error:
        raise ValueError(f"settings of the reward: {error}") from None


def _preset(name: str) -> Terms:
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]


def _builtin(value: object) -> object:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(cast("Sequence[object]", value))
    return value


def shares(score: Score, terms: Terms, ceilings: Sequence[float] | None) -> tuple[float, float]:
    """The terms `image` and `box` of an answer that could be read.

    `ceilings`: the best IoU that each target allows, where terms are capped by it.
    """
    n, m = score.predicted, score.targets
    if not n or not m:
        return score.image, score.iou
    # An answer as good as can be written is worth 1 however low its IoU is.
    full = {(i, j) for i, j, value in score.pairs if hits([(i, j, value)], terms.high, ceilings)}
    worth = sum(
        1.0 if (i, j) in full else value if value > terms.low else 0.0
        for i, j, value in score.pairs
    )
    if terms.over == "both":
        return score.image, 2 * worth / (n + m)
    named = score.image * (n + m) / 2
    return (named / m, worth / m) if terms.over == "targets" else (named, worth)
