"""Shards on disk: records as memory-mapped Arrow IPC, samples and ledgers as Parquet.

Each table keeps the few columns that planning needs beside one JSON column with the whole struct.
Rows are validated on their way out and in: msgspec decodes into the struct or raises.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from mgdata.data import ROW_FORMAT, Drop, Record, Sample
from mgdata.errors import StorageError
from mgdata.identity import name_hash
from mgdata.storage import Store

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute

META = {b"mgdata.row_format": str(ROW_FORMAT).encode()}

RECORDS = pa.schema(
    [
        ("key", pa.string()),
        ("shape", pa.string()),
        ("unit", pa.string()),
        ("license", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("counts", pa.list_(pa.int32())),
        ("areas", pa.list_(pa.float32())),
        ("smallest", pa.list_(pa.float32())),
        ("crowds", pa.list_(pa.string())),
        ("exhaustive", pa.list_(pa.string())),
        ("absent", pa.list_(pa.string())),
        ("expressions", pa.list_(pa.string())),
        ("referents", pa.list_(pa.int32())),
        ("phrases", pa.list_(pa.uint64())),
        ("names", pa.list_(pa.uint64())),
        ("images", pa.int32()),
        ("regions", pa.int32()),
        ("tracks", pa.int32()),
        ("longest", pa.int32()),
        ("record", pa.binary()),
    ],
    metadata=META,
)
SAMPLES = pa.schema(
    [
        ("id", pa.string()),
        ("group", pa.int64()),
        ("row", pa.int64()),
        ("uri", pa.string()),
        ("key", pa.string()),
        ("occurrence", pa.int32()),
        ("turns", pa.int32()),
        ("images", pa.list_(pa.string())),
        ("pictures", pa.list_(pa.int64())),
        ("bytes", pa.list_(pa.int64())),
        ("license", pa.string()),
        ("sample", pa.binary()),
    ],
    metadata=META,
)
LEDGER = pa.schema(
    [(name, pa.string()) for name in ("key", "stage", "reason", "value")], metadata=META
)

_COCO_PHOTO = re.compile(r"(?:COCO_[a-z]+20[0-9]{2}_)?([0-9]{12})")
"""What COCO calls a photo, without and with its split."""
_PHOTO_UNIT = re.compile(r"(?:coco|flickr)-[0-9]+")
"""Unit of a record that is a photo of a collection which other corpora draw from."""

_REPEATED: Any = ["uri", "key", "license"]
"""Columns whose values come again; pyarrow's own hints know only True and False."""

_encode = msgspec.json.Encoder().encode
_record = msgspec.json.Decoder(Record).decode
_sample = msgspec.json.Decoder(Sample).decode


