"""Figures of many answers, against a reference that is as simple as their definitions."""

from __future__ import annotations

import random

import pytest

from mgdata.data import Target, Turn
from mgdata.geometry import Box
from mgdata.scoring.matching import score
from mgdata.scoring.metrics import THRESHOLDS, Tally, mean


def target(image: int, x: float, width: float = 10) -> Target:
    return Target(image=image, box=Box(x, 0, x + width, 10))


def turn(*targets: Target, **more) -> Turn:
    return Turn(question="?", answer="!", targets=targets, **more)


def figures(items) -> dict:
    tally = Tally()
    for asked, found in items:
        tally.add(asked, found, missing=found == "missing") if found != "missing" else tally.add(
            asked, None, missing=True
        )
    return tally.row()


def test_the_four_outcomes_of_an_item():
    asked = turn(target(0, 0))
    row = figures([
        (asked, score([target(0, 0)], asked)),  # right
        (asked, score([target(0, 6)], asked)),  # the image only: 4 of 16 columns are shared
        (asked, None),  # not to be read
        (asked, "missing"),
    ])  # fmt: skip
    assert (row["items"], row["missing"], row["format"], row["boxed"]) == (4, 1, 0.5, 4)
    assert (row["acc@0.3"], row["acc@0.7"], row["image"]) == (0.25, 0.25, 0.5)
    assert row["miou"] == pytest.approx(1.25 / 4)
    assert row["precision"] == row["recall"] == row["f1"] == row["soft_f1"] == 0.25


def test_each_threshold_has_its_accuracy():
    asked = turn(target(0, 0))
    widths = (2, 4, 6, 8)  # IoUs 0.2, 0.4, 0.6, 0.8
    row = figures([(asked, score([target(0, 0, w)], asked)) for w in widths])
    assert [row[f"acc@{t}"] for t in (0.3, 0.5, 0.7)] == [0.75, 0.5, 0.25]
    assert row["miou"] == pytest.approx(0.5)


def test_where_nothing_is_to_be_found_nothing_is_right():
    none = turn()
    row = figures([(none, score([], none)), (none, score([target(0, 0)], none))])
    assert row["boxed"] == 2
    assert {row[name] for name in ("acc@0.3", "acc@0.7", "image", "miou", "f1")} == {0.5}


def test_short_answers_have_figures_of_their_kind_and_none_about_boxes():
    count = turn(kind="count", gold="3")
    order = turn(kind="order", gold="2, 1, 3")
    row = figures([
        (count, score([], count, text="3")),
        (count, score([], count, text="5")),
        (count, score([], count, text="many")),
        (count, None),
        (order, score([], order, text="1, 2, 3")),
    ])  # fmt: skip
    assert row["boxed"] == 0 and row["miou"] is None and row["image"] is None
    assert row["acc@0.5"] == 0.2
    assert (row["count_acc"], row["count_off"]) == (0.25, 1.0)
    assert (row["order_acc"], row["order_pairs"]) == (0.0, pytest.approx(2 / 3))


def test_a_table_of_nothing_has_no_shares():
    row = Tally().row()
    assert row["items"] == 0 and row["acc@0.5"] is None and row["format"] is None


def test_the_mean_over_tasks_counts_each_task_once():
    rows = [{"items": 90, "acc@0.5": 1.0, "miou": None}, {"items": 10, "acc@0.5": 0.0, "miou": 0.4}]
    assert mean(rows) == {"acc@0.5": 0.5, "miou": 0.4}


def drawn_items(seed: int) -> list:
    drawn = random.Random(seed)
    items = []
    for _ in range(400):
        gold = [target(drawn.randrange(2), 30 * k) for k in range(drawn.randrange(4))]
        kept = [t for t in gold if drawn.random() < 0.9]
        said = [target(t.image, t.box.x1 + drawn.choice((0, 0, 1, 2, 3, 5))) for t in kept]
        if drawn.random() < 0.1:
            said.append(target(1, 500))
        ceilings = [drawn.choice((0.6, 1.0)) for _ in gold]
        items.append((turn(*gold), gold, said, ceilings))
    return items


@pytest.mark.parametrize("seed", range(3))
def test_random_items_are_counted_as_a_naive_reference_counts_them(seed):
    """Targets lie far apart, so that each answer has one candidate at most."""
    items = drawn_items(seed)
    row = figures([
        (asked, score(said, asked, ceilings=ceilings)) for asked, _, said, ceilings in items
    ])  # fmt: skip

    def overlap(a: Box, b: Box) -> float:
        shared = max(0.0, min(a.x2, b.x2) - max(a.x1, b.x1)) * 10
        return shared / (a.area + b.area - shared)

    def ious(gold, said):
        return [
            max([overlap(g.box, s.box) for s in said if s.image == g.image] or [0]) for g in gold
        ]

    for threshold in THRESHOLDS:
        right = sum(
            len(said) == len(gold)
            and all(v >= min(threshold, c) for v, c in zip(ious(gold, said), ceilings, strict=True))
            for _, gold, said, ceilings in items
        )
        assert row[f"acc@{threshold}"] == right / len(items)
    shares = [
        sum(ious(gold, said)) / len(gold) if gold else float(not said) for _, gold, said, _ in items
    ]
    assert row["miou"] == pytest.approx(sum(shares) / len(items))
    images = [sorted(t.image for t in g) == sorted(t.image for t in s) for _, g, s, _ in items]
    assert row["image"] == sum(images) / len(items)
    assert 0.3 < row["acc@0.7"] < row["acc@0.3"] < row["image"] < 1


def test_tallies_of_parts_are_merged_to_the_tally_of_the_whole():
    items = [(asked, score(said, asked)) for asked, _, said, _ in drawn_items(9)]
    count = turn(kind="count", gold="3")
    items += [(count, score([], count, text=text)) for text in ("3", "7", "?")]
    parts = [Tally() for _ in range(7)]
    for place, (asked, found) in enumerate(items):
        parts[place % 7].add(asked, found)
    merged, whole = parts[0].merged(parts[1:]).row(), figures(items)
    assert merged == {k: pytest.approx(v) for k, v in whole.items()}
