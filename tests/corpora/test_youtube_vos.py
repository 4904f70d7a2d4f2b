import json
import os
from pathlib import Path
from typing import Any

import pytest
from clip_writers import corners, jpeg, put, the_drop, the_record
from mask_writers import Shown, masked_clip

from mgdata.corpora.check import check
from mgdata.corpora.youtube_vos import YoutubeVos
from mgdata.data import Drop, Record
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.identity import digest
from mgdata.storage import Root
from mgdata.synth import write as write_corpus
from mgdata.synth.camera import Job
from mgdata.synth.drawing import film
from mgdata.synth.masked import play

A, B = (2, 3, 12, 13), (30, 10, 64, 40)
VIDEO = "0a1b2c3d4e"


def vos(root: Path, **settings: Any) -> YoutubeVos:
    return YoutubeVos(name="vos", root=Root(str(root)), **settings)


def objects(*categories: object) -> dict[str, Any]:
    found = {str(n): {"category": c, "frames": ["00000"]} for n, c in enumerate(categories, 1)}
    return {"objects": found}


def video(
    root: Path,
    shown: list[Shown | None],
    entry: Any = None,
    split: str = "train",
    name: str = VIDEO,
) -> Path:
    """One video in steps of five, the only one of its split's meta.json."""
    base = root / split
    masked_clip(base / "JPEGImages" / name, base / "Annotations" / name, shown, step=5)
    entry = objects("giant_panda", "Person") if entry is None else entry
    return put(base / "meta.json", json.dumps({"videos": {name: entry}}))


def test_a_video_becomes_one_clip_with_the_categories_of_its_objects(tmp_path: Path) -> None:
    video(tmp_path, [{1: A}, {1: A, 2: B}, {2: B}])
    record = the_record(vos(tmp_path))
    assert (record.key, record.unit, record.shape) == (f"vos/train/{VIDEO}", VIDEO, "clip")
    assert [image.frame for image in record.images] == [0, 5, 10]
    assert record.images[1].uri == f"vos:train/JPEGImages/{VIDEO}/00005.jpg"
    assert [(r.image, r.track, r.label) for r in record.regions] == [
        (0, "1", "giant panda"),
        (1, "1", "giant panda"),
        (1, "2", "person"),
        (2, "1", "giant panda"),
        (2, "2", "person"),
    ]
    # Object 2 is not there in the first frame: nothing is known of it before it is drawn.
    assert corners(record) == [A, A, B, None, B]
    assert record.skipped == {} and record.absent == () and record.exhaustive == ()


def test_in_valid_a_mask_without_an_object_says_nothing(tmp_path: Path) -> None:
    video(tmp_path, [{1: A}, None, {2: B}, None], split="valid")
    record = the_record(vos(tmp_path, splits=("valid",)))
    assert [(r.image, r.track, r.box is None) for r in record.regions] == [(0, "1", False), (1, "2", False)]  # fmt: skip
    assert record.skipped == {"frame without a mask": 2}


def test_255_is_nobody_and_frames_between_the_masks_are_counted(tmp_path: Path) -> None:
    video(tmp_path, [{1: A, 255: B}, {255: B}], objects("cat"))
    for frame in (1, 2, 3, 4):
        put(tmp_path / f"train/JPEGImages/{VIDEO}/{frame:05d}.jpg", jpeg())
    record = the_record(vos(tmp_path))
    assert corners(record) == [A, None]
    assert record.skipped == {"frame without a mask": 4}


@pytest.mark.parametrize(
    ("entry", "labels", "skipped"),
    [
        (objects("others", "hat"), {"1": "object", "2": "hat"}, {}),
        (objects("cat"), {"1": "cat", "2": "object"}, {}),  # one that meta.json does not name
        ({"objects": {"1": {"frames": []}, "2": {}}}, {"1": "object", "2": "object"}, {}),
        (objects("cat", " "), {"1": "cat", "2": "object"}, {}),
        (objects("cat", "dog", "cow"), {"1": "cat", "2": "dog"}, {"object without a mask": 1}),
        (objects("cat", 7), {"1": "cat", "2": "object"}, {"class name is no text": 1}),
        ({"objects": {}}, {"1": "object", "2": "object"}, {}),
    ],
)
def test_what_meta_json_does_not_name_is_an_object(
    tmp_path: Path, entry: Any, labels: dict[str, str], skipped: dict[str, int]
) -> None:
    video(tmp_path, [{1: A, 2: B}], entry)
    record = the_record(vos(tmp_path))
    assert {str(r.track): r.label for r in record.regions} == labels
    assert record.skipped == skipped


