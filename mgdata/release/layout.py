"""Which rows go into which file, and where row groups are cut: where fewest images are shared.

Pure functions over columns. Rows are ordered so that neighbours share images, because a shared
image is stored once a row group; the `order` column gives the shuffle back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from mgdata.data import Flow
from mgdata.identity import digest

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute

Ints = np.ndarray[Any, np.dtype[np.int64]]


_PLANNED = ["row", "uri", "id", "pictures", "bytes"]
"""What decides the order of rows and where files are cut."""


class FilePlan(Flow, frozen=True, kw_only=True):
    """One file of a release, before it is written."""

    path: str
    """`data/<config>/<split>-00000-of-0000N.parquet`."""
    config: str
    """Its configuration."""
    split: str
    """Its split."""
    rows: tuple[int, ...]
    """Rows of the sample table, in file order."""
    order: tuple[int, ...]
    """The shuffle's rank of each row within its split."""


def plan_files(
    table: pa.Table, configs: Sequence[str], splits: Sequence[str], seed: int, file_bytes: float
) -> Iterator[FilePlan]:
    """The files of a release, from the kept samples and their planning columns."""
    for config in configs:
        for split in splits:
            mine = np.flatnonzero(
                np.asarray(pc.equal(table["config"], config))
                & np.asarray(pc.equal(table["split"], split))
            )
            if len(mine):
                some = table.select(_PLANNED).take(pa.array(mine))
                yield from _plan_split(some, mine, config, split, seed, file_bytes)


def _plan_split(
    table: pa.Table, numbers: Ints, config: str, split: str, seed: int, file_bytes: float
) -> Iterator[FilePlan]:
    keys = [("row", "ascending"), ("uri", "ascending"), ("id", "ascending")]
    order = pc.sort_indices(table, sort_keys=keys).to_numpy()
    table, numbers = table.take(pa.array(order)), numbers[order]
    salt = str(seed)
    shuffled = [digest("order", salt, id_) for id_ in table["id"].to_pylist()]
    rank = np.empty(len(numbers), np.int64)
    rank[np.array(sorted(range(len(shuffled)), key=shuffled.__getitem__))] = np.arange(len(numbers))
    sizes = _sizes(table)
    cuts = cut_files(sizes, _spans(table), file_bytes)
    for i, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(numbers)], strict=True)):
        yield FilePlan(
            path=f"data/{config}/{split}-{i:05d}-of-{len(cuts) + 1:05d}.parquet",
            config=config,
            split=split,
            rows=tuple(numbers[start:end].tolist()),
            order=tuple(rank[start:end].tolist()),
        )


def cut_files(sizes: Ints, spans: Ints, limit: float) -> list[int]:
    """Where to cut rows of `sizes` bytes into files of about `limit` bytes each.

    Cuts lie near equal parts, moved by up to a tenth of a part to where `spans` (images shared
    across a cut before row i) is least.
    """
    total = int(sizes.sum())
    files = min(max(1, round(total / limit)), len(sizes))
    ends = np.cumsum(sizes)
    cuts: list[int] = []
    for k in range(1, files):
        low = int(np.searchsorted(ends, total * (k - 0.1) / files)) + 1
        high = int(np.searchsorted(ends, total * (k + 0.1) / files)) + 1
        low = max(low, cuts[-1] + 1 if cuts else 1)
        high = min(max(high, low), len(sizes) - (files - k))
        low = min(low, high)
        cuts.append(low + int(np.argmin(spans[low : high + 1])))
    return cuts


def cut_group(images: Sequence[Sequence[str]], sizes: Sequence[int]) -> int:
    """How many of the pending rows to write now, when they fill a row group.

    The cut lies in the last half by size, where the fewest images are shared across it; of equals
    the latest.
    """
    last: dict[str, int] = {}
    for row, names in enumerate(images):
        for name in names:
            last[name] = row
    total, done, best, fewest = sum(sizes), 0, len(images), None
    open_: set[str] = set()
    for row, names in enumerate(images):
        open_.update(names)
        open_ = {name for name in open_ if last[name] > row}
        done += sizes[row]
        if 2 * done >= total and (fewest is None or len(open_) <= fewest) and row + 1 < len(images):
            best, fewest = row + 1, len(open_)
    return best


def _sizes(table: pa.Table) -> Ints:
    """Decoded bytes of each row's images."""
    lists = table["bytes"].combine_chunks()
    ends = np.concatenate([[0], np.cumsum(lists.flatten().to_numpy())])
    offsets = lists.offsets.to_numpy() - lists.offsets[0].as_py()
    return ends[offsets[1:]] - ends[offsets[:-1]]


def _spans(table: pa.Table) -> Ints:
    """For each row i, how many images are used both before it and from it on."""
    lists = table["pictures"].combine_chunks()
    codes = pc.dictionary_encode(lists.flatten()).indices.to_numpy()
    owner = pc.list_parent_indices(lists).to_numpy()
    count = codes.max(initial=-1) + 1
    first = np.full(count, len(table), np.int64)
    last = np.zeros(count, np.int64)
    np.minimum.at(first, codes, owner)
    np.maximum.at(last, codes, owner)
    change = np.zeros(len(table) + 2, np.int64)
    np.add.at(change, first + 1, 1)
    np.add.at(change, last + 1, -1)
    return np.cumsum(change)[: len(table) + 1]
