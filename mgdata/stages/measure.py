"""Measuring: of every record before choosing, and of every chosen image before it is published.

Images are measured inside the build shard that first needs them (docs/decisions/0002): what is
chosen is known only there, and neighbours share images, so each is read once.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import msgspec
import pyarrow as pa

from mgdata import media
from mgdata.data import Drop, Edit, Image, Record, Scalar
from mgdata.engine.stage import Worker
from mgdata.errors import PluginError, Rejected, StorageError, boundary
from mgdata.manifest import Entry, Shard
from mgdata.plugins import Fact, Measure, MeasureMany
from mgdata.stages.finish import Finish
from mgdata.stages.unfit import UNFIT, unfit
from mgdata.storage import Root, Store
from mgdata.tables import RECORDS, RecordTables

_TAKEN = {*RECORDS.names, "corpus", "fit"}
"""Columns that a record measure may not add."""
_KEPT = 16_384
"""Images a worker remembers; about 4 MB."""
AT_ONCE = 256
"""Records that a measure is given at once."""
F = TypeVar("F", Scalar, Fact)
Unfit = Rejected | StorageError | PluginError


class Measurer:
    """Measures stored images, each once while it is remembered."""

    def __init__(self, roots: Mapping[str, Root], measures: Mapping[str, Measure]) -> None:
        self._roots = roots
        self._measures = {n: m for n, m in measures.items() if m.keyed == "image"}
        self._known: OrderedDict[str, tuple[Image | Drop, tuple[str, ...]]] = OrderedDict()
        self._used: set[str] = set()
        self.counts: Counter[str] = Counter()

    def begin(self) -> None:
        """Start a shard: `counts` then depend on its images, not on what is remembered."""
        self._used.clear()
        self.counts.clear()

    def __call__(self, image: Image) -> Image | Drop:
        """The image with what was measured and the edits its pixels need, or why it is unfit."""
        if image.uri not in self._known:
            bare = msgspec.structs.replace(image, edits=()) if image.edits else image
            self._known[image.uri] = self._measure(bare)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        known, notes = self._known[image.uri]
        if image.uri not in self._used:
            self._used.add(image.uri)
            self.counts.update(notes)
        if isinstance(known, Drop) or not image.edits:
            return known
        return msgspec.structs.replace(known, edits=(*known.edits, *image.edits), width=image.width,
                                       height=image.height)  # fmt: skip

    def _measure(self, image: Image) -> tuple[Image | Drop, tuple[str, ...]]:
        """What was measured, and what of it is counted."""
        corpus, _, path = image.uri.partition(":")
        facts: dict[str, Scalar] = {}
        try:
            data = media.read(self._roots[corpus], path)
            for name, measure in self._measures.items():
                with boundary(f"measure {name}", image.uri):
                    facts.update(_plain(measure.image(image, data)))
        except UNFIT as error:
            return unfit(image.uri, "measure", error), ()
        edits, notes = list[Edit](), ["images measured"]
        if image.orientation != 1:
            edits.append(Edit(kind="upright"))
            notes.append("turned upright")
        # What a video's frame comes as is no file to publish: a PNG ten times a JPEG's size.
        if why := facts.pop("convert", None) or ("video frame" if media.is_frame(path) else None):
            edits.append(Edit(kind="convert"))
            notes.append(f"converted: {why}")
        own = {name: facts.pop(name) for name in ("sha256", "format") if name in facts}
        facts.pop("bytes", None)
        facts.pop("orientation", None)
        measured = msgspec.structs.replace(
            image, bytes=len(data), edits=tuple(edits), facts=facts, **own
        )
        return measured, tuple(notes)


@dataclass(frozen=True, kw_only=True)
class MeasureRecords:
    """Record measures over whole record tables: columns of the index, row for row.

    A shard's payload is `{"corpus": name, "records": path, "rows": n}`. A record that a measure
    rejects keeps its row; its `fit` column is False.
    """

    out: str
    measures: dict[str, Measure]
    roots: dict[str, Root] = field(default_factory=dict[str, Root])
    """Where the corpora lie, for measures that look at pixels."""
    name: str = "measure"

    @property
    def gpus(self) -> float:
        """GPUs a worker, which its measures share."""
        return max((measure.gpus for measure in self.measures.values()), default=0.0)

    @property
    def most_workers(self) -> int | None:
        """Most workers at once."""
        stated = [measure.most_workers for measure in self.measures.values()]
        return min((most for most in stated if most is not None), default=None)

    def open(self) -> Worker:
        """The worker: a for-loop over shards, its measures open all the while."""
        return self._work

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        store = Store(self.out)
        with _opened(self.measures, self.roots) as measures:
            for shard in shards:
                finish = Finish(store, shard)
                tables = RecordTables(store, [shard.payload["records"]])
                records = (tables.record(row) for row in range(shard.payload["rows"]))
                table, drops = _table(measures, records)

                def write(path: Path, table: pa.Table = table) -> None:
                    with pa.ipc.new_file(str(path), table.schema) as writer:
                        writer.write_table(table)

                finish.table(f"facts/{shard.payload['corpus']}", ".arrow", write)
                yield finish.entry(table.num_rows - len(drops), Counter(), drops)


def record_facts(
    measures: Mapping[str, Measure],
    records: Iterable[Record],
    roots: Mapping[str, Root] = MappingProxyType({}),
) -> tuple[pa.Table, list[Drop]]:
    """What the measures of records say: a row a record, and a drop for each that is unfit.

    An unfit record keeps its row; its column `fit` is False, the others may be empty. `roots` are
    those of the corpora, for measures that look at pixels.
    """
    with _opened(measures, roots) as opened:
        return _table(opened, records)


@contextmanager
def _opened(
    measures: Mapping[str, Measure], roots: Mapping[str, Root]
) -> Generator[dict[str, MeasureMany]]:
    def read(image: Image) -> bytes:
        corpus, _, path = image.uri.partition(":")
        return media.read(roots[corpus], path)

    with ExitStack() as stack:
        opened: dict[str, MeasureMany] = {}
        for name, measure in measures.items():
            with boundary(f"measure {name}", "its start"):
                opened[name] = stack.enter_context(measure.open(read))
        yield opened


def _table(
    measures: Mapping[str, MeasureMany], records: Iterable[Record]
) -> tuple[pa.Table, list[Drop]]:
    drops: list[Drop] = []
    rows: list[dict[str, Fact]] = []
    source = iter(records)
    while some := list(islice(source, AT_ONCE)):
        rows += _rows(measures, some, drops)
    names = dict.fromkeys(name for row in rows for name in row)
    with boundary(f"measures {', '.join(measures)}", "their columns"):
        return pa.table({name: [row.get(name) for row in rows] for name in names}), drops


def _rows(
    measures: Mapping[str, MeasureMany], records: Sequence[Record], drops: list[Drop]
) -> list[dict[str, Fact]]:
    """A row a record; what one measure rejects no further one is asked about."""
    rows: list[dict[str, Fact]] = [{} for _ in records]
    lost: dict[int, Drop] = {}
    for name, measure in measures.items():
        fit = [place for place in range(len(records)) if place not in lost]
        found = _measured(name, measure, [records[place] for place in fit])
        for place, facts in zip(fit, found, strict=True):
            if isinstance(facts, Unfit):
                lost[place] = unfit(records[place].key, "measure", facts)
            else:
                rows[place].update(facts)
    drops += [lost[place] for place in sorted(lost)]
    return [{**row, "fit": place not in lost} for place, row in enumerate(rows)]


def _measured(
    name: str, measure: MeasureMany, records: Sequence[Record]
) -> list[Mapping[str, Fact] | Unfit]:
    """Facts of each record, or why it has none; what breaks on many is asked of each alone."""
    if not records:
        return []
    try:
        with boundary(f"measure {name}", records[0].key):
            found = list(measure(records))
            if len(found) != len(records):
                raise ValueError(f"gave facts of {len(found)} records for {len(records)}")
    except UNFIT as error:
        if len(records) == 1:
            return [error]
        return [facts for one in records for facts in _measured(name, measure, [one])]
    return [_checked(name, one, facts) for one, facts in zip(records, found, strict=True)]


def _checked(
    name: str, record: Record, facts: Mapping[str, Fact] | Unfit
) -> Mapping[str, Fact] | Unfit:
    if isinstance(facts, Unfit):
        return facts
    try:
        with boundary(f"measure {name}", record.key):
            if taken := _TAKEN & facts.keys():
                raise ValueError(f"{min(taken)} is a column of every index: rename it")
            return _plain(facts, bytes)
    except PluginError as error:
        return error


def _plain(facts: Mapping[str, F], *more: type) -> Mapping[str, F]:
    """The facts, if they are what tables and JSON hold; numpy's scalars are not."""
    for name, value in facts.items():
        if type(value) not in (str, int, float, bool, type(None), *more):
            raise TypeError(f"fact {name} is a {type(value).__name__}, no plain scalar")
    return facts
