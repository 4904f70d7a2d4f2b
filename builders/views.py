"""What the cameras of a moment are known to show of each object. Knows no question.

Not a task; tasks over views share it. A view is an index of the record's images.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from builders.asking import Band, box_of
from builders.frames import sliver
from mgdata.data import Edit, Image, Record, Region
from mgdata.geometry import Box
from mgdata.identity import Stream

EGO = "aria"
"""Part of the name of a camera that is worn, as in Ego-Exo4D."""
Side = Literal["ego", "exo", "any", "mixed"]
"""The worn camera, one that stands, any, or the first two in halves, as far as both are there."""

_THIN = 1 / 16
"""Share of a view's shorter side below which a box may be a strip: 24 pixels of 384."""


class Known(NamedTuple):
    """What is certain of one object; of a view in neither nothing is."""

    seen: dict[int, Region]
    """By view, where it is visible in a box to ask for."""
    hidden: list[int]
    """Views that are known not to show it."""


def by_track(moment: Record) -> dict[str, list[Region]]:
    """The regions of each object with an identity, also those to be ignored."""
    found: defaultdict[str, list[Region]] = defaultdict(list)
    for region in moment.regions:
        if region.track is not None:
            found[region.track].append(region)
    return found


def known(
    moment: Record,
    regions: Sequence[Region],
    area: Band,
    *,
    slivers: bool,
    visibility: float = 0.0,
) -> Known:
    """Where one object is visible and where it is not.

    Args:
        moment: Record of the views.
        regions: All of the object.
        area: Smallest and largest share of its view that its box covers.
        slivers: Whether a strip of it counts as visible.
        visibility: Least visible share, where the corpus states one.
    """
    sure: dict[int, Region | None] = {}
    for region in regions:
        # Two boxes of one object in a view contradict each other: nothing is known there.
        twice = region.image in sure
        sure[region.image] = None if twice or region.ignore else region
    seen: dict[int, Region] = {}
    hidden: list[int] = []
    thin: list[int] = []
    largest, fullest = 0.0, None
    for view, region in sure.items():
        if region is None:
            continue
        if (box := region.box) is None:
            hidden.append(view)
            continue
        image, size, share = moment.images[view], box.area, region.visibility
        if not area[0] <= size / (image.width * image.height) <= area[1]:
            continue
        if share is None or share >= visibility:
            seen[view] = region
            if size > largest:
                largest, fullest = size, box
            if min(box.width, box.height) < _THIN * min(image.width, image.height):
                thin.append(view)
    if fullest is not None and not slivers:
        for view in thin:
            if sliver(box_of(seen[view]), fullest):
                del seen[view]
    return Known(seen, hidden)


def on_side(moment: Record, views: Sequence[int], side: Side, rng: Stream) -> list[int]:
    """The views on one side; where `mixed` finds none there, all of them."""
    if side == "any":
        return list(views)
    wanted = rng.choice(("ego", "exo")) if side == "mixed" else side
    worn = [EGO in (moment.images[view].view or "").lower() for view in views]
    found = [view for view, ego in zip(views, worn, strict=True) if ego == (wanted == "ego")]
    return list(views) if side == "mixed" and not found else found


def marked(image: Image, box: Box, colour: str = "red") -> Image:
    """The image with a rectangle drawn round a box, after its other edits."""
    return image.__replace__(edits=(*image.edits, Edit(kind="mark", box=box, colour=colour)))
