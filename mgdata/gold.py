"""What a release or a benchmark asks, with the right answers: the items to score against.

Each source lists its parts and reads one at a time. Of a release only the columns that say what is
asked are read, never an image. It knows no prediction and no notation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from mgdata.corpora.looked import Looked
from mgdata.corpora.mc_bench import McBench, groups
from mgdata.corpora.mig_bench import MigBench
from mgdata.data import Drop, Image, Record, Target, Turn
from mgdata.errors import Rejected, StorageError, UsageError
from mgdata.headers import Header
from mgdata.schema import nearest
from mgdata.storage import Store, filesystem
from mgdata.validity import box_fault

T = TypeVar("T")

BENCHMARKS = ("mig_bench", "mc_bench")
"""Corpora that can be scored against by name."""

_FILE = re.compile(r"data/[^/]+/([^/]+)-\d{5}-of-\d{5}\.parquet")
_COLUMNS = [
    "id",
    "task",
    "image_info.list.element.width",
    "image_info.list.element.height",
    "turns",
]
_SIDE = 1000
"""Sides of an image that is not there: shares of them mean the same in any size."""


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One question with its right answer."""

    id: str
    """As predictions name it."""
    number: int = 0
    """Which turn of its sample."""
    task: str
    """What its figures are put together by."""
    turn: Turn
    images: tuple[Image, ...]
    """Their sizes are what a notation needs."""
    groups: tuple[int, ...] | None = None
    """MC-Bench's group of each target; None for an item of anything else."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """An item whose right answer cannot be one: left out."""

    id: str
    reason: str


class Source(Protocol):
    """Where items come from."""

    def parts(self) -> list[str]:
        """What is read one at a time."""
        ...

    def items(self, part: str) -> Iterator[Item | Fault]:
        """The items of one part, in order."""
        ...


@dataclass(frozen=True, kw_only=True)
class Release:
    """The rows of a release: an item for each turn, tasks as its rows name them."""

    store: Store
    """Its folder, or its run's."""
    split: str | None = None
    """Only this split."""

    def parts(self) -> list[str]:
        """Its Parquet files.

        Raises:
            UsageError: there is no such file, or no such split.
        """
        found = {path: match[1] for path in self.store.walk() if (match := _FILE.fullmatch(path))}
        if not found:
            raise UsageError(f"{self.store.url} holds no release: expected data/*/*.parquet in it")
        chosen = [path for path, split in found.items() if self.split in (None, split)]
        if not chosen:
            near = nearest(str(self.split), sorted(set(found.values())))
            raise UsageError(f"--split {self.split}: the release has no such split{near}")
        return chosen

    def items(self, part: str) -> Iterator[Item | Fault]:
        """The turns of one file, row after row.

        Raises:
            UsageError: the file cannot be read as one of a release.
        """
        last = last_alone(part)
        return self.read(part, [*_COLUMNS, "form"], lambda table, _: _rows(table, last))

    def read(
        self, part: str, columns: list[str], made: Callable[[pa.Table, int], Iterator[T]]
    ) -> Iterator[T]:
        """What `made` makes of these columns of each row group of a file and its number.

        Raises:
            UsageError: the file cannot be read as one of a release.
        """
        try:
            with self.opened(part) as source:
                file = pq.ParquetFile(source)
                for group in range(file.metadata.num_row_groups):
                    yield from made(file.read_row_group(group, columns=columns), group)
        except (pa.ArrowException, KeyError, msgspec.ValidationError, OSError) as error:
            said = " ".join(str(error).split())[:200]
            raise UsageError(
                f"{self.store.url}/{part} is no file of a release: {said}: run mgdata check on it"
            ) from error

    def opened(self, part: str) -> AbstractContextManager[BinaryIO]:
        """A file to read and seek in."""
        if self.store.remote:
            return filesystem(self.store.url).open(f"{self.store.url}/{part}", "rb")
        return (Path(self.store.url) / part).open("rb")


def last_alone(part: str) -> bool:
    """Whether the rows of a released file each ask their last turn, and only tell those before."""
    return part.split("/")[1] in ("cot", "rl")


def _rows(table: pa.Table, last: bool) -> Iterator[Item | Fault]:
    sizes = table["image_info"].to_pylist()
    turns = msgspec.convert(table["turns"].to_pylist(), list[tuple[Turn, ...]])
    names = zip(table["id"].to_pylist(), table["task"].to_pylist(), strict=True)
    made: dict[tuple[tuple[int, int], ...], tuple[Image, ...]] = {}
    for (name, task), sides, asked in zip(names, sizes, turns, strict=True):
        key = tuple([(side["width"], side["height"]) for side in sides])
        if key not in made:
            made[key] = tuple(Image(uri="", width=w, height=h) for w, h in key)
        # A task may be called `cot`; only rows that a teacher had a part in have a form.
        first = len(asked) - 1 if last and "form" in table.column_names else 0
        for number, turn in enumerate(asked[first:], first):
            if fault := turn_fault(turn, made[key]):
                yield Fault(id=name, reason=fault)
            else:
                yield Item(id=name, number=number, task=task, turn=turn, images=made[key])


