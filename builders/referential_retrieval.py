"""Referential retrieval: find all that a phrase means in several photos: nothing, one or many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from builders.asking import Band, Naming, box_of, image_names, in_order
from builders.retrieval_asked import Asked, Phrases, Rules, Scope, asked, hidden
from builders.retrieval_sets import COUNTS, Mix, Sets
from builders.sets import pool
from mgdata.data import Association, Count, Drop, Record, Sample, Shape, Target, Turn
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder, Grouping
from mgdata.wording import ImageNames, Needs, listed, load

WORDING = load(
    __file__,
    {
        "ask_class": Needs(must="things"),
        "ask_phrase": Needs(must="phrase"),
        "ask_class_in": Needs(must="things image"),
        "ask_phrase_in": Needs(must="phrase image"),
        "found": Needs(each="image boxes"),
        "found_list": Needs(each="image boxes"),
        "found_in": Needs(must="boxes", may="image"),
        "none_class": Needs(may="things"),
        "none_phrase": Needs(may="phrase"),
        "none_class_in": Needs(may="things image"),
        "none_phrase_in": Needs(may="phrase image"),
    },
)
FEW = 5
"""Most boxes of an answer in a sentence; more are listed."""


@dataclass(frozen=True, kw_only=True)
class ReferentialRetrieval(Builder):
    """One sample a set of photos and one question: all that a phrase means, in whichever photos.

    Only the name and the size of the published group are known (97,000 samples; D3 and COCO are
    among the sources); what follows is our choice.

    A phrase is a label (a class, or one of D3's sentences, those that say what is not there among
    them) of which every thing is annotated in every photo shown, or a text of the photo that leads
    the set, whose label the other photos are known not to show. No photo shows a class that may be
    called the same (`rivals`), and all that is meant lies in the size band. One question a sample;
    the answer has every target, image by image and from left to right, and names the image before
    its boxes.

    Neither words nor photos tell how many targets there are. Classes get their turn in one order
    for every `count`. For no target in all images the photo that leads the set has what is asked
    for and is not shown (nor in `Sample.records`), so that the phrase comes from where others do; a
    text that refers to nothing is asked beside its own photo. Photos come in random order.
    """

    association: ClassVar[Association] = "referential"
    shapes: ClassVar[tuple[Shape, ...]] = ("image",)
    targets: ClassVar[str] = "none, one or many"
    grouping: ClassVar[Grouping] = "any"

    count: Count | None = None
    """Targets a sample has; None: whatever comes."""
    images: tuple[int, int] = (2, 8)
    """Fewest and most photos a sample, uniformly."""
    phrases: Phrases = "labels"
    """What is asked for: labels of regions, or `Record.expressions`."""
    scope: Scope = "all"
    """`image`: the question names one image, and the others need not be known to lack anything, as
    with texts that have no label. For no target it names one that lacks what another has."""
    hard: float = 0.5
    """Share of the other photos that are like the first: somebody looked for the class there and
    found none (D3's own group), else they share another class; as far as there are such."""
    spread: float = 0.6
    """Share of sets of many targets with targets in several photos: labels in all images only."""
    most: int = 12
    """Most targets a question; sets with more are not asked about."""
    area: Band = (0.001, 0.95)
    """Smallest and largest share of its photo that a thing of the phrase covers, else no question:
    18 x 18 pixels of 640 x 480."""
    naming: Naming = "mixed"
    """`the third image`, `Image-3`, or either; never both in a sample."""
    per_image: int = 3
    """Most sets that a photo is used in, shown or not."""
    power: float = 0.5
    """Classes of n photos come as n to this power: 1 as the corpus has them, 0 equally often."""

    def __post_init__(self) -> None:
        """Refuse settings that no set could meet."""
        if not 2 <= self.images[0] <= self.images[1]:
            raise ValueError(f"images: expected 2 <= fewest <= most, found {self.images}")
        for name in ("hard", "spread", "power"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected 0 to 1, found {getattr(self, name)}")
        if not 0 <= self.area[0] < self.area[1] <= 1:
            raise ValueError(f"area: expected 0 <= smallest < largest <= 1, found {self.area}")
        if self.most < 2:
            raise ValueError(f"most: expected at least 2, found {self.most}")
        if self.per_image < 1:
            raise ValueError(f"per_image: expected at least 1, found {self.per_image}")

    @property
    def _rules(self) -> Rules:
        return Rules(self.phrases, self.scope, self.area, self.most)

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Sets led by a photo that has a phrase, with what else can be shown beside it."""
        mix = Mix(
            count=self.count,
            images=self.images,
            hard=self.hard,
            spread=self.spread,
            power=self.power,
            per_image=self.per_image,
        )
        yield from Sets(pool(index, rng), self._rules, mix, rng).rows()

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """The sample of one set; the first record leads it."""
        about = self._asked(records, rng)
        order = rng.sample(range(len(about.shown)), len(about.shown))
        shown = [about.shown[place] for place in order]
        turn = _turn(about, order, image_names(self.naming, rng), rng)
        yield self.sample(shown, [record.images[0] for record in shown], [turn])

    def _asked(self, records: Sequence[Record], rng: Stream) -> Asked:
        """What the set is asked about; without a `count`, for one of those that it can serve."""
        if self.count:
            first = hidden(records[0], self.count, self._rules)
            return asked(records, records[1:] if first else records, self.count, self._rules, rng)
        refused: Rejected | None = None
        for count in rng.sample(COUNTS, len(COUNTS)):
            shown = records
            if self.scope == "all":
                # There is one photo more than a sample has, so that the first may be hidden.
                first = hidden(records[0], count, self._rules)
                shown = records[1:] if first else records[:-1]
            try:
                return asked(records, shown, count, self._rules, rng)
            except Rejected as error:
                refused = error
        raise refused or Rejected("nothing to ask for")


def _turn(about: Asked, order: Sequence[int], names: ImageNames, rng: Stream) -> Turn:
    """The question and its answer, with the photos in this order."""
    words = about.words
    targets, _ = in_order(
        [
            Target(image=order.index(place), box=box_of(region), phrase=words.gold)
            for place, region in about.found
        ]
    )
    where = None if about.image is None else order.index(about.image)
    image = "" if where is None else names.one(where)
    of = f"{'phrase' if words.quoted else 'class'}{'' if where is None else '_in'}"
    question = WORDING.pick(rng, f"ask_{of}")
    if targets:
        answer = _found(targets, names, where, rng)
    else:
        nothing = WORDING.pick(rng, f"none_{of}")
        answer = nothing.fill(things=words.text, phrase=words.text, image=image)
    return Turn(
        question=question.fill(things=words.text, phrase=words.text, image=image),
        answer=answer,
        targets=targets,
        asked=() if where is None else (where,),
    )


def _found(targets: Sequence[Target], names: ImageNames, where: int | None, rng: Stream) -> str:
    """Every target with its image before it, or the boxes alone where the question named it."""
    many = len(targets) > 1
    join = listed if len(targets) <= FEW else ", ".join
    by_image: dict[int, list[str]] = {}
    for rank, target in enumerate(targets):
        by_image.setdefault(target.image, []).append(f"<target:{rank}>")
    if where is not None:
        form = WORDING.pick(rng, "found_in")
        return form.fill(many=many, boxes=join(by_image[where]), image=names.one(where))
    each = [{"image": names.one(image), "boxes": join(some)} for image, some in by_image.items()]
    form = WORDING.pick(rng, "found" if len(targets) <= FEW else "found_list")
    return form.fill(many=many, each=each)
