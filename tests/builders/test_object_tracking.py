from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from builders.object_tracking import ObjectTracking
from mgdata import registry
from mgdata.data import Image, Record, Region, Sample, Turn
from mgdata.errors import Rejected, UsageError
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Notation
from mgdata.scoring.matching import score

ORDINAL = re.compile(r"\b(first|second|third|fourth|fifth|sixth)\b")
NUMBERED = re.compile(r"\bImage-\d")


def clip(
    frames: int = 30,
    labels: tuple[str, ...] = ("goat",),
    hidden: Iterable[int] = (),
    unknown: Iterable[int] = (),
    visibility: float | None = None,
    side: float = 50.0,
    pace: float = 1.0,
) -> Record:
    """Objects side by side that drift right; the last one stands leftmost."""
    hidden, unknown = set(hidden), set(unknown)
    images = [Image(uri=f"c:s/{i}.jpg", width=640, height=480, frame=i) for i in range(frames)]
    regions: list[Region] = []
    for i in set(range(frames)) - unknown:
        for k, label in enumerate(labels):
            x = 400.0 - 70 * k + pace * i
            box = None if i in hidden else Box(x, 100.0, x + side, 100.0 + side)
            regions.append(
                Region(image=i, box=box, label=label, track=f"t{k}", visibility=visibility)
            )
    return Record(
        key="c/s",
        shape="clip",
        unit="s",
        images=tuple(images),
        regions=tuple(regions),
        license="MIT",
    )


def built(record: Record, n: int = 60, **settings: Any) -> list[Sample]:
    builder = ObjectTracking(**settings)
    return [
        s
        for i in range(n)
        for s in builder.build([record], Stream("t", str(i)))
        if isinstance(s, Sample)
    ]


def times(sample: Sample) -> list[int]:
    return [image.frame for image in sample.images if image.frame is not None]


def words(sample: Sample) -> str:
    return "\n".join(f"{turn.question}\n{turn.answer}" for turn in sample.turns)


def longest(values: np.ndarray[Any, Any]) -> Index:
    return Index(pa.table({"longest": pa.array(values, pa.int32())}))


def test_frames_are_in_time_order_and_their_number_is_uniform() -> None:
    samples = built(clip(), 600, frames=(4, 6))
    assert all(times(s) == sorted(set(times(s))) for s in samples)
    counts = Counter(len(s.images) for s in samples)
    assert set(counts) == {4, 5, 6} and min(counts.values()) > 160


def test_a_clip_shorter_than_the_most_frames_gives_fewer() -> None:
    assert {len(s.images) for s in built(clip(frames=5), frames=(4, 9))} == {4, 5}


def test_only_frames_with_a_known_visible_target_are_shown() -> None:
    record = clip(hidden=range(5, 10), unknown=range(15, 20))
    shown = {t for s in built(record, 200) for t in times(s)}
    assert shown == set(range(30)) - set(range(5, 10)) - set(range(15, 20))


def test_the_boxes_are_those_of_the_annotation() -> None:
    record = clip(labels=("person", "person", "dog"))
    known = {(record.images[r.image].uri, r.box) for r in record.regions}
    for sample in built(record, objects=3):
        for turn in sample.turns:
            for target in (*turn.regions, *turn.targets):
                assert (sample.images[target.image].uri, target.box) in known


def test_with_absent_frames_the_answer_says_so_and_has_no_target() -> None:
    samples = built(clip(hidden=range(10, 25)), 300, turns="polling", absent=0.5)
    seen = [(s.images[t.asked[0]].frame, t) for s in samples for t in s.turns]
    for frame, turn in seen:
        hidden = frame in range(10, 25)
        assert (turn.targets == ()) is hidden
        assert (
            bool(
                re.search(
                    r"(?i)not visible|out of sight|no sign|cannot|No box|not show|no view",
                    turn.answer,
                )
            )
            is hidden
        )
    share = sum(not turn.targets for _, turn in seen) / len(seen)
    assert 0.3 < share < 0.5  # a reference after frame 10 leaves fewer to choose from
    assert all(times(s) == sorted(set(times(s))) for s in samples)


