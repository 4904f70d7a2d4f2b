"""A stage's worker at the end of a queue: shards are put in from one side, entries come back.

The worker is one generator that lives as long as its stage, in a thread of its own, so that it may
look at the next shard before it gives up the last.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from queue import SimpleQueue

from mgdata.engine.stage import Stage
from mgdata.manifest import Entry, Shard


class Line:
    """Serialises concurrent `put` calls through one worker."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._queue: SimpleQueue[Shard] = SimpleQueue()
        self._waiting: dict[str, Future[Entry]] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def put(self, shard: Shard) -> Entry:
        """Wait for this shard's entry; raises what the worker raised."""
        future: Future[Entry] = Future()
        with self._lock:
            self._waiting[shard.name] = future
            self._queue.put(shard)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
        return future.result()

    def _shards(self) -> Iterator[Shard]:
        while True:
            yield self._queue.get()

    def _work(self) -> None:
        try:
            for entry in self._stage.open()(self._shards()):
                self._waiting.pop(entry.name).set_result(entry)
        except BaseException as error:
            # The generator is gone: everybody who waits is told, and the next `put` opens anew.
            with self._lock:
                waiting, self._waiting = self._waiting, {}
                self._queue, self._thread = SimpleQueue(), None
            for future in waiting.values():
                future.set_exception(error)
