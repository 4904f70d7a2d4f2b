import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_writers import corners, jpeg, put

from mgdata.corpora.check import check
from mgdata.corpora.img_diff import ImgDiff, ceiling
from mgdata.data import Drop, Image, Record, known_absent
from mgdata.errors import UsageError
from mgdata.geometry import Box, array, iou
from mgdata.identity import Stream
from mgdata.storage import Root
from mgdata.synth import pairs, write
from mgdata.validity import record_fault

FILE = "img_diff_object_replacement.json"
FOLDER = "object_replacement/filtered_new_edit_data"
WIDE = "[0.25, 0.25, 0.75, 0.75]"
"""In pictures of 64x48: 16,12,48,36."""


def img_diff(root: Path, **settings: Any) -> ImgDiff:
    return ImgDiff(name="img_diff", root=Root(str(root)), **settings)


def row(path: str = "0/1", bbox: object = WIDE, said: str = "a plane became a boat") -> Any:
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": said}]
    return {"path": path, "bbox": bbox, "captions1": "a", "conversations": turns}


def corpus(root: Path, *rows: object) -> Path:
    for path in {each.get("path") for each in rows if isinstance(each, dict)}:
        if isinstance(path, str) and path and ".." not in path:
            for number in (0, 1):
                put(root / FOLDER / f"{path}_{number}.jpg", jpeg())
    put(root / FILE, json.dumps(rows))
    return root


def read(corpus: ImgDiff) -> list[Record | Drop]:
    found = [item for part in corpus.parts() for item in corpus.records(part)]
    assert all(record_fault(item) is None for item in found if isinstance(item, Record))
    return found


def the_record(corpus: ImgDiff) -> Record:
    (record,) = read(corpus)
    assert isinstance(record, Record), record
    return record


def the_drop(corpus: ImgDiff) -> tuple[str, str | None]:
    (drop,) = read(corpus)
    assert isinstance(drop, Drop), drop
    return drop.reason, drop.value


def test_a_row_becomes_a_pair_with_one_box_in_both_pictures(tmp_path: Path) -> None:
    record = the_record(img_diff(corpus(tmp_path, row(said=" a plane\nbecame a boat "))))
    assert record.key == "img_diff/0/1"
    assert [i.uri for i in record.images] == [f"img_diff:{FOLDER}/0/1_{n}.jpg" for n in (0, 1)]
    assert corners(record) == [(16, 12, 48, 36)] * 2
    assert [(r.image, r.label, r.phrase, r.track) for r in record.regions] == [
        (0, "change", "a plane became a boat", "1"),
        (1, "change", "a plane became a boat", "1"),
    ]
    assert record.exhaustive == ()
    assert not known_absent(record, "drop")


def test_rows_of_one_path_are_one_pair_and_a_box_counts_once(tmp_path: Path) -> None:
    other = "[0.00, 0.00, 0.20, 0.20]"
    rows = [row(), row("0/2"), row(bbox=other, said="a car came"), row()]
    first, second = read(img_diff(corpus(tmp_path, *rows)))
    assert isinstance(first, Record)
    assert [(r.image, r.track, r.phrase) for r in first.regions] == [
        (0, "1", "a plane became a boat"),
        (0, "2", "a car came"),
        (1, "1", "a plane became a boat"),
        (1, "2", "a car came"),
    ]
    assert first.skipped == {"repeated box": 1}
    assert second.key == "img_diff/0/2"


@pytest.mark.parametrize(
    "bbox",
    [
        "[0.25, 0.25, 0.75, 0.75]",
        "0.25,0.25,0.75,0.75",
        "(0.25 0.25 0.75 0.75)",
        [0.25, 0.25, 0.75, 0.75],
        ["0.25", "0.25", ".75", "0.75"],
        [[0.25, 0.25, 0.75, 0.75]],
        "[[0.25, 0.25, 0.75, 0.75]]",
        ["[0.25, 0.25, 0.75, 0.75]"],
    ],
)
def test_a_box_is_read_as_text_or_numbers(tmp_path: Path, bbox: object) -> None:
    record = the_record(img_diff(corpus(tmp_path, row(bbox=bbox))))
    assert corners(record) == [(16, 12, 48, 36)] * 2


def test_a_field_may_hold_several_boxes(tmp_path: Path) -> None:
    record = the_record(img_diff(corpus(tmp_path, row(bbox=[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]))))
    assert corners(record) == [(0, 0, 32, 24), (32, 24, 64, 48)] * 2


