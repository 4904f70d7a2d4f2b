"""A few samples of a recipe, put to its teacher as a run would put them: what was asked, and found.

Builds as a preview does and asks as a run does, in this process, into a store of the caller's. The
recipe's numbers of rows are left aside, so that every sample is asked. Counts; projects nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from msgspec.structs import replace

from mgdata.data import Answer, Drop, Flow, PromptKind, Record, Sample, Trace
from mgdata.edits import Codec
from mgdata.engine.serial import SerialEngine
from mgdata.engine.stage import Stage, Tell
from mgdata.errors import UsageError
from mgdata.manifest import Entry, Shard
from mgdata.plugins import Corpus
from mgdata.preview import build_few
from mgdata.recipe import Loaded
from mgdata.release.statistics import traces as verdicts_of
from mgdata.stages.finish import Finish
from mgdata.stages.sessions import desk
from mgdata.stages.settle import Settled, gather
from mgdata.storage import Store
from mgdata.tables import RecordRows, SampleRows, read_ledger
from mgdata.teacher.section import TeacherSection
from mgdata.teacher.tables import read_answers, read_lessons, read_traces
from mgdata.teachers import Teacher
from mgdata.teaching.rounds import Teaching

Product = Literal["cot", "rl", "write"]
PRODUCTS: tuple[Product, ...] = ("cot", "rl", "write")
SHARDS = 10
"""About how many shards a round has, so that progress shows."""


class Part(Flow, frozen=True, kw_only=True):
    """What the teacher made of one task's samples for one product."""

    product: Product
    task: str
    samples: int
    """Samples that it was asked about."""
    turns: int
    """Their turns."""
    kind: str
    """Kind of the prompt whose answers become rows."""
    answers: int
    """Requests that were sent, each counted once whoever shares its answer."""
    failed: int
    """Those of them that no answer came to."""
    prompt_tokens: int
    """Tokens of their prompts and pictures, as the backend counts them."""
    tokens: int
    """Tokens of the answers."""
    pictures: int
    """Pictures shown with the requests."""
    verdicts: dict[str, dict[str, int]]
    """What became of the answers that are judged: kind of prompt, then `accepted` or the reason."""
    good: int
    """Accepted answers that count towards the rows that a recipe asks for."""
    rows: int
    """Rows of the release that came of them."""
    taught: int
    """Samples that gave a row."""

    @property
    def judged(self) -> int:
        """Answers of `kind` that were judged."""
        return sum(self.verdicts.get(self.kind, {}).values())

    @property
    def accepted(self) -> int:
        """Those of them that were accepted."""
        return self.verdicts.get(self.kind, {}).get("accepted", 0)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of a few samples."""

    samples: tuple[Sample, ...]
    """All that were asked about, task by task."""
    parts: tuple[Part, ...]
    """By product, then in the recipe's order of tasks; products without a sample have none."""
    opened: float
    """Seconds that the session took to open: a model is loaded, or a server reached."""
    seconds: dict[str, float]
    """Seconds asking, by product, the session open."""
    traces: tuple[Trace, ...]
    """Every answer that is judged one by one."""
    written: tuple[Sample, ...]
    """Samples of written questions that hold."""
    drops: tuple[Drop, ...]
    """What else was left out, and why: turns that cannot be asked, written questions, lessons."""


def ask_few(loaded: Loaded, store: Store, number: int, tell: Tell) -> Trial:
    """Build `number` samples of the tasks that a recipe's teacher is asked about, and ask it.

    Raises:
        UsageError: the recipe has no teacher, or no sample could be built.
        EnvironmentFailure: the teacher cannot be reached or loaded.
    """
    teacher = check_teacher(loaded)
    samples, records = _built(loaded, number)
    stored = _Stored(store, samples, records)
    engine, codec = SerialEngine(tell), Codec(quality=loaded.recipe.release.codec.quality)
    try:
        began = time.perf_counter()
        with desk(teacher.backend, loaded.roots, codec) as found:
            found.session()
            opened = time.perf_counter() - began
        asked = [
            _Asked(loaded, stored, product, ids, engine, tell)
            for product, ids in _shared_out(loaded, samples).items()
        ]
    finally:
        engine.close()
    return Trial(
        samples=tuple(samples),
        parts=tuple(part for one in asked for part in one.parts()),
        opened=opened,
        seconds={one.product: one.seconds for one in asked},
        traces=tuple(trace for one in asked for trace in one.traces),
        written=tuple(sample for one in asked for sample in one.written()),
        drops=tuple(drop for one in asked for drop in one.drops()),
    )


def check_teacher(loaded: Loaded) -> Teacher:
    """The recipe's teacher.

    Raises:
        UsageError: it has none.
    """
    if not loaded.teacher:
        raise UsageError(
            f"{loaded.path}: there is no teacher to estimate: add the section `teacher`, or use "
            "`mgdata plan`, which says what a recipe makes without one"
        )
    return loaded.teacher


