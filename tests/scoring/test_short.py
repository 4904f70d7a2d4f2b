"""Short answers: what commits itself to the right one is right, however it is put."""

from __future__ import annotations

import pytest

from mgdata.data import Turn
from mgdata.scoring.short import plain, read


def asked(kind, gold, options=(), answer="The gold sentence."):
    return Turn(question="?", answer=answer, kind=kind, gold=gold, options=options)


def test_plain_text_keeps_what_is_inside():
    assert plain("  A.B,  c-D \n?! ") == "a.b, c-d"


@pytest.mark.parametrize("kind", ["text", "choice", "order", "count"])
@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("2, 1, 3", True),
        (" 2,  1, 3. ", True),  # spaces and the full stop at the end
        ("The order is 2, 1, 3", True),  # the whole right sentence
        ("THE ORDER IS 2, 1, 3!", True),
        ("1, 2, 3", False),
        ("2, 1", False),
        ("2, 1, 3, 4", False),
        ("", False),
        (" . ", False),
        ("The order is not 2, 1, 3.", False),
    ],
)
def test_the_gold_answer_and_its_sentence_are_right_as_they_stand(kind, text, right):
    turn = asked(kind, "2, 1, 3", answer="The order is 2, 1, 3.")
    assert read(text, turn).right is right


@pytest.mark.parametrize("text", ["ß", "İ is it", "(ŉ)", "the ß, not B"])
def test_a_letter_that_folds_into_two_is_no_option(text):
    assert read(text, asked("choice", "B", ("cat", "dog"))).right is False


def test_an_empty_answer_is_never_right_even_where_gold_is_missing():
    for kind in ("text", "choice", "order", "count"):
        assert not read("", asked(kind, "", answer="")).right


THINGS = ("a dog", "a cup", "a hot dog", "an apple")
CHOSEN = [  # gold: "a hot dog", which is C
    ("C", True),
    ("c", True),
    ("C.", True),
    ("(C)", True),
    ("c)", True),
    ("**C**", True),
    ("Option C", True),
    ("option c.", True),
    ("The answer is C.", True),
    ("Answer: C", True),
    ("The answer is (c).", True),
    ("C) a hot dog", True),
    ("C: A hot dog.", True),
    ("hot dog", True),
    ("The hot dog is what you are looking for.", True),
    ("I would choose a hot dog, since it is eaten.", True),
    ("It could be A or C. The answer is C.", True),  # thinks aloud, then commits itself
    ("A", False),
    ("A dog", False),  # "a dog" is part of "a hot dog" only to a careless reader
    ("B) a hot dog", False),  # letter and text disagree
    ("C) a cup", False),
    ("A, B, C, D", False),  # every option
    ("a dog, a cup, a hot dog, an apple", False),
    ("C or D", False),
    ("The answer is C. The answer is D.", False),
    ("Not C", False),
    ("It isn't a hot dog", False),
    ("It isn\u2019t C", False),
    ("E", False),
    ("The answer is A dog.", False),
    ("hot dogs", False),
    ("I", False),
    ("", False),
]


@pytest.mark.parametrize(("text", "right"), CHOSEN)
@pytest.mark.parametrize("gold", ["a hot dog", "C"])
def test_a_choice_is_one_letter_or_one_text(text, right, gold):
    found = read(text, asked("choice", gold, THINGS))
    assert (found.right, found.partial) == (right, float(right))


@pytest.mark.parametrize(
    ("text", "right"),
    [("A", True), ("A.", True), ("A is right", True), ("A, because of its tail", True),
     ("A dog", True), ("a", True), ("Option A", True), ("The answer is A", True),
     ("A cup", False), ("A man is in both", False), ("A and B", False)],
)  # fmt: skip
def test_the_letter_a_is_told_from_the_article(text, right):
    assert read(text, asked("choice", "A", THINGS)).right is right


@pytest.mark.parametrize(
    ("text", "right"),
    [("Image-1, Image-3, Image-2", True), ("image 1, image 3, image 2", True), ("B", True),
     ("B: Image-1, Image-3, Image-2", True), ("A: Image-1, Image-3, Image-2", False),
     ("Image-1, Image-2, Image-3", False)],
)  # fmt: skip
def test_a_choice_of_orders_is_read_by_the_images_names(text, right):
    options = ("Image-1, Image-2, Image-3", "Image-1, Image-3, Image-2")
    assert read(text, asked("choice", "B", options)).right is right


def test_a_choice_without_options_is_a_letter():
    turn = asked("choice", "B")
    assert read("The answer is B.", turn).right
    assert not read("A or B", turn).right


