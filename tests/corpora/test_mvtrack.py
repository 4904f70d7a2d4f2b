from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clip_writers import jpeg, lines, put

from mgdata.corpora.check import check
from mgdata.corpora.mvtrack import MVTrack
from mgdata.data import Drop, Record
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.storage import Root
from mgdata.synth import plaza
from mgdata.synth import write as write_corpus
from mgdata.synth.mvtrack import TARGET, place
from mgdata.validity import record_fault

BOX = "10,20,30,20"
"""A box well inside 64x48 pixels: 10,20,40,40."""


def view(root: Path, name: str = "ashbin1-1", frames: int = 4, **files: str) -> Path:
    """One view: frames from 1, a box a line, all visible, unless `files` says otherwise."""
    folder = root / name.rpartition("-")[0] / name
    for number in range(1, frames + 1):
        put(folder / f"img/{number:05d}.jpg", jpeg())
    put(folder / "groundtruth.txt", files.get("boxes", lines(*[BOX] * frames)))
    put(folder / "invisible.txt", files.get("flags", ",".join("0" * frames)))
    return folder


def corpus(root: Path, **settings: Any) -> MVTrack:
    return MVTrack(name="mv", root=Root(str(root)), **{"every": 1, **settings})


def read(root: Path, **settings: Any) -> list[Record | Drop]:
    found = corpus(root, **settings)
    items = [item for part in found.parts() for item in found.records(part)]
    for item in items:
        if isinstance(item, Record):
            assert record_fault(item) is None
    return items


def records(root: Path, **settings: Any) -> list[Record]:
    return [item for item in read(root, **settings) if isinstance(item, Record)]


def drops(items: list[Record | Drop]) -> list[tuple[str, str]]:
    return [(item.key, item.reason) for item in items if isinstance(item, Drop)]


def boxes(record: Record) -> dict[str, Box | None]:
    return {str(record.images[r.image].view): r.box for r in record.regions}


def test_a_moment_has_all_views_in_order_of_their_numbers_and_one_object(tmp_path: Path) -> None:
    for name in ("ashbin1-10", "ashbin1-2", "ashbin1-1"):
        view(tmp_path, name)
    put(tmp_path / "ashbin1/BEV/xyz_index.txt", "0,0,0,0\n")
    first, *rest = records(tmp_path)
    assert len(rest) == 3
    assert (first.key, first.shape, first.unit, first.license) == ("mv/ashbin1/1", "views", "ashbin1", "unknown")  # fmt: skip
    assert [(i.view, i.frame, i.width, i.height) for i in first.images] == [
        ("1", 1, 64, 48),
        ("2", 1, 64, 48),
        ("10", 1, 64, 48),
    ]
    assert first.images[1].uri == "mv:ashbin1/ashbin1-2/img/00001.jpg"
    assert boxes(first) == dict.fromkeys(("1", "2", "10"), Box(10, 20, 40, 40))
    assert {(r.label, r.track, r.visibility) for r in first.regions} == {("ashbin", "ashbin1", None)}  # fmt: skip
    assert (first.exhaustive, first.absent, first.skipped) == ((), (), {})


def test_where_it_is_flagged_the_box_is_not_looked_at(tmp_path: Path) -> None:
    stale = lines(BOX, BOX, "0,0,0,0", "nan,-5,0,1e9")
    view(tmp_path, boxes=stale, flags="0,1,1,1")
    view(tmp_path, "ashbin1-2")
    found = records(tmp_path)
    assert [boxes(r)["1"] for r in found] == [Box(10, 20, 40, 40), None, None, None]
    assert [r.regions[0].visibility for r in found] == [None, 0.0, 0.0, 0.0]
    assert not any(region.clipped for r in found for region in r.regions)
    assert [r.skipped for r in found] == [{}] * 4


