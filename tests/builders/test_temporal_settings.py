"""Settings of temporal association, and which clips it tries."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from made import index, record
from presence import ASKED, BOTH, LENGTH, built, clip, shown, turn

from builders.temporal_association import SERVES, TemporalAssociation
from mgdata.data import Count, count_of
from mgdata.errors import Rejected
from mgdata.identity import Stream

COUNTS: tuple[Count, ...] = ("none", "one", "many")


def test_hidden_objects_are_as_rare_as_the_setting_says() -> None:
    one = clip("xxxxxxxxxxxxxxxxxxxxxx-x", "x" * LENGTH)

    def share(hidden: float) -> float:
        samples = built(one, 200, kinds={"several": 1}, hidden=hidden)
        gone = [len(turn(s).targets) < 2 * len(turn(s).asked) for s in samples]
        return sum(gone) / len(gone)

    assert share(0) < 0.6 < 0.9 < share(1)


@pytest.mark.parametrize("given", ["coordinates", "mark", "both"])
def test_things_are_shown_as_the_setting_says(given: Any) -> None:
    for sample in built(BOTH, 40, given=given):
        marks = [edit for edit in sample.images[0].edits if edit.kind == "mark"]
        assert bool(marks) == (given != "coordinates")
        assert bool(turn(sample).regions) == (given != "mark")
        assert not any(image.edits for image in sample.images[1:])


def test_letters_go_from_left_to_right_in_the_reference() -> None:
    for sample in built(BOTH, 60, given="coordinates", kinds={"several": 1}):
        boxes = [region.box.x1 for region in turn(sample).regions]
        assert boxes == sorted(boxes)


def test_as_many_things_as_the_settings_allow() -> None:
    four = clip(*["x" * LENGTH] * 6)
    samples = built(four, 200, kinds={"several": 1}, objects=(2, 4), given="coordinates")
    counts = Counter(len(turn(sample).regions) for sample in samples)
    assert set(counts) == {2, 3, 4}
    assert max(len(turn(s).targets) for s in samples) <= 12
    few = built(four, 200, kinds={"several": 1}, most=4, given="coordinates")
    assert {len(turn(sample).targets) for sample in few} == {4}


def test_the_number_of_images_is_as_set() -> None:
    assert {len(s.images) for s in built(BOTH, 200)} == {3, 4, 5}
    assert {len(s.images) for s in built(BOTH, 60, images=(4, 4))} == {4}


def test_a_span_keeps_frames_together() -> None:
    long = clip("xxx---" * 10, "xx---x" * 10)
    samples = built(long, 100, span=15)
    assert samples
    assert all(max(shown(s)) - min(shown(s)) < 15 for s in samples)
    assert len({min(shown(s)) // 15 for s in samples}) > 2


@pytest.mark.parametrize("naming", ["ordinal", "number"])
def test_images_are_called_as_the_setting_says(naming: Any) -> None:
    for sample in built(BOTH, 60, naming=naming):
        text = turn(sample).question + turn(sample).answer
        assert ("Image-" in text) == (naming == "number")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kinds": {"agian": 1}}, "unknown 'agian'"),
        ({"kinds": {"again": 0}}, "positive"),
        ({"kinds": {"again": float("nan")}}, "positive"),
        ({"kinds": {}}, "positive"),
        ({"kinds": {"before_after": 1}, "count": "none"}, "cannot have none"),
        ({"kinds": {"order": 1}, "count": "many"}, "cannot have many"),
        ({"kinds": {"several": 1}, "count": "one"}, "cannot have one"),
        ({"images": (2, 4)}, "images"),
        ({"images": (5, 4)}, "images"),
        ({"objects": (0, 2)}, "objects"),
        ({"objects": (3, 2)}, "objects"),
        ({"objects": (1, 9)}, "objects"),
        ({"most": 3}, "most"),
        ({"span": 5}, "span"),
        ({"hidden": 1.5}, "hidden"),
        ({"per_clip": 0}, "per_clip"),
    ],
)
def test_settings_that_no_clip_could_meet_are_refused(settings: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TemporalAssociation(**settings)


@pytest.mark.parametrize("kind", sorted(SERVES))
@pytest.mark.parametrize("count", COUNTS)
def test_each_kind_has_the_numbers_that_are_documented(kind: str, count: Count) -> None:
    if count not in SERVES[kind]:
        with pytest.raises(ValueError, match="cannot have"):
            TemporalAssociation(kinds={kind: 1}, count=count)
        return
    one = ASKED if kind == "before_after" else BOTH
    found = built(one, 60, kinds={kind: 1}, count=count)
    assert len(found) > 40
    assert {count_of(len(turn(sample).targets)) for sample in found} == {count}


def test_groups_are_the_clips_that_may_do() -> None:
    whole = clip("x" * LENGTH, "x" * LENGTH, number=1)
    alone = clip("x" * LENGTH, number=2)
    hides = clip("xxxxxx----xxxx----xxxxxx", number=3)
    silent = clip("xxxxxx....xxxx....xxxxxx", number=4)
    told = clip("xxxxxx....xxxx....xxxxxx", exhaustive=("goat",), number=5)
    asked = clip("x" * LENGTH, question="Which object was taken?", number=6)
    found = index([whole, alone, hides, silent, told, asked])

    def rows(**settings: Any) -> set[int]:
        return {row for (row,) in TemporalAssociation(**settings).groups(found, Stream("g"))}

    assert rows() == {0, 2, 4, 5}
    assert rows(count="none") == {2, 4}
    assert rows(count="one") == {2, 4, 5}
    assert rows(count="many", kinds={"several": 1}) == {0}
    assert rows(kinds={"before_after": 1}) == {5}
    assert rows(count="none", complete_tracks=True) == {2, 3, 4}


def test_every_clip_is_tried_once_before_any_is_tried_again() -> None:
    found = index([record(n) for n in range(20)])
    groups = list(TemporalAssociation(per_clip=3).groups(found, Stream("g")))
    assert [len(set(groups[i : i + 20])) for i in (0, 20, 40)] == [20, 20, 20]
    assert len(groups) == 60
    assert groups[:20] != groups[20:40]


def test_a_clip_that_cannot_be_asked_anything_is_rejected_with_its_kinds() -> None:
    builder = TemporalAssociation(count="none")
    with pytest.raises(Rejected) as caught:
        list(builder.build([clip("x" * LENGTH)], Stream("b")))
    assert (caught.value.reason, caught.value.value) == ("nothing to ask over time", "again")
