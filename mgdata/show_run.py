"""What a run has to show besides its release: answers of its teacher, and what was dropped.

Few of each reason, so that every reason is seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute

from mgdata import registry
from mgdata.data import Sample, Trace
from mgdata.edits import Codec
from mgdata.folder import RunFile
from mgdata.identity import digest
from mgdata.manifest import Entry, Manifest
from mgdata.show import show_drop, show_traces
from mgdata.storage import Root, Store
from mgdata.tables import decode_sample, read_ledger, read_samples
from mgdata.teacher.tables import decode_trace
from mgdata.view import Shown

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute

DROPS = 10
"""Ledger rows shown of each reason."""
TRACES = 10
"""Answers shown of each verdict."""
MOST = 1_000
"""Ledger rows looked through: what a page of drops is for is seen long before."""

_STAGES = ("ingest", "measure", "choose", "build", "settle", "teach")
"""Whose ledgers are shown; what a judge rejects is shown as the answer that it is."""


def show_dropped(store: Store) -> Iterator[Shown]:
    """Things that were dropped before they were a row, some of each reason."""
    shown = Counter[str]()
    for stage in _STAGES:
        for entry in Manifest(store).entries(stage).values():
            for file in entry.files:
                if not file.path.startswith("ledger/"):
                    continue
                for drop in read_ledger(store.local(file.path)):
                    shown[drop.reason] += 1
                    if shown[drop.reason] <= DROPS and shown.total() <= MOST:
                        yield show_drop(drop)


def show_answered(store: Store, run: RunFile, key: str | None = None) -> Iterator[Shown]:
    """Answers of the run's teacher, some of each verdict, or all to the sample `key`."""
    section = run.recipe.teacher
    if section is None:
        return
    name, settings = run.recipe.release.notation, run.recipe.release.settings
    if section.notation is not None:
        name, settings = section.notation, section.notation_settings
    notation = registry.make("notations", name, settings, "run.json")
    roots = {name: Root(url) for name, url in run.roots.items()}
    codec = Codec(quality=run.recipe.release.codec.quality)
    manifest = Manifest(store)
    traces = _traces(store, list(manifest.entries("judge").values()), key)
    samples = _samples(store, list(manifest.entries("build").values()), set(traces))
    for id_, some in traces.items():
        if id_ in samples:
            yield from show_traces(samples[id_], some, roots, notation, codec)


def _traces(store: Store, entries: Sequence[Entry], key: str | None) -> dict[str, list[Trace]]:
    """Traces by sample."""
    names = ["sample", "turn", "kind", "number", "reason"]
    found: list[tuple[str, str, str, int]] = []
    for entry in entries:
        path = entry.data().path
        for row, one in enumerate(read_samples(store.local(path), names).to_pylist()):
            if key in (None, one["sample"]):
                order = digest(*(str(one[name]) for name in names))
                found.append((order, one["reason"] or "accepted", path, row))
    shown = Counter[str]()
    chosen: dict[str, list[int]] = {}
    for _, verdict, path, row in sorted(found):
        shown[verdict] += 1
        if key is not None or shown[verdict] <= TRACES:
            chosen.setdefault(path, []).append(row)
    traces: dict[str, list[Trace]] = {}
    for path, rows in sorted(chosen.items()):
        column = read_samples(store.local(path), ["trace"]).column("trace")
        for row in sorted(rows):
            trace = decode_trace(column[row].as_buffer())
            traces.setdefault(trace.answer.sample, []).append(trace)
    return traces


def _samples(store: Store, entries: Sequence[Entry], ids: set[str]) -> dict[str, Sample]:
    wanted, found = pa.array(sorted(ids), pa.string()), dict[str, Sample]()
    for entry in entries if ids else ():
        table = read_samples(store.local(entry.data().path), ["id", "sample"])
        for row in pc.indices_nonzero(pc.is_in(table["id"], value_set=wanted)).to_pylist():
            found[table["id"][row].as_py()] = decode_sample(table["sample"][row].as_buffer())
    return found