@pytest.mark.parametrize("flags", ["0,1,0,1", "0, 1, 0, 1\n", "0\n1\n0\n1\n", " 0,1,0,1\r\n"])
def test_flags_stand_on_one_line_or_on_a_line_each(tmp_path: Path, flags: str) -> None:
    view(tmp_path, flags=flags)
    assert [boxes(r)["1"] is None for r in records(tmp_path)] == [False, True, False, True]


def test_a_box_that_is_none_without_a_flag_is_left_out_and_counted(tmp_path: Path) -> None:
    odd = ["0,0,0,0", "nan,1,2,3", "30,20,-5,5", "100,100,5,5", "-5,40,20,20", "60,40,10,10"]
    view(tmp_path, frames=6, boxes=lines(*odd), flags="0,0,0,0,0,0")
    found = records(tmp_path)
    why = ("zero box", "nan box", "inverted box", "box outside the image")
    assert [r.skipped for r in found[:4]] == [{reason: 1} for reason in why]
    assert [r.regions for r in found[:4]] == [()] * 4
    assert [len(r.images) for r in found] == [1] * 6
    assert [boxes(r)["1"] for r in found[4:]] == [Box(0, 40, 15, 48), Box(60, 40, 64, 48)]
    assert [r.regions[0].clipped for r in found[4:]] == [True, True]


def test_the_number_of_the_first_pixel_is_a_setting(tmp_path: Path) -> None:
    view(tmp_path, frames=1, boxes=lines("11,21,30,20"), flags="0")
    assert boxes(records(tmp_path, base=1)[0])["1"] == Box(10, 20, 40, 40)
    assert boxes(records(tmp_path)[0])["1"] == Box(11, 21, 41, 41)


def test_moments_are_taken_every_so_many_frames_from_the_first_on(tmp_path: Path) -> None:
    view(tmp_path, frames=9, boxes=lines(*[BOX] * 9), flags=",".join("0" * 9))
    assert [r.key for r in records(tmp_path, every=4)] == [f"mv/ashbin1/{n}" for n in (1, 5, 9)]
    with pytest.raises(ValueError, match="every: expected at least 1, found 0"):
        corpus(tmp_path, every=0)


def test_a_view_that_ends_early_is_in_the_moments_that_it_has(tmp_path: Path) -> None:
    view(tmp_path, frames=4)
    view(tmp_path, "ashbin1-2", frames=2)
    assert [[i.view for i in r.images] for r in records(tmp_path)] == [["1", "2"]] * 2 + [["1"]] * 2


def test_frames_of_one_number_are_one_moment_wherever_a_view_begins(tmp_path: Path) -> None:
    view(tmp_path, frames=2)
    late = view(tmp_path, "ashbin1-2", frames=2)
    (late / "img/00001.jpg").rename(late / "img/00003.jpg")
    found = records(tmp_path)
    assert [[(i.view, i.frame) for i in r.images] for r in found] == [
        [("1", 1)],
        [("1", 2), ("2", 2)],
        [("2", 3)],
    ]


def test_views_differ_in_size_and_a_turned_one_has_its_boxes_turned(tmp_path: Path) -> None:
    view(tmp_path, frames=1, flags="0")
    turned = view(tmp_path, "ashbin1-2", frames=1, flags="0")
    put(turned / "img/00001.jpg", jpeg(orientation=6))
    large = view(tmp_path, "ashbin1-3", frames=1, flags="0")
    put(large / "img/00001.jpg", jpeg(128, 96))
    (found,) = records(tmp_path)
    assert [(i.width, i.height) for i in found.images] == [(64, 48), (48, 64), (128, 96)]
    assert boxes(found)["2"] == Box(8, 10, 28, 40)


@pytest.mark.parametrize(
    ("name", "label"),
    [("ashbin1", "ashbin"), ("Toy_Car12", "toy car"), ("cup", "cup"), ("7", "7")],
)
def test_the_class_is_the_sequence_without_its_number(
    tmp_path: Path, name: str, label: str
) -> None:
    view(tmp_path, f"{name}-1", frames=1, flags="0")
    assert records(tmp_path)[0].regions[0].label == label


def gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def written(name: str, content: str | bytes) -> Callable[[Path], None]:
    return lambda folder: void(put(folder / name, content))


def void(_: Path) -> None:
    return None


def no_frames(folder: Path) -> None:
    for path in (folder / "img").iterdir():
        path.unlink()


def folder_instead(folder: Path) -> None:
    (folder / "groundtruth.txt").unlink()
    (folder / "groundtruth.txt").mkdir()


def link_outside(folder: Path) -> None:
    (folder / "groundtruth.txt").unlink()
    (folder / "groundtruth.txt").symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (gone("groundtruth.txt"), "missing annotation"),
        (gone("invisible.txt"), "missing annotation"),
        (gone("img/00002.jpg"), "annotation lines differ from frames"),
        (no_frames, "no frames"),
        (written("groundtruth.txt", lines(*[BOX] * 3)), "annotation lines differ from frames"),
        (written("groundtruth.txt", BOX), "annotated in the first frame only"),
        (written("groundtruth.txt", ""), "annotation lines differ from frames"),
        (written("groundtruth.txt", lines(*["1,2,3"] * 4)), "malformed annotation line"),
        (written("groundtruth.txt", lines(*["a,b,c,d"] * 4)), "malformed annotation line"),
        (written("groundtruth.txt", b"\xff\xfe\xe9"), "text is not UTF-8"),
        (written("invisible.txt", "0,0,0"), "annotation lines differ from frames"),
        (written("invisible.txt", "0,0,0,2"), "malformed annotation line"),
        (written("invisible.txt", "0,0,,0"), "annotation lines differ from frames"),
        (written("invisible.txt", ""), "malformed annotation line"),
        (written("img/1.jpg", jpeg()), "two files for one frame"),
        (written("img/00001.jpg", b""), "empty image"),
        (written("img/00001.jpg", b"no image"), "unreadable image"),
        (folder_instead, "unreadable file"),
        (link_outside, "path leaves the corpus root"),
    ],
)
def test_a_view_whose_files_do_not_fit_is_dropped_and_the_others_stay(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    damage(view(tmp_path))
    view(tmp_path, "ashbin1-2")
    items = read(tmp_path)
    assert drops(items) == [("mv/ashbin1/ashbin1-1", reason)]
    left = [item for item in items if isinstance(item, Record)]
    assert [[i.view for i in r.images] for r in left] == [["2"]] * 4


def test_a_sequence_without_views_is_dropped(tmp_path: Path) -> None:
    view(tmp_path)
    put(tmp_path / "bag1/BEV/xyz_index.txt", "0,0,0,0\n")
    assert drops(read(tmp_path)) == [("mv/bag1", "no views")]


@pytest.mark.parametrize("list_name", ["train_split.txt", "mvtrack_train_split.txt"])
def test_a_split_reads_the_views_that_its_list_names(tmp_path: Path, list_name: str) -> None:
    for name in ("ashbin1-1", "ashbin1-2", "bag1-1", "cup1-1", "cup1-2"):
        view(tmp_path, name, frames=1, flags="0")
    put(tmp_path / list_name, lines("cup1", "cup1-1", "ashbin1-2", "", "ashbin1-2", " ashbin1-3 "))
    found = corpus(tmp_path, split="train")
    assert found.parts() == ["ashbin1", "cup1"]
    items = read(tmp_path, split="train")
    assert drops(items) == [("mv/ashbin1/ashbin1-3", "listed but missing")]
    assert [[i.view for i in r.images] for r in items if isinstance(r, Record)] == [["2"], ["1", "2"]]  # fmt: skip
    assert corpus(tmp_path).parts() == ["ashbin1", "bag1", "cup1"]


def test_a_listed_sequence_that_is_not_there_or_lies_outside_is_dropped(tmp_path: Path) -> None:
    view(tmp_path)
    put(tmp_path / "val_split.txt", lines("../x-1", "/etc-1", "mug1-1", "mug2", "a/b-1"))
    assert drops(read(tmp_path, split="val")) == [
        ("mv/../x", "path leaves the corpus root"),
        ("mv//etc", "path leaves the corpus root"),
        ("mv/a/b/a/b-1", "listed but missing"),
        ("mv/a/b", "no views"),
        ("mv/mug1/mug1-1", "listed but missing"),
        ("mv/mug1", "no views"),
        ("mv/mug2", "no views"),
    ]


def test_a_wrong_root_is_named_with_what_was_looked_for(tmp_path: Path) -> None:
    put(tmp_path / "a/b.txt", "")
    with pytest.raises(UsageError, match=r"no MVTrack root: looked for <sequence>/<sequence>-<view>/, found a;"):  # fmt: skip
        corpus(tmp_path).parts()
    for split in ("train", "val", "test"):
        with pytest.raises(UsageError, match=f"looked for views in {split}_split.txt or mvtrack_{split}_split.txt"):  # fmt: skip
            corpus(tmp_path, split=split).parts()
    put(tmp_path / "val_split.txt", b"\xff\n")
    with pytest.raises(UsageError, match=r"val_split\.txt"):
        corpus(tmp_path, split="val").parts()
    with pytest.raises(EnvironmentFailure, match="is not there"):
        corpus(tmp_path / "nowhere").parts()


# What is drawn is what is read.


def test_a_box_read_back_is_the_box_that_was_drawn(tmp_path: Path) -> None:
    root, size, frames = tmp_path / "m", (160, 120), 12
    summary = write_corpus("mvtrack", root, clips=6, frames=frames, size=size, seed=2)
    assert summary.images == len(list(root.rglob("*.jpg")))
    items = records(root)
    sequences = [*dict.fromkeys(r.unit for r in items)]
    assert len(sequences) == 6 and len(items) == 6 * frames
    hidden = doubtful = short = 0
    seen: set[str] = set()
    for clip in range(6):
        kind, bodies, stands = place(Stream("synth", "mvtrack", "2", str(clip)), clip, frames, size)
        name = next(
            unit for n in range(1, 9) if (unit := f"{kind.replace(' ', '_')}{n}") not in seen
        )
        seen.add(name)
        for record in (r for r in items if r.unit == name):
            short += len(record.images) < len(stands)
            doubtful += sum(record.skipped.values())
            for region in record.regions:
                image = record.images[region.image]
                stand = next(one for one in stands if one.name == image.view)
                assert stand.size == (image.width, image.height)
                drawn = plaza.look(stand, bodies, (image.frame or 0) - 1)[1].get(TARGET)
                if region.box is None:
                    hidden += 1
                    assert drawn is None or drawn.visibility < 0.01
                else:
                    assert drawn is not None and region.box == drawn.seen
            assert {region.label for region in record.regions} <= {kind}
    assert hidden == summary.absent > 0 and doubtful > 0 and short == 1 + 1 == 2
    assert len(items[0].images) in (3, 4)


def test_the_lists_of_the_synthetic_corpus_part_its_views(tmp_path: Path) -> None:
    root = tmp_path / "m"
    write_corpus("mvtrack", root, clips=5, frames=2, size=(64, 64), seed=2)
    units = [{r.unit for r in records(root, split=split)} for split in ("train", "val")]
    assert [len(found) for found in units] == [4, 1] and not units[0] & units[1]
    with pytest.raises(UsageError):
        corpus(root, split="test").parts()


def test_a_check_of_the_synthetic_corpus_finds_it_whole(tmp_path: Path) -> None:
    write_corpus("mvtrack", tmp_path / "m", clips=4, frames=6, size=(64, 64), seed=2)
    report = check(corpus(tmp_path / "m"))
    assert (report.layout, report.missing_images, report.drops) == ("as expected", 0, {})
    assert report.records == 24 and set(report.skipped) <= {"zero box"}
