"""From traces to lessons: what a reasoning must be to stand in a row."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from test_answer import Built, serial, shards, stage
from test_answer import built as built  # the fixture

from mgdata.engine.serial import SerialEngine
from mgdata.manifest import Shard
from mgdata.notations.json import Json
from mgdata.stages.judge import Judge
from mgdata.stages.teach import Teach
from mgdata.storage import Store
from mgdata.tables import read_ledger
from mgdata.teacher.acceptance import Acceptance
from mgdata.teacher.backends.scripted import Scripted
from mgdata.teacher.section import Cot, TeacherSection
from mgdata.teacher.tables import read_lessons, read_traces, write_traces

BOX = "It is at [10, 20, 60, 80] in the second image."


def taught(
    built: Built, out: Path, *, same: bool, reasoning: str | None = None
) -> tuple[list[str], list[str]]:
    """Reasonings of the lessons and reasons of the ledger, of a shard of accepted answers."""
    asking = stage(built, out, Scripted())
    (work, *_), (picks, *_) = shards(built, [("reason", 0, 1)]), built.picks
    (answers,) = serial(asking, [work])
    payload = {"picks": picks, "answers": [answers.data().path], "beside": []}
    judge = Judge(out=str(out), notation=Json(), acceptance=Acceptance())
    engine, store = SerialEngine(lambda *_: None), Store(str(out))
    (judged,) = engine.run(judge, [Shard(stage="judge", name="s", fingerprint="", payload=payload)])
    path = store.local(judged.data().path)
    traces = read_traces(path)
    if reasoning is not None:
        traces = [replace(trace, reasoning=reasoning) for trace in traces]
        write_traces(path, traces)
    section = TeacherSection(backend="scripted", cot=Cot())
    teach = Teach(out=str(out), section=section, same_notation=same)
    payload = {"config": "cot", "picks": picks, "traces": [judged.data().path]}
    (entry,) = engine.run(teach, [Shard(stage="teach", name="s", fingerprint="", payload=payload)])
    lessons = read_lessons(store.local(entry.data().path))
    assert len(lessons) + sum(entry.drops.values()) == len(traces)
    drops = [d for file in entry.files[1:] for d in read_ledger(store.local(file.path))]
    return [lesson.reasoning for lesson in lessons], [drop.reason for drop in drops]


@pytest.mark.parametrize("same", [True, False])
def test_a_reasoning_without_boxes_serves_any_notation(
    built: Built, tmp_path: Path, same: bool
) -> None:
    reasonings, drops = taught(built, tmp_path, same=same)
    assert reasonings and not drops


def test_boxes_in_a_reasoning_must_be_in_the_notation_of_the_release(
    built: Built, tmp_path: Path
) -> None:
    reasonings, drops = taught(built, tmp_path / "same", same=True, reasoning=BOX)
    assert set(reasonings) == {BOX} and not drops
    reasonings, drops = taught(built, tmp_path / "other", same=False, reasoning=BOX)
    assert not reasonings and set(drops) == {"reasoning has boxes in another notation"}


@pytest.mark.parametrize("reasoning", ["I see <image> here.", "So </think> it is.", "", "<answer>"])
def test_what_would_spoil_a_row_is_dropped(built: Built, tmp_path: Path, reasoning: str) -> None:
    reasonings, drops = taught(built, tmp_path, same=True, reasoning=reasoning)
    assert not reasonings and set(drops) == {"reasoning cannot be a row"}
