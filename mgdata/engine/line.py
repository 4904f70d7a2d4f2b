"""A stage's worker at the end of a queue: shards are put in from one side, entries come back.

The worker is one generator in a thread of its own, so that it may look at the next shard before
it gives up the last. It lives until it is told that no more shards come.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from queue import SimpleQueue

from mgdata.engine.stage import Stage, unfinished
from mgdata.manifest import Entry, Shard


class Line:
    """Serialises concurrent `put` calls through one worker, opened with the first."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._session: _Session | None = None
        self._puts = 0
        self._changed = threading.Condition()

    def put(self, shard: Shard) -> Entry:
        """Wait for this shard's entry; raises what the worker raised."""
        future: Future[Entry] = Future()
        with self._changed:
            if self._session is None or not self._session.give(shard, future):
                if self._session:  # two models at once would not fit on one GPU
                    self._session.thread.join()
                self._session = _Session(self._stage, shard, future)
            self._puts += 1
            self._changed.notify_all()
        return future.result()

    def drain(self, puts: int) -> None:
        """Let the worker end once `puts` shards in all were put: no more are coming.

        Calls reach a line in any order, so the last shard may come after this. A `put` that
        comes later all the same opens the worker anew.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._puts >= puts)
            if self._session:
                self._session.end()

    def end(self) -> None:
        """Let the worker end after the shards it has, whatever was drained, and wait for it."""
        with self._changed:
            session = self._session
        if session:
            session.end()
            session.thread.join()


class _Session:
    """One life of a worker. It has its first shard before it starts, and so whom to fail to."""

    def __init__(self, stage: Stage, shard: Shard, future: Future[Entry]) -> None:
        self._stage = stage
        self._queue: SimpleQueue[Shard | None] = SimpleQueue()
        self._waiting: dict[str, Future[Entry]] = {}
        self._open = True
        self._lock = threading.Lock()
        self.give(shard, future)
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def give(self, shard: Shard, future: Future[Entry]) -> bool:
        """Queue one shard; False where the worker takes no more."""
        with self._lock:
            if self._open:
                self._waiting[shard.name] = future
                self._queue.put(shard)
            return self._open

    def end(self) -> None:
        """No more shards."""
        with self._lock:
            self._open = False
            self._queue.put(None)

    def _work(self) -> None:
        try:
            for entry in self._stage.open()(self._shards()):
                self._done(entry)
            failure = None
        except BaseException as error:
            failure = error
        with self._lock:
            self._open = False
            left, self._waiting = self._waiting, {}
        for future in left.values():
            future.set_exception(failure or unfinished(self._stage, left))

    def _shards(self) -> Iterator[Shard]:
        while (shard := self._queue.get()) is not None:
            yield shard

    def _done(self, entry: Entry) -> None:
        with self._lock:
            future = self._waiting.pop(entry.name)
        future.set_result(entry)
