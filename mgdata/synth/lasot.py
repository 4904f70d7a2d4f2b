"""Writes clips in the LaSOT layout: a folder a class, integer boxes, flags on one line.

The box fits the part that shows, 1-based. As in the real files an absent frame mostly repeats the
box before it: three runs of absent frames of four do, the fourth has zeros.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mgdata.identity import Stream
from mgdata.synth.camera import Camera
from mgdata.synth.drawing import Placement
from mgdata.synth.scene import target_index, toys
from mgdata.synth.stories import Story

_STORIES: tuple[Story, ...] = ("leaving", "hiding")
_ZEROS = "0,0,0,0"


def write(out: Path, camera: Camera) -> int:
    """Write the clips, the last fifth of them listed for testing; gives the number of absences."""
    job = camera.job
    numbers: Counter[str] = Counter()
    names: list[str] = []
    absences = 0
    runs = 0
    for clip in camera.clips():
        story, objects = _STORIES[clip % len(_STORIES)], 4 + clip % 2
        rng = Stream("synth", "lasot", str(job.seed), str(clip))
        scene = toys(rng, job.frames, job.size, objects, story)
        kind = scene.actors[target_index(objects, story)].shape
        numbers[kind] += 1
        names.append(f"{kind}-{numbers[kind]}")
        folder = out / kind / names[-1]
        shown = camera.shoot(scene, folder / "img", lambda t: f"{t + 1:08d}.jpg")
        target = [placements[target_index(objects, story)] for placements in shown]
        boxes, runs = _boxes(target, runs)
        (folder / "groundtruth.txt").write_text("".join(f"{box}\n" for box in boxes))
        _annotate(folder, target)
        absences += sum(p.visible == 0 for p in target)
    training = job.clips - job.held_out
    for file, listed in (("training_set", names[:training]), ("testing_set", names[training:])):
        (out / f"{file}.txt").write_text("".join(f"{name}\n" for name in listed))
    return absences


def _annotate(folder: Path, target: list[Placement]) -> None:
    """Flags and phrase, neither with a newline at the end."""
    hidden = (str(int(p.visible == 0 and p.inside > 0)) for p in target)
    gone = (str(int(p.inside == 0)) for p in target)
    (folder / "full_occlusion.txt").write_text(",".join(hidden))
    (folder / "out_of_view.txt").write_text(",".join(gone))
    (folder / "nlp.txt").write_text(f"{target[0].name} moving among other toys")


def _boxes(target: list[Placement], runs: int) -> tuple[list[str], int]:
    """A line a frame, and how many runs of absent frames there have been in the corpus so far."""
    lines: list[str] = []
    last, absent = _ZEROS, False
    for placement in target:
        seen = placement.seen
        if seen is not None:
            last = f"{seen.x1 + 1:.0f},{seen.y1 + 1:.0f},{seen.width:.0f},{seen.height:.0f}"
        elif not absent:
            runs += 1
            last = _ZEROS if runs % 4 == 0 else last
        absent = seen is None
        lines.append(last)
    return lines, runs
