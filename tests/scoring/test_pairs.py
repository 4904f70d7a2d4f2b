"""Matching by plain arithmetic against numpy and SciPy, pycocotools, and trying everything."""

from __future__ import annotations

import math
import random
from itertools import permutations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mgdata.data import Target
from mgdata.geometry import Box, array, iou, match
from mgdata.scoring import pairs
from mgdata.scoring.pairs import matched, overlap


def target(image: int, x: float, y: float = 0, width: float = 10, height: float = 10) -> Target:
    return Target(image=image, box=Box(x, y, x + width, y + height))


def matrix(predicted: list[Target], gold: list[Target]) -> np.ndarray:
    values = iou(array([t.box for t in predicted]), array([t.box for t in gold]))
    for i, found in enumerate(predicted):
        for j, wanted in enumerate(gold):
            if found.image != wanted.image:
                values[i, j] = 0
    return values


def best_sum(values: np.ndarray) -> float:
    """The greatest sum of any assignment, found by trying them all."""
    values = values if values.shape[0] <= values.shape[1] else values.T
    rows, columns = values.shape
    return max(
        sum(values[i, j] for i, j in enumerate(order))
        for order in permutations(range(columns), rows)
    )


def test_matching_takes_the_best_sum_and_not_the_first_best():
    # The first prediction fits both; taking its best partner would leave the second with nothing.
    gold = [target(0, 0), target(0, 4)]
    assert [(i, j) for i, j, _ in matched([target(0, 3), target(0, 9)], gold)] == [(0, 0), (1, 1)]


def test_equal_boxes_are_matched_in_order():
    same = [target(0, 0)] * 3
    assert matched(same, same) == [(0, 0, 1.0), (1, 1, 1.0), (2, 2, 1.0)]


def test_boxes_of_different_images_are_never_matched():
    assert matched([target(0, 0), target(1, 50)], [target(1, 0), target(0, 50)]) == []


ODD = [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1e-200, 1e308, 3.0, 7.5]


@given(*[st.sampled_from(ODD) | st.floats(-50, 50)] * 8)
@example(0, 0, 1e-200, 1e-200, 0, 0, 1e-200, 1e-200)
@example(math.nan, 0, 10, 10, 0, 0, 10, 10)
@example(10, 10, 0, 0, 0, 0, 10, 10)
def test_the_overlap_is_that_of_numpy_to_the_last_bit(a, b, c, d, e, f, g, h):
    one, other = Box(a, b, c, d), Box(e, f, g, h)
    assert overlap(one, other) == iou(array([one]), array([other]))[0, 0]


COARSE = st.builds(target, st.integers(0, 1), st.integers(0, 12), st.integers(0, 4))
FINE = st.builds(target, st.integers(0, 1), *[st.floats(0, 30)] * 2, *[st.floats(1, 20)] * 2)


@settings(deadline=None, max_examples=300)
@given(*[st.lists(COARSE | FINE, min_size=1, max_size=6)] * 2)
def test_small_sets_are_matched_as_scipy_does(predicted, gold):
    values = matrix(predicted, gold)
    found, wanted = matched(predicted, gold), match(values)
    assert all(value == values[i, j] > 0 for i, j, value in found)
    assert found == sorted(found)
    assert len({i for i, *_ in found}) == len({j for _, j, _ in found}) == len(found)
    total = sum(value for *_, value in found)
    assert total == pytest.approx(sum(values[i, j] for i, j in wanted), rel=1e-12)
    assert total == pytest.approx(best_sum(values), rel=1e-12)


@settings(deadline=None, max_examples=100)
@given(*[st.lists(FINE, min_size=1, max_size=6)] * 2)
def test_where_one_assignment_is_best_it_is_the_one_that_scipy_finds(predicted, gold):
    values = matrix(predicted, gold)
    wide = values if len(predicted) <= len(gold) else values.T
    sums = sorted(
        (sum(wide[i, j] for i, j in enumerate(order)), order)
        for order in permutations(range(wide.shape[1]), wide.shape[0])
    )
    best = {tuple((i, j) for i, j in enumerate(o) if wide[i, j]) for s, o in sums
            if s > sums[-1][0] - 1e-9}  # fmt: skip
    if len(best) == 1:
        assert [(i, j) for i, j, _ in matched(predicted, gold)] == match(values)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (4, 5), (40, 3), (3, 80), (60, 60)])
def test_many_boxes_are_matched_as_few_are(n, m, monkeypatch):
    drawn = random.Random(n * m)

    def some(count):
        return [
            target(drawn.randrange(3), drawn.uniform(0, 90), drawn.uniform(0, 90),
                   drawn.uniform(5, 40), drawn.uniform(5, 40))
            for _ in range(count)
        ]  # fmt: skip

    predicted, gold = some(n), some(m)
    for most in (0, 10**9):
        monkeypatch.setattr(pairs, "_PLAIN", most)
        found = matched(predicted, gold)
        assert [(i, j) for i, j, _ in found] == match(matrix(predicted, gold))


def test_overlaps_are_those_of_pycocotools():
    from pycocotools import mask

    drawn = random.Random(5)
    boxes = [
        [drawn.uniform(0, 60), drawn.uniform(0, 60), drawn.uniform(1, 50), drawn.uniform(1, 50)]
        for _ in range(80)
    ]
    wanted = mask.iou(np.array(boxes[:40]), np.array(boxes[40:]), [0] * 40)
    made = [Box(x, y, x + w, y + h) for x, y, w, h in boxes]
    found = [[overlap(a, b) for b in made[40:]] for a in made[:40]]
    assert (wanted > 0).sum() > 200
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_hits_of_boxes_that_do_not_compete_are_those_of_cocoeval():
    """COCOeval matches greedily by score; where no box has two candidates that is the same."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    drawn = random.Random(11)
    truth: list[dict] = []
    answers: list[dict] = []
    ours = {threshold: 0 for threshold in (0.3, 0.5, 0.7)}
    for image in range(1, 60):
        gold: list[Target] = []
        predicted: list[Target] = []
        for place in range(drawn.randint(1, 4)):
            x, y, w, h = place * 200, 0, drawn.uniform(20, 90), drawn.uniform(20, 90)
            gold.append(target(0, x, y, w, h))
            truth.append({"id": len(truth) + 1, "image_id": image, "category_id": 1,
                          "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0})  # fmt: skip
            if drawn.random() < 0.8:
                x, y = x + drawn.uniform(-20, 20), y + drawn.uniform(-10, 10)
                predicted.append(target(0, x, y, w, h))
                answers.append({"image_id": image, "category_id": 1, "bbox": [x, y, w, h],
                                "score": 1 - len(answers) / 1e4})  # fmt: skip
        for threshold in ours:
            ours[threshold] += sum(v >= threshold for *_, v in matched(predicted, gold))
    coco = COCO()
    coco.dataset = {"images": [{"id": n} for n in range(1, 60)], "annotations": truth,
                    "categories": [{"id": 1}]}  # fmt: skip
    coco.createIndex()
    run = COCOeval(coco, coco.loadRes(answers), "bbox")
    run.params.iouThrs = np.array(list(ours))
    run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
    run.evaluate()
    theirs = [
        sum(int((e["dtMatches"][k] > 0).sum()) for e in run.evalImgs if e) for k in range(len(ours))
    ]
    assert list(ours.values()) == theirs
    assert 20 < theirs[2] < theirs[1] < theirs[0]
