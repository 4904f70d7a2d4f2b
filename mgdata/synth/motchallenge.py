"""Writes clips in the MOTChallenge layout: many tracks a clip, one detector copy, training only.

The box is that of the whole object, 1-based, and may leave the image; the last column is the share
that shows of it. Only walkers (class 1) count; who stands (7), a statue (8) and the pillar (9) have
flag 0. A test split has no annotation, so none is written.
"""

from __future__ import annotations

from pathlib import Path

from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.synth.camera import Camera
from mgdata.synth.drawing import Placement, Scene
from mgdata.synth.scene import people

_CLASSES = {"person": 1, "stander": 7, "statue": 8}
_PILLAR = 9


def write(out: Path, camera: Camera) -> int:
    """Write the clips; gives the number of walkers' rows in which nothing of them shows."""
    job, hidden = camera.job, 0
    for clip in camera.clips():
        name = f"SYNTH-{clip + 1:02d}"
        folder = out / "train" / name
        rng = Stream("synth", "motchallenge", str(job.seed), str(clip))
        scene = people(rng, job.frames, job.size, 4 + clip % 3)
        shown = camera.shoot(scene, folder / "img1", lambda t: f"{t + 1:06d}.jpg")
        (folder / "gt").mkdir()
        (folder / "det").mkdir()
        _write(folder / "gt" / "gt.txt", _truth(scene, shown))
        _write(folder / "det" / "det.txt", _detections(rng, shown))
        _write(folder / "seqinfo.ini", _info(name, scene))
        for row in (p for placements in shown for p in placements):
            hidden += row.shape == "person" and row.inside > 0 and row.visible == 0
    return hidden


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


def _truth(scene: Scene, shown: list[list[Placement]]) -> list[str]:
    """Nine columns: frame, id, x, y, w, h, flag, class, visibility; by id, then by frame."""
    lines: list[str] = []
    for i, actor in enumerate(scene.actors):
        kind = _CLASSES[actor.shape]
        for t, placements in enumerate(shown):
            placement = placements[i]
            if placement.inside:
                share = f"{placement.visibility:.5f}".rstrip("0").rstrip(".")
                place = _box(placement.box, 0)
                lines.append(f"{t + 1},{i + 1},{place},{int(kind == 1)},{kind},{share}")
    return lines + _pillar(scene)


def _pillar(scene: Scene) -> list[str]:
    """A row a frame of the pillar, the last id."""
    if scene.pillar is None:
        return []
    lines: list[str] = []
    height, width = scene.pillar.pixels.shape[:2]
    for t in range(scene.frames):
        left = float(scene.pillar.x - int(scene.pan[t, 0]))
        place = _box(Box(left, 0.0, left + width, float(height)), 0)
        lines.append(f"{t + 1},{len(scene.actors) + 1},{place},0,{_PILLAR},1")
    return lines


def _detections(rng: Stream, shown: list[list[Placement]]) -> list[str]:
    """What a detector might find: people who mostly show, a pixel or two off; not by time."""
    lines: list[str] = []
    for i in range(len(shown[0])):
        for t, placements in enumerate(shown):
            box = placements[i].box
            moved = Box(*(v + 4 * rng.uniform() - 2 for v in (box.x1, box.y1, box.x2, box.y2)))
            score = f"{0.5 + 0.5 * placements[i].visibility:.2f}"
            if placements[i].visibility > 0.4:
                lines.append(f"{t + 1},-1,{_box(moved, 1)},{score}")
    return lines


def _box(box: Box, decimals: int) -> str:
    return ",".join(f"{v:.{decimals}f}" for v in (box.x1 + 1, box.y1 + 1, box.width, box.height))


def _info(name: str, scene: Scene) -> list[str]:
    width, height = scene.size
    return [
        "[Sequence]",
        f"name={name}",
        "imDir=img1",
        "frameRate=10",
        f"seqLength={scene.frames}",
        f"imWidth={width}",
        f"imHeight={height}",
        "imExt=.jpg",
    ]
