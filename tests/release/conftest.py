"""A small release, made once through the public path: synthetic corpora, a recipe, a serial run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import taught_releases

from mgdata import recipe, synth
from mgdata.run import Run

RECIPE = """
name: small
description: A release for the tests of `mgdata.release`.
seed: 3
corpora: {got10k: {license: CC-BY-4.0}, motchallenge: {}}
splits: {train: 0.6, validation: 0.4}
tasks:
  object_tracking:
    samples: 24
    with: {objects: 2, shuffled: 0.4, absent: 0.3, per_clip: 20}
build: {groups: 5}
release: {notation: NOTATION, row_group_mb: 0.2, file_mb: 0.3, date: "2026-11-20"}
"""


class Made:
    """A run's folder and what went into it."""

    def __init__(self, folder: Path, notation: str) -> None:
        self.run = folder / notation
        self.roots = {name: str(folder / name) for name in ("got10k", "motchallenge")}
        file = folder / f"{notation}.yaml"
        file.write_text(RECIPE.replace("NOTATION", notation))
        self.loaded = recipe.load(file, self.roots)
        with Run(self.loaded, str(self.run), tell=lambda *_: None) as run:
            self.outcome = run.until("release")
        self.release = self.run / "release"

    def files(self, split: str = "*") -> list[Path]:
        """Its Parquet files, in order."""
        return sorted(self.release.glob(f"data/*/{split}-*.parquet"))


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    for name in ("got10k", "motchallenge"):
        synth.write(name, folder / name, clips=6, frames=12)
    return folder


@pytest.fixture(scope="session")
def made(corpora: Path) -> Made:
    return Made(corpora, "qwen2-vl")


@pytest.fixture(scope="session")
def made_json(corpora: Path) -> Made:
    return Made(corpora, "qwen3-vl")


@pytest.fixture(scope="session")
def lessons(made: Made, tmp_path_factory: pytest.TempPathFactory) -> taught_releases.Taught:
    return taught_releases.release(made.run, tmp_path_factory.mktemp("taught"), "qwen2-vl")


@pytest.fixture(scope="session")
def lessons_json(
    made_json: Made, tmp_path_factory: pytest.TempPathFactory
) -> taught_releases.Taught:
    return taught_releases.release(made_json.run, tmp_path_factory.mktemp("taught"), "qwen3-vl")


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library, offline, with its cache in the test's folder."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf" / "datasets")
    datasets.disable_progress_bars()
    return datasets
