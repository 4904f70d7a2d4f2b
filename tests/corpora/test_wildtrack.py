import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from clip_writers import jpeg, put

from mgdata.corpora.check import check
from mgdata.corpora.occlusion import shown
from mgdata.corpora.wildtrack import Wildtrack
from mgdata.data import Drop, Record, Region
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.filters.visibility import Visibility
from mgdata.geometry import Box
from mgdata.storage import Root
from mgdata.synth import plaza
from mgdata.synth import write as write_corpus
from mgdata.synth.camera import Job
from mgdata.synth.wildtrack import EVERY, cameras, cylinder, people
from mgdata.validity import record_fault

UNSEEN = (-1, -1, -1, -1)
Corners = tuple[float, float, float, float]


def png(width: int = 64, height: int = 48) -> bytes:
    shade = np.linspace(0, 255, width * height * 3).reshape(height, width, 3).astype(np.uint8)
    return cv2.imencode(".png", shade)[1].tobytes()


def person(number: int, *corners: Corners) -> dict[str, Any]:
    """One entry; a camera each, in order."""
    names = ("xmin", "ymin", "xmax", "ymax")
    views = [
        {"viewNum": view, **dict(zip(names, box, strict=True))} for view, box in enumerate(corners)
    ]
    return {"personID": number, "positionID": 7, "views": views}


PEOPLE = [
    person(5, (10, 10, 19, 29), (0, 0, 9, 9)),
    person(12, (40, 5, 49, 24), UNSEEN),
]


def annotate(root: Path, content: object, number: int = 0) -> Path:
    return put(root / f"annotations_positions/{number:08d}.json", json.dumps(content))


def pictures(root: Path, *numbers: int, of: tuple[str, ...] = ("C1", "C2")) -> Path:
    for camera in of:
        for number in numbers:
            put(root / f"Image_subsets/{camera}/{number:08d}.png", png())
    return root


def corpus(root: Path, **settings: Any) -> Wildtrack:
    return Wildtrack(name="w", root=Root(str(root)), **settings)


def read(root: Path, **settings: Any) -> list[Record | Drop]:
    found = corpus(root, **settings)
    items = [item for part in found.parts() for item in found.records(part)]
    for item in items:
        if isinstance(item, Record):
            assert record_fault(item) is None
    return items


def records(root: Path, **settings: Any) -> list[Record]:
    return [item for item in read(root, **settings) if isinstance(item, Record)]


def the(root: Path, content: object, **settings: Any) -> Record:
    """The one record of a moment with this annotation."""
    annotate(pictures(root, 0), content)
    (item,) = read(root, **settings)
    assert isinstance(item, Record), item
    return item


def drops(items: list[Record | Drop]) -> list[tuple[str, str]]:
    return [(item.key, item.reason) for item in items if isinstance(item, Drop)]


def by_name(record: Record) -> dict[tuple[int, str], Region]:
    return {(region.image, str(region.track)): region for region in record.regions}


def test_a_moment_has_its_cameras_and_everyone_with_both_ends_of_a_box_counted(
    tmp_path: Path,
) -> None:
    found = the(tmp_path, PEOPLE)
    assert (found.key, found.shape, found.unit, found.license) == ("w/0", "views", "w", "unknown")
    assert [(i.view, i.frame, i.width, i.height, i.format) for i in found.images] == [
        ("C1", 0, 64, 48, "png"),
        ("C2", 0, 64, 48, "png"),
    ]
    assert found.images[1].uri == "w:Image_subsets/C2/00000000.png"
    regions = by_name(found)
    assert {name: region.box for name, region in regions.items()} == {
        (0, "5"): Box(10, 10, 20, 30),
        (0, "12"): Box(40, 5, 50, 25),
        (1, "5"): Box(0, 0, 10, 10),
        (1, "12"): None,
    }
    assert {region.label for region in found.regions} == {"person"}
    assert regions[1, "12"].visibility == 0.0 and regions[0, "5"].visibility == 1.0
    assert (found.exhaustive, found.absent, found.skipped) == ((), (), {})


