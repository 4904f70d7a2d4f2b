"""A run that is killed, or stopped, at any point goes on where it was, to the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path

import pytest
import small_runs
from processes import Started


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return small_runs.write_corpora(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_runs.write_recipe(tmp_path_factory.mktemp("recipe") / "small.yaml")


@pytest.fixture(scope="module")
def whole(
    recipe: Path, roots: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Digests of the release of a run that nobody stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    small_runs.done(recipe, roots, out, "--engine", "serial")
    return small_runs.digests(out / "release")


def entries(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.glob("manifest/*/*.json")}


def counted_as_done_is_whole(out: Path) -> bool:
    """Entries first: workers that outlive their driver go on writing while this looks."""
    files = [f for e in out.glob("manifest/*/*.json") for f in json.loads(e.read_text())["files"]]
    return all(
        hashlib.sha256((out / file["path"]).read_bytes()).hexdigest() == file["sha256"]
        for file in files
    )


def test_a_serial_run_killed_again_and_again_ends_in_the_same_bytes(
    recipe: Path, roots: dict[str, str], whole: dict[str, str], tmp_path: Path
) -> None:
    out, before, killed = tmp_path / "run", set[str](), 0
    points = [("ingest", 2), ("ingest", 4), ("build", 2), ("build", 5), ("build", 3)]
    for stage, shards in (*points, ("release", 1), ("release", 2), ("release", 2)):
        started = Started(small_runs.command(recipe, roots, out, "--engine", "serial"))
        # Where the last kill came late, there are not so many shards left: it goes on to its end.
        if not started.reached(f"shard done: stage={stage}", shards):
            break
        started.kill()
        killed += 1
        assert counted_as_done_is_whole(out)
        assert entries(out) > before
        before = entries(out)
    assert killed >= 2
    small_runs.done(recipe, roots, out, "--engine", "serial")
    assert small_runs.digests(out / "release") == whole


def test_a_ray_run_killed_in_every_stage_ends_in_the_same_bytes(
    recipe: Path, roots: dict[str, str], whole: dict[str, str], tmp_path: Path
) -> None:
    out, flags = tmp_path / "run", ("--engine", "ray", "--workers", "2")
    # In `build` only the driver is killed, and its workers may outlive it into the next run.
    for stage, shards, workers in (("ingest", 4, True), ("build", 5, False), ("release", 2, True)):
        started = Started(small_runs.command(recipe, roots, out, *flags))
        started.wait_for(f"shard done: stage={stage}", shards)
        started.kill(workers=workers)
        assert counted_as_done_is_whole(out)
    small_runs.done(recipe, roots, out, "--engine", "serial")
    assert small_runs.digests(out / "release") == whole


@pytest.mark.parametrize("engine", ["serial", "ray"])
def test_ctrl_c_leaves_a_run_that_can_go_on_and_says_how(
    recipe: Path, roots: dict[str, str], whole: dict[str, str], tmp_path: Path, engine: str
) -> None:
    out = tmp_path / "run"
    words = small_runs.command(recipe, roots, out, "--engine", engine, "--workers", "1")
    started = Started(words)
    started.wait_for("shard done", 5)
    started.interrupt()
    code, told = started.end()
    assert code == 130, told
    assert told.splitlines()[-1].startswith("mgdata: stopped;")
    assert "run the same command again" in told
    assert "Traceback" not in told
    assert counted_as_done_is_whole(out)
    small_runs.done(recipe, roots, out, "--engine", "serial")
    assert small_runs.digests(out / "release") == whole


def test_a_terminated_run_says_how_to_go_on(
    recipe: Path, roots: dict[str, str], tmp_path: Path
) -> None:
    words = small_runs.command(recipe, roots, tmp_path / "run", "--engine", "serial")
    started = Started(words)
    started.wait_for("shard done", 5)
    os.kill(started.process.pid, signal.SIGTERM)
    code, told = started.end()
    assert code == 130, told
    assert "run the same command again" in told


def test_a_second_run_in_a_folder_is_refused_until_the_first_is_killed(
    recipe: Path, roots: dict[str, str], whole: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = small_runs.command(recipe, roots, out, "--engine", "serial")
    first = Started(words)
    first.wait_for("shard done")
    os.kill(first.process.pid, signal.SIGSTOP)
    second = small_runs.run(recipe, roots, out, "--engine", "serial")
    assert second.returncode == 3
    assert "is in use by another run" in second.stderr
    assert f"process {first.process.pid}," in second.stderr
    assert "Traceback" not in second.stderr
    first.kill()
    small_runs.done(recipe, roots, out, "--engine", "serial")
    assert small_runs.digests(out / "release") == whole