# Building.


@dataclass(frozen=True, kw_only=True)
class _Heard(Corpus):
    """A corpus whose records are remembered as they are read: a trajectory asks for them again."""

    corpus: Corpus
    heard: dict[str, Record]

    def parts(self) -> list[str]:
        return self.corpus.parts()

    def records(self, part: str) -> Iterator[Record | Drop]:
        for found in self.corpus.records(part):
            if isinstance(found, Record):
                self.heard.setdefault(found.key, found)
            yield found


def _built(loaded: Loaded, number: int) -> tuple[list[Sample], list[Record]]:
    """Samples of the tasks that the teacher is asked about, and the records they are made of."""
    assert loaded.teacher
    asked = loaded.teacher.asked | loaded.teacher.drafts
    tasks = {name: task for name, task in loaded.recipe.tasks.items() if name in asked}
    heard: dict[str, Record] = {}
    corpora: dict[str, Corpus] = {
        name: _Heard(name=name, root=corpus.root, corpus=corpus, heard=heard)
        for name, corpus in loaded.corpora.items()
    }
    recipe = replace(loaded.recipe, tasks=tasks)
    samples, drops = build_few(replace(loaded, recipe=recipe, corpora=corpora), number)
    if not samples:
        top = Counter(drop.reason for drop in drops).most_common(3)
        why = ", ".join(f"{n} {reason}" for reason, n in top) or "nothing was read"
        raise UsageError(
            f"{loaded.path}: no sample could be built to ask about ({why}): see `mgdata preview`"
        )
    keys = dict.fromkeys(key for sample in samples for key in sample.records)
    return samples, [heard[key] for key in keys]


class _Stored:
    """The samples and records as the tables that asking reads."""

    def __init__(self, store: Store, samples: Sequence[Sample], records: Sequence[Record]) -> None:
        rows = RecordRows()
        for record in records:
            rows.add(record)
        finish = Finish(store, Shard(stage="ingest", name="few", fingerprint=""))
        finish.table("records", ".arrow", rows.write)
        self.store = store
        self.samples = {sample.id: sample for sample in samples}
        self.records = [finish.entry(len(rows), Counter(), ()).data().path]
        places = {record.key: place for place, record in enumerate(records)}
        self.entries = [_sample_table(store, some, places) for some in _by_task(samples).values()]
        self._table = gather(store, self.entries)

    def settled(self, ids: Iterable[str]) -> Settled:
        """The samples with only these kept."""
        wanted = set(ids)
        kept = np.array([id_ in wanted for id_ in self._table["id"].to_pylist()], np.bool_)
        return Settled(self._table, kept, [], 0)


def _by_task(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.task, []).append(sample)
    return found


def _sample_table(store: Store, samples: Sequence[Sample], places: Mapping[str, int]) -> Entry:
    """The table of one task's samples, labelled as a run's tables are."""
    rows = SampleRows()
    for number, sample in enumerate(samples):
        rows.add(sample, number, places[sample.records[0]], 0)
    task, split = samples[0].task, samples[0].split
    finish = Finish(store, Shard(stage="build", name=task, fingerprint=""))
    finish.table(f"samples/{task}", ".parquet", rows.write)
    return finish.entry(len(rows), Counter({f"task={task}": 1, f"split={split}": 1}), ())


# Asking.


def _shared_out(loaded: Loaded, samples: Sequence[Sample]) -> dict[Product, list[str]]:
    """Which samples are asked for which product; both of `cot` and `rl` get some of every task.

    They are shared as in the recipe, but for the one sample at least that each has of a task.
    """
    assert loaded.teacher
    section, found = loaded.teacher.section, dict[Product, list[str]]()
    for task, some in _by_task(samples).items():
        ids = [sample.id for sample in some]
        if task in loaded.teacher.drafts:
            found.setdefault("write", []).extend(ids)
            continue
        n = len(ids) if section.rl else 0
        if section.rl and section.cot:
            n = round(len(ids) * section.rl.share)
            n = min(max(n, 1), len(ids) - 1) if len(ids) > 1 else n
        found.setdefault("rl", []).extend(ids[:n])
        found.setdefault("cot", []).extend(ids[n:])
    return {product: found[product] for product in PRODUCTS if found.get(product)}