@pytest.mark.parametrize(
    ("bbox", "reason"),
    [
        ("[nan, 0.2, 0.5, 0.6]", "nan box: 2"),
        ([0.5, 0.2, 0.1, 0.6], "inverted box: 2"),
        ([0.5, 0.2, 0.5, 0.6], "zero box: 2"),
        ([1.0, 0.2, 1.04, 0.6], "box outside the image: 2"),
        ([10, 20, 50, 60], "box is not from 0 to 1: 1"),
        ([0.1, 0.2, 0.5], "malformed box: 1"),
        ("", "malformed box: 1"),
        ("here", "malformed box: 1"),
        (None, "malformed box: 1"),
        ({}, "malformed box: 1"),
        ([], "malformed box: 1"),
        ([True, 0, 1, 1], "malformed box: 1"),
        ("[" * 50 + "]" * 50, "malformed box: 1"),
        ([0.10, 0.10, 0.15, 0.15], "box too coarse: 2"),
    ],
)
def test_a_pair_without_a_usable_box_is_dropped_and_says_why(
    tmp_path: Path, bbox: object, reason: str
) -> None:
    assert the_drop(img_diff(corpus(tmp_path, row(bbox=bbox)))) == ("no usable box", reason)


def test_a_bad_box_beside_a_good_one_is_counted(tmp_path: Path) -> None:
    record = the_record(img_diff(corpus(tmp_path, row(), row(bbox="none"))))
    assert len(record.regions) == 2
    assert record.skipped == {"malformed box": 1}


def test_a_box_that_leaves_the_picture_a_little_is_cut(tmp_path: Path) -> None:
    record = the_record(img_diff(corpus(tmp_path, row(bbox=[-0.01, 0.5, 0.5, 1.02]))))
    assert corners(record) == [(0, 24, 32, 48)] * 2
    assert all(region.clipped for region in record.regions)


def test_the_ceiling_is_the_least_overlap_of_all_boxes_that_round_to_this_one() -> None:
    image = Image(uri="a:b", width=512, height=384)
    for x1, y1, w, h in ((0.1, 0.2, 0.05, 0.05), (0.3, 0.3, 0.1, 0.4), (0, 0, 0.02, 0.9)):
        box = Box(x1 * 512, y1 * 384, (x1 + w) * 512, (y1 + h) * 384)
        near = [
            Box(
                box.x1 + a * 0.005 * 512,
                box.y1 + b * 0.005 * 384,
                box.x2 + c * 0.005 * 512,
                box.y2 + d * 0.005 * 384,
            )
            for a, b, c, d in itertools.product((-1, -0.5, 0, 0.5, 1), repeat=4)
        ]
        least = iou(array([box]), array(near)).min()
        assert ceiling(box, image) == pytest.approx(least)
    assert ceiling(Box(0, 0, 5.12, 384), image) == 0
    assert ceiling(Box(0, 0, 256, 192), image, decimals=3) > ceiling(Box(0, 0, 256, 192), image)


def test_the_least_ceiling_is_a_setting(tmp_path: Path) -> None:
    root = corpus(tmp_path, row(bbox=[0.1, 0.1, 0.15, 0.15]))  # its ceiling is 0.64
    assert len(the_record(img_diff(root, min_ceiling=0.63)).regions) == 2
    assert the_drop(img_diff(root, min_ceiling=0.65))[0] == "no usable box"


