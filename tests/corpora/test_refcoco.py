"""The RefCOCO family: texts joined to boxes, texts left out, damage, the real samples."""

from __future__ import annotations

import json
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
from clip_writers import corners, jpeg, put

from mgdata.corpora.check import check
from mgdata.corpora.refcoco import RefCoco
from mgdata.data import ALL, Drop, Expression, Record, known_absent
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.storage import Root
from mgdata.synth import write
from mgdata.validity import record_fault

NAMES = {1: "person", 10: "traffic light", 17: "cat", 18: "dog", 58: "hot dog"}
FOLDER = "images/mscoco/images/train2014"


def ref(ref_id: int, ann_id: int | list[int], *texts: str, **more: Any) -> dict[str, Any]:
    """A ref to an annotation of photo 9 (annotations 1 to 4) or 25 (from 5)."""
    first = ann_id if isinstance(ann_id, int) else ann_id[0]
    category = {1: 18, 2: 18, 3: 1, 4: 17}
    image = 25 if first > 4 else 9
    sentences = [{"raw": t.upper(), "sent": t, "sent_id": i, "tokens": t.split()} for i, t in enumerate(texts)]  # fmt: skip
    return {
        "ref_id": ref_id,
        "ann_id": ann_id,
        "category_id": category.get(first, 1),
        "image_id": image,
        "file_name": f"COCO_train2014_{image:012d}_{first}.jpg",
        "sent_ids": list(range(len(texts))),
        "sentences": sentences,
        "split": "train",
        **more,
    }


def gref(ref_id: int, ann_id: list[int], text: str, **more: Any) -> dict[str, Any]:
    """A ref of gRefCOCO about photo 9."""
    category = {1: 18, 2: 18, 3: 1, 4: 17, -1: -1}
    return {
        "ref_id": ref_id,
        "ann_id": ann_id,
        "category_id": [category.get(a, 1) for a in ann_id],
        "image_id": 9,
        "file_name": "COCO_train2014_000000000009.jpg",
        "no_target": ann_id == [-1],
        "sentences": [{"sent": text, "exist": ann_id != [-1], "sent_id": ref_id, "tokens": []}],
        "split": "train",
        **more,
    }


def boxes() -> dict[str, Any]:
    """Two dogs, a person and a crowd of cats in photo 9; a person in photo 25."""
    rows = [(1, 9, 18), (2, 9, 18), (3, 9, 1), (4, 9, 17), (5, 25, 1)]
    return {
        "info": {},
        "licenses": [{"id": 4, "url": "http://creativecommons.org/licenses/by/2.0/", "name": "x"}],
        "images": [
            {"id": i, "file_name": f"COCO_train2014_{i:012d}.jpg", "width": 64, "height": 48, "license": 4}
            for i in (9, 25)
        ],
        "annotations": [
            {"id": id_, "image_id": image, "category_id": category, "iscrowd": int(id_ == 4),
             "bbox": [id_, 2, 10, 20.5], "segmentation": [[1, 2, 3, 4, 5, 6]]}
            for id_, image, category in rows
        ],
        "categories": [{"id": i, "name": n, "supercategory": "x"} for i, n in NAMES.items()],
    }  # fmt: skip


def lay(
    root: Path, refs: Any, found: dict[str, Any] | None = None, name: str = "refcoco", by: str = ""
) -> Path:
    by = by or ("umd" if name == "refcocog" else "unc")
    if name == "grefcoco":
        put(root / f"{name}/grefs({by}).json", json.dumps(refs))
    else:
        put(root / f"{name}/refs({by}).p", pickle.dumps(refs, protocol=2))
    put(root / f"{name}/instances.json", json.dumps(boxes() if found is None else found))
    for id_ in (9, 25):
        put(root / FOLDER / f"COCO_train2014_{id_:012d}.jpg", jpeg())
    return root


def refcoco(root: Path, **settings: Any) -> RefCoco:
    return RefCoco(name="ref", root=Root(str(root)), **settings)


def read(corpus: RefCoco) -> tuple[list[Record], list[Drop]]:
    items = [item for part in corpus.parts() for item in corpus.records(part)]
    records = [item for item in items if isinstance(item, Record)]
    assert [fault for record in records if (fault := record_fault(record))] == []
    return records, [item for item in items if isinstance(item, Drop)]


def one(root: Path, *refs: dict[str, Any], found: dict[str, Any] | None = None) -> Record:
    """The record of photo 9."""
    records, _ = read(refcoco(lay(root, list(refs), found)))
    return records[0]


