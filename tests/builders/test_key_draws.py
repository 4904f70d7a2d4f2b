from __future__ import annotations

from collections import Counter

import numpy as np

from builders import key_draws

NAMES = [f"coco/annotations/instances_train2017/{n}" for n in range(3000)]
WEIGHTS = {"a": 5.0, "b": 3.0, "c": 2.0}


def test_a_record_draws_the_same_alone_and_among_others() -> None:
    found = key_draws.keys(NAMES)
    places = key_draws.kinds(found, list(WEIGHTS.values()))
    assert [key_draws.kind(name, WEIGHTS) for name in NAMES] == [list(WEIGHTS)[i] for i in places]
    labels = ["dog", "cat", "traffic light"]
    ranks = [key_draws.ranks(found, np.full(len(found), one)) for one in key_draws.keys(labels)]
    least = np.argmin(np.stack(ranks), axis=0)
    assert [key_draws.first(name, labels) for name in NAMES] == [labels[i] for i in least]


def test_kinds_come_as_often_as_their_weights_say() -> None:
    counts = Counter(key_draws.kind(name, WEIGHTS) for name in NAMES)
    for name, weight in WEIGHTS.items():
        assert abs(counts[name] - 300 * weight) < 4 * np.sqrt(300 * weight)


def test_labels_come_equally_often_whatever_the_kind() -> None:
    labels = ["dog", "cat"]
    pairs = Counter((key_draws.kind(n, WEIGHTS), key_draws.first(n, labels)) for n in NAMES)
    for kind, weight in WEIGHTS.items():
        assert abs(pairs[kind, "dog"] - 150 * weight) < 4 * np.sqrt(150 * weight)


def test_the_order_of_labels_does_not_matter_and_of_none_none_is_drawn() -> None:
    assert key_draws.first("x", ["a", "b", "c"]) == key_draws.first("x", ["c", "b", "a"])
    assert key_draws.first("x", []) is None
