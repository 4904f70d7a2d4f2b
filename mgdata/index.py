"""The columns that choosing may see: no image, no JSON, one row a record.

Arrow and numpy over memory-mapped record tables; a million rows cost what their columns weigh.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute

IntArray = np.ndarray[tuple[int], np.dtype[np.int64]]


class Lists(NamedTuple):
    """A list column: row i of the view has `values[starts[i]:starts[i + 1]]`."""

    starts: IntArray
    """One more than the view has rows."""
    values: np.ndarray[tuple[int], np.dtype[Any]]
    """Numbers, or codes of text."""
    names: list[str]
    """Text by code; empty for numbers."""


class Index:
    """Columns of the records a task may choose from, in table order.

    `rows` are the rows of this view, numbered over all records of the run; a builder yields such
    numbers. `view` narrows it (to a split, to a corpus). Columns, beside those that record measures
    added:

    - `key unit shape license corpus`: text.
    - `images regions tracks longest`: integers; `longest` is the number of images in which the
      most visible track is visible.
    - `labels counts areas smallest`: lists of one length: each label that a region has, how many
      boxes it has, and the share of its image that the largest and the smallest of them cover.
    - `crowds exhaustive absent`: lists of labels: of regions to be ignored, annotated completely
      (or `data.ALL`), known not to be there.
    - `expressions referents`: lists of one length: for each text about the record the label of
      what it names (empty where unknown), and how many regions it refers to.
    - `phrases names`: lists of `identity.name_hash`: of the regions' phrases and those texts, and
      of what the record's images are called.
    """

    def __init__(self, table: pa.Table, rows: IntArray | None = None) -> None:
        self.table = table
        self.rows: IntArray = np.arange(table.num_rows) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def view(self, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Index:
        """The rows of this view where `mask` (as long as the view) is True."""
        return Index(self.table, self.rows[mask])

    def text(self, column: str) -> pa.ChunkedArray:
        """A text or list column of this view's rows."""
        if not len(self.rows):
            return self.table[column].slice(0, 0)
        # Rows of one corpus lie together: what lies elsewhere is not even looked at.
        first, last = int(self.rows.min()), int(self.rows.max())
        near = self.table[column].slice(first, last - first + 1)
        whole = len(self.rows) == len(near) and bool((np.diff(self.rows) == 1).all())
        return near if whole else near.take(pa.array(self.rows - first))

    def numbers(self, column: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """A number column of this view's rows, as numpy."""
        return self.table[column].to_numpy()[self.rows]

    def lists(self, column: str) -> Lists:
        """A list column of this view's rows, flat; text as codes."""
        found = self.text(column).combine_chunks()
        values = found.flatten()
        names: list[str] = []
        if pa.types.is_string(values.type):
            values = values.dictionary_encode()
        if pa.types.is_dictionary(values.type):
            values, names = values.indices, values.dictionary.to_pylist()
        lengths = pc.fill_null(pc.list_value_length(found), 0).to_numpy(zero_copy_only=False)
        starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        return Lists(starts, values.to_numpy(zero_copy_only=False), names)

    def key(self, row: int) -> str:
        """Key of one record, by its row number."""
        return self.table["key"][row].as_py()
