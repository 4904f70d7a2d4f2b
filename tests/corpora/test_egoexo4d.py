import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_writers import jpeg, put
from lzstring import LZString

from mgdata import media
from mgdata.corpora import lzstring_text
from mgdata.corpora.check import check
from mgdata.corpora.egoexo4d import EgoExo4D
from mgdata.data import Drop, Record
from mgdata.errors import EnvironmentFailure, Rejected, UsageError
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.storage import Root
from mgdata.synth import write as write_corpus
from mgdata.synth.camera import Job
from mgdata.synth.egoexo4d import film, packed_mask, scene
from mgdata.synth.views import look
from mgdata.validity import record_fault

UID = "11111111-2222-4333-8444-555555555555"
EGO, EXO = "aria01_214-1", "cam01"
Change = Callable[[dict[str, Any]], None]


def mask(x1: int, y1: int, x2: int, y2: int, size: tuple[int, int] = (128, 96)) -> dict[str, Any]:
    """One rectangle as the annotations write it."""
    full = np.zeros(size[::-1], bool)
    full[y1:y2, x1:x2] = True
    return {"width": size[0], "height": size[1], "encodedMask": packed_mask(full)}


def camera(frames: list[int], **masks: dict[str, Any]) -> dict[str, Any]:
    found = {name.removeprefix("f"): value for name, value in masks.items()}
    return {"annotation": found, "annotation_fps": 1, "annotated_frames": frames}


def takes() -> dict[str, Any]:
    """One take: a bowl in both cameras, a plate that the camera worn does not see at frame 30."""
    return {
        UID: {
            "scenario": "Cooking",
            "take_name": "kitchen_1",
            "object_masks": {
                "Blue bowl_0": {
                    EGO: camera([0, 30], f0=mask(20, 10, 60, 50), f30=mask(30, 10, 70, 50)),
                    EXO: camera([0, 30], f0=mask(40, 80, 120, 160, (256, 192)),
                                f30=mask(40, 80, 124, 160, (256, 192))),
                },
                "plate_1": {
                    EGO: camera([0, 30], f0=mask(64, 48, 128, 96)),
                    EXO: camera([0], f0=mask(0, 0, 16, 16, (256, 192))),
                },
            },
        }
    }  # fmt: skip


def annotate(root: Path, found: dict[str, Any], split: str = "train") -> Path:
    path = root / f"annotations/relations_{split}.json"
    return put(path, json.dumps({"version": "x", "take_uids": [*found], "annotations": found}))


def extracted(root: Path) -> Path:
    """Frames 0 and 30 of both cameras, 64x48: half and a quarter of the masks' size."""
    for name in (EGO, EXO):
        for frame in (0, 30):
            put(root / "frames" / UID / name / f"{frame}.jpg", jpeg())
    return root


def videos(root: Path, frames: int = 31, size: tuple[int, int] = (64, 48)) -> Path:
    for name in (EGO, EXO):
        path = root / f"takes/kitchen_1/frame_aligned_videos/{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        blank = np.zeros((*size[::-1], 3), np.uint8)
        film(path, iter([blank] * frames), size, 90)
    return root


def corpus(root: Path, **settings: Any) -> EgoExo4D:
    return EgoExo4D(name="ego", root=Root(str(root)), **settings)


def read(root: Path, **settings: Any) -> list[Record | Drop]:
    found = corpus(root, **settings)
    items = [item for part in found.parts() for item in found.records(part)]
    for item in items:
        if isinstance(item, Record):
            assert record_fault(item) is None
    return items


def drops(items: list[Record | Drop]) -> list[tuple[str, str]]:
    return [(item.key, item.reason) for item in items if isinstance(item, Drop)]


def boxes(record: Record) -> dict[tuple[int, str], Box | None]:
    return {(region.image, str(region.track)): region.box for region in record.regions}


