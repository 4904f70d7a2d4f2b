"""Teach: one shard of samples and the traces of them becomes one table of lessons.

A lesson is what a row of the release will hold: a sample up to the turn that is taught, with the
reasoning that was accepted, or the pass rate that makes it worth training on. Boxes stay those of
the annotation, whatever the teacher drew.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from mgdata.data import Drop, Lesson, Sample, Trace
from mgdata.engine.stage import Worker
from mgdata.identity import content_id
from mgdata.manifest import Entry, Shard
from mgdata.release.taught import unfit
from mgdata.stages.finish import Finish
from mgdata.stages.picked import Picks, picked
from mgdata.storage import Store
from mgdata.tables import read_samples
from mgdata.teacher.mentions import boxes
from mgdata.teacher.passing import outside, pass_rate
from mgdata.teacher.section import TeacherSection
from mgdata.teacher.tables import read_traces, write_lessons
from mgdata.teacher.texts import instruction

Found = Lesson | Drop


@dataclass(frozen=True, kw_only=True)
class Teach:
    """Makes lessons.

    A shard's payload is `{"config", "picks", "traces"}`: `cot`, `rl` or `direct`; rows of sample
    tables, `[path, rows]` each; and the files with traces of these samples, none for `direct`.
    """

    out: str
    section: TeacherSection
    same_notation: bool
    """Whether the release writes boxes as the teacher was told to."""
    name: str = "teach"

    def open(self) -> Worker:
        """The worker: a for-loop over samples."""
        return self._work

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        store = Store(self.out)
        for shard in shards:
            finish, counts = Finish(store, shard), Counter[str]()
            lessons, drops = list[tuple[int, Lesson]](), list[Drop]()
            traces = _traces(store, shard.payload["traces"])
            samples = picked(store, shard.payload["picks"])
            for row, sample in zip(_rows(store, shard.payload["picks"]), samples, strict=True):
                for found in self._made(shard.payload["config"], sample, traces):
                    if isinstance(found, Drop):
                        drops.append(found)
                    else:
                        lessons.append((row, found))
            counts[f"config={shard.payload['config']}"] = 1
            finish.table(
                "lessons", ".parquet", lambda path, some=lessons: write_lessons(path, some)
            )
            yield finish.entry(len(lessons), counts, drops)

    def _made(
        self, config: str, sample: Sample, traces: Mapping[tuple[str, int], Sequence[Trace]]
    ) -> Iterator[Found]:
        if config == "direct":
            yield Lesson(id=sample.id, config=config, sample=sample, source=sample.id)
            return
        for turn in range(len(sample.turns)):
            if found := traces.get((sample.id, turn)):
                yield from (self._cot if config == "cot" else self._rl)(sample, turn, found)

    def _cot(self, sample: Sample, turn: int, traces: Sequence[Trace]) -> Iterator[Found]:
        """The accepted answers, the first by number."""
        assert self.section.cot
        cot, kept = self.section.cot, 0
        for trace in sorted(traces, key=lambda trace: trace.answer.number):
            answer = trace.answer
            if not trace.accepted or answer.kind != cot.prompt:
                continue
            if kept == cot.keep:
                return
            key = f"{sample.id}/{turn}/{answer.kind}/{answer.number}"
            if not self.same_notation and boxes(trace.reasoning):
                reason = "reasoning has boxes in another notation"
                yield Drop(key=key, stage=self.name, reason=reason)
                continue
            if why := unfit(trace.reasoning.strip()):
                yield Drop(key=key, stage=self.name, reason="reasoning cannot be a row", value=why)
                continue
            kept += 1
            yield Lesson(
                id=content_id(key.encode()),
                config="cot",
                sample=_until(sample, turn),
                source=sample.id,
                form="reason",
                instruction=instruction("reason", cot.instruction),
                reasoning=trace.reasoning.strip(),
                kind=answer.kind,
                model=answer.model,
                words=answer.words,
                iou=trace.scores.get("iou"),
            )

    def _rl(self, sample: Sample, turn: int, traces: Sequence[Trace]) -> Iterator[Found]:
        """The turn, where its pass rate is within the band."""
        assert self.section.rl
        rl, key = self.section.rl, f"{sample.id}/{turn}/rl"
        asked = [trace for trace in traces if trace.answer.kind == rl.prompt]
        rate = pass_rate(asked)
        if (why := outside(asked, rl.band)) or rate is None:
            value = None if rate is None else f"pass rate {rate:.3f}"
            yield Drop(key=key, stage=self.name, reason=why or "no answer", value=value)
            return
        yield Lesson(
            id=content_id(key.encode()),
            config="rl",
            sample=_until(sample, turn),
            source=sample.id,
            form=rl.prompt,
            open=True,
            instruction=instruction(rl.prompt, rl.instruction),
            pass_rate=rate,
            answers=sum(trace.answer.reply.finish != "failed" for trace in asked),
            kind=rl.prompt,
            model=asked[0].answer.model,
            words=asked[0].answer.words,
        )


def _until(sample: Sample, turn: int) -> Sample:
    """The sample without the turns after one."""
    if turn + 1 == len(sample.turns):
        return sample
    return msgspec.structs.replace(sample, turns=sample.turns[: turn + 1])


def _traces(store: Store, paths: Sequence[str]) -> dict[tuple[str, int], list[Trace]]:
    found: defaultdict[tuple[str, int], list[Trace]] = defaultdict(list)
    for path in paths:
        for trace in read_traces(store.local(path)):
            found[trace.answer.sample, trace.answer.turn].append(trace)
    return dict(found)


def _rows(store: Store, picks: Picks) -> Iterator[int]:
    """Row of each picked sample's first record, which the release is ordered by."""
    for path, rows in picks:
        column = read_samples(store.local(path), ["row"]).column("row")
        yield from (column[row].as_py() for row in rows)
