"""What moves in a synthetic scene, as small premultiplied pictures: toys and walking people.

A sprite is drawn too large and averaged down, so that its edge is smooth and its mask
(alpha of at least half) is exact to the pixel. It knows nothing of places, time or other sprites.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mgdata.identity import Stream

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]
Rgb = tuple[int, int, int]

COLOURS: dict[str, Rgb] = {
    "red": (222, 52, 48),
    "orange": (246, 134, 24),
    "yellow": (250, 210, 40),
    "green": (44, 172, 72),
    "turquoise": (24, 188, 194),
    "blue": (44, 96, 224),
    "purple": (134, 66, 196),
    "pink": (244, 104, 176),
}
"""Colours a person tells apart at a glance; their hues are at least 15 degrees from each other."""

SHAPES = ("disc", "square", "triangle", "star", "cross", "ring", "heart", "diamond", "hexagon")
TEXTURES = ("plain", "striped", "dotted", "checked")
PHASES = 8
"""Pictures of one walking step."""

_SHIFT = 4  # cv2 draws at sixteenths of a pixel


@dataclass(frozen=True)
class Sprite:
    """One picture and the shadow it throws; its middle is where a scene puts it."""

    bgra: Pixels
    """[height, width, 4], premultiplied."""
    shadow: Pixels
    """[height, width], 0 to 255: how much it darkens."""


def toy(shape: str, colour: str, texture: str, size: float) -> Sprite:
    """A flat toy of `SHAPES` about `size` pixels across, with a darker rim and a soft light."""
    side = 2 * math.ceil(size * 0.66) + 4  # room however it is turned, and for its shadow
    fine = _fineness(size)
    contours = [_place(contour, side, size / 2, fine) for contour in _outline(shape)]
    fill = _textured(colour, texture, side * fine, size * fine)
    rim = [0.55 * v for v in reversed(COLOURS[colour])]
    thick = 2 * max(2, round(size * fine * 0.05))
    cv2.polylines(fill, contours, True, rim, thick, cv2.LINE_AA, _SHIFT)
    mask = np.zeros(fill.shape[:2], np.uint8)
    cv2.fillPoly(mask, contours, 255, cv2.LINE_8, _SHIFT)
    kept = cv2.bitwise_and(fill, fill, mask=mask)
    return _finished(cv2.merge([*cv2.split(kept), mask]), size, fine)


def walker(shirt: str | None, phase: int, size: float, rng: Stream) -> Sprite:
    """A person `size` pixels tall in the middle of a step, seen from the side, walking right.

    Args:
        shirt: name of a colour, or None for a grey statue.
        phase: 0 to `PHASES` - 1.
        size: height in pixels.
        rng: chooses trousers, skin and hair; give every phase of one person an equal stream.
    """
    trousers = rng.choice(((58, 62, 84), (86, 74, 62), (70, 70, 74), (52, 76, 92)))
    skin = rng.choice(((236, 194, 160), (196, 142, 104), (134, 90, 62)))
    hair = rng.choice(((52, 40, 34), (112, 76, 44), (188, 152, 92), (36, 34, 38)))
    top: Rgb = (150, 152, 150)
    if shirt is None:
        trousers, skin, hair = (132, 134, 132), (164, 166, 164), (120, 122, 120)
    else:
        top = COLOURS[shirt]
    fine = _fineness(size)
    height, width = math.ceil(size * 1.04) + 4, math.ceil(size * 0.56) + 4
    canvas = np.zeros((height * fine, width * fine, 4), np.uint8)
    swing = math.sin(2 * math.pi * phase / PHASES) * (0.0 if shirt is None else 1.0)
    limbs = _Limbs(canvas, size * fine)
    limbs.bar((0.01, 0.13), (0.01 - 0.13 * swing, 0.46), 0.105, _shade(trousers, 0.72))
    limbs.bar((0.0, -0.25), (0.15 * swing, 0.03), 0.07, _shade(top, 0.7))
    limbs.bar((0.0, -0.21), (0.0, 0.1), 0.2, top)
    limbs.bar((0.01, 0.13), (0.01 + 0.13 * swing, 0.46), 0.11, trousers)
    limbs.bar((0.0, -0.24), (-0.15 * swing, 0.04), 0.075, _shade(top, 0.86))
    limbs.bar((0.015, -0.405), (0.015, -0.395), 0.155, skin)
    limbs.bar((-0.01, -0.435), (0.0, -0.42), 0.13, hair)
    return _finished(canvas, size, fine)


@dataclass(frozen=True)
class _Limbs:
    """Draws round-ended bars in units of the person's height, origin at the middle.

    On an empty canvas a smooth edge comes out premultiplied, as a sprite has to be.
    """

    canvas: NDArray[np.uint8]
    scale: float

    def bar(
        self, start: tuple[float, float], end: tuple[float, float], width: float, colour: Rgb
    ) -> None:
        """One bar from `start` to `end`, `width` thick."""
        height, across = self.canvas.shape[:2]
        a, b = (
            (round((x * self.scale + across / 2) * 16), round((y * self.scale + height / 2) * 16))
            for x, y in (start, end)
        )
        thick = max(1, round(width * self.scale))
        cv2.line(self.canvas, a, b, (*reversed(colour), 255), thick, cv2.LINE_AA, _SHIFT)


def _fineness(size: float) -> int:
    """How many times too large a sprite is drawn: small ones need it more."""
    return 4 if size < 90 else 2


def _shade(colour: Rgb, factor: float) -> Rgb:
    r, g, b = (round(v * factor) for v in colour)
    return r, g, b


def _place(contour: Points, side: int, radius: float, fine: int) -> NDArray[np.int32]:
    """Unit contour to sixteenths of a fine pixel, in the middle of the canvas."""
    return np.rint((contour * radius + side / 2) * fine * (1 << _SHIFT)).astype(np.int32)


def _finished(canvas: cv2.typing.MatLike, size: float, fine: int) -> Sprite:
    """Average the fine premultiplied drawing down, and throw a shadow."""
    height, width = canvas.shape[:2]
    small = cv2.resize(canvas, (width // fine, height // fine), interpolation=cv2.INTER_AREA)
    reach = 2 * max(1, round(size * 0.03)) + 1
    # Two box blurs: nearly a Gaussian, at a cost that does not grow with its width.
    shadow = cv2.blur(cv2.blur(cv2.extractChannel(small, 3), (reach, reach)), (reach, reach))
    return Sprite(
        bgra=np.asarray(small, np.uint8),
        shadow=np.asarray(cv2.convertScaleAbs(shadow, alpha=0.36), np.uint8),
    )


def _textured(colour: str, texture: str, side: int, size: float) -> Pixels:
    """A square of the colour in two tones, brighter towards the top left; all in fine pixels."""
    x = (np.arange(side, dtype=np.float32) - side / 2)[None]
    y = x.T
    step = size / 5.5
    tone = np.zeros((side, side), bool)
    if texture == "striped":
        tone = np.floor((x + y) / step) % 2 == 1
    elif texture == "checked":
        tone = (np.floor(x / step) + np.floor(y / step)) % 2 == 1
    elif texture == "dotted":
        tone = (x % step - step / 2) ** 2 + (y % step - step / 2) ** 2 < (step * 0.27) ** 2
    light = 1.08 - 0.3 * np.sqrt((x + side / 8) ** 2 + (y + side / 8) ** 2) / size
    np.clip(light, 0.7, 1.1, out=light)
    pale = np.where(tone, np.float32(0.42), np.float32(0))
    layers = (((1 - pale) * c + pale * 255) * light for c in reversed(COLOURS[colour]))
    return np.asarray(cv2.merge([np.minimum(v, 255).astype(np.uint8) for v in layers]), np.uint8)


def _outline(shape: str) -> list[Points]:
    """The shape's contours within the unit circle; a second one cuts a hole."""
    if shape == "ring":
        return [_polygon(72), _polygon(72) * 0.52]
    return [_OUTLINES[shape]]


def _polygon(corners: int, turn: float = -0.25) -> Points:
    angle = (np.arange(corners) / corners + turn) * 2 * np.pi
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _star() -> Points:
    points = _polygon(10)
    points[1::2] *= 0.48
    return points


def _heart() -> Points:
    t = np.linspace(0, 2 * np.pi, 73)[:-1]
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y - 2.5], axis=1) / 17.0


def _cross() -> Points:
    a, b = 0.32, 0.94
    quarter = np.array([[a, -b], [a, -a], [b, -a]])
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])  # a row vector times this is turned by 90 degrees
    return np.concatenate([quarter @ np.linalg.matrix_power(turn, k) for k in range(4)])


_OUTLINES: dict[str, Points] = {
    "disc": _polygon(72) * 0.92,
    "square": _polygon(4, 0.125) * 1.1,
    "triangle": _polygon(3),
    "star": _star() * 1.08,
    "cross": _cross(),
    "heart": _heart(),
    "diamond": _polygon(4) * np.array([0.72, 1.05]),
    "hexagon": _polygon(6) * 0.98,
}
