"""Answers that have been paid for: an append-only journal of replies by their request's key.

A reply is one line of a part, with a checksum; a part is only ever added to, by the one writer that
made it. What is torn, damaged or there twice is counted and left out, never an error: its request
is asked again. Memory holds where replies lie, not what they say. Knows no backend, no prompt and
no verdict.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec
import numpy as np

from mgdata.data import Reply
from mgdata.errors import EnvironmentFailure, MgdataError, MissingFile
from mgdata.storage import Store
from mgdata.teacher.journal_lines import PART, heading, reply, whole
from mgdata.teacher.journal_rows import Rows
from mgdata.teacher.journal_writers import AppendingWriter, BatchingWriter, Writer

LASTING: Final = frozenset({"prompt too long", "too many images", "image refused"})
"""Reasons for which the same request would fail again: these failures are remembered. All others
(time-outs, server errors, rate limits, cut streams ...) are on the journal's record, but their
requests count as never answered, and a re-run asks them again."""

_SORTED = "sorted-"
_BATCH = 4096


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal holds."""

    replies: int
    """Requests that are known, remembered failures among them."""
    failed: int
    """Requests that are known to fail."""
    transient: int
    """Lines with a failure that is not remembered."""
    repeated: int
    """Lines with a reply to a request that is known from another line."""
    damaged: int
    """Lines that are not what was written."""
    torn: int
    """Parts that end in the middle of a line, as where their writer was killed."""
    parts: int
    """Files."""


