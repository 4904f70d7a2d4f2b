"""Nothing but the pictures tells how many targets a question has, nor where they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from guesses import template_of
from made import index
from photos_of import photo, thing

from builders import key_draws
from builders.association_facts import KINDS, OPEN, Kind
from builders.semantic_association import SHARES, WORDING, SemanticAssociation
from mgdata.corpora.coco import Coco
from mgdata.data import ALL, Count, Record, Sample, count_of
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.storage import Root
from mgdata.synth import write

LABELS = ("chair", "couch", "bench", "car", "bus", "train", "cup", "mug", "knife", "scissors",
          "dog", "cat", "horse", "zebra", "tree", "stone", "flag", "tent", "cake", "egg",
          "chair:leg", "bench:leg", "mug:handle", "knife:handle", "car:wheel", "bus:wheel")  # fmt: skip
FORMS = 20
"""Fewest forms of a question."""
ANSWERS = 8
"""Fewest of an answer."""


def scattered(number: int) -> Record:
    """A photo of three to six kinds of thing, each there once to three times."""
    rng = Stream("scattered", str(number))
    places = rng.sample(range(16), 16)
    things = [
        thing(label, places.pop(), side=15 + 9 * rng.uniform())
        for label in rng.sample(LABELS, rng.between(3, 6))
        for _ in range(rng.choice((1, 1, 2)))
    ]
    return photo(number, *things)


PHOTOS = [scattered(number) for number in range(900)]


def build(
    records: list[Record], count: Count | None, n: int, **settings: Any
) -> list[tuple[Kind, Sample]]:
    task = SemanticAssociation(count=count, **settings)
    weights = SHARES if count is None else {k: w for k, w in SHARES.items() if count in KINDS[k]}
    found: list[tuple[Kind, Sample]] = []
    for group in task.groups(index(records), Stream("g", str(count))):
        some = [records[row] for row in group]
        kind = key_draws.kind(some[0].key, weights)
        try:
            (sample,) = task.build(some, Stream("b", *(one.key for one in some)))
        except Rejected:
            continue
        assert isinstance(sample, Sample)
        found.append((kind, sample))
        if len(found) == n:
            break
    return found


@cache
def built(count: Count | None) -> list[tuple[Kind, Sample]]:
    found = build(PHOTOS, count, 450)
    assert len(found) == 450
    return found


def open_(count: Count) -> list[tuple[Kind, Sample]]:
    return [(kind, sample) for kind, sample in built(count) if KINDS[kind] == OPEN]


def first_of(sample: Sample) -> int:
    """The photo that has the given thing."""
    (place,) = set(range(len(sample.images))) - set(sample.turns[0].asked)
    return place


def asked_label(sample: Sample) -> str:
    """The class of the given thing."""
    record = next(one for one in PHOTOS if one.key == sample.records[first_of(sample)])
    marks = [edit.box for edit in sample.images[first_of(sample)].edits]
    box = marks[0] if marks else sample.turns[0].regions[0].box
    return next(region.label for region in record.regions if region.box == box)


def unlike(tables: list[Counter[Any]]) -> float:
    """How many standard deviations the chi-square of some counters exceeds what chance gives."""
    columns = [key for key, n in sum(tables, Counter[Any]()).items() if n >= 15]
    table = np.array([[one[key] for key in columns] for one in tables], float)
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    degrees = (table.shape[0] - 1) * (table.shape[1] - 1)
    chi = ((table - expected) ** 2 / expected).sum()
    return float((chi - degrees) / np.sqrt(2 * degrees))


@pytest.mark.parametrize("count", OPEN)
def test_every_sample_has_as_many_targets_as_were_asked_for(count: Count) -> None:
    assert {count_of(len(s.turns[0].targets)) for _, s in built(count)} == {count}
    assert {kind for kind, _ in built(count)} == {k for k in KINDS if count in KINDS[k]}


def test_without_a_count_every_number_comes() -> None:
    counts = Counter(count_of(len(sample.turns[0].targets)) for _, sample in built(None))
    assert min(counts[count] for count in OPEN) > 60
    assert {kind for kind, _ in built(None)} == set(KINDS)


@pytest.mark.parametrize(
    "seen",
    [
        lambda kind, sample: len(sample.images),
        lambda kind, sample: kind,
        lambda kind, sample: (kind, asked_label(sample)) if kind == "kind" else None,
        lambda kind, sample: first_of(sample),
        lambda kind, sample: template_of(sample.turns[0].question, WORDING),
        lambda kind, sample: sample.turns[0].question.count("rectangle") > 0,
        lambda kind, sample: len(sample.turns[0].regions) if kind != "kind" else None,
    ],
    ids=["images", "kind", "class", "first", "template", "given", "candidates"],
)
def test_what_can_be_seen_of_a_question_is_the_same_whatever_the_count(
    seen: Callable[[Kind, Sample], Hashable],
) -> None:
    tables = [Counter(seen(kind, sample) for kind, sample in open_(count)) for count in OPEN]
    assert unlike(tables) < 4


def test_kinds_come_as_often_as_they_should() -> None:
    counts = Counter(kind for kind, _ in built(None))
    for kind, share in SHARES.items():
        assert abs(counts[kind] - 450 * share) < 4 * np.sqrt(450 * share), kind


def test_every_photo_is_as_likely_to_have_the_target() -> None:
    for size in (3, 4, 5, 6):
        for kind in ("odd", "kind"):
            places = Counter(
                sample.turns[0].targets[0].image
                for k, sample in built("one")
                if k == kind and len(sample.images) == size
            )
            expected = places.total() / size
            assert sum((places[i] - expected) ** 2 / expected for i in range(size)) < 25


def test_every_form_is_used_and_there_are_enough_of_them() -> None:
    used: Counter[str] = Counter()
    texts = [
        text
        for some in (*map(built, OPEN), build(PHOTOS, "many", 120, kinds={"odd_set": 1}))
        for _, sample in some
        for text in (sample.turns[0].question, sample.turns[0].answer)
    ]
    everything = "\n".join(texts)
    for name, forms in WORDING.forms.items():
        least = {"ask": FORMS, "ans": ANSWERS, "off": ANSWERS}.get(name[:3], 6)
        assert len(forms) >= least, name
        for form in forms:
            longest = max(re.split(r"\{[^{}]*\}|[\[\]]", form.text), key=len)
            used[form.text] += everything.count(longest)
    assert [text for text, n in used.items() if n == 0] == []


def test_texts_are_whole_sentences_without_loose_ends() -> None:
    for count in OPEN:
        for _, sample in built(count):
            turn = sample.turns[0]
            question = re.sub(r"<image:\d+>\n", "", turn.question)
            assert question[-1] in ".?", question
            assert re.match(r"[A-Z<]", question), question
            for text in (question, turn.answer):
                assert not re.search(r"  |\n\n| [.,;:?]|[.,;:?]{2}|,\)|None,|\{|\}", text), text
            assert re.match(r"[A-Z<*-]", turn.answer), turn.answer
            assert "\n" not in question


def test_candidate_questions_are_lettered_without_a_gap() -> None:
    for count in OPEN:
        for kind, sample in built(count):
            if kind in ("use", "part"):
                question = sample.turns[0].question
                letters = [one for one in re.findall(r"\b[A-F]\b", question) if one != "A"]
                assert sorted(set(letters)) == list("BCDEF"[: len(set(letters))])
                assert 2 <= len(set(letters)) <= 4


def test_of_lvis_only_what_was_looked_for_is_asked(tmp_path: Path) -> None:
    """Through the reader: categories that are not exhaustive, and those nobody looked for."""
    write("lvis", tmp_path, clips=160, frames=1, size=(240, 180), seed=3)
    corpus = Coco(name="lvis", root=Root(str(tmp_path)))
    records = [one for part in corpus.parts() for one in corpus.records(part)]
    photos = [one for one in records if isinstance(one, Record)]
    by_key = {one.key: one for one in photos}
    assert any(set(r.label for r in one.regions) - set(one.exhaustive) for one in photos)
    kinds: dict[Kind, float] = {"kind": 1.0}
    seen = 0
    for count in OPEN:
        for _, sample in build(photos, count, 60, kinds=kinds, given="mark"):
            turn, place = sample.turns[0], first_of(sample)
            box = sample.images[place].edits[0].box
            first = by_key[sample.records[place]]
            label = next(region.label for region in first.regions if region.box == box)
            for other in turn.asked:
                record = by_key[sample.records[other]]
                assert {label, ALL}.intersection(record.exhaustive) or label in record.absent
                boxes = [region.box for region in record.regions if region.label == label]
                found = [target.box for target in turn.targets if target.image == other]
                assert sorted(map(str, boxes)) == sorted(map(str, found))
            seen += 1
    assert seen > 100
