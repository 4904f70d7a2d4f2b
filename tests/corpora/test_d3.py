"""D3: sentences as labels, what is known absent, which file counts, damage, the real sample."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_writers import corners, jpeg, put

from mgdata.corpora.check import check
from mgdata.corpora.d3 import D3, MISSING
from mgdata.data import ALL, Drop, Record, complete, known_absent
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.storage import Root
from mgdata.synth import write
from mgdata.synth.d3 import PHOTOS, sentences_of
from mgdata.validity import record_fault

TEXTS = {1: "A red ball", 2: "a ball that is not red", 3: "a cat", 4: "a dog without a leash"}
NEGATIVE = (2, 4)
Tables = dict[str, dict[int, dict[str, Any]]]


def tables() -> Tables:
    """Two groups of two photos and two sentences; annotation 2 serves sentences of both groups."""
    found: Tables = {
        "annotations": {
            0: anno(0, 0, [1]),
            1: anno(1, 0, [2]),
            2: anno(2, 2, [3, 2], bbox=[0, 0, 20, 10]),
        }
    }
    found["images"] = {
        id_: {
            "id": id_,
            "file_name": f"{id_ // 2:03d}_{100 + id_}.jpg",
            "height": 48,
            "width": 64,
            "flickr_url": "",
            "anno_id": [a["id"] for a in found["annotations"].values() if a["image_id"] == id_],
            "group_id": id_ // 2,
            "license": "4",
        }
        for id_ in range(4)
    }
    found["sentences"] = {
        id_: {
            "id": id_,
            "anno_id": [a["id"] for a in found["annotations"].values() if id_ in a["sent_id"]],
            "group_id": [(id_ - 1) // 2],
            "is_negative": id_ in NEGATIVE,
            "raw_sent": text,
        }
        for id_, text in TEXTS.items()
    }
    found["groups"] = {
        0: {"id": 0, "inner_sent_id": [1, 2], "outer_sent_id": []},
        1: {"id": 1, "inner_sent_id": [3, 4], "outer_sent_id": [2]},
    }
    return found


def anno(id_: int, image: int, sentences: list[int], **more: Any) -> dict[str, Any]:
    plain = {"area": 600, "iscrowd": 0, "bbox": [10, 20, 30, 20], "group_id": 0}
    return {"id": id_, "image_id": image, "sent_id": sentences, **plain, **more}


def coco(found: Tables, *, separated: bool = False) -> dict[str, Any]:
    """The JSON file of the toolkit: with or without what sentences of other groups find."""
    boxes = [
        {"image_id": a["image_id"], "category_id": s, "bbox": a["bbox"], "iscrowd": 0}
        for a in found["annotations"].values()
        for s in a["sent_id"]
        if not separated or s in found["groups"][a["image_id"] // 2]["inner_sent_id"]
    ]
    return {
        "images": [
            {key: image[key] for key in ("id", "file_name", "height", "width")}
            for image in found["images"].values()
        ],
        "categories": [{"id": i, "name": text} for i, text in TEXTS.items()],
        "annotations": [{"id": i, **box} for i, box in enumerate(boxes)],
    }


def lay(root: Path, found: Tables | None, boxes: dict[str, Any] | None = None) -> Path:
    for name, table in (found or {}).items():
        put(root / f"d3_pkl/{name}.pkl", pickle.dumps(table, protocol=4))
    if boxes is not None:
        put(root / "d3_json/d3_full_annotations.json", json.dumps(boxes))
    for id_ in range(4):
        put(root / f"d3_images/{id_ // 2:03d}_{100 + id_}.jpg", jpeg())
    return root


def d3(root: Path, **settings: Any) -> D3:
    return D3(name="d3", root=Root(str(root)), **settings)


def read(corpus: D3) -> tuple[dict[str, Record], list[Drop]]:
    items = [item for part in corpus.parts() for item in corpus.records(part)]
    records = [item for item in items if isinstance(item, Record)]
    assert [fault for record in records if (fault := record_fault(record))] == []
    drops = [item for item in items if isinstance(item, Drop)]
    return {record.key.partition("/")[2]: record for record in records}, drops


def sound(root: Path, **settings: Any) -> dict[str, Record]:
    records, drops = read(d3(root, **settings))
    assert drops == []
    return records


def told(drops: list[Drop]) -> list[tuple[str, str]]:
    return [(drop.key, drop.reason) for drop in drops]


def test_a_sentence_is_a_label_and_an_annotation_a_region_for_each_sentence(tmp_path: Path) -> None:
    records = sound(lay(tmp_path, tables()))
    assert list(records) == ["0", "1", "2", "3"]
    record = records["2"]
    assert record.images[0].uri == "d3:d3_images/001_102.jpg"
    assert (record.images[0].width, record.images[0].height) == (64, 48)
    assert (record.unit, record.license, record.shape) == ("flickr-102", "CC-BY-NC-4.0", "image")
    assert [r.label for r in record.regions] == ["a cat", "a ball that is not red"]
    assert [r.phrase for r in record.regions] == ["a cat", "a ball that is not red"]
    assert corners(record) == [(0, 0, 20, 10)] * 2
    assert [r.label for r in records["0"].regions] == ["a red ball", "a ball that is not red"]


def test_every_sentence_without_a_box_is_absent_and_those_of_the_group_are_named(
    tmp_path: Path,
) -> None:
    records = sound(lay(tmp_path, tables()))
    assert {record.exhaustive for record in records.values()} == {(ALL,)}
    assert records["0"].absent == ()
    assert records["1"].absent == ("a ball that is not red", "a red ball")
    assert records["2"].absent == ("a dog without a leash",)
    assert known_absent(records["1"], "a cat")
    assert not known_absent(records["2"], "a ball that is not red")


def test_intra_knows_of_the_own_group_only(tmp_path: Path) -> None:
    records = sound(lay(tmp_path, tables()), negatives="intra")
    assert records["1"].exhaustive == ("a ball that is not red", "a red ball")
    assert not known_absent(records["1"], "a cat")
    assert records["2"].exhaustive == ("a cat", "a dog without a leash")
    # Found by a sentence of another group: there, but not known to be all.
    assert not complete(records["2"], "a ball that is not red")


@pytest.mark.parametrize(
    ("half", "labels"),
    [("presence", {"a red ball", "a cat"}), ("absence", {"a ball that is not red"})],
)
def test_half_of_the_sentences(tmp_path: Path, half: str, labels: set[str]) -> None:
    records = sound(lay(tmp_path, tables()), sentences=half)
    assert {r.label for record in records.values() for r in record.regions} == labels
    wanted = {text.lower() for id_, text in TEXTS.items() if (id_ in NEGATIVE) == (half == "absence")}  # fmt: skip
    assert all(set(record.absent) <= wanted for record in records.values())
    assert {record.exhaustive for record in records.values()} == {(ALL,)}
    assert all(record.skipped == {} for record in records.values())


def test_the_json_file_gives_the_same_boxes_and_the_own_groups_negatives(tmp_path: Path) -> None:
    found = tables()
    records = sound(lay(tmp_path / "json", None, coco(found)))
    pickles = sound(lay(tmp_path / "pkl", found))
    for key, record in records.items():
        assert record.regions == pickles[key].regions
        assert record.exhaustive != (ALL,)
    # `a dog without a leash` has no box anywhere: its group cannot be told.
    assert records["1"].absent == ("a ball that is not red", "a red ball")
    assert records["3"].absent == ("a ball that is not red", "a cat")
    assert not known_absent(records["1"], "a cat")


def numpy_annotations(found: Tables) -> Tables:
    """As the toolkit's own code takes the boxes: arrays of one row."""
    for one in found["annotations"].values():
        one["bbox"], one["area"] = np.array([one["bbox"]]), np.array([one["area"]])
    return found


