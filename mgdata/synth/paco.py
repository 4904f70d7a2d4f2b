"""Writes photos in the PACO layout: things and their parts, a part as a category `car:wheel`.

A part names the annotation of its thing in `obj_ann_id`. Wheels, windows and handles come on
several kinds of things, so that equal parts of unlike things can be asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mgdata.synth.camera import Camera
from mgdata.synth.coco import LICENSES, Lists, shots
from mgdata.synth.toybox import PARTS

_FIRST = 600_000
"""Number of the first photo: no other format has it."""
_SMALLEST = 12
"""Visible pixels below which a part has no annotation."""

NAMES = [name for kind, parts in PARTS.items() for name in (kind, *(f"{kind}:{p}" for p in parts))]
"""Categories: each thing, then its parts."""


def write(out: Path, camera: Camera) -> int:
    """Write the photos, the last fifth to val; nothing annotated is absent: 0."""
    files = {split: Lists() for split in ("train", "val")}
    for shot in shots(camera, "paco", kinds=tuple(PARTS), things=(1, 3)):
        name = f"{_FIRST + shot.number:012d}.jpg"
        folder = f"{shot.split}2017"
        camera.shoot(shot.still.scene(), out / folder, lambda _, name=name: name)
        lists = files[shot.split]
        lists.image(_FIRST + shot.number, camera.job, file_name=f"{folder}/{name}", license=4)
        for thing in shot.things:
            whole = lists.region(NAMES.index(thing.label) + 1, thing.mask, thing.box)
            for part in thing.parts:
                if part.mask.sum() >= _SMALLEST:
                    number = NAMES.index(f"{thing.label}:{part.label}") + 1
                    lists.region(number, part.mask, part.box, obj_ann_id=whole)
    for split, lists in files.items():
        (out / f"{split}2017").mkdir(exist_ok=True)
        lists.write(out / f"annotations/paco_lvis_v1_{split}.json", _categories(), LICENSES)
    return 0


def _categories() -> list[dict[str, Any]]:
    kinds = ("PART" if ":" in name else "OBJECT" for name in NAMES)
    return [
        {"supercategory": kind, "id": i + 1, "name": name}
        for i, (name, kind) in enumerate(zip(NAMES, kinds, strict=True))
    ]
