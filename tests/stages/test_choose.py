"""Splits, exclusion and rounds: what the driver decides from columns alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from mgdata.data import Association, Drop, Record, Sample, Shape
from mgdata.errors import PluginError
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder, Filter
from mgdata.recipe import CorpusSection, Recipe, TaskSection, apportioned
from mgdata.stages.choose import ROUNDS, Chooser, GroupStream, allowed, assign_splits

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def index(units: Sequence[str], corpora: Sequence[str] | None = None, **more: Any) -> Index:
    n = len(units)
    columns = {
        "key": [f"c/{i}" for i in range(n)],
        "unit": list(units),
        "shape": ["clip"] * n,
        "license": ["MIT"] * n,
        "corpus": list(corpora or ["c"] * n),
        **more,
    }
    return Index(pa.table(columns))


@dataclass(frozen=True, kw_only=True)
class Alone(Builder):
    """Every record alone, `times` times."""

    association: ClassVar[Association] = "temporal"
    shapes: ClassVar[tuple[Shape, ...]] = ("clip",)
    targets: ClassVar[str] = "none"

    times: int = 1

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        for _ in range(self.times):
            yield from super().groups(index, rng)

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        yield from ()


# Splits.


def test_a_unit_is_never_cut() -> None:
    units = [f"u{i % 37}" for i in range(1000)]
    found = assign_splits(index(units), SHARES, 0)
    assert {len(set(found[[u == unit for u in units]])) for unit in set(units)} == {1}


def test_shares_are_as_exact_as_units_allow_in_every_corpus() -> None:
    units = [f"u{i}" for i in range(1100)]
    corpora = ["large"] * 1000 + ["small"] * 100
    found = assign_splits(index(units, corpora), SHARES, 3)
    assert np.bincount(found[:1000]).tolist() == [800, 100, 100]
    assert np.bincount(found[1000:]).tolist() == [80, 10, 10]


def test_a_corpus_that_grows_moves_few_units() -> None:
    before = assign_splits(index([f"u{i}" for i in range(1000)]), SHARES, 0)
    after = assign_splits(index([f"u{i}" for i in range(1100)]), SHARES, 0)
    assert (before != after[:1000]).mean() < 0.03


def test_another_corpus_beside_it_moves_none() -> None:
    units = [f"u{i}" for i in range(300)]
    alone = assign_splits(index(units), SHARES, 0)
    both = assign_splits(index([*units, "x", "y"], ["c"] * 300 + ["d"] * 2), SHARES, 0)
    assert (alone == both[:300]).all()


def test_the_order_of_records_does_not_matter_and_the_seed_does() -> None:
    units = [f"u{i}" for i in range(200)]
    found = assign_splits(index(units), SHARES, 0)
    turned = assign_splits(index(units[::-1]), SHARES, 0)
    assert (found == turned[::-1]).all()
    assert (found != assign_splits(index(units), SHARES, 1)).any()


@given(st.integers(1, 10_000), st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_what_each_split_gets_adds_up_and_is_within_one_of_its_share(
    samples: int, weights: list[int]
) -> None:
    shares = {f"s{i}": weight / sum(weights) for i, weight in enumerate(weights)}
    found = apportioned(samples, shares)
    assert sum(found.values()) == samples
    assert all(abs(found[name] - samples * share) < 1 for name, share in shares.items())


# Index filters.


@dataclass(frozen=True, kw_only=True)
class Keeps(Filter):
    """Keeps the rows it is told to."""

    rows: Any

    def index(self, index: Index) -> Any:
        return (self.rows, "not told to") if self.rows is not None else None


def test_filters_drop_each_record_once_with_the_first_reason() -> None:
    one, two = Keeps(rows=np.array([True, False, True])), Keeps(rows=[True, False, False])
    mask, drops = allowed(index("abc"), {"one": one, "nothing": Keeps(rows=None), "two": two})
    assert mask.tolist() == [True, False, False]
    assert [(drop.key, drop.stage, drop.reason) for drop in drops] == [
        ("c/1", "filter", "not told to"),
        ("c/2", "filter", "not told to"),
    ]


def test_a_record_that_a_measure_found_unfit_is_out_without_a_second_drop() -> None:
    mask, drops = allowed(
        index("abc", fit=[True, False, True]), {"f": Keeps(rows=[True, False, True])}
    )
    assert mask.tolist() == [True, False, True] and not drops


@pytest.mark.parametrize("rows", [np.ones(2, np.bool_), np.ones((3, 1), np.bool_), 3])
def test_a_mask_of_another_shape_is_the_filters_fault(rows: Any) -> None:
    with pytest.raises(PluginError, match="filter f failed on the index: ValueError: a mask of"):
        allowed(index("abc"), {"f": Keeps(rows=rows)})


# Groups.


def test_a_group_that_comes_again_is_numbered_anew_and_counted() -> None:
    stream = GroupStream(Alone(times=3), index("ab"), 0, "t", "train")
    taken = stream.take(4) + stream.take(10)
    assert [number for number, _, _ in taken] == list(range(6))
    for row in (0, 1):
        assert [occurrence for _, occurrence, rows in taken if rows == (row,)] == [0, 1, 2]
    assert stream.take(1) == []


def test_a_stream_taken_in_pieces_is_the_stream_taken_at_once() -> None:
    view = index([str(i) for i in range(50)])
    whole = GroupStream(Alone(), view, 0, "t", "train").take(50)
    stream = GroupStream(Alone(), view, 0, "t", "train")
    assert [*stream.take(7), *stream.take(1), *stream.take(42)] == whole


@dataclass(frozen=True, kw_only=True)
class Yields(Alone):
    """Yields what it is told to."""

    found: Any

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        yield from self.found


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([(2,)], "row 2, which is not in the index it was given"),
        ([(0, -1)], "row -1, which is not in the index it was given"),
        ([(0,), (99,)], "row 99, which is not in the index it was given"),
        ([()], "yielded an empty group"),
        ([("a",)], "ValueError"),
        ([3], "TypeError: 'int' object is not iterable"),
    ],
)
def test_groups_outside_the_split_are_refused(groups: Any, said: str) -> None:
    view = index("abc").view(np.array([True, True, False]))
    stream = GroupStream(Yields(found=groups), view, 0, "t", "train")
    with pytest.raises(PluginError, match="builder t failed on its groups") as found:
        stream.take(5)
    assert said in str(found.value)


# Rounds.


def chooser(n: int, samples: int, groups: int = 4, times: int = 1, **task: Any) -> Chooser:
    recipe = Recipe(
        name="r",
        corpora={"c": CorpusSection()},
        tasks={"t": TaskSection(samples=samples, **task)},
        splits={"train": 0.5, "test": 0.5},
    )
    recipe = type(recipe)(**{f: getattr(recipe, f) for f in recipe.__struct_fields__} | {"build": type(recipe.build)(groups=groups)})  # fmt: skip
    found = index([str(i) for i in range(n)])
    return Chooser(recipe, {"t": Alone(times=times)}, found, assign_splits(found, recipe.splits, 0))


def test_a_round_takes_what_is_missing_and_cuts_it_into_shards() -> None:
    payloads = list(chooser(100, samples=20).round(0, {}))
    assert [(p["split"], len(p["rows"])) for p in payloads] == [
        ("train", 4), ("train", 4), ("train", 2), ("test", 4), ("test", 4), ("test", 2),
    ]  # fmt: skip
    rows = [row for p in payloads for group in p["rows"] for row in group]
    assert len(set(rows)) == 20


def test_neighbours_in_a_shard_share_records_and_no_group_is_lost() -> None:
    payloads = list(chooser(10, samples=60, groups=100, times=6).round(0, {}))
    for payload in payloads:
        assert payload["rows"] == sorted(payload["rows"])
        assert sorted(payload["numbers"]) == list(range(30))
        assert Counter(row for (row,) in payload["rows"]) == dict.fromkeys({row for (row,) in payload["rows"]}, 6)  # fmt: skip


def test_a_poor_yield_is_made_up_for_and_a_finished_split_left_alone() -> None:
    found = chooser(1000, samples=100)
    list(found.round(0, {}))
    again = list(found.round(1, {("t", "train"): 25, ("t", "test"): 50}))
    assert {p["split"] for p in again} == {"train"}
    assert sum(len(p["rows"]) for p in again) == 50  # 25 missing, one in two survives


def test_a_yield_of_nothing_does_not_take_everything() -> None:
    found = chooser(10_000, samples=100)
    list(found.round(0, {}))
    again = list(found.round(1, {}))
    assert sum(len(p["rows"]) for p in again) == 2 * 50 * 8


def test_a_stream_that_runs_dry_is_short_with_its_cause() -> None:
    found = chooser(10, samples=30)
    list(found.round(0, {}))
    assert list(found.round(1, {("t", "train"): 5, ("t", "test"): 4})) == []
    assert found.short == {
        ("t", "train"): "t/train: 10 of 15 samples missing after 5 groups",
        ("t", "test"): "t/test: 11 of 15 samples missing after 5 groups",
    }


def test_rounds_come_to_an_end() -> None:
    found = chooser(100_000, samples=2, times=10)
    rounds = 0
    while list(found.round(rounds, {})):
        rounds += 1
    assert rounds == ROUNDS and len(found.short) == 2


def test_a_task_draws_from_its_corpora_alone() -> None:
    recipe = Recipe(
        name="r",
        corpora={"a": CorpusSection(), "b": CorpusSection()},
        tasks={"t": TaskSection(samples=50, corpora=("b",))},
    )
    found = index([str(i) for i in range(20)], ["a"] * 10 + ["b"] * 10)
    chosen = Chooser(recipe, {"t": Alone()}, found, np.zeros(20, np.int8))
    rows = {row for p in chosen.round(0, {}) for (row,) in p["rows"]}
    assert rows == set(range(10, 20))


def test_a_key_that_comes_twice_is_kept_once_and_named() -> None:
    mask, drops = allowed(index(["u", "v", "u"], key=["c/1", "c/2", "c/1"]), {})
    assert mask.tolist() == [True, True, False]
    assert [(drop.key, drop.reason) for drop in drops] == [("c/1", "repeated key")]
