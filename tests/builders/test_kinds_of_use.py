from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations

import pytest

from builders.kinds_of_use import USES, family_of, purpose_of, same_part, same_use, use_of
from builders.rivals import alike
from builders.tracking_turns import LETTERS

EVERY = [name for _, classes in USES.values() for name in classes]


def test_no_class_has_two_uses() -> None:
    assert [name for name, n in Counter(EVERY).items() if n > 1] == []
    assert len(USES) > len(LETTERS)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("chair", "couch", "same"),
        ("cup", "wine_glass", "same"),  # LVIS writes underscores
        ("chair", "chair", None),  # the same class tells nothing of use
        ("chair", "knife", "another"),
        ("knife", "fork", None),  # both are cutlery
        ("chair", "bed", None),  # a bed can be sat on
        ("cup", "bottle", None),  # one drinks from bottles too
        ("hat", "boots", None),  # both are worn
        ("person", "chair", None),
    ],
)
def test_two_classes_have_the_same_use_or_another_or_it_can_be_argued(
    first: str, second: str, expected: str | None
) -> None:
    assert same_use(first, second) == same_use(second, first) == expected


def test_things_that_are_called_the_same_are_never_of_different_use() -> None:
    for first, second in combinations(EVERY, 2):
        if len(alike((first, second))) == 2:
            assert same_use(first, second) != "another", (first, second)


def test_every_class_can_be_set_against_another() -> None:
    for name in EVERY:
        assert any(same_use(name, other) == "another" for other in EVERY), name


def test_a_purpose_can_stand_after_is_for() -> None:
    assert {purpose.split()[0][-3:] for purpose, _ in USES.values()} == {"ing"}
    assert purpose_of("chair") == "sitting on"
    assert purpose_of("bed") is None is use_of("bed")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("chair:leg", "chair:leg", "same"),
        ("chair:leg", "table:leg", "same"),
        ("mug:handle", "drawer:handle", "same"),
        ("mug:handle", "car:wheel", "another"),
        ("jar:lid", "bottle:cap", None),  # one part under two names
        ("lamp:base", "chair:leg", None),
        ("bottle:neck", "dog:neck", None),  # one name for two parts
        ("mug:handle", "mug", None),
        ("mug:handle", "guitar:pickguard", None),  # in no family
        ("car:steering_wheel", "car:wheel", None),
    ],
)
def test_two_parts_are_the_same_or_not_or_it_can_be_argued(
    first: str, second: str, expected: str | None
) -> None:
    assert same_part(first, second) == same_part(second, first) == expected


def test_a_family_is_told_of_parts_only() -> None:
    assert family_of("mug:handle") == family_of("bag:strap") == "handle"
    assert family_of("mug") is None is family_of("handle")


def test_parts_of_one_family_are_never_set_against_each_other() -> None:
    names = ["mug:handle", "bag:strap", "jar:lid", "pot:cover", "car:wheel", "car:window"]
    for first, second in permutations(names, 2):
        if family_of(first) == family_of(second):
            assert same_part(first, second) != "another"
