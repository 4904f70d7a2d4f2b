import configparser
import hashlib
import io
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.synth import FORMATS, write

SIZE = (160, 120)
CLIPS = ("got10k", "lasot", "motchallenge", "trackingnet")
"""Layouts of clips, an image a file."""


def corpus(tmp_path: Path, format: str, **changed):
    asked = {"clips": 5, "frames": 16, "size": SIZE, "seed": 3, **changed}
    summary = write(format, tmp_path / format, **asked)
    return summary, tmp_path / format


def fingerprint(root: Path):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def numbers(path: Path):
    return [[float(v) for v in line.split(",")] for line in path.read_text().splitlines()]


def inside(x, y, w, h):
    """A 1-based box that keeps to the image."""
    return x >= 1 and y >= 1 and x + w <= SIZE[0] + 1 and y + h <= SIZE[1] + 1


def flags(path: Path):
    return [int(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("format", FORMATS)
def test_equal_arguments_give_equal_bytes(tmp_path, format):
    _, one = corpus(tmp_path / "a", format, clips=2, frames=4)
    _, two = corpus(tmp_path / "b", format, clips=2, frames=4)
    _, other = corpus(tmp_path / "c", format, clips=2, frames=4, seed=4)
    assert fingerprint(one) == fingerprint(two)
    assert not set(_pictures(fingerprint(one))) & set(_pictures(fingerprint(other)))


def _pictures(found):
    return [sha for name, sha in found.items() if name.endswith(".jpg")]


@pytest.mark.parametrize("format", CLIPS)
def test_every_image_is_distinct_decodes_and_is_counted(tmp_path, format):
    summary, root = corpus(tmp_path, format)
    images = list(root.rglob("*.jpg"))
    assert summary.images == len(images) == 5 * 16
    assert summary.bytes == sum(path.stat().st_size for path in images)
    assert len(set(_pictures(fingerprint(root)))) == 80
    for path in images[::7]:
        data = path.read_bytes()
        assert data.endswith(b"\xff\xd9")
        picture = Image.open(io.BytesIO(data))
        picture.load()
        assert (picture.size, picture.mode, picture.format) == (SIZE, "RGB", "JPEG")


@pytest.mark.parametrize("format", CLIPS)
def test_a_larger_corpus_begins_with_the_same_pictures(tmp_path, format):
    _, small = corpus(tmp_path / "a", format, clips=2, frames=4)
    _, large = corpus(tmp_path / "b", format, clips=4, frames=4)
    assert set(_pictures(fingerprint(small))) < set(_pictures(fingerprint(large)))


def test_got10k_has_lists_flags_and_boxes_a_line_a_frame(tmp_path):
    summary, root = corpus(tmp_path, "got10k")
    assert (root / "train/list.txt").read_text() == "".join(
        f"GOT-10k_Train_{i:06d}\n" for i in range(1, 5)
    )
    assert (root / "val/list.txt").read_text() == "GOT-10k_Val_000001\n"
    absent = 0
    for clip in [*root.glob("train/GOT*"), *root.glob("val/GOT*")]:
        names = sorted(path.name for path in clip.glob("*.jpg"))
        assert names == [f"{i:08d}.jpg" for i in range(1, 17)]
        assert all(
            len(value.split(".")[1]) == 4
            for value in (clip / "groundtruth.txt").read_text().replace("\n", ",").split(",")[:-1]
        )
        boxes = numbers(clip / "groundtruth.txt")
        gone, cover, cut = (
            flags(clip / f"{name}.label") for name in ("absence", "cover", "cut_by_image")
        )
        assert len(boxes) == len(gone) == len(cover) == len(cut) == 16
        for (x, y, w, h), no, share, edge in zip(boxes, gone, cover, cut, strict=True):
            assert (share == 0) == (no == 1) == (w == 0 and h == 0 and x == 0 and y == 0)
            assert 0 <= share <= 8
            if not no:
                assert inside(x, y, w, h)
            if edge:
                assert x == 1 or y == 1 or x + w == SIZE[0] + 1 or y + h == SIZE[1] + 1
        absent += sum(gone)
    assert absent == summary.absent > 0


def test_got10k_says_what_the_target_is_in_the_order_of_the_real_file(tmp_path):
    _, root = corpus(tmp_path, "got10k", clips=1)
    lines = (root / "train/GOT-10k_Train_000001/meta_info.ini").read_text().splitlines()
    assert lines[0] == "[METAINFO]"
    assert [line.split(": ")[0] for line in lines[1:]] == [
        "url",
        "begin",
        "end",
        "anno_fps",
        "object_class",
        "motion_class",
        "major_class",
        "root_class",
        "motion_adverb",
        "resolution",
    ]
    assert lines[-1] == "resolution: (160, 120)"
    assert len(lines[5].split(": ")[1].split()) == 2  # a colour and a shape


def test_lasot_has_a_folder_a_class_and_flags_on_one_line(tmp_path):
    summary, root = corpus(tmp_path, "lasot", clips=10)
    listed = [(root / f"{s}_set.txt").read_text().split() for s in ("training", "testing")]
    assert [len(names) for names in listed] == [8, 2]
    absent = 0
    for name in (name for names in listed for name in names):
        clip = root / name.rsplit("-", 1)[0] / name
        assert sorted(p.name for p in (clip / "img").iterdir())[0] == "00000001.jpg"
        lines = (clip / "groundtruth.txt").read_text().splitlines()
        flag = {f: (clip / f"{f}.txt").read_text() for f in ("full_occlusion", "out_of_view")}
        hidden, gone = ([int(v) for v in text.split(",")] for text in flag.values())
        assert len(lines) == len(hidden) == len(gone) == 16
        assert not any("\n" in text or "." in text for text in flag.values())
        assert not any(a and b for a, b in zip(hidden, gone, strict=True))
        absent += sum(hidden) + sum(gone)
        phrase = (clip / "nlp.txt").read_text()
        assert phrase == phrase.lower().strip()
        assert 13 <= len(phrase) <= 88
        assert phrase.split()[1] == name.rsplit("-", 1)[0]
    assert absent == summary.absent > 0


def test_most_absent_frames_of_lasot_repeat_a_box_and_some_have_zeros(tmp_path):
    _, root = corpus(tmp_path, "lasot", clips=10)
    kinds = Counter()
    for clip in root.glob("*/*-*"):
        lines = (clip / "groundtruth.txt").read_text().splitlines()
        flag = [
            (clip / f"{f}.txt").read_text().split(",") for f in ("full_occlusion", "out_of_view")
        ]
        for t, line in enumerate(lines):
            if "1" in (flag[0][t], flag[1][t]):
                kinds["zero" if line == "0,0,0,0" else "stale"] += 1
                assert line in ("0,0,0,0", lines[t - 1])
            else:
                x, y, w, h = (int(v) for v in line.split(","))
                assert inside(x, y, w, h)
    assert kinds["stale"] > kinds["zero"] > 0


def test_trackingnet_has_unpadded_frames_and_tells_one_box_of_a_test_clip(tmp_path):
    summary, root = corpus(tmp_path, "trackingnet", clips=6)
    train = list((root / "TRAIN_0/anno").glob("*.txt"))
    test = list((root / "TEST/anno").glob("*.txt"))
    assert (len(train), len(test), summary.absent) == (5, 1, 0)
    assert any(path.name.startswith("-") for path in [*train, *test])
    for path in [*train, *test]:
        frames = {p.name for p in (path.parents[1] / "frames" / path.stem).iterdir()}
        assert frames == {f"{i}.jpg" for i in range(16)}
        assert len(path.stem.rsplit("_", 1)[0]) == 11
        boxes = numbers(path)
        assert len(boxes) == (16 if path in train else 1)
        for x, y, w, h in boxes:
            assert inside(x, y, w, h)
            assert min(w, h) > 8


def test_motchallenge_is_sorted_by_id_and_counts_walkers_only(tmp_path):
    _, root = corpus(tmp_path, "motchallenge", clips=4, frames=30)
    classes, outside, partly = Counter(), 0, 0
    for clip in sorted((root / "train").iterdir()):
        lines = (clip / "gt/gt.txt").read_text().splitlines()
        assert all(len(line.split(",")) == 9 for line in lines)
        assert all(
            "." not in part and "e" not in part for line in lines for part in line.split(",")[:8]
        )
        rows = numbers(clip / "gt/gt.txt")
        assert [(r[1], r[0]) for r in rows] == sorted({(r[1], r[0]) for r in rows})
        for frame, _, x, y, w, h, flag, kind, share in rows:
            assert 1 <= frame <= 30 and 0 <= share <= 1 and flag == (kind == 1)
            left = x < 1 or y < 1 or x + w > SIZE[0] + 1 or y + h > SIZE[1] + 1
            classes[int(kind)] += 1
            outside += left
            partly += 0 < share < 1
            assert not (left and share == 1)
    assert set(classes) == {1, 7, 8, 9}
    assert outside and partly


def test_motchallenge_describes_its_sequences(tmp_path):
    _, root = corpus(tmp_path, "motchallenge", clips=1)
    clip = root / "train/SYNTH-01"
    ini = configparser.ConfigParser()
    ini.optionxform = str
    ini.read(clip / "seqinfo.ini")
    assert dict(ini["Sequence"]) == {
        "name": "SYNTH-01",
        "imDir": "img1",
        "frameRate": "10",
        "seqLength": "16",
        "imWidth": "160",
        "imHeight": "120",
        "imExt": ".jpg",
    }
    assert sorted(p.name for p in (clip / "img1").iterdir())[-1] == "000016.jpg"
    assert all(row[1] == -1 for row in numbers(clip / "det/det.txt"))


@pytest.mark.parametrize(("goal", "size"), [(4_000, SIZE), (20_000, SIZE), (60_000, (320, 240))])
@pytest.mark.parametrize("format", ["got10k", "motchallenge"])
def test_jpeg_files_come_near_the_size_asked_for(tmp_path, format, goal, size):
    _, root = corpus(tmp_path, format, clips=3, frames=8, size=size, jpeg_bytes=goal)
    sizes = [path.stat().st_size for path in root.rglob("*.jpg")]
    assert all(0.85 * goal <= each <= 1.15 * goal for each in sizes)


def test_a_size_no_jpeg_can_have_is_refused_with_the_range_and_leaves_nothing(tmp_path):
    for goal in (300, 10_000_000):
        with pytest.raises(UsageError, match=rf"jpeg_bytes={goal} .* takes \d+ to \d+ bytes"):
            corpus(tmp_path, "got10k", jpeg_bytes=goal)
    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_after_every_clip(tmp_path):
    told = []
    corpus(tmp_path, "lasot", clips=3, frames=2, on_clip=told.append)
    assert told == [1, 2, 3]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clips": 0}, "clips=0"),
        ({"frames": 0}, "frames=0"),
        ({"quality": 101}, "quality=101"),
        ({"size": (320, 20)}, "320x20 is too small"),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_written(tmp_path, wrong, message):
    with pytest.raises(UsageError, match=message):
        corpus(tmp_path, "got10k", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_and_a_full_folder_are_refused(tmp_path):
    with pytest.raises(UsageError, match="choose one of clevr_change, coco, d3, davis, egoexo4d, "):
        write("got-10k", tmp_path / "x", clips=1, frames=1)
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an empty folder"):
        write("got10k", tmp_path, clips=1, frames=1)
    assert (tmp_path / "kept.txt").read_text() == "mine"


def test_an_empty_folder_is_filled_and_an_interrupted_corpus_never_appears(tmp_path):
    out = tmp_path / "corpus"
    out.mkdir()

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write("got10k", out, clips=2, frames=1, size=(64, 64), on_clip=interrupt)
    assert list(tmp_path.iterdir()) == [out]
    assert list(out.iterdir()) == []
    write("got10k", out, clips=1, frames=1, size=(64, 64))
    assert (out / "train/list.txt").exists()


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure, match=r"cannot write .*corpus"):
        write("got10k", tmp_path / "file" / "corpus", clips=1, frames=1, size=(64, 64))
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
