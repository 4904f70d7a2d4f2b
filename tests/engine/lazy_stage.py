"""Stages for testing engines: they write an entry a shard, and misbehave when told to."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mgdata.engine.stage import Worker
from mgdata.errors import EnvironmentFailure
from mgdata.manifest import Entry, Shard
from mgdata.stages.finish import Finish
from mgdata.storage import Store


def shards(names: str, **payloads: object) -> list[Shard]:
    """A shard for each letter of `names`."""
    return [
        Shard(stage="lazy", name=name, fingerprint="f", payload=payloads.get(name))
        for name in names
    ]


def publish(out: str, shard: Shard) -> Entry:
    finish = Finish(Store(out), shard)
    finish.table("lazy", ".txt", lambda path: path.write_text(shard.name) and None)
    return finish.entry(1, Counter(), ())


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A for-loop. A payload is a number of seconds, or a word for what goes wrong."""

    out: str
    name: str = "lazy"

    def open(self) -> Worker:
        return self._work

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        for shard in shards:
            self._misbehave(shard)
            yield publish(self.out, shard)

    def _misbehave(self, shard: Shard) -> None:
        if isinstance(shard.payload, float):
            time.sleep(shard.payload)
        elif shard.payload == "killer":
            os.kill(os.getpid(), signal.SIGKILL)
        elif shard.payload == "killer once" and not (mark := Path(self.out, "killed")).exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        elif shard.payload == "environment":
            raise EnvironmentFailure(f"the disk of {shard.name} is full")
        elif shard.payload == "plain error":
            raise ValueError(f"{shard.name} is not a number")


@dataclass(frozen=True, kw_only=True)
class LookAhead(Plain):
    """Like a GPU backend: takes the next shard before it gives the last one's entry."""

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        last: Shard | None = None
        for shard in shards:
            self._misbehave(shard)
            if last:
                yield publish(self.out, last)
            last = shard
        if last:
            yield publish(self.out, last)


@dataclass(frozen=True, kw_only=True)
class Forgetful(Plain):
    """Breaks the contract: ends without an entry for the last shard it took."""

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        for shard in shards:
            if shard.payload == "forgotten":
                return
            yield publish(self.out, shard)


@dataclass(frozen=True, kw_only=True)
class Unopenable(Plain):
    """Its worker cannot be made."""

    def open(self) -> Callable[[Iterator[Shard]], Iterator[Entry]]:
        raise EnvironmentFailure("the model does not fit on this GPU")
