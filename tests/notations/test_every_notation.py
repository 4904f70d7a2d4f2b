"""What every registered notation keeps: its answers read back, bad ones are refused, by ValueError."""

from __future__ import annotations

import itertools
import time
from contextlib import suppress
from importlib.metadata import entry_points

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from written_cases import HARD, TOKENS, asked

from mgdata import registry
from mgdata.data import Image, Target, Turn
from mgdata.geometry import PER999, Box, Frame, array, iou, iou_pairs
from mgdata.notations import bound, ceiling, settings_in
from mgdata.notations.objects import ObjectNotation
from mgdata.plugins import Notation

NAMES = sorted(point.name for point in entry_points(group="mgdata.notations"))
EVERY: dict[str, Notation] = {
    name: registry.make("notations", name, {}, "the test") for name in NAMES
}
IMAGES = [Image(uri=f"c:{i}.jpg", width=640, height=480) for i in range(3)]
ASKED = Turn(question="Where?", answer="", asked=(1,))
BORDERS = {"qwen2-vl", "qwen2.5-vl"}
"""Notations that cannot reach a box which is no wider than half a step, or a pixel of the resized
image, and lies at the border."""

every = pytest.mark.parametrize("name", NAMES)
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def grid(name: str) -> Frame:
    """The frame that a notation writes in."""
    return PER999 if name == "qwen2-vl" else EVERY[name].coordinates()  # type: ignore[attr-defined]


def refused(notation: Notation, turn: Turn) -> bool:
    """Whether a phrase holds a token of this notation, which it cannot quote."""
    tokens = getattr(notation, "tokens", None)
    return bool(tokens) and any(tokens.one.search(t.phrase or "") for t in turn.targets)


@every
@patient
@given(case=asked([*HARD, *TOKENS]))
def test_what_is_written_is_read_back_in_order(name: str, case: tuple[Turn, list[Image]]) -> None:
    notation = EVERY[name]
    turn, images = case
    if refused(notation, turn):
        with pytest.raises(ValueError, match="holds the token"):
            notation.answer(turn, images)
        return
    found = notation.parse(notation.answer(turn, images), turn, images)
    assert [t.image for t in found] == [t.image for t in turn.targets]
    if name != "qwen2-vl":  # whose phrases stand in the text alone
        assert [t.phrase for t in found] == [t.phrase for t in turn.targets]
    reached = iou_pairs(array([t.box for t in found]), array([t.box for t in turn.targets]))
    assert (reached > 0).all() or name in BORDERS
    for target, other in zip(turn.targets, found, strict=True):
        image = images[target.image]
        assert notation.region(target, image) == notation.region(
            Target(image=target.image, box=other.box, phrase=target.phrase), image
        ), "written, read and written again is another text"


@every
@patient
@given(case=asked(kinds=["boxes"], most=3))
def test_a_ceiling_is_no_higher_than_the_bound(name: str, case: tuple[Turn, list[Image]]) -> None:
    turn, images = case
    most, reached = (of(EVERY[name], turn, images) for of in (bound, ceiling))
    for low, high in zip(reached, most, strict=True):
        assert 0 <= low <= high + 1e-12 <= 1 + 1e-9
        assert low or name in BORDERS


def best_on_the_grid(frame: Frame, box: Box, image: Image, step: float) -> float:
    """The best IoU of all boxes of whole steps round a box, every one tried."""
    written = frame.write(box, image.width, image.height)
    boxes: list[Box] = []
    for moves in itertools.product((-2, -1, 0, 1, 2), repeat=4):
        numbers = [round(n + step * move, 2) for n, move in zip(written, moves, strict=True)]
        if step == 1:
            numbers = [int(n) for n in numbers]
        try:
            boxes.append(frame.read(numbers, image.width, image.height))
        except ValueError:
            continue
    return float(iou(array([box]), array(boxes)).max())


@every
def test_the_bound_is_the_best_of_all_boxes_that_can_be_written(name: str) -> None:
    rng = np.random.default_rng(7)
    better = 0
    for width, height in rng.integers(60, 3000, (25, 2)):
        image = Image(uri="c:0", width=int(width), height=int(height))
        side = rng.choice([0.6, 3.0, 8.0]) * rng.uniform(0.4, 1.6, 2)
        corner = rng.uniform(0, [width - side[0], height - side[1]]) * (rng.random(2) > 0.1)
        box = Box(*map(float, (*corner, *(corner + side))))
        turn = Turn(question="?", answer="<target:0>", targets=(Target(image=0, box=box),))
        (most,), (reached,) = (of(EVERY[name], turn, [image]) for of in (bound, ceiling))
        step = 0.01 if name == "json" else 1
        assert most == pytest.approx(best_on_the_grid(grid(name), box, image, step), abs=1e-9)
        better += most > reached + 1e-9
    assert better or name == "json", "no box whose nearest numbers are not its best: a weak test"


WORST = {
    # least ceiling of squares of 8, 32 and 96 pixels in 1920 x 1080
    "qwen2-vl": (0.71, 0.91, 0.96),
    "qwen2.5-vl": (0.71, 0.91, 0.96),
    "qwen3-vl": (0.71, 0.91, 0.96),
    "internvl": (0.71, 0.91, 0.96),
    "deepseek-vl2": (0.71, 0.91, 0.96),
    "json": (0.99, 0.99, 0.99),
}


