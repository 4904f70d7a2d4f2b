"""JSON boxes: one object per target, read back strictly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgdata.data import Image, Target, Turn
from mgdata.geometry import Box, array, iou_pairs
from mgdata.notations import ceiling
from mgdata.notations.qwen3_vl import Qwen3VL

NOTATION = Qwen3VL()
IMAGES = [Image(uri=f"c:{i}.jpg", width=640, height=480) for i in range(3)]
ASKED = Turn(question="Where?", answer="", asked=(1,))
PROSE = Turn(question="Why?", answer="", kind="text", asked=(1,))
OBJECT = '{"bbox_2d": [1, 2, 30, 40], "label": "kite", "image": 3}'


def test_an_object_has_rounded_numbers_a_label_and_an_image_counted_from_one():
    target = Target(image=2, box=Box(0, 1.9, 320, 480), phrase='a "red" größe')
    assert NOTATION.region(target, IMAGES[2]) == (
        '{"bbox_2d": [0, 4, 500, 1000], "label": "a \\"red\\" größe", "image": 3}'
    )
    assert NOTATION.frame == "0-1000"


def test_a_box_without_a_phrase_has_no_label():
    text = NOTATION.region(Target(image=0, box=Box(0, 0, 640, 480)), IMAGES[0])
    assert json.loads(text) == {"bbox_2d": [0, 0, 1000, 1000], "image": 1}


def test_no_target_is_an_empty_list():
    assert NOTATION.answer(ASKED, IMAGES) == "[]"
    assert NOTATION.parse("[]", ASKED, IMAGES) == []


def test_an_answer_of_another_kind_is_prose_with_objects_inside():
    targets = (
        Target(image=0, box=Box(0, 0, 64, 48)),
        Target(image=2, box=Box(64, 48, 640, 480), phrase='{bbox_2d} "x"'),
    )
    turn = Turn(
        question="?",
        answer="As <target:0> and <target:1> show, it moved.",
        kind="text",
        targets=targets,
        gold="it moved",
    )
    text = NOTATION.answer(turn, IMAGES)
    assert text == (
        'As {"bbox_2d": [0, 0, 100, 100], "image": 1} and '
        '{"bbox_2d": [100, 100, 1000, 1000], "label": "{bbox_2d} \\"x\\"", "image": 3} show, it moved.'
    )
    assert NOTATION.parse(text, turn, IMAGES) == list(targets)
    assert ceiling(NOTATION, turn, IMAGES) == [1, 1]


@st.composite
def asked(draw) -> tuple[Turn, list[Image]]:
    """A turn with boxes in several images of any size."""
    side = st.integers(20, 4000)
    count = draw(st.integers(1, 5))
    images = [Image(uri=f"c:{i}", width=draw(side), height=draw(side)) for i in range(count)]
    targets: list[Target] = []
    for index in draw(st.lists(st.integers(0, count - 1), max_size=6)):
        image = images[index]
        x1, y1 = (draw(st.floats(0, 0.99)) for _ in range(2))
        x2, y2 = (draw(st.floats(low + 0.001, 1)) for low in (x1, y1))
        box = Box(x1 * image.width, y1 * image.height, x2 * image.width, y2 * image.height)
        phrase = draw(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
        targets.append(Target(image=index, box=box, phrase=phrase))
    kind = draw(st.sampled_from(["boxes", "text"]))
    answer = " ".join(f"<target:{i}>" for i in range(len(targets)))
    return Turn(question="?", answer=answer, kind=kind, targets=tuple(targets)), images


@settings(deadline=None)  # the first call imports scipy
@given(asked())
def test_what_is_written_is_read_back_in_order_at_its_ceiling(case):
    turn, images = case
    found = NOTATION.parse(NOTATION.answer(turn, images), turn, images)
    assert [(t.image, t.phrase) for t in found] == [(t.image, t.phrase) for t in turn.targets]
    reached = iou_pairs(array([t.box for t in found]), array([t.box for t in turn.targets]))
    assert (reached > 0).all()
    assert sum(ceiling(NOTATION, turn, images)) >= reached.sum() - 1e-9
    for target, other in zip(turn.targets, found, strict=True):
        image = images[target.image]
        assert abs(target.box.x1 - other.box.x1) <= 0.001 * image.width + 1e-9
        assert abs(target.box.y2 - other.box.y2) <= 0.001 * image.height + 1e-9


READ = [
    f"[{OBJECT}]",
    OBJECT,  # bare
    f"```json\n[{OBJECT}]\n```",
    f"```\n{OBJECT}\n```",
    f"  \n```json\n[\n\t{OBJECT}\n]\n```\n ",
]


@pytest.mark.parametrize("text", READ)
def test_a_list_an_object_and_a_fence_are_read(text):
    box = Box(0.64, 0.96, 19.2, 19.2)
    assert NOTATION.parse(text, ASKED, IMAGES) == [Target(image=2, box=box, phrase="kite")]


def test_an_object_without_an_image_is_in_the_one_asked_about():
    text = '{"bbox_2d": [0, 0, 10, 10]}'
    assert [t.image for t in NOTATION.parse(text, ASKED, IMAGES)] == [1]
    with pytest.raises(ValueError, match="which of 3 images"):
        NOTATION.parse(text, Turn(question="?", answer=""), IMAGES)


BROKEN = [
    ("", "not JSON"),
    ("It is on the left.", "not JSON"),
    (f"Here it is: [{OBJECT}]", "not JSON"),
    (f"[{OBJECT}", "not JSON"),
    (f"[{OBJECT},]", "not JSON"),
    (f"[{OBJECT}] and more", "goes on"),
    (f"[{OBJECT}][{OBJECT}]", "goes on"),
    (f"```json\n[{OBJECT}]", "not JSON"),  # a fence that does not end
    ("null", "expected an object"),
    ("[[1, 2, 30, 40]]", "expected an object"),
    ("[1, 2, 30, 40]", "expected an object"),
    ("{}", "bbox_2d"),
    ('{"box_2d": [1, 2, 30, 40]}', "unknown key 'box_2d'"),
    ('{"bbox_2d": [1, 2, 30, 40], "score": 1}', "unknown key 'score'"),
    ('{"bbox_2d": [1, 2, 30, 40], "bbox_2d": [1, 2, 3, 4]}', "twice"),
    ('{"bbox_2d": "1, 2, 30, 40"}', "whole numbers"),
    ('{"bbox_2d": [1, 2, 30, "40"]}', "whole numbers"),
    ('{"bbox_2d": [0.1, 0.2, 0.3, 0.4]}', "whole numbers"),  # shares: another frame
    ('{"bbox_2d": [1, 2, 30, 40.0]}', "whole numbers"),
    ('{"bbox_2d": [true, 2, 30, 40]}', "whole numbers"),
    ('{"bbox_2d": [NaN, 2, 30, 40]}', "NaN"),
    ('{"bbox_2d": [1, 2, 30, Infinity]}', "Infinity"),
    ('{"bbox_2d": [1, 2, 30]}', "4 numbers"),
    ('{"bbox_2d": [1, 2, 30, 40, 50]}', "4 numbers"),
    ('{"bbox_2d": []}', "4 numbers"),
    ('{"bbox_2d": [30, 2, 1, 40]}', "inverted"),
    ('{"bbox_2d": [1, 2, 30, 2]}', "empty"),
    ('{"bbox_2d": [1, 2, 1001, 40]}', "outside 0 to 1000"),
    ('{"bbox_2d": [-1, 2, 30, 40]}', "outside 0 to 1000"),
    (f'{{"bbox_2d": [1, 2, {"9" * 5000}, 40]}}', "digits"),  # more digits than Python reads
    ('{"bbox_2d": [1, 2, 30, 40], "label": 7}', "label is text"),
    ('{"bbox_2d": [1, 2, 30, 40], "image": 0}', "image is 1 to 3"),
    ('{"bbox_2d": [1, 2, 30, 40], "image": 4}', "image is 1 to 3"),
    ('{"bbox_2d": [1, 2, 30, 40], "image": "1"}', "image is 1 to 3"),
    ('{"bbox_2d": [1, 2, 30, 40], "image": true}', "image is 1 to 3"),
    ('{"bbox_2d": [1, 2, 30, 40], "image": null}', "image is 1 to 3"),
    ("[" * 100000, "nested"),
]


@pytest.mark.parametrize(("text", "why"), BROKEN, ids=[text[:50] for text, _ in BROKEN])
def test_a_broken_answer_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        NOTATION.parse(text, ASKED, IMAGES)


BROKEN_PROSE = [
    ('It is at {"bbox_2d": [1, 2, 30].', "not JSON"),
    ('It is at "bbox_2d": [1, 2, 30, 40].', "outside a JSON object"),
    ('It is at {"label": "x", "bbox_2d": [1, 2, 30, 40]}.', "outside a JSON object"),
    ('{"bbox_2d": [1, 2, 30, 40]} and bbox_2d', "outside a JSON object"),
    ('At {"bbox_2d": [30, 2, 1, 40]}.', "inverted"),
]


@pytest.mark.parametrize(("text", "why"), BROKEN_PROSE)
def test_a_broken_box_in_prose_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        NOTATION.parse(text, PROSE, IMAGES)


def test_prose_without_a_box_has_none():
    assert NOTATION.parse("Because {it} moved [2, 1, 4, 3].", PROSE, IMAGES) == []


PIECES = st.sampled_from(
    [
        OBJECT,
        "[",
        "]",
        "{",
        "}",
        ", ",
        '"bbox_2d"',
        ": ",
        "[1, 2, 3, 4]",
        "NaN",
        "-1",
        '"image"',
        "1",
        "```json\n",
        "\n```",
        "null",
        "1e400",
        '"',
    ]
)


@given(
    st.lists(PIECES | st.text(max_size=4), max_size=12).map("".join),
    st.sampled_from([ASKED, PROSE]),
)
def test_any_text_is_read_or_refused(text, turn):
    try:
        found = NOTATION.parse(text, turn, IMAGES)
    except ValueError:
        return
    assert all(0 <= target.image < 3 for target in found)
    assert len(found) <= text.count("bbox_2d")
