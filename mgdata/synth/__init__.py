"""Synthetic corpora in the real on-disk formats: for the demo, tests and benchmarks, no download.

Rendered toys and people move, hide behind a pillar, pass each other and leave the image; boxes and
flags come from the rendered masks, so they are exact. It knows nothing of readers and recipes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mgdata.errors import EnvironmentFailure, UsageError

if TYPE_CHECKING:
    from mgdata.synth.camera import Camera

FORMATS = {
    "clevr_change": "mgdata.synth.clevr_change",
    "coco": "mgdata.synth.coco",
    "d3": "mgdata.synth.d3",
    "davis": "mgdata.synth.davis",
    "egoexo4d": "mgdata.synth.egoexo4d",
    "flickr30k_entities": "mgdata.synth.flickr30k_entities",
    "got10k": "mgdata.synth.got10k",
    "grand": "mgdata.synth.grand",
    "img_diff": "mgdata.synth.img_diff",
    "lasot": "mgdata.synth.lasot",
    "lvis": "mgdata.synth.lvis",
    "magicbrush": "mgdata.synth.magicbrush",
    "mc_bench": "mgdata.synth.mc_bench",
    "mig_bench": "mgdata.synth.mig_bench",
    "motchallenge": "mgdata.synth.motchallenge",
    "mvtrack": "mgdata.synth.mvtrack",
    "objects365": "mgdata.synth.objects365",
    "paco": "mgdata.synth.paco",
    "refcoco": "mgdata.synth.refcoco",
    "sav": "mgdata.synth.sav",
    "spot_the_diff": "mgdata.synth.spot_the_diff",
    "star": "mgdata.synth.star",
    "tao": "mgdata.synth.tao",
    "trackingnet": "mgdata.synth.trackingnet",
    "visual_genome": "mgdata.synth.visual_genome",
    "voc": "mgdata.synth.voc",
    "wildtrack": "mgdata.synth.wildtrack",
    "youtube_vos": "mgdata.synth.youtube_vos",
}
"""Module of each format's writer, imported when asked for: they load OpenCV."""


class _Writer(Protocol):
    def write(self, out: Path, camera: Camera) -> int: ...


@dataclass(frozen=True)
class Summary:
    """What was written."""

    format: str
    root: Path
    clips: int
    images: int
    bytes: int
    """Of the images."""
    absent: int
    """Annotated objects that do not show, counted once a frame."""


def write(
    format: str,
    out: Path,
    *,
    clips: int,
    frames: int,
    size: tuple[int, int] = (320, 240),
    seed: int = 0,
    quality: int = 90,
    jpeg_bytes: int | None = None,
    on_clip: Callable[[int], None] | None = None,
) -> Summary:
    """Write a corpus of `clips` clips with `frames` frames each to the new folder `out`.

    Equal arguments give equal files under one set of library versions. Clip i is the same picture
    in a small corpus and in a large one (but `jpeg_bytes` may settle on a slightly different
    speckle, and a held-out clip is named by its split). The folder appears when it is complete.

    Args:
        format: one of `FORMATS`.
        out: a folder that is not there yet, or is empty.
        clips: number of clips; where the layout has a second split, the last fifth goes there.
        frames: images a clip.
        size: width and height in pixels.
        seed: another seed, another corpus.
        quality: JPEG quality, 1 to 100.
        jpeg_bytes: make files of about this size, by stronger or weaker speckle on the ground.
        on_clip: told after every clip how many are done.

    Raises:
        UsageError: an unknown format, a number out of range, or an `out` that holds files.
        EnvironmentFailure: the disk cannot take it.
    """
    out = out.absolute()
    _check(format, out, clips, frames, size, quality)
    # Here, not above: it loads OpenCV.
    from mgdata.synth.camera import Camera, Job

    camera = Camera(Job(clips, frames, size, seed, quality, jpeg_bytes), on_clip)
    writer: _Writer = import_module(FORMATS[format])  # pyright: ignore[reportAssignmentType]
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        absent = writer.write(partial, camera)
        partial.rename(out)
    except OSError as error:
        raise EnvironmentFailure(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Summary(format, out, clips, camera.images, camera.bytes, absent)


def _check(
    format: str, out: Path, clips: int, frames: int, size: tuple[int, int], quality: int
) -> None:
    """Refuse what cannot be written, before anything is."""
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}: choose one of {', '.join(FORMATS)}")
    if clips < 1 or frames < 1 or not 1 <= quality <= 100:
        raise UsageError(
            f"clips={clips}, frames={frames}, quality={quality}: clips and frames must be at least "
            "1, quality 1 to 100"
        )
    if min(size) < 64:
        raise UsageError(f"size {size[0]}x{size[1]} is too small: 64 pixels a side at least")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not an empty folder: name a new one, or delete it first")
