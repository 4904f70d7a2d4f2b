import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_writers import corners, put, the_drop, the_record
from mask_writers import masked_clip
from pycocotools import mask as coco

from mgdata import media
from mgdata.corpora.check import check
from mgdata.corpora.sav import SAV
from mgdata.data import Drop, Record
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.geometry import Box
from mgdata.storage import Root
from mgdata.synth import write as write_corpus
from mgdata.synth.camera import Job
from mgdata.synth.egoexo4d import film
from mgdata.synth.sav import masklets, scene

A, B = (2, 3, 12, 13), (30, 10, 64, 40)
VIDEO = "sav_train/sav_000/sav_000001"
Change = Callable[[dict[str, Any]], object]


def sav(root: Path, **settings: Any) -> SAV:
    return SAV(name="sav", root=Root(str(root)), **settings)


def rle(*places: tuple[int, int, int, int], size: tuple[int, int] = (64, 48)) -> dict[str, Any]:
    pixels = np.zeros(size[::-1], np.uint8)
    for x1, y1, x2, y2 in places:
        pixels[y1:y2, x1:x2] = 1
    found: Any = coco.encode(np.asfortranarray(pixels))
    return {"size": [*size[::-1]], "counts": found["counts"].decode()}


def notes(masks: list[list[dict[str, Any]]]) -> dict[str, Any]:
    return {
        "video_id": "sav_000001",
        "video_frame_count": 4.0 * len(masks),
        "video_height": 48.0,
        "masklet": masks,
        "masklet_id": [*range(len(masks[0]))],
        "masklet_num": len(masks[0]),
    }


def three() -> dict[str, Any]:
    """Two objects in three annotated frames: the first goes, the second comes."""
    return notes([[rle(A), rle()], [rle(), rle(B)], [rle(A), rle(B)]])


def video(
    root: Path,
    found: object | None = None,
    frames: int = 11,
    size: tuple[int, int] = (64, 48),
    kind: str = "manual",
) -> Path:
    path = root / f"{VIDEO}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    film(path, iter([np.zeros((*size[::-1], 3), np.uint8)] * frames), size, 90)
    return put(root / f"{VIDEO}_{kind}.json", json.dumps(three() if found is None else found))


def test_a_video_becomes_one_clip_of_its_annotated_frames(tmp_path: Path) -> None:
    video(tmp_path)
    record = the_record(sav(tmp_path))
    assert (record.key, record.unit, record.shape) == (f"sav/{VIDEO}", "sav_000001", "clip")
    assert record.license == "CC-BY-4.0"
    assert [image.frame for image in record.images] == [0, 4, 8]
    assert record.images[1].uri == f"sav:{VIDEO}.mp4#frame=4"
    assert media.read(Root(str(tmp_path)), f"{VIDEO}.mp4#frame=4").startswith(b"\x89PNG")
    assert [(r.image, r.track, r.label) for r in record.regions] == [
        (0, "0", "object"), (1, "0", "object"), (1, "1", "object"),
        (2, "0", "object"), (2, "1", "object"),
    ]  # fmt: skip
    assert corners(record) == [A, None, B, A, B]
    assert [r.visibility for r in record.regions] == [None, 0.0, None, None, None]
    assert record.skipped == {}
    assert check(sav(tmp_path)).missing_images == 0


def test_an_empty_automatic_mask_says_nothing(tmp_path: Path) -> None:
    video(tmp_path, kind="auto")
    record = the_record(sav(tmp_path, masklets="auto"))
    assert corners(record) == [A, B, A, B]
    assert the_drop(sav(tmp_path)) == ("missing annotation", f"{VIDEO}_manual.json")


def test_ids_of_masklets_are_tracks_and_masks_may_overlap(tmp_path: Path) -> None:
    found = notes([[rle((0, 0, 20, 20)), rle((5, 5, 15, 15))]])
    found["masklet_id"] = [3.0, 12]
    video(tmp_path, found, frames=2)
    record = the_record(sav(tmp_path))
    assert [(r.track, r.box) for r in record.regions] == [
        ("3", Box(0, 0, 20, 20)),
        ("12", Box(5, 5, 15, 15)),
    ]


def test_specks_and_slips_are_left_out_and_counted(tmp_path: Path) -> None:
    video(tmp_path, notes([[rle(B, (1, 1, 2, 2))], [rle((0, 0, 5, 3))], [rle()]]))
    record = the_record(sav(tmp_path))
    assert corners(record) == [B, None]
    assert record.skipped == {"small mask": 1, "specks left out of a box": 1}
    assert the_record(sav(tmp_path, specks=0.0)).regions[0].box == Box(1, 1, 64, 40)
    assert corners(the_record(sav(tmp_path, min_pixels=1)))[1] == (0, 0, 5, 3)


