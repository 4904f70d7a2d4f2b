"""MC-Bench's figures: against COCOeval, against a plain reading, and where they depart."""

from __future__ import annotations

import contextlib
import io
import itertools
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mgdata.data import Target
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.scoring.mc_bench import Item, agrees, ap50, marks, regrouped


def at(image: int, x: float, y: float = 0, w: float = 10, h: float = 10) -> Target:
    return Target(image=image, box=Box(x, y, x + w, y + h))


def near(rng: Stream, box: Target, image: int) -> Target:
    """The box moved a little: its IoU lies to both sides of a half."""
    b = box.box
    dx, dy = rng.between(-4, 4), rng.between(-4, 4)
    return at(image, b.x1 + dx, b.y1 + dy, b.width + rng.between(-2, 2), b.height)


def some(rng: Stream, scores: str, groups: int, given: bool) -> Item:
    """A random item: negatives, several groups, missed, doubled, wrong and foreign boxes."""
    gold = [
        at(rng.below(2), rng.below(80), rng.below(80), rng.between(8, 24), rng.between(8, 24))
        for _ in range(rng.below(6))
    ]
    labels = [1 + rng.below(groups) for _ in gold]
    found: list[tuple[Target, int]] = []
    for box, label in zip(gold, labels, strict=True):
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            image = box.image if rng.below(8) else 1 - box.image
            found.append((near(rng, box, image), label if rng.below(5) else 1 + rng.below(groups)))
    found += [(at(rng.below(2), rng.below(90)), 1 + rng.below(groups)) for _ in range(rng.below(3))]
    rng.shuffle(found)
    value = {"none": None, "ties": lambda: rng.below(3) / 2, "free": rng.uniform}[scores]
    return Item(
        gold=tuple(gold),
        groups=tuple(labels),
        predicted=tuple(box for box, _ in found),
        predicted_groups=tuple(group for _, group in found) if given else (),
        scores=tuple(value() for _ in found) if value else (),
    )


