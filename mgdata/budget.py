"""What asking a teacher may cost in one call: it shapes no data, only when a run is done."""

from __future__ import annotations

import time

from mgdata.errors import UsageError
from mgdata.manifest import Entry


class Budget:
    """What asking a teacher may cost in one call; its clock starts when it is made."""

    def __init__(self, tokens: int | None = None, minutes: float | None = None) -> None:
        self._tokens, self._minutes = tokens, minutes
        self._spent = 0
        self._began = time.monotonic()

    def spend(self, entry: Entry) -> None:
        """Count what a shard of answers took; what was known before cost nothing."""
        self._spent += entry.counts.get("tokens spent", 0)

    def left(self) -> bool:
        """Whether another shard may be asked."""
        late = self._minutes is not None and self._took() >= self._minutes
        return not late and (self._tokens is None or self._spent < self._tokens)

    def told(self) -> str:
        """What was spent, in words."""
        return f"stopped after {self._spent:,} tokens and {self._took():.1f} minutes, as asked"

    def _took(self) -> float:
        return (time.monotonic() - self._began) / 60


class Spent(UsageError):
    """The budget for a teacher is used up."""

    exit_code = 1
