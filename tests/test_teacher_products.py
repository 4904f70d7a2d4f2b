"""What a run with a teacher publishes: rows that reason, direct ones and rows for rewards."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import command
import pyarrow.parquet as pq
import pytest
from teacher_runs import Taught, built, by_turn, section

from mgdata import registry, rewards
from mgdata.tables import read_samples


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    return built(tmp_path_factory.mktemp("samples"))


@pytest.fixture
def run(samples: Taught, tmp_path: Path) -> Taught:
    """Samples that nothing was asked about yet."""
    return samples.copy(tmp_path / "run")


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
    notation = registry.make("notations", "json", {}, "the test")
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


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_few_samples_give_rows_of_both_kinds_in_proportion(run: Taught, share: float) -> None:
    assert not run.run(section(cot={"share": share})).short
    for split in ("train", "test"):
        cot, direct = (len(run.rows(config, split)) for config in ("cot", "direct"))
        assert cot and direct
        assert direct == round(cot * (1 - share) / share)


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


def test_a_reasoning_without_boxes_is_kept_whatever_the_notation_it_was_asked_in(
    run: Taught,
) -> None:
    run.run(section(cot={"rows": 5}), changes={"release": {"notation": "qwen2.5-vl"}})
    rows = run.rows("cot")
    assert len(rows) == 5
    assert all("bbox_2d" in row["messages"][-1]["content"] for row in rows)


def explained(run: Taught, key: str) -> list[str]:
    told = command.mgdata("explain", run.out, key)
    assert told.code == 0, told.err
    return told.out.splitlines()


def test_a_sample_tells_its_answers_its_lessons_and_where_they_are(mixed: Taught) -> None:
    cot, rl = ({row["source"] for row in mixed.rows(config)} for config in ("cot", "rl"))
    traces = mixed.traces()
    for source in (min(cot), min(rl)):
        told = explained(mixed, source)
        mine = [trace for trace in traces if trace.answer.sample == source]
        for trace in mine:
            answer = trace.answer
            what = f"answer {answer.number} to turn {answer.turn + 1} ({answer.kind}): "
            verdict = "accepted" if trace.accepted else f"rejected: {trace.reason}"
            assert any(line.startswith(what + verdict) for line in told)
        assert sum(line.startswith("answer ") for line in told) == len(mine)
        lessons = [lesson for lesson in mixed.lessons() if lesson.source == source]
        assert sum(line.startswith("lesson ") for line in told) == len(lessons) > 0
        for lesson in lessons:
            (line,) = [line for line in told if line.startswith(f"lesson {lesson.id} (")]
            path, row = line.partition("published in ")[2].split(", row ")
            assert pq.read_table(mixed.out / path)["id"][int(row)].as_py() == lesson.id
    direct = mixed.rows("direct")[0]["id"]
    (line,) = [line for line in explained(mixed, direct) if line.startswith("lesson ")]
    assert line.startswith(f"lesson {direct} (direct) of all of it: published in release/data/")


def test_a_row_tells_the_sample_that_it_was_made_from(mixed: Taught) -> None:
    row = mixed.rows("cot")[0]
    told = explained(mixed, row["id"])
    assert told[0] == f"lesson {row['id']}: config cot, made from sample {row['source']}"
    assert told[1].endswith("asked as reason of scripted:" + row["model"].partition(":")[2])
    assert told[2].startswith("published in release/data/cot/")


def test_a_turn_outside_the_band_says_so(mixed: Taught) -> None:
    drop = next(drop for drop in mixed.drops("teach") if drop.key.endswith("/rl"))
    told = explained(mixed, drop.key.partition("/")[0])
    assert f"dropped at teach: {drop.key}: {drop.reason}: {drop.value}" in told
    assert explained(mixed, drop.key) == [
        f"dropped at teach: {drop.key}: {drop.reason}: {drop.value}"
    ]
