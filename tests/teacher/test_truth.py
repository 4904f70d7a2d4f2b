"""The ground truth of a row for rewards, as text and read back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgdata.data import Image, Target, Turn
from mgdata.geometry import Box
from mgdata.teacher.truth import read, write

IMAGES = (Image(uri="a", width=640, height=480), Image(uri="b", width=300, height=500))
TURN = Turn(
    question="<image:0><image:1>Find the dog.",
    answer="<target:0>",
    targets=(Target(image=1, box=Box(30.25, 50.1, 150.7, 250), phrase="the dog"),),
    asked=(1,),
)
TEXT = write(TURN, IMAGES, notation="qwen3-vl", written="0-1000")


def test_it_is_plain_json_with_its_frame_and_sizes():
    assert json.loads(TEXT) == {
        "targets": [{"image": 1, "bbox": [30.25, 50.1, 150.7, 250.0], "label": "the dog"}],
        "frame": "pixels",
        "sizes": [[640, 480], [300, 500]],
        "notation": "qwen3-vl",
        "written": "0-1000",
        "asked": [1],
        "form": "reason",
        "kind": "boxes",
    }


def test_the_turn_comes_back_as_far_as_it_is_judged():
    found = read(TEXT)
    turn = found.turn()
    assert turn.targets == TURN.targets and turn.asked == (1,) and turn.kind == "boxes"
    assert [(i.width, i.height) for i in found.images()] == [(640, 480), (300, 500)]


def test_a_short_answer_keeps_what_it_is_compared_with():
    asked = Turn(question="?", answer="It is B.", kind="choice", options=("x", "y"), gold="B")
    turn = read(write(asked, IMAGES, notation="json", written="p", form="direct")).turn()
    assert (turn.kind, turn.options, turn.gold, turn.answer) == (
        "choice",
        ("x", "y"),
        "B",
        "It is B.",
    )


@given(
    edges=st.tuples(*[st.floats(0, 300)] * 4).filter(
        lambda e: e[0] < e[2] <= 300 and e[1] < e[3] <= 300
    )
)
@settings(max_examples=100)
def test_no_box_is_rounded(edges):
    turn = Turn(question="", answer="", targets=(Target(image=1, box=Box(*edges)),))
    assert read(write(turn, IMAGES, notation="n", written="w")).turn().targets == turn.targets


@pytest.mark.parametrize(
    ("frame", "bbox"),
    [("pixels", [64, 48, 320, 240]), ("0-1", [0.1, 0.1, 0.5, 0.5]), ("0-1000", [100, 100, 500, 500])],
)  # fmt: skip
def test_numbers_may_be_in_any_of_three_frames(frame, bbox):
    text = json.dumps({**json.loads(TEXT), "frame": frame, "targets": [{"image": 0, "bbox": bbox}]})
    assert read(text).turn().targets[0].box == Box(64, 48, 320, 240)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"frame": "inches"}, "inches"),
        ({"targets": [{"image": 2, "bbox": [1, 1, 2, 2]}]}, r"targets\[0\].image is 0 to 1"),
        ({"targets": [{"image": -1, "bbox": [1, 1, 2, 2]}]}, "image"),
        ({"targets": [{"image": 0, "bbox": [1, 1, 2]}]}, "bbox"),
        ({"targets": [{"image": 0, "bbox": [5, 1, 2, 2]}]}, "not a box in a 640 x 480"),
        ({"targets": [{"image": 0, "bbox": [0, 0, 641, 2]}]}, "not a box in a 640 x 480"),
        ({"sizes": [[0, 5]]}, "sizes"),
        ({"asked": [7]}, "asked"),
        ({"kind": "poem"}, "poem"),
    ],
)
def test_what_is_no_truth_is_refused_with_the_key(change, told):
    with pytest.raises(ValueError, match=told):
        read(json.dumps({**json.loads(TEXT), **change})).turn()


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", "[" * 100_000, "\ud800", '{"targets": []}']
)
def test_any_other_text_is_refused(text):
    with pytest.raises(ValueError, match="ground truth"):
        read(text)
