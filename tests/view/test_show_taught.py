"""What a teacher had a part in as the gallery is given it: answers with verdicts, lesson rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from msgspec.structs import astuple, replace

from mgdata.data import Answer, Image, Sample, Sampling, Target, Trace, Turn
from mgdata.edits import Codec
from mgdata.geometry import Box
from mgdata.notations import conversation
from mgdata.notations.json import Json
from mgdata.release import taught
from mgdata.show import show_row, show_traces
from mgdata.storage import Root
from mgdata.teacher.acceptance import accept
from mgdata.teacher.asking import requests
from mgdata.teacher.backends.scripted import Scripted
from mgdata.teacher.prompts import TurnKind, prompt
from mgdata.view import ACCEPTED, Mark, Shown

BOXES = (Box(10, 20, 70, 80), Box(30, 5, 90, 65))
SAMPLE = Sample(
    id="0123456789abcdef",
    task="tracking",
    association="temporal",
    split="train",
    images=tuple(Image(uri=f"clips:{i}.png", width=120, height=90) for i in range(2)),
    turns=(
        Turn(
            question="<image:0>\n<image:1>\nWhere is the dog of the first image?",
            answer="<target:0>",
            targets=(Target(image=0, box=BOXES[0], phrase="the dog"),),
        ),
        Turn(
            question="And where is it in the second image?",
            answer="<target:0>",
            targets=(Target(image=1, box=BOXES[1], phrase="the dog"),),
            asked=(1,),
        ),
    ),
    records=("clips/a",),
    license="CC-BY-4.0",
)


def traces(turn: int, kind: TurnKind = "reason", n: int = 1, **faults: float) -> list[Trace]:
    """What the scripted teacher answers, judged."""
    backend, words = Scripted(faults=faults), prompt(kind, SAMPLE, turn, Json())
    made = requests(words, ["0" * 64] * 2, n, model="m", sampling=Sampling(), seed=1,
                    sample=SAMPLE, turn=turn)  # fmt: skip
    answers = [
        Answer(sample=SAMPLE.id, turn=turn, number=i, kind=kind, reply=backend.reply(request),
               model="scripted:m", prompt=request.prompt, words=words.words,
               sampling=request.sampling, seed=request.seed)
        for i, request in enumerate(made)
    ]  # fmt: skip
    return [accept(answer, SAMPLE, Json()) for answer in answers]


def shown(tmp_path: Path, found: list[Trace]) -> list[Shown]:
    for i in range(2):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((90, 120, 3), 40 * i, np.uint8))
    return show_traces(SAMPLE, found, {"clips": Root(str(tmp_path))}, Json(), Codec())


def test_each_answer_is_an_item_under_the_key_of_the_ledger(tmp_path: Path) -> None:
    items = shown(tmp_path, [*traces(0, n=2), *traces(1, "direct")])
    assert [item.id.removeprefix(SAMPLE.id) for item in items] == [
        "/0/reason/0", "/0/reason/1", "/1/direct/0",
    ]  # fmt: skip
    assert all(len(item.images) == 2 and item.images[0].data for item in items)
    assert [len(item.turns) for item in items] == [1, 1, 2]


def test_an_accepted_answer_has_its_boxes_and_its_reasoning(tmp_path: Path) -> None:
    [item] = shown(tmp_path, traces(0))
    [turn] = item.turns
    assert turn.trace is not None
    assert turn.trace.verdict == ACCEPTED and turn.trace.quote == ""
    assert [(m.image, m.box) for m in turn.trace.claimed] == [(0, BOXES[0])]
    assert turn.targets == (Mark(image=0, box=BOXES[0], phrase="the dog"),)
    assert turn.reasoning and turn.reasoning in turn.trace.raw
    assert turn.trace.answer == turn.answer
    assert turn.trace.scores["iou"] == 1
    assert item.provenance["model"] == "scripted:m"


@pytest.mark.parametrize(
    ("fault", "verdict", "parts"),
    [
        ("offset_box", "wrong: box", True),
        ("leaked_answer", "leak: ", True),
        ("bad_format", "format: ", False),
        ("cut", "reply: cut", False),
        ("failed", "reply: ", False),
    ],
)
def test_a_rejected_answer_has_its_reason_and_what_was_found(
    tmp_path: Path, fault: str, verdict: str, parts: bool
) -> None:
    [item] = shown(tmp_path, traces(0, **{fault: 1.0}))
    trace = item.turns[0].trace
    assert trace is not None
    assert trace.verdict.startswith(verdict) and trace.quote
    assert bool(trace.claimed) == bool(trace.answer) == parts
    assert bool(trace.raw) == (fault != "failed")
    if fault == "leaked_answer":
        assert trace.quote in item.turns[0].reasoning


def test_turns_before_the_asked_one_are_text_without_boxes(tmp_path: Path) -> None:
    [item] = shown(tmp_path, traces(1))
    first, second = item.turns
    assert first.question == "Where is the dog of the first image?"
    assert first.targets == () and first.trace is None and "10" in first.answer
    assert second.targets and second.trace and second.trace.claimed


def row(open: bool = False, reasoning: str = "", instruction: str = "", **more: Any) -> Any:
    """A lesson row as `pyarrow` gives it, its text made by the release's own functions."""
    form = more.setdefault("form", "reason")
    told = conversation(Json(), SAMPLE.turns, SAMPLE.images)
    targets = [
        [{"image": t.image, "box": astuple(t.box), "phrase": t.phrase} for t in turn.targets]
        for turn in SAMPLE.turns
    ]
    return {
        "id": "feed", "task": "tracking", "split": "train", "association": "temporal",
        "images": [{"bytes": b"", "path": "0.png"}] * 2,
        "image_info": [
            {"uri": i.uri, "frame": None, "view": None, "width": 120, "height": 90}
            for i in SAMPLE.images
        ],
        "turns": [
            {"kind": t.kind, "regions": [], "targets": some, "gold": t.gold}
            for t, some in zip(SAMPLE.turns, targets, strict=True)
        ],
        "messages": taught.messages(told, form=form, open=open, instruction=instruction,
                                    reasoning=reasoning),
        "records": ["clips/a"], "license": "CC-BY-4.0", "notation": "json", "order": 3,
        "source": SAMPLE.id, "instruction": instruction, "reasoning": reasoning,
        "ground_truth": '{"form": "reason"}', "pass_rate": None, "answers": 0, "kind": "reason",
        "model": "scripted:m", "words": "ab", "iou": None,
    } | more  # fmt: skip


