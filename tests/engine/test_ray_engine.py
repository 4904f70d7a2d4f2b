"""The Ray engine on this machine: what goes wrong in a worker, and what a driver says of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import lazy_stage
import pytest

from mgdata.engine.hand import Hand
from mgdata.engine.ray import RayEngine
from mgdata.errors import EnvironmentFailure, PluginError, UsageError
from mgdata.manifest import Lock, Manifest, holder
from mgdata.storage import Store

Events = list[tuple[str, dict[str, Any]]]


class Told:
    """Keeps an engine's events."""

    def __init__(self) -> None:
        self.events: Events = []

    def __call__(self, name: str, facts: dict[str, Any]) -> None:
        self.events.append((name, facts))

    def of(self, name: str) -> list[dict[str, Any]]:
        return [facts for told, facts in self.events if told == name]


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[RayEngine, Told]]:
    told = Told()
    engine = RayEngine(told, workers=2)
    yield engine, told
    engine.close()


@pytest.fixture
def engine(started: tuple[RayEngine, Told]) -> RayEngine:
    started[1].events.clear()
    return started[0]


@pytest.fixture
def told(started: tuple[RayEngine, Told]) -> Told:
    return started[1]


def names(engine: RayEngine, stage: Any, shards: list[Any]) -> list[str]:
    return sorted(entry.name for entry in engine.run(stage, shards))


def test_two_workers_share_a_stages_shards_and_hold_two_each_at_most(
    engine: RayEngine, told: Told, tmp_path: Path
) -> None:
    shards = lazy_stage.shards("abcdefgh", **dict.fromkeys("abcdefgh", 0.1))
    found = list(engine.run(lazy_stage.Plain(out=str(tmp_path)), shards))
    assert sorted(entry.name for entry in found) == list("abcdefgh")
    assert len({entry.worker for entry in found}) == 2
    assert {e.name for e in found} == set(Manifest(Store(str(tmp_path))).entries("lazy"))
    (start,) = told.of("engine started")
    assert start["workers"] == len(told.of("worker started")) == 2


@pytest.mark.parametrize("letters", ["a", "ab", "abcdefg"])
def test_a_worker_may_take_the_next_shard_before_it_gives_the_last(
    engine: RayEngine, tmp_path: Path, letters: str
) -> None:
    stage = lazy_stage.LookAhead(out=str(tmp_path))
    assert names(engine, stage, lazy_stage.shards(letters)) == list(letters)


def test_what_a_stage_raises_in_a_worker_is_raised_as_itself(
    engine: RayEngine, tmp_path: Path
) -> None:
    stage = lazy_stage.Plain(out=str(tmp_path))
    with pytest.raises(EnvironmentFailure, match=r"^the disk of b is full$"):
        names(engine, stage, lazy_stage.shards("abc", b="environment"))
    with pytest.raises(ValueError, match=r"^b is not a number$"):
        names(engine, stage, lazy_stage.shards("abc", b="plain error"))
    with pytest.raises(EnvironmentFailure, match="does not fit on this GPU"):
        names(engine, lazy_stage.Unopenable(out=str(tmp_path)), lazy_stage.shards("ab"))
    # And the engine lives on.
    assert names(engine, stage, lazy_stage.shards("de")) == ["d", "e"]


def test_a_worker_that_ends_before_its_shards_are_done_is_named(
    engine: RayEngine, tmp_path: Path
) -> None:
    stage = lazy_stage.Forgetful(out=str(tmp_path))
    with pytest.raises(PluginError, match="ended without an entry for b"):
        names(engine, stage, lazy_stage.shards("ab", b="forgotten"))


@pytest.mark.parametrize("kind", [lazy_stage.Plain, lazy_stage.LookAhead])
def test_the_shards_of_a_worker_that_died_are_done_by_another(
    engine: RayEngine, told: Told, tmp_path: Path, kind: type[lazy_stage.Plain]
) -> None:
    shards = lazy_stage.shards("abcdef", c="killer once")
    assert names(engine, kind(out=str(tmp_path)), shards) == list("abcdef")
    (lost,) = told.of("worker lost")
    (queued,) = told.of("shards re-queued")
    assert "c" in lost["shards"]
    assert queued["shards"] == lost["shards"]
    starts = [facts["shard"] for facts in told.of("shard started")]
    assert {name for name in starts if starts.count(name) > 1} == set(lost["shards"])


def test_a_shard_that_kills_three_workers_is_named_and_its_neighbours_are_not(
    engine: RayEngine, told: Told, tmp_path: Path
) -> None:
    shards = lazy_stage.shards("abcdef", b="killer")
    with pytest.raises(EnvironmentFailure, match=r"shard lazy/b lost its worker 3 times"):
        names(engine, lazy_stage.Plain(out=str(tmp_path)), shards)
    assert len(told.of("worker lost")) == 3
    # Beside it only the first time: afterwards it is given to a worker that has nothing else.
    assert [lost["shards"] for lost in told.of("worker lost")][1:] == [["b"], ["b"]]


def test_a_worker_that_sees_another_folder_than_the_driver_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    here, there = tmp_path / "here", tmp_path / "there"
    with Lock(Store(str(here))), Lock(Store(str(there))):
        owner = holder(Store(str(here)))
        (shard,) = lazy_stage.shards("a")
        seen = cloudpickle.dumps(lazy_stage.Plain(out=str(here)))
        assert Hand([]).run(1, seen, owner, shard).name == "a"
        unseen = cloudpickle.dumps(lazy_stage.Plain(out=str(there)))
        with pytest.raises(EnvironmentFailure, match=r"does not see the run.s folder .*there"):
            Hand([]).run(1, unseen, owner, shard)
    assert not list(there.glob("manifest/*/*"))


def test_a_drain_that_comes_after_the_next_stage_has_begun_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    stage = cloudpickle.dumps(lazy_stage.Plain(out=str(tmp_path)))
    first, second, third = lazy_stage.shards("abc")
    hand = Hand([])
    assert hand.run(1, stage, "", first).name == "a"
    assert hand.run(2, stage, "", second).name == "b"
    hand.drain(1, stage, "", 5)  # would wait for four more shards of the first stage
    assert hand.run(2, stage, "", third).name == "c"
    hand.drain(2, stage, "", 2)  # the second stage's line has seen both of its shards
    with pytest.raises(RuntimeError, match="shard a came after its stage had ended"):
        hand.run(1, stage, "", first)


@pytest.mark.parametrize(
    ("address", "kind", "message"),
    [
        ("127.0.0.1:1", EnvironmentFailure, "no Ray cluster answers at 127.0.0.1:1"),
        ("no.such.host.invalid:6379", EnvironmentFailure, "no Ray cluster answers at no.such"),
        ("here", UsageError, "expected HOST:PORT"),
        ("here:there", UsageError, "expected HOST:PORT"),
    ],
)
def test_an_address_where_no_cluster_answers_is_told_at_once(
    tmp_path: Path, address: str, kind: type[Exception], message: str
) -> None:
    from mgdata.engine.ray import knock

    with pytest.raises(kind, match=message):
        knock(address)
