"""Writes videos in the TAO layout: people and toys that leave the picture, hide and come back.

    ROOT/annotations/{train,validation}.json
    ROOT/frames/<split>/<source>/<video>/frame0001.jpg    every frame; about twelve are annotated

Several things of a class are in every video. The annotation is federated, as TAO's: of one class
perhaps only one thing has a track (`not_exhaustive_category_ids`), one may have none at all, a
class that annotators named themselves (synset `unknown`) has only some; three that are not there
are `neg_category_ids`. Some people are annotated as `pedestrian`, which is merged into `person`. A
box goes round what shows, but at the picture's edge now and then round the whole thing. What nearly
nothing shows of has no box. Two videos in a row come from one film.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mgdata.geometry import Box, clip
from mgdata.identity import Stream, digest
from mgdata.synth.backdrop import ground, pillar
from mgdata.synth.camera import Camera, Job
from mgdata.synth.drawing import Actor, Pillar, Placement, Scene
from mgdata.synth.scene import GRAIN
from mgdata.synth.sprites import COLOURS, PHASES, walker
from mgdata.synth.toybox import KINDS, cutout

PERSON = "person"
_NAMES = (*KINDS, PERSON)
_MERGED = {"id": 900, "name": "pedestrian"}
_ANNOTATED = 12
"""Frames of a video that are annotated, about."""
_RATE = 30
_SLIVER = 25
"""Pixels that show below which nobody would draw a box."""
_PIECE = 0.12
"""Share of a thing that must show for it to be known by."""
_SOURCES = ("YFCC100M", "YFCC100M", "AVA", "AVA", "HACS", "HACS", "Charades", "LaSOT")


@dataclass
class _Lists:
    """What one annotation file holds."""

    videos: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    images: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    tracks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    annotations: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def write(out: Path, camera: Camera) -> int:
    """Write the videos, the last fifth to validation; how often a track does not show."""
    job, absent = camera.job, 0
    files = {"train": _Lists(), "val": _Lists()}
    for number in camera.clips():
        rng = Stream("synth", "tao", str(job.seed), str(number))
        split = "train" if number < job.clips - job.held_out else "val"
        name = f"{split}/{_name(number, job)}"
        scene = setting(rng, number, job)
        shown = camera.shoot(scene, out / "frames" / name, lambda t: f"frame{t + 1:04d}.jpg")
        absent += _annotate(files[split], rng, name, scene, shown)
    for split, lists in files.items():
        path = out / "annotations" / f"{'validation' if split == 'val' else split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_content(lists)))
    return absent


def annotated(frames: int) -> range:
    """Numbers of the frames that are annotated, of a video this long."""
    return range(0, frames, max(1, frames // _ANNOTATED))


def setting(rng: Stream, number: int, job: Job) -> Scene:
    """What a video shows: five to seven actors of three or four classes, and a pillar."""
    width, height = job.size
    kinds = rng.sample(KINDS, 3)
    cast = [
        [kinds[0]] * 3 + [kinds[1]] * 2 + [kinds[2]],
        [PERSON] * 4 + [kinds[0]] * 2 + [kinds[1]],
    ]
    names = cast[number % 2] if number % 3 else [PERSON] * 3 + [kinds[0]] * 3 + [kinds[1]]
    rng.shuffle(names)
    colours = {name: rng.sample(list(COLOURS), names.count(name)) for name in sorted(set(names))}
    actors: list[Actor] = []
    for order, name in enumerate(names):
        depth = (order + 0.5) / len(names)
        make = _person if name == PERSON else _toy
        actors.append(make(rng, name, colours[name].pop(), depth, job))
    post = pillar(rng, round(min(job.size) * 0.2), height)
    middle = width * (0.4 + 0.2 * rng.uniform())
    return Scene(
        size=job.size,
        backdrop=ground(rng, job.size, "plaza"),
        grain=GRAIN,
        pan=np.zeros((job.frames, 2), np.int64),
        actors=tuple(actors),
        pillar=Pillar(pixels=post, x=round(middle - post.shape[1] / 2)),
    )


def _sway(rng: Stream, width: int, frames: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Columns of a way to and fro; of two in three it leads out of the picture and back."""
    reach = 0.78 if rng.below(3) else 0.3
    turns, phase = 0.8 + 0.8 * rng.uniform(), 2 * math.pi * rng.uniform()
    t = phase + 2 * np.pi * turns * np.arange(frames) / max(frames, 2)
    return width * (0.5 + reach * np.sin(t))


def _person(rng: Stream, name: str, colour: str, depth: float, job: Job) -> Actor:
    width, height = job.size
    tall = height * (0.3 + 0.28 * depth)
    x = _sway(rng, width, job.frames)
    y = height * (0.44 + 0.53 * depth) - tall / 2
    looks = str(rng.below(1 << 62))
    return Actor(
        name=f"{name} in {colour}",
        shape=name,
        colour=colour,
        sprites=tuple(walker(colour, phase, tall, Stream(looks)) for phase in range(PHASES)),
        path=np.stack([x, np.full(job.frames, y)], axis=1),
        mirrored=np.gradient(x) < 0 if job.frames > 1 else np.zeros(job.frames, np.bool_),
    )


def _toy(rng: Stream, name: str, colour: str, depth: float, job: Job) -> Actor:
    width, height = job.size
    across = min(job.size) * (0.16 + 0.1 * depth)
    x = _sway(rng, width, job.frames)
    bounce = 0.04 * np.sin(2 * math.pi * rng.uniform() + np.arange(job.frames) / 3)
    y = height * (0.3 + 0.55 * depth + bounce)
    texture = rng.choice(("plain", "striped", "dotted", "checked"))
    return Actor(
        name=f"{colour} {name}",
        shape=name,
        colour=colour,
        sprites=(cutout(name, colour, texture, across).sprite,),
        path=np.stack([x, y], axis=1),
        turn=0.3 * np.sin(np.arange(job.frames) / 4),
    )


