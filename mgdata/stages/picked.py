"""Samples and lessons of finished tables, by row: what the stages after building begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np

from mgdata.data import Lesson, Sample
from mgdata.errors import StorageError
from mgdata.storage import Store
from mgdata.tables import decode_sample, read_samples
from mgdata.teacher.tables import decode_lesson

T = TypeVar("T")
Numbers = np.ndarray[Any, Any]

Picks = Sequence[tuple[str, Sequence[int]]]
"""Sample tables by path, each with rows of it."""


def picked(store: Store, picks: Picks) -> Iterator[Sample]:
    """The picked samples, in order.

    Raises:
        StorageError: a table or a row of it that is no sample.
    """
    yield from _picked(store, picks, "sample", decode_sample)


def picked_lessons(store: Store, picks: Picks) -> Iterator[Lesson]:
    """The picked lessons, in order; raises as `picked`."""
    yield from _picked(store, picks, "lesson", decode_lesson)


def _picked(store: Store, picks: Picks, name: str, decode: Callable[[Any], T]) -> Iterator[T]:
    for path, rows in picks:
        column = read_samples(store.local(path), [name]).column(name)
        for row in rows:
            try:
                yield decode(column[row].as_buffer())
            except msgspec.MsgspecError as error:
                raise StorageError(f"{path}, row {row}: not a {name}: {error}") from error


def picks_of(paths: Sequence[str], source: Numbers, row: Numbers) -> list[tuple[str, list[int]]]:
    """Rows of tables, in order, as runs of (file, rows in it).

    Args:
        paths: The tables.
        source: Which of them each row is in, int [n].
        row: Its row there, int [n].
    """
    picks: list[tuple[str, list[int]]] = []
    for number, at in zip(source.tolist(), row.tolist(), strict=True):
        path = paths[int(number)]
        if not picks or picks[-1][0] != path:
            picks.append((path, []))
        picks[-1][1].append(at)
    return picks
