from pathlib import Path
from typing import Any

import pytest
from clip_writers import BOX, corners, jpeg, lines, mot_clip, put, the_drop, the_record

from mgdata.corpora.motchallenge import MotChallenge
from mgdata.errors import UsageError
from mgdata.storage import Root


def mot(root: Path, **settings: Any) -> MotChallenge:
    return MotChallenge(name="mot", root=Root(str(root)), **settings)


def test_rows_sorted_by_id_become_regions_sorted_by_image(tmp_path: Path) -> None:
    rows = [f"{frame},{who},{who},1,5,5,1,1,1" for who in (2, 10, 3) for frame in (1, 2, 10)]
    mot_clip(tmp_path, rows=lines(*rows))
    record = the_record(mot(tmp_path))
    assert record.key == "mot/train/MOT17-02-FRCNN"
    assert record.images[1].uri == "mot:train/MOT17-02-FRCNN/img1/000002.jpg"
    assert [(r.image, r.track) for r in record.regions] == [
        (0, "2"), (0, "3"), (0, "10"), (1, "2"), (1, "3"), (1, "10"),
    ]  # fmt: skip
    assert corners(record)[:3] == [(1, 0, 6, 5), (2, 0, 7, 5), (9, 0, 14, 5)]
    # The clip has six frames on disk: what is said of frame 10 is counted, not lost.
    assert record.skipped == {"row without a frame": 3}


def test_an_id_without_a_row_says_nothing_about_that_frame(tmp_path: Path) -> None:
    mot_clip(tmp_path, rows=lines(f"2,7,{BOX},1,1,1", f"5,7,{BOX},1,1,1"))
    assert [r.image for r in the_record(mot(tmp_path)).regions] == [1, 4]


@pytest.mark.parametrize(
    ("flag", "kind", "label", "ignore"),
    [
        (1, 1, "person", False),
        (0, 1, "person", True),  # the consider flag is off
        (0, 8, "distractor", True),
        (1, 8, "distractor", True),  # MOT20 writes 1 for distractors too
        (0, 2, "person on vehicle", True),
        (0, 7, "static person", True),
        (0, 12, "reflection", True),
        (0, 3, "car", True),
        (0, 11, "full occluder", True),
        (1, 13, "crowd", True),
        (1, -1, "class -1", True),  # no class that we know
    ],
)
def test_only_a_considered_person_can_be_a_target(
    tmp_path: Path, flag: int, kind: int, label: str, ignore: bool
) -> None:
    mot_clip(tmp_path, rows=f"1,1,{BOX},{flag},{kind},0.5\n")
    (region,) = the_record(mot(tmp_path)).regions
    assert (region.label, region.ignore, region.visibility) == (label, ignore, 0.5)


def test_mot15_has_world_coordinates_where_others_have_class_and_visibility(
    tmp_path: Path,
) -> None:
    row = "1,1,11.5,21.25,30.5,20,{flag},-3.06,-8.4,0\n"
    mot_clip(tmp_path, "ADL-Rundle-6", rows=row.format(flag=1))
    (region,) = the_record(mot(tmp_path)).regions
    assert (region.label, region.ignore, region.visibility) == ("person", False, None)
    assert region.box is not None
    assert region.box.x1 == 10.5
    put(tmp_path / "train/ADL-Rundle-6/gt/gt.txt", row.format(flag=0))
    assert the_record(mot(tmp_path)).regions[0].ignore


@pytest.mark.parametrize(
    ("visible", "least", "hidden", "ignore", "expected"),
    [
        ("1", 0.0, False, False, 1.0),
        ("0.01", 0.0, False, False, 0.01),
        ("0", 0.0, True, False, 0.0),  # wholly hidden: known not to be visible
        ("0", 0.3, True, False, 0.0),
        ("0.2", 0.3, False, True, 0.2),  # hardly visible: neither a target nor absent
        ("0.3", 0.3, False, False, 0.3),
        ("-1", 0.3, False, False, None),  # says nothing
    ],
)
def test_visibility_decides_between_target_ignored_and_hidden(
    tmp_path: Path, visible: str, least: float, hidden: bool, ignore: bool, expected: float | None
) -> None:
    mot_clip(tmp_path, rows=f"1,1,{BOX},1,1,{visible}\n")
    (region,) = the_record(mot(tmp_path, min_visibility=least)).regions
    assert (region.box is None, region.ignore, region.visibility) == (hidden, ignore, expected)


def test_dancetrack_and_sportsmot_name_their_people_and_measure_no_visibility(
    tmp_path: Path,
) -> None:
    mot_clip(tmp_path, "dancetrack0001", rows=f"1,0,{BOX},1,1,1\n")
    (region,) = the_record(mot(tmp_path, label="dancer", measured=False)).regions
    assert (region.label, region.track, region.visibility) == ("dancer", "0", None)


def test_one_of_the_three_detector_copies_is_read_and_stands_for_the_video(
    tmp_path: Path,
) -> None:
    for detector in ("DPM", "FRCNN", "SDP"):
        mot_clip(tmp_path, f"MOT17-02-{detector}")
    assert mot(tmp_path).parts() == ["train/MOT17-02-FRCNN"]
    assert mot(tmp_path, detector="SDP").parts() == ["train/MOT17-02-SDP"]
    assert the_record(mot(tmp_path, detector="DPM")).unit == "MOT17-02"


