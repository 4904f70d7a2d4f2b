"""Corpora that are damaged, folders that are not runs: a clear error or a ledger row, nothing lost.

One corpus of tiny clips is written, each clip is damaged in its own way, and one run over all of
them is looked at from every side.
"""

from __future__ import annotations

import io
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from command import counted, entries, ledger, mgdata
from PIL import Image as Picture

from mgdata.data import Drop

WIDTH, HEIGHT = 128, 96
FRAMES = 6
BOX = (40, 20, 36, 28)
"""x, y, width, height from 0, in stored pixels: a bright patch on dark noise."""
RECIPE = """\
name: damaged
seed: 3
corpora: {got10k: {}}
tasks:
  object_tracking:
    samples: SAMPLES
    with: {frames: [6, 6], given: coordinates, turns: all, asked: 5}
limits: {rejected: 1.0}
"""


def pixels(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    picture = rng.integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    x, y, w, h = BOX
    picture[y : y + h, x : x + w] = (40, 230, 40)
    return picture


def encoded(picture: Picture.Image, kind: str = "jpeg", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, format=kind, **options)
    return out.getvalue()


def jpeg(number: int, **options: object) -> bytes:
    return encoded(Picture.fromarray(pixels(number)), quality=92, **options)


def write_clip(root: Path, name: str) -> Path:
    folder = root / "train" / name
    folder.mkdir(parents=True)
    x, y, w, h = BOX
    for number in range(1, FRAMES + 1):
        (folder / f"{number:08d}.jpg").write_bytes(jpeg(number))
    (folder / "groundtruth.txt").write_text(f"{x + 1},{y + 1},{w},{h}\n" * FRAMES)
    (folder / "absence.label").write_text("0\n" * FRAMES)
    (folder / "cover.label").write_text("8\n" * FRAMES)
    (folder / "meta_info.ini").write_text("[METAINFO]\nobject_class: lamp\n")
    return folder


# Each of these damages one clip.


def lines(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    file = folder / "groundtruth.txt"
    file.write_text("\n".join(change(file.read_text().splitlines())) + "\n")


def line(folder: Path, text: str) -> None:
    lines(folder, lambda found: [*found[:2], text, *found[3:]])


def frames(folder: Path, make: Callable[[int, bytes], bytes], first: int = 2) -> None:
    """Another content for every frame from `first` on."""
    for number in range(first, FRAMES + 1):
        file = folder / f"{number:08d}.jpg"
        file.write_bytes(make(number, file.read_bytes()))


def renamed(folder: Path, suffix: str, make: Callable[[int], bytes]) -> None:
    for number in range(1, FRAMES + 1):
        file = folder / f"{number:08d}.jpg"
        file.unlink()
        file.with_suffix(suffix).write_bytes(make(number))


def out_of_the_root(folder: Path) -> None:
    elsewhere = folder.parent.parent.with_name("elsewhere")
    shutil.move(folder, elsewhere)
    folder.symlink_to(elsewhere)


def frame_out_of_the_root(folder: Path) -> None:
    file = folder / "00000002.jpg"
    elsewhere = folder.parent.parent.with_name("secret.jpg")
    shutil.move(file, elsewhere)
    file.symlink_to(elsewhere)


UNUSED = "a record that no group takes"


@dataclass(frozen=True)
class Case:
    damage: Callable[[Path], object]
    reason: str | None
    """The reason of its drop, `UNUSED`, or None where the clip gives its sample."""
    image: bool = False
    """Found when a chosen image is measured: the reason is the image's, the sample goes with it."""
    counted: dict[str, int] = field(default_factory=dict)


def gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


CASES = {
    # annotation files
    "no-annotation": Case(gone("groundtruth.txt"), "missing annotation"),
    "no-absence": Case(gone("absence.label"), "missing annotation"),
    "no-meta": Case(gone("meta_info.ini"), "missing annotation"),
    "line-missing": Case(lambda f: lines(f, lambda x: x[:-1]), "annotation lines differ from frames"),
    "frame-missing": Case(gone("00000004.jpg"), "annotation lines differ from frames"),
    "first-only": Case(lambda f: lines(f, lambda x: x[:1]), "annotated in the first frame only"),
    "no-number": Case(lambda f: line(f, "1,2,x,4"), "malformed annotation line"),
    "three-numbers": Case(lambda f: line(f, "1,2,3"), "malformed annotation line"),
    "latin-1": Case(lambda f: (f / "meta_info.ini").write_bytes(b"object_class: caf\xe9\n"), "text is not UTF-8"),
    "latin-1-boxes": Case(lambda f: (f / "groundtruth.txt").write_bytes(b"1,2,3,4\n\xb5\n"), "text is not UTF-8"),
    "clip-missing": Case(shutil.rmtree, "listed but missing"),
    "no-frames": Case(lambda f: [x.unlink() for x in f.glob("*.jpg")], "no frames"),
    "link-out": Case(out_of_the_root, "path leaves the corpus root"),
    # boxes: the region is left out and counted; five frames of six are too few for these samples
    "nan-box": Case(lambda f: line(f, "nan,21,30,20"), UNUSED, counted={"nan box": 1}),
    "infinite-box": Case(lambda f: line(f, "inf,21,30,20"), UNUSED, counted={"nan box": 1}),
    "inverted-box": Case(lambda f: line(f, "60,40,-30,-20"), UNUSED, counted={"inverted box": 1}),
    "zero-box": Case(lambda f: line(f, "11,21,0,20"), UNUSED, counted={"zero box": 1}),
    "box-outside": Case(lambda f: line(f, "500,21,30,20"), UNUSED, counted={"box outside the image": 1}),
    "box-clipped": Case(lambda f: line(f, "100,21,300,20"), None, counted={"clipped boxes": 1}),
    # a clip takes its size from its first frame
    "first-frame-empty": Case(lambda f: frames(f, lambda n, d: b"" if n == 1 else d, 1), "empty image"),
    "first-frame-text": Case(lambda f: frames(f, lambda n, d: b"no picture" * 9 if n == 1 else d, 1), "unreadable image"),
    # later frames are opened when they are chosen
    "truncated": Case(lambda f: frames(f, lambda n, d: d[: len(d) // 2]), "truncated image", image=True),
    "corrupt": Case(lambda f: frames(f, lambda n, d: d[:900] + bytes(600) + d[1500:]), "corrupt image", image=True),
    "empty": Case(lambda f: frames(f, lambda n, d: b""), "empty image", image=True),
    "text": Case(lambda f: frames(f, lambda n, d: b"<html>404 not found</html>" * 40), "unreadable image", image=True),
    "other-size": Case(lambda f: frames(f, lambda n, d: encoded(Picture.new("RGB", (64, 48)))), "size differs from the record", image=True),
    "other-turn": Case(lambda f: frames(f, lambda n, d: jpeg(n, exif=turned(6))), "orientation differs from the record", image=True),
    "bomb": Case(lambda f: frames(f, lambda n, d: encoded(Picture.new("1", (20000, 20000)), "png")), "image too large", image=True),
    "frame-link-out": Case(frame_out_of_the_root, "unreadable file", image=True),
    # sound, and converted where they must be
    "sound": Case(lambda f: None, None),
    "png-called-jpg": Case(lambda f: frames(f, lambda n, d: encoded(Picture.fromarray(pixels(n)), "png"), 1), None),
    "rotated": Case(lambda f: frames(f, lambda n, d: jpeg(n, exif=turned(6)), 1), None, counted={"turned upright": 6}),
    "cmyk": Case(lambda f: frames(f, lambda n, d: encoded(Picture.fromarray(pixels(n)).convert("CMYK"), quality=92), 1), None, counted={"converted: cmyk": 6}),
    "grey": Case(lambda f: frames(f, lambda n, d: encoded(Picture.fromarray(pixels(n)).convert("L"), quality=92), 1), None, counted={"converted: greyscale": 6}),
    "palette": Case(lambda f: renamed(f, ".png", lambda n: encoded(Picture.fromarray(pixels(n)).quantize(64), "png")), None, counted={"converted: palette": 6}),
    "sixteen-bit": Case(lambda f: renamed(f, ".png", sixteen_bit), None, counted={"converted: 16-bit": 6}),
    "webp": Case(lambda f: renamed(f, ".webp", lambda n: encoded(Picture.fromarray(pixels(n)), "webp", quality=92)), None, counted={"converted: webp": 6}),
}  # fmt: skip
LISTED = {
    # list.txt may name anything
    "../../etc": "path leaves the corpus root",
    "/etc": "path leaves the corpus root",
    "a/../../b": "path leaves the corpus root",
}


def turned(orientation: int) -> Picture.Exif:
    exif = Picture.Exif()
    exif[0x0112] = orientation
    return exif


def sixteen_bit(number: int) -> bytes:
    grey = np.asarray(Picture.fromarray(pixels(number)).convert("L")).astype(np.uint16) * 257
    return encoded(Picture.fromarray(grey), "png")


SOUND = sorted(name for name, case in CASES.items() if case.reason is None)
LOST = sorted(name for name, case in CASES.items() if case.reason not in (None, UNUSED))


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the corpus, its recipe and the run over it."""
    folder = tmp_path_factory.mktemp("damaged")
    for name, case in CASES.items():
        case.damage(write_clip(folder / "got10k", name))
    names = "\n".join([*CASES, *LISTED]) + "\n"
    (folder / "got10k" / "train" / "list.txt").write_text(names)
    (folder / "damaged.yaml").write_text(RECIPE.replace("SAMPLES", str(len(SOUND))))
    ended = mgdata(
        "run", folder / "damaged.yaml", "--root", f"got10k={folder / 'got10k'}",
        "--out", folder / "run", "--engine", "serial", "--quiet",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    return folder


@pytest.fixture(scope="module")
def drops(damaged: Path) -> list[Drop]:
    return ledger(damaged / "run")


def rows(run: Path) -> list[dict[str, object]]:
    files = sorted((run / "release" / "data").rglob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def clip(key: str) -> str:
    """The clip that a record key or image uri belongs to."""
    return key.partition("train/")[2].partition("/0000")[0]


@pytest.mark.parametrize("name", LOST)
def test_a_damaged_clip_leaves_a_ledger_row_with_its_reason(name: str, drops: list[Drop]) -> None:
    case = CASES[name]
    mine = [drop for drop in drops if clip(drop.key) == name]
    assert [drop.reason for drop in mine] == [case.reason]
    assert mine[0].key.startswith("got10k:" if case.image else "got10k/")
    if case.image:
        whole = [drop for drop in drops if drop.value == mine[0].key]
        assert [drop.reason for drop in whole] == ["image unfit"]


@pytest.mark.parametrize(("name", "reason"), LISTED.items())
def test_a_listed_path_that_leaves_the_root_is_a_ledger_row(
    name: str, reason: str, drops: list[Drop]
) -> None:
    assert [drop.reason for drop in drops if drop.key == f"got10k/train/{name}"] == [reason]


def test_every_part_is_a_record_or_a_drop(damaged: Path, drops: list[Drop]) -> None:
    run = damaged / "run"
    kept = sum(entry.rows for entry in entries(run, "ingest"))
    lost = [drop for drop in drops if drop.stage == "ingest"]
    assert kept + len(lost) == len(CASES) + len(LISTED)


def test_every_sound_clip_is_in_the_release_and_no_other(damaged: Path) -> None:
    found = sorted(clip(key) for row in rows(damaged / "run") for key in row["records"])
    assert found == SOUND


def test_what_was_left_out_cut_turned_and_converted_is_counted(damaged: Path) -> None:
    noted = Counter(counted(damaged / "run", "ingest"))
    noted.update(counted(damaged / "run", "build"))
    wanted: Counter[str] = Counter()
    for case in CASES.values():
        wanted.update(case.counted)
    assert {name: noted[name] for name in wanted} == dict(wanted)


@pytest.mark.parametrize("name", [name for name in SOUND if name != "box-clipped"])
def test_pixels_and_box_leave_together(name: str, damaged: Path) -> None:
    """The bright patch fills the box and nothing round it, in an upright RGB picture."""
    (row,) = [row for row in rows(damaged / "run") if row["records"] == [f"got10k/train/{name}"]]
    assert len(row["images"]) == FRAMES
    x, y, w, h = BOX
    expected = (x, y, x + w, y + h)
    if name == "rotated":  # orientation 6: the stored picture is turned right by a quarter
        expected = (HEIGHT - y - h, x, HEIGHT - y, x + w)
    for target in row["turns"][0]["targets"]:
        assert tuple(target["box"]) == expected
    for image, info in zip(row["images"], row["image_info"], strict=True):
        picture = Picture.open(io.BytesIO(image["bytes"]))
        assert picture.getexif().get(0x0112, 1) == 1
        assert picture.mode == "RGB"
        assert picture.size == (info["width"], info["height"])
        assert picture.size == ((HEIGHT, WIDTH) if name == "rotated" else (WIDTH, HEIGHT))
        bright = np.asarray(picture.convert("L")) > 100
        ys, xs = np.nonzero(bright)
        near = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) - expected
        assert np.abs(near).max() <= 1
        x1, y1, x2, y2 = expected
        assert bright[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].all()


def test_a_release_from_damaged_corpora_passes_its_check(damaged: Path) -> None:
    ended = mgdata("check", damaged / "run")
    assert ended.code == 0, ended.out


def test_a_check_of_the_corpus_finds_what_ingest_finds(damaged: Path, drops: list[Drop]) -> None:
    report = damaged / "report.json"
    ended = mgdata("corpora", "check", "got10k", damaged / "got10k", "--json", report)
    assert ended.code == 0, ended.err
    found = msgspec.json.decode(report.read_bytes())
    lost = Counter(drop.reason for drop in drops if drop.stage == "ingest")
    assert {reason: drop["count"] for reason, drop in found["drops"].items()} == dict(lost)


def test_explain_tells_why_a_record_an_image_and_a_sample_are_not_there(
    damaged: Path, drops: list[Drop]
) -> None:
    run = damaged / "run"
    record = mgdata("explain", run, "got10k/train/line-missing")
    assert "annotation lines differ from frames: groundtruth.txt: 5 lines, 6 frames" in record.out
    unfit = next(drop for drop in drops if drop.reason == "corrupt image")
    image = mgdata("explain", run, unfit.key)
    assert f"dropped at measure: {unfit.key}: corrupt image" in image.out
    assert "image unfit" in image.out


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.reason == UNUSED])
def test_a_box_that_is_none_is_left_out_of_its_record_and_said_so(name: str, damaged: Path) -> None:
    told = mgdata("explain", damaged / "run", f"got10k/train/{name}").out
    (reason,) = CASES[name].counted
    assert f"record got10k/train/{name}: 6 images, 5 regions" in told
    assert f"left out of it: 1 x {reason}" in told


# Whole runs that cannot succeed.


@pytest.fixture
def two_clips(tmp_path: Path) -> Iterator[Path]:
    """A corpus of two sound clips and its recipe; the working folder."""
    for name in ("one", "two"):
        write_clip(tmp_path / "got10k", name)
    (tmp_path / "got10k" / "train" / "list.txt").write_text("one\ntwo\n")
    (tmp_path / "damaged.yaml").write_text(RECIPE.replace("SAMPLES", "2"))
    yield tmp_path


def run(folder: Path, *more: str) -> tuple[int, str]:
    words = ("--root", f"got10k={folder / 'got10k'}", "--out", folder / "run", "--engine", "serial")
    ended = mgdata("run", folder / "damaged.yaml", *words, *more)
    return ended.code, ended.err


def test_a_corpus_that_runs_short_ends_with_1_and_says_by_how_much(two_clips: Path) -> None:
    recipe = two_clips / "damaged.yaml"
    recipe.write_text(recipe.read_text().replace("samples: 2", "samples: 3"))
    code, said = run(two_clips)
    assert code == 1
    assert "short: object_tracking/train: 1 of 3 samples missing after 2 groups" in said
    assert len(rows(two_clips / "run")) == 2


def test_too_many_drops_end_the_run_with_1_and_no_release(two_clips: Path) -> None:
    recipe = two_clips / "damaged.yaml"
    recipe.write_text(recipe.read_text().replace("rejected: 1.0", "rejected: 0.4"))
    (two_clips / "got10k" / "train" / "two" / "groundtruth.txt").unlink()
    code, said = run(two_clips)
    assert code == 1
    assert "ingest dropped 1 of 2 (limits.rejected: 0.4): 1 missing annotation" in said
    assert not (two_clips / "run" / "release").exists()


@pytest.mark.parametrize("damage", ["a root of another layout", "an empty root", "an empty list"])
def test_a_root_without_the_layout_says_what_was_looked_for(damage: str, two_clips: Path) -> None:
    root = two_clips / "got10k"
    if damage == "an empty list":
        (root / "train" / "list.txt").write_text("\n")
    else:
        shutil.rmtree(root / "train")
        if damage == "a root of another layout":
            (root / "TRAIN_0").mkdir()
    code, said = run(two_clips)
    assert code == 2
    assert "is no Got10k root: looked for train/list.txt" in said
    assert "get the data from http" in said


def test_the_folder_of_another_recipes_run_is_left_alone(two_clips: Path) -> None:
    assert run(two_clips)[0] == 0
    before = {f: f.stat().st_mtime_ns for f in (two_clips / "run").rglob("*") if f.is_file()}
    recipe = two_clips / "damaged.yaml"
    recipe.write_text(recipe.read_text().replace("name: damaged", "name: other"))
    code, said = run(two_clips)
    assert code == 2
    assert "holds a run of recipe 'damaged', not of 'other': choose another --out" in said
    assert before == {
        f: f.stat().st_mtime_ns for f in (two_clips / "run").rglob("*") if f.is_file()
    }


def test_a_folder_that_is_no_run_is_left_alone(two_clips: Path) -> None:
    (two_clips / "run").mkdir()
    (two_clips / "run" / "thesis.tex").write_text("dear")
    code, said = run(two_clips)
    assert code == 2
    assert "is not a run folder (it holds thesis.tex): choose an empty or new --out" in said
    assert os.listdir(two_clips / "run") == ["thesis.tex"]  # noqa: PTH208


def test_a_run_file_that_is_damaged_is_named(two_clips: Path) -> None:
    assert run(two_clips)[0] == 0
    (two_clips / "run" / "run.json").write_text('{"name": "damaged"')
    code, said = run(two_clips)
    assert code == 2
    assert "run.json is not a run file" in said


@pytest.mark.parametrize("pattern", ["records/**/*.arrow", "samples/**/*.parquet", "release/data/**/*.parquet", "manifest/build/*.json"])  # fmt: skip
def test_a_half_written_file_does_not_count_as_done(pattern: str, two_clips: Path) -> None:
    assert run(two_clips)[0] == 0
    whole = {f: f.read_bytes() for f in (two_clips / "run" / "release").rglob("*") if f.is_file()}
    (torn,) = (two_clips / "run").glob(pattern)
    torn.write_bytes(torn.read_bytes()[:200])
    # The run file says that all is there: the release is what it vouches for.
    if "release" not in pattern:
        mgdata("gc", two_clips / "run")
        (two_clips / "run" / "run.json").write_bytes(unfinished(two_clips / "run"))
    code, said = run(two_clips)
    assert code == 0, said
    assert whole == {
        f: f.read_bytes() for f in (two_clips / "run" / "release").rglob("*") if f.is_file()
    }


def unfinished(folder: Path) -> bytes:
    """The run file as a run leaves it that was killed before its end."""
    found = msgspec.json.decode((folder / "run.json").read_bytes())
    return msgspec.json.encode({**found, "finished": None})


@pytest.mark.parametrize("verb", ["status", "explain", "view", "check", "gc"])
def test_a_verb_on_a_folder_that_is_no_run_says_so(verb: str, tmp_path: Path) -> None:
    words = [verb, tmp_path, *(["key"] if verb == "explain" else [])]
    ended = mgdata(*words)
    assert ended.code in (2, 3)
    assert str(tmp_path) in ended.err or "release" in ended.err
    assert len(ended.err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_frame_that_changes_between_measuring_and_publishing_stops_the_run(
    two_clips: Path,
) -> None:
    words = ("--root", f"got10k={two_clips / 'got10k'}", "--out", two_clips / "run")
    built = mgdata("build", two_clips / "damaged.yaml", *words, "--engine", "serial", "--quiet")
    assert built.code == 0
    for file in (two_clips / "got10k").rglob("*.jpg"):
        file.write_bytes(jpeg(99)[:-100])
    code, said = run(two_clips)
    assert code == 3
    assert "changed since it was measured" in said and "use a fresh --out" in said
    assert not (two_clips / "run" / "release" / "data").exists() or not rows(two_clips / "run")
