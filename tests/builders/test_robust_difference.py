from __future__ import annotations

import re
from typing import Any

from made import index
from made import record as made

from builders.robust_difference import WORDING, RobustDifference
from builders.static_difference import WORDING as STATIC
from builders.static_difference import StaticDifference
from mgdata.data import Record, Sample
from mgdata.errors import Rejected
from mgdata.identity import Stream


def built(records: list[Record], **settings: Any) -> list[Sample]:
    builder = RobustDifference(**settings)
    samples: list[Sample] = []
    for (row,) in builder.groups(index(records), Stream("g")):
        try:
            found = list(builder.build([records[row]], Stream("b", str(row))))
        except Rejected:
            continue
        samples += [item for item in found if isinstance(item, Sample)]
    return samples


def test_every_question_says_that_the_view_is_not_the_same() -> None:
    told = [form.text for form in WORDING.forms["camera"]]
    assert len(told) >= 10
    samples = built([made(n, "pair") for n in range(300)], asked="mixed", unchanged=0.2)
    used: set[str] = set()
    for sample in samples:
        found = [text for text in told if text in sample.turns[0].question]
        assert len(found) == 1, sample.turns[0].question
        used |= set(found)
    assert used == set(told)


def test_it_stands_before_or_after_the_question() -> None:
    samples = built([made(n, "pair") for n in range(300)])
    ends = sum(
        any(s.turns[0].question.endswith(form.text) for form in WORDING.forms["camera"])
        for s in samples
    )
    assert 0.35 < ends / len(samples) < 0.65


def test_no_question_takes_the_pictures_for_equal_but_for_the_change() -> None:
    claims = r"(?i)\b(identical|alike|same picture|almost the same|nearly the same)\b"
    for name in ("ask_one", "ask_many", "ask_both", "ask_open"):
        for form in WORDING.forms[name]:
            assert not re.search(claims, form.text), form.text


def test_its_questions_are_its_own() -> None:
    for name in ("ask_one", "ask_many", "ask_both", "ask_open"):
        ours = {form.text for form in WORDING.forms[name]}
        assert len(ours & {form.text for form in STATIC.forms[name]}) <= 5, name


def test_pairs_in_which_only_the_camera_moved_have_no_target() -> None:
    records = [made(n, "pair") for n in range(900)]
    samples = built(records, unchanged=0.1)
    none = [s for s in samples if not s.turns[0].targets]
    assert 0.07 < len(none) / len(samples) < 0.13
    empty = {record.key for record in records if not record.regions}
    assert {key for s in none for key in s.records} <= empty
    assert all(s.turns[0].targets for s in built(records))


def test_boxes_are_those_of_the_static_task() -> None:
    record = made(2, "pair")
    for task in (RobustDifference(describe=0), StaticDifference(describe=0)):
        for i in range(40):
            for sample in task.build([record], Stream("x", str(i))):
                assert isinstance(sample, Sample)
                shown = sample.images[1].uri
                (target,) = sample.turns[0].targets
                (want,) = [r.box for r in record.regions if record.images[r.image].uri == shown]
                assert target.box == want