def generalised(root: Path, *refs: dict[str, Any]) -> Record:
    (record,), _ = read(refcoco(lay(root, list(refs), name="grefcoco"), dataset="grefcoco"))
    return record


def texts(record: Record) -> list[tuple[str, tuple[int, ...], str | None]]:
    return [(e.text, e.regions, e.label) for e in record.expressions]


def told(drops: list[Drop]) -> list[tuple[str, str]]:
    return [(drop.key, drop.reason) for drop in drops]


def test_a_photo_is_a_record_with_all_its_instances_and_texts(tmp_path: Path) -> None:
    record = one(tmp_path, ref(0, 2, "the left dog", "brown  dog "), ref(1, 3, "man"))
    assert record.key == "ref/refcoco/9"
    assert (record.unit, record.license, record.shape) == (
        "coco-000000000009",
        "CC-BY-2.0",
        "image",
    )
    assert record.images[0].uri == f"ref:{FOLDER}/COCO_train2014_000000000009.jpg"
    assert [region.label for region in record.regions] == ["dog", "dog", "person", "cat"]
    assert [region.ignore for region in record.regions] == [False, False, False, True]
    assert corners(record)[1] == (2, 2, 12, 22.5)
    assert record.exhaustive == (ALL,)
    assert record.skipped == {}
    assert known_absent(record, "hot dog")
    assert record.expressions == (
        Expression(text="the left dog", regions=(1,), label="dog"),
        Expression(text="brown dog", regions=(1,), label="dog"),
        Expression(text="man", regions=(2,), label="person"),
    )


@pytest.mark.parametrize(
    ("dataset", "by"),
    [("refcoco", "unc"), ("refcoco+", "unc"), ("refcocog", "umd"), ("refcocog", "google")],
)
def test_each_set_and_split_has_a_file_of_its_own(tmp_path: Path, dataset: str, by: str) -> None:
    root = lay(tmp_path, [ref(0, 2, "the dog")], name=dataset, by=by)
    corpus = refcoco(root, dataset=dataset, split_by="google" if by == "google" else "")
    assert corpus.parts() == [f"{dataset}/refs({by}).p"]
    (record,), _ = read(corpus)
    assert record.key == f"ref/{dataset}/9"


def test_only_the_texts_of_the_splits_asked_for(tmp_path: Path) -> None:
    root = lay(
        tmp_path, [ref(0, 2, "a"), ref(1, 5, "b", split="testA"), ref(2, 1, "c", split="val")]
    )
    for splits, found in (
        (("train",), [["a"]]),
        (("testA",), [["b"]]),
        (("train", "val", "testA"), [["a", "c"], ["b"]]),
    ):
        records, drops = read(refcoco(root, splits=splits))
        assert drops == []
        assert [[e.text for e in r.expressions] for r in records] == found


def test_a_split_that_is_not_there_is_told(tmp_path: Path) -> None:
    root = lay(tmp_path, [ref(0, 2, "a"), ref(1, 5, "b", split="val")])
    records, (drop,) = read(refcoco(root, splits=("tset",)))
    assert records == []
    assert (drop.reason, drop.value) == ("no ref of this split", "there are train, val")
    with pytest.raises(UsageError, match="splits is empty"):
        refcoco(root, splits=()).parts()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_pickles_of_python_2_and_3_give_the_same_texts(tmp_path: Path, protocol: int) -> None:
    refs = [ref(0, 2, "the caf\u00e9 dog")]
    plain = read(refcoco(lay(tmp_path, refs)))
    put(tmp_path / "refcoco/refs(unc).p", pickle.dumps(refs, protocol=protocol))
    assert read(refcoco(tmp_path)) == plain
    old = pickle.dumps(refs, protocol=0).replace(b"Vthe caf\xe9 dog", b"S'the caf\\xe9 dog'")
    assert b"S'the" in old
    put(tmp_path / "refcoco/refs(unc).p", old)
    assert read(refcoco(tmp_path)) == plain


