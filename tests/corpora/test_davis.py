import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_writers import corners, jpeg, lines, put, the_drop, the_record
from mask_writers import Shown, masked_clip, painted, png

from mgdata.corpora.check import check
from mgdata.corpora.davis import Davis
from mgdata.data import Drop, Record
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.storage import Root
from mgdata.synth import write as write_corpus
from mgdata.synth.camera import Job
from mgdata.synth.drawing import film
from mgdata.synth.masked import play

A, B = (2, 3, 12, 13), (30, 10, 64, 40)


def davis(root: Path, **settings: Any) -> Davis:
    return Davis(name="davis", root=Root(str(root)), **settings)


def sequence(
    root: Path, shown: list[Shown | None], name: str = "bmx-trees", mode: str = "P", size: str = "480p"
) -> Path:  # fmt: skip
    masks = root / "Annotations" / size / name
    masked_clip(root / "JPEGImages" / size / name, masks, shown, mode)
    return masks


def test_a_sequence_becomes_one_clip_with_a_track_for_each_object_number(tmp_path: Path) -> None:
    sequence(tmp_path, [{1: A, 2: B}, {2: B}, {1: A}])
    record = the_record(davis(tmp_path))
    assert (record.key, record.unit, record.shape) == ("davis/bmx-trees", "bmx-trees", "clip")
    assert record.license == "BSD-3-Clause"
    assert record.images[2].uri == "davis:JPEGImages/480p/bmx-trees/00002.jpg"
    assert [(r.image, r.track) for r in record.regions] == [
        (0, "1"), (0, "2"), (1, "1"), (1, "2"), (2, "1"), (2, "2"),
    ]  # fmt: skip
    assert corners(record) == [A, B, None, B, A, None]
    assert [r.visibility for r in record.regions] == [None, None, 0.0, None, None, 0.0]
    assert {r.label for r in record.regions} == {"object"}
    assert record.skipped == {} and record.exhaustive == () and record.absent == ()


def test_nothing_is_known_of_an_object_before_it_is_first_drawn(tmp_path: Path) -> None:
    sequence(tmp_path, [{1: A}, {1: A}, {1: A, 2: B}, {1: A}])
    record = the_record(davis(tmp_path))
    assert [(r.image, r.box is None) for r in record.regions if r.track == "2"] == [(2, False), (3, True)]  # fmt: skip


def test_a_frame_without_a_mask_is_no_image_of_the_record(tmp_path: Path) -> None:
    masks = sequence(tmp_path, [{1: A}, None, None, {1: B}])
    put(masks / "00009.png", png(painted({1: A})))
    record = the_record(davis(tmp_path))
    assert [image.frame for image in record.images] == [0, 3]
    assert [r.image for r in record.regions] == [0, 1]
    assert record.skipped == {"frame without a mask": 2, "mask without a frame": 1}


@pytest.mark.parametrize("mode", ["L", "P"])
def test_255_is_the_object_of_2016_where_it_stands_alone(tmp_path: Path, mode: str) -> None:
    sequence(tmp_path, [{255: A}, {}, {255: B}], mode=mode)
    record = the_record(davis(tmp_path))
    assert [r.track for r in record.regions] == ["1"] * 3
    assert corners(record) == [A, None, B]


@pytest.mark.parametrize("mode", ["L", "P"])
def test_255_is_nobody_beside_other_numbers(tmp_path: Path, mode: str) -> None:
    sequence(tmp_path, [{1: A, 255: B}, {255: B}], mode=mode)
    record = the_record(davis(tmp_path))
    assert [(r.track, r.box is None) for r in record.regions] == [("1", False), ("1", True)]


