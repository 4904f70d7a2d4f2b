"""Settling a round: of all samples built so far, which ones the release will hold.

Runs on the driver over columns. Drops what is there twice, what would show the same picture in
two splits, and what is more than the recipe asks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from mgdata.data import Drop
from mgdata.manifest import Entry
from mgdata.storage import Store
from mgdata.tables import read_samples

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]

COLUMNS = ("id", "group", "row", "uri", "turns", "pictures", "bytes")
"""What the driver reads of a sample table."""


class Settled:
    """The samples of all rounds as one table, with a mask of those that stay."""

    def __init__(self, table: pa.Table, kept: Mask, drops: list[Drop], surplus: int) -> None:
        self.table = table
        self.kept = kept
        self.drops = drops
        self.surplus = surplus
        """Sound samples beyond what was asked for."""

    def have(self) -> dict[tuple[str, str], int]:
        """Kept samples by task and split."""
        kept = self.table.select(["task", "split"]).filter(pa.array(self.kept))
        counts = kept.group_by(["task", "split"]).aggregate([([], "count_all")]).to_pylist()
        return {(row["task"], row["split"]): row["count_all"] for row in counts}


def settle(
    table: pa.Table, splits: Sequence[str], wanted: Mapping[tuple[str, str], int]
) -> Settled:
    """Which samples stay. `table` has the `COLUMNS` and `task`, `split` in plan order."""
    kept: Mask = np.ones(table.num_rows, np.bool_)
    drops: list[Drop] = []
    order = _plan_order(table)
    for mask, reason in (
        (_repeated(table, order), "duplicate sample"),
        (_leaking(table, splits), "picture is in another split"),
    ):
        for i in np.flatnonzero(mask & kept):
            drops.append(Drop(key=table["id"][int(i)].as_py(), stage="settle", reason=reason))
        kept &= ~mask
    sound = int(kept.sum())
    kept &= _within(table, order, kept, wanted)
    return Settled(table, kept, drops, sound - int(kept.sum()))


def _plan_order(table: pa.Table) -> np.ndarray[Any, Any]:
    """Rows by group number, ties in table order."""
    return np.argsort(table["group"].to_numpy(), kind="stable")


def _repeated(table: pa.Table, order: np.ndarray[Any, Any]) -> Mask:
    """True for each sample whose id came before it in plan order."""
    codes = pc.dictionary_encode(table["id"].combine_chunks()).indices.to_numpy()[order]
    _, first = np.unique(codes, return_index=True)
    repeated: Mask = np.ones(table.num_rows, np.bool_)
    repeated[order[first]] = False
    return repeated


def _leaking(table: pa.Table, splits: Sequence[str]) -> Mask:
    """True for a sample that shows a picture which a later split shows too.

    The later splits of a recipe are the smaller ones that models are judged on: they stay whole.
    """
    lists = table["pictures"].combine_chunks()
    codes = pc.dictionary_encode(lists.flatten()).indices.to_numpy()
    split = pc.index_in(table["split"], pa.array(list(splits))).to_numpy()
    owner = pc.list_parent_indices(lists).to_numpy()
    last = np.zeros(codes.max(initial=-1) + 1, np.int64)
    np.maximum.at(last, codes, split[owner])
    leaking: Mask = np.zeros(table.num_rows, np.bool_)
    leaking[owner[last[codes] > split[owner]]] = True
    return leaking


def _within(table: pa.Table, order: np.ndarray[Any, Any], kept: Mask,
            wanted: Mapping[tuple[str, str], int]) -> Mask:  # fmt: skip
    """True for the first samples, in plan order, that a task and split asked for."""
    within: Mask = np.zeros(table.num_rows, np.bool_)
    tasks = np.asarray(table["task"])
    splits = np.asarray(table["split"])
    for (task, split), n in wanted.items():
        mine = (tasks == task) & (splits == split) & kept
        within[order[mine[order]][:n]] = True
    return within


def gather(store: Store, entries: Sequence[Entry]) -> pa.Table:
    """The planning columns of all sample tables, each row with its task, split and place.

    `source` is the number of its entry, `source_row` the row in that entry's table.
    """
    tables: list[pa.Table] = []
    for source, entry in enumerate(entries):
        table = read_samples(store.local(entry.data().path), COLUMNS)
        labels = {k.partition("=")[0]: k.partition("=")[2] for k in entry.counts if "=" in k}
        n = table.num_rows
        for name in ("task", "split"):
            table = table.append_column(name, pa.array([labels[name]] * n, pa.string()))
        table = table.append_column("source", pa.array(np.full(n, source, np.int32)))
        tables.append(table.append_column("source_row", pa.array(np.arange(n, dtype=np.int32))))
    return pa.concat_tables(tables)