def test_another_copy_is_read_where_the_chosen_one_is_not_there(tmp_path: Path) -> None:
    mot_clip(tmp_path, "MOT17-04-SDP")
    mot_clip(tmp_path, "MOT17-05-FRCNN")
    assert mot(tmp_path).parts() == ["train/MOT17-04-SDP", "train/MOT17-05-FRCNN"]


@pytest.mark.parametrize(
    ("name", "unit"), [("MOT16-02", "MOT17-02"), ("MOT20-01", "MOT20-01"), ("v_x_c001", "v_x_c001")]
)
def test_the_unit_is_the_video(tmp_path: Path, name: str, unit: str) -> None:
    mot_clip(tmp_path, name)
    assert the_record(mot(tmp_path)).unit == unit


def test_a_box_that_leaves_the_image_is_cut_or_left_out_with_its_reason(tmp_path: Path) -> None:
    boxes = ["-5,1,20,20", "60,40,20,20", "100,1,5,5", "5,5,0,5", "5,5,-1,5", "nan,5,5,5"]
    mot_clip(tmp_path, rows=lines(*[f"{n},1,{box},1,1,1" for n, box in enumerate(boxes, 1)]))
    record = the_record(mot(tmp_path))
    assert corners(record) == [(0, 0, 14, 20), (59, 39, 64, 48)]
    assert [r.clipped for r in record.regions] == [True, True]
    assert record.skipped == {
        "box outside the image": 1,
        "inverted box": 1,
        "nan box": 1,
        "zero box": 1,
    }


def test_the_first_of_two_rows_for_one_id_and_frame_stays(tmp_path: Path) -> None:
    rows = [f"1,4,{BOX},1,1,1", "1,4,1,1,5,5,1,1,1", f"1,-1,{BOX},0,13,1", f"1,-1,{BOX},0,13,1"]
    mot_clip(tmp_path, rows=lines(*rows))
    record = the_record(mot(tmp_path))
    # Rows without an identity (-1) may be many.
    assert [r.track for r in record.regions] == [None, None, "4"]
    assert corners(record)[2] == (10, 20, 40, 40)
    assert record.skipped == {"second row of one id": 1}


@pytest.mark.parametrize(
    ("rows", "reason", "value"),
    [
        ("", "no annotation rows", "train/S-1/gt/gt.txt"),
        (f"1,1,{BOX},1,1\n", "malformed annotation line", f"gt.txt:1: '1,1,{BOX},1,1'"),
        (f"1,1,{BOX},1,1,1\n1,1,{BOX},1\n", "malformed annotation line", f"gt.txt:2: '1,1,{BOX},1'"),
        (f"1,1,{BOX},1,1,1\n1,a,{BOX},1,1,1\n", "malformed annotation line", f"gt.txt:2: '1,a,{BOX},1,1,1'"),
        (f"1.5,1,{BOX},1,1,1\n", "malformed annotation line", f"gt.txt:1: '1.5,1,{BOX},1,1,1'"),
        (f"1,nan,{BOX},1,1,1\n", "malformed annotation line", f"gt.txt:1: '1,nan,{BOX},1,1,1'"),
        (f"1,1,{BOX},nan,1,1\n", "malformed annotation line", f"gt.txt:1: '1,1,{BOX},nan,1,1'"),
        (f"1,1,{BOX},1,1e300,1\n", "malformed annotation line", f"gt.txt:1: '1,1,{BOX},1,1e+300,1'"),
        (None, "missing annotation", "train/S-1/gt/gt.txt"),
    ],
)  # fmt: skip
def test_a_clip_whose_rows_cannot_be_read_is_dropped(
    tmp_path: Path, rows: str | None, reason: str, value: str
) -> None:
    path = mot_clip(tmp_path, "S-1") / "gt/gt.txt"
    path.unlink()
    if rows is not None:
        put(path, rows)
    assert the_drop(mot(tmp_path)) == (reason, value)


def test_sequence_info_names_the_folder_and_the_kind_of_the_frames(tmp_path: Path) -> None:
    folder = mot_clip(tmp_path, "S-1")
    for number in range(1, 7):
        put(folder / f"frames/{number:06d}.jpg", jpeg(32, 32))
        put(folder / f"frames/{number:06d}.png", b"a preview")
    put(folder / "seqinfo.ini", "[Sequence]\r\nimDir = frames\r\nimExt=.jpg\r\n")
    record = the_record(mot(tmp_path))
    assert len(record.images) == 6
    assert record.images[0].uri == "mot:train/S-1/frames/000001.jpg"


@pytest.mark.parametrize(
    "content", [None, "[Sequence]\nname=S-1\n", "[Sequence]\nimDir=\nimExt=\n"]
)
def test_sequence_info_may_lack_any_key(tmp_path: Path, content: str | None) -> None:
    path = mot_clip(tmp_path, "S-1") / "seqinfo.ini"
    path.unlink()
    if content is not None:
        put(path, content)
    assert len(the_record(mot(tmp_path)).images) == 6


def test_sequence_info_that_leaves_the_root_is_dropped(tmp_path: Path) -> None:
    folder = mot_clip(tmp_path, "S-1")
    put(folder / "seqinfo.ini", "[Sequence]\nimDir=../../../elsewhere\n")
    assert the_drop(mot(tmp_path))[0] == "path leaves the corpus root"


def test_a_root_of_another_layout_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "train/GOT-10k_Train_000001/groundtruth.txt", "")
    with pytest.raises(UsageError, match=r"train/<sequence>/gt/gt.txt, found train;"):
        mot(tmp_path).parts()
