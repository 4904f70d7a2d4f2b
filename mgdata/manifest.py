"""Shards and entries: what is to be done, and the small file that says it is done.

A shard's data files are published first, under names unique to the attempt; its entry last. What
no entry lists does not exist. The run's lock lives here too.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import Any, TextIO

import msgspec

from mgdata.data import Flow
from mgdata.errors import EnvironmentFailure, StorageError
from mgdata.storage import Store


class File(Flow, frozen=True, kw_only=True):
    """One published file of a shard."""

    path: str
    """Relative to the run's folder."""
    bytes: int
    """Its size."""
    sha256: str
    """Its digest."""


class Shard(Flow, frozen=True, kw_only=True):
    """One idempotent unit of work."""

    stage: str
    """Which stage it belongs to."""
    name: str
    """Unique within the stage; names its entry."""
    fingerprint: str
    """Digest of everything that shapes its data."""
    payload: Any = None
    """What the stage needs to do it; plain data."""


class Entry(Flow, frozen=True, kw_only=True, omit_defaults=True):
    """One finished shard."""

    stage: str
    """The shard's stage."""
    name: str
    """The shard's name."""
    fingerprint: str
    """The shard's fingerprint: an entry with another one is stale."""
    rows: int
    """Rows that came out."""
    files: tuple[File, ...]
    """Every file it published, data and ledger."""
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    """What was counted on the way: images, skipped regions, conversions..."""
    drops: dict[str, int] = msgspec.field(default_factory=dict)
    """Ledger rows by reason."""
    seconds: float = 0.0
    """Wall time; exempt from reproducibility."""
    worker: str = ""
    """Node and process that did it; exempt from reproducibility."""

    def data(self) -> File:
        """Its first file: the stage's table."""
        return self.files[0]


class Manifest:
    """The entries of one run."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, entry: Entry) -> None:
        """Publish one entry: from now on its shard is done."""
        path = f"manifest/{entry.stage}/{entry.name}.json"
        self._store.write(path, msgspec.json.format(msgspec.json.encode(entry)))

    def entries(self, stage: str) -> dict[str, Entry]:
        """All entries of a stage by shard name; one that does not parse counts as missing."""
        found: dict[str, Entry] = {}
        for name in self._store.list(f"manifest/{stage}"):
            if not name.endswith(".json") or name.startswith("."):
                continue
            try:
                entry = msgspec.json.decode(
                    self._store.read(f"manifest/{stage}/{name}"), type=Entry
                )
            except (msgspec.MsgspecError, StorageError):
                continue
            found[entry.name] = entry
        return found

    def finished(self, shards: list[Shard]) -> dict[str, Entry]:
        """The entries of those shards that are done: same fingerprint, every file there."""
        if not shards:
            return {}
        entries = self.entries(shards[0].stage)
        done: dict[str, Entry] = {}
        for shard in shards:
            entry = entries.get(shard.name)
            if entry and entry.fingerprint == shard.fingerprint and self._whole(entry):
                done[shard.name] = entry
        return done

    def forget(self, stage: str, names: set[str]) -> None:
        """Delete entries; their files become orphans."""
        for name in sorted(names):
            self._store.remove(f"manifest/{stage}/{name}.json")

    def _whole(self, entry: Entry) -> bool:
        try:
            return all(self._store.size(file.path) == file.bytes for file in entry.files)
        except StorageError:
            return False


class Lock:
    """Keeps two runs out of one folder.

    Locally an advisory `flock`, which the kernel frees when its holder dies, however it dies.
    Remotely an object with a heartbeat, stale after two minutes: object stores have no lock, so
    two runs started within the same second are told apart by reading back who wrote last.
    """

    STALE = 120.0

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file: TextIO | None = None
        self._owner = {"host": socket.gethostname(), "pid": os.getpid(), "started": time.time()}

    def __enter__(self) -> Lock:
        if self._store.remote:
            self._take_remote()
        else:
            self._take_local()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()
        elif self._store.remote:
            self._store.remove("lock")

    def beat(self) -> None:
        """Refresh a remote lock; call at least once a minute."""
        if self._store.remote:
            self._store.write("lock", json.dumps({**self._owner, "beat": time.time()}).encode())

    def _take_local(self) -> None:
        path = Path(self._store.url) / "lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+")
        except OSError as error:
            from mgdata.storage import disk_failure

            raise disk_failure(error, self._store.url) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            holder = self._file.read()
            self._file.close()
            self._file = None
            raise self._busy(holder) from None
        self._file.truncate(0)
        self._file.write(json.dumps(self._owner))
        self._file.flush()

    def _take_remote(self) -> None:
        if self._store.exists("lock"):
            held = json.loads(self._store.read("lock"))
            if time.time() - held.get("beat", 0) < self.STALE:
                raise self._busy(json.dumps(held))
        self.beat()
        time.sleep(0.2)
        if json.loads(self._store.read("lock")).get("started") != self._owner["started"]:
            raise self._busy("another process, just now")

    def _busy(self, holder: str) -> EnvironmentFailure:
        return EnvironmentFailure(
            f"{self._store.url} is in use by another run ({holder.strip() or 'unknown'}): "
            "wait for it to end, or choose another --out"
        )
