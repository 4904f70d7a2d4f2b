"""JPEG files of the size and weight of photos, for what decodes, resizes and asks about them."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image as Picture
from PIL import ImageDraw

SIZE = (640, 480)
"""Width and height: what most photos of COCO have."""
COLOURS = ((200, 30, 30), (30, 150, 40), (30, 40, 200), (210, 160, 20), (120, 40, 160))


def write_photographs(
    folder: Path, count: int, *, seed: int = 0, size: tuple[int, int] = SIZE
) -> list[Path]:
    """`count` files, no two alike: soft ground, grain, and one coloured box.

    With the grain a file of 640 x 480 takes some 100 KB, as a photo does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    paths = [folder / f"{seed}-{number:04d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        ground = Picture.frombytes("RGB", (8, 6), rng.randbytes(8 * 6 * 3))
        picture = ground.resize(size, Picture.Resampling.BICUBIC)
        coarse = size[0] // 2, size[1] // 2
        grain = Picture.frombytes("L", coarse, rng.randbytes(coarse[0] * coarse[1]))
        picture = Picture.blend(picture, grain.resize(size).convert("RGB"), 0.2)
        left, top = rng.randint(0, size[0] // 2), rng.randint(0, size[1] // 2)
        across, down = rng.randint(20, size[0] // 2), rng.randint(20, size[1] // 2)
        ImageDraw.Draw(picture).rectangle(
            (left, top, left + across, top + down), fill=COLOURS[number % len(COLOURS)]
        )
        picture.save(path, quality=90)
    return paths
