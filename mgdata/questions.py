"""What a release or a benchmark shows a model: its items as samples with their pictures.

`gold` says what is right; here is what is asked, with everything that a prompt is made of. Pictures
go by the SHA-256 of their bytes, which are fetched when somebody wants them: of a release a row
group at a time, of a benchmark a file at a time. Knows no prompt, no model and no score.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from mgdata import media
from mgdata.data import Association, Edit, Image, Sample, Turn
from mgdata.edits import Codec, render
from mgdata.errors import EnvironmentFailure, Rejected, StorageError
from mgdata.gold import (
    Fault,
    Item,
    McBenchItems,
    MigBenchItems,
    Release,
    Source,
    last_alone,
    turn_fault,
)
from mgdata.remembered import REMEMBERED, Remembered
from mgdata.teacher.quoting import plain

_BYTES = "images.list.element.bytes"
_NAME = "image_info.list.element.sha256"
_COLUMNS = ["id", "task", "association", "split", "image_info", "turns", "records", "license"]
_ABOUT: dict[str, Association] = {
    "common_object": "semantic",
    "correspondence": "semantic",
    "diff": "temporal",
    "multi_view": "spatial",
    "object_tracking": "temporal",
    "reasoning": "semantic",
    "view_diff": "temporal",
}
"""How the images of MIG-Bench's tasks hang together; those of the others by what is referred to."""
_BOX = re.compile(r"<\|box_start\|>[^<]*<\|box_end\|>")
_REFERENCE = re.compile(r"<\|object_ref_(?:start|end)\|>")
_REFERRING = 'Find everything in these images that this text refers to: "{text}"'


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One item as it is asked: a turn of a sample."""

    sample: Sample
    """Its id is the item's. Holds the right answer: a prompt must not."""
    turn: int
    """Which of its turns."""
    pictures: tuple[str, ...]
    """SHA-256 of the encoded bytes of each image, in order."""


class Questions(Protocol):
    """Where questions and their pictures come from."""

    def questions(self, part: str) -> Iterator[Question | Fault]:
        """Those of one of the source's parts, in the order of its items. One thread at a time."""
        ...

    def picture(self, name: str) -> bytes:
        """The bytes of a picture of a question that was given; from any thread."""
        ...


def questions_of(source: Source) -> Questions:
    """What the items of a source ask."""
    if isinstance(source, MigBenchItems | McBenchItems):
        return _OfBenchmark(source)
    assert isinstance(source, Release)
    return _OfRelease(source)


class _Row(msgspec.Struct):
    """The columns of a release's row that a prompt needs."""

    id: str
    task: str
    association: Association
    split: str
    image_info: list[_Info]
    turns: tuple[Turn, ...]
    records: tuple[str, ...]
    license: str


class _Info(msgspec.Struct):
    uri: str
    width: int
    height: int
    sha256: str
    frame: int | None = None
    view: str | None = None

    def image(self) -> Image:
        return Image(
            uri=self.uri,
            width=self.width,
            height=self.height,
            frame=self.frame,
            view=self.view,
            sha256=self.sha256,
        )


_Place = tuple[str, int]
"""A file of a release, and a row group of it."""
_Cell = tuple[Any, int]
"""A column of bytes, and a row of it."""