def test_a_text_for_several_things_has_them_all_and_their_common_category(tmp_path: Path) -> None:
    record = generalised(
        tmp_path,
        gref(0, [2, 1], "both dogs"),
        gref(1, [3, 1], "a man and his dog"),
        gref(2, [3], "the man"),
    )
    assert texts(record) == [
        ("both dogs", (0, 1), "dog"),
        ("a man and his dog", (0, 2), None),
        ("the man", (2,), "person"),
    ]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("a black cat", "cat"),
        ("two hot dogs on a plate", "hot dog"),
        ("a dog on a hot day", "dog"),
        ("the woman in red", "person"),
        ("a ceiling light", None),
        ("red traffic light", "traffic light"),
        ("an elephant", None),
    ],
)
def test_a_text_for_nothing_has_the_category_that_it_names(
    tmp_path: Path, text: str, label: str | None
) -> None:
    record = generalised(tmp_path, gref(0, [-1], text))
    assert texts(record) == [(text, (), label)]


@pytest.mark.parametrize(
    ("refs", "skipped"),
    [
        ([ref(0, 1, "dog"), ref(1, 2, "Dog ")], {"expression for two different things": 2}),
        ([ref(0, 1, "dog"), ref(1, 2, "dog", split="val")], {"expression for two different things": 1}),
        ([ref(0, 1, "dog", " dog", "DOG")], {"repeated expression": 2}),
        ([ref(0, 1, "", " \n")], {"blank expression": 2}),
        ([ref(0, 77, "dog", image_id=9)], {"expression for an unknown annotation": 1}),
        ([ref(0, 5, "dog", image_id=9)], {"expression for an unknown annotation": 1}),
        ([ref(0, 1, "dog", category_id=1)], {"expression and annotation differ in category": 1}),
        ([ref(0, 4, "the cats")], {"expression for a crowd": 1}),
        ([ref(0, [-1, 1], "dog")], {"expression for an impossible list of annotations": 1}),
        ([ref(0, [1, 1], "dog")], {"expression for an impossible list of annotations": 1}),
        ([ref(0, 1, "dog", no_target=True)], {"expression said to mean something and nothing": 1}),
        ([ref(0, [1, 3], "a", category_id=[18])], {"expression and annotation differ in category": 1}),
    ],
)  # fmt: skip
def test_a_text_that_cannot_be_trusted_is_left_out_and_counted(
    tmp_path: Path, refs: list[dict[str, Any]], skipped: dict[str, int]
) -> None:
    record = one(tmp_path, *refs)
    assert record.skipped == skipped
    assert len(record.expressions) == (1 if "repeated expression" in skipped else 0)
    assert record.exhaustive == (ALL,)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([1, 2, 0, 5], "zero box"),
        ([1, 2, -3, 5], "inverted box"),
        ([64, 2, 3, 5], "box outside the image"),
        ([float("nan"), 2, 3, 5], "nan box"),
        ([1, 2, 3], "no box"),
        (None, "no box"),
        ("x", "no box"),
    ],
)
def test_a_bad_box_is_counted_with_its_texts_and_its_category_not_complete(
    tmp_path: Path, box: Any, reason: str
) -> None:
    found = boxes()
    found["annotations"][0]["bbox"] = box
    record = one(tmp_path, ref(0, 1, "left dog"), ref(1, 2, "right dog"), found=found)
    assert record.skipped == {reason: 1, "expression for a box left out": 1}
    assert texts(record) == [("right dog", (0,), "dog")]
    assert record.exhaustive == ("cat", "hot dog", "person", "traffic light")


def test_a_box_that_leaves_the_photo_is_cut_and_a_rotated_photo_turned(tmp_path: Path) -> None:
    found = boxes()
    found["annotations"][0]["bbox"] = [-5, 2, 100, 20]
    root = lay(tmp_path, [ref(0, 1, "dog")], found)
    (record,), _ = read(refcoco(root))
    assert corners(record)[0] == (0, 2, 64, 22)
    assert record.regions[0].clipped
    put(root / FOLDER / "COCO_train2014_000000000009.jpg", jpeg(orientation=6))
    (record,), _ = read(refcoco(root))
    assert (record.images[0].width, record.images[0].orientation) == (48, 6)
    assert corners(record)[0] == (26, 0, 46, 64)


def test_annotation_ids_that_repeat_are_no_target(tmp_path: Path) -> None:
    found = boxes()
    found["annotations"].append({**found["annotations"][0], "bbox": [5, 5, 5, 5]})
    record = one(tmp_path, ref(0, 1, "left dog"), ref(1, 2, "right dog"), found=found)
    assert record.skipped == {
        "repeated annotation id": 1,
        "expression for a repeated annotation id": 1,
    }
    assert texts(record) == [("right dog", (1,), "dog")]
    assert "dog" not in record.exhaustive


