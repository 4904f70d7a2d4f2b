"""What the driver decides between shards: usable records, their splits, the groups to build next.

Everything here is a pure function of the recipe and of finished entries, and sees index columns
only. Groups come out of a builder's stream in order; a task takes more of them, round by round,
until as many samples survive as the recipe asks for.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from mgdata.data import Drop
from mgdata.errors import boundary
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.manifest import Entry
from mgdata.plugins import Builder, Filter
from mgdata.recipe import Recipe, apportioned
from mgdata.storage import Store
from mgdata.tables import read_columns

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute

ROUNDS = 12
"""Rounds before a task is called short: each takes what the last one's yield says is missing."""

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


def assign_splits(index: Index, shares: Mapping[str, float], seed: int) -> np.ndarray[Any, Any]:
    """The split of every record, as a position in `shares`; units are never cut.

    Units are ranked by a hash of seed and name and the ranking is cut at the shares, corpus by
    corpus, weighing a unit by its records: shares come out as exact as units allow, and a corpus
    that grows moves few units.
    """
    units = index.text("unit").combine_chunks().dictionary_encode()
    codes = units.indices.to_numpy()
    weights = np.bincount(codes, minlength=len(units.dictionary))
    _, first = np.unique(codes, return_index=True)
    home = index.text("corpus").take(pa.array(first)).combine_chunks().dictionary_encode()
    corpora = np.argsort(np.argsort(home.dictionary.to_pylist()))[home.indices.to_numpy()]
    order = np.lexsort((_ranks(units.dictionary, seed), corpora))
    chosen = np.zeros(len(order), np.int8)
    ends = np.cumsum(list(shares.values()))
    for some in np.split(order, np.flatnonzero(np.diff(corpora[order])) + 1):
        total = weights[some].sum()
        middle = (np.cumsum(weights[some]) - weights[some] / 2) / total
        chosen[some] = np.minimum(np.searchsorted(ends, middle, side="right"), len(ends) - 1)
    return chosen[codes]


def _ranks(names: pa.Array, seed: int) -> np.ndarray[Any, Any]:
    """A 64-bit hash of each name; a piece at a time, as Python's text weighs much."""
    salt, ranks = str(seed).encode(), bytearray()
    for start in range(0, len(names), 65_536):
        for name in names[start : start + 65_536].to_pylist():
            ranks += hashlib.blake2b(name.encode(), digest_size=8, key=salt).digest()
    return np.frombuffer(bytes(ranks), ">u8").astype(np.uint64)


def allowed(index: Index, filters: Mapping[str, Filter]) -> tuple[Mask, list[Drop]]:
    """Which records may be chosen from, and a drop for each that may not."""
    mask: Mask = np.ones(len(index), np.bool_)
    drops: list[Drop] = []
    keys = pc.dictionary_encode(index.text("key").combine_chunks()).indices.to_numpy()
    _, first = np.unique(keys, return_index=True)
    if len(first) < len(keys):
        mask[:] = False
        mask[first] = True
        for row in index.rows[~mask]:
            drops.append(Drop(key=index.key(int(row)), stage="choose", reason="repeated key"))
    if "fit" in index.table.column_names:
        mask &= index.numbers("fit").astype(np.bool_)
    for name, filter_ in filters.items():
        with boundary(f"filter {name}", "the index"):
            verdict = filter_.index(index)
            if verdict is None:
                continue
            kept, reason = np.asarray(verdict[0], np.bool_), str(verdict[1])
            if kept.shape != mask.shape:
                raise ValueError(f"a mask of {kept.shape} for {len(index)} records")
        for row in index.rows[mask & ~kept]:
            drops.append(Drop(key=index.key(int(row)), stage="filter", reason=reason))
        mask &= kept
    return mask, drops


