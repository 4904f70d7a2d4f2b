from pathlib import Path

import pytest
from clip_writers import corners, jpeg, put, the_drop, the_record, trackingnet_clip

from mgdata.corpora.trackingnet import TrackingNet
from mgdata.data import Drop
from mgdata.errors import UsageError
from mgdata.storage import Root


def trackingnet(root: Path, *splits: str) -> TrackingNet:
    return TrackingNet(name="tn", root=Root(str(root)), splits=splits or ("TRAIN",))


def test_lines_follow_the_frames_in_numeric_order(tmp_path: Path) -> None:
    trackingnet_clip(tmp_path)
    record = the_record(trackingnet(tmp_path))
    assert record.key == "tn/TRAIN_0/-a1b2C3d4E5_0"
    assert [image.frame for image in record.images] == list(range(12))
    assert record.images[10].uri == "tn:TRAIN_0/frames/-a1b2C3d4E5_0/10.jpg"
    # Line n begins at n + 1.5: were 10.jpg sorted before 2.jpg, box and frame would part.
    assert [box and box[0] for box in corners(record)] == [n + 0.5 for n in range(12)]
    assert [r.image for r in record.regions] == list(range(12))


def test_there_is_no_visibility_and_no_class_in_the_annotations(tmp_path: Path) -> None:
    trackingnet_clip(tmp_path)
    found = {(r.visibility, r.label, r.phrase) for r in the_record(trackingnet(tmp_path)).regions}
    assert found == {(None, "object", None)}


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("-a1b2C3d4E5_0\tPolar Bear\n", "polar bear"),
        ("another_0\tcar\n-a1b2C3d4E5_0\tdog", "dog"),
        ("-a1b2C3d4E5_0\tUnknown\n", "object"),
        ("another_0\tcar\n", "object"),
    ],
)
def test_a_class_map_in_the_root_names_the_label(tmp_path: Path, line: str, label: str) -> None:
    trackingnet_clip(tmp_path)
    put(tmp_path / "trackingnet_classmap.txt", line)
    assert {r.label for r in the_record(trackingnet(tmp_path)).regions} == {label}


def test_objects_of_one_video_are_one_unit(tmp_path: Path) -> None:
    trackingnet_clip(tmp_path, "a_b2C3d4E5f_0")
    trackingnet_clip(tmp_path, "a_b2C3d4E5f_1", chunk="TRAIN_11")
    corpus = trackingnet(tmp_path)
    assert corpus.parts() == ["TRAIN_0/a_b2C3d4E5f_0", "TRAIN_11/a_b2C3d4E5f_1"]
    assert [
        getattr(item, "unit", None) for part in corpus.parts() for item in corpus.records(part)
    ] == ["a_b2C3d4E5f", "a_b2C3d4E5f"]


def test_the_test_chunk_is_read_only_when_asked_and_holds_one_box_a_clip(tmp_path: Path) -> None:
    trackingnet_clip(tmp_path)
    put(trackingnet_clip(tmp_path, "x_0", chunk="TEST"), "11,21,30,20\n")
    assert trackingnet(tmp_path).parts() == ["TRAIN_0/-a1b2C3d4E5_0"]
    found = the_drop(trackingnet(tmp_path, "TEST"))
    assert found == ("annotated in the first frame only", "12 frames")


def test_frames_without_boxes_and_boxes_without_frames_are_dropped(tmp_path: Path) -> None:
    put(tmp_path / "TRAIN_0/frames/a_0/0.jpg", jpeg())
    put(tmp_path / "TRAIN_0/anno/b_0.txt", "1,1,2,2\n")
    corpus = trackingnet(tmp_path)
    drops = [item for part in corpus.parts() for item in corpus.records(part)]
    assert [(d.key, d.reason, d.value) for d in drops if isinstance(d, Drop)] == [
        ("tn/TRAIN_0/a_0", "missing annotation", "TRAIN_0/anno/a_0.txt"),
        ("tn/TRAIN_0/b_0", "no frames", "TRAIN_0/frames/b_0"),
    ]


@pytest.mark.parametrize("splits", [("TRAIN",), ("TRAIN_3",)])
def test_a_root_without_the_chunk_is_refused(tmp_path: Path, splits: tuple[str, ...]) -> None:
    put(tmp_path / "TRAIN_0.zip", b"PK")
    with pytest.raises(UsageError, match=r"found TRAIN_0.zip; get the data from https"):
        trackingnet(tmp_path, *splits).parts()
