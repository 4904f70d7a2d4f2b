"""How a notation writes answers, shown by answers that cannot be right, and what its numbers mean.

The specimens are written by the notation itself and depend on nothing but the notation and the
number of images: on no target, so that a blind prompt tells nothing of its answer. They speak of
images beyond the last, so that one that is copied is refused whatever was asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from mgdata.data import Image, Kind, Sample, Target, Turn
from mgdata.geometry import Box
from mgdata.plugins import Notation
from mgdata.teacher.mentions import extent
from mgdata.teacher.texts import write
from mgdata.wording import ImageNames, capital

_SIZE = (1200, 900)
_THING = "kettle"
_BOXES = (Box(156.0, 243.0, 492.0, 711.0), Box(636.0, 90.0, 1044.0, 351.0))
_NONE = "None of the images shows it."
_NUMBERS, _ORDINALS = ImageNames("number"), ImageNames("ordinal")
_NAMED = re.compile(
    r"\b(?:(?P<number>[Ii]mages?[ -]?[0-9])|(?:first|second|third|fourth|fifth|sixth|seventh|"
    r"eighth|ninth|tenth|eleventh|twelfth|last|[0-9]{1,3}(?:st|nd|rd|th)) (?:image|picture|photo))"
)


class Specimens(msgspec.Struct, frozen=True, kw_only=True):
    """Answers in a notation, of images that a question does not have."""

    names: tuple[str, str]
    """What the two images would be called."""
    one: str
    """A box in the first of them."""
    two: str
    """A box in each."""
    none: str
    """That there is nothing."""


@lru_cache(1024)
def specimens(notation: Notation, kind: Kind, images: int, names: ImageNames) -> Specimens:
    """Answers to a question of a kind about so many images.

    Raises:
        ValueError: the notation cannot write them.
    """
    width, height = _SIZE
    pictures = [Image(uri="", width=width, height=height)] * (images + 2)
    things = tuple(
        Target(image=images + place, box=box, phrase=_THING) for place, box in enumerate(_BOXES)
    )
    called = names.one(images), names.one(images + 1)
    lines = [f"{capital(name)}: <target:{place}>" for place, name in enumerate(called)]
    if kind != "boxes":
        lines[0] = f"The kettle in {called[0]}, <target:0>, is the larger one."

    def written(answer: str, *targets: Target) -> str:
        turn = Turn(question="", answer=answer, kind=kind, targets=targets)
        return notation.answer(turn, pictures)

    return Specimens(
        names=called,
        one=written(lines[0], things[0]),
        two=written("\n".join(lines), *things),
        none=written(_NONE),
    )


def naming(sample: Sample, turn: int) -> ImageNames:
    """What a conversation calls its images, as far as its questions and the answers before tell.

    `Image-3` where they name none. Of the answer to this turn it takes nothing: whether that names
    an image at all may tell that there is something to find.
    """
    said = [one.question for one in sample.turns] + [one.answer for one in sample.turns[:turn]]
    for text in said:
        if found := _NAMED.search(text):
            return _NUMBERS if found["number"] else _ORDINALS
    return _NUMBERS


def coordinates(
    notation: Notation, images: Sequence[Image], names: ImageNames
) -> list[tuple[str, ...]]:
    """What the numbers of a box mean in these images: one text, and the names of those it uses.

    Nothing where that cannot be told from how the notation writes a box.
    """
    limits = [_extent(notation, image.width, image.height) for image in images]
    if not limits or None in limits:
        return []
    if len({*limits}) == 1 and limits[0]:
        across, down = limits[0]
        return [(write("coordinates_all", across=across, down=down), "coordinates_all")]
    rows = [
        write("coordinates_limit", name=capital(names.one(place)), across=limit[0], down=limit[1])
        for place, limit in enumerate(limits)
        if limit
    ]
    text = write("coordinates_each", limits="\n".join(rows))
    return [(text, "coordinates_each", "coordinates_limit")]


@lru_cache(1 << 14)
def _extent(notation: Notation, width: int, height: int) -> tuple[str, str] | None:
    limits = extent(notation, width, height)
    return (f"{limits[0]:g}", f"{limits[1]:g}") if limits else None
