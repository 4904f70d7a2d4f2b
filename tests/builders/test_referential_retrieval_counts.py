"""Sets of photos for no, one and many targets: that they are right, and that nothing tells them."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest
from guesses import seen
from made import index

from builders.referential_retrieval import WORDING, ReferentialRetrieval
from mgdata import audit
from mgdata.data import ALL, Expression, Image, Record, Region, Sample
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream

COUNTS = ("none", "one", "many")
CLASSES = ("person", "dog", "cat", "car", "truck", "boat", "kite", "cup", "wine glass", "bowl",
           "clock", "vase", "sheep", "pizza")  # fmt: skip
GROUPS = 40
"""Groups of D3's kind, each with two sentences that were looked for in its photos."""


def photo(number: int) -> Record:
    """A photo with things of frequent and rare classes; not all is known of each photo."""
    rng = Stream("photo", str(number))
    labels: list[str] = []
    for place, name in enumerate(CLASSES):
        if rng.uniform() < (0.45 if place == 0 else 0.16):
            # Where there are persons there are often several.
            labels += [name] * (rng.between(1, 4) if place == 0 or rng.below(3) == 0 else 1)
    group = number % GROUPS
    sentences = (f"{group} with a hat", f"{group} that is not red")
    labels += [text for text in sentences for _ in range(rng.between(0, 2))]
    regions = [
        Region(
            image=0,
            box=Box(x, y, x + 40 + 40 * rng.uniform(), y + 40 + 40 * rng.uniform()),
            label=label,
            phrase=label if " with" in label or " not" in label else None,
            ignore=rng.below(40) == 0,
        )
        for label in labels
        for x, y in ((rng.uniform() * 500, rng.uniform() * 380),)
    ]
    known = rng.below(5) > 0
    shown = sorted({region.label for region in regions})
    return Record(
        key=f"made/{number}",
        shape="image",
        unit=f"{number // 2 if number % 10 == 1 else number}",
        images=(Image(uri=f"made:{number}.jpg", width=640, height=480),),
        regions=tuple(regions),
        license="CC0-1.0",
        exhaustive=(ALL,) if known else tuple(shown[:3]),
        absent=tuple(text for text in sentences if text not in shown),
        expressions=tuple(texts(regions, number)),
    )


def texts(regions: list[Region], number: int) -> list[Expression]:
    """A text for each region, one for all of a class; for some photos one for nothing."""
    found = [
        Expression(text=f"{r.label} at {place}", regions=(place,), label=r.label)
        for place, r in enumerate(regions)
    ]
    for label in dict.fromkeys(region.label for region in regions):
        places = tuple(k for k, region in enumerate(regions) if region.label == label)
        if len(places) > 1:
            found.append(Expression(text=f"every {label}", regions=places, label=label))
    if number % 3 == 0:
        found.append(Expression(text="the purple boat", label="boat"))
    return found


@cache
def world() -> tuple[Record, ...]:
    return tuple(photo(number) for number in range(1500))


@cache
def made(**settings: Any) -> tuple[list[tuple[int, ...]], list[Sample], Counter[str]]:
    """Groups, samples, and why there is none."""
    builder = ReferentialRetrieval(**settings)
    groups: list[tuple[int, ...]] = []
    samples: list[Sample] = []
    refused: Counter[str] = Counter()
    for group in builder.groups(index(list(world())), Stream("g", str(settings))):
        groups.append(tuple(group))
        some = [world()[row] for row in group]
        try:
            found = builder.build(some, Stream("b", *(one.key for one in some)))
            samples += [item for item in found if isinstance(item, Sample)]
        except Rejected as error:
            refused[error.reason] += 1
        if len(groups) == 500:
            break
    return groups, samples, refused


def named(sample: Sample) -> str:
    """The class or the sentence that a question is about."""
    question = sample.turns[0].question.split(">\n")[-1]
    if '"' in question:
        return question.split('"')[1]
    many = {"person": "people", "wine glass": "wine glasses", "sheep": "sheep"}
    found = [name for name in CLASSES if many.get(name, f"{name}s") in question]
    assert len(found) == 1, question
    return found[0]


