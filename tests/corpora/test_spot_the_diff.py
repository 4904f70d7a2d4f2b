import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mgdata import synth
from mgdata.corpora.check import check
from mgdata.corpora.spot_the_diff import SpotTheDiff
from mgdata.data import ALL, Drop, Record
from mgdata.errors import UsageError
from mgdata.geometry import Box, array, iou
from mgdata.storage import Root

SIDE = 224
SPLITS = ("train", "val", "test")


def corpus(root: Path, **settings: Any) -> SpotTheDiff:
    return SpotTheDiff(name="std", root=Root(str(root)), **settings)


def read(root: Path, **settings: Any) -> list[Record | Drop]:
    reader = corpus(root, **settings)
    return [item for part in reader.parts() for item in reader.records(part)]


def picture(discs: Sequence[tuple[int, int]] = (), side: int = SIDE) -> bytes:
    """A ground with blotches, and a dark disc of radius 14 at each place."""
    coarse = np.random.default_rng(3).normal(150, 25, (24, 24, 3)).astype(np.float32)
    pixels = np.clip(cv2.resize(coarse, (side, side)), 90, 210).astype(np.uint8)
    for place in discs:
        cv2.circle(pixels, place, 14, (20, 20, 30), -1)
    return cv2.imencode(".png", pixels)[1].tobytes()


def write(
    root: Path,
    entries: Sequence[object],
    discs: Sequence[tuple[int, int]] = ((60, 80),),
    ids: Sequence[str] = ("7",),
    split: str = "train",
) -> None:
    """A split's entries, and for each id a pair in which the discs are gone in the second."""
    annotations = root / "data/annotations"
    images = root / "data/resized_images"
    annotations.mkdir(parents=True, exist_ok=True)
    images.mkdir(parents=True, exist_ok=True)
    (annotations / f"{split}.json").write_text(json.dumps(entries))
    for name in ids:
        (images / f"{name}.png").write_bytes(picture(discs))
        (images / f"{name}_2.png").write_bytes(picture())
        (images / f"{name}_diff.jpg").write_bytes(b"not read")


def said(*sentences: str, img_id: str = "7") -> dict[str, object]:
    return {"img_id": img_id, "sentences": list(sentences)}


def the_drop(root: Path) -> tuple[str, str, str | None]:
    (item,) = read(root)
    assert isinstance(item, Drop), item
    return item.key, item.reason, item.value


def the_record(root: Path) -> Record:
    (item,) = read(root)
    assert isinstance(item, Record), item
    return item


def test_a_pair_with_one_change_has_its_box_in_both_pictures_and_its_sentence(
    tmp_path: Path,
) -> None:
    write(tmp_path, [said(" the dark  ball is gone\n")])
    record = the_record(tmp_path)
    assert (record.key, record.shape, record.unit) == ("std/train/7", "pair", "7")
    assert [image.uri for image in record.images] == [
        "std:data/resized_images/7.png",
        "std:data/resized_images/7_2.png",
    ]
    assert {(image.width, image.height, image.format) for image in record.images} == {
        (SIDE, SIDE, "png")
    }
    assert [(r.image, r.label, r.track) for r in record.regions] == [
        (0, "change", "1"),
        (1, "change", "1"),
    ]
    assert {r.phrase for r in record.regions} == {"the dark ball is gone"}
    boxes = [r.box for r in record.regions if r.box is not None]
    assert boxes[0] == boxes[1]
    assert iou(array(boxes[:1]), array([Box(46, 66, 75, 95)]))[0, 0] > 0.85
    assert record.exhaustive == (ALL,)
    assert record.skipped == {}


def test_of_two_changes_no_one_knows_which_sentence_is_whose(tmp_path: Path) -> None:
    write(tmp_path, [said("a ball is gone", "the other ball left")], [(60, 80), (160, 120)])
    record = the_record(tmp_path)
    assert [(r.image, r.track, r.phrase) for r in record.regions] == [
        (0, "1", None),
        (0, "2", None),
        (1, "1", None),
        (1, "2", None),
    ]


def test_pictures_that_agree_with_no_difference_have_no_region(tmp_path: Path) -> None:
    write(tmp_path, [said("there is no difference")], discs=())
    record = the_record(tmp_path)
    assert record.regions == ()
    assert record.exhaustive == (ALL,)


@pytest.mark.parametrize(
    "sentence",
    [
        "no difference",
        "There are no differences.",
        "no visible change",
        "nothing has changed",
        "nothing is different",
        "i can't see a difference",
        "the two images look the same",
        "both pictures are identical",
        "there doesn't appear to be any difference",
    ],
)
def test_the_ways_to_say_that_nothing_differs(tmp_path: Path, sentence: str) -> None:
    write(tmp_path, [said(sentence)], discs=())
    assert the_record(tmp_path).regions == ()
    write(tmp_path, [said(sentence)])
    assert the_drop(tmp_path)[1:] == ("boxes disagree with sentences", "1 boxes, 0 sentences")