class GroupStream:
    """The groups of one task and split, in the builder's order, numbered from 0."""

    def __init__(self, builder: Builder, index: Index, seed: int, task: str, split: str) -> None:
        self._name = f"builder {task}"
        with boundary(self._name, "its groups"):
            rng = Stream("groups", str(seed), task, split)
            self._groups: Iterator[Sequence[int]] = iter(builder.groups(index, rng))
        self._mine: Mask = np.zeros(index.table.num_rows, np.bool_)
        self._mine[index.rows] = True
        self._seen: Counter[tuple[int, ...]] = Counter()
        self.taken = 0

    def take(self, n: int) -> list[tuple[int, int, tuple[int, ...]]]:
        """The next n groups, or what is left, as (number, occurrence, rows)."""
        with boundary(self._name, "its groups"):
            fresh = [tuple(group) for group in islice(self._groups, n)]
            self._check(fresh)
        taken: list[tuple[int, int, tuple[int, ...]]] = []
        for number, rows in enumerate(fresh, self.taken):
            taken.append((number, self._seen[rows], rows))
            self._seen[rows] += 1
        self.taken += len(fresh)
        return taken

    def _check(self, groups: Sequence[tuple[int, ...]]) -> None:
        """Refuse an empty group and rows of another split: they would leak into this one."""
        if not all(groups):
            raise ValueError("yielded an empty group")
        rows = np.fromiter(chain.from_iterable(groups), np.int64)
        inside = (rows >= 0) & (rows < len(self._mine))
        inside[inside] = self._mine[rows[inside]]
        if not inside.all():
            raise ValueError(
                f"yielded row {rows[~inside][0]}, which is not in the index it was given: "
                "rows are numbered by index.rows, not from 0"
            )


class Chooser:
    """Cuts the rounds of all tasks into build payloads."""

    def __init__(self, recipe: Recipe, builders: Mapping[str, Builder], index: Index,
                 splits: np.ndarray[Any, Any]) -> None:  # fmt: skip
        self._size = recipe.build.groups
        self._builders = builders
        self.short: dict[tuple[str, str], str] = {}
        self.wanted: dict[tuple[str, str], int] = {}
        self._streams: dict[tuple[str, str], GroupStream] = {}
        corpora = index.text("corpus")
        for task, section in recipe.tasks.items():
            sources = pa.array(section.corpora or tuple(recipe.corpora))
            shapes = pa.array(builders[task].shapes)
            fits = np.asarray(_is_in(corpora, sources)) & np.asarray(
                _is_in(index.text("shape"), shapes)
            )
            for number, (split, n) in enumerate(
                apportioned(section.samples, recipe.splits).items()
            ):
                view = index.view(fits & (splits == number))
                self.wanted[task, split] = n
                self._streams[task, split] = GroupStream(
                    builders[task], view, recipe.seed, task, split
                )

    def stream(self, task: str, split: str) -> GroupStream:
        """The groups of one task and split."""
        return self._streams[task, split]

    def round(self, number: int, have: Mapping[tuple[str, str], int]) -> Iterator[dict[str, Any]]:
        """The payloads of one round, given how many samples have survived so far."""
        for (task, split), stream in self._streams.items():
            missing = self.wanted[task, split] - have.get((task, split), 0)
            if missing <= 0:
                continue
            if stream.taken:
                rate = have.get((task, split), 0) / stream.taken
            else:
                rate = self._builders[task].expected()
            # A poor yield must not make a round of millions: at most eight times what is missing.
            groups = stream.take(math.ceil(missing / max(rate, 0.125)))
            if not groups or number >= ROUNDS:
                self.short[task, split] = (
                    f"{task}/{split}: {missing} of {self.wanted[task, split]} samples "
                    f"missing after {stream.taken} groups"
                )
                continue
            # Neighbours share records, so that a worker decodes each once.
            groups.sort(key=lambda group: group[2])
            for start in range(0, len(groups), self._size):
                some = groups[start : start + self._size]
                yield {
                    "task": task,
                    "split": split,
                    "numbers": [number for number, _, _ in some],
                    "occurrences": [occurrence for _, occurrence, _ in some],
                    "rows": [list(rows) for _, _, rows in some],
                }


def _is_in(column: pa.ChunkedArray, values: pa.Array) -> pa.ChunkedArray:
    return pc.is_in(column, values)


def read_index(store: Store, records: Sequence[Entry], facts: Sequence[Entry]) -> Index:
    """The index over record tables, in the entries' order."""
    tables: list[pa.Table] = []
    for i, entry in enumerate(records):
        table = pa.concat_tables(read_columns(store.local(entry.data().path)))
        corpus = pa.array([entry.name.rpartition("-")[0]] * table.num_rows, pa.string())
        table = table.append_column("corpus", corpus)
        if facts:
            added = _facts(store, facts[i])
            for name in added.column_names:
                table = table.append_column(name, added[name])
        tables.append(table)
    return joined(tables)


def joined(tables: Sequence[pa.Table]) -> Index:
    """The index over several tables, row after row."""
    whole = pa.concat_tables(tables, promote_options="permissive")
    return Index(whole.unify_dictionaries())


def _facts(store: Store, entry: Entry) -> pa.Table:
    """A facts table, whose columns are the measures' own."""
    return pa.ipc.open_file(pa.memory_map(str(store.local(entry.data().path)))).read_all()
