"""An OpenAI-compatible server on loopback that fails as it is told to, and keeps what it was sent.

It speaks HTTP/1.1 itself, so that it can send what no proper server does: half a body, a wrong
length, no answer at all. It has no model: a request is answered with a digest of what it asks.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

MODEL = "tiny"


@dataclass(frozen=True, kw_only=True)
class Way:
    """How one request is answered; what is not said is done properly."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    """Bytes as they are, or what is sent as JSON; None: an answer."""
    seconds: float = 0.0
    """How long it takes."""
    hangs: bool = False
    """Nothing comes, ever."""
    drops: bool = False
    """The connection ends before a word is said."""
    cut: int | None = None
    """Bytes of the body that come before the connection ends."""
    dribbles: float | None = None
    """Seconds between bytes."""
    lengthless: bool = False
    """No length is sent: the end of the connection is the end of the body."""
    endless: bool = False
    """The body never ends."""


@dataclass
class Seen:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: Any
    at: float
    raw: bytes


def texts_of(body: Any) -> list[str]:
    """The answers to a request: equal ones have equal answers, and seeds count up as in vLLM."""
    asked = {key: value for key, value in body.items() if key not in ("seed", "n")}
    plain = json.dumps(asked, sort_keys=True)
    seeds = [body.get("seed", 0) + number for number in range(body.get("n", 1))]
    return [hashlib.sha256(f"{plain}{seed}".encode()).hexdigest()[:12] for seed in seeds]


def completion(body: Any) -> dict[str, Any]:
    """A proper answer."""
    choices = [
        {
            "index": number,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }
        for number, text in enumerate(texts_of(body))
    ]
    usage = {"prompt_tokens": 100, "completion_tokens": 12 * len(choices)}
    return {"id": "1", "object": "chat.completion", "choices": choices[::-1], "usage": usage}


def error(status: int, message: str, **fields: Any) -> Way:
    """An error as OpenAI words it."""
    return Way(status=status, body={"error": {"message": message, "code": status, **fields}})


def choice(**fields: Any) -> Way:
    """A proper answer but for some fields of its one choice."""
    usual: dict[str, Any] = {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}
    return Way(body={"choices": [usual | fields]})


class FaultyServer:
    """`way` says how the nth request, counted from 0, with this body is to be answered."""

    def __init__(self, way: Callable[[int, Any], Way], models: Way) -> None:
        self._way, self._models = way, models
        self.seen: list[Seen] = []
        """Requests for answers, in order."""
        self.looked_up: list[Seen] = []
        """Requests for the list of models."""
        self.running = 0
        self.peak = 0
        """Most that were answered at once."""
        self.gone = 0
        """Clients that went away before they had their answer."""
        self.port = 0
        self.loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def goes_down(self) -> None:
        """Called by another thread: nobody listens any more, until `comes_back`."""
        asyncio.run_coroutine_threadsafe(self.shut(), self.loop).result(10)

    def comes_back(self) -> None:
        """Called by another thread: it listens, on the same port as before."""
        asyncio.run_coroutine_threadsafe(self.listen(), self.loop).result(10)

    async def listen(self) -> None:
        self._listener = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=1 << 26
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Stop listening and drop every connection."""
        if self._listener:
            self._listener.close()
            self._listener = None
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        if self._listener is None:  # accepted just before it went down
            writer.transport.abort()
            return
        self._connections.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self._one(reader, writer):
                pass
        self._connections.discard(task)
        writer.transport.abort() if task.cancelling() else writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().strip().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        sent = await _body(reader, headers)
        seen = Seen(
            path=first.split()[1],
            headers=headers,
            body=json.loads(sent) if sent else None,
            at=time.monotonic(),
            raw=head + sent,
        )
        if seen.path.endswith("/models"):
            self.looked_up.append(seen)
            way = self._models
            body: Any = {"object": "list", "data": [{"id": MODEL}, {"id": "other/model"}]}
        else:
            number = len(self.seen)
            self.seen.append(seen)
            way, body = self._way(number, seen.body), None
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            return await self._answer(way, seen, body, reader, writer)
        finally:
            self.running -= 1

    async def _answer(
        self,
        way: Way,
        seen: Seen,
        body: Any,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        if way.drops:
            writer.transport.abort()
            return False
        if way.hangs or way.seconds:
            try:
                # A client that goes away ends its side, which is all that it could send.
                await asyncio.wait_for(reader.read(1), None if way.hangs else way.seconds)
            except TimeoutError:
                pass
            else:
                self.gone += 1
                return False
        said = way.body if way.body is not None else body or completion(seen.body)
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        head = [f"HTTP/1.1 {way.status} -", "Content-Type: application/json"]
        head += [f"{name}: {value}" for name, value in way.headers.items()]
        if way.endless:
            head.append("Transfer-Encoding: chunked")
        elif not way.lengthless:
            head.append(f"Content-Length: {len(data)}")
        writer.write("\r\n".join([*head, "", ""]).encode())
        while way.endless:
            writer.write(b"100000\r\n" + b" " * (1 << 20) + b"\r\n")
            await writer.drain()
        if way.dribbles is not None:
            for byte in data:
                writer.write(bytes([byte]))
                await asyncio.sleep(way.dribbles)
            return True
        writer.write(data if way.cut is None else data[: way.cut])
        await writer.drain()
        return way.cut is None and not way.lengthless


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    parts: list[bytes] = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(parts)


@contextmanager
def serving(
    way: Callable[[int, Any], Way] | Way | None = None, *, models: Way | None = None
) -> Iterator[FaultyServer]:
    """A server until the block ends, in a thread of its own."""
    chosen = way if callable(way) else lambda number, body: way or Way()
    server = FaultyServer(chosen, models or Way())
    thread = threading.Thread(target=server.loop.run_forever, name="faulty server")
    thread.start()
    try:
        server.comes_back()
        yield server
    finally:
        server.goes_down()
        server.loop.call_soon_threadsafe(server.loop.stop)
        thread.join()
        server.loop.close()


async def _alone() -> None:
    server = FaultyServer(lambda number, body: Way(), Way())
    await server.listen()
    print(server.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.shut()


if __name__ == "__main__":
    asyncio.run(_alone())
