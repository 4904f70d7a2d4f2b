"""Measuring: of every record before choosing, and of every chosen image before it is published.

Images are measured inside the build shard that first needs them (docs/decisions/0002): what is
chosen is known only there, and neighbours share images, so each is read once.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa

from mgdata import media
from mgdata.data import Drop, Edit, Image, Record, Scalar
from mgdata.engine.stage import Worker
from mgdata.errors import boundary
from mgdata.manifest import Entry, Shard
from mgdata.plugins import Measure
from mgdata.stages.finish import Finish
from mgdata.stages.unfit import UNFIT, unfit
from mgdata.storage import Root, Store
from mgdata.tables import RECORDS, RecordTables

_TAKEN = {*RECORDS.names, "corpus", "fit"}
"""Columns that a record measure may not add."""
_KEPT = 16_384
"""Images a worker remembers; about 4 MB."""


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
    name: str = "measure"

    def open(self) -> Worker:
        """The worker: a for-loop over shards."""
        return self._work

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        store = Store(self.out)
        for shard in shards:
            finish = Finish(store, shard)
            tables = RecordTables(store, [shard.payload["records"]])
            records = (tables.record(row) for row in range(shard.payload["rows"]))
            table, drops = record_facts(self.measures, records)

            def write(path: Path, table: pa.Table = table) -> None:
                with pa.ipc.new_file(str(path), table.schema) as writer:
                    writer.write_table(table)

            finish.table(f"facts/{shard.payload['corpus']}", ".arrow", write)
            yield finish.entry(table.num_rows - len(drops), Counter(), drops)


def record_facts(
    measures: Mapping[str, Measure], records: Iterable[Record]
) -> tuple[pa.Table, list[Drop]]:
    """What the measures of records say: a row a record, and a drop for each that is unfit.

    An unfit record keeps its row; its column `fit` is False, the others may be empty.
    """
    drops: list[Drop] = []
    rows = [_facts(measures, record, drops) for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    with boundary(f"measures {', '.join(measures)}", "their columns"):
        return pa.table({name: [row.get(name) for row in rows] for name in names}), drops


def _facts(measures: Mapping[str, Measure], record: Record, drops: list[Drop]) -> dict[str, Scalar]:
    facts: dict[str, Scalar] = {}
    for name, measure in measures.items():
        try:
            with boundary(f"measure {name}", record.key):
                found = _plain(measure.record(record))
                if taken := _TAKEN & found.keys():
                    raise ValueError(f"{min(taken)} is a column of every index: rename it")
                facts.update(found)
        except UNFIT as error:
            drops.append(unfit(record.key, "measure", error))
            return {**facts, "fit": False}
    return {**facts, "fit": True}


def _plain(facts: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
    """The facts, if they are what tables and JSON hold; numpy's scalars are not."""
    for name, value in facts.items():
        if type(value) not in (str, int, float, bool, type(None)):
            raise TypeError(f"fact {name} is a {type(value).__name__}, no plain scalar")
    return facts
