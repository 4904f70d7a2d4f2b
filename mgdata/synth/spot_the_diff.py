"""Writes pairs in the Spot-the-Diff layout: two frames of one still camera, and sentences.

    ROOT/data/annotations/{train,val,test}.json   [{"img_id": "100", "sentences": [...]}, ...]
         data/resized_images/100.png, 100_2.png   224x224 whatever the frames' own shape
         data/resized_images/100_diff.jpg         how much each pixel differs
         _truth_boxes.json                        [{"img_id": ..., "bbox_xyxy_norm": [...]}, ...]

The last file is ours: the corpus has no boxes. It lists, from 0 to 1, every place at which
something changed: two for a toy that moved. Frames are taken at the size asked for, with noise and
a slight change of light, and then squeezed. As in the real files, sentences may be blank, ids come
again in a second row with other sentences, and some pairs show no difference and say so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.synth import pairs
from mgdata.synth.camera import Camera, encoded
from mgdata.synth.sprites import Pixels

SIDE = 224
"""Pixels of both sides of every picture of the resized version."""
_KINDS: tuple[pairs.Kind, ...] = ("drop", "add", "color", "drop", "add", "move")
_NOISE = 1.2
"""Of each frame, grey levels: squeezing removes about half of it."""


def write(out: Path, camera: Camera) -> int:
    """Write the pairs; gives the number of those that show no difference."""
    job = camera.job
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "val": [], "test": []}
    truth: list[dict[str, Any]] = []
    equal = 0
    for clip in camera.clips():
        rng = Stream("synth", "spot_the_diff", str(job.seed), str(clip))
        first, last, changes = _happened(rng, clip, job.size)
        name = str(100 + clip)
        _shoot(out / "data/resized_images", camera, rng, name, (first, last))
        places = [place for c in changes for place in _places(first, last, c)]
        truth += [{"img_id": name, "bbox_xyxy_norm": _norm(box, job.size)} for box in places]
        equal += not changes
        rows[_split(clip, job.clips, job.held_out)] += _rows(name, clip, changes)
    folder = out / "data/annotations"
    folder.mkdir(parents=True, exist_ok=True)
    for split, listed in rows.items():
        (folder / f"{split}.json").write_text(json.dumps(listed))
    (out / "_truth_boxes.json").write_text(json.dumps(truth, indent=1))
    return equal


def _happened(
    rng: Stream, clip: int, size: tuple[int, int]
) -> tuple[pairs.Stage, pairs.Stage, list[pairs.Change]]:
    """The stage before and after none (one pair in seven), one or two changes."""
    first = last = pairs.staged(rng, size, 4 + clip % 3)
    changes: list[pairs.Change] = []
    for number in range(0 if clip % 7 == 6 else 1 + int(clip % 3 == 2)):
        kind = _KINDS[(clip + number) % len(_KINDS)]
        names = {toy.phrase for c in changes for toy in (c.before, c.after) if toy is not None}
        last, change = pairs.changed(rng, last, kind, keep=names)
        changes.append(change)
    return first, last, changes


def _shoot(
    folder: Path,
    camera: Camera,
    rng: Stream,
    name: str,
    stages: tuple[pairs.Stage, pairs.Stage],
) -> None:
    """The two frames and the picture of their difference."""
    frames: list[Pixels] = []
    for stage, ending in zip(stages, ("", "_2"), strict=True):
        light = 3.0 * (rng.uniform() - 0.5)
        view = pairs.View(light=light, noise=_NOISE, grain=str(rng.below(1 << 62)))
        pixels = pairs.picture(stage, view)
        frames.append(
            np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        )
        pairs.keep(camera, folder / f"{name}{ending}.png", pairs.png(frames[-1]))
    apart = np.asarray(cv2.absdiff(*frames), np.uint8)
    pairs.keep(camera, folder / f"{name}_diff.jpg", encoded(apart, camera.job.quality))


def _places(first: pairs.Stage, last: pairs.Stage, change: pairs.Change) -> list[Box]:
    """Where one change shows: where the toy was and where it is, as one box where it stayed."""
    sides = ((first, change.before), (last, change.after))
    boxes = [pairs.side(stage, pairs.STILL, toy).box for stage, toy in sides]
    found = [box for box in boxes if box is not None]
    return found if change.kind == "move" else [pairs.around(found)]


def _norm(box: Box, size: tuple[int, int]) -> list[float]:
    width, height = size
    shares = (box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height)
    return [round(share, 4) for share in shares]


def _rows(name: str, clip: int, changes: list[pairs.Change]) -> list[dict[str, Any]]:
    """One row, with a blank sentence in one pair of five; two rows in one pair of four."""
    said = [pairs.sentences(change) for change in changes or [pairs.Change("none")]]
    sentences = [ways[clip % 2] for ways in said] + [" "] * (clip % 5 == 4)
    again = [[ways[2] for ways in said]] * (clip % 4 == 1)
    return [{"img_id": name, "sentences": each} for each in (sentences, *again)]


def _split(clip: int, clips: int, held_out: int) -> str:
    """The last fifth held out, half of it (rounded down) for validation."""
    if clip < clips - held_out:
        return "train"
    return "val" if clip < clips - held_out + held_out // 2 else "test"
