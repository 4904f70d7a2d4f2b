"""Run again: a finished run is read, a changed recipe rebuilds what is stale, leavings count for
nothing.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import processes
import pytest
import small_runs

from mgdata import api


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return small_runs.write_corpora(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="module")
def finished(roots: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe and a run of it; not to be written to."""
    folder = tmp_path_factory.mktemp("finished")
    recipe = small_runs.write_recipe(folder / "small.yaml")
    build(recipe, roots, folder / "run")
    return recipe, folder / "run"


@pytest.fixture
def run(finished: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """A recipe and a finished run of it, to be spoiled."""
    recipe = tmp_path / "small.yaml"
    recipe.write_bytes(finished[0].read_bytes())
    return recipe, small_runs.copy_run(finished[1], tmp_path / "run")


def build(recipe: Path, roots: dict[str, str], out: Path) -> None:
    pairs = [f"{name}={path}" for name, path in roots.items()]
    api.run(api.load(str(recipe), None, pairs), str(out), engine="serial")


def times(out: Path, stage: str) -> dict[str, int]:
    """When each entry of a stage was written, and each file that one lists."""
    entries = sorted(out.glob(f"manifest/{stage}/*.json"))
    files = [out / f["path"] for e in entries for f in json.loads(e.read_text())["files"]]
    return {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in entries + files}


def task(**changes: Any) -> dict[str, Any]:
    tasks = copy.deepcopy(small_runs.RECIPE["tasks"])
    settings = changes.pop("settings", {})
    tasks["object_tracking"]["with"].update(settings)
    tasks["object_tracking"].update(changes)
    return tasks


def test_a_finished_run_is_read_and_ray_is_not_even_imported(
    finished: tuple[Path, Path], roots: dict[str, str]
) -> None:
    recipe, out = finished
    before = {stage: times(out, stage) for stage in ("ingest", "build", "release")}
    words = small_runs.command(recipe, roots, out, "--engine", "ray")[1:]
    code = (
        "import sys\nfrom mgdata.cli import app\n"
        f"app({words!r}, standalone_mode=False)\n"
        "print(sorted(m for m in ('ray', 'cv2', 'scipy') if m in sys.modules))"
    )
    told = processes.finished([sys.executable, "-c", code])
    assert "nothing to do" in told.stdout
    assert told.stdout.splitlines()[-1] == "[]"
    assert told.stderr == ""
    assert before == {stage: times(out, stage) for stage in ("ingest", "build", "release")}


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        # What a stage does not see leaves it alone.
        ({"release": {"file_mb": 0.22, "row_group_mb": 0.09}}, {"ingest", "build"}),
        ({"release": {**small_runs.RECIPE["release"], "notation": "qwen3-vl"}},
         {"ingest", "build"}),
        ({"tasks": task(settings={"frames": [4, 4]})}, {"ingest"}),
        ({"build": {"groups": 9}}, {"ingest"}),
        ({"seed": 8}, {"ingest"}),
        ({"ingest": {"parts": 5}}, set()),
    ],
    ids=["row groups", "notation", "builder", "groups", "seed", "parts"],
)  # fmt: skip
def test_a_changed_recipe_rebuilds_what_is_stale_and_nothing_else(
    run: tuple[Path, Path], roots: dict[str, str], tmp_path: Path,
    changes: dict[str, Any], kept: set[str],
) -> None:  # fmt: skip
    recipe, out = run
    before = {stage: times(out, stage) for stage in ("ingest", "build", "release")}
    small_runs.write_recipe(recipe, **changes)
    build(recipe, roots, out)
    build(recipe, roots, tmp_path / "fresh")
    assert small_runs.digests(out / "release") == small_runs.digests(tmp_path / "fresh/release")
    assert kept == {stage for stage in before if times(out, stage) == before[stage]}


def test_a_second_task_leaves_the_samples_of_the_first_alone(
    run: tuple[Path, Path], roots: dict[str, str], tmp_path: Path
) -> None:
    recipe, out = run
    before = times(out, "build")
    second = {"samples": 6, "builder": "object_tracking", "with": {"frames": [4, 4]}}
    small_runs.write_recipe(recipe, tasks=task() | {"short": second})
    build(recipe, roots, out)
    build(recipe, roots, tmp_path / "fresh")
    assert before.items() <= times(out, "build").items()
    assert small_runs.digests(out / "release") == small_runs.digests(tmp_path / "fresh/release")