def by_coco(items: Sequence[Item]) -> float | None:
    """What pycocotools makes of the regrouped boxes; a stray box lies in an image of its own."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for n, item in enumerate(items):
        golds = item.groups or (1,) * len(item.gold)
        for box, group in zip(item.gold, golds, strict=True):
            annotations.append(entry(10 * n + box.image, group, box) | {"id": len(annotations) + 1})
        scores = item.scores or (1.0,) * len(item.predicted)
        for box, group, score in zip(item.predicted, regrouped(item), scores, strict=True):
            image = 10 * n + box.image + (5 if group is None else 0)
            category = min(golds, default=1) if group is None else group
            results.append(entry(image, category, box) | {"score": score})
    if not annotations:
        return None
    categories = sorted({a["category_id"] for a in annotations + results})
    dataset = {
        "info": {},
        "images": [{"id": image} for image in range(10 * len(items))],
        "annotations": annotations,
        "categories": [{"id": id_, "name": f"group {id_}"} for id_ in categories],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        answers = COCO()
        if results:
            answers = truth.loadRes(results)
        else:
            answers.dataset = dataset | {"annotations": []}
            answers.createIndex()
        judge = COCOeval(truth, answers, "bbox")
        judge.evaluate()
        judge.accumulate()
    table = judge.eval["precision"][0, :, :, 0, 2]
    total = 0.0
    for column, id_ in enumerate(categories):
        values = table[:, column]
        if (values > -1).any():
            count = sum(a["category_id"] == id_ for a in annotations)
            total += values[values > -1].mean() * count / len(annotations)
    return float(total)


def entry(image: int, category: int, box: Target) -> dict[str, Any]:
    b = box.box
    return {
        "image_id": image,
        "category_id": category,
        "bbox": [b.x1, b.y1, b.width, b.height],
        "area": b.area,
        "iscrowd": 0,
    }


@pytest.mark.parametrize("scores", ["none", "ties", "free"])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("given", [True, False])
def test_ap50_is_what_coco_s_own_evaluation_gives(scores: str, groups: int, given: bool) -> None:
    for case in range(40):
        rng = Stream("ap50", scores, str(groups), str(given), str(case))
        items = [some(rng, scores, groups, given) for _ in range(1 + rng.below(12))]
        expected = by_coco(items)
        assert ap50(items) == (None if expected is None else pytest.approx(expected, abs=1e-9))


def test_more_than_a_hundred_boxes_of_a_group_in_an_image_are_cut_as_coco_cuts_them() -> None:
    boxes = tuple(at(0, 20 * n, w=12) for n in range(130))
    scores = tuple(float((n * 37) % 130) for n in range(130))
    for item in (
        Item(gold=boxes[:90], predicted=boxes),
        Item(gold=boxes, predicted=boxes[::-1], scores=scores),
    ):
        assert ap50([item]) == pytest.approx(by_coco([item]), abs=1e-9)
    assert ap50([Item(gold=boxes, predicted=boxes)]) == pytest.approx(77 / 101)  # recall 100 / 130


def plainly(items: Sequence[Item]) -> float | None:
    """AP50 from its definition, slowly: for every recall the best precision of any longer list."""
    totals: dict[int, int] = {}
    lists: dict[int, list[tuple[float, int, bool]]] = {}
    for item in items:
        golds = item.groups or (1,) * len(item.gold)
        for group in golds:
            totals[group] = totals.get(group, 0) + 1
        scores = item.scores or (1.0,) * len(item.predicted)
        kinds = regrouped(item)
        order = sorted(range(len(kinds)), key=lambda i: (kinds[i] is None, item.predicted[i].image, -scores[i]))  # fmt: skip
        used: set[int] = set()
        for place in order:
            group = kinds[place]
            found = [
                (overlap(item.predicted[place], box), g)
                for g, box in enumerate(item.gold)
                if golds[g] == group and box.image == item.predicted[place].image and g not in used
            ]
            best = max(found, default=(0.0, -1))
            if best[0] >= 0.5:
                used.add(best[1])
            kind = min(golds, default=1) if group is None else group
            row = lists.setdefault(kind, [])
            row.append((-scores[place], len(row), best[0] >= 0.5))
    if not totals:
        return None
    whole = 0.0
    for group, total in totals.items():
        row = sorted(lists.get(group, []))
        points = [
            (sum(hit for *_, hit in row[:n]) / total, sum(hit for *_, hit in row[:n]) / n)
            for n in range(1, len(row) + 1)
        ]
        asked = np.linspace(0, 1, 101)
        values = [max((p for r, p in points if r >= level), default=0.0) for level in asked]
        whole += total * sum(values) / 101
    return whole / sum(totals.values())


def overlap(one: Target, two: Target) -> float:
    a, b = one.box, two.box
    wide, high = min(a.x2, b.x2) - max(a.x1, b.x1), min(a.y2, b.y2) - max(a.y1, b.y1)
    shared = wide * high if min(wide, high) > 0 else 0.0
    return shared / (a.area + b.area - shared)


def test_ap50_is_what_its_definition_gives_read_naively() -> None:
    for case in range(120):
        rng = Stream("naive", str(case))
        items = [some(rng, rng.choice(["none", "ties", "free"]), 3, True) for _ in range(6)]
        expected = plainly(items)
        assert ap50(items) == (None if expected is None else pytest.approx(expected, abs=1e-9))


def brute(item: Item) -> float:
    """The best sum of matched IoUs over every way to give gold groups to the answer's groups."""
    ours, theirs = sorted(set(item.groups)), sorted(set(item.predicted_groups))
    blanks: list[int | None] = [None] * len(theirs)
    return max(worth(item, dict(zip(theirs, order, strict=True))) for order in set(itertools.permutations([*ours, *blanks], len(theirs))))  # fmt: skip


def worth(item: Item, to: dict[int, int | None]) -> float:
    """The sum for one way, with the boxes matched by trying everything."""
    total = 0.0
    for theirs, ours in to.items():
        for image in (0, 1):
            mine = [b for b, g in zip(item.predicted, item.predicted_groups, strict=True) if g == theirs and b.image == image]  # fmt: skip
            gold = [b for b, g in zip(item.gold, item.groups, strict=True) if g == ours and b.image == image]  # fmt: skip
            short, long = sorted((mine, gold), key=len)
            total += max(
                sum(itertools.starmap(overlap, zip(short, chosen, strict=True)))
                for chosen in itertools.permutations(long, len(short))
            )
    return total


def test_groups_are_given_away_as_well_as_trying_every_permutation_does() -> None:
    tried = 0
    for case in range(150):
        item = some(Stream("groups", str(case)), "none", 3, True)
        if not item.gold or not 0 < len(item.predicted) < 6:
            continue
        tried += 1
        to = dict(zip(item.predicted_groups, regrouped(item), strict=True))
        assert worth(item, to) == pytest.approx(brute(item), abs=1e-9)
    assert tried > 50


