"""Which photos belong in one question: sets that share a class, or of which one alone has it.

Not a task; tasks over photos share it. It sees index columns only: labels, how many boxes each has,
how large they are, and what is known not to be there. A class that nobody looked for in a photo is
not absent from it. Labels mean something within their corpus alone, so a set has photos of one
corpus; no two of a set share a unit, no photo is used more often than its cap, and no set comes
twice, in whatever order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mgdata.data import ALL
from mgdata.identity import Stream
from mgdata.index import Index, Lists

Ints = np.ndarray[tuple[int], np.dtype[Any]]
"""Integers of 32 bits where there is one a label: three million photos have a hundred million."""
Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
Band = tuple[float, float]
"""Smallest and largest share of its image that a box may cover."""

_NONE: Ints = np.zeros(0, np.int64)
TRIES = 48
"""Photos looked at for one place of a set before it is given up."""
POOL = 300_000
"""Photos that sets are chosen from; of more, a random part. Enough for 200,000 sets of four."""
AT_ONCE = 4_000_000
"""Entries looked up at a time, and the most that `one_has` sorts: of more, a random part."""


def pool(index: Index, rng: Stream) -> Index:
    """The records that sets are chosen from: all of them, or a random part of a large corpus.

    What is known of a dense photo weighs a kilobyte, and millions of them are never used.
    """
    if len(index) <= POOL:
        return index
    mask: Mask = np.zeros(len(index), np.bool_)
    mask[rng.permutation(len(index))[:POOL]] = True
    return index.view(mask)


class Entries(NamedTuple):
    """Photos and classes that may be asked for, aligned: `positions[i]` has one of `codes[i]`."""

    positions: Ints
    codes: Ints

    def __len__(self) -> int:
        return len(self.positions)

    def where(self, mask: Mask) -> Entries:
        """Those where `mask` is True."""
        return Entries(self.positions[mask], self.codes[mask])


class _Coded(NamedTuple):
    """A list column of classes: position i has `codes[starts[i]:starts[i + 1]]`; -1 is `ALL`."""

    starts: Ints
    codes: Ints

    def of(self, position: int) -> Ints:
        return self.codes[self.starts[position] : self.starts[position + 1]]

    def positions(self) -> Ints:
        """The position that each code belongs to."""
        lengths = np.diff(self.starts)
        return np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)


class Photos:
    """The photos of one index view by position, from 0, and the classes in them by code."""

    def __init__(self, index: Index, cap: int) -> None:
        self.rows: Ints = index.rows
        self.cap = cap
        columns = [index.lists(name) for name in ("labels", "crowds", "exhaustive", "absent")]
        self.names = sorted({name for lists in columns for name in lists.names} - {ALL})
        code = {name: i for i, name in enumerate(self.names)}
        self._labels, self._crowds, self._sure, self._absent = (_coded(x, code) for x in columns)
        self._counts = index.lists("counts").values
        self._areas = index.lists("areas").values
        self._smallest = index.lists("smallest").values
        self._all: Mask = np.zeros(len(self.rows), np.bool_)
        self._all[self._sure.positions()[self._sure.codes < 0]] = True
        self._unit: Ints = _codes(index, "unit")
        self._corpus: Ints = _codes(index, "corpus")
        self._members: dict[int, Ints] = {}
        self._without: dict[int, Ints] | None = None
        self._seen: set[tuple[int, ...]] = set()
        self.used = np.zeros(len(self.rows), np.int32)

    def __len__(self) -> int:
        return len(self.rows)

    def entries(
        self,
        area: Band,
        *,
        complete: bool = True,
        everything: bool = False,
        single: bool = True,
        each: bool = False,
        largest: bool = False,
    ) -> Entries:
        """Where exactly one box of a class is, and none to be ignored, within a size band.

        Args:
            area: Smallest and largest share of its photo that the box covers.
            complete: Only where every instance of the class is annotated.
            everything: Only where every instance of every class is annotated.
            single: False admits several boxes; the band then holds for the largest of them.
            each: It holds for every one of them.
            largest: Only the class whose largest box no other box of the photo exceeds.
        """
        kept = (self._areas >= area[0]) & (self._areas <= area[1])
        kept &= self._counts == 1 if single else self._counts >= 1
        if each:
            kept &= self._smallest >= area[0]
        if largest:
            kept &= self._areas >= self._largest()
        positions = self._labels.positions()
        if everything:
            kept &= self._all[positions]
        left = Entries(positions[kept], self._labels.codes[kept])
        fit = ~self._listed(left, self._crowds)
        if complete:
            fit &= self._all[left.positions] | self._listed(left, self._sure)
        return left if fit.all() else left.where(fit)

    def known_absent(self, position: int, code: int) -> bool:
        """Whether a class of the photo's corpus is known not to be in it."""
        if code in self._labels.of(position) or code in self._crowds.of(position):
            return False
        if self._all[position]:
            return True
        return code in self._absent.of(position) or code in self._sure.of(position)

    def classes(self, position: int) -> set[int]:
        """Codes of all that is annotated in a photo, crowds too."""
        return {*self._labels.of(position).tolist(), *self._crowds.of(position).tolist()}

    def free(self, position: int, chosen: Sequence[int]) -> bool:
        """Whether a photo may join a set: below its cap, of the same corpus and of another unit."""
        if self.used[position] >= self.cap:
            return False
        return all(
            self._unit[position] != self._unit[other]
            and self._corpus[position] == self._corpus[other]
            for other in chosen
        )

    def without(self, code: int, chosen: Sequence[int], rng: Stream) -> int | None:
        """A random photo that can join the chosen ones and is known not to show a class."""
        home = int(self._corpus[chosen[0]])
        pools = [self._of_corpus(home), self._listed_without(code)]
        for pool in pools:
            for _ in range(min(TRIES, 4 * len(pool))):
                position = int(pool[rng.below(len(pool))])
                if self.free(position, chosen) and self.known_absent(position, code):
                    return position
        return None

    def new(self, chosen: Sequence[int]) -> bool:
        """Whether these photos were not taken together before."""
        return tuple(sorted(chosen)) not in self._seen

    def taken(self, chosen: Sequence[int]) -> tuple[int, ...]:
        """Rows of the index; the photos are counted as used once more, the set as seen."""
        self._seen.add(tuple(sorted(chosen)))
        for position in chosen:
            self.used[position] += 1
        return tuple(int(self.rows[position]) for position in chosen)

    def _of_corpus(self, corpus: int) -> Ints:
        """Photos of a corpus in which everything is annotated."""
        if corpus not in self._members:
            self._members[corpus] = np.flatnonzero(self._all & (self._corpus == corpus))
        return self._members[corpus]

    def _listed_without(self, code: int) -> Ints:
        """Photos that say of a class itself that it is not there, or list it as annotated."""
        if self._without is None:
            both = [self._absent, self._sure]
            positions = np.concatenate([lists.positions() for lists in both])
            codes = np.concatenate([lists.codes for lists in both])
            self._without = _by_class(positions[codes >= 0], codes[codes >= 0])
        return self._without.get(code, _NONE)

    def _largest(self) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        """For each label of each photo, the area of the photo's largest box."""
        starts = self._labels.starts
        lengths = np.diff(starts)
        if not len(self._areas):
            return self._areas
        return np.repeat(
            np.maximum.reduceat(self._areas, starts[:-1][lengths > 0]), lengths[lengths > 0]
        )

    def _listed(self, entries: Entries, lists: _Coded) -> Mask:
        """Which entries are in a list column."""
        # Nearly in order already, which a merge sort uses (7 times faster here).
        among = np.sort(self._keys(lists.positions(), lists.codes), kind="stable")
        found = np.zeros(len(entries), np.bool_)
        for start in range(0, len(entries) if len(among) else 0, AT_ONCE):
            some = slice(start, start + AT_ONCE)
            keys = self._keys(entries.positions[some], entries.codes[some])
            at = np.minimum(np.searchsorted(among, keys), len(among) - 1)
            found[some] = among[at] == keys
        return found

    def _keys(self, positions: Ints, codes: Ints) -> Ints:
        """One number for a photo and a class, or for a photo and `ALL`."""
        return positions.astype(np.int64) * (len(self.names) + 1) + codes + 1


