"""Where a sample came from, where it went, or why a record is not there.

Reads a finished or interrupted run: sample tables for ids, ledgers for drops, record tables for
what nothing else was said of, tables of traces and lessons for what a teacher had to do with it,
the release for what was published.
"""

from __future__ import annotations

from collections import Counter
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
from mgdata.teacher.tables import decode_lesson, decode_trace

DROPPING = ("ingest", "measure", "choose", "build", "settle", "answer", "judge", "teach")
"""Stages with a ledger."""
MOST = 20
"""Ledger rows, and samples of one record or image, that are shown."""


def explain(store: Store, key: str) -> list[str]:
    """What the run knows of a sample id, a record key, an image uri or a row's id, line by line.

    Of a sample that a teacher answered: each answer, with what became of it, and each lesson.

    Raises:
        UsageError: the folder is no run, or it knows nothing of this key.
    """
    if (run := read_run_file(store)) is None:
        raise UsageError(f"{store.url} is not a run folder: explain takes the --out of a run")
    about = _About(store, Manifest(store), key, run.recipe.seed)
    told = [
        *about.samples(), *about.lesson(), *about.dropped(), *about.record(key), *about.image(),
    ]  # fmt: skip
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
        yield from self._answered()
        if self.manifest.entries("teach"):
            yield from self._taught()
        else:
            yield from self._published()

    def _answered(self) -> Iterator[str]:
        """What a teacher answered to the sample, and what became of it."""
        judged = set[str]()
        for row in self._of_sample("judge", "sample"):
            trace = decode_trace(row["trace"])
            what = f"answer {trace.answer.number} to turn {trace.answer.turn + 1} ({row['kind']})"
            value = f": {trace.value}" if trace.value else ""
            verdict = "accepted" if trace.accepted else f"rejected: {trace.reason}{value}"
            yield f"{what}: {verdict}; IoU {trace.scores.get('iou', 0.0):.3f}"
            judged.add(row["kind"])
        for entry in self.manifest.entries("answer").values():
            kinds = Counter(row["kind"] for row in self._rows(entry, "sample"))
            for kind, n in kinds.items():
                if kind not in judged:
                    yield f"{n} x {kind} answered about it ({entry.data().path})"

    def _taught(self) -> Iterator[str]:
        """The lessons made of the sample, and the row of each."""
        found = {row["id"]: row for row in self._of_sample("teach", "source")}
        places = self._places([*found])
        for name, row in found.items():
            lesson = decode_lesson(row["lesson"])
            of = f"of its turn {len(lesson.sample.turns)}"
            if lesson.config == "direct" or name == self.key:
                of = "of all of it"
            rate = "" if lesson.pass_rate is None else f", pass rate {lesson.pass_rate:.3f}"
            place = places.get(name, "not published: the recipe asks for fewer")
            yield f"lesson {name} ({lesson.config}) {of}{rate}: {place}"
        over = bool(self.manifest.entries("release"))
        if over and not found and not any(self._mine(drop) for drop in self._drops()):
            yield "no lesson: it was not asked about, or nothing that was said of it held"

    def lesson(self) -> Iterator[str]:
        """The sample that a row of this id was made from."""
        for entry in self.manifest.entries("teach").values():
            for row in self._rows(entry, "id"):
                if row["source"] == self.key:
                    continue
                lesson = decode_lesson(row["lesson"])
                yield f"lesson {self.key}: config {lesson.config}, made from sample {row['source']}"
                of = f"turn {len(lesson.sample.turns)} of it, asked as {lesson.kind or 'nothing'}"
                yield f"{of} of {lesson.model or 'nobody'}"
                place = self._places([self.key]).get(self.key)
                yield place or "not published: the recipe asks for fewer"

    def _published(self) -> Iterator[str]:
        over = bool(self.manifest.entries("release"))
        if place := self._places([self.key]).get(self.key):
            yield place
        elif over and not any(drop.key == self.key for drop in self._drops()):
            yield "not published: more samples survived than the recipe asks for"

    def _places(self, ids: list[str]) -> dict[str, str]:
        """File and row of each id that is published, in words."""
        found: dict[str, str] = {}
        for entry in self.manifest.entries("release").values():
            path = entry.data().path
            column = pq.read_table(self.store.local(path), columns=["id"])["id"]
            for name in ids:
                if (row := pc.index(column, pa.scalar(name)).as_py()) >= 0:
                    found[name] = f"published in {path}, row {row}"
        return found

    def _of_sample(self, stage: str, column: str) -> Iterator[dict[str, Any]]:
        """The rows of all tables of a stage that are of the sample, in order."""
        rows = [
            row
            for entry in self.manifest.entries(stage).values()
            for row in self._rows(entry, column)
        ]
        names = ("turn", "kind", "number") if rows and "turn" in rows[0] else ("config", "id")
        yield from sorted(rows, key=lambda row: [row[name] for name in names])

    def _rows(self, entry: Entry, column: str) -> Iterator[dict[str, Any]]:
        """The rows of an entry's table whose column holds the key."""
        path = self.store.local(entry.data().path)
        # Most tables have none: what else is in them is not even read.
        if pc.index(read_samples(path, [column])[column], pa.scalar(self.key)).as_py() >= 0:
            yield from read_samples(path).filter(pc.field(column) == self.key).to_pylist()

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
        for n, drop in enumerate(filter(self._mine, self._drops())):
            if n == MOST:
                yield "... more in the ledger"
                return
            value = f": {drop.value}" if drop.value else ""
            yield f"dropped at {drop.stage}: {drop.key}: {drop.reason}{value}"

    def _mine(self, drop: Drop) -> bool:
        """Whether a drop is of the key; of an answer that was rejected its trace tells."""
        about = drop.key.startswith(f"{self.key}/") and drop.stage in ("answer", "teach")
        return about or self.key in (drop.key, drop.value)

    def _drops(self) -> Iterator[Drop]:
        """All ledgers."""
        for stage in DROPPING:
            for entry in self.manifest.entries(stage).values():
                for file in entry.files:
                    if file.path.startswith("ledger/"):
                        yield from read_ledger(self.store.local(file.path))
