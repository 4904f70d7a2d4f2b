"""A small sample that prompts are asked about, and what may be changed of it."""

from __future__ import annotations

from typing import Any

import msgspec

from mgdata import registry
from mgdata.data import Image, Sample, Target, Turn
from mgdata.geometry import Box
from mgdata.plugins import Notation

IMAGES = (
    Image(uri="photos:a.jpg", width=640, height=480),
    Image(uri="photos:b.jpg", width=300, height=500),
    Image(uri="photos:c.jpg", width=1000, height=1000),
)
GIVEN = Target(image=0, box=Box(64, 48, 320, 240), phrase="a dog")
FIRST = Target(image=1, box=Box(30, 50, 150, 250), phrase="a brown dog")
SECOND = Target(image=2, box=Box(111, 222, 333, 444), phrase="a cat")
TURNS = (
    Turn(
        question="<image:0>\n<image:1>\n<image:2>\nWhere is the dog of <region:0> in Image-2?",
        answer="In Image-2: <target:0>",
        regions=(GIVEN,),
        targets=(FIRST,),
        asked=(1,),
    ),
    Turn(question="Which image shows a cat?", answer="Image-3: <target:0>", targets=(SECOND,)),
)


def notation(name: str) -> Notation:
    return registry.make("notations", name, {}, "test")


def sample(*turns: Turn, **changes: Any) -> Sample:
    """The sample with other turns, or other fields."""
    made = Sample(
        id="0123456789abcdef",
        task="group_grounding",
        association="referential",
        split="train",
        images=IMAGES,
        turns=turns or TURNS,
        records=("photos/a",),
        license="unknown",
    )
    return msgspec.structs.replace(made, **changes)


def turn(question: str = "Which image shows a cat?", **changes: Any) -> Turn:
    """The second turn with other fields."""
    return msgspec.structs.replace(TURNS[1], question=question, **changes)
