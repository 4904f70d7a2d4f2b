"""Which of the samples that were built the release will hold."""

from __future__ import annotations

import hypothesis.strategies as st
import pyarrow as pa
from hypothesis import given

from mgdata.stages.settle import Settled, settle

SPLITS = ["train", "test"]
MANY = {("t", "train"): 99, ("t", "test"): 99}


def table(*rows: tuple[str, int, str, str]) -> pa.Table:
    """Rows of id, group, split and the hashes of the pictures, one letter each."""
    return pa.table(
        {
            "id": pa.array([row[0] for row in rows], pa.string()),
            "group": pa.array([row[1] for row in rows], pa.int64()),
            "split": pa.array([row[2] for row in rows], pa.string()),
            "pictures": pa.array([list(row[3]) for row in rows], pa.list_(pa.string())),
            "task": pa.array(["t"] * len(rows), pa.string()),
        }
    )


def kept(settled: Settled) -> list[str]:
    return settled.table.filter(pa.array(settled.kept))["id"].to_pylist()


def test_a_sample_that_is_there_twice_stays_where_it_came_first_in_the_plan() -> None:
    found = settle(table(("a", 5, "train", "x"), ("b", 1, "train", "y"), ("a", 0, "train", "x")), SPLITS, MANY)  # fmt: skip
    assert found.kept.tolist() == [False, True, True]
    assert [(drop.key, drop.stage, drop.reason) for drop in found.drops] == [
        ("a", "settle", "duplicate sample")
    ]


def test_a_picture_stays_with_the_later_split_and_its_other_samples_go() -> None:
    rows = [("a", 0, "train", "xy"), ("b", 1, "train", "z"), ("c", 0, "test", "yw")]
    found = settle(table(*rows), SPLITS, MANY)
    assert kept(found) == ["b", "c"]
    assert [(drop.key, drop.reason) for drop in found.drops] == [
        ("a", "picture is in another split")
    ]


def test_what_is_more_than_asked_for_goes_in_plan_order_and_is_counted() -> None:
    rows = [("a", 3, "train", "p"), ("b", 0, "train", "q"), ("c", 1, "train", "r")]
    found = settle(table(*rows), SPLITS, {("t", "train"): 2, ("t", "test"): 1})
    assert kept(found) == ["b", "c"]
    assert found.surplus == 1 and not found.drops
    assert found.have() == {("t", "train"): 2}


def test_a_dropped_sample_does_not_take_a_place() -> None:
    rows = [("a", 0, "train", "p"), ("a", 1, "train", "p"), ("c", 2, "train", "r")]
    found = settle(table(*rows), SPLITS, {("t", "train"): 2})
    assert kept(found) == ["a", "c"]


def test_nothing_built_settles_to_nothing() -> None:
    found = settle(table(), SPLITS, MANY)
    assert kept(found) == [] and found.have() == {} and found.surplus == 0


ROWS = st.lists(
    st.tuples(
        st.sampled_from("abcdef"),
        st.integers(0, 6),
        st.sampled_from(SPLITS),
        st.text("uvwxyz", min_size=1, max_size=3),
    ),
    max_size=14,
)


@given(ROWS, st.integers(0, 5), st.integers(0, 5))
def test_whatever_was_built_every_sample_is_kept_dropped_or_surplus(
    rows: list[tuple[str, int, str, str]], train: int, test: int
) -> None:
    wanted = {("t", "train"): train, ("t", "test"): test}
    found = settle(table(*rows), SPLITS, wanted)
    chosen = [row for row, stays in zip(rows, found.kept, strict=True) if stays]
    assert len(chosen) + len(found.drops) + found.surplus == len(rows)
    assert len({row[0] for row in chosen}) == len(chosen)
    shown = {split: {p for row in chosen if row[2] == split for p in row[3]} for split in SPLITS}
    assert not shown["train"] & shown["test"]
    for split, n in (("train", train), ("test", test)):
        assert sum(row[2] == split for row in chosen) <= n
