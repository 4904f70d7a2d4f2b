"""A recipe's stages, in order: ingest, measure, rounds of build, release.

The driver's side of a run. It decides which shards are stale, hands them to an engine, and keeps
the folder's books; what happens to a shard is the stages' business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import pyarrow as pa

from mgdata.budget import Budget, Spent
from mgdata.data import Drop, Flow
from mgdata.edits import Codec
from mgdata.engine.serial import SerialEngine
from mgdata.engine.stage import Engine, Stage, Tell, always
from mgdata.errors import EnvironmentFailure, boundary
from mgdata.fingerprint import shape as shape_of
from mgdata.fingerprint import shard
from mgdata.folder import (
    Events,
    RunFile,
    finished,
    made_with,
    refuse_other,
    write_run_file,
)
from mgdata.identity import digest
from mgdata.index import Index
from mgdata.limits import check_limit
from mgdata.manifest import Entry, Lock, Manifest, Shard
from mgdata.plan import Plan, refuse_short_disk
from mgdata.plan import plan as make_plan
from mgdata.publishing import Rows, plain_rows, plans
from mgdata.publishing import shards as release_shards
from mgdata.recipe import Loaded
from mgdata.release.card import write_card
from mgdata.release.funnel import Step, funnel
from mgdata.stages.build import Build
from mgdata.stages.choose import Chooser, allowed, assign_splits, read_index
from mgdata.stages.finish import Finish
from mgdata.stages.ingest import Ingest
from mgdata.stages.measure import MeasureRecords
from mgdata.stages.release import Release
from mgdata.stages.settle import Settled, gather, settle
from mgdata.storage import Store

if TYPE_CHECKING:
    from mgdata.teaching.rounds import Teaching

Until = Literal["ingest", "measure", "build", "answer", "judge", "release"]
EVIDENCE = 1_000
"""Groups before a run is given up between two rounds; fewer may be bad luck."""
STAGES = ("ingest", "measure", "build", "answer", "judge", "teach", "release")
"""Those whose shards an engine runs, in order."""


class Outcome(Flow, frozen=True, kw_only=True):
    """How a run ended."""

    steps: tuple[Step, ...]
    """The funnel."""
    short: tuple[str, ...]
    """Why it fell short of the recipe, a sentence each; empty when all is there."""
    files: tuple[str, ...]
    """The release's files, relative to the run."""
    worked: bool
    """False where everything was there already."""


