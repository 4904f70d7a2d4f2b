"""Things of a home as sprites: what people take and put down, and the furniture it lies on.

Names are classes of Action Genome. Each thing is a few polygons in one colour and its shades, drawn
four times too large and averaged down, as in `sprites`. It knows no room and nobody in it.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from mgdata.synth.sprites import COLOURS, Pixels, Sprite

Piece = tuple[str, tuple[tuple[float, float], ...]]
"""Tone, and corners within a frame of -1 to 1."""

_FINE = 4
_TONES = {"main": 1.0, "shade": 0.7, "light": 1.25, "deep": 0.45}
_WOODS = ((150, 104, 66), (122, 84, 54), (176, 138, 96))


def _block(tone: str, x1: float, y1: float, x2: float, y2: float) -> Piece:
    return tone, ((x1, y1), (x2, y1), (x2, y2), (x1, y2))


THINGS: dict[str, tuple[Piece, ...]] = {
    "bag": (
        ("deep", ((-0.4, -0.3), (-0.3, -0.95), (0.3, -0.95), (0.4, -0.3), (0.24, -0.3),
                  (0.18, -0.8), (-0.18, -0.8), (-0.24, -0.3))),
        ("main", ((-0.8, -0.35), (0.8, -0.35), (0.95, 0.95), (-0.95, 0.95))),
        _block("shade", -0.45, 0.2, 0.45, 0.7),
    ),
    "book": (
        _block("main", -0.7, -0.95, 0.75, 0.95),
        _block("deep", -0.7, -0.95, -0.5, 0.95),
        _block("light", -0.2, -0.6, 0.5, -0.25),
    ),
    "box": (
        _block("main", -0.95, -0.5, 0.95, 0.95),
        ("light", ((-0.95, -0.5), (-0.65, -0.95), (0.65, -0.95), (0.95, -0.5))),
        _block("shade", -0.14, -0.5, 0.14, 0.95),
    ),
    "cup/glass/bottle": (
        _block("shade", 0.2, -0.6, 0.9, 0.5),
        _block("light", 0.3, -0.36, 0.62, 0.26),
        ("main", ((-0.7, -0.9), (0.4, -0.9), (0.3, 0.95), (-0.6, 0.95))),
        _block("shade", -0.7, -0.9, 0.4, -0.7),
    ),
    "dish": (
        ("main", ((-1.0, 0.1), (1.0, 0.1), (0.55, 0.95), (-0.55, 0.95))),
        ("light", ((-1.0, 0.1), (1.0, 0.1), (0.9, 0.32), (-0.9, 0.32))),
    ),
    "laptop": (
        _block("deep", -0.8, -0.8, 0.8, 0.55),
        _block("main", -0.66, -0.7, 0.66, 0.36),
        ("shade", ((-0.8, 0.55), (0.8, 0.55), (1.0, 0.95), (-1.0, 0.95))),
    ),
    "pillow": (
        ("main", ((-0.95, -0.25), (0.0, -0.15), (0.95, -0.25), (0.86, 0.35), (0.95, 0.95),
                  (0.0, 0.85), (-0.95, 0.95), (-0.86, 0.35))),
        _block("light", -0.5, 0.11, 0.5, 0.59),
    ),
    "shoe": (
        ("main", ((-0.9, -0.5), (-0.2, -0.5), (0.1, 0.1), (0.95, 0.3), (0.95, 0.75),
                  (-0.9, 0.75))),
        _block("deep", -0.95, 0.65, 0.98, 0.95),
    ),
}  # fmt: skip
"""What can be carried."""
FURNITURE: dict[str, tuple[Piece, ...]] = {
    "table": (
        _block("shade", -0.86, -0.7, -0.7, 1.0),
        _block("shade", 0.7, -0.7, 0.86, 1.0),
        _block("main", -1.0, -1.0, 1.0, -0.68),
    ),
    "shelf": (
        _block("shade", -0.96, -0.9, 0.96, 1.0),
        _block("deep", -0.84, -0.62, 0.84, 0.04),
        _block("deep", -0.84, 0.2, 0.84, 0.86),
        _block("main", -1.0, -1.0, 1.0, -0.76),
    ),
    "chair": (
        _block("shade", -0.8, -0.6, -0.62, 1.0),
        _block("shade", 0.62, -0.6, 0.8, 1.0),
        _block("main", -0.95, -1.0, 0.95, -0.5),
    ),
}
"""What stands, its upper edge flat at the top of the frame."""


@lru_cache(64)
def carried(name: str, colour: str, across: float) -> Sprite:
    """A thing of `THINGS` in a colour of `sprites.COLOURS`, `across` pixels wide and high."""
    return _drawn(THINGS[name], COLOURS[colour], across, across)


@lru_cache(16)
def standing(name: str, wood: int, width: float, height: float) -> Sprite:
    """A piece of `FURNITURE` of this size in pixels; `wood` chooses among three."""
    return _drawn(FURNITURE[name], _WOODS[wood % len(_WOODS)], width, height)


def _drawn(
    pieces: tuple[Piece, ...], rgb: tuple[int, int, int], width: float, height: float
) -> Sprite:
    wide, high = (round(side) + 4 for side in (width, height))
    canvas = np.zeros((high * _FINE, wide * _FINE, 4), np.uint8)
    scale, middle = np.array([width, height]) / 2, np.array([wide, high]) / 2
    for tone, corners in pieces:
        points = np.rint((np.array(corners) * scale + middle) * _FINE).astype(np.int32)
        colour = [min(round(v * _TONES[tone]), 255) for v in reversed(rgb)]
        cv2.fillPoly(canvas, [points], (*colour, 255))
    small: Pixels = np.asarray(
        cv2.resize(canvas, (wide, high), interpolation=cv2.INTER_AREA), np.uint8
    )
    shadow = cv2.blur(cv2.extractChannel(small, 3), (5, 5))
    return Sprite(bgra=small, shadow=np.asarray(cv2.convertScaleAbs(shadow, alpha=0.36), np.uint8))
