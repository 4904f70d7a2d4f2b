"""Where a sample came from, or why a record is not there.

Reads a finished or interrupted run: sample tables for ids, ledgers for drops, record tables for
records that nothing was said of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow.compute

from mgdata.data import Drop, Record, Sample
from mgdata.errors import UsageError
from mgdata.folder import read_run_file
from mgdata.manifest import Entry, Manifest
from mgdata.storage import Store
from mgdata.tables import decode_sample, read_ledger, read_samples, read_table

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute

MOST = 20
"""Ledger rows shown."""


def explain(store: Store, key: str) -> list[str]:
    """What the run knows of a sample id, a record key or an image uri, line by line.

    Raises:
        UsageError: the folder is no run, or it knows nothing of this key.
    """
    if (run := read_run_file(store)) is None:
        raise UsageError(f"{store.url} is not a run folder: explain takes the --out of a run")
    manifest = Manifest(store)
    told = [
        *_samples(store, manifest, key, run.recipe.seed),
        *_dropped(store, key),
        *_record(store, manifest, key),
    ]
    if not told:
        raise UsageError(
            f"{key!r} is no sample id, record key or image uri of {store.url}: keys are written "
            "as in the ledger and the `records` column"
        )
    return told


def _samples(store: Store, manifest: Manifest, key: str, seed: int) -> Iterator[str]:
    """The sample of an id, or the samples made from a record."""
    for entry in manifest.entries("build").values():
        table = read_samples(store.local(entry.data().path))
        hits = table.filter(pc.or_(pc.equal(table["id"], key), pc.equal(table["key"], key)))
        for row in hits.to_pylist():
            sample = decode_sample(row["sample"])
            if row["id"] == key:
                yield from _trace(store, manifest, entry, row["group"], row["occurrence"], sample,
                                  seed)  # fmt: skip
            else:
                yield f"sample {sample.id} of {sample.task}/{sample.split} was made from it"


def _trace(store: Store, manifest: Manifest, entry: Entry, group: int, occurrence: int,
           sample: Sample, seed: int) -> Iterator[str]:  # fmt: skip
    yield f"sample {sample.id}: task {sample.task}, split {sample.split}"
    yield f"group {group} of the task's stream, its turn number {occurrence + 1} with these records"
    parts = ", ".join(["build", str(seed), sample.task, sample.split, *sample.records,
                       str(occurrence)])  # fmt: skip
    yield f"random stream seeded by ({parts})"
    yield f"built in shard {entry.name} ({entry.data().path})"
    for key in sample.records:
        yield from _record(store, manifest, key)
    for i, image in enumerate(sample.images):
        edits = ", ".join(edit.kind for edit in image.edits) or "bytes untouched"
        yield f"Image-{i + 1}: {image.uri} ({image.width}x{image.height}, {edits})"
    for number, turn in enumerate(sample.turns, 1):
        yield f"turn {number}: {turn.kind}, {len(turn.targets)} target(s)"


def _record(store: Store, manifest: Manifest, key: str) -> Iterator[str]:
    corpus = key.partition("/")[0]
    for entry in manifest.entries("ingest").values():
        if entry.name.rpartition("-")[0] != corpus:
            continue
        table = read_table(store.local(entry.data().path))
        for row in table.filter(pc.equal(table["key"], key)).to_pylist():
            record = msgspec.json.decode(row["record"], type=Record)
            yield (
                f"record {key}: {len(record.images)} images, {len(record.regions)} regions, "
                f"licence {record.license}, ingested in shard {entry.name}"
            )
            for reason, n in record.skipped.items():
                yield f"  left out of it: {n} x {reason}"


def _dropped(store: Store, key: str) -> Iterator[str]:
    for n, drop in enumerate(_drops(store, key)):
        if n == MOST:
            yield "... more in the ledger"
            return
        value = f": {drop.value}" if drop.value else ""
        yield f"dropped at {drop.stage}: {drop.key}: {drop.reason}{value}"


def _drops(store: Store, key: str) -> Iterator[Drop]:
    manifest = Manifest(store)
    for stage in ("ingest", "measure", "choose", "build", "settle"):
        for entry in manifest.entries(stage).values():
            for file in entry.files:
                if file.path.startswith("ledger/"):
                    for drop in read_ledger(store.local(file.path)):
                        if drop.key == key or (drop.value or "") == key:
                            yield drop
