"""The commands a user types, over real corpora: check each, build a release of them, check that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from processes import finished

pytestmark = pytest.mark.real

FOLDERS = {
    "got10k": "got10k",
    "lasot": "lasot",
    "trackingnet": "trackingnet",
    "motchallenge": "mot",
}
"""Corpus name to its folder below the real corpora."""
EACH = 6
"""Samples a corpus."""


def mgdata(*words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("mgdata")), *words]
    return finished(command, seconds=300)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task a corpus, so that each has to bring its share."""
    document = {
        "name": "real",
        "corpora": {name: {} for name in FOLDERS},
        "tasks": {
            f"tracking-{name}": {
                "builder": "object_tracking",
                "corpora": [name],
                "samples": EACH,
                "config": "object_tracking",
                "with": {"per_clip": 12, "sampler": "segments" if name == "got10k" else "random"},
            }
            for name in FOLDERS
        },
    }
    path = tmp_path_factory.mktemp("recipe") / "real.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def run(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished serial run over the real corpora."""
    out = tmp_path_factory.mktemp("run") / "serial"
    done = mgdata("run", str(recipe), "--out", str(out), "--engine", "serial", *_roots())
    assert done.returncode == 0, done.stderr
    return out


def _roots() -> list[str]:
    import os

    base = Path(os.environ["MGDATA_CORPORA"])
    return [f"--root={name}={base / folder}" for name, folder in FOLDERS.items()]


@pytest.mark.parametrize("name", FOLDERS)
def test_corpora_check_reads_the_whole_corpus(
    name: str, real_corpora: Path, tmp_path: Path
) -> None:
    found = tmp_path / "report.json"
    done = mgdata("corpora", "check", name, str(real_corpora / FOLDERS[name]), "--json", str(found))
    assert done.returncode == 0, done.stderr
    report = json.loads(found.read_text())
    assert report["records"] >= 1
    assert report["layout"] == "as expected"


def test_every_corpus_brings_its_samples_and_the_release_passes_its_check(run: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(next((run / "release/data/object_tracking").glob("train-*.parquet")))
    tasks = table["task"].to_pylist()
    assert {task: tasks.count(task) for task in set(tasks)} == {
        f"tracking-{name}": EACH for name in FOLDERS
    }
    checked = mgdata("check", str(run))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_ray_builds_the_same_files_from_real_corpora(
    run: Path, recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "ray"
    done = mgdata(
        "run", str(recipe), "--out", str(out), "--engine", "ray", "--workers", "2", *_roots()
    )
    assert done.returncode == 0, done.stderr
    serial, ray = (
        {f.relative_to(r): f.read_bytes() for f in (r / "release").rglob("*") if f.is_file()}
        for r in (run, out)
    )
    assert serial == ray


def test_the_gallery_of_real_samples_is_written(run: Path, tmp_path: Path) -> None:
    shown = mgdata("view", str(run), "--out", str(tmp_path / "gallery"))
    assert shown.returncode == 0, shown.stderr
    assert (tmp_path / "gallery/index.html").read_text().count("<article") >= EACH * len(FOLDERS)