class RecordRows:
    """Columns of a record table, filled row by row."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {name: [] for name in RECORDS.names}

    def __len__(self) -> int:
        return len(self._columns["key"])

    def add(self, record: Record) -> None:
        """Append one record."""
        seen: dict[str, int] = {}
        counts: dict[str, int] = {}
        areas: dict[str, float] = {}
        smallest: dict[str, float] = {}
        crowds: dict[str, None] = {}
        phrases: dict[int, None] = {}
        for region in record.regions:
            label, box = region.label, region.box
            if region.ignore:
                crowds[label] = None
                continue
            counts[label] = counts.get(label, 0) + (box is not None)
            if region.phrase:
                phrases[name_hash(region.phrase)] = None
            if box is None:
                areas[label], smallest[label] = areas.get(label, 0.0), smallest.get(label, 0.0)
                continue
            image = record.images[region.image]
            area = box.area / (image.width * image.height)
            areas[label] = max(areas.get(label, 0.0), area)
            smallest[label] = min(smallest.get(label) or area, area)
            if region.track is not None:
                seen[region.track] = seen.get(region.track, 0) + 1
        phrases.update((name_hash(text.text), None) for text in record.expressions)
        row = (
            record.key,
            record.shape,
            record.unit,
            record.license,
            list(counts),
            list(counts.values()),
            [areas[label] for label in counts],
            [smallest[label] for label in counts],
            list(crowds),
            list(record.exhaustive),
            list(record.absent),
            [expression.label or "" for expression in record.expressions],
            [len(expression.regions) for expression in record.expressions],
            list(phrases),
            [name_hash(name) for name in _names(record)],
            len(record.images),
            len(record.regions),
            len(seen),
            max(seen.values(), default=0),
            _encode(record),
        )
        for column, value in zip(self._columns.values(), row, strict=True):
            column.append(value)

    def table(self) -> pa.Table:
        """The rows so far."""
        return pa.table(self._columns, schema=RECORDS)

    def write(self, path: Path) -> None:
        """Write them as one Arrow IPC file."""
        table = self.table()
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, RECORDS) as writer:
            writer.write_table(table)


def _names(record: Record) -> dict[str, None]:
    """What its images are called wherever copies of them lie.

    A frame's number says nothing without its folder; a clip, or an image inside another file, is
    called by the end of its record's key. A photo of COCO's or Flickr's has the same number in
    every corpus that shows it.
    """
    own = record.key.rpartition("/")[2]
    if record.shape == "clip":
        return {own: None}
    names: dict[str, None] = {}
    for image in record.images:
        path, part, _ = image.uri.partition(":")[2].partition("#")
        *_, folder, file = ("", *path.split("/"))
        stem = file.rpartition(".")[0] or file
        if part:
            stem = own
        if folder and record.shape == "set":
            names[folder] = None
        if photo := _COCO_PHOTO.fullmatch(stem):
            stem = f"coco-{photo[1]}"
        names[f"{folder}/{stem}" if stem.isdigit() else stem] = None
    if _PHOTO_UNIT.fullmatch(record.unit):
        names[record.unit] = None
    return names


def read_table(path: Path) -> pa.Table:
    """A memory-mapped Arrow IPC table.

    Raises:
        StorageError: it is no such table, or of another row format.
    """
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise StorageError(f"{path.name} is not a whole record table: {error}") from error
    _check_format(table.schema, path.name)
    return table


def read_columns(path: Path) -> list[pa.Table]:
    """What an index holds of a record table, a table for each of its batches.

    Numbers and plain text are mapped. Each label is held once and named by a code: twenty of them
    a record would weigh ten times as much as text; they are read, not mapped, so that their text
    can be let go.

    Raises as `read_table` does.
    """
    try:
        mapped = pa.ipc.open_file(pa.memory_map(str(path)))
        _check_format(mapped.schema, path.name)
        texts = [i for i, field in enumerate(mapped.schema) if _is_texts(field.type)]
        options = pa.ipc.IpcReadOptions(included_fields=texts)
        read = pa.ipc.open_file(pa.OSFile(str(path)), options=options)
        return [
            _coded(mapped.get_batch(i), read.get_batch(i)) for i in range(mapped.num_record_batches)
        ]
    except (pa.ArrowInvalid, OSError) as error:
        raise StorageError(f"{path.name} is not a whole record table: {error}") from error


def _coded(batch: pa.RecordBatch, texts: pa.RecordBatch) -> pa.Table:
    names = [name for name in batch.schema.names if name != "record"]
    columns = dict(zip(names, (batch[name] for name in names), strict=True))
    for name in texts.schema.names:
        lists = texts[name]
        offsets = pc.subtract(lists.offsets, lists.offsets[0])
        columns[name] = pa.ListArray.from_arrays(offsets, lists.flatten().dictionary_encode())
    return pa.table(columns)


def _is_texts(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) and pa.types.is_string(kind.value_type)


class RecordTables:
    """All record tables of a run as one, by row number; mapped, not read."""

    def __init__(self, store: Store, paths: Sequence[str]) -> None:
        tables = [read_table(store.local(path)) for path in paths]
        self._columns = [table.column("record") for table in tables]
        self._keys = [table.column("key") for table in tables]
        self._starts = np.cumsum([0, *(len(column) for column in self._columns)]).tolist()
        self._kept: OrderedDict[int, Record] = OrderedDict()

    def record(self, row: int) -> Record:
        """The record in `row`; the last few are kept, as neighbours ask for the same one."""
        if row in self._kept:
            self._kept.move_to_end(row)
            return self._kept[row]
        table = bisect_right(self._starts, row) - 1
        record = _record(self._columns[table][row - self._starts[table]].as_buffer())
        self._kept[row] = record
        if len(self._kept) > 16:
            self._kept.popitem(last=False)
        return record

    def by_key(self, keys: Collection[str]) -> dict[str, Record]:
        """The records with these keys.

        Raises:
            StorageError: there is none with one of them.
        """
        wanted = pa.array(sorted(keys), pa.string())
        found: dict[str, Record] = {}
        for names, column in zip(self._keys, self._columns, strict=True):
            places = pc.indices_nonzero(pc.is_in(names, value_set=wanted)).to_pylist()
            found.update((names[at].as_py(), _record(column[at].as_buffer())) for at in places)
        if missing := set(keys) - found.keys():
            raise StorageError(f"there is no record {min(missing)} in the run's tables")
        return found


class SampleRows:
    """Columns of a sample table, filled row by row."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {name: [] for name in SAMPLES.names}

    def __len__(self) -> int:
        return len(self._columns["id"])

    def add(self, sample: Sample, group: int, row: int, occurrence: int) -> None:
        """Append one sample: made from group number `group`, whose first record is `row`."""
        images = sample.images
        values = (
            sample.id,
            group,
            row,
            images[0].uri,
            sample.records[0],
            occurrence,
            len(sample.turns),
            [image.uri for image in images],
            [picture_number(image.sha256) for image in images],
            [image.bytes for image in images],
            sample.license,
            _encode(sample),
        )
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def write(self, path: Path) -> None:
        """Write them as one Parquet file."""
        table = pa.table(self._columns, schema=SAMPLES)
        pq.write_table(table, path, compression="zstd", use_dictionary=_REPEATED)


