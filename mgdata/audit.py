"""What a finished list of groups must obey, whoever chose it.

It reads the list and the index columns and knows no builder: the rules are written here a second
time, plainly, over Python sets, so that a clever choice cannot be wrong in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from mgdata.data import ALL
from mgdata.index import Index
from mgdata.plugins import Grouping

FAULTS = 20
"""Faults told of one list; there may be more."""
AT_ONCE = 4096
"""Groups whose records are held at a time."""


class Photo(NamedTuple):
    """What the index says of one record."""

    key: str
    unit: str
    corpus: str
    counts: dict[str, int]
    """Boxes by label."""
    crowds: frozenset[str]
    exhaustive: frozenset[str]
    absent: frozenset[str]

    @property
    def present(self) -> frozenset[str]:
        """All that is annotated, to be ignored or not."""
        return self.crowds.union(self.counts)

    def lacks(self, label: str) -> bool:
        """Whether a label is known not to be there."""
        if label in self.present:
            return False
        return bool({label} & self.absent or {label, ALL} & self.exhaustive)

    def knows(self, label: str) -> bool:
        """Whether every thing of a label is annotated, or none is there."""
        if label in self.counts and label not in self.crowds:
            return bool({label, ALL} & self.exhaustive)
        return self.lacks(label)

    def single(self) -> set[str]:
        """Labels of which there is exactly one box and nothing to be ignored."""
        return {name for name, n in self.counts.items() if n == 1 and name not in self.crowds}


def faults(
    index: Index, groups: Sequence[Sequence[int]], grouping: Grouping, *, cap: int | None = None
) -> list[str]:
    """What is wrong with groups of rows of `index.table`: at most `FAULTS` sentences.

    Looked for: a group that is there twice; a record used more than `cap` times (None: as often
    as anyone likes); one group with records of two corpora, or with two of a unit; and what
    `grouping` promises.
    """
    found = _all_faults(index, groups, grouping, cap)
    return [fault for fault, _ in zip(found, range(FAULTS), strict=False)]


def _all_faults(
    index: Index, groups: Sequence[Sequence[int]], grouping: Grouping, cap: int | None
) -> Iterator[str]:
    if grouping != "alone":
        seen = Counter(tuple(sorted(group)) for group in groups)
        yield from (f"rows {rows} are there {n} times" for rows, n in seen.items() if n > 1)
    if cap is not None:
        used = Counter(row for group in groups for row in group)
        yield from (f"row {row} is used {n} times, at most {cap}"
                    for row, n in used.items() if n > cap)  # fmt: skip
    if grouping == "alone":
        yield from (f"rows {tuple(g)} are not alone" for g in groups if len(g) != 1)
        return
    for start in range(0, len(groups), AT_ONCE):
        some = groups[start : start + AT_ONCE]
        photos = _photos(index, {row for group in some for row in group})
        for group in some:
            members = [photos[row] for row in group]
            if fault := _common(members) or _promised(members, grouping):
                yield f"{', '.join(member.key for member in members)}: {fault}"


def _common(members: list[Photo]) -> str | None:
    if len({member.corpus for member in members}) > 1:
        return "of different corpora"
    if len({member.unit for member in members}) < len(members):
        return "two of one unit"
    return None


def _promised(members: list[Photo], grouping: Grouping) -> str | None:
    first, *others = members
    if grouping == "one has":
        if any(all(other.lacks(name) for other in others) for name in first.single()):
            return None
        return "nothing in the first is known to be in no other"
    if grouping == "known":
        if any(all(other.knows(name) for other in others) for name in first.counts):
            return None
        return "no class of the first is known in all others"
    shared = frozenset.intersection(*(member.present for member in members))
    if grouping == "all share":
        return None if len(shared) == 1 else f"have {len(shared)} labels in common"
    if grouping == "two share":
        parts = [{n.partition(":")[2] or n for n in member.single()} for member in members]
        return None if set.intersection(*parts) else "have no single thing of a kind"
    return None


def _photos(index: Index, rows: set[int]) -> dict[int, Photo]:
    order = np.array(sorted(rows), np.int64)
    some = index.table.take(pa.array(order))

    def column(name: str) -> list[Any]:
        if name not in some.column_names:
            return [""] * len(order)
        return [value or [] for value in some[name].to_pylist()]

    lists = ("crowds", "exhaustive", "absent")
    found = zip(
        *(column(name) for name in ("key", "unit", "corpus", "labels", "counts", *lists)),
        strict=True,
    )
    return {
        int(row): Photo(
            key, unit, corpus or "", dict(zip(labels, counts, strict=True)), *map(frozenset, rest)
        )
        for row, (key, unit, corpus, labels, counts, *rest) in zip(order, found, strict=True)
    }