SETTINGS = [
    {"phrases": phrases, "scope": scope, "count": count}
    for phrases in ("labels", "expressions")
    for scope in ("all", "image")
    for count in COUNTS
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(s.values()))
def test_every_sample_has_as_many_targets_as_wanted(settings: dict[str, Any]) -> None:
    groups, samples, refused = made(**settings)
    assert len(samples) > 250
    # What choosing cannot see are sizes of all but the largest thing, and which one is ignored.
    assert refused.total() < len(groups) / 10, refused
    right = {"none": (0, 0), "one": (1, 1), "many": (2, 12)}[settings["count"]]
    for sample in samples:
        assert right[0] <= sum(len(turn.targets) for turn in sample.turns) <= right[1]
        assert 2 <= len(sample.images) <= 8


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(s.values()))
def test_groups_keep_the_common_rules(settings: dict[str, Any]) -> None:
    groups = made(**settings)[0]
    known = settings["phrases"] == "labels" and settings["scope"] == "all"
    found = audit.faults(index(list(world())), groups, "known" if known else "any", cap=3)
    assert found == []


@pytest.mark.parametrize("count", COUNTS)
def test_an_answer_has_every_thing_of_its_class_and_the_class_is_sure_of_all_photos(
    count: str,
) -> None:
    """Told from the records once more, region by region."""
    by_key = {record.key: record for record in world()}
    for sample in made(phrases="labels", scope="all", count=count)[1]:
        name, turn = named(sample), sample.turns[0]
        boxes = {(target.image, target.box) for target in turn.targets}
        for place, key in enumerate(sample.records):
            record = by_key[key]
            things = [region for region in record.regions if region.label == name]
            assert not any(region.ignore for region in things)
            assert {(place, region.box) for region in things} == {
                one for one in boxes if one[0] == place
            }
            assert {ALL, name} & {*record.exhaustive} or (not things and name in record.absent)
            rivals = {"cup": "wine glass", "wine glass": "cup"}.get(name)
            assert all(region.label != rivals for region in record.regions)


@pytest.mark.parametrize("scope", ["all", "image"])
@pytest.mark.parametrize("count", COUNTS)
def test_a_text_fits_nothing_but_its_targets(count: str, scope: str) -> None:
    by_key = {record.key: record for record in world()}
    for sample in made(phrases="expressions", scope=scope, count=count)[1]:
        text, turn = named(sample), sample.turns[0]
        asked = turn.asked or range(len(sample.images))
        boxes = {(target.image, target.box) for target in turn.targets}
        fit: set[tuple[int, Any]] = set()
        for place in asked:
            record = by_key[sample.records[place]]
            own = [one for one in record.expressions if one.text == text]
            if place in {image for image, _ in boxes}:
                assert len(own) == 1
                fit |= {(place, record.regions[i].box) for i in own[0].regions}
            elif not (own and not own[0].regions):
                label = "boat" if text == "the purple boat" else text.split(" at ")[0]
                label = label.removeprefix("every ")
                assert all(region.label != label for region in record.regions)
                assert {ALL, label} & {*record.exhaustive, *record.absent}
        assert fit == boxes


def test_no_class_tells_how_many_targets_there_are() -> None:
    names = {
        count: Counter(map(named, made(phrases="labels", scope="all", count=count)[1]))
        for count in COUNTS
    }
    for one, other in (("none", "one"), ("none", "many")):
        total, rest = names[one].total(), names[other].total()
        apart = sum(
            abs(names[one][name] / total - names[other][name] / rest)
            for name in names[one] | names[other]
        )
        assert apart / 2 < 0.1, (names[one], names[other])


@pytest.mark.parametrize("scope", ["all", "image"])
@pytest.mark.parametrize("phrases", ["labels", "expressions"])
def test_neither_wording_nor_the_number_of_images_tells_it(phrases: str, scope: str) -> None:
    forms, sizes = dict[str, Counter[str]](), dict[str, Counter[int]]()
    for count in COUNTS:
        samples = made(phrases=phrases, scope=scope, count=count)[1]
        forms[count] = Counter(turn.template for turn in seen(samples, WORDING))
        sizes[count] = Counter(len(sample.images) for sample in samples)
    for table in (forms, sizes):
        values = sorted(set().union(*table.values()))
        # p below 0.001 for every one of the eight tables: mean of chi-square plus four deviations.
        free = (len(values) - 1) * (len(COUNTS) - 1)
        assert chi_square(table, values) < free + 4 * (2 * free) ** 0.5, table