def test_the_layout_of_multiviewx_needs_to_be_told_which_picture_belongs_where(
    tmp_path: Path,
) -> None:
    for number in (1, 2):
        put(tmp_path / f"annotations_positions/{number:05d}.json", json.dumps(PEOPLE))
        for camera in ("C1", "C2"):
            put(tmp_path / f"Image_subsets/{camera}/{number - 1:04d}.jpg", jpeg())
    with pytest.raises(UsageError, match=r"annotations_positions is 1, the first picture of Image_subsets 0: .*offset.* \(-1 if"):  # fmt: skip
        corpus(tmp_path).parts()
    first, second = records(tmp_path, offset=-1)
    assert (first.key, first.images[0].uri) == ("w/1", "w:Image_subsets/C1/0000.jpg")
    assert [image.frame for image in second.images] == [1, 1]
    first, last = read(tmp_path, offset=0)
    assert isinstance(first, Record) and first.images[0].uri == "w:Image_subsets/C1/0001.jpg"
    assert isinstance(last, Drop) and (last.key, last.reason) == ("w/2", "missing image")
    assert last.value == "no camera of Image_subsets has a picture 2 (offset 0) for annotations_positions/00002.json"  # fmt: skip


def test_boxes_that_leave_the_image_are_cut_and_those_outside_it_counted(tmp_path: Path) -> None:
    odd = [
        person(1, (-5, 10, 14, 29)),
        person(2, (50, 30, 89, 69)),
        person(3, (70, 10, 80, 20)),
        person(4, (-1, 20, 10, 30)),  # its first number alone is -1: a box like any other
        person(5, (30, 10, 20, 20)),
        person(6, (30, 40, 40, 20)),
    ]
    found = the(tmp_path, odd)
    regions = by_name(found)
    assert {name: (r.box, r.clipped) for name, r in regions.items()} == {
        (0, "1"): (Box(0, 10, 15, 30), True),
        (0, "2"): (Box(50, 30, 64, 48), True),
        (0, "4"): (Box(0, 20, 11, 31), True),
    }
    assert regions[0, "2"].visibility == pytest.approx(14 * 18 / 1600)
    assert found.skipped == {"box outside the image": 1, "inverted box": 2}


def test_who_is_nearer_hides_and_the_filter_keeps_the_hidden_from_being_asked_for(
    tmp_path: Path,
) -> None:
    crowd = [
        person(1, (10, 5, 29, 24)),  # half under 2
        person(2, (20, 10, 39, 34)),
        person(3, (12, 8, 15, 20)),  # its upper half before nobody: under 1 altogether
        person(4, (50, 5, 59, 24)),
    ]
    found = the(tmp_path, crowd)
    seen = {str(r.track): r.visibility for r in found.regions}
    assert seen == {"1": pytest.approx(1 - 10 * 15 / 400), "2": 1.0, "3": 0.0, "4": 1.0}
    assert [found.regions[i].track for i, _ in Visibility().regions(found)] == ["3"]


def test_what_four_times_minus_one_means_is_a_setting(tmp_path: Path) -> None:
    found = the(tmp_path, PEOPLE, unseen="unknown")
    assert (1, "12") not in by_name(found)
    assert found.skipped == {"not seen, or too near": 1}


def test_moments_are_one_unit_or_blocks_of_numbers(tmp_path: Path) -> None:
    numbers = (0, 5, 10, 15, 20)
    pictures(tmp_path, *numbers)
    for number in numbers:
        annotate(tmp_path, PEOPLE, number)
    assert {r.unit for r in records(tmp_path)} == {"w"}
    assert [r.unit for r in records(tmp_path, unit_frames=10)] == ["w/0", "w/0", "w/1", "w/1", "w/2"]  # fmt: skip
    assert [r.key for r in records(tmp_path, every=2)] == ["w/0", "w/10", "w/20"]
    for wrong in ({"every": 0}, {"unit_frames": -1}):
        with pytest.raises(ValueError, match="expected"):
            corpus(tmp_path, **wrong)


def test_cameras_differ_in_size_and_come_in_order_of_their_numbers(tmp_path: Path) -> None:
    pictures(tmp_path, 0, of=("C1",))
    put(tmp_path / "Image_subsets/C2/00000000.png", png(128, 96))
    put(tmp_path / "Image_subsets/C10/00000000.jpg", jpeg(orientation=6))
    put(tmp_path / "Image_subsets/notes/00000000.jpg", jpeg())
    boxes = [(10, 10, 19, 29), (70, 50, 79, 69), *[UNSEEN] * 7, (10, 20, 39, 39)]
    annotate(tmp_path, [person(1, *boxes)])
    (found,) = records(tmp_path)
    assert [(i.view, i.width, i.height) for i in found.images] == [
        ("C1", 64, 48),
        ("C2", 128, 96),
        ("C10", 48, 64),
    ]
    assert [r.box for r in found.regions] == [Box(10, 10, 20, 30), Box(70, 50, 80, 70), Box(8, 10, 28, 40)]  # fmt: skip
    assert found.skipped == {"no picture of its camera": 7}


