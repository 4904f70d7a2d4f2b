"""Replies on their way into a journal: appended to a local file, or put whole into a remote store.

A part belongs to the one writer that made it, under a name no other has: the time, so that older
replies come first, and a random token. Nothing is ever added to a part after a failed write.
"""

from __future__ import annotations

import os
import secrets
import time
from abc import ABC, abstractmethod
from pathlib import Path

from mgdata.data import Reply
from mgdata.errors import EnvironmentFailure
from mgdata.storage import Store, disk_failure
from mgdata.teacher.journal_lines import PART, line, storable


class Writer(ABC):
    """Adds replies to a journal. For one thread."""

    def add(self, reply: Reply) -> Reply:
        """Keep a reply, and give it back as it will be read.

        It is the same but for letters that no file can hold.

        Raises:
            EnvironmentFailure: the disk is full or cannot be written to, or the store is away.
        """
        reply = storable(reply)
        self._put(line(reply))
        return reply

    @abstractmethod
    def flush(self) -> None:
        """Make everything added outlive process and machine; before an entry says it is there.

        Raises:
            EnvironmentFailure: as `add`.
        """

    @abstractmethod
    def close(self) -> None:
        """`flush`, and let go of the part."""

    @abstractmethod
    def _put(self, data: bytes) -> None: ...


class AppendingWriter(Writer):
    """Adds line by line to a file of its own on a local disk, made with the first line."""

    def __init__(self, store: Store, folder: str, sync_seconds: float) -> None:
        self._folder = Path(store.url) / folder
        self._sync_seconds = sync_seconds
        self._file: int | None = None
        self._synced = 0.0
        self._dirty = False

    def _put(self, data: bytes) -> None:
        try:
            if self._file is None:
                self._file = self._made()
            left = memoryview(data)
            while left:
                left = left[os.write(self._file, left) :]
            self._dirty = True
            if time.monotonic() - self._synced >= self._sync_seconds:
                self._sync()
        except OSError as error:
            raise self._given_up(error) from error

    def flush(self) -> None:
        """Force what was written to the disk."""
        try:
            self._sync()
        except OSError as error:
            raise self._given_up(error) from error

    def close(self) -> None:
        """`flush`, and close the file."""
        try:
            self.flush()
        finally:
            self._let_go()

    def _made(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / unique_name()
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)

    def _sync(self) -> None:
        if self._file is not None and self._dirty:
            os.fsync(self._file)
            self._dirty = False
            self._synced = time.monotonic()

    def _given_up(self, error: OSError) -> EnvironmentFailure:
        # The line may be torn: what comes next must not be written behind it.
        self._let_go()
        return disk_failure(error, str(self._folder))

    def _let_go(self) -> None:
        if self._file is not None:
            file, self._file, self._dirty = self._file, None, False
            os.close(file)


class BatchingWriter(Writer):
    """Puts lines into a store in files that are published whole, of so many replies or so old."""

    def __init__(self, store: Store, folder: str, replies: int, seconds: float) -> None:
        self._store = store
        self._folder = folder
        self._replies = replies
        self._seconds = seconds
        self._lines: list[bytes] = []
        self._since = 0.0

    def _put(self, data: bytes) -> None:
        if not self._lines:
            self._since = time.monotonic()
        self._lines.append(data)
        if len(self._lines) >= self._replies or time.monotonic() - self._since >= self._seconds:
            self.flush()

    def flush(self) -> None:
        """Publish what is waiting; it goes on waiting where that fails."""
        if self._lines:
            self._store.write(f"{self._folder}/{unique_name()}", b"".join(self._lines))
            self._lines = []

    def close(self) -> None:
        """`flush`."""
        self.flush()


def unique_name() -> str:
    """A part's name: older ones come first, and no two are the same."""
    return f"{time.time_ns():020d}-{secrets.token_hex(4)}{PART}"