def test_a_moment_has_its_cameras_in_order_and_boxes_in_pixels_of_its_frames(
    tmp_path: Path,
) -> None:
    annotate(extracted(tmp_path), takes())
    first, _ = read(tmp_path)
    assert isinstance(first, Record)
    assert (first.key, first.shape, first.unit, first.license) == (f"ego/{UID}/0", "views", UID, "unknown")  # fmt: skip
    assert [(i.view, i.frame, i.width, i.height, i.format) for i in first.images] == [
        (EGO, 0, 64, 48, "jpeg"),
        (EXO, 0, 64, 48, "jpeg"),
    ]
    assert first.images[1].uri == f"ego:frames/{UID}/{EXO}/0.jpg"
    assert boxes(first) == {
        (0, "Blue bowl_0"): Box(10, 5, 30, 25),
        (0, "plate_1"): Box(32, 24, 64, 48),
        (1, "Blue bowl_0"): Box(10, 20, 30, 40),
        (1, "plate_1"): Box(0, 0, 4, 4),
    }
    assert {region.label for region in first.regions} == {"blue bowl", "plate"}
    assert first.skipped == {} and first.exhaustive == () and first.absent == ()


def test_a_frame_looked_at_without_a_mask_hides_the_object_and_silence_says_nothing(
    tmp_path: Path,
) -> None:
    annotate(extracted(tmp_path), takes())
    _, second = read(tmp_path)
    assert isinstance(second, Record)
    assert boxes(second) == {
        (0, "Blue bowl_0"): Box(15, 5, 35, 25),
        (0, "plate_1"): None,
        (1, "Blue bowl_0"): Box(10, 20, 31, 40),
    }
    assert [r.visibility for r in second.regions] == [None, 0.0, None]


def test_without_extracted_frames_they_come_from_the_videos(tmp_path: Path) -> None:
    annotate(videos(tmp_path), takes())
    first, second = read(tmp_path)
    assert isinstance(first, Record) and isinstance(second, Record)
    path = f"takes/kitchen_1/frame_aligned_videos/{EGO}.mp4#frame=30"
    assert second.images[0].uri == f"ego:{path}"
    assert boxes(first)[0, "Blue bowl_0"] == Box(10, 5, 30, 25)
    assert media.read(Root(str(tmp_path)), path).startswith(b"\x89PNG")
    report = check(corpus(tmp_path))
    assert (report.records, report.images, report.missing_images) == (2, 4, 0)


def test_a_camera_whose_frames_were_extracted_needs_no_video(tmp_path: Path) -> None:
    annotate(videos(tmp_path), takes())
    for frame in (0, 30):
        put(tmp_path / f"other/{UID}/{EGO}/{frame:06d}.jpg", jpeg())
    first, _ = read(tmp_path, extracted="other")
    assert isinstance(first, Record)
    assert first.images[0].uri == f"ego:other/{UID}/{EGO}/000000.jpg"
    assert first.images[1].uri.endswith(f"{EXO}.mp4#frame=0")


@pytest.mark.parametrize(
    ("frame", "same"),
    [
        ((128, 96), True),
        ((796, 448), False),  # 4:3 masks
        ((65, 48), True),  # rounded up
        ((67, 48), False),
        ((48, 64), False),  # turned
    ],
)
def test_a_mask_of_another_shape_than_its_frame_is_left_out(
    tmp_path: Path, frame: tuple[int, int], same: bool
) -> None:
    annotate(extracted(tmp_path), takes())
    put(tmp_path / f"frames/{UID}/{EGO}/0.jpg", jpeg(*frame))
    first = read(tmp_path)[0]
    assert isinstance(first, Record)
    assert first.skipped == ({} if same else {"mask and frame disagree": 2})


def test_sides_of_scaled_videos_are_rounded_to_even_numbers(tmp_path: Path) -> None:
    found = takes()
    objects = found[UID]["object_masks"]
    objects["plate_1"][EXO]["annotation"]["0"] = mask(960, 540, 3840, 2160, (3840, 2160))
    annotate(videos(tmp_path, 3, (796, 448)), found)
    first = read(tmp_path)[0]
    assert isinstance(first, Record)
    assert boxes(first)[1, "plate_1"] == Box(199, 112, 796, 448)


def test_a_frame_stored_turned_has_its_boxes_turned_with_it(tmp_path: Path) -> None:
    annotate(extracted(tmp_path), takes())
    put(tmp_path / f"frames/{UID}/{EGO}/0.jpg", jpeg(orientation=6))
    first = read(tmp_path)[0]
    assert isinstance(first, Record)
    assert (first.images[0].width, first.images[0].height) == (48, 64)
    assert boxes(first)[0, "Blue bowl_0"] == Box(23, 10, 43, 30)


