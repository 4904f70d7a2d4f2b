"""One text judged: scored, or refused with one of a few reasons, in every notation."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from mgdata import registry
from mgdata.data import Image, Target, Turn
from mgdata.geometry import Box
from mgdata.judgement import REASONS, judge, reason_of
from mgdata.notations import ceiling

NOTATIONS = sorted(point.name for point in entry_points(group="mgdata.notations"))
IMAGES = (Image(uri="a", width=640, height=480), Image(uri="b", width=300, height=500))
TARGETS = (
    Target(image=0, box=Box(64, 48, 320, 240)),
    Target(image=1, box=Box(30, 50, 150, 250)),
)
TURN = Turn(
    question="<image:0><image:1>Where?",
    answer="Image-1: <target:0>\nImage-2: <target:1>",
    targets=TARGETS,
)


def notation(name: str):
    return registry.make("notations", name, {}, "test")


@pytest.mark.parametrize("name", NOTATIONS)
def test_the_right_answer_is_full_marks(name):
    writer = notation(name)
    verdict = judge(writer.answer(TURN, IMAGES), TURN, IMAGES, writer)
    assert verdict.score and verdict.score.full and verdict.reason is None
    assert [t.image for t in verdict.targets] == [0, 1]


@pytest.mark.parametrize("name", NOTATIONS)
@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_a_blank_text_is_no_answer_even_where_nothing_is_to_be_found(name, text):
    verdict = judge(text, Turn(question="?", answer="None."), IMAGES, notation(name))
    assert (verdict.score, verdict.reason) == (None, "empty")


@pytest.mark.parametrize("name", NOTATIONS)
def test_what_cannot_be_read_has_a_reason_and_what_was_said_of_it(name):
    writer = notation(name)
    right = writer.answer(TURN, IMAGES)
    for text in (right[: len(right) // 2], right.replace("1", "\u0661"), right * 40 + "<" * 40):
        verdict = judge(text, TURN, IMAGES, writer)
        if verdict.score is None:
            assert verdict.reason in REASONS and verdict.detail
            assert verdict.targets == ()


def swapped(writer, image: Image) -> str:
    """A box in this notation whose right edge is left of its left one."""
    text = writer.region(Target(image=0, box=Box(0.25 * image.width, 0.25 * image.height,
                                                 0.5 * image.width, 0.5 * image.height)), image)  # fmt: skip
    digits = [n for n in __import__("re").findall(r"\d+(?:\.\d+)?", text) if float(n) > 3]
    low, high = sorted(set(digits), key=float)[0], sorted(set(digits), key=float)[-1]
    return text.replace(high, "#").replace(low, high).replace("#", low)


@pytest.mark.parametrize("name", NOTATIONS)
def test_an_inverted_box_is_called_one_in_every_notation(name):
    writer = notation(name)
    square = Image(uri="s", width=1000, height=1000)
    asked = Turn(question="?", answer="<target:0>", targets=(TARGETS[0],), asked=(0,))
    verdict = judge(swapped(writer, square), asked, (square,), writer)
    assert verdict.reason == "inverted box", verdict


@pytest.mark.parametrize("name", NOTATIONS)
def test_a_box_whose_image_is_not_told_or_not_there_is_called_that(name):
    writer = notation(name)
    alone = Turn(question="?", answer="<target:0>", targets=(TARGETS[0],), asked=(0,))
    text = writer.answer(alone, IMAGES)
    for old in ('"image": 1, ', ', "image": 1', '"image": 1'):
        text = text.replace(old, "")
    assert judge(text, TURN, IMAGES, writer).reason == "image not told", text
    far = writer.answer(TURN, IMAGES).replace("Image-2", "Image-7")
    far = far.replace('"image": 2', '"image": 7')
    assert judge(far, TURN, IMAGES, writer).reason == "no such image", far


def test_what_a_stranger_notation_says_is_malformed():
    assert reason_of("I do not like this") == "malformed"


def test_words_alone_are_judged_without_reading_boxes():
    asked = Turn(question="?", answer="It is Image-2.", kind="text", gold="Image-2")
    broken = "Image-2 <|box_start|>"
    assert judge("Image-2", asked, IMAGES, notation("qwen2-vl")).score.full
    verdict = judge(broken, asked, IMAGES, notation("qwen2-vl"))
    assert verdict.reason is None and verdict.score is not None


def test_a_threshold_and_ceilings_are_those_that_are_given():
    writer = notation("qwen2-vl")
    tiny = Target(image=0, box=Box(100.3, 100.3, 101.0, 101.0))
    asked = Turn(question="?", answer="<target:0>", targets=(tiny,), asked=(0,))
    text = writer.answer(asked, IMAGES)
    best = ceiling(writer, asked, IMAGES)
    assert best[0] < 0.9
    assert not judge(text, asked, IMAGES, writer, threshold=0.95).score.full
    assert judge(text, asked, IMAGES, writer, threshold=0.95, ceilings=best).score.full


def test_an_error_that_is_no_verdict_on_the_text_goes_through():
    with pytest.raises(ValueError, match="ceilings"):
        judge("Image-1: nothing", TURN, IMAGES, notation("qwen2-vl"), ceilings=[1.0])
