"""Release files written anew with something changed in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = list[dict[str, Any]]


def files(release: Path, split: str = "train", config: str = "*") -> list[Path]:
    return sorted(release.glob(f"data/{config}/{split}-*.parquet"))


def rewrite(
    file: Path,
    change: Callable[[Rows], object] = lambda rows: None,
    *,
    column: pa.Field | None = None,
    keys: dict[str, str] | None = None,
    index: bool = True,
    store_schema: bool = False,
) -> None:
    """Write a release file anew as any Parquet tool would, with its rows changed in place.

    `keys`: its metadata; where left out, what it was.
    """
    table = pq.read_table(file)
    stated = {k.decode(): v.decode() for k, v in pq.read_metadata(file).metadata.items()}
    rows = table.to_pylist()
    change(rows)
    schema = table.schema.remove_metadata()
    table = pa.Table.from_pylist(rows, schema.append(column) if column else schema)
    with pq.ParquetWriter(
        file, table.schema, store_schema=store_schema, write_page_index=index
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(stated if keys is None else keys)


def first(change: Callable[[dict[str, Any]], object], **where: str) -> Callable[[Path], None]:
    """A fault in the first row of the first file."""
    return on_rows(lambda rows: change(rows[0]), **where)


def on_rows(change: Callable[[Rows], object], **where: str) -> Callable[[Path], None]:
    """A fault in the rows of the first file, of a `config` or `split` where these are given."""
    return lambda release: rewrite(files(release, **where)[0], change)
