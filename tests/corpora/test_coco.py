"""COCO and its like: hand-written files, synthetic ones read back, damage, the real samples."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_writers import corners, jpeg, put

from mgdata.corpora import coco as module
from mgdata.corpora import coco_json
from mgdata.corpora.check import check
from mgdata.corpora.coco import Coco
from mgdata.data import ALL, Drop, Record, known_absent
from mgdata.errors import UsageError
from mgdata.storage import Root
from mgdata.synth import write
from mgdata.validity import record_fault

CATEGORIES = [{"id": 1, "name": "Dog"}, {"id": 7, "name": "cat"}, {"id": 9, "name": "owl"}]


def image(id_: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": id_, "file_name": f"{id_}.jpg", "width": 64, "height": 48, **more}


def annotation(id_: int = 1, image_id: int = 1, **more: Any) -> dict[str, Any]:
    box = {"bbox": [10, 20, 30.5, 20], "category_id": 1, "iscrowd": 0}
    return {"id": id_, "image_id": image_id, **box, **more}


def content(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "info": {"version": "1"},
        "images": [image()],
        "annotations": list(annotations),
        "categories": CATEGORIES,
        **more,
    }


def lay(root: Path, text: dict[str, Any] | str, images: int = 1) -> Path:
    """`annotations/instances_train2017.json` and train2017/1.jpg, 2.jpg ..."""
    for number in range(1, images + 1):
        put(root / f"train2017/{number}.jpg", jpeg())
    put(
        root / "annotations/instances_train2017.json",
        text if isinstance(text, str) else json.dumps(text),
    )
    return root


def coco(root: Path, **settings: Any) -> Coco:
    return Coco(name="coco", root=Root(str(root)), **settings)


def read(corpus: Coco) -> tuple[list[Record], list[Drop]]:
    items = [item for part in corpus.parts() for item in corpus.records(part)]
    records = [item for item in items if isinstance(item, Record)]
    assert [fault for record in records if (fault := record_fault(record))] == []
    assert len({record.key for record in records}) == len(records)
    return records, [item for item in items if isinstance(item, Drop)]


def one(root: Path, **settings: Any) -> Record:
    records, drops = read(coco(root, **settings))
    assert drops == []
    (record,) = records
    return record


def reasons(drops: list[Drop]) -> list[tuple[str, str]]:
    return [(drop.key, drop.reason) for drop in drops]


def test_an_image_becomes_a_record_with_its_boxes(tmp_path: Path) -> None:
    record = one(lay(tmp_path, content(annotation(), annotation(2, category_id=7))))
    assert record.key == "coco/annotations/instances_train2017/1"
    assert record.images[0].uri == "coco:train2017/1.jpg"
    assert (record.images[0].width, record.images[0].height) == (64, 48)
    assert [region.label for region in record.regions] == ["dog", "cat"]
    assert corners(record)[0] == (10, 20, 40.5, 40)
    assert record.exhaustive == (ALL,)
    assert known_absent(record, "owl")
    assert not known_absent(record, "cat")


def test_lists_may_come_in_any_order_and_layout(tmp_path: Path) -> None:
    plain = content(annotation(), annotation(2, category_id=7))
    first = one(lay(tmp_path / "a", plain))
    for name, text in (
        ("b", json.dumps(dict(reversed(plain.items())), indent=2)),
        ("c", json.dumps(plain, separators=(",", ":"))),
        ("d", "\ufeff" + json.dumps({**plain, "more": [{"x": [1, "]"]}, 2, "}, {"], "n": None})),
    ):
        assert one(lay(tmp_path / name, text)) == first


def test_blocks_of_any_size_give_the_same_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    images = [image(number, file_name="1.jpg", note="}, {") for number in range(1, 40)]
    annotations = [
        annotation(number, int(rng.integers(1, 40)), segmentation=[[1.5] * int(rng.integers(40))])
        | ({"extra": [{"a": "}]"}, {"b": '\\"'}]} if number % 7 == 0 else {})
        for number in range(1, 400)
    ]
    root = lay(tmp_path, content(*annotations, images=images))
    whole = read(coco(root))
    assert sum(len(record.regions) for record in whole[0]) == 399
    for size in (16, 100, 1000, 5000):
        monkeypatch.setattr(coco_json, "BLOCK", size)
        assert read(coco(root)) == whole


def test_a_large_file_is_cut_into_parts_that_hold_each_image_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [image(number, file_name="1.jpg") for number in range(1, 60)]
    annotations = [annotation(number, number % 59 + 1) for number in range(1, 200)]
    annotations.append(annotation(900, 777))
    root = lay(tmp_path, content(*annotations, images=[*images, image(3, file_name="1.jpg")]))
    whole = read(coco(root))
    monkeypatch.setattr(module, "PART", 4000)
    parts = coco(root).parts()
    assert len(parts) > 3
    assert parts[1] == f"annotations/instances_train2017.json#1/{len(parts)}"
    assert read(coco(root)) == whole
    assert reasons(whole[1]) == [
        ("coco/annotations/instances_train2017.json#image=3", "repeated image id"),
        ("coco/annotations/instances_train2017/777", "annotation for an unknown image"),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bbox": [10, 20, 0, 5]}, "zero box"),
        ({"bbox": [10, 20, -3, 5]}, "inverted box"),
        ({"bbox": [70, 20, 5, 5]}, "box outside the image"),
        ({"bbox": [10, float("nan"), 5, 5]}, "nan box"),
        ({"bbox": [10, 20, float("inf"), 5]}, "nan box"),
        ({"bbox": [1e308, 20, 1e308, 5]}, "nan box"),
        ({"bbox": [10, 20, 5]}, "nan box"),
        ({"bbox": "10,20,5,5"}, "nan box"),
        ({"bbox": None}, "nan box"),
        ({"bbox": ["1", 2, 3, 4]}, "nan box"),
        ({"id": 1}, "repeated annotation id"),
    ],
)
def test_a_bad_box_is_left_out_and_its_label_no_longer_complete(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    bad = annotation(2, category_id=7) | change
    record = one(lay(tmp_path, content(annotation(), bad)))
    assert [region.label for region in record.regions] == ["dog"]
    assert record.skipped == {reason: 1}
    assert record.exhaustive == ("dog", "owl")
    assert not known_absent(record, "cat")
    assert known_absent(record, "owl")


@pytest.mark.parametrize("category", [5, None, "cat", [7]])
def test_an_unknown_category_makes_nothing_complete(tmp_path: Path, category: Any) -> None:
    bad = annotation(2, category_id=category)
    record = one(lay(tmp_path, content(annotation(), bad)))
    assert record.skipped == {"unknown category": 1}
    assert record.exhaustive == ()


def test_an_annotation_without_its_image_makes_the_whole_file_uncertain(tmp_path: Path) -> None:
    bad = {"id": 5, "category_id": 1, "bbox": [1, 2, 3, 4]}
    (record,), drops = read(coco(lay(tmp_path, content(annotation(), bad))))
    assert record.exhaustive == ()
    assert reasons(drops) == [
        ("coco/annotations/instances_train2017.json#annotations[1]", "malformed annotation")
    ]


def test_a_box_that_leaves_the_image_is_cut(tmp_path: Path) -> None:
    record = one(
        lay(
            tmp_path,
            content(
                annotation(1, bbox=[-2, 5, 30, 90]),
                annotation(2, bbox=[33.83, 5, 30.17, 9]),  # a float sum beyond 64
                annotation(3, bbox=[34.004, 5, 30, 9]),
            ),
        )
    )
    assert corners(record)[0] == (0, 5, 28, 48)
    assert [region.clipped for region in record.regions] == [True, False, False]


RUNS = [64 * 48 - 48 * 10, 48 * 10]


@pytest.mark.parametrize(
    ("change", "box", "skipped"),
    [
        ({"segmentation": {"size": [48, 64], "counts": RUNS}}, (10, 20, 40.5, 40), {}),
        ({"segmentation": [[1, 2, 3, 4, 5, 6]]}, (10, 20, 40.5, 40), {}),
        ({"segmentation": {"size": [48, 64], "counts": RUNS}, "bbox": None}, (54, 0, 64, 48), {}),
        ({"segmentation": {"size": [64, 48], "counts": RUNS}}, None, {"RLE of the wrong size": 1}),
        ({"segmentation": {"size": [48, 64], "counts": "~~"}}, None, {"RLE does not decode": 1}),
        ({"segmentation": {"size": "48", "counts": RUNS}}, None, {"RLE does not decode": 1}),
        ({"segmentation": {"counts": RUNS}}, None, {"RLE does not decode": 1}),
        ({"segmentation": [], "bbox": [1, 1, 0, 0]}, None, {"zero box": 1}),
    ],
)
def test_a_crowd_is_to_be_ignored_and_its_mask_must_fit(
    tmp_path: Path, change: dict[str, Any], box: tuple[float, ...] | None, skipped: dict[str, int]
) -> None:
    crowd = annotation(2, category_id=7, iscrowd=1) | change
    record = one(lay(tmp_path, content(annotation(), crowd)))
    crowds = [region for region in record.regions if region.ignore]
    assert [region.label for region in crowds] == (["cat"] if box else [])
    assert corners(record)[1:] == ([box] if box else [])
    assert record.skipped == skipped
    assert not known_absent(record, "cat")


def test_images_that_cannot_be_used_are_dropped(tmp_path: Path) -> None:
    images = [
        image(1),
        image(2, file_name="gone.jpg"),
        image(3, file_name="../../etc/passwd"),
        image(4, file_name="/etc/passwd"),
        image(5, file_name="1.jpg"),
        image(6, file_name=None),
        image(7, file_name="1.jpg"),
        image(7, file_name="2.jpg"),
        {"id": None, "file_name": "1.jpg"},
        "nonsense",
    ]
    boxes = [annotation(number, number) for number in (1, 2, 3, 4, 6, 7)]
    records, drops = read(coco(lay(tmp_path, content(*boxes, images=images))))
    assert [record.images[0].uri for record in records] == ["coco:train2017/1.jpg"]
    assert [drop.reason for drop in drops] == [
        "repeated image id",
        "malformed image entry",
        "malformed image entry",
        "missing image",
        "path leaves the corpus root",
        "path leaves the corpus root",
        "image without annotation",
        "missing image",
        "repeated image id",
    ]


def test_images_without_annotations_can_be_kept(tmp_path: Path) -> None:
    root = lay(tmp_path, content())
    assert one(root, empty="keep").exhaustive == (ALL,)
    assert one(root, empty="keep", complete=False).exhaustive == ()


@pytest.mark.parametrize(
    ("keep", "reason"),
    [(0.3, "JSON ends early"), (0.6, "JSON ends early"), (0.999, "JSON ends early")],
)
def test_a_file_cut_in_the_middle_gives_one_drop(tmp_path: Path, keep: float, reason: str) -> None:
    text = json.dumps(content(*[annotation(number) for number in range(50)]))
    records, drops = read(coco(lay(tmp_path, text[: int(len(text) * keep)])))
    assert records == []
    assert reasons(drops) == [("coco/annotations/instances_train2017.json", reason)]
    assert drops[0].value is not None
    assert drops[0].value.startswith("annotations/instances_train2017.json: in ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "JSON ends early"),
        ("[]", "malformed JSON"),
        ("{}", "not a COCO annotation file"),
        ('{"images": [], "annotations": [}', "malformed JSON"),
        ('{"images": 3, "annotations": [], "categories": []} ', None),
        ('{"images": [], "annotations": []}', "not a COCO annotation file"),
        ('{"a" 1}', "malformed JSON"),
        ("{1: 1}", "malformed JSON"),
        ('{"a": "\xff', "JSON ends early"),
    ],
)
def test_what_is_no_annotation_file_gives_one_drop(
    tmp_path: Path, text: str, reason: str | None
) -> None:
    records, drops = read(coco(lay(tmp_path, text)))
    assert records == []
    assert [drop.reason for drop in drops] == ([reason] if reason else [])


def test_a_thousand_damages_crash_nothing_and_let_no_bad_box_in(tmp_path: Path) -> None:
    crowd = annotation(3, iscrowd=1, segmentation={"size": [48, 64], "counts": RUNS})
    text = json.dumps(content(annotation(), annotation(2, category_id=7), crowd)).encode()
    rng = np.random.default_rng(0)
    lay(tmp_path, "")
    path = tmp_path / "annotations/instances_train2017.json"
    outcomes = {"records": 0, "drops": 0}
    for _ in range(1000):
        data = bytearray(text)
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(len(data)))
            kind = rng.integers(3)
            if kind == 0:
                data[at] = int(rng.integers(256))
            elif kind == 1:
                del data[at : at + int(rng.integers(1, 30))]
            else:
                data[at:at] = data[at : at + int(rng.integers(1, 30))]
        path.write_bytes(bytes(data))
        items = list(coco(tmp_path).records("annotations/instances_train2017.json"))
        for item in items:
            if isinstance(item, Record):
                assert record_fault(item) is None
                outcomes["records"] += 1
            else:
                outcomes["drops"] += 1
    assert min(outcomes.values()) > 100


def test_lvis_is_complete_only_for_what_was_looked_for(tmp_path: Path) -> None:
    put(tmp_path / "val2017/000000000005.jpg", jpeg())
    entry = {
        "id": 5,
        "width": 64,
        "height": 48,
        "coco_url": "http://images.cocodataset.org/val2017/000000000005.jpg",
        "neg_category_ids": [9, 1],
        "not_exhaustive_category_ids": [7],
    }
    boxes = [annotation(1, 5), annotation(2, 5, category_id=7)]
    put(tmp_path / "lvis_v1_val.json", json.dumps(content(*boxes, images=[entry])))
    record = one(tmp_path)
    assert record.key == "coco/lvis_v1_val/5"
    assert record.unit == "coco-000000000005"
    assert record.images[0].uri == "coco:val2017/000000000005.jpg"
    assert record.exhaustive == ("dog", "owl")  # "cat" is not complete
    assert record.absent == ("owl",)  # "dog" has a box, whatever the list of negatives says


@pytest.mark.parametrize(
    "path",
    [
        "train/patch3/objects365_v1_00000001.jpg",
        "train/images/v1/patch3/objects365_v1_00000001.jpg",
        "images/v1/patch3/objects365_v1_00000001.jpg",
        "images/train/patch3/objects365_v1_00000001.jpg",
    ],
)
def test_objects365_is_found_in_either_layout_and_its_names_mended(
    tmp_path: Path, path: str
) -> None:
    put(tmp_path / path, jpeg())
    entry = image(file_name="images/v1/patch3/objects365_v1_00000001.jpg")
    text = json.dumps(content(annotation(), annotation(2, category_id=7), images=[entry]))
    put(tmp_path / "annotations/zhiyuan_objv2_train.json", text)
    put(tmp_path / "fix.csv", "1,Dog,Hound\n7,cat,Kitten\n")
    record = one(tmp_path, names="fix.csv", renames={"7": "pussycat"})
    assert record.images[0].uri == f"coco:{path}"
    assert [region.label for region in record.regions] == ["hound", "pussycat"]


def test_a_bad_list_of_names_says_which_line(tmp_path: Path) -> None:
    put(lay(tmp_path, content(annotation())) / "fix.csv", "1,Dog,Hound\n7;cat\n")
    with pytest.raises(UsageError, match=r"fix\.csv:2: found '7;cat'"):
        coco(tmp_path, names="fix.csv").parts()
    with pytest.raises(UsageError, match=r"gone\.csv"):
        coco(tmp_path, names="gone.csv").parts()


def test_boxes_of_a_rotated_photo_are_turned_where_headers_are_read(tmp_path: Path) -> None:
    lay(tmp_path, content(annotation()))
    put(tmp_path / "train2017/1.jpg", jpeg(orientation=6))
    record = one(tmp_path, sizes="header")
    assert (record.images[0].width, record.images[0].height) == (48, 64)
    assert record.images[0].orientation == 6
    assert corners(record) == [(8, 10, 28, 40.5)]


def test_a_size_that_differs_from_the_file_is_seen_where_headers_are_read(tmp_path: Path) -> None:
    lay(tmp_path, content(annotation(), images=[image(width=65)]))
    _, (drop,) = read(coco(tmp_path, sizes="header"))
    assert drop.reason == "size differs from the annotation"
    lay(tmp_path, content(annotation(), images=[image(width=None)]))
    assert one(tmp_path).images[0].width == 64


def test_the_licence_of_a_photo_is_the_one_its_entry_names(tmp_path: Path) -> None:
    by = {
        "id": 4,
        "name": "Attribution License",
        "url": "http://creativecommons.org/licenses/by/2.0/",
    }
    gov = {"id": 8, "name": "United States Government Work", "url": "http://www.usa.gov/"}
    images = [
        image(n, file_name="1.jpg", license=x) for n, x in ((1, 4), (2, 8), (3, 99), (4, None))
    ]
    boxes = [annotation(number, number) for number in (1, 2, 3, 4)]
    records, _ = read(coco(lay(tmp_path, content(*boxes, images=images, licenses=[by, gov]))))
    assert [record.license for record in records] == [
        "CC-BY-2.0",
        "United States Government Work",
        "unknown",
        "unknown",
    ]


def test_only_instances_are_read_beside_captions_and_keypoints(tmp_path: Path) -> None:
    lay(tmp_path, content(annotation()))
    for other in ("captions_train2017", "person_keypoints_train2017", "panoptic_train2017"):
        put(tmp_path / f"annotations/{other}.json", "{}")
    assert coco(tmp_path).parts() == ["annotations/instances_train2017.json"]
    pattern = ("annotations/capt*.json",)
    assert coco(tmp_path, annotations=pattern).parts() == ["annotations/captions_train2017.json"]


def test_a_root_without_annotations_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "train/a.jpg", jpeg())
    with pytest.raises(UsageError, match="looked for annotations"):
        coco(tmp_path).parts()


@pytest.mark.parametrize("format", ["coco", "objects365", "lvis", "paco"])
def test_a_synthetic_corpus_reads_back_as_it_was_written(tmp_path: Path, format: str) -> None:
    write(format, tmp_path / format, clips=10, frames=1, size=(160, 120))
    corpus = coco(tmp_path / format, sizes="header")
    records, drops = read(corpus)
    assert drops == []
    assert len(records) == 10
    assert all(record.skipped == {} for record in records)
    written = [
        json.loads((tmp_path / format / part).read_text())["annotations"] for part in corpus.parts()
    ]
    boxes = sorted((x, y, x + w, y + h) for a in written for x, y, w, h in (b["bbox"] for b in a))
    assert sorted(box for record in records for box in corners(record) if box) == boxes


def test_synthetic_parts_carry_the_name_of_their_thing(tmp_path: Path) -> None:
    write("paco", tmp_path / "paco", clips=10, frames=1, size=(320, 240))
    records, _ = read(coco(tmp_path / "paco"))
    labels = {region.label for record in records for region in record.regions}
    owners: dict[str, set[str]] = {}
    for label in labels:
        if ":" in label:
            owners.setdefault(label.split(":")[1], set()).add(label.split(":")[0])
    assert len(owners["wheel"]) > 1
    assert len(owners["window"]) > 1


def test_synthetic_lvis_is_silent_about_some_of_what_it_shows(tmp_path: Path) -> None:
    write("lvis", tmp_path / "lvis", clips=30, frames=1, size=(64, 64))
    records, _ = read(coco(tmp_path / "lvis"))
    assert all(len(record.absent) == 4 for record in records)
    for record in records:
        labels = {region.label for region in record.regions}
        assert not labels & set(record.absent)
    assert any(
        {region.label for region in record.regions} - set(record.exhaustive) for record in records
    )


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "records", "regions", "labels", "drops"),
    [
        ("coco", 11, 93, {"person": 30, "toilet": 13}, {"image without annotation": 2}),
        ("objects365", 2, 19, {"person": 13, "wild bird": 3, "car": 2, "bus": 1}, {}),
        ("lvis", 2, 5, {"bird": 3, "sink": 1, "toilet": 1}, {}),
    ],
)
def test_the_real_samples_hold_what_they_are_known_to_hold(
    name: str, records: int, regions: int, labels: dict[str, int], drops: dict[str, int]
) -> None:
    folder = Path(os.environ["MGDATA_CORPORA"]) / name
    assert folder.is_dir(), f"MGDATA_CORPORA has no folder {name}"
    report = check(coco(folder.resolve(), sizes="header"))
    assert (report.records, report.regions, report.missing_images) == (records, regions, 0)
    assert labels.items() <= report.labels.items()
    assert {reason: drop.count for reason, drop in report.drops.items()} == drops
    assert report.skipped == {}
    for record in read(coco(folder.resolve()))[0]:
        assert record.license.startswith(("CC-BY-", "No known", "United States"))
