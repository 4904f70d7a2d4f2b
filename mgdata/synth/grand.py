"""Writes photos in GranD's layout, with the faults of a corpus that no person looked at.

    ROOT/annotations/sa_<n>.json    objects with boxes, labels, attributes, scores and masks
    ROOT/images/sa_<n>.jpg

Boxes and masks are those of the toys' visible pixels. Every object carries its phrase ("a red
ball"), some of them as a prompt's rest or beside a sentence. Each photo has one low-scored box of
nothing, one object twice, and every third one an attribute that speaks of something else: what a
reader must not ask for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from pycocotools import mask as rle

from mgdata.identity import Stream
from mgdata.synth.camera import Camera, encoded
from mgdata.synth.photos import Photo, Thing, photo

THINGS = (3, 7)
"""Toys a photo, at least and at most."""


def write(out: Path, camera: Camera) -> int:
    """Write the photos; no annotated object is absent, so it gives 0."""
    job = camera.job
    for folder in ("annotations", "images"):
        (out / folder).mkdir()
    for number in camera.clips():
        rng = Stream("synth", "grand", str(job.seed), str(number))
        shown = photo(rng, job.size, rng.between(*THINGS))
        name = f"sa_{number + 1}"
        data = encoded(shown.pixels, job.quality)
        (out / f"images/{name}.jpg").write_bytes(data)
        camera.images += 1
        camera.bytes += len(data)
        scene = {f"{name}.jpg": _scene(rng, shown, number)}
        (out / f"annotations/{name}.json").write_text(json.dumps(scene))
    return 0


def _scene(rng: Stream, shown: Photo, number: int) -> dict[str, Any]:
    """What the JSON says of one photo."""
    objects = [_object(rng, thing, place) for place, thing in enumerate(shown.things)]
    if number % 3 == 0 and len(objects) > 2:
        objects[-1]["attributes"] = ["large multi colored beach umbrella"]
    again: dict[str, Any] = {**objects[0], "id": len(objects), "score": 0.31, "attributes": None}
    again["bbox"] = _nudged(again["bbox"])
    nothing: dict[str, Any] = {
        **objects[0],
        "id": len(objects) + 1,
        "score": 0.1,
        "attributes": None,
    }
    nothing["bbox"] = _elsewhere(rng, shown)
    del again["segmentation"], nothing["segmentation"]
    twice = {**again, "id": len(objects) + 2, "score": 0.24}
    return {
        "objects": [*objects, again, nothing],
        "floating_objects": [twice],
        "floating_attributes": [],
        "landmark": {"category": "Indoor scene", "fine_category": "Playroom"},
        "relationships": {"object_ids": [], "floating_object_ids": [], "grounding": []},
        "short_captions": [{"caption": f"{len(objects)} toys", "details": []}],
        "id_counter": len(objects) + 3,
    }


def _object(rng: Stream, thing: Thing, place: int) -> dict[str, Any]:
    """One toy as an object, its fields in the corpus' order."""
    name = thing.label.replace(" ", "_")
    phrase = f"{'an' if thing.phrase[0] in 'aeiou' else 'a'} {thing.phrase}"
    attributes = rng.choice(
        (
            [phrase],
            [f"Assistant: {phrase}."],
            [f"the {thing.label} is {thing.colour}", f"istant: {phrase}"],
            phrase,
        )
    )
    return {
        "bbox": list(msgspec.structs.astuple(thing.box)),
        "labels": rng.choice(([name], [name, "toy"], [f"{name}_(toy)", "toy"])),
        "score": round(0.5 + 0.5 * rng.uniform(), 2),
        "attributes": attributes,
        "id": place,
        "segmentation": _rle(thing),
        "segmentation_source": "SAM",
    }


def _rle(thing: Thing) -> dict[str, Any]:
    found: Any = rle.encode(np.asfortranarray(thing.mask.astype(np.uint8)))
    return {"size": list(thing.mask.shape), "counts": found["counts"].decode()}


def _nudged(box: list[float]) -> list[float]:
    """The same box as another detector saw it: an IoU of over 0.95."""
    x1, y1, x2, y2 = box
    return [round(x1 + 0.01 * (x2 - x1), 2), y1, x2, round(y2 - 0.01 * (y2 - y1), 2)]


def _elsewhere(rng: Stream, shown: Photo) -> list[float]:
    """A small box anywhere in the photo."""
    high, wide = shown.pixels.shape[:2]
    x, y = rng.below(wide - wide // 8), rng.below(high - high // 8)
    return [float(x), float(y), float(x + wide // 8), float(y + high // 8)]
