"""When temporal association calls something not visible, held against the records."""

from __future__ import annotations

from typing import Any

import pytest
from made import record
from presence import BOTH, LENGTH, built, clip, pointed_at, said, shown, turn

from mgdata.data import Count, Target

COUNTS: tuple[Count, ...] = ("none", "one", "many")


@pytest.mark.parametrize("count", COUNTS)
def test_an_object_without_a_target_is_said_to_be_hidden_there(count: Count) -> None:
    facts = said(BOTH)
    kinds = {"again": 1.0, "several": 1.0}
    for sample in built(BOTH, 200, count=count, kinds=kinds):
        frames, one = shown(sample), turn(sample)
        tracks = pointed_at(sample, BOTH)
        expected = {
            (place, facts[track, frames[place]].box)
            for place in one.asked
            for track in tracks
            if facts[track, frames[place]].box is not None
        }
        assert {(target.image, target.box) for target in one.targets} == expected
        assert len(one.targets) == len(expected)


def test_frames_of_which_nothing_is_known_are_never_shown() -> None:
    one = clip("xxxxxx..--xxxx..xxxx----", "xxxxxxx..--xxxxx---xx---")
    facts = said(one)
    samples = built(one, 300)
    assert {turn(s).asked for s in samples if len(pointed_at(s, one)) > 1}
    for sample in samples:
        for track in pointed_at(sample, one):
            assert all((track, frame) in facts for frame in shown(sample))


def test_nothing_is_hidden_where_the_annotation_is_silent() -> None:
    one = clip("xxxxxx....xxxx..xxxx....", "xxxxxxxxxxxxxxxxxxxxxxxx")
    assert not built(one, count="none")
    assert not built(one, kinds={"again": 1, "order": 1})
    assert all(turn(s).targets for s in built(one, kinds={"several": 1}))


def test_nothing_is_hidden_before_it_is_known_even_if_another_is() -> None:
    """A frame counts only if each of the marked things is known in it."""
    one = clip("xxxx----xxxx----xxxx----", "xxxx....xxxx....xxxx....")
    found = built(one, 200, count="none")
    assert found
    assert {tuple(pointed_at(sample, one)) for sample in found} == {("0",)}


def test_a_complete_class_makes_silence_an_absence() -> None:
    one = clip("xxxxxx......xxxx....xxxx", exhaustive=("goat",))
    found = built(one, 100, count="none")
    assert found
    silent = {i for i, mark in enumerate("xxxxxx......xxxx....xxxx") if mark == "."}
    assert {frame for sample in found for frame in shown(sample)[1:]} <= silent


def test_silence_beside_a_box_is_no_absence_as_a_piece_may_show_there() -> None:
    marks = "xxxxxx......xxxx....xxxx"
    one = clip(marks, exhaustive=("goat",))
    beside = {5, 6, 11, 12, 15, 16, 19, 20}
    for kinds in ({"again": 1.0}, {"order": 1.0}):
        samples = built(one, 200, kinds=kinds)
        frames = {frame for sample in samples for frame in shown(sample)}
        assert {7, 8, 9, 10, 17, 18} <= frames
        assert not beside.intersection(i for i in frames if marks[i] == ".")
    # Beyond the window there may be a box.
    assert not built(clip("xxxx..xx", exhaustive=("goat",)), 200, count="none")
    cut = built(one, 400, kinds={"again": 1}, span=9)
    assert {frame for sample in cut for frame in shown(sample)[1:]} <= {*range(24)} - {6, 11}


def test_absence_that_the_annotation_states_counts_beside_a_box_too() -> None:
    one = clip("xxxxxx--xxxxxxxx--xxxxxx")
    assert {frame for s in built(one, 200, count="none") for frame in shown(s)[1:]} == {
        6,
        7,
        16,
        17,
    }


def test_a_thing_is_pointed_at_where_its_box_is_not_that_of_another() -> None:
    one = clip("xxxxxx----xxxx----xxxxxx")
    doubles = {0, 1, 2, 10}
    regions = [r for r in one.regions]
    regions += [
        r.__replace__(track="1", label="rider", ignore=r.image == 2)
        for r in one.regions
        if r.image in doubles
    ]
    covered = one.__replace__(regions=tuple(sorted(regions, key=lambda r: r.image)))
    for kind in ("again", "order"):
        samples = built(covered, 300, kinds={kind: 1})
        assert samples
        assert not doubles.intersection(shown(sample)[0] for sample in samples)
        assert doubles.intersection(f for s in samples for f in shown(s)[1:])


def test_a_label_that_is_not_exhaustive_does_not() -> None:
    assert not built(clip("xxxxxx......xxxx....xxxx", exhaustive=("sheep",)), count="none")


