"""Stages whose workers need something, or keep something open until their engine is closed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lazy_stage
from lazy_stage import publish

from mgdata.engine.stage import Worker, on_close
from mgdata.manifest import Entry, Shard


@dataclass(frozen=True, kw_only=True)
class Needy(lazy_stage.Plain):
    """Needs what it is told to need; its workers write down the GPUs that they may see."""

    gpus: float = 0
    most_workers: int | None = None

    def open(self) -> Worker:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
        Path(self.out, f"{os.getpid()}.gpus").write_text(seen)
        return super().open()


@dataclass(frozen=True, kw_only=True)
class Keeping(lazy_stage.Plain):
    """Its workers keep something, and take their time to close it."""

    seconds: float = 0
    busy: float = 0
    """Seconds for which nothing comes after an entry."""

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        mark = Path(self.out, f"{os.getpid()}.closed")

        def close() -> None:
            time.sleep(self.seconds)
            mark.touch()

        on_close(close)
        for shard in shards:
            yield publish(self.out, shard)
            time.sleep(self.busy)


@dataclass(frozen=True, kw_only=True)
class Ending(lazy_stage.Plain):
    """Its worker says when it has ended."""

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        yield from super()._work(shards)
        Path(self.out, "ended").touch()