def turn_fault(turn: Turn, images: tuple[Image, ...]) -> str | None:
    """Why nothing can be scored against a turn's right answer; `mgdata check` says all else."""
    for target in turn.targets:
        if not 0 <= target.image < len(images):
            return "target in no image"
        if box_fault(target.box, images[target.image]):
            return "box that is none"
    return "no gold answer" if turn.kind != "boxes" and not turn.gold.strip() else None


@dataclass(frozen=True, kw_only=True)
class MigBenchItems:
    """MIG-Bench's items by their row, its ten tasks.

    As in its own evaluation a box that names no image is in the one that is asked for; one that
    names another is wrong here, where that script does not look. Its labels' faults are `Fault`s.
    """

    corpus: MigBench
    bare: bool = False
    """The copy has no images and their sizes do not matter: they pass for squares. Otherwise an
    item whose images are not there is left out."""

    def parts(self) -> list[str]:
        """Its annotation files."""
        return self._reader.parts()

    def items(self, part: str) -> Iterator[Item | Fault]:
        """The items of one file, in the order of its rows."""
        for found in self._reader.records(part):
            key = (found.key.partition("/")[2]).rpartition("/")
            if isinstance(found, Drop):
                _refuse_file(found, part)
                yield Fault(id=key[2], reason=found.reason)
            else:
                yield self._item(found, *key[::2])

    def _item(self, record: Record, task: str, row: str) -> Item:
        given = tuple(_target(r.image, r.box) for r in record.regions if r.ignore)
        (asked,) = (r for r in record.regions if not r.ignore)
        turn = Turn(
            question=asked.phrase or "",
            answer="<target:0>",
            regions=given,
            targets=(_target(asked.image, asked.box),),
            asked=(asked.image,),
        )
        return Item(id=row, task=task, turn=turn, images=record.images)

    @cached_property
    def _reader(self) -> MigBench:
        if self.bare:
            return _Sizeless(name=self.corpus.name, root=self.corpus.root)
        return self.corpus


@dataclass(frozen=True, kw_only=True)
class _Sizeless(MigBench):
    """Reads a copy without pixels: an image that is not there passes for a square."""

    def looked(self) -> Looked:
        """Headers of images that need not be there."""
        return _Squares(self.root)


class _Squares(Looked):
    """An image that is not there passes for a square."""

    def header(self, path: str) -> Header:
        """The header of one image; raises `Rejected` where it is there and cannot be read."""
        try:
            return super().header(path)
        except Rejected as error:
            if error.reason != "missing image":
                raise
            return Header(format="jpeg", width=_SIDE, height=_SIDE)


@dataclass(frozen=True, kw_only=True)
class McBenchItems:
    """MC-Bench's descriptions by their id, put together by the style of their text."""

    corpus: McBench
    styles: dict[str, str] = field(default_factory=dict[str, str])

    def parts(self) -> list[str]:
        """Its annotation files."""
        self.styles.update(self.corpus.styles())
        return self.corpus.parts()

    def items(self, part: str) -> Iterator[Item | Fault]:
        """The items of one file, in its order, which equal scores are ranked by."""
        for found in self.corpus.records(part):
            row = found.key.partition("/")[2]
            if isinstance(found, Drop):
                _refuse_file(found, part)
                if not found.reason.endswith("of no item"):
                    yield Fault(id=row, reason=found.reason)
                continue
            (expression,) = found.expressions
            regions = [found.regions[i] for i in expression.regions]
            targets = tuple(_target(r.image, r.box) for r in regions)
            # No answer is given there; this one is what any notation can write and read back.
            told = [f"Image-{t.image + 1}: <target:{i}>" for i, t in enumerate(targets)]
            answer = "\n".join(told) or "There is none."
            turn = Turn(question=expression.text, answer=answer, targets=targets)
            task = self.styles.get(found.key, "unknown")
            yield Item(id=row, task=task, turn=turn, images=found.images, groups=groups(found))


def _target(image: int, box: Any) -> Target:
    return Target(image=image, box=box)


def _refuse_file(drop: Drop, part: str) -> None:
    """End where a whole file is unfit: nothing could be scored against it.

    Raises:
        StorageError: the drop is the file's own.
    """
    if drop.key.endswith(part):
        value = f": {drop.value}" if drop.value else ""
        raise StorageError(f"{part} cannot be read: {drop.reason}{value}")
