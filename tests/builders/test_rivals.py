"""Classes that a reader may take for one another, and photos that no task may put together."""

from __future__ import annotations

import pytest

from builders.common_object import CommonObject
from builders.correspondence import Correspondence
from builders.group_grounding import GroupGrounding
from builders.referring import Referring
from builders.rivals import alike
from mgdata.data import ALL, Image, Record, Region, Sample
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.plugins import Builder

LARGE, SMALL = Box(2, 2, 62, 62), Box(70, 70, 80, 80)


def photo(number: int, **shown: Box) -> Record:
    """A photo of 100 x 100; `__` in a name stands for the colon of a part."""
    return Record(
        key=f"made/{number}",
        shape="image",
        unit=str(number),
        images=(Image(uri=f"made:{number}.jpg", width=100, height=100),),
        regions=tuple(
            Region(image=0, box=box, label=label.replace("__", ":")) for label, box in shown.items()
        ),
        license="CC0-1.0",
        exhaustive=(ALL,),
    )


@pytest.mark.parametrize(
    ("labels", "doubtful"),
    [
        (["dog", "cat", "kite"], set[str]()),
        (["car", "kite", "pickup_truck"], {"car", "pickup_truck"}),
        (["mug", "cup", "kite"], {"mug", "cup"}),
        (["bird", "wild bird", "kite"], {"bird", "wild bird"}),
        (["wild bird", "goose"], {"wild bird", "goose"}),  # a kind of what the name ends in
        (["animal", "zebra", "kite"], {"animal", "zebra"}),
        (["moniter/tv", "television", "kite"], {"moniter/tv", "television"}),
        (["bull, ox", "ox"], {"bull, ox", "ox"}),
        (["glass_(drink_container)", "glasses"], {"glass_(drink_container)", "glasses"}),
        (["other fish", "goldfish", "kite"], {"other fish", "goldfish"}),
        (["(unnamed)", "dog"], set[str]()),
    ],
)
def test_names_that_may_mean_one_thing_are_found(labels: list[str], doubtful: set[str]) -> None:
    assert alike(labels) == doubtful
    assert alike(reversed(labels)) == doubtful


@pytest.mark.parametrize("other", ["kite", "pickup_truck"])
def test_nothing_is_asked_for_by_a_name_that_fits_a_thing_of_another_photo(other: str) -> None:
    records = [photo(1, car=LARGE), photo(2, **{other: LARGE}), photo(3, bench=LARGE)]
    phrases: set[str | None] = set()
    builder = GroupGrounding(direction="ground")
    for i in range(60):
        for sample in builder.build(records, Stream(str(i))):
            assert isinstance(sample, Sample)
            phrases |= {target.phrase for turn in sample.turns for target in turn.targets}
    assert phrases == ({"car", "kite", "bench"} if other == "kite" else {"bench"})


def _rejected(builder: Builder, records: list[Record]) -> bool:
    try:
        return not list(builder.build(records, Stream("t")))
    except Rejected:
        return True


@pytest.mark.parametrize(("other", "rejected"), [("kite", False), ("suv", True)])
def test_the_common_object_has_no_like_of_another_name_beside_it(
    other: str, rejected: bool
) -> None:
    records = [photo(1, car=LARGE), photo(2, car=LARGE, **{other: SMALL}), photo(3, car=LARGE)]
    assert _rejected(CommonObject(), records) is rejected


@pytest.mark.parametrize(("other", "rejected"), [("kite", False), ("mug", True)])
def test_an_example_is_not_searched_where_something_of_another_name_may_be_like_it(
    other: str, rejected: bool
) -> None:
    shown = photo(1, cup=LARGE)
    searched = photo(2, cup=SMALL, **{other: Box(5, 5, 15, 15)})
    assert _rejected(Referring(), [shown, searched]) is rejected


@pytest.mark.parametrize(
    ("given", "there", "rejected"),
    [
        ("cup__handle", ["cup__handle"], False),
        ("cup__handle", ["cup__handle", "mug__handle"], True),  # which of the two
        ("cup__handle", ["cup__handle", "mug"], True),
        ("cup__handle", ["cup__handle", "drawer"], False),
        ("cup__handle", ["drawer__handle"], False),
        ("cup__handle", ["mug__handle"], True),  # no other kind of object to a reader
    ],
)
def test_a_part_has_no_counterpart_on_an_object_that_may_be_called_the_same(
    given: str, there: list[str], rejected: bool
) -> None:
    places = [Box(5, 5, 25, 25), Box(50, 50, 70, 70)]
    second = photo(2, **dict(zip(there, places, strict=False)))
    assert _rejected(Correspondence(), [photo(1, **{given: LARGE}), second]) is rejected
