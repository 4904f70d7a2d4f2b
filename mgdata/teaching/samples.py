"""The samples that a teacher is asked about, as columns: what they are, and where each lies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from mgdata.identity import digest
from mgdata.manifest import Entry
from mgdata.recipe import apportioned
from mgdata.stages.picked import picks_of
from mgdata.stages.settle import Settled

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute

Numbers = np.ndarray[Any, Any]
Part = tuple[str, str]
"""Task and split."""


class Samples:
    """The kept samples of a run, neighbours sharing images, and where each of them lies."""

    def __init__(self, settled: Settled, entries: Sequence[Entry], seed: int) -> None:
        table = settled.table.filter(pa.array(settled.kept))
        keys = [("row", "ascending"), ("uri", "ascending"), ("id", "ascending")]
        table = table.take(pc.sort_indices(table, sort_keys=keys)) if len(table) else table
        self.ids: list[str] = table["id"].to_pylist() if len(table) else []
        self.tasks: list[str] = table["task"].to_pylist()
        self.splits: list[str] = table["split"].to_pylist()
        self.table = table
        self._paths = [entry.data().path for entry in entries]
        salt = str(seed)
        ranked = sorted(range(len(self.ids)), key=lambda i: digest("taught", salt, self.ids[i]))
        self.rank: Numbers = np.empty(len(ranked), np.int64)
        self.rank[ranked] = np.arange(len(ranked))
        """Place of each in a random order that hangs on nothing but its id."""

    @cached_property
    def turns(self) -> Numbers:
        """Turns of each sample."""
        return self.table["turns"].to_numpy()

    def parts(self, rows: Numbers) -> dict[Part, Numbers]:
        """Rows by task and split, each in random order."""
        found: dict[Part, list[int]] = {}
        for row in rows[np.argsort(self.rank[rows])].tolist():
            found.setdefault((self.tasks[row], self.splits[row]), []).append(row)
        return {part: np.array(some) for part, some in sorted(found.items())}

    def picks(self, rows: Sequence[int]) -> list[tuple[str, list[int]]]:
        """Where rows lie, in order."""
        source, row = self._places
        some = np.array(rows, np.int64)
        return picks_of(self._paths, source[some], row[some])

    @cached_property
    def _places(self) -> tuple[Numbers, Numbers]:
        return self.table["source"].to_numpy(), self.table["source_row"].to_numpy()

    def quotas(self, rows: Numbers, total: int | None) -> dict[Part, int | None]:
        """How many of `total` each task and split gives, by its share of these rows."""
        parts = self.parts(rows)
        if total is None:
            return dict.fromkeys(parts)
        names = {f"{task}/{split}": (task, split) for task, split in parts}
        shares = {name: len(parts[part]) / len(rows) for name, part in names.items()}
        return {names[name]: n for name, n in apportioned(total, shares).items()}