def test_a_pickle_with_arrays_is_refused_by_name_and_the_json_has_the_boxes(tmp_path: Path) -> None:
    plain = sound(lay(tmp_path / "a", tables()))
    root = lay(tmp_path / "b", numpy_annotations(tables()), coco(tables()))
    records, drops = read(d3(root))
    (drop,) = drops
    assert (drop.key, drop.reason) == ("d3/d3_pkl/annotations.pkl", "pickle names a class")
    assert "numpy" in (drop.value or "")
    assert records == plain


def test_a_pickle_with_arrays_alone_is_one_error_with_that_name(tmp_path: Path) -> None:
    records, (drop,) = read(d3(lay(tmp_path, numpy_annotations(tables()))))
    assert records == {}
    assert (drop.key, drop.reason) == ("d3/d3_pkl", "pickle names a class")
    assert "d3_pkl/annotations.pkl: 'numpy" in (drop.value or "")


def test_a_list_of_one_box_is_a_box(tmp_path: Path) -> None:
    found = tables()
    for one in found["annotations"].values():
        one["bbox"], one["iscrowd"] = [one["bbox"]], [0]
    assert sound(lay(tmp_path / "a", found)) == sound(lay(tmp_path / "b", tables()))


def test_what_the_json_leaves_out_of_other_groups_is_not_taken_for_absent(tmp_path: Path) -> None:
    root = lay(tmp_path, tables(), coco(tables(), separated=True))
    (root / "d3_pkl/annotations.pkl").unlink()
    records, drops = read(d3(root))
    assert told(drops) == [("d3/d3_pkl/annotations.pkl", "missing annotation")]
    record = records["2"]
    assert [r.label for r in record.regions] == ["a cat"]
    assert record.skipped == {MISSING: 1}
    assert not known_absent(record, "a ball that is not red")
    assert known_absent(record, "a red ball")
    assert records["1"].exhaustive == (ALL,)


