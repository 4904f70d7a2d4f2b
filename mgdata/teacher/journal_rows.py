"""Where each known reply of a journal lies, in 38 bytes a reply: a million takes 38 MB.

Columns sorted by the 128-bit hash of the key. Knows numbers of parts, and no file.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

Numbers = np.ndarray[tuple[int], np.dtype[Any]]


class Rows:
    """One row for each request that has a reply."""

    COLUMNS: Final = (
        ("high", "Q"),
        ("low", "Q"),
        ("part", "I"),
        ("start", "Q"),
        ("size", "Q"),
        ("failed", "B"),
    )
    """Two halves of the key's hash; where its line is; whether it is a failure."""

    def __init__(self) -> None:
        self._new = {name: array(code) for name, code in self.COLUMNS}
        self._columns: dict[str, Numbers] = {
            name: np.zeros(0, dtype=code) for name, code in self.COLUMNS
        }
        self.repeated = 0
        """Lines that were left out for another with the same key."""

    def __len__(self) -> int:
        return len(self._columns["high"])

    def __getitem__(self, column: str) -> Numbers:
        return self._columns[column]

    def adder(self) -> Callable[[str, int, int, int, bool], None]:
        """A function that takes a line's key, part, start, size and whether it is a failure."""
        high, low, part, start, size, failed = (self._new[name].append for name, _ in self.COLUMNS)

        def add(key: str, its_part: int, its_start: int, its_size: int, it_failed: bool) -> None:
            first, second = hashed(key)
            high(first)
            low(second)
            part(its_part)
            start(its_start)
            size(its_size)
            failed(it_failed)

        return add

    def settle(self, ranks: Numbers) -> None:
        """Sort in what was added; of several replies to one request the first stays.

        An answer comes before a failure, then parts by their `ranks`, then lines by place.
        """
        if not self._new["high"]:
            return
        columns = {
            name: np.concatenate((self._columns[name], np.array(self._new[name], dtype=code)))
            for name, code in self.COLUMNS
        }
        self._new = {name: array(code) for name, code in self.COLUMNS}
        high, low = columns["high"], columns["low"]
        rank = ranks[columns["part"]]
        order = np.lexsort((columns["start"], rank, columns["failed"], low, high))
        high, low = high[order], low[order]
        first = np.ones(len(order), dtype=bool)
        first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
        kept = order[first]
        self.repeated += len(order) - len(kept)
        self._columns = {name: column[kept] for name, column in columns.items()}

    def find(self, keys: Sequence[str]) -> list[int]:
        """The row of each key, -1 where there is none."""
        high, low = self._columns["high"], self._columns["low"]
        hashes = [hashed(key) for key in keys]
        wanted = np.fromiter((first for first, _ in hashes), dtype=np.uint64, count=len(hashes))
        rows: list[int] = []
        for at, pair in zip(np.searchsorted(high, wanted).tolist(), hashes, strict=True):
            while at < len(high) and int(high[at]) == pair[0] and int(low[at]) != pair[1]:
                at += 1
            found = at < len(high) and (int(high[at]), int(low[at])) == pair
            rows.append(at if found else -1)
        return rows


def hashed(key: str) -> tuple[int, int]:
    """A key as two numbers of 64 bits: two of 10^9 keys are taken for one at odds of 10^-21."""
    data = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return int.from_bytes(data[:8], "big"), int.from_bytes(data[8:], "big")
