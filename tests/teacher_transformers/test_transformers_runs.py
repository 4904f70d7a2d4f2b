"""A whole run whose teacher is transformers, which holds answers to no form: none can be read."""

from __future__ import annotations

from pathlib import Path

from environments import taught

from mgdata.teacher.acceptance import REASONS


def test_a_random_models_free_answers_are_all_rejected_each_for_a_reason(
    checkpoint: Path, tmp_path: Path
) -> None:
    run = taught.samples(tmp_path)
    settings = {"checkpoint": str(checkpoint), "images": taught.IMAGES}
    section = taught.asked("transformers", settings, loose=True)
    for product in ("cot", "rl"):
        section[product]["sampling"]["max_tokens"] = 24
    run.write(section, tasks=taught.TASKS)
    done = run.command("run")
    assert done.code == 1, done.err
    assert "short: cot: no row" in done.err and "short: rl: no row" in done.err
    traces = run.traces()
    assert {trace.answer.kind for trace in traces} == {"reason", "direct"}
    assert len({trace.answer.reply.text for trace in traces}) == len(traces) == run.lines
    assert not any(trace.accepted for trace in traces)
    told = {drop.key: drop.reason for drop in run.drops("judge")}
    assert len(told) == len(traces)
    assert set(told.values()) == {str(trace.reason) for trace in traces} <= set(REASONS)
    assert all(trace.answer.reply.prompt_tokens > 1000 for trace in traces)

    before = run.lines
    again = run.command("run")
    assert (again.code, run.lines) == (1, before)
