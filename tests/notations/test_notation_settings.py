"""A recipe gives a notation its settings, and the release says which they were."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mgdata import recipe, synth
from mgdata.errors import UsageError
from mgdata.release.check import check
from mgdata.run import Run

RECIPE = """
name: small
corpora: {got10k: {}}
tasks: {object_tracking: {samples: 6}}
release: {notation: NOTATION, with: SETTINGS}
"""
SMALL = "{factor: 32, min_pixels: 4096, max_pixels: 65536}"


def written(folder: Path, notation: str, settings: str) -> Path:
    """A recipe with a notation and its settings."""
    file = folder / "small.yaml"
    file.write_text(RECIPE.replace("NOTATION", notation).replace("SETTINGS", settings))
    return file


def released(folder: Path, notation: str, settings: str) -> Path:
    """A release of that recipe; a second call runs on in the same folder."""
    loaded = recipe.load(written(folder, notation, settings), {"got10k": str(folder / "got10k")})
    with Run(loaded, str(folder / "run"), tell=lambda *_: None) as run:
        run.until("release")
    return folder / "run/release"


def frames(release: Path) -> set[str]:
    tables = [pq.read_table(file, columns=["frame"]) for file in release.glob("data/*/*.parquet")]
    return {frame for table in tables for frame in table["frame"].to_pylist()}


def test_the_settings_reach_the_rows_and_the_card_and_stand_the_check(tmp_path: Path) -> None:
    synth.write("got10k", tmp_path / "got10k", clips=4, frames=10)
    release = released(tmp_path, "qwen2.5-vl", SMALL)
    stated = "resized factor=32 min_pixels=4096 max_pixels=65536"
    assert frames(release) == {stated}
    assert f"`{stated}`" in (release / "README.md").read_text()
    assert check(release).faults == ()
    # Other settings are other rows.
    release = released(tmp_path, "qwen2.5-vl", "{}")
    assert frames(release) == {"resized factor=28 min_pixels=3136 max_pixels=1003520"}
    assert check(release).faults == ()


WRONG = [
    ("qwen2.5-vl", "{factr: 28}", "small.yaml: release.with.factr: unknown key"),
    ("qwen2.5-vl", "{factor: big}", "small.yaml: release.with.factor: "),
    ("qwen2.5-vl", "{factor: 1}", "small.yaml: release.with: factor is 2 or more, found 1"),
    ("qwen2-vl", "{factor: 28}", "small.yaml: release.with.factor: unknown key"),
    ("qwen2.5", "{}", "small.yaml: release.notation: there is no notation 'qwen2.5'"),
    ("qwen2-vl", "[]", "small.yaml: release.with: "),
]


@pytest.mark.parametrize(("notation", "settings", "said"), WRONG)
def test_a_wrong_setting_is_told_with_file_and_key(
    notation: str, settings: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as found:
        recipe.load(written(tmp_path, notation, settings))
    assert said in str(found.value)
