"""Where a reasoning disagrees with its answer, and where it only seems to."""

from __future__ import annotations

import time
from importlib.metadata import entry_points

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import scene

from mgdata import registry
from mgdata.data import Image, Target
from mgdata.geometry import Box
from mgdata.judgement import judge
from mgdata.teacher.consistency import REASONS, check
from mgdata.teacher.mentions import boxes, extent, in_pixels, overlap
from mgdata.teacher.thought import Finding

G = '[{"bbox_2d": [120, 340, 480, 900], "image": 3}]'
PIECES = st.sampled_from(
    [
        *(
            "so ",
            "the ",
            "answer ",
            "is ",
            "in ",
            "image 3",
            "image 0",
            "the fifth image",
            "none of ",
        ),
        *("the images ", "three boxes ", "in total", ". ", "\n", ", but ", "not ", "if ", "?", "B"),
        *(
            "[120, 340, 480, 900]",
            "[5, 4, 3, 2]",
            "(1,2),(3,4)",
            "[0,0,9999,1]",
            "no longer visible",
        ),
    ]
)


def found(text: str, answer: str = G, name: str = "group") -> Finding | None:
    turn, images, notation = scene(name)
    verdict = judge(answer, turn, images, notation)
    assert verdict.reason is None
    return check(
        text,
        answer=answer,
        targets=verdict.targets,
        turn=turn,
        images=images,
        notation=notation,
    )


def reason(text: str, answer: str = G, name: str = "group") -> str | None:
    said = found(text, answer, name)
    return said.reason if said else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Image 4 has a horse and image 7 a cow.", "no such image"),
        ("There is no image 5 to look at.", None),
        ("If there were a fifth image, it would help.", None),
        ("In the picture two dogs play, in the photo five dogs sleep.", None),
        ("Photo five shows a dog.", "no such image"),
        ("The image 3 dog is brown.", None),
        ("The last image has a horse; the 3rd image has a dog.", None),
    ],
)
def test_an_image_that_is_named_must_be_there(text, expected):
    assert reason(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is at [120, 340, 480, 900] or so.", None),
        ("It is at [120, 340, 1000, 1000] or so.", None),
        ("It is at [120, 340, 480, 1200] or so.", "box out of range"),
        ("It is at [-5, 340, 480, 900] or so.", "box out of range"),
        ("It is at (480, 340), (120, 900) or so.", "inverted box"),
        ("It is at [120, 340, 120, 900] or so.", "inverted box"),
        ("The images [4, 3, 2, 1] are shown in this order.", None),
        ("It goes from (480, 340) to (120, 900) on foot.", None),
        ("Its year is [1999, 2001, 2003] on a sign.", None),
    ],
)
def test_a_box_that_is_named_must_be_one(text, expected):
    assert reason(text) == expected


def test_a_box_is_held_against_the_size_of_its_own_image():
    answer = '[{"image": 2, "box": [900.5, 60, 1010, 655]}]'
    assert reason("The tower in image 2 is at [900, 60, 1010, 655].", answer, "pixels") is None
    assert reason("The tower at [900, 60, 1010, 655] is high.", answer, "pixels") is None
    wrong = "The tower in image 1 is at [900, 60, 1010, 655]."
    assert reason(wrong, answer, "pixels") == "box out of range"
    objects = 'I note {"image": 1, "box": [900, 60, 1010, 655]} for later.'
    assert reason(objects, answer, "pixels") == "box out of range"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("So the answer is in image 3.", None),
        ("So the answer is in image 2.", "other image"),
        ("Therefore the dog must be the one in image 2.", "other image"),
        ("So it is not in image 2.", None),
        ("So it could be in image 2.", None),
        ("So it is the same breed as in image 2.", None),
        ("So the dog is in the second or the third image.", None),
        ("So the cats are in the first and the dog in the third image.", None),
        ("There are cats in image 1.", None),
        ("So the dog is in image 2. But its fur is black, so the answer is in image 3.", None),
        ("So the dog in image 3 is it, and the one in image 2 is not.", None),
    ],
)
def test_the_image_concluded_is_the_image_answered(text, expected):
    assert reason(f"I look at all dogs and at their fur. {text}") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("So the box is [118, 342, 483, 897].", None),
        ("So the box is [600, 100, 900, 420].", "other box"),
        ("So the box is not [600, 100, 900, 420].", None),
        ("The cat is at [600, 100, 900, 420].", None),
        ("The final answer is [600, 100, 900, 420] in image 3.", "other box"),
        ("So the dog at [600, 100, 900, 420] in image 2 is ruled out.", None),
    ],
)
def test_the_box_concluded_is_the_box_answered(text, expected):
    assert reason(f"I look at all dogs and at their fur. {text}") == expected


@pytest.mark.parametrize(
    ("name", "answer", "text", "expected"),
    [
        ("group", G, "None of the images shows such a dog.", "says absent"),
        ("group", G, "None of the other images shows such a dog.", None),
        ("group", G, "There is no match better than image 3.", None),
        ("group", G, "No image shows it in full.", "says absent"),
        ("none", "[]", "No image shows it in full.", None),
        ("none", "[]", "So the zebra is in image 1.", "says present"),
        ("none", "[]", "So the zebra is not in image 1.", None),
        ("none", "[]", "There are giraffes in image 1.", None),
        ("gone", "[]", "So he is still visible in image 4.", "says present"),
        ("gone", "[]", "So he is in image 1 alone.", None),  # where the question shows him
        # something may be gone in the very image that is boxed: that is the difference
        (
            "diff",
            '[{"bbox_2d": [200, 410, 330, 560], "image": 2}]',
            "So the mug is not visible in the second image.",
            None,
        ),
    ],
)
def test_what_is_said_to_be_absent_is_not_boxed(name, answer, text, expected):
    assert reason(f"I look at all of it with care. {text}", answer, name) == expected


