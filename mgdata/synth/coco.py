"""Writes photos in the COCO 2017 layout: train and val, polygons, and crowds with run lengths.

Every toy that shows is annotated, but a crowd (eight small toys of one kind close together, in one
photo of five) is one region with `iscrowd`. Category ids have gaps, as COCO's have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.synth.camera import Camera, Job
from mgdata.synth.photos import Mask, Still, Thing, Toy, arranged, bounds, shown
from mgdata.synth.sprites import COLOURS
from mgdata.synth.toybox import FLAT, KINDS

LICENSES = [
    {
        "url": "http://creativecommons.org/licenses/by/2.0/",
        "id": 4,
        "name": "Attribution License",
    },
    {
        "url": "http://creativecommons.org/licenses/by-nc/2.0/",
        "id": 2,
        "name": "Attribution-NonCommercial License",
    },
]


@dataclass(frozen=True)
class Shot:
    """One photo to be written."""

    number: int
    """From 0."""
    split: str
    """`train`, or `val` for the last fifth."""
    rng: Stream
    still: Still
    things: list[Thing]


def shots(
    camera: Camera,
    format: str,
    *,
    kinds: Sequence[str] | None = None,
    things: tuple[int, int] = (3, 7),
    full: tuple[int, int] | None = None,
) -> Iterator[Shot]:
    """The photos of a corpus: about half of them have a large thing, the others things of one size.

    `full`: how many things every third photo has, instead.
    """
    job = camera.job
    for number in camera.clips():
        rng = Stream("synth", format, str(job.seed), str(number))
        large = rng.below(2) == 0
        many = things if full is None or number % 3 else full
        still = arranged(rng, job.size, rng.between(*many), kinds=kinds, large=large)
        split = "train" if number < job.clips - job.held_out else "val"
        yield Shot(number, split, rng, still, shown(still))


def write(out: Path, camera: Camera) -> int:
    """Write the photos; nothing annotated is absent: 0."""
    files = {split: Lists() for split in ("train", "val")}
    for shot in shots(camera, "coco"):
        still, crowd = shot.still, None
        if shot.rng.below(5) == 0:
            still, crowd = _crowded(shot.rng, still)
        name = f"{shot.number + 1:012d}.jpg"
        folder = f"{shot.split}2017"
        camera.shoot(still.scene(), out / folder, lambda _, name=name: name)
        lists = files[shot.split]
        lists.image(
            shot.number + 1,
            camera.job,
            file_name=name,
            coco_url=f"http://images.cocodataset.org/{folder}/{name}",
            license=LICENSES[shot.rng.below(2)]["id"],
        )
        hidden = np.zeros(camera.job.size[::-1], bool) if crowd is None else crowd[1]
        for thing in shot.things:
            mask = thing.mask & ~hidden
            if mask.any():
                lists.region(number_of(thing.label), mask, bounds(mask))
        if crowd is not None:
            lists.region(number_of(crowd[0]), crowd[1], bounds(crowd[1]), crowd=True)
    for split, lists in files.items():
        (out / f"{split}2017").mkdir(exist_ok=True)
        lists.write(out / f"annotations/instances_{split}2017.json", categories(), LICENSES)
    return 0


def number_of(kind: str) -> int:
    """Category id of a kind: 1, 3, 5 and so on."""
    return 2 * KINDS.index(kind) + 1


def categories() -> list[dict[str, Any]]:
    """The list of categories."""
    return [{"supercategory": "toy", "id": number_of(kind), "name": kind} for kind in KINDS]


class Lists:
    """The images and annotations of one file as they grow."""

    def __init__(self) -> None:
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def image(self, id_: int, job: Job, **more: Any) -> None:
        """One more image; regions that follow are its."""
        size = {"height": job.size[1], "width": job.size[0]}
        self._images.append({"id": id_, **size, **more})

    def region(
        self, category: int, mask: Mask, box: Box, *, crowd: bool = False, **more: Any
    ) -> int:
        """One more region of the last image; gives its id."""
        number = len(self._annotations) + 1
        self._annotations.append(
            {
                "segmentation": run_lengths(mask) if crowd else polygons(mask),
                "area": float(mask.sum()),
                "iscrowd": int(crowd),
                "image_id": self._images[-1]["id"],
                "bbox": [box.x1, box.y1, box.width, box.height],
                "category_id": category,
                "id": number,
                **more,
            }
        )
        return number

    def write(
        self, path: Path, categories: list[dict[str, Any]], licenses: list[dict[str, Any]]
    ) -> None:
        """Write the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "info": {"description": "synthetic toys", "version": "1.0"},
            "licenses": licenses,
            "images": self._images,
            "annotations": self._annotations,
            "categories": categories,
        }
        path.write_text(json.dumps(content))


def polygons(mask: Mask) -> list[list[float]]:
    """Outlines of a mask through its border pixels, x and y in turn."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [contour.reshape(-1).astype(float).tolist() for contour in contours if len(contour) > 2]


def run_lengths(mask: Mask) -> dict[str, Any]:
    """A mask as uncompressed run lengths, as COCO's crowds have it."""
    flat = np.concatenate([[0], mask.flatten(order="F").astype(np.int8)])
    edges = np.flatnonzero(np.diff(flat))
    runs = np.diff(np.concatenate([[0], edges, [mask.size]]))
    return {"counts": runs.tolist(), "size": list(mask.shape)}


def _crowded(rng: Stream, still: Still) -> tuple[Still, tuple[str, Mask]]:
    """The still with a crowd before everything, its label, and the mask of what shows of it."""
    label = rng.choice(FLAT)
    across = min(still.size) * 0.07
    room = (round(across * 2.2), round(across * 1.8))
    x = rng.between(room[0], still.size[0] - room[0])
    y = rng.between(room[1], still.size[1] - room[1])
    toys = tuple(
        Toy(
            label=label,
            colour=rng.choice(list(COLOURS)),
            texture="plain",
            across=across,
            angle=0.0,
            at=(x + round(across * (i % 4 - 1.5) * 0.9), y + round(across * (i // 4 - 0.5) * 1.1)),
        )
        for i in range(8)
    )
    crowd = shown(replace(still, toys=toys))
    mask = np.logical_or.reduce([thing.mask for thing in crowd])
    return replace(still, toys=(*still.toys, *toys)), (label, mask)
