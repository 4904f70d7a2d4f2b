"""How well an answer is guessed without looking at a picture, beside how well chance would do.

A guess sees the template of the question, how many images it asks about, and nothing else. Chance
is the same guess made on answers that were dealt out anew: each figure is how many standard
deviations of chance the guess is better than chance.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from mgdata.data import Record, Sample, Turn
from mgdata.wording import Form, Wording

DEALS = 200
"""Times that answers are dealt out anew."""
CENTRES = (0.25, 0.4, 0.55, 0.7)
"""Sides, as shares of the image's, of the boxes that a guess puts in the middle."""
NEAR = 0.25
"""How much larger or smaller a box that takes another's place may be."""

Numbers = np.ndarray[Any, np.dtype[np.float64]]


class Seen(NamedTuple):
    """What a guess may see of one turn, and what it is after."""

    corpus: str
    """Where its records are from, which a phrase's style may tell."""
    question: str
    """Name of the set of forms that its question was filled from."""
    template: str
    """That form."""
    asked: tuple[int, ...]
    images: frozenset[int]
    """Images with a target."""
    targets: int
    """How many."""
    boxes: tuple[tuple[float, float, float, float], ...]
    """Targets as shares of their images; those in edited images are left out."""


def seen(samples: Iterable[Sample], wording: Wording) -> list[Seen]:
    """The turns of some samples that ask for boxes."""
    return [
        Seen(
            sample.records[0].partition("/")[0],
            *template_of(turn.question, wording),
            turn.asked or tuple(range(len(sample.images))),
            frozenset(target.image for target in turn.targets),
            len(turn.targets),
            tuple(_boxes(sample, turn)),
        )
        for sample in samples
        for turn in sample.turns
        if turn.kind == "boxes"
    ]


def _boxes(sample: Sample, turn: Turn) -> Iterable[tuple[float, float, float, float]]:
    for target in turn.targets:
        image, box = sample.images[target.image], target.box
        if not any(edit.kind == "crop" for edit in image.edits):
            yield (
                box.x1 / image.width,
                box.y1 / image.height,
                box.x2 / image.width,
                box.y2 / image.height,
            )


def regions(records: Iterable[Record]) -> list[tuple[float, float, float, float]]:
    """Every box of some records that could be asked for, as shares of its image."""
    return [
        (box.x1 / image.width, box.y1 / image.height, box.x2 / image.width, box.y2 / image.height)
        for record in records
        for region in record.regions
        if (box := region.box) is not None and not region.ignore
        for image in (record.images[region.image],)
    ]


def template_of(question: str, wording: Wording) -> tuple[str, str]:
    """The form that a question was filled from, after the name of its set.

    Of those that fit, the one with the most letters of its own.

    Raises:
        ValueError: none fits.
    """
    text = re.sub(r"<image:\d+>\n", "", question)
    fits = [
        (length, name, form.text)
        for name, forms in wording.forms.items()
        for form in forms
        for length, pattern in _patterns(form)
        if pattern.fullmatch(text)
    ]
    if not fits:
        raise ValueError(f"no form fits {text!r}")
    return max(fits)[1:]


@lru_cache(None)
def _patterns(form: Form) -> list[tuple[int, re.Pattern[str]]]:
    """The form with anything in its slots, for one thing and for several."""
    items = re.sub(r"\[[^][]*\]\[[^][]*\](\[[^][]*\])?", "{items}", form.text)
    found: list[tuple[int, re.Pattern[str]]] = []
    for side in (r"\1", r"\2"):
        text = re.sub(r"\{([^{}|]*)\|([^{}|]*)\}", side, items)
        pieces = re.split(r"\{[^{}]*\}", text)
        pattern = "(.+?)".join(map(re.escape, pieces))
        # Slots may stand at the end of a longer conversation's first words.
        found.append((sum(map(len, pieces)), re.compile(pattern, re.DOTALL)))
    return found