MANY = (
    '[{"bbox_2d": [50, 300, 210, 700], "image": 1}, {"bbox_2d": [420, 310, 600, 720], "image": 1}, '
    '{"bbox_2d": [300, 120, 700, 880], "image": 4}]'
)


@pytest.mark.parametrize(
    ("name", "answer", "text", "expected"),
    [
        ("many", MANY, "There are three boxes in total.", None),
        ("many", MANY, "There are four boxes in total.", "other count"),
        ("many", MANY, "In total, I find 5 of them.", "other count"),
        ("many", MANY, "There are two boxes in total in image 1.", None),
        ("many", MANY, "There might be four boxes in total.", None),
        ("many", MANY, "That makes four candidates in total.", None),
        ("many", MANY, "There are four images in total.", None),
        ("many", MANY, "Two plus one makes three in total.", None),
        ("count", "5", "That gives five dogs in total.", None),
        ("count", "5", "That gives 6 dogs in total.", "other count"),
        ("choice", "C", "So the answer is C.", None),
        ("choice", "C", "So the answer is B.", "other option"),
        ("choice", "C", "So the answer is not B.", None),
        ("choice", "C", "So the answer is A van and what is right of it.", None),
        ("choice", "right of the van", "So the answer is B.", None),  # no letter to compare with
    ],
)
def test_the_number_and_the_option_concluded_are_those_answered(name, answer, text, expected):
    assert reason(f"I look at all of it with care. {text}", answer, name) == expected


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("[1, 2, 3, 4]", [(1, 2, 3, 4)]),
        ("[[1, 2, 3, 4], [5, 6, 7, 8]]", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("(1,2),(3,4)", [(1, 2, 3, 4)]),
        ("[(0.1, 0.2), (0.3, 0.4)]", [(0.1, 0.2, 0.3, 0.4)]),
        ("<|box_start|>(1,2),(3,4)<|box_end|>", [(1, 2, 3, 4)]),
        ('{"bbox_2d": [1, 2, 3, 4], "image": 1}', [(1, 2, 3, 4)]),
        ("the box from (1, 2) to (3, 4)", [(1, 2, 3, 4)]),
        ("moves from (1, 2) to (3, 4)", []),
        ("(1, 2) and (3, 4)", []),
        ("[1, 2, 3]", []),
        ("[a, b, c, d]", []),
    ],
)
def test_boxes_are_read_as_prose_writes_them(text, numbers):
    assert [box.numbers for box in boxes(text)] == numbers


@pytest.mark.parametrize(
    ("name", "most"), [("group", (1000, 1000)), ("tokens", (999, 999)), ("pixels", (640, 480))]
)
def test_the_greatest_numbers_are_learnt_from_the_notation(name, most):
    _, images, notation = scene(name)
    assert extent(notation, images[0].width, images[0].height) == most


@pytest.mark.parametrize("name", sorted(p.name for p in entry_points(group="mgdata.notations")))
def test_a_box_in_prose_is_read_back_as_the_notation_wrote_it(name):
    notation = registry.make("notations", name, {}, "test")
    image = Image(uri="a", width=1300, height=700)
    box = Box(130, 70, 650, 630)
    (mention,) = boxes(f"I see {notation.region(Target(image=0, box=box), image)} there.")
    read = in_pixels(mention, notation, image)
    assert read and overlap(read, box) > 0.99


@pytest.mark.parametrize(
    ("first", "second", "ratio"),
    [
        (Box(0, 0, 2, 2), Box(0, 0, 2, 2), 1),
        (Box(0, 0, 2, 2), Box(1, 0, 3, 2), 1 / 3),
        (Box(0, 0, 2, 2), Box(2, 0, 4, 2), 0),
        (Box(2, 2, 0, 0), Box(0, 0, 2, 2), 0),
    ],
)
def test_overlap_is_intersection_over_union(first, second, ratio):
    assert overlap(first, second) == pytest.approx(ratio)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_any_text_has_a_finding_of_a_known_reason_or_none(text):
    for name, answer in (("group", G), ("none", "[]"), ("many", MANY), ("choice", "C")):
        said = found(text, answer, name)
        assert said is None or (said.reason in REASONS and said.quote)


@pytest.mark.parametrize(
    "piece",
    [
        *("so the answer is in image 3 ", "image 2, but ", "[1, 2, 3, 4] ", "(1,2)", "[1,", "not "),
        *("in total ", "three three ", "is a a a a ", "none of the ", "A ", "\n", ". ", "9", "{ "),
        *(
            "so the answer is in image 3. ",
            "so it is [600, 100, 900, 420] in image 3. ",
            "the first and the ",
            "is-is-is-is ",
        ),
    ],
)
def test_a_long_text_takes_no_long_time(piece):
    text = piece * (100_000 // len(piece))
    begun = time.process_time()
    found(text)
    assert time.process_time() - begun < 30
