"""What lies about in a synthetic photo: the flat toys of `sprites`, and things made of parts.

A car and a wagon have wheels, a mug and a pan have handles: a part has a mask of its own, so that
equal parts of unlike things can be asked for. It knows no place and no picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mgdata.synth.sprites import COLOURS, SHAPES, Pixels, Points, Rgb, Sprite, toy

Tone = Literal["main", "shade", "dark", "glass", "wood", "metal"]

_SHIFT = 4  # cv2 draws at sixteenths of a pixel
_HALF = 127
_FIXED: dict[Tone, Rgb] = {
    "dark": (52, 50, 54),
    "glass": (206, 230, 242),
    "wood": (122, 84, 54),
    "metal": (148, 150, 156),
}


@dataclass(frozen=True)
class Cutout:
    """One thing as a small picture, with a mask for each of its named parts."""

    sprite: Sprite
    parts: tuple[tuple[str, NDArray[np.bool_]], ...] = ()
    """Name and mask [height, width] of every part; a name may come twice (two wheels)."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[height, width]: where alpha is at least half."""
        return self.sprite.bgra[..., 3] > _HALF


@dataclass(frozen=True)
class _Piece:
    """A filled outline within the unit square (-1 to 1); a second contour cuts a hole."""

    tone: Tone
    contours: tuple[Points, ...]
    part: str | None = None


@lru_cache(64)  # drawn when it is placed, masked and filmed: three times as fast
def cutout(kind: str, colour: str, texture: str, across: float, angle: float = 0.0) -> Cutout:
    """A thing of `KINDS`, about `across` pixels wide, turned by `angle` radians.

    Args:
        kind: what it is, one of `KINDS`.
        colour: name of a colour of `sprites.COLOURS`.
        texture: one of `sprites.TEXTURES`; things with parts are always plain.
        across: width in pixels, before it is turned.
        angle: clockwise as seen.
    """
    if kind in PARTED:
        return _turned(_drawn(PARTED[kind], colour, across), angle)
    return _turned(Cutout(toy(_SHAPE_OF[kind], colour, texture, across)), angle)


def _drawn(pieces: tuple[_Piece, ...], colour: str, across: float) -> Cutout:
    """Pieces laid one over the other, four times too large, then averaged down."""
    side = 2 * math.ceil(across * 0.66) + 4  # the canvas of `sprites.toy`
    fine = 4 if across < 90 else 2
    canvas = np.zeros((side * fine, side * fine, 4), np.uint8)
    covered: list[tuple[str, Pixels]] = []
    for piece in pieces:
        mask, outline = np.zeros(canvas.shape[:2], np.uint8), _placed(piece, side, across, fine)
        cv2.fillPoly(mask, outline, 255, cv2.LINE_8, _SHIFT)
        tone = (*reversed(_rgb(piece.tone, colour)), 255)
        cv2.fillPoly(canvas, outline, tone, cv2.LINE_8, _SHIFT)
        covered = [(name, np.asarray(cv2.subtract(old, mask), np.uint8)) for name, old in covered]
        if piece.part is not None:
            covered.append((piece.part, mask))
    light = _light(side * fine)
    for channel in range(3):
        canvas[..., channel] = np.minimum(canvas[..., channel] * light, 255)
    small = _averaged(canvas, side)
    masks = tuple((name, _averaged(mask, side) > _HALF) for name, mask in covered)
    return Cutout(Sprite(bgra=small, shadow=_shadow(small, across)), masks)


def _rgb(tone: Tone, colour: str) -> Rgb:
    if tone in _FIXED:
        return _FIXED[tone]
    r, g, b = COLOURS[colour]
    return (r, g, b) if tone == "main" else (round(r * 0.68), round(g * 0.68), round(b * 0.68))


def _light(side: int) -> NDArray[np.float32]:
    """Brighter towards the top left, as on the flat toys."""
    x = np.linspace(-1, 1, side, dtype=np.float32)[None]
    far = np.sqrt((x + 0.3) ** 2 + (x.T + 0.3) ** 2)
    return np.clip(1.08 - 0.24 * far, 0.72, 1.08).astype(np.float32)


def _placed(piece: _Piece, side: int, across: float, fine: int) -> list[NDArray[np.int32]]:
    """Unit contours to sixteenths of a fine pixel, in the middle of the canvas."""
    return [
        np.rint((contour * across / 2 + side / 2) * fine * (1 << _SHIFT)).astype(np.int32)
        for contour in piece.contours
    ]


