"""Writes videos in the SA-V layout: MP4 with masklets every fourth frame, by hand and by a model.

The last fifth of the videos goes to `sav_val`, as frames and one PNG an object. The last masklet of
a video is the upper half of its first object, so that masks overlap as real ones do. Every other
video has automatic masklets too: of the first object, lost in the second half though it is there.
The `frames` asked for are the annotated ones; a video has four times as many, less one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mgdata.identity import Stream
from mgdata.synth.camera import Camera, Job
from mgdata.synth.drawing import film as pictures
from mgdata.synth.egoexo4d import film
from mgdata.synth.masked import Play, hidden, play, sheets, write_sheet
from mgdata.synth.sprites import Pixels

_STEP = 4


def write(out: Path, camera: Camera) -> int:
    """Write the videos; gives how often an object of the training part does not show."""
    job, absent = camera.job, 0
    for clip in camera.clips():
        made = scene(clip, job)
        drawn = masklets(made, Stream("synth", "sav", "strays", str(job.seed), str(clip)))
        name = f"sav_{clip + 1:06d}"
        if clip < job.clips - job.held_out:
            absent += hidden([{n for n, mask in enumerate(masks) if mask.any()} for masks in drawn])
            _train(out / "sav_train" / f"sav_{(clip + 1) // 1000:03d}", name, made, drawn, camera)
            if clip % 2 == 0:
                lost = [[m[0] * (t < len(drawn) / 2)] for t, m in enumerate(drawn)]
                path = out / "sav_train" / f"sav_{(clip + 1) // 1000:03d}" / f"{name}_auto.json"
                path.write_text(json.dumps(_notes(name, made, lost, "auto")))
        else:
            _val(out / "sav_val", name, made, drawn, camera)
    return absent


def scene(clip: int, job: Job) -> Play:
    """What a video shows; its sides are even, as MP4 stores colours for two by two pixels."""
    even = (job.size[0] // 2 * 2, job.size[1] // 2 * 2)
    return play("sav", clip, replace(job, frames=_STEP * job.frames - 1, size=even))


def masklets(made: Play, strays: Stream | None = None) -> list[list[Pixels]]:
    """Masks [height, width] of 0 and 1, by annotated frame, then by masklet."""
    found: list[list[Pixels]] = []
    for t, sheet in enumerate(sheets(made, strays)):
        if t % _STEP == 0:
            masks = [(sheet == n).astype(np.uint8) for n in range(1, len(made.cast) + 1)]
            half = masks[0].copy()
            rows = np.flatnonzero(half.any(axis=1))
            if len(rows):
                half[(rows[0] + rows[-1] + 1) // 2 :] = 0
            found.append([*masks, half])
    return found


def _train(
    folder: Path, name: str, made: Play, drawn: Sequence[Sequence[Pixels]], camera: Camera
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    video = folder / f"{name}.mp4"
    film(video, (image for image, _ in pictures(made.scene)), made.scene.size, camera.job.quality)
    camera.images += made.scene.frames
    camera.bytes += video.stat().st_size
    notes = _notes(name, made, drawn, "manual")
    (folder / f"{name}_manual.json").write_text(json.dumps(notes))


def _notes(name: str, made: Play, drawn: Sequence[Sequence[Pixels]], kind: str) -> dict[str, Any]:
    """One annotation file; numbers that count are floats in the real ones too."""
    width, height = made.scene.size
    objects = range(len(drawn[0]))
    shows = [[bool(masks[n].any()) for masks in drawn] for n in objects]
    first = [float(seen.index(True)) if any(seen) else 0.0 for seen in shows]
    return {
        "video_id": name,
        "video_duration": made.scene.frames / 24,
        "video_frame_count": float(made.scene.frames),
        "video_height": float(height),
        "video_width": float(width),
        "video_resolution": float(height * width),
        "video_environment": "Outdoor",
        "video_split": "train",
        "masklet": [[_packed(mask) for mask in masks] for masks in drawn],
        "masklet_id": [*objects],
        "masklet_first_appeared_frame": first,
        "masklet_frame_count": [len(drawn)] * len(objects),
        "masklet_type": [kind] * len(objects),
        "masklet_stability_score": [None] * len(objects),
        "masklet_num": len(objects),
    }


def _packed(mask: Pixels) -> dict[str, Any]:
    from pycocotools import mask as coco

    packed: Any = coco.encode(np.asfortranarray(mask))
    return {"size": [*mask.shape], "counts": packed["counts"].decode("ascii")}


def _val(
    folder: Path, name: str, made: Play, drawn: Sequence[Sequence[Pixels]], camera: Camera
) -> None:
    frames = folder / "JPEGImages_24fps" / name
    camera.shoot(made.scene, frames, lambda t: f"{t:05d}.jpg")
    for t, masks in enumerate(drawn):
        for number, mask in enumerate(masks):
            path = folder / "Annotations_6fps" / name / f"{number:03d}" / f"{_STEP * t:05d}.png"
            write_sheet(path, mask)
    with (folder / "sav_val.txt").open("a") as names:
        names.write(f"{name}\n")
