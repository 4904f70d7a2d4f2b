"""The Ray engine: a pool of actors, local by default, a cluster by address.

At most two shards are open a worker: one at work, one waiting beside it. A lost actor or node
gives its shards back to the queue and is replaced. Knows shards and entries, nothing else.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mgdata.engine.stage import Stage, Tell
from mgdata.errors import EnvironmentFailure
from mgdata.manifest import Entry, Shard
from mgdata.resources import versions

# Ray's uv hook would ship the working folder, its virtual environment included, to every worker.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

OPEN = 2
"""Shards a worker holds at once."""
START_SECONDS = 120
"""How long workers may take to start."""
LOSSES = 3
"""How often a shard may lose its worker before it is blamed."""


class Hand:
    """The actor: feeds shards to a stage's worker in a thread and hands its entries back."""

    def __init__(self, search_path: list[str]) -> None:
        # Ray puts the driver's working folder first; a folder named `builders` lying there must
        # not shadow ours, so the driver's own order is restored before anything is unpickled.
        sys.path[:] = [*search_path, *(p for p in sys.path if p not in search_path and p)]
        self._opened = ""
        self._opening = threading.Lock()
        self._line: Any = None

    def hello(self) -> dict[str, Any]:
        """Where this worker runs, and with which versions."""
        import ray

        context = ray.get_runtime_context()
        return {
            "node": context.get_node_id(),
            "pid": os.getpid(),
            "host": os.uname().nodename,
            "versions": versions(),
        }

    def run(self, token: str, stage: bytes, shard: Shard) -> Entry:
        """Do one shard of the stage that `token` names. Two calls may wait at once."""
        import cloudpickle

        from mgdata.engine.line import Line

        with self._opening:
            if self._opened != token:
                self._line = Line(cloudpickle.loads(stage))
                self._opened = token
        return self._line.put(shard)


class RayEngine:
    """A pool of `workers` actors. Ray starts with the first shard, not before."""

    def __init__(
        self, tell: Tell, *, workers: int | None = None, address: str | None = None
    ) -> None:
        self._tell = tell
        self._workers = workers
        self._address = address
        self._actors: dict[Any, dict[str, Any]] = {}
        self._started = False

    def run(self, stage: Stage, shards: Sequence[Shard]) -> Iterator[Entry]:
        """Entries in the order of completion."""
        import cloudpickle
        import ray

        self._start()
        blob = ray.put(cloudpickle.dumps(stage))
        token = f"{stage.name}-{time.monotonic_ns()}"
        queue = deque(shards)
        lost: dict[str, int] = {}
        flying: dict[Any, tuple[Any, Shard]] = {}
        while queue or flying:
            self._fill(queue, flying, stage.name, token, blob)
            ready, _ = ray.wait(list(flying), num_returns=1, timeout=5.0)
            for ref in ready:
                if ref not in flying:  # its actor died earlier in this very round
                    continue
                actor, shard = flying.pop(ref)
                try:
                    yield ray.get(ref)
                except ray.exceptions.RayActorError as error:
                    self._bury(actor, [shard, *_drain(flying, actor)], queue, lost, error)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from error

    def close(self) -> None:
        """Let the actors go, and a Ray that was started here."""
        if not self._started:
            return
        import ray

        for actor in self._actors:
            ray.kill(actor)
        self._actors.clear()
        ray.shutdown()
        self._started = False

    def _start(self) -> None:
        import logging

        import ray

        if self._started:
            return
        begin = time.monotonic()
        os.environ.setdefault("RAY_DEDUP_LOGS", "1")
        options: dict[str, Any] = {"include_dashboard": False, "logging_level": logging.ERROR}
        if self._address:
            options = {"address": self._address, "logging_level": logging.ERROR}
        else:
            self._workers = self._workers or os.cpu_count() or 1
            options |= {"address": "local", "num_cpus": self._workers}
        try:
            if not ray.is_initialized():
                ray.init(log_to_driver=False, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise EnvironmentFailure(
                f"Ray did not start{f' at {self._address}' if self._address else ''}: {error}; "
                "check the address, or use --engine serial"
            ) from error
        self._started = True
        workers = self._workers or int(ray.cluster_resources().get("CPU", 1))
        self._hire(workers)
        self._tell("engine started", {"workers": workers, "seconds": time.monotonic() - begin})

    def _hire(self, n: int) -> None:
        import ray

        here = str(Path.cwd())
        paths = [p for p in sys.path if p and p != here and Path(p).is_dir()]
        remote = ray.remote(num_cpus=1, max_concurrency=OPEN, scheduling_strategy="SPREAD")(Hand)
        actors = [remote.remote(paths) for _ in range(n)]
        try:
            found = ray.get([actor.hello.remote() for actor in actors], timeout=START_SECONDS)
        except (ray.exceptions.RayError, TimeoutError) as error:
            raise EnvironmentFailure(
                f"a Ray worker did not start: {str(error).strip().splitlines()[-1]}"
            ) from error
        for actor, facts in zip(actors, found, strict=True):
            _refuse_other_versions(facts)
            self._actors[actor] = facts
            self._tell("worker started", {"node": facts["node"], "pid": facts["pid"]})

    def _fill(
        self, queue: deque[Shard], flying: dict[Any, tuple[Any, Shard]], stage: str,
        token: str, blob: Any,
    ) -> None:  # fmt: skip
        load = dict.fromkeys(self._actors, 0)
        for actor, _ in flying.values():
            load[actor] += 1
        while queue and load:
            actor = min(load, key=lambda a: load[a])
            if load[actor] >= OPEN:
                return
            shard = queue.popleft()
            flying[actor.run.remote(token, blob, shard)] = (actor, shard)
            load[actor] += 1
            facts = self._actors[actor]
            self._tell(
                "shard started", {"stage": stage, "shard": shard.name, "node": facts["node"]}
            )

    def _bury(
        self, actor: Any, shards: list[Shard], queue: deque[Shard], lost: dict[str, int],
        error: Exception,
    ) -> None:  # fmt: skip
        facts = self._actors.pop(actor, {"node": "", "pid": 0})
        names = [shard.name for shard in shards]
        self._tell("worker lost", {"node": facts["node"], "pid": facts["pid"], "shards": names})
        for shard in shards:
            lost[shard.name] = lost.get(shard.name, 0) + 1
            if lost[shard.name] >= LOSSES:
                raise EnvironmentFailure(
                    f"shard {shard.stage}/{shard.name} lost its worker {LOSSES} times: most "
                    "likely it ran out of memory; use fewer --workers or smaller shards"
                ) from error
        queue.extendleft(reversed(shards))
        self._tell("shards re-queued", {"shards": names})
        self._hire(1)


def _refuse_other_versions(facts: dict[str, Any]) -> None:
    mine = versions()
    unlike = [f"{k} {mine[k]} here, {v} there" for k, v in facts["versions"].items() if mine[k] != v]
    if unlike:
        raise EnvironmentFailure(
            f"the worker on {facts['host']} differs from this driver ({'; '.join(unlike)}): "
            "equal bytes need equal versions; install the same constraints.txt there"
        )


def _drain(flying: dict[Any, tuple[Any, Shard]], actor: Any) -> list[Shard]:
    """Take a dead actor's other shards out of the air."""
    refs = [ref for ref, (owner, _) in flying.items() if owner == actor]
    return [flying.pop(ref)[1] for ref in refs]
