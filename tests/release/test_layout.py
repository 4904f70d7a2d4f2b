"""Files and row groups: every row once, sizes near the limit, cuts where few images are shared."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgdata.release.layout import cut_files, cut_group, plan_files

ROWS = st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=5), min_size=1, max_size=60)
"""Rows of picture numbers."""


def table(rows: list[list[int]], splits: list[str] | None = None, size: int = 10) -> pa.Table:
    """Kept samples whose images are these pictures."""
    return pa.table(
        {
            "config": pa.array(["task"] * len(rows), pa.string()),
            "split": pa.array(splits or ["train"] * len(rows), pa.string()),
            "row": pa.array(range(len(rows)), pa.int64()),
            "uri": pa.array([f"c:{row[0]:03d}" for row in rows], pa.string()),
            "id": pa.array([f"{i:016x}" for i in range(len(rows))], pa.string()),
            "pictures": pa.array(
                [[f"{p:064x}" for p in row] for row in rows], pa.list_(pa.string())
            ),
            "bytes": pa.array([[size] * len(row) for row in rows], pa.list_(pa.int64())),
        }
    )


def plans(data: pa.Table, file_bytes: float, seed: int = 0) -> list[Any]:
    return list(plan_files(data, ["task"], ["train", "test"], seed, file_bytes))


def spans(rows: list[list[int]]) -> np.ndarray[Any, Any]:
    """For each cut, the pictures on both sides of it, counted the slow way."""
    return np.array(
        [len(_pictures(rows[:i]) & _pictures(rows[i:])) for i in range(len(rows) + 1)], np.int64
    )


def _pictures(rows: list[list[int]]) -> set[int]:
    return {picture for row in rows for picture in row}


@given(ROWS, st.integers(1, 400), st.randoms(use_true_random=False))
def test_files_hold_every_row_once_and_name_their_part(rows: Any, limit: int, rng: Any) -> None:
    splits = [rng.choice(["train", "test"]) for _ in rows]
    found = plans(table(rows, splits), limit)
    held = [row for plan in found for row in plan.rows]
    assert sorted(held) == list(range(len(rows)))
    for plan in found:
        assert {splits[row] for row in plan.rows} == {plan.split}
        assert plan.rows
    for split in set(splits):
        mine = [plan for plan in found if plan.split == split]
        assert [plan.path for plan in mine] == [
            f"data/task/{split}-{i:05d}-of-{len(mine):05d}.parquet" for i in range(len(mine))
        ]
        ranks = [rank for plan in mine for rank in plan.order]
        assert sorted(ranks) == list(range(len(ranks)))


def test_the_order_shuffles_and_depends_on_the_seed_alone() -> None:
    data = table([[i] for i in range(200)])
    (one,), (again,), (other,) = (plans(data, 1e9, seed) for seed in (0, 0, 1))
    assert one == again
    assert one.order != other.order
    assert abs(np.corrcoef(one.order, range(200))[0, 1]) < 0.2


def test_one_row_more_leaves_the_shuffle_of_the_others_alone() -> None:
    (short,), (long) = plans(table([[i] for i in range(50)]), 1e9), plans(
        table([[i] for i in range(51)]), 1e9
    )  # fmt: skip
    ranked = np.argsort(short.order)
    assert [row for row in np.argsort(long[0].order) if row < 50] == ranked.tolist()


def test_neighbours_come_from_one_record_then_one_image() -> None:
    rows = [[3], [1], [3], [2], [1]]
    data = table(rows).set_column(2, "row", pa.array([1, 0, 1, 1, 0]))
    (plan,) = plans(data, 1e9)
    assert plan.rows == (1, 4, 3, 0, 2)


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=300),
    st.integers(10, 5000),
    st.randoms(use_true_random=False),
)
def test_cuts_of_files_rise_and_lie_inside(sizes: list[int], limit: int, rng: Any) -> None:
    shared = np.array([rng.randrange(5) for _ in range(len(sizes) + 1)], np.int64)
    cuts = cut_files(np.array(sizes, np.int64), shared, limit)
    assert len(cuts) + 1 == min(max(1, round(sum(sizes) / limit)), len(sizes))
    assert all(0 < a < b < len(sizes) for a, b in pairwise(cuts))
    assert all(0 < cut < len(sizes) for cut in cuts)


@pytest.mark.parametrize("limit", [1000, 3000, 9999])
def test_files_are_near_the_limit(limit: int) -> None:
    rng = np.random.default_rng(5)
    sizes = rng.integers(5, 15, 4000)
    cuts = cut_files(sizes, rng.integers(0, 5, 4001), limit)
    files = [int(part.sum()) for part in np.split(sizes, cuts)]
    assert 0.75 * limit < min(files) and max(files) < 1.25 * limit


def test_files_are_cut_where_the_fewest_images_are_shared() -> None:
    sizes, shared = np.full(100, 10), np.full(101, 4)
    shared[53] = 1
    assert cut_files(sizes, shared, 500) == [53]
    shared[70] = 0  # too far from the middle
    assert cut_files(sizes, shared, 500) == [53]


@given(ROWS, st.integers(1, 100))
def test_files_are_cut_as_naively_counted_sharing_says(rows: Any, limit: int) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    found = plans(table(rows), limit)
    ends = np.cumsum([len(plan.rows) for plan in found])[:-1].tolist()
    ordered = [rows[row] for plan in found for row in plan.rows]
    sizes = np.array([10 * len(row) for row in ordered], np.int64)
    assert ends == cut_files(sizes, spans(ordered), limit)


@given(ROWS, st.randoms(use_true_random=False))
def test_a_row_group_is_cut_in_its_last_half_where_least_is_shared(rows: Any, rng: Any) -> None:
    names = [[str(picture) for picture in row] for row in rows]
    sizes = [rng.randrange(1, 100) for _ in rows]
    cut = cut_group(names, sizes)
    assert 1 <= cut <= len(rows)
    ends, shared = np.cumsum(sizes), spans(rows)
    allowed = [i for i in range(1, len(rows)) if 2 * ends[i - 1] >= ends[-1]]
    if allowed:
        fewest = min(shared[i] for i in allowed)
        assert cut == max(i for i in allowed if shared[i] == fewest)
    else:
        assert cut == len(rows)


def test_a_row_group_ends_with_its_clip() -> None:
    clips = [["a", "b"], ["b", "c"], ["a", "c"], ["x", "y"], ["y", "z"]]
    assert cut_group(clips, [1] * 5) == 3
