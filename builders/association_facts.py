"""What photos show of the same kind, of the same use, or of all kinds but one: facts, no words.

Not a task: `semantic_association` uses it. Each kind of question has a function that works out from
the records what is given and what is to be found, and refuses them where that is not certain. The
first record is the one that `association_sets` put first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from builders import key_draws
from builders.asking import Band, area_of
from builders.kinds_of_use import Same, family_of, same_part, same_use, use_of
from builders.parts import clear
from builders.rivals import alike
from mgdata.data import ALL, Count, Record, Region, complete, count_of, known_absent
from mgdata.errors import Rejected
from mgdata.identity import Stream

Kind = Literal["kind", "use", "part", "odd", "odd_set"]
OPEN: tuple[Count, ...] = ("none", "one", "many")
KINDS: dict[Kind, tuple[Count, ...]] = {
    "kind": OPEN,
    "use": OPEN,
    "part": OPEN,
    "odd": ("one",),
    "odd_set": ("many",),
}
"""Every kind of question and how many targets it can have."""


class Limits(NamedTuple):
    """What may be given and asked for; each is a setting of the task."""

    marked: Band
    area: Band
    shared: Band
    most: int
    offered: tuple[int, int]
    overlap: float


class Found(NamedTuple):
    """One thing: the record it is in, by its place in the group, and its region."""

    place: int
    region: Region


class Facts(NamedTuple):
    """What a question gives and what answers it."""

    first: Found | None
    """What the others are compared with."""
    marked: list[Found]
    """Candidates, or the things of which one is odd."""
    answers: list[Found]
    label: str
    """The class that it is about: of the first, of the odd one, or the shared one."""


@lru_cache(1 << 16)
def asked_for(kind: Kind, label: str) -> bool:
    """Whether a kind of question can be about a class, as its name tells.

    A part is no thing of a kind; nor are `other shoes`, or what has two names that mean two things
    (`barrel/bucket`).
    """
    if kind == "use":
        return use_of(label) is not None
    if kind == "part":
        return family_of(label) is not None
    return ":" not in label and not label.startswith("other ") and not alike((label,))


def related(kind: Kind) -> Callable[[str, str], Same]:
    """Whether two classes serve the same purpose, or are the same part."""
    return same_use if kind == "use" else same_part


@lru_cache(1 << 16)
def apart(first: str, second: str) -> bool:
    """Whether two classes are different things by their names."""
    return first != second and len(alike((first, second))) < 2


def facts(
    kind: Kind, records: Sequence[Record], count: Count | None, limits: Limits, rng: Stream
) -> Facts:
    """What a set of records gives for one kind of question.

    Raises:
        Rejected: nothing, or not with so many targets.
    """
    if kind == "kind":
        found = _same_kind(records, limits, rng)
    elif kind == "odd":
        found = _odd(records, limits, rng)
    elif kind == "odd_set":
        found = _odd_set(records, limits)
    else:
        found = _offered(kind, records, count, limits, rng)
    if count not in (None, count_of(len(found.answers))):
        raise Rejected("another number of targets", str(len(found.answers)))
    return found


def _same_kind(records: Sequence[Record], limits: Limits, rng: Stream) -> Facts:
    label = _drawn("kind", records[0], limits)
    first = Found(0, _marked(records[0], label, limits, rng))
    _unrivalled(label, records[1:])
    answers = [
        Found(place, region)
        for place, record in enumerate(records[1:], 1)
        for region in _all(record, label, limits)
    ]
    return Facts(first, [], _few(answers, limits), label)


def _odd(records: Sequence[Record], limits: Limits, rng: Stream) -> Facts:
    label = _drawn("odd", records[0], limits)
    shared = set.intersection(*(_large("odd", record, limits) for record in records[1:]))
    others = sorted(other for other in shared if apart(label, other))
    if not others:
        raise Rejected("nothing that all the others show")
    other = rng.choice(others)
    marked = [
        Found(place, _marked(record, other if place else label, limits, rng))
        for place, record in enumerate(records)
    ]
    return Facts(None, marked, marked[:1], label)


def _odd_set(records: Sequence[Record], limits: Limits) -> Facts:
    if not all(ALL in record.exhaustive for record in records):
        raise Rejected("classes not all annotated")
    present = [{region.label for region in record.regions} for record in records]
    shown, most = Counter(label for there in present for label in there), len(records) - 1
    shared = [label for label, n in shown.items() if n >= most]
    if len(shared) != 1 or shown[shared[0]] != most or not asked_for("odd_set", shared[0]):
        raise Rejected("not one class in all photos but one", ", ".join(sorted(shared)) or None)
    label = shared[0]
    doubtful = alike(shown)
    for one in sorted(doubtful):
        # Two names of one thing may be shared where neither is.
        same = {other for other in doubtful if other == one or not apart(one, other)}
        if one == label or sum(not same.isdisjoint(there) for there in present) >= most:
            raise Rejected("a class of another name may be the same", one)
    answers: list[Found] = []
    for place, record in enumerate(records):
        some = _all(record, label, limits)
        if some and max(area_of(region, record) for region in some) < limits.shared[0]:
            raise Rejected("the shared class is too small in a photo", label)
        answers += [Found(place, region) for region in some]
    return Facts(None, [], _few(answers, limits), label)


def _offered(
    kind: Kind, records: Sequence[Record], count: Count | None, limits: Limits, rng: Stream
) -> Facts:
    label = _drawn(kind, records[0], limits)
    first = Found(0, _marked(records[0], label, limits, rng))
    same = related(kind)
    sides: dict[Same, list[Found]] = {"same": [], "another": []}
    for place, record in enumerate(records[1:], 1):
        for region in record.regions:
            side = same(label, region.label)
            if side and _fits(region, record, limits) and clear(region, record, limits.overlap):
                sides[side].append(Found(place, region))
    right, wrong = (rng.sample(some, len(some)) for some in sides.values())
    others = len(records) - 1
    total = rng.between(*(max(n, others) for n in limits.offered))
    for wanted in rng.sample(OPEN, len(OPEN)) if count is None else (count,):
        numbers = {"none": [0], "one": [1], "many": list(range(2, total))}[wanted]
        for number in rng.sample(numbers, len(numbers)):
            if chosen := _chosen(right, wrong, number, total - number, others, rng):
                chosen.sort(key=_place)
                answers = [one for one in chosen if same(label, one.region.label) == "same"]
                return Facts(first, chosen, answers, label)
    raise Rejected("too little to choose from", f"{len(right)} right, {len(wrong)} wrong")


def _chosen(
    right: list[Found], wrong: list[Found], rights: int, wrongs: int, photos: int, rng: Stream
) -> list[Found] | None:
    """So many right and wrong things, at least one of each photo 1 to `photos`; None: none fit."""
    left = {"right": rights, "wrong": wrongs}
    pools = {"right": list(right), "wrong": list(wrong)}
    chosen: list[Found] = []
    sides: dict[int, list[str]] = {}
    for place in rng.sample(range(1, photos + 1), photos):
        sides[place] = [s for s, pool in pools.items() if any(one.place == place for one in pool)]
    # Photos that leave no choice come first.
    for place, there in sorted(sides.items(), key=lambda item: len(item[1])):
        open_ = [side for side in there if left[side]]
        if not open_:
            return None
        at = rng.below(sum(left[side] for side in open_))
        side = open_[0] if at < left[open_[0]] else open_[-1]
        one = next(one for one in pools[side] if one.place == place)
        pools[side].remove(one)
        chosen.append(one)
        left[side] -= 1
    for side, more in left.items():
        if more > len(pools[side]):
            return None
        chosen += pools[side][:more]
    return chosen


def _place(one: Found) -> tuple[int, float]:
    return one.place, one.region.box.x1 if one.region.box else 0.0


def _drawn(kind: Kind, record: Record, limits: Limits) -> str:
    """The class that a record is asked about, by its key."""
    label = key_draws.first(record.key, _large(kind, record, limits))
    if label is None:
        raise Rejected("nothing large enough to ask about")
    return label


def _large(kind: Kind, record: Record, limits: Limits) -> set[str]:
    """The classes that can be asked for and whose largest thing is within the band."""
    largest: dict[str, float] = {}
    for region in record.regions:
        share = 2.0 if region.ignore else area_of(region, record)
        largest[region.label] = max(largest.get(region.label, 0.0), share)
    low, high = limits.marked
    return {
        label for label, share in largest.items() if low <= share <= high and asked_for(kind, label)
    }


def _fits(region: Region, record: Record, limits: Limits) -> bool:
    if region.ignore or region.box is None:
        return False
    return limits.marked[0] <= area_of(region, record) <= limits.marked[1]


def _marked(record: Record, label: str, limits: Limits, rng: Stream) -> Region:
    """One thing of a class that can be given by its box: no other has nearly the same."""
    some = [r for r in record.regions if r.label == label and _fits(r, record, limits)]
    for region in rng.sample(some, len(some)):
        if clear(region, record, limits.overlap):
            return region
    raise Rejected("the given box fits another region too", label)


def _all(record: Record, label: str, limits: Limits) -> list[Region]:
    """Every thing of a class in a record; none where it is known not to be there.

    Raises:
        Rejected: something is not certain: not annotated completely, to be ignored, too small.
    """
    found = [region for region in record.regions if region.label == label]
    if not found:
        if not known_absent(record, label):
            raise Rejected("not known whether the class is there", label)
        return []
    if not complete(record, label):
        raise Rejected("not everything of the class is annotated", label)
    for region in found:
        if region.ignore or region.box is None:
            raise Rejected("something of the class is to be ignored", label)
        if not limits.area[0] <= area_of(region, record) <= limits.area[1]:
            raise Rejected("something of the class is too small or too large", label)
    return found


def _unrivalled(label: str, records: Sequence[Record]) -> None:
    if label in alike({label, *(region.label for record in records for region in record.regions)}):
        raise Rejected("a class of another name may be the same", label)


def _few(answers: list[Found], limits: Limits) -> list[Found]:
    if len(answers) > limits.most:
        raise Rejected("too many to list", str(len(answers)))
    return answers
