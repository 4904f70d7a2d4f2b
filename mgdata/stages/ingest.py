"""Ingest: one shard of parts becomes one table of records and one ledger.

Nobody parses an annotation file twice: what later stages know of a corpus is what stands here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from mgdata.data import Drop, Record
from mgdata.engine.stage import Worker
from mgdata.errors import boundary
from mgdata.manifest import Entry, Shard
from mgdata.plugins import Corpus
from mgdata.stages.finish import Finish
from mgdata.stages.unfit import UNFIT, promised, unfit
from mgdata.storage import Store
from mgdata.tables import RecordRows, decode_record
from mgdata.validity import record_fault


@dataclass(frozen=True, kw_only=True)
class Ingest:
    """Reads parts of corpora. A shard's payload is `{"corpus": name, "parts": [...]}`."""

    out: str
    corpora: dict[str, Corpus]
    licenses: dict[str, str]
    """Licences that the recipe states for a copy of a corpus."""
    name: str = "ingest"

    def open(self) -> Worker:
        """The worker: a for-loop over shards."""
        return self._work

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        store = Store(self.out)
        for shard in shards:
            corpus = self.corpora[shard.payload["corpus"]]
            rows, drops, counts = RecordRows(), list[Drop](), Counter[str]()
            finish = Finish(store, shard)
            for part in shard.payload["parts"]:
                for found in read_part(corpus, part):
                    if isinstance(found, Drop):
                        drops.append(found)
                        continue
                    record = self._licensed(corpus, found)
                    rows.add(record)
                    counts["images"] += len(record.images)
                    counts["regions"] += len(record.regions)
                    counts["clipped boxes"] += sum(r.clipped for r in record.regions)
                    counts.update(record.skipped)
            finish.table(f"records/{corpus.name}", ".arrow", rows.write)
            yield finish.entry(len(rows), counts, drops)

    def _licensed(self, corpus: Corpus, record: Record) -> Record:
        license_ = self.licenses.get(corpus.name)
        return msgspec.structs.replace(record, license=license_) if license_ else record


def read_part(corpus: Corpus, part: str) -> Iterator[Record | Drop]:
    """The records and drops of one part; whatever is wrong with a record becomes a drop."""
    try:
        with boundary(f"corpus {corpus.name}", f"part {part}"):
            for found in corpus.records(part):
                promised(found, Record, Drop)
                if isinstance(found, Drop):
                    yield found
                elif fault := _fault(found):
                    yield Drop(key=found.key, stage="ingest", reason="invalid record", value=fault)
                else:
                    yield found
    except UNFIT as error:
        yield unfit(f"{corpus.name}/{part}", "ingest", error)


def _fault(record: Record) -> str | None:
    """What is wrong with a record: its types, as it will be read back, then its rules."""
    try:
        return record_fault(decode_record(msgspec.json.encode(record)))
    except msgspec.MsgspecError as error:
        return str(error)
