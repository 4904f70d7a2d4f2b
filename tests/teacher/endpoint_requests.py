"""Requests and pictures for tests of the endpoint, and sessions that end with the test."""

from __future__ import annotations

import hashlib
import io
import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from faulty_server import MODEL, FaultyServer

from mgdata.data import Reply, Request, Sampling
from mgdata.plugins import Session
from mgdata.teacher.backends.endpoint import Endpoint

QUICK: dict[str, Any] = {"pause": 0.01, "timeout": 5.0, "deadline": 10.0}
"""Waits that a test can wait for."""


@cache
def picture(number: int, side: int = 32) -> tuple[str, bytes]:
    """SHA-256 and bytes of a PNG of noise."""
    from PIL import Image

    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return hashlib.sha256(file.getvalue()).hexdigest(), file.getvalue()


STORED = {sha: data for sha, data in (picture(number) for number in range(4))}


def request(number: int = 0, **fields: Any) -> Request:
    """A request unlike those of other numbers."""
    usual: dict[str, Any] = {
        "key": f"key-{number}",
        "prompt": f"prompt-{number}",
        "system": "Be brief.",
        "user": f"What is in picture {number}?",
        "pictures": (),
        "sampling": Sampling(max_tokens=16),
        "seed": number,
    }
    return Request(**(usual | fields))


def requests(count: int) -> Iterator[Request]:
    return map(request, range(count))


@contextmanager
def opened(server: FaultyServer, /, **settings: Any) -> Iterator[Session]:
    """A session with a server, and no thread of it longer than the block."""
    usual: dict[str, Any] = {"url": server.url, "name": MODEL} | QUICK
    session = Endpoint(**(usual | settings)).open(STORED.__getitem__)
    try:
        yield session
    finally:
        session.close()


def asked(server: FaultyServer, given: Iterable[Request], /, **settings: Any) -> dict[str, Reply]:
    """Replies by key."""
    with opened(server, **settings) as session:
        return {reply.key: reply for reply in session.answer(iter(given))}


def soon(holds: Any, seconds: float = 5.0) -> bool:
    """Whether something comes to hold."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.is_alive()}


def endless() -> Iterator[Request]:
    return map(request, itertools.count())
