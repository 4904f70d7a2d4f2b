"""Corpora that are damaged, folders that are not runs: a clear error or a ledger row, nothing lost.

One corpus of tiny clips is written, each clip is damaged in its own way, and one run over all of
them is looked at from every side.
"""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from command import counted, entries, ledger, mgdata
from damage import BOX, CASES, FRAMES, HEIGHT, LISTED, RECIPE, UNUSED, WIDTH, write_clip
from PIL import Image as Picture

from mgdata.data import Drop

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
