"""The Ray engine's workers: hired without waiting for any, greeted as they come, replaced.

A cluster that lost a node may have no place for a replacement: whoever is left goes on, and the
replacement joins when there is room. Workers are let go when what they keep is closed. Knows
nothing of shards.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from mgdata.engine.hand import Hand
from mgdata.engine.stage import Tell
from mgdata.errors import EnvironmentFailure
from mgdata.resources import PACKAGE, versions

START_SECONDS = 120.0
"""How long to be without any worker before giving up."""
JOIN_SECONDS = 15.0
"""How long to wait at the start for the other workers once the first is there."""
STILLBORN = 3
"""How many workers in a row may die before they say hello."""
CLOSE_SECONDS = 20.0
"""How long workers may take to close what they keep, all together."""

_CLOSE = "close"
"""Calls of this group have a thread of their own: a worker at work can be closed."""


class Pool:
    """Actors by what they said of themselves. Each takes a CPU, or `gpus` GPUs."""

    def __init__(self, tell: Tell, calls: int, gpus: float = 0) -> None:
        self._tell = tell
        self._calls = calls
        self._gpus = gpus
        self._takers: dict[str, list[Any]] = {}
        self._alone_since = time.monotonic()
        self._stillborn = 0
        self.actors: dict[Any, dict[str, Any]] = {}
        """Workers at hand."""
        self.coming: dict[Any, Any] = {}
        """Hired workers by the reference of their greeting."""

    def hire(self, n: int) -> None:
        """Ask Ray for n more workers."""
        import ray

        decorated: Any = ray.remote  # its types know no groups
        made = decorated(concurrency_groups={_CLOSE: 1})(Hand)
        # The other pool has every CPU: a worker with a GPU must not wait for one.
        taken = {"num_gpus": self._gpus, "num_cpus": 0} if self._gpus else {"num_cpus": 1}
        remote = made.options(**taken, max_concurrency=self._calls, scheduling_strategy="SPREAD")
        for _ in range(n):
            actor = remote.remote(_search_path())
            self.coming[actor.hello.remote()] = actor

    def gather(self) -> None:
        """Wait for the first worker, and a little for the others."""
        import ray

        wait: float = 1.0
        began = time.monotonic()
        while self.coming and (not self.actors or time.monotonic() - began < JOIN_SECONDS):
            ready, _ = ray.wait(list(self.coming), num_returns=1, timeout=wait)
            for ref in ready:
                self.greet(ref)
            self.check()

    def greet(self, ref: Any) -> None:
        """Take in the worker whose greeting has come.

        Raises:
            EnvironmentFailure: it runs other versions, or workers keep dying at their start.
        """
        import ray
        from ray.exceptions import RayError

        actor = self.coming.pop(ref)
        try:
            facts: Any = ray.get(ref)
        except RayError as error:
            self._stillborn += 1
            if self._stillborn >= STILLBORN:
                raise EnvironmentFailure(
                    f"Ray workers do not start: {_last_line(error)}; is mgdata installed on "
                    "every node of the cluster?"
                ) from error
            self.hire(1)
            return
        _refuse_other_versions(facts)
        self._stillborn = 0
        self.actors[actor] = facts
        self._tell("worker started", {"node": facts["node"], "pid": facts["pid"]})

    def takers(self, stage: str, most: int | None) -> list[Any]:
        """The workers at hand that may have a stage's shards: at most `most`.

        Always the same for a stage as long as they live, since they may keep something for it;
        another takes the place of a lost one.
        """
        if most is None:
            return list(self.actors)
        before = [actor for actor in self._takers.get(stage, []) if actor in self.actors]
        others = [actor for actor in self.actors if actor not in before]
        self._takers[stage] = [*before, *others][:most]
        return self._takers[stage]

    def lose(self, actor: Any) -> dict[str, Any]:
        """Take a dead worker out and hire another; what the dead one said of itself."""
        import ray

        facts = self.actors.pop(actor)
        ray.kill(actor)  # an actor that is only out of reach must not go on with its shards
        if not self.actors:
            self._alone_since = time.monotonic()
        self.hire(1)
        return facts

    def check(self) -> None:
        """Raise where no worker has been there for too long."""
        if self.actors or time.monotonic() - self._alone_since < START_SECONDS:
            return
        lacking = f"no {self._gpus:g} free GPUs on one node" if self._gpus else "no free CPU"
        raise EnvironmentFailure(
            f"no Ray worker started within {START_SECONDS:.0f} s: the cluster has {lacking}, or "
            "its nodes are gone; see `ray status`"
        )

    def dismiss(self) -> None:
        """Let all of them go. Waits only for those that have something to close."""
        import ray

        try:
            self._close()
        finally:
            for actor in [*self.actors, *self.coming.values()]:
                ray.kill(actor)
            self.actors.clear()
            self.coming.clear()

    def _close(self) -> None:
        """Have workers close what they keep; tell of those that could not, or not in time."""
        import ray
        from ray.exceptions import RayError

        asked = {
            actor.close.options(concurrency_group=_CLOSE).remote(): facts
            for actor, facts in self.actors.items()
        }
        if not asked:
            return
        closed, late = ray.wait(list(asked), num_returns=len(asked), timeout=CLOSE_SECONDS)
        why = dict.fromkeys(late, f"not done within {CLOSE_SECONDS:.0f} s")
        for ref in closed:
            try:
                ray.get(ref)
            except RayError as error:
                why[ref] = _last_line(error)
        for ref, reason in why.items():
            facts = asked[ref]
            self._tell(
                "worker not closed", {"node": facts["node"], "pid": facts["pid"], "why": reason}
            )


def _search_path() -> list[str]:
    """The driver's module search path, without the folder it happens to stand in."""
    here, own = str(Path.cwd()), str(PACKAGE.parent)
    return [p for p in sys.path if p and (p != here or p == own) and Path(p).is_dir()]


def _refuse_other_versions(facts: dict[str, Any]) -> None:
    mine: dict[str, str] = versions()
    theirs: dict[str, str] = facts["versions"]
    unlike = [
        f"{name} {mine.get(name, 'none')} here, {theirs.get(name, 'none')} there"
        for name in {**mine, **theirs}
        if mine.get(name) != theirs.get(name)
    ]
    if unlike:
        raise EnvironmentFailure(
            f"the worker on {facts['host']} differs from this driver ({'; '.join(unlike)}): "
            "equal bytes need equal versions; install the same mgdata and constraints.txt there"
        )


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
