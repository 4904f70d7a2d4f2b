from pathlib import Path

import fsspec
import numpy as np
import pytest
from clip_writers import (
    HEIGHT,
    WIDTH,
    corners,
    jpeg,
    lasot_clip,
    lines,
    put,
    the_drop,
    the_record,
    trackingnet_clip,
)

from mgdata.corpora import clips
from mgdata.corpora.lasot import Lasot
from mgdata.corpora.trackingnet import TrackingNet
from mgdata.data import Drop
from mgdata.errors import Rejected
from mgdata.headers import probe
from mgdata.storage import Root

HEADER = probe(jpeg())


def lasot(root: Path | str) -> Lasot:
    return Lasot(name="lasot", root=Root(str(root)))


@pytest.mark.parametrize(
    ("xywh", "box", "cut", "reason"),
    [
        ((1, 1, WIDTH, HEIGHT), (0, 0, 64, 48), False, ""),  # the whole image, counted from 1
        ((11, 21, 30, 20), (10, 20, 40, 40), False, ""),
        ((64, 48, 1, 1), (63, 47, 64, 48), False, ""),  # the last pixel
        ((0, 1, 10, 10), (0, 0, 9, 10), True, ""),  # LaSOT: x below 1
        ((-9, -9, 20, 20), (0, 0, 10, 10), True, ""),
        ((60, 40, 6, 10), (59, 39, 64, 48), True, ""),  # one pixel too far right and down
        ((11.5, 21.25, 30.5, 20), (10.5, 20.25, 41, 40.25), False, ""),  # decimals stay
        ((11, 21, 0, 20), None, False, "zero box"),
        ((0, 0, 0, 0), None, True, "zero box"),
        ((11, 21, -3, 20), None, False, "inverted box"),
        ((11, 21, 0, -1), None, False, "inverted box"),
        ((float("nan"), 21, 30, 20), None, True, "nan box"),
        ((11, 21, float("inf"), 20), None, True, "nan box"),
        ((-1e308, 1, 1.7e308, float("-inf")), None, True, "nan box"),
        ((65, 1, 10, 10), None, True, "box outside the image"),  # begins where the image ends
        ((-9, 1, 10, 10), None, True, "box outside the image"),  # ends where it begins
        ((1, 1000, 10, 10), None, True, "box outside the image"),
    ],
)
def test_a_box_is_made_zero_based_and_half_open_and_cut_at_the_edge(
    xywh: tuple[float, ...], box: tuple[float, ...] | None, cut: bool, reason: str
) -> None:
    (found,), (clipped,), (why,) = clips.place(np.array([xywh], dtype=float), HEADER)
    assert why == reason
    assert (found and (found.x1, found.y1, found.x2, found.y2)) == box
    if box:
        assert clipped is cut


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("11,21,0,20", "zero box"),
        ("11,21,-5,20", "inverted box"),
        ("nan,21,5,20", "nan box"),
        ("inf,21,5,20", "nan box"),
        ("110,21,5,20", "box outside the image"),
    ],
)
def test_a_box_that_is_none_is_left_out_and_counted(tmp_path: Path, line: str, reason: str) -> None:
    folder = lasot_clip(tmp_path)
    put(folder / "groundtruth.txt", lines(line, *["11,21,30,20"] * 4, line))
    record = the_record(lasot(tmp_path))
    assert record.skipped == {reason: 2}
    assert [region.image for region in record.regions] == [1, 2, 3, 4]
    assert len(record.images) == 6


def test_clipping_is_recorded(tmp_path: Path) -> None:
    folder = lasot_clip(tmp_path)
    put(folder / "groundtruth.txt", lines("0,21,30,20", *["11,21,30,20"] * 5))
    record = the_record(lasot(tmp_path))
    assert [region.clipped for region in record.regions] == [True] + [False] * 5
    assert corners(record)[0] == (0, 20, 29, 40)
    assert record.skipped == {}


