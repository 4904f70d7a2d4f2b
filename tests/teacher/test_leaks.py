"""What betrays a given answer, and what only sounds like it."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import scene

from mgdata.data import Edit, Image, Target, Turn
from mgdata.geometry import Box
from mgdata.notations.internvl import InternVL
from mgdata.notations.qwen2_5_vl import Qwen2_5VL
from mgdata.teacher.leak_rules import RULES
from mgdata.teacher.leaks import REASONS, check
from mgdata.teacher.thought import Finding, Kind

PIECES = st.sampled_from(
    [
        *(word for rule in RULES for need in rule.needs for word in need.split("|")),
        *("the ", "answer ", "is ", "in image 3", "the third image", "because ", ". ", "\n", ", "),
        *("[120, 340, 480, 900]", "(1,2),(3,4)", "x = 340", " box ", "given", "we ", "not ", "?"),
    ]
)


def found(text: str, name: str = "group", kind: Kind = "reason") -> Finding | None:
    turn, images, notation = scene(name)
    return check(text, kind=kind, turn=turn, images=images, notation=notation)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.reason)
def test_a_rule_says_why_and_its_needs_are_in_lower_case(rule):
    assert len(rule.why) > 30 and rule.needs
    assert all(need and need == need.lower() for need in rule.needs)


def test_a_quote_is_the_sentence_as_it_was_written():
    text = "Two dogs are brown.\nThe GT Box, see above, has the collar! The rest is clear."
    assert found(text) == Finding(
        reason="ground truth", quote="The GT Box, see above, has the collar!"
    )


@pytest.mark.parametrize(
    ("text", "scenes"),
    [
        # what the question gives may be cited, but only where it gives it
        ("It is far from the spot. The given box in image 1 shows a coat.", {"track", "views"}),
        ("It is far from the spot. The provided coordinates show a coat.", {"track", "views"}),
        ("It is far from the spot. The given box in image 3 shows a coat.", set()),
        ("It is far from the spot. The given answer shows a coat.", set()),
        (
            "It is far from the spot. The annotated object in image 1 has a coat.",
            {"track", "views"},
        ),
        ("It is far from the spot. The coat is there, as annotated, on a hook.", set()),
    ],
)
def test_a_region_that_the_question_gives_may_be_cited(text, scenes):
    passed = {name for name in ("track", "views", "group", "diff") if found(text, name) is None}
    assert passed == scenes


def test_a_mark_drawn_in_an_image_is_given_as_a_region_is():
    images = [Image(uri=name, width=100, height=100) for name in "ab"]
    turn = Turn(question="?", answer="None.")
    text = "The dog runs to the left. The given rectangle in image 2 is on its back."
    marked = msgspec.structs.replace(images[1], edits=(Edit(kind="mark", box=Box(1, 1, 9, 9)),))
    for last, passes in ((images[1], False), (marked, True)):
        said = check(text, kind="reason", turn=turn, images=[images[0], last], notation=InternVL())
        assert (said is None) == passes


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x is 120 to 480 at y 340 to 900, if I see it right.", "box digits"),
        ("x is 0.12 to 0.48 at y 0.34 to 0.9, if I see it right.", "box digits"),
        ("x is 121 to 479, if I see it right.", None),  # two numbers alone
        ("There are 12 trees, 34 cars, 48 lamps and 90 signs.", None),
        ("It spans (119, 341) to (480, 899), if I see it right.", "box told"),
        ("The black dog is at [300, 400, 610, 880], which is not it.", "box told"),
    ],
)
def test_a_reasoning_that_hides_its_anchor_holds_neither_boxes_nor_their_digits(text, reason):
    told = found(f"A collar is what we need. {text}", kind="rationalise")
    assert (told.reason if told else None) == reason
    blind = found(f"A collar is what we need. {text}")
    assert blind is None


def test_digits_in_the_numbers_of_a_resized_image_are_found():
    image = Image(uri="a", width=4000, height=3000)
    target = Target(image=0, box=Box(400, 600, 2000, 2400))
    turn = Turn(question="?", answer="<target:0>", targets=(target,))
    notation = Qwen2_5VL()
    numbers = notation.region(target, image).split("[")[1].split("]")[0].split(", ")
    text = f"The tower reaches from {numbers[0]} and {numbers[1]} down to {numbers[3]} or so."
    said = check(text, kind="rationalise", turn=turn, images=[image], notation=notation)
    assert said and said.reason == "box digits"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        # the image is no secret where one is asked about
        ("track", "The person is in the last image because the walk ends there.", None),
        (
            "group",
            "The animal is in the last image because the walk ends there.",
            "conclusion first",
        ),
        # the walk through the images begins with the first
        ("group", "Image 3 shows a brown dog with a red collar.", "conclusion first"),
        ("group", "Image 3 shows a brown dog without any collar.", None),
        ("group", "Image 1 shows a black dog with a red collar.", None),
        # what is weighed or repeated is no conclusion
        ("group", "The answer is either in image 2 or in image 3.", None),
        ("group", "The answer is a box in one of four images.", None),
        ("group", "Is the answer image 3?", None),
    ],
)
def test_a_first_sentence_concludes_only_where_it_tells_what_is_asked(name, text, reason):
    said = found(f"{text} More is to be seen: fur, trees, a fence and a gate.", name)
    assert (said.reason if said else None) == reason


def test_an_empty_reasoning_betrays_nothing():
    assert found("", kind="direct") is None


@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_any_text_has_a_finding_of_a_known_reason_or_none(text):
    for name in ("group", "track", "marked", "pixels"):
        for kind in ("reason", "rationalise", "trajectory"):
            said = found(text, name, kind)
            assert said is None or (said.reason in REASONS and said.quote)


@pytest.mark.parametrize(
    "piece",
    [
        *("given box in image 1 ", "given ", "the answer ", "we are told ", "[1, 2, ", "(1,1) "),
        *("not not ", "image 3 ", "is is ", "a", "\n", ". ", "120 ", "{", "the hidden the hidden "),
    ],
)
def test_a_long_text_takes_no_long_time(piece):
    text = piece * (100_000 // len(piece))
    for name, kind in (("track", "rationalise"), ("group", "reason")):
        begun = time.process_time()
        found(text, name, kind)
        assert time.process_time() - begun < 30
