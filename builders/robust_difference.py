"""Robust difference: the camera moved between two pictures; box what changed in the scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from builders.differences import NEEDS, Differences
from mgdata.identity import Stream
from mgdata.wording import Needs, Wording, load

WORDING = load(__file__, {**NEEDS, "camera": Needs()})


@dataclass(frozen=True, kw_only=True)
class RobustDifference(Differences):
    """As `static_difference`, but from two viewpoints: every question says to ignore the shift.

    A moved object has a box of its own in either picture. MGrounding-630k has no such sub-set and
    MIG-Bench asks for one box in image 2; that pairs in which only the camera moved come in too, as
    questions without a target, is our choice (`unchanged`): a model that always answers with the
    largest shift would otherwise never be wrong in saying that something changed. Their share
    is 0 by default, as in the benchmark.
    """

    words: ClassVar[Wording] = WORDING

    def _introduced(self, question: str, rng: Stream) -> str:
        said = self.words.pick(rng, "camera").fill()
        return f"{said} {question}" if rng.below(2) else f"{question} {said}"
