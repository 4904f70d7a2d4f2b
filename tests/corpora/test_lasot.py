from pathlib import Path
from typing import Literal

import pytest
from clip_writers import corners, lasot_clip, lines, put, the_drop, the_record

from mgdata.corpora.lasot import Lasot
from mgdata.data import Drop
from mgdata.errors import UsageError
from mgdata.storage import Root


def lasot(root: Path, split: Literal["all", "train", "test"] = "all") -> Lasot:
    return Lasot(name="lasot", root=Root(str(root)), split=split)


def test_a_sequence_becomes_one_clip_with_its_phrase(tmp_path: Path) -> None:
    lasot_clip(tmp_path)
    record = the_record(lasot(tmp_path))
    assert record.key == "lasot/goat/goat-1"
    assert record.unit == "goat-1"
    assert record.images[5].uri == "lasot:goat/goat-1/img/00000006.jpg"
    assert corners(record) == [(10, 20, 40, 40)] * 6
    assert {(r.label, r.phrase) for r in record.regions} == {("goat", "grey goat on rocks")}
    assert {r.visibility for r in record.regions} == {None}


@pytest.mark.parametrize(
    ("occluded", "outside", "hidden"),
    [
        ("0,0,0,0,0,0", "0,0,0,0,0,0", []),
        ("0,1,0,0,0,0", "0,0,0,0,0,0", [1]),
        ("0,0,0,0,0,0", "0,0,0,0,0,1", [5]),
        ("0,1,1,0,0,0", "0,0,1,1,0,0\n", [1, 2, 3]),  # both, and a newline at the end
        ("0, 1,0,0,0,0", "0,0,0,0,0,0", [1]),
    ],
)
def test_hidden_is_occluded_or_out_of_view_whatever_the_stale_box_says(
    tmp_path: Path, occluded: str, outside: str, hidden: list[int]
) -> None:
    folder = lasot_clip(tmp_path)
    put(folder / "full_occlusion.txt", occluded)
    put(folder / "out_of_view.txt", outside)
    record = the_record(lasot(tmp_path))
    assert [r.image for r in record.regions if r.box is None] == hidden
    assert [r.image for r in record.regions if r.visibility == 0.0] == hidden
    assert len(record.regions) == 6


def test_a_zero_box_is_not_taken_for_absence(tmp_path: Path) -> None:
    folder = lasot_clip(tmp_path)
    put(folder / "groundtruth.txt", lines("0,0,0,0", "0,0,0,0", *["11,21,30,20"] * 4))
    put(folder / "out_of_view.txt", "1,0,0,0,0,0")
    record = the_record(lasot(tmp_path))
    assert [r.image for r in record.regions] == [0, 2, 3, 4, 5]
    assert record.skipped == {"zero box": 1}


@pytest.mark.parametrize(
    ("file", "content", "reason", "value"),
    [
        ("full_occlusion.txt", None, "missing annotation", "goat/goat-1/full_occlusion.txt"),
        ("out_of_view.txt", None, "missing annotation", "goat/goat-1/out_of_view.txt"),
        (
            "out_of_view.txt",
            "0,0,0,0,0",
            "annotation lines differ from frames",
            "out_of_view.txt: 5 lines, 6 frames",
        ),
        ("out_of_view.txt", "0,0,2,0,0,0", "malformed annotation line", "out_of_view.txt:1: '2'"),
        ("out_of_view.txt", "", "malformed annotation line", "out_of_view.txt:1: ''"),
        ("nlp.txt", b"\xe9ne", "text is not UTF-8", "goat/goat-1/nlp.txt"),
    ],
)
def test_a_clip_with_bad_flags_is_dropped(
    tmp_path: Path, file: str, content: str | bytes | None, reason: str, value: str
) -> None:
    path = lasot_clip(tmp_path) / file
    path.unlink()
    if content is not None:
        put(path, content)
    assert the_drop(lasot(tmp_path)) == (reason, value)


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_sequence_without_a_sentence_has_no_phrase(tmp_path: Path, content: str | None) -> None:
    path = lasot_clip(tmp_path) / "nlp.txt"
    path.unlink()
    if content is not None:
        put(path, content)
    assert {r.phrase for r in the_record(lasot(tmp_path)).regions} == {None}


def test_annotations_without_an_image_folder_are_dropped(tmp_path: Path) -> None:
    folder = lasot_clip(tmp_path)
    for frame in (folder / "img").iterdir():
        frame.unlink()
    (folder / "img").rmdir()
    assert the_drop(lasot(tmp_path)) == ("no frames", "goat/goat-1/img")


def test_a_sequence_belongs_to_the_class_before_its_last_hyphen(tmp_path: Path) -> None:
    lasot_clip(tmp_path, "goat-1")
    lasot_clip(tmp_path, "rubik-cube-10")
    put(tmp_path / "goat/notes/a.txt", "no sequence")
    put(tmp_path / "goat.zip", b"PK")
    assert lasot(tmp_path).parts() == ["goat/goat-1", "rubik-cube/rubik-cube-10"]


def test_a_split_reads_the_sequences_its_list_names(tmp_path: Path) -> None:
    lasot_clip(tmp_path, "goat-1")
    lasot_clip(tmp_path, "goat-2")
    put(tmp_path / "training_set.txt", lines("goat-2"))
    put(tmp_path / "testing_set.txt", lines("goat-1", "goat-9"))
    assert lasot(tmp_path).parts() == ["goat/goat-1", "goat/goat-2"]
    assert lasot(tmp_path, "train").parts() == ["goat/goat-2"]
    corpus = lasot(tmp_path, "test")
    assert corpus.parts() == ["goat/goat-1", "goat/goat-9"]
    (absent,) = corpus.records("goat/goat-9")
    assert isinstance(absent, Drop)
    assert absent.reason == "listed but missing"


def test_a_split_without_its_list_says_which_file_is_missing(tmp_path: Path) -> None:
    lasot_clip(tmp_path)
    with pytest.raises(UsageError, match=r"training_set.txt"):
        lasot(tmp_path, "train").parts()


def test_a_root_without_sequences_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "train/MOT17-02/gt/gt.txt", "")
    with pytest.raises(UsageError, match=r"looked for <class>/<class>-<n>/, found train;"):
        lasot(tmp_path).parts()
