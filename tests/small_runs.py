"""A recipe small enough for seconds, large enough to be cut up everywhere, and the command line.

What it asks for is asserted in test_reproducible: at least 8 shards a stage, 2 files a split and
3 row groups a file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from mgdata.synth import write as write_corpus

LAYOUTS = ("got10k", "motchallenge")
MGDATA = str(Path(sys.executable).with_name("mgdata"))
RECIPE = {
    "name": "small",
    "seed": 7,
    "splits": {"train": 0.5, "test": 0.5},
    "corpora": {layout: {} for layout in LAYOUTS},
    "tasks": {
        "object_tracking": {
            "samples": 56,
            "with": {"per_clip": 16, "given": "mixed", "turns": "mixed"},
        }
    },
    "ingest": {"parts": 1},
    "build": {"groups": 6},
    "release": {"file_mb": 0.22, "row_group_mb": 0.06},
}


def write_corpora(folder: Path) -> dict[str, str]:
    """Two small corpora; their roots by name."""
    for layout in LAYOUTS:
        write_corpus(layout, folder / layout, clips=6, frames=20, size=(160, 120), seed=3)
    return {layout: str(folder / layout) for layout in LAYOUTS}


def write_recipe(path: Path, **changes: object) -> Path:
    """`RECIPE` with some sections put in another's place."""
    path.write_text(yaml.safe_dump({**RECIPE, **changes}, sort_keys=False))
    return path


def command(recipe: Path, roots: dict[str, str], out: object, *flags: str) -> list[str]:
    """The words of `mgdata run`."""
    pairs = [word for name, path in roots.items() for word in ("--root", f"{name}={path}")]
    return [MGDATA, "run", str(recipe), *pairs, "--out", str(out), *flags]


def run(
    recipe: Path, roots: dict[str, str], out: object, *flags: str, **options: object
) -> subprocess.CompletedProcess[str]:
    """`mgdata run` to its end, whatever that is."""
    words = command(recipe, roots, out, *flags)
    return subprocess.run(words, capture_output=True, text=True, timeout=180, **options)  # type: ignore[call-overload,no-any-return]


def done(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """`run` that must succeed."""
    result = run(*arguments, **options)  # type: ignore[arg-type]
    assert result.returncode == 0, result.stderr[-3000:]
    return result


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder`, hidden ones too, by path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Started:
    """A run in a process group of its own, watched line by line."""

    def __init__(self, words: list[str], **options: object) -> None:
        self.process = subprocess.Popen(
            words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True, **options,  # type: ignore[call-overload]
        )  # fmt: skip
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            with self._more:
                self.lines.append(line)
                self._more.notify_all()
        with self._more:
            self.lines.append("")
            self._more.notify_all()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Until `text` stood on that many lines of standard error."""
        with self._more:
            met = self._more.wait_for(lambda: self._count(text) >= times or self._ended(), 120)
        assert met and self._count(text) >= times, "".join(self.lines[-30:])

    def done_in(self) -> list[str]:
        """The stages of the shards done, a word each."""
        return [x.split("stage=")[1].split()[0] for x in self.lines if x.startswith("shard done")]

    def kill(self, *, workers: bool = True) -> None:
        """SIGKILL for the driver, and for every process that it started."""
        family = list(_family(self.process.pid)) if workers else [self.process.pid]
        for pid in family:
            _signal(pid, signal.SIGKILL)
        self.process.wait(30)
        if workers:
            for pid in family:
                _await_end(pid)
        self._close()

    def interrupt(self) -> None:
        """What Ctrl-C does on a terminal: SIGINT for the whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> tuple[int, str]:
        """Exit code and standard error."""
        code = self.process.wait(120)
        self._close()
        return code, "".join(self.lines)

    def _close(self) -> None:
        self._reader.join(30)
        for pipe in (self.process.stderr, self.process.stdout):
            if pipe:
                pipe.close()

    def _count(self, text: str) -> int:
        return sum(text in line for line in self.lines)

    def _ended(self) -> bool:
        return bool(self.lines) and self.lines[-1] == ""


def _family(pid: int) -> Iterator[int]:
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    waiting = [pid]
    while waiting:
        yield (one := waiting.pop())
        waiting += parents.get(one, [])


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _await_end(pid: int) -> None:
    """Until a process is gone, or a zombie whose parent is slow to look."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(300):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.02)


def copy_run(source: Path, target: Path) -> Path:
    """A copy of a run's folder, times of its files kept."""
    shutil.copytree(source, target, copy_function=shutil.copy2)
    return target