class _OfRelease:
    """A release's rows; of pictures it keeps the row groups that were last looked into."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._groups: OrderedDict[_Place, tuple[dict[str, _Cell], int]] = OrderedDict()

    def questions(self, part: str) -> Iterator[Question | Fault]:
        """Its turns, row after row."""
        columns = [*_COLUMNS, "form"]
        return self._release.read(part, columns, lambda table, at: self._rows(table, (part, at)))

    def _rows(self, table: pa.Table, place: _Place) -> Iterator[Question | Fault]:
        for row in msgspec.convert(table.to_pylist(), list[_Row]):
            names = tuple(info.sha256 for info in row.image_info)
            sample = Sample(
                id=row.id,
                task=row.task,
                association=row.association,
                split=row.split,
                images=tuple(info.image() for info in row.image_info),
                turns=row.turns,
                records=row.records,
                license=row.license,
            )
            with self._lock:
                self._places |= dict.fromkeys(names, place)
            taught = "form" in table.column_names and last_alone(place[0])
            first = len(row.turns) - 1 if taught else 0
            for number, turn in enumerate(row.turns[first:], first):
                if fault := turn_fault(turn, sample.images):
                    yield Fault(id=row.id, reason=fault)
                else:
                    yield Question(sample=sample, turn=number, pictures=names)

    def picture(self, name: str) -> bytes:
        """A picture, from the row group that it was last seen in: files are read forward.

        Raises:
            EnvironmentFailure: the file does not hold it.
        """
        with self._lock:
            place = self._places[name]
            column, row = self._group(place).get(name, (None, 0))
        data = None if column is None else column[row].as_py()
        if data is None or hashlib.sha256(data).hexdigest() != name:
            raise EnvironmentFailure(
                f"{self._release.store.url}/{place[0]} does not hold the image that its image_info "
                f"names, {name[:16]}: run mgdata check on it"
            )
        return data

    def _group(self, place: _Place) -> dict[str, _Cell]:
        if place not in self._groups:
            self._groups[place] = self._read(*place)
            while len(self._groups) > 2 and self._size() > REMEMBERED:
                self._groups.popitem(last=False)
        self._groups.move_to_end(place)
        return self._groups[place][0]

    def _size(self) -> int:
        return sum(size for _, size in self._groups.values())

    def _read(self, part: str, group: int) -> tuple[dict[str, _Cell], int]:
        """Where each picture of a row group is, and the bytes of all, each held once."""
        found: dict[str, _Cell] = {}
        size = 0
        try:
            with self._release.opened(part) as source:
                file = pq.ParquetFile(source, read_dictionary=[_BYTES])
                table = file.read_row_group(group, columns=[_BYTES, _NAME])
        except (pa.ArrowException, OSError) as error:
            said = " ".join(str(error).split())[:200]
            raise EnvironmentFailure(
                f"{self._release.store.url}/{part} cannot be read: {said}"
            ) from error
        for batch in table.to_batches():
            names = batch.column("image_info").flatten().field("sha256").to_pylist()
            column: Any = batch.column("images").flatten().field("bytes")
            rows: Sequence[int] = range(len(column))
            if pa.types.is_dictionary(column.type):
                rows, column = column.indices.to_pylist(), column.dictionary
            size += column.nbytes
            for name, row in zip(names, rows, strict=True):
                found.setdefault(name, (column, row))
        return found, size


class _OfBenchmark:
    """A benchmark's items; a picture is its file's bytes, turned upright where EXIF says so."""

    def __init__(self, source: MigBenchItems | McBenchItems) -> None:
        self._source = source
        self._pictures = Remembered(self._bytes, "run the same command again")

    def questions(self, part: str) -> Iterator[Question | Fault]:
        """Its items; one with an image that cannot be read is a fault."""
        asked = _mig_asked if isinstance(self._source, MigBenchItems) else _mc_asked
        for item in self._source.items(part):
            if isinstance(item, Fault):
                yield item
                continue
            try:
                names = tuple(self._pictures.names(item.images))
            except Rejected as error:
                yield Fault(id=item.id, reason=error.reason)
            except StorageError:
                yield Fault(id=item.id, reason="unreadable image")
            else:
                yield Question(sample=self._sample(item, asked), turn=0, pictures=names)

    def _sample(self, item: Item, asked: Callable[[Item], str]) -> Sample:
        corpus = self._source.corpus
        return Sample(
            id=item.id,
            task=item.task,
            association=_ABOUT.get(item.task, "referential"),
            split="test",
            images=item.images,
            turns=(msgspec.structs.replace(item.turn, question=asked(item)),),
            records=(f"{corpus.name}/{item.id}",),
            license=corpus.license,
        )

    def picture(self, name: str) -> bytes:
        """A picture, read again where it is not remembered; raises as `Remembered`."""
        return self._pictures(name)

    def _bytes(self, image: Image) -> bytes:
        data = media.read(self._source.corpus.root, image.uri.partition(":")[2])
        if image.orientation == 1:
            return data
        # Boxes are in upright pixels, and not every model server looks at EXIF.
        turned = msgspec.structs.replace(image, edits=(Edit(kind="upright"),))
        return render(data, turned, Codec())


def _mig_asked(item: Item) -> str:
    """MIG-Bench's question, without the tokens of one model family.

    A box that it gives becomes a placeholder, so that it is written in the notation of the answer;
    the words stay as they are.
    """
    text = _REFERENCE.sub("", item.turn.question).strip()
    if not item.turn.regions:
        return plain(text)
    before, *after = _BOX.split(text, maxsplit=1)
    return "<region:0>".join([plain(before), *map(plain, after)])


def _mc_asked(item: Item) -> str:
    """MC-Bench's text, which is a description and no question, in a question of ours."""
    return _REFERRING.format(text=plain(item.turn.question))