def test_a_change_too_small_to_be_asked_for_still_contradicts_no_difference(
    tmp_path: Path,
) -> None:
    write(tmp_path, [said("no difference")], discs=())
    pixels = cv2.imdecode(np.frombuffer(picture(), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    pixels[50:54, 50:54] = 0  # 16 pixels of the 25 that a box needs
    cv2.imwrite(str(tmp_path / "data/resized_images/7_2.png"), pixels)
    assert the_drop(tmp_path)[1:] == ("boxes disagree with sentences", "1 boxes, 0 sentences")


@pytest.mark.parametrize(
    ("sentences", "discs", "reason", "value"),
    [
        (
            ["one ball is gone", "a ball left"],
            [(60, 80)],
            "boxes disagree with sentences",
            "1 boxes, 2 sentences",
        ),
        (
            ["one ball is gone"],
            [(60, 80), (160, 120)],
            "boxes disagree with sentences",
            "2 boxes, 1 sentences",
        ),
        (["one ball is gone"], [], "boxes disagree with sentences", "0 boxes, 1 sentences"),
        (["two balls are gone"], [(60, 80)], "sentence speaks of several things", None),
        (["a few people left"], [(60, 80)], "sentence speaks of several things", None),
        (
            ["the ball left and the car is new"],
            [(60, 80)],
            "sentence speaks of several things",
            None,
        ),
        (["the ball has moved"], [(60, 80)], "sentence speaks of a move", None),
        (
            ["the ball is in a different place", "a car left"],
            [(60, 80), (160, 120)],
            "sentence speaks of a move",
            "the ball is in a different place",
        ),
        (
            ["no difference", "a ball is gone"],
            [(60, 80)],
            "sentences contradict each other",
            "no difference",
        ),
        ([" ", ""], [(60, 80)], "no sentence", None),
        ([], [(60, 80)], "no sentence", None),
    ],
)
def test_a_pair_in_doubt_is_dropped(
    tmp_path: Path,
    sentences: list[str],
    discs: list[tuple[int, int]],
    reason: str,
    value: str | None,
) -> None:
    write(tmp_path, [said(*sentences)], discs)
    assert the_drop(tmp_path) == (
        "std/train/7",
        reason,
        value or (sentences[0] if "speaks" in reason else None),
    )


def test_a_shirt_in_two_colours_is_one_thing(tmp_path: Path) -> None:
    write(tmp_path, [said("the man in black and white is gone")])
    assert len(the_record(tmp_path).regions) == 2


def test_blank_sentences_are_counted_and_not_counted_on(tmp_path: Path) -> None:
    write(tmp_path, [said("", "a ball is gone", " \n")])
    record = the_record(tmp_path)
    assert {r.phrase for r in record.regions} == {"a ball is gone"}
    assert record.skipped == {"blank sentence": 2}


def test_an_id_that_comes_again_is_one_pair_in_the_first_words(tmp_path: Path) -> None:
    entries = [said("a ball is gone"), said("a car", img_id="8"), said("no ball now"), said("")]
    write(tmp_path, entries, ids=("7", "8"))
    first, second = read(tmp_path)
    assert isinstance(first, Record) and isinstance(second, Record)
    assert [first.key, second.key] == ["std/train/7", "std/train/8"]
    assert {r.phrase for r in first.regions} == {"a ball is gone"}
    assert first.skipped == {"blank sentence": 1, "further description": 1}


def test_descriptions_of_one_pair_must_all_agree(tmp_path: Path) -> None:
    write(tmp_path, [said("a ball is gone"), said("the ball left", "the road is clear")])
    assert the_drop(tmp_path)[1:] == ("boxes disagree with sentences", "1 boxes, 1 or 2 sentences")


def test_pictures_of_two_scenes_are_no_pair(tmp_path: Path) -> None:
    write(tmp_path, [said("no difference")])  # which no one should take for an agreement
    noise = np.random.default_rng(0).integers(0, 255, (28, 28, 3)).astype(np.uint8)
    far = cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(tmp_path / "data/resized_images/7_2.png"), far)
    key, reason, value = the_drop(tmp_path)
    assert (key, reason) == ("std/train/7", "pictures differ all over")
    assert value is not None and value.endswith("% of the pixels")


def test_a_picture_that_cannot_be_used_drops_its_pair(tmp_path: Path) -> None:
    names = ("gone", "second", "cut", "empty", "text", "size", "good")
    write(tmp_path, [said("a ball is gone", img_id=name) for name in names], ids=names)
    images = tmp_path / "data/resized_images"
    (images / "gone.png").unlink()
    (images / "second_2.png").unlink()
    (images / "cut.png").write_bytes(picture()[:3000])
    (images / "empty_2.png").write_bytes(b"")
    (images / "text_2.png").write_text("version https://git-lfs.github.com/spec/v1")
    (images / "size_2.png").write_bytes(picture(side=200))
    items = read(tmp_path)
    folder = "data/resized_images"
    reasons = {i.key: (i.reason, i.value) for i in items if isinstance(i, Drop)}
    assert reasons["std/train/gone"] == ("missing image", f"{folder}/gone.png")
    assert reasons["std/train/second"] == ("missing image", f"{folder}/second_2.png")
    assert reasons["std/train/cut"][0] == "truncated image"
    assert reasons["std/train/empty"] == ("empty image", f"{folder}/empty_2.png: 0 bytes")
    assert reasons["std/train/text"][0] == "unreadable image"
    assert reasons["std/train/size"] == ("image sizes differ", "224x224 and 200x200")
    assert [i.key for i in items if isinstance(i, Record)] == ["std/train/good"]


def test_entries_that_name_no_pair_are_dropped_one_by_one(tmp_path: Path) -> None:
    odd = [{"img_id": 7, "sentences": []}, {"sentences": ["x"]}, "7", said("x", img_id="")]
    outside = [said("x", img_id="../../secret"), said("x", img_id="/etc/x")]
    write(tmp_path, [*odd, said("a ball is gone"), *outside])
    items = read(tmp_path)
    drops = [(i.key, i.reason) for i in items if isinstance(i, Drop)]
    assert drops == [
        *((f"std/train/#{number}", "malformed annotation") for number in range(4)),
        ("std/train/../../secret", "path leaves the corpus root"),
        ("std/train//etc/x", "missing image"),  # below the root: nothing is there
    ]
    assert [i.key for i in items if isinstance(i, Record)] == ["std/train/7"]


@pytest.mark.parametrize("content", [b'[{"img_id": "7", "sent', b'{"7": []}', b'["\xe9"]', b""])
def test_a_file_that_is_not_such_json_is_an_error_that_names_it(
    tmp_path: Path, content: bytes
) -> None:
    write(tmp_path, [])
    (tmp_path / "data/annotations/train.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"data/annotations/train\.json is no list of img_id"):
        corpus(tmp_path).parts()


def test_a_root_without_annotations_says_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(UsageError, match=r"looked for data/annotations/train\.json, found images"):
        corpus(tmp_path).parts()


def test_a_long_file_is_read_in_parts_that_hold_every_pair_once(tmp_path: Path) -> None:
    entries = [said("no difference", img_id=str(number)) for number in range(1100)]
    write(tmp_path, [*entries, said("again", img_id="3")], ids=())
    reader = corpus(tmp_path)
    assert reader.parts() == ["train/00000", "train/00500", "train/01000"]
    keys = [item.key for part in reader.parts() for item in reader.records(part)]
    assert keys == [f"std/train/{number}" for number in range(1100)]


def best(record: Record, truth: dict[str, list[Box]]) -> list[float]:
    """IoU with the nearest true box, for each change of a record."""
    boxes = [region.box for region in record.regions if region.image == 0]
    assert all(box is not None for box in boxes)
    found = array([box for box in boxes if box is not None])
    return list(iou(found, array(truth.get(record.unit, []))).max(axis=1, initial=0))


def truths(root: Path) -> dict[str, list[Box]]:
    true: dict[str, list[Box]] = {}
    for entry in json.loads((root / "_truth_boxes.json").read_text()):
        box = Box(*(share * SIDE for share in entry["bbox_xyxy_norm"]))
        true.setdefault(entry["img_id"], []).append(box)
    return true


def test_boxes_of_synthetic_pairs_are_where_something_changed(tmp_path: Path) -> None:
    root = tmp_path / "std"
    synth.write("spot_the_diff", root, clips=60, frames=1)
    truth = truths(root)
    items = read(root, splits=SPLITS)
    records = [item for item in items if isinstance(item, Record)]
    assert len(items) == 60
    assert len(records) >= 45
    assert sum(not record.regions for record in records) >= 6
    for record in records:
        assert len(record.regions) == 2 * len(truth.get(record.unit, []))
    overlaps = [overlap for record in records for overlap in best(record, truth)]
    assert np.mean(np.array(overlaps) >= 0.5) >= 0.95
    assert check(corpus(root)).missing_images == 0


@pytest.mark.real
def test_boxes_of_the_real_sample_are_where_the_truth_says(real_corpora: Path) -> None:
    root = real_corpora / "spot_the_diff"
    assert root.is_dir(), f"MGDATA_CORPORA has no folder spot_the_diff: {root}"
    truth = truths(root)
    items = read(root, splits=SPLITS)
    records = [item for item in items if isinstance(item, Record)]
    assert {item.key for item in items} == {
        f"std/{name}" for name in ("train/100", "train/101", "val/102", "test/103")
    }
    assert len(records) >= len(items) / 2
    overlaps = [overlap for record in records for overlap in best(record, truth)]
    assert np.mean(np.array(overlaps) >= 0.5) >= 0.95
    drops = {item.key: (item.reason, item.value) for item in items if isinstance(item, Drop)}
    assert drops == {
        "std/train/101": ("boxes disagree with sentences", "1 boxes, 2 sentences"),
    }
