from __future__ import annotations

import pytest

from builders.frames import choose, even, segments
from mgdata.identity import Stream


@pytest.mark.parametrize(
    ("length", "n", "frames"),
    [
        (100, 6, [1, 17, 34, 51, 67, 84]),  # MIG-Bench's numbers for a clip of 100
        (6, 6, [1, 2, 3, 4, 5, 6]),  # every frame
        (7, 4, [1, 2, 4, 6]),  # uneven parts
    ],
)
def test_segments_are_the_numbers_of_mig_bench(length: int, n: int, frames: list[int]) -> None:
    assert [k + 1 for k in segments(length, n)] == frames


@pytest.mark.parametrize(
    ("length", "n", "frames"),
    [(10, 4, [0, 3, 6, 9]), (4, 4, [0, 1, 2, 3]), (6, 3, [0, 3, 5]), (9, 2, [0, 8])],
)
def test_even_spacing_holds_both_ends(length: int, n: int, frames: list[int]) -> None:
    assert even(length, n) == frames


def test_samplers_never_give_a_frame_twice() -> None:
    for length in range(2, 60):
        for n in range(2, min(length, 9) + 1):
            assert len(set(segments(length, n))) == len(set(even(length, n))) == n
            assert even(length, n)[0] == 0 and even(length, n)[-1] == length - 1


def test_a_span_is_a_window_of_neighbours_at_every_place() -> None:
    usable = list(range(0, 100, 2))
    starts: set[int] = set()
    for i in range(400):
        frames = choose(usable, "even", (4, 4), 10, Stream(str(i)))
        assert frames[-1] - frames[0] == 18
        starts.add(frames[0])
    assert starts == set(range(0, 82, 2))
