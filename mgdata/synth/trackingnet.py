"""Writes clips in the TrackingNet layout: a training chunk, and TEST with the first box only.

The format has no flag for a hidden target, so the target stays in view. The box fits what shows,
1-based. Names look like video ids; every third begins with "-", as real ones may.
"""

from __future__ import annotations

import string
from pathlib import Path

from mgdata.identity import Stream
from mgdata.synth.camera import Camera
from mgdata.synth.drawing import Placement
from mgdata.synth.scene import target_index, toys

_LETTERS = string.ascii_letters + string.digits + "-_"


def write(out: Path, camera: Camera) -> int:
    """Write the clips, the last fifth of them to TEST; gives the number of absent targets."""
    job, absent = camera.job, 0
    for chunk in ("TRAIN_0", "TEST"):
        (out / chunk / "anno").mkdir(parents=True)
        (out / chunk / "frames").mkdir()
    for clip in camera.clips():
        rng = Stream("synth", "trackingnet", str(job.seed), str(clip))
        name = _name(rng, clip)
        test = clip >= job.clips - job.held_out
        chunk = out / ("TEST" if test else "TRAIN_0")
        objects = 4 + clip % 2
        scene = toys(rng, job.frames, job.size, objects, "seen")
        shown = camera.shoot(scene, chunk / "frames" / name, lambda t: f"{t}.jpg")
        target = [placements[target_index(objects, "seen")] for placements in shown]
        lines = [_box(target[0], 0)] if test else [_box(p, 4) for p in target]
        (chunk / "anno" / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
        absent += sum(p.visible == 0 for p in target)
    return absent


def _name(rng: Stream, clip: int) -> str:
    """Eleven characters of a video id, then the number of a segment."""
    text = "".join(rng.choice(_LETTERS) for _ in range(10))
    first = "-" if clip % 3 == 2 else rng.choice(string.ascii_letters)
    return f"{first}{text}_{rng.below(4)}"


def _box(placement: Placement, decimals: int) -> str:
    box = placement.seen or placement.box
    return ",".join(f"{v:.{decimals}f}" for v in (box.x1 + 1, box.y1 + 1, box.width, box.height))
