"""vLLM as an OpenAI-compatible server on loopback, for the time of a `with` block."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from environments.engine import ARGUMENTS, VARIABLES
from processes import Started

MODEL = "tiny"
"""The name that requests must give."""


class Server(msgspec.Struct, frozen=True):
    """A server that answers, and how to talk to it."""

    url: str
    """Such as `http://127.0.0.1:4321/v1`: what a client calls its base URL."""
    media: Path
    """The folder whose files may be named as `file://`."""
    started: Started
    """Its process; `started.told` is its log."""

    def post(self, path: str, body: Any, seconds: float = 60.0) -> tuple[int, Any]:
        """Status and JSON body of one request."""
        return answered(f"{self.url}/{path}", json.dumps(body).encode(), seconds)


@contextmanager
def serving(checkpoint: Path, media: Path, **arguments: Any) -> Iterator[Server]:
    """A server until the block ends, and no process of it longer.

    `arguments` replace some of `engine.ARGUMENTS`.

    Raises:
        AssertionError: it ended, or was not healthy within three minutes; with its log.
    """
    port = free_port()
    started = Started(command(checkpoint, media, port, ARGUMENTS | arguments), env=environment())
    server = Server(f"http://127.0.0.1:{port}/v1", media, started)
    try:
        await_health(server)
        yield server
    finally:
        stop(started)


def command(checkpoint: Path, media: Path, port: int, arguments: dict[str, Any]) -> list[str]:
    """`vllm serve` is no way in: it asks for a distribution that the CPU build is not named."""
    words = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    words += ["--model", str(checkpoint), "--served-model-name", MODEL]
    words += ["--host", "127.0.0.1", "--port", str(port)]
    words += ["--allowed-local-media-path", str(media)]
    for name, value in arguments.items():
        words.append(f"--{'no-' if value is False else ''}{name.replace('_', '-')}")
        if not isinstance(value, bool):
            words.append(value if isinstance(value, str) else json.dumps(value))
    return words


def environment() -> dict[str, str]:
    """The settings of a server, which has an engine process of its own in any case."""
    return {**os.environ, **VARIABLES, "VLLM_ENABLE_V1_MULTIPROCESSING": "1"}


def await_health(server: Server, seconds: float = 180.0) -> None:
    """Until the server answers.

    Raises:
        AssertionError: it ended or took longer; with the end of its log.
    """
    health = f"{server.url.removesuffix('/v1')}/health"
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.started.process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(health, timeout=2) as reply:
            if reply.status == 200:
                return
        time.sleep(0.2)
    told = (server.started.printed + server.started.told)[-4000:]
    raise AssertionError(f"the server was not healthy within {seconds:g} s\n{told}")


def stop(started: Started) -> None:
    """Ends a server in good order, then whatever it left behind in its process group."""
    started.process.terminate()
    try:
        started.end(20)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.process.pid, signal.SIGKILL)


def answered(url: str, body: bytes, seconds: float) -> tuple[int, Any]:
    """Status and JSON of a request, an error's too."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=seconds) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
