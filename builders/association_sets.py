"""Which photos belong in one question about what things have in common, for each kind of question.

Not a task: `semantic_association` uses it. It sees index columns only. What a photo is asked for as
the first of a set, and about which of its classes, is drawn from its key (`key_draws`), the same
for every number of targets. How many photos a set has is drawn anew only once one of that size is
found, so that it tells nothing of that number either.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from builders import key_draws
from builders.association_facts import OPEN, Kind, Limits, apart, asked_for, related
from builders.kinds_of_use import Same, family_of, use_of
from builders.retrieval_photos import NOTHING, Known, grouped
from builders.sets import TRIES, Entries, Ints, Mask, interleaved
from mgdata.data import Count
from mgdata.identity import Stream
from mgdata.index import Index

PATIENCE = 300
"""First photos for which no set of one size is found before another size is drawn."""
COMMON = 4
"""Photos that show one thing of a class alone, below which it is never asked about."""
Others = Callable[[int, int, int], list[int] | None]
"""From the position of the first photo, its class and the size of the set, the other photos."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The task's settings that say how sets are put together."""

    weights: dict[Kind, float]
    count: Count | None
    images: dict[Kind, tuple[int, int]]
    """Fewest and most photos of a set."""
    hard: float
    power: float
    per_image: int


class Sets:
    """The sets of one index view."""

    def __init__(self, index: Index, limits: Limits, wanted: Wanted, rng: Stream) -> None:
        self.limits, self.wanted, self.rng = limits, wanted, rng
        self.photos = Known(index, wanted.per_image, sentences=False)
        self.keys = np.array(self.photos.marks, np.uint64)
        self.kinds = key_draws.kinds(self.keys, list(wanted.weights.values()))
        self.marked = self.photos.entries(limits.marked, complete=False, single=False)
        self.things = np.array([asked_for("odd", name) for name in self.photos.names], np.bool_)

    def rows(self) -> Iterator[tuple[int, ...]]:
        """Rows of one set after the other; kinds come as often as their weights say."""
        ways: dict[Kind, Callable[[], Iterator[tuple[int, ...]]]] = {
            "kind": self._same_kind,
            "use": lambda: self._offered("use"),
            "part": lambda: self._offered("part"),
            "odd": self._odd,
            "odd_set": self._odd_set,
        }
        weights = dict(self.wanted.weights)
        left = {kind: ways[kind]() for kind in weights}
        while weights:
            kind = self._pick(weights)
            if (found := next(left[kind], None)) is None:
                del weights[kind]
            else:
                yield found

    def _pick(self, weights: dict[Kind, float]) -> Kind:
        at, last = self.rng.uniform() * sum(weights.values()), next(iter(weights))
        for kind, weight in weights.items():
            last, at = kind, at - weight
            if at < 0:
                break
        return last

    def _same_kind(self) -> Iterator[tuple[int, ...]]:
        single, several = self._known()

        def others(position: int, code: int, size: int) -> list[int] | None:
            count, chosen = self.wanted.count or self.rng.choice(OPEN), [position]
            if count == "one" and not self._join(
                chosen, single.get(code, NOTHING), lambda other: self.photos.clear(other, code)
            ):
                return None
            if count == "many" and not self._show(
                chosen, several.get(code, NOTHING), code, self.rng.between(1, size - 1)
            ):
                return None
            return self._filled(chosen, code, size)

        common = np.zeros(len(self.photos.names), np.bool_)
        common[[code for code, some in single.items() if len(some) >= COMMON]] = True
        # After the draw, which build repeats without knowing how common a class is.
        anchors = self._drawn("kind", self.marked)
        anchors = anchors.where(common[anchors.codes])
        yield from self._sets(anchors, self.wanted.images["kind"], others)

    def _odd(self) -> Iterator[tuple[int, ...]]:
        """First the odd one, then photos that show another class, the same in all of them."""
        members = grouped(*self.marked)
        kinds = self.marked.where(self.things[self.marked.codes])
        turns = itertools.cycle(self._order(kinds).codes.tolist())

        def others(position: int, code: int, size: int) -> list[int] | None:
            shown = [one for one in self.photos.things(position) if one in members]
            hard = shown and self.rng.uniform() < self.wanted.hard
            other = self.rng.choice(shown) if hard else next(turns)
            names = self.photos.names
            if not self.things[other] or not apart(names[code], names[other]):
                return None
            chosen = [position]
            while len(chosen) < size:
                if not self._join(chosen, members.get(other, NOTHING)):
                    return None
            return chosen[1:]

        yield from self._sets(self._drawn("odd", self.marked), self.wanted.images["odd"], others)

    def _odd_set(self) -> Iterator[tuple[int, ...]]:
        """Photos that share one class and no other, and last one that does not show it."""
        found = self.photos.entries(self.limits.shared, everything=True, single=False)
        members = grouped(*found)

        def others(position: int, code: int, size: int) -> list[int] | None:
            chosen, total = [position], self.photos.things(position)[code]
            there = Counter(self.photos.classes(position))

            def joins(other: int, most: int = size - 2) -> bool:
                rest = self.photos.classes(other) - {code}
                return self.photos.clear(other, code) and all(there[one] < most for one in rest)

            if not self.photos.clear(position, code):
                return None
            while len(chosen) < size - 1:
                if not self._join(chosen, members[code], joins):
                    return None
                total += self.photos.things(chosen[-1])[code]
                there.update(self.photos.classes(chosen[-1]))
            if total > self.limits.most:
                return None
            for _ in range(TRIES):
                last = self.photos.lacking(code, chosen, self.rng)
                if last is not None and joins(last):
                    return [*chosen[1:], last] if self._unlike([*chosen, last]) else None
            return None

        anchors = found.where(self.things[found.codes] & self._for("odd_set", found))
        yield from self._sets(anchors, self.wanted.images["odd_set"], others)

    def _unlike(self, chosen: list[int]) -> bool:
        """Whether no thing is in all photos but one under two names."""
        for code in set[int]().union(*map(self.photos.classes, chosen)):
            there = [code in self.photos.things(one) for one in chosen]
            clear = [self.photos.clear(one, code) for one in chosen]
            if (
                not all(clear)
                and sum(map(max, there, [not one for one in clear])) > len(chosen) - 2
            ):
                return False
        return True

    def _offered(self, kind: Kind) -> Iterator[tuple[int, ...]]:
        """Photos with things to choose from, some of which are related to the first one's."""
        entries = self.marked.where(self._asked(kind)[self.marked.codes])
        pools = _Related(self.photos, kind, entries)

        def others(position: int, code: int, size: int) -> list[int] | None:
            count, chosen = self.wanted.count or self.rng.choice(OPEN), [position]
            right = {"none": 0, "one": 1, "many": self.rng.between(2, size - 1)}[count]
            for place in range(1, size):
                pool = pools.random(code, "same" if place <= right else "another", self.rng)
                if not self._join(chosen, pool):
                    return None
            fits = Counter(side for photo in chosen[1:] for side in pools.sides(code, photo))
            most = max(self.limits.offered[1], size - 1)
            # Nearly as many to choose from whatever the count, or that would tell of it.
            least = {"none": most, "one": most - 1, "many": 1}[count]
            enough = fits["another"] >= least and fits["same"] + fits["another"] >= most
            return chosen[1:] if enough else None

        anchors = self._drawn(kind, entries)
        fit = np.array([pools.both(code) for code in range(len(self.photos.names))], np.bool_)
        anchors = anchors.where(fit[anchors.codes])
        yield from self._sets(anchors, self.wanted.images[kind], others)

    def _sets(
        self, anchors: Entries, images: tuple[int, int], others: Others
    ) -> Iterator[tuple[int, ...]]:
        """A set for each first photo, and again as often as its cap allows."""
        size, failed = self.rng.between(*images), 0
        anchors = self._order(anchors)
        first = list(zip(anchors.positions.tolist(), anchors.codes.tolist(), strict=True))
        for position, code in itertools.chain.from_iterable(
            itertools.repeat(first, self.wanted.per_image)
        ):
            if not self.photos.free(position, ()):
                continue
            chosen = others(position, code, size)
            if chosen is None or not self.photos.new([position, *chosen]):
                failed += 1
                if failed < PATIENCE:
                    continue
            else:
                yield self.photos.taken([position, *chosen])
            size, failed = self.rng.between(*images), 0

    def _drawn(self, kind: Kind, entries: Entries) -> Entries:
        """The photos that are for a kind of question, each with the class drawn for it."""
        some = entries.where(self._asked(kind)[entries.codes] & self._for(kind, entries))
        labels = key_draws.keys(self.photos.names)[some.codes]
        ranks = key_draws.ranks(self.keys[some.positions], labels)
        order = np.lexsort((ranks, some.positions))
        _, least = np.unique(some.positions[order], return_index=True)
        return Entries(some.positions[order][least], some.codes[order][least])

    def _for(self, kind: Kind, entries: Entries) -> Mask:
        return self.kinds[entries.positions] == list(self.wanted.weights).index(kind)

    def _asked(self, kind: Kind) -> Mask:
        return np.array([asked_for(kind, name) for name in self.photos.names], np.bool_)

    def _known(self) -> tuple[dict[int, Ints], dict[int, Ints]]:
        """By class, photos that show one thing of it alone, and those that show any number."""
        low, high = self.limits.area
        single = self.photos.entries((low, high))
        return grouped(*single), grouped(*self.photos.entries((low, high), single=False, each=True))

    def _show(self, chosen: list[int], pool: Ints, code: int, have: int) -> bool:
        """Whether so many photos that show a class join, with two things of it at least."""
        total = 0
        for left in reversed(range(have)):
            fewest, most = 2 if have == 1 else 1, self.limits.most - total - left

            def fits(other: int, fewest: int = fewest, most: int = most) -> bool:
                there = self.photos.things(other)[code]
                return fewest <= there <= most and self.photos.clear(other, code)

            if not self._join(chosen, pool, fits):
                return False
            total += self.photos.things(chosen[-1])[code]
        return True

    def _filled(self, chosen: list[int], code: int, size: int) -> list[int] | None:
        """The set without its first photo, filled up with photos known not to show the class."""
        while len(chosen) < size:
            other = None
            if self.rng.uniform() < self.wanted.hard:
                other = self.photos.resembling(code, chosen, self.rng)
            if other is None:
                other = self.photos.lacking(code, chosen, self.rng)
            if other is None:
                return None
            chosen.append(other)
        return chosen[1:]

    def _join(
        self, chosen: list[int], pool: Ints, fits: Callable[[int], bool] | None = None
    ) -> bool:
        """Whether a random photo of a pool could join the chosen ones."""
        for _ in range(min(TRIES, 4 * len(pool))):
            other = int(pool[self.rng.below(len(pool))])
            if self.photos.free(other, chosen) and (fits is None or fits(other)):
                chosen.append(other)
                return True
        return False

    def _order(self, entries: Entries) -> Entries:
        order = interleaved(entries.codes, self.rng, self.wanted.power)
        return Entries(entries.positions[order], entries.codes[order])


