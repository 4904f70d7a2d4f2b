"""Writes clips in the DAVIS 2017 layout: every frame with a palette mask, lists, and classes.

The last fifth of the sequences is listed as `val`. In every fourth sequence the masks are a pixel
wider than the frames, as some copies have them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mgdata.identity import Stream
from mgdata.synth.camera import Camera
from mgdata.synth.masked import hidden, numbers_in, play, sheets, write_sheet


def write(out: Path, camera: Camera) -> int:
    """Write the sequences; gives how often an annotated object does not show."""
    job, absent = camera.job, 0
    classes: dict[str, dict[str, str]] = {}
    for clip in camera.clips():
        made = play("davis", clip, job)
        name = f"{'plaza' if clip % 3 == 2 else 'toys'}-{clip + 1}"
        classes[name] = {str(n): label for n, label in enumerate(made.labels, 1)}
        camera.shoot(made.scene, out / "JPEGImages/480p" / name, lambda t: f"{t:05d}.jpg")
        strays = Stream("synth", "davis", "strays", str(job.seed), str(clip))
        shown: list[set[int]] = []
        for t, sheet in enumerate(sheets(made, strays)):
            wide = np.pad(sheet, ((0, 0), (0, 1))) if clip % 4 == 3 else sheet
            write_sheet(out / "Annotations/480p" / name / f"{t:05d}.png", wide)
            shown.append(numbers_in(sheet))
        absent += hidden(shown)
    names = list(classes)
    training = job.clips - job.held_out
    folder = out / "ImageSets/2017"
    folder.mkdir(parents=True)
    for split, listed in (("train", names[:training]), ("val", names[training:])):
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in listed))
    (out / "davis_semantics.json").write_text(json.dumps(classes))
    return absent