def test_a_lesson_that_reasons_is_shown_in_its_parts() -> None:
    text = "I see <b>it</b>.\n\nIt sits."
    item = show_row(row(reasoning=text, instruction="Think first.\n\nThen answer.", iou=0.8125))
    first, last = item.turns
    assert first.reasoning == "" and first.instruction == ""
    assert last.reasoning == text and last.instruction == "Think first.\n\nThen answer."
    assert last.question == "And where is it in the second image?"
    assert last.answer == Json().answer(SAMPLE.turns[1], SAMPLE.images)
    assert not last.open and last.targets
    assert item.provenance["teacher's IoU"] == "0.812"
    assert item.provenance["source"] == SAMPLE.id and item.provenance["model"] == "scripted:m"


def test_an_open_lesson_has_its_boxes_and_pass_rate_but_no_answer() -> None:
    item = show_row(row(open=True, pass_rate=0.375, answers=8))
    assert [turn.open for turn in item.turns] == [False, True]
    assert item.turns[1].answer == "" and item.turns[1].targets
    assert item.provenance["pass rate"] == "0.375 of 8 answers"
    assert item.provenance["ground truth"] == '{"form": "reason"}'


def test_a_direct_lesson_is_shown_as_any_row() -> None:
    item = show_row(row(form="direct", model="", words="", kind=""))
    assert item.turns[1].answer == Json().answer(SAMPLE.turns[1], SAMPLE.images)
    assert "model" not in item.provenance and "pass rate" not in item.provenance
    plain = {k: v for k, v in row(form="direct").items() if k not in ("form", "instruction")}
    assert show_row(plain).turns == item.turns
    assert replace(show_row(plain), provenance={}) == replace(item, provenance={})
