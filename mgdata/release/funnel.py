"""The funnel: what went into each stage, what came out, and every reason between.

Adds up entries; opens no table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from mgdata.data import Flow
from mgdata.manifest import Entry


class Step(Flow, frozen=True, kw_only=True):
    """One stage of the funnel."""

    stage: str
    """ingest, choose, build, settle, answer, judge, teach or release."""
    what: str
    """What is counted: records, samples, answers, traces, lessons, rows."""
    out: int
    """How many came out."""
    dropped: dict[str, int]
    """Ledger rows by reason, most first."""
    noted: dict[str, int]
    """What was counted and not dropped: clipped boxes, skipped regions, converted images."""


_WHAT = {
    "ingest": "records",
    "measure": "records",
    "choose": "records",
    "build": "samples",
    "settle": "samples",
    "answer": "answers",
    "judge": "traces",
    "teach": "lessons",
    "release": "rows",
}


def funnel(entries: Mapping[str, Iterable[Entry]]) -> list[Step]:
    """The steps, in order, from each stage's entries."""
    steps: list[Step] = []
    for stage, what in _WHAT.items():
        found = list(entries.get(stage, ()))
        if not found:
            continue
        dropped, noted = Counter[str](), Counter[str]()
        for entry in found:
            dropped.update(entry.drops)
            noted.update({k: n for k, n in entry.counts.items() if _is_noted(k)})
        # Its table holds rejected traces too, so that they can be looked at.
        rejected = dropped.total() if stage == "judge" else 0
        steps.append(
            Step(
                stage=stage,
                what=what,
                out=sum(entry.rows for entry in found) - rejected,
                dropped=_most_first(dropped),
                noted=_most_first(noted),
            )
        )
    return steps


def _is_noted(count: str) -> bool:
    """Whether a count says what became of the data: not a breakdown, nor what one call spent."""
    return not {"=", "|"} & {*count} and count not in ("known before", "tokens spent")


def lines(steps: Iterable[Step]) -> list[str]:
    """The funnel for a terminal."""
    shown: list[str] = []
    for step in steps:
        shown.append(f"{step.stage:<8} {step.out:>12,} {step.what}")
        shown += [f"{'':<8} {-n:>12,} {reason}" for reason, n in step.dropped.items()]
        shown += [f"{'':<8} {n:>12,} {name} (noted)" for name, n in step.noted.items()]
    return shown


def _most_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