@pytest.mark.parametrize("samples", [20, 64])
def test_fewer_or_more_samples_leave_no_file_of_the_earlier_release(
    run: tuple[Path, Path], roots: dict[str, str], tmp_path: Path, samples: int
) -> None:
    recipe, out = run
    before = set(small_runs.digests(out / "release"))
    small_runs.write_recipe(recipe, tasks=task(samples=samples))
    build(recipe, roots, out)
    build(recipe, roots, tmp_path / "fresh")
    found = small_runs.digests(out / "release")
    assert found == small_runs.digests(tmp_path / "fresh/release")
    assert set(found) != before


def test_half_written_files_and_files_without_an_entry_are_ignored_and_collected(
    run: tuple[Path, Path], roots: dict[str, str]
) -> None:
    recipe, out = run
    whole = small_runs.digests(out / "release")
    left = [
        out / "records/got10k/.got10k-00000.0123abcd.arrow.89ef.part",
        out / "records/got10k/got10k-00000.0123abcd.arrow",
        out / "samples/object_tracking/r00-object_tracking-train-00000.0123abcd.parquet",
        out / "ledger/build/r00-object_tracking-train-00000.0123abcd.parquet",
        out / "manifest/build/.r00-object_tracking-train-00000.json.89ef.part",
        out / ".run.json.89ef.part",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    small_runs.write_recipe(recipe, description="Changed, so that the run is looked through.")
    build(recipe, roots, out)
    small_runs.write_recipe(recipe)
    build(recipe, roots, out)
    assert small_runs.digests(out / "release") == whole
    others = small_runs.digests(out).keys() - {p.relative_to(out).as_posix() for p in left}
    api.gc(str(out))
    assert [path for path in left if path.exists()] == []
    assert small_runs.digests(out).keys() >= others


@pytest.mark.parametrize(
    ("pattern", "spoil"),
    [
        ("records/got10k/*.arrow", "missing"),
        ("records/motchallenge/*.arrow", "cut short"),
        ("samples/object_tracking/*.parquet", "missing"),
        ("samples/object_tracking/*.parquet", "cut short"),
        ("release/data/object_tracking/*.parquet", "missing"),
        ("release/data/object_tracking/*.parquet", "cut short"),
        ("release/README.md", "missing"),
        ("manifest/release/*.json", "missing"),
    ],
)
def test_a_file_that_was_lost_or_cut_short_is_made_again(
    run: tuple[Path, Path], roots: dict[str, str], pattern: str, spoil: str
) -> None:
    recipe, out = run
    whole = small_runs.digests(out / "release")
    victim = sorted(out.glob(pattern))[1 if "*" in pattern else 0]
    if spoil == "missing":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:100])
    # What is finished is read, not looked through: only what the release itself lacks is seen.
    if not pattern.startswith("release"):
        small_runs.write_recipe(recipe, description="Looked through.")
        build(recipe, roots, out)
        small_runs.write_recipe(recipe)
    build(recipe, roots, out)
    assert small_runs.digests(out / "release") == whole


@pytest.mark.parametrize("text", ["", "{", '{"stage": "build"}', "[1, 2]"])
def test_an_entry_that_does_not_parse_counts_as_missing(
    run: tuple[Path, Path], roots: dict[str, str], text: str
) -> None:
    recipe, out = run
    whole = small_runs.digests(out / "release")
    sorted(out.glob("manifest/build/*.json"))[0].write_text(text)
    (out / "release/README.md").unlink()
    build(recipe, roots, out)
    assert small_runs.digests(out / "release") == whole


def test_a_folder_of_another_recipe_or_of_none_is_refused(
    finished: tuple[Path, Path], roots: dict[str, str], tmp_path: Path
) -> None:
    recipe = small_runs.write_recipe(tmp_path / "other.yaml", name="other")
    refused = small_runs.run(recipe, roots, finished[1], "--engine", "serial")
    assert refused.returncode == 2
    assert "holds a run of recipe 'small', not of 'other'" in refused.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years of work")
    refused = small_runs.run(recipe, roots, tmp_path / "mine", "--engine", "serial")
    assert refused.returncode == 2
    assert "is not a run folder (it holds thesis.tex)" in refused.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
