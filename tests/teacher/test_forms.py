"""Forms that replies are held to: what they let through can be read."""

from __future__ import annotations

import re

import jsonschema
import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scene_for_prompts import IMAGES, TURNS, notation, turn

from mgdata.data import Image
from mgdata.judgement import judge
from mgdata.teacher import thought
from mgdata.teacher.fact_prompts import REFINED, WRITTEN
from mgdata.teacher.forms import form, reply_form, upto
from mgdata.teacher.prompts import VERDICT

LISTS = ("json", "qwen2.5-vl", "qwen3-vl")


@given(st.integers(0, 12000), st.integers(0, 13000), st.sampled_from([0, 1]))
def test_whole_numbers_up_to_a_bound_and_no_others_match(last, number, least):
    assume(last >= least)
    assert bool(re.fullmatch(upto(last, least), str(number))) == (least <= number <= last)
    assert not re.fullmatch(upto(last, least), f"0{number}")


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("kind", ["direct", "reason", "rationalise", "trajectory"])
def test_the_right_answer_fits_its_form(name, kind):
    writer = notation(name)
    pattern = form(kind, TURNS[0], IMAGES, writer).pattern
    think = "" if kind == "direct" else "<think>It is left.\nSo (1, 2).</think>"
    for answer in (writer.answer(TURNS[0], IMAGES), "[]"):
        assert pattern and re.fullmatch(pattern, f"{think}<answer>{answer}</answer>")
    assert not re.fullmatch(pattern, f"{think}<answer>{answer}</answer> more")


@pytest.mark.parametrize("name", LISTS)
@given(data=st.data())
def test_what_fits_the_form_can_be_read_but_for_inverted_boxes(name, data):
    writer = notation(name)
    pattern = form("reason", TURNS[0], IMAGES, writer, thinking=(1, 40), most_boxes=3).pattern
    assert pattern
    text = data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    assume(not re.search("<think>\\s*</think>", text))
    verdict = judge(thought.read(text, "reason").answer, TURNS[0], IMAGES, writer)
    assert verdict.reason in (None, "inverted box")


def test_each_image_has_its_own_numbers():
    pattern = form("direct", TURNS[0], IMAGES, notation("json")).pattern
    assert pattern
    for image, right, fits in ((1, 640, True), (2, 300, True), (2, 301, False), (4, 10, False)):
        box = f'[{{"image": {image}, "box": [0, 0, {right}, 9.25], "label": "dog"}}]'
        assert bool(re.fullmatch(pattern, f"<answer>{box}</answer>")) == fits


@pytest.mark.parametrize(
    ("changes", "fits", "other"),
    [
        ({"kind": "choice", "options": ("a", "b", "c")}, "C", "D"),
        ({"kind": "count"}, "12", "-1"),
        ({"kind": "order"}, "2, 1, 3", "2, 4"),
    ],
)
def test_words_have_forms_too(changes, fits, other):
    pattern = form("direct", turn(targets=(), **changes), IMAGES, notation("qwen2-vl")).pattern
    assert pattern and re.fullmatch(pattern, f"<answer>{fits}</answer>")
    assert not re.fullmatch(pattern, f"<answer>{other}</answer>")


def test_prose_and_captions_have_none():
    for made in (
        form("reason", TURNS[0], IMAGES, notation("qwen2-vl")),
        form("reason", turn(kind="text", targets=()), IMAGES, notation("json")),
        form("caption", TURNS[0], IMAGES, notation("json")),
        form("reason", TURNS[0], (Image(uri="", width=3000, height=2),), notation("qwen2.5-vl")),
    ):
        assert made.pattern is None and made.schema is None


@pytest.mark.parametrize(
    ("kind", "shown"), [("refine", REFINED), ("write", WRITTEN), ("verify", VERDICT)]
)
def test_what_is_shown_as_a_reply_fits_its_schema(kind, shown):
    schema = msgspec.json.decode(reply_form(kind, objects=5).schema or "")
    told = shown.replace("true|false", "true").replace("[number, ...]", "[5]")
    jsonschema.validate(msgspec.json.decode(told), schema)
    assert [*msgspec.json.decode(told)] == schema["required"]  # reasons come before verdicts
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**msgspec.json.decode(told), "more": 1}, schema)


def test_a_question_cannot_be_answered_with_an_object_that_is_not_listed():
    schema = msgspec.json.decode(reply_form("write", objects=5).schema or "")
    told = {"question": "?", "explanation": ".", "objects": [1, 6]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(told, schema)


def test_a_question_cannot_be_answered_with_more_objects_than_are_wanted():
    schema = msgspec.json.decode(reply_form("write", objects=5, most=2).schema or "")
    told = {"question": "?", "explanation": ".", "objects": [1, 2]}
    jsonschema.validate(told, schema)
    jsonschema.validate({**told, "objects": []}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**told, "objects": [1, 2, 3]}, schema)
