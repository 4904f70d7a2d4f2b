"""Shards and entries: what is to be done, and the small file that says it is done.

A shard's data files are published first, under names unique to the attempt; its entry last. What
no entry lists does not exist. The run's lock lives here too.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import msgspec

from mgdata.data import Flow
from mgdata.errors import EnvironmentFailure, MgdataError, StorageError
from mgdata.storage import Store, disk_failure


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
    BEAT = 20.0

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file: TextIO | None = None
        self._owner = f"{socket.gethostname()}, process {os.getpid()}, {secrets.token_hex(4)}"
        self._stop = threading.Event()
        self._beating: threading.Thread | None = None

    def __enter__(self) -> Lock:
        if self._store.remote:
            self._take_remote()
        else:
            self._take_local()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()
            self._file = None
        elif self._beating:
            self._stop.set()
            self._beating.join()
            with suppress(MgdataError):
                if holder(self._store) == self._owner:
                    self._store.remove("lock")

    def _take_local(self) -> None:
        path = Path(self._store.url) / "lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+")
        except OSError as error:
            raise disk_failure(error, self._store.url) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.truncate(0)
            self._file.write(json.dumps({"owner": self._owner}))
            self._file.flush()
        except OSError as error:
            with suppress(OSError):  # closing flushes, and a full disk refuses again
                self._file.close()
            self._file = None
            if isinstance(error, BlockingIOError):
                raise self._busy(holder(self._store)) from None
            raise disk_failure(error, self._store.url) from error

    def _take_remote(self) -> None:
        held = _lock_file(self._store)
        if time.time() - held.get("beat", 0.0) < self.STALE:
            raise self._busy(held["owner"])
        self.beat()
        time.sleep(0.2)
        if (other := holder(self._store)) != self._owner:
            raise self._busy(other)
        self._beating = threading.Thread(target=self._keep_beating, daemon=True)
        self._beating.start()

    def beat(self) -> None:
        """Refresh a remote lock; it does so itself while it is held."""
        if not self._store.remote:
            return
        told = {"owner": self._owner, "beat": time.time()}
        self._store.write("lock", json.dumps(told).encode())

    def _keep_beating(self) -> None:
        # A thread of its own: the driver may wait for one shard longer than a lock stays fresh.
        while not self._stop.wait(self.BEAT):
            with suppress(MgdataError):  # the next beat tries again; five may fail in a row
                self.beat()

    def _busy(self, owner: str) -> EnvironmentFailure:
        return EnvironmentFailure(
            f"{self._store.url} is in use by another run ({owner or 'unknown'}): "
            "wait for it to end, or choose another --out"
        )


def holder(store: Store) -> str:
    """Who holds the lock of a run's folder, or held it last; empty where nobody did."""
    return _lock_file(store)["owner"]


def _lock_file(store: Store) -> dict[str, Any]:
    try:
        told = json.loads(store.read("lock"))
        return {"owner": str(told["owner"]), "beat": float(told.get("beat", 0.0))}
    except (StorageError, ValueError, KeyError, TypeError, AttributeError):
        return {"owner": "", "beat": 0.0}
