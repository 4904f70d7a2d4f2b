from __future__ import annotations

import pytest

from builders.static_difference import WORDING, StaticDifference
from mgdata.data import ALL, Image, Record, Region, Sample
from mgdata.geometry import Box
from mgdata.identity import Stream

BOX = Box(10, 20, 110, 90)


def pair(sentence: str | None) -> Record:
    """A pair with one change in both images; without a sentence one known to hold none."""
    regions = (
        ()
        if sentence is None
        else tuple(
            Region(image=side, box=BOX, label="change", phrase=sentence, track="1")
            for side in (0, 1)
        )
    )
    return Record(
        key="p/1",
        shape="pair",
        unit="1",
        images=tuple(Image(uri=f"p:{side}.png", width=640, height=480) for side in (0, 1)),
        regions=regions,
        license="MIT",
        exhaustive=(ALL,),
    )


def built(record: Record, unchanged: float = 0.0) -> list[Sample]:
    builder = StaticDifference(describe=1, unchanged=unchanged)
    return [
        s
        for i in range(80)
        for s in builder.build([record], Stream("t", str(i)))
        if isinstance(s, Sample)
    ]


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ("Remove the cup!", "the edit was to remove the cup"),
        ("let the dog wear a hat", "the edit was to let the dog wear a hat"),
        ("additional people stand there", "additional people stand there"),
        ("the man has turned", "the man has turned"),
    ],
)
def test_an_order_to_edit_is_told_as_one(order: str, told: str) -> None:
    for sample in built(pair(order)):
        assert sample.turns[0].targets[0].phrase == told
        assert told in sample.turns[0].answer.lower()


@pytest.mark.parametrize(
    "wish", ["what if the man had a hat?", "please add a cat", "let's add a cat", "it should snow"]
)
def test_a_question_or_a_wish_describes_nothing(wish: str) -> None:
    for sample in built(pair(wish)):
        assert sample.turns[0].targets[0].phrase == "change"


def test_a_description_is_not_asked_for_as_if_there_must_be_a_change() -> None:
    for record in (pair("the mug moved"), pair(None)):
        for sample in built(record, unchanged=0.5):
            assert not any(f.text in sample.turns[0].question for f in WORDING.forms["tell"])
            assert any(f.text in sample.turns[0].question for f in WORDING.forms["tell_open"])


def test_no_answer_sees_in_a_place_what_is_not_there() -> None:
    for name, forms in WORDING.forms.items():
        if name.startswith("answer_told"):
            assert not any("seen" in form.text for form in forms), name