def with_picture(**more: Any) -> dict[str, Any]:
    found = boxes()
    found["images"][0].update(more)
    return found


@pytest.mark.parametrize(
    ("found", "drop"),
    [
        (with_picture(file_name="gone.jpg"), ("ref/refcoco/9", "missing image")),
        (with_picture(file_name="../../x.jpg"), ("ref/refcoco/9", "path leaves the corpus root")),
        (with_picture(width=63), ("ref/refcoco/9", "size differs from the annotation")),
        (with_picture(id=7), ("ref/refcoco/7", "image without expression")),
        (with_picture(id=25), ("ref/refcoco/instances.json#image=25", "repeated image id")),
        (with_picture(id=None), ("ref/refcoco/instances.json#images[0]", "malformed image entry")),
        (boxes() | {"categories": [{"id": "x"}]}, ("ref/refcoco/instances.json#categories[0]", "malformed category")),
        (boxes() | {"annotations": [7]}, ("ref/refcoco/instances.json#annotations[0]", "malformed annotation")),
        ({"images": []}, ("ref/refcoco/refs(unc).p", "not a COCO annotation file")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_instances_is_told(
    tmp_path: Path, found: dict[str, Any], drop: tuple[str, str]
) -> None:
    _, drops = read(refcoco(lay(tmp_path, [ref(0, 1, "dog"), ref(1, 5, "man")], found)))
    assert told(drops)[0] == drop


def test_a_photo_that_no_text_is_about_is_told_and_so_is_a_text_about_no_photo(
    tmp_path: Path,
) -> None:
    _, drops = read(refcoco(lay(tmp_path, [ref(0, 1, "dog"), ref(1, 1, "a", "b", image_id=3)])))
    assert told(drops) == [
        ("ref/refcoco/25", "image without expression"),
        ("ref/refcoco/3", "annotation for an unknown image"),
    ]
    assert drops[1].value == "0 annotations, 2 texts"


@pytest.mark.parametrize(
    ("bad", "where", "reason"),
    [
        (7, "[1]", "malformed ref"),
        ({}, "[1]", "malformed ref"),
        (ref(1, 2, "x", image_id="9"), "[1]", "malformed ref"),
        ({**ref(1, 2, "x"), "ann_id": None}, "[1]", "malformed ref"),
        (ref(1, 2, "x", split=None), "[1]", "malformed ref"),
        (ref(1, 2, "x", sentences={}), "[1]", "malformed ref"),
        (ref(0, 2, "x"), "[1]", "repeated ref id"),
        (ref(1, 2, sentences=[{"raw": "x"}]), "[1].sentences[0]", "malformed sentence"),
        (ref(1, 2, sentences=["x"]), "[1].sentences[0]", "malformed sentence"),
    ],
)
def test_a_malformed_ref_costs_its_own_texts(
    tmp_path: Path, bad: Any, where: str, reason: str
) -> None:
    records, drops = read(refcoco(lay(tmp_path, [ref(0, 1, "dog"), bad, ref(2, 5, "man")])))
    assert told(drops) == [(f"ref/refcoco/refs(unc).p#{where}", reason)]
    assert [[e.text for e in record.expressions] for record in records] == [["dog"], ["man"]]


def test_half_a_character_in_json_costs_its_own_text(tmp_path: Path) -> None:
    root = lay(tmp_path, [gref(0, [1], "dog"), gref(1, [2], "\ud800")], name="grefcoco")
    (record,), drops = read(refcoco(root, dataset="grefcoco"))
    assert [e.text for e in record.expressions] == ["dog"]
    assert drops[0].reason == "malformed sentence"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pickle.dumps([OrderedDict(ref_id=1)], protocol=2), "pickle names a class"),
        (pickle.dumps([ref(0, 1, "dog")])[:-9], "pickle ends early"),
        (b"", "pickle ends early"),
        (b"version https://git-lfs.github.com/spec/v1\n", "malformed pickle"),
        (pickle.dumps({"a": 1}), "malformed annotation"),
    ],
)
def test_a_bad_pickle_is_one_drop_that_names_it(tmp_path: Path, data: bytes, reason: str) -> None:
    root = lay(tmp_path, [])
    put(root / "refcoco/refs(unc).p", data)
    records, (drop,) = read(refcoco(root))
    assert records == []
    assert (drop.key, drop.reason) == ("ref/refcoco/refs(unc).p", reason)
    assert "refs(unc).p" in (drop.value or "")
    if reason == "pickle names a class":
        assert "collections.OrderedDict" in (drop.value or "")