class _Part:
    """One file, and how far it has been read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.end = 0
        self.damaged = 0
        self.transient = 0
        self.torn = False
        self.number = 0
        if name.startswith(_SORTED) and (digits := name.split("-")[1]).isdecimal():
            self.number = int(digits)

    @property
    def rank(self) -> tuple[int, str]:
        """Sorted files come first, the newest before older ones; then parts by name."""
        return -self.number, self.name


class Journal:
    """The replies in one folder of a store.

    What it knows is what was there when it was opened or last `refresh`ed, whoever wrote it. Of
    several replies to one request an answer counts before a failure, then the first by part name
    and line; what has been compacted counts before what has not. It is made in the process that
    uses it, and for one thread.

    Args:
        store: The run's.
        folder: Below the store, the journal's own.
        sync_seconds: On a local disk every reply is handed to the operating system at once, so
            that it outlives its process; it is forced to the disk at most this often, so that a
            power cut costs the answers of so many seconds. 0: each one, which costs milliseconds
            an answer.
        batch_replies: An object store takes whole files only: so many replies go into one. A
            process that is killed loses what it has not yet put there.
        batch_seconds: A batch that is older is put there with the next reply, however small.
    """

    def __init__(
        self,
        store: Store,
        folder: str,
        *,
        sync_seconds: float = 1.0,
        batch_replies: int = 256,
        batch_seconds: float = 30.0,
    ) -> None:
        self._store = store
        self._folder = folder
        self._sync_seconds = sync_seconds
        self._batch = (batch_replies, batch_seconds)
        self._start_again()

    def refresh(self) -> None:
        """See what was added since.

        Raises:
            EnvironmentFailure: the store does not answer, or a part cannot be read.
        """
        known = {part.name: number for number, part in enumerate(self._parts)}
        for name in self._store.list(self._folder):
            if not name.endswith(PART) or name.startswith("."):
                continue
            if name not in known:
                known[name] = len(self._parts)
                self._parts.append(_Part(name))
            elif self._store.remote or name.startswith(_SORTED):
                continue  # published whole
            self._scan(known[name])
        order = sorted(range(len(self._parts)), key=lambda number: self._parts[number].rank)
        ranks = np.zeros(len(order), dtype=np.int64)
        ranks[order] = np.arange(len(order))
        self._rows.settle(ranks)

    @property
    def tally(self) -> Tally:
        """What it holds, by count."""
        return Tally(
            replies=len(self._rows),
            failed=int(self._rows["failed"].sum()),
            transient=sum(part.transient for part in self._parts),
            repeated=self._rows.repeated,
            damaged=sum(part.damaged for part in self._parts) + self._misread,
            torn=sum(part.torn for part in self._parts),
            parts=len(self._parts),
        )

    def known(self, keys: Iterable[str], *, failures: bool = True) -> dict[str, Reply]:
        """The replies to those of the requests that have one, in the order of `keys`.

        Only these are read. `failures=False` leaves out remembered failures, as where a limit that
        they ran into was raised: an answer that is then added counts from there on.

        Raises:
            EnvironmentFailure: the store does not answer, or a part is gone.
        """
        wanted = list(dict.fromkeys(keys))
        failed = self._rows["failed"]
        rows = {
            key: row
            for key, row in zip(wanted, self._rows.find(wanted), strict=True)
            if row >= 0 and (failures or not failed[row])
        }
        lines = dict(self._lines(rows.values()))
        found: dict[str, Reply] = {}
        for key, row in rows.items():
            if row not in lines:
                continue
            one = reply(lines[row])
            if one is not None and one.key == key:
                found[key] = one
            else:
                self._misread += 1
        return found

    @contextmanager
    def writer(self) -> Generator[Writer, None, None]:
        """To add replies with, to parts of its own; at the end of the block all are kept.

        Raises:
            EnvironmentFailure: the disk is full or cannot be written to, or the store is away.
        """
        if self._store.remote:
            writer: Writer = BatchingWriter(self._store, self._folder, *self._batch)
        else:
            writer = AppendingWriter(self._store, self._folder, self._sync_seconds)
        try:
            yield writer
        except BaseException:
            with suppress(MgdataError):  # it must not hide what went wrong before it
                writer.close()
            raise
        writer.close()

    def compact(self) -> Tally:
        """Put all that counts into one file and delete the others; what the journal then holds.

        The file has the lines in the order of their keys' hashes: equal replies give equal bytes,
        however they came. Nothing is deleted before it is published. Under the run's lock, with no
        writer at work.

        Raises:
            EnvironmentFailure: the disk is full, or the store does not answer.
        """
        self.refresh()
        if [part.number > 0 for part in self._parts] == [True]:
            return self.tally
        read = {part.name: self._store.size(self._path(part.name)) for part in self._parts}
        self.refresh()  # what a worker that outlived its run has added up to that size
        if len(self._rows):
            self._write_sorted()
        for name, size in read.items():
            if self._store.size(self._path(name)) == size:
                self._store.remove(self._path(name))
        self._start_again()
        return self.tally

    def gc(self) -> list[str]:
        """Delete the parts that hold no reply that counts, and say which; under the run's lock.

        They are what a `compact` that was killed left, and parts of damage alone.
        """
        self.refresh()
        counting = set(np.unique(self._rows["part"]).tolist())
        gone = [part.name for number, part in enumerate(self._parts) if number not in counting]
        for name in gone:
            self._store.remove(self._path(name))
        self._start_again()
        return gone

    def _start_again(self) -> None:
        self._parts: list[_Part] = []
        self._rows = Rows()
        self._misread = 0
        self.refresh()

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _write_sorted(self) -> None:
        number = 1 + max(part.number for part in self._parts)
        # Nodes keep copies by name: none may come again with other content.
        name = f"{_SORTED}{number:06d}-{secrets.token_hex(4)}{PART}"
        with self._store.writing(self._path(name)) as local, local.open("wb") as file:
            for start in range(0, len(self._rows), _BATCH):
                batch = range(start, min(start + _BATCH, len(self._rows)))
                lines = dict(self._lines(batch))
                file.writelines(lines[row] for row in batch if row in lines)
            file.flush()
            os.fsync(file.fileno())

    def _scan(self, number: int) -> None:
        """Index the lines of a part that were not there before."""
        part = self._parts[number]
        add = self._rows.adder()
        part.torn = False
        with self._opened(part) as file:
            file.seek(part.end)
            for raw in file:
                if not raw.endswith(b"\n"):
                    part.torn = True
                    break
                found = heading(raw)
                failed = found is not None and found.finish == "failed"
                if found is None:
                    part.damaged += 1
                elif failed and found.reason not in LASTING:
                    part.transient += 1
                else:
                    add(found.key, number, part.end, len(raw), failed)
                part.end += len(raw)

    def _lines(self, rows: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """The lines of rows, part by part; one that is no longer what it was is left out."""
        part, start, size = (self._rows[name] for name in ("part", "start", "size"))
        places: dict[int, list[tuple[int, int, int]]] = {}
        for row in rows:
            places.setdefault(int(part[row]), []).append((int(start[row]), int(size[row]), row))
        for number in sorted(places):
            with self._opened(self._parts[number]) as file:
                for offset, length, row in sorted(places[number]):
                    file.seek(offset)
                    raw = file.read(length)
                    if whole(raw):
                        yield row, raw
                    else:
                        self._misread += 1

    @contextmanager
    def _opened(self, part: _Part) -> Generator[Any, None, None]:
        path = self._path(part.name)
        try:
            with self._store.local(path).open("rb") as file:
                yield file
        except (FileNotFoundError, MissingFile):
            raise EnvironmentFailure(
                f"{self._store.url}/{path} was deleted while it was in use: run the same command "
                "again; what other parts hold is kept"
            ) from None
        except OSError as error:
            raise EnvironmentFailure(
                f"{self._store.url}/{path} cannot be read: {error.strerror or error}; mend the "
                "disk, or delete the file to have its answers asked again"
            ) from error
