"""What makes a record or a sample whole, beyond its types: the rules every row must obey.

Types are msgspec's business (unknown fields, wrong types, missing fields); here stand the rules
between fields. Each check returns what is wrong, or None.
"""

from __future__ import annotations

from collections.abc import Sequence

from mgdata import placeholders
from mgdata.data import Image, Record, Sample, Target, Turn
from mgdata.geometry import Box


def box_fault(box: Box, image: Image) -> str | None:
    """Why a box does not lie in an image: not finite, empty, inverted or outside."""
    # Comparisons with NaN are false, so NaN and infinity fail the one chained test.
    if 0 <= box.x1 < box.x2 <= image.width and 0 <= box.y1 < box.y2 <= image.height:
        return None
    return f"box {box.x1:g},{box.y1:g},{box.x2:g},{box.y2:g} in {image.width}x{image.height}"


def record_fault(record: Record) -> str | None:
    """What is wrong with a record, or None."""
    images = record.images
    if not images:
        return "no image"
    if any(image.width < 1 or image.height < 1 for image in images):
        return "an image without a size"
    last = 0
    for region in record.regions:
        if not 0 <= region.image < len(images):
            return f"region of image {region.image}, there are {len(images)}"
        if region.image < last:
            return "regions not sorted by image"
        last = region.image
        if region.box is not None and (fault := box_fault(region.box, images[region.image])):
            return fault
    for expression in record.expressions:
        places = expression.regions
        if not expression.text.strip() or list(places) != sorted(set(places)):
            return f"expression {expression.text!r} of regions {list(places)}"
        if places and not 0 <= places[0] <= places[-1] < len(record.regions):
            return f"expression of region {places[-1]}, there are {len(record.regions)}"
    return None


def sample_fault(sample: Sample) -> str | None:
    """What is wrong with a sample, or None."""
    if not sample.images or not sample.turns or not sample.records:
        return "a sample needs images, turns and records"
    slots: list[int] = []
    for turn in sample.turns:
        if fault := turn_fault(turn, sample.images):
            return fault
        if "<image:" in turn.question:
            slots += [i for kind, i in placeholders.find(turn.question) if kind == "image"]
    # In order, because trainers fill the rendered `<image>` tokens one after another.
    if slots != list(range(len(sample.images))):
        return "each image needs one <image:i> slot over the questions, in order"
    return None


def turn_fault(turn: Turn, images: Sequence[Image]) -> str | None:
    """What is wrong with one turn of a sample with these images, or None."""
    if not turn.question.strip() or not turn.answer.strip():
        return "an empty question or answer"
    sizes = {"image": len(images), "region": len(turn.regions), "target": len(turn.targets)}
    if fault := placeholders.check(turn.question, turn.answer, sizes):
        return fault
    for target in (*turn.regions, *turn.targets):
        if fault := _target_fault(target, images):
            return fault
    if any(not 0 <= i < len(images) for i in turn.asked):
        return f"asks about image {max(turn.asked)}, there are {len(images)}"
    if turn.kind != "boxes" and not turn.gold:
        return f"a {turn.kind} turn needs its gold answer"
    order = [(target.image, target.box.x1) for target in turn.targets]
    return None if order == sorted(order) else "targets not sorted by image, then left to right"


def _target_fault(target: Target, images: Sequence[Image]) -> str | None:
    if not 0 <= target.image < len(images):
        return f"target in image {target.image}, there are {len(images)}"
    return box_fault(target.box, images[target.image])
