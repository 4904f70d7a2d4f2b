"""What an answer earns: its boxes against the targets, at a threshold, under a ceiling."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgdata.data import Target, Turn
from mgdata.geometry import Box
from mgdata.scoring.matching import hits, score


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


def test_text_does_not_matter_where_boxes_are_asked_for():
    assert score([target(0, 0)], turn(target(0, 0)), text="anything").full


def test_boxes_do_not_matter_where_words_alone_are_asked_for():
    asked = Turn(question="Which?", answer="Image-2.", kind="text", gold="Image-2")
    assert score([target(0, 0)], asked, text="Image-2").full
    assert not score([target(0, 0)], asked, text="Image-1").full


def test_boxes_and_words_must_both_be_right_where_both_are_asked_for():
    asked = Turn(question="How many, and where?", answer="1: <target:0>", kind="count", gold="1",
                 targets=(target(0, 0),))  # fmt: skip
    assert score([target(0, 0)], asked, text="1").right(0.5)
    assert not score([target(0, 0)], asked, text="2").right(0.5)
    assert not score([target(1, 0)], asked, text="1").right(0.5)


def test_an_item_is_right_where_all_targets_are_hit_and_nothing_else_is_named():
    targets = (target(0, 0), target(1, 0))
    assert score(targets, turn(*targets)).right(0.7)
    assert not score(targets[:1], turn(*targets)).right(0.3)
    assert not score([*targets, target(2, 0)], turn(*targets)).right(0.3)
    assert score([], turn()).right(0.7)
    assert not score([target(0, 0)], turn()).right(0.3)


CEILINGS = [
    (0.45, 0.4, True),  # a perfect answer gets no more than 0.4: reached
    (0.45, 0.45, True),  # the ceiling itself is enough
    (0.45, 0.46, False),  # it is not reached
    (0.55, 0.9, True),  # a high ceiling does not raise the threshold
    (0.45, 0.0, False),  # a box that cannot be written lowers nothing
]


@pytest.mark.parametrize(("value", "ceiling", "right"), CEILINGS)
def test_a_ceiling_lowers_the_threshold_and_never_raises_it(value, ceiling, right):
    found = score(
        [Target(image=0, box=Box(0, 0, 10 * value, 10))], turn(target(0, 0)), ceilings=[ceiling]
    )
    assert found.right(0.5) is right
    assert found.f1 == float(right)
    assert found.iou == pytest.approx(value)


def test_each_target_has_its_own_ceiling():
    narrow = [Target(image=i, box=Box(0, 0, 4, 10)) for i in (0, 1)]
    found = score(narrow, turn(target(0, 0), target(1, 0)), ceilings=[1, 0.4])
    assert (found.precision, found.recall) == (0.5, 0.5)
    assert hits(found.pairs, 0.4, found.ceilings) == [0.4, 0.4]


def test_ceilings_of_another_number_than_the_targets_are_refused():
    with pytest.raises(ValueError, match="2 ceilings for 1 targets"):
        score([], turn(target(0, 0)), ceilings=[1, 1])


@settings(deadline=None)
@given(st.lists(BOX, max_size=4), st.lists(BOX, max_size=4), st.sampled_from((0.3, 0.5, 0.7)))
def test_right_means_that_everything_is_a_hit(predicted, gold, threshold):
    found = score(predicted, turn(*gold), threshold=threshold)
    assert found.right(threshold) is (found.precision == found.recall == 1)
    assert found.right(threshold) is found.full