def bowl(found: dict[str, Any]) -> dict[str, Any]:
    return found[UID]["object_masks"]["Blue bowl_0"][EGO]["annotation"]["0"]


def spoil(key: str, value: object) -> Change:
    return lambda found: bowl(found).__setitem__(key, value)


def instead(value: object) -> Change:
    def change(found: dict[str, Any]) -> None:
        found[UID]["object_masks"]["Blue bowl_0"][EGO]["annotation"]["0"] = value

    return change


def cut(found: dict[str, Any]) -> None:
    bowl(found)["encodedMask"] = bowl(found)["encodedMask"][:-4]


def longer(found: dict[str, Any]) -> None:
    text = LZString.decompressFromEncodedURIComponent(bowl(found)["encodedMask"])
    bowl(found)["encodedMask"] = LZString.compressToEncodedURIComponent(text + "04")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (cut, "LZString does not decode"),
        (spoil("encodedMask", ""), "LZString does not decode"),
        (spoil("encodedMask", "?!"), "LZString does not decode"),
        (spoil("encodedMask", LZString.compressToEncodedURIComponent("no RLE")), "RLE does not decode"),
        (longer, "RLE does not decode"),
        (instead({**mask(20, 10, 60, 50), "width": 256, "height": 192}), "RLE does not decode"),
        (instead({**mask(20, 10, 60, 50), "width": 96, "height": 128}), "mask and frame disagree"),
        (spoil("width", 0), "malformed mask"),
        (spoil("width", "128"), "malformed mask"),
        (spoil("height", 10**12), "malformed mask"),
        (instead({"width": 128}), "malformed mask"),
        (instead([]), "malformed mask"),
        (instead(mask(0, 0, 0, 0)), "empty mask"),
        (instead(mask(0, 0, 9, 11)), "small mask"),
    ],
)  # fmt: skip
def test_a_bad_mask_is_left_out_and_counted_and_the_rest_stays(
    tmp_path: Path, change: Change, reason: str
) -> None:
    found = takes()
    change(found)
    annotate(extracted(tmp_path), found)
    first = read(tmp_path)[0]
    assert isinstance(first, Record)
    assert first.skipped == {reason: 1}
    assert len(first.regions) == 3 and len(first.images) == 2


def test_the_smallest_mask_is_a_setting(tmp_path: Path) -> None:
    found = takes()
    instead(mask(0, 0, 9, 11))(found)
    annotate(extracted(tmp_path), found)
    first = read(tmp_path, min_pixels=99)[0]
    assert isinstance(first, Record)
    assert first.skipped == {} and boxes(first)[0, "Blue bowl_0"] == Box(0, 0, 4.5, 5.5)


def remove_video(root: Path) -> None:
    (root / f"takes/kitchen_1/frame_aligned_videos/{EXO}.mp4").unlink()


def cut_video(root: Path) -> None:
    path = root / f"takes/kitchen_1/frame_aligned_videos/{EXO}.mp4"
    path.write_bytes(path.read_bytes()[:900])


def replace_frame(root: Path) -> None:
    put(root / f"frames/{UID}/{EXO}/0.jpg", "no image")


