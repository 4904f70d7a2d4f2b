"""Small synthetic corpora of every layout the recipes name, each under the name they give it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mgdata.identity import Stream
from mgdata.synth import write
from mgdata.synth.camera import encoded
from mgdata.synth.photos import Photo, photo

SIZES: dict[str, tuple[str, int, int, tuple[int, int]]] = {
    "clevr_change": ("clevr_change", 16, 1, (480, 360)),
    "coco": ("coco", 200, 1, (192, 144)),
    "d3": ("d3", 160, 1, (192, 144)),
    "egoexo4d": ("egoexo4d", 6, 8, (320, 240)),
    "got10k": ("got10k", 10, 24, (256, 192)),
    "grand": ("grand", 44, 1, (320, 240)),
    "img_diff": ("img_diff", 24, 1, (256, 256)),
    "lasot": ("lasot", 6, 24, (256, 192)),
    "magicbrush": ("magicbrush", 14, 1, (256, 256)),
    "mc_bench": ("mc_bench", 12, 1, (192, 144)),
    "mig_bench": ("mig_bench", 10, 1, (256, 192)),
    "motchallenge": ("motchallenge", 6, 30, (256, 192)),
    "mvtrack": ("mvtrack", 8, 24, (192, 144)),
    "objects365": ("objects365", 220, 1, (400, 300)),
    "paco": ("paco", 60, 1, (320, 240)),
    "refcoco": ("refcoco", 150, 1, (192, 144)),
    "sav": ("sav", 4, 24, (192, 144)),
    "spot_the_diff": ("spot_the_diff", 24, 1, (320, 240)),
    "star": ("star", 24, 24, (192, 144)),
    "tao": ("tao", 12, 30, (192, 144)),
    "trackingnet": ("trackingnet", 8, 24, (256, 192)),
    "wildtrack": ("wildtrack", 8, 12, (192, 144)),
    "youtube_vos": ("youtube_vos", 10, 30, (192, 144)),
}
"""Layout, clips, frames and size of each corpus."""
AGAIN = {
    "got10k_val": "got10k",
    "grefcoco": "refcoco",
    "magicbrush_dev": "magicbrush",
    "refcocog": "refcoco",
}
"""Recipes that use another part of a corpus call it by another name."""
KINDS = ("ball", "star", "heart", "car", "mug", "house")
"""Classes of the photos in ImageNet's layout."""
IMAGENET = 120
"""How many of these there are."""


def write_corpora(folder: Path) -> dict[str, str]:
    """Write them all; their roots by name."""
    for name, (layout, clips, frames, size) in SIZES.items():
        write(layout, folder / name, clips=clips, frames=frames, size=size, seed=5)
    write_imagenet(folder / "imagenet")
    held_out(folder / "objects365", folder / "objects365_val")
    roots = {name: str(folder / name) for name in (*SIZES, "imagenet", "objects365_val")}
    return {**roots, **{name: roots[layout] for name, layout in AGAIN.items()}}


def write_imagenet(root: Path) -> None:
    """Photos of one class each, boxed as ImageNet's are; every other one shows a large thing."""
    names = {kind: f"n{10_000_000 + place:08d}" for place, kind in enumerate(KINDS)}
    lines = [f"{wnid} {kind}, {kind} toy\n" for kind, wnid in names.items()]
    root.mkdir()
    (root / "LOC_synset_mapping.txt").write_text("".join(lines))
    for number in range(IMAGENET):
        rng = Stream("imagenet", str(number))
        kind, large = KINDS[number % len(KINDS)], number // len(KINDS) % 2 == 0
        taken = photo(rng, (320, 240), 1 if number % 5 else 2, kinds=(kind,), large=large)
        below, stem = f"CLS-LOC/train/{names[kind]}", f"{names[kind]}_{number}"
        for place, ending, content in (
            ("Annotations", "xml", _boxes(taken, names[kind], stem).encode()),
            ("Data", "JPEG", encoded(taken.pixels, 90)),
        ):
            path = root / "ILSVRC" / place / below / f"{stem}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _boxes(taken: Photo, wnid: str, stem: str) -> str:
    objects = "".join(
        f"<object><name>{wnid}</name><difficult>0</difficult><bndbox>"
        f"<xmin>{thing.box.x1 + 1:.0f}</xmin><ymin>{thing.box.y1 + 1:.0f}</ymin>"
        f"<xmax>{thing.box.x2:.0f}</xmax><ymax>{thing.box.y2:.0f}</ymax></bndbox></object>"
        for thing in taken.things
    )
    height, width = taken.pixels.shape[:2]
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>{stem}</filename>{size}{objects}</annotation>"


def held_out(objects365: Path, root: Path) -> None:
    """The same photos as the held-out part of Objects365, where recipes for benchmarks look."""
    shutil.copytree(objects365 / "train", root / "val", copy_function=os.link)
    (root / "annotations").mkdir()
    lists = objects365 / "annotations/zhiyuan_objv2_train.json"
    os.link(lists, root / "annotations/zhiyuan_objv2_val.json")
