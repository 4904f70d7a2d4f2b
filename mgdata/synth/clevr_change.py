"""Writes triples in the CLEVR-Change layout: a scene, the scene changed, the scene unchanged.

    ROOT/images/CLEVR_default_000000.png          the scene
         sc_images/CLEVR_semantic_000000.png      one toy changed, camera and light moved a little
         nsc_images/CLEVR_nonsemantic_000000.png  nothing changed, camera and light moved a little
         change_captions.json                     {"CLEVR_default_000000.png": [sentence, ...]}
         no_change_captions.json                  likewise, of the unchanged pair
         change_captions_with_bbox.json           {"0": {"bbox_before": [x, y, w, h], ...}}
         type_mapping.json                        {"color": ["000000.png", ...], ...}
         splits.json                              {"train": [0, ...], "val": [...], "test": [...]}

Pictures are 480x360 whatever size is asked for: the boxes of this corpus mean pixels of that size.
They are whole pixels from 0; null where the toy is not there. Kinds of change come in turn.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mgdata.identity import Stream
from mgdata.synth import pairs
from mgdata.synth.camera import Camera
from mgdata.synth.toybox import FLAT

SIZE = (480, 360)
"""Width and height of every picture of CLEVR-Change."""


def write(out: Path, camera: Camera) -> int:
    """Write the triples; gives the number of sides on which the changed toy is not there."""
    job = camera.job
    changes: dict[str, list[str]] = {}
    same: dict[str, list[str]] = {}
    boxes: dict[str, dict[str, Any]] = {}
    types: dict[str, list[str]] = {kind: [] for kind in pairs.CHANGES}
    for clip in camera.clips():
        kind = pairs.CHANGES[clip % len(pairs.CHANGES)]
        rng = Stream("synth", "clevr_change", str(job.seed), str(clip))
        before, after, change = _shoot(out, camera, rng, clip, kind)
        name = f"CLEVR_default_{clip:06d}.png"
        changes[name] = list(pairs.sentences(change))
        same[name] = list(pairs.sentences(pairs.Change("none")))
        types[kind].append(f"{clip:06d}.png")
        boxes[str(clip)] = {"bbox_before": _xywh(before), "bbox_after": _xywh(after)}
    files: dict[str, Any] = {
        "change_captions": changes,
        "no_change_captions": same,
        "change_captions_with_bbox": boxes,
        "type_mapping": types,
        "splits": _splits(job.clips, job.held_out),
    }
    for file, content in files.items():
        (out / f"{file}.json").write_text(json.dumps(content))
    return sum(box is None for sides in boxes.values() for box in sides.values())


def _shoot(
    out: Path, camera: Camera, rng: Stream, clip: int, kind: pairs.Kind
) -> tuple[pairs.Side, pairs.Side, pairs.Change]:
    """Take the three pictures; the sides and the change of the changed pair."""
    first = pairs.staged(rng, SIZE, 4 + clip % 3, FLAT)
    second, change = pairs.changed(rng, first, kind, kinds=FLAT)
    before = pairs.side(first, pairs.STILL, change.before)
    after = pairs.side(second, pairs.jitter(rng, SIZE), change.after)
    unchanged = pairs.picture(first, pairs.jitter(rng, SIZE))
    for folder, name, pixels in (
        ("images", "default", before.pixels),
        ("sc_images", "semantic", after.pixels),
        ("nsc_images", "nonsemantic", unchanged),
    ):
        pairs.keep(camera, out / folder / f"CLEVR_{name}_{clip:06d}.png", pairs.png(pixels))
    return before, after, change


def _xywh(side: pairs.Side) -> list[int] | None:
    if side.box is None:
        return None
    return [int(v) for v in (side.box.x1, side.box.y1, side.box.width, side.box.height)]


def _splits(clips: int, held_out: int) -> dict[str, list[int]]:
    """The last fifth held out, half of it (rounded down) for validation."""
    train, val = clips - held_out, clips - held_out + held_out // 2
    return {
        "train": list(range(train)),
        "val": list(range(train, val)),
        "test": list(range(val, clips)),
    }
