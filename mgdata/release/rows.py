"""The release row: its fields, its two explicit Arrow schemas, and how row groups are written.

A plain row is a sample; a lesson row also says what a teacher had to do with it.

Each distinct image is stored once a row group, as a dictionary column (docs/decisions/0003). The
file keeps no Arrow schema, whose dictionary type would hide the `Image` feature; the
`huggingface` key of the metadata names the features instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mgdata.data import ROW_FORMAT, Flow, Kind, PromptKind


class Picture(Flow, frozen=True, kw_only=True):
    """One encoded image, as the `datasets` Image feature stores it."""

    data: bytes = msgspec.field(name="bytes")
    """The encoded file."""
    path: str
    """A stable name: sixteen hex digits of the content and the format's ending."""


class ImageInfo(Flow, frozen=True, kw_only=True):
    """What is known of one image of a row."""

    uri: str
    """Where it comes from: `<corpus>:<path>`."""
    frame: int | None
    """Frame number in its clip."""
    view: str | None
    """Camera."""
    width: int
    """Pixels, as decoded."""
    height: int
    """Pixels, as decoded."""
    sha256: str
    """Of the bytes in this row."""


class RowTarget(Flow, frozen=True, kw_only=True):
    """A box in one image."""

    image: int
    """Index into `images`."""
    box: tuple[float, float, float, float]
    """x1, y1, x2, y2 in pixels; right and bottom exclusive."""
    phrase: str | None
    """What it shows."""


class RowTurn(Flow, frozen=True, kw_only=True):
    """One question and answer, boxes apart from the text."""

    question: str
    """With `<image:i>` and `<region:i>` placeholders."""
    answer: str
    """With `<target:i>` placeholders."""
    kind: Kind
    """boxes, text, choice, order or count."""
    regions: tuple[RowTarget, ...]
    """Boxes given in the question."""
    targets: tuple[RowTarget, ...]
    """Boxes asked for."""
    asked: tuple[int, ...]
    """Images asked about; empty means all."""
    options: tuple[str, ...]
    """What a choice offers."""
    gold: str
    """The right answer of a turn that asks for no boxes."""


class Message(Flow, frozen=True, kw_only=True):
    """One message in the release's notation."""

    role: str
    """user or assistant."""
    content: str
    """Text with one `<image>` for each image."""


class Row(Flow, frozen=True, kw_only=True):
    """One row of a release."""

    id: str
    """Sixteen hex digits, unique in the release's configuration."""
    task: str
    """The recipe's task."""
    association: str
    """referential, semantic, temporal or spatial."""
    split: str
    """The split it belongs to."""
    images: tuple[Picture, ...]
    """Encoded images, in the order of the `<image>` slots."""
    image_info: tuple[ImageInfo, ...]
    """What is known of each image."""
    turns: tuple[RowTurn, ...]
    """The conversation, boxes in pixels."""
    messages: tuple[Message, ...]
    """The conversation, boxes written in the notation."""
    notation: str
    """Name of the notation."""
    frame: str
    """Coordinate frame of the notation."""
    records: tuple[str, ...]
    """Keys of the records it was made from."""
    license: str
    """Licences of those records."""
    order: int
    """Sorting by it shuffles the split; in file order neighbours share images."""


class LessonRow(Row, frozen=True, kw_only=True):
    """One row of a release that a teacher had a part in."""

    source: str
    """Id of the sample it was made from; rows of one source show the same images."""
    form: Literal["direct", "reason"]
    """The last answer is bare, or `<think>..</think><answer>..</answer>`."""
    instruction: str
    """What the last question ends with, on a line of its own; often empty."""
    reasoning: str
    """What stands before the last answer; empty where none is published."""
    ground_truth: str
    """JSON that rewards judge an answer to the last question by: `teacher.truth`."""
    pass_rate: float | None
    """Share of a model's answers that were right, 0 to 1; null where none was asked for."""
    answers: int
    """Answers that it is a share of."""
    kind: PromptKind | Literal[""]
    """Kind of the prompt that the teacher was asked with; empty: it was not."""
    model: str
    """The teacher: backend, model and revision; empty where it was not asked."""
    words: str
    """Digest of the text that its prompt was made from; likewise."""
    iou: float | None
    """Mean IoU of the teacher's own boxes; those of the row are the annotation's."""


