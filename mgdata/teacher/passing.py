"""How often a model gets a turn right, and which turns are worth training it on by rewards.

A turn that it always or never gets right teaches nothing: all its answers get the same reward
(advantage 0). Knows traces, and not how they were judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

from mgdata.data import Trace

REASONS = ("no answer", "too few answers", "too hard", "too easy")
"""Why a turn is not taken: every reply failed, fewer answers than asked for, passed too seldom or
too often."""


class Band(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pass rates of the turns that are taken; the bounds themselves are outside."""

    above: float = 0.0
    """Taken is what passes more often than this; below 0: also what never does."""
    below: float = 1.0
    """Taken is what passes less often than this; over 1: also what always does."""
    least: Annotated[int, msgspec.Meta(ge=1)] = 2
    """Answers that a pass rate must be of."""

    def __post_init__(self) -> None:
        """Refuse a band that nothing is in.

        Raises:
            ValueError: `above` is not under `below`, or either is not a number.
        """
        if not self.above < self.below:
            raise ValueError(f"above is under below, found {self.above} and {self.below}")


DEFAULT = Band()
"""Sometimes right, sometimes wrong."""


def pass_rate(traces: Iterable[Trace]) -> float | None:
    """Share of the answers to one turn that were accepted, 0 to 1; None where there is none.

    A reply that failed (a timeout, a refused image) is no answer. One that was cut is, and wrong.
    """
    passed = [trace.accepted for trace in traces if trace.answer.reply.finish != "failed"]
    return sum(passed) / len(passed) if passed else None


def outside(traces: Iterable[Trace], band: Band = DEFAULT) -> str | None:
    """Why the turn that all of these answer is not taken, one of `REASONS`; None: it is taken."""
    traces = tuple(traces)
    rate = pass_rate(traces)
    if rate is None:
        return "no answer"
    if sum(trace.answer.reply.finish != "failed" for trace in traces) < band.least:
        return "too few answers"
    if rate <= band.above:
        return "too hard"
    return "too easy" if rate >= band.below else None
