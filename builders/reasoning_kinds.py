"""The kinds of question that `reasoning` asks: each finds its facts in a scene, or has nothing.

Not a task. A kind is a function of a scene and a stream: the turns of one sample, or None where
the photos hold no clear case. Among the cases a kind first draws the answer it wants (how many,
yes or no, which way to compare) and then a case with that answer, so that no answer is the usual
one. Photos stand in random order before, so that every place is as likely as another.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from builders.reasoning_scene import Scene
from builders.reasoning_turns import all_of, ask, called, short, which_image, which_kind
from mgdata.data import Turn
from mgdata.identity import Stream
from mgdata.wording import article, listed

Asked = list[Turn] | None
Way = Callable[[Scene, Stream], Asked]

_LARGER = {2: ("smaller", "larger"), 3: ("smallest", "largest")}
_MORE = {2: ("fewer", "more"), 3: ("the fewest", "the most")}
_FURTHER = {2: "further", 3: "furthest"}
_SIDES = {"x": ("to the left", "to the right"), "y": ("up", "down")}


class Found(NamedTuple):
    """A clear case of comparing: one photo leads some others in one direction."""

    word: str
    places: list[int]
    leader: int
    upward: bool
    """Whether the leader has the greatest value, not the least."""

    @property
    def degree(self) -> int:
        """2 for a comparative, 3 for a superlative."""
        return 2 if len(self.places) == 2 else 3


def counting(scene: Scene, rng: Stream) -> Asked:
    """How many photos show a class, or how many of it there are in all of them."""
    return _first([_count_images, _count_all], scene, rng)


def size(scene: Scene, rng: Stream) -> Asked:
    """Where the only one of a class covers more, or less, of its photo than elsewhere."""

    def value(word: str, place: int) -> float:
        box, (width, height) = scene.boxes[word][place][0], scene.sizes[place]
        return box.area / (width * height)

    def clear(low: float, high: float) -> bool:
        return high >= scene.limits.ratio * low

    found = _leader(scene, rng, _single, value, clear)
    if found is None:
        return None
    return _compared(scene, rng, "size", found, larger=_LARGER[found.degree][found.upward])


def position(scene: Scene, rng: Stream) -> Asked:
    """Where the middle of the only one of a class is further to one side than elsewhere."""

    def along(axis: str) -> Asked:
        def value(word: str, place: int) -> float:
            box, (width, height) = scene.boxes[word][place][0], scene.sizes[place]
            middle = (box.x1 + box.x2) / width if axis == "x" else (box.y1 + box.y2) / height
            return middle / 2

        def clear(low: float, high: float) -> bool:
            return high - low >= scene.limits.shift

        found = _leader(scene, rng, _single, value, clear)
        if found is None:
            return None
        further = f"{_FURTHER[found.degree]} {_SIDES[axis][found.upward]}"
        return _compared(scene, rng, "position", found, further=further)

    first, second = rng.sample("xy", 2)
    return along(first) or along(second)


def number(scene: Scene, rng: Stream) -> Asked:
    """Where there are more of a class, or fewer, of photos that all show it."""

    def places(word: str) -> list[int]:
        counts = scene.counts[word]
        return [i for i, n in enumerate(counts) if n is not None and 1 <= n <= scene.limits.most]

    def value(word: str, place: int) -> float:
        return scene.counts[word][place] or 0

    def clear(low: float, high: float) -> bool:
        return high - low >= scene.limits.difference

    def several(scene: Scene, word: str) -> list[int]:
        return places(word)

    found = _leader(scene, rng, several, value, clear)
    if found is None:
        return None
    return _compared(scene, rng, "number", found, more=_MORE[found.degree][found.upward])


def odd_one_out(scene: Scene, rng: Stream) -> Asked:
    """The one photo without what all others show, or the only one with it; of three or more."""
    return _first([_odd_without, _odd_with], scene, rng) if len(scene.sizes) > 2 else None


def same_or_different(scene: Scene, rng: Stream) -> Asked:
    """Whether two photos both show a class, or the same number of it: as often yes as no.

    Only of a class for which two photos would give a yes and two others a no, so that the class
    tells nothing of the answer.
    """
    return _first([_both_show, _same_number], scene, rng) if len(scene.sizes) > 2 else None


def set_logic(scene: Scene, rng: Stream) -> Asked:
    """Which of some classes is in one photo (or two) and not in another, or in every one."""
    return _first([_but_not, _every], scene, rng)


KINDS: dict[str, Way] = {
    "number": number,
    "position": position,
    "size": size,
    "same_or_different": same_or_different,
    "set_logic": set_logic,
    "counting": counting,
    "odd_one_out": odd_one_out,
}
"""Every kind by the name that the task's `kinds` setting uses."""
RAREST = "number"
"""The kind that fewest photos have a clear case of."""
OF_THREE = frozenset(("odd_one_out", "same_or_different"))
"""Kinds that need three photos at least."""


