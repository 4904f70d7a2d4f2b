"""Writes clips in the GOT-10k layout: train and val, one target a clip, three files of flags.

The box is that of the target's part within the image, hidden parts included: 1-based `x,y,w,h`
with four decimals, zeros where nothing shows. `cover.label` counts eighths that show of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mgdata.identity import Stream
from mgdata.synth.camera import Camera, Job
from mgdata.synth.drawing import Placement
from mgdata.synth.scene import target_index, toys
from mgdata.synth.stories import Story

_STORIES: tuple[Story, ...] = ("hiding", "leaving", "free")


def write(out: Path, camera: Camera) -> int:
    """Write the clips, the last fifth of them to `val`; gives the number of absent targets."""
    job, absent = camera.job, 0
    names: dict[str, list[str]] = {"train": [], "val": []}
    for clip in camera.clips():
        split = "train" if clip < job.clips - job.held_out else "val"
        name = f"GOT-10k_{split.title()}_{len(names[split]) + 1:06d}"
        names[split].append(name)
        story, objects = _STORIES[clip % len(_STORIES)], 4 + clip % 2
        rng = Stream("synth", "got10k", str(job.seed), str(clip))
        scene = toys(rng, job.frames, job.size, objects, story)
        shown = camera.shoot(scene, out / split / name, lambda t: f"{t + 1:08d}.jpg")
        target = [placements[target_index(objects, story)] for placements in shown]
        _annotate(out / split / name, target, job, clip)
        absent += sum(p.visible == 0 for p in target)
    for split, listed in names.items():
        (out / split).mkdir(exist_ok=True)
        _lines(out / split / "list.txt", listed)
    return absent


def _annotate(folder: Path, target: list[Placement], job: Job, clip: int) -> None:
    """The five annotation files of one clip."""
    _lines(folder / "groundtruth.txt", (_box(p, job.size) for p in target))
    _lines(folder / "absence.label", (int(p.visible == 0) for p in target))
    _lines(folder / "cover.label", (_cover(p) for p in target))
    _lines(folder / "cut_by_image.label", (int(p.cut and p.visible > 0) for p in target))
    seconds = job.frames // 10
    facts = {
        "url": f"mgdata://synth/got10k/seed-{job.seed}/clip-{clip}",
        "begin": "00:00:00",
        "end": f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}",
        "anno_fps": "10Hz",
        "object_class": target[0].name,
        "motion_class": "sliding",
        "major_class": target[0].shape,
        "root_class": "toy",
        "motion_adverb": "smoothly",
        "resolution": f"({job.size[0]}, {job.size[1]})",
    }
    _lines(folder / "meta_info.ini", ("[METAINFO]", *(f"{k}: {v}" for k, v in facts.items())))


def _box(placement: Placement, size: tuple[int, int]) -> str:
    if placement.visible == 0:
        return "0.0000,0.0000,0.0000,0.0000"
    box = placement.box
    x, y = max(box.x1, 0.0), max(box.y1, 0.0)
    w, h = min(box.x2, size[0]) - x, min(box.y2, size[1]) - y
    return f"{x + 1:.4f},{y + 1:.4f},{w:.4f},{h:.4f}"


def _cover(placement: Placement) -> int:
    """Eighths that show, 0 only where nothing does and 8 only where (nearly) all does."""
    return max(int(placement.visible > 0), round(8 * placement.visibility))


def _lines(path: Path, lines: Iterable[str | int]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))
