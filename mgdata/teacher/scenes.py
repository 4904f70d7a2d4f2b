"""What is known of a sample's images besides what was asked: captions, and the objects in them.

The object-level and image-level annotation that trajectories are woven from and free-form questions
are written about. Boxes move with the pixels where an image was cropped. Knows no prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from mgdata.data import Image, Record, Region, Target
from mgdata.edits import crop_window
from mgdata.geometry import Box, clip, valid

MOST_OBJECTS = 20
"""Objects of an image that are told of; a model loses itself in longer lists."""
_SEEN = 0.5
"""Least share of an object that a crop must have kept."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one image."""

    caption: str | None = None
    """The image as a whole, in words."""
    objects: tuple[Target, ...] = ()
    """Things in it, in pixels of the sample's image, from left to right; the phrase is a name."""


def scenes(
    images: Sequence[Image],
    records: Iterable[Record],
    captions: Mapping[str, str] | None = None,
    *,
    first: Iterable[Target] = (),
    most: int = MOST_OBJECTS,
) -> tuple[Scene, ...]:
    """What the records of a sample know of its images, one scene an image.

    Args:
        images: Those of the sample.
        records: Those that it was made from; an image is found again by its uri.
        captions: By the uri of the image.
        first: Boxes that must not be left out where there are too many, as those of the turns.
        most: Objects an image at most: those of `first`, then the largest.
    """
    known: dict[str, tuple[Image, list[Region]]] = {}
    for record in records:
        for place, image in enumerate(record.images):
            regions = [r for r in record.regions if r.image == place and r.box and not r.ignore]
            known.setdefault(image.uri, (image, regions))
    wanted = {(target.image, target.box) for target in first}
    found: list[Scene] = []
    for place, image in enumerate(images):
        objects: list[Target] = []
        if image.uri in known:
            whole, regions = known[image.uri]
            objects = [o for region in regions if (o := _object(region, place, image, whole))]
        objects.sort(key=lambda o: ((o.image, o.box) not in wanted, -o.box.area, o.box.x1))
        kept = sorted(objects[:most], key=lambda o: (o.box.x1, o.box.y1))
        found.append(Scene(caption=(captions or {}).get(image.uri), objects=tuple(kept)))
    return tuple(found)


def _object(region: Region, place: int, image: Image, whole: Image) -> Target | None:
    """A region of a record's image as an object of the sample's; None where it was cut away."""
    if region.box is None:
        return None
    box, (left, top) = region.box, _shift(image, whole)
    moved = Box(box.x1 - left, box.y1 - top, box.x2 - left, box.y2 - top)
    seen = clip(moved, image.width, image.height)
    if not valid(seen, image.width, image.height) or seen.area < _SEEN * box.area:
        return None
    name = region.phrase or region.label.replace("_", " ")
    return Target(image=place, box=seen, phrase=name)


def _shift(image: Image, whole: Image) -> tuple[float, float]:
    """How far the sample's image was cropped beyond the record's, in pixels."""
    crops = [_corner(one) for one in (image, whole)]
    return crops[0][0] - crops[1][0], crops[0][1] - crops[1][1]


def _corner(image: Image) -> tuple[int, int]:
    """Left and top of what is left of an image; a crop is in pixels of the uncropped one."""
    for edit in image.edits:
        if edit.kind == "crop" and edit.box is not None:
            # Only the near corner is asked for, whatever the size of the picture.
            return crop_window(edit.box, 1 << 30, 1 << 30)[:2]
    return 0, 0
