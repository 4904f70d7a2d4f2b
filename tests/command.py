"""The command line as tests call it: the installed entry point's own function, in this process.

An exception that `main` does not turn into an exit code leaves it, and so fails the test: that is
the traceback a user would see.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from mgdata.cli import main
from mgdata.data import Drop
from mgdata.manifest import Entry, Manifest
from mgdata.storage import Store
from mgdata.tables import read_ledger


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def mgdata(*words: str | Path) -> Ended:
    """Run `mgdata` with these words."""
    out, err = io.StringIO(), io.StringIO()
    with _as_command([str(word) for word in words]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Ended(code, out.getvalue(), err.getvalue())


@contextmanager
def _as_command(words: list[str]) -> Iterator[None]:
    before, handler = sys.argv, signal.getsignal(signal.SIGTERM)
    sys.argv = ["mgdata", *words]
    try:
        yield
    finally:
        sys.argv = before
        signal.signal(signal.SIGTERM, handler)


def ledger(run: Path) -> list[Drop]:
    """Every drop that the run's entries list."""
    store = Store(str(run))
    manifest = Manifest(store)
    return [
        drop
        for stage in ("ingest", "measure", "choose", "build", "settle")
        for entry in manifest.entries(stage).values()
        for file in entry.files
        if file.path.startswith("ledger/")
        for drop in read_ledger(store.local(file.path))
    ]


def entries(run: Path, stage: str) -> list[Entry]:
    """The entries of one stage."""
    return list(Manifest(Store(str(run))).entries(stage).values())


def counted(run: Path, stage: str) -> dict[str, int]:
    """What a stage counted, over all its shards."""
    total: dict[str, int] = {}
    for entry in entries(run, stage):
        for name, n in entry.counts.items():
            total[name] = total.get(name, 0) + n
    return total
