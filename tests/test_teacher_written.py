"""A run whose teacher writes the questions: stopped and gone on, counted, published."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from teacher_runs import Taught, section

from mgdata.synth import write as write_corpus

DRAFTS = {
    "corpora": {"coco": {}},
    "tasks": {"free_form": {"samples": 16, "with": {"by": "random"}}},
}
FAULTS = {"hedging": 0.15, "unknown_object": 0.1, "wrong_verdict": 0.2, "misfit": 0.1}


def written(**write: Any) -> dict[str, Any]:
    return section(**{"with": {"faults": FAULTS}}, write=write)


@pytest.fixture(scope="module")
def drafts(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """Drafts that nothing was asked about; to be copied."""
    folder = tmp_path_factory.mktemp("drafts")
    write_corpus("coco", folder / "coco", clips=60, frames=1, size=(96, 72), seed=5)
    made = Taught({"coco": str(folder / "coco")}, folder / "built")
    made.run(written(), "build", changes=DRAFTS)
    return made


@pytest.fixture(scope="module")
def whole(drafts: Taught, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """A finished run; not to be written to."""
    made = drafts.copy(tmp_path_factory.mktemp("whole") / "run")
    made.run(written(), changes=DRAFTS)
    return made


def test_every_written_question_is_a_row_or_in_the_ledger_with_its_reason(whole: Taught) -> None:
    asked = Counter(answer.kind for answer in whole.answers())
    assert all(asked[kind] for kind in ("caption", "refine", "write", "verify"))
    rows = whole.rows("free_form")
    drops = [drop for drop in whole.drops("teach") if drop.key.endswith("/write")]
    assert len(rows) + len(drops) == asked["write"]
    assert len(rows) == len(whole.lessons()) > 3
    assert len({drop.reason for drop in drops}) > 1
    for row in rows:
        assert (row["form"], row["kind"], row["split"]) == ("direct", "write", row["in"])
        assert "<think>" not in row["messages"][-1]["content"]
        assert row["id"] != row["source"]


def test_an_image_in_many_drafts_is_described_once(whole: Taught) -> None:
    captions = [answer for answer in whole.answers() if answer.kind == "caption"]
    assert len({answer.reply.key for answer in captions}) < len(captions)
    assert (whole.tally.repeated, whole.lines) == (0, whole.tally.replies)


def test_a_run_stopped_between_its_rounds_goes_on_to_the_same_release(
    drafts: Taught, whole: Taught, tmp_path: Path
) -> None:
    run = drafts.copy(tmp_path / "run")
    run.write(written(), **DRAFTS)
    stops = 0
    while (told := run.command("run", "--tokens", "6000")).code:
        assert "run the same command again to go on" in told.err, told.err
        stops += 1
        assert stops < 20
    assert stops > 1
    assert run.lines == whole.lines
    assert run.release == whole.release


def test_no_more_questions_are_published_than_asked_for(drafts: Taught, tmp_path: Path) -> None:
    run = drafts.copy(tmp_path / "run")
    assert not run.run(written(rows={"free_form": 4}), changes=DRAFTS).short
    assert len(run.rows("free_form")) == 4
    told = run.run(written(rows={"free_form": 400}), changes=DRAFTS)
    assert told.short[0].startswith("free_form: ")


def test_an_explanation_is_published_where_it_is_asked_for(drafts: Taught, tmp_path: Path) -> None:
    run = drafts.copy(tmp_path / "run")
    run.run(written(reasoned=True, verify=False, captions=False, refine=False), changes=DRAFTS)
    assert {answer.kind for answer in run.answers()} == {"write"}
    rows = run.rows("free_form")
    assert rows
    for row in rows:
        said = row["messages"][-1]["content"]
        assert said.startswith(f"<think>{row['reasoning']}</think><answer>")
        assert row["reasoning"]
