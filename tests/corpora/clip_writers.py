"""Tiny tracking corpora in their true layouts, written by hand; and readers of one clip."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Picture

from mgdata.data import Drop, Record
from mgdata.plugins import Corpus
from mgdata.validity import record_fault

WIDTH, HEIGHT = 64, 48
BOX = "11,21,30,20"
"""A box well inside: 10,20,40,40 in our pixels."""


def jpeg(width: int = WIDTH, height: int = HEIGHT, orientation: int = 1) -> bytes:
    shade = np.linspace(0, 255, width * height * 3).reshape(height, width, 3).astype(np.uint8)
    data = cv2.imencode(".jpg", shade)[1].tobytes()
    if orientation == 1:
        return data
    exif = Picture.Exif()
    exif[274] = orientation
    out = io.BytesIO()
    Picture.open(io.BytesIO(data)).save(out, format="jpeg", exif=exif)
    return out.getvalue()


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(*values: object) -> str:
    return "".join(f"{value}\n" for value in values)


def got10k_clip(root: Path, name: str = "GOT-10k_Train_000001", split: str = "train") -> Path:
    """Six frames, a box a line, all visible; the split's list names it."""
    folder = root / split / name
    for number in range(1, 7):
        put(folder / f"{number:08d}.jpg", jpeg())
    put(folder / "groundtruth.txt", lines(*["11.0000,21.0000,30.0000,20.0000"] * 6))
    put(folder / "absence.label", lines(*"000000"))
    put(folder / "cover.label", lines(*"888888"))
    put(folder / "cut_by_image.label", lines(*"000000"))
    put(
        folder / "meta_info.ini",
        "[METAINFO]\nurl: https://example.org/v: 1\nbegin: 00:00:01\nend: 00:00:02\n"
        "anno_fps: 10Hz\nobject_class: Polar Bear\nmotion_class: walking\n"
        "major_class: bear\nroot_class: animal\nmotion_adverb: slowly\nresolution: (64, 48)\n",
    )
    with (root / split / "list.txt").open("a") as names:
        names.write(f"{name}\n")
    return folder


def lasot_clip(root: Path, name: str = "goat-1") -> Path:
    """Six frames, integers, all visible, a phrase without a newline."""
    folder = root / name.rpartition("-")[0] / name
    for number in range(1, 7):
        put(folder / f"img/{number:08d}.jpg", jpeg())
    put(folder / "groundtruth.txt", lines(*[BOX] * 6))
    put(folder / "full_occlusion.txt", "0,0,0,0,0,0")
    put(folder / "out_of_view.txt", "0,0,0,0,0,0")
    put(folder / "nlp.txt", "grey goat on rocks")
    return folder


def trackingnet_clip(root: Path, video: str = "-a1b2C3d4E5_0", chunk: str = "TRAIN_0") -> Path:
    """Twelve frames named 0.jpg to 11.jpg; returns the annotation file."""
    for number in range(12):
        put(root / chunk / "frames" / video / f"{number}.jpg", jpeg())
    boxes = [f"{number + 1}.5000,21.0000,30.0000,20.0000" for number in range(12)]
    return put(root / chunk / "anno" / f"{video}.txt", lines(*boxes))


def mot_clip(root: Path, name: str = "MOT17-02-FRCNN", rows: str = "") -> Path:
    """Six frames; one visible person in all of them unless `rows` says otherwise."""
    folder = root / "train" / name
    for number in range(1, 7):
        put(folder / f"img1/{number:06d}.jpg", jpeg())
    person = lines(*[f"{number},1,{BOX},1,1,0.75" for number in range(1, 7)])
    put(folder / "gt/gt.txt", rows or person)
    put(folder / "seqinfo.ini", f"[Sequence]\nname={name}\nimDir=img1\nseqLength=600\nimExt=.jpg\n")
    return folder


def only(corpus: Corpus) -> Record | Drop:
    """What the one part of a corpus holds."""
    (part,) = corpus.parts()
    (item,) = corpus.records(part)
    return item


def the_record(corpus: Corpus) -> Record:
    item = only(corpus)
    assert isinstance(item, Record), item
    assert record_fault(item) is None
    return item


def the_drop(corpus: Corpus) -> tuple[str, str | None]:
    item = only(corpus)
    assert isinstance(item, Drop), item
    assert item.stage == "ingest"
    return item.reason, item.value


def corners(record: Record) -> list[tuple[float, ...] | None]:
    """The boxes of a record's regions as plain numbers."""
    return [
        region.box and (region.box.x1, region.box.y1, region.box.x2, region.box.y2)
        for region in record.regions
    ]
