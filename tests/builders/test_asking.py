from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from made import record

from builders.asking import area_of, box_of, image_names, in_order, one_by_one, only, samples
from mgdata.data import Drop, Image, Record, Region, Sample, Target, Turn
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.plugins import Builder

BOX = Box(10, 10, 60, 60)


def photo(*regions: Region) -> Record:
    images = tuple(Image(uri=f"made:{i}.jpg", width=100, height=50) for i in range(2))
    return Record(
        key="made/1", shape="set", unit="1", images=images, regions=regions, license="CC0-1.0"
    )


def dog(image: int = 0, box: Box | None = BOX, ignore: bool = False) -> Region:
    return Region(image=image, box=box, label="dog", ignore=ignore)


def test_a_naming_is_kept_or_drawn() -> None:
    assert image_names("number", Stream("a")).style == "number"
    assert {image_names("mixed", Stream(str(i))).style for i in range(20)} == {"ordinal", "number"}


def test_turns_are_asked_one_by_one_but_for_all() -> None:
    rng = Stream("a")
    assert one_by_one("polling", rng)
    assert one_by_one("apart", rng)
    assert not one_by_one("all", rng)
    share = Counter(one_by_one("mixed", Stream(str(i))) for i in range(400))
    assert 150 < share[True] < 250


def test_only_is_the_one_region_of_a_class_in_an_image() -> None:
    cat = Region(image=0, box=BOX, label="cat")
    assert only(photo(dog(), cat, dog(1)), "dog") == dog()
    assert only(photo(dog(), cat, dog(1)), "dog", image=1) == dog(1)
    assert only(photo(cat), "dog") is None
    assert only(photo(dog(), dog()), "dog") is None
    assert only(photo(dog(), dog(ignore=True)), "dog") is None
    assert only(photo(dog(ignore=True)), "dog") is None
    assert only(photo(dog(box=None)), "dog") is None


def test_only_minds_the_size_of_its_box() -> None:
    one = photo(dog(box=Box(0, 0, 50, 25)))
    assert area_of(dog(box=Box(0, 0, 50, 25)), one) == 0.25
    assert area_of(dog(box=None), one) == 0.0
    assert only(one, "dog", (0.25, 0.25))
    assert only(one, "dog", (0.26, 1.0)) is None
    assert only(one, "dog", (0.0, 0.24)) is None


def test_a_box_that_is_not_there_is_an_error() -> None:
    assert box_of(dog()) == BOX
    with pytest.raises(ValueError, match="dog"):
        box_of(dog(box=None))


def test_targets_are_put_in_order_and_slots_follow_the_caller() -> None:
    given = [
        Target(image=2, box=Box(5, 0, 9, 9)),
        Target(image=0, box=Box(7, 0, 9, 9)),
        Target(image=2, box=Box(1, 0, 9, 9)),
    ]
    targets, slots = in_order(given)
    assert targets == (given[1], given[2], given[0])
    assert slots == ["<target:2>", "<target:0>", "<target:1>"]
    for target, slot in zip(given, slots, strict=True):
        assert targets[int(slot[8:-1])] == target
    assert in_order([]) == ((), [])


@dataclass(frozen=True, kw_only=True)
class Nothing(Builder):
    association = "semantic"
    shapes = ("image",)
    targets = "one"

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        yield from ()


def test_questions_make_one_sample_or_one_each() -> None:
    one = record(0, "image")
    turns = [
        Turn(question=f"q {i}", answer="<target:0>", targets=(Target(image=0, box=Box(i, 0, 9, 9)),))
        for i in range(3)
    ]  # fmt: skip
    for how in ("polling", "all", "mixed"):
        (whole,) = samples(Nothing(), [one], one.images, turns, how)
        assert len(whole.turns) == 3
    apart = list(samples(Nothing(), [one], one.images, turns, "apart"))
    assert [len(sample.turns) for sample in apart] == [1, 1, 1]
    assert all(sample.turns[0].question.startswith("<image:0>") for sample in apart)
    assert len({sample.id for sample in apart}) == 3
    with pytest.raises(Rejected, match="nothing to ask"):
        list(samples(Nothing(), [one], one.images, [], "apart"))
