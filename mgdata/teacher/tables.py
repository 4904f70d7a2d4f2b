"""A teacher's tables: answers, traces and lessons as Parquet, each whole as JSON too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from mgdata.data import Answer, Lesson, Trace
from mgdata.tables import META, picture_number, read_samples

_ASKED = [
    ("sample", pa.string()),
    ("turn", pa.int32()),
    ("kind", pa.string()),
    ("number", pa.int32()),
]
ANSWERS = pa.schema([*_ASKED, ("finish", pa.string()), ("answer", pa.binary())], metadata=META)
TRACES = pa.schema(
    [*_ASKED, ("accepted", pa.bool_()), ("reason", pa.string()), ("trace", pa.binary())],
    metadata=META,
)
LESSONS = pa.schema(
    [
        ("id", pa.string()),
        ("config", pa.string()),
        ("source", pa.string()),
        ("row", pa.int64()),
        ("uri", pa.string()),
        ("pictures", pa.list_(pa.int64())),
        ("bytes", pa.list_(pa.int64())),
        ("lesson", pa.binary()),
    ],
    metadata=META,
)
"""Beside the lesson what a release is planned by; `row` and `uri` as in the table of samples."""

_encode = msgspec.json.Encoder().encode
_answer = msgspec.json.Decoder(Answer).decode
decode_trace = msgspec.json.Decoder(Trace).decode
"""A trace from its JSON column; raises as `decode_lesson`."""
decode_lesson = msgspec.json.Decoder(Lesson).decode
"""A lesson from its JSON column; raises `msgspec.ValidationError` where it does not fit."""


def write_answers(path: Path, answers: Sequence[Answer]) -> None:
    """Write answers as one Parquet file."""
    columns: dict[str, list[Any]] = {
        **{name: [getattr(a, name) for a in answers] for name, _ in _ASKED},
        "finish": [answer.reply.finish for answer in answers],
        "answer": [_encode(answer) for answer in answers],
    }
    pq.write_table(pa.table(columns, schema=ANSWERS), path, compression="zstd")


def read_answers(path: Path) -> list[Answer]:
    """The answers of one file, in order; raises as `mgdata.tables.read_samples`."""
    return [_answer(row.as_buffer()) for row in read_samples(path, ["answer"]).column("answer")]


def write_traces(path: Path, traces: Sequence[Trace]) -> None:
    """Write traces as one Parquet file."""
    columns: dict[str, list[Any]] = {
        **{name: [getattr(t.answer, name) for t in traces] for name, _ in _ASKED},
        **{name: [getattr(t, name) for t in traces] for name in ("accepted", "reason")},
        "trace": [_encode(trace) for trace in traces],
    }
    pq.write_table(pa.table(columns, schema=TRACES), path, compression="zstd")


def read_traces(path: Path) -> list[Trace]:
    """The traces of one file, in order; raises as `mgdata.tables.read_samples`."""
    return [decode_trace(row.as_buffer()) for row in read_samples(path, ["trace"]).column("trace")]


def write_lessons(path: Path, lessons: Sequence[tuple[int, Lesson]]) -> None:
    """Write lessons as one Parquet file, each with the `row` of its sample's first record."""
    columns: dict[str, list[Any]] = {
        **{name: [getattr(x, name) for _, x in lessons] for name in ("id", "config", "source")},
        "row": [row for row, _ in lessons],
        "uri": [lesson.sample.images[0].uri for _, lesson in lessons],
        "pictures": [[picture_number(i.sha256) for i in x.sample.images] for _, x in lessons],
        "bytes": [[image.bytes for image in x.sample.images] for _, x in lessons],
        "lesson": [_encode(lesson) for _, lesson in lessons],
    }
    pq.write_table(pa.table(columns, schema=LESSONS), path, compression="zstd")


def read_lessons(path: Path) -> list[Lesson]:
    """The lessons of one file, in order; raises as `mgdata.tables.read_samples`."""
    return [decode_lesson(x.as_buffer()) for x in read_samples(path, ["lesson"]).column("lesson")]