@pytest.mark.parametrize(
    ("content", "reason", "value"),
    [
        (lines(*["1,2,3,4"] * 5), "annotation lines differ from frames", "5 lines, 6 frames"),
        (lines(*["1,2,3,4"] * 7), "annotation lines differ from frames", "7 lines, 6 frames"),
        ("", "annotation lines differ from frames", "0 lines, 6 frames"),
        ("1,2,3,4\n", "annotated in the first frame only", "6 frames"),
        (
            lines("1,2,3,4", "1,2,x,4", *["1,2,3,4"] * 4),
            "malformed annotation line",
            "groundtruth.txt:2: '1,2,x,4'",
        ),
        (
            lines("1,2,3,4", "1,2,3", *["1,2,3,4"] * 4),
            "malformed annotation line",
            "groundtruth.txt:2: '1,2,3'",
        ),
        (lines(*["1,2,3,4,5"] * 6), "malformed annotation line", "groundtruth.txt:1: '1,2,3,4,5'"),
        (
            lines("1,2,3,4", "", *["1,2,3,4"] * 4),
            "malformed annotation line",
            "groundtruth.txt:2: ''",
        ),
        (
            lines("1_0,2,3,4", *["1,2,3,4"] * 5),
            "malformed annotation line",
            "groundtruth.txt:1: '1_0,2,3,4'",
        ),
        (
            lines("1,2,3,", *["1,2,3,4"] * 5),
            "malformed annotation line",
            "groundtruth.txt:1: '1,2,3,'",
        ),
        ("1\t2\t3\t4\n" * 6, "malformed annotation line", r"groundtruth.txt:1: '1\t2\t3\t4'"),
        (b"\xff\xfe1,2,3,4\n", "text is not UTF-8", "goat/goat-1/groundtruth.txt"),
        (None, "missing annotation", "goat/goat-1/groundtruth.txt"),
    ],
)
def test_a_clip_whose_boxes_cannot_be_read_is_dropped_with_the_reason(
    tmp_path: Path, content: str | bytes | None, reason: str, value: str
) -> None:
    path = lasot_clip(tmp_path) / "groundtruth.txt"
    path.unlink()
    if content is not None:
        put(path, content)
    found, what = the_drop(lasot(tmp_path))
    assert found == reason
    assert what is not None
    assert what.endswith(value)


@pytest.mark.parametrize(
    "content",
    [
        "11,21,30,20\r\n" * 6,  # Windows line ends
        "\ufeff" + "11,21,30,20\n" * 6,  # byte order mark
        "11, 21, 30, 20\n" * 6 + "\n\n",  # spaces, empty lines at the end
        "+11,021,30.,20.0\n" * 6,  # numbers that JSON would not write
        "1.1e1,2.1E+1,30,20\n" * 5 + "11,21,30,20",  # no newline at the end
    ],
)
def test_numbers_may_be_written_in_any_usual_way(tmp_path: Path, content: str) -> None:
    put(lasot_clip(tmp_path) / "groundtruth.txt", content)
    assert corners(the_record(lasot(tmp_path))) == [(10, 20, 40, 40)] * 6


def test_frames_are_sorted_as_numbers_and_other_files_are_no_frames(tmp_path: Path) -> None:
    for name in ("10.jpg", "9.jpg", "100.JPG", "._9.jpg", "Thumbs.db", "cover.jpg", "9.txt"):
        put(tmp_path / "a" / name, jpeg())
    found = clips.frames(lasot(tmp_path), "a")
    assert [image.uri for image in found.images] == [
        "lasot:a/9.jpg",
        "lasot:a/10.jpg",
        "lasot:a/100.JPG",
    ]
    assert [image.frame for image in found.images] == [9, 10, 100]


def test_two_files_with_one_number_cannot_be_told_apart(tmp_path: Path) -> None:
    for name in ("1.jpg", "01.jpg"):
        put(tmp_path / "a" / name, jpeg())
    with pytest.raises(Rejected, match=r"two files for one frame: 01.jpg, 1.jpg"):
        clips.frames(lasot(tmp_path), "a")


