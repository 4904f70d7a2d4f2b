"""MIG-Bench: whose box it is, which labels are faulty, and what a copy without pixels can tell."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from clip_writers import jpeg, put

from mgdata.corpora.check import check
from mgdata.corpora.mig_bench import TASKS, MigBench
from mgdata.data import Drop, Record
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.storage import Root
from mgdata.synth import mig_bench as writer
from mgdata.synth import write
from mgdata.tables import RecordRows
from mgdata.validity import record_fault

GIVEN = "<|box_start|>(100,200),(500,800)<|box_end|>"
SENTENCE = "It is in the third image. <|box_start|>(250,500),(750,1000)<|box_end|>. "


def item(
    task: str = "diff", question: str = "Where do they differ? ", **fields: Any
) -> dict[str, Any]:
    count = TASKS[task].least if task in TASKS else 2
    images = [f"./MIG-Bench/images/{task}/case_{n}.jpg" for n in range(count)]
    return {
        "task": task,
        "images": images,
        "question": question,
        "answer": [0.25, 0.5, 0.75, 1.0],
        "additional_info": "",
        "need_format": True,
    } | fields


def bench(root: Path, *items: object, pixels: bool = True, names_only: bool = False) -> MigBench:
    put(root / "MIG_data.json", json.dumps(items))
    for one in items:
        for path in (isinstance(one, dict) and pixels and one.get("images")) or ():
            put(root / path.removeprefix("./MIG-Bench/"), jpeg())
    return MigBench(name="bench", root=Root(str(root)), names_only=names_only)


def read(corpus: MigBench) -> list[Record | Drop]:
    return [found for part in corpus.parts() for found in corpus.records(part)]


def drops(corpus: MigBench) -> list[tuple[str, str | None]]:
    found = read(corpus)
    assert all(isinstance(one, Drop) for one in found), found
    return [(one.reason, one.value) for one in found if isinstance(one, Drop)]


def test_an_answer_becomes_pixels_of_the_image_that_is_asked_about(tmp_path: Path) -> None:
    (record,) = read(bench(tmp_path, item()))
    assert isinstance(record, Record)
    assert record_fault(record) is None
    assert (record.key, record.shape) == ("bench/diff/0", "set")
    assert record.images[0].uri == "bench:images/diff/case_0.jpg"
    (region,) = record.regions
    assert (region.image, region.label, region.ignore) == (1, "diff", False)
    assert region.box is not None
    assert (region.box.x1, region.box.y1, region.box.x2, region.box.y2) == (16, 24, 48, 48)
    assert region.phrase == "Where do they differ? "  # the space at the end too


@pytest.mark.parametrize(
    ("task", "question", "more", "asked"),
    [
        ("common_object", "Locate this object in the 1th image. ", "", 0),
        ("common_object", "Locate this object in the 3th image. ", "", 2),
        ("common_object", "Locate this object in Image-2.", "", 1),
        (
            "multi_view",
            f"(the object in the first image({GIVEN}). Locate it in the 2th image. ",
            "",
            1,
        ),
        ("object_tracking", f"In the first image({GIVEN}), locate it in the sixth image. ", "", 5),
        ("object_tracking", f"In image 1 ({GIVEN}), locate it in the 2nd image. ", "", 1),
        ("region", "Locate the 1th region picture in the source image. ", "", 0),
        ("group_grounding", "Find the first image of a dog.", SENTENCE, 2),
        ("correspondence", "For the area in the first image, locate its like. ", "", 1),
        ("reasoning", "What in Image-1 is needed? ", "", 1),
        ("refer_grounding", "Where is it?", "", 1),
        ("view_diff", "Find it. ", "", 1),
    ],
)
def test_the_asked_image_is_told_by_question_sentence_or_task(
    tmp_path: Path, task: str, question: str, more: str, asked: int
) -> None:
    (record,) = read(bench(tmp_path, item(task, question, additional_info=more)))
    assert isinstance(record, Record), record
    assert [r.image for r in record.regions if not r.ignore] == [asked]


def test_a_box_that_the_question_gives_is_a_region_to_ignore_on_the_same_track(
    tmp_path: Path,
) -> None:
    question = f"In the first image({GIVEN}), locate it in the 2th image. "
    (record,) = read(bench(tmp_path, item("object_tracking", question)))
    assert isinstance(record, Record)
    given, answer = record.regions
    assert (given.image, given.ignore, given.phrase) == (0, True, None)
    assert given.box is not None
    assert (given.box.x1, given.box.y2) == pytest.approx((6.4, 38.4))
    assert given.track == answer.track is not None


@pytest.mark.parametrize(
    ("fault", "reason", "value"),
    [
        ({"answer": [0.5, 0.5, 0.2, 0.9]}, "inverted box", "[0.5, 0.5, 0.2, 0.9]"),
        ({"answer": [0.5, 0.9, 0.6, 0.2]}, "inverted box", "[0.5, 0.9, 0.6, 0.2]"),
        ({"answer": [0.5, 0.5, 0.5, 0.9]}, "zero box", "[0.5, 0.5, 0.5, 0.9]"),
        ({"answer": [0.1, 0.1, 1.001, 0.9]}, "box outside the image", "[0.1, 0.1, 1.001, 0.9]"),
        ({"answer": [-0.1, 0.1, 1, 0.9]}, "box outside the image", "[-0.1, 0.1, 1, 0.9]"),
        ({"answer": [100, 100, 500, 900]}, "box outside the image", "[100, 100, 500, 900]"),
        ({"answer": [0.1, float("nan"), 1, 1]}, "nan box", "[0.1, NaN, 1, 1]"),
        ({"answer": [0.1, 0.2, 0.3]}, "answer is not four numbers", "[0.1, 0.2, 0.3]"),
        ({"answer": ["0", "0", "1", "1"]}, "answer is not four numbers", '["0", "0", "1", "1"]'),
        ({"answer": [True, 0, 1, 1]}, "answer is not four numbers", "[true, 0, 1, 1]"),
        ({"answer": None}, "answer is not four numbers", "null"),
        ({"answer": [[0, 0, 1, 1]]}, "answer is not four numbers", "[[0, 0, 1, 1]]"),
        ({"task": "differ"}, "unknown task", "'differ'"),
        ({"images": ["a.jpg"]}, "wrong number of images", "diff with 1"),
        ({"images": ["a.jpg"] * 3}, "wrong number of images", "diff with 3"),
        ({"question": " "}, "blank question", None),
        ({"images": "a.jpg"}, "malformed item", "Expected `array`, got `str` - at `$.images`"),
        ({"question": "\ud800"}, "malformed item", "text that is not Unicode"),
    ],
)
def test_a_faulty_label_is_named_even_where_there_are_no_pixels(
    tmp_path: Path, fault: dict[str, Any], reason: str, value: str | None
) -> None:
    assert drops(bench(tmp_path, item(**fault), pixels=False)) == [(reason, value)]


@pytest.mark.parametrize(
    ("task", "question", "more", "reason"),
    [
        ("common_object", "Locate this object.", "", "asked image not told"),
        ("common_object", "Locate this object in the 4th image.", "", "asked image is not there"),
        ("common_object", "Locate this object in the 0th image.", "", "asked image is not there"),
        ("region", "Locate the 2th region picture in the source.", "", "asked image is not there"),
        ("region", "Locate it in the source image.", "", "asked image not told"),
        ("group_grounding", "Find a dog.", "", "asked image not told"),
        ("group_grounding", "Find a dog.", SENTENCE.replace("250", "310"), "answer and sentence differ"),
        ("object_tracking", GIVEN.replace("500", "50") + " in the 2th image", "", "given box is no box"),
    ],
)  # fmt: skip
def test_a_question_that_does_not_fit_its_item_is_reported(
    tmp_path: Path, task: str, question: str, more: str, reason: str
) -> None:
    found = drops(bench(tmp_path, item(task, question, additional_info=more), pixels=False))
    assert [name for name, _ in found] == [reason]


def test_an_item_again_is_dropped_and_two_answers_drop_both(tmp_path: Path) -> None:
    other = item(question="Again? ")
    items = (item(), item(), other, {**other, "answer": [0, 0, 0.5, 0.5]})
    found = read(bench(tmp_path, *items))
    assert isinstance(found[0], Record)
    assert [(d.key, d.reason, d.value) for d in found if isinstance(d, Drop)] == [
        ("bench/diff/1", "repeated item", "first at 0"),
        ("bench/diff/2", "two answers to one question", "2, 3"),
        ("bench/diff/3", "two answers to one question", "2, 3"),
    ]


def test_images_that_are_missing_damaged_or_outside_lose_their_item_only(tmp_path: Path) -> None:
    tasks = ("diff", "view_diff", "refer_grounding", "correspondence", "reasoning")
    corpus = bench(tmp_path, *map(item, tasks))
    (tmp_path / "images/diff/case_1.jpg").unlink()
    put(tmp_path / "images/view_diff/case_0.jpg", "version https://git-lfs")
    items = json.loads((tmp_path / "MIG_data.json").read_text())
    items[2]["images"][0] = "../case.jpg"
    items[3]["images"][0] = "./MIG-Bench/images"
    put(tmp_path / "MIG_data.json", json.dumps(items))
    found = read(corpus)
    reasons = [one.reason if isinstance(one, Drop) else one.key for one in found]
    assert reasons == [
        "missing image",
        "unreadable image",
        "path leaves the corpus root",
        "unreadable file",
        "bench/reasoning/4",
    ]


@pytest.mark.parametrize("content", ["[{", "{}", b"\xff\xfe", "", "null"])
def test_a_file_that_is_no_list_of_items_is_one_drop_that_names_it(
    tmp_path: Path, content: str | bytes
) -> None:
    put(tmp_path / "MIG_data.json", content)
    (found,) = read(MigBench(name="bench", root=Root(str(tmp_path))))
    assert isinstance(found, Drop)
    assert found.key == "bench/MIG_data.json"
    assert found.reason in ("malformed annotation", "text is not UTF-8")


def test_the_downloaded_folder_is_read_from_above_too(tmp_path: Path) -> None:
    bench(tmp_path / "MIG-Bench", item())
    (record,) = read(MigBench(name="bench", root=Root(str(tmp_path))))
    assert isinstance(record, Record)
    assert record.images[0].uri == "bench:MIG-Bench/images/diff/case_0.jpg"


def test_a_root_without_the_file_says_what_was_looked_for(tmp_path: Path) -> None:
    put(tmp_path / "other.json", "[]")
    with pytest.raises(UsageError, match=r"looked for MIG_data.json and images/, found other.json"):
        MigBench(name="bench", root=Root(str(tmp_path))).parts()
    with pytest.raises(EnvironmentFailure, match="is not there"):
        MigBench(name="bench", root=Root(str(tmp_path / "none"))).parts()


def test_names_only_gives_every_item_even_a_faulty_one_and_asks_nothing(tmp_path: Path) -> None:
    faulty = item("region", answer=[9, 9, 0, 0])
    records = read(bench(tmp_path, item(), faulty, pixels=False, names_only=True))
    assert [one.key for one in records if isinstance(one, Record)] == [
        "bench/diff/0",
        "bench/region/1",
    ]
    rows = RecordRows()
    for record in records:
        assert isinstance(record, Record)
        assert record.regions == ()
        assert record_fault(record) is None
        rows.add(record)
    assert all(len(names) == 3 for names in rows.table()["names"].to_pylist())  # images and folder


def test_the_written_corpus_reads_back_but_for_the_planted_faults(tmp_path: Path) -> None:
    write("mig_bench", tmp_path / "m", clips=11, frames=1, size=(200, 160), seed=3)
    report = check(MigBench(name="bench", root=Root(str(tmp_path / "m"))))
    assert {reason: drop.count for reason, drop in report.drops.items()} == writer.PLANTED
    assert set(report.labels) == set(TASKS)
    assert not report.skipped
    items = json.loads((tmp_path / "m/MIG_data.json").read_text())
    assert report.records == len(items) - sum(writer.PLANTED.values())


def test_a_box_read_back_from_the_written_corpus_is_the_toy_to_half_a_thousandth(
    tmp_path: Path,
) -> None:
    """A crop was cut at the true box: its size is the answer's."""
    write("mig_bench", tmp_path / "m", clips=9, frames=1, size=(200, 160))
    found = read(MigBench(name="bench", root=Root(str(tmp_path / "m"))))
    regions = [one for one in found if isinstance(one, Record) and "/region/" in one.key]
    assert regions
    for number, record in enumerate(regions, 1):
        (region,) = record.regions
        crop = record.images[number]
        assert region.box is not None
        assert region.box.width == pytest.approx(crop.width, abs=0.2)
        assert region.box.height == pytest.approx(crop.height, abs=0.16)