def test_a_hidden_frame_is_not_asked_unless_told() -> None:
    assert all(turn.targets for s in built(clip(hidden=range(9, 20))) for turn in s.turns)


def test_unknown_is_not_taken_for_absent() -> None:
    samples = built(clip(unknown=range(10, 25)), 100, turns="polling", absent=1.0)
    assert all(turn.targets for s in samples for turn in s.turns)


def test_hidden_frames_stay_within_the_span() -> None:
    samples = built(
        clip(frames=300, hidden=range(100, 300)), 200, turns="polling", absent=0.5, span=12
    )
    assert max(times(s)[-1] - times(s)[0] for s in samples) < 12


def test_a_target_given_by_coordinates_is_not_drawn() -> None:
    for sample in built(clip(), given="coordinates"):
        assert not any(image.edits for image in sample.images)
        assert "<region:0>" in sample.turns[0].question
        assert "rectangle" not in words(sample)


def test_a_marked_target_is_drawn_on_the_reference_alone_and_named_so() -> None:
    for sample in built(clip(), given="mark"):
        drawn = [image.edits for image in sample.images]
        assert len(drawn[0]) == 1 and not any(drawn[1:])
        edit = drawn[0][0]
        assert (edit.kind, edit.colour) == ("mark", "red")
        assert edit.box is not None and edit.box.x1 == 400 + times(sample)[0]
        assert "marked with a red rectangle" in sample.turns[0].question
        assert sample.turns[0].regions == ()


def test_both_means_both() -> None:
    for sample in built(clip(), given="both"):
        assert sample.images[0].edits[0].box == sample.turns[0].regions[0].box
        assert "marked with a red rectangle" in sample.turns[0].question


def test_one_of_several_of_a_kind_is_never_told_by_its_label_alone() -> None:
    for sample in built(clip(labels=("person",) * 3), 200):
        assert sample.turns[0].regions or "marked with" in sample.turns[0].question


def test_the_label_is_named_in_half_of_the_questions() -> None:
    share = sum("goat" in words(s) for s in built(clip(), 300, given="mark")) / 300
    assert 0.35 < share < 0.55  # the tersest forms name nothing after the target


def test_polling_asks_one_frame_a_turn_and_all_asks_them_at_once() -> None:
    for sample in built(clip(), turns="polling"):
        assert [t.asked for t in sample.turns] == [(i,) for i in range(1, len(sample.images))]
    for sample in built(clip(), turns="all"):
        (turn,) = sample.turns
        assert turn.asked == tuple(range(1, len(sample.images)))
        assert [t.image for t in turn.targets] == list(turn.asked)


def test_fewer_frames_are_asked_where_told() -> None:
    samples = built(clip(), 300, asked=1, frames=(4, 4))
    assert all(len(s.turns) == 1 and len(s.turns[0].asked) == 1 for s in samples)
    assert min(Counter(s.turns[0].asked for s in samples).values()) > 70


def test_images_are_named_one_way_in_a_sample() -> None:
    samples = built(clip(), 300)
    kinds = [(bool(ORDINAL.search(words(s))), bool(NUMBERED.search(words(s)))) for s in samples]
    assert set(kinds) == {(True, False), (False, True)}


def test_several_objects_are_lettered_from_left_to_right_with_a_colour_each() -> None:
    samples = built(clip(labels=("person", "dog", "goat")), 200, objects=3, given="both")
    counts = Counter(len(s.images[0].edits) for s in samples)
    assert set(counts) == {1, 2, 3}
    for sample in samples:
        edits, regions = sample.images[0].edits, sample.turns[0].regions
        assert [e.box for e in edits] == [r.box for r in regions]
        assert [r.box.x1 for r in regions] == sorted(r.box.x1 for r in regions)
        assert [e.colour for e in edits] == ["red", "blue", "green"][: len(edits)]
        if len(edits) > 1:
            assert {t.phrase for turn in sample.turns for t in turn.targets} == {
                f"object {letter}" for letter in "ABC"[: len(edits)]
            }


