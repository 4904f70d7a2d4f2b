"""The columns that choosing may see: no image, no JSON, one row a record.

Arrow and numpy over memory-mapped record tables; a million rows cost what their columns weigh.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

IntArray = np.ndarray[tuple[int], np.dtype[np.int64]]


class Index:
    """Columns of the records a task may choose from, in table order.

    `rows` are the rows of this view, numbered over all records of the run; a builder yields such
    numbers. `view` narrows it (to a split, to a corpus). Columns: `key unit shape license` (text),
    `labels` (list of text), `images regions tracks longest` (integers; `longest` is the number of
    images in which the most visible track is visible), and those that record measures added.
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
        return self.table[column].take(pa.array(self.rows))

    def numbers(self, column: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """A number column of this view's rows, as numpy."""
        return self.table[column].to_numpy()[self.rows]

    def key(self, row: int) -> str:
        """Key of one record, by its row number."""
        return self.table["key"][row].as_py()
