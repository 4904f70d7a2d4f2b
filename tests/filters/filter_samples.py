"""Small records and samples for the filters' tests."""

from __future__ import annotations

from typing import Any

import msgspec

from mgdata.data import Image, Record, Region, Sample, Target, Turn
from mgdata.geometry import Box


def region(label: str, phrase: str | None = None, at: float = 0, **more: Any) -> Region:
    """A region of 40 x 40 pixels whose left edge is `at`."""
    box = Box(at, 0, at + 40, 40)
    return msgspec.structs.replace(Region(image=0, box=box, label=label, phrase=phrase), **more)


def record(*regions: Region, shape: Any = "image") -> Record:
    """A record of as many images as its regions need."""
    count = max((r.image for r in regions), default=0) + 1
    return Record(
        key="made/a",
        shape=shape,
        unit="a",
        images=tuple(Image(uri=f"made:{i}.jpg", width=640, height=480) for i in range(count)),
        regions=regions,
        license="unknown",
    )


def target(image: int = 0, box: Box | None = None, phrase: str | None = "the dog") -> Target:
    """A box in an image; 100 x 100 pixels where none is given."""
    return Target(image=image, box=box or Box(100, 100, 200, 200), phrase=phrase)


def turn(question: str = "Where is the dog?", **more: Any) -> Turn:
    """A turn that asks for one box."""
    defaults: dict[str, Any] = {"answer": "<target:0>", "targets": (target(),)}
    if more.get("kind", "boxes") != "boxes":
        defaults = {"answer": "It is so."}
    return Turn(question=question, **{**defaults, **more})


def sample(*turns: Turn, images: int = 3, **more: Any) -> Sample:
    """A sample of these turns."""
    values: dict[str, Any] = {
        "id": "0123456789abcdef",
        "task": "t",
        "association": "referential",
        "split": "train",
        "images": tuple(Image(uri=f"made:{i}.jpg", width=640, height=480) for i in range(images)),
        "records": ("made/a",),
        "license": "unknown",
    }
    return Sample(turns=turns, **{**values, **more})