class _Related:
    """Of things that can be compared with one another, which are the same and which are not."""

    def __init__(self, photos: Known, kind: Kind, entries: Entries) -> None:
        self._names, self._same = photos.names, related(kind)
        self._group = use_of if kind == "use" else family_of
        self._members = grouped(*entries)
        order = np.argsort(entries.positions, kind="stable")
        self._codes = entries.codes[order]
        self._starts = np.searchsorted(entries.positions[order], np.arange(len(photos) + 1))
        self._pools: dict[int, dict[Same, list[list[int]]]] = {}

    def random(self, code: int, side: Same, rng: Stream) -> Ints:
        """Photos that show something of a class that is the same, or of one that is not.

        Purposes come equally often, and so do the classes that serve one.
        """
        groups = self._sorted(code).get(side)
        return self._members[rng.choice(rng.choice(groups))] if groups else NOTHING

    def both(self, code: int) -> bool:
        """Whether a class can have right candidates and wrong ones: any number of them, then."""
        return len(self._sorted(code)) == 2

    def sides(self, code: int, position: int) -> Iterator[Same]:
        """Of each class in a photo, what it is to a class."""
        for other in self._codes[self._starts[position] : self._starts[position + 1]].tolist():
            yield self._same(self._names[code], self._names[other])

    def _sorted(self, code: int) -> dict[Same, list[list[int]]]:
        """Classes by what they are to a class, then by purpose."""
        if code not in self._pools:
            groups: dict[tuple[Same, str | None], list[int]] = {}
            for other in self._members:
                name = self._names[other]
                if side := self._same(self._names[code], name):
                    groups.setdefault((side, self._group(name)), []).append(other)
            pools: dict[Same, list[list[int]]] = {}
            for (side, _), codes in groups.items():
                pools.setdefault(side, []).append(codes)
            self._pools[code] = pools
        return self._pools[code]