@pytest.mark.real
def test_the_real_subset_has_sound_labels_and_no_pixels() -> None:
    root = Root(str(Path(os.environ["MGDATA_CORPORA"]) / "mig_bench"))
    found = read(MigBench(name="bench", root=root))
    assert Counter(one.reason for one in found if isinstance(one, Drop)) == {"missing image": 30}
    named = read(MigBench(name="bench", root=root, names_only=True))
    assert Counter(
        one.key.split("/")[1] for one in named if isinstance(one, Record)
    ) == dict.fromkeys(TASKS, 3)


@pytest.mark.real
def test_the_real_subset_names_the_images_that_its_answers_lie_in(tmp_path: Path) -> None:
    """With blank pixels in place of its own, every item is a record."""
    source = Path(os.environ["MGDATA_CORPORA"]) / "mig_bench/MIG_data_subset.json"
    corpus = bench(tmp_path, *json.loads(source.read_text()))
    found = read(corpus)
    assert not [one for one in found if isinstance(one, Drop)]
    asked = {
        one.key: region.image
        for one in found
        if isinstance(one, Record)
        for region in one.regions
        if not region.ignore
    }
    # Three of each task: common, correspondence, diff, group, views, region, view_diff, refer,
    # tracking, reasoning.
    assert "".join(map(str, asked.values())) == "012111111032121000111111123111"
