"""Content ids and the seeded random stream: the two roots of "same recipe, same bytes".

Python's `hash()`, `random` and numpy's distributions may change with version or process; the raw
64-bit stream of PCG64 is guaranteed by numpy, so choice and shuffle are written here on top of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import MutableSequence, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_SPAN = 1 << 64


def digest(*parts: str | bytes) -> str:
    """SHA-256 hex of `parts`, each preceded by its length so that joins cannot collide."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "little"))
        sha.update(data)
    return sha.hexdigest()


def content_id(*parts: str | bytes) -> str:
    """Sixteen hex digits of `digest`: one collision in 10^9 ids has odds of 3 in 100."""
    return digest(*parts)[:16]


def name_hash(text: str) -> int:
    """A name or phrase as 64 bits, blind to case and spacing: what an index holds of it.

    Two different ones among a million are taken for one with odds of 1 in 37 million.
    """
    words = " ".join(text.lower().split())
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "little")


class Stream:
    """A seeded stream of choices, equal on every machine and numpy version.

    Made from text parts (seed, split, group keys...), so that a group's randomness depends on
    the group alone and never on which worker builds it, or when.
    """

    __slots__ = ("_raw",)

    def __init__(self, *parts: str) -> None:
        seed = int(digest(*parts)[:32], 16)
        self._raw = np.random.PCG64(seed).random_raw

    def below(self, n: int) -> int:
        """A uniform integer in [0, n). Draws again in the rare biased tail (no modulo bias)."""
        if n <= 0:
            raise ValueError(f"below() needs a positive bound, got {n}")
        limit = _SPAN - _SPAN % n
        while (raw := self._raw()) >= limit:
            pass
        return raw % n

    def between(self, low: int, high: int) -> int:
        """A uniform integer in [low, high], both ends included."""
        return low + self.below(high - low + 1)

    def uniform(self) -> float:
        """A uniform float in [0, 1) with 53 random bits."""
        return (self._raw() >> 11) * 2.0**-53

    def choice(self, items: Sequence[T]) -> T:
        """One item, uniformly."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[T], n: int) -> list[T]:
        """`n` distinct positions of `items`, in random order (partial Fisher-Yates)."""
        pool = list(items)
        for i in range(n):
            j = i + self.below(len(pool) - i)
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:n]

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Shuffle in place (Fisher-Yates)."""
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]

    def permutation(self, n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """A random order of range(n), vectorised: a stable sort of n raw draws."""
        draws: np.ndarray[tuple[int], np.dtype[np.uint64]] = np.asarray(
            self._raw(n), dtype=np.uint64
        )
        return np.argsort(draws, kind="stable")