def _first(ways: list[Way], scene: Scene, rng: Stream) -> Asked:
    """What the first of some ways, in random order, finds to ask."""
    for way in rng.sample(ways, len(ways)):
        if turns := way(scene, rng):
            return turns
    return None


def _count_images(scene: Scene, rng: Stream) -> Asked:
    found = {word: sum(n > 0 for n in counts) for word, counts in scene.known()}
    # What is in a photo at all is most often in that one alone: 1 is asked for only where another
    # number might have been, and is drawn no more often.
    if len(set(found.values())) < 2:
        return None
    word, n = _with_any(found, rng)
    question = ask(scene, rng, "count_images", word)
    turn = short(scene, rng, question, kind="count", form="answer_count", gold=str(n))
    return [turn, *all_of(scene, rng, word, scene.photos)]


def _count_all(scene: Scene, rng: Stream) -> Asked:
    # In two photos at least, or one of them alone would tell.
    found = {
        word: sum(counts)
        for word, counts in scene.known()
        if sum(counts) <= scene.limits.most and sum(n > 0 for n in counts) > 1
    }
    if not found:
        return None
    word, n = _with_any(found, rng)
    question = ask(scene, rng, "count_all", word)
    turn = short(scene, rng, question, kind="count", form="answer_count", gold=str(n))
    return [turn, *all_of(scene, rng, word, scene.photos)]


def _with_any(found: dict[str, int], rng: Stream) -> tuple[str, int]:
    """A word with its number, the number drawn first among those there are."""
    n = rng.choice(sorted(set(found.values())))
    return rng.choice([word for word, count in found.items() if count == n]), n


def _single(scene: Scene, word: str) -> list[int]:
    return [place for place, n in enumerate(scene.counts[word]) if n == 1]


def _leader(
    scene: Scene,
    rng: Stream,
    places: Callable[[Scene, str], list[int]],
    value: Callable[[str, int], float],
    clear: Callable[[float, float], bool],
) -> Found | None:
    """A class and photos of which one leads the next by a clear margin, the direction drawn."""
    for word in scene.shuffled(rng):
        for chosen in _subsets(places(scene, word), rng):
            ranked = sorted(chosen, key=lambda place: value(word, place))
            values = [value(word, place) for place in ranked]
            ends = {True: values[-2:], False: values[:2]}
            for upward in rng.sample((True, False), 2):
                if clear(*ends[upward]):
                    return Found(word, chosen, ranked[-1 if upward else 0], upward)
    return None


def _subsets(places: list[int], rng: Stream) -> Iterator[list[int]]:
    """All of some photos, and each two of them; as often the one first as the others."""
    if len(places) < 2:
        return
    pairs = [list(pair) for pair in itertools.combinations(places, 2)]
    pairs = rng.sample(pairs, len(pairs))
    if len(places) == 2:
        yield places
    elif rng.below(2):
        yield from [places, *pairs]
    else:
        yield from [*pairs, places]


def _compared(scene: Scene, rng: Stream, name: str, found: Found, **slots: str) -> list[Turn]:
    images = called(scene, found.places)
    question = ask(scene, rng, name, found.word, images=images, **slots)
    return which_image(scene, rng, question, found.word, found.places, found.leader)


def _odd_without(scene: Scene, rng: Stream) -> Asked:
    odd = [(word, counts.index(0)) for word, counts in scene.known() if counts.count(0) == 1]
    if not odd:
        return None
    word, place = rng.choice(odd)
    question = ask(scene, rng, "odd_without", word)
    gold = scene.names.one(place)
    turn = short(scene, rng, question, kind="text", form="answer_image", gold=gold)
    others = [i for i in scene.photos if i != place]
    return [turn, *all_of(scene, rng, word, others, images="the other images")]


