"""Samples of finished tables, by row: what the stages after building begin with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from mgdata.data import Sample
from mgdata.errors import StorageError
from mgdata.storage import Store
from mgdata.tables import decode_sample, read_samples

Picks = Sequence[tuple[str, Sequence[int]]]
"""Sample tables by path, each with rows of it."""


def picked(store: Store, picks: Picks) -> Iterator[Sample]:
    """The picked samples, in order.

    Raises:
        StorageError: a table or a row of it that is no sample.
    """
    for path, rows in picks:
        column = read_samples(store.local(path), ["sample"]).column("sample")
        for row in rows:
            try:
                yield decode_sample(column[row].as_buffer())
            except msgspec.MsgspecError as error:
                raise StorageError(f"{path}, row {row}: not a sample: {error}") from error
