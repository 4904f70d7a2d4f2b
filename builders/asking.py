"""What the questions of tasks over photos share: names of images and things, targets, turns.

Not a task. A task writes its turns one question at a time; how many of them make one sample is
the recipe's choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal

from mgdata.data import Image, Record, Region, Sample, Target, Turn
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.plugins import Builder
from mgdata.wording import ImageNames, article, noun

Naming = Literal["ordinal", "number", "mixed"]
"""`the third image`, `Image-3`, or either; never both in a sample."""
Turns = Literal["polling", "all", "apart", "mixed"]
"""A question a turn, all in one answer, a sample for each question, or polling and all mixed."""
Band = tuple[float, float]
"""Smallest and largest share of its image that a box may cover."""

# Substances and the like, and pairs that have no singular.
_SUBSTANCES = """
    air alcohol applesauce armor asparagus bacon baggage bait bamboo beef beer bread broccoli
    butter cauliflower celery cereal cheese chinaware cider clothing coffee coleslaw corn
    cornbread cornmeal cosmetics crabmeat cream curd cutlery detergent dirt equipment eyewear
    fabric fire floss flour fog foliage food footwear fudge furniture garbage garlic gelatin
    ginger gingerbread graffiti grass gravel grits guacamole gum hair hay headgear honey hummus
    ice jam jewelry juice ketchup land leather lemonade lettuce lightning lingerie liquor lotion
    luggage machinery mail mayonnaise meat medicine milk money mud mustard oil okra paint paper
    pasta popcorn pork pottery rain rice salsa salt sand sauce seafood seaweed silverware sky
    snow soap soup spaghetti spinach sportswear steam steel sugar sugarcane sushi syrup
    tableware tea tinfoil tinsel toast tofu toiletry toothpaste traffic trash twine underwear
    vegetation vinegar vodka water wheat whiskey wildlife wine wood wool wrap yarn yogurt"""
_PAIRS = """
    binoculars clothes earphones eyeglasses glasses goggles headphones jeans leggings overalls
    pajamas pants pantyhose pliers scissors shorts skis spectacles sunglasses tights tongs trousers
    tweezers"""
_BARE = frozenset(f"{_SUBSTANCES} {_PAIRS}".split())
# Classes of Objects365 and LVIS whose names say nothing of a thing: games stand for their balls.
_NO_NAMES = frozenset(
    (
        "billiards",
        "canned",
        "curling",
        "french",
        "half and half",
        "soccer",
        "table tennis",
        "tennis",
    )
)
_LETTERS = frozenset(("atv", "cd", "dvd", "suv", "tv"))
_BRACKETS = re.compile(r"\([^()]*\)")
_NAME = re.compile(r"[a-z][a-z'& -]{0,48}[a-z]")


def image_names(naming: Naming, rng: Stream) -> ImageNames:
    """What this sample calls its images."""
    return ImageNames(rng.choice(("ordinal", "number")) if naming == "mixed" else naming)


def one_by_one(turns: Turns, rng: Stream) -> bool:
    """Whether this sample asks its questions one at a time."""
    return turns in ("polling", "apart") or (turns == "mixed" and rng.below(2) == 0)


def expected(turns: Turns, fewest: int, most: int) -> float:
    """Samples a set of `fewest` to `most` questions gives on average."""
    return (fewest + most) / 2 if turns == "apart" else 1.0


def box_of(region: Region) -> Box:
    """The box of a region that is visible.

    Raises:
        ValueError: it has none.
    """
    if region.box is None:
        raise ValueError(f"{region.label!r} in image {region.image} has no box")
    return region.box


def area_of(region: Region, record: Record) -> float:
    """The share of its image that a region covers; 0 where it is not visible."""
    if region.box is None:
        return 0.0
    image = record.images[region.image]
    return region.box.area / (image.width * image.height)


def only(record: Record, label: str, area: Band = (0.0, 1.0), image: int = 0) -> Region | None:
    """The one region of a class in an image: None where there are others, even to be ignored.

    A region outside the size band is none to ask for either.
    """
    found = [r for r in record.regions if r.label == label and r.image == image]
    if len(found) != 1 or found[0].ignore or found[0].box is None:
        return None
    return found[0] if area[0] <= area_of(found[0], record) <= area[1] else None


@lru_cache(1 << 16)
def called(label: str) -> str | None:
    """A class as a question can name it: its words, the first of several names.

    Without what corpora add for themselves: `crab` for `crab_(animal)`, `fish` for `other fish`;
    `pen or pencil` for `pen/pencil`. None where they are no words: a code such as `n02084071`, a
    part such as `chair:leg`.
    """
    plain = _BRACKETS.sub(" ", label.split(",")[0]).replace("_", " ").replace("/", " or ")
    words = " ".join(plain.lower().split()).removeprefix("other ")
    if not _NAME.fullmatch(words) or words in _NO_NAMES:
        return None
    return " ".join(word.upper() if word in _LETTERS else word for word in words.split())


def without_article(words: str) -> bool:
    """Whether a class is named without an article, being no thing that one counts: `bread`."""
    return words.rpartition(" ")[2] in _BARE


@lru_cache(1 << 16)
def thing(words: str) -> str:
    """What `called` gives as the object of a verb: `a dog`, `bread`, `scissors`.

    In quotes what else is no one thing: `"street lights"`.
    """
    if without_article(words):
        return words
    return article(words) if noun(words) == words.lower() else f'"{words}"'


def in_order(targets: Sequence[Target]) -> tuple[tuple[Target, ...], list[str]]:
    """Targets as a turn wants them, by image and from left to right, and the slot of each.

    The slots come in the order of `targets` as given.
    """
    order = sorted(range(len(targets)), key=lambda i: (targets[i].image, targets[i].box.x1))
    slots = {place: f"<target:{rank}>" for rank, place in enumerate(order)}
    return tuple(targets[place] for place in order), [slots[i] for i in range(len(targets))]


def samples(
    builder: Builder,
    records: Sequence[Record],
    images: Sequence[Image],
    turns: Sequence[Turn],
    how: Turns,
) -> Iterator[Sample]:
    """One sample of all turns, or one for each where they are asked apart.

    Raises:
        Rejected: there is no turn.
    """
    if not turns:
        raise Rejected("nothing to ask")
    if how != "apart":
        yield builder.sample(records, images, turns)
        return
    for turn in turns:
        yield builder.sample(records, images, [turn])