def test_fields_and_paths_are_settings(tmp_path: Path) -> None:
    put(tmp_path / "left/a.jpg", jpeg())
    put(tmp_path / "right/b.jpg", jpeg(32, 24))
    item = {"one": "a", "two": "b", "where": WIDE, "what": "it went"}
    put(tmp_path / "removal.json", json.dumps([item]))
    record = the_record(
        img_diff(
            tmp_path,
            annotation="removal.json",
            before="left/{one}.jpg",
            after="right/{two}.jpg",
            box="where",
            caption="what",
        )
    )
    assert record.key == "img_diff/a+b"
    assert corners(record) == [(16, 12, 48, 36), (8, 6, 24, 18)]
    assert record.regions[0].phrase == "it went"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"box": "bboxes"}, r"no row .* has a field 'bboxes', they have bbox, captions1"),
        ({"before": "{image}.jpg"}, r"field 'image', .* set 'before' of img_diff"),
        ({"after": "{image}.jpg"}, r"set 'after'"),
        ({"caption": "text"}, r"set 'caption'"),
    ],
)
def test_a_field_that_no_row_has_is_said_with_those_there_are(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        img_diff(corpus(tmp_path, row()), **settings).parts()


@pytest.mark.parametrize("said", ["", " \n", None, 5, [], [{"from": "human", "value": "x"}], [7]])
def test_a_change_without_words_has_no_phrase(tmp_path: Path, said: object) -> None:
    item = row()
    item["conversations"] = said
    assert the_record(img_diff(corpus(tmp_path, item))).regions[0].phrase is None


@pytest.mark.parametrize("bad", [5, None, [1], {"bbox": WIDE}, row(path=""), row(path=None)])  # type: ignore[arg-type]
def test_a_row_that_names_no_pictures_is_dropped(tmp_path: Path, bad: object) -> None:
    dropped, kept = read(img_diff(corpus(tmp_path, row(), bad)))
    assert isinstance(dropped, Drop) and isinstance(kept, Record)
    assert (dropped.key, dropped.reason) == ("img_diff/#1", "malformed row")


def test_a_path_that_leaves_the_root_is_dropped(tmp_path: Path) -> None:
    assert the_drop(img_diff(corpus(tmp_path, row("../../../x"))))[0] == (
        "path leaves the corpus root"
    )


def test_a_missing_or_broken_picture_drops_the_pair(tmp_path: Path) -> None:
    root = corpus(tmp_path, row())
    put(root / FOLDER / "0/1_1.jpg", b"no picture")
    reason, value = the_drop(img_diff(root))
    assert reason == "unreadable image" and value is not None and "0/1_1.jpg" in value
    (root / FOLDER / "0/1_1.jpg").unlink()
    assert the_drop(img_diff(root)) == ("missing image", f"{FOLDER}/0/1_1.jpg")


@pytest.mark.parametrize("content", [b"", b'[{"path": "0', b"{}", b"\xff[]", b'["\\ud800"]'])
def test_a_file_that_is_cut_or_something_else_is_named(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / FILE, content)
    with pytest.raises(UsageError, match=FILE):
        img_diff(tmp_path).parts()


def test_a_missing_file_is_said_with_what_is_there(tmp_path: Path) -> None:
    put(tmp_path / "img_diff_object_removal.json", "[]")
    with pytest.raises(UsageError, match=f"looked for {FILE}, found img_diff_object_removal.json"):
        img_diff(tmp_path).parts()


def test_boxes_of_a_synthetic_corpus_hold_the_toys_as_well_as_two_decimals_can(
    tmp_path: Path,
) -> None:
    size = (256, 192)
    write("img_diff", tmp_path / "c", clips=4, frames=1, size=size, seed=5)
    records = read(img_diff(tmp_path / "c", min_ceiling=0.5))
    assert len(records) == 4
    for number, record in enumerate(records):
        assert isinstance(record, Record)
        assert len(record.regions) == 2 * (1 + number % 2)
        assert not record.skipped
        rng = Stream("synth", "img_diff", "5", str(number))
        stage = pairs.staged(rng, size, 3 + number % 3)
        drawn = [pairs.side(stage, pairs.STILL, toy).box for toy in stage.toys]
        for region in record.regions:
            assert region.box is not None
            overlaps = iou(array([region.box]), array([box for box in drawn if box]))
            # The box also covers the successor, which may be larger, and is rounded.
            assert overlaps.max() > 0.4


def test_a_synthetic_corpus_passes_its_check(tmp_path: Path) -> None:
    write("img_diff", tmp_path / "c", clips=6, frames=1, size=(192, 144))
    report = check(img_diff(tmp_path / "c", min_ceiling=0.0))
    assert (report.records, report.images, report.regions) == (6, 12, 18)
    assert not report.drops and not report.skipped and not report.missing


@pytest.mark.real
def test_the_real_pair_is_read_with_an_annotation_of_ours(
    real_corpora: Path, tmp_path: Path
) -> None:
    shutil.copytree(real_corpora / "img_diff", tmp_path / "pair")
    pictures = sorted(path.name for path in (tmp_path / "pair").glob("*.jpg"))
    assert pictures == ["img_pair_1.jpg", "img_pair_2.jpg"]
    item = row("img_pair", "[0.02, 0.30, 0.98, 0.80]", "the plane became a boat")
    put(tmp_path / FILE, json.dumps([item]))
    record = the_record(img_diff(tmp_path, before="pair/{path}_1.jpg", after="pair/{path}_2.jpg"))
    for image, region in zip(record.images, record.regions, strict=True):
        assert image.format == "jpeg"
        assert region.box is not None
        shares = np.array([region.box.x1, region.box.y1, region.box.x2, region.box.y2])
        shares /= [image.width, image.height] * 2
        assert np.allclose(shares, [0.02, 0.30, 0.98, 0.80])
        assert ceiling(region.box, image) > 0.96
