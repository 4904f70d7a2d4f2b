"""What stands still in a synthetic scene: textured ground with clutter, a pillar to hide behind.

Colours are muted, so that no part of the ground is taken for a toy. It knows nothing that moves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mgdata.identity import Stream
from mgdata.synth.sprites import Pixels, Rgb

Floats = NDArray[np.float32]
Ground = Literal["field", "plaza"]

PALETTES: tuple[tuple[Rgb, Rgb], ...] = (
    ((218, 226, 198), (166, 186, 146)),
    ((240, 228, 202), (212, 190, 156)),
    ((200, 210, 220), (148, 162, 178)),
    ((228, 208, 194), (190, 160, 144)),
    ((212, 204, 222), (164, 156, 184)),
    ((234, 236, 234), (190, 200, 202)),
)
"""Far and near tone of the ground, RGB."""

_CLUTTER = 45
"""Stones and tufts on a square of ground."""


@dataclass(frozen=True)
class Backdrop:
    """A ground larger than the picture, its speckle kept apart so that it can be made stronger."""

    plain: Floats
    """[height, width, 3], BGR 0 to 255, without speckle."""
    speckle: Floats
    """[height, width], mean 0 and deviation 1: equal in all channels."""

    def painted(self, grain: float) -> Pixels:
        """The ground with speckle of `grain` grey levels (standard deviation)."""
        noisy = self.speckle * np.float32(grain)
        both = cv2.add(self.plain, cv2.merge([noisy] * 3), dtype=cv2.CV_8U)
        return np.asarray(both, np.uint8)


def ground(rng: Stream, size: tuple[int, int], kind: Ground) -> Backdrop:
    """A ground of `size` (width, height): a gradient, soft blotches, and stones or paving."""
    width, height = size
    far, near = rng.choice(PALETTES)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    tones = np.array([far[::-1], near[::-1]], np.float32)
    ramp = (tones[0] * (1 - rows) + tones[1] * rows).astype(np.uint8)
    canvas = np.repeat(ramp, width, axis=1)  # 8 bits: cv2 smooths no edges in a float picture
    unit = min(width, height)
    if kind == "plaza":
        _pave(canvas, unit)
    count, largest = (14, 0.03) if kind == "plaza" else (_CLUTTER * width * height // unit**2, 0.07)
    _scatter(rng, canvas, near, count, unit * largest)
    plain = canvas.astype(np.float32)
    plain += cv2.merge([_blotches(rng, width, height)] * 3)
    return Backdrop(plain=plain, speckle=_speckle(rng, height, width))


def pillar(rng: Stream, width: int, height: int) -> Pixels:
    """A round stone column as tall as the picture, [height, width, 3]: lit from the left."""
    tone = np.array(rng.choice(((172, 166, 156), (158, 164, 172), (178, 166, 150))), np.float32)
    across = np.linspace(-1, 1, width, dtype=np.float32)
    light = 0.62 + 0.42 * np.sqrt(np.clip(1 - (across + 0.25) ** 2 / 1.6, 0, 1))
    flutes = 1 - 0.05 * (np.sin(across * 16) > 0.6)
    stone = np.repeat((tone[::-1] * (light * flutes)[:, None])[None], height, axis=0)
    stone += 5 * _speckle(rng, height, width)[..., None]
    for y in range(height // 5, height, max(8, height // 4)):
        stone[y : y + 2] *= 0.82
    return np.clip(stone, 0, 255).astype(np.uint8)


def _raw(rng: Stream, count: int) -> NDArray[np.uint8]:
    """Uniform bytes from a PCG64 of its own: its raw stream is what numpy guarantees."""
    words = np.random.PCG64(rng.below(1 << 62)).random_raw(-(-count // 8))
    return np.frombuffer(np.asarray(words, dtype="<u8").tobytes(), np.uint8)[:count]


def _speckle(rng: Stream, height: int, width: int) -> Floats:
    """Nearly normal noise: the sum of three uniform bytes, scaled to deviation 1."""
    total = _raw(rng, 3 * height * width).reshape(3, height, width).sum(axis=0, dtype=np.uint16)
    deviation = math.sqrt(3 * (256**2 - 1) / 12)
    return (total.astype(np.float32) - 3 * 127.5) / np.float32(deviation)


def _blotches(rng: Stream, width: int, height: int) -> Floats:
    """Smooth light and shade in three sizes, about 8 grey levels each way."""
    small = (max(2, width // 4), max(2, height // 4))
    sheet = np.zeros(small[::-1], np.float32)
    for cells, strength in ((4, 9.0), (9, 6.0), (22, 4.0)):
        grid = _raw(rng, cells * cells).reshape(cells, cells).astype(np.float32) / 127.5 - 1
        sheet += strength * cv2.resize(grid, small, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.resize(sheet, (width, height)), np.float32)


def _scatter(rng: Stream, canvas: Pixels, near: Rgb, count: int, largest: float) -> None:
    """Stones and tufts of grass up to `largest` pixels, each a little darker than the ground."""
    height, width = canvas.shape[:2]
    for _ in range(count):
        x, y = rng.below(width), rng.below(height)
        length = max(2.0, largest * (0.25 + 0.75 * rng.uniform() ** 2))
        tone = [v * (0.8 + 0.1 * rng.uniform()) + 14 * rng.uniform() for v in reversed(near)]
        if rng.below(5) < 2:
            _stone(canvas, x, y, length, rng.below(180), tone)
        else:
            _tuft(rng, canvas, x, y, length, tone)


def _stone(canvas: Pixels, x: int, y: int, length: float, angle: int, tone: list[float]) -> None:
    """An ellipse, a shadow below it and a lighter top."""
    axes = (max(1, round(length)), max(1, round(length * 0.66)))
    drop = max(1, round(length * 0.18))
    dark, light = ([v * k for v in tone] for k in (0.78, 1.13))
    cv2.ellipse(canvas, (x + drop, y + drop), axes, angle, 0, 360, dark, -1, cv2.LINE_AA)
    cv2.ellipse(canvas, (x, y), axes, angle, 0, 360, tone, -1, cv2.LINE_AA)
    top = (max(1, axes[0] * 2 // 3), max(1, axes[1] * 2 // 3))
    cv2.ellipse(canvas, (x - drop, y - drop), top, angle, 0, 360, light, -1, cv2.LINE_AA)


def _tuft(rng: Stream, canvas: Pixels, x: int, y: int, length: float, tone: list[float]) -> None:
    """A few blades leaning apart."""
    for lean in range(-2, 3):
        tip = (x + round(lean * length * 0.35), y - round(length * (0.7 + 0.4 * rng.uniform())))
        cv2.line(canvas, (x + lean, y), tip, tone, max(1, round(length / 9)), cv2.LINE_AA)


def _pave(canvas: Pixels, unit: int) -> None:
    """Joints of paving slabs, closer together with distance, every other row shifted."""
    height, width = canvas.shape[:2]
    y, row = 0.0, 0
    while y < height:
        step = unit * (0.05 + 0.11 * y / height)
        top, bottom = round(y), round(y + step)
        canvas[top : top + 1] = canvas[top : top + 1] * 0.86
        for x in np.arange((row % 2) * step * 0.9, width, step * 1.8):
            joint = canvas[top:bottom, round(float(x)) : round(float(x)) + 1]
            joint[:] = joint * 0.88
        y, row = y + step, row + 1
