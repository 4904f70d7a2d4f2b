"""Box tokens: written as released, read back, and refused where broken."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgdata.data import Image, Target, Turn
from mgdata.geometry import Box, array, iou_pairs
from mgdata.notations import ceiling
from mgdata.notations.qwen2_vl import Qwen2VL

NOTATION = Qwen2VL()
IMAGES = [Image(uri=f"c:{i}.jpg", width=640, height=480) for i in range(3)]
ASKED = Turn(question="Where?", answer="", asked=(1,))
GOOD = "<|box_start|>(1,2),(30,40)<|box_end|>"


def test_a_box_is_written_as_migician_released_it():
    target = Target(image=0, box=Box(0, 1.9, 320, 480), phrase="a kite")
    assert NOTATION.region(target, IMAGES[0]) == "<|box_start|>(0,3),(500,999)<|box_end|>"
    assert NOTATION.frame == "0-999"


def test_a_box_outside_its_image_is_not_written():
    with pytest.raises(ValueError, match="640 x 480"):
        NOTATION.region(Target(image=0, box=Box(0, 0, 641, 480)), IMAGES[0])


@st.composite
def asked(draw) -> tuple[Turn, list[Image]]:
    """A turn with boxes in several images of any size, the answer naming each image."""
    side = st.integers(20, 4000)
    count = draw(st.integers(1, 5))
    images = [Image(uri=f"c:{i}", width=draw(side), height=draw(side)) for i in range(count)]
    targets: list[Target] = []
    for index in sorted(draw(st.lists(st.integers(0, count - 1), max_size=6))):
        image = images[index]
        x1, y1 = (draw(st.floats(0, 0.99)) for _ in range(2))
        x2, y2 = (draw(st.floats(low + 0.001, 1)) for low in (x1, y1))
        box = Box(x1 * image.width, y1 * image.height, x2 * image.width, y2 * image.height)
        targets.append(Target(image=index, box=box))
    form = draw(
        st.sampled_from(
            [
                "Image-{}: <target:{}>. ",
                "<target:{1}> in image {0}; ",
                "In image #{}, at <target:{}>\n",
            ]
        )
    )
    answer = "".join(form.format(t.image + 1, i) for i, t in enumerate(targets))
    return Turn(question="?", answer=answer, targets=tuple(targets)), images


@settings(deadline=None)  # the first call imports scipy
@given(asked())
def test_what_is_written_is_read_back_in_order_at_its_ceiling(case):
    turn, images = case
    found = NOTATION.parse(NOTATION.answer(turn, images), turn, images)
    assert [t.image for t in found] == [t.image for t in turn.targets]
    reached = iou_pairs(array([t.box for t in found]), array([t.box for t in turn.targets]))
    assert (reached > 0).all()
    # Matching boxes of one image can only gain on taking them in order.
    assert sum(ceiling(NOTATION, turn, images)) >= reached.sum() - 1e-9
    # An edge is at most half a step off, one and a half in the last step.
    for target, other in zip(turn.targets, found, strict=True):
        image = images[target.image]
        assert abs(target.box.x1 - other.box.x1) <= 0.0015 * image.width + 1e-9
        assert abs(target.box.y2 - other.box.y2) <= 0.0015 * image.height + 1e-9


def test_an_answer_without_a_box_has_none():
    assert NOTATION.parse("It is not visible in the second image.", ASKED, IMAGES) == []


def test_spaces_inside_the_tokens_are_read():
    spaced = "<|box_start|> ( 1, 2 ) , (30 ,40) <|box_end|>"
    assert NOTATION.parse(spaced, ASKED, IMAGES) == NOTATION.parse(GOOD, ASKED, IMAGES)


BROKEN = [
    ("<|box_start|>(1,2),(30,40)", "pair"),  # no end
    ("(1,2),(30,40)<|box_end|>", "pair"),  # no start
    ("<|box_start|>(1,2),(30,40)<|box_start|>", "pair"),  # as MIG-Bench's prompt suffix has it
    ("<|box_start|>(1,2)<|box_end|>", "pair"),  # a point
    ("<|box_start|>(1,2),(3,4),(5,6)<|box_end|>", "pair"),
    ("<|box_start|>(1,2,30,40)<|box_end|>", "pair"),
    ("<|box_start|>(nan,2),(30,40)<|box_end|>", "pair"),
    ("<|box_start|>(-1,2),(30,40)<|box_end|>", "pair"),
    ("<|box_start|>(0.1,0.2),(0.3,0.4)<|box_end|>", "pair"),  # shares: another frame
    (f"<|box_start|>{GOOD}", "pair"),
    ("(1,2),(30,40)", "pair"),  # special tokens were stripped in decoding
    ("from (1,2) to (30,40)", "pair"),
    ("[1, 2, 30, 40]", "pair"),
    ("<|box_start|>(30,2),(1,40)<|box_end|>", "inverted"),
    ("<|box_start|>(1,40),(30,2)<|box_end|>", "inverted"),
    ("<|box_start|>(1,2),(1,40)<|box_end|>", "empty"),
    ("<|box_start|>(1,2),(1000,40)<|box_end|>", "outside 0 to 999"),
    (f"<|box_start|>(1,2),({'9' * 5000},40)<|box_end|>", "pair"),  # more digits than Python reads
    (f"Image-0: {GOOD}", "image 0"),
    (f"Image-4: {GOOD}", "image 4"),
]


@pytest.mark.parametrize(("text", "why"), BROKEN, ids=[text[:50] for text, _ in BROKEN])
def test_a_broken_answer_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        NOTATION.parse(text, ASKED, IMAGES)


def test_a_box_that_names_no_image_is_refused_where_several_are_asked_about():
    with pytest.raises(ValueError, match="which of 3 images"):
        NOTATION.parse(GOOD, Turn(question="?", answer=""), IMAGES)


def test_an_order_of_four_is_not_taken_for_a_box():
    turn = Turn(question="Sort.", answer="[2, 1, 4, 3]", kind="order", gold="[2, 1, 4, 3]")
    assert NOTATION.parse("[2, 1, 4, 3]", turn, IMAGES) == []


PIECES = st.sampled_from(
    [
        "<|box_start|>",
        "<|box_end|>",
        "(1,2)",
        ",",
        "(30,40)",
        "(",
        "999",
        "image ",
        "Image-2",
        "the first image",
        ". ",
        "\n",
        "last image",
        "-",
        GOOD,
    ]
)


@given(st.lists(PIECES | st.text(max_size=4), max_size=12).map("".join), st.booleans())
def test_any_text_is_read_or_refused(text, one):
    turn = ASKED if one else Turn(question="?", answer="")
    try:
        found = NOTATION.parse(text, turn, IMAGES)
    except ValueError:
        return
    assert text.count("<|box_start|>") == text.count("<|box_end|>") == len(found)
    assert all(0 <= target.image < 3 for target in found)
