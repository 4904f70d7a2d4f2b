"""Writes sequences in the MVTrack layout: one thing followed by three or four cameras at once.

    ROOT/<thing><n>/<thing><n>-<camera>/img/00001.jpg
                                        groundtruth.txt    x,y,w,h a line, whole pixels, from 0
                                        invisible.txt      0 or 1 a frame, one line, commas
    ROOT/<thing><n>/BEV/xyz_index.txt
    ROOT/{train,val,test}_split.txt, calibs.json

Only one thing is annotated, and others of its kind stand and slide about it; a pillar stands in the
middle. In a frame that does not show the thing its box is the last one that did, or four noughts;
where less than a third of it shows, there are four noughts and no flag, as of a box that nobody
drew. The last camera's pictures are smaller, and now and then one camera stops a frame early. The
last fifth of the sequences is for `val`; none is for `test`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np

from mgdata.identity import Stream
from mgdata.synth import plaza
from mgdata.synth.backdrop import pillar
from mgdata.synth.camera import Camera, encoded
from mgdata.synth.drawing import Placement
from mgdata.synth.sprites import COLOURS, TEXTURES, Sprite
from mgdata.synth.toybox import KINDS, cutout

TARGET = "target"
_DRAWN = 160
_GONE, _DOUBTFUL = 0.01, 0.33
"""Shares of the thing's pixels under which nobody would see it, and under which not all would."""
_NOUGHTS = "0,0,0,0"


def write(out: Path, camera: Camera) -> int:
    """Write the sequences; gives how often the followed thing does not show."""
    job, absent = camera.job, 0
    numbers: Counter[str] = Counter()
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for clip in camera.clips():
        rng = Stream("synth", "mvtrack", str(job.seed), str(clip))
        kind, bodies, stands = place(rng, clip, job.frames, job.size)
        numbers[kind] += 1
        name = f"{kind.replace(' ', '_')}{numbers[kind]}"
        for order, stand in enumerate(stands):
            view = f"{name}-{stand.name}"
            short = job.frames > 2 and clip % 4 == 1 and order == 1
            absent += _view(out / name / view, stand, bodies, job.frames - short, camera, clip % 2)
            splits["train" if clip < job.clips - job.held_out else "val"].append(view)
        _ground(out / name / "BEV", bodies[0])
    for split, views in splits.items():
        (out / f"{split}_split.txt").write_text("".join(f"{view}\n" for view in views))
    names = sorted({view.rpartition("-")[0] for views in splits.values() for view in views})
    (out / "calibs.json").write_text(json.dumps({"calibration_version": {"synth": names}}))
    return absent


def place(
    rng: Stream, clip: int, frames: int, size: tuple[int, int]
) -> tuple[str, tuple[plaza.Body, ...], tuple[plaza.Stand, ...]]:
    """The kind of thing, what stands there (the followed one first), and the cameras."""
    kind = rng.choice(KINDS)
    colours = rng.sample(list(COLOURS), 3 + clip % 3)
    cameras = [str(number + 1) for number in range(3 + clip % 2)]
    sizes = {name: size for name in cameras}
    sizes[cameras[-1]] = (max(48, size[0] * 3 // 4), max(48, size[1] * 3 // 4))
    stands = plaza.stands(rng, sizes, "field", (1.9, 2.5))
    bodies = [
        plaza.Body(
            name=TARGET if number == 0 else f"other {number}",
            kind=kind,
            pictures=(cutout(kind, colour, rng.choice(TEXTURES), _DRAWN).sprite,),
            tall=0.25 + 0.09 * rng.uniform(),
            path=_path(rng, frames, 0.55 if number == 0 else 0.12),
        )
        for number, colour in enumerate(colours)
    ]
    return kind, (*bodies, _post(rng, frames)), stands


def _path(rng: Stream, frames: int, swing: float) -> plaza.Path:
    """A slow way round a point: wide for what is followed, which passes the pillar and the rest."""
    angle, reach = 2 * math.pi * rng.uniform(), 0.35 + 0.5 * rng.uniform()
    reach = reach if swing < 0.5 else reach / 2
    middle = np.array([reach * math.cos(angle), reach * math.sin(angle)])
    turns = 2 * math.pi * (rng.uniform() + np.arange(frames) / max(24, frames))
    way = 1 if rng.below(2) else -1
    return middle + swing * np.stack([np.cos(turns), way * np.sin(turns)], axis=1)


def _post(rng: Stream, frames: int) -> plaza.Body:
    stone = pillar(rng, 130, 300)
    solid = np.full((*stone.shape[:2], 1), 255, np.uint8)
    picture = Sprite(np.concatenate([stone, solid], axis=2), np.zeros(stone.shape[:2], np.uint8))
    return plaza.Body("pillar", "pillar", (picture,), 1.1, np.zeros((frames, 2)))


def _view(
    folder: Path,
    stand: plaza.Stand,
    bodies: tuple[plaza.Body, ...],
    frames: int,
    camera: Camera,
    noughts: int,
) -> int:
    """Write one camera's folder; how often the followed thing does not show."""
    (folder / "img").mkdir(parents=True)
    last, boxes, hidden = _NOUGHTS, list[str](), list[bool]()
    for frame in range(frames):
        image, placements = plaza.look(stand, bodies, frame)
        data = encoded(image, camera.job.quality)
        (folder / "img" / f"{frame + 1:05d}.jpg").write_bytes(data)
        camera.images += 1
        camera.bytes += len(data)
        box = annotated(placements.get(TARGET))
        boxes.append(box or (_NOUGHTS if noughts else last))
        last = last if box in (None, _NOUGHTS) else box
        hidden.append(box is None)
    (folder / "groundtruth.txt").write_text("".join(f"{line}\n" for line in boxes))
    (folder / "invisible.txt").write_text(",".join(str(int(flag)) for flag in hidden))
    return sum(hidden)


def annotated(placement: Placement | None) -> str | None:
    """What is written of a thing: x,y,w,h of what shows, noughts in doubt, None if nothing does."""
    if placement is None or placement.seen is None or placement.visibility < _GONE:
        return None
    if placement.visibility < _DOUBTFUL:
        return _NOUGHTS
    box = placement.seen
    return ",".join(f"{value:.0f}" for value in (box.x1, box.y1, box.width, box.height))


def _ground(folder: Path, body: plaza.Body) -> None:
    """Where the thing stands: x,y,z and the frame's number from 0, a line a frame."""
    folder.mkdir()
    lines = [f"{x:.4f},{y:.4f},0.0000,{frame}\n" for frame, (x, y) in enumerate(body.path)]
    (folder / "xyz_index.txt").write_text("".join(lines))
