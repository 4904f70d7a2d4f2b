"""Whole runs with a teacher: nothing is sent twice, budgets, rounds, and what is published."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import command
import pytest
from teacher_runs import Taught, built, section

from mgdata import rewards
from mgdata.data import Trace
from mgdata.run import Outcome
from mgdata.stages.answer import JOURNAL
from mgdata.tables import read_samples
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


def by_turn(traces: list[Trace]) -> dict[tuple[str, int, str], list[Trace]]:
    found: defaultdict[tuple[str, int, str], list[Trace]] = defaultdict(list)
    for trace in traces:
        found[trace.answer.sample, trace.answer.turn, trace.answer.kind].append(trace)
    return {key: sorted(some, key=lambda t: t.answer.number) for key, some in found.items()}


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


# Products.

MIXED = {"with": {"faults": {"offset_box": 0.25, "wrong_image": 0.15}}}


@pytest.fixture(scope="module")
def mixed(samples: Taught, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """Rows that reason, direct ones and rows for rewards."""
    made = samples.copy(tmp_path_factory.mktemp("mixed") / "run")
    made.run(section(**MIXED, cot={"share": 0.6}, rl={"share": 0.4, "answers": 4}))
    return made


def test_rows_that_reason_and_direct_ones_are_in_proportion(mixed: Taught) -> None:
    for split in ("train", "test"):
        cot, direct = (len(mixed.rows(config, split)) for config in ("cot", "direct"))
        assert cot > 3
        assert direct == round(cot * 0.4 / 0.6)


def test_no_sample_serves_rewards_and_examples_and_none_changes_its_split(mixed: Taught) -> None:
    sources = {
        config: {row["source"] for row in mixed.rows(config)} for config in ("cot", "direct", "rl")
    }
    assert not sources["rl"] & (sources["cot"] | sources["direct"])
    assert not sources["cot"] & sources["direct"]
    split: dict[str, str] = {}
    for path in sorted(mixed.out.glob("samples/**/*.parquet")):
        table = read_samples(path).to_pylist()
        split |= {row["id"]: row["split"] for row in table if "split" in row}
    for config in ("cot", "direct", "rl"):
        for row in mixed.rows(config):
            assert row["split"] == row["in"]
            assert split.get(row["source"], row["in"]) == row["in"]


def test_rows_for_rewards_are_in_the_band_and_others_are_in_the_ledger(mixed: Taught) -> None:
    rows = mixed.rows("rl")
    assert rows
    right = Counter[tuple[str, int]]()
    asked = Counter[tuple[str, int]]()
    turns = {lesson.id: len(lesson.sample.turns) - 1 for lesson in mixed.lessons()}
    served = {lesson.source for lesson in mixed.lessons() if lesson.config == "rl"}
    drops = {drop.key: drop for drop in mixed.drops("teach") if drop.key.endswith("/rl")}
    served |= {key.partition("/")[0] for key in drops}
    for trace in mixed.traces():
        if (key := (trace.answer.sample, trace.answer.turn))[0] in served:
            asked[key] += 1
            right[key] += trace.accepted
    assert set(asked.values()) == {4}
    for row in rows:
        rate = right[row["source"], turns[row["id"]]] / 4
        assert 0 < rate < 1
        assert (row["pass_rate"], row["answers"]) == (rate, 4)
    outside = {f"{s}/{t}/rl": n for (s, t), n in right.items() if n in (0, 4)}
    assert drops.keys() == outside.keys()
    for key, n in outside.items():
        assert drops[key].reason == ("too easy" if n else "too hard")


def test_ground_truth_scores_the_right_answer_and_a_wrong_one(mixed: Taught) -> None:
    gold = {lesson.id: lesson for lesson in mixed.lessons() if lesson.config == "rl"}
    notation = rewards.registry.make("notations", "json", {}, "the test")
    for row in mixed.rows("rl"):
        sample = gold[row["id"]].sample
        answer = notation.answer(sample.turns[-1], sample.images)
        right = f"<think>I look at each image.</think><answer>{answer}</answer>"
        assert rewards.judge(right, row["ground_truth"]).score == 1.0
        for text in (answer, right.replace(answer, "[]"), ""):
            assert rewards.judge(text, row["ground_truth"]).score < 1.0
        assert json.loads(row["ground_truth"])["targets"]
        assert row["messages"][-1]["role"] == "user"


def test_direct_rows_are_bare_and_rows_that_reason_answer_with_the_annotation(
    mixed: Taught,
) -> None:
    from mgdata import registry

    notation = registry.make("notations", "json", {}, "the test")
    lessons = {lesson.id: lesson for lesson in mixed.lessons()}
    for row in mixed.rows("direct"):
        assert all("<think>" not in said["content"] for said in row["messages"])
        assert row["reasoning"] == ""
    for row in mixed.rows("cot"):
        sample = lessons[row["id"]].sample
        gold = notation.answer(sample.turns[-1], sample.images)
        said = row["messages"][-1]["content"]
        assert said == f"<think>{row['reasoning']}</think><answer>{gold}</answer>"
        before = [said for said in row["messages"][:-1] if said["role"] == "assistant"]
        assert all("<think>" not in said["content"] for said in before)
    kept = {lesson.id for lesson in mixed.lessons() if lesson.config == "cot"}
    turns = Counter(len(lessons[id_].sample.turns) for id_ in kept)
    assert turns[1] and sum(n for length, n in turns.items() if length > 1)


def test_quotas_are_met_exactly(run: Taught) -> None:
    outcome = run.run(section(cot={"rows": 7, "share": 0.7}))
    assert not outcome.short
    assert len(run.rows("cot")) == 7
    splits = {split: len(run.rows("cot", split)) for split in ("train", "test")}
    for split, n in splits.items():
        assert len(run.rows("direct", split)) == round(n * 0.3 / 0.7)
    # Far fewer samples are asked about than there are.
    assert len({answer.sample for answer in run.answers()}) < 20


@pytest.mark.parametrize(
    ("teacher", "sentence"),
    [
        (section(cot={"rows": 500}), "cot: "),
        (section(**MIXED, rl={"rows": 200, "answers": 2}), "rl: "),
        (section(cot={"rows": 20, "share": 0.1}), "direct: "),
    ],
    ids=["cot", "rl", "direct"],
)
def test_too_few_rows_are_told_and_end_with_1(
    run: Taught, teacher: dict[str, Any], sentence: str
) -> None:
    run.write(teacher)
    told = run.command("run")
    assert told.code == 1, told.err
    short = [line for line in told.err.splitlines() if line.startswith("short: ")]
    assert any(line.startswith(f"short: {sentence}") for line in short), told.err
    assert "short" in command.mgdata("status", run.out).out


def test_a_reasoning_that_adds_nothing_to_the_direct_answer_is_rejected(run: Taught) -> None:
    faults = {"offset_box": 0.5}
    accept = {"gain": {}, "iou": 0, "f1": 0, "first": 1, "most": 3}
    run.run(section(**{"with": {"faults": faults}}, cot={"accept": accept}))
    traces = by_turn(run.traces())
    direct = {key[:2]: some for key, some in traces.items() if key[2] == "direct"}
    reasoned = {key[:2]: some for key, some in traces.items() if key[2] == "reason"}
    assert direct.keys() == reasoned.keys()
    # Asked once, in the first round; those of later rounds are compared with it.
    assert {len(some) for some in direct.values()} == {1}
    assert max(len(some) for some in reasoned.values()) == 3
    seen = Counter[str]()
    for key, some in reasoned.items():
        at = direct[key][0].scores["iou"]
        for trace in some:
            assert trace.scores["direct"] == at
            more = trace.scores["iou"] - at
            if trace.accepted:
                assert more >= 0.1 - 1e-6
            elif more < 0.1 - 1e-6 and trace.scores["iou"] < 0.5:
                assert trace.reason == "gain: too little"
            seen[str(trace.reason)] += 1
    assert seen["gain: too little"] and seen["None"]
    assert {row["kind"] for row in run.rows("cot")} == {"reason"}


def test_a_trajectory_has_its_images_described_first(run: Taught) -> None:
    run.run(section(cot={"prompt": "trajectory", "rows": 4}))
    kinds = Counter(answer.kind for answer in run.answers())
    assert kinds["caption"] and kinds["trajectory"]
    assert {row["kind"] for row in run.rows("cot")} == {"trajectory"}
    captions = {a.reply.key: a.reply.text for a in run.answers() if a.kind == "caption"}
    assert run.tally.replies == len({answer.reply.key for answer in run.answers()})
    assert all(text.strip() for text in captions.values())


def test_captions_reach_the_prompt_of_a_trajectory(run: Taught, tmp_path: Path) -> None:
    """Other captions, other questions: the keys of all trajectories change."""
    other = run.copy(tmp_path / "other")
    settings: dict[str, Any] = {"cot": {"prompt": "trajectory", "rows": 2}}
    run.run(section(**settings), "answer")
    other.run(section(**settings, **{"with": {"faults": {"empty": 1.0}}}), "answer")
    prompts = [{a.prompt for a in one.answers() if a.kind == "trajectory"} for one in (run, other)]
    assert all(prompts)
    assert not prompts[0] & prompts[1]


def test_rows_made_from_a_given_answer_look_like_others(run: Taught) -> None:
    run.run(section(cot={"prompt": "rationalise", "rows": 5}))
    rows = run.rows("cot")
    assert len(rows) == 5
    assert {row["kind"] for row in rows} == {"rationalise"}
    assert {row["instruction"] for row in rows} and all(row["instruction"] for row in rows)


def test_a_reasoning_with_boxes_in_another_notation_is_left_out(run: Taught) -> None:
    changes = {"release": {"notation": "qwen2.5-vl"}}
    run.write(section(cot={"prompt": "trajectory"}), **changes)
    told = run.command("run")
    drops, rows = run.drops("teach"), run.rows("cot")
    assert {drop.reason for drop in drops} == {"reasoning has boxes in another notation"}
    assert len(drops) + len(rows) == sum(trace.accepted for trace in run.traces())
    assert not any("[" in row["reasoning"] for row in rows)
    assert told.code == (0 if rows else 1)


def test_a_reasoning_without_boxes_is_kept_whatever_the_notation_it_was_asked_in(
    run: Taught,
) -> None:
    run.run(section(cot={"rows": 5}), changes={"release": {"notation": "qwen2.5-vl"}})
    rows = run.rows("cot")
    assert len(rows) == 5
    assert all("bbox_2d" in row["messages"][-1]["content"] for row in rows)


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
