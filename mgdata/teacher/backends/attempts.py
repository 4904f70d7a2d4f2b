"""One server, asked over HTTP: attempts, waits between them, and when to give up.

Lives in one event loop. Bodies are bytes and so are answers: what they say is read elsewhere.
Nothing of a request reaches an error but what the server said of it, without the key.
"""

from __future__ import annotations

import asyncio
import io
import urllib.request
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from mgdata.errors import EnvironmentFailure
from mgdata.identity import Stream
from mgdata.teacher.backends.faults import Fault, refused, retry_after, said
from mgdata.teacher.backends.keys import Key
from mgdata.teacher.backends.rates import Rates

if TYPE_CHECKING:
    from mgdata.teacher.backends.endpoint import Endpoint

Read = TypeVar("Read")

CONNECT_SECONDS = 10.0
"""How long a server may take to accept a connection."""
KEPT_SECONDS = 4.0
"""How long an idle connection is used again: uvicorn, under vLLM and SGLang, closes after 5."""
LARGEST = 1 << 25
"""Bytes of a server's answer; a megabyte is a quarter of a million tokens."""
LONGEST_PAUSE = 60.0
"""Seconds between two attempts, unless the server asks for more."""


class Heard(NamedTuple):
    """What came back, whatever the status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Server:
    """A server that is talked to. Made, used and closed in one event loop."""

    def __init__(self, settings: Endpoint, key: Key) -> None:
        import aiohttp

        self._settings, self._key = settings, key
        self._rates = Rates(settings.requests_per_minute, settings.tokens_per_minute)
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._lost = 0
        self._over = ""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            headers={"Content-Type": "application/json", "User-Agent": "mgdata", **key.headers},
            cookie_jar=aiohttp.DummyCookieJar(),
            # A netrc file would replace the key; proxies are looked up here.
            trust_env=False,
        )
        self._proxy = proxy_of(settings.url)

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    async def get(self, path: str, seconds: float) -> Heard | Fault:
        """One attempt to read what is at `path` below the server's URL."""
        return await self._exchange("GET", path, None, seconds)

    async def ask(
        self, seed: str, body: bytes, tokens: float, read: Callable[[bytes], tuple[Read, int]]
    ) -> Read | Fault:
        """What `read` makes of the answer to `body`, after as many attempts as it takes.

        `tokens` is what it may cost, and `read` says what it did cost (0: unknown); waits are
        drawn from `seed`. Of a fault, whether to try again has been looked at.

        Raises:
            EnvironmentFailure: nothing can be asked any more.
        """
        async with self._slots:
            found = await self._tried(seed, body, tokens, read)
        if not isinstance(found, Fault) or not found.again:
            self._lost = 0
            return found
        self._lost += 1
        if self._lost >= self._settings.give_up:
            raise self._stopped(
                f"gave no answer to {self._lost} requests in a row, the last one {found.reason}: "
                f"{found.value}; see what it says of itself and run again: what was answered is "
                "kept"
            )
        return found

    def _stopped(self, why: str) -> EnvironmentFailure:
        """What is raised by this request, and by all that come after it."""
        self._over = self._over or f"{self._settings.url} {why}"
        return EnvironmentFailure(self._over)

    async def _tried(
        self, seed: str, body: bytes, tokens: float, read: Callable[[bytes], tuple[Read, int]]
    ) -> Read | Fault:
        settings, clock = self._settings, asyncio.get_running_loop().time
        stream = Stream("retry", seed)
        end, fault = float("inf"), Fault("timeout", "")
        for number in range(settings.attempts):
            await self._rates.admit(tokens)
            if self._over:
                raise EnvironmentFailure(self._over)
            if number == 0:
                end = clock() + settings.deadline
            elif clock() >= end:
                break
            found = await self._attempt(body, min(settings.timeout, end - clock()), read)
            if not isinstance(found, Fault):
                self._rates.correct(tokens - found[1] if found[1] else 0)
                return found[0]
            self._rates.correct(tokens)
            fault = found
            wait = self._wait(fault, number, stream)
            if not fault.again or number + 1 == settings.attempts or clock() + wait >= end:
                break
            await asyncio.sleep(wait)
        return fault

    def _wait(self, fault: Fault, number: int, stream: Stream) -> float:
        """Seconds before the next attempt: full jitter, after what the server asks for.

        Raises:
            EnvironmentFailure: the fault says that nothing can be asked any more.
        """
        if fault.stops:
            raise self._stopped(f"cannot be asked: {fault.stops} ({fault.value})")
        if fault.wait is not None:
            if fault.wait > self._settings.deadline:
                raise self._stopped(
                    f"asks to wait {fault.wait:g} s ({fault.value}), longer than `deadline`: run "
                    "again then; what was answered is kept"
                )
            self._rates.pause(fault.wait)
        return (fault.wait or 0.0) + backoff(self._settings.pause, number, stream)

    async def _attempt(
        self, body: bytes, seconds: float, read: Callable[[bytes], tuple[Read, int]]
    ) -> tuple[Read, int] | Fault:
        heard = await self._exchange("POST", "chat/completions", body, seconds)
        if isinstance(heard, Fault):
            return heard
        if heard.status != 200:
            return self.fault(heard)
        try:
            return read(heard.body)
        except ValueError as error:
            wrong = str(error)
        if not ({"Content-Length", "Transfer-Encoding"} & {*heard.headers}):
            # Its end was where the connection's was, so it may have had more to say.
            return Fault("cut stream", self._key.told(wrong), again=True)
        text = heard.body.decode(errors="replace")
        return Fault("malformed reply", self._key.told(f"{wrong}: {text}"))

    def fault(self, heard: Heard) -> Fault:
        """What an answer with another status than 200 means."""
        text = said(heard.body)
        if 300 <= heard.status < 400:
            text = heard.headers.get("Location", "")
        return refused(heard.status, self._key.told(text), retry_after(heard.headers))

    async def _exchange(
        self, method: str, path: str, body: bytes | None, seconds: float
    ) -> Heard | Fault:
        """One request and all of its answer. Redirects are not followed: they would take the key.

        Errors of aiohttp hold the request's headers, so none leaves this function.
        """
        import aiohttp

        begun = False
        try:
            async with asyncio.timeout(seconds):
                async with self._http.request(
                    method,
                    f"{self._settings.url.rstrip('/')}/{path}",
                    data=None if body is None else io.BytesIO(body),
                    allow_redirects=False,
                    proxy=self._proxy,
                ) as response:
                    begun = True
                    return await _heard(response)
        except TimeoutError:
            return Fault("timeout", f"no answer within {seconds:.3g} s", again=True)
        except (aiohttp.ClientError, OSError) as error:
            found = self._key.told(f"{type(error).__name__}: {error}")
        return Fault("cut stream" if begun else "server error", found, again=True)


async def _heard(response: Any) -> Heard | Fault:
    """All of an answer, as far as it is not endless."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            return Fault("malformed reply", f"more than {LARGEST >> 20} MB")
    return Heard(response.status, response.headers, b"".join(parts))


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for a URL; none for this machine's own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host == "localhost" or host == "::1" or host.startswith("127."):
        return None
    if urllib.request.proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def backoff(pause: float, number: int, stream: Stream) -> float:
    """Seconds to wait after failed attempt `number`, from 0: anything up to twice the last most."""
    return min(LONGEST_PAUSE, pause * 2**number) * stream.uniform()
