"""Finding, filling and checking the slots of a turn's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgdata.placeholders import check, fill, find

SIZES = {"image": 2, "region": 1, "target": 2}


def test_slots_are_found_in_the_order_of_the_text():
    text = "<image:1><image:0> <region:0> at <target:12>"
    assert find(text) == [("image", 1), ("image", 0), ("region", 0), ("target", 12)]


@pytest.mark.parametrize(
    "text",
    [
        "<image>",
        "<image:>",
        "<image:-1>",
        "<image: 1>",
        "<box:0>",
        "image:0",
        "<IMAGE:0>",
        "<image:0",
    ],
)
def test_what_only_looks_like_a_slot_is_text(text):
    assert find(text) == []
    assert fill(text, image=["x"]) == text


def test_only_the_kinds_that_are_given_are_filled():
    text = "<image:0> <region:0> <target:1>"
    assert fill(text, region=["R"], target=["S", "T"]) == "<image:0> R T"
    assert fill(text) == text


def test_a_value_is_not_filled_again():
    assert (
        fill("<target:0>", target=["<target:0> <region:0>"], region=["x"])
        == "<target:0> <region:0>"
    )


def test_a_slot_may_be_written_twice():
    assert fill("<target:0> and <target:0>", target=["T"]) == "T and T"


def test_a_slot_beyond_the_values_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="<target:2> has no value: 2 given"):
        fill("<target:2>", target=["a", "b"])


SLOT = st.tuples(st.sampled_from(["image", "region", "target"]), st.integers(0, 4))


@given(st.lists(st.tuples(SLOT, st.text("ab <>:0", max_size=4)), max_size=8))
def test_filling_with_its_own_slots_changes_nothing(parts):
    text = "".join(f"<{kind}:{i}>{after}" for (kind, i), after in parts)
    own = {kind: [f"<{kind}:{i}>" for i in range(5)] for kind in SIZES}
    assert fill(text, **own) == text
    assert len(find(text)) >= len(parts)


CHECKED = [
    ("<image:0><image:1> <region:0>", "<target:0> <target:1>", None),
    ("<image:0>", "<region:0>: <target:1>, <target:0>", None),  # a region may stand in the answer
    ("<image:2> <region:0>", "<target:0> <target:1>", "<image:2> is beyond the last image"),
    ("<region:1> <region:0>", "<target:0> <target:1>", "<region:1> is beyond the last region"),
    ("<region:0>", "<target:0> <target:2>", "<target:2> is beyond the last target"),
    ("<region:0> <target:0>", "<target:0> <target:1>", "the question holds a target"),
    ("", "<target:0> <target:1>", "<region:0> is written nowhere"),
    ("<region:0>", "<target:1>", "<target:0> is written nowhere"),
]


@pytest.mark.parametrize(("question", "answer", "wrong"), CHECKED)
def test_a_turn_is_checked(question, answer, wrong):
    assert check(question, answer, SIZES) == wrong