def remove_frame(root: Path) -> None:
    put(root / f"frames/{UID}/{EXO}/60.jpg", jpeg())


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (remove_video, "missing video"),
        (cut_video, "undecodable video"),
        (replace_frame, "unreadable image"),
        (remove_frame, "missing image"),
    ],
)
def test_a_camera_without_its_picture_is_left_out_and_counted(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    annotate(videos(tmp_path), takes())
    damage(tmp_path)
    for item in read(tmp_path):
        assert isinstance(item, Record)
        assert [image.view for image in item.images] == [EGO]
        assert item.skipped == {reason: 1}


def test_a_moment_without_any_picture_is_dropped(tmp_path: Path) -> None:
    annotate(videos(tmp_path, frames=30), takes())
    first, second = read(tmp_path)
    assert isinstance(first, Record) and isinstance(second, Drop)
    assert (second.key, second.reason) == (f"ego/{UID}/30", "frame beyond the end of the video")
    assert "has 30 frames, none of number 30" in str(second.value)


def test_a_take_whose_name_leaves_the_root_is_dropped(tmp_path: Path) -> None:
    found = takes()
    found[UID]["take_name"] = "../elsewhere"
    annotate(tmp_path, found)
    assert drops(read(tmp_path)) == [(f"ego/{UID}/{n}", "path leaves the corpus root") for n in (0, 30)]  # fmt: skip


def rename(found: dict[str, Any]) -> None:
    del found[UID]["take_name"]


def listing(found: dict[str, Any]) -> None:
    found[UID]["object_masks"] = []


def nothing(found: dict[str, Any]) -> None:
    found[UID] = None


@pytest.mark.parametrize("change", [rename, listing, nothing])
def test_a_malformed_take_is_dropped_and_the_next_is_read(tmp_path: Path, change: Change) -> None:
    found = takes()
    change(found)
    annotate(extracted(tmp_path), {**found, "second": takes()[UID]})
    items = read(tmp_path)
    assert drops(items)[0] == (f"ego/{UID}", "malformed annotation")
    assert len(items) == 3  # the second take's frames are not there: two drops


def test_a_frame_number_that_is_none_is_dropped(tmp_path: Path) -> None:
    found = takes()
    notes = found[UID]["object_masks"]["plate_1"][EXO]
    notes["annotation"]["late"] = mask(0, 0, 9, 9)
    notes["annotated_frames"].append(-30)
    annotate(extracted(tmp_path), found)
    items = read(tmp_path)
    assert sorted(drops(items)) == [(f"ego/{UID}/{n}", "bad frame number") for n in ("-30", "late")]
    assert sum(isinstance(item, Record) for item in items) == 2


def test_a_take_that_comes_again_is_dropped(tmp_path: Path) -> None:
    path = annotate(extracted(tmp_path), takes())
    text = json.dumps(takes()[UID])
    path.write_text(f'{{"annotations": {{"{UID}": {text}, "{UID}": {text}}}}}')
    items = read(tmp_path)
    assert drops(items) == [(f"ego/{UID}", "repeated take")]
    assert len(items) == 3


@pytest.mark.parametrize(("share", "whole_takes"), [(0.1, 0), (0.6, 1), (0.97, 2)])
def test_json_cut_in_the_middle_is_named_and_what_came_before_is_kept(
    tmp_path: Path, share: float, whole_takes: int
) -> None:
    found = {f"take-{n}": takes()[UID] for n in range(3)}
    annotate(tmp_path, found)
    for uid in found:
        put(tmp_path / f"frames/{uid}/{EGO}/0.jpg", jpeg())
    whole = read(tmp_path)
    path = tmp_path / "annotations/relations_train.json"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    items = read(tmp_path)
    assert items[: 2 * whole_takes] == whole[: 2 * whole_takes]
    broken, *rest = items[2 * whole_takes :]
    assert isinstance(broken, Drop) and broken.reason == "broken JSON"
    assert broken.key == "ego/annotations/relations_train.json"
    assert [reason for _, reason in drops(rest)] == ([] if whole_takes else ["no takes"])
    assert "relations_train.json after" in str(broken.value)


def test_only_the_splits_asked_for_are_read(tmp_path: Path) -> None:
    annotate(extracted(tmp_path), takes())
    annotate(tmp_path, {}, "val")
    assert corpus(tmp_path).parts() == ["annotations/relations_train.json"]
    both = corpus(tmp_path, splits=("val", "train")).parts()
    assert both == ["annotations/relations_val.json", "annotations/relations_train.json"]
    assert drops(read(tmp_path, splits=("val",))) == [("ego/annotations/relations_val.json", "no takes")]  # fmt: skip
    with pytest.raises(UsageError, match=r"looked for relations_test.json in annotations"):
        corpus(tmp_path, splits=("test",)).parts()
    with pytest.raises(EnvironmentFailure, match="is not there"):
        corpus(tmp_path / "nowhere").parts()


def test_no_damage_to_the_annotations_crashes_or_makes_an_invalid_record(tmp_path: Path) -> None:
    annotate(extracted(tmp_path), takes())
    path = tmp_path / "annotations/relations_train.json"
    whole, rng = path.read_bytes(), np.random.default_rng(7)
    for _ in range(300):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), int(rng.integers(1, 4))):
            data[at] = rng.choice(np.frombuffer(b'0129-.,:{}[]"ax \xff\x00e', np.uint8))
        path.write_bytes(data)
        assert read(tmp_path)


# LZString.


