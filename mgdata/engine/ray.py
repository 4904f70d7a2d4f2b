"""The Ray engine: a pool of actors, local by default, a cluster by address.

A stage that needs GPUs has a pool of its own, which stays until the engine is closed, so that a
model stays loaded between two rounds of the stage while the CPU pool does other stages.

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
from mgdata.engine.stage import More, Needs, Stage, Tell, always, needs
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
GRAIN = 1e-4
"""Parts of a GPU smaller than this are no part for Ray, but 1 // 0.1 is 9."""
KNOCK_SECONDS = 10.0
"""How long a cluster may take to answer."""
STORE_BYTES = 256 * 1024 * 1024
"""Ray's object store: only stages and entries pass through it, never data."""


class RayEngine:
    """A pool of at most `workers` actors, and one for GPUs. Ray starts with the first stage."""

    def __init__(
        self, tell: Tell, *, workers: int | None = None, address: str | None = None
    ) -> None:
        self._tell = tell
        self._workers = workers
        self._address = address
        self._pools: dict[Needs, Pool] = {}
        self._own = False

    def run(self, stage: Stage, shards: Sequence[Shard], more: More = always) -> Iterator[Entry]:
        """Entries in the order of completion, until `more` says False."""
        yield from _Round(self._pool(stage), self._tell, stage, shards, more).entries()

    def close(self) -> None:
        """Let the workers go, and a Ray that was started here."""
        import ray

        try:
            while self._pools:
                self._pools.popitem()[1].dismiss()
        finally:
            if self._own:
                ray.shutdown()
                self._own = False

    def _pool(self, stage: Stage) -> Pool:
        """The workers for a stage, hired with the first that needs their like."""
        import ray

        said = needs(stage)
        like = said if said.gpus else Needs()
        if like in self._pools:
            return self._pools[like]
        begin = time.monotonic()
        self._connect()
        if like.gpus:
            workers = self._places(stage.name, like)
            for other in [other for other in self._pools if other.gpus]:
                self._pools.pop(other).dismiss()  # it may hold the very GPUs
        else:
            workers = self._workers or int(ray.cluster_resources().get("CPU", 1))
        # A call to drain comes beside those to run.
        pool = self._pools[like] = Pool(self._tell, OPEN + 1, like.gpus)
        pool.hire(workers)
        pool.gather()
        facts = {"workers": workers, "seconds": time.monotonic() - begin}
        self._tell("engine started", facts | ({"gpus": workers * like.gpus} if like.gpus else {}))
        return pool

    def _connect(self) -> None:
        import ray

        if ray.is_initialized():
            return
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

    def _places(self, stage: str, like: Needs) -> int:
        """How many workers of `like.gpus` GPUs the cluster's nodes take, and are wanted."""
        import ray

        nodes: list[Any] = ray.nodes()
        gpus = [node["Resources"].get("GPU", 0.0) for node in nodes if node["Alive"]]
        places = sum(int(has / like.gpus + GRAIN) for has in gpus)
        if not places:
            where = "this machine" if self._own and not self._address else "the cluster"
            spread = f" on {len(gpus)} nodes, {max(gpus):g} at most on one" if len(gpus) > 1 else ""
            raise EnvironmentFailure(
                f"stage {stage} takes {like.gpus:g} GPU{'s' if like.gpus > 1 else ''} a worker and "
                f"{where} has {sum(gpus):g}{spread}: name a cluster that has them with --address, "
                "or have a worker take fewer"
            )
        return min(wanted for wanted in (places, self._workers, like.most) if wanted)

    def _options(self) -> dict[str, Any]:
        """What `ray.init` is told. Nothing of GPUs: it finds those that are there."""
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

    def __init__(
        self, pool: Pool, tell: Tell, stage: Stage, shards: Sequence[Shard], more: More
    ) -> None:
        import cloudpickle
        import ray

        self._pool = pool
        self._tell = tell
        self._name = stage.name
        self._most = needs(stage).most
        self._more: More | None = more
        self._queue = deque(shards)
        self._flying: dict[Any, tuple[Any, Shard]] = {}
        self._losses: dict[str, int] = {}
        self._given: dict[Any, int] = {}
        self._drained: dict[Any, int] = {}
        turn = time.monotonic_ns()
        self._work = (turn, ray.put(cloudpickle.dumps(stage)), holder(Store(stage.out)))

    def entries(self) -> Iterator[Entry]:
        """Entries as they come, until every shard has one, or no more are wanted."""
        import ray

        while self._queue or self._flying:
            self._fill()
            if not self._queue and not self._flying:
                return
            self._drain()
            refs = [*self._flying, *self._pool.coming]
            ready, _ = ray.wait(refs, num_returns=1, timeout=5.0)
            if not ready:
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
        takers = self._pool.takers(self._name, self._most)
        load: dict[Any, list[Shard]] = {actor: [] for actor in takers}
        for actor, shard in self._flying.values():
            load[actor].append(shard)
        while self._queue and load:
            actor = min(load, key=lambda a: len(load[a]))
            held = load[actor]
            if len(held) >= OPEN or any(self._suspect(shard) for shard in held):
                del load[actor]
            elif held and self._suspect(self._queue[0]):
                return
            elif not self._wanted():
                self._queue.clear()
            else:
                held.append(self._queue.popleft())
                self._give(actor, held[-1])

    def _wanted(self) -> bool:
        """Whether another shard may be handed out. After the first no, nobody is asked again."""
        if self._more and not self._more():
            self._more = None
        return self._more is not None

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
        if self._more:
            self._queue.extendleft(reversed(shards))
            self._tell("shards re-queued", {"shards": names})