ORDERS = [  # gold: Image-2, Image-1, Image-3
    ("Image-2, Image-1, Image-3", 1.0, True),
    ("2, 1, 3", 1.0, True),
    ("2 1 3", 1.0, True),
    ("The second image, then the first image and the 3rd image.", 1.0, True),
    ("image2 -> image1 -> image3", 1.0, True),
    ("The order is Image 2, Image 1, Image 3.", 1.0, True),
    ("The answer is: 2 > 1 > 3", 1.0, True),
    ("1, 2, 3", 2 / 3, False),
    ("3, 1, 2", 0.0, False),
    ("2, 1", 1 / 3, False),
    ("2, 1, 3, 4", 1.0, False),  # an item too many: its pairs are right, the order is not
    ("2, 1, 3 or 1, 2, 3", 0.0, False),  # two orders are none
    ("not 2, 1, 3", 0.0, False),
    ("", 0.0, False),
]


@pytest.mark.parametrize(("text", "partial", "right"), ORDERS)
@pytest.mark.parametrize("gold", ["Image-2, Image-1, Image-3", "2, 1, 3"])
def test_an_order_is_an_exact_sequence_with_a_share_of_its_pairs(text, partial, right, gold):
    found = read(text, asked("order", gold))
    assert found.right is right
    assert found.partial == pytest.approx(partial)


@pytest.mark.parametrize(
    ("text", "partial"),
    [("B, A, C", 1), ("B A C", 1), ("the door opens, the man enters, the man sits", 1),
     ("B, the man enters, C", 1), ("A, B, C", 2 / 3), ("B", 0), ("A, A, A", 0)],
)  # fmt: skip
def test_an_order_of_options_goes_by_letter_or_text(text, partial):
    options = ("the man enters", "the door opens", "the man sits")
    for gold in ("B, A, C", ", ".join(options[i] for i in (1, 0, 2))):
        found = read(text, asked("order", gold, options))
        assert (found.right, found.partial) == (partial == 1, pytest.approx(partial)), gold


COUNTED = [  # gold: 21
    ("21", 0),
    ("21.", 0),
    ("There are 21 of them.", 0),
    ("twenty-one", 0),
    ("Twenty one dogs", 0),
    ("The answer is 21", 0),
    ("5 and 16, so the answer is 21", 0),
    ("21 in Image-1 and image 2 together", 0),  # numbers of images are none
    ("22", 1),
    ("one", 20),
    ("None", 21),
    ("There are no dogs", 21),
    ("1,021", 1000),
    ("20 or 21", None),
    ("21.5", None),
    ("-21", None),
    ("not 21", None),
    ("many", None),
    ("9" * 5000, None),
    ("", None),
]


@pytest.mark.parametrize(("text", "off"), COUNTED)
def test_a_count_is_one_whole_number_and_its_distance(text, off):
    found = read(text, asked("count", "21"))
    assert (found.off, found.right) == (off, off == 0)


IMAGES = [  # gold: Image-3
    ("Image-3", True),
    ("image 3", True),
    ("It is Image-3.", True),
    ("Only the third image fits.", True),
    ("picture three", True),
    ("The 3rd photo shows it", True),
    ("Image-3, since Image-3 has none", True),
    ("Image-1", False),
    ("Image-1, Image-2, Image-3", False),
    ("Not Image-3", False),
    ("3 of them", False),
    ("Image-33", False),
]


@pytest.mark.parametrize(("text", "right"), IMAGES)
def test_an_image_is_one_image_however_it_is_called(text, right):
    assert read(text, asked("text", "Image-3")).right is right


@pytest.mark.parametrize(
    ("text", "right"),
    [("Yes", True), ("yes.", True), ("Yes, that is so.", True), ("The answer is yes.", True),
     ("Indeed, yes.", True), ("I would say yes", True), ("No", False), ("Yes and no", False),
     ("yes no", False), ("There is no doubt: yes", False), ("maybe", False), ("yesterday", False)],
)  # fmt: skip
def test_yes_stands_at_the_beginning_and_without_no(text, right):
    assert read(text, asked("text", "yes")).right is right


@pytest.mark.parametrize(
    ("text", "right", "partial"),
    [("a red mug", True, 1), ("The red mug.", True, 1), ("It is a red mug", True, 1),
     ("It\u2019s the red mug", True, 1), ("red, mug", True, 1), ("a mug", False, 2 / 3),
     ("a blue car", False, 0), ("red mug red mug", False, 2 / 3), ("...", False, 0)],
)  # fmt: skip
def test_free_text_is_compared_word_by_word(text, right, partial):
    found = read(text, asked("text", "a red mug"))
    assert (found.right, found.partial) == (right, pytest.approx(partial))


@pytest.mark.parametrize("kind", ["text", "choice", "order", "count"])
@pytest.mark.parametrize(
    "text", ["\0", "\ud800", "a" * 100_000, "image " * 2000, "1 " * 5000, "A " * 5000, "²③٣",
             "answer is answer is", "it is " * 3000, "(" * 1000, "-" * 1000 + "1"]
)  # fmt: skip
def test_no_text_is_too_odd_to_be_judged(kind, text):
    found = read(text, asked(kind, "3", ("3", "4")))
    assert 0 <= found.partial <= 1