@pytest.mark.parametrize("entry", [[], 3, {}, {"objects": []}, {"objects": {"1": "cat"}}])
def test_a_malformed_entry_of_meta_json_loses_its_video_alone(tmp_path: Path, entry: Any) -> None:
    meta = video(tmp_path, [{1: A}])
    other = json.loads(meta.read_text())["videos"][VIDEO]
    put(meta, json.dumps({"videos": {VIDEO: entry, "zz": other}}))
    corpus = vos(tmp_path)
    (first,), (second,) = (list(corpus.records(part)) for part in corpus.parts())
    assert isinstance(first, Drop) and isinstance(second, Drop)
    assert first.reason == "malformed annotation" and VIDEO in str(first.value)
    assert second.reason == "no frames"


def test_videos_that_one_side_does_not_know_are_dropped(tmp_path: Path) -> None:
    video(tmp_path, [{1: A}], name="only_masks")
    video(tmp_path, [{1: A}, None])
    corpus = vos(tmp_path)
    assert corpus.parts() == [f"train/{VIDEO}", "train/only_masks"]
    (unknown,) = corpus.records("train/only_masks")
    assert isinstance(unknown, Drop) and unknown.reason == "not in meta.json"
    put(tmp_path / "train/meta.json", json.dumps({"videos": {"gone": objects("cat")}}))
    (gone,) = vos(tmp_path).records("train/gone")
    assert isinstance(gone, Drop) and gone.reason == "no frames"


def test_a_video_without_any_drawn_object_is_dropped(tmp_path: Path) -> None:
    video(tmp_path, [{}, {}])
    assert the_drop(vos(tmp_path))[0] == "no object in any mask"


def test_a_video_whose_name_leaves_the_root_is_dropped(tmp_path: Path) -> None:
    video(tmp_path, [{1: A}])
    put(tmp_path / "train/meta.json", json.dumps({"videos": {"../../etc": objects("cat")}}))
    corpus = vos(tmp_path)
    found = [item for part in corpus.parts() for item in corpus.records(part)]
    reasons = [item.reason for item in found if isinstance(item, Drop)]
    assert reasons == ["path leaves the corpus root", "not in meta.json"]


@pytest.mark.parametrize(
    "content", ['{"videos": {"a": {"obj', "{}", "[]", b"\xff", '{"videos": {"\\ud800": {}}}', "[" * 9000]
)  # fmt: skip
def test_a_broken_meta_json_is_named_before_the_run(tmp_path: Path, content: str | bytes) -> None:
    put(tmp_path / "train/meta.json", content)
    with pytest.raises(UsageError, match=r"train/meta.json is not what it should be"):
        vos(tmp_path).parts()


def test_a_root_without_the_split_is_refused(tmp_path: Path) -> None:
    video(tmp_path, [{1: A}])
    with pytest.raises(UsageError, match=r"looked for valid/meta.json, found train"):
        vos(tmp_path, splits=("train", "valid")).parts()
    with pytest.raises(UsageError, match=r"splits: none"):
        vos(tmp_path, splits=()).parts()
    with pytest.raises(EnvironmentFailure, match="is not there"):
        vos(tmp_path / "nowhere").parts()


def test_a_meta_json_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    video(tmp_path, [{1: A}], objects("cat"))
    assert the_record(vos(tmp_path)).regions[0].label == "cat"
    video(tmp_path, [{1: A}], objects("horse"))
    assert the_record(vos(tmp_path)).regions[0].label == "horse"


def test_a_box_read_back_is_the_box_that_was_drawn(tmp_path: Path) -> None:
    summary = write_corpus("youtube_vos", tmp_path / "y", clips=7, frames=10, size=(160, 120))
    corpus = vos(tmp_path / "y", splits=("train", "valid"), min_pixels=1)
    job = Job(clips=7, frames=10, size=(160, 120), seed=0, quality=90, jpeg_bytes=None)
    names = {digest("youtube_vos", "0", str(clip))[:10]: clip for clip in range(7)}
    hidden, new = 0, 0
    for part in corpus.parts():
        (record,) = corpus.records(part)
        assert isinstance(record, Record)
        made = play("youtube_vos", names[record.unit], job)
        shown = [placements for _, placements in film(made.scene)]
        for region in record.regions:
            at = (record.images[region.image].frame or 0) // 5
            placement = shown[at][made.cast[int(region.track or 0) - 1]]
            assert (region.box, region.label) == (placement.seen, placement.shape)
            hidden += region.box is None
            new += part.startswith("valid/")
        assert len(record.images) == 10 or part.startswith("valid/")
    assert hidden == summary.absent > 0 and new > 0


@pytest.mark.real
def test_the_sample_holds_what_it_is_known_to_hold() -> None:
    folder = Path(os.environ["MGDATA_CORPORA"]) / "youtube_vos"
    assert folder.is_dir()
    report = check(vos(folder))
    assert (report.records, report.images, report.regions, report.hidden) == (1, 6, 6, 0)
    assert report.labels == {"surfboard": 6} and report.drops == {}
    assert report.skipped == {"specks left out of a box": 2}
    record = the_record(vos(folder))
    assert [image.frame for image in record.images] == [0, 5, 10, 15, 20, 25]
