"""Writes photos in the Pascal VOC layout: an XML file an image, lists of the sets.

Corners are pixels counted from 1, both included. A toy of which less than half shows is
`difficult`, one of which a twentieth is hidden `truncated`; in some photos the smallest toy is
called difficult too. Every other file writes xmax before xmin, as some tools do.
"""

from __future__ import annotations

from pathlib import Path

from mgdata.synth.camera import Camera, Job
from mgdata.synth.coco import Shot, shots
from mgdata.synth.photos import Thing

_BASE = "VOCdevkit/VOC2007"


def write(out: Path, camera: Camera) -> int:
    """Write the photos, the last fifth to the set `val`; nothing annotated is absent: 0."""
    base = out / _BASE
    for folder in ("Annotations", "ImageSets/Main"):
        (base / folder).mkdir(parents=True)
    sets: dict[str, list[str]] = {"train": [], "val": []}
    for shot in shots(camera, "voc"):
        name = f"{shot.number + 1:06d}"
        sets[shot.split].append(name)
        camera.shoot(shot.still.scene(), base / "JPEGImages", lambda _, name=name: f"{name}.jpg")
        (base / f"Annotations/{name}.xml").write_text(_annotation(name, shot, camera.job))
    sets["trainval"] = sets["train"] + sets["val"]
    for split, names in sets.items():
        (base / f"ImageSets/Main/{split}.txt").write_text("".join(f"{n}\n" for n in names))
    return 0


def _annotation(name: str, shot: Shot, job: Job) -> str:
    hard = [thing.visibility < 0.5 for thing in shot.things]
    if shot.rng.below(5) == 0:
        smallest = min(range(len(hard)), key=lambda i: shot.things[i].share)
        hard[smallest] = True
    objects = "".join(
        _object(thing, difficult, swapped=shot.number % 2 == 1)
        for thing, difficult in zip(shot.things, hard, strict=True)
    )
    return (
        "<annotation>\n\t<folder>VOC2007</folder>\n"
        f"\t<filename>{name}.jpg</filename>\n"
        "\t<source>\n\t\t<database>synthetic toys</database>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{job.size[0]}</width>\n\t\t<height>{job.size[1]}</height>\n"
        "\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n"
        f"{objects}</annotation>\n"
    )


def _object(thing: Thing, difficult: bool, swapped: bool) -> str:
    box = thing.box
    corners = [("xmin", box.x1 + 1), ("ymin", box.y1 + 1), ("xmax", box.x2), ("ymax", box.y2)]
    if swapped:
        corners = [corners[i] for i in (2, 0, 3, 1)]
    written = "".join(f"\t\t\t<{tag}>{value:.0f}</{tag}>\n" for tag, value in corners)
    return (
        f"\t<object>\n\t\t<name>{thing.label}</name>\n\t\t<pose>Unspecified</pose>\n"
        f"\t\t<truncated>{int(thing.visibility < 0.95)}</truncated>\n"
        f"\t\t<difficult>{int(difficult)}</difficult>\n"
        f"\t\t<bndbox>\n{written}\t\t</bndbox>\n\t</object>\n"
    )