@pytest.mark.parametrize(
    ("size", "box"), [((128, 96), (4, 6, 24, 26)), ((64, 48), A), ((66, 48), A)]
)
def test_masks_of_another_scale_than_the_video_are_scaled(
    tmp_path: Path, size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    video(tmp_path, notes([[rle(box, size=size)]]), frames=4, size=(64, 48))
    found = the_record(sav(tmp_path)).regions[0].box
    assert found is not None
    assert np.abs(np.array(A) - (found.x1, found.y1, found.x2, found.y2)).max() < 0.5


def spoil(key: str, value: object) -> Change:
    return lambda found: found["masklet"][0][0].__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (spoil("size", [64, 48]), "mask and frame disagree"),
        (spoil("size", [96, 128]), "RLE does not decode"),
        (spoil("size", [0, 0]), "malformed mask"),
        (spoil("size", [48.5, 64]), "malformed mask"),
        (spoil("size", [2**40, 2**40]), "malformed mask"),
        (spoil("counts", ""), "RLE does not decode"),
        (spoil("counts", "zz"), "RLE does not decode"),
        (spoil("counts", rle(A)["counts"][:-1]), "RLE does not decode"),
    ],
)
def test_a_bad_mask_is_left_out_and_counted_and_the_rest_stays(
    tmp_path: Path, change: Change, reason: str
) -> None:
    found = three()
    change(found)
    video(tmp_path, found)
    record = the_record(sav(tmp_path))
    assert record.skipped == {reason: 1}
    # The first object begins with its first mask that can be read.
    assert corners(record) == [B, A, B]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (spoil("size", [48]), "malformed annotation"),
        (spoil("size", ["48", 64]), "malformed annotation"),
        (spoil("counts", [1, 2]), "malformed annotation"),
        (lambda found: found.pop("masklet"), "malformed annotation"),
        (lambda found: found.update(masklet=[]), "no object in any mask"),
        (lambda found: found.update(masklet=[[], [], []]), "no object in any mask"),
        (lambda found: found["masklet"][1].pop(), "objects differ between frames"),
        (lambda found: found.update(masklet_id=[0]), "masklet ids do not fit the masks"),
        (lambda found: found.update(masklet_id=[1, 1]), "masklet ids do not fit the masks"),
    ],
)
def test_a_malformed_file_of_masklets_drops_its_video(
    tmp_path: Path, change: Change, reason: str
) -> None:
    found = three()
    change(found)
    video(tmp_path, found)
    told, value = the_drop(sav(tmp_path))
    assert told == reason and f"{VIDEO}_manual.json" in str(value)


@pytest.mark.parametrize("content", [b'{"masklet": [[{"size"', b"", b"\xff", b"[" * 9000, b"{}{}"])
def test_broken_json_is_named(tmp_path: Path, content: bytes) -> None:
    put(video(tmp_path), content)
    reason, value = the_drop(sav(tmp_path))
    assert reason == "malformed annotation" and f"{VIDEO}_manual.json: " in str(value)


def test_a_score_that_is_no_number_harms_nothing(tmp_path: Path) -> None:
    video(tmp_path, {**three(), "masklet_stability_score": [[float("nan")], None]})
    assert len(the_record(sav(tmp_path)).regions) == 5


@pytest.mark.parametrize(
    ("frames", "images", "skipped"),
    [
        (12, 3, {}),
        (9, 3, {}),
        (8, 2, {"frame beyond the end of the video": 1}),
        (13, 3, {}),  # one entry is missing at the end
        (16, 3, {}),
    ],
)
def test_a_video_may_be_an_entry_longer_or_shorter(
    tmp_path: Path, frames: int, images: int, skipped: dict[str, int]
) -> None:
    video(tmp_path, frames=frames)
    record = the_record(sav(tmp_path))
    assert (len(record.images), record.skipped) == (images, skipped)


@pytest.mark.parametrize("frames", [3, 4, 17, 90])
def test_a_video_of_another_frame_rate_than_its_masks_is_dropped(
    tmp_path: Path, frames: int
) -> None:
    video(tmp_path, frames=frames)
    reason, value = the_drop(sav(tmp_path))
    assert reason == "masks and video disagree in length"
    assert f"3 entries, one for 4 frames, {VIDEO}.mp4 has {frames}" in str(value)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:700])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(Path.unlink, "missing video"), (cut, "undecodable video"), (lambda p: put(p, b""), "undecodable video")],
)  # fmt: skip
def test_a_video_that_is_not_whole_is_dropped(
    tmp_path: Path, damage: Callable[[Path], object], reason: str
) -> None:
    video(tmp_path)
    damage(tmp_path / f"{VIDEO}.mp4")
    assert the_drop(sav(tmp_path))[0] == reason


def val(root: Path) -> Path:
    base = root / "sav_val"
    masks = base / "Annotations_6fps/sav_000002"
    masked_clip(base / "JPEGImages_24fps/sav_000002", masks / "000", [{1: A}, None, {}, {1: A}])
    masked_clip(base / "JPEGImages_24fps/sav_000002", masks / "001", [{1: B}, None, {255: B}, {}])
    return masks


