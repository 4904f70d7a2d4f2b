"""What stages may ask of an engine: GPUs, few workers, an early end, a word before the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import keeping_stage
import lazy_stage
import pytest

from mgdata.engine import stage as stages
from mgdata.engine.hand import Hand
from mgdata.engine.ray import RayEngine
from mgdata.engine.serial import SerialEngine
from mgdata.engine.stage import Engine, Needs, close_all, needs, on_close
from mgdata.errors import EnvironmentFailure, PluginError

Events = list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def gpus() -> Iterator[None]:
    """A Ray with two CPUs, and two GPUs that are but numbers."""
    import ray

    ray.init(
        address="local", num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False,
        object_store_memory=100 * 1024 * 1024,
    )  # fmt: skip
    yield
    ray.shutdown()


@pytest.fixture
def closers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing registered in this process, and nothing left registered."""
    monkeypatch.setattr(stages, "_closers", [])


@pytest.fixture
def told() -> Events:
    return []


@pytest.fixture
def engine(gpus: None, told: Events) -> Iterator[RayEngine]:
    made = RayEngine(lambda name, facts: told.append((name, facts)))
    yield made
    made.close()


def pids(entries: Iterator[Any]) -> list[int]:
    return [int(entry.worker.rpartition(":")[2]) for entry in entries]


def yes_times(n: int) -> Any:
    """Says yes n times, then no, and fails if it is asked again."""
    answers = iter([True] * n + [False])
    return lambda: next(answers)


def test_a_stages_worker_has_ended_before_the_next_stage_opens_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    first, second = lazy_stage.shards("ab")
    hand = Hand([])
    hand.run(1, cloudpickle.dumps(keeping_stage.Ending(out=str(tmp_path))), "", first)
    assert not (tmp_path / "ended").exists()  # it was not drained
    hand.run(2, cloudpickle.dumps(lazy_stage.Plain(out=str(tmp_path))), "", second)
    assert (tmp_path / "ended").exists()


def test_a_stage_that_says_nothing_needs_nothing(tmp_path: Path) -> None:
    assert needs(lazy_stage.Plain(out=str(tmp_path))) == Needs()
    said = keeping_stage.Needy(out=str(tmp_path), gpus=0.5, most_workers=3)
    assert needs(said) == Needs(gpus=0.5, most=3)


@pytest.mark.parametrize("wrong", [{"gpus": -1.0}, {"most_workers": 0}])
def test_needs_that_nobody_can_meet_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match="stage lazy has gpus="):
        needs(keeping_stage.Needy(out=str(tmp_path), **wrong))


