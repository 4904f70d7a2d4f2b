"""Nothing but looking tells how many targets a question has: many clips, every number of targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from functools import cache
from typing import NamedTuple

import pytest
from guesses import template_of
from presence import clip

from builders.temporal_association import WORDING, TemporalAssociation
from mgdata.data import Count, Record, Sample, count_of
from mgdata.errors import Rejected
from mgdata.identity import Stream

COUNTS: tuple[Count, ...] = ("none", "one", "many")
LABELS = ("goat", "car", "boat", "kite", "dog")
FRAMES = 36


def comings_and_goings(number: int) -> Record:
    """One to five things, each away for stretches of its own; often two are away together."""
    rng = Stream("comings", str(number))
    tracks: list[str] = []
    for _ in range(1 + rng.below(5)):
        marks = ""
        while len(marks) < FRAMES:
            marks += "x" * rng.between(3, 14) + "-" * rng.between(0, 7)
        tracks.append(marks[:FRAMES])
    labels = [rng.choice(LABELS) for _ in tracks]
    return clip(*tracks, labels=labels, number=number, step=6)


class Asked(NamedTuple):
    sample: Sample
    record: Record
    template: tuple[str, str]
    """The set, and the form."""


@cache
def asked(count: Count) -> list[Asked]:
    """What all kinds give, for one number of targets, of three hundred clips."""
    builder = TemporalAssociation(count=count, min_side=1.0)
    found: list[Asked] = []
    for number in range(300):
        one = comings_and_goings(number)
        for again in range(10):
            try:
                # Another stream for each number of targets, as each section of a recipe has.
                made = list(builder.build([one], Stream("t", count, str(number), str(again))))
            except Rejected:
                continue
            for sample in made:
                assert isinstance(sample, Sample)
                found.append(Asked(sample, one, template_of(sample.turns[0].question, WORDING)))
    return found


def open_questions(count: Count) -> list[Asked]:
    return [one for one in asked(count) if one.template[0] in ("ask_seen", "ask_which")]


@pytest.mark.parametrize("count", COUNTS)
def test_hundreds_of_samples_have_the_number_they_should(count: Count) -> None:
    assert len(asked(count)) > 800
    assert len(open_questions(count)) > 500
    assert {count_of(len(one.sample.turns[0].targets)) for one in asked(count)} == {count}


def unlike(by: Callable[[Asked], Hashable]) -> float:
    """Chi-square of a feature against the number of targets, in standard deviations of chance."""
    tables = {count: Counter(by(one) for one in open_questions(count)) for count in COUNTS}
    values = {value for table in tables.values() for value in table}
    total = sum(sum(table.values()) for table in tables.values())
    found, freedom = 0.0, 0
    for value in values:
        whole = sum(table[value] for table in tables.values())
        if whole < 15:
            continue
        freedom += len(COUNTS) - 1
        for table in tables.values():
            expected = whole * sum(table.values()) / total
            found += (table[value] - expected) ** 2 / expected
    return (found - freedom) / (2 * freedom) ** 0.5


@pytest.mark.parametrize(
    "by",
    [
        pytest.param(lambda one: one.template, id="wording"),
        pytest.param(lambda one: one.template[0], id="one thing or several"),
        pytest.param(lambda one: len(one.sample.images), id="images"),
        pytest.param(lambda one: one.sample.turns[0].regions[:1] == (), id="given"),
        pytest.param(
            lambda one: len(
                [edit for edit in one.sample.images[0].edits] or one.sample.turns[0].regions
            ),
            id="things shown",
        ),
        pytest.param(lambda one: one.sample.images[0].frame // 4, id="reference"),
        pytest.param(lambda one: one.record.regions[0].label, id="class"),
    ],
)
def test_what_is_seen_before_answering_is_alike(by: Callable[[Asked], Hashable]) -> None:
    assert unlike(by) < 3


def test_a_difference_would_be_found() -> None:
    """The measure sees what only the answer can tell."""
    assert unlike(lambda one: count_of(len(one.sample.turns[0].targets))) > 50
