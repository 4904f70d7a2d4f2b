"""The queue before a stage's worker: entries to whom they belong, errors to everybody."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import lazy_stage
import pytest

from mgdata.engine.line import Line
from mgdata.engine.serial import SerialEngine
from mgdata.engine.stage import Worker
from mgdata.errors import EnvironmentFailure, PluginError


def quiet(name: str, facts: dict[str, object]) -> None:
    del name, facts


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=8) as threads:
        yield threads


@dataclass(frozen=True, kw_only=True)
class Counted(lazy_stage.Plain):
    opened: list[str]

    def open(self) -> Worker:
        self.opened.append("once")
        return super().open()


def test_each_put_gets_the_entry_of_its_own_shard(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    line = Line(lazy_stage.Plain(out=str(tmp_path)))
    names = "abcdefgh"
    found = list(pool.map(lambda shard: line.put(shard).name, lazy_stage.shards(names)))
    assert found == list(names)


def test_one_worker_serves_a_line_until_it_is_drained(tmp_path: Path) -> None:
    stage = Counted(out=str(tmp_path), opened=[])
    line = Line(stage)
    for shard in lazy_stage.shards("abc"):
        line.put(shard)
    assert stage.opened == ["once"]
    line.drain(3)
    assert line.put(lazy_stage.shards("d")[0]).name == "d"
    assert stage.opened == ["once", "once"]
    line.drain(4)


def test_a_worker_that_looks_ahead_gives_its_last_entry_when_the_line_is_drained(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    line = Line(lazy_stage.LookAhead(out=str(tmp_path)))
    # Drained first: calls reach a line in any order.
    drained = pool.submit(line.drain, 3)
    puts = [pool.submit(line.put, shard) for shard in lazy_stage.shards("abc")]
    assert [put.result(10).name for put in puts] == ["a", "b", "c"]
    drained.result(10)


def test_shards_that_come_after_draining_open_the_worker_anew(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    line = Line(lazy_stage.LookAhead(out=str(tmp_path)))
    first = pool.submit(line.put, lazy_stage.shards("a")[0])
    line.drain(1)
    assert first.result(10).name == "a"
    second = pool.submit(line.put, lazy_stage.shards("b")[0])
    line.drain(2)
    assert second.result(10).name == "b"


def test_an_error_reaches_everybody_who_waits_and_the_next_shard_starts_afresh(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    line = Line(lazy_stage.Plain(out=str(tmp_path)))
    slow, bad = lazy_stage.shards("ab", a=0.3, b="environment")
    puts = [pool.submit(line.put, slow), pool.submit(line.put, bad)]
    assert puts[0].result(10).name == "a"
    with pytest.raises(EnvironmentFailure, match="the disk of b is full"):
        puts[1].result(10)
    assert line.put(lazy_stage.shards("c")[0]).name == "c"
    line.drain(3)


def test_a_worker_that_cannot_be_opened_says_why_at_once(tmp_path: Path) -> None:
    line = Line(lazy_stage.Unopenable(out=str(tmp_path)))
    for shard in lazy_stage.shards("ab"):
        with pytest.raises(EnvironmentFailure, match="does not fit"):
            line.put(shard)


def test_a_worker_that_ends_too_early_is_named(tmp_path: Path) -> None:
    line = Line(lazy_stage.Forgetful(out=str(tmp_path)))
    with pytest.raises(PluginError, match="stage lazy ended without an entry for a"):
        line.put(lazy_stage.shards("a", a="forgotten")[0])


def test_the_serial_engine_gives_entries_in_order_and_lets_a_worker_look_ahead(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    engine = SerialEngine(lambda name, facts: told.append(f"{name} {facts['shard']}"))
    stage = lazy_stage.LookAhead(out=str(tmp_path))
    assert [entry.name for entry in engine.run(stage, lazy_stage.shards("abc"))] == ["a", "b", "c"]
    assert told == ["shard started a", "shard started b", "shard started c"]


def test_the_serial_engine_names_a_worker_that_ends_too_early(tmp_path: Path) -> None:
    shards = lazy_stage.shards("ab", b="forgotten")
    with pytest.raises(PluginError, match="ended without an entry for b"):
        list(SerialEngine(quiet).run(lazy_stage.Forgetful(out=str(tmp_path)), shards))


def test_the_serial_engine_lets_a_stage_raise_as_itself(tmp_path: Path) -> None:
    shards = lazy_stage.shards("a", a="plain error")
    with pytest.raises(ValueError, match="a is not a number"):
        list(SerialEngine(quiet).run(lazy_stage.Plain(out=str(tmp_path)), shards))