def test_a_camera_without_the_picture_is_left_out_and_its_entries_counted(tmp_path: Path) -> None:
    pictures(tmp_path, 0, 5, of=("C1",))
    pictures(tmp_path, 0, of=("C2",))
    annotate(tmp_path, PEOPLE, 0)
    annotate(tmp_path, PEOPLE, 5)
    _, second = records(tmp_path)
    assert [image.view for image in second.images] == ["C1"]
    assert second.skipped == {"missing image": 1, "no picture of its camera": 2}


def edit(place: tuple[Any, ...], value: object) -> Callable[[list[Any]], object]:
    def change(content: list[Any]) -> object:
        one: Any = content
        for key in place[:-1]:
            one = one[key]
        one[place[-1]] = value
        return content

    return change


@pytest.mark.parametrize(
    ("change", "skipped", "left"),
    [
        (edit((0,), None), {"malformed person": 1}, 2),
        (edit((0, "personID"), "5"), {"malformed person": 1}, 2),
        (edit((0, "personID"), True), {"malformed person": 1}, 2),
        (edit((0, "views"), {}), {"malformed person": 1}, 2),
        (edit((0, "views", 0), [1]), {"malformed view": 1}, 3),
        (edit((0, "views", 0, "xmin"), "10"), {"malformed view": 1}, 3),
        (edit((0, "views", 0, "viewNum"), 0.5), {"malformed view": 1}, 3),
        (edit((0, "views", 0, "viewNum"), 9), {"no picture of its camera": 1}, 3),
        (edit((0, "views", 0, "viewNum"), -1), {"no picture of its camera": 1}, 3),
        (edit((0, "views", 0, "viewNum"), 1), {"person twice in a view": 2}, 2),
        (edit((1, "personID"), 5), {"person twice in a view": 4}, 0),
        (edit((0, "views", 0, "xmax"), 1e308), {}, 4),
        (edit((0, "views", 0, "xmin"), -1e308), {}, 4),
        (edit((0, "views"), []), {}, 2),
    ],
)
def test_an_entry_that_makes_no_sense_is_counted_and_the_rest_stays(
    tmp_path: Path, change: Callable[[list[Any]], object], skipped: dict[str, int], left: int
) -> None:
    found = the(tmp_path, change(json.loads(json.dumps(PEOPLE))))
    assert found.skipped == skipped
    assert len(found.regions) == left and len(found.images) == 2