@pytest.mark.parametrize("text", ["", "{}", "[{", '[{"a": 1}', "[" * 100000, "\xff"])
def test_bad_json_is_one_drop_that_names_it(tmp_path: Path, text: str) -> None:
    root = lay(tmp_path, [], name="grefcoco")
    put(root / "grefcoco/grefs(unc).json", text.encode("latin1"))
    records, (drop,) = read(refcoco(root, dataset="grefcoco"))
    assert records == []
    assert drop.key == "ref/grefcoco/grefs(unc).json"


def test_missing_or_cut_instances_are_one_drop_that_names_them(tmp_path: Path) -> None:
    root = lay(tmp_path, [ref(0, 1, "dog")])
    path = root / "refcoco/instances.json"
    path.write_text(path.read_text()[:-60])
    _, (drop,) = read(refcoco(root))
    assert drop.reason == "JSON ends early"
    assert "refcoco/instances.json" in (drop.value or "")
    path.unlink()
    _, (drop,) = read(refcoco(root))
    assert (drop.reason, drop.value) == ("missing annotation", "refcoco/instances.json")


def test_another_layout_is_an_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="is not there"):
        refcoco(tmp_path / "none").parts()
    lay(tmp_path, [])
    with pytest.raises(UsageError, match=r"looked for refcocog/refs\(umd\)\.p"):
        refcoco(tmp_path, dataset="refcocog").parts()


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "refcoco"
    write("refcoco", root, clips=40, frames=1, size=(96, 96), seed=2)
    return root


@pytest.mark.parametrize("dataset", ["refcoco", "refcoco+", "refcocog", "grefcoco"])
def test_a_synthetic_corpus_reads_back_as_it_was_written(synthetic: Path, dataset: str) -> None:
    splits = (
        ("train", "val", "test") if dataset == "refcocog" else ("train", "val", "testA", "testB")
    )
    records, drops = read(refcoco(synthetic, dataset=dataset, splits=splits))
    assert drops == []
    assert len(records) == 40
    written = json.loads((synthetic / dataset / "instances.json").read_text())["annotations"]
    for record in records:
        mine = [a for a in written if record.key.endswith(f"/{a['image_id']}")]
        assert corners(record) == [(x, y, x + w, y + h) for x, y, w, h in (a["bbox"] for a in mine)]
        for expression in record.expressions:
            named = {record.regions[at].label for at in expression.regions}
            if len(named) < 2:
                assert expression.label is not None
                assert expression.label in expression.text


def test_synthetic_texts_mean_none_one_and_many(synthetic: Path) -> None:
    records, _ = read(refcoco(synthetic, dataset="grefcoco"))
    counts = [len(e.regions) for record in records for e in record.expressions]
    assert all(counts.count(n) > 20 for n in (0, 1, 2))
    assert any(n > 2 for n in counts)
    assert any(region.ignore for record in records for region in record.regions)
    records, _ = read(refcoco(synthetic))
    skipped = [record.skipped for record in records if record.skipped]
    assert skipped
    assert {reason for one in skipped for reason in one} == {"expression for two different things"}


@pytest.mark.real
@pytest.mark.parametrize(
    ("dataset", "splits", "records", "regions", "texts"),
    [
        ("refcoco", ("train", "val", "testA", "testB"), 12, 86, 49),
        ("refcoco+", ("train",), 6, 33, 21),
        ("refcocog", ("train", "val", "test"), 12, 86, 48),
        ("grefcoco", ("train", "val"), 2, 10, 3),
    ],
)
def test_the_real_samples_hold_what_they_are_known_to_hold(
    dataset: str, splits: tuple[str, ...], records: int, regions: int, texts: int
) -> None:
    root = (Path(os.environ["MGDATA_CORPORA"]) / "refcoco").resolve()
    corpus = refcoco(root, dataset=dataset, splits=splits)
    report = check(corpus)
    found, _ = read(corpus)
    assert (report.records, report.regions, report.missing_images) == (records, regions, 0)
    assert sum(len(record.expressions) for record in found) == texts
    assert set(report.drops) <= {"image without expression"}
    for record in found:
        assert record.license.startswith(("CC-BY-", "No known", "United States"))
        for expression in record.expressions:
            if "bird" in expression.text or "pigeon" in expression.text:
                assert expression.label == "bird"