def test_classes_come_from_the_semantics_file_and_not_from_the_name(tmp_path: Path) -> None:
    sequence(tmp_path, [{1: A, 2: B, 3: (20, 1, 28, 9)}])
    classes = {"bmx-trees": {"1": "Bicycle", "2": "traffic_light"}, "bear": {"1": "bear"}}
    put(tmp_path / "davis_semantics.json", json.dumps(classes))
    record = the_record(davis(tmp_path))
    assert [r.label for r in record.regions] == ["bicycle", "traffic light", "object"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"bmx-trees": {"1": "bi', "davis_semantics.json is not what it should be"),
        ("[]", "davis_semantics.json is not what it should be"),
        ("[" * 5000, "davis_semantics.json is not what it should be"),
        (b"\xff\xfe{}", "davis_semantics.json is not what it should be"),
    ],
)
def test_a_broken_semantics_file_is_named_before_the_run(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    sequence(tmp_path, [{1: A}])
    put(tmp_path / "davis_semantics.json", content)
    with pytest.raises(UsageError, match=said):
        davis(tmp_path).parts()


@pytest.mark.parametrize(
    ("classes", "reason"),
    [([], "malformed classes"), ({"1": 7}, "class name is no text"), ({"1": ["a"]}, "class name is no text")],
)  # fmt: skip
def test_malformed_classes_lose_their_sequence_alone(
    tmp_path: Path, classes: object, reason: str
) -> None:
    sequence(tmp_path, [{1: A}])
    put(tmp_path / "davis_semantics.json", json.dumps({"bmx-trees": classes, "bear": 3}))
    assert the_drop(davis(tmp_path))[0] == reason


def test_masks_a_pixel_off_are_cut_and_masks_of_another_scale_are_scaled(tmp_path: Path) -> None:
    masks = sequence(tmp_path, [{1: A}, {1: A}, {1: A}])
    put(masks / "00001.png", png(painted({1: (30, 10, 65, 48)}, (65, 48))))
    put(masks / "00002.png", png(painted({1: (4, 6, 24, 26)}, (128, 96))))
    record = the_record(davis(tmp_path))
    assert corners(record) == [A, (30, 10, 64, 48), A]
    assert [r.clipped for r in record.regions] == [False, True, False]


def test_an_object_in_the_surplus_column_of_a_mask_is_counted(tmp_path: Path) -> None:
    masks = sequence(tmp_path, [{1: A}, {1: A}])
    put(masks / "00001.png", png(painted({1: (64, 10, 65, 48)}, (65, 48))))
    assert the_record(davis(tmp_path)).skipped == {"box outside the image": 1}


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (png(painted({1: A}, (48, 64))), "mask and frame disagree"),
        (png(painted({1: A}))[:-40], "truncated image"),
        (b"", "empty image"),
        (jpeg(), "mask without object numbers"),
        (png(np.repeat(painted({5: A})[..., None], 3, 2) * np.array([1, 0, 0], np.uint8), "RGB"), "mask without object numbers"),
    ],
)  # fmt: skip
def test_a_bad_mask_leaves_its_frame_out_and_says_nothing_of_its_objects(
    tmp_path: Path, mask: bytes, reason: str
) -> None:
    masks = sequence(tmp_path, [{1: A}, {1: A}, {1: B}])
    put(masks / "00001.png", mask)
    record = the_record(davis(tmp_path))
    assert [image.frame for image in record.images] == [0, 2]
    assert corners(record) == [A, B] and record.skipped == {reason: 1}


def test_a_sequence_of_bad_masks_is_dropped_with_the_file_and_the_fault(tmp_path: Path) -> None:
    masks = sequence(tmp_path, [{1: A}])
    put(masks / "00000.png", "version https://git-lfs.github.com/spec/v1")
    reason, value = the_drop(davis(tmp_path))
    assert reason == "unreadable image"
    assert "Annotations/480p/bmx-trees/00000.png: a Git LFS pointer" in str(value)


def test_a_stored_rotation_turns_boxes_with_the_pixels(tmp_path: Path) -> None:
    masks = sequence(tmp_path, [{1: A}])
    put(tmp_path / "JPEGImages/480p/bmx-trees/00000.jpg", jpeg(orientation=6))
    assert masks.is_dir()
    record = the_record(davis(tmp_path))
    assert (record.images[0].width, record.images[0].height) == (48, 64)
    assert corners(record) == [(35, 2, 45, 12)]


def test_specks_and_slips_are_settings_and_are_counted(tmp_path: Path) -> None:
    masks = sequence(tmp_path, [{1: B}, {1: (0, 0, 5, 3)}])
    stray = painted({1: B})
    stray[1, 1] = 1
    put(masks / "00000.png", png(stray))
    record = the_record(davis(tmp_path))
    assert corners(record) == [B]
    assert record.skipped == {"small mask": 1, "specks left out of a box": 1}
    assert corners(the_record(davis(tmp_path, specks=0.0, min_pixels=15))) == [
        (1, 1, 64, 40),
        (0, 0, 5, 3),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("no masks", "missing annotation"),
        ("no frames", "no frames"),
        ("two files", "two masks for one frame"),
        ("no object", "no object in any mask"),
        ("other numbers", "no frame has a mask"),
    ],
)
def test_a_sequence_that_does_not_fit_together_is_dropped(
    tmp_path: Path, change: str, reason: str
) -> None:
    masks = sequence(tmp_path, [{} if change == "no object" else {1: A}])
    if change == "no masks":
        (masks / "00000.png").unlink()
    elif change == "no frames":
        (tmp_path / "JPEGImages/480p/bmx-trees/00000.jpg").unlink()
    elif change == "two files":
        put(masks / "0.png", png(painted({1: A})))
    elif change == "other numbers":
        (masks / "00000.png").rename(masks / "00007.png")
    assert the_drop(davis(tmp_path))[0] == reason


