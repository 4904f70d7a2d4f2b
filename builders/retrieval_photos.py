"""Photos of an index, for tasks that ask of each one what it shows and what it surely does not.

Not a task: `retrieval_sets` uses it. It sees index columns only, and answers from plain Python
what thousands of sets ask again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from builders.asking import called
from builders.rivals import alike
from builders.sets import TRIES, Entries, Ints, Mask, Photos, interleaved
from mgdata.identity import Stream, name_hash
from mgdata.index import Index

NOTHING: Ints = np.zeros(0, np.int64)


class Known(Photos):
    """Photos by position, classes by code: those of `Photos.names`, then those texts alone name."""

    def __init__(
        self, index: Index, cap: int, more: Sequence[str] = (), *, sentences: bool = True
    ) -> None:
        """Look up what is known of each photo and class.

        Args:
            index: The photos.
            cap: Sets that a photo may be in.
            more: Classes that only texts name.
            sentences: A class that regions have as their phrase is a sentence: it can be quoted,
                and was judged for itself, so that no other class may be called the same.
        """
        super().__init__(index, cap)
        self.called = [*self.names, *sorted(set(more).difference(self.names))]
        """Every class by its code; what a text with an unknown class names is called ""."""
        self.marks: list[int] = [name_hash(key) for key in index.text("key").to_pylist()]
        """Hash of each photo's key."""
        self._whole: list[bool] = self._all.tolist()
        self._things: list[dict[int, int] | None] = [None] * len(self)
        self._looked: dict[int, set[int]] = {}
        spoken = np.unique(index.lists("phrases").values) if sentences else np.zeros(0, np.uint64)
        hashes = np.array([name_hash(name) for name in self.called], np.uint64)
        told: Mask = np.isin(hashes, spoken)
        self.nameable = told | np.array([called(n) is not None for n in self.called], np.bool_)
        """By code, whether a question can name the class."""
        self._rivals = _rivals(self.called, np.flatnonzero(~told).tolist())
        self._denied = grouped(self._absent.positions(), self._absent.codes)
        self._showing = grouped(self._labels.positions(), self._labels.codes)
        self._neighbours: dict[int, Ints] = {}

    def where_in(self, entries: Entries, others: Entries) -> Mask:
        """Which entries are among others."""
        return np.isin(
            self._keys(entries.positions, entries.codes), self._keys(others.positions, others.codes)
        )

    def things(self, position: int) -> dict[int, int]:
        """Boxes by class; 0 where some of them, or all, are to be ignored."""
        found = self._things[position]
        if found is None:
            some = slice(self._labels.starts[position], self._labels.starts[position + 1])
            codes, counts = self._labels.codes[some].tolist(), self._counts[some].tolist()
            found = dict(zip(codes, counts, strict=True))
            found.update(dict.fromkeys(self._crowds.of(position).tolist(), 0))
            self._things[position] = found
        return found

    def boxes(self, position: int, code: int) -> int | None:
        """How many things of a class a photo shows; None where that is not known."""
        found = self.things(position).get(code)
        if found is None:
            return 0 if self._denies(position, code) else None
        known = found and (self._whole[position] or code in self._sure.of(position))
        return found if known else None

    def lacks(self, position: int, code: int) -> bool:
        """Whether nothing of a class is there, nor of one that may be called the same."""
        there = self.things(position)
        return code not in there and self._denies(position, code) and self.clear(position, code)

    def clear(self, position: int, code: int) -> bool:
        """Whether a photo shows no class that may be called the same as this one."""
        rivals = self._rivals.get(code)
        return not rivals or rivals.isdisjoint(self.things(position))

    def lacking(self, code: int, chosen: Sequence[int], rng: Stream) -> int | None:
        """A random photo that can join the chosen ones and lacks a class."""
        for some in (self._of_corpus(int(self._corpus[chosen[0]])), self._listed_without(code)):
            if (found := self._drawn(some, code, chosen, rng)) is not None:
                return found
        return None

    def denying(self, code: int, chosen: Sequence[int], rng: Stream) -> int | None:
        """One where somebody looked for the class and found none, as among D3's own groups."""
        return self._drawn(self._denied.get(code, NOTHING), code, chosen, rng)

    def resembling(self, code: int | None, chosen: Sequence[int], rng: Stream) -> int | None:
        """One that shares a class with the first of the chosen ones, and lacks `code`, if any."""
        shared = [one for one in self.things(chosen[0]) if one != code]
        if not shared:
            return None
        return self._drawn(self._showing.get(rng.choice(shared), NOTHING), code, chosen, rng)

    def any(self, chosen: Sequence[int], rng: Stream) -> int | None:
        """Any of the same corpus that can join."""
        corpus = int(self._corpus[chosen[0]])
        if corpus not in self._neighbours:
            self._neighbours[corpus] = np.flatnonzero(self._corpus == corpus)
        return self._drawn(self._neighbours[corpus], None, chosen, rng)

    def _drawn(
        self, some: Ints, code: int | None, chosen: Sequence[int], rng: Stream
    ) -> int | None:
        for _ in range(min(TRIES, 4 * len(some))):
            position = int(some[rng.below(len(some))])
            # What is looked up in a dict comes before what numpy is asked for.
            if (code is None or self.lacks(position, code)) and self.free(position, chosen):
                return position
        return None

    def _denies(self, position: int, code: int) -> bool:
        """Whether a class that is not annotated in a photo is known not to be there."""
        if self._whole[position]:
            return True
        looked = self._looked.get(position)
        if looked is None:
            looked = {*self._absent.of(position).tolist(), *self._sure.of(position).tolist()}
            self._looked[position] = looked
        return code in looked