def test_a_photo_that_the_json_lacks_is_still_one_of_the_pickles(tmp_path: Path) -> None:
    boxes = coco(tables())
    del boxes["images"][0]
    root = lay(tmp_path, tables(), boxes)
    (root / "d3_pkl/annotations.pkl").unlink()
    records, _ = read(d3(root))
    assert sorted(records) == ["0", "1", "2", "3"]


def test_a_crowd_is_to_be_ignored_and_its_sentence_is_not_absent(tmp_path: Path) -> None:
    found = tables()
    found["annotations"][0]["iscrowd"] = 1
    record = sound(lay(tmp_path, found))["0"]
    assert [r.ignore for r in record.regions] == [True, False]
    assert not known_absent(record, "a red ball")


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([10, 20, 0, 20], "zero box"),
        ([10, 20, -5, 20], "inverted box"),
        ([64, 20, 5, 20], "box outside the image"),
        ([float("nan"), 20, 5, 20], "nan box"),
        ([float("inf"), 20, 5, 20], "nan box"),
        ([1e308, 20, 1e308, 20], "nan box"),
        ([10, 20, 5], "no box"),
        (None, "no box"),
        ("10 20 5 5", "no box"),
        ([[10, 20, 5, 5], [1, 2, 3, 4]], "no box"),
    ],
)
def test_a_bad_box_is_counted_and_its_sentence_neither_complete_nor_absent(
    tmp_path: Path, box: Any, reason: str
) -> None:
    found = tables()
    found["annotations"][0]["bbox"] = box
    record = sound(lay(tmp_path, found))["0"]
    assert record.skipped == {reason: 1}
    assert not complete(record, "a red ball")
    assert not known_absent(record, "a red ball")
    assert known_absent(record, "a cat")


def test_a_box_that_leaves_the_photo_is_cut(tmp_path: Path) -> None:
    found = tables()
    found["annotations"][0]["bbox"] = [-5, 20, 100, 20]
    record = sound(lay(tmp_path, found))["0"]
    assert corners(record)[0] == (0, 20, 64, 40)
    assert record.regions[0].clipped


