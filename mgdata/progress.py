"""What a run shows while it works: bars on a terminal, one line a shard otherwise.

Turns events into pictures or lines; decides nothing.
"""

from __future__ import annotations

import atexit
import sys
from typing import Any

from mgdata.engine.stage import Tell


def reporter(quiet: bool = False) -> Tell:
    """Something to tell events to, fit for where standard error leads."""
    if quiet:
        return lambda name, facts: None
    return _Bars() if sys.stderr.isatty() else _lines


def _lines(name: str, facts: dict[str, Any]) -> None:
    if name in ("shard started", "stage done"):
        return
    shown = " ".join(f"{key}={_short(value)}" for key, value in facts.items())
    print(f"{name}: {shown}", file=sys.stderr, flush=True)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


_ASIDE = ("worker lost", "worker not closed", "shards re-queued", "engine started", "estimate")
"""Events that are told above the bar."""


class _Bars:
    """One bar a stage, with rows so far and the time left."""

    def __init__(self) -> None:
        self._progress: Any = None
        self._task: Any = None
        self._rows = 0
        # A run that fails or is stopped ends no stage; the terminal must get its cursor back.
        atexit.register(self._end)

    def __call__(self, name: str, facts: dict[str, Any]) -> None:
        if name == "stage started":
            self._begin(facts)
        elif name == "shard done" and self._progress:
            self._rows += facts["rows"]
            self._progress.update(self._task, advance=1, rows=f"{self._rows:,} rows")
        elif name == "stage done":
            self._end()
        elif name in (
            "worker lost",
            "worker not closed",
            "shards re-queued",
            "engine started",
            "estimate",
        ):
            self._aside(name, facts)

    def _begin(self, facts: dict[str, Any]) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description:<8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("shards"),
            TextColumn("{task.fields[rows]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._rows = 0
        self._task = self._progress.add_task(
            facts["stage"], total=facts["shards"], completed=facts["done"], rows=""
        )
        self._progress.start()

    def _end(self) -> None:
        if self._progress:
            self._progress.stop()
            self._progress = None

    def _aside(self, name: str, facts: dict[str, Any]) -> None:
        text = f"{name}: " + " ".join(f"{k}={_short(v)}" for k, v in facts.items())
        if self._progress:
            self._progress.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr)