def _odd_with(scene: Scene, rng: Stream) -> Asked:
    odd = [
        (word, counts.index(1)) for word, counts in scene.known() if sum(counts) == 1 == max(counts)
    ]
    if not odd:
        return None
    word, place = rng.choice(odd)
    question = ask(scene, rng, "odd_with", word)
    return which_image(scene, rng, question, word, scene.photos, place)


def _both_show(scene: Scene, rng: Stream) -> Asked:
    def answer(one: int, other: int) -> bool | None:
        return None if one == other == 0 else one > 0 and other > 0

    return _yes_or_no(scene, rng, "both_show", answer)


def _same_number(scene: Scene, rng: Stream) -> Asked:
    def answer(one: int, other: int) -> bool | None:
        return one == other if min(one, other) > 0 else None

    return _yes_or_no(scene, rng, "same_number", answer)


def _yes_or_no(
    scene: Scene, rng: Stream, name: str, answer: Callable[[int, int], bool | None]
) -> Asked:
    for word in scene.shuffled(rng):
        counts = [(i, n) for i, n in enumerate(scene.counts[word]) if n is not None]
        cases: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        for (i, one), (j, other) in itertools.combinations(counts, 2):
            told = answer(one, other) if max(one, other) <= scene.limits.most else None
            if told is not None:
                cases[told].append((i, j))
        if cases[True] and cases[False]:
            right = rng.below(2) == 1
            pair = rng.choice(cases[right])
            question = ask(scene, rng, name, word, images=called(scene, pair))
            gold = "yes" if right else "no"
            form = f"answer_{gold}"
            turn = short(scene, rng, question, kind="text", form=form, gold=gold, places=pair)
            return [turn, *all_of(scene, rng, word, pair)]
    return None


def _but_not(scene: Scene, rng: Stream) -> Asked:
    for word in scene.shuffled(rng):
        counts = scene.counts[word]
        shown = [place for place, n in enumerate(counts) if n]
        lacking = [place for place, n in enumerate(counts) if n == 0]
        for place in rng.sample(_single(scene, word), counts.count(1)):
            others = [[other] for other in shown if other != place]
            # Both shapes where there are both, as often the one first as the other.
            partners = [[], *others] if rng.below(2) else [*others, []]
            for partner, without in itertools.product(partners, lacking):
                inside = sorted([place, *partner])
                options = _options(scene, rng, word, place, inside, [without])
                if options:
                    both = "both " if partner else ""
                    question = ask(
                        scene,
                        rng,
                        "logic_but_not",
                        **{"with": both + scene.names.several(inside)},
                        without=scene.names.one(without),
                        kinds=_kinds(options),
                    )
                    return which_kind(scene, rng, question, options, word, place)
    return None


def _every(scene: Scene, rng: Stream) -> Asked:
    everywhere = [word for word, counts in scene.known() if min(counts) > 0]
    for word in rng.sample(everywhere, len(everywhere)):
        for place in rng.sample(_single(scene, word), scene.counts[word].count(1)):
            if options := _options(scene, rng, word, place, scene.photos, []):
                question = ask(scene, rng, "logic_every", kinds=_kinds(options))
                return which_kind(scene, rng, question, options, word, place)
    return None


def _options(
    scene: Scene,
    rng: Stream,
    word: str,
    place: int,
    inside: Sequence[int],
    outside: Sequence[int],
) -> list[str] | None:
    """The right class among two or three that surely do not fit; None where there are too few.

    Each of them is in a photo that is asked about, one in the photo of the box: or that photo
    alone, or the list alone, would tell.
    """
    wrong: list[str] = []
    for other in scene.shuffled(rng):
        counts = scene.counts[other]
        seen = any(counts[i] for i in (*inside, *outside))
        fails = any(counts[i] == 0 for i in inside) or any(counts[i] for i in outside)
        if other != word and seen and fails:
            wrong.append(other)
    wrong.sort(key=lambda other: not scene.counts[other][place])
    if len(wrong) < 2 or not scene.counts[wrong[0]][place]:
        return None
    first, *rest = wrong
    options = [word, first, *rng.sample(rest, min(len(rest), rng.between(1, 2)))]
    rng.shuffle(options)
    return options


def _kinds(options: list[str]) -> str:
    return listed([article(option) for option in options], " or ")
