"""Writes takes in the Ego-Exo4D layout: one video a camera, and masks of objects in some frames.

    ROOT/annotations/relations_{train,val}.json
    ROOT/takes/<take>/frame_aligned_videos/<camera>.mp4    H.264, 30 frames a second, every frame

The last fifth of the takes goes to `val`. Masks are of full size, the videos a half (the camera
worn) and a quarter (the others) of it, so that boxes scale back to whole pixels. An object that
does not show is listed in `annotated_frames` without a mask; one that is nearly hidden, so that
nobody could tell what it is, is not listed at all, and now and then the first object neither, as
annotators leave things out. Clips of over 60 frames are annotated once a second, shorter ones in
four frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mgdata.identity import Stream, digest
from mgdata.synth import views
from mgdata.synth.camera import Camera, Job
from mgdata.synth.sprites import Pixels

CAMERAS = ("aria01_214-1", "cam01", "cam02", "cam03")
_SCENARIOS = ("Bike Repair", "Cooking", "Health")
_SLIVER = 40
"""Pixels of the picture below which nobody would draw a mask."""
_PIECE = 0.3
"""Share of a thing that must show for it to be known by."""
_RATE = 30


def write(out: Path, camera: Camera) -> int:
    """Write the takes; gives how often an annotated object does not show."""
    job, absent = camera.job, 0
    found: dict[str, dict[str, Any]] = {"train": {}, "val": {}}
    for clip in camera.clips():
        rng = Stream("synth", "egoexo4d", str(job.seed), str(clip))
        split = "train" if clip < job.clips - job.held_out else "val"
        name = f"synth_{_SCENARIOS[clip % 3].lower().replace(' ', '_')}_{clip + 1:03d}_1"
        place = scene(rng, clip, job)
        masks: dict[str, dict[str, Any]] = {thing.name: {} for thing in place.things}
        for order, eye in enumerate(place.eyes):
            path = out / "takes" / name / "frame_aligned_videos" / f"{eye.name}.mp4"
            absent += _shoot(path, place, order, camera, masks)
        sha = digest(str(job.seed), str(clip))
        uid = "-".join((sha[:8], sha[8:12], sha[12:16], sha[16:20], sha[20:32]))
        found[split][uid] = {
            "scenario": _SCENARIOS[clip % 3],
            "take_name": name,
            "object_masks": masks,
        }
    (out / "annotations").mkdir(parents=True, exist_ok=True)
    for split, takes in found.items():
        relations = {"version": "synthetic", "take_uids": [*takes], "annotations": takes}
        (out / "annotations" / f"relations_{split}.json").write_text(json.dumps(relations))
    return absent


def scene(rng: Stream, clip: int, job: Job) -> views.Place:
    """What a take shows: five or six things, three or four cameras; twins in every third."""
    size = (job.size[0] // 2 * 2, job.size[1] // 2 * 2)  # chroma is stored for two by two pixels
    return views.place(rng, size, CAMERAS[: 3 + clip % 2], 5 + clip % 2, clip % 3 == 2)


def annotated(frames: int) -> int:
    """Every how many frames a clip of this length is annotated."""
    return _RATE if frames > 2 * _RATE else max(1, frames // 4)


def _shoot(
    path: Path, place: views.Place, order: int, camera: Camera, masks: dict[str, dict[str, Any]]
) -> int:
    """Write one camera's video and add what it shows to `masks`; how often an object is hidden."""
    eye = place.eyes[order]
    frames, every, absent = camera.job.frames, annotated(camera.job.frames), 0
    scale = 2 if eye.worn else 4
    notes = {name: _note() for name in masks}

    def pictures() -> Iterator[Pixels]:
        nonlocal absent
        for frame in range(frames):
            sight = views.look(place, eye, frame / every)
            if frame % every == 0:
                for number, (name, mask) in enumerate(sight.masks.items()):
                    if number or (frame // every + order) % 5 != 4:
                        least = max(_SLIVER, _PIECE * sight.whole[name])
                        absent += _annotate(notes[name], frame, mask, scale, least)
            yield sight.image

    path.parent.mkdir(parents=True, exist_ok=True)
    film(path, pictures(), eye.size, camera.job.quality)
    camera.images += frames
    camera.bytes += path.stat().st_size
    for name, note in notes.items():
        masks[name][eye.name] = note
    return absent


def _note() -> dict[str, Any]:
    return {"annotation": {}, "annotation_fps": 1, "annotated_frames": []}


def _annotate(note: dict[str, Any], frame: int, mask: views.Mask, scale: int, least: float) -> bool:
    """Add one object's mask in one frame; whether it is known not to show."""
    shows = int(mask.sum())
    if 0 < shows < least:
        return False
    note["annotated_frames"].append(frame)
    if shows:
        height, width = (side * scale for side in mask.shape)
        full = mask.repeat(scale, axis=0).repeat(scale, axis=1)
        packed = {"width": width, "height": height, "encodedMask": packed_mask(full)}
        note["annotation"][str(frame)] = packed
    return not shows


def packed_mask(mask: views.Mask) -> str:
    """A mask as the annotations write it: COCO run lengths, then LZString for a URI."""
    from lzstring import LZString
    from pycocotools import mask as coco

    counts: Any = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    return LZString.compressToEncodedURIComponent(counts.decode("ascii"))


def film(path: Path, pictures: Iterator[Pixels], size: tuple[int, int], quality: int) -> None:
    """Write BGR pictures as an MP4, nearly lossless at quality 90 and above.

    Equal pictures give equal bytes: one thread, no dates, exact arithmetic, and a fixed quantiser,
    since x264's own choice of one (mbtree) differed in one run of three. H.264 with frames out of
    order, as cameras write it; MPEG-4 where the installed PyAV has no encoder for that.
    """
    import av
    from av.video.reformatter import Interpolation, VideoReformatter

    better = "libx264" in av.codecs_available
    fine = str(4 + (100 - quality) // 2)
    options = {"preset": "veryfast", "qp": fine} if better else {"qmin": "1", "qmax": "2"}
    exact = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    converter = VideoReformatter()
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream("libx264" if better else "mpeg4", rate=Fraction(_RATE))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {**options, "g": "24", "threads": "1"}
        stream.codec_context.thread_count = 1
        for image in pictures:
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame = converter.reformat(frame, format="yuv420p", interpolation=exact, threads=1)
            container.mux(list(stream.encode(frame)))
        container.mux(list(stream.encode()))
