"""Scenes to numbered JPEG files, of a given quality or of about a given size.

The size is met by the strength of the ground's speckle, found once a clip: real content in every
file, none of it padding. It knows no annotation.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2

from mgdata.errors import UsageError
from mgdata.synth.drawing import Placement, Scene, film
from mgdata.synth.sprites import Pixels

_LOUDEST = 48.0
"""Speckle beyond which the ground is nothing but noise, grey levels."""
_NEAR = 0.06
"""How far from the asked size the first frame may be, as a share of it."""


@dataclass(frozen=True)
class Job:
    """What a corpus is to be: how many clips, how long, how large, from which seed."""

    clips: int
    frames: int
    size: tuple[int, int]
    seed: int
    quality: int
    """JPEG quality, 1 to 100."""
    jpeg_bytes: int | None
    """Aim of a file's size in bytes; None leaves it to the quality."""

    @property
    def held_out(self) -> int:
        """Clips at the end that go to the layout's second split: a fifth."""
        return self.clips // 5


class Camera:
    """Writes the frames of scenes and counts what it wrote."""

    def __init__(self, job: Job, on_clip: Callable[[int], None] | None = None) -> None:
        self.job = job
        self._on_clip = on_clip
        self.images = 0
        self.bytes = 0
        self._dial: tuple[float, int] | None = None

    def clips(self) -> Iterator[int]:
        """The number of every clip, from 0; tells `on_clip` how many are done after each."""
        for clip in range(self.job.clips):
            yield clip
            if self._on_clip is not None:
                self._on_clip(clip + 1)

    def shoot(
        self, scene: Scene, folder: Path, name: Callable[[int], str]
    ) -> list[list[Placement]]:
        """Write `folder/name(0)`, `name(1)`, ... and give the placements of every frame.

        Raises:
            UsageError: no JPEG of this size in pixels takes about the bytes asked for.
        """
        folder.mkdir(parents=True, exist_ok=True)
        grain, quality = self._fit(scene)
        shown: list[list[Placement]] = []
        for t, (image, placements) in enumerate(film(replace(scene, grain=grain))):
            data = encoded(image, quality)
            (folder / name(t)).write_bytes(data)
            self.images += 1
            self.bytes += len(data)
            shown.append(placements)
        return shown

    def _fit(self, scene: Scene) -> tuple[float, int]:
        """Speckle and quality for files of the size asked for; the last clip's are tried first."""
        goal = self.job.jpeg_bytes
        if goal is None:
            return scene.grain, self.job.quality
        if self._dial is None or not _close(_size(scene, *self._dial), goal):
            self._dial = _searched(scene, goal, self.job.quality)
        return self._dial


def encoded(image: Pixels, quality: int) -> bytes:
    """A baseline 4:2:0 JPEG of [height, width, 3] BGR."""
    good, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not good:
        raise ValueError(f"JPEG encoder refused an image of shape {image.shape}")
    return data.tobytes()


def _close(size: int, goal: int) -> bool:
    return abs(size - goal) <= _NEAR * goal


def _size(scene: Scene, grain: float, quality: int) -> int:
    """Bytes of the scene's first frame."""
    image, _ = next(islice(film(replace(scene, grain=grain)), 1))
    return len(encoded(image, quality))


def _searched(scene: Scene, goal: int, quality: int) -> tuple[float, int]:
    """The quality nearest to the wanted one at which speckle can meet the goal; the speckle."""
    if _size(scene, 0.0, quality) > goal:
        # The ground alone is too large: the best quality at which it is not.
        quality = bisect_left(range(1, quality), True, key=lambda q: _size(scene, 0.0, q) > goal)
    elif _size(scene, _LOUDEST, quality) < goal:
        more = range(quality, 101)
        found = bisect_left(more, True, key=lambda q: _size(scene, _LOUDEST, q) >= goal)
        quality = quality + found
    if not 1 <= quality <= 100:
        low, high = _size(scene, 0.0, 1), _size(scene, _LOUDEST, 100)
        width, height = scene.size
        raise UsageError(
            f"jpeg_bytes={goal} is out of reach: a JPEG of {width}x{height} pixels takes {low} to "
            f"{high} bytes; ask for another size in bytes or in pixels"
        )
    low, high = 0.0, _LOUDEST
    for _ in range(14):
        grain = (low + high) / 2
        size = _size(scene, grain, quality)
        if _close(size, goal):
            break
        low, high = (grain, high) if size < goal else (low, grain)
    return (low + high) / 2, quality
