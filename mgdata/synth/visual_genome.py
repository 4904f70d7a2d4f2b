"""Writes photos in the Visual Genome layout: named boxes, phrases for boxes, two image folders.

    ROOT/image_data.json  objects.json  region_descriptions.json
    ROOT/VG_100K/<id>.jpg  VG_100K_2/<id>.jpg

Objects and regions are the toys' visible pixels; every third photo leaves its last toy out, as
people did. With it what makes the corpus hard: an entry's image is `image_id` in one file and
`id` in the other, a region of the ground runs out of the image, one phrase is blank, one toy is
boxed twice under the same words, and names have capitals and spaces round them. Of three photos
one has a number in COCO, one only in Flickr, one in neither.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mgdata.synth.camera import Camera, Job
from mgdata.synth.coco import Shot, shots
from mgdata.synth.photos import Thing

_URL = "https://cs.stanford.edu/people/rak248"
_COCO, _FLICKR = 400_000, 4_000_000_000
"""Numbers there of the first photo."""


def write(out: Path, camera: Camera) -> int:
    """Write the photos; nothing annotated is absent: 0."""
    photos: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    regions: list[dict[str, Any]] = []
    for shot in shots(camera, "visual_genome"):
        id_ = shot.number + 1
        folder = "VG_100K" if shot.number % 2 else "VG_100K_2"
        camera.shoot(shot.still.scene(), out / folder, lambda _, id_=id_: f"{id_}.jpg")
        url = f"{_URL}/{folder}/{id_}.jpg"
        photos.append(_photo(id_, url, camera.job))
        seen = annotated(shot)
        objects.append({"image_id": id_, "objects": _objects(shot, seen), "image_url": url})
        regions.append({"regions": _regions(shot, seen, camera.job), "id": id_})
    for name, content in (
        ("image_data", photos),
        ("objects", objects),
        ("region_descriptions", regions),
    ):
        (out / f"{name}.json").write_text(json.dumps(content))
    return 0


def annotated(shot: Shot) -> list[Thing]:
    """The toys that somebody drew a box for."""
    return shot.things[:-1] if shot.number % 3 == 2 else shot.things


def _photo(id_: int, url: str, job: Job) -> dict[str, Any]:
    return {
        "width": job.size[0],
        "url": url,
        "height": job.size[1],
        "image_id": id_,
        "coco_id": _COCO + id_ if id_ % 3 == 1 else None,
        "flickr_id": _FLICKR + id_ if id_ % 3 else None,
    }


def _objects(shot: Shot, seen: list[Thing]) -> list[dict[str, Any]]:
    """The objects of one photo; its first toy a second time, with another number."""
    written: list[dict[str, Any]] = []
    for thing in (*seen, seen[0]):
        box = thing.box
        written.append(
            {
                "synsets": [f"{thing.label}.n.01"],
                "h": int(box.height),
                "object_id": 1000 * (shot.number + 1) + len(written),
                "merged_object_ids": [],
                "names": [f"{thing.label.title()} ", "toy"],
                "w": int(box.width),
                "y": int(box.y1),
                "x": int(box.x1),
            }
        )
    return written


def _regions(shot: Shot, seen: list[Thing], job: Job) -> list[dict[str, Any]]:
    """The regions of one photo: its toys, the ground at its foot, and one that says nothing."""
    width, height = job.size
    told = [
        (f"{thing.phrase} on the ground ", (thing.box.x1, thing.box.y1, *_sides(thing)))
        for thing in seen
    ]
    told.append(("the ground", (-2, height - height // 8, width + 9, height // 4)))
    told.append((" ", (1, 1, width // 2, height // 2)))
    return [
        {
            "region_id": 100 * (shot.number + 1) + number,
            "width": int(w),
            "height": int(h),
            "image_id": shot.number + 1,
            "phrase": phrase,
            "y": int(y),
            "x": int(x),
        }
        for number, (phrase, (x, y, w, h)) in enumerate(told)
    ]


def _sides(thing: Thing) -> tuple[float, float]:
    return thing.box.width, thing.box.height
