"""Writes clips in the YouTube-VOS layout: frames in steps of five, palette masks, meta.json.

The last fifth of the videos goes to `valid`, where only the frames in which objects are new have a
mask, and it shows those objects only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mgdata.identity import Stream, digest
from mgdata.synth.camera import Camera
from mgdata.synth.masked import hidden, numbers_in, play, sheets, write_sheet

_STEP = 5


def write(out: Path, camera: Camera) -> int:
    """Write the videos; gives how often an object of the training part does not show."""
    job, absent = camera.job, 0
    videos: dict[str, dict[str, Any]] = {"train": {}}
    if job.held_out:
        videos["valid"] = {}
    for clip in camera.clips():
        made = play("youtube_vos", clip, job)
        split = "train" if clip < job.clips - job.held_out else "valid"
        name = digest("youtube_vos", str(job.seed), str(clip))[:10]
        camera.shoot(made.scene, out / split / "JPEGImages" / name, lambda t: f"{_frame(t)}.jpg")
        strays = Stream("synth", "youtube_vos", "strays", str(job.seed), str(clip))
        shown: list[set[int]] = []
        begun: set[int] = set()
        for t, sheet in enumerate(sheets(made, strays)):
            shown.append(numbers_in(sheet))
            new = shown[-1] - begun
            begun |= new
            if split == "valid":
                sheet = np.where(np.isin(sheet, sorted(new)), sheet, 0).astype(np.uint8)
            if split == "train" or new:
                write_sheet(out / split / "Annotations" / name / f"{_frame(t)}.png", sheet)
        absent += hidden(shown) if split == "train" else 0
        videos[split][name] = {"objects": _objects(made.labels, shown)}
    for split, found in videos.items():
        (out / split).mkdir(exist_ok=True)
        (out / split / "meta.json").write_text(json.dumps({"videos": found}))
    return absent


def _frame(t: int) -> str:
    return f"{_STEP * t:05d}"


def _objects(labels: list[str], shown: list[set[int]]) -> dict[str, dict[str, Any]]:
    """The objects that show at all, with the frames that show them."""
    frames = {n: [_frame(t) for t, seen in enumerate(shown) if n in seen] for n in range(1, 256)}
    return {
        str(n): {"category": label, "frames": frames[n]}
        for n, label in enumerate(labels, 1)
        if frames[n]
    }