@pytest.mark.parametrize("corner", ["NaN", "1e999", "-Infinity", "1" + "0" * 400])
def test_a_number_that_is_none_costs_its_moment_and_says_where(tmp_path: Path, corner: str) -> None:
    annotate(pictures(tmp_path, 0, 5), PEOPLE, 5)
    text = json.dumps(PEOPLE).replace('"xmin": 40', f'"xmin": {corner}')
    put(tmp_path / "annotations_positions/00000000.json", text)
    first, second = read(tmp_path)
    if corner.isdigit():  # a number all the same, only too large for a corner
        assert isinstance(first, Record) and first.skipped == {"malformed view": 1}
    else:
        assert isinstance(first, Drop) and first.reason == "malformed annotation"
        assert "00000000.json" in str(first.value)
    assert isinstance(second, Record)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "malformed annotation"),
        (b'[{"personID": 1, "vie', "malformed annotation"),
        (b"{}", "malformed annotation"),
        (b"[" * 3000 + b"]" * 3000, "malformed annotation"),
        (b"[] []", "malformed annotation"),
        (b"\xff\xfe[]", "text is not UTF-8"),
    ],
)
def test_a_json_that_is_none_is_a_drop_and_the_next_moment_is_read(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    annotate(pictures(tmp_path, 0, 5), PEOPLE, 5)
    put(tmp_path / "annotations_positions/00000000.json", content)
    first, second = read(tmp_path)
    assert isinstance(first, Drop) and (first.key, first.reason) == ("w/0", reason)
    assert "00000000.json" in str(first.value)
    assert isinstance(second, Record) and second.key == "w/5"


def test_a_moment_without_anyone_is_a_record_all_the_same(tmp_path: Path) -> None:
    assert the(tmp_path, []).regions == ()


def test_annotation_files_without_a_number_of_their_own_are_dropped(tmp_path: Path) -> None:
    annotate(pictures(tmp_path, 0), PEOPLE)
    put(tmp_path / "annotations_positions/0.json", "[]")
    put(tmp_path / "annotations_positions/late.json", "[]")
    put(tmp_path / "annotations_positions/0000.txt", "")
    (tmp_path / "annotations_positions/00000005.json").mkdir()
    assert drops(read(tmp_path)) == [
        ("w/annotations_positions/00000000.json", "two files for one frame"),
        ("w/annotations_positions/late.json", "bad frame number"),
        ("w/5", "unreadable file"),
    ]


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def spoil(folder: Path) -> None:
    put(folder / "00000000.png", "no image")


def lead_out(folder: Path) -> None:
    (folder / "00000000.png").unlink()
    (folder / "00000000.png").symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (empty, "no frames"),
        (spoil, "unreadable image"),
        (lead_out, "path leaves the corpus root"),
    ],
)
def test_a_camera_that_cannot_be_read_is_dropped_and_the_others_stay(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    annotate(pictures(tmp_path, 0), PEOPLE)
    damage(tmp_path / "Image_subsets/C1")
    lost, left = read(tmp_path)
    assert drops([lost]) == [("w/Image_subsets/C1", reason)]
    assert isinstance(left, Record)
    assert [image.view for image in left.images] == ["C2"]
    assert left.skipped == {"no picture of its camera": 2}


def test_a_wrong_root_is_named_with_what_was_looked_for(tmp_path: Path) -> None:
    annotate(tmp_path, PEOPLE)
    with pytest.raises(UsageError, match=r"looked for annotations_positions/<number>.json and Image_subsets/C1"):  # fmt: skip
        corpus(tmp_path).parts()
    with pytest.raises(EnvironmentFailure, match="is not there"):
        corpus(tmp_path / "nowhere").parts()


# How much shows.


def test_the_share_that_shows_is_that_of_counted_pixels() -> None:
    rng = np.random.default_rng(5)
    size = (60, 40)
    for _ in range(60):
        low = rng.integers(-20, 60, (9, 2))
        boxes = np.hstack([low, low + rng.integers(1, 40, (9, 2))]).astype(float)
        boxes[:4, 3] = boxes[0, 3]  # some stand on one line
        boxes[:, 1] = np.minimum(boxes[:, 1], boxes[:, 3] - 1)
        assert shown(boxes, size) == pytest.approx(counted(boxes, size))
    assert shown(np.zeros((0, 4)), size).shape == (0,)


def counted(boxes: np.ndarray[Any, Any], size: tuple[int, int]) -> list[float]:
    """The same, pixel by pixel."""
    shares: list[float] = []
    for i, (x1, y1, x2, y2) in enumerate(boxes.astype(int)):
        free = 0
        for x in range(max(x1, 0), min(x2, size[0])):
            for y in range(max(y1, 0), min(y2, size[1])):
                before = [
                    (b[3], b[2] - b[0]) >= (y2, x2 - x1)
                    for j, b in enumerate(boxes)
                    if j != i and b[0] <= x < b[2] and b[1] <= y < b[3]
                ]
                free += not any(before)
        shares.append(free / ((x2 - x1) * (y2 - y1)))
    return shares


def test_the_estimate_follows_what_really_shows_of_people(tmp_path: Path) -> None:
    """Boxes are looser than people: most of whom it calls hidden show less than half."""
    job = written(tmp_path / "w", clips=4)
    estimates: list[tuple[float, float]] = []
    for record, bodies, moment in told(tmp_path / "w", job):
        for place, stand in enumerate(cameras(job)):
            drawn = plaza.look(stand, bodies, moment)[1]
            for region in (r for r in record.regions if r.image == place and r.box is not None):
                estimates.append((region.visibility or 0.0, drawn[str(region.track)].visibility))
    found = np.array(estimates)
    assert len(found) > 300
    assert np.corrcoef(found.T)[0, 1] > 0.8
    clear, hidden = found[found[:, 0] >= 0.99], found[found[:, 0] < 0.25]
    assert len(clear) > 50 and clear[:, 1].min() > 0.9
    assert len(hidden) > 20 and np.median(hidden[:, 1]) < 0.4
    # Whom a question may be about by the filter's usual measure can be found in the picture.
    assert np.quantile(found[found[:, 0] >= 0.25][:, 1], 0.02) > 0.1


# What is drawn is what is read.


def written(root: Path, clips: int) -> Job:
    write_corpus("wildtrack", root, clips=clips, frames=6, size=(160, 120), seed=2)
    return Job(clips=clips, frames=6, size=(160, 120), seed=2, quality=90, jpeg_bytes=None)


def told(root: Path, job: Job) -> list[tuple[Record, tuple[plaza.Body, ...], int]]:
    """Every record with who was drawn, and when."""
    found = records(root)
    assert len(found) == job.clips * job.frames
    return [(r, people(n // job.frames, job), n % job.frames) for n, r in enumerate(found)]


def test_a_box_read_back_is_the_cylinder_that_was_projected(tmp_path: Path) -> None:
    job = written(tmp_path / "w", clips=4)
    outside = hidden = 0
    for number, (record, bodies, moment) in enumerate(told(tmp_path / "w", job)):
        assert record.key == f"w/{number * EVERY}" and record.skipped == {}
        assert len(record.regions) == len(bodies) * 4
        for region in record.regions:
            image, stand = record.images[region.image], cameras(job)[region.image]
            assert (image.view, image.width, image.height) == (stand.name, *stand.size)
            body = next(body for body in bodies if body.name == region.track)
            x, y = body.path[moment]
            x1, y1, x2, y2 = cylinder(stand, (float(x), float(y)))
            outside += region.clipped
            if region.box is None:
                hidden += 1
                assert (x1, y1, x2, y2) == UNSEEN
                drawn = plaza.look(stand, bodies, moment)[1].get(str(region.track))
                assert drawn is None or drawn.visible <= 2
            else:
                width, height = stand.size
                assert region.box == Box(max(x1, 0), max(y1, 0), min(x2 + 1, width), min(y2 + 1, height))  # fmt: skip
    assert outside > 0 and hidden > 0


def test_people_stand_in_their_cylinders(tmp_path: Path) -> None:
    job = written(tmp_path / "w", clips=2)
    for record, bodies, moment in told(tmp_path / "w", job):
        for region in record.regions:
            if region.box is not None:
                stand = cameras(job)[region.image]
                seen = plaza.look(stand, bodies, moment)[1][str(region.track)].seen
                box = region.box
                if seen is not None:
                    assert box.x1 - 3 <= seen.x1 <= seen.x2 <= box.x2 + 3
                    assert box.y1 - 2 <= seen.y1 <= seen.y2 <= box.y2 + 2


def test_a_check_of_the_synthetic_corpus_finds_it_whole(tmp_path: Path) -> None:
    summary = write_corpus("wildtrack", tmp_path / "w", clips=3, frames=4, size=(96, 64), seed=1)
    report = check(corpus(tmp_path / "w"))
    assert (report.layout, report.missing_images, report.drops) == ("as expected", 0, {})
    assert (report.records, report.images) == (12, summary.images)
    assert report.labels == {"person": report.regions} and report.hidden == summary.absent


@pytest.mark.real
def test_the_sample_holds_what_it_is_known_to_hold() -> None:
    folder = Path(os.environ["MGDATA_CORPORA"]) / "wildtrack"
    assert folder.is_dir()
    report = check(corpus(folder))
    assert (report.records, report.images, report.regions, report.hidden) == (1, 2, 12, 1)
    assert report.drops == {} and report.skipped == {} and report.missing_images == 0
    (found,) = records(folder)
    regions = by_name(found)
    assert regions[0, "2"].box == Box(512, 283, 685, 453)
    assert regions[1, "6"].box is None and regions[0, "6"].box == Box(0, 120, 46, 233)
    assert regions[0, "1"].visibility is not None and regions[0, "1"].visibility > 0.6
    assert regions[0, "4"].visibility == 0.0  # a lamp, inside the box of the whole machine