def test_a_letter_stands_beside_its_own_box_even_after_a_crossing() -> None:
    record = clip(labels=("person", "dog"))
    swapped = [
        msgspec.structs.replace(r, box=Box(r.box.x1 - 300, 10, r.box.x2 - 300, 60))
        if r.track == "t0" and r.image >= 10 and r.box
        else r
        for r in record.regions
    ]
    record = msgspec.structs.replace(record, regions=tuple(swapped))
    crossed = 0
    for sample in built(record, 200, objects=2, turns="polling"):
        for turn in sample.turns:
            if len(turn.targets) == 2:
                assert turn.targets[0].box.x1 < turn.targets[1].box.x1
                crossed += turn.targets[0].phrase == "object B"
                for slot, target in enumerate(turn.targets):
                    letter = (target.phrase or "")[-1]
                    beside = rf"{letter}\W*(?:is |located |at )*<target:{slot}>|<target:{slot}> for object {letter}"
                    assert re.search(beside, turn.answer), turn.answer
    assert crossed > 20


def shuffled(n: int = 400, **settings: Any) -> list[Sample]:
    return built(clip(frames=40, pace=3), n, shuffled=1.0, **settings)


def order_of(sample: Sample) -> Turn:
    return sample.turns[-1]


def test_the_right_order_is_that_of_time() -> None:
    for sample in shuffled():
        turn = order_of(sample)
        in_time = sorted(range(len(sample.images)), key=times(sample).__getitem__)
        assert turn.kind == "choice"
        assert turn.options["ABCD".index(turn.gold)] == ", ".join(f"Image-{i + 1}" for i in in_time)
        assert len(set(turn.options)) == len(turn.options) == 4
        lines = [f"{letter}. {text}" for letter, text in zip("ABCD", turn.options, strict=True)]
        assert turn.question.endswith("\n" + "\n".join(lines))


def test_nothing_but_the_frames_tells_the_order() -> None:
    samples = shuffled(800, frames=(4, 4))
    assert min(Counter(order_of(s).gold for s in samples).values()) > 150
    places = Counter(times(s).index(min(times(s))) for s in samples)
    assert len(places) == 4 and min(places.values()) > 150
    assert all(
        option.split(", ")[0] == o.options[0].split(", ")[0]
        for s in samples
        for o in [order_of(s)]
        for option in o.options
    )


def test_words_and_indices_cannot_be_confused_in_a_shuffled_sample() -> None:
    for sample in shuffled():
        assert not ORDINAL.search(words(sample))
        assert not re.search(r"\b(last|previous|next)\b", words(sample))
        reference = times(sample).index(min(times(sample)))
        question = sample.turns[0].question
        assert f"Image-{reference + 1}" in question
        assert reference not in {i for t in sample.turns[:-1] for i in t.asked}
        if sample.images[reference].edits:
            assert not any(im.edits for i, im in enumerate(sample.images) if i != reference)


def test_no_order_is_asked_of_frames_that_look_the_same() -> None:
    for sample in built(clip(frames=40, pace=0.0), 40, shuffled=1.0):
        assert all(turn.kind == "boxes" for turn in sample.turns)
        assert times(sample) == sorted(times(sample))
        assert "shuffled" not in words(sample)


def test_three_frames_leave_two_orders() -> None:
    assert {len(order_of(s).options) for s in shuffled(20, frames=(3, 3))} == {2}


def test_visibility_must_exceed_its_bound_and_boxes_reach_their_sizes() -> None:
    bare = clip(visibility=0.5)
    assert built(bare, 2, min_visibility=0.4)
    assert built(clip(), 2, min_visibility=0.4)  # a corpus that says nothing
    assert built(bare, 2, min_side=50, min_area=50 * 50 / (640 * 480))
    for settings in ({"min_visibility": 0.5}, {"min_side": 50.5}, {"min_area": 0.009}):
        with pytest.raises(Rejected, match=r"too few visible frames: 0 of 4"):
            built(bare, 1, **settings)


