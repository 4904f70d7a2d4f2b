from pathlib import Path

import pytest
from clip_writers import corners, got10k_clip, lines, put, the_drop, the_record

from mgdata.corpora.got10k import Got10k
from mgdata.data import Drop, Record
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.storage import Root

SEQUENCE = "train/GOT-10k_Train_000001"


def got10k(root: Path, *splits: str) -> Got10k:
    return Got10k(name="got10k", root=Root(str(root)), splits=splits or ("train",))


def test_a_sequence_becomes_one_clip(tmp_path: Path) -> None:
    got10k_clip(tmp_path)
    record = the_record(got10k(tmp_path))
    assert record.key == f"got10k/{SEQUENCE}"
    assert (record.shape, record.unit) == ("clip", "GOT-10k_Train_000001")
    assert record.license == "unknown"
    assert record.images[0].uri == f"got10k:{SEQUENCE}/00000001.jpg"
    assert [image.frame for image in record.images] == [1, 2, 3, 4, 5, 6]
    assert corners(record) == [(10, 20, 40, 40)] * 6
    assert {region.track for region in record.regions} == {"1"}
    assert {region.phrase for region in record.regions} == {None}


def test_the_label_is_the_object_class_though_other_values_hold_colons(tmp_path: Path) -> None:
    got10k_clip(tmp_path)
    assert {region.label for region in the_record(got10k(tmp_path)).regions} == {"polar bear"}


def test_a_line_of_the_meta_file_is_split_at_its_first_colon(tmp_path: Path) -> None:
    put(got10k_clip(tmp_path) / "meta_info.ini", "url: a: b\nobject_class: Dog: small\n")
    assert the_record(got10k(tmp_path)).regions[0].label == "dog: small"


@pytest.mark.parametrize(
    ("absence", "cover", "visible"),
    [
        ("000000", "876543", [1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8]),
        ("010000", "888888", [1.0, 0.0, 1.0, 1.0, 1.0, 1.0]),  # absent though cover says 8
        ("000000", "808888", [1.0, 0.0, 1.0, 1.0, 1.0, 1.0]),  # not absent but covered wholly
    ],
)
def test_visible_means_not_absent_and_not_covered(
    tmp_path: Path, absence: str, cover: str, visible: list[float]
) -> None:
    folder = got10k_clip(tmp_path)
    put(folder / "absence.label", lines(*absence))
    put(folder / "cover.label", lines(*cover))
    record = the_record(got10k(tmp_path))
    assert [region.visibility for region in record.regions] == visible
    assert [region.box is None for region in record.regions] == [v == 0 for v in visible]
    assert record.skipped == {}


def test_an_absent_frame_is_not_judged_by_its_box_nor_a_zero_box_by_its_flags(
    tmp_path: Path,
) -> None:
    folder = got10k_clip(tmp_path)
    boxes = ["11,21,30,20"] * 3 + ["0,0,0,0", "nan,nan,nan,nan", "0,0,0,0"]
    put(folder / "groundtruth.txt", lines(*boxes))
    put(folder / "absence.label", lines(*"001110"))
    record = the_record(got10k(tmp_path))
    # Frame 3: absent with a stale box; 4 and 5: absent with none; 6: a zero box without a flag.
    assert [(r.image, r.box is None) for r in record.regions] == [
        (0, False), (1, False), (2, True), (3, True), (4, True),
    ]  # fmt: skip
    assert record.skipped == {"zero box": 1}


@pytest.mark.parametrize(
    ("file", "content", "reason", "value"),
    [
        ("absence.label", None, "missing annotation", f"{SEQUENCE}/absence.label"),
        ("cover.label", None, "missing annotation", f"{SEQUENCE}/cover.label"),
        ("meta_info.ini", None, "missing annotation", f"{SEQUENCE}/meta_info.ini"),
        (
            "meta_info.ini",
            "[METAINFO]\nobject_class:\n",
            "no object class",
            f"{SEQUENCE}/meta_info.ini",
        ),
        (
            "meta_info.ini",
            b"object_class: b\xe4r\n",
            "text is not UTF-8",
            f"{SEQUENCE}/meta_info.ini",
        ),
        (
            "absence.label",
            lines(*"00000"),
            "annotation lines differ from frames",
            "absence.label: 5 lines, 6 frames",
        ),
        (
            "cover.label",
            lines(*"8888888"),
            "annotation lines differ from frames",
            "cover.label: 7 lines, 6 frames",
        ),
        ("cover.label", lines(*"889888"), "malformed annotation line", "cover.label:3: '9'"),
        ("absence.label", lines(*"00x000"), "malformed annotation line", "absence.label:3: 'x'"),
    ],
)
def test_a_clip_with_bad_flags_or_without_a_class_is_dropped(
    tmp_path: Path, file: str, content: str | bytes | None, reason: str, value: str
) -> None:
    path = got10k_clip(tmp_path) / file
    path.unlink()
    if content is not None:
        put(path, content)
    assert the_drop(got10k(tmp_path)) == (reason, value)


