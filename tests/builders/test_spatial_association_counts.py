"""Nothing but the pictures tells how many views show what is asked for, nor which."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from guesses import template_of
from moments import moment, moments

from builders.spatial_association import WORDING, SpatialAssociation
from mgdata import registry
from mgdata.data import Count, Record, Sample, count_of
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.plugins import Corpus
from mgdata.storage import Root
from mgdata.synth import write
from mgdata.validity import sample_fault

COUNTS: tuple[Count, ...] = ("none", "one", "many")
MISSING = re.compile(
    r"(?i)\bno\b|\bnot?\b|\bnone\b|nothing|neither|nowhere|cannot|others|out of sight"
)


LOOKS: dict[str, Callable[[Sample], Hashable]] = {
    "images": lambda s: len(s.images),
    "images and boxes given": lambda s: (len(s.images), len(s.turns[0].regions)),
    "people": lambda s: bool(re.search(r"\b(person|people)\b", s.turns[0].question)),
}


def built(records: Sequence[Record], count: Count, n: int = 1, **settings: Any) -> list[Sample]:
    """What comes of `n` tries of each record, with other chances for each count."""
    builder = SpatialAssociation(count=count, **settings)
    found: list[Sample] = []
    for record in records:
        for i in range(n):
            try:
                items = list(builder.build([record], Stream("t", count, record.key, str(i))))
            except Rejected:
                continue
            found += [item for item in items if isinstance(item, Sample)]
    return found


def excess(seen: Mapping[Count, Sequence[Hashable]]) -> float:
    """Chi-square of count against what is seen, in standard deviations above chance."""
    values = sorted({value for some in seen.values() for value in some}, key=repr)
    counts = [Counter(some) for some in seen.values()]
    table = np.array([[count[value] for value in values] for count in counts], float)
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    freedom = (len(table) - 1) * (len(values) - 1)
    assert freedom > 0, values
    return float((((table - expected) ** 2 / expected).sum() - freedom) / (2 * freedom) ** 0.5)


def template(sample: Sample) -> tuple[str, str]:
    return template_of(sample.turns[0].question, WORDING)


@pytest.fixture(scope="module")
def samples() -> dict[Count, list[Sample]]:
    return {count: built(moments(300), count, 5, given="coordinates") for count in COUNTS}


@pytest.mark.parametrize("count", COUNTS)
def test_every_sample_has_the_count_wanted(
    samples: dict[Count, list[Sample]], count: Count
) -> None:
    assert len(samples[count]) > 600
    for sample in samples[count]:
        (turn,) = sample.turns
        assert sample_fault(sample) is None
        assert count_of(len(turn.targets)) == count
        assert ("<target:" in turn.answer) is (count != "none")
        if count == "none":
            assert MISSING.search(turn.answer), turn.answer


def test_neither_kind_nor_wording_of_a_question_tells_the_count(
    samples: dict[Count, list[Sample]],
) -> None:
    forms = {count: [template(s) for s in some] for count, some in samples.items()}
    assert len({name for some in forms.values() for name, _ in some}) == 3
    assert excess(forms) < 3
    assert excess({count: [name for name, _ in some] for count, some in forms.items()}) < 3


@pytest.mark.parametrize("what", LOOKS)
def test_nothing_else_in_the_question_tells_the_count(
    samples: dict[Count, list[Sample]], what: str
) -> None:
    assert excess({count: [LOOKS[what](s) for s in some] for count, some in samples.items()}) < 3


def test_without_the_class_in_words_nothing_in_the_question_depends_on_it(
    samples: dict[Count, list[Sample]],
) -> None:
    for some in samples.values():
        assert not any(re.search(r"\b(mug|plate)", s.turns[0].question) for s in some)


@pytest.mark.parametrize("kind", ["everywhere", "which", "several"])
def test_every_image_but_the_reference_has_the_target_equally_often(kind: str) -> None:
    for views in (3, 4):
        found = built(moments(200), "one", 6, kinds={kind: 1.0}, images=(views, views))
        places = Counter(s.turns[0].targets[0].image for s in found)
        assert set(places) == set(range(1, views)) and len(found) > 60
        expected = len(found) / (views - 1)
        assert sum((n - expected) ** 2 / expected for n in places.values()) < 13.8  # p = 0.001


def test_many_targets_are_any_number_of_them() -> None:
    found = built(moments(300), "many", 4, kinds={"everywhere": 1.0}, images=(4, 4))
    sizes = Counter(len(s.turns[0].targets) for s in found)
    assert set(sizes) == {2, 3} and min(sizes.values()) > 0.3 * len(found)


def test_where_there_is_a_choice_only_moments_with_questions_of_all_counts_are_asked() -> None:
    # Visible from everywhere but one: there are no two views that do not show it.
    record = moment({"mug": "bbbb-b"})
    for count in COUNTS:
        assert not built([record], count, 5, kinds={"everywhere": 1.0}, images=(3, 4))
        with pytest.raises(Rejected, match="of every count"):
            list(SpatialAssociation(count=count).build([record], Stream("t")))
    settings: dict[str, Any] = {"kinds": {"everywhere": 1.0}, "images": (3, 3)}
    assert not built([record], "none", 5, **settings)
    assert len(built([record], "one", 5, **settings)) == 5
    assert len(built([record], "many", 5, **settings)) == 5
    # One view more that does not, and four images are still too many for none.
    record = moment({"mug": "bbbb--"})
    settings["images"] = (3, 4)
    for count in COUNTS:
        found = built([record], count, 20, **settings)
        assert len(found) == 20 and {len(s.images) for s in found} == {3}


def test_without_a_count_whatever_a_moment_has_comes() -> None:
    builder = SpatialAssociation()
    found = [
        count_of(len(sample.turns[0].targets))
        for record in moments(300)
        for sample in builder.build([record], Stream("t", record.key))
        if isinstance(sample, Sample)
    ]
    assert len(found) == 300
    assert min(Counter(found).values()) > 60


@pytest.mark.parametrize("count", COUNTS)
def test_a_moment_that_shows_nothing_twice_has_a_question_only_of_its_counts(
    count: Count,
) -> None:
    record = moment({"mug": "b-----"})
    found = built([record], count, 10, kinds={"everywhere": 1.0}, images=(3, 3))
    assert len(found) == (10 if count == "none" else 0)


SOURCES: list[tuple[str, int, int, dict[str, Any], dict[str, Any]]] = [
    ("wildtrack", 10, 4, {}, {"images": (3, 3), "kinds": {"everywhere": 1.0}}),
    ("wildtrack", 10, 4, {}, {"images": (3, 3), "kinds": {"which": 1.0}, "candidates": (2, 2)}),
    ("mvtrack", 20, 16, {"every": 4}, {"images": (3, 3), "kinds": {"everywhere": 1.0}}),
    ("egoexo4d", 6, 8, {}, {"images": (2, 2), "kinds": {"several": 1.0}, "objects": (2, 2)}),
]


@pytest.mark.parametrize(("layout", "clips", "frames", "given", "settings"), SOURCES)
def test_corpora_of_views_give_samples_of_every_count(
    tmp_path: Path,
    layout: str,
    clips: int,
    frames: int,
    given: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    write(layout, tmp_path, clips=clips, frames=frames, size=(160, 120), seed=3)
    more: Any = {"name": layout, "root": Root(str(tmp_path))}
    corpus: Corpus = registry.make("corpora", layout, given, "test", **more)
    found = [item for part in corpus.parts() for item in corpus.records(part)]
    records = {item.key: item for item in found if isinstance(item, Record)}
    for count in COUNTS:
        samples = built([*records.values()], count, 4, **settings)
        assert len(samples) > 4
        for sample in samples:
            record, (turn,) = records[sample.records[0]], sample.turns
            boxes = {(record.images[r.image].uri, r.box): r for r in record.regions}
            shown = [boxes[sample.images[t.image].uri, t.box] for t in turn.targets]
            assert count_of(len(shown)) == count
            assert all(r.visibility is None or r.visibility >= 0.5 for r in shown)
            if settings["kinds"] != {"several": 1.0}:
                assert len({r.track for r in shown}) <= 1
