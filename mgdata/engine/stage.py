"""What a stage promises and what an engine does with it.

A stage is plain data that travels to workers. `open` makes the worker there: a function from an
iterator of shards to an iterator of entries, one each. A CPU stage is a for-loop; a GPU backend
may pull the next shard before it yields the last, so that its engine never idles: an engine ends
the iterator when no more shards are coming, and does not wait for an entry to do so.

What a worker keeps beyond its stage, as a model, it closes by a function given to `on_close`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from mgdata.errors import PluginError
from mgdata.manifest import Entry, Shard

Worker = Callable[[Iterator[Shard]], Iterator[Entry]]
Tell = Callable[[str, dict[str, Any]], None]
"""Takes an event's name and its facts."""
More = Callable[[], bool]
"""Asked before each shard is handed out; False ends a stage early. Any thread may ask."""

_closers: list[Callable[[], None]] = []


class Stage(Protocol):
    """A kind of work. Picklable; shards may run in any order, on any worker, more than once.

    A stage whose workers need something has one or both of these attributes besides, see `needs`:

        gpus: float                 GPUs that one worker takes; without it none
        most_workers: int | None    most workers at once over the whole run; without it any number
    """

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


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage's workers need."""

    gpus: float = 0
    """GPUs that one worker takes."""
    most: int | None = None
    """Most workers that have the stage open at once, over the whole run; None: any number."""


def needs(stage: Stage) -> Needs:
    """What a stage says of its workers; nothing said, nothing needed.

    Raises:
        PluginError: it asks for less than no GPU, or lets nobody work.
    """
    gpus: float = getattr(stage, "gpus", 0)
    most: int | None = getattr(stage, "most_workers", None)
    if gpus < 0 or (most is not None and most < 1):
        raise PluginError(
            f"stage {stage.name} has gpus={gpus:g} and most_workers={most}: gpus must not be "
            "negative, and most_workers at least 1, or None"
        )
    return Needs(gpus=gpus, most=most)


def always() -> bool:
    """A `More` that never ends a stage early."""
    return True


class Engine(Protocol):
    """Runs a stage's shards, each until its entry is there."""

    def run(self, stage: Stage, shards: Sequence[Shard], more: More = always) -> Iterator[Entry]:
        """Entries in the order of completion.

        Once `more` has said False no further shard is handed out: those at work are finished, and
        the iterator ends with shards left. Raises whatever the stage raised, and
        `EnvironmentFailure` where workers keep dying or there is no place for any.
        """
        ...

    def close(self) -> None:
        """Let workers go, once what they keep is closed (`on_close`)."""
        ...


def on_close(closer: Callable[[], None]) -> None:
    """Have a function called in this process whenever an engine lets it go.

    It is for what outlives a stage's end, as a model's processes would outlive a killed worker.
    It may be called while the stage is at work, in another thread; where nothing is open it does
    nothing. Given twice, it is called once.
    """
    if closer not in _closers:
        _closers.append(closer)


def close_all() -> None:
    """Call what was given to `on_close`, the last first, each whatever the others raise.

    Raises the first error once all were called.
    """
    failures: list[Exception] = []
    for closer in reversed(_closers):
        try:
            closer()
        except Exception as error:
            failures.append(error)
    if failures:
        raise failures[0]


def unfinished(stage: Stage, shards: Collection[str]) -> PluginError:
    """What to raise where a stage's worker ended before it had done all its shards."""
    return PluginError(
        f"stage {stage.name} ended without an entry for {', '.join(sorted(shards))}: its worker "
        "must yield one entry for every shard it takes"
    )
