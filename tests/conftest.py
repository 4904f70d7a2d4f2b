"""What every test shares: where real corpora lie, and which tests run when."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("mgdata", deadline=None)
hypothesis.settings.load_profile("mgdata")


QUICK = ("got10k", "lasot", "motchallenge", "trackingnet")
"""Layouts of the quickstart."""


LONG = (
    *("test_recipes", "test_docs", "test_teacher_killed", "test_killed_runs", "test_needs"),
    *("test_ray_cluster", "test_ray_engine", "test_teacher_runs", "test_teacher_products"),
    *("test_teacher_recipes", "test_teacher_written", "test_reproducible", "test_benchmarks"),
    *("test_resume", "test_remote", "test_disk", "test_wheel", "test_plugin_package", "test_cli"),
    *("test_bad_folders", "test_bad_input", "test_estimate", "test_prose", "test_contract"),
)
"""Modules that take long, begun first: one that began last would keep a worker waiting."""


def _place(item: pytest.Item) -> int:
    name = item.path.stem
    return LONG.index(name) if name in LONG else len(LONG)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of real corpora run when a folder of them is named, and only then."""
    items.sort(key=_place)
    if os.environ.get("MGDATA_CORPORA"):
        return
    kept = [item for item in items if item.get_closest_marker("real") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture
def real_corpora() -> Path:
    """The folder of real corpora; fails where it is not there."""
    folder = Path(os.environ["MGDATA_CORPORA"])
    assert folder.is_dir(), f"MGDATA_CORPORA names {folder}, which is not there"
    return folder


@pytest.fixture(scope="session")
def quick_corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small synthetic corpora in all four layouts, and their `roots.yaml`; never written to."""
    from mgdata.synth import write

    folder = tmp_path_factory.mktemp("corpora")
    for number, layout in enumerate(QUICK):
        write(layout, folder / layout, clips=6, frames=16, size=(192, 144), seed=number)
    lines = [f"{layout}: {layout}" for layout in QUICK]
    (folder / "roots.yaml").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def quick_run(quick_corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished serial run of the quickstart over `quick_corpora`; never written to."""
    from mgdata import load_recipe, run

    folder = tmp_path_factory.mktemp("quick") / "run"
    outcome = run(
        load_recipe("quickstart", str(quick_corpora / "roots.yaml")), str(folder), engine="serial"
    )
    assert outcome.worked and not outcome.short
    return folder