class Run:
    """One recipe in one folder. Use as a context manager: it holds the folder's lock."""

    def __init__(self, loaded: Loaded, out: str, *, tell: Tell,
                 engine: Callable[[Tell], Engine] = SerialEngine,
                 budget: Budget | None = None) -> None:  # fmt: skip
        self.loaded = loaded
        self.store = Store(out)
        self._manifest = Manifest(self.store)
        self._lock = Lock(self.store)
        self._events = Events(self.store, tell)
        self._make_engine = engine
        self._engine: Engine | None = None
        self._books: dict[str, list[Entry]] = {}
        self._budget = budget or Budget()
        self._retry = False
        self.worked = False

    def __enter__(self) -> Run:
        refuse_other(self.store, self.loaded)
        self._lock.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        if self._engine:
            self._engine.close()
        self._events.close()
        self._lock.__exit__(*problem)

    def until(self, last: Until) -> Outcome:
        """Run the recipe up to and including a stage."""
        records = self.ingest()
        short: tuple[str, ...] = ()
        files: tuple[str, ...] = ()
        if last != "ingest":
            index = self.index(records, self.measure(records))
            if last != "measure":
                self._estimate(index, records)
                settled, short = self.build(index, records)
                if last in ("answer", "judge"):
                    teaching = self.teaching(settled, records, asking=last == "answer")
                    teaching.answer()
                    self._forget_others(last, teaching.done)
                elif last == "release":
                    rows, more = self.rows(settled, records)
                    short = (*short, *more)
                    files = self.release(rows, short)
        return self.outcome(short, files)

    def retry(self) -> None:
        """Make shards stale in which requests failed, and have these asked again."""
        failed = {
            name
            for name, entry in self._manifest.entries("answer").items()
            if entry.counts.get("finish=failed")
        }
        self._retry = True
        if failed:
            self._manifest.forget("answer", failed)
            self._note(finished=None)

    def plan(self) -> Plan:
        """What the recipe would make, once its corpora are ingested."""
        records = self.ingest()
        index = self.index(records, self.measure(records))
        return make_plan(self.loaded, self.store, index, records)

    def outcome(self, short: Iterable[str] = (), files: Iterable[str] = ()) -> Outcome:
        """What the books say now."""
        steps = tuple(funnel(self._books))
        return Outcome(steps=steps, short=tuple(short), files=tuple(files), worked=self.worked)

    # Stages, each: cut into shards, do what is stale, hand the entries on.

    def ingest(self) -> list[Entry]:
        """Record tables of every corpus, in the recipe's order."""
        recipe, shards = self.loaded.recipe, list[Shard]()
        licenses = {n: s.license for n, s in recipe.corpora.items() if s.license}
        for name, corpus in self.loaded.corpora.items():
            with boundary(f"corpus {name}", "its parts"):
                parts, size = corpus.parts(), recipe.ingest.parts
            shape = shape_of("mgdata.stages.ingest", (corpus,))
            for start in range(0, len(parts), size):
                some = parts[start : start + size]
                shards.append(
                    shard("ingest", f"{name}-{start // size:05d}", {"corpus": name, "parts": some},
                           shape, licenses.get(name, ""))
                )  # fmt: skip
        if not shards:
            raise EnvironmentFailure("the corpora have no part to read: are the roots right?")
        # Only now is the folder this recipe's: a wrong root has left nothing in it.
        if finished(self.store, self.loaded) is None:
            self._note(finished=None)
        stage = Ingest(out=self.store.url, corpora=self.loaded.corpora, licenses=licenses)
        entries = self._do(stage, shards)
        self._limit("ingest", entries)
        return entries

    def measure(self, records: Sequence[Entry]) -> list[Entry]:
        """Facts of every record, where the recipe has a measure of records."""
        chosen = self.loaded.record_measures
        if not chosen:
            return []
        shape = shape_of("mgdata.stages.measure", tuple(chosen.values()))
        shards = [
            shard(
                "measure",
                entry.name,
                {
                    "corpus": entry.name.rpartition("-")[0],
                    "records": entry.data().path,
                    "rows": entry.rows,
                },
                shape,
                entry.data().sha256,
            )
            for entry in records
        ]
        stage = MeasureRecords(out=self.store.url, measures=chosen, roots=self.loaded.roots)
        entries = self._do(stage, shards)
        self._limit("measure", entries)
        return entries

    def index(self, records: Sequence[Entry], facts: Sequence[Entry]) -> Index:
        """The columns of all record tables, with those that measures added."""
        return read_index(self.store, records, facts)

    def build(self, index: Index, records: Sequence[Entry]) -> tuple[Settled, tuple[str, ...]]:
        """Rounds of groups until every task has its samples, or has run dry."""
        recipe = self.loaded.recipe
        mask, drops = allowed(index, self.loaded.filters)
        inputs = digest(*(entry.data().sha256 for entry in records))
        self._book("choose", inputs, int(mask.sum()), drops)
        index = index.view(mask)
        splits = assign_splits(index, recipe.splits, recipe.seed)
        chooser = Chooser(recipe, self.loaded.builders, index, splits)
        stage = self._build_stage(records)
        shapes = {
            task: shape_of("mgdata.stages.build", (builder, *self.loaded.measures.values(),
                                                 *self.loaded.filters.values()))
            for task, builder in self.loaded.builders.items()
        }  # fmt: skip
        entries, settled, number = list[Entry](), _nothing(), 0
        while payloads := list(chooser.round(number, settled.have())):
            shards = [
                shard("build", f"r{number:02d}-{p['task']}-{p['split']}-{i:05d}", p,
                       shapes[p["task"]], str(recipe.seed), inputs)
                for i, p in enumerate(payloads)
            ]  # fmt: skip
            if number == 0:
                self._events.tell("planned", {"groups": sum(len(p["rows"]) for p in payloads)})
            done = self._do(stage, shards)
            entries += [_labelled(entry, p) for entry, p in zip(done, payloads, strict=True)]
            if sum(entry.counts["groups"] for entry in entries) >= EVIDENCE:
                self._limit("build", entries)
            settled = settle(gather(self.store, entries), list(recipe.splits), chooser.wanted)
            pa.default_memory_pool().release_unused()
            number += 1
        self._books["build"] = entries
        self._limit("build", entries)
        # Round shards of an earlier, larger recipe would otherwise be counted by `status`.
        stale = set(self._manifest.entries("build")) - {entry.name for entry in entries}
        self._manifest.forget("build", stale)
        fingerprint = digest(inputs, *(entry.data().sha256 for entry in entries))
        counts = {"surplus samples": settled.surplus} if settled.surplus else {}
        self._book("settle", fingerprint, int(settled.kept.sum()), settled.drops, counts)
        return settled, tuple(chooser.short.values())

    def teaching(self, settled: Settled, records: Sequence[Entry], *, asking: bool) -> Teaching:
        """The recipe's teacher over the samples that were kept."""
        from mgdata.teaching.rounds import Teaching

        paths = [entry.data().path for entry in records]
        return Teaching(self.loaded, self.store, self._do, settled, self._books["build"], paths,
                        asking=asking, retry=self._retry)  # fmt: skip

    def rows(self, settled: Settled, records: Sequence[Entry]) -> tuple[Rows, list[str]]:
        """What is published: the samples, or what a teacher has made of them; and why less."""
        if not self.loaded.teacher:
            return plain_rows(self.loaded, settled, self._books["build"]), []
        teaching = self.teaching(settled, records, asking=True)
        rows = teaching.rows()
        self._forget_others("release", teaching.done)
        return rows, teaching.short

    def release(self, rows: Rows, short: tuple[str, ...]) -> tuple[str, ...]:
        """The published files, the card, and nothing else under `release/`."""
        recipe = self.loaded.recipe
        files = plans(self.loaded, rows)
        shards = release_shards(self.loaded, rows, files)
        pa.default_memory_pool().release_unused()
        stage = Release(
            out=self.store.url,
            notation=self.loaded.notation,
            notation_name=recipe.release.notation,
            codec=Codec(quality=recipe.release.codec.quality),
            row_group_bytes=int(recipe.release.row_group_mb * 1e6),
            roots=self.loaded.roots,
        )
        entries = self._do(stage, shards)
        labelled = [
            msgspec.structs.replace(
                entry, counts={**entry.counts, f"config={p.config}": 1, f"split={p.split}": 1}
            )
            for entry, p in zip(entries, files, strict=True)
        ]
        asked = [entry for name in ("answer", "judge") for entry in self._books.get(name, ())]
        card = write_card(self.store, self.loaded, labelled, funnel(self._books), short,
                          teaching=asked)  # fmt: skip
        sizes = {file.path: file.bytes for entry in entries for file in entry.files}
        sizes |= {path: self.store.size(path) for path in card}
        self._sweep(sizes, {shard.name for shard in shards})
        self._note(finished=sizes, short=short)
        return tuple(sorted(sizes))

    def _forget_others(self, last: Until, done: Mapping[str, list[Entry]]) -> None:
        """Leave no verdict but the last, and no answer twice, to be counted or collected."""
        for stage, entries in done.items():
            mine = {entry.name for entry in entries}
            others = set(self._manifest.entries(stage)) - mine
            if last == "judge" and stage != "judge":
                others = mine  # without those that were not asked, nothing to go on from
            elif last == "answer" and stage == "teach":
                continue  # only a release has lessons of all kinds
            self._manifest.forget(stage, others)

    def _estimate(self, index: Index, records: Sequence[Entry]) -> None:
        """Say what is coming, and refuse it where the disk is too small."""
        if self._manifest.entries("build"):
            return
        found = make_plan(self.loaded, self.store, index, records)
        self._events.tell(
            "estimate",
            {
                "samples": sum(line.samples for line in found.lines),
                "MB": round(found.bytes / 1e6, 1),
                "shards": found.shards,
                "worker seconds": round(found.seconds, 1),
            },
        )
        refuse_short_disk(found, self.store)

    def _build_stage(self, records: Sequence[Entry]) -> Build:
        return Build(
            out=self.store.url,
            seed=self.loaded.recipe.seed,
            records=tuple(entry.data().path for entry in records),
            builders=self.loaded.builders,
            measures=self.loaded.measures,
            filters=self.loaded.filters,
            roots={name: corpus.root for name, corpus in self.loaded.corpora.items()},
        )

    def _do(self, stage: Stage, shards: list[Shard]) -> list[Entry]:
        """Every shard's entry, in the shards' order; runs those that are not done."""
        done = self._manifest.finished(shards)
        todo = [shard for shard in shards if shard.name not in done]
        facts = {"stage": stage.name, "shards": len(shards), "done": len(done)}
        self._events.tell("stage started", facts)
        if todo:
            self.worked = True
            if self._engine is None:
                self._engine = self._make_engine(self._events.tell)
            more = self._budget.left if stage.name == "answer" else always
            for entry in self._engine.run(stage, todo, more):
                done[entry.name] = entry
                if stage.name == "answer":
                    self._budget.spend(entry)
                facts = {"stage": stage.name, "shard": entry.name, "rows": entry.rows}
                self._events.tell("shard done", {**facts, "seconds": entry.seconds})
        self._events.tell("stage done", {"stage": stage.name})
        if len(done) < len(shards):
            raise Spent(f"{self._budget.told()}: {len(done)} of {len(shards)} shards of this round "
                        "are answered and kept; run the same command again to go on")  # fmt: skip
        entries = [done[shard.name] for shard in shards]
        self._books.setdefault(stage.name, []).extend(entries)
        return entries

    def _book(self, stage: str, fingerprint: str, rows: int, drops: Sequence[Drop],
              counts: Mapping[str, int] = {}) -> None:  # fmt: skip
        """Enter what the driver itself dropped."""
        shard = Shard(stage=stage, name=stage, fingerprint=fingerprint)
        if not (done := self._manifest.finished([shard])):
            entry = Finish(self.store, shard).entry(rows, Counter(counts), drops)
            done = {stage: entry}
        self._books[stage] = list(done.values())

    def _limit(self, stage: str, entries: Sequence[Entry]) -> None:
        check_limit(stage, entries, self.loaded.recipe.limits.rejected, self.store.url)

    def _sweep(self, files: Mapping[str, int], shards: set[str]) -> None:
        """Remove what an earlier shape of this release left behind."""
        for path in self.store.walk("release"):
            if path not in files:
                self.store.remove(path)
        self._manifest.forget("release", set(self._manifest.entries("release")) - shards)

    def _note(self, *, finished: dict[str, int] | None, short: tuple[str, ...] = ()) -> None:
        roots = {name: corpus.root.url for name, corpus in self.loaded.corpora.items()}
        write_run_file(
            self.store,
            RunFile(
                name=self.loaded.recipe.name,
                recipe=self.loaded.recipe,
                recipe_sha256=self.loaded.sha256,
                roots=roots,
                source=made_with(),
                finished=finished,
                short=short,
            ),
        )


def _labelled(entry: Entry, payload: dict[str, Any]) -> Entry:
    counts = {f"task={payload['task']}": 1, f"split={payload['split']}": 1}
    return msgspec.structs.replace(entry, counts={**entry.counts, **counts})


def _nothing() -> Settled:
    columns = {"task": pa.array([], pa.string()), "split": pa.array([], pa.string())}
    return Settled(pa.table(columns), np.zeros(0, np.bool_), [], 0)