def test_ignored_regions_and_those_without_identity_are_no_targets() -> None:
    record = clip()
    for change in ({"ignore": True}, {"track": None}):
        regions = tuple(msgspec.structs.replace(r, **change) for r in record.regions)
        with pytest.raises(Rejected, match="too few visible frames"):
            built(msgspec.structs.replace(record, regions=regions), 1)


def test_every_clip_comes_once_before_any_comes_again() -> None:
    values = np.array([3, 4, 50, 9, 2, 7])
    rows = [row for (row,) in ObjectTracking(per_clip=3).groups(longest(values), Stream("g"))]
    assert [sorted(rows[i : i + 4]) for i in (0, 4, 8)] == [[1, 2, 3, 5]] * 3
    assert len({tuple(rows[i : i + 4]) for i in (0, 4, 8)}) > 1


def test_every_one_of_a_million_clips_that_is_long_enough_is_a_group() -> None:
    index = longest(np.arange(1_000_000) % 100)
    assert sum(1 for _ in ObjectTracking().groups(index, Stream("g"))) == 960_000


def test_occurrences_of_a_clip_differ() -> None:
    samples = built(clip(frames=200), 50)
    assert len({s.id for s in samples}) == 50


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"frames": [6, 4]}, "frames"),  # the wrong way round
        ({"frames": [1, 4]}, "frames"),  # nothing later than the reference
        ({"frames": [2, 4], "shuffled": 0.5}, "shuffled"),  # no order to ask for
        ({"span": 5}, "span"),  # fewer than the most frames
        ({"objects": 7}, "objects"),  # more than colours
        ({"absent": 1.5}, "absent"),  # no share
        ({"per_clip": 0}, "per_clip"),
        ({"sampler": "evenly"}, "sampler"),  # no such sampler
        ({"given": "marks"}, "given"),
        ({"asked": "one"}, "asked"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        registry.make("builders", "object_tracking", settings, "recipe.yaml: tasks.t.with")


def test_settings_come_from_a_recipe() -> None:
    made = registry.make(
        "builders", "object_tracking", {"frames": [3, 5], "given": "mixed", "span": 20}, "r"
    )
    assert made == ObjectTracking(frames=(3, 5), given="mixed", span=20)


@pytest.mark.parametrize("notation", ["qwen2-vl", "qwen3-vl"])
@pytest.mark.parametrize(
    "settings",
    [
        {"absent": 0.4, "turns": "polling"},
        {"objects": 3, "naming": "ordinal"},
        {"objects": 3, "naming": "number", "absent": 0.3},
        {"shuffled": 1.0},
    ],
)
def test_every_answer_form_can_be_read_back(settings: dict[str, Any], notation: str) -> None:
    writer: Notation = registry.make("notations", notation, {}, "test")
    record = clip(labels=("person",) * 3, hidden=range(8, 14))
    for sample in built(record, 300, **settings):
        for turn in sample.turns:
            text = writer.answer(turn, sample.images)
            found = writer.parse(text, turn, sample.images)
            assert score(found, turn, text=text).full, text


def test_sentences_begin_with_a_capital_and_end() -> None:
    record = clip(labels=("person", "dog"), hidden=range(12, 16))
    samples = built(record, 300, objects=2, absent=0.2) + shuffled(100)
    for sample in samples:
        for turn in sample.turns:
            question = re.sub(r"<image:\d+>\n", "", turn.question)
            assert question[0].isupper(), question
            assert turn.kind == "choice" or question[-1] in ".?:", question
            assert turn.answer[0].isupper() or turn.answer[0] in "<-", turn.answer
            assert "  " not in question + turn.answer
            assert not re.search(r"[{}\[\]|]|\.\.|,,", question + turn.answer)


def test_questions_asked_apart_are_samples_of_their_own_over_the_same_images() -> None:
    found = built(clip(), turns="apart", frames=(6, 6), given="coordinates")
    assert len(found) > 20 and len(found) % 5 == 0
    for five in zip(*[iter(found)] * 5, strict=True):
        assert all(sample.images == five[0].images for sample in five)
        assert sorted(sample.turns[0].asked for sample in five) == [(i,) for i in range(1, 6)]
        assert all(len(sample.turns) == 1 and sample.turns[0].regions for sample in five)
