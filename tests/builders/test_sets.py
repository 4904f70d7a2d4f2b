"""Sets of photos, each checked against the records themselves by plain loops."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from made import index, record

from builders import sets
from builders.sets import Entries, Photos, all_share, interleaved, one_has, pairs
from mgdata.data import ALL, Image, Record, Region, complete, known_absent
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.index import Index

LABELS = tuple("abcdefgh")


def photo(
    number: int,
    *shown: str,
    area: float = 0.2,
    exhaustive: tuple[str, ...] = (ALL,),
    absent: tuple[str, ...] = (),
    ignored: tuple[str, ...] = (),
    unit: str | None = None,
) -> Record:
    """A photo of 100 x 100 with a box for each label shown."""
    regions = [Region(image=0, box=Box(0, 0, 100, 100 * area), label=label) for label in shown]
    regions += [Region(image=0, box=Box(0, 0, 9, 9), label=x, ignore=True) for x in ignored]
    return Record(
        key=f"made/{number}",
        shape="image",
        unit=unit or f"unit {number}",
        images=(Image(uri=f"made:{number}.jpg", width=100, height=100),),
        regions=tuple(regions),
        license="CC0-1.0",
        exhaustive=exhaustive,
        absent=absent,
    )


def mixed(n: int, seed: str = "x") -> list[Record]:
    """Photos that differ in all that a set may depend on."""
    made: list[Record] = []
    for i in range(n):
        rng = Stream(seed, str(i))
        shown = [rng.choice(LABELS) for _ in range(rng.between(0, 4))]
        known = [(ALL,), (), tuple(rng.sample(LABELS, 3)), (LABELS[0],)][rng.below(4)]
        ignored = tuple(rng.sample(LABELS, rng.below(2)))
        absent = tuple(x for x in rng.sample(LABELS, rng.below(4)) if x not in {*shown, *ignored})
        size = 0.05 + 0.9 * rng.uniform()
        made.append(photo(i, *shown, area=size, exhaustive=known, absent=absent, ignored=ignored,
                          unit=str(i // 2)))  # fmt: skip
    return made


def classes(one: Record) -> set[str]:
    return {region.label for region in one.regions}


def area(one: Record, label: str) -> float:
    """Share of the largest box of a class; in single precision, as the index holds it."""
    found = [r.box.area / 10_000 for r in one.regions if r.label == label and r.box]
    return float(np.float32(max(found)))


def alone(one: Record, label: str) -> bool:
    found = [region for region in one.regions if region.label == label]
    return len(found) == 1 and not found[0].ignore


def of(photos: Photos, entries: Entries) -> set[tuple[int, str]]:
    return {
        (position, photos.names[code])
        for position, code in zip(*(a.tolist() for a in entries), strict=True)
    }


@pytest.mark.parametrize("need_complete", [True, False])
@pytest.mark.parametrize("band", [(0.0, 1.0), (0.2, 0.5)])
def test_entries_are_the_photos_with_one_thing_of_a_class_of_that_size(
    band: tuple[float, float], need_complete: bool
) -> None:
    records = mixed(300)
    photos = Photos(index(records), cap=1)
    want = {
        (i, label)
        for i, one in enumerate(records)
        for label in classes(one)
        if alone(one, label)
        and band[0] <= area(one, label) <= band[1]
        and (complete(one, label) or not need_complete)
    }
    assert want
    assert of(photos, photos.entries(band, complete=need_complete)) == want


def test_entries_may_ask_for_photos_in_which_every_class_is_annotated() -> None:
    records = mixed(300)
    photos = Photos(index(records), cap=1)
    found = of(photos, photos.entries((0.0, 1.0), everything=True))
    assert found == {
        (i, label)
        for i, one in enumerate(records)
        for label in classes(one)
        if alone(one, label) and one.exhaustive == (ALL,)
    }


def test_entries_may_be_of_several_boxes() -> None:
    records = mixed(300)
    photos = Photos(index(records), cap=1)
    found = of(photos, photos.entries((0.0, 1.0), single=False))
    assert found == {
        (i, label)
        for i, one in enumerate(records)
        for label in classes(one)
        if complete(one, label) and not any(r.ignore for r in one.regions if r.label == label)
    }


def test_a_size_may_be_asked_of_every_box_of_a_class() -> None:
    photos = Photos(index([two_sizes(0.5, 0.2), two_sizes(0.5, 0.01), two_sizes(0.9, 0.5)]), 1)
    band = (0.1, 0.6)
    assert of(photos, photos.entries(band, single=False)) == {(0, "a"), (1, "a")}
    assert of(photos, photos.entries(band, single=False, each=True)) == {(0, "a")}


def two_sizes(*areas: float) -> Record:
    """A photo with a box of each size, all of one class."""
    regions = tuple(Region(image=0, box=Box(0, 0, 100, 100 * a), label="a") for a in areas)
    return photo(round(1000 * areas[-1]), "a").__replace__(regions=regions)


def test_entries_may_ask_for_the_largest_thing_of_a_photo() -> None:
    small = Region(image=0, box=Box(0, 0, 5, 5), label="a")
    big = Region(image=0, box=Box(0, 0, 50, 50), label="b")
    shown: list[tuple[Region, ...]] = [(), (small, big), (small,), ()]
    records = [photo(i).__replace__(regions=regions) for i, regions in enumerate(shown)]
    photos = Photos(index(records), cap=1)
    assert of(photos, photos.entries((0.0, 1.0), largest=True)) == {(1, "b"), (2, "a")}


def test_a_class_is_absent_only_where_that_is_known() -> None:
    records = mixed(200)
    photos = Photos(index(records), cap=1)
    for position, one in enumerate(records):
        for code, label in enumerate(photos.names):
            assert photos.known_absent(position, code) is known_absent(one, label)
        assert {photos.names[code] for code in photos.classes(position)} == classes(one)


def test_the_photos_of_a_view_are_its_rows_alone() -> None:
    records = mixed(100)
    every = index(records)
    odd = every.view(np.arange(100) % 2 == 1)
    photos = Photos(odd, cap=1)
    assert of(photos, photos.entries((0.0, 1.0))) == {
        (i, label)
        for i, one in enumerate(records[1::2])
        for label in classes(one)
        if alone(one, label) and complete(one, label)
    }
    groups = list(one_has(photos, photos.entries((0.0, 1.0)), (2, 3), Stream("r")))
    assert groups
    assert all(row % 2 == 1 for group in groups for row in group)


def test_in_a_set_of_one_has_no_other_photo_shows_the_class() -> None:
    records = mixed(400)
    photos = Photos(index(records), cap=3)
    entries = photos.entries((0.1, 0.9))
    asked = of(photos, entries)
    groups = list(one_has(photos, entries, (3, 5), Stream("r")))
    assert len(groups) > 40
    assert {len(group) for group in groups} == {3, 4, 5}
    for first, *others in groups:
        fitting = [
            label for position, label in asked
            if position == first and all(known_absent(records[o], label) for o in others)
        ]  # fmt: skip
        assert fitting
    fair(groups, records, 3)


def test_in_a_set_of_all_share_one_class_alone_is_in_every_photo() -> None:
    records = mixed(400)
    photos = Photos(index(records), cap=2)
    entries = photos.entries((0.1, 0.9))
    asked = of(photos, entries)
    groups = list(all_share(photos, entries, (3, 4), Stream("r")))
    assert len(groups) > 20
    for group in groups:
        (shared,) = set[str].intersection(*(classes(records[row]) for row in group))
        assert all((row, shared) in asked for row in group)
    fair(groups, records, 2)


def test_pairs_are_of_one_class_each_from_its_own_list() -> None:
    records = mixed(400)
    photos = Photos(index(records), cap=2)
    large, small = photos.entries((0.5, 1.0)), photos.entries((0.0, 0.4))
    wanted = of(photos, large), of(photos, small)
    groups = list(pairs(photos, large, small, Stream("r"), alone=True))
    assert len(groups) > 20
    for a, b in groups:
        (shared,) = classes(records[a]) & classes(records[b])
        assert (a, shared) in wanted[0]
        assert (b, shared) in wanted[1]
    fair(groups, records, 2)


def test_pairs_of_a_kind_are_of_two_classes() -> None:
    records = mixed(400)
    photos = Photos(index(records), cap=2)
    entries = photos.entries((0.0, 1.0))
    kind = {"a": 0, "b": 0, "c": 1, "d": 1, "e": 1}
    kinds = np.array([kind.get(name, -1) for name in photos.names])
    groups = list(pairs(photos, entries, entries, Stream("r"), kinds=kinds))
    assert len(groups) > 10
    asked = of(photos, entries)
    for group in groups:
        first, second = ({k for p, k in asked if p == row and k in kind} for row in group)
        assert any(x != y and kind[x] == kind[y] for x in first for y in second)
    fair(groups, records, 2)


def fair(groups: list[tuple[int, ...]], records: list[Record], cap: int) -> None:
    """No unit twice in a set, no photo beyond its cap, no set twice."""
    for group in groups:
        assert len({records[row].unit for row in group}) == len(group)
    assert max(Counter(row for group in groups for row in group).values()) <= cap
    assert len({frozenset(group) for group in groups}) == len(groups)


def test_few_photos_often_used_still_make_no_set_twice() -> None:
    records = [photo(i, LABELS[i], LABELS[(i + 1) % 5]) for i in range(5)]
    photos = Photos(index(records), cap=99)
    groups = list(one_has(photos, photos.entries((0.0, 1.0)), (2, 2), Stream("r")))
    assert len({frozenset(group) for group in groups}) == len(groups) > 1


def test_a_set_has_photos_of_one_corpus() -> None:
    records = [photo(i, "ab"[i % 2]) for i in range(40)]
    table = index(records).table
    at = table.column_names.index("corpus")
    table = table.set_column(at, "corpus", pa.array([f"c{i % 3}" for i in range(40)]))
    photos = Photos(Index(table), cap=5)
    entries = photos.entries((0.0, 1.0))
    for groups in (
        list(one_has(photos, entries, (2, 3), Stream("r"))),
        list(all_share(photos, entries, (2, 3), Stream("s"))),
        list(pairs(photos, entries, entries, Stream("t"))),
    ):
        assert groups
        assert all(len({row % 3 for row in group}) == 1 for group in groups)


def test_nothing_to_choose_from_gives_nothing() -> None:
    for records in ([], [photo(0)], [photo(0, "a"), photo(1, "a", exhaustive=())]):
        photos = Photos(index(records), cap=1)
        entries = photos.entries((0.0, 1.0), largest=True)
        assert list(one_has(photos, entries, (2, 2), Stream("r"))) == []
        assert list(all_share(photos, entries, (2, 2), Stream("r"))) == []
        assert list(pairs(photos, entries, entries, Stream("r"))) == []


@pytest.mark.parametrize(("power", "low", "high"), [(1.0, 85, 100), (0.5, 60, 80), (0.0, 40, 60)])
def test_a_class_comes_as_often_as_its_power_says(power: float, low: int, high: int) -> None:
    # 900 of one class and 100 of another: of the first 100, 90, 75 or 50 are of the first.
    codes = np.array([0] * 900 + [1] * 100)
    order = interleaved(codes, Stream("p"), power)
    assert sorted(order.tolist()) == list(range(1000))
    assert low <= int((codes[order[:100]] == 0).sum()) <= high


def test_no_class_is_first_because_of_its_name() -> None:
    codes = np.repeat(np.arange(50), 20)
    firsts = Counter(int(codes[interleaved(codes, Stream(str(i)), 0.0)[0]]) for i in range(200))
    assert max(firsts.values()) < 20


def test_each_call_with_the_same_stream_gives_the_same_sets() -> None:
    every = index([record(n, "image") for n in range(60)])

    def made() -> list[tuple[int, ...]]:
        photos = Photos(every, cap=2)
        return list(one_has(photos, photos.entries((0.0, 1.0)), (3, 4), Stream("r")))

    assert made() == made()


def test_every_pair_of_photos_can_meet() -> None:
    records = [photo(i, "a") if i else photo(i, "b") for i in range(6)]
    met: set[tuple[int, ...]] = set()
    for seed in range(200):
        photos = Photos(index(records), cap=1)
        entries = photos.entries((0.0, 1.0))
        met |= {tuple(sorted(g)) for g in pairs(photos, entries, entries, Stream(str(seed)))}
    assert met == set(combinations(range(1, 6), 2))


def test_of_a_large_corpus_a_random_part_is_chosen_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "POOL", 40)
    whole = index([record(n, "image") for n in range(100)])
    parts = [sets.pool(whole, Stream("pool", str(i))) for i in range(2)]
    assert [len(part) for part in parts] == [40, 40]
    assert set(parts[0].rows) != set(parts[1].rows)
    assert sets.pool(parts[0], Stream("again")) is parts[0]
