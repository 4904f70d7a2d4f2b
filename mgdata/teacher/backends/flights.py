"""Requests that are under way together, alone or with their neighbours, and replies as they land.

A stream of requests goes in, one of replies comes out, and no more lies between than is allowed.
Knows no server.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue

from mgdata.data import Reply, Request
from mgdata.teacher.backends.feed import End, Feed

MOST_TOGETHER = 16
"""Neighbours that are sent as one."""
NEIGHBOUR_SECONDS = 0.05
"""How long neighbours wait for a further one."""

Send = Callable[[list[Request]], Future[list[Reply]]]
Joins = Callable[[Request, Request], bool]


def flow(
    requests: Iterator[Request], send: Send, most: int, joins: Joins | None
) -> Iterator[Reply]:
    """Replies as they land; at most `most` requests, and one, are taken and not yet yielded.

    `send` is called in another thread. `joins` says whether a request may go with the one before;
    None: each goes alone. Closing it early cancels what is under way.

    Raises:
        Exception: what `send` or a request's future raised, after the replies that had landed; or
            what the iterator raised.
    """
    flights = _Flights(send, most, joins)
    feed = Feed(requests, flights.take, flights.end)
    feed.start()
    try:
        yield from flights.landed()
    finally:
        feed.stopped = True
        flights.stop()


class _Flights:
    """What is under way. `take` and `end` belong to the feeding thread, the rest to the caller."""

    def __init__(self, send: Send, most: int, joins: Joins | None) -> None:
        self._send, self._joins = send, joins
        self._room = threading.Semaphore(most)
        self._done: SimpleQueue[Future[list[Reply]] | End] = SimpleQueue()
        self._flying: set[Future[list[Reply]]] = set()
        self._waiting: list[Request] = []
        self._lock = threading.Lock()
        self._stopped = False

    def take(self, request: Request) -> None:
        """Send a request, or keep it for its neighbours, as soon as there is room."""
        self._room.acquire()
        with self._lock:
            joined = self._joins and self._waiting and self._joins(self._waiting[-1], request)
            if not joined or len(self._waiting) == MOST_TOGETHER:
                self._launch()
            self._waiting.append(request)
            if self._joins is None:
                self._launch()

    def end(self, end: End) -> None:
        """No more requests come."""
        with self._lock:
            if end.error is None:
                try:
                    self._launch()
                except BaseException as error:
                    end = End(error)
        self._done.put(end)

    def landed(self) -> Iterator[Reply]:
        """Replies until the last one."""
        ended = False
        while self._flying or not ended:
            event = self._next()
            if isinstance(event, End):
                ended = True
                if event.error:
                    raise event.error
                continue
            failure = event.exception()
            if failure:
                yield from self._others_landed()
                raise failure
            yield from self._replies(event)

    def stop(self) -> None:
        """Cancel what is under way and let the feeding thread go."""
        with self._lock:
            self._stopped = True
            flying = list(self._flying)
        for future in flying:
            future.cancel()
        self._room.release()

    def _replies(self, event: Future[list[Reply]]) -> Iterator[Reply]:
        self._flying.discard(event)
        for reply in event.result():
            self._room.release()
            yield reply

    def _others_landed(self) -> Iterator[Reply]:
        while True:
            try:
                event = self._done.get_nowait()
            except Empty:
                return
            if not isinstance(event, End) and not event.cancelled() and not event.exception():
                yield from self._replies(event)

    def _next(self) -> Future[list[Reply]] | End:
        if self._joins is None:
            return self._done.get()
        while True:
            try:
                return self._done.get(timeout=NEIGHBOUR_SECONDS)
            except Empty:
                # The iterator may itself wait for a reply to what waits here.
                with self._lock:
                    self._launch()

    def _launch(self) -> None:
        """Send what waits; with the lock held."""
        if not self._waiting or self._stopped:
            return
        group, self._waiting = self._waiting, []
        future = self._send(group)
        self._flying.add(future)
        future.add_done_callback(self._done.put)
