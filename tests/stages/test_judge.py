"""Judging a teacher's answers: each fault is rejected for its own reason, and nothing is asked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from test_answer import Built, serial, shards, stage
from test_answer import built as built  # the fixture

from mgdata.manifest import Entry, Shard
from mgdata.notations.json import Json
from mgdata.stages.judge import Judge
from mgdata.storage import Store
from mgdata.tables import read_ledger
from mgdata.teacher.acceptance import FAILURES, Acceptance, Gain
from mgdata.teacher.backends.scripted import Scripted
from mgdata.teacher.tables import read_traces

ASKS = [("direct", 0, 1), ("reason", 0, 2)]
FOUND: dict[str, set[str]] = {
    "failed": {f"reply: {reason}" for reason in FAILURES},
    "cut": {"reply: cut"},
    "leaked_answer": {"leak: "},
    "offset_box": {"wrong: box"},
    "repetition": {"language: repetitive"},
}
"""Faults of the scripted teacher, and the beginnings of the reasons that they are found for."""


def judged(
    built: Built, out: Path, settings: Acceptance, **faults: float
) -> tuple[Store, list[Entry]]:
    asking = stage(built, out, Scripted(faults=faults))
    asked = sorted(serial(asking, shards(built, ASKS)), key=lambda entry: entry.name)
    work = [
        Shard(
            stage="judge",
            name=entry.name,
            fingerprint="f",
            payload={"picks": picks, "answers": [entry.data().path], "beside": []},
        )
        for entry, picks in zip(asked, built.picks, strict=True)
    ]
    stage_ = Judge(out=str(out), notation=Json(), acceptance=settings)
    return Store(str(out)), list(stage_.open()(iter(work)))


def test_right_answers_are_accepted(built: Built, tmp_path: Path) -> None:
    store, entries = judged(built, tmp_path, Acceptance())
    traces = [t for e in entries for t in read_traces(store.local(e.data().path))]
    assert all(trace.accepted and trace.reason is None for trace in traces)
    assert all(trace.scores["iou"] > 0.9 for trace in traces)
    kinds = Counter(trace.answer.kind for trace in traces)
    assert kinds["reason"] == 2 * kinds["direct"] > 0
    for entry in entries:
        counted = {key: n for key, n in entry.counts.items() if key.startswith("trace|")}
        assert sum(counted.values()) == entry.rows
        assert {key.split("|")[3] for key in counted} == {"accepted"}
        assert {key.split("|")[1] for key in counted} == {"object_tracking"}


@pytest.mark.parametrize("fault", sorted(FOUND))
def test_each_fault_is_rejected_for_its_own_reason(
    fault: str, built: Built, tmp_path: Path
) -> None:
    store, entries = judged(built, tmp_path, Acceptance(), **{fault: 1.0})
    traces = [t for e in entries for t in read_traces(store.local(e.data().path))]
    bad = [trace for trace in traces if not trace.accepted]
    assert len(bad) > len(traces) / 3
    starts = tuple(FOUND[fault])
    assert {trace.reason for trace in bad if not str(trace.reason).startswith(starts)} == set()
    ledger = [
        drop
        for entry in entries
        for file in entry.files[1:]
        for drop in read_ledger(store.local(file.path))
    ]
    assert Counter(drop.reason for drop in ledger) == Counter(trace.reason for trace in bad)
    keys = {f"{t.answer.sample}/{t.answer.turn}/{t.answer.kind}/{t.answer.number}" for t in bad}
    assert {drop.key for drop in ledger} == keys


def test_a_reasoning_is_compared_with_the_direct_answer_beside_it(
    built: Built, tmp_path: Path
) -> None:
    store, entries = judged(built, tmp_path, Acceptance(gain=Gain()))
    traces = [t for e in entries for t in read_traces(store.local(e.data().path))]
    # The direct answers are right to the pixel: no reasoning can add to that.
    reasons = {t.reason for t in traces if t.answer.kind == "reason"}
    assert reasons == {"gain: too little"}
    assert all(t.accepted for t in traces if t.answer.kind == "direct")


def test_other_thresholds_judge_the_same_answers_anew(built: Built, tmp_path: Path) -> None:
    faults = {"offset_box": 1.0}
    strict = judged(built, tmp_path / "strict", Acceptance(), **faults)
    loose = judged(built, tmp_path / "loose", Acceptance(iou=0.01, f1=0.0), **faults)
    rows = [
        [t for e in entries for t in read_traces(store.local(e.data().path))]
        for store, entries in (strict, loose)
    ]
    assert [t.answer for t in rows[0]] == [t.answer for t in rows[1]]
    assert [t.scores["iou"] for t in rows[0]] == [t.scores["iou"] for t in rows[1]]
    assert [t.targets for t in rows[0]] == [t.targets for t in rows[1]]
    assert sum(t.accepted for t in rows[1]) > sum(t.accepted for t in rows[0])
