"""What the scripted teacher says where no turn is answered: captions, phrases, questions, verdicts.

True of the annotation, like its prose. A caption and a phrase are shared by all who ask the same of
the same picture, and so say nothing that only one sample knows. Questions compare listed things by
their boxes over all images, and name one only where it stands out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from mgdata.data import Image, PromptKind, Sample, Target
from mgdata.identity import Stream
from mgdata.teacher.backends.scripted_prose import called, place_in
from mgdata.teacher.listing import rivals
from mgdata.wording import ImageNames, capital, ordinal

FACTS: tuple[PromptKind, ...] = ("caption", "refine", "write", "verify")
"""Kinds of prompt that it answers here."""
_NAMES = ImageNames("number")
_SPLIT = re.compile(r"[/,(]")


class _Compared(NamedTuple):
    """A way in which things of all images are compared."""

    question: str
    because: str
    value: Callable[[Target, Image], float]
    """What is the greatest of the one that stands out."""
    margin: float
    """By how much, at least."""


def _area(target: Target, image: Image) -> float:
    return target.box.area / (image.width * image.height)


def _across(target: Target, image: Image) -> float:
    return (target.box.x1 + target.box.x2) / (2 * image.width)


def _down(target: Target, image: Image) -> float:
    return (target.box.y1 + target.box.y2) / (2 * image.height)


def _wide(target: Target, image: Image) -> float:
    del image
    return math.log(max(target.box.width, 1e-6) / max(target.box.height, 1e-6))


COMPARED = (
    _Compared(
        "Taking all the images together, which of the things that stand out takes up the largest "
        "share of its picture?",
        "{Thing} in {image} takes up a larger share of its picture than any other of them.",
        _area,
        0.02,
    ),
    _Compared(
        "Compare the things that stand out across the images: which one takes up the smallest "
        "share of its picture?",
        "{Thing} in {image} takes up a smaller share of its picture than any other of them.",
        lambda target, image: -_area(target, image),
        0.002,
    ),
    _Compared(
        "If all the images were laid over each other, which of their outstanding things would lie "
        "nearest to the left edge?",
        "{Thing} in {image} has its middle nearer to the left edge than any other of them.",
        lambda target, image: -_across(target, image),
        0.03,
    ),
    _Compared(
        "If all the images were laid over each other, which of their outstanding things would lie "
        "nearest to the right edge?",
        "{Thing} in {image} has its middle nearer to the right edge than any other of them.",
        _across,
        0.03,
    ),
    _Compared(
        "Going through the images, which of the things that stand out lies highest up in its "
        "picture, measured at its middle?",
        "{Thing} in {image} has its middle nearer to the upper edge than any other of them.",
        lambda target, image: -_down(target, image),
        0.03,
    ),
    _Compared(
        "Going through the images, which of the things that stand out lies lowest down in its "
        "picture, measured at its middle?",
        "{Thing} in {image} has its middle nearer to the lower edge than any other of them.",
        _down,
        0.03,
    ),
    _Compared(
        "Over all the images, which of the things that stand out is the widest in relation to its "
        "height?",
        "{Thing} in {image} is wider in relation to its height than any other of them.",
        _wide,
        0.1,
    ),
    _Compared(
        "Over all the images, which of the things that stand out is the tallest in relation to its "
        "width?",
        "{Thing} in {image} is taller in relation to its width than any other of them.",
        lambda target, image: -_wide(target, image),
        0.1,
    ),
)
"""All ways, each true of boxes alone."""


def fact(kind: PromptKind, sample: Sample, place: int, fault: str, rng: Stream) -> str:
    """A caption, or the JSON object that `refine`, `write` and `verify` ask for, with its fault.

    Args:
        kind: One of `FACTS`.
        sample: With a turn whose targets are asked about.
        place: Of the image that is described, or of the target that is refined.
        fault: One of `scripted_faults.FAULTS` that its kind can have, or nothing.
        rng: Of this answer; a caption and a phrase draw nothing from it but their faults.
    """
    if kind == "caption":
        return _caption(sample.images[min(place, len(sample.images) - 1)])
    told = _told(kind, sample, place, fault, rng)
    text = msgspec.json.encode(told).decode()
    return rng.choice(_broken(text, told)) if fault == "bad_json" else text


def _told(
    kind: PromptKind, sample: Sample, place: int, fault: str, rng: Stream
) -> dict[str, object]:
    targets = sample.turns[0].targets
    if kind == "refine":
        if fault == "misfit" or place >= len(targets):
            return {"fits": False, "phrase": ""}
        return {"fits": True, "phrase": _phrase(targets, place, sample.images)}
    if kind == "write":
        return _written(targets, sample.images, fault, rng)
    reason = "I looked at all images, and what is asked for is there and nothing besides it."
    verdict: dict[str, object] = {"answerable": True, "unique": True, "correct": True}
    if fault == "wrong_verdict":
        reason = "I looked at all images, and something else there fits the question as well."
        verdict[rng.choice([*verdict])] = False
    return {"reason": reason, **verdict}


def _caption(image: Image) -> str:
    form = "wider than it is high" if image.width > image.height else "no wider than it is high"
    return f"A scene with several things in it, in a picture that is {form}."


def _phrase(targets: Sequence[Target], place: int, images: Sequence[Image]) -> str:
    """The thing by its part of the picture, or by its turn from the left among its like."""
    own = targets[place]
    name = called(own)
    if name is None:
        first = _SPLIT.split((own.phrase or "").replace("_", " "))[0].strip().lower()
        name = called(msgspec.structs.replace(own, phrase=first)) or "thing"
    near = rivals(targets, place)
    part = place_in(own, images)
    if part not in {place_in(other, images) for other in near}:
        return f"the {name} in the {part}"
    left = sum((other.box.x1, other.box.y1) < (own.box.x1, own.box.y1) for other in near)
    return f"the {ordinal(left + 1)} {name} from the left"


def _written(
    targets: Sequence[Target], images: Sequence[Image], fault: str, rng: Stream
) -> dict[str, object]:
    """A question about the one thing that stands out in some way, or that there is none."""
    ways = rng.sample(COMPARED, len(COMPARED))
    found = next(((way, at) for way in ways if (at := _best(way, targets, images)) >= 0), None)
    if found is None:
        if fault not in ("hedging", "unknown_object", "told_box"):
            return {"question": "", "explanation": "", "objects": []}
        found = ways[0], 0
    way, at = found
    thing, image = targets[at].phrase or "the thing", _NAMES.one(targets[at].image)
    because = way.because.format(Thing=capital(thing), image=image)
    if fault == "hedging":
        because = f"{because} {rng.choice(HEDGES)}"
    if fault == "told_box":
        box = targets[at].box
        because = f"{because} It reaches from ({box.x1:.0f}, {box.y1:.0f}) to its other corner."
    number = rng.choice((0, len(targets) + 1)) if fault == "unknown_object" else at + 1
    return {"question": way.question, "explanation": because, "objects": [number]}


HEDGES = (
    "It might also be another one.",
    "What it is made of is not mentioned.",
    "Its colour cannot be determined.",
    "It is unclear how far away it stands.",
)
"""What its doubt sounds like."""


def _best(way: _Compared, targets: Sequence[Target], images: Sequence[Image]) -> int:
    """The place of the one thing that stands out, and whose name no other has; -1: there is none.

    Things of one image alone are not compared over all.
    """
    if len({target.image for target in targets}) < 2:
        return -1
    values = [way.value(target, images[target.image]) for target in targets]
    at = max(range(len(values)), key=lambda place: values[place])
    if values[at] - max(values[:at] + values[at + 1 :]) < way.margin:
        return -1
    names = [(target.image, (target.phrase or "").casefold()) for target in targets]
    return at if names.count(names[at]) == 1 else -1


def _broken(text: str, told: dict[str, object]) -> list[str]:
    """The reply in ways that are no JSON, or not the object that was asked for."""
    short = dict(list(told.items())[:-1])
    return [
        text[:-1],
        f"Sure, here it is: {text}",
        repr(told),
        msgspec.json.encode(short).decode(),
        msgspec.json.encode([told]).decode(),
        msgspec.json.encode(told | {"note": "done"}).decode(),
    ]
