"""What every registered task must keep, whatever it asks: a new one is tested by being registered."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from itertools import islice
from typing import Any

import msgspec
import pytest
from made import index, record

from mgdata import audit, registry
from mgdata.data import Drop, Image, Record, Sample, Target, Turn
from mgdata.errors import Rejected
from mgdata.geometry import Box, clip, valid
from mgdata.identity import Stream
from mgdata.notations import conversation
from mgdata.plugins import Builder, Notation
from mgdata.scoring.matching import score
from mgdata.validity import record_fault, sample_fault

BUILDERS = sorted(point.name for point in entry_points(group="mgdata.builders"))
NOTATIONS = sorted(point.name for point in entry_points(group="mgdata.notations"))


def built(name: str, **settings: Any) -> tuple[list[Sample], list[Drop]]:
    """Everything a builder makes of sixty records of each shape, built as the stage does."""
    builder: Builder = registry.make("builders", name, settings, f"test: {name}")
    records = [record(n, shape) for n in range(60) for shape in builder.shapes]
    samples: list[Sample] = []
    drops: list[Drop] = []
    for group in builder.groups(index(records), Stream("groups", name)):
        samples_of(builder, [records[row] for row in group], samples, drops)
    return samples, drops


def samples_of(
    builder: Builder, group: list[Record], samples: list[Sample], drops: list[Drop]
) -> None:
    rng = Stream("build", *(one.key for one in group))
    try:
        found = list(builder.build(group, rng))
    except Rejected as error:
        found = [Drop(key=group[0].key, stage="build", reason=error.reason)]
    for item in found:
        if isinstance(item, Drop):
            drops.append(item)
        else:
            samples.append(msgspec.structs.replace(item, task="t", split="train"))


def turns(name: str) -> list[tuple[Sample, Turn]]:
    return [(sample, turn) for sample in built(name)[0] for turn in sample.turns]


def told(targets: tuple[Target, ...], turn: Turn) -> Turn:
    """An answer that names the image of each of `targets`, in words that every notation reads."""
    answer = "\n".join(f"Image-{t.image + 1}: <target:{i}>" for i, t in enumerate(targets))
    return msgspec.structs.replace(turn, targets=targets, answer=answer)


def in_the_next_image(target: Target, images: tuple[Image, ...]) -> Target:
    place = (target.image + 1) % len(images)
    # Where the next image is a small crop, a box of the large one may not be written there.
    box = clip(target.box, images[place].width, images[place].height)
    if not valid(box, images[place].width, images[place].height):
        box = Box(0, 0, images[place].width, images[place].height)
    return msgspec.structs.replace(target, image=place, box=box)


def in_the_far_corner(target: Target, images: tuple[Image, ...]) -> Target:
    image, box = images[target.image], target.box
    dx = -box.x1 if box.x1 > image.width - box.x2 else image.width - box.x2
    dy = -box.y1 if box.y1 > image.height - box.y2 else image.height - box.y2
    moved = Box(box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy)
    return msgspec.structs.replace(target, box=moved)


def test_the_factory_makes_whole_records() -> None:
    assert record_fault(record(0)) is None


@pytest.mark.parametrize("name", BUILDERS)
def test_same_seed_same_samples_in_any_order_of_building(name: str) -> None:
    builder: Builder = registry.make("builders", name, {}, "test")
    records = [record(n, shape) for n in range(30) for shape in builder.shapes]
    groups = list(builder.groups(index(records), Stream("g")))
    assert groups == list(builder.groups(index(records), Stream("g")))
    assert groups != list(builder.groups(index(records), Stream("another")))
    forwards: list[Sample] = []
    backwards: list[Sample] = []
    for group in groups:
        samples_of(builder, [records[row] for row in group], forwards, [])
    for group in reversed(groups):
        samples_of(builder, [records[row] for row in group], backwards, [])
    assert forwards
    assert sorted(forwards, key=lambda s: s.id) == sorted(backwards, key=lambda s: s.id)


@pytest.mark.parametrize("name", BUILDERS)
def test_every_sample_keeps_the_rules_and_no_id_comes_twice(name: str) -> None:
    samples, _ = built(name)
    assert len(samples) > 20
    assert [fault for sample in samples if (fault := sample_fault(sample))] == []
    assert len({sample.id for sample in samples}) == len(samples)
    assert all(len({(i.uri, i.edits) for i in s.images}) == len(s.images) for s in samples)


@pytest.mark.parametrize("name", BUILDERS)
def test_its_groups_keep_what_it_promises(name: str) -> None:
    builder: Builder = registry.make("builders", name, {}, "test")
    found = index([record(n, shape) for n in range(200) for shape in builder.shapes])
    groups = list(islice(builder.groups(found, Stream("g")), 1000))
    assert len(groups) > 50
    cap = getattr(builder, "per_image", None)
    assert audit.faults(found, groups, builder.grouping, cap=cap) == []


@pytest.mark.parametrize("name", BUILDERS)
def test_every_drop_has_a_reason(name: str) -> None:
    assert all(drop.reason and drop.stage == "build" for drop in built(name)[1])


@pytest.mark.parametrize("name", BUILDERS)
def test_a_sample_survives_its_row(name: str) -> None:
    for sample in built(name)[0]:
        assert msgspec.json.decode(msgspec.json.encode(sample), type=Sample) == sample


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("name", BUILDERS)
def test_the_gold_answer_earns_full_marks_in_every_notation(name: str, notation: str) -> None:
    writer: Notation = registry.make("notations", notation, {}, "test")
    for sample, turn in turns(name):
        text = writer.answer(turn, sample.images)
        marks = score(writer.parse(text, turn, sample.images), turn, text=text)
        assert marks.full, (text, marks)


@pytest.mark.parametrize("fault", [in_the_next_image, in_the_far_corner])
@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("name", BUILDERS)
def test_an_answer_with_one_wrong_box_does_not(
    name: str, notation: str, fault: Callable[[Target, tuple[Image, ...]], Target]
) -> None:
    writer: Notation = registry.make("notations", notation, {}, "test")
    asked = [(sample, turn) for sample, turn in turns(name) if turn.targets]
    assert asked or registry.find("builders", name).targets == "none"
    for sample, turn in asked:
        first, *rest = turn.targets
        for targets, right in (
            (turn.targets, True),
            ((fault(first, sample.images), *rest), False),
        ):
            text = writer.answer(told(targets, turn), sample.images)
            found = writer.parse(text, turn, sample.images)
            assert (score(found, turn, text=turn.gold).full) is right, text


@pytest.mark.parametrize("name", BUILDERS)
def test_an_empty_answer_does_not(name: str) -> None:
    for _, turn in turns(name):
        if turn.targets or turn.kind != "boxes":
            assert not score([], turn, text="").full


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("name", BUILDERS)
def test_a_conversation_has_every_placeholder_filled(name: str, notation: str) -> None:
    writer: Notation = registry.make("notations", notation, {}, "test")
    for sample in built(name)[0]:
        messages = conversation(writer, sample.turns, sample.images)
        assert sum(message["content"].count("<image>") for message in messages) == len(
            sample.images
        )


@pytest.mark.parametrize("name", BUILDERS)
def test_its_settings_can_be_listed_and_a_wrong_one_is_named(name: str) -> None:
    with pytest.raises(Exception, match="no_such_setting"):
        registry.make("builders", name, {"no_such_setting": 1}, "recipe.yaml: tasks.t.with")
    assert registry.settings_of(registry.find("builders", name))
