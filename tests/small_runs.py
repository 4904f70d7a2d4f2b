"""A recipe small enough for seconds, large enough to be cut up everywhere, and the command line.

What it asks for is asserted in test_reproducible: at least 8 shards a stage, 2 files a split and
3 row groups a file.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from processes import finished

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
    return finished(command(recipe, roots, out, *flags), **options)


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


def copy_run(source: Path, target: Path) -> Path:
    """A copy of a run's folder, times of its files kept."""
    shutil.copytree(source, target, copy_function=shutil.copy2)
    return target
