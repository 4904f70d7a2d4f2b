"""Writes a recording in the WILDTRACK layout: people in a plaza, four cameras, one JSON a moment.

    ROOT/annotations_positions/00000000.json, 00000005.json ...
    ROOT/Image_subsets/C1/00000000.png ...

A person's box is that of a cylinder of one height and width, projected: looser than who stands in
it, there for a person whom another hides, and it may leave the picture. Four times -1 where it lies
outside or is too near. Every clip is a stretch of the recording with people of its own; the plaza
and the cameras stay. The last camera's pictures are smaller.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mgdata.identity import Stream
from mgdata.synth import plaza
from mgdata.synth.camera import Camera, Job
from mgdata.synth.sprites import COLOURS, PHASES, walker

CAMERAS = 4
EVERY = 5
"""Frames from one annotated moment to the next."""
TALL, RADIUS = 0.62, 0.115
"""Of the cylinder that stands for a person, radii of the plaza."""
_DRAWN = 200
_GRID = 480
"""Places across, in the numbering of places."""
_UNSEEN = (-1, -1, -1, -1)


def write(out: Path, camera: Camera) -> int:
    """Write the recording; gives how often a camera does not see a person."""
    job, absent = camera.job, 0
    stands = cameras(job)
    (out / "annotations_positions").mkdir(parents=True)
    for stand in stands:
        (out / "Image_subsets" / stand.name).mkdir(parents=True)
    for clip in camera.clips():
        bodies = people(clip, job)
        for moment in range(job.frames):
            number = (clip * job.frames + moment) * EVERY
            for stand in stands:
                image, _ = plaza.look(stand, bodies, moment)
                data = cv2.imencode(".png", image)[1].tobytes()
                (out / "Image_subsets" / stand.name / f"{number:08d}.png").write_bytes(data)
                camera.images += 1
                camera.bytes += len(data)
            entries = [_entry(body, stands, moment) for body in bodies]
            path = out / "annotations_positions" / f"{number:08d}.json"
            path.write_text(json.dumps(entries, indent=4))
            absent += sum(view["xmin"] == view["xmax"] for e in entries for view in e["views"])
    return absent


def cameras(job: Job) -> tuple[plaza.Stand, ...]:
    """The cameras of the recording, `C1` to `C4`."""
    sizes = {f"C{number + 1}": job.size for number in range(CAMERAS)}
    sizes[f"C{CAMERAS}"] = (max(48, job.size[0] * 3 // 4), max(48, job.size[1] * 3 // 4))
    return plaza.stands(Stream("synth", "wildtrack", str(job.seed)), sizes, "plaza", (1.7, 2.3))


def people(clip: int, job: Job) -> tuple[plaza.Body, ...]:
    """Who is there in one stretch: five to seven people, their numbers as names."""
    rng = Stream("synth", "wildtrack", str(job.seed), str(clip))
    shirts = rng.sample(list(COLOURS), 5 + clip % 3)
    bodies: list[plaza.Body] = []
    for place, shirt in enumerate(shirts):
        looks = str(rng.below(1 << 62))
        pictures = [walker(shirt, phase, _DRAWN, Stream(looks)) for phase in range(PHASES)]
        bodies.append(
            plaza.Body(
                name=str(clip * len(COLOURS) + place),
                kind="person",
                pictures=tuple(pictures),
                tall=TALL * (0.86 + 0.12 * rng.uniform()),
                path=_walk(rng, job.frames),
            )
        )
    return tuple(bodies)


def _walk(rng: Stream, frames: int) -> plaza.Path:
    """Straight across the plaza and back, and now and then off its edge."""
    angle, off = 2 * math.pi * rng.uniform(), 1.1 * (rng.uniform() - 0.5)
    along = np.array([math.cos(angle), math.sin(angle)])
    start, pace = 4 * rng.uniform(), 0.07 + 0.06 * rng.uniform()
    way = (start + pace * np.arange(frames)) % 4
    reach = 1.05 * (np.where(way > 2, 4 - way, way) - 1)
    return reach[:, None] * along + off * np.array([-along[1], along[0]])


def _entry(body: plaza.Body, stands: tuple[plaza.Stand, ...], moment: int) -> dict[str, Any]:
    x, y = (float(v) for v in body.path[moment])
    views = [
        {"viewNum": number, **dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))}
        for number, box in enumerate(cylinder(stand, (x, y)) for stand in stands)
    ]
    spot = round((x + 2) * _GRID / 4) + round((y + 2) * _GRID / 4) * _GRID
    return {"personID": int(body.name), "positionID": spot, "views": views}


def cylinder(stand: plaza.Stand, at: tuple[float, float]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom pixel of a person's cylinder; four times -1 where none is."""
    spot = plaza.project(stand, at)
    if spot is None:
        return _UNSEEN
    left, right = (round(spot.column + side * RADIUS * spot.scale) for side in (-1, 1))
    top, bottom = round(spot.row - TALL * spot.scale), round(spot.row)
    width, height = stand.size
    if left >= width - 1 or top >= height - 1 or right <= 1 or bottom <= 1:
        return _UNSEEN
    return left, top, max(right, left + 2) - 1, max(bottom, top + 2) - 1
