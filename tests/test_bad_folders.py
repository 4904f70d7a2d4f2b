"""Runs that cannot succeed, and folders that are not what they are taken for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from command import mgdata
from damage import RECIPE, jpeg, write_clip

from mgdata.manifest import Manifest
from mgdata.storage import Store
from mgdata.synth import write


def rows(run: Path) -> list[dict[str, object]]:
    files = sorted((run / "release" / "data").rglob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


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


def test_a_run_that_finds_no_group_at_all_ends_with_1_and_says_so(two_clips: Path) -> None:
    recipe = two_clips / "damaged.yaml"
    recipe.write_text(
        "name: none\ncorpora: {got10k: {}}\ntasks: {referential_retrieval: {samples: 3}}\n"
    )
    code, said = run(two_clips)
    assert code == 1, said
    assert "short: referential_retrieval/train: 3 of 3 samples missing after 0 groups" in said
    assert rows(two_clips / "run") == []


def test_too_many_drops_end_the_run_with_1_and_no_release(two_clips: Path) -> None:
    recipe = two_clips / "damaged.yaml"
    recipe.write_text(recipe.read_text().replace("rejected: 1.0", "rejected: 0.4"))
    (two_clips / "got10k" / "train" / "two" / "groundtruth.txt").unlink()
    code, said = run(two_clips)
    assert code == 1
    assert "ingest dropped 1 of 2 (limits.rejected: 0.4): 1 missing annotation" in said
    assert not (two_clips / "run" / "release").exists()


def test_regions_that_a_filter_keeps_from_being_asked_for_do_not_count_as_lost(
    tmp_path: Path,
) -> None:
    write("motchallenge", tmp_path / "mot", clips=6, frames=20, size=(160, 120), seed=3)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: small\n"
        "corpora: {motchallenge: {}}\n"
        "filters: {visibility: {least: 0.9}}\n"
        "tasks: {object_tracking: {samples: 2, with: {frames: [2, 2]}}}\n"
    )
    words = ("--root", f"motchallenge={tmp_path / 'mot'}", "--out", tmp_path / "run")
    ended = mgdata("run", recipe, *words, "--engine", "serial")
    assert ended.code == 0, ended.err
    (entry,) = Manifest(Store(str(tmp_path / "run"))).entries("build").values()
    left = entry.counts["regions not asked for"]
    assert left == sum(entry.drops.values()) > 10 * entry.rows


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


def test_a_name_that_is_not_utf8_is_told_as_it_is_written(two_clips: Path) -> None:
    (two_clips / "got10k" / "train" / "list.txt").unlink()
    Path(os.fsdecode(bytes(two_clips / "got10k" / "train") + b"/GOT-10k_\xff")).mkdir()
    code, said = run(two_clips)
    assert code == 3
    assert "train holds a name that is not UTF-8: b'GOT-10k_\\xff': rename it" in said


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
