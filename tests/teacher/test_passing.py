"""Pass rates, and the band of turns that rewards can teach something."""

from __future__ import annotations

import pytest

from mgdata.data import Answer, Reply, Sampling, Trace
from mgdata.teacher.passing import REASONS, Band, outside, pass_rate


def trace(accepted: bool, finish: str = "stop") -> Trace:
    answer = Answer(
        sample="s",
        turn=0,
        number=0,
        kind="direct",
        reply=Reply(key="k", text="", finish=finish),
        model="m",
        prompt="p",
        words="w",
        sampling=Sampling(),
        seed=0,
    )
    return Trace(answer=answer, accepted=accepted)


def traces(passed: int, of: int) -> list[Trace]:
    return [trace(i < passed) for i in range(of)]


def test_the_pass_rate_is_of_answers_and_a_failed_reply_is_none():
    assert pass_rate(traces(1, 4)) == 0.25
    assert pass_rate([*traces(1, 4), trace(False, "failed")]) == 0.25
    assert pass_rate([*traces(1, 3), trace(False, "length")]) == 0.25
    assert pass_rate([]) is None and pass_rate([trace(False, "failed")]) is None


@pytest.mark.parametrize(
    ("passed", "of", "band", "reason"),
    [
        (0, 8, Band(), "too hard"),
        (1, 8, Band(), None),
        (7, 8, Band(), None),
        (8, 8, Band(), "too easy"),
        (1, 1, Band(), "too few answers"),
        (1, 1, Band(below=1.1, least=1), None),
        (0, 8, Band(above=-0.1), None),
        (2, 8, Band(above=0.25), "too hard"),
        (6, 8, Band(below=0.75), "too easy"),
        (0, 0, Band(), "no answer"),
    ],
)
def test_a_turn_is_taken_where_its_rate_is_inside_the_band(passed, of, band, reason):
    assert outside(traces(passed, of), band) == reason
    assert reason is None or reason in REASONS


def test_traces_may_come_from_a_generator():
    assert outside(iter(traces(1, 2))) is None


def test_a_band_that_nothing_is_in_is_refused():
    with pytest.raises(ValueError, match="above is under below"):
        Band(above=0.5, below=0.5)
    with pytest.raises(ValueError, match="above is under below"):
        Band(above=float("nan"))
