"""Build: one shard of groups becomes one table of samples and one ledger.

What happens to a group: its records are decoded, the builder makes samples of them from a stream
seeded by the group alone, the images they use are measured, filters look at the result, the rules
every sample must obey are checked, and what is left is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from mgdata.data import Drop, Image, Record, Sample
from mgdata.engine.stage import Worker
from mgdata.errors import boundary
from mgdata.identity import Stream
from mgdata.manifest import Entry, Shard
from mgdata.plugins import Builder, Filter, Measure
from mgdata.stages.collecting import rarely
from mgdata.stages.finish import Finish
from mgdata.stages.measure import Measurer
from mgdata.stages.unfit import UNFIT, promised, unfit
from mgdata.storage import Root, Store
from mgdata.tables import RecordTables, SampleRows, decode_sample
from mgdata.validity import sample_fault


@dataclass(frozen=True, kw_only=True)
class Build:
    """Builds one round's groups of all tasks.

    A shard's payload is `{"task", "split", "rows", "occurrences", "numbers"}`: record rows a
    group, how often the group came before, and its place in the plan.
    """

    out: str
    seed: int
    records: tuple[str, ...]
    """Record tables in row order."""
    builders: dict[str, Builder]
    measures: dict[str, Measure]
    filters: dict[str, Filter]
    roots: dict[str, Root]
    name: str = "build"

    def open(self) -> Worker:
        """The worker: record tables mapped once, images measured once while remembered."""
        return self._work

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        store = Store(self.out)
        tables = RecordTables(store, self.records)
        maker = Maker(seed=self.seed, builders=self.builders, filters=self.filters,
                      measurer=Measurer(self.roots, self.measures))  # fmt: skip
        for shard in shards:
            finish, rows, drops = Finish(store, shard), SampleRows(), list[Drop]()
            task, split = shard.payload["task"], shard.payload["split"]
            columns = (shard.payload[name] for name in ("numbers", "occurrences", "rows"))
            maker.measurer.begin()
            with rarely():
                for number, occurrence, group in zip(*columns, strict=True):
                    records = [tables.record(row) for row in group]
                    for found in maker.make(task, split, records, occurrence):
                        if isinstance(found, Drop):
                            drops.append(found)
                        else:
                            rows.add(found, number, group[0], occurrence)
            finish.table(f"samples/{task}", ".parquet", rows.write)
            counts = Counter({"groups": len(shard.payload["rows"]), **maker.measurer.counts})
            drops = _once(drops)
            counts[REGIONS] = sum(map(_of_region, drops))
            yield finish.entry(len(rows), counts, drops)


REGIONS = "regions not asked for"
"""Count of those drops of a shard that took no record, sample or image away."""


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Turns one group into finished samples and drops; also what `preview` runs."""

    seed: int
    builders: dict[str, Builder]
    filters: dict[str, Filter]
    measurer: Measurer

    def make(
        self, task: str, split: str, records: Sequence[Record], occurrence: int
    ) -> Iterator[Sample | Drop]:
        """The samples of one group, measured, filtered and checked, and what was dropped."""
        keys = [record.key for record in records]
        rng = Stream("build", str(self.seed), task, split, *keys, str(occurrence))
        drops: list[Drop] = []
        records = [self._cleared(record, drops) for record in records]
        yield from drops
        try:
            with boundary(f"builder {task}", keys[0]):
                built = list(self.builders[task].build(records, rng))
                for item in built:
                    promised(item, Sample, Drop)
        except UNFIT as error:
            yield unfit(keys[0], "build", error)
            return
        for item in built:
            if isinstance(item, Drop):
                yield item
            else:
                yield from self._finished(msgspec.structs.replace(item, task=task, split=split))

    def _finished(self, sample: Sample) -> Iterator[Sample | Drop]:
        images: list[Image] = []
        for image in sample.images:
            measured = self.measurer(image)
            if isinstance(measured, Drop):
                yield measured
                yield Drop(key=sample.id, stage="build", reason="image unfit", value=image.uri)
                return
            images.append(measured)
        sample = msgspec.structs.replace(sample, images=tuple(images))
        # Before the filters: what they see of a sample can be relied on.
        if fault := _fault(sample):
            yield Drop(key=sample.id, stage="build", reason="invalid sample", value=fault)
            return
        yield self._filtered(sample) or sample

    def _cleared(self, record: Record, drops: list[Drop]) -> Record:
        """The record with those regions to be ignored that a filter will not have asked for."""
        ignored: dict[int, str] = {}
        for name, filter_ in self.filters.items():
            if type(filter_).regions is Filter.regions:
                continue
            with boundary(f"filter {name}", record.key):
                for place, reason in filter_.regions(record):
                    ignored.setdefault(place, reason)
        if not ignored:
            return record
        regions = list(record.regions)
        for place, reason in sorted(ignored.items()):
            region = regions[place]
            if not region.ignore:
                regions[place] = msgspec.structs.replace(region, ignore=True)
                drops.append(
                    Drop(
                        key=f"{record.key}#{place}",
                        stage="filter",
                        reason=reason,
                        value=region.phrase or region.label,
                    )
                )
        return msgspec.structs.replace(record, regions=tuple(regions))

    def _filtered(self, sample: Sample) -> Drop | None:
        """What the first filter that minds says."""
        for name, filter_ in self.filters.items():
            try:
                with boundary(f"filter {name}", sample.id):
                    drop = filter_.sample(sample)
                    promised(drop, Drop, type(None))
            except UNFIT as error:
                drop = unfit(sample.id, "filter", error)
            if drop is not None:
                return drop
        return None


def _fault(sample: Sample) -> str | None:
    """What is wrong with a sample: its types, as it will be read back, then its rules."""
    try:
        return sample_fault(decode_sample(msgspec.json.encode(sample)))
    except (msgspec.MsgspecError, TypeError) as error:
        return str(error)


def _of_region(drop: Drop) -> bool:
    """Whether all that was dropped is a region, which is only not asked for."""
    return drop.key.rpartition("#")[2].isdigit()


def _once(drops: list[Drop]) -> list[Drop]:
    """Drops in order, without the repetition of an image that several samples asked for."""
    return list(dict.fromkeys(drops))
