"""Where a sample came from, where it went, or why a record is not there.

Reads a finished or interrupted run: sample tables for ids, ledgers for drops, record tables for
what nothing else was said of, the release for what was published.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mgdata.data import Drop, Sample
from mgdata.errors import UsageError
from mgdata.folder import read_run_file
from mgdata.manifest import Entry, Manifest
from mgdata.storage import Store
from mgdata.tables import decode_record, decode_sample, read_ledger, read_samples, read_table

MOST = 20
"""Ledger rows, and samples of one record or image, that are shown."""


def explain(store: Store, key: str) -> list[str]:
    """What the run knows of a sample id, a record key or an image uri, line by line.

    Raises:
        UsageError: the folder is no run, or it knows nothing of this key.
    """
    if (run := read_run_file(store)) is None:
        raise UsageError(f"{store.url} is not a run folder: explain takes the --out of a run")
    about = _About(store, Manifest(store), key, run.recipe.seed)
    told = [*about.samples(), *about.dropped(), *about.record(key), *about.image()]
    if not told:
        raise UsageError(
            f"{key!r} is no sample id, record key or image uri of {store.url}: keys are written "
            "as in the ledger and the `records` column"
        )
    return told


@dataclass(frozen=True)
class _About:
    """What one run says of one key."""

    store: Store
    manifest: Manifest
    key: str
    seed: int

    def samples(self) -> Iterator[str]:
        """The sample of an id, or the samples made from a record or showing an image."""
        shown = 0
        for entry, row in self._hits("build", "sample"):
            sample = decode_sample(row["sample"])
            if sample.id == self.key:
                yield from self._trace(entry, row, sample)
                continue
            of_record = self.key in sample.records
            if not of_record and all(image.uri != self.key for image in sample.images):
                continue
            shown += 1
            if shown <= MOST:
                what = "was made from it" if of_record else "shows it"
                yield f"sample {sample.id} of {sample.task}/{sample.split} {what}"
        if shown > MOST:
            yield f"... and {shown - MOST:,} samples more"

    def _trace(self, entry: Entry, row: dict[str, Any], sample: Sample) -> Iterator[str]:
        yield f"sample {sample.id}: task {sample.task}, split {sample.split}"
        times = row["occurrence"] + 1
        group = f"group {row['group']} of the task's stream"
        yield f"{group}, its turn number {times} with these records"
        parts = ["build", str(self.seed), sample.task, sample.split, *sample.records]
        yield f"random stream seeded by ({', '.join([*parts, str(row['occurrence'])])})"
        yield f"built in shard {entry.name} ({entry.data().path})"
        for key in sample.records:
            yield from self.record(key)
        for i, image in enumerate(sample.images):
            edits = ", ".join(edit.kind for edit in image.edits) or "bytes untouched"
            yield f"Image-{i + 1}: {image.uri} ({image.width}x{image.height}, {edits})"
        for number, turn in enumerate(sample.turns, 1):
            yield f"turn {number}: {turn.kind}, {len(turn.targets)} target(s)"
        yield from self._published()

    def _published(self) -> Iterator[str]:
        entries = self.manifest.entries("release").values()
        for entry in entries:
            path = entry.data().path
            ids = pq.read_table(self.store.local(path), columns=["id"])["id"]
            if (place := pc.index(ids, pa.scalar(self.key)).as_py()) >= 0:
                yield f"published in {path}, row {place}"
                return
        if entries and not any(drop.key == self.key for drop in self._drops()):
            yield "not published: more samples survived than the recipe asks for"

    def record(self, key: str) -> Iterator[str]:
        """The record of a key."""
        corpus = key.partition("/")[0]
        for entry in self.manifest.entries("ingest").values():
            if entry.name.rpartition("-")[0] != corpus:
                continue
            table = read_table(self.store.local(entry.data().path))
            for row in table.filter(pc.field("key") == key).to_pylist():
                record = decode_record(row["record"])
                yield (
                    f"record {key}: {len(record.images)} images, {len(record.regions)} regions, "
                    f"licence {record.license}, ingested in shard {entry.name}"
                )
                for reason, n in record.skipped.items():
                    yield f"  left out of it: {n} x {reason}"

    def image(self) -> Iterator[str]:
        """The records that an image belongs to."""
        for entry, row in self._hits("ingest", "record"):
            images = decode_record(row["record"]).images
            for i, image in enumerate(images):
                if image.uri == self.key:
                    place = f"image {i + 1} of {len(images)}"
                    yield f"{place} of record {row['key']}, ingested in shard {entry.name}"

    def _hits(self, stage: str, column: str) -> Iterator[tuple[Entry, dict[str, Any]]]:
        """The rows of a stage whose JSON holds the key as a whole string."""
        quoted = msgspec.json.encode(self.key)
        for entry in self.manifest.entries(stage).values():
            path = self.store.local(entry.data().path)
            table = read_samples(path) if stage == "build" else read_table(path)
            options = pc.MatchSubstringOptions(quoted)
            found = pc.call_function("match_substring", [table[column]], options)
            for row in table.filter(found).to_pylist():
                yield entry, row

    def dropped(self) -> Iterator[str]:
        """What the ledgers say."""
        for n, drop in enumerate(self._drops()):
            if n == MOST:
                yield "... more in the ledger"
                return
            value = f": {drop.value}" if drop.value else ""
            yield f"dropped at {drop.stage}: {drop.key}: {drop.reason}{value}"

    def _drops(self) -> Iterator[Drop]:
        for stage in ("ingest", "measure", "choose", "build", "settle"):
            for entry in self.manifest.entries(stage).values():
                for file in entry.files:
                    if file.path.startswith("ledger/"):
                        for drop in read_ledger(self.store.local(file.path)):
                            if self.key in (drop.key, drop.value):
                                yield drop