def test_every_frame_takes_the_size_and_format_of_the_first(tmp_path: Path) -> None:
    folder = lasot_clip(tmp_path)
    put(folder / "img/00000002.jpg", b"not opened here")
    record = the_record(lasot(tmp_path))
    assert {(i.width, i.height, i.format, i.orientation) for i in record.images} == {
        (WIDTH, HEIGHT, "jpeg", 1)
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty image"),
        (b"no image at all", "unreadable image"),
        (jpeg()[:10], "truncated image"),
    ],
)
def test_a_first_frame_without_a_header_drops_the_clip(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    put(lasot_clip(tmp_path) / "img/00000001.jpg", content)
    found, value = the_drop(lasot(tmp_path))
    assert found == reason
    assert value is not None
    assert value.startswith("goat/goat-1/img/00000001.jpg")


def test_a_header_longer_than_the_usual_head_is_read_whole(tmp_path: Path) -> None:
    data = jpeg()
    notes = (b"\xff\xfe\xff\xff" + b"x" * 65533) * 2
    put(lasot_clip(tmp_path) / "img/00000001.jpg", data[:2] + notes + data[2:])
    assert the_record(lasot(tmp_path)).images[0].width == WIDTH


@pytest.mark.parametrize(
    ("orientation", "size", "box"),
    [
        (3, (64, 48), (24, 8, 54, 28)),  # turned by half: 64 - 40, 48 - 40
        (6, (48, 64), (8, 10, 28, 40)),  # stored rows run from right to left
        (8, (48, 64), (20, 24, 40, 54)),
    ],
)
def test_a_rotated_photo_and_its_box_leave_upright(
    tmp_path: Path, orientation: int, size: tuple[int, int], box: tuple[float, ...]
) -> None:
    folder = lasot_clip(tmp_path)
    for number in range(1, 7):
        put(folder / f"img/{number:08d}.jpg", jpeg(orientation=orientation))
    record = the_record(lasot(tmp_path))
    assert (record.images[0].width, record.images[0].height) == size
    assert record.images[0].orientation == orientation
    assert corners(record) == [box] * 6


def test_boxes_that_a_corpus_gives_in_upright_pixels_are_not_turned_again(tmp_path: Path) -> None:
    class Upright(Lasot):
        frame = "upright"

    folder = lasot_clip(tmp_path)
    for number in range(1, 7):
        put(folder / f"img/{number:08d}.jpg", jpeg(orientation=6))
    record = the_record(Upright(name="lasot", root=Root(str(tmp_path))))
    assert (record.images[0].width, record.images[0].height) == (48, 64)
    assert corners(record) == [(10, 20, 40, 40)] * 6


@pytest.mark.parametrize("part", ["goat/../../etc", "/etc/passwd", "goat//goat-1", "..", r"..\up"])
def test_a_part_that_leaves_the_root_is_dropped(tmp_path: Path, part: str) -> None:
    (item,) = lasot(tmp_path).records(part)
    assert isinstance(item, Drop)
    assert (item.reason, item.value) == ("path leaves the corpus root", part)


def test_frames_behind_a_link_that_leaves_the_root_are_dropped(tmp_path: Path) -> None:
    inside, outside = tmp_path / "root", tmp_path / "elsewhere"
    folder = lasot_clip(inside)
    (folder / "img").rename(outside)
    (folder / "img").symlink_to(outside)
    assert the_drop(lasot(inside))[0] == "path leaves the corpus root"


def test_a_file_that_is_there_but_cannot_be_read_is_an_error_not_a_drop(tmp_path: Path) -> None:
    folder = lasot_clip(tmp_path)
    (folder / "groundtruth.txt").unlink()
    (folder / "groundtruth.txt").mkdir()
    with pytest.raises(Exception, match=r"cannot read goat/goat-1/groundtruth.txt"):
        the_record(lasot(tmp_path))


def test_a_corpus_behind_a_url_gives_the_same_records(tmp_path: Path) -> None:
    lasot_clip(tmp_path)
    trackingnet_clip(tmp_path)
    memory = fsspec.filesystem("memory")
    for path in sorted(tmp_path.rglob("*.*")):
        memory.pipe(f"/clips/{path.relative_to(tmp_path)}", path.read_bytes())
    try:
        for kind in (Lasot, TrackingNet):
            here = kind(name="x", root=Root(str(tmp_path)))
            there = kind(name="x", root=Root("memory://clips"))
            assert there.parts() == here.parts()
            assert the_record(there) == the_record(here)
    finally:
        memory.rm("/clips", recursive=True)