def test_a_mask_that_is_a_link_out_of_the_root_drops_its_sequence(tmp_path: Path) -> None:
    outside = put(tmp_path / "away.png", png(painted({1: A})))
    masks = sequence(tmp_path / "root", [{1: A}])
    (masks / "00000.png").unlink()
    (masks / "00000.png").symlink_to(outside)
    assert the_drop(davis(tmp_path / "root"))[0] == "path leaves the corpus root"


def test_lists_of_both_years_name_sequences(tmp_path: Path) -> None:
    sequence(tmp_path, [{1: A}], "bear")
    sequence(tmp_path, [{1: A}], "camel")
    old = [
        f"/JPEGImages/480p/camel/0000{n}.jpg /Annotations/480p/camel/0000{n}.png" for n in (0, 1)
    ]
    put(tmp_path / "ImageSets/480p/val.txt", lines(*old))
    put(tmp_path / "ImageSets/2017/train.txt", lines("bear", "", "dog", "../bear"))
    assert davis(tmp_path).parts() == ["bear", "camel"]
    assert davis(tmp_path, sets=("480p/val",)).parts() == ["camel"]
    corpus = davis(tmp_path, sets=("2017/train", "480p/val.txt"))
    assert corpus.parts() == ["../bear", "bear", "camel", "dog"]
    reasons = [item.reason for part in corpus.parts() for item in corpus.records(part) if isinstance(item, Drop)]  # fmt: skip
    assert reasons == ["path leaves the corpus root", "no frames"]
    with pytest.raises(UsageError, match=r"sequence names in ImageSets/2017/val.txt"):
        davis(tmp_path, sets=("2017/val",)).parts()


def test_resolution_and_folder_of_masks_are_settings(tmp_path: Path) -> None:
    sequence(tmp_path, [{1: A}], size="Full-Resolution")
    put(tmp_path / "Annotations_unsupervised/Full-Resolution/bmx-trees/00000.png", png(painted({3: B})))  # fmt: skip
    corpus = davis(tmp_path, resolution="Full-Resolution", annotations="Annotations_unsupervised")
    assert corners(the_record(corpus)) == [B]
    with pytest.raises(UsageError, match=r"looked for Annotations/480p/<sequence>/, found"):
        davis(tmp_path).parts()
    with pytest.raises(EnvironmentFailure, match="is not there"):
        davis(tmp_path / "nowhere").parts()


def test_a_box_read_back_is_the_box_that_was_drawn(tmp_path: Path) -> None:
    summary = write_corpus("davis", tmp_path / "d", clips=6, frames=10, size=(160, 120), seed=4)
    corpus = davis(tmp_path / "d", min_pixels=1)
    job = Job(clips=6, frames=10, size=(160, 120), seed=4, quality=90, jpeg_bytes=None)
    hidden = specks = 0
    for part in corpus.parts():
        (record,) = corpus.records(part)
        assert isinstance(record, Record) and len(record.images) == 10
        specks += record.skipped.pop("specks left out of a box", 0)
        assert record.skipped == {}
        made = play("davis", int(part.rpartition("-")[2]) - 1, job)
        shown = [placements for _, placements in film(made.scene)]
        drawn = 0
        for region in record.regions:
            number = int(region.track or 0)
            placement = shown[region.image][made.cast[number - 1]]
            assert (region.box, region.label) == (placement.seen, placement.shape)
            drawn += region.box is not None
            hidden += region.box is None
        assert drawn == sum(placements[place].visible > 0 for placements in shown for place in made.cast)  # fmt: skip
    assert hidden == summary.absent > 0 and specks > 0


@pytest.mark.real
def test_the_samples_hold_what_they_are_known_to_hold() -> None:
    folder = Path(os.environ["MGDATA_CORPORA"])
    assert (folder / "davis").is_dir() and (folder / "davis2017").is_dir()
    first = check(davis(folder / "davis"))
    assert (first.records, first.images, first.regions, first.hidden) == (2, 12, 12, 0)
    assert first.skipped == first.drops == {} and first.labels == {"object": 12}
    second = check(davis(folder / "davis2017"))
    assert (second.records, second.images, second.regions) == (1, 1, 2)
    assert second.skipped == {"frame without a mask": 3}
    rider, bike = the_record(davis(folder / "davis2017")).regions
    assert rider.box and bike.box and (rider.track, bike.track) == ("1", "2")
    assert davis(folder / "davis", sets=("480p/val",)).parts() == ["blackswan", "car-shadow"]
