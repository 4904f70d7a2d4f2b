"""Lessons as a release holds them: their text, their columns, how they are read and checked."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pyarrow.parquet as pq
import pytest
import taught_releases
from lesson_plants import LESSON_PLANTS
from rewriting import rewrite
from taught_releases import INSTRUCTION, Taught

from mgdata import rewards
from mgdata.release import statistics, taught
from mgdata.release.check import check, lines
from mgdata.release.rows import LESSON_SCHEMA, SCHEMA, LessonRow, encoded, features
from mgdata.schema import schema_of
from mgdata.teacher import truth

MESSAGES = [
    {"role": "user", "content": "<image> Where is it?"},
    {"role": "assistant", "content": "(1,2)"},
    {"role": "user", "content": "And she?"},
    {"role": "assistant", "content": "(3,4)"},
]


# The text.


@pytest.mark.parametrize(
    ("form", "open_", "instruction", "reasoning", "ends"),
    [
        ("direct", False, "", "", ["And she?", "(3,4)"]),
        ("direct", False, "Say it.", "", ["And she?\nSay it.", "(3,4)"]),
        ("reason", False, "", "So.", ["And she?", "<think>So.</think><answer>(3,4)</answer>"]),
        ("reason", False, "Think.", "A\nb", ["And she?\nThink.", "<think>A\nb</think><answer>(3,4)</answer>"]),
        ("reason", True, "Think.", "", ["And she?\nThink."]),
        ("direct", True, "", "", ["And she?"]),
    ],
)  # fmt: skip
def test_only_the_last_turn_of_a_lesson_is_changed(
    form: Any, open_: bool, instruction: str, reasoning: str, ends: list[str]
) -> None:
    before = json.dumps(MESSAGES)
    found = taught.messages(
        MESSAGES, form=form, open=open_, instruction=instruction, reasoning=reasoning
    )
    assert found[:2] == MESSAGES[:2]
    assert [message["content"] for message in found[2:]] == ends
    assert [message["role"] for message in found[2:]] == ["user", "assistant"][: len(ends)]
    assert json.dumps(MESSAGES) == before


@pytest.mark.parametrize(
    ("reasoning", "why"),
    [
        ("", "nothing stands between"),
        (" ", "nothing stands between"),
        ("It. ", "white space"),
        ("See <image> 2.", "<image>"),
        ("So.</think> No.", "2 times"),
        ("So. <answer>", "2 times"),
        ("< think >", "no tag"),
    ],
)
def test_a_reasoning_that_could_not_be_read_back_is_refused(reasoning: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        taught.messages(MESSAGES, form="reason", open=False, instruction="", reasoning=reasoning)


def test_a_lesson_says_what_the_plain_row_of_its_sample_says(made: Any, lessons: Taught) -> None:
    plain = {row["id"]: row for file in made.files() for row in pq.read_table(file).to_pylist()}
    seen = Counter[str]()
    for config in taught_releases.CONFIGS:
        for row in lessons.rows(config):
            sample = plain[row["source"]]
            turns = len(row["turns"])
            told = [message["content"] for message in row["messages"]]
            wanted = [message["content"] for message in sample["messages"][: 2 * turns]]
            if config in ("cot", "rl"):
                wanted[-2] += f"\n{INSTRUCTION}"
            if config == "cot":
                wanted[-1] = f"<think>{row['reasoning']}</think><answer>{wanted[-1]}</answer>"
            assert told == (wanted[:-1] if config == "rl" else wanted)
            for name in set(SCHEMA.names) - {"id", "turns", "messages", "order"}:
                assert row[name] == sample[name], name
            assert row["turns"] == sample["turns"][:turns]
            seen[config] += 1
    assert min(seen.values()) >= 3 and len(seen) == 4


# The columns.


def test_a_lesson_has_the_columns_of_its_lesson(lessons: Taught) -> None:
    wanted = {(lesson.config, lesson.id): lesson for lesson in lessons.lessons}
    for config in taught_releases.CONFIGS:
        for row in lessons.rows(config):
            lesson = wanted.pop((config, row["id"]))
            for name in set(LESSON_SCHEMA.names) - set(SCHEMA.names) - {"ground_truth"}:
                assert row[name] == getattr(lesson, name), name
    assert not wanted


def test_the_ground_truth_gives_full_marks_to_the_gold_answer(
    lessons: Taught, lessons_json: Taught, made: Any, made_json: Any
) -> None:
    for release, run in ((lessons, made), (lessons_json, made_json)):
        plain = {row["id"]: row for file in run.files() for row in pq.read_table(file).to_pylist()}
        for row in release.rows():
            gold = plain[row["source"]]["messages"][2 * len(row["turns"]) - 1]["content"]
            text = f"<think>So.</think><answer>{gold}</answer>" if row["form"] == "reason" else gold
            found = rewards.judge(text, row["ground_truth"])
            assert found.format == found.acc == 1, (text, row["ground_truth"], found)
            if row["form"] == "reason":
                assert rewards.judge(gold, row["ground_truth"]).score == 0


def test_the_ground_truth_is_in_pixels_of_the_published_images(lessons: Taught) -> None:
    for row in lessons.rows():
        found = truth.read(row["ground_truth"])
        assert (found.frame, found.notation, found.written) == ("pixels", *written(row))
        assert list(found.sizes) == [(i["width"], i["height"]) for i in row["image_info"]]
        targets = [(t["image"], tuple(t["box"])) for t in row["turns"][-1]["targets"]]
        assert [(t.image, t.bbox) for t in found.targets] == targets


def written(row: dict[str, Any]) -> tuple[str, str]:
    return row["notation"], row["frame"]


def test_what_a_teacher_did_is_counted_for_the_card(lessons: Taught) -> None:
    rows = lessons.rows()
    assert statistics.histogram(lessons.entries, "form") == dict(
        Counter(row["form"] for row in rows).most_common()
    )
    rl = len(lessons.rows("rl"))
    cot = len(lessons.rows("cot"))
    assert statistics.histogram(lessons.entries, "pass rate") == {"0.3": rl}
    assert statistics.histogram(lessons.entries, "words of reasoning") == {"1": cot}
    prompts = statistics.histogram(lessons.entries, "prompt")
    assert prompts["write"] == len(lessons.rows("written"))
    assert sum(prompts.values()) == len(rows) - len(lessons.rows("direct"))
    kinds = Counter(turn["kind"] for row in rows for turn in row["turns"])
    assert statistics.histogram(lessons.entries, "kind") == kinds


# Reading.


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_joins_the_rows_that_reason_and_those_that_do_not(
    datasets: Any, lessons: Taught, streaming: bool
) -> None:
    found = [
        datasets.load_dataset(str(lessons.release), config, split="train", streaming=streaming)
        for config in ("cot", "direct")
    ]
    joined = list(datasets.concatenate_datasets(found))
    assert [row["form"] for row in joined] == [
        row["form"]
        for config in ("cot", "direct")
        for row in lessons.rows(config)
        if row["split"] == "train"
    ]
    for row in joined:
        sizes = [(info["width"], info["height"]) for info in row["image_info"]]
        assert [image.size for image in row["images"]] == sizes
    mixed = list(datasets.interleave_datasets(found, stopping_strategy="all_exhausted"))
    assert {row["form"] for row in mixed} == {"reason", "direct"}


def test_all_configurations_have_the_same_features(datasets: Any, lessons: Taught) -> None:
    wanted = datasets.Features.from_dict(features(LESSON_SCHEMA))
    for config in taught_releases.CONFIGS:
        data = datasets.load_dataset(str(lessons.release), config)
        assert {name: split.features for name, split in data.items()} == dict.fromkeys(data, wanted)
    rows = datasets.load_dataset(str(lessons.release), "direct", split="train")
    assert (rows[0]["pass_rate"], rows[0]["iou"], rows[0]["answers"]) == (None, None, 0)


def test_rows_can_be_chosen_by_pass_rate_without_reading_all(lessons: Taught) -> None:
    for file in lessons.files("rl"):
        metadata = pq.read_metadata(file)
        columns = map(metadata.row_group(0).column, range(metadata.num_columns))
        (found,) = (c.statistics for c in columns if c.path_in_schema == "pass_rate")
        assert (found.min, found.max) == (3 / 8, 3 / 8)


def test_two_releases_of_the_same_lessons_have_equal_bytes(
    made: Any, lessons: Taught, tmp_path: Path
) -> None:
    again = taught_releases.release(made.run, tmp_path, "qwen2-vl")
    assert [file.name for file in again.files()] == [file.name for file in lessons.files()]
    for one, other in zip(again.files(), lessons.files(), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_lesson_in_json_fits_its_schema(lessons: Taught) -> None:
    validator = jsonschema.Draft202012Validator(schema_of(LessonRow, "lesson_row"))
    for raw in lessons.rows():
        document = msgspec.json.decode(encoded(msgspec.convert(raw, LessonRow)))
        assert not list(validator.iter_errors(document))


# The check.


def test_a_good_release_of_lessons_has_no_fault(lessons: Taught, lessons_json: Taught) -> None:
    for one in (lessons, lessons_json):
        verdict = check(one.release)
        assert verdict.counts == {}, "\n".join(lines(verdict))
        assert verdict.rows == len(one.lessons) > 24
        assert verdict.files == len(one.files()) > 8


def test_rewriting_a_file_of_lessons_plants_nothing_by_itself(
    lessons: Taught, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(lessons.release, tmp_path / "release"))
    for file in sorted(copy.glob("data/*/train-00000-*.parquet")):
        rewrite(file)
    assert check(copy).counts == {}


@pytest.mark.parametrize(
    ("kind", "plant"), [pytest.param(k, plant, id=f"{k}: {how}") for k, how, plant in LESSON_PLANTS]
)
def test_a_fault_planted_in_lessons_is_named_and_nothing_else(
    lessons: Taught, tmp_path: Path, kind: str, plant: Callable[[Path], object]
) -> None:
    copy = Path(shutil.copytree(lessons.release, tmp_path / "release"))
    plant(copy)
    verdict = check(copy)
    assert set(verdict.counts) == {kind}, "\n".join(lines(verdict))


def test_plain_rows_and_lessons_may_stand_in_one_release_in_configurations_of_their_own(
    made: Any, lessons: Taught, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(lessons.release, tmp_path / "release"))
    shutil.copytree(made.release / "data/object_tracking", copy / "data/object_tracking")
    # The card does not know of it, and nothing else is wrong.
    assert set(check(copy).counts) == {"card"}


def test_the_release_page_names_every_column_of_a_lesson() -> None:
    page = Path(__file__).parents[2] / "docs/release-format.md"
    text = page.read_text()
    assert [name for name in LESSON_SCHEMA.names if f"`{name}`" not in text] == []
