"""Overlap against shapely, frames there and back, and rotation against real pixels."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image as Picture
from PIL import ImageOps

from mgdata.geometry import (
    PER999,
    PIXELS,
    THOUSAND,
    UNIT,
    Box,
    Frame,
    array,
    clip,
    from_xywh,
    iou,
    iou_pairs,
    match,
    resized,
    resized_size,
    upright,
    upright_size,
    valid,
)

QWEN25 = resized()
SIDE = st.integers(min_value=1, max_value=6000)


@st.composite
def framed(draw, thinnest: float = 1e-6) -> tuple[Box, int, int]:
    """A valid box, down to `thinnest` of its image, and the size of that image."""
    width, height = draw(SIDE), draw(SIDE)
    assume(max(width, height) <= 200 * min(width, height))

    def edges(side: int) -> tuple[float, float]:
        low = draw(st.floats(0, 1 - thinnest))
        high = draw(st.floats(low + thinnest, 1) | st.just(1.0))
        return low * side, high * side

    (x1, x2), (y1, y2) = edges(width), edges(height)
    box = Box(x1, y1, x2, y2)
    assume(valid(box, width, height))
    return box, width, height


def steps_off(frame: Frame, box: Box, width: int, height: int) -> float:
    """How far the worst edge is after writing and reading, in units of the frame."""
    back = frame.read(frame.write(box, width, height), width, height)
    across, down = frame.extent(width, height)
    x = max(abs(back.x1 - box.x1), abs(back.x2 - box.x2)) / width * across
    y = max(abs(back.y1 - box.y1), abs(back.y2 - box.y2)) / height * down
    return max(x, y)


def is_thin(frame: Frame, box: Box, width: int, height: int, steps: float) -> bool:
    across, down = frame.extent(width, height)
    return box.width / width * across < steps or box.height / height * down < steps


# Overlap


def test_iou_agrees_with_shapely_on_random_boxes():
    rng = np.random.default_rng(7)
    corners = rng.uniform(0, 100, (2, 60, 2, 2))
    first, second = (np.concatenate([c.min(axis=1), c.max(axis=1)], axis=1) for c in corners)
    ours = iou(first, second)
    assert ours.shape == (60, 60)
    assert 0.2 < (ours > 0).mean() < 0.8
    for i, j in itertools.product(range(60), range(60)):
        a, b = shapely.box(*first[i]), shapely.box(*second[j])
        assert ours[i, j] == pytest.approx(a.intersection(b).area / a.union(b).area, abs=1e-12)


def test_iou_of_pairs_is_the_diagonal_of_iou():
    rng = np.random.default_rng(8)
    low = rng.uniform(0, 50, (2, 40, 2))
    first, second = np.concatenate([low, low + rng.uniform(1, 50, low.shape)], axis=2)
    assert np.array_equal(iou_pairs(first, second), np.diag(iou(first, second)))


DEGENERATE = [
    (5, 5, 5, 9),  # no width
    (5, 5, 9, 5),  # no height
    (9, 9, 1, 1),  # inverted both ways: the sides' product would be positive
    (9, 1, 1, 9),  # inverted one way
    (math.nan, 0, 9, 9),  # not a number
    (0, 0, math.inf, 9),  # union is infinite
    (0, 0, 1e-200, 1e-200),  # the area underflows to 0
]


@pytest.mark.parametrize("box", DEGENERATE)
def test_a_degenerate_box_overlaps_nothing_not_even_itself(box):
    boxes = np.array([box, (0, 0, 10, 10)], dtype=float)
    assert iou(boxes, boxes)[0].tolist() == [0, 0]
    assert iou_pairs(boxes[:1], boxes[:1]).tolist() == [0]


@given(framed(), framed())
def test_iou_is_symmetric_bounded_and_one_with_itself(first, second):
    a, b = array([first[0]]), array([second[0]])
    assert iou(a, b) == iou(b, a)
    assert 0 <= iou(a, b)[0, 0] <= 1
    assert iou(a, a)[0, 0] == 1


def test_no_boxes_give_an_empty_table():
    assert array([]).shape == (0, 4)
    assert iou(array([]), array([Box(0, 0, 1, 1)])).shape == (0, 1)


# Matching


def best_sum(table: np.ndarray) -> float:
    """The greatest sum of a one-to-one choice, by trying all."""
    if table.shape[0] > table.shape[1]:
        table = table.T
    rows, columns = table.shape
    return max(
        sum(max(table[i, j], 0.0) for i, j in enumerate(order))
        for order in itertools.permutations(range(columns), rows)
    )


@settings(deadline=None)  # the first call imports scipy
@given(st.data())
def test_matching_is_as_good_as_the_best_of_all_choices(data):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    values = st.floats(-1, 1, allow_subnormal=False)
    flat = data.draw(st.lists(values, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    table = np.array(flat).reshape(shape)
    pairs = match(table)
    assert all(table[pair] > 0 for pair in pairs)
    assert pairs == sorted(pairs)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert sum(table[pair] for pair in pairs) == pytest.approx(best_sum(table))


def test_matching_gives_up_the_best_pair_where_the_whole_gains():
    assert match(np.array([[0.9, 0.8], [0.7, 0.0]])) == [(0, 1), (1, 0)]


def test_matching_of_nothing_is_nothing():
    assert match(np.zeros((0, 3))) == match(np.zeros((2, 2))) == []


def test_matching_refuses_a_similarity_that_is_not_a_number():
    with pytest.raises(ValueError, match="finite"):
        match(np.array([[math.nan]]))


# Frames


@given(framed())
def test_pixels_come_back_unchanged(case):
    box, width, height = case
    assert PIXELS.read(PIXELS.write(box, width, height), width, height) == box


@given(framed())
def test_shares_come_back_to_the_last_bits(case):
    box, width, height = case
    assert steps_off(UNIT, box, width, height) < 1e-15


@given(framed())
def test_a_thousandth_is_at_most_half_a_step_off_and_a_thin_box_one(case):
    box, width, height = case
    bound = 1.0 if is_thin(THOUSAND, box, width, height, 1) else 0.5
    assert steps_off(THOUSAND, box, width, height) <= bound + 1e-9


@given(framed())
def test_a_truncated_number_is_at_most_half_a_step_off_and_a_thin_box_one_and_a_half(case):
    box, width, height = case
    # In the last step, 999 to 1000, a box up to two steps wide can fall on one number.
    bound = 1.5 if is_thin(PER999, box, width, height, 2) else 0.5
    assert steps_off(PER999, box, width, height) <= bound + 1e-9


@given(framed())
def test_a_resized_pixel_is_at_most_one_off_and_a_thin_box_two(case):
    box, width, height = case
    bound = 2.0 if is_thin(QWEN25, box, width, height, 2) else 1.0
    assert steps_off(QWEN25, box, width, height) <= bound + 1e-9


@pytest.mark.parametrize("frame", [PIXELS, UNIT, THOUSAND, PER999, QWEN25], ids=lambda f: f.name)
@given(case=framed())
def test_what_a_frame_writes_is_a_box_within_its_range(frame, case):
    box, width, height = case
    x1, y1, x2, y2 = frame.write(box, width, height)
    across, down = (frame.last(extent) for extent in frame.extent(width, height))
    assert 0 <= x1 < x2 <= across
    assert 0 <= y1 < y2 <= down


@pytest.mark.parametrize("frame", [THOUSAND, PER999, QWEN25], ids=lambda f: f.name)
@given(case=framed())
def test_writing_what_was_read_gives_the_same_numbers(frame, case):
    box, width, height = case
    numbers = frame.write(box, width, height)
    assert all(type(number) is int for number in numbers)
    assert frame.write(frame.read(numbers, width, height), width, height) == numbers


WRITTEN = [
    (THOUSAND, (0, 0, 640, 480), (0, 0, 1000, 1000)),  # the whole image
    (THOUSAND, (0.32, 0.24, 0.96, 0.72), (0, 0, 2, 2)),  # halves go to the even number
    (THOUSAND, (320, 240, 320.1, 240.1), (500, 500, 501, 501)),  # thin, middle above the number
    (THOUSAND, (319.8, 239.8, 319.9, 239.9), (499, 499, 500, 500)),  # thin, middle below
    (THOUSAND, (639.9, 479.9, 640, 480), (999, 999, 1000, 1000)),  # thin, in the far corner
    (PER999, (0, 0, 640, 480), (0, 0, 999, 999)),  # 1000 is clipped
    (PER999, (1.27, 0.95, 1.29, 0.97), (1, 1, 2, 2)),  # truncated, never rounded
    (PER999, (320.01, 240.01, 320.02, 240.02), (499, 499, 500, 500)),  # middle in the lower half
    (PER999, (320.5, 240.4, 320.51, 240.41), (500, 500, 501, 501)),  # middle in the upper half
    (PER999, (639.9, 479.9, 640, 480), (998, 998, 999, 999)),  # the last step
    (QWEN25, (0, 0, 640, 480), (0, 0, 643, 475)),  # 644 x 476, cut at the side minus 1
    (UNIT, (160, 120, 320, 240), (0.25, 0.25, 0.5, 0.5)),
    (PIXELS, (0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.3, 0.4)),
]


@pytest.mark.parametrize(("frame", "box", "numbers"), WRITTEN)
def test_a_box_in_a_640_by_480_image_is_written_as(frame, box, numbers):
    assert frame.write(Box(*box), 640, 480) == numbers


@given(st.integers(1, 4000), st.data())
def test_whole_pixels_are_truncated_as_the_released_helper_truncates(width, data):
    x1 = data.draw(st.integers(0, width - 1))
    x2 = data.draw(st.integers(x1 + 1, width))
    first, last = int(x1 / width * 1000), min(int(x2 / width * 1000), 999)
    assume(first < last)
    assert PER999.write(Box(x1, 0, x2, 1), width, 1)[::2] == (first, last)


def test_the_middle_of_a_step_halves_the_error_of_its_lower_edge():
    edges = np.random.default_rng(9).uniform(0, 1000, 10000)
    lower = np.minimum(np.floor(edges), 999)
    assert np.abs(lower + 0.5 - edges).max() <= 0.5
    assert np.abs(lower - edges).mean() > 1.9 * np.abs(lower + 0.5 - edges).mean()


REFUSED = [
    (THOUSAND, (0, 0, 1001, 10), "outside"),
    (PER999, (0, 0, 1000, 10), "outside"),
    (QWEN25, (0, 0, 644, 10), "outside"),  # a 640 x 480 image is 644 pixels wide there
    (UNIT, (0, 0, 1.01, 1), "outside"),
    (THOUSAND, (-1, 0, 10, 10), "outside"),
    (THOUSAND, (math.nan, 0, 10, 10), "outside"),
    (PIXELS, (0, 0, math.inf, 10), "outside"),
    (THOUSAND, (0, 0, 10**400, 10), "outside"),  # too large for a float
    (THOUSAND, (0.5, 0, 10, 10), "whole number"),
    (THOUSAND, (10, 0, 10, 10), "empty"),
    (PER999, (20, 0, 10, 10), "inverted"),
    (THOUSAND, (0, 0, 10), "4 numbers"),
    (THOUSAND, (0, 0, 10, 10, 10), "4 numbers"),
]


@pytest.mark.parametrize(("frame", "numbers", "why"), REFUSED)
def test_a_frame_refuses_to_read(frame, numbers, why):
    with pytest.raises(ValueError, match=why):
        frame.read(numbers, 640, 480)


@pytest.mark.parametrize("frame", [PIXELS, UNIT, THOUSAND, PER999, QWEN25], ids=lambda f: f.name)
@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 641, 5), (5, 5, 5, 9), (9, 0, 5, 5)])
def test_a_frame_does_not_clip_or_mend_a_box_silently(frame, box):
    with pytest.raises(ValueError, match="640 x 480"):
        frame.write(Box(*box), 640, 480)


# The resized image


RESIZED = [
    (640, 480, 28, 3136, 1003520, (644, 476)),  # nearest multiples
    (4000, 3000, 28, 3136, 1003520, (1148, 840)),  # over the budget: cut down
    (20, 20, 28, 3136, 1003520, (56, 56)),  # under the budget: up
    (10, 2000, 28, 3136, 1003520, (28, 812)),  # a side that would round to 0 grows
    (1920, 1080, 32, 65536, 16777216, (1920, 1088)),  # Qwen3-VL's factor
    (42, 42, 28, 784, 784000, (56, 56)),  # 1.5 factors round to the even multiple
]


@pytest.mark.parametrize(("width", "height", "factor", "least", "most", "size"), RESIZED)
def test_an_image_is_resized_to(width, height, factor, least, most, size):
    found = resized_size(width, height, factor=factor, min_pixels=least, max_pixels=most)
    assert found == size


@given(SIDE, SIDE, st.sampled_from([14, 28, 32]))
def test_the_resized_image_keeps_its_budget_and_its_shape(width, height, factor):
    assume(max(width, height) <= 8 * min(width, height))
    least, most = 64 * factor**2, 1024 * factor**2
    wide, high = resized_size(width, height, factor=factor, min_pixels=least, max_pixels=most)
    assert wide % factor == high % factor == 0
    assert least <= wide * high <= most
    # One scale takes both sides to within one multiple of what they became.
    assert max((wide - factor) / width, (high - factor) / height) <= min(
        (wide + factor) / width, (high + factor) / height
    )


@pytest.mark.parametrize(
    ("size", "settings"),
    [
        ((0, 10), (28, 3136, 10**6)),  # no image
        ((10, 2001), (28, 3136, 10**6)),  # sides of over 200 to 1
        ((10, 10), (28, 10**6, 3136)),  # the least above the most
        ((10, 10), (0, 3136, 10**6)),  # no factor
    ],
)
def test_an_impossible_resize_is_refused(size, settings):
    factor, least, most = settings
    with pytest.raises(ValueError, match=f"{size[0]} x {size[1]}"):
        resized_size(*size, factor=factor, min_pixels=least, max_pixels=most)


def test_the_settings_are_in_the_name_of_a_resized_frame():
    assert QWEN25.name == "resized factor=28 min_pixels=3136 max_pixels=1003520"


# Corners, clipping, rotation


def test_a_one_based_box_covers_the_same_pixels_as_its_zero_based_one():
    assert from_xywh(1, 1, 10, 5, base=1) == from_xywh(0, 0, 10, 5) == Box(0, 0, 10, 5)


VALID = [
    ((0, 0, 10, 10), True),  # the whole image
    ((0, 0, 10.000001, 10), False),  # no tolerance
    ((-1e-9, 0, 10, 10), False),
    ((5, 5, 5, 6), False),  # no width
    ((6, 5, 5, 6), False),  # inverted
    ((math.nan, 0, 10, 10), False),
    ((0, math.nan, 10, 10), False),
    ((0, 0, math.inf, 10), False),
    ((-math.inf, 0, 10, 10), False),
]


@pytest.mark.parametrize(("box", "expected"), VALID)
def test_a_box_in_a_10_by_10_image_is_valid(box, expected):
    assert valid(Box(*box), 10, 10) is expected


@given(st.tuples(*[st.floats(allow_infinity=True)] * 4), SIDE, SIDE)
def test_clipping_leaves_a_valid_box_or_one_that_is_seen_not_to_be(numbers, width, height):
    box = Box(*numbers)
    cut = clip(box, width, height)
    if valid(box, width, height):
        assert cut == box
    if any(math.isnan(number) for number in numbers):
        assert not valid(cut, width, height)
    else:
        assert all(0 <= x <= width for x in (cut.x1, cut.x2))
        assert all(0 <= y <= height for y in (cut.y1, cut.y2))
    assert valid(cut, width, height) == (
        max(box.x1, 0) < min(box.x2, width) and max(box.y1, 0) < min(box.y2, height)
    )


def test_a_box_outside_is_clipped_to_nothing():
    assert clip(Box(20, 20, 30, 30), 10, 10).area == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_upright_box_sits_on_the_pixels_that_pillow_turned_upright(orientation):
    stored = np.zeros((40, 60, 3), dtype=np.uint8)
    stored[5:12, 20:50] = (255, 0, 0)
    picture = Picture.fromarray(stored)
    picture.getexif()[274] = orientation
    turned = np.asarray(ImageOps.exif_transpose(picture))
    rows, columns = np.nonzero(turned[..., 0])
    found = Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert upright(Box(20, 5, 50, 12), 60, 40, orientation) == found
    assert upright_size(60, 40, orientation) == (turned.shape[1], turned.shape[0])


# 6 and 8 turn by a quarter and undo each other; the other six are their own opposites.
UNDONE_BY = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}


@pytest.mark.parametrize(("orientation", "opposite"), UNDONE_BY.items())
@given(case=framed())
def test_turning_there_and_back_gives_the_stored_box(orientation, opposite, case):
    box, width, height = case
    turned = upright(box, width, height, orientation)
    size = upright_size(width, height, orientation)
    back = upright(turned, *size, opposite)
    assert upright_size(*size, opposite) == (width, height)
    for edge in ("x1", "y1", "x2", "y2"):
        assert getattr(back, edge) == pytest.approx(getattr(box, edge), abs=1e-9)


@given(framed())
def test_two_quarter_turns_are_a_half_turn(case):
    box, width, height = case
    twice = upright(upright(box, width, height, 6), height, width, 6)
    half = upright(box, width, height, 3)
    assert (twice.x1, twice.y1, twice.x2, twice.y2) == pytest.approx(
        (half.x1, half.y1, half.x2, half.y2), abs=1e-9
    )


@pytest.mark.parametrize("orientation", [0, 9, -1])
def test_an_unknown_orientation_is_refused(orientation):
    with pytest.raises(ValueError, match="1 to 8"):
        upright(Box(0, 0, 1, 1), 10, 10, orientation)