class _Asked:
    """One product's samples, asked about and judged."""

    def __init__(
        self, loaded: Loaded, stored: _Stored, product: Product, ids: Sequence[str],
        engine: SerialEngine, tell: Tell,
    ) -> None:  # fmt: skip
        self.product: Product = product
        self._stored, self._ids = stored, ids
        self.seconds = 0.0
        self._engine, self._tell = engine, tell
        only = _only(loaded, product, -(-len(ids) // SHARDS))
        assert only.teacher
        self._section = only.teacher.section
        teaching = Teaching(only, stored.store, self._do, stored.settled(ids), stored.entries,
                            stored.records)  # fmt: skip
        lessons = [entry for some in teaching.answer().values() for entry in some]
        self._done = teaching.done
        self.traces = [t for entry in self._done["judge"] for t in read_traces(self._at(entry))]
        self._lessons = [lesson for entry in lessons for lesson in read_lessons(self._at(entry))]

    def _do(self, stage: Stage, shards: list[Shard]) -> list[Entry]:
        self._tell("stage started", {"stage": stage.name, "shards": len(shards), "done": 0})
        found, began = dict[str, Entry](), time.perf_counter()
        for entry in self._engine.run(stage, shards):
            found[entry.name] = entry
            facts = {"stage": stage.name, "shard": entry.name, "rows": entry.rows}
            self._tell("shard done", {**facts, "seconds": entry.seconds})
        if stage.name == "answer":
            self.seconds += time.perf_counter() - began
        self._tell("stage done", {"stage": stage.name})
        return [found[shard.name] for shard in shards]

    def _at(self, entry: Entry) -> Path:
        return self._stored.store.local(entry.data().path)

    def parts(self) -> Iterator[Part]:
        """What was counted, by task."""
        answers: dict[str, Answer] = {}
        for entry in self._done["answer"]:
            for answer in read_answers(self._at(entry)):
                answers.setdefault(answer.reply.key, answer)
        became = verdicts_of([*self._done["judge"], *self._done["teach"]])
        for task, samples in _by_task(self._stored.samples[id_] for id_ in self._ids).items():
            mine = {sample.id for sample in samples}
            some = [answer for answer in answers.values() if answer.sample in mine]
            lessons = [lesson for lesson in self._lessons if lesson.source in mine]
            kinds: dict[str, dict[str, int]] = {}
            for (of, kind, what), n in became.items():
                if of == task:
                    # A kind may have its product before it, as `rl:reason`.
                    kinds.setdefault(kind.rpartition(":")[2], {})[what] = n
            yield Part(
                product=self.product,
                task=task,
                samples=len(samples),
                turns=sum(len(sample.turns) for sample in samples),
                kind=self._kind,
                answers=len(some),
                failed=sum(answer.reply.finish == "failed" for answer in some),
                prompt_tokens=sum(answer.reply.prompt_tokens for answer in some),
                tokens=sum(answer.reply.tokens for answer in some),
                pictures=sum(self._pictures(answer) for answer in some),
                verdicts=kinds,
                good=self._good(mine) if self.product == "cot" else len(lessons),
                rows=len(lessons),
                taught=len({lesson.source for lesson in lessons}),
            )

    @property
    def _kind(self) -> str:
        made = self._section.cot or self._section.rl
        return made.prompt if made else "write"

    def _good(self, ids: set[str]) -> int:
        """Accepted answers, of each turn no more than are kept."""
        cot = self._section.cot
        assert cot
        turns = Counter(
            (trace.answer.sample, trace.answer.turn)
            for trace in self.traces
            if trace.accepted and trace.answer.kind == cot.prompt and trace.answer.sample in ids
        )
        return sum(min(n, cot.keep) for n in turns.values())

    def _pictures(self, answer: Answer) -> int:
        """Pictures that a request showed."""
        alone: tuple[PromptKind, ...] = ("caption", "refine")
        write = self._section.write
        if answer.kind == "write" and write and not write.shown:
            return 0
        return 1 if answer.kind in alone else len(self._stored.samples[answer.sample].images)

    def written(self) -> Iterator[Sample]:
        """Samples of the questions that hold."""
        if self.product == "write":
            yield from (lesson.sample for lesson in self._lessons)

    def drops(self) -> Iterator[Drop]:
        """What was left out but answers that have a trace."""
        for entry in [*self._done["answer"], *self._done["teach"]]:
            for file in entry.files:
                if file.path.startswith("ledger/"):
                    yield from read_ledger(self._stored.store.local(file.path))


def _only(loaded: Loaded, product: Product, samples: int) -> Loaded:
    """A recipe whose teacher makes one product, of all samples, a few of them a shard."""
    assert loaded.teacher
    section = loaded.teacher.section
    cot, rl, write = section.cot, section.rl, section.write
    made: TeacherSection = replace(
        section,
        samples=samples,
        cot=replace(cot, rows=None, share=1.0) if cot and product == "cot" else None,
        rl=replace(rl, rows=None, share=1.0) if rl and product == "rl" else None,
        write=replace(write, rows={}) if write and product == "write" else None,
    )
    teacher = replace(
        loaded.teacher,
        section=made,
        drafts=loaded.teacher.drafts if product == "write" else frozenset[str](),
    )
    return replace(loaded, teacher=teacher, recipe=replace(loaded.recipe, teacher=made))
