"""Requests taken in a thread of their own, so that a model need not wait for them, nor they for it.

The iterator of requests may wait for replies: it ends a shard with them and only then begins the
next but one. Whoever asked it in the thread that yields replies could wait for ever.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import Empty, Queue, SimpleQueue

import msgspec

from mgdata.data import Reply, Request
from mgdata.errors import EnvironmentFailure

A_MOMENT = 0.05
"""Seconds that a batch waits for each request after its first: a hundredth of what it takes, and
enough for a thread that is about to give it."""


class End(msgspec.Struct, frozen=True):
    """No more requests come."""

    error: BaseException | None = None
    """What the iterator raised, where it did not just end."""


class Feed:
    """Calls `give` with each request in order, then `end` once, in a thread of its own."""

    def __init__(
        self,
        requests: Iterator[Request],
        give: Callable[[Request], object],
        end: Callable[[End], object],
    ) -> None:
        self._requests, self._give, self._end = requests, give, end
        self.stopped = False
        """Set it to have no more given; a thread that waits for a request ends with the next."""

    def start(self) -> None:
        """Begins to take requests."""
        threading.Thread(target=self._work, daemon=True, name="requests").start()

    def _work(self) -> None:
        try:
            for request in self._requests:
                if self.stopped:
                    return
                self._give(request)
            self._end(End())
        except BaseException as error:
            self._end(End(error))


def in_flight(
    ask: Callable[[Request], Future[Reply]],
    requests: Iterator[Request],
    most: int,
    patience: float,
) -> Iterator[Reply]:
    """Replies as they come, with up to `most` requests asked at once.

    Raises:
        EnvironmentFailure: for `patience` seconds nothing came though something was asked.
        Exception: what `ask`, a future or the iterator raised; the rest is cancelled.
    """
    done: SimpleQueue[Future[Reply] | End] = SimpleQueue()
    room = threading.Semaphore(most)
    flying: set[Future[Reply]] = set()

    def give(request: Request) -> None:
        room.acquire()
        if feed.stopped:
            return
        future = ask(request)
        flying.add(future)
        future.add_done_callback(landed)

    def landed(future: Future[Reply]) -> None:
        room.release()
        done.put(future)

    feed = Feed(requests, give, done.put)
    feed.start()
    try:
        ended = False
        while flying or not ended:
            event = _awaited(done, flying, patience)
            if isinstance(event, End):
                ended = True
                if event.error:
                    raise event.error
            else:
                flying.discard(event)
                yield event.result()
    finally:
        feed.stopped = True
        room.release()  # for a thread that waits for room
        for future in list(flying):
            future.cancel()


def _awaited(
    done: SimpleQueue[Future[Reply] | End], flying: set[Future[Reply]], patience: float
) -> Future[Reply] | End:
    """The next event; the clock runs only while something is asked."""
    since: float | None = None
    while True:
        try:
            return done.get(timeout=min(1.0, patience))
        except Empty:
            # What flies now may have been asked a moment ago: its clock begins here.
            if not flying:
                since = None
            elif since is None:
                since = time.monotonic()
            elif time.monotonic() - since >= patience:
                raise EnvironmentFailure(
                    f"the engine gave no answer for {patience:g} s with {len(flying)} requests "
                    "asked: it hangs; what was answered is kept, so run again"
                ) from None


def batches(requests: Iterator[Request], most: int) -> Iterator[list[Request]]:
    """Requests in order, up to `most` together: as many as there are, or are in a moment.

    Raises:
        Exception: what the iterator raised.
    """
    waiting: Queue[Request | End] = Queue(most)
    feed = Feed(requests, waiting.put, waiting.put)
    feed.start()
    try:
        ended: End | None = None
        while ended is None:
            batch, ended = _together(waiting, most)
            if batch:
                yield batch
        if ended.error:
            raise ended.error
    finally:
        feed.stopped = True
        while not waiting.empty():  # for a thread that waits for room
            waiting.get_nowait()


def _together(waiting: Queue[Request | End], most: int) -> tuple[list[Request], End | None]:
    batch: list[Request] = []
    while len(batch) < most:
        try:
            event = waiting.get(timeout=A_MOMENT if batch else None)
        except Empty:
            break
        if isinstance(event, End):
            return batch, event
        batch.append(event)
    return batch, None