def chi_square(table: dict[str, Counter[Any]], values: list[Any]) -> float:
    total = sum(one.total() for one in table.values())
    found = 0.0
    for one in table.values():
        for value in values:
            awaited = one.total() * sum(other[value] for other in table.values()) / total
            found += (one[value] - awaited) ** 2 / awaited
    return found


def test_many_targets_are_spread_as_set() -> None:
    for spread in (0.0, 0.5, 1.0):
        samples = made(phrases="labels", scope="all", count="many", spread=spread)[1]
        images = [len({target.image for target in s.turns[0].targets}) for s in samples]
        several = sum(n > 1 for n in images) / len(images)
        assert abs(several - spread) < 0.08, spread
        if spread == 1.0:
            assert len(set(images)) > 3
            without = sum(n < len(s.images) for n, s in zip(images, samples, strict=True))
            assert without > 0.7 * len(samples)


def test_hard_photos_are_those_where_somebody_looked_for_the_thing() -> None:
    def share(hard: float) -> float:
        by_key = {record.key: record for record in world()}
        looked = of = 0
        for sample in made(phrases="labels", scope="all", count="one", hard=hard)[1]:
            if " " in (name := named(sample)) and name != "wine glass":
                place = sample.turns[0].targets[0].image
                others = [key for i, key in enumerate(sample.records) if i != place]
                looked += sum(name in by_key[key].absent for key in others)
                of += len(others)
        return looked / of

    assert share(0.0) < 0.1
    assert 0.35 < share(0.5) < 0.6
    assert share(1.0) > 0.9


def test_hard_photos_share_another_class_where_nobody_looked() -> None:
    by_key = {record.key: record for record in world()}

    def share(hard: float) -> float:
        alike = of = 0
        for sample in made(phrases="labels", scope="all", count="one", hard=hard)[1]:
            if named(sample) in CLASSES:
                leads = sample.turns[0].targets[0].image
                shown = [{r.label for r in by_key[key].regions} for key in sample.records]
                others = [labels for i, labels in enumerate(shown) if i != leads]
                alike += sum(bool(labels & shown[leads]) for labels in others)
                of += len(others)
        return alike / of

    assert share(1.0) > 0.95
    assert share(1.0) > share(0.0) + 0.2


def test_rare_classes_come_nearly_as_often_as_frequent_ones_where_power_is_small() -> None:
    often = {
        power: Counter(
            map(named, made(phrases="labels", scope="all", count="none", power=power)[1])
        )
        for power in (0.0, 1.0)
    }
    assert often[0.0]["person"] < often[1.0]["person"] / 2


def test_no_two_samples_show_the_same_photos() -> None:
    for count in COUNTS:
        samples = made(phrases="labels", scope="all", count=count)[1]
        assert len({tuple(sorted(sample.records)) for sample in samples}) == len(samples)


def test_a_corpus_without_anything_to_ask_gives_no_sets() -> None:
    bare = [record.__replace__(regions=(), expressions=()) for record in world()[:20]]
    for settings in SETTINGS:
        builder = ReferentialRetrieval(**settings)
        assert list(builder.groups(index(bare), Stream("g"))) == []
        assert list(builder.groups(index(bare).view(index(bare).rows < 0), Stream("g"))) == []


@pytest.mark.parametrize("count", [*COUNTS, None])
def test_few_photos_are_never_put_together_twice_nor_shown_twice(count: Any) -> None:
    few = index([record for record in world() if ALL in record.exhaustive][:14])
    builder = ReferentialRetrieval(count=count, images=(2, 3), per_image=40)
    groups = [tuple(sorted(group)) for group in builder.groups(few, Stream("g"))]
    assert len(groups) > 50
    assert len(set(groups)) == len(groups)
    if count == "none":
        shown = [tuple(sorted(group[1:])) for group in builder.groups(few, Stream("g"))]
        assert len(set(shown)) == len(shown)
