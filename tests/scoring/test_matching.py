"""What an answer earns: boxes matched within an image, short answers compared as plain text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgdata.data import Target, Turn
from mgdata.geometry import Box
from mgdata.scoring.matching import matched, plain, score


def target(image: int, x: float, y: float = 0, size: float = 10) -> Target:
    return Target(image=image, box=Box(x, y, x + size, y + size))


def turn(*targets: Target) -> Turn:
    return Turn(question="Where?", answer="There.", targets=targets)


def test_the_targets_themselves_earn_full_marks_in_any_order():
    targets = (target(0, 0), target(0, 50), target(2, 0))
    found = score(targets[::-1], turn(*targets))
    assert found.full
    assert found.image == found.iou == found.precision == found.recall == found.soft_f1 == 1
    assert sorted(found.pairs) == [(0, 2, 1.0), (1, 1, 1.0), (2, 0, 1.0)]


def test_no_box_is_right_where_none_was_asked_for():
    assert score([], turn()).full


@pytest.mark.parametrize(
    ("predicted", "gold"), [([target(0, 0)], ()), ([], (target(0, 0),))], ids=["invented", "missed"]
)
def test_one_side_empty_earns_nothing(predicted, gold):
    found = score(predicted, turn(*gold))
    parts = (found.image, found.iou, found.precision, found.recall, found.f1, found.soft_f1)
    assert parts == (0, 0, 0, 0, 0, 0)


def test_the_same_box_in_a_wrong_image_earns_nothing():
    found = score([target(1, 0)], turn(target(0, 0)))
    assert (found.image, found.iou, found.f1) == (0, 0, 0)


def test_a_shifted_box_in_the_right_image_earns_the_image_and_its_overlap():
    found = score([target(0, 5)], turn(target(0, 0)))  # 5 of 15 columns are shared
    assert (found.image, found.f1, found.soft_f1) == (1, 0, 0)
    assert found.iou == pytest.approx(1 / 3)
    assert not found.full


def test_the_threshold_is_reached_by_an_equal_overlap():
    half = Target(image=0, box=Box(0, 0, 5, 10))
    assert score([half], turn(target(0, 0)), threshold=0.5).f1 == 1
    assert score([half], turn(target(0, 0)), threshold=0.51).f1 == 0


def test_a_box_given_twice_counts_once():
    found = score([target(0, 0), target(0, 0)], turn(target(0, 0)))
    assert (found.precision, found.recall) == (0.5, 1)
    assert found.f1 == found.image == pytest.approx(2 / 3)


def test_soft_f1_counts_what_a_hit_overlaps():
    found = score([Target(image=0, box=Box(0, 0, 8, 10)), target(1, 90)], turn(target(0, 0)))
    assert (found.precision, found.recall) == (0.5, 1)
    assert found.f1 == pytest.approx(2 / 3)
    assert found.soft_f1 == pytest.approx(2 * 0.8 / 3)


def test_matching_takes_the_best_sum_and_not_the_first_best():
    # The first prediction fits both; taking its best partner would leave the second with nothing.
    gold = [target(0, 0), target(0, 4)]
    assert [(i, j) for i, j, _ in matched([target(0, 3), target(0, 9)], gold)] == [(0, 0), (1, 1)]


BOX = st.builds(target, st.integers(0, 2), st.integers(0, 30), st.integers(0, 30))


@settings(deadline=None)  # the first call imports scipy
@given(st.lists(BOX, max_size=5), st.lists(BOX, max_size=5))
def test_every_part_is_a_share_and_swapping_sides_swaps_precision_and_recall(predicted, gold):
    there, back = score(predicted, turn(*gold)), score(gold, turn(*predicted))
    for found in (there, back):
        parts = (found.image, found.iou, found.precision, found.recall, found.f1, found.soft_f1)
        assert all(0 <= part <= 1 for part in parts)
        assert found.soft_f1 <= found.f1
    assert there.f1 == back.f1
    assert there.image == back.image
    assert len(there.pairs) == len(back.pairs)
    if predicted and gold:
        assert (there.precision, there.recall) == (back.recall, back.precision)
    assert all(predicted[i].image == gold[j].image and value > 0 for i, j, value in there.pairs)


SAID = [
    ("2, 1, 3", True),
    (" 2,  1, 3. ", True),  # spaces and the full stop at the end
    ("The order is 2, 1, 3", True),  # the whole right sentence
    ("THE ORDER IS 2, 1, 3!", True),
    ("1, 2, 3", False),
    ("2, 1", False),
    ("2, 1, 3, 4", False),
    ("", False),
    ("The order is not 2, 1, 3.", False),
]


@pytest.mark.parametrize("kind", ["text", "choice", "order", "count"])
@pytest.mark.parametrize(("text", "right"), SAID)
def test_a_short_answer_is_compared_as_plain_text(kind, text, right):
    asked = Turn(question="Sort.", answer="The order is 2, 1, 3.", kind=kind, gold="2, 1, 3")
    assert score([], asked, text=text).full is right


def test_an_empty_answer_is_never_right_even_where_gold_is_missing():
    assert score([], Turn(question="?", answer="", kind="text"), text="").text == 0


def test_text_does_not_matter_where_boxes_are_asked_for():
    assert score([target(0, 0)], turn(target(0, 0)), text="anything").full


def test_plain_text_keeps_what_is_inside():
    assert plain("  A.B,  c-D \n?! ") == "a.b, c-d"
