"""Whole runs whose teacher is vLLM, in process and over HTTP: real generations, judged."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from command import mgdata
from environments import taught
from environments.engine import ARGUMENTS
from environments.server import MODEL
from processes import Started
from small_runs import MGDATA
from teacher_runs import Taught

from mgdata.data import Answer, Trace
from mgdata.manifest import Manifest, Shard
from mgdata.notations.json import Json
from mgdata.stages.judge import Judge
from mgdata.storage import Store
from mgdata.tables import read_samples
from mgdata.teacher.acceptance import REASONS, Acceptance
from mgdata.teacher.backends import leash
from mgdata.teacher.tables import read_traces, write_answers

SAID = re.compile(r"(?:<think>(?P<thought>[^<]+)</think>)?<answer>(?P<answer>.*)</answer>")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    return taught.samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="module")
def teacher(checkpoint: Path) -> dict[str, Any]:
    """vLLM in process, with the setting that gives the same answers in every run."""
    kept = ("enforce_eager", "kv_cache_memory_bytes")
    settings = {
        "checkpoint": str(checkpoint), "device": "cpu", "dtype": "float32",
        "images": taught.IMAGES, "max_model_len": taught.TOKENS, "reproducible": True,
        "engine": {name: ARGUMENTS[name] for name in kept},
    }  # fmt: skip
    return taught.asked("vllm", settings, loose=True)


@pytest.fixture(scope="module")
def whole(
    samples: Taught, teacher: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Taught:
    """A run on Ray that nobody stopped, and that leaves no process behind."""
    run = samples.copy(tmp_path_factory.mktemp("whole") / "run")
    run.write(teacher, tasks=taught.TASKS)
    code, told = started(run, "--engine", "ray", "--workers", "2").end()
    assert code == 0, told[-3000:]
    return run


@pytest.fixture(scope="module")
def served(samples: Taught, server: Any, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """A run that asks a server."""
    run = samples.copy(tmp_path_factory.mktemp("served") / "run")
    run.write(remote(server, loose=True), tasks=taught.TASKS)
    done = run.command("run")
    assert done.code == 0, done.err
    return run


def remote(server: Any, *, loose: bool) -> dict[str, Any]:
    settings = {"url": server.url, "name": MODEL, "forms": "vllm", "concurrency": 8}
    return taught.asked("endpoint", settings, loose=loose)


def started(run: Taught, *flags: str) -> Started:
    return Started([MGDATA, *run.words("run", *flags)])


@pytest.mark.parametrize("way", ["whole", "served"])
def test_rows_are_made_of_what_the_model_itself_said(
    way: str, request: pytest.FixtureRequest
) -> None:
    run: Taught = request.getfixturevalue(way)
    checked = mgdata("check", run.out)
    assert checked.code == 0, checked.out + checked.err
    traces = run.traces()
    accepted = [trace for trace in traces if trace.accepted]
    assert {trace.answer.kind for trace in accepted} == {"reason", "direct"}
    assert len(accepted) < len(traces)
    # Random weights repeat nothing but the empty list.
    texts = [text for t in traces if (text := t.answer.reply.text) != "<answer>[]</answer>"]
    assert len(set(texts)) == len(texts) > len(traces) / 2
    for trace in accepted:
        said = SAID.fullmatch(trace.answer.reply.text)
        assert said and trace.reasoning == (said["thought"] or "").strip()
        boxes = [(one["image"] - 1, *one["box"]) for one in json.loads(said["answer"])]
        found = [(t.image, t.box.x1, t.box.y1, t.box.x2, t.box.y2) for t in trace.targets]
        assert found == boxes
    named = [target.image for trace in accepted for target in trace.targets]
    assert len(named) >= 2 and len(set(named)) >= 2


@pytest.mark.parametrize("way", ["whole", "served"])
def test_what_a_row_reasons_and_how_often_it_passed_is_what_was_judged(
    way: str, request: pytest.FixtureRequest
) -> None:
    run: Taught = request.getfixturevalue(way)
    by_sample: defaultdict[str, list[Trace]] = defaultdict(list)
    for trace in run.traces():
        by_sample[trace.answer.sample].append(trace)
    reasoned, rated = run.rows("cot"), run.rows("rl")
    assert reasoned and rated
    assert all(3 <= row["messages"][0]["content"].count("<image>") <= 5 for row in reasoned)
    for row in reasoned:
        mine = {trace.reasoning for trace in by_sample[row["source"]] if trace.accepted}
        assert row["reasoning"] in mine
        assert f"<think>{row['reasoning']}</think>" in row["messages"][-1]["content"]
    for row in rated:
        turn = sum(message["role"] == "assistant" for message in row["messages"])
        mine = [trace for trace in by_sample[row["source"]] if trace.answer.turn == turn]
        assert row["answers"] == len(mine) == 8
        assert row["pass_rate"] == pytest.approx(sum(trace.accepted for trace in mine) / 8)


def test_a_random_models_answers_are_all_rejected_each_for_a_reason(
    served: Taught, server: Any, tmp_path: Path
) -> None:
    run = served.copy(tmp_path / "run")
    run.write(remote(server, loose=False), tasks=taught.TASKS)
    done = run.command("run")
    assert done.code == 1, done.err
    assert "short: cot: no row" in done.err and "short: rl: no row" in done.err
    traces = run.traces()
    assert traces and not any(trace.accepted for trace in traces)
    assert {str(trace.reason) for trace in traces} <= set(REASONS)
    told = {drop.key: drop.reason for drop in run.drops("judge")}
    assert told == {
        f"{a.sample}/{a.turn}/{a.kind}/{a.number}": trace.reason
        for trace in traces
        for a in [trace.answer]
    }
    assert {"answer: inverted box", "wrong: no box", "reply: cut"} <= set(told.values())
    # The looser run had asked for them all.
    assert run.lines == served.lines == served.tally.replies


def test_a_run_killed_while_vllm_answers_goes_on_where_it_was(
    samples: Taught, whole: Taught, teacher: dict[str, Any], tmp_path: Path
) -> None:
    """The release is equal byte for byte to that of a run of two workers that was not stopped.

    That holds with `reproducible: true` alone: else what runs together can change an answer.
    """
    run = samples.copy(tmp_path / "run")
    run.write(teacher, tasks=taught.TASKS)
    process = started(run, "--engine", "serial")
    wait_until(process, lambda: loading(process))
    end(process, signal.SIGTERM, 130)
    assert run.lines == 0
    process = started(run, "--engine", "serial")
    wait_until(process, lambda: run.lines >= 12)
    end(process, signal.SIGKILL, -signal.SIGKILL)
    before = run.lines
    assert before < whole.lines
    code, told = started(run, "--engine", "serial").end()
    assert code == 0, told[-3000:]
    assert run.release == whole.release
    assert run.lines == whole.lines == whole.tally.replies
    assert (run.tally.replies, run.tally.repeated) == (whole.tally.replies, 0)
    known = {answer.reply.key: answer.reply for answer in whole.answers()}
    assert {answer.reply.key: answer.reply for answer in run.answers()} == known


def wait_until(process: Started, true: Callable[[], object]) -> None:
    """Until something is so, the process being at work."""
    end = time.monotonic() + 180
    while not true():
        assert process.process.poll() is None and time.monotonic() < end, process.told[-3000:]
        time.sleep(0.01)


def loading(process: Started) -> list[int]:
    """The processes of a driver that become or are its engine."""
    return [
        pid
        for pid, _ in leash.below(process.process.pid)
        if re.search("spawn_main|EngineCore", Path(f"/proc/{pid}/cmdline").read_text())
    ]


def end(process: Started, number: int, code: int) -> None:
    """Send a driver a signal, after which neither it nor its engine is there."""
    engine = loading(process)
    assert len(engine) == 1
    process.process.send_signal(number)
    assert process.process.wait(120) == code, process.told[-3000:]
    until = time.monotonic() + 60
    while left := [pid for pid in engine if leash.process(pid)]:
        assert time.monotonic() < until, left
        time.sleep(0.05)


@pytest.mark.parametrize("settings", [Acceptance(), Acceptance(**taught.LOOSE, **taught.BLIND)])
def test_a_text_has_one_verdict_whatever_backend_it_came_from(
    whole: Taught, settings: Acceptance, tmp_path: Path
) -> None:
    answers = whole.answers()
    others = [msgspec.structs.replace(answer, model="endpoint:other") for answer in answers]
    found = judged(whole, answers, settings, tmp_path / "own")
    assert len(found) == len(answers)
    assert found == [
        msgspec.structs.replace(trace, answer=own.answer)
        for trace, own in zip(
            judged(whole, others, settings, tmp_path / "other"), found, strict=True
        )
    ]
    assert settings == Acceptance() or {
        key(trace.answer): trace.accepted for trace in found
    } == {key(trace.answer): trace.accepted for trace in whole.traces()}  # fmt: skip


def judged(run: Taught, answers: list[Answer], settings: Acceptance, out: Path) -> list[Trace]:
    """What the stage finds of answers to a run's samples."""
    store, table = Store(str(out)), out / "asked.parquet"
    out.mkdir()
    write_answers(table, answers)
    picks = []
    for entry in Manifest(Store(str(run.out))).entries("build").values():
        source = run.out / entry.data().path
        (out / entry.data().path).parent.mkdir(parents=True, exist_ok=True)
        (out / entry.data().path).write_bytes(source.read_bytes())
        picks.append([entry.data().path, [*range(len(read_samples(source, ["id"])))]])
    payload = {"picks": picks, "answers": [table.name], "beside": []}
    shard = Shard(stage="judge", name="all", fingerprint="f", payload=payload)
    stage = Judge(out=str(out), notation=Json(), acceptance=settings)
    (entry,) = stage.open()(iter([shard]))
    return read_traces(store.local(entry.data().path))


def key(answer: Answer) -> tuple[str, int, str, int]:
    return answer.sample, answer.turn, answer.kind, answer.number