def interleaved(codes: Ints, rng: Stream, power: float = 0.5) -> Ints:
    """A random order of entries in which a class of n comes about n ** `power` times as often.

    With 1 classes come as often as the corpus has them, with 0 all equally often until the rare
    ones are used up; the square root between them is the usual remedy for long tails.
    """
    if not len(codes):
        return _NONE
    order = rng.permutation(len(codes))
    by_class = order[np.argsort(codes[order], kind="stable")]
    sizes = np.bincount(codes)
    starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    mine = codes[by_class]
    rank = np.arange(len(codes)) - starts[mine]
    # A random start for each class, or the first of every class would come in alphabetical order.
    begin = (rng.permutation(len(sizes)) + 0.5) / len(sizes)
    weight = (rank + begin[mine]) / sizes[mine] ** power
    return by_class[np.argsort(weight, kind="stable")]


def one_has(
    photos: Photos, entries: Entries, images: tuple[int, int], rng: Stream, power: float = 0.5
) -> Iterator[tuple[int, ...]]:
    """Rows of sets whose first photo has one thing of a class that no other photo has at all."""
    entries = _part(photos, entries, rng)
    for i in interleaved(entries.codes, rng, power).tolist():
        first, code = int(entries.positions[i]), int(entries.codes[i])
        if not photos.free(first, ()):
            continue
        chosen = [first]
        for _ in range(rng.between(*images) - 1):
            if (other := photos.without(code, chosen, rng)) is None:
                break
            chosen.append(other)
        else:
            if photos.new(chosen):
                yield photos.taken(chosen)


