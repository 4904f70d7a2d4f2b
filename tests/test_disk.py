"""A disk that fills up or may not be written to: one sentence, nothing half done, and on it goes.

The disks are small tmpfs mounted by the tests, which takes the right to mount: root has it, and a
user namespace gives it to anybody else.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_runs


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
    out = tmp_path_factory.mktemp("whole") / "run"
    small_runs.done(recipe, roots, out, "--engine", "serial")
    return small_runs.digests(out / "release")


def mount(*words: str) -> None:
    result = subprocess.run(["mount", *words], capture_output=True, text=True)
    assert result.returncode == 0, f"this test needs the right to mount: {result.stderr.strip()}"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KB."""
    (tmp_path / "disk").mkdir()
    mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path / "disk"))
    yield tmp_path / "disk"
    subprocess.run(["umount", str(tmp_path / "disk")], check=True)


def entries_are_whole(out: Path) -> bool:
    for path in out.glob("manifest/*/*.json"):
        for file in json.loads(path.read_text())["files"]:
            data = (out / file["path"]).read_bytes()
            if hashlib.sha256(data).hexdigest() != file["sha256"]:
                return False
    return True


def sentence(stderr: str) -> str:
    assert "Traceback" not in stderr, stderr[-3000:]
    (line,) = [line for line in stderr.splitlines() if line.startswith("mgdata: ")]
    return line


@pytest.mark.parametrize("engine", ["serial", "ray"])
def test_a_full_disk_ends_a_run_which_goes_on_when_there_is_room(
    recipe: Path, roots: dict[str, str], whole: dict[str, str], disk: Path, engine: str
) -> None:
    out, flags = disk / "run", ("--engine", engine, "--workers", "1")
    for kilobytes in (256, 700):
        mount("-o", f"remount,size={kilobytes}k", str(disk))
        full = small_runs.run(recipe, roots, out, *flags)
        assert full.returncode == 3, full.stderr[-3000:]
        assert "full: free some space" in sentence(full.stderr) or "GB free" in full.stderr
        assert entries_are_whole(out)
        assert not list(out.rglob("*.part"))
        if engine == "ray":
            break
    mount("-o", "remount,size=64m", str(disk))
    small_runs.done(recipe, roots, out, "--engine", "serial")
    assert small_runs.digests(out / "release") == whole


def test_a_disk_that_fills_up_in_the_release_leaves_nothing_half_done(
    recipe: Path, roots: dict[str, str], whole: dict[str, str], disk: Path
) -> None:
    # The estimate is made before anything is built: what fills the disk now comes from elsewhere.
    out = disk / "run"
    mount("-o", "remount,size=64m", str(disk))
    build = small_runs.command(recipe, roots, out, "--engine", "serial")
    subprocess.run([build[0], "build", *build[2:]], check=True, capture_output=True)
    used = sum(path.stat().st_blocks for path in out.rglob("*")) * 512
    mount("-o", f"remount,size={used // 1024 + 700}k", str(disk))
    full = small_runs.run(recipe, roots, out, "--engine", "serial")
    assert full.returncode == 3
    assert "finished shards are kept" in sentence(full.stderr)
    assert list(out.glob("manifest/release/*.json"))
    assert entries_are_whole(out)
    assert not list(out.rglob("*.part"))
    mount("-o", "remount,size=64m", str(disk))
    result = small_runs.done(recipe, roots, out, "--engine", "serial")
    assert "shard done: stage=build" not in result.stderr
    assert small_runs.digests(out / "release") == whole


def test_a_read_only_disk_is_told_and_a_run_goes_on_once_it_may_write(
    recipe: Path, roots: dict[str, str], whole: dict[str, str], disk: Path
) -> None:
    mount("-o", "remount,size=64m,ro", str(disk))
    refused = small_runs.run(recipe, roots, disk / "run", "--engine", "serial")
    assert refused.returncode == 3
    assert "cannot be written to: Read-only file system" in sentence(refused.stderr)
    mount("-o", "remount,size=64m,rw", str(disk))
    words = small_runs.command(recipe, roots, disk / "run", "--engine", "serial")
    subprocess.run([words[0], "ingest", *words[2:]], check=True, capture_output=True)
    mount("-o", "remount,size=64m,ro", str(disk))
    refused = small_runs.run(recipe, roots, disk / "run", "--engine", "serial")
    assert refused.returncode == 3
    assert "cannot be written to: Read-only file system" in sentence(refused.stderr)
    mount("-o", "remount,size=64m,rw", str(disk))
    small_runs.done(recipe, roots, disk / "run", "--engine", "serial")
    assert small_runs.digests(disk / "run/release") == whole
    mount("-o", "remount,size=64m,ro", str(disk))
    # A finished run is read, and reading needs no right to write.
    again = small_runs.done(recipe, roots, disk / "run", "--engine", "serial")
    assert "nothing to do" in again.stdout
