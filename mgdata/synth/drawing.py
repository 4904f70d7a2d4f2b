"""A scene drawn frame by frame, and what each frame really shows: boxes and counts from its masks.

A pixel belongs to a sprite where its alpha is at least half. Boxes are exact bounds of those
pixels; nothing is estimated. It knows no format and chooses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mgdata.geometry import Box
from mgdata.synth.backdrop import Backdrop
from mgdata.synth.sprites import Pixels, Sprite

_HALF = 127


@dataclass(frozen=True)
class Actor:
    """One thing with its path: what it looks like and where it is in every frame."""

    name: str
    """Plain name, unique in its scene: "red star"."""
    shape: str
    """What it is: a shape, `person`, `statue`."""
    colour: str
    sprites: tuple[Sprite, ...]
    """One picture, or those of a step, used in turn."""
    path: NDArray[np.float64]
    """[frames, 2]: centre in pixels of the image."""
    turn: NDArray[np.float64] | None = None
    """[frames]: angle in radians. None: upright and moved by whole pixels."""
    mirrored: NDArray[np.bool_] | None = None
    """[frames]: seen from the other side; only of what is upright. None: never."""


@dataclass(frozen=True)
class Pillar:
    """A column before everything, `x` pixels from the left edge of the ground."""

    pixels: Pixels
    x: int


@dataclass(frozen=True)
class Scene:
    """All that is to be drawn. `actors` are in order of depth, the nearest last."""

    size: tuple[int, int]
    """Width and height of the image."""
    backdrop: Backdrop
    grain: float
    """Standard deviation of the ground's speckle, grey levels."""
    pan: NDArray[np.int64]
    """[frames, 2]: where on the ground the image's top left corner lies."""
    actors: tuple[Actor, ...]
    pillar: Pillar | None = None

    @property
    def frames(self) -> int:
        """How many images it has."""
        return len(self.pan)


@dataclass(frozen=True)
class Placement:
    """Where one actor is in one frame, in pixels, 0-based, right and bottom exclusive."""

    name: str
    shape: str
    colour: str
    box: Box
    """Bounds of the whole object, hidden parts and those outside the image included."""
    seen: Box | None
    """Bounds of the pixels that show; None where there are none."""
    full: int
    """Pixels of the whole object."""
    inside: int
    """Those within the image, hidden or not."""
    visible: int
    """Those that show."""

    @property
    def visibility(self) -> float:
        """Share of the whole object that shows: covered parts and parts outside both count."""
        return self.visible / self.full

    @property
    def cut(self) -> bool:
        """Part of it lies outside the image."""
        return self.inside < self.full


@dataclass(frozen=True)
class _Patch:
    """A sprite as one frame has it: pixels of a rectangle at (x, y), which may leave the image."""

    x: int
    y: int
    bgr: Pixels
    """Premultiplied."""
    clear: Pixels
    """255 less alpha: what is kept of what lies behind."""
    shadow: Pixels
    mask: Pixels
    """1 where alpha is at least half."""

    def window(self, size: tuple[int, int]) -> tuple[slice, slice, slice, slice] | None:
        """Rows and columns of the image, then of the patch, where both are; None if nowhere."""
        height, width = self.mask.shape
        x1, x2 = max(self.x, 0), min(self.x + width, size[0])
        y1, y2 = max(self.y, 0), min(self.y + height, size[1])
        if x1 >= x2 or y1 >= y2:
            return None
        within = (slice(y1 - self.y, y2 - self.y), slice(x1 - self.x, x2 - self.x))
        return slice(y1, y2), slice(x1, x2), *within


def film(scene: Scene) -> Iterator[tuple[Pixels, list[Placement]]]:
    """Every frame, [height, width, 3] BGR, with the placements of all actors in scene order."""
    ground = scene.backdrop.painted(scene.grain)
    width, height = scene.size
    for t in range(scene.frames):
        left, top = (int(v) for v in scene.pan[t])
        image = ground[top : top + height, left : left + width].copy()
        post = _post(scene, left)
        patches = [_patch(actor, t) for actor in scene.actors]
        placements = _placements(scene, patches, post)
        for patch, placement in zip(patches, placements, strict=True):
            if placement.visible:  # no fringe or shadow of what is wholly hidden
                _paint(image, patch, scene.size)
        if scene.pillar is not None and post is not None:
            start = left + post.start - scene.pillar.x
            strip = scene.pillar.pixels[:height, start : start + post.stop - post.start]
            image[:, post] = strip
        yield image, placements


def numbered(scene: Scene, t: int) -> Pixels:
    """Whose each pixel of frame `t` is, [height, width]: an actor's place from 1, or 0: nobody's.

    The bounds of a number are the `seen` box of that actor's placement.
    """
    width, height = scene.size
    owners = np.zeros((height, width), np.uint8)
    for number, actor in enumerate(scene.actors, 1):
        patch = _patch(actor, t)
        window = patch.window(scene.size)
        if window is not None:
            rows, columns, *within = window
            owners[rows, columns][patch.mask[within[0], within[1]] > 0] = number
    post = _post(scene, int(scene.pan[t][0]))
    if post is not None:
        owners[:, post] = 0
    return owners