def _annotate(
    lists: _Lists, rng: Stream, name: str, scene: Scene, shown: list[list[Placement]]
) -> int:
    """Add one video; how often one of its tracks does not show."""
    video, absent = len(lists.videos), 0
    counts = Counter(actor.shape for actor in scene.actors)
    many = sorted(kind for kind, count in counts.items() if count > 1 and kind != PERSON)
    partial = many[:1] if rng.below(2) else []
    others = sorted(set(counts) - set(partial) - {PERSON})
    free = others[:1] if rng.below(2) else []
    silent = [kind for kind in others if kind not in free][:1] if rng.below(3) == 0 else []
    missing = rng.sample([kind for kind in KINDS if kind not in counts], 3)
    lists.videos.append(
        {
            "id": video,
            "name": name,
            "width": scene.size[0],
            "height": scene.size[1],
            "neg_category_ids": sorted(_NAMES.index(kind) + 1 for kind in missing),
            "not_exhaustive_category_ids": [_NAMES.index(kind) + 1 for kind in partial],
            "metadata": {"dataset": name.split("/")[1], "user_id": None, "username": None},
        }
    )
    first = len(lists.images)
    for t in annotated(scene.frames):
        lists.images.append(_image(len(lists.images), video, name, t, scene.size))
    met: set[str] = set()
    for i, actor in enumerate(scene.actors):
        if actor.shape in silent or (actor.shape in (*partial, *free) and actor.shape in met):
            continue
        met.add(actor.shape)
        pedestrian = actor.shape == PERSON and rng.below(3) == 0
        category = _MERGED["id"] if pedestrian else _NAMES.index(actor.shape) + 1
        if actor.shape in free:
            category = 1000 + _NAMES.index(actor.shape)
        track = {"id": len(lists.tracks) + 1, "category_id": category, "video_id": video}
        lists.tracks.append(track)
        for image, t in enumerate(annotated(scene.frames), first):
            box = _box(shown[t][i], scene.size, rng)
            absent += box is None
            if box is not None:
                lists.annotations.append(_mark(len(lists.annotations) + 1, image, track, box))
    return absent


def _image(id_: int, video: int, name: str, t: int, size: tuple[int, int]) -> dict[str, Any]:
    return {
        "id": id_,
        "video": name,
        "_scale_task_id": None,
        "width": size[0],
        "height": size[1],
        "file_name": f"{name}/frame{t + 1:04d}.jpg",
        "frame_index": t,
        "license": 0,
        "video_id": video,
    }


def _box(placement: Placement, size: tuple[int, int], rng: Stream) -> Box | None:
    """What an annotator would draw."""
    if placement.seen is None or placement.visible < max(_SLIVER, _PIECE * placement.full):
        return None
    whole = placement.box
    over = placement.cut and clip(whole, *size) == placement.seen and rng.below(2)
    return whole if over else placement.seen


def _mark(id_: int, image: int, track: dict[str, Any], box: Box) -> dict[str, Any]:
    x, y, w, h = (round(v) for v in (box.x1, box.y1, box.width, box.height))
    return {
        "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
        "bbox": [x, y, w, h],
        "area": w * h,
        "iscrowd": 0,
        "id": id_,
        "image_id": image,
        "category_id": track["category_id"],
        "track_id": track["id"],
        "_scale_uuid": None,
        "scale_category": "moving object",
        "video_id": track["video_id"],
    }


def _name(number: int, job: Job) -> str:
    """Source and name of a video, in the manner of that source."""
    source = _SOURCES[number % len(_SOURCES)]
    own, film = (digest("tao", str(job.seed), str(n)) for n in (number, number // 2))
    scene = f"scene_{number % 2}_{number * 900}-{number * 900 + 1 + job.frames}"
    if source == "AVA":
        return f"AVA/{film[:11]}_{scene}"
    if source == "HACS":
        return f"HACS/Walking_the_dog_v_{film[:11]}_{scene}"
    if source == "Charades":
        return f"Charades/{own[:5].upper()}"
    if source == "LaSOT":
        return f"LaSOT/synthetic-{number + 1}"
    return f"YFCC100M/v_{own[:31]}"


def _content(lists: _Lists) -> dict[str, Any]:
    info = {"year": 2020, "version": "synthetic", "description": "rendered", "contributor": ""}
    return {
        "info": {**info, "url": "", "date_created": "2020-01-20"},
        "licenses": ["Unknown"],
        "videos": lists.videos,
        "images": lists.images,
        "tracks": lists.tracks,
        "annotations": lists.annotations,
        "categories": _categories(),
    }


def _categories() -> list[dict[str, Any]]:
    """LVIS' entries, without the one that was merged; and what annotators called toys."""
    found: list[dict[str, Any]] = []
    for i, name in enumerate(_NAMES):
        entry = {"id": i + 1, "name": name, "synset": f"{name}.n.01", "synonyms": [name]}
        found.append({**entry, "def": f"a {name}", "frequency": "f"})
    found[_NAMES.index(PERSON)]["merged"] = [_MERGED]
    for i, kind in enumerate(KINDS):
        found.append({"id": 1000 + i, "name": f"my_{kind}", "synset": "unknown", "frequency": "r"})
    return found
