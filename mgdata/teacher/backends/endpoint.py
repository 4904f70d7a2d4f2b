"""Any server that speaks OpenAI's chat completions: vLLM, SGLang, or one that somebody hosts.

Requests go out from an event loop in a thread of its own, so many at once; faults that pass are
waited for, others fail their request alone. Knows nothing of samples or notations.

One request costs 0.25 ms of CPU here, 64 at once against a server on loopback, and 0.9 ms with
three photos of 100 kB that no other one has. 0.10 ms of that is aiohttp's; httpx takes 0.65.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from mgdata.data import Reply, Request
from mgdata.errors import EnvironmentFailure, Rejected
from mgdata.plugins import Backend, Session
from mgdata.teacher.backends.addresses import Addresses
from mgdata.teacher.backends.attempts import Server
from mgdata.teacher.backends.chat import failed
from mgdata.teacher.backends.checkpoints import engine_package
from mgdata.teacher.backends.completions import (
    OURS,
    Completion,
    Dialect,
    Forms,
    LengthName,
    body,
    content,
    follows,
    form,
    parameters,
    read,
    reckoned,
    replies,
    spent,
)
from mgdata.teacher.backends.faults import Fault
from mgdata.teacher.backends.flights import flow
from mgdata.teacher.backends.keys import check_name, key_of

Result = TypeVar("Result")

AHEAD = 8
"""Requests taken beyond those that run: ready to be sent, or answered and not yet taken."""
KNOCK_SECONDS = 10.0
"""How long a server may take to say which models it has."""


@dataclass(frozen=True, kw_only=True)
class Endpoint(Backend):
    """An OpenAI-compatible server.

    vLLM gives the same answer to the same seed as far as its numbers do: in bfloat16 the size of
    a batch can turn a near tie. What is hosted promises nothing of the kind, and may change behind
    its name: the stored answers are then the only record. The order of replies is that of their
    completion.
    """

    url: str
    """What stands before `/chat/completions`, such as `http://127.0.0.1:8000/v1`."""
    name: str
    """The model, as the server lists it."""
    revision: str = ""
    """What of the model is served there, as far as you know: a commit, a date. It is not sent, but
    told in every answer; with another one, all is asked anew."""
    key_from: str = ""
    """Environment variable that holds the server's key, such as OPENAI_API_KEY; empty: no key."""
    server: Dialect = "vllm"
    """Whose additions it knows: `openai` takes neither `top_k` nor `ignore_eos`."""
    forms: Forms = "vllm"
    """How an answer is held to a schema or a pattern: vLLM's `structured_outputs`, `guided` as
    vLLM had it before 0.12, `sglang`'s, `openai`'s `response_format`, which takes no pattern, or
    not at all."""
    length: LengthName = "max_tokens"
    """What it calls the limit of an answer: OpenAI's newer models take max_completion_tokens."""
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    """Further parameters of every request, such as `chat_template_kwargs`. They count as part of
    the model: with others, all is asked anew."""
    images: Literal["data", "path"] = "data"
    """Whether pictures go along, or as `file://` to a server that may read `folder`."""
    folder: str = ""
    """For `images: path`: a local folder, the same for the server, where pictures are written once
    under their hash. vLLM reads it where it was started with --allowed-local-media-path."""
    together: bool = False
    """Send neighbours that differ only in seeds, each one more than the last, as one request for
    several answers: the prompt is read once. Only vLLM counts seeds up like this."""
    concurrency: int = 32
    """Requests at once."""
    requests_per_minute: float = 0.0
    """Most that are sent, attempts counted, spread evenly; 0: no limit."""
    tokens_per_minute: float = 0.0
    """Most tokens of prompts and answers. A request counts with its longest answer until the
    server says what it was; 0: no limit."""
    timeout: float = 300.0
    """Seconds for one attempt, from sending to the last byte."""
    deadline: float = 1800.0
    """Seconds for all attempts of a request and the waits between them, from the first one on."""
    attempts: int = 6
    """Most attempts, where the server is busy (429), fails (5xx), hangs or drops the connection."""
    pause: float = 1.0
    """Seconds before the second attempt, at most: each is drawn from 0 to twice the last one's
    most, up to a minute, after what the server asks for (Retry-After)."""
    give_up: int = 16
    """Requests in a row without an answer after all their attempts, after which nothing more is
    asked and the stage stops."""
    wait: float = 0.0
    """Seconds that a server which is still starting is waited for."""

    def __post_init__(self) -> None:
        """Refuse what no server could be asked with."""
        check_name(self.key_from)
        _check_url(self.url)
        if not self.name:
            raise ValueError("name: expected the name of a model, found nothing")
        for name in ("concurrency", "attempts", "give_up"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, found {getattr(self, name)}")
        for name in ("timeout", "deadline"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: expected seconds, found {getattr(self, name)}")
        for name in ("requests_per_minute", "tokens_per_minute", "pause", "wait"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: expected 0 or more, found {getattr(self, name)}")
        if (self.images == "path") != bool(self.folder) or "://" in self.folder:
            raise ValueError("folder: expected a local folder with `images: path`, else nothing")
        if self.together and self.server != "vllm":
            raise ValueError("together: only `server: vllm` counts seeds up; leave it out")
        if taken := sorted(OURS & self.extra.keys()):
            raise ValueError(f"extra: {taken[0]} is not to be set here; the recipe's sampling is")

    @property
    def model(self) -> str:
        """Name, revision and the settings that shape answers."""
        told = [] if self.forms == "vllm" else [f"forms={self.forms}"]
        told += [
            f"{key}={json.dumps(self.extra[key], sort_keys=True)}" for key in sorted(self.extra)
        ]
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.name}{revision}" + (f"[{','.join(told)}]" if told else "")

    def open(self, pictures: Callable[[str], bytes]) -> Session:
        """Reach the server and see that it has the model.

        Raises:
            EnvironmentFailure: it cannot be reached, does not take the key or has no such model.
        """
        engine_package("aiohttp", "`pip install aiohttp`")
        session = EndpointSession(self, pictures)
        try:
            session.knock()
        except BaseException:
            session.close()
            raise
        return session


class EndpointSession(Session):
    """A server that answers, and the loop that talks to it. Limits hold over all it is asked."""

    def __init__(self, settings: Endpoint, pictures: Callable[[str], bytes]) -> None:
        self._settings = settings
        self._key = key_of(settings.key_from)
        folder = Path(settings.folder).expanduser().resolve() if settings.folder else None
        self._addresses = Addresses(pictures, folder)
        self._said: tuple[object, msgspec.Raw] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="endpoint")
        self._thread.start()
        self._server: Server = self._await(self._made())

    def knock(self) -> None:
        """See that the server is up and has the model, as far as it says.

        Raises:
            EnvironmentFailure: it is not, or has not.
        """
        end = time.monotonic() + self._settings.wait
        while True:
            heard = self._await(self._server.get("models", KNOCK_SECONDS))
            fault = heard if isinstance(heard, Fault) else None
            if not isinstance(heard, Fault):
                if heard.status == 200:
                    return self._look_up(heard.body)
                fault = self._server.fault(heard)
                if fault.stops and heard.status not in (404, 405):
                    raise EnvironmentFailure(
                        f"{self._settings.url} cannot be asked: {fault.stops} ({fault.value})"
                    )
                if heard.status < 500:
                    return None  # it is up, and does not tell; the first request will
            if time.monotonic() >= end:
                raise EnvironmentFailure(
                    f"{self._settings.url} cannot be reached: {fault.value if fault else ''}; "
                    "start the server, mend `url`, or set `wait` to the seconds that it takes to "
                    "start"
                )
            time.sleep(min(1.0, max(0.0, end - time.monotonic())))

    def answer(self, requests: Iterator[Request]) -> Iterator[Reply]:
        """Replies as they come; the iterator is read in a thread of its own.

        At most `concurrency` and a few more are taken and not yet given back as replies.

        Raises:
            EnvironmentFailure: nothing can be asked any more; what was answered by then is
                yielded first.
            UsageError: the server does not take what the sampling says.
        """
        if self._loop.is_closed():
            raise ValueError("the session is closed")
        joins = follows if self._settings.together else None
        return flow(requests, self._send, self._settings.concurrency + AHEAD, joins)

    def close(self) -> None:
        """Cancel what is asked, close every connection and end the thread."""
        if self._loop.is_closed():
            return
        try:
            self._await(self._finish())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _send(self, group: list[Request]) -> Future[list[Reply]]:
        first, settings = group[0], self._settings
        try:
            told = self._content(first)
        except Rejected as fault:
            unfit: Future[list[Reply]] = Future()
            unfit.set_result([failed(one, fault.reason, fault.value or "") for one in group])
            return unfit
        drawn = parameters(first.sampling, settings.server, settings.length)
        asked = body(
            settings.name, group, told, {**drawn, **form(first, settings.forms), **settings.extra}
        )
        return asyncio.run_coroutine_threadsafe(self._ask(group, asked), self._loop)

    def _content(self, request: Request) -> msgspec.Raw:
        """The request's messages; neighbours with the same ones are encoded once."""
        of = (request.system, request.user, request.pictures)
        if self._said is None or self._said[0] != of:
            self._said = of, content(request, self._addresses)
        return self._said[1]

    async def _ask(self, group: list[Request], asked: bytes) -> list[Reply]:
        def reading(data: bytes) -> tuple[Completion, int]:
            found = read(data, len(group))
            return found, spent(found)

        found = await self._server.ask(group[0].key, asked, reckoned(group), reading)
        if isinstance(found, Fault):
            return [failed(request, found.reason, found.value) for request in group]
        return replies(group, found, self._key.hide)

    def _look_up(self, listed: bytes) -> None:
        try:
            names = [model.id for model in msgspec.json.decode(listed, type=_Listed).data]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        wanted = self._settings.name
        if not names or any(name == wanted or name.endswith(f"/{wanted}") for name in names):
            return
        near = difflib.get_close_matches(wanted, names, 3, 0.0)
        told = self._key.told(", ".join(near))
        raise EnvironmentFailure(
            f"no such model: {self._settings.url} does not list {wanted!r}; set `name` to one that "
            f"it lists, such as {told}"
        )

    async def _made(self) -> Server:
        return Server(self._settings, self._key)

    async def _finish(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.close()
        await self._loop.shutdown_default_executor()

    def _await(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class _Listed(msgspec.Struct):
    class Model(msgspec.Struct):
        id: str

    data: list[Model]


def _check_url(url: str) -> None:
    """Refuse what is no base URL; one that may hold a secret is not repeated.

    Raises:
        ValueError: says what is wrong.
    """
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "url: expected no user, password, query or fragment in it; a key belongs into the "
            "environment variable that `key_from` names"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url: expected such as http://127.0.0.1:8000/v1, found {url!r}")
    if parts.path.rstrip("/").endswith("/completions"):
        raise ValueError(f"url: expected what stands before /chat/completions, found {url!r}")