def test_flags_may_end_in_carriage_returns(tmp_path: Path) -> None:
    put(got10k_clip(tmp_path) / "cover.label", "8\r\n" * 5 + "4\r\n")
    assert the_record(got10k(tmp_path)).regions[5].visibility == 0.5


def test_a_test_clip_has_one_box_for_many_frames(tmp_path: Path) -> None:
    folder = got10k_clip(tmp_path, "GOT-10k_Test_000001", split="test")
    put(folder / "groundtruth.txt", "11,21,30,20\n")
    for label in folder.glob("*.label"):
        label.unlink()
    found = the_drop(got10k(tmp_path, "test"))
    assert found == ("annotated in the first frame only", "6 frames")


def test_only_the_splits_asked_for_are_read_in_order(tmp_path: Path) -> None:
    got10k_clip(tmp_path, "GOT-10k_Val_000002", split="val")
    got10k_clip(tmp_path, "GOT-10k_Val_000001", split="val")
    got10k_clip(tmp_path)
    assert got10k(tmp_path).parts() == [SEQUENCE]
    assert got10k(tmp_path, "val", "train").parts() == [
        SEQUENCE,
        "val/GOT-10k_Val_000001",
        "val/GOT-10k_Val_000002",
    ]


def test_the_list_decides_what_is_read(tmp_path: Path) -> None:
    got10k_clip(tmp_path)
    got10k_clip(tmp_path, "GOT-10k_Train_000002")
    names = ["GOT-10k_Train_000003", "GOT-10k_Train_000001", "GOT-10k_Train_000001", "../secret"]
    put(tmp_path / "train/list.txt", lines(*names))
    corpus = got10k(tmp_path)
    items = [item for part in corpus.parts() for item in corpus.records(part)]
    assert len(items) == 3
    outside, first, absent = items
    assert isinstance(outside, Drop)
    assert (outside.reason, outside.value) == ("path leaves the corpus root", "train/../secret")
    assert isinstance(first, Record)
    assert isinstance(absent, Drop)
    assert absent.key == "got10k/train/GOT-10k_Train_000003"
    assert absent.reason == "listed but missing"


def test_an_absolute_path_in_the_list_is_dropped(tmp_path: Path) -> None:
    got10k_clip(tmp_path)
    put(tmp_path / "train/list.txt", "/etc\n")
    assert the_drop(got10k(tmp_path)) == ("path leaves the corpus root", "train//etc")


def test_without_a_list_the_folders_are_read(tmp_path: Path) -> None:
    got10k_clip(tmp_path)
    (tmp_path / "train/list.txt").unlink()
    put(tmp_path / "train/notes/readme.txt", "not a sequence")
    assert got10k(tmp_path).parts() == [SEQUENCE]


def test_a_sequence_without_frames_is_dropped(tmp_path: Path) -> None:
    for frame in got10k_clip(tmp_path).glob("*.jpg"):
        frame.unlink()
    assert the_drop(got10k(tmp_path)) == ("no frames", SEQUENCE)


def test_a_root_of_another_layout_is_told_what_was_looked_for_and_found(tmp_path: Path) -> None:
    put(tmp_path / "goat/goat-1/groundtruth.txt", "1,1,2,2\n")
    put(tmp_path / "notes.txt", "")
    with pytest.raises(UsageError) as raised:
        got10k(tmp_path).parts()
    text = str(raised.value)
    for part in (str(tmp_path), "train/list.txt", "found goat, notes.txt", Got10k.homepage):
        assert part in text


def test_a_root_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match=r"nowhere.*get the data from http"):
        got10k(tmp_path / "nowhere").parts()


def test_a_list_that_is_not_text_is_named(tmp_path: Path) -> None:
    put(tmp_path / "train/list.txt", b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"not UTF-8: train/list.txt"):
        got10k(tmp_path).parts()