def image_index(turns: Sequence[Seen], by: Callable[[Seen], Hashable], seed: int = 0) -> float:
    """The best guess for each value of `by` of an image with a target."""
    # Where all or none of the asked images have a target there is nothing to guess.
    open_ = [turn for turn in turns if 0 < len(turn.images) < len(turn.asked)]
    if not open_:
        return 0.0
    columns = 1 + max(max(turn.asked) for turn in open_)
    hits = np.zeros((len(open_), columns))
    for row, turn in enumerate(open_):
        hits[row, list(turn.images)] = 1
    places = _places(open_, lambda turn: turn.asked)
    groups = list(_places(open_, by).values())

    def best(table: Numbers) -> float:
        return sum(float(table[rows].sum(axis=0).max()) for rows in groups)

    def dealt(rng: np.random.Generator) -> Numbers:
        table = np.zeros_like(hits)
        for asked, rows in places.items():
            some = hits[np.ix_(rows, list(asked))]
            table[np.ix_(rows, list(asked))] = rng.permuted(some, axis=1)
        return table

    return _better(best(hits), (best(dealt(rng)) for rng in _deals(seed)))


def count(turns: Sequence[Seen], by: Callable[[Seen], Hashable], within: Callable[[Seen], Hashable],
          seed: int = 0) -> float:  # fmt: skip
    """The best guess for each value of `by` of the number of targets.

    Numbers are dealt out anew among turns that are alike in `within`, which a guess sees as well.
    """
    numbers = np.array([turn.targets for turn in turns])
    strata = list(_places(turns, within).values())
    groups = list(_places(turns, lambda turn: (by(turn), within(turn))).values())

    def best(values: Numbers) -> float:
        return float(sum(np.bincount(values[rows]).max() for rows in groups))

    def dealt(rng: np.random.Generator) -> Numbers:
        values = numbers.copy()
        for rows in strata:
            values[rows] = rng.permutation(values[rows])
        return values

    return _better(best(numbers), (best(dealt(rng)) for rng in _deals(seed)))


def centre(
    turns: Sequence[Seen],
    pool: Sequence[tuple[float, float, float, float]],
    by: Callable[[Seen], Hashable],
    seed: int = 0,
) -> float:
    """The best box in the middle of the image, for each value of `by`, at IoU 0.5.

    By chance a target lies where any box of its corpus of about its size does.
    """
    owners = [turn for turn in turns for _ in turn.boxes]
    targets = np.array([box for turn in turns for box in turn.boxes])
    if not len(targets):
        return 0.0
    others = np.array(sorted(pool, key=_area))
    areas = np.array([_area(box) for box in others])
    mine = np.array([_area(box) for box in targets])
    first = np.searchsorted(areas, mine * (1 - NEAR))
    last = np.maximum(np.searchsorted(areas, mine * (1 + NEAR)), first + 1)
    hits, theirs = _hits(targets), _hits(others)
    groups = list(_places(owners, by).values())

    def best(table: Numbers) -> float:
        return sum(float(table[rows].sum(axis=0).max()) for rows in groups)

    def dealt(rng: np.random.Generator) -> Numbers:
        drawn = (first + rng.random(len(first)) * (last - first)).astype(int)
        return theirs[np.minimum(drawn, len(theirs) - 1)]

    return _better(best(hits), (best(dealt(rng)) for rng in _deals(seed)))


def _hits(boxes: Numbers) -> Numbers:
    """For each box and each of `CENTRES`, whether their IoU is at least 0.5."""
    columns: list[Numbers] = []
    for side in CENTRES:
        low, high = (1 - side) / 2, (1 + side) / 2
        wide = np.minimum(boxes[:, 2], high) - np.maximum(boxes[:, 0], low)
        tall = np.minimum(boxes[:, 3], high) - np.maximum(boxes[:, 1], low)
        both = np.clip(wide, 0, None) * np.clip(tall, 0, None)
        sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        columns.append((both / (sizes + side * side - both) >= 0.5).astype(float))
    return np.stack(columns, axis=1)


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _places(turns: Sequence[Seen], by: Callable[[Seen], Hashable]) -> dict[Any, list[int]]:
    found: defaultdict[Any, list[int]] = defaultdict(list)
    for place, turn in enumerate(turns):
        found[by(turn)].append(place)
    return found


def _deals(seed: int) -> Iterable[np.random.Generator]:
    return (np.random.default_rng([seed, deal]) for deal in range(DEALS))


def _better(guessed: float, chance: Iterable[float]) -> float:
    """Standard deviations by which a guess is better than chance; infinite if chance never varies."""
    values = np.array(list(chance))
    if guessed <= values.mean():
        return 0.0
    return float((guessed - values.mean()) / values.std()) if values.std() else float("inf")
