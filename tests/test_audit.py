"""The check of finished groups finds what is wrong with a list, whoever made it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mgdata import audit
from mgdata.data import ALL, Image, Record, Region
from mgdata.geometry import Box
from mgdata.index import Index
from mgdata.plugins import Grouping
from mgdata.tables import RecordRows

PHOTO = Image(uri="c:a.jpg", width=100, height=100)


def photo(
    key: str, *labels: str, crowd: str = "", unit: str = "", **facts: tuple[str, ...]
) -> Record:
    regions = [Region(image=0, box=Box(1, 1, 20, 20), label=label) for label in labels]
    if crowd:
        regions.append(Region(image=0, box=Box(1, 1, 20, 20), label=crowd, ignore=True))
    return Record(key=key, shape="image", unit=unit or key, images=(PHOTO,), license="MIT",
                  regions=tuple(regions), **facts)  # fmt: skip


def index(*records: Record) -> Index:
    rows = RecordRows()
    for one in records:
        rows.add(one)
    corpora = pa.array([one.key.partition("/")[0] for one in records], pa.string())
    return Index(rows.table().append_column("corpus", corpora))


FULL = {"exhaustive": (ALL,)}
PHOTOS = index(
    photo("c/0", "dog", "cat", **FULL),
    photo("c/1", "dog", "car", **FULL),
    photo("c/2", "car", "car", **FULL),
    photo("c/3", "kite"),
    photo("c/4", "bus", crowd="dog", **FULL),
    photo("c/5", "chair:leg", unit="c/0", **FULL),
    photo("d/0", "dog", absent=("cat",)),
    photo("c/7", "table:leg", **FULL),
)


@pytest.mark.parametrize(
    ("groups", "grouping", "said"),
    [
        ([(0, 2)], "one has", None),
        ([(2, 0)], "one has", "nothing in the first"),  # two cars
        ([(0, 3)], "one has", "nothing in the first"),  # nobody looked for dogs or cats in 3
        ([(0, 4)], "one has", None),  # cat: a crowd of dogs is no cat
        ([(1, 4)], "one has", None),  # car
        ([(4, 0)], "one has", None),  # bus
        ([(0, 6)], "one has", "of different corpora"),
        ([(0, 5)], "one has", "two of one unit"),
        ([(2, 0)], "known", None),  # two cars, and none
        ([(0, 1)], "known", None),  # dogs in both
        ([(0, 3)], "known", "no class of the first"),  # nobody looked for dogs or cats in 3
        ([(1, 4)], "known", None),  # car
        ([(5, 3)], "known", "no class of the first"),
        ([(3, 0)], "known", None),  # what else is in the first matters not
        ([(0, 1)], "all share", None),
        ([(1, 2)], "all share", None),
        ([(0, 4)], "all share", None),  # dogs, if only a crowd
        ([(0, 2)], "all share", "have 0 labels in common"),
        ([(0, 1)], "two share", None),
        ([(5, 7)], "two share", None),  # legs
        ([(1, 2)], "two share", "no single thing"),
        ([(0, 1), (1, 0)], "any", "are there 2 times"),
        ([(0,), (0,)], "alone", None),
        ([(0, 1)], "alone", "are not alone"),
    ],
)
def test_a_group_that_breaks_its_promise_is_named(
    groups: list[tuple[int, ...]], grouping: Grouping, said: str | None
) -> None:
    found = audit.faults(PHOTOS, groups, grouping)
    assert bool(found) is bool(said), found
    assert said is None or said in found[0]


def test_a_record_used_too_often_is_named() -> None:
    groups = [(0, 1), (0, 2), (0, 4)]
    assert audit.faults(PHOTOS, groups, "any", cap=3) == []
    assert audit.faults(PHOTOS, groups, "any", cap=2) == ["row 0 is used 3 times, at most 2"]


def test_no_more_faults_are_told_than_anybody_reads() -> None:
    groups = [(2, 0)] * 100
    assert len(audit.faults(PHOTOS, groups, "one has")) == audit.FAULTS
