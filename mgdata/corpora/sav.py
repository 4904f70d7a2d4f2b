"""SA-V: videos of everyday scenes, the masks of several nameless objects in every fourth frame.

    ROOT/sav_train/sav_000/sav_000001.mp4            24 frames a second
    ROOT/sav_train/sav_000/sav_000001_manual.json    masklet[i][object]: COCO run lengths
    ROOT/sav_train/sav_000/sav_000001_auto.json      likewise, made by a model; not for every video
    ROOT/sav_val/JPEGImages_24fps/<video>/00000.jpg
    ROOT/sav_val/Annotations_6fps/<video>/000/00000.png    one object's mask, 0 is not it
    ROOT/sav_val/sav_val.txt                         a video a line; sav_test likewise

After the data set's own README and reader: entry i of `masklet` belongs to frame 4 i of the video,
counted as they are decoded, so a video of another length than its masks tell is dropped, not
guessed. Objects may overlap (a person, and the person's hand). A box is the bounds of a mask,
right and bottom exclusive. An object comes in with its first mask that is not empty (real files
give the same number as `masklet_first_appeared_frame`, which counts entries): before that nothing
is known, after it an empty mask made by hand says that the object is not visible. An automatic one
says nothing, since the model may have lost it. No object has a class: the label is `object`, and
nothing is known absent. Licence of videos and annotations: CC BY 4.0, as that README states.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import msgspec

from mgdata import media
from mgdata.corpora import clips, mask_clips, masks
from mgdata.data import Drop, Image, Record, Shape
from mgdata.errors import MissingFile, Rejected
from mgdata.headers import Header
from mgdata.plugins import Corpus

_STEP = 4
"""Frames of a video for one that is annotated."""


class _Rle(msgspec.Struct):
    size: tuple[float, float]
    counts: str


class _Masklets(msgspec.Struct):
    masklet: list[list[_Rle]]
    masklet_id: list[float] | None = None


@dataclass(frozen=True, kw_only=True)
class SAV(Corpus):
    """Reads SA-V: a record is a video, its key `<name>/sav_train/sav_000/sav_000001`.

    Its images are the annotated frames; a track is a masklet's id. Manual and automatic masklets
    are two corpora of one root, and give a video the same unit.
    """

    license: ClassVar[str] = "CC-BY-4.0"
    homepage: ClassVar[str] = "https://ai.meta.com/datasets/segment-anything-video-downloads"
    layout: ClassVar[str] = (
        "sav_train/sav_000/sav_000001.mp4\n"
        "sav_train/sav_000/sav_000001_{manual,auto}.json\n"
        "sav_{val,test}/JPEGImages_24fps/<video>/00000.jpg\n"
        "sav_{val,test}/Annotations_6fps/<video>/<object>/00000.png"
    )
    shape: ClassVar[Shape] = "clip"

    splits: tuple[Literal["train", "val", "test"], ...] = ("train",)
    """Splits to read, each from its folder `sav_<split>`."""
    masklets: Literal["manual", "auto"] = "manual"
    """Which masks of the training videos: drawn and checked by people, or made by a model."""
    specks: float = 0.005
    """Share of an object's pixels that its box may leave out, the smallest separate pieces first:
    stray pixels of the annotation. In a real file of 480 masks 20 had some, mostly 1 to 6 pixels;
    one pixel made a box 1.4 times as large. From 0.01 on feet went too."""
    min_pixels: int = 16
    """Pixels below which a mask shows too little of an object to say anything; counted."""

    def parts(self) -> list[str]:
        """`sav_train/sav_000/<video>`, or `sav_val/<video>`, for all with a video or masks."""
        found: list[str] = []
        for split in self.splits:
            names = self._train() if split == "train" else self._folders(f"sav_{split}")
            if not names:
                what = "sav_000/<video>.mp4" if split == "train" else "Annotations_6fps/<video>/"
                raise clips.wrong_layout(self, f"sav_{split}/{what}")
            found += names
        if not found:
            raise clips.wrong_layout(self, "sav_train/ (splits: none)")
        return found

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The record of one video, or its drop."""
        train = part.startswith("sav_train/")
        return clips.read_clip(self, part, self._video if train else self._images)

    def _train(self) -> list[str]:
        endings = (".mp4", f"_{self.masklets}.json")
        return sorted(
            {
                f"sav_train/{folder}/{name.removesuffix(ending)}"
                for folder in clips.folders(self, "sav_train")
                for name in self.root.list(f"sav_train/{folder}")
                for ending in endings
                if name.endswith(ending) and not name.startswith((".", ending))
            }
        )

    def _folders(self, split: str) -> list[str]:
        kinds = ("JPEGImages_24fps", "Annotations_6fps")
        names = {name for kind in kinds for name in clips.folders(self, f"{split}/{kind}")}
        return [f"{split}/{name}" for name in sorted(names)]

    @property
    def _brush(self) -> mask_clips.Brush:
        return mask_clips.Brush(self.specks, self.min_pixels)

    def _video(self, part: str) -> Record:
        """The record of a video with masks in a JSON file."""
        entries, tracks = self._masklets(f"{part}_{self.masklets}.json")
        path = f"{part}.mp4"
        try:
            video = media.video(self.root, path)
        except MissingFile:
            raise Rejected("missing video", path) from None
        # A count may be off by one entry at the end, not by more.
        if abs(-(-video.frames // _STEP) - len(entries)) > 1:
            said = f"{len(entries)} entries, one for {_STEP} frames, {path} has {video.frames}"
            raise Rejected("masks and video disagree in length", said)
        header = Header(format="", width=video.width, height=video.height)
        last = -(-video.frames // _STEP)
        skipped: Counter[str] = Counter()
        if len(entries) > last:
            skipped["frame beyond the end of the video"] = len(entries) - last
        looks = [self._look(entry, tracks, header, skipped) for entry in entries[:last]]
        images = tuple(
            Image(
                uri=self.uri(f"{path}#frame={at * _STEP}"),
                width=video.width,
                height=video.height,
                frame=at * _STEP,
            )
            for at in range(len(looks))
        )
        clip = clips.Frames(images, header, self.frame)
        return self._record(part, clip, looks, skipped, hides=self.masklets == "manual")

    def _masklets(self, path: str) -> tuple[list[list[_Rle]], list[str]]:
        """The masks of every annotated frame, each as many as there are tracks.

        Raises:
            Rejected: missing, cut, or something else.
        """
        try:
            data = self.root.read(path)
        except MissingFile:
            raise Rejected("missing annotation", path) from None
        try:
            found = _decoded(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            said = f"{path}: {' '.join(str(error).split())[:120]}"
            raise Rejected("malformed annotation", said) from None
        entries = found.masklet
        if not entries or not entries[0]:
            raise Rejected("no object in any mask", path)
        counts = sorted({len(entry) for entry in entries})
        if len(counts) > 1:
            said = f"{path}: {counts[0]} to {counts[-1]} masks a frame"
            raise Rejected("objects differ between frames", said)
        ids = range(counts[0]) if found.masklet_id is None else found.masklet_id
        tracks = [f"{number:.12g}" for number in ids]
        if len(set(tracks)) != counts[0] or len(tracks) != counts[0]:
            said = f"{path}: {len(set(tracks))} ids for {counts[0]} masks a frame"
            raise Rejected("masklet ids do not fit the masks", said)
        return entries, tracks

    def _look(
        self, entry: Sequence[_Rle], tracks: list[str], header: Header, skipped: Counter[str]
    ) -> mask_clips.Look:
        """What one frame's masks show; a mask that cannot be read is counted, and says nothing."""
        look: dict[str, masks.Mark | None] = {}
        for track, mask in zip(tracks, entry, strict=True):
            try:
                size = _whole(mask.size)
                masks.fit(size, (header.width, header.height))
                mark = masks.rle_mark(mask.counts, size, self.specks)
            except Rejected as error:
                skipped[error.reason] += 1
                continue
            if mark is not None:
                mark = mark._replace(box=masks.scaled(mark.box, size, header))
            look[track] = mark
        return look

    def _images(self, part: str) -> Record:
        """The record of a folder of frames, with a folder of masks for each object."""
        split, _, video = part.partition("/")
        clip = clips.frames(self, f"{split}/JPEGImages_24fps/{video}")
        base = f"{split}/Annotations_6fps/{video}"
        objects = {name: f"{base}/{name}" for name in clips.folders(self, base)}
        if not objects:
            raise Rejected("missing annotation", base)
        skipped: Counter[str] = Counter()
        drawn: dict[int, dict[str, masks.Mark | None]] = {}
        for name, folder in objects.items():
            for number, file in self._sheets(folder, skipped).items():
                try:
                    shown = mask_clips.drawn(
                        self, f"{folder}/{file}", clip.header, self._brush, one=True
                    )
                except Rejected as error:
                    skipped[error.reason] += 1
                    continue
                drawn.setdefault(number, {})[name] = shown.get(1)
        kept = tuple(image for image in clip.images if image.frame in drawn)
        if not kept:
            raise Rejected("no frame has a mask", base)
        if beyond := len(drawn) - len(kept):
            skipped[mask_clips.UNFRAMED] += beyond
        looks = [drawn[image.frame or 0] for image in kept]
        return self._record(part, replace(clip, images=kept), looks, skipped)

    def _sheets(self, folder: str, skipped: Counter[str]) -> dict[int, str]:
        try:
            return mask_clips.numbered(self, folder)
        except Rejected as error:
            skipped[error.reason] += 1
            return {}

    def _record(
        self,
        part: str,
        clip: clips.Frames,
        looks: Sequence[mask_clips.Look],
        skipped: Counter[str],
        *,
        hides: bool = True,
    ) -> Record:
        made, more = mask_clips.regions(looks, {}, clip.header, self._brush, hides=hides)
        return clips.record(self, part, clip, (made, skipped + more))


def _decoded(data: bytes) -> _Masklets:
    try:
        return msgspec.json.decode(data, type=_Masklets)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # `NaN`, which Python writes for a missing score, is no JSON to msgspec.
        return msgspec.convert(json.loads(data), _Masklets)


def _whole(size: tuple[float, float]) -> masks.Size:
    """Width and height of a mask that states height and width."""
    height, width = size
    if not (height >= 1 and width >= 1 and height % 1 == 0 == width % 1 and height * width < 2**28):
        raise Rejected("malformed mask", f"{width:g}x{height:g}")
    return int(width), int(height)