@pytest.mark.parametrize("text", ["a", "aaaaaaaaaaaa", "04ab" * 700, "é中`~" * 3, "".join(map(chr, range(32, 300)))])  # fmt: skip
def test_packed_text_unpacks_as_the_package_does(text: str) -> None:
    packed = LZString.compressToEncodedURIComponent(text)
    assert lzstring_text.decompress(packed) == text
    assert lzstring_text.decompress(packed.replace("+", " ")) == text


def test_damaged_packed_text_is_rejected_or_another_text() -> None:
    packed = LZString.compressToEncodedURIComponent("PQRST0123" * 60)
    rng, rejected = np.random.default_rng(3), 0
    for _ in range(500):
        chars = list(packed)
        chars[int(rng.integers(len(chars)))] = chr(int(rng.integers(33, 127)))
        try:
            lzstring_text.decompress("".join(chars[: int(rng.integers(1, len(chars) + 1))]))
        except Rejected as error:
            assert error.reason == "LZString does not decode"
            rejected += 1
    assert rejected > 400


def test_a_text_that_unpacks_to_too_much_is_rejected() -> None:
    packed = LZString.compressToEncodedURIComponent("a" * 20_000)
    with pytest.raises(Rejected):
        lzstring_text.decompress(packed, longest=19_999)


# What is drawn is what is read.


def test_a_box_read_back_is_the_box_that_was_drawn(tmp_path: Path) -> None:
    summary = write_corpus("egoexo4d", tmp_path / "e", clips=3, frames=8, size=(160, 120), seed=2)
    items = read(tmp_path / "e", min_pixels=1)
    assert not drops(items)
    assert len(items) == 3 * 4
    job = Job(clips=3, frames=8, size=(160, 120), seed=2, quality=90, jpeg_bytes=None)
    hidden = 0
    for number, item in enumerate(items):
        assert isinstance(item, Record) and item.skipped == {}
        clip = number // 4
        place = scene(Stream("synth", "egoexo4d", "2", str(clip)), clip, job)
        eyes = {eye.name: eye for eye in place.eyes}
        assert [image.view for image in item.images] == [*eyes]
        for region in item.regions:
            image = item.images[region.image]
            sight = look(place, eyes[str(image.view)], (image.frame or 0) / 2)
            assert sight.image.shape[:2] == (image.height, image.width)
            drawn = sight.masks[str(region.track)]
            rows, columns = np.nonzero(drawn)
            if region.box is None:
                hidden += 1
                assert not drawn.any()
            else:
                bounds = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                assert region.box == Box(*map(float, bounds))
    assert hidden == summary.absent > 0


def test_a_frame_of_the_video_is_the_picture_that_was_drawn(tmp_path: Path) -> None:
    import cv2

    write_corpus("egoexo4d", tmp_path / "e", clips=1, frames=8, size=(160, 120), seed=2)
    job = Job(clips=1, frames=8, size=(160, 120), seed=2, quality=90, jpeg_bytes=None)
    place = scene(Stream("synth", "egoexo4d", "2", "0"), 0, job)
    for item in read(tmp_path / "e"):
        assert isinstance(item, Record)
        for image, eye in zip(item.images, place.eyes, strict=True):
            data = media.read(Root(str(tmp_path / "e")), image.uri.removeprefix("ego:"))
            shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            errors = [
                np.abs(shown.astype(int) - look(place, eye, frame / 2).image).mean()
                for frame in range(8)
            ]
            assert errors[image.frame or 0] < 4


@pytest.mark.real
def test_the_sample_holds_what_it_is_known_to_hold() -> None:
    folder = Path(os.environ["MGDATA_CORPORA"]) / "egoexo4d"
    assert folder.is_dir()
    report = check(corpus(folder))
    assert (report.records, report.images, report.regions, report.hidden) == (2, 4, 16, 4)
    assert set(report.labels) == {"motorcycle", "front wheel", "rear wheel", "headlight"}
    assert report.drops == {} and report.skipped == {} and report.missing_images == 0
    first, second = read(folder)
    assert isinstance(first, Record) and isinstance(second, Record)
    assert boxes(first)[0, "headlight_0"] == Box(502, 118, 562, 190)
    assert boxes(first)[1, "headlight_0"] == Box(445, 118, 510, 190)
    assert [region.image for region in second.regions if region.box is None] == [1, 1, 1, 1]
    assert [(image.width, image.height) for image in first.images] == [(741, 500)] * 2
