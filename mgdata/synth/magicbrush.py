"""Writes edit chains in the MagicBrush layout: Parquet shards of a train and a dev split.

    ROOT/data/train-00000-of-00002-<16 hex digits>.parquet, dev-00000-of-00001-<...>.parquet
         img_id string, turn_index int32, source_img, mask_img, instruction string, target_img

Images are struct{bytes, path} of PNG. A photo (`img_id`) is edited one to three times; from the
second turn on the source is the target of the turn before, byte for byte. A chain may straddle two
shards. The mask is the source with a free-form white region that holds the edit and more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mgdata.identity import Stream, content_id
from mgdata.synth import pairs, photos
from mgdata.synth.camera import Camera
from mgdata.synth.photos import Mask
from mgdata.synth.sprites import Pixels

ROWS = 20
"""Edits a shard."""
_KINDS: tuple[pairs.Kind, ...] = ("add", "color", "drop", "add", "drop")

_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_COLUMNS = {
    "img_id": pa.string(),
    "turn_index": pa.int32(),
    "source_img": _PICTURE,
    "mask_img": _PICTURE,
    "instruction": pa.string(),
    "target_img": _PICTURE,
}


def turns(clip: int) -> int:
    """How often photo number `clip` is edited: one to three times."""
    return 1 + (clip + 1) % 3


def write(out: Path, camera: Camera) -> int:
    """Write the chains, the last fifth of the photos to dev; gives the number of absences, 0.

    Three images of an edit are counted; those of two neighbouring turns are equal.
    """
    job = camera.job
    train = job.clips - job.held_out
    waiting: dict[str, list[dict[str, Any]]] = {"train": [], "dev": []}
    shards = {"train": _shards(0, train), "dev": _shards(train, job.clips)}
    written = {"train": 0, "dev": 0}
    for clip in camera.clips():
        split = "train" if clip < train else "dev"
        waiting[split] += _chain(camera, clip)
        last = clip in (train - 1, job.clips - 1)
        while len(waiting[split]) >= ROWS or (last and waiting[split]):
            rows, waiting[split] = waiting[split][:ROWS], waiting[split][ROWS:]
            name = f"{split}-{written[split]:05d}-of-{shards[split]:05d}"
            _shard(out / "data", f"{name}-{content_id(str(job.seed), name)}.parquet", rows)
            written[split] += 1
    return 0


def _shards(first: int, end: int) -> int:
    """How many files the edits of these photos fill."""
    return -(-sum(turns(clip) for clip in range(first, end)) // ROWS)


def _chain(camera: Camera, clip: int) -> Iterator[dict[str, Any]]:
    """The edits of one photo, in order."""
    job = camera.job
    rng = Stream("synth", "magicbrush", str(job.seed), str(clip))
    stage = pairs.staged(rng, job.size, 4 + clip % 2)
    name = str(1000 + 37 * clip)
    source, file = pairs.picture(stage), f"{name}-input.png"
    for turn in range(1, turns(clip) + 1):
        after, change = pairs.changed(rng, stage, _KINDS[(clip + turn) % len(_KINDS)])
        target = pairs.picture(after)
        masked = _masked(source, _covered(rng, stage, after, change))
        row = {
            "img_id": name,
            "turn_index": turn,
            "source_img": _image(camera, source, file),
            "mask_img": _image(camera, masked, f"{name}-mask{turn}.png"),
            "instruction": pairs.instruction(change),
        }
        stage, source, file = after, target, f"{name}-output{turn}.png"
        yield {**row, "target_img": _image(camera, source, file)}


def _image(camera: Camera, pixels: Pixels, path: str) -> dict[str, Any]:
    data = pairs.png(pixels)
    camera.images += 1
    camera.bytes += len(data)
    return {"bytes": data, "path": path}


def _covered(rng: Stream, before: pairs.Stage, after: pairs.Stage, change: pairs.Change) -> Mask:
    """A hand-drawn region [height, width] round all that changes, shadow and all, and more."""
    sides = (
        pairs.seen(stage, pairs.STILL, toy)
        for stage, toy in ((before, change.before), (after, change.after))
        if toy is not None
    )
    shown = [mask for mask in sides if mask is not None]
    region = np.where(np.any(shown, axis=0), 255, 0).astype(np.uint8)
    box = photos.bounds(region > 0)
    reach = max(box.width, box.height)
    rim = 2 * (3 + round(0.12 * reach)) + 1
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (rim, rim))
    region = np.asarray(cv2.dilate(region, brush), np.uint8)
    rows, columns = np.nonzero(region)
    for _ in range(7):
        at = rng.below(len(rows))
        middle = (int(columns[at]), int(rows[at]))
        cv2.circle(region, middle, max(1, round(reach * (0.1 + 0.12 * rng.uniform()))), 255, -1)
    return region > 0


def _masked(source: Pixels, region: Mask) -> Pixels:
    """The source with the region painted white."""
    masked = source.copy()
    masked[region] = 255
    return masked


def _shard(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """One Parquet file, with the features by which `datasets` knows its images."""
    folder.mkdir(parents=True, exist_ok=True)
    features = {
        column: {"_type": "Image"} if kind == _PICTURE else {"dtype": str(kind), "_type": "Value"}
        for column, kind in _COLUMNS.items()
    }
    schema = pa.schema(list(_COLUMNS.items())).with_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / name)