class Leaders:
    """Photos that may lead a set: for each class those that do, for each photo its classes."""

    def __init__(self, photos: Known, entries: Entries, rng: Stream) -> None:
        self._photos = photos
        # A photo is there once for a class, however many texts it has about things of it. They are
        # nearly in order already, which numpy's unique would not use.
        keys = np.sort(
            entries.positions.astype(np.int64) * len(photos.called) + entries.codes, kind="stable"
        )
        keys = keys[np.diff(keys, prepend=-1) > 0]
        positions, self._codes = np.divmod(keys, len(photos.called))
        self._starts = np.searchsorted(positions, np.arange(len(photos) + 1))
        mixed = rng.permutation(len(keys))
        self._queues = grouped(positions[mixed], self._codes[mixed])
        self._next: dict[int, int] = {}

    def classes(self, position: int) -> list[int]:
        """Codes of the classes that a photo may lead a set for."""
        return self._codes[self._starts[position] : self._starts[position + 1]].tolist()

    def random(self, code: int, rng: Stream) -> int:
        """Any photo that shows a class of which there is one."""
        queue = self._queues[code]
        return int(queue[rng.below(len(queue))])

    def next(self, code: int) -> int | None:
        """The next photo in turn for a class, one below its cap; None when there are no more."""
        queue = self._queues.get(code, NOTHING)
        while len(queue):
            for _ in range(min(TRIES, len(queue))):
                at = self._next.get(code, 0) % len(queue)
                self._next[code] = at + 1
                if self._photos.used[queue[at]] < self._photos.cap:
                    return int(queue[at])
            queue = queue[self._photos.used[queue] < self._photos.cap]
            self._queues[code] = queue
        return None


def grouped(positions: Ints, codes: Ints) -> dict[int, Ints]:
    """Positions by class, in the order they come."""
    if not len(positions):
        return {}
    order = np.argsort(codes, kind="stable")
    sorted_codes = codes[order]
    starts = np.flatnonzero(np.diff(sorted_codes, prepend=sorted_codes[0] - 1))
    parts = np.split(positions[order], starts[1:])
    return dict(zip(sorted_codes[starts].tolist(), parts, strict=True))


def turns(entries: Entries, rng: Stream, power: float) -> Iterator[int]:
    """Codes of classes in the order they get their turn, over and over."""
    order = entries.codes[interleaved(entries.codes, rng, power)].tolist()
    while order:
        yield from order


def _rivals(names: Sequence[str], codes: Sequence[int]) -> dict[int, frozenset[int]]:
    """For some classes by code, those of them that may be called the same."""
    confused = alike(names[code] for code in codes)
    doubtful = [code for code in codes if names[code] in confused]
    found: dict[int, set[int]] = {}
    for i, one in enumerate(doubtful):
        for other in doubtful[:i]:
            if len(alike((names[one], names[other]))) == 2:
                found.setdefault(one, set()).add(other)
                found.setdefault(other, set()).add(one)
    return {code: frozenset(rivals) for code, rivals in found.items()}