_TARGETS = pa.list_(
    pa.struct(
        [
            pa.field("image", pa.int32()),
            pa.field("box", pa.list_(pa.float64())),
            pa.field("phrase", pa.string()),
        ]
    )
)
_IMAGES = pa.list_(
    pa.struct(
        [
            pa.field("bytes", pa.dictionary(pa.int32(), pa.binary())),
            pa.field("path", pa.dictionary(pa.int32(), pa.string())),
        ]
    )
)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("task", pa.string()),
        ("association", pa.string()),
        ("split", pa.string()),
        ("images", _IMAGES),
        (
            "image_info",
            pa.list_(
                pa.struct(
                    [
                        ("uri", pa.string()),
                        ("frame", pa.int64()),
                        ("view", pa.string()),
                        ("width", pa.int32()),
                        ("height", pa.int32()),
                        ("sha256", pa.string()),
                    ]
                )
            ),
        ),
        (
            "turns",
            pa.list_(
                pa.struct(
                    [
                        ("question", pa.string()),
                        ("answer", pa.string()),
                        ("kind", pa.string()),
                        ("regions", _TARGETS),
                        ("targets", _TARGETS),
                        ("asked", pa.list_(pa.int32())),
                        ("options", pa.list_(pa.string())),
                        ("gold", pa.string()),
                    ]
                )
            ),
        ),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("notation", pa.string()),
        ("frame", pa.string()),
        ("records", pa.list_(pa.string())),
        ("license", pa.string()),
        ("order", pa.int64()),
    ]
)
"""Columns of a release file. Equal in every file: mixed nullability breaks the Hub's viewer."""

LESSON_SCHEMA = pa.schema(
    [
        *SCHEMA,
        ("source", pa.string()),
        ("form", pa.string()),
        ("instruction", pa.string()),
        ("reasoning", pa.string()),
        ("ground_truth", pa.string()),
        ("pass_rate", pa.float64()),
        ("answers", pa.int32()),
        ("kind", pa.string()),
        ("model", pa.string()),
        ("words", pa.string()),
        ("iou", pa.float64()),
    ]
)
"""Columns of a file of lessons. Equal in all configurations, so that they can be joined."""

ROWS: tuple[tuple[pa.Schema, type[Row]], ...] = ((SCHEMA, Row), (LESSON_SCHEMA, LessonRow))
"""What a file of a release may hold. All files of one configuration hold the same."""


def features(schema: pa.Schema = SCHEMA) -> dict[str, Any]:
    """The `datasets` features of a schema, as its metadata key wants them."""
    return {
        field.name: {"feature": {"_type": "Image"}, "_type": "List"}
        if field.name == "images"
        else _feature(field.type)
        for field in schema
    }


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    dtype = {"double": "float64"}.get(str(kind), str(kind))
    return {"dtype": dtype, "_type": "Value"}


def writer_settings(schema: pa.Schema = SCHEMA) -> dict[str, Any]:
    """How `pyarrow.parquet.ParquetWriter` writes a release file; plain values."""
    leaves = [leaf for field in schema for leaf in _leaves(field.type, field.name)]
    return {
        # Images are compressed already; zstd on them costs time and saves nothing.
        "compression": {leaf: "none" if leaf.startswith("images.") else "zstd" for leaf in leaves},
        "use_dictionary": [leaf for leaf in leaves if _repeats(leaf)],
        "dictionary_pagesize_limit": 1 << 30,
        "write_page_index": True,
        "use_content_defined_chunking": True,
        "store_schema": False,
        # Statistics of image bytes would write two whole images into every chunk's header.
        "write_statistics": [name for name in _COMPARED if name in schema.names],
    }


_COMPARED = ("id", "task", "split", "order", "license", "pass_rate")