def test_the_numbers_of_an_answer_s_groups_mean_nothing() -> None:
    gold = (at(0, 0), at(1, 0), at(0, 50), at(1, 50))
    for numbers in ((1, 1, 2, 2), (2, 2, 1, 1), (7, 7, 90, 90)):
        item = Item(gold=gold, groups=(1, 1, 2, 2), predicted=gold, predicted_groups=numbers)
        assert regrouped(item) == [1, 1, 2, 2]
        assert marks([item]) == {"items": 1.0, "acc": 1.0, "ap50": 1.0}


def test_an_answer_without_groups_can_find_one_group_only() -> None:
    gold = (at(0, 0), at(1, 0), at(0, 50))
    item = Item(gold=gold, groups=(1, 1, 2), predicted=gold)
    assert regrouped(item) == [1, 1, 1]
    # Of group 1: a hit, the miss, a hit. Group 2 has nothing.
    assert ap50([item]) == pytest.approx((51 + 50 * 2 / 3) / 101 * 2 / 3)


def test_boxes_of_one_group_in_groups_of_their_own_are_not_all_found() -> None:
    gold = (at(0, 0), at(0, 30), at(0, 60))
    item = Item(gold=gold, predicted=gold, predicted_groups=(1, 2, 3))
    assert sorted(regrouped(item), key=str) == [1, None, None]
    assert ap50([item]) == pytest.approx(34 / 101)  # recall reaches a third: 0.00 to 0.33


def test_a_group_that_fits_nothing_costs_precision() -> None:
    sure = Item(gold=(at(0, 0),), predicted=(at(0, 70), at(0, 0)), predicted_groups=(9, 4), scores=(0.9, 0.8))  # fmt: skip
    assert regrouped(sure) == [None, 1]
    assert ap50([sure]) == pytest.approx(0.5)
    negative = Item(gold=(), predicted=(at(0, 0),), predicted_groups=(6,), scores=(2.0,))
    right = Item(gold=(at(0, 0),), predicted=(at(0, 0),))
    assert ap50([right]) == 1.0
    assert ap50([negative, right]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("gold", "predicted", "right"),
    [
        ((), (), True),
        ((0,), (0,), True),
        ((0, 0, 1), (1, 0), True),  # how many does not matter
        ((0,), (1,), False),
        ((0,), (0, 1), False),
        ((0, 1), (0,), False),
        ((), (1,), False),
        ((1,), (1, 5), True),  # a third image is none of the pair's
    ],
)
def test_an_item_counts_where_presence_agrees_in_both_images(
    gold: tuple[int, ...], predicted: tuple[int, ...], right: bool
) -> None:
    # The boxes themselves lie apart.
    item = Item(gold=tuple(at(i, 0) for i in gold), predicted=tuple(at(i, 80) for i in predicted))
    assert agrees(item) is right
    assert marks([item])["acc"] == float(right)


def test_a_box_in_an_image_that_is_not_there_is_a_false_positive() -> None:
    item = Item(gold=(at(1, 0),), predicted=(at(1, 0), at(5, 0)), scores=(0.5, 0.9))
    assert ap50([item]) == pytest.approx(0.5)


def test_a_box_that_is_none_finds_nothing() -> None:
    bad = (at(0, float("nan")), at(0, 0, w=-10), at(0, 0, w=0))
    assert ap50([Item(gold=(at(0, 0),), predicted=bad)]) == 0.0


def test_figures_without_a_base_are_left_out() -> None:
    assert marks([]) == {"items": 0.0}
    assert marks([Item(gold=(), predicted=(at(0, 0),))]) == {"items": 1.0, "acc": 0.0}
    assert marks([Item(gold=(at(0, 0),))]) == {"items": 1.0, "acc": 0.0, "ap50": 0.0}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"groups": (1, 2)}, "2 groups of gold boxes for 1 boxes"),
        ({"predicted_groups": (1, 2, 3)}, "3 groups of predicted boxes for 2 boxes"),
        ({"scores": (0.5,)}, "1 scores for 2 boxes"),
        ({"scores": (0.5, float("nan"))}, "a score is NaN"),
    ],
)
def test_numbers_that_do_not_fit_their_boxes_are_refused(
    more: dict[str, Any], message: str
) -> None:
    item = Item(gold=(at(0, 0),), predicted=(at(0, 0), at(1, 0)), **more)
    with pytest.raises(ValueError, match=message):
        marks([item])


def test_forty_predicted_groups_are_given_away_at_once() -> None:
    """Permutations of forty would not end."""
    boxes = tuple(at(0, 20 * n) for n in range(40))
    numbers = tuple(range(1, 41))
    item = Item(gold=boxes, groups=numbers, predicted=boxes[::-1], predicted_groups=numbers)
    start = time.perf_counter()
    assert ap50([item]) == 1.0
    assert time.perf_counter() - start < 60
