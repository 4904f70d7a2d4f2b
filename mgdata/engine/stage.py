"""What a stage promises and what an engine does with it.

A stage is plain data that travels to workers. `open` makes the worker there: a function from an
iterator of shards to an iterator of entries, one each. A CPU stage is a for-loop; a GPU backend
may pull the next shard before it yields the last, so that its engine never idles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

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