def test_a_rotated_photo_has_upright_boxes(tmp_path: Path) -> None:
    root = lay(tmp_path, tables())
    put(root / "d3_images/000_100.jpg", jpeg(orientation=6))
    record = sound(root)["0"]
    assert (record.images[0].width, record.images[0].height) == (48, 64)
    assert corners(record)[0] == (8, 10, 28, 40)


def change(root: Path, name: str, id_: int, **more: Any) -> tuple[dict[str, Record], list[Drop]]:
    found = tables()
    found[name][id_].update(more)
    return read(d3(lay(root, found)))


@pytest.mark.parametrize(
    ("name", "id_", "more", "drop"),
    [
        ("images", 0, {"file_name": "gone.jpg"}, ("d3/0", "missing image")),
        ("images", 0, {"file_name": "../x.jpg"}, ("d3/0", "path leaves the corpus root")),
        ("images", 0, {"file_name": "/etc/passwd"}, ("d3/0", "path leaves the corpus root")),
        ("images", 0, {"width": 65}, ("d3/0", "size differs from the annotation")),
        ("images", 1, {"id": 9}, ("d3/d3_pkl/images.pkl[1]", "malformed image")),
        ("images", 1, {"file_name": 7}, ("d3/d3_pkl/images.pkl[1]", "malformed image")),
        ("images", 1, {"group_id": 7}, ("d3/d3_pkl/images.pkl[1]", "unknown group")),
        ("sentences", 4, {"raw_sent": " "}, ("d3/d3_pkl/sentences.pkl[4]", "blank sentence")),
        ("groups", 1, {"inner_sent_id": [3, 8]}, ("d3/d3_pkl/groups.pkl[1]", "unknown sentence")),
        ("groups", 1, {"inner_sent_id": 3}, ("d3/d3_pkl/groups.pkl[1]", "malformed group")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_entry_is_told(
    tmp_path: Path, name: str, id_: int, more: dict[str, Any], drop: tuple[str, str]
) -> None:
    _, drops = change(tmp_path, name, id_, **more)
    assert told(drops)[0] == drop


def test_an_annotation_of_an_unknown_photo_is_told(tmp_path: Path) -> None:
    found = tables()
    del found["images"][0]
    records, drops = read(d3(lay(tmp_path, found)))
    assert list(records) == ["1", "2", "3"]
    assert told(drops) == [("d3/0", "annotation for an unknown image")]


def test_an_annotation_of_an_unknown_sentence_leaves_nothing_known(tmp_path: Path) -> None:
    records, _ = change(tmp_path, "annotations", 0, sent_id=[1, 99])
    assert records["0"].skipped == {"unknown category": 1}
    assert (records["0"].exhaustive, records["0"].absent) == ((), ())
    assert records["1"].exhaustive == (ALL,)


def test_an_annotation_that_its_photo_does_not_list_is_no_box(tmp_path: Path) -> None:
    records, drops = change(tmp_path, "annotations", 0, image_id=1)
    assert [drop.reason for drop in drops] == ["annotation that its image does not list"]
    assert records["1"].regions == ()
    assert records["1"].exhaustive == ()
    assert not known_absent(records["0"], "a red ball")


def test_a_malformed_annotation_leaves_nothing_known_of_its_photo(tmp_path: Path) -> None:
    records, drops = change(tmp_path / "a", "annotations", 0, sent_id="1")
    assert [drop.reason for drop in drops] == ["malformed annotation"]
    assert (records["0"].exhaustive, records["1"].exhaustive) == ((), (ALL,))
    records, _ = change(tmp_path / "b", "annotations", 0, image_id="0")
    assert {record.exhaustive for record in records.values()} == {()}


def test_two_sentences_with_one_text_are_one_label(tmp_path: Path) -> None:
    records, drops = change(tmp_path, "sentences", 2, raw_sent="A  cat")
    assert drops == []
    assert [r.label for r in records["2"].regions] == ["a cat"]


@pytest.mark.parametrize("name", ["annotations", "images", "sentences", "groups"])
def test_a_cut_pickle_is_told_and_the_json_has_the_boxes(tmp_path: Path, name: str) -> None:
    root = lay(tmp_path, tables(), coco(tables()))
    path = root / f"d3_pkl/{name}.pkl"
    path.write_bytes(path.read_bytes()[:-20])
    records, drops = read(d3(root))
    assert told(drops)[0][0] == f"d3/d3_pkl/{name}.pkl"
    assert drops[0].reason in ("pickle ends early", "malformed pickle")
    whole = sound(lay(tmp_path / "whole", tables()))
    assert {k: r.regions for k, r in records.items()} == {k: r.regions for k, r in whole.items()}
    for key, record in records.items():
        for label in (text.lower() for text in TEXTS.values()):
            assert not known_absent(record, label) or known_absent(whole[key], label)


def test_a_cut_json_is_told(tmp_path: Path) -> None:
    root = lay(tmp_path, None, coco(tables()))
    path = root / "d3_json/d3_full_annotations.json"
    path.write_text(path.read_text()[:-40])
    records, drops = read(d3(root))
    assert records == {}
    assert told(drops) == [("d3/d3_json/d3_full_annotations.json", "JSON ends early")]


def test_another_layout_is_an_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="is not there"):
        d3(tmp_path / "none").parts()
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match=r"looked for d3_pkl/\*\.pkl or d3_json/d3_pres_"):
        d3(tmp_path, sentences="presence").parts()


@pytest.mark.parametrize("half", ["full", "presence", "absence"])
def test_a_synthetic_corpus_reads_back_as_it_was_written(tmp_path: Path, half: str) -> None:
    write("d3", tmp_path / "d3", clips=23, frames=1, size=(160, 120), seed=4)
    records = sound(tmp_path / "d3", sentences=half)
    assert len(records) == 23
    content = pickle.loads((tmp_path / "d3/d3_pkl/annotations.pkl").read_bytes())
    negative = {i: s["is_negative"] for i, s in pickle.loads((tmp_path / "d3/d3_pkl/sentences.pkl").read_bytes()).items()}  # fmt: skip
    wanted = {"full": (False, True), "presence": (False,), "absence": (True,)}[half]
    for key, record in records.items():
        boxes = [
            (x, y, x + w, y + h)
            for a in content.values()
            for sentence in a["sent_id"]
            for x, y, w, h in [a["bbox"]]
            if a["image_id"] == int(key) and negative[sentence] in wanted
        ]
        assert corners(record) == boxes
        own = {s.text for s in sentences_of(int(key) // PHOTOS) if s.without in wanted}
        assert set(record.absent) == own - {region.label for region in record.regions}
    (tmp_path / "d3/d3_pkl").rename(tmp_path / "aside")
    for key, record in sound(tmp_path / "d3", sentences=half).items():
        assert sorted(corners(record)) == sorted(corners(records[key]))


def test_synthetic_sentences_find_none_one_and_many(tmp_path: Path) -> None:
    write("d3", tmp_path / "d3", clips=40, frames=1, size=(96, 96))
    records = sound(tmp_path / "d3")
    counts = [
        sum(region.label == sentence.text for region in record.regions)
        for key, record in records.items()
        for sentence in sentences_of(int(key) // PHOTOS)
    ]
    assert all(counts.count(n) > 5 for n in (0, 1, 2))
    outer = [
        region
        for key, record in records.items()
        for region in record.regions
        if region.label not in {s.text for s in sentences_of(int(key) // PHOTOS)}
    ]
    assert outer


@pytest.mark.real
def test_the_real_sample_holds_what_it_is_known_to_hold() -> None:
    root = (Path(os.environ["MGDATA_CORPORA"]) / "d3").resolve()
    report = check(d3(root))
    assert (report.records, report.regions, report.missing_images) == (6, 10, 0)
    assert report.drops == {}
    assert report.skipped == {}
    records = sound(root)
    assert records["1"].absent == ("a bald man", "a person with long hair looking down")
    assert records["3"].absent == ("a bird on grass",)
    assert check(d3(root, sentences="absence")).labels == {
        "a person without a drink": 2,
        "a toilet that is not closed": 1,
    }
