"""Whole runs with a teacher: nothing is sent twice, budgets, rounds, and a folder in order."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import command
import pytest
from teacher_runs import Taught, built, by_turn, section

from mgdata.run import Outcome
from mgdata.stages.answer import JOURNAL
from mgdata.teacher.acceptance import Acceptance

OFFSET = {"with": {"faults": {"offset_box": 0.4}}}
LOOSE = {"iou": 0.0, "f1": 0.0, "first": 2, "most": 4}
"""An answer with a box aside is good enough: nothing is asked twice."""


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    return built(tmp_path_factory.mktemp("samples"))


@pytest.fixture
def run(samples: Taught, tmp_path: Path) -> Taught:
    """Samples that nothing was asked about yet."""
    return samples.copy(tmp_path / "run")


@pytest.fixture(scope="module")
def finished(samples: Taught, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """A run that takes what later ones reject; not to be written to."""
    made = samples.copy(tmp_path_factory.mktemp("finished") / "run")
    made.run(loose())
    return made


def loose(**accept: Any) -> dict[str, Any]:
    cot = {"share": 0.5, "accept": {**LOOSE, **accept}}
    return section(**OFFSET, cot=cot) | {"samples": 3}


def became(outcome: Outcome) -> dict[str, int]:
    """What the ledger of the stage judge counts."""
    return next(step.dropped for step in outcome.steps if step.stage == "judge")


def status(run: Taught) -> list[str]:
    """What `mgdata status` says, but for seconds."""
    said = command.mgdata("status", run.out).out.splitlines()
    return [re.sub(r"[0-9.,]+ worker seconds", "", line) for line in said]


# Nothing is sent twice.


def test_a_finished_run_has_nothing_to_do(finished: Taught) -> None:
    told = finished.command("run")
    assert told.code == 0
    assert "nothing to do" in told.out


def test_a_run_that_is_looked_through_again_asks_nothing(finished: Taught, tmp_path: Path) -> None:
    run = finished.copy(tmp_path / "run")
    outcome = run.run(loose(), changes={"description": "Changed."})
    assert run.lines == finished.lines == finished.tally.replies
    assert not became(outcome)


@pytest.mark.parametrize("accept", [{"iou": 0.1}, {"consistency": False, "most": 2}])
def test_another_threshold_judges_anew_and_asks_nothing_where_no_more_are_wanted(
    finished: Taught, run: Taught, tmp_path: Path, accept: dict[str, Any]
) -> None:
    again = finished.copy(tmp_path / "again")
    again.run(loose(**accept))
    assert again.lines == finished.lines
    run.run(loose(**accept))
    assert again.release == run.release


def test_a_stricter_threshold_asks_for_no_more_than_the_answers_that_are_missing(
    finished: Taught, run: Taught, tmp_path: Path
) -> None:
    again = finished.copy(tmp_path / "again")
    outcome = again.run(loose(iou=0.5, f1=1.0))
    assert became(outcome)["wrong: box"] > 0
    run.run(loose(iou=0.5, f1=1.0))
    assert again.release == run.release
    assert again.tally.repeated == 0
    assert again.tally.replies > finished.tally.replies
    known = {answer.reply.key for answer in finished.answers()}
    assert again.tally.replies == len(known | {answer.reply.key for answer in run.answers()})


@pytest.mark.parametrize(
    "change",
    [
        {"lengths": {"reasoning": [30, 90]}},
        {"cot": {"share": 0.5, "accept": LOOSE, "sampling": {"temperature": 0.2}}},
        {"cot": {"share": 0.5, "accept": LOOSE, "prompt": "rationalise"}},
        {"steps": {"object_tracking": ["Look.", "Say where it is."]}},
    ],
    ids=["length", "sampling", "prompt", "steps"],
)
def test_what_shapes_an_answer_asks_for_all_of_them_anew(
    finished: Taught, tmp_path: Path, change: dict[str, Any]
) -> None:
    run = finished.copy(tmp_path / "run")
    run.run(loose() | change, "answer")
    assert {a.reply.key for a in run.answers()} & {a.reply.key for a in finished.answers()} == set()
    assert run.lines == finished.lines + len(run.answers())


def test_judge_asks_nothing_and_leaves_a_run_that_can_go_on(
    finished: Taught, run: Taught, tmp_path: Path
) -> None:
    again = finished.copy(tmp_path / "again")
    again.write(loose(iou=0.5, f1=1.0))
    told = again.command("judge")
    assert told.code == 0, told.err
    assert "wrong: box" in told.out
    assert again.lines == finished.lines
    said = [line for line in status(again) if line.endswith((" traces", " answers"))]
    assert set(said) <= set(told.out.splitlines()), "status tells of answers twice"
    run.run(loose(iou=0.5, f1=1.0))
    again.go()
    assert again.release == run.release
    assert status(again) == status(run)


def test_judge_with_nothing_asked_yet_ends_well(run: Taught) -> None:
    run.write(loose())
    told = run.command("judge")
    assert told.code == 0, told.err
    assert not (run.out / JOURNAL).exists() or run.lines == 0
    run.go()
    assert run.rows("cot")


# Budgets.


def test_a_budget_of_tokens_stops_and_goes_on_to_the_same_release(
    finished: Taught, run: Taught
) -> None:
    run.write(loose())
    sizes = [0]
    while (told := run.command("run", "--tokens", "2000")).code:
        assert told.code == 1
        assert told.err.startswith("mgdata: stopped after ")
        assert told.err.rstrip().endswith("run the same command again to go on")
        assert not (run.out / "release").exists()
        sizes.append(run.lines)
        assert sizes[-1] > sizes[-2]
        assert len(sizes) < 20
    assert len(sizes) > 2
    assert run.release == finished.release
    assert run.lines == finished.lines


def test_no_minutes_ask_nothing(run: Taught) -> None:
    run.write(loose())
    told = run.command("answer", "--minutes", "0")
    assert told.code == 1
    assert "0 of " in told.err
    assert run.tally.replies == 0


# Rounds.

ADAPTIVE: dict[str, Any] = {"first": 1, "enough": 2, "most": 5}


def adaptive(samples: int) -> dict[str, Any]:
    faults = {"offset_box": 0.35, "bad_format": 0.15}
    made = section(**{"with": {"faults": faults}}, cot={"accept": ADAPTIVE, "keep": 2})
    return made | {"samples": samples}


@pytest.fixture(scope="module")
def rounds(samples: Taught, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    made = samples.copy(tmp_path_factory.mktemp("rounds") / "run")
    made.run(adaptive(7))
    return made


def test_later_rounds_ask_only_turns_that_lack_answers(rounds: Taught) -> None:
    accept, asked = Acceptance(**ADAPTIVE), Counter[int]()
    for some in by_turn(rounds.traces()).values():
        n = wanted = accept.wanted(0, 0, 0)
        while wanted := accept.wanted(1, sum(t.accepted for t in some[:n]), n):
            n += wanted
        assert [trace.answer.number for trace in some] == list(range(n))
        asked[n] += 1
    assert {1, 2, 3, 4, 5} >= asked.keys() and len(asked) >= 3
    assert max(asked) <= ADAPTIVE["most"]


@pytest.mark.parametrize("size", [1, 64])
def test_how_many_samples_a_shard_has_changes_no_row(
    rounds: Taught, run: Taught, size: int
) -> None:
    run.run(adaptive(size))
    assert [row["id"] for row in run.rows("cot")] == [row["id"] for row in rounds.rows("cot")]
    assert run.rows("cot") == rounds.rows("cot")
    assert {a.reply.key for a in run.answers()} == {a.reply.key for a in rounds.answers()}


def test_every_rejected_answer_is_in_the_ledger(rounds: Taught) -> None:
    rejected = [trace for trace in rounds.traces() if not trace.accepted]
    drops = rounds.drops("judge")
    assert Counter(drop.reason for drop in drops) == Counter(trace.reason for trace in rejected)
    keys = {f"{a.sample}/{a.turn}/{a.kind}/{a.number}" for a in (t.answer for t in rejected)}
    assert {drop.key for drop in drops} == keys
    assert len(rejected) + sum(t.accepted for t in rounds.traces()) == len(rounds.answers())


def test_no_more_answers_to_a_turn_become_rows_than_are_kept(rounds: Taught) -> None:
    accepted = by_turn([trace for trace in rounds.traces() if trace.accepted])
    rows = Counter((lesson.source, len(lesson.sample.turns) - 1) for lesson in rounds.lessons())
    assert rows == {key[:2]: min(2, len(some)) for key, some in accepted.items()}


# Keeping house.


def test_gc_compacts_the_journal_and_changes_nothing_else(finished: Taught, tmp_path: Path) -> None:
    run = finished.copy(tmp_path / "run")
    told = command.mgdata("gc", run.out)
    assert told.code == 0, told.err
    assert run.tally.parts == 1
    assert run.tally.replies == run.lines == finished.lines
    run.run(loose(), changes={"description": "Changed."})
    run.run(loose())
    assert run.lines == finished.lines
    assert run.release == finished.release


def test_status_tells_of_answers(finished: Taught) -> None:
    told = command.mgdata("status", finished.out).out
    answers = len(finished.answers())
    assert f"{answers:>12,} answers" in told
    assert "judge" in told and "teach" in told


def test_gc_and_judge_between_two_calls_of_a_stopped_run_lose_nothing(
    finished: Taught, run: Taught
) -> None:
    run.write(loose())
    assert run.command("answer", "--tokens", "2000").code == 1
    sent = run.lines
    told = run.command("judge")
    assert told.code == 0, told.err
    assert f"{sent:>12,} traces" in told.out
    assert "not asked (noted)" in told.out
    assert command.mgdata("gc", run.out).code == 0
    run.go()
    assert run.lines == finished.lines
    assert run.release == finished.release


def test_a_retry_sends_what_failed_and_nothing_else(run: Taught) -> None:
    faults = {"failed": 0.4}
    settings = {"faults": faults, "failures": ["timeout", "image refused"]}
    cot = {"accept": {"first": 1, "most": 2}}
    run.run(section(**{"with": settings}, cot=cot))
    before, release = run.tally, run.release
    assert before.transient and before.failed
    assert "nothing to do" in run.command("run").out
    told = run.command("run", "--retry")
    assert told.code == 0, told.err
    after = run.tally
    # The scripted teacher fails again, for the same reason.
    assert (after.replies, after.repeated) == (before.replies, before.failed)
    assert after.transient == 2 * before.transient
    assert run.release == release