def _post(scene: Scene, left: int) -> slice | None:
    """Columns of the image that the pillar takes."""
    if scene.pillar is None:
        return None
    start = scene.pillar.x - left
    stop = start + scene.pillar.pixels.shape[1]
    start, stop = max(start, 0), min(stop, scene.size[0])
    return slice(start, stop) if start < stop else None


def _patch(actor: Actor, t: int) -> _Patch:
    """The actor's sprite turned and moved by parts of a pixel, or mirrored and set down."""
    sprite = actor.sprites[t % len(actor.sprites)]
    height, width = sprite.shadow.shape
    x, y = (float(v) for v in actor.path[t])
    left, top = math.floor(x) - width // 2, math.floor(y) - height // 2
    bgra, shadow = sprite.bgra, sprite.shadow
    if actor.turn is not None:
        matrix = _turning(actor.turn[t], (x - left, y - top), ((width - 1) / 2, (height - 1) / 2))
        bgra = cv2.warpAffine(bgra, matrix, (width, height))
        shadow = cv2.warpAffine(shadow, matrix, (width, height), flags=cv2.INTER_NEAREST)
    elif actor.mirrored is not None and actor.mirrored[t]:
        bgra, shadow = cv2.flip(bgra, 1), cv2.flip(shadow, 1)
    alpha = cv2.extractChannel(bgra, 3)
    return _Patch(
        x=left,
        y=top,
        bgr=np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2BGR), np.uint8),
        clear=np.asarray(cv2.bitwise_not(alpha), np.uint8),
        shadow=np.asarray(shadow, np.uint8),
        mask=np.asarray(cv2.threshold(alpha, _HALF, 1, cv2.THRESH_BINARY)[1], np.uint8),
    )


def _turning(
    angle: float, to: tuple[float, float], about: tuple[float, float]
) -> NDArray[np.float64]:
    """The affine map [2, 3] that turns by `angle` about one point and takes that one elsewhere."""
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, np.array(to) - turn @ np.array(about)])


def _placements(scene: Scene, patches: list[_Patch], post: slice | None) -> list[Placement]:
    """What shows of every patch, nearest first, so that each hides those behind it."""
    width, height = scene.size
    free = np.ones((height, width), np.uint8)
    if post is not None:
        free[:, post] = 0
    found: list[Placement] = []
    for actor, patch in zip(reversed(scene.actors), reversed(patches), strict=True):
        seen, inside, visible = None, 0, 0
        window = patch.window(scene.size)
        if window is not None:
            rows, columns, *within = window
            mask, room = patch.mask[within[0], within[1]], free[rows, columns]
            showing = mask & room
            inside, visible = cv2.countNonZero(mask), cv2.countNonZero(showing)
            seen = _bounds(showing, columns.start, rows.start) if visible else None
            room &= ~mask
        found.append(
            Placement(
                name=actor.name,
                shape=actor.shape,
                colour=actor.colour,
                box=_bounds(patch.mask, patch.x, patch.y),
                seen=seen,
                full=cv2.countNonZero(patch.mask),
                inside=inside,
                visible=visible,
            )
        )
    return found[::-1]


def _bounds(mask: Pixels, left: int, top: int) -> Box:
    """The box of a mask's pixels, moved to where the mask lies in the image."""
    x, y, w, h = cv2.boundingRect(mask)
    return Box(float(left + x), float(top + y), float(left + x + w), float(top + y + h))


def _paint(image: Pixels, patch: _Patch, size: tuple[int, int]) -> None:
    """Lay the patch and its shadow over the image: premultiplied colours, so one blend a layer."""
    window = patch.window(size)
    if window is None:
        return
    rows, columns, down, across = window
    _dim(image, rows, columns, patch, (down, across))
    here = image[rows, columns]
    kept = cv2.multiply(here, cv2.merge([patch.clear[down, across]] * 3), scale=1 / 255)
    cv2.add(kept, patch.bgr[down, across], dst=here)


def _dim(
    image: Pixels, rows: slice, columns: slice, patch: _Patch, within: tuple[slice, slice]
) -> None:
    """Darken the ground under the patch by its shadow, a little to the lower right of it."""
    drop = max(1, patch.mask.shape[0] // 40)
    target = image[rows.start + drop : rows.stop + drop, columns.start + drop : columns.stop + drop]
    height, width = target.shape[:2]
    shade = patch.shadow[within[0], within[1]][:height, :width]
    cv2.multiply(target, cv2.merge([~shade] * 3), dst=target, scale=1 / 255)
