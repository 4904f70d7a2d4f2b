"""One text judged: read in a notation, scored against its turn, or refused with a reason.

The one way an answer is judged, whoever gave it: a user's model, a teacher, a policy in training.
It sets no threshold of its own and keeps nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from mgdata.data import Image, Target, Turn
from mgdata.plugins import Notation
from mgdata.scoring.matching import Score, score

REASONS = (
    "empty",
    "malformed",
    "stray box",
    "not four numbers",
    "inverted box",
    "out of range",
    "image not told",
    "no such image",
)
"""Why a text cannot be read: no text at all, a syntax error, coordinates outside the notation's
marks, a box that is none, one that leaves its image, and one whose image cannot be told or is not
there. `malformed` is also whatever else a notation refuses."""

_TOLD = [
    ("no such image", re.compile(r"images? (?:are|is) 1 to")),
    ("image not told", re.compile(r"does not say which")),
    ("stray box", re.compile(r"is not part of|stands outside")),
    ("inverted box", re.compile(r"inverted or empty")),
    ("out of range", re.compile(r"is outside -?\d|is not a box in")),
    ("not four numbers", re.compile(r"4 (?:whole )?numbers|not a whole number|four numbers")),
]
"""What notations and frames say, by reason; a test holds it against every notation."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of one text: a score, or the reason why it cannot be read."""

    targets: tuple[Target, ...] = ()
    """The boxes it names, in its order."""
    score: Score | None = None
    """How right it is; None where it cannot be read."""
    reason: str | None = None
    """One of `REASONS` where it cannot be read."""
    detail: str | None = None
    """What the notation said of it, then."""


def judge(
    text: str,
    turn: Turn,
    images: Sequence[Image],
    notation: Notation,
    *,
    threshold: float = 0.5,
    ceilings: Sequence[float] | None = None,
) -> Verdict:
    """Read an answer to `turn` and score it.

    A blank text is no answer, not even where nothing is to be found. Of a turn that asks for words
    alone the boxes are not read.

    Args:
        text: What the model said, without its prompt.
        turn: What was asked.
        images: Those of the sample; only their sizes are looked at.
        notation: How the model writes boxes.
        threshold: Least IoU at which a box is right.
        ceilings: The best IoU that can be reached for each target (`notations.ceiling`).

    Raises:
        ValueError: there is not one ceiling for each target.
    """
    if not text or text.isspace():
        return Verdict(reason="empty", detail="the answer is empty")
    if turn.kind != "boxes" and not turn.targets:
        return Verdict(score=score((), turn, text=text, threshold=threshold))
    try:
        targets = tuple(notation.parse(text, turn, images))
    except ValueError as error:
        return Verdict(reason=reason_of(str(error)), detail=str(error))
    found = score(targets, turn, text=text, threshold=threshold, ceilings=ceilings)
    return Verdict(targets=targets, score=found)


def reason_of(said: str) -> str:
    """One of `REASONS` for what a notation said when it refused a text."""
    return next((reason for reason, pattern in _TOLD if pattern.search(said)), "malformed")
