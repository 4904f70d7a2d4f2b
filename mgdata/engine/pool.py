"""The Ray engine's workers: hired without waiting for any, greeted as they come, replaced.

A cluster that lost a node may have no place for a replacement: whoever is left goes on, and the
replacement joins when there is room. Knows nothing of shards.
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


class Pool:
    """Actors by what they said of themselves."""

    def __init__(self, tell: Tell, calls: int) -> None:
        self._tell = tell
        self._calls = calls
        self._alone_since = time.monotonic()
        self._stillborn = 0
        self.actors: dict[Any, dict[str, Any]] = {}
        """Workers at hand."""
        self.coming: dict[Any, Any] = {}
        """Hired workers by the reference of their greeting."""

    def hire(self, n: int) -> None:
        """Ask Ray for n more workers."""
        import ray

        made: Any = ray.remote(Hand)
        remote = made.options(num_cpus=1, max_concurrency=self._calls, scheduling_strategy="SPREAD")
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
        raise EnvironmentFailure(
            f"no Ray worker started within {START_SECONDS:.0f} s: the cluster has no free CPU, or "
            "its nodes are gone; see `ray status`"
        )

    def dismiss(self) -> None:
        """Let all of them go."""
        import ray

        for actor in [*self.actors, *self.coming.values()]:
            ray.kill(actor)
        self.actors.clear()
        self.coming.clear()


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
