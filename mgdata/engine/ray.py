"""The Ray engine: a pool of actors, local by default, a cluster by address.

At most two shards are open a worker: one at work, one waiting beside it. A lost actor or node
gives its shards back to the queue and is replaced. Knows shards and entries, nothing else.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any

from mgdata.engine.pool import Pool
from mgdata.engine.stage import Stage, Tell
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.manifest import Entry, Shard, holder
from mgdata.storage import Store

for _name, _value in {
    # Ray's uv hook would ship the working folder, its virtual environment included, to workers.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Of a dead actor one error is raised; the calls that nobody waits for need not be printed.
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}.items():
    os.environ.setdefault(_name, _value)

OPEN = 2
"""Shards a worker holds at once."""
LOSSES = 3
"""How often a shard may lose its worker before it is blamed."""
LONGEST_TEMP = 40
"""Ray's sockets lie 65 characters below the temporary folder, and may have 107 in all."""
KNOCK_SECONDS = 10.0
"""How long a cluster may take to answer."""
STORE_BYTES = 256 * 1024 * 1024
"""Ray's object store: only stages and entries pass through it, never data."""


class RayEngine:
    """A pool of `workers` actors. Ray starts with the first shard, not before."""

    def __init__(
        self, tell: Tell, *, workers: int | None = None, address: str | None = None
    ) -> None:
        self._tell = tell
        self._workers = workers
        self._address = address
        self._pool: Pool | None = None
        self._own = False

    def run(self, stage: Stage, shards: Sequence[Shard]) -> Iterator[Entry]:
        """Entries in the order of completion."""
        yield from _Round(self._start(), self._tell, stage, shards).entries()

    def close(self) -> None:
        """Let the workers go, and a Ray that was started here."""
        import ray

        if self._pool:
            self._pool.dismiss()
            self._pool = None
        if self._own:
            ray.shutdown()
            self._own = False

    def _start(self) -> Pool:
        import ray

        if self._pool:
            return self._pool
        begin = time.monotonic()
        if not ray.is_initialized():
            if self._address:
                knock(self._address)
            self._own = True
            if len(tempfile.gettempdir()) > LONGEST_TEMP:
                os.environ.setdefault("RAY_TMPDIR", "/tmp")
            try:
                ray.init(**self._options())
            except (OSError, RuntimeError, ValueError) as error:
                raise EnvironmentFailure(
                    f"Ray did not start{f' at {self._address}' if self._address else ''}: {error}; "
                    "check the address, or use --engine serial"
                ) from error
        workers = self._workers or int(ray.cluster_resources().get("CPU", 1))
        self._pool = Pool(self._tell, OPEN + 1)  # a call to drain comes beside those to run
        self._pool.hire(workers)
        self._pool.gather()
        self._tell("engine started", {"workers": workers, "seconds": time.monotonic() - begin})
        return self._pool

    def _options(self) -> dict[str, Any]:
        told: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self._address:
            return told | {"address": self._address}
        return told | {
            "address": "local",
            "num_cpus": self._workers or os.cpu_count() or 1,
            "include_dashboard": False,
            "object_store_memory": STORE_BYTES,
        }


def knock(address: str) -> None:
    """Raise where nobody listens at HOST:PORT: Ray itself would try for seven minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--address {address}: expected HOST:PORT of a Ray cluster's head")
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise EnvironmentFailure(
            f"no Ray cluster answers at {address}: {error}; check --address, or leave it out to "
            "start Ray on this machine"
        ) from error


class _Round:
    """One stage's shards, from the queue to their entries."""

    def __init__(self, pool: Pool, tell: Tell, stage: Stage, shards: Sequence[Shard]) -> None:
        import cloudpickle
        import ray

        self._pool = pool
        self._tell = tell
        self._name = stage.name
        self._queue = deque(shards)
        self._flying: dict[Any, tuple[Any, Shard]] = {}
        self._losses: dict[str, int] = {}
        self._given: dict[Any, int] = {}
        self._drained: dict[Any, int] = {}
        turn = time.monotonic_ns()
        self._work = (turn, ray.put(cloudpickle.dumps(stage)), holder(Store(stage.out)))

    def entries(self) -> Iterator[Entry]:
        """Entries as they come, until every shard has one."""
        import ray

        while self._queue or self._flying:
            self._fill()
            self._drain()
            refs = [*self._flying, *self._pool.coming]
            ready, _ = ray.wait(refs, num_returns=1, timeout=5.0)
            self._pool.check()
            for ref in ready:
                if ref in self._pool.coming:
                    self._pool.greet(ref)
                elif ref in self._flying:
                    yield from self._land(ref)

    def _land(self, ref: Any) -> Iterator[Entry]:
        import ray
        from ray.exceptions import RayError, RayTaskError

        actor, shard = self._flying.pop(ref)
        try:
            entry: Entry = ray.get(ref)
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            self._bury(actor, shard, error)
        else:
            yield entry

    def _fill(self) -> None:
        """Hand out shards. One that has lost a worker before is alone with its next.

        So a shard that kills its workers takes no other down with it a second time, and the
        blame falls on the right one.
        """
        load: dict[Any, list[Shard]] = {actor: [] for actor in self._pool.actors}
        for actor, shard in self._flying.values():
            load[actor].append(shard)
        while self._queue and load:
            actor = min(load, key=lambda a: len(load[a]))
            held = load[actor]
            if len(held) >= OPEN or any(self._suspect(shard) for shard in held):
                del load[actor]
            elif held and self._suspect(self._queue[0]):
                return
            else:
                held.append(self._queue.popleft())
                self._give(actor, held[-1])

    def _suspect(self, shard: Shard) -> bool:
        return shard.name in self._losses

    def _give(self, actor: Any, shard: Shard) -> None:
        self._flying[actor.run.remote(*self._work, shard)] = (actor, shard)
        self._given[actor] = self._given.get(actor, 0) + 1
        node = self._pool.actors[actor]["node"]
        self._tell("shard started", {"stage": self._name, "shard": shard.name, "node": node})

    def _drain(self) -> None:
        """Tell the workers that could hold more, and get none, to wait for none."""
        held = Counter(actor for actor, _ in self._flying.values())
        for actor, load in held.items():
            given = self._given[actor]
            if load < OPEN and given != self._drained.get(actor):
                actor.drain.remote(*self._work, given)
                self._drained[actor] = given

    def _bury(self, actor: Any, shard: Shard, error: Exception) -> None:
        held = [ref for ref, (owner, _) in self._flying.items() if owner == actor]
        shards = [shard, *(self._flying.pop(ref)[1] for ref in held)]
        names = [shard.name for shard in shards]
        facts = self._pool.lose(actor)
        self._tell("worker lost", {"node": facts["node"], "pid": facts["pid"], "shards": names})
        for shard in shards:
            self._losses[shard.name] = self._losses.get(shard.name, 0) + 1
            if self._losses[shard.name] >= LOSSES:
                raise EnvironmentFailure(
                    f"shard {shard.stage}/{shard.name} lost its worker {LOSSES} times: most "
                    "likely it ran out of memory; use fewer --workers or smaller shards"
                ) from error
        self._queue.extendleft(reversed(shards))
        self._tell("shards re-queued", {"shards": names})