class RowGroups:
    """Writes row groups into one release file. Use as a context manager."""

    def __init__(self, path: Path, schema: pa.Schema = SCHEMA) -> None:
        self._schema = schema
        self._rest = pa.schema([field for field in schema if field.name != "images"])
        self._writer = pq.ParquetWriter(path, schema, **writer_settings(schema))

    def __enter__(self) -> RowGroups:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            info = {"info": {"features": features(self._schema)}}
            self._writer.add_key_value_metadata(
                {"huggingface": json.dumps(info), "mgdata.row_format": str(ROW_FORMAT)}
            )
        self._writer.close()

    def write(self, rows: Sequence[dict[str, Any]], pictures: Pictures) -> None:
        """One row group.

        `rows` hold every column but `images`; in its place `paths`, names of `pictures`, of which
        the first use each, in order, must be the first ones that were added.
        """
        table = pa.Table.from_pylist(list(rows), schema=self._rest)
        numbers, ends = list[int](), [0]
        for row in rows:
            numbers += map(pictures.number, row["paths"])
            ends.append(len(numbers))
        data, names = pictures.arrays(max(numbers, default=-1) + 1)
        codes = pa.array(numbers, pa.int32())
        images = pa.StructArray.from_arrays(
            [
                pa.DictionaryArray.from_arrays(codes, data),
                pa.DictionaryArray.from_arrays(codes, names),
            ],
            fields=list(_IMAGES.value_type),
        )
        column = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), images)
        at = self._schema.get_field_index("images")
        table = table.add_column(at, self._schema.field("images"), column)
        self._writer.write_table(table, row_group_size=len(rows))


class Pictures:
    """The distinct images of the rows that wait for their row group, numbered as they are added.

    Their bytes lie end to end in one piece of memory that is used again and again: fresh memory
    for every image costs more than all copying, a page fault each 4 KiB.
    """

    def __init__(self, room: int = 1 << 20) -> None:
        self._memory: np.ndarray[Any, np.dtype[np.uint8]] = np.empty(room, np.uint8)
        self._ends = [0]
        self._numbers: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._numbers

    def number(self, name: str) -> int:
        """The place of an image among those added."""
        return self._numbers[name]

    def size(self, name: str) -> int:
        """Bytes of one image."""
        number = self._numbers[name]
        return self._ends[number + 1] - self._ends[number]

    def room(self, size: int) -> memoryview:
        """Memory for `size` bytes after the last image: read into it, then `take` it."""
        start, end = self._ends[-1], self._ends[-1] + size
        if end > len(self._memory):
            larger = np.empty(2 * end, np.uint8)
            larger[:start] = self._memory[:start]
            self._memory = larger
        return self._memory.data[start:end]

    def take(self, name: str, size: int) -> None:
        """Make the first `size` bytes of the room an image; none of that name may be there."""
        self._numbers[name] = len(self._ends) - 1
        self._ends.append(self._ends[-1] + size)

    def add(self, name: str, data: bytes) -> None:
        """Append an image whose bytes lie elsewhere."""
        self.room(len(data))[:] = data
        self.take(name, len(data))

    def keep(self, names: Iterable[str]) -> None:
        """Forget all but `names`, which are numbered anew in this order."""
        kept = {name: self._data(name).tobytes() for name in names}
        self._ends, self._numbers = [0], {}
        for name, data in kept.items():
            self.add(name, data)

    def arrays(self, n: int) -> tuple[pa.Array, pa.Array]:
        """Bytes and names of the first `n`; the bytes are a view until the next `add` or `keep`."""
        ends = pa.py_buffer(np.array(self._ends[: n + 1], np.int32))
        data = pa.Array.from_buffers(pa.binary(), n, [None, ends, pa.py_buffer(self._memory)])
        return data, pa.array(list(self._numbers)[:n], pa.string())

    def _data(self, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        number = self._numbers[name]
        return self._memory[self._ends[number] : self._ends[number + 1]]


def _leaves(kind: pa.DataType, path: str) -> list[str]:
    """Dotted paths of a column's Parquet leaves."""
    if pa.types.is_list(kind):
        return _leaves(kind.value_type, f"{path}.list.element")
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in _leaves(field.type, f"{path}.{field.name}")]
    return [path]


def _repeats(leaf: str) -> bool:
    """Whether a leaf's values repeat, so that a dictionary pays."""
    text = ("content", "question", "answer", "reasoning", "ground_truth")
    return not leaf.endswith(("id", "order", *text, "source", "box.list.element"))


def encoded(row: Row) -> bytes:
    """A row as JSON, image bytes as base64: what `row` and `lesson_row.schema.json` describe."""
    return msgspec.json.encode(row)
