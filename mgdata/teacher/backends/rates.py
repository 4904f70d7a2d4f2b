"""How fast a server may be asked: token buckets on a monotonic clock. Knows no request."""

from __future__ import annotations

import asyncio

POLL = 0.25
"""Seconds after which a wait is computed anew: what was given back meanwhile shortens it."""


class Bucket:
    """So much a minute, spread evenly: at most a second's worth is spent at once.

    What asks for more than that goes when the bucket is full, and leaves it in debt. Times are
    seconds of any clock that never goes back.
    """

    def __init__(self, per_minute: float) -> None:
        self._rate = per_minute / 60
        self._most = max(1.0, self._rate)
        self._level = self._most
        self._at: float | None = None

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken."""
        if self._at is not None:
            self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, (min(amount, self._most) - self._level) / self._rate)

    def take(self, amount: float) -> None:
        """Spend `amount`; a negative one is given back."""
        self._level = min(self._most, self._level - amount)


class Rates:
    """Requests and tokens a minute, and pauses that the server asks for; in order of asking.

    Belongs to one event loop. A limit of 0 is none.
    """

    def __init__(self, requests_per_minute: float, tokens_per_minute: float) -> None:
        self._requests = Bucket(requests_per_minute) if requests_per_minute else None
        self._tokens = Bucket(tokens_per_minute) if tokens_per_minute else None
        self._turn = asyncio.Lock()
        self._closed_until = 0.0

    async def admit(self, tokens: float) -> None:
        """Wait until a request that may cost `tokens` can be sent, and count it."""
        clock = asyncio.get_running_loop().time
        if not (self._requests or self._tokens) and clock() >= self._closed_until:
            return
        async with self._turn:
            while (wait := self._wait(tokens, clock())) > 0:
                await asyncio.sleep(min(wait, POLL))
            if self._requests:
                self._requests.take(1)
            if self._tokens:
                self._tokens.take(tokens)

    def correct(self, tokens: float) -> None:
        """Give back `tokens` that were counted and not used; negative: more were used."""
        if self._tokens:
            self._tokens.take(-tokens)

    def pause(self, seconds: float) -> None:
        """Admit nobody for so long."""
        until = asyncio.get_running_loop().time() + seconds
        self._closed_until = max(self._closed_until, until)

    def _wait(self, tokens: float, now: float) -> float:
        waits = [self._closed_until - now]
        if self._requests:
            waits.append(self._requests.wait(1, now))
        if self._tokens:
            waits.append(self._tokens.wait(tokens, now))
        return max(waits)