def test_val_has_frames_and_a_folder_of_masks_for_each_object(tmp_path: Path) -> None:
    masks = val(tmp_path)
    corpus = sav(tmp_path, splits=("val",))
    assert corpus.parts() == ["sav_val/sav_000002"]
    record = the_record(corpus)
    assert [image.frame for image in record.images] == [0, 2, 3]
    assert record.images[1].uri == "sav:sav_val/JPEGImages_24fps/sav_000002/00002.jpg"
    assert [(r.image, r.track) for r in record.regions] == [
        (0, "000"), (0, "001"), (1, "000"), (1, "001"), (2, "000"), (2, "001"),
    ]  # fmt: skip
    assert corners(record) == [A, B, None, B, A, None]
    put(masks / "001/00003.png", b"")
    put(masks / "001/00009.png", (masks / "000/00000.png").read_bytes())
    record = the_record(corpus)
    assert corners(record) == [A, B, None, B, A]
    assert record.skipped == {"empty image": 1, "mask without a frame": 1}


def test_val_without_masks_or_frames_is_dropped(tmp_path: Path) -> None:
    masks = val(tmp_path)
    (tmp_path / "sav_val/JPEGImages_24fps/sav_000003").mkdir()
    put(tmp_path / "sav_val/JPEGImages_24fps/sav_000003/00000.jpg", (tmp_path / "sav_val/JPEGImages_24fps/sav_000002/00000.jpg").read_bytes())  # fmt: skip
    put(tmp_path / "sav_val/Annotations_6fps/sav_000004/000/00000.png", (masks / "000/00000.png").read_bytes())  # fmt: skip
    corpus = sav(tmp_path, splits=("val",))
    reasons = {
        item.key: item.reason
        for part in corpus.parts()
        for item in corpus.records(part)
        if isinstance(item, Drop)
    }
    assert reasons == {
        "sav/sav_val/sav_000003": "missing annotation",
        "sav/sav_val/sav_000004": "no frames",
    }


def test_a_root_without_the_split_is_refused(tmp_path: Path) -> None:
    video(tmp_path)
    with pytest.raises(UsageError, match=r"looked for sav_val/Annotations_6fps/<video>/, found"):
        sav(tmp_path, splits=("train", "val")).parts()
    with pytest.raises(UsageError, match=r"looked for sav_train/sav_000/<video>.mp4, found"):
        sav(tmp_path / "sav_train").parts()
    with pytest.raises(EnvironmentFailure, match="is not there"):
        sav(tmp_path / "nowhere").parts()


def test_a_box_read_back_is_the_box_that_was_drawn(tmp_path: Path) -> None:
    summary = write_corpus("sav", tmp_path / "s", clips=5, frames=6, size=(160, 120), seed=3)
    job = Job(clips=5, frames=6, size=(160, 120), seed=3, quality=90, jpeg_bytes=None)
    corpus = sav(tmp_path / "s", splits=("train", "val"), min_pixels=1)
    hidden = {"sav_train": 0, "sav_val": 0}
    for part in corpus.parts():
        (record,) = corpus.records(part)
        assert isinstance(record, Record) and len(record.images) == 6
        clip = int(record.unit.rpartition("_")[2]) - 1
        drawn = masklets(scene(clip, job))
        for region in record.regions:
            mask = drawn[region.image][int(region.track or 0)]
            rows, columns = np.nonzero(mask)
            if region.box is None:
                hidden[part.partition("/")[0]] += 1
                assert not len(rows)
            elif region.track != str(len(drawn[0]) - 1):  # a stray pixel moves an upper half
                bounds = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                assert region.box == Box(*map(float, bounds))
    assert hidden["sav_train"] == summary.absent > 0


def test_automatic_masklets_are_written_and_read_too(tmp_path: Path) -> None:
    write_corpus("sav", tmp_path / "s", clips=3, frames=6, size=(160, 120), seed=3)
    corpus = sav(tmp_path / "s", masklets="auto")
    items = [item for part in corpus.parts() for item in corpus.records(part)]
    records = [item for item in items if isinstance(item, Record)]
    assert len(items) == 3 and len(records) == 2
    for record in records:
        assert {r.track for r in record.regions} == {"0"}
        assert all(r.box is not None and r.image < 3 for r in record.regions)


@pytest.mark.real
def test_the_sample_has_masks_and_no_video(tmp_path: Path) -> None:
    folder = Path(os.environ["MGDATA_CORPORA"]) / "sav"
    assert folder.is_dir()
    assert {reason: d.count for reason, d in check(sav(folder)).drops.items()} == {"missing video": 1}  # fmt: skip
    # With a blank video of its size and length beside them, its masks are read.
    place = put(tmp_path / f"{VIDEO}_manual.json", (folder / f"{VIDEO}_manual.json").read_bytes())
    blank = np.zeros((848, 480, 3), np.uint8)
    film(place.with_name("sav_000001.mp4"), iter([blank] * 483), (480, 848), 50)
    record = the_record(sav(tmp_path))
    assert (len(record.images), record.images[-1].frame) == (121, 480)
    by_track = {t: [r for r in record.regions if r.track == t] for t in "01234"}
    hidden = {t: sum(r.box is None for r in regions) for t, regions in by_track.items()}
    assert hidden == {"0": 1, "1": 0, "2": 11, "3": 0, "4": 0}
    assert by_track["3"][0].image == 113  # its masklet_first_appeared_frame
    assert record.skipped == {"specks left out of a box": 20}
