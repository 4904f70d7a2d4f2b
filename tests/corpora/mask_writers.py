"""Masks of rectangles as PNG bytes, and tiny clips of them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from clip_writers import HEIGHT, WIDTH, jpeg, put
from PIL import Image

Place = tuple[int, int, int, int]
Shown = Mapping[int, Place]
"""Rectangle x1, y1, x2, y2 of each object number."""


def painted(shown: Shown, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    pixels = np.zeros(size[::-1], np.uint8)
    for number, (x1, y1, x2, y2) in shown.items():
        pixels[y1:y2, x1:x2] = number
    return pixels


def png(pixels: np.ndarray, mode: str = "P") -> bytes:
    picture = Image.fromarray(pixels)
    if mode == "P":
        picture = Image.fromarray(pixels, mode="L")
        # Object numbers are kept: a palette is put on, nothing is converted.
        picture.putpalette([value for n in range(256) for value in (n, 255 - n, 37 * n % 256)])
    out = io.BytesIO()
    picture.save(out, format="png")
    return out.getvalue()


def masked_clip(
    frames: Path, masks: Path, shown: list[Shown | None], mode: str = "P", step: int = 1
) -> None:
    """A frame for each entry, and a mask for each that is not None."""
    for t, entry in enumerate(shown):
        put(frames / f"{step * t:05d}.jpg", jpeg())
        if entry is not None:
            put(masks / f"{step * t:05d}.png", png(painted(entry), mode))
