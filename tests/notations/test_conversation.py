"""What notations share: messages for trainers, ceilings, and images named in prose."""

from __future__ import annotations

import pytest

from mgdata.data import Image, Target, Turn
from mgdata.geometry import Box
from mgdata.notations import ceiling, conversation, image_names, only_image, place
from mgdata.notations.qwen2_vl import Qwen2VL
from mgdata.notations.qwen3_vl import Qwen3VL

IMAGES = [Image(uri=f"c:{i}.jpg", width=1000, height=500) for i in range(3)]
BOX = Target(image=1, box=Box(100, 50, 300.5, 250), phrase="a red kite")
BOTH = [Qwen2VL(), Qwen3VL()]


def turn(question: str, answer: str, **fields: object) -> Turn:
    return Turn(question=question, answer=answer, **fields)


FIRST = turn(
    "<image:0>\n<image:1>\n<image:2>\nWhere is <region:0>?",
    "In the second image, at <target:0>.",
    regions=(Target(image=0, box=Box(0, 0, 10, 10)),),
    targets=(BOX,),
)
SECOND = turn("And in the third image?", "It is not visible there.")


def test_slots_become_tokens_and_boxes_become_text():
    assert conversation(Qwen2VL(), [FIRST, SECOND], IMAGES) == [
        {
            "role": "user",
            "content": "<image>\n<image>\n<image>\nWhere is <|box_start|>(0,0),(10,20)<|box_end|>?",
        },
        {
            "role": "assistant",
            "content": "In the second image, at <|box_start|>(100,100),(300,500)<|box_end|>.",
        },
        {"role": "user", "content": "And in the third image?"},
        {"role": "assistant", "content": "It is not visible there."},
    ]


def test_json_answers_hold_boxes_only():
    contents = [m["content"] for m in conversation(Qwen3VL(), [FIRST, SECOND], IMAGES)]
    assert contents == [
        '<image>\n<image>\n<image>\nWhere is {"bbox_2d": [0, 0, 10, 20], "image": 1}?',
        '[{"bbox_2d": [100, 100, 300, 500], "label": "a red kite", "image": 2}]',
        "And in the third image?",
        "[]",
    ]


def test_images_may_come_in_a_later_turn():
    turns = [turn("<image:0> one", "a", kind="text"), turn("<image:1><image:2>", "b", kind="text")]
    users = [m["content"] for m in conversation(Qwen3VL(), turns, IMAGES)[::2]]
    assert users == ["<image> one", "<image><image>"]


WRONG = [
    ([turn("<image:1><image:0><image:2>", "a")], "in order"),  # trainers fill slots in order
    ([turn("<image:0><image:1>", "a")], "in order"),  # an image that is nowhere
    ([turn("<image:0><image:1><image:2><image:3>", "a")], "in order"),  # no such image
    ([turn("<image:0><image:1><image:2>", "a"), turn("<image:2>", "b")], "in order"),  # twice
    ([turn("<image:0><image:1><image:2> <image>", "a")], "stands for an image"),
    ([turn("<image:0><image:1><image:2>", "an <image> here", kind="text")], "stands for an image"),
    ([turn("<image:0><image:1>", "<image:2>", kind="text")], "cannot stand"),
    ([turn("<image:0><image:1><image:2> <target:0>", "a", targets=(BOX,))], "cannot stand"),
]


@pytest.mark.parametrize("notation", BOTH)
@pytest.mark.parametrize(("turns", "why"), WRONG)
def test_what_a_trainer_would_misread_is_refused(notation, turns, why):
    with pytest.raises(ValueError, match=why):
        conversation(notation, turns, IMAGES)


def test_a_phrase_that_looks_like_the_image_token_is_refused():
    phrase = Target(image=0, box=Box(0, 0, 10, 10), phrase="an <image> sign")
    asked = turn("<image:0><image:1><image:2>", "In image 1: <target:0>.", targets=(phrase,))
    with pytest.raises(ValueError, match="stands for an image"):
        conversation(Qwen3VL(), [asked], IMAGES)


# Ceilings


def test_a_box_on_the_grid_can_be_reached_and_one_off_it_not():
    on, off = (
        Target(image=0, box=Box(100, 50, 300, 250)),
        Target(image=1, box=Box(100.4, 50, 300, 250)),
    )
    asked = turn("?", "Image-1: <target:0>. Image-2: <target:1>.", targets=(on, off))
    found = ceiling(Qwen3VL(), asked, IMAGES)
    assert found[0] == 1
    assert found[1] == pytest.approx(199.6 / 200)


def test_a_tiny_box_has_a_low_ceiling():
    tiny = Target(image=0, box=Box(10.1, 5.1, 10.3, 5.3))
    for notation in BOTH:
        assert (
            0
            < ceiling(notation, turn("?", "Image-1: <target:0>", targets=(tiny,)), IMAGES)[0]
            < 0.2
        )


