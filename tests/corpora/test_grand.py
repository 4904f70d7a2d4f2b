"""GranD: machine-made objects of SA-1B photos, and which of their phrases are fit to be asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_writers import jpeg, put, the_drop, the_record
from pycocotools import mask as rle

from mgdata.corpora import phrases
from mgdata.corpora.grand import Grand
from mgdata.data import Drop, Record, Region, known_absent
from mgdata.errors import UsageError
from mgdata.identity import Stream
from mgdata.storage import Root
from mgdata.synth import write
from mgdata.synth.photos import photo
from mgdata.validity import record_fault


def thing(*bbox: float | None, **fields: Any) -> dict[str, Any]:
    return {
        "id": 0,
        "bbox": bbox or (10, 10, 30, 30),
        "labels": ["chair"],
        "attributes": None,
    } | fields


def grand(
    root: Path, *objects: Any, name: str = "sa_1", floats: Any = (), **settings: Any
) -> Grand:
    """A 64 x 48 photo and its JSON."""
    scene = {"objects": objects, "floating_objects": floats, "short_captions": []}
    put(root / f"annotations/{name}.json", json.dumps({f"{name}.jpg": scene}))
    put(root / f"images/{name}.jpg", jpeg())
    return Grand(name="grand", root=Root(str(root)), **settings)


def asked(record: Record) -> list[tuple[str, str | None]]:
    return [(r.label, r.phrase) for r in record.regions if not r.ignore]


def corners(region: Region) -> tuple[float, ...]:
    assert region.box is not None
    return region.box.x1, region.box.y1, region.box.x2, region.box.y2


def test_an_object_becomes_a_region_with_label_and_phrase(tmp_path: Path) -> None:
    record = the_record(grand(tmp_path, thing(attributes=["istant: a red chair at a table."])))
    assert (record.key, record.unit, record.shape) == ("grand/sa_1", "sa_1", "image")
    assert record.images[0].uri == "grand:images/sa_1.jpg"
    assert (record.images[0].width, record.images[0].height) == (64, 48)
    assert asked(record) == [("chair", "a red chair at a table")]
    assert corners(record.regions[0]) == (10, 10, 30, 30)
    assert (record.exhaustive, record.absent) == ((), ())


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("istant: red awning over doorway", ["awning"], "red awning over doorway"),
        ("Assistant: A clear blue sky.", ["sky"], "a clear blue sky"),
        ("### Assistant: Assistant: a red car", ["car"], "a red car"),
        ("man wearing blue shirt", ["person"], "man wearing blue shirt"),
        ("a woman in a white dress jumping up", ["person"], "a woman in a white dress jumping up"),
        ("a chair that is closest to the camera", ["dining_table", "chair"], "a chair that is closest to the camera"),
        ("a pair of white shoes", ["shoe"], "a pair of white shoes"),
        ("a parked car on the street", ["car_(automobile)"], "a parked car on the street"),
        ("two walking sticks in a hand", ["walking stick"], "two walking sticks in a hand"),
        ("red and white sign", ["sign"], "red and white sign"),
        ("the chair is red", ["chair"], None),  # a sentence
        ("the girl is wearing a dress", ["person"], None),
        ("it is a red chair", ["chair"], None),
        ("this chair in the corner", ["chair"], None),
        ("a red chair. a blue chair", ["chair"], None),
        ("a red red chair", ["chair"], None),
        ("large multi colored beach umbrella", ["balloon"], None),  # speaks of something else
        ("white and red logo on the chair", ["chair"], None),
        ("the table and chairs near the camera", ["chair", "table"], None),  # two things
        ("a chair", ["chair"], None),  # says no more than the label
        ("chair", ["chair"], None),
        ("a " + "very " * 20 + "red chair", ["chair"], None),
        ("a red <chair>", ["chair"], None),
        ("a red\u0000 chair", ["chair"], None),
        ("\u7ea2 chair in a room", ["chair"], None),
        ("Assistant:", ["chair"], None),
        ("   ", ["chair"], None),
        ("", ["chair"], None),
    ],
)  # fmt: skip
def test_a_phrase_is_kept_only_where_it_names_the_object(
    tmp_path: Path, text: str, labels: list[str], expected: str | None
) -> None:
    record = the_record(grand(tmp_path, thing(labels=labels, attributes=[text])))
    assert [r.phrase for r in record.regions if not r.ignore] == [expected]


@pytest.mark.parametrize("attributes", [None, [], "", ["", " "]])
def test_attributes_may_be_null_empty_or_blank(tmp_path: Path, attributes: object) -> None:
    assert asked(the_record(grand(tmp_path, thing(attributes=attributes)))) == [("chair", None)]


def test_attributes_may_be_one_string_and_the_first_that_fits_is_taken(tmp_path: Path) -> None:
    one = grand(tmp_path, thing(attributes="a red chair"))
    assert asked(the_record(one)) == [("chair", "a red chair")]
    texts = ["the chair is red", "a lamp on a chair", "a red chair", "a big chair"]
    many = grand(tmp_path, thing(attributes=texts))
    assert asked(the_record(many)) == [("chair", "a red chair")]
    loose = grand(tmp_path, thing(attributes=texts), agreeing=False)
    assert asked(the_record(loose)) == [("chair", "a red chair")]
    other = grand(tmp_path, thing(attributes=["a green lamp"]), agreeing=False)
    assert asked(the_record(other)) == [("chair", "a green lamp")]


@pytest.mark.parametrize(
    ("head", "label"),
    [("named", "chair"), ("first", "dining table"), ("specific", "outdoor dining chair")],
)
def test_of_several_labels_one_is_the_head_and_the_others_may_be_there(
    tmp_path: Path, head: str, label: str
) -> None:
    labels = ["dining_table", "Chair_(seat)", "chair", "outdoor dining chair"]
    corpus = grand(
        tmp_path, thing(labels=labels, attributes=["a red chair"]), head=head, dense=True
    )
    record = the_record(corpus)
    assert record.regions[0].label == label
    ignored = {r.label for r in record.regions if r.ignore}
    assert ignored == {"dining table", "chair", "outdoor dining chair"} - {label}
    assert not any(known_absent(record, name) for name in (*ignored, label))
    assert known_absent(record, "car")


def test_nothing_is_known_absent_unless_the_corpus_is_said_to_be_dense(tmp_path: Path) -> None:
    assert not known_absent(the_record(grand(tmp_path, thing())), "car")


@pytest.mark.parametrize(
    ("bbox", "reason"),
    [
        ((10, 10, 10, 30), "zero box"),
        ((30, 10, 10, 30), "inverted box"),
        ((10, 30, 20, 10), "inverted box"),
        ((10, float("nan"), 20, 30), "nan box"),
        ((10, None, 20, 30), "nan box"),
        ((10, float("inf"), 20, 30), "nan box"),
        ((70, 10, 80, 30), "box outside the image"),
        ((-20, 10, 0, 30), "box outside the image"),
        ((10, 10, 30), "box is not four numbers"),
        (("10", 10, 20, 30), "malformed object"),
    ],
)
def test_a_bad_box_costs_its_object_only(tmp_path: Path, bbox: Any, reason: str) -> None:
    record = the_record(grand(tmp_path, thing(*bbox), thing(40, 10, 60, 30, labels=["table"])))
    assert asked(record) == [("table", None)]
    assert record.skipped == {reason: 1}


def test_a_box_over_the_edge_is_cut_and_says_so(tmp_path: Path) -> None:
    (region,) = the_record(grand(tmp_path, thing(-5, -3, 20, 60))).regions
    assert corners(region) == (0, 0, 20, 48)
    assert region.clipped


@pytest.mark.parametrize("labels", [None, [], [""], ["_"], ["(thing)"], ["\u0007bell"]])
def test_an_object_without_a_label_is_skipped(tmp_path: Path, labels: object) -> None:
    record = the_record(grand(tmp_path, thing(labels=labels)))
    assert (record.regions, record.skipped) == ((), {"no label": 1})


def test_low_scores_floating_objects_and_vague_labels_are_to_be_ignored(tmp_path: Path) -> None:
    low = thing(0, 0, 9, 9, score=0.2, labels=["cup"], attributes=["a red cup"])
    vague = thing(0, 20, 60, 40, labels=["view"], attributes=["a nice view"])
    afloat = thing(40, 0, 60, 9, labels=["lamp"], score=0.9)
    record = the_record(grand(tmp_path, low, vague, thing(), floats=[afloat]))
    assert asked(record) == [("chair", None)]
    assert {(r.label, r.phrase) for r in record.regions if r.ignore} == {
        ("cup", None),
        ("view", None),
        ("lamp", None),
    }
    used = grand(
        tmp_path, low, vague, thing(), floats=[afloat], floating="use", min_score=0.1, vague=()
    )
    assert len(asked(the_record(used))) == 4


def test_one_object_given_twice_is_one_region_and_keeps_its_phrase(tmp_path: Path) -> None:
    worse = thing(10, 10, 30, 30.5, score=0.9)
    better = thing(10, 10, 30, 30, score=0.4, attributes=["a red chair"])
    afloat = thing(10, 10.2, 30, 30, score=1.0)
    apart = thing(10, 10, 30, 34, score=0.9)  # IoU 0.83
    record = the_record(grand(tmp_path, worse, better, apart, floats=[afloat]))
    assert asked(record) == [("chair", "a red chair"), ("chair", None)]
    assert record.skipped == {"repeated box": 2}
    assert len(asked(the_record(grand(tmp_path, worse, better, same=0.99)))) == 2


def test_one_box_with_two_names_keeps_the_better_and_ignores_the_other(tmp_path: Path) -> None:
    chair = thing(score=0.9)
    table = thing(score=0.5, labels=["table"])
    record = the_record(grand(tmp_path, table, chair))
    assert [(r.label, r.ignore) for r in record.regions] == [("chair", False), ("table", True)]


def test_the_sweep_finds_the_pairs_that_comparing_all_of_them_finds() -> None:
    from mgdata.corpora.grand import _repeats  # pyright: ignore[reportPrivateUsage]
    from mgdata.geometry import Box, array, iou

    rng = Stream("boxes")
    boxes: list[Box] = []
    for _ in range(60):
        x, y, w, h = (rng.below(40), rng.below(40), rng.between(5, 60), rng.between(5, 60))
        boxes += [
            Box(x + rng.uniform(), y + rng.uniform(), x + w + rng.uniform(), y + h + rng.uniform())
            for _ in range(4)
        ]
    for same in (0.5, 0.9):
        over = iou(array(boxes), array(boxes)) > same
        expected = {(j, i) for i in range(len(boxes)) for j in range(i) if over[i, j]}
        found = {(j, i) for i, earlier in _repeats(boxes, same).items() for j in earlier}
        assert found == expected
        assert len(expected) > 20


def mask(width: int, height: int) -> dict[str, Any]:
    found: Any = rle.encode(np.asfortranarray(np.ones((height, width), np.uint8)))
    return {"size": [height, width], "counts": found["counts"].decode()}


def test_a_photo_scaled_after_it_was_annotated_is_dropped(tmp_path: Path) -> None:
    corpus = grand(tmp_path, thing(segmentation=mask(128, 96)))
    assert the_drop(corpus) == ("mask of another size", "mask 128x96, image 64x48")


def test_one_mask_of_another_size_costs_its_object_only(tmp_path: Path) -> None:
    wrong = thing(40, 10, 60, 30, segmentation=mask(48, 64))
    record = the_record(grand(tmp_path, wrong, thing(segmentation=mask(64, 48))))
    assert (len(record.regions), record.skipped) == (1, {"mask of another size": 1})
    polygons = grand(tmp_path, thing(segmentation=[[1, 2, 3, 4, 5, 6]]))
    assert len(the_record(polygons).regions) == 1


def test_boxes_refer_to_the_stored_pixels_of_a_rotated_photo(tmp_path: Path) -> None:
    corpus = grand(tmp_path, thing(0, 0, 10, 20))
    put(tmp_path / "images/sa_1.jpg", jpeg(orientation=6))
    record = the_record(corpus)
    assert (record.images[0].width, record.images[0].height) == (48, 64)
    assert corners(record.regions[0]) == (28, 0, 48, 10)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"sa_1.jpg": {"objects": [{"bbox": [1, 2', "malformed annotation"),
        ("", "malformed annotation"),
        ("[]", "malformed annotation"),
        ("{}", "malformed annotation"),
        ('{"sa_1.jpg": {}, "sa_2.jpg": {}}', "malformed annotation"),
        ('{"sa_1.jpg": {"objects": {"a": 1}}}', "malformed annotation"),
        ('{"sa_\\ud800.jpg": {"objects": []}}', "malformed annotation"),
        (
            '{"image": {"file_name": "sa_1.jpg"}, "annotations": []}',
            "malformed annotation",
        ),  # SA-1B
        (b'{"sa_1.jpg": {"objects": [{"labels": ["\xff"]}]}}', "text is not UTF-8"),
        ('{"../sa_1.jpg": {"objects": []}}', "path leaves the corpus root"),
        ('{"/sa_1.jpg": {"objects": []}}', "path leaves the corpus root"),
        ('{"sa_2.jpg": {"objects": []}}', "missing image"),
    ],
)
def test_a_file_that_is_no_annotation_of_a_photo_is_one_drop(
    tmp_path: Path, content: str | bytes, reason: str
) -> None:
    corpus = grand(tmp_path)
    put(tmp_path / "annotations/sa_1.json", content)
    found, value = the_drop(corpus)
    assert found == reason
    assert value is not None and "sa_" in value


def test_a_damaged_photo_is_a_drop_that_names_it(tmp_path: Path) -> None:
    corpus = grand(tmp_path, thing())
    put(tmp_path / "images/sa_1.jpg", jpeg()[:20])
    assert the_drop(corpus) == (
        "truncated image",
        "images/sa_1.jpg: the header goes on after 20 bytes",
    )


def test_an_object_of_wrong_types_costs_itself_only(tmp_path: Path) -> None:
    odd = [5, None, thing(labels=[1]), thing(score="high"), {"bbox": "no"}]
    record = the_record(grand(tmp_path, *odd, thing()))
    assert asked(record) == [("chair", None)]
    assert record.skipped == {"malformed object": 5}


def test_parts_are_ranges_of_files_and_cover_every_file_once(tmp_path: Path) -> None:
    for number in range(5):
        corpus = grand(tmp_path, thing(), name=f"sa_{number}", files=2)
    put(tmp_path / "annotations/readme.txt", "")
    parts = corpus.parts()
    assert parts == [
        "annotations/sa_0.json..sa_1.json",
        "annotations/sa_2.json..sa_3.json",
        "annotations/sa_4.json..sa_4.json",
    ]
    keys = [found.key for part in parts for found in corpus.records(part)]
    assert keys == [f"grand/sa_{number}" for number in range(5)]


def test_folders_of_annotations_go_with_folders_of_photos_or_with_none(tmp_path: Path) -> None:
    corpus = grand(tmp_path, thing(), name="sa_1")
    (tmp_path / "annotations/part_1").mkdir()
    (tmp_path / "images/part_1").mkdir()
    for number, place in ((2, "images"), (3, "images/part_1")):
        scene = {f"sa_{number}.jpg": {"objects": [thing()]}}
        put(tmp_path / f"annotations/part_1/sa_{number}.json", json.dumps(scene))
        put(tmp_path / f"{place}/sa_{number}.jpg", jpeg())
    found = [one for part in corpus.parts() for one in corpus.records(part)]
    assert [(one.key, one.images[0].uri) for one in found if isinstance(one, Record)] == [
        ("grand/sa_1", "grand:images/sa_1.jpg"),
        ("grand/part_1/sa_2", "grand:images/sa_2.jpg"),
        ("grand/part_1/sa_3", "grand:images/part_1/sa_3.jpg"),
    ]


def test_a_root_without_annotations_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "images/sa_1.jpg", jpeg())
    with pytest.raises(UsageError, match=r"looked for annotations/sa_<n>.json, found images;"):
        Grand(name="grand", root=Root(str(tmp_path))).parts()


def test_the_written_corpus_reads_back_as_it_was_drawn(tmp_path: Path) -> None:
    write("grand", tmp_path / "g", clips=6, frames=1, size=(320, 240), seed=5)
    corpus = Grand(name="grand", root=Root(str(tmp_path / "g")))
    found = [one for part in corpus.parts() for one in corpus.records(part)]
    assert not [one for one in found if isinstance(one, Drop)]
    for number, record in enumerate(found):
        assert isinstance(record, Record)
        assert record_fault(record) is None
        rng = Stream("synth", "grand", "5", str(number))
        drawn = photo(rng, (320, 240), rng.between(3, 7)).things
        boxes = {(thing.label, tuple(corners_of(thing.box))) for thing in drawn}
        assert {(r.label, corners(r)) for r in record.regions if not r.ignore} == boxes
        named = [r.phrase for r in record.regions if r.phrase is not None]
        assert len(named) == len(drawn) - (number % 3 == 0 and len(drawn) > 2)
        assert {p.partition(" ")[2] for p in named} <= {thing.phrase for thing in drawn}
        assert record.skipped == {"repeated box": 2}
        assert any(r.ignore for r in record.regions)  # the low-scored box of nothing


def corners_of(box: Any) -> tuple[float, ...]:
    return box.x1, box.y1, box.x2, box.y2


def test_labels_are_written_as_people_write_them() -> None:
    assert phrases.label("Glass_(drink_container)") == "glass"
    assert phrases.label("hot-air_balloon ") == "hot-air balloon"