def _averaged(fine: Pixels, side: int) -> Pixels:
    return np.asarray(cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _shadow(bgra: Pixels, across: float) -> Pixels:
    reach = 2 * max(1, round(across * 0.03)) + 1
    blurred = cv2.blur(cv2.blur(cv2.extractChannel(bgra, 3), (reach, reach)), (reach, reach))
    return np.asarray(cv2.convertScaleAbs(blurred, alpha=0.36), np.uint8)


def _turned(made: Cutout, angle: float) -> Cutout:
    """The same turned about its middle; its canvas has room for that."""
    if angle == 0:
        return made
    height, width = made.sprite.shadow.shape
    middle = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, -math.degrees(angle), 1)

    def turn(pixels: Pixels) -> Pixels:
        return np.asarray(cv2.warpAffine(pixels, matrix, (width, height)), np.uint8)

    parts = tuple(
        (name, turn(np.where(mask, 255, 0).astype(np.uint8)) > _HALF) for name, mask in made.parts
    )
    return Cutout(Sprite(turn(made.sprite.bgra), turn(made.sprite.shadow)), parts)


def _oblong(x1: float, y1: float, x2: float, y2: float) -> Points:
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])


def _round(x: float, y: float, radius: float) -> Points:
    angle = np.arange(48) / 48 * 2 * np.pi
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


def _wheel(x: float, y: float, radius: float) -> tuple[_Piece, ...]:
    return (_Piece("dark", (_round(x, y, radius),), "wheel"),)


_CABIN = np.array([[-0.55, -0.1], [-0.38, -0.55], [0.3, -0.55], [0.55, -0.1]])
_PANE = np.array([[-0.44, -0.14], [-0.32, -0.46], [0.24, -0.46], [0.42, -0.14]])
_BAR = np.array([[0.6, 0.0], [0.98, -0.72], [1.1, -0.66], [0.74, 0.06]])
_ROOF = np.array([[-1.0, -0.2], [0.0, -0.95], [1.0, -0.2]])

PARTED: dict[str, tuple[_Piece, ...]] = {
    "car": (
        _Piece("main", (_CABIN,)),
        _Piece("glass", (_PANE,), "window"),
        _Piece("main", (_oblong(-1.0, -0.12, 1.0, 0.34),)),
        *_wheel(-0.55, 0.34, 0.25),
        *_wheel(0.55, 0.34, 0.25),
    ),
    "truck": (
        _Piece("main", (_oblong(-1.0, -0.72, 0.36, 0.38),)),
        _Piece("shade", (_oblong(0.4, -0.36, 1.0, 0.38),)),
        _Piece("glass", (_oblong(0.58, -0.26, 0.94, 0.04),), "window"),
        *_wheel(-0.62, 0.4, 0.23),
        *_wheel(0.62, 0.4, 0.23),
    ),
    "wagon": (
        _Piece("metal", (_BAR,), "handle"),
        _Piece("main", (np.array([[-1.0, -0.3], [0.76, -0.3], [0.62, 0.28], [-0.86, 0.28]]),)),
        *_wheel(-0.56, 0.38, 0.2),
        *_wheel(0.36, 0.38, 0.2),
    ),
    "house": (
        _Piece("main", (_oblong(-0.78, -0.24, 0.78, 0.8),)),
        _Piece("shade", (_ROOF,)),
        _Piece("wood", (_oblong(0.12, 0.2, 0.52, 0.8),), "door"),
        _Piece("glass", (_oblong(-0.58, 0.02, -0.1, 0.44),), "window"),
    ),
    "mug": (
        _Piece("shade", (_round(0.46, 0.02, 0.42), _round(0.46, 0.02, 0.24)), "handle"),
        _Piece("main", (_oblong(-0.82, -0.72, 0.46, 0.74),)),
        _Piece("shade", (_oblong(-0.82, -0.72, 0.46, -0.56),)),
    ),
    "pan": (
        _Piece("wood", (_oblong(0.3, -0.14, 1.2, 0.1),), "handle"),
        _Piece("main", (_round(-0.28, 0.0, 0.7),)),
        _Piece("shade", (_round(-0.28, 0.0, 0.54),)),
    ),
}  # fmt: skip
"""Things made of parts, drawn in this order."""

_SHAPE_OF = {("ball" if shape == "disc" else shape): shape for shape in SHAPES}

FLAT = tuple(_SHAPE_OF)
"""Kinds without parts."""
KINDS = (*FLAT, *PARTED)
"""Every kind of thing, by the name that annotations give it."""
PARTS = {
    kind: tuple(dict.fromkeys(piece.part for piece in pieces if piece.part is not None))
    for kind, pieces in PARTED.items()
}
"""Names of the parts of each kind that has some."""
