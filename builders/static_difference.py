"""Static difference: two nearly identical pictures of one scene; box what changed between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from builders.differences import NEEDS, Differences
from mgdata.identity import Stream
from mgdata.wording import Wording, load

WORDING = load(__file__, NEEDS)


@dataclass(frozen=True, kw_only=True)
class StaticDifference(Differences):
    """One sample a pair, both pictures taken from one place; MIG-Bench asks for one box in image 2.

    Boxes are the corpus' own. A region that the asked image lacks (its box is None: an object that
    was added or dropped) is never boxed there. Corpora made from edit masks box the place in both
    pictures, since its pixels changed in both; such a box is asked for wherever `asked` says.

    Reverse order (`swap`, `missing: turn`) keeps "find what is new" from solving every pair, and
    lets a dropped object be asked for in the image shown second; neither goes with a sentence, as
    it speaks of the corpus' order. Some of MGrounding-630k's samples describe the change first, by
    the corpora's own captions; their share is not published, and `describe` is our choice. So are
    both-image questions, several changes at once and pairs without a change, which have no target.
    With `describe`, a question about an unchanged pair wants a description as often.
    """

    words: ClassVar[Wording] = WORDING

    def _introduced(self, question: str, rng: Stream) -> str:
        return question
