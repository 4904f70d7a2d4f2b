"""What is known of a question's images, as a prompt tells it. Text of data is quoted."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mgdata.data import Image
from mgdata.plugins import Notation
from mgdata.teacher.quoting import quoted
from mgdata.teacher.scenes import Scene
from mgdata.wording import ImageNames, capital


def notes(
    scenes: Sequence[Scene],
    images: Sequence[Image],
    notation: Notation,
    names: ImageNames,
    *,
    number: bool = False,
) -> str:
    """What is known of each image, a paragraph each; with `number` objects are [1], [2] ...

    Raises:
        ValueError: there is not one scene for each image.
    """
    if len(scenes) != len(images):
        raise ValueError(f"{len(scenes)} scenes for {len(images)} images: one each is needed")
    lines: list[str] = []
    count = 0
    for place, (scene, image) in enumerate(zip(scenes, images, strict=True)):
        lines.append(f"{capital(names.one(place))}:")
        if scene.caption:
            lines.append(f"caption: {quoted(scene.caption)}")
        for thing in scene.objects:
            count += 1
            mark = f"[{count}]" if number else "-"
            box = notation.region(msgspec.structs.replace(thing, phrase=None), image)
            lines.append(f"{mark} {quoted(thing.phrase or 'object')}: {box}")
        if not scene.caption and not scene.objects:
            lines.append("nothing is known of it")
    return "\n".join(lines)
