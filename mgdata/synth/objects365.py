"""Writes photos in the Objects365 v2 layout: patches of images, no polygons, capital names.

`file_name` carries `images/v1/patchN/` (v2 for every other patch) although the files lie in
`train/patchN/`, as in the copies that public loaders expect. Every toy that shows has a box; every
third photo is full of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mgdata.synth.camera import Camera
from mgdata.synth.coco import LICENSES, shots
from mgdata.synth.toybox import KINDS

_PATCH = 8
"""Photos in one patch."""


def write(out: Path, camera: Camera) -> int:
    """Write the photos, the last fifth to val; nothing annotated is absent: 0."""
    width, height = camera.job.size
    images: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}
    boxes: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}
    for shot in shots(camera, "objects365", things=(4, 8), full=(11, 15)):
        number, patch = shot.number + 1, shot.number // _PATCH
        version = f"v{1 + patch % 2}"
        name = f"objects365_{version}_{number:08d}.jpg"
        folder = out / shot.split / f"patch{patch}"
        camera.shoot(shot.still.scene(), folder, lambda _, name=name: name)
        images[shot.split].append(
            {
                "height": height,
                "id": number,
                "license": 4,
                "width": width,
                "file_name": f"images/{version}/patch{patch}/{name}",
                "url": "",
            }
        )
        for thing in shot.things:
            box = thing.box
            boxes[shot.split].append(
                {
                    "id": len(boxes[shot.split]) + 1,
                    "iscrowd": 0,
                    "isfake": 0,
                    "area": box.area,
                    "isreflected": 0,
                    "bbox": [box.x1, box.y1, box.width, box.height],
                    "image_id": number,
                    "category_id": KINDS.index(thing.label) + 1,
                }
            )
    (out / "annotations").mkdir()
    for split in images:
        (out / split).mkdir(exist_ok=True)
        content = {
            "images": images[split],
            "annotations": boxes[split],
            "categories": [{"name": kind.title(), "id": i + 1} for i, kind in enumerate(KINDS)],
            "licenses": LICENSES,
        }
        (out / f"annotations/zhiyuan_objv2_{split}.json").write_text(json.dumps(content))
    return 0