def test_one_who_was_never_seen_beside_it_may_be_it_again() -> None:
    mine = "xxxxxxx....................."
    other = "........xxxxxxxxxxxxxxxxxxxx"
    assert not built(clip(mine, other, exhaustive=("goat",)), count="none")
    # Another class cannot be it, nor one that stood beside it.
    assert built(clip(mine, other, labels=("goat", "car"), exhaustive=("goat",)), count="none")
    beside = "......xxxxxxxxxxxxxxxxxxxxxx"
    found = built(clip(mine, beside, exhaustive=("goat",)), 200, count="none", objects=(1, 1))
    assert {r.label for r in clip(mine, beside).regions} == {"goat"}
    assert found


def test_a_region_without_an_identity_may_be_it() -> None:
    named = clip("xxxxxxx...........", "xxxxxxxxxxxxxxxxxx", exhaustive=("goat",))
    nameless = [r.__replace__(track=None) if r.track == "1" else r for r in named.regions]
    one = named.__replace__(regions=tuple(nameless))
    assert built(named, count="none")
    assert not built(one, count="none")


@pytest.mark.parametrize("label", ["goat", "crowd"])
def test_what_is_to_be_ignored_may_hide_it(label: str) -> None:
    """A crowd of its class, or any region that nobody vouches for."""
    one = clip(
        "xxxxxxx...........", "........iiiiiiiiii", labels=("goat", label), exhaustive=("goat",)
    )
    assert not built(one, count="none")


def test_a_region_that_is_to_be_ignored_says_nothing_of_its_thing() -> None:
    one = clip("xxxxxxiiiiiixxxxiiiixxxx", exhaustive=("goat",))
    assert not built(one, count="none")
    assert not built(one, kinds={"order": 1})


def test_tracks_of_mot_end_in_an_absence_only_at_the_border() -> None:
    leaves = clip("xxxxxxxxxxxc............", "x" * LENGTH)
    lost = clip("xxxxxxxxxxxx............", "x" * LENGTH)
    gap = clip("xxxxxxc......cxxxxxxxxxx", "x" * LENGTH)
    settings: dict[str, Any] = {"count": "none", "objects": (1, 1)}
    assert not built(leaves, **settings)
    assert built(leaves, complete_tracks=True, **settings)
    assert not built(lost, complete_tracks=True, **settings)
    assert not built(gap, complete_tracks=True, **settings)


def test_who_comes_after_somebody_left_may_be_the_same() -> None:
    newcomer = clip(
        "xxxxxxxxxxxc............", "...........xxxxxxxxx....", "................xxxxxxxx"
    )
    samples = built(newcomer, 200, count="none", complete_tracks=True, objects=(1, 1))
    first = [sample for sample in samples if pointed_at(sample, newcomer) == ["0"]]
    # In frame 12, next to its last, a piece may show.
    assert {frame for sample in first for frame in shown(sample)[1:]} == {13, 14, 15}


def test_a_sliver_is_neither_seen_nor_hidden() -> None:
    one = clip("xxxxxxssss----xxxxxxssss")
    assert one.regions[6].box is not None
    samples = built(one, 200)
    assert samples
    slivers = {i for i, mark in enumerate("xxxxxxssss----xxxxxxssss") if mark == "s"}
    assert not slivers.intersection(frame for sample in samples for frame in shown(sample))
    assert slivers.intersection(f for s in built(one, 200, slivers=True) for f in shown(s))


@pytest.mark.parametrize(
    ("mark", "settings"),
    [
        ("t", {}),  # tiny
        ("v", {"min_visibility": 0.2}),
        ("i", {}),  # to be ignored, though it has a box
        ("h", {}),  # to be ignored, though said to be hidden
        ("s", {"min_area": 0.01}),
    ],
)
def test_what_can_not_be_asked_for_is_neither_seen_nor_hidden(mark: str, settings: Any) -> None:
    marks = "xxxxxx____----xxxxxx____".replace("_", mark)
    samples = built(clip(marks), 200, **settings)
    assert samples
    never = {i for i, one in enumerate(marks) if one == mark}
    assert not never.intersection(frame for sample in samples for frame in shown(sample))


def test_a_small_visible_share_is_seen_unless_a_setting_says_more() -> None:
    marks = "xxxxxxvvvv----xxxxxxvvvv"
    frames = {f for s in built(clip(marks), 200) for f in shown(s)}
    assert frames.intersection(i for i, one in enumerate(marks) if one == "v")


def test_targets_are_boxes_of_the_record() -> None:
    for number in range(30):
        one = record(number)
        boxes = {(r.image, r.box) for r in one.regions if r.box and not r.ignore}
        for sample in built(one, 10):
            frames = [i - 1 for i in shown(sample)]
            for target in (*turn(sample).targets, *turn(sample).regions):
                assert (frames[target.image], target.box) in boxes
                assert isinstance(target, Target)