def all_share(
    photos: Photos, entries: Entries, images: tuple[int, int], rng: Stream, power: float = 0.5
) -> Iterator[tuple[int, ...]]:
    """Rows of sets whose photos have one class in common, and no other annotated one."""
    order = interleaved(entries.codes, rng, power)
    members = _by_class(entries.positions[order], entries.codes[order])
    for i in order.tolist():
        first, code = int(entries.positions[i]), int(entries.codes[i])
        if not photos.free(first, ()):
            continue
        # From a random place on, so that photos used again meet others than before.
        pool = members[code]
        start, size = rng.below(len(pool)), rng.between(*images)
        chosen, shared = [first], photos.classes(first)
        for other in itertools.islice(_from(pool, start), TRIES):
            if not photos.free(other, chosen):
                continue
            left = shared & photos.classes(other)
            # Each photo must bring the set nearer to sharing nothing else, the last one there.
            if len(left) == len(shared) > 1 or (len(chosen) + 1 == size and len(left) > 1):
                continue
            chosen, shared = [*chosen, other], left
            if len(chosen) == size:
                if photos.new(chosen):
                    yield photos.taken(chosen)
                break


def _from(pool: Ints, start: int) -> Iterator[int]:
    """All of a pool from one place on, then what was before it."""
    yield from pool[start : start + TRIES].tolist()
    yield from pool[: min(start, TRIES)].tolist()


def pairs(
    photos: Photos,
    first: Entries,
    second: Entries,
    rng: Stream,
    *,
    power: float = 0.5,
    kinds: Ints | None = None,
    alone: bool = False,
) -> Iterator[tuple[int, ...]]:
    """Rows of two photos: one of `first`, and one of `second` of the same class.

    With `kinds`, a number for each class, the two are of the same kind and of different classes
    (a number below 0 is no kind). With `alone` they have no other annotated class in common. An
    entry of `first` comes again once all have come, as often as the cap allows.
    """
    order = interleaved(first.codes, rng, power)
    mix = rng.permutation(len(second))
    kind = np.arange(len(photos.names)) if kinds is None else kinds
    members = _by_class(second.positions[mix], kind[second.codes[mix]])
    theirs = _by_class(second.codes[mix], kind[second.codes[mix]])
    for i in itertools.chain.from_iterable(itertools.repeat(order, photos.cap)):
        position, code = int(first.positions[i]), int(first.codes[i])
        group = int(kind[code])
        if group < 0 or group not in members or not photos.free(position, ()):
            continue
        for _ in range(TRIES):
            at = rng.below(len(members[group]))
            other = int(members[group][at])
            alike = int(theirs[group][at]) == code
            if alike != (kinds is None) or not photos.free(other, [position]):
                continue
            if alone and len(photos.classes(position) & photos.classes(other)) > int(alike):
                continue
            if photos.new([position, other]):
                yield photos.taken([position, other])
                break


def _part(photos: Photos, entries: Entries, rng: Stream) -> Entries:
    """The entries of a random part of the photos where there are more than anyone asks for."""
    if len(entries) <= AT_ONCE:
        return entries
    place = rng.permutation(len(photos))
    return entries.where(place[entries.positions] < len(photos) * AT_ONCE // len(entries))


def _by_class(values: Ints, classes: Ints) -> dict[int, Ints]:
    """Values by class, in the order they come."""
    if not len(values):
        return {}
    by_class = np.argsort(classes, kind="stable")
    found, starts = np.unique(classes[by_class], return_index=True)
    parts = np.split(values[by_class], starts[1:])
    return dict(zip(found.tolist(), parts, strict=True))


def _coded(lists: Lists, code: dict[str, int]) -> _Coded:
    common = np.array([code.get(name, -1) for name in lists.names] or [0], np.int32)
    return _Coded(lists.starts, common[lists.values.astype(np.int32, copy=False)])


def _codes(index: Index, column: str) -> Ints:
    """A text column as codes; all alike where there is no such column."""
    if column not in index.table.column_names:
        return np.zeros(len(index), np.int64)
    coded = index.text(column).combine_chunks().dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64)
