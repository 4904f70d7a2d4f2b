"""Writes pairs in the layout of Img-Diff's object replacement: equal boxes of 2 decimals.

    ROOT/img_diff_object_replacement.json               a list of rows, one box each
         object_replacement/filtered_new_edit_data/<path>_0.jpg, <path>_1.jpg

    {"path": "0/12", "bbox": "[0.12, 0.30, 0.41, 0.66]", "captions1": "red ball",
     "captions2": "blue car", "conversations": [{"from": "human", ...}, {"from": "gpt", ...}]}

The dataset's card names no fields; these are those that public readers of it use. One toy of a
pair is replaced in its place by another kind and colour, or two are: then two rows have one path.
The box covers both toys and is written from 0 to 1, each edge rounded to a hundredth.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.synth import pairs
from mgdata.synth.camera import Camera, encoded
from mgdata.synth.photos import Toy
from mgdata.synth.sprites import COLOURS
from mgdata.synth.toybox import KINDS

FILE = "img_diff_object_replacement.json"
FOLDER = "object_replacement/filtered_new_edit_data"
_QUESTION = "<image>\nWhat is the difference between the left and the right image in {}?"


def write(out: Path, camera: Camera) -> int:
    """Write the pairs; nothing is ever absent, so the number of absences is 0."""
    job = camera.job
    rows: list[dict[str, Any]] = []
    for clip in camera.clips():
        rng = Stream("synth", "img_diff", str(job.seed), str(clip))
        path = f"{clip // 1000}/{clip}"
        stage = pairs.staged(rng, job.size, 3 + clip % 3)
        first, swaps = stage, list[tuple[Toy, Toy]]()
        for _ in range(1 + clip % 2):
            done = {toy.phrase for swap in swaps for toy in swap}
            stage, swap = _replaced(rng, stage, done)
            swaps.append(swap)
        for number, shown in enumerate((first, stage)):
            data = encoded(pairs.picture(shown), job.quality)
            pairs.keep(camera, out / FOLDER / f"{path}_{number}.jpg", data)
        rows += [
            _row(path, old, new, _union(first, stage, old, new), job.size) for old, new in swaps
        ]
    (out / FILE).write_text(json.dumps(rows))
    return 0


def _replaced(
    rng: Stream, stage: pairs.Stage, done: set[str]
) -> tuple[pairs.Stage, tuple[Toy, Toy]]:
    """The stage with one toy replaced where it lies, and the toy before and after."""
    old = rng.choice([toy for toy in stage.toys if toy.phrase not in done])
    taken = {toy.phrase for toy in stage.toys} | done
    free = [(k, c) for k in KINDS if k != old.label for c in COLOURS if c != old.colour]
    label, colour = rng.choice([(k, c) for k, c in free if f"{c} {k}" not in taken])
    new = replace(old, label=label, colour=colour)
    toys = tuple(new if toy is old else toy for toy in stage.toys)
    return replace(stage, still=replace(stage.still, toys=toys)), (old, new)


def _union(first: pairs.Stage, last: pairs.Stage, old: Toy, new: Toy) -> Box:
    """The box that covers one toy in the first picture and its successor in the second."""
    sides = (pairs.side(first, pairs.STILL, old), pairs.side(last, pairs.STILL, new))
    return pairs.around([side.box for side in sides if side.box is not None])


def _row(path: str, old: Toy, new: Toy, box: Box, size: tuple[int, int]) -> dict[str, Any]:
    """One row of the annotation."""
    width, height = size
    shares = (box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height)
    written = "[" + ", ".join(f"{share:.2f}" for share in shares) + "]"
    answer = f"the left image has a {old.phrase} here, the right image a {new.phrase}"
    return {
        "path": path,
        "bbox": written,
        "captions1": old.phrase,
        "captions2": new.phrase,
        "conversations": [
            {"from": "human", "value": _QUESTION.format(written)},
            {"from": "gpt", "value": answer},
        ],
    }
