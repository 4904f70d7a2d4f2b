"""What is measured on: rendered clips of 64 frames, 200 KB a frame, and the recipes over them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgdata.synth import write

FRAMES = 64
WINDOW = 4


@dataclass(frozen=True)
class Source:
    """A corpus on disk, made once and kept."""

    root: Path
    clips: int

    @property
    def images(self) -> list[Path]:
        """Every image."""
        return sorted(self.root.rglob("*.jpg"))

    def bytes(self) -> int:
        """Bytes of all images."""
        return sum(path.stat().st_size for path in self.images)


def source(folder: Path, clips: int, jpeg_bytes: int = 200_000,
           size: tuple[int, int] = (1280, 720)) -> Source:  # fmt: skip
    """A GOT-10k corpus of `clips` clips; made where it is not there yet."""
    root = folder / f"corpus-{clips}x{FRAMES}-{jpeg_bytes}"
    if not root.exists():
        write("got10k", root, clips=clips, frames=FRAMES, size=size, seed=1, jpeg_bytes=jpeg_bytes)
    return Source(root, clips)


def recipe(
    folder: Path,
    name: str,
    clips: int,
    *,
    level: str = "header",
    mixed: bool = False,
    sections: Mapping[str, Any] | None = None,
) -> Path:
    """A recipe file: all windows of all clips (asked for generously), one split.

    `sections` are further top-level sections, as `build` or `release`.
    """
    builder = f"{Path(__file__).with_name('windows.py')}:Windows"
    settings = {"frames": [WINDOW, WINDOW], "sampler": "even", "given": "coordinates",
                "mixed": mixed}  # fmt: skip
    document = {
        "name": name,
        "seed": 7,
        "corpora": {"got10k": {"with": {"splits": ["train", "val"]}}},
        "tasks": {
            "windows": {"builder": builder, "samples": clips * FRAMES, "with": settings},
        },
        "measures": {"integrity": {"level": level}},
        **(sections or {}),
    }
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1))
    return path
