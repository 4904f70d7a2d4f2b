"""What the writers of masked clips share: whose each pixel is in every frame, and palette PNGs.

Two clips of three show toys, of which some are annotated, the third people on a plaza, several of
one class. As in real masks, now and then a stray pixel far from an object bears its number. It
knows no on-disk layout.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mgdata.identity import Stream
from mgdata.synth.camera import Job
from mgdata.synth.drawing import Scene, numbered
from mgdata.synth.scene import people, target_index, toys
from mgdata.synth.sprites import Pixels
from mgdata.synth.stories import Story

_STORIES: tuple[Story, ...] = ("hiding", "leaving")
_LARGE = 300
"""Pixels of an object above which one stray pixel is a small share of it."""
_AWAY = 3
"""Pixels between an object's box and its stray pixel, at least."""


class Play(NamedTuple):
    """A scene and what of it is annotated."""

    scene: Scene
    cast: tuple[int, ...]
    """Actors' places that are annotated, by object number less 1."""

    @property
    def labels(self) -> list[str]:
        """Classes, by object number less 1."""
        return [self.scene.actors[place].shape for place in self.cast]


def play(format: str, clip: int, job: Job) -> Play:
    """The scene of a clip: a pure function of its arguments."""
    rng = Stream("synth", format, str(job.seed), str(clip))
    if clip % 3 == 2:
        scene = people(rng, job.frames, job.size, 3 + clip % 2)
        kinds = ("person", "statue")
        return Play(scene, tuple(i for i, a in enumerate(scene.actors) if a.shape in kinds))
    objects, story = 4 + clip % 2, _STORIES[clip % 2]
    scene = toys(rng, job.frames, job.size, objects, story)
    target = target_index(objects, story)
    others = [place for place in range(objects) if place != target]
    return Play(scene, (target, *rng.sample(others, 1 + clip % 3)))


def sheets(play: Play, strays: Stream | None = None) -> Iterator[Pixels]:
    """Object numbers [height, width] of every frame, 0 nobody's; `strays` adds stray pixels."""
    numbers = np.zeros(256, np.uint8)
    numbers[np.array(play.cast) + 1] = np.arange(1, len(play.cast) + 1)
    for t in range(play.scene.frames):
        sheet = numbers[numbered(play.scene, t)]
        if strays is not None and t % 5 == 3:
            for number in range(1, len(play.cast) + 1):
                _stray(sheet, number, strays)
        yield sheet


def _stray(sheet: Pixels, number: int, rng: Stream) -> None:
    """Give a large object one pixel of the ground, away from it."""
    rows, columns = np.nonzero(sheet == number)
    if len(rows) < _LARGE:
        return
    y, x = rng.below(sheet.shape[0]), rng.below(sheet.shape[1])
    beside = x < columns.min() - _AWAY or x > columns.max() + _AWAY
    if sheet[y, x] == 0 and (beside or y < rows.min() - _AWAY or y > rows.max() + _AWAY):
        sheet[y, x] = number


def hidden(shown: list[set[int]]) -> int:
    """How often an object does not show after it first did; `shown` holds numbers by frame."""
    count, begun = 0, set[int]()
    for numbers in shown:
        begun |= numbers
        count += len(begun - numbers)
    return count


def numbers_in(sheet: Pixels) -> set[int]:
    """The objects that a sheet shows."""
    return set(np.flatnonzero(np.bincount(sheet.ravel())).tolist()) - {0}


def write_sheet(path: Path, sheet: Pixels) -> None:
    """Write object numbers as a palette PNG in the colours that DAVIS and VOC use."""
    picture = Image.fromarray(sheet, mode="L")
    picture.putpalette(_PALETTE)
    out = io.BytesIO()
    picture.save(out, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out.getvalue())


def _colour(number: int) -> list[int]:
    """Every third bit of a number goes to one channel, the lowest to the highest bit."""
    return [
        sum((number >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(3))
        for channel in range(3)
    ]


_PALETTE = [value for number in range(256) for value in _colour(number)]
