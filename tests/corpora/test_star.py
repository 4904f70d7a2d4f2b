"""STAR: hand-written files in the true layout, synthetic ones read back, damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from clip_writers import corners, jpeg, put

from mgdata.corpora import star as module
from mgdata.corpora.check import check
from mgdata.corpora.star import Star
from mgdata.corpora.star_answers import asked, named
from mgdata.data import Drop, Expression, Record
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.identity import Stream
from mgdata.storage import Root
from mgdata.synth import star as writer
from mgdata.synth import write
from mgdata.synth.camera import Job
from mgdata.synth.drawing import film
from mgdata.validity import record_fault

Found = list[Any]
Change = Callable[[dict[str, Any]], None]
CODES = {name: f"o{i:03d}" for i, name in enumerate(writer.CLASSES)}
LIST = "\n".join(f"{code} {name}" for name, code in CODES.items())
PERSON, CUP, BLANKET = "o000", "o010", "o004"
WHICH = "Which object was put down by the person?"


def situation(**boxes: Any) -> dict[str, Any]:
    return {
        "rel_pairs": [["o000", code] for code in boxes],
        "rel_labels": ["r001"] * len(boxes),
        "actions": ["a083"],
        "bbox": list(boxes.values()),
        "bbox_labels": list(boxes),
    }


def question(id_: str = "Interaction_T1_13", **more: Any) -> dict[str, Any]:
    """Three frames not in order: the cup is held, then hidden, then stands."""
    return {
        "question_id": id_,
        "question": WHICH,
        "video_id": "6H78U",
        "start": 11.1,
        "end": 19.6,
        "answer": "The cup/glass/bottle.",
        "question_program": [{"function": "Situations", "value_input": []}],
        "choices": [{"choice_id": 0, "choice": "The table.", "choice_program": []}],
        "situations": {
            "000100": situation(o000=[5, 5, 30, 48], o010=[40.5, 30, 50, 40.25]),
            "000020": situation(
                o000=[1, 2, 20, 47.5], o010=[20, 20, 30, 30], o004=[-3, 40, 70, 48]
            ),
            "000060": situation(o000=[3, 4, 25, 47], o010=None),
        },
        **more,
    }


def png(width: int = 64, height: int = 48) -> bytes:
    return cv2.imencode(".png", np.full((height, width, 3), 90, np.uint8))[1].tobytes()


def lay(root: Path, found: Found | str, split: str = "train", image: bytes | None = None) -> Path:
    put(root / f"STAR_{split}.json", found if isinstance(found, str) else json.dumps(found))
    put(root / "classes/object_classes.txt", LIST)
    for number in (20, 60, 100):
        put(root / f"frames/6H78U.mp4/{number:06d}.png", image or png())
    return root


def corpus(root: Path, **settings: Any) -> Star:
    return Star(name="star", root=Root(str(root)), **settings)


def read(root: Path, **settings: Any) -> list[Record | Drop]:
    reader = corpus(root, **settings)
    items = [item for part in reader.parts() for item in reader.records(part)]
    assert [f for i in items if isinstance(i, Record) and (f := record_fault(i))] == []
    return items


def one(root: Path, **settings: Any) -> Record:
    (item,) = read(root, **settings)
    assert isinstance(item, Record), item
    return item


def dropped(items: list[Record | Drop]) -> list[tuple[str, str]]:
    return [(item.key, item.reason) for item in items if isinstance(item, Drop)]


def test_a_question_becomes_a_clip_of_its_situations_in_time_order(tmp_path: Path) -> None:
    record = one(lay(tmp_path, [question()]))
    assert record.key == "star/STAR_train/Interaction_T1_13"
    assert (record.unit, record.license) == ("charades-6H78U", "unknown")
    assert [image.frame for image in record.images] == [20, 60, 100]
    assert record.images[0].uri == "star:frames/6H78U.mp4/000020.png"
    assert (record.images[0].width, record.images[0].format) == (64, "png")
    assert [(r.image, r.track, r.label) for r in record.regions] == [
        (0, PERSON, "person"),
        (0, CUP, "cup/glass/bottle"),
        (0, BLANKET, "blanket"),
        (1, PERSON, "person"),
        (2, PERSON, "person"),
        (2, CUP, "cup/glass/bottle"),
    ]
    assert corners(record)[:3] == [(1, 2, 20, 47.5), (20, 20, 30, 30), (0, 40, 64, 48)]
    assert [region.clipped for region in record.regions[:3]] == [False, False, True]


def test_a_null_box_is_left_out_and_says_nothing(tmp_path: Path) -> None:
    record = one(lay(tmp_path, [question()]))
    assert record.skipped == {"null box": 1}
    assert all(region.box is not None for region in record.regions)
    assert (record.exhaustive, record.absent) == ((), ())


def test_the_question_refers_to_every_box_of_what_its_answer_names(tmp_path: Path) -> None:
    record = one(lay(tmp_path, [question()]))
    expected = Expression(text=WHICH, regions=(1, 5), label="cup/glass/bottle", form="question")
    assert record.expressions == (expected,)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"answer": "The blankets."}, "answer names no single class"),
        ({"answer": "The blanket and the bag."}, "answer names no single class"),
        ({"answer": "Blanket."}, "answer names no single class"),
        ({"answer": "The red blanket."}, "answer names no single class"),
        ({"answer": "The bag."}, "answer without a box"),
        ({"answer": None}, "no question or no answer"),
        ({"answer": "  "}, "no question or no answer"),
        ({"question": "\n"}, "no question or no answer"),
        ({"question": "What happened before?", "answer": "Took the blanket."}, "question answered by an action"),
        ({"question_id": "Prediction_T3_1"}, "question of another kind"),
        ({"question_id": "Feasibility_T5_1"}, "question of another kind"),
    ],
)  # fmt: skip
def test_where_the_answer_is_in_doubt_there_is_no_expression_and_that_is_counted(
    tmp_path: Path, more: dict[str, Any], reason: str
) -> None:
    record = one(lay(tmp_path, [question(**{"id_": "Interaction_T1_1", **more})]))
    assert record.expressions == ()
    assert record.skipped == {"null box": 1, reason: 1}
    assert len(record.regions) == 6


def test_questions_of_a_guess_and_of_an_action_are_a_setting(tmp_path: Path) -> None:
    guess = question("Prediction_T1_4", question="What will the person do next?")
    guess["answer"] = "Put down the blanket."
    lay(tmp_path, [guess])
    settings: dict[str, Any] = {"kinds": ("Prediction",), "actions": True}
    (expression,) = one(tmp_path, **settings).expressions
    assert (expression.label, expression.regions) == ("blanket", (2,))
    assert one(tmp_path, kinds=("Prediction",)).expressions == ()
    assert one(tmp_path, actions=True).expressions == ()


@pytest.mark.parametrize(
    ("question_", "answer", "code"),
    [
        (WHICH, "The cup/glass/bottle.", CUP),
        (WHICH, " the  BLANKET ", BLANKET),
        ("Which other object is possible to be washed by the person?", "The dish.", CODES["dish"]),
        ("What did the person do with the box?", "Took.", None),
        ("What did the person do with the box?", "Put down.", None),
        ("What happened after the person took the box?", "Put down the blanket.", BLANKET),
        ("What will the person do next?", "Lie on the sofa/couch.", CODES["sofa/couch"]),
        ("What will the person do next?", "Walked through the doorway.", CODES["doorway"]),
        ("What happened?", "Took the box from the table.", None),
        ("What happened?", "The blanket.", None),
        (WHICH, "Put down the blanket.", None),
        (WHICH, "The unicorn.", None),
        (WHICH, "", None),
    ],
)
def test_an_answer_names_a_class_only_in_the_forms_of_the_templates(
    question_: str, answer: str, code: str | None
) -> None:
    assert named(question_, answer, CODES) == code
    assert asked(question_) == ("object" if question_.startswith("Which") else "action")


def test_a_name_that_two_classes_have_is_no_answer(tmp_path: Path) -> None:
    lay(tmp_path, [question()])
    put(tmp_path / "classes/object_classes.txt", f"{LIST}\no099 cup/glass/bottle")
    assert one(tmp_path).skipped == {"answer names no single class": 1, "null box": 1}


def first(found: dict[str, Any]) -> dict[str, Any]:
    return found["situations"]["000020"]


def instead(value: Any) -> Change:
    return lambda found: first(found)["bbox"].__setitem__(1, value)


def relabel(value: Any) -> Change:
    return lambda found: first(found)["bbox_labels"].__setitem__(1, value)


@pytest.mark.parametrize(
    ("change", "reason", "count"),
    [
        (instead([20, 20, 20, 30]), "zero box", 1),
        (instead([30, 20, 20, 30]), "inverted box", 1),
        (instead([-9, 20, -2, 30]), "box outside the image", 1),
        (instead([float("nan"), 20, 30, 30]), "nan box", 1),
        (instead([20, 20, float("inf"), 30]), "nan box", 1),
        (instead([20, 20, 30]), "malformed box", 1),
        (instead("20 20 30 30"), "malformed box", 1),
        (instead([20, 20, "30", 30]), "malformed box", 1),
        (relabel("o999"), "unknown category", 1),
        (relabel(10), "unknown category", 1),
        (relabel(None), "unknown category", 1),
        (relabel(PERSON), "several boxes of one class", 2),
    ],
)
def test_a_box_that_cannot_be_used_is_left_out_and_counted(
    tmp_path: Path, change: Change, reason: str, count: int
) -> None:
    found = question()
    change(found)
    record = one(lay(tmp_path, [found]))
    assert record.skipped == {"null box": 1, reason: count}
    assert len(record.regions) == 6 - count and len(record.images) == 3
    (expression,) = record.expressions
    assert [record.regions[i].image for i in expression.regions] == [2]


def shorter(found: dict[str, Any]) -> None:
    first(found)["bbox"].pop()


def boxless(found: dict[str, Any]) -> None:
    del first(found)["bbox"]


def misnumbered(found: dict[str, Any]) -> None:
    found["situations"]["late"] = found["situations"].pop("000020")


def elsewhere(found: dict[str, Any]) -> None:
    found["situations"]["000021"] = found["situations"].pop("000020")


def upwards(found: dict[str, Any]) -> None:
    found["situations"]["../000020"] = found["situations"].pop("000020")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (shorter, "boxes and labels differ"),
        (boxless, "malformed situation"),
        (lambda found: found["situations"].__setitem__("000020", 7), "malformed situation"),
        (misnumbered, "bad frame number"),
        (upwards, "bad frame number"),
        (elsewhere, "missing image"),
    ],
)
def test_a_frame_that_cannot_be_used_is_left_out_and_counted(
    tmp_path: Path, change: Change, reason: str
) -> None:
    found = question()
    change(found)
    record = one(lay(tmp_path, [found]))
    assert [image.frame for image in record.images] == [60, 100]
    assert record.skipped == {"null box": 1, reason: 1}


def test_two_situations_of_one_frame_are_one_image(tmp_path: Path) -> None:
    found = question()
    found["situations"]["20"] = found["situations"]["000020"]
    record = one(lay(tmp_path, [found]))
    assert [image.frame for image in record.images] == [20, 60, 100]
    assert record.skipped == {"null box": 1, "two situations of one frame": 1}


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((48, 64), "frames of another size than the boxes"),  # stored turned by a quarter
        ((32, 24), "frames of another size than the boxes"),
        ((640, 481), "frames of another size than the boxes"),  # not the 480p videos
        ((854, 480), None),
        ((480, 854), None),
        ((64, 46), None),  # boxes may leave a frame a little
    ],
)
def test_frames_that_the_boxes_cannot_refer_to_are_dropped(
    tmp_path: Path, size: tuple[int, int], reason: str | None
) -> None:
    (item,) = read(lay(tmp_path, [question()], image=png(*size)))
    assert (item.reason if isinstance(item, Drop) else None) == reason


def test_the_longest_short_side_is_a_setting(tmp_path: Path) -> None:
    lay(tmp_path, [question()], image=png(900, 700))
    assert one(tmp_path, short_side=0).images[0].height == 700
    assert one(tmp_path, short_side=700).images[0].height == 700


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"video_id": "AAAAA"}, "missing image"),
        ({"video_id": "../frames/6H78U"}, "path leaves the corpus root"),
        ({"video_id": ".."}, "path leaves the corpus root"),
        ({"video_id": "a b"}, "bad video id"),
        ({"video_id": 7}, "malformed question"),
        ({"situations": {}}, "no frames"),
        ({"situations": []}, "malformed question"),
        ({"situations": {"000007": situation()}}, "missing image"),
    ],
)
def test_a_question_without_a_record_says_why_and_the_next_is_read(
    tmp_path: Path, more: dict[str, Any], reason: str
) -> None:
    items = read(lay(tmp_path, [question(**more), question("Sequence_T1_2")]))
    (drop,) = dropped(items)
    assert drop[1] == reason
    assert drop[0] in ("star/STAR_train/Interaction_T1_13", "star/STAR_train/#0")
    assert isinstance(items[1], Record)


def test_a_question_id_that_comes_again_is_dropped(tmp_path: Path) -> None:
    items = read(lay(tmp_path, [question(), question()]))
    assert dropped(items) == [("star/STAR_train/Interaction_T1_13", "repeated question id")]


@pytest.mark.parametrize("element", [None, 7, "x", [], {}, {"question_id": "\ud800"}, {"question_id": ""}])  # fmt: skip
def test_an_element_that_is_no_question_is_dropped_by_its_number(
    tmp_path: Path, element: Any
) -> None:
    items = read(lay(tmp_path, [question(), element]))
    assert dropped(items) == [("star/STAR_train/#1", "malformed question")]


def test_an_unreadable_frame_drops_the_questions_of_its_video(tmp_path: Path) -> None:
    lay(tmp_path, [question(), question("Sequence_T1_2")])
    put(tmp_path / "frames/6H78U.mp4/000020.png", "no image")
    assert [reason for _, reason in dropped(read(tmp_path))] == ["unreadable image"] * 2


def test_frames_dumped_as_jpeg_are_found_too(tmp_path: Path) -> None:
    lay(tmp_path, [question()])
    put(tmp_path / "frames/6H78U.mp4/000020.jpg", jpeg())
    (tmp_path / "frames/6H78U.mp4/000020.png").unlink()
    assert one(tmp_path).images[0].uri == "star:frames/6H78U.mp4/000020.jpg"


def test_a_link_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    lay(tmp_path / "root", [question()])
    lay(tmp_path / "other", [question()])
    folder = tmp_path / "root/frames/6H78U.mp4"
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.symlink_to(tmp_path / "other/frames/6H78U.mp4")
    assert dropped(read(tmp_path / "root"))[0][1] == "path leaves the corpus root"


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("", ["JSON ends early"]),
        ("{}", ["malformed JSON"]),
        ("[]", ["no questions"]),
        (json.dumps([question(), question("Sequence_T1_2")])[:-200], ["JSON ends early"]),
    ],
)
def test_a_file_that_is_cut_or_no_list_is_named_and_what_came_before_is_kept(
    tmp_path: Path, text: str, reasons: list[str]
) -> None:
    items = read(lay(tmp_path, text))
    assert dropped(items) == [("star/STAR_train.json", reason) for reason in reasons]
    assert sum(isinstance(item, Record) for item in items) == ("Sequence" in text)


def test_a_large_file_is_cut_into_parts_that_hold_each_question_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, [question(f"Interaction_T1_{i}") for i in range(23)])
    whole = read(tmp_path)
    monkeypatch.setattr(module, "PART", 4000)
    parts = corpus(tmp_path).parts()
    assert len(parts) > 3 and parts[1] == f"STAR_train.json#1/{len(parts)}"
    assert read(tmp_path) == whole and len(whole) == 23


def test_only_the_splits_asked_for_are_read_wherever_they_lie(tmp_path: Path) -> None:
    lay(tmp_path, [question()])
    put(tmp_path / "annotations/STAR_val.json", json.dumps([question()]))
    both = corpus(tmp_path, splits=("train", "val"))
    assert both.parts() == ["STAR_train.json", "annotations/STAR_val.json"]
    assert [i.key for i in read(tmp_path, splits=("val",))] == ["star/STAR_val/Interaction_T1_13"]
    with pytest.raises(UsageError, match=r"looked for STAR_test.json \(splits: test\)"):
        corpus(tmp_path, splits=("test",)).parts()
    with pytest.raises(UsageError, match="splits: none"):
        corpus(tmp_path, splits=()).parts()
    with pytest.raises(EnvironmentFailure, match="is not there"):
        corpus(tmp_path / "nowhere").parts()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("o000 person\nperson\n", r"classes/object_classes.txt:2: found 'person'"),
        ("o000 person\no000 broom\n", r":2: found 'o000 broom'"),
        ("o001 bed\no002 caf\u00e9\n", r":2: found"),
        ("", "is empty"),
    ],
)
def test_a_list_of_classes_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    lay(tmp_path, [question()])
    put(tmp_path / "classes/object_classes.txt", text)
    with pytest.raises(UsageError, match=said):
        corpus(tmp_path).parts()
    (tmp_path / "classes/object_classes.txt").unlink()
    with pytest.raises(UsageError, match=r"looked for object_classes.txt"):
        corpus(tmp_path).parts()


def test_a_box_read_back_is_the_box_that_was_drawn(tmp_path: Path) -> None:
    job = Job(clips=6, frames=16, size=(160, 120), seed=5, quality=90, jpeg_bytes=None)
    summary = write("star", tmp_path / "s", clips=6, frames=16, size=(160, 120), seed=5)
    items = read(tmp_path / "s", splits=("train", "val"))
    assert dropped(items) == []
    units = list(dict.fromkeys(item.unit for item in items if isinstance(item, Record)))
    assert len(units) == 6
    moved, unmentioned = 0, 0
    for clip, unit in enumerate(units):
        told = writer.story(Stream("synth", "star", "5", str(clip)), clip, job)
        drawn = {
            writer.number(t): {p.name: p.seen for p in placements}
            for t, (_, placements) in enumerate(film(told.scene))
        }
        for record in [item for item in items if isinstance(item, Record) and item.unit == unit]:
            assert len(record.images) > 1
            for region in record.regions:
                assert region.box == drawn[record.images[region.image].frame or 0][region.label]
            for expression in record.expressions:
                boxes = [record.regions[i].box for i in expression.regions]
                moved += "put down by" in expression.text and boxes[0] != boxes[-1]
                assert {record.regions[i].label for i in expression.regions} == {expression.label}
        unmentioned += any(actor.name == "bystander" for actor in told.scene.actors)
    assert moved == 6 and unmentioned == 2
    assert summary.absent > 0


def test_the_first_and_last_box_of_an_errand_are_where_it_began_and_ended(tmp_path: Path) -> None:
    job = Job(clips=1, frames=16, size=(160, 120), seed=1, quality=90, jpeg_bytes=None)
    told = writer.story(Stream("synth", "star", "1", "0"), 0, job)
    (errand,) = told.errands
    (thing,) = [actor for actor in told.scene.actors if actor.name == errand.thing]
    taken, put_down = round(errand.taken), round(errand.put)
    assert (thing.path[: taken + 1] == thing.path[0]).all()
    assert (thing.path[put_down + 1 :] == thing.path[-1]).all()
    assert abs(thing.path[0, 0] - thing.path[-1, 0]) > 60


def test_a_written_corpus_is_sound_and_the_same_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write("star", tmp_path / name, clips=4, frames=6, size=(96, 72), seed=3)
    files = [sorted(p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*.*")) for n in "ab"]
    assert files[0] == files[1]
    pairs = [(tmp_path / "a" / f, tmp_path / "b" / f) for f in files[0] if (tmp_path / "a" / f).is_file()]  # fmt: skip
    assert all(a.read_bytes() == b.read_bytes() for a, b in pairs)
    report = check(corpus(tmp_path / "a"))
    assert (report.missing_images, report.drops) == (0, {})
    assert report.records >= 20
