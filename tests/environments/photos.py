"""Small photos to ask about: one coloured box on a ground, its place known, files on disk."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image as Picture
from PIL import ImageDraw

from mgdata.data import Image

WIDTH, HEIGHT = 168, 112
"""Six by four image tokens of the small checkpoint, resized by nothing."""
COLOURS = ((200, 30, 30), (30, 150, 40), (30, 40, 200), (210, 160, 20), (120, 40, 160))


def write_photos(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """`count` PNG files, no two alike; the same seed gives the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    paths = [folder / f"{seed}-{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        ground = rng.randint(190, 250)
        picture = Picture.new("RGB", (WIDTH, HEIGHT), (ground, ground, ground - number))
        left, top = rng.randint(0, WIDTH // 2), rng.randint(0, HEIGHT // 2)
        box = (left, top, left + rng.randint(20, WIDTH // 2), top + rng.randint(20, HEIGHT // 2))
        ImageDraw.Draw(picture).rectangle(box, fill=COLOURS[number % len(COLOURS)])
        picture.save(path)
    return paths


def as_images(paths: list[Path]) -> list[Image]:
    """The same photos as mgdata knows them."""
    return [Image(uri=f"photos:{path.name}", width=WIDTH, height=HEIGHT) for path in paths]
