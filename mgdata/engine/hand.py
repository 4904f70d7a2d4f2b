"""The Ray actor: feeds shards to a stage's worker in a thread and hands its entries back.

Runs on a worker's node. Checks what equal bytes need: the driver's modules, and its run folder.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from mgdata.engine.line import Line
from mgdata.engine.stage import Stage, close_all
from mgdata.errors import EnvironmentFailure
from mgdata.manifest import Entry, Shard, holder
from mgdata.resources import versions
from mgdata.storage import Store


class Hand:
    """One worker. `run` may be called twice at once, so that a shard waits beside the other."""

    def __init__(self, search_path: list[str]) -> None:
        # Ray puts the driver's working folder first; a folder named `builders` lying there must
        # not shadow ours, so the driver's own order is restored before anything is unpickled.
        sys.path[:] = [*search_path, *(p for p in sys.path if p not in search_path and p)]
        self._opened = 0
        self._lock = threading.Lock()
        self._line: Line | None = None

    def hello(self) -> dict[str, Any]:
        """Where this worker runs, and with which versions."""
        import ray

        return {
            "node": ray.get_runtime_context().get_node_id(),
            "pid": os.getpid(),
            "host": os.uname().nodename,
            "versions": versions(),
        }

    def run(self, turn: int, stage: bytes, owner: str, shard: Shard) -> Entry:
        """Do one shard of the stage whose turn it is, in the run that `owner` has locked."""
        line = self._at(turn, stage, owner)
        if line is None:
            raise RuntimeError(f"shard {shard.name} came after its stage had ended")
        return line.put(shard)

    def drain(self, turn: int, stage: bytes, owner: str, puts: int) -> None:
        """Say that no shards will follow the first `puts` of a stage."""
        if line := self._at(turn, stage, owner):
            line.drain(puts)

    def close(self) -> None:
        """Close what stages keep in this process, before it is killed."""
        close_all()

    def _at(self, turn: int, stage: bytes, owner: str) -> Line | None:
        """The line of a stage, opened by whichever call comes first; None when it is past.

        Nobody waits for a `drain`, and calls run in threads: one may wake up when the next stage
        has begun, and must not open its own again, nor hold a thread for ever.
        """
        import cloudpickle

        with self._lock:
            if turn < self._opened:
                return None
            if turn > self._opened:
                if self._line:  # its `drain` may be late; two stages must not share a model
                    self._line.end()
                found: Stage = cloudpickle.loads(stage)
                _see(found.out, owner)
                self._line, self._opened = Line(found), turn
            return self._line


def _see(out: str, owner: str) -> None:
    """Raise where this node's `out` is not the folder whose lock the driver holds."""
    if owner and holder(Store(out)) != owner:
        raise EnvironmentFailure(
            f"the worker on {os.uname().nodename} does not see the run's folder {out}: put --out "
            "on a disk or a store that every node of the cluster shares"
        )