def test_an_answer_that_names_the_wrong_image_has_no_ceiling():
    asked = turn("?", "In the first image, at <target:0>.", targets=(BOX,))
    assert ceiling(Qwen2VL(), asked, IMAGES) == [0.0]


def test_targets_written_in_another_order_keep_their_own_ceilings():
    near, far = Target(image=0, box=Box(0, 0, 500, 250)), Target(image=1, box=Box(7, 7, 8.1, 8.1))
    straight = turn("?", "Image-1: <target:0>. Image-2: <target:1>.", targets=(near, far))
    turned = turn("?", "Image-2: <target:1>. Image-1: <target:0>.", targets=(near, far))
    assert ceiling(Qwen2VL(), straight, IMAGES) == ceiling(Qwen2VL(), turned, IMAGES)


@pytest.mark.parametrize("notation", BOTH)
def test_no_targets_have_no_ceilings(notation):
    assert ceiling(notation, turn("?", "It is nowhere."), IMAGES) == []


# Images named in prose


NAMES = [
    ("Image-3", 2),
    ("image 3", 2),
    ("image3", 2),
    ("IMAGE #3", 2),
    ("image no. 3", 2),
    ("image three", 2),
    ("the third image", 2),
    ("the third-image", 2),
    ("the 3rd image", 2),
    ("the 2th image", 1),  # as MIG-Bench writes it
    ("the last picture", 4),  # of five
    ("photo 12", 11),
    ("the thirteenth image", 12),
    ("the 21st image", 20),
    ("Image-0", -1),
    ("images 2", None),  # a plural names no single image
    ("the first and second images", None),
    ("the second frame", None),  # may be its number in the video
    ("three images", None),
    ("imagery 3", None),
    ("the imagethird", None),
]


@pytest.mark.parametrize(("text", "index"), NAMES)
def test_an_image_is_named(text, index):
    assert [name[2] for name in image_names(f"See {text}: there.", 5)] == (
        [] if index is None else [index]
    )


def test_names_are_found_where_they_stand():
    text = "Image-2 and the first image"
    assert [text[start:end] for start, end, _ in image_names(text, 3)] == ["Image-2", "first image"]


PLACED = [
    ("Image-1: @. Image-2: @.", [0, 1]),
    ("Image-3: @; image 1: @ and @", [2, 0, 0]),
    ("Image-2:\n@\n@\nImage-3:\n@", [1, 1, 2]),  # the name stands on a line of its own
    ("In the third image, at @.", [2]),
    ("It's in the second image. @", [1]),  # as Migician's data has it
    ("@ in the second image.", [1]),
    ("@ and @ in the second image.", [1, 1]),
    ("@ in the first image, @ in the third image.", [0, 2]),
    ("@ (image 1), @ (image 3)", [0, 2]),
    ("@, image 1.\n@, image 3.", [0, 2]),
    ("What image 1 shows is at @ in the third image.", [2]),  # joined to its box
    ("What image 1 shows is in the third image, at @.", [2]),  # nearest before
    ("In the first image @, in the second image @.", [0, 1]),
    ("In the first image it is at @ and in the second at @.", [0, 0]),  # "the second" is no name
    ("The 2nd image: @.\nThe last image: @.", [1, 2]),
]


def boxes_of(text: str) -> list[tuple[int, int]]:
    return [(i, i + 1) for i, letter in enumerate(text) if letter == "@"]


@pytest.mark.parametrize(("text", "images"), PLACED)
def test_a_box_is_placed_by_the_words_round_it(text, images):
    assert place(text, boxes_of(text), turn("?", ""), 3) == images


def test_a_box_without_a_name_is_in_the_one_image_asked_about():
    assert place("At @.", [(3, 4)], turn("?", "", asked=(2,)), 3) == [2]
    assert place("At @.", [(3, 4)], turn("?", ""), 1) == [0]


def test_a_name_wins_over_the_image_asked_about():
    assert place("Image-1: @", [(9, 10)], turn("?", "", asked=(2,)), 3) == [0]


def test_what_a_box_holds_names_no_image():
    text = 'Here: {"label": "image 1"}'
    assert place(text, [(6, len(text))], turn("?", "", asked=(2,)), 3) == [2]


NOWHERE = [
    ("At @.", "which of 3 images"),
    ("In the first and second images: @.", "which of 3 images"),
    ("Image-0: @", "image 0"),
    ("Image-4: @", "image 4"),
]


@pytest.mark.parametrize(("text", "why"), NOWHERE)
def test_a_box_whose_image_cannot_be_told_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        place(text, boxes_of(text), turn("?", ""), 3)


def test_the_only_image_is_known_where_one_is_asked_about():
    assert only_image(turn("?", "", asked=(1,)), 3) == 1
    with pytest.raises(ValueError, match="which of 2 images"):
        only_image(turn("?", "", asked=(1, 2)), 3)
