"""Judge: one shard of answers becomes one table of traces, and a ledger of what is rejected.

Asks nothing: other thresholds judge the same answers anew. An answer keeps its verdict, reason and
scores whether it is accepted or not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mgdata.data import Answer, Drop, Sample, Trace
from mgdata.engine.stage import Worker
from mgdata.manifest import Entry, Shard
from mgdata.plugins import Notation
from mgdata.stages.finish import Finish
from mgdata.stages.picked import picked
from mgdata.storage import Store
from mgdata.teacher.acceptance import Acceptance, accept, direct_iou
from mgdata.teacher.tables import read_answers, write_traces


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Judges a teacher's answers.

    A shard's payload is `{"picks", "answers", "beside"}`: rows of sample tables, `[path, rows]`
    each, the files with answers to these samples, and files of earlier rounds with direct answers
    that they are compared with. Counts what became of every answer as `trace|task|kind|reason`,
    with `accepted` for a reason where there is none.
    """

    out: str
    notation: Notation
    """How the teacher was told to write boxes."""
    acceptance: Acceptance
    product: str = ""
    """What the answers are for, put before the kind where it is counted: `rl:reason`."""
    name: str = "judge"

    def open(self) -> Worker:
        """The worker: plain arithmetic over text."""
        return self._work

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        store = Store(self.out)
        for shard in shards:
            finish, counts = Finish(store, shard), Counter[str]()
            answers = _read(store, shard.payload["answers"])
            beside = [a for a in _read(store, shard.payload["beside"]) if a.kind == "direct"]
            samples = list(picked(store, shard.payload["picks"]))
            traces = list(self._traces(samples, answers, beside))
            tasks = {sample.id: sample.task for sample in samples}
            finish.table(
                "traces", ".parquet", lambda path, traces=traces: write_traces(path, traces)
            )
            for trace in traces:
                answer, became = trace.answer, trace.reason or "accepted"
                kind = f"{self.product}:{answer.kind}" if self.product else answer.kind
                counts[f"trace|{tasks[answer.sample]}|{kind}|{became}"] += 1
            yield finish.entry(len(traces), counts, map(_rejected, _bad(traces)))

    def _traces(
        self, samples: Iterable[Sample], answers: Iterable[Answer], earlier: Iterable[Answer]
    ) -> Iterator[Trace]:
        """Every answer judged, by sample, turn, kind and number; direct ones come first."""
        by_turn, before = _by_turn(answers), _by_turn(earlier)
        for sample in samples:
            for turn in range(len(sample.turns)):
                found = sorted(by_turn.get((sample.id, turn), ()), key=_order)
                direct = [self._judged(a, sample) for a in found if a.kind == "direct"]
                yield from direct
                if len(direct) == len(found):
                    continue
                known = [self._judged(a, sample) for a in before.get((sample.id, turn), ())]
                beside = direct_iou([*known, *direct])
                for answer in found[len(direct) :]:
                    yield accept(answer, sample, self.notation, self.acceptance, direct=beside)

    def _judged(self, answer: Answer, sample: Sample) -> Trace:
        return accept(answer, sample, self.notation, self.acceptance)


def _read(store: Store, paths: Iterable[str]) -> list[Answer]:
    return [answer for path in paths for answer in read_answers(store.local(path))]


def _by_turn(answers: Iterable[Answer]) -> dict[tuple[str, int], list[Answer]]:
    found: defaultdict[tuple[str, int], list[Answer]] = defaultdict(list)
    for answer in answers:
        found[answer.sample, answer.turn].append(answer)
    return dict(found)


def _order(answer: Answer) -> tuple[bool, str, int]:
    return answer.kind != "direct", answer.kind, answer.number


def _bad(traces: Iterable[Trace]) -> Iterator[Trace]:
    return (trace for trace in traces if not trace.accepted)


def _rejected(trace: Trace) -> Drop:
    """The ledger's line of an answer that is not learnt from."""
    answer = trace.answer
    return Drop(
        key=f"{answer.sample}/{answer.turn}/{answer.kind}/{answer.number}",
        stage="judge",
        reason=str(trace.reason),
        value=trace.value,
    )