@every
def test_a_box_of_a_size_loses_no_more_than_is_known(name: str) -> None:
    rng = np.random.default_rng(1)
    image = Image(uri="c:0", width=1920, height=1080)
    for side, least in zip((8, 32, 96), WORST[name], strict=True):
        for x, y in rng.uniform(0, [1920 - side, 1080 - side], (200, 2)):
            target = Target(image=0, box=Box(x, y, x + side, y + side))
            turn = Turn(question="?", answer="<target:0>", targets=(target,))
            assert ceiling(EVERY[name], turn, [image])[0] >= least


@every
def test_an_answer_without_a_target_has_no_box(name: str) -> None:
    turn = Turn(question="?", answer="It is not visible in the second image.")
    text = EVERY[name].answer(turn, IMAGES)
    assert text == ("[]" if isinstance(EVERY[name], ObjectNotation) else turn.answer)
    assert EVERY[name].parse(text, turn, IMAGES) == []


@every
def test_an_order_of_four_in_prose_is_no_box(name: str) -> None:
    turn = Turn(question="Sort.", answer="[2, 1, 4, 3]", kind="order", gold="[2, 1, 4, 3]")
    assert EVERY[name].parse(EVERY[name].answer(turn, IMAGES), turn, IMAGES) == []


@every
def test_the_answer_in_another_notation_is_refused_and_not_read_as_no_box(name: str) -> None:
    targets = (Target(image=1, box=Box(10, 20, 300, 400), phrase="a kite"),)
    turn = Turn(question="?", answer="Image-2: <target:0>.", targets=targets)
    for other in NAMES:
        # Nothing in a text tells these two apart but numbers that are out of range.
        if other == name or {name, other} == {"qwen2.5-vl", "qwen3-vl"}:
            continue
        text = EVERY[other].answer(turn, IMAGES)
        with pytest.raises(ValueError, match=r"."):
            EVERY[name].parse(text, turn, IMAGES)


@every
def test_a_frame_and_a_name_make_the_notation_again(name: str) -> None:
    made = registry.make("notations", name, settings_in(EVERY[name].frame), "the test")
    assert made == EVERY[name]


PIECES = [
    *TOKENS,
    *HARD,
    *(
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ", ",
        ": ",
        "(",
        ")",
        "1",
        "-1",
        "999",
        "1e400",
        "NaN",
        "null",
    ),
    *('"bbox_2d"', '"box"', '"image"', '"label"', "```json\n", "\n```", "[1, 2, 3, 4]", "Image-2"),
    *("last image", "[[30, 2, 1, 40]]", "image 0", "9" * 5000, "<box>[[1, 2, 30, 40]]</box>"),
    *("<|det|>[[1, 2, 30, 40]]<|/det|>", '{"image": 1, "box": [1, 2, 30, 40]}'),
    *("<|box_start|>(1,2),(30,40)<|box_end|>", '{"bbox_2d": [1, 2, 30, 40], "label": "x"}'),
]


@every
@patient
@given(
    text=st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=12).map("".join),
    kind=st.sampled_from(["boxes", "text"]),
    images=st.sampled_from([(), (1,)]),
)
def test_any_text_is_read_or_refused(
    name: str, text: str, kind: str, images: tuple[int, ...]
) -> None:
    turn = Turn(question="?", answer="", kind=kind, asked=images)  # type: ignore[arg-type]
    try:
        found = EVERY[name].parse(text, turn, IMAGES)
    except ValueError:
        return
    for target in found:
        box = target.box
        assert 0 <= target.image < 3
        assert 0 <= box.x1 < box.x2 <= 640
        assert 0 <= box.y1 < box.y2 <= 480


@every
@patient
@given(case=asked(), data=st.data())
def test_an_answer_cut_anywhere_is_read_or_refused(
    name: str, case: tuple[Turn, list[Image]], data: st.DataObject
) -> None:
    turn, images = case
    try:
        text = EVERY[name].answer(turn, images)
    except ValueError:
        assert refused(EVERY[name], turn)
        return
    cut = text[: data.draw(st.integers(0, len(text)))]
    try:
        found = EVERY[name].parse(cut, turn, images)
    except ValueError:
        return
    assert len(found) <= len(turn.targets)


LONG = [
    *("<ref>" * 20000, "<" * 100000, "<box>[" + "[1, 2, 30, 40], " * 6000, "[" * 100000),
    *("<ref>" + "< " * 50000, "(" + " " * 50000, "(1,1)" + " " * 50000, "[1" * 30000),
    *("1" * 100000, "[" + "1" * 100000, '{"bbox_2d": ' * 5000, '{"image": 1} ' * 5000),
    *("image " * 20000, "the first image. " * 6000, "\n" * 100000, '"' * 100000),
]


@every
@pytest.mark.parametrize("text", LONG, ids=[text[:20] for text in LONG])
def test_a_long_bad_answer_is_given_up_soon(name: str, text: str) -> None:
    for kind in ("boxes", "text"):
        start = time.process_time()
        with suppress(ValueError):
            EVERY[name].parse(text, Turn(question="?", answer="", kind=kind, asked=(1,)), IMAGES)
        # A text of 100 kB that is scanned once for each of its letters takes minutes.
        assert time.process_time() - start < 60
