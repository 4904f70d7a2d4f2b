"""When a run is given up: too large a share of its records or groups was dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mgdata.errors import UsageError
from mgdata.manifest import Entry
from mgdata.stages.build import REGIONS


class OverLimit(UsageError):
    """More was dropped than the recipe allows."""

    exit_code = 1


def check_limit(stage: str, entries: Sequence[Entry], limit: float, out: str) -> None:
    """Stop where too large a share was dropped: the corpus or the recipe is wrong.

    Args:
        stage: What dropped it.
        entries: What it has done.
        limit: Largest share, 0 to 1.
        out: The run, for the message.

    Raises:
        OverLimit: the share is larger.
    """
    reasons = sum((Counter(entry.drops) for entry in entries), Counter[str]())
    lost = reasons.total() - sum(entry.counts.get(REGIONS, 0) for entry in entries)
    kept = sum(entry.rows for entry in entries)
    if lost and lost / (lost + kept) > limit:
        top = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common(3))
        raise OverLimit(
            f"{stage} dropped {lost} of {lost + kept} (limits.rejected: {limit:g}): {top}; "
            f"see the ledger in {out}/ledger/{stage}"
        )
