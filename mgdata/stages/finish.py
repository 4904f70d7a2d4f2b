"""How every stage's worker ends a shard: files published, then the entry, last.

File names are unique to the attempt, so that a worker that outlived its driver can never spoil
what a newer attempt wrote.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from mgdata.data import Drop
from mgdata.manifest import Entry, File, Manifest, Shard
from mgdata.storage import Store
from mgdata.tables import write_ledger


class Finish:
    """Publishes one shard's files and then its entry."""

    def __init__(self, store: Store, shard: Shard) -> None:
        self._store = store
        self._shard = shard
        self._attempt = secrets.token_hex(4)
        self._files: list[File] = []
        self._began = time.monotonic()

    def table(self, folder: str, suffix: str, write: Callable[[Path], None]) -> None:
        """Publish a table under a name of this attempt's own."""
        self.file(f"{folder}/{self._shard.name}.{self._attempt}{suffix}", write)

    def file(self, path: str, write: Callable[[Path], None]) -> None:
        """Publish a file at exactly `path`, with its digest."""
        with self._store.writing(path) as local:
            write(local)
            found = File(path=path, bytes=local.stat().st_size, sha256=sha256_of(local))
        self._files.append(found)

    def entry(self, rows: int, counts: Counter[str], drops: Iterable[Drop]) -> Entry:
        """Publish the ledger, then the entry: the shard is done."""
        ledger = list(drops)
        if ledger:
            self.table(
                f"ledger/{self._shard.stage}", ".parquet", lambda path: write_ledger(path, ledger)
            )
        entry = Entry(
            stage=self._shard.stage,
            name=self._shard.name,
            fingerprint=self._shard.fingerprint,
            rows=rows,
            files=tuple(self._files),
            counts=dict(sorted(counts.items())),
            drops=dict(sorted(Counter(drop.reason for drop in ledger).items())),
            seconds=round(time.monotonic() - self._began, 3),
            worker=f"{os.uname().nodename}:{os.getpid()}",
        )
        Manifest(self._store).write(entry)
        return entry


def sha256_of(path: Path) -> str:
    """SHA-256 of a local file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