def test_workers_of_a_gpu_stage_have_a_gpu_each_and_stay_from_round_to_round(
    engine: RayEngine, told: Events, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    work = lazy_stage.shards("abcdef", **dict.fromkeys("abcdef", 0.1))
    before = pids(engine.run(keeping_stage.Needy(out=str(first), gpus=1.0), work))
    between = pids(engine.run(lazy_stage.Plain(out=str(first)), work))
    after = pids(engine.run(keeping_stage.Needy(out=str(second), gpus=1.0), work))
    assert set(before) == set(after)
    assert len(set(before)) == len(set(between)) == 2
    assert not set(before) & set(between)
    for folder in (first, second):
        seen = {int(path.stem): path.read_text() for path in folder.glob("*.gpus")}
        assert seen.keys() == set(before)
        assert sorted(seen.values()) == ["0", "1"]
    starts = [facts for name, facts in told if name == "engine started"]
    assert [(s["workers"], s.get("gpus")) for s in starts] == [(2, 2.0), (2, None)]


def test_stages_that_take_other_gpus_follow_one_another(engine: RayEngine, tmp_path: Path) -> None:
    work = lazy_stage.shards("ab")
    both = set(pids(engine.run(keeping_stage.Needy(out=str(tmp_path), gpus=2.0), work)))
    (one,) = both
    assert sorted(Path(tmp_path, f"{one}.gpus").read_text().split(",")) == ["0", "1"]
    part = keeping_stage.Needy(out=str(tmp_path), gpus=0.5, most_workers=3)
    assert not both & set(pids(engine.run(part, work)))


def test_too_few_gpus_for_one_worker_are_told_in_a_sentence(
    engine: RayEngine, tmp_path: Path
) -> None:
    stage = keeping_stage.Needy(out=str(tmp_path), gpus=4.0, name="answer")
    with pytest.raises(
        EnvironmentFailure,
        match=r"^stage answer takes 4 GPUs a worker and the cluster has 2: name a cluster that has",
    ):
        next(engine.run(stage, lazy_stage.shards("a")))


def test_one_worker_does_every_shard_of_every_round_where_a_stage_wants_no_more(
    engine: RayEngine, told: Events, tmp_path: Path
) -> None:
    stage = keeping_stage.Needy(out=str(tmp_path), most_workers=1)
    slow = lazy_stage.shards("abcdef", **dict.fromkeys("abcdef", 0.05))
    rounds = [pids(engine.run(stage, slow)) for _ in range(2)]
    assert len([name for name, _ in told if name == "worker started"]) == 2
    assert len({*rounds[0], *rounds[1]}) == 1
    assert len(rounds[0]) == len(rounds[1]) == 6


def test_another_worker_takes_the_place_of_the_only_one_when_it_is_lost(
    engine: RayEngine, told: Events, tmp_path: Path
) -> None:
    stage = keeping_stage.Needy(out=str(tmp_path), most_workers=1)
    found = list(engine.run(stage, lazy_stage.shards("abcd", b="killer once")))
    assert sorted(entry.name for entry in found) == list("abcd")
    (lost,) = [facts["pid"] for name, facts in told if name == "worker lost"]
    assert len(set(pids(iter(found))) - {lost}) == 1


@pytest.mark.parametrize("kind", [lazy_stage.Plain, lazy_stage.LookAhead])
def test_the_serial_engine_ends_when_no_more_is_wanted(
    tmp_path: Path, kind: type[lazy_stage.Plain]
) -> None:
    engine: Engine = SerialEngine(lambda *_: None)
    found = engine.run(kind(out=str(tmp_path)), lazy_stage.shards("abcdef"), yes_times(3))
    assert [entry.name for entry in found] == ["a", "b", "c"]


def test_no_worker_is_opened_where_nothing_is_wanted(tmp_path: Path) -> None:
    stage = lazy_stage.Unopenable(out=str(tmp_path))
    engine = SerialEngine(lambda *_: None)
    assert list(engine.run(stage, lazy_stage.shards("ab"), yes_times(0))) == []


@pytest.mark.parametrize("kind", [lazy_stage.Plain, lazy_stage.LookAhead])
def test_the_ray_engine_finishes_what_is_at_work_when_no_more_is_wanted(
    engine: RayEngine, told: Events, tmp_path: Path, kind: type[lazy_stage.Plain]
) -> None:
    shards = lazy_stage.shards("abcdefghij")
    found = sorted(e.name for e in engine.run(kind(out=str(tmp_path)), shards, yes_times(5)))
    assert found == list("abcde")
    assert sorted(f["shard"] for name, f in told if name == "shard started") == found
    assert list(engine.run(kind(out=str(tmp_path)), shards, yes_times(0))) == []


def test_a_lost_shard_is_not_begun_again_when_no_more_is_wanted(
    engine: RayEngine, told: Events, tmp_path: Path
) -> None:
    stage = keeping_stage.Needy(out=str(tmp_path), most_workers=1)
    shards = lazy_stage.shards("abc", a="killer")
    assert list(engine.run(stage, shards, yes_times(1))) == []
    assert [facts["shards"] for name, facts in told if name == "worker lost"] == [["a"]]
    assert "shards re-queued" not in {name for name, _ in told}


def test_closers_are_called_at_each_close_the_last_first_and_whatever_others_raise(
    closers: None,
) -> None:
    calls: list[str] = []

    def first() -> None:
        calls.append("first")

    def failing() -> None:
        calls.append("failing")
        raise ValueError("already gone")

    for closer in (first, failing, first):
        on_close(closer)
    with pytest.raises(ValueError, match="already gone"):
        close_all()
    assert calls == ["failing", "first"]


def test_the_serial_engine_closes_what_its_stages_keep(closers: None, tmp_path: Path) -> None:
    engine = SerialEngine(lambda *_: None)
    list(engine.run(keeping_stage.Keeping(out=str(tmp_path)), lazy_stage.shards("a")))
    mark = tmp_path / f"{os.getpid()}.closed"
    assert not mark.exists()
    engine.close()
    assert mark.exists()


def test_the_ray_engine_lets_its_workers_close_what_they_keep(
    engine: RayEngine, told: Events, tmp_path: Path
) -> None:
    stage = keeping_stage.Keeping(out=str(tmp_path), seconds=0.5)
    used = set(pids(engine.run(stage, lazy_stage.shards("abcdef"))))
    assert not list(tmp_path.glob("*.closed"))
    engine.close()
    assert {int(path.stem) for path in tmp_path.glob("*.closed")} == used
    assert "worker not closed" not in {name for name, _ in told}


def test_workers_are_closed_while_they_are_at_work(engine: RayEngine, tmp_path: Path) -> None:
    stage = keeping_stage.Keeping(out=str(tmp_path), busy=300.0)
    done = next(engine.run(stage, lazy_stage.shards("abcdef")))
    engine.close()
    assert int(done.worker.rpartition(":")[2]) in {
        int(path.stem) for path in tmp_path.glob("*.closed")
    }


def test_a_worker_that_does_not_close_in_time_is_told_of_and_let_go(
    engine: RayEngine, told: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mgdata.engine.pool.CLOSE_SECONDS", 0.2)
    stage = keeping_stage.Keeping(out=str(tmp_path), seconds=300.0)
    (pid,) = pids(engine.run(stage, lazy_stage.shards("a")))
    engine.close()
    late = [facts for name, facts in told if name == "worker not closed"]
    assert [(facts["pid"], facts["why"]) for facts in late] == [(pid, "not done within 0 s")]
