"""Reasoning: questions over several photos whose answers follow from what is annotated in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from builders.asking import Naming, image_names
from builders.reasoning_kinds import KINDS, OF_THREE, RAREST
from builders.reasoning_scene import Limits, look
from builders.reasoning_sets import some_have
from builders.reasoning_turns import NEEDS
from builders.sets import Photos, pool
from mgdata.data import Association, Drop, Record, Sample, Shape
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder, Grouping
from mgdata.wording import load

WORDING = load(__file__, NEEDS)


@dataclass(frozen=True, kw_only=True)
class Reasoning(Builder):
    """One sample a set of photos: a question of one kind, and most often the boxes behind it.

    The sets show a class in some photos, known to be in none of the others, in every mixture from
    one photo to all. Seven kinds of question: counting, comparing size, position or number, the odd
    one out, same or different, and set logic, which lists the classes to choose from, because a
    reader may see others than a corpus annotates. A class is asked for only by a name that is
    surely clear (`reasoning_words`, `rivals`), only where every one of it is annotated, and where
    none is tiny or a crowd; differences keep a margin.

    A question is answered by boxes at once, or by a word and then by boxes. Where the photos have
    no clear case of the drawn kind, another is asked: a number compared where there is a case of
    it, for few photos differ in number clearly, or else any. Published sets with reasoning have
    free-form questions; kinds, margins and wording are our choice.
    """

    association: ClassVar[Association] = "semantic"
    shapes: ClassVar[tuple[Shape, ...]] = ("image",)
    targets: ClassVar[str] = "one or many; none where only a word is asked for"
    grouping: ClassVar[Grouping] = "any"

    images: tuple[int, int] = (2, 5)
    """Fewest and most photos a sample, uniformly; odd one out and same or different need three."""
    kinds: dict[str, float] | None = None
    """How often each kind is tried first, by name, any positive numbers; a kind not named is never
    asked.

    None: number, position, size, same_or_different, set_logic, counting, odd_one_out equally.
    """
    at_once: float = 0.5
    """Share of questions for an image or a class that ask for its box in the same turn."""
    followed: float = 0.8
    """Share of short answers followed by a turn for the boxes, if these are not too many."""
    min_area: float = 0.005
    """Share of its photo that everything counted or asked for covers at least, and four times that
    where the photo's edge cuts it; a photo with a smaller one of a class is not asked about that
    class."""
    most: int = 10
    """Most things to be counted, in a photo or over all, and most boxes in an answer."""
    ratio: float = 1.5
    """Least ratio of the two shares of their photos when sizes are compared."""
    shift: float = 0.15
    """Least distance of two middles, as a share of the photo's side, when positions are."""
    difference: int = 2
    """Least difference when numbers are compared."""
    naming: Naming = "mixed"
    """`the third image`, `Image-3`, or either; never both in a sample."""
    per_image: int = 3
    """Most sets that a photo is used in."""
    power: float = 0.5
    """Classes of n photos come as n to this power: 1 as the corpus has them, 0 equally often."""

    def __post_init__(self) -> None:
        """Refuse settings that no set could meet."""
        fewest, most = self.images
        if not 2 <= fewest <= most:
            raise ValueError(f"images: expected 2 <= fewest <= most, found {fewest} and {most}")
        kinds = KINDS if self.kinds is None else self.kinds
        if unknown := [name for name in kinds if name not in KINDS]:
            raise ValueError(f"kinds: unknown {unknown[0]!r}; known are {', '.join(KINDS)}")
        # Not `<= 0`, which a NaN would pass.
        if not kinds or not all(0 < weight < float("inf") for weight in self._weights().values()):
            raise ValueError(f"kinds: expected positive weights, found {self.kinds}")
        if most < 3 and OF_THREE.issuperset(kinds):
            raise ValueError(f"images: {', '.join(kinds)} need three, found at most {most}")
        shares = (self.at_once, self.followed, self.min_area, self.shift, self.power)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError("at_once, followed, min_area, shift and power: expected 0 to 1")
        if not self.ratio > 1 or self.difference < 1 or self.most < 2 or self.per_image < 1:
            raise ValueError("expected ratio > 1, difference >= 1, most >= 2 and per_image >= 1")

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Sets of which some photos show a class and the others do not."""
        photos = Photos(pool(index, rng), self.per_image)
        one = photos.entries((self.min_area, 1.0))
        several = photos.entries((self.min_area, 1.0), single=False)
        sets = [some_have(photos, found, self.images, rng, self.power) for found in (one, several)]
        # Sizes and places are compared of single things, numbers of several: in turns.
        while sets:
            for rows in list(sets):
                if (group := next(rows, None)) is None:
                    sets.remove(rows)
                else:
                    yield group

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """One sample of the set; `Rejected` where no kind has a clear case in it."""
        records = rng.sample(records, len(records))
        scene = look(records, image_names(self.naming, rng), WORDING, self._limits())
        for name in _order(self._weights(), rng):
            if turns := KINDS[name](scene, rng):
                yield self.sample(records, [record.images[0] for record in records], turns)
                return
        raise Rejected("nothing clear to ask")

    def _weights(self) -> dict[str, float]:
        return dict.fromkeys(KINDS, 1.0) if self.kinds is None else self.kinds

    def _limits(self) -> Limits:
        return Limits(
            min_area=self.min_area,
            most=self.most,
            ratio=self.ratio,
            shift=self.shift,
            difference=self.difference,
            at_once=self.at_once,
            followed=self.followed,
        )


def _order(weights: dict[str, float], rng: Stream) -> list[str]:
    """All kinds in the order they are tried: one drawn by weight, the rarest, then any."""
    names = [name for name in KINDS if name in weights]
    at = rng.uniform() * sum(weights.values())
    drawn = names[-1]
    for name in names:
        at -= weights[name]
        if at < 0:
            drawn = name
            break
    left = rng.sample([name for name in names if name != drawn], len(names) - 1)
    return [drawn, *sorted(left, key=lambda name: name != RAREST)]
