"""What a stage promises and what an engine does with it.

A stage is plain data that travels to workers. `open` makes the worker there: a function from an
iterator of shards to an iterator of entries, one each. A CPU stage is a for-loop; a GPU backend
may pull the next shard before it yields the last, so that its engine never idles: an engine ends
the iterator when no more shards are coming, and does not wait for an entry to do so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Protocol

from mgdata.errors import PluginError
from mgdata.manifest import Entry, Shard

Worker = Callable[[Iterator[Shard]], Iterator[Entry]]
Tell = Callable[[str, dict[str, Any]], None]
"""Takes an event's name and its facts."""


class Stage(Protocol):
    """A kind of work. Picklable; shards may run in any order, on any worker, more than once."""

    @property
    def name(self) -> str:
        """Names the stage's folder in the manifest."""
        ...

    @property
    def out(self) -> str:
        """The run's folder or URL: what every worker must see."""
        ...

    def open(self) -> Worker:
        """The worker, made where it will run."""
        ...


class Engine(Protocol):
    """Runs a stage's shards, each until its entry is there."""

    def run(self, stage: Stage, shards: Sequence[Shard]) -> Iterator[Entry]:
        """Entries in the order of completion.

        Raises whatever the stage raised, and `EnvironmentFailure` where workers keep dying.
        """
        ...

    def close(self) -> None:
        """Let workers go."""
        ...


def unfinished(stage: Stage, shards: Collection[str]) -> PluginError:
    """What to raise where a stage's worker ended before it had done all its shards."""
    return PluginError(
        f"stage {stage.name} ended without an entry for {', '.join(sorted(shards))}: its worker "
        "must yield one entry for every shard it takes"
    )
