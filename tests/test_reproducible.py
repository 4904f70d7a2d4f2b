"""Same recipe, same bytes: serial, Ray with one worker, Ray with two."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import small_runs


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return small_runs.write_corpora(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_runs.write_recipe(tmp_path_factory.mktemp("recipe") / "small.yaml")


@pytest.fixture(scope="module")
def serial(recipe: Path, roots: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("serial") / "run"
    small_runs.done(recipe, roots, out, "--engine", "serial")
    return out


@pytest.mark.parametrize("stage", ["ingest", "build", "release"])
def test_the_recipe_of_these_tests_has_eight_shards_in_every_stage(
    serial: Path, stage: str
) -> None:
    assert len(list((serial / "manifest" / stage).glob("*.json"))) >= 8


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_recipe_of_these_tests_has_two_files_a_split_and_three_row_groups_a_file(
    serial: Path, split: str
) -> None:
    files = sorted((serial / "release/data/object_tracking").glob(f"{split}-*.parquet"))
    assert len(files) >= 2
    assert all(pq.ParquetFile(file).num_row_groups >= 3 for file in files)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ray_writes_the_bytes_that_the_serial_engine_writes(
    recipe: Path, roots: dict[str, str], serial: Path, tmp_path: Path, workers: str
) -> None:
    # From a folder that Ray puts first on its workers' module path: it must not shadow ours.
    (tmp_path / "builders").mkdir()
    (tmp_path / "builders/__init__.py").write_text("raise RuntimeError('the wrong builders')\n")
    flags = ("--engine", "ray", "--workers", workers)
    result = small_runs.done(recipe, roots, tmp_path / "run", *flags, cwd=tmp_path)
    assert f"engine started: workers={workers}" in result.stderr
    assert small_runs.digests(tmp_path / "run/release") == small_runs.digests(serial / "release")


def test_roots_and_folders_of_other_names_change_no_byte(
    recipe: Path, roots: dict[str, str], serial: Path, tmp_path: Path
) -> None:
    moved = {}
    for name, path in roots.items():
        moved[name] = str(tmp_path / f"elsewhere {name}")
        Path(moved[name]).symlink_to(path)
    small_runs.done(recipe, moved, tmp_path / "a folder of another name", "--engine", "serial")
    found = small_runs.digests(tmp_path / "a folder of another name/release")
    assert found == small_runs.digests(serial / "release")


def test_another_seed_gives_other_bytes(
    roots: dict[str, str], serial: Path, tmp_path: Path
) -> None:
    recipe = small_runs.write_recipe(tmp_path / "small.yaml", seed=8)
    small_runs.done(recipe, roots, tmp_path / "run", "--engine", "serial")
    assert small_runs.digests(tmp_path / "run/release") != small_runs.digests(serial / "release")


def test_an_entry_lists_every_file_of_its_shard_with_its_digest(serial: Path) -> None:
    found = small_runs.digests(serial)
    entries = [json.loads(path.read_text()) for path in serial.glob("manifest/*/*.json")]
    listed = {file["path"]: file for entry in entries for file in entry["files"]}
    assert all(found[path] == file["sha256"] for path, file in listed.items())
    stray = {p for p in found if p.startswith(("records/", "samples/", "release/data/"))} - {
        *listed
    }
    assert not stray
