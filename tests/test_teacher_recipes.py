"""Recipes with a teacher: every fault is found for its own reason, every mistake told in a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from teacher_runs import Taught, built, section

from mgdata.teacher.acceptance import FAILURES

TASK = {
    "samples": 8,
    "with": {"per_clip": 4, "frames": [2, 3], "given": "mixed", "turns": "all"},
}
FOUND: dict[str, tuple[str, ...]] = {
    "failed": tuple(f"reply: {reason}" for reason in FAILURES),
    "empty": ("format: ",),
    "cut": ("reply: cut",),
    "bad_format": ("format: ",),
    "repetition": ("language: repetitive",),
    "other_language": ("language: other script",),
    "leaked_answer": ("leak: ",),
    "conclusion_first": ("leak: ",),
    "inconsistent": ("inconsistent: ",),
    "offset_box": ("wrong: box",),
    "wrong_image": ("wrong: image", "answer: "),
    "extra_box": ("wrong: image", "wrong: box", "answer: "),
    "missing_box": ("wrong: no box", "wrong: image", "wrong: box"),
}
"""Faults, and the beginnings of the reasons for which their answers may be rejected."""


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    folder = tmp_path_factory.mktemp("samples")
    return built(folder, tasks={"object_tracking": TASK})


@pytest.mark.parametrize("fault", sorted(FOUND))
def test_each_fault_is_in_the_ledger_for_its_own_reason(
    fault: str, samples: Taught, tmp_path: Path
) -> None:
    run = samples.copy(tmp_path / "run")
    cot = {"prompt": "rationalise", "accept": {"first": 1, "most": 1}}
    teacher = section(**{"with": {"faults": {fault: 1.0}}}, cot=cot)
    run.run(teacher, "answer", changes={"tasks": {"object_tracking": TASK}})
    drops, traces = run.drops("judge"), run.traces()
    assert len(traces) >= 8
    # A fault that a question cannot have leaves its answer right.
    assert len(drops) >= 4
    assert {drop.reason for drop in drops if not drop.reason.startswith(FOUND[fault])} == set()
    assert {str(trace.reason) for trace in traces if not trace.accepted} == {
        drop.reason for drop in drops
    }


TWO = {"cot": {}, "rl": {"share": 0.2}}


@pytest.mark.parametrize(
    ("teacher", "key", "way"),
    [
        (section(), "teacher: ", "add cot, rl or write"),
        (section(**TWO) | {"backend": "scriptet"}, "teacher.backend", "did you mean scripted?"),
        (section(**TWO) | {"bakend": "x"}, "teacher", "bakend"),
        ({"cot": {}}, "teacher", "backend"),
        (section(cot={"promt": "reason"}), "teacher.cot", "promt"),
        (section(cot={"prompt": "think"}), "teacher.cot.prompt", "think"),
        (section(cot={"share": 0}), "teacher.cot.share", "0"),
        (section(cot={"rows": 0}), "teacher.cot.rows", "at least 1"),
        (section(cot={"accept": {"iuo": 0.4}}), "teacher.cot.accept", "iuo"),
        (section(cot={"accept": {"iou": 50}}), "teacher.cot.accept.iou", "1"),
        (section(cot={"accept": {"gain": {"rigth": 1}}}), "teacher.cot.accept.gain", "rigth"),
        (section(cot={"sampling": {"temprature": 1}}), "teacher.cot.sampling", "temprature"),
        (section(cot={}, rl={}), "teacher.rl.share", "set it under 1"),
        (section(rl={"band": {"above": 0.9, "below": 0.2}}), "teacher.rl.band", "above"),
        (section(**TWO, tasks=["object_trackin"]), "teacher.tasks", "did you mean"),
        (section(**TWO, steps={"nobody": ["Look."]}), "teacher.steps", "no task 'nobody'"),
        (section(write={}), "teacher.write", "no task makes drafts"),
        (section(**TWO) | {"notation": "jsn"}, "teacher.notation", "did you mean"),
        (
            {"backend": "scripted", "cot": {}, "notation_with": {"decimals": 1}},
            "teacher.notation_with",
            "add it",
        ),
        (section(**TWO) | {"notation_with": {"decimal": 1}}, "teacher.notation_with", "decimal"),
        (section(**TWO, **{"with": {"fault": {}}}), "teacher.with", "fault"),
        (section(**TWO, **{"with": {"faults": {"typo": 1}}}), "teacher.with", "typo"),
        (section(**TWO, **{"with": {"faults": {"cut": 2}}}), "teacher.with", "at most 1"),
        (section(**TWO, lengths={"reasoning": [60]}), "teacher.lengths.reasoning", "2"),
        (
            section(cot={"prompt": "trajectory"}) | {"notation": "qwen3-vl"},
            "teacher.notation",
            "set release.notation to qwen3-vl",
        ),
        (
            section(rl={"sampling": {"max_tokens": 512}}),
            "teacher.rl.sampling.temperature",
            "set it over 0",
        ),
        (section(**TWO) | {"samples": 0}, "teacher.samples", "at least 1"),
    ],
    ids=lambda value: value.replace("teacher", "") if isinstance(value, str) else "",
)
def test_a_mistake_is_told_in_one_sentence_with_file_key_and_way_out(
    teacher: dict[str, Any], key: str, way: str, samples: Taught, tmp_path: Path
) -> None:
    run = Taught(samples.roots, tmp_path / "run")
    run.write(teacher)
    told = run.command("run")
    assert told.code == 2, told.err
    (line,) = told.err.strip().splitlines()
    assert line.startswith("mgdata: ")
    assert "taught.yaml" in line or "run.yaml" in line
    assert key in line
    assert way in line
    assert not run.out.exists()


@pytest.mark.parametrize("verb", ["answer", "judge"])
def test_a_recipe_without_a_teacher_cannot_be_answered(
    verb: str, samples: Taught, tmp_path: Path
) -> None:
    run = Taught(samples.roots, tmp_path / "run")
    run.write(None)
    told = run.command(verb)
    assert told.code == 2
    assert "add the section `teacher`" in told.err
    assert len(told.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("tasks", "teacher", "key", "way"),
    [
        ({"free_form": {"samples": 4}}, section(cot={}), "teacher", "add write"),
        (
            {"free_form": {"samples": 4}},
            section(write={"rows": {"free_from": 3}}),
            "teacher.write.rows",
            "did you mean free_form?",
        ),
        (
            {"free_form": {"samples": 4, "config": "cot"}},
            section(write={}),
            "tasks.free_form",
            "set another config",
        ),
    ],
    ids=["drafts without write", "rows of no task", "config of answers"],
)
def test_drafts_and_what_is_written_about_them_go_together(
    tasks: dict[str, Any], teacher: dict[str, Any], key: str, way: str,
    samples: Taught, tmp_path: Path,
) -> None:  # fmt: skip
    run = Taught(samples.roots, tmp_path / "run")
    run.write(teacher, tasks={"object_tracking": TASK, **tasks})
    told = run.command("run")
    assert told.code == 2, told.err
    (line,) = told.err.strip().splitlines()
    assert key in line and way in line and "run.yaml" in line
