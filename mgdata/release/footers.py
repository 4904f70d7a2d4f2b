"""What a file's footer says: whether it is one of a release, and what its rows are.

Knows no row's values; opens no file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

import pyarrow as pa
import pyarrow.parquet as pq

from mgdata.data import ROW_FORMAT
from mgdata.release.rows import ROWS, Row, features


def look_at(metadata: pq.FileMetaData) -> tuple[type[Row] | None, list[tuple[str, str]]]:
    """What a file's rows are, None where they cannot be read; and its faults, kind and what."""
    stated = metadata.metadata or {}
    found = metadata.schema.to_arrow_schema().remove_metadata()
    known = [(schema, row) for plain, schema, row in _plain_schemas() if found.equals(plain)]
    if not known or b"ARROW:schema" in stated:
        return None, [("schema", _schema_difference(found))]
    ((schema, row),) = known
    faults: list[tuple[str, str]] = []
    try:
        named = json.loads(stated.get(b"huggingface", b"null"))["info"]["features"]
    except (ValueError, TypeError, KeyError):
        named = None
    if named != features(schema):
        what = "names other features" if named else "has no features"
        faults.append(("features", f"the `huggingface` key {what}"))
    version = stated.get(b"mgdata.row_format", b"none").decode(errors="replace")
    if version != str(ROW_FORMAT):
        faults.append(("row format", f"is {version}, this mgdata knows {ROW_FORMAT}"))
        return None, faults
    if without := list(dict.fromkeys(_unindexed(metadata))):
        faults.append(("page index", f"none for {', '.join(without[:3])}"))
    return row, faults


@cache
def _plain_schemas() -> tuple[tuple[pa.Schema, pa.Schema, type[Row]], ...]:
    """The schemas as Parquet tells them, which knows no dictionary type."""
    return tuple(
        (pa.schema([(field.name, _plain(field.type)) for field in schema]), schema, row)
        for schema, row in ROWS
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _plain(field.type)) for field in kind])
    return kind


def _schema_difference(found: pa.Schema) -> str:
    # Beside the schema that shares most names with it, where the difference is small.
    wanted = max((plain for plain, _, _ in _plain_schemas()), key=lambda one: _nearness(found, one))
    if found.names != wanted.names:
        missing = [name for name in wanted.names if name not in found.names]
        more = [name for name in found.names if name not in wanted.names]
        return f"columns missing: {missing}, unknown: {more}, or in another order"
    for one, other in zip(found, wanted, strict=True):
        if not one.equals(other):
            return f"{one.name} is {one.type}, expected {other.type}"
    return "it keeps the Arrow schema, whose dictionary type hides the images"


def _nearness(found: pa.Schema, wanted: pa.Schema) -> int:
    """Negative count of the columns that only one of two schemas has."""
    return -len({*found.names} ^ {*wanted.names})


def _unindexed(metadata: pq.FileMetaData) -> Iterator[str]:
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            if not column.has_offset_index:
                yield column.path_in_schema