def picture_number(sha256: str | None) -> int:
    """The first 63 bits of a digest: tells millions of pictures apart in an eighth of its room."""
    return int((sha256 or "0")[:16], 16) >> 1


def read_samples(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A sample table, whole or some columns of it; raises as `read_table`."""
    try:
        # A mapped file in one thread: a twentieth of the time of `read_table`, which loads the
        # dataset machinery and starts threads for a table of some megabytes.
        with pq.ParquetFile(path, memory_map=True) as file:
            table = file.read(list(columns) if columns else None, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise StorageError(f"{path.name} is not a whole sample table: {error}") from error
    _check_format(table.schema, path.name)
    return table


def decode_record(data: Any) -> Record:
    """A record from its JSON column; raises `msgspec.ValidationError` where it does not fit."""
    return _record(data)


def decode_sample(data: Any) -> Sample:
    """A sample from its JSON column; raises `msgspec.ValidationError` where it does not fit."""
    return _sample(data)


def write_ledger(path: Path, drops: Iterable[Drop]) -> None:
    """Write drops as one Parquet file."""
    rows = list(drops)
    columns = {name: [getattr(drop, name) for drop in rows] for name in LEDGER.names}
    pq.write_table(pa.table(columns, schema=LEDGER), path, compression="zstd")


def read_ledger(path: Path) -> list[Drop]:
    """The drops of one ledger file."""
    return [Drop(**row) for row in pq.read_table(path).to_pylist()]


def _check_format(schema: pa.Schema, name: str) -> None:
    found = (schema.metadata or {}).get(b"mgdata.row_format", b"none").decode()
    if found != str(ROW_FORMAT):
        raise StorageError(
            f"{name} has row format {found}, this mgdata reads {ROW_FORMAT}: use a fresh --out"
        )
