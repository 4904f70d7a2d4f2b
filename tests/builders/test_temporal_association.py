"""What each kind of question about time shows and asks, held against the records."""

from __future__ import annotations

from collections import Counter

import pytest
from presence import ASKED, BOTH, LENGTH, built, clip, pointed_at, said, shown, turn

from mgdata.data import Count, count_of

COUNTS: tuple[Count, ...] = ("none", "one", "many")


@pytest.mark.parametrize("count", COUNTS)
def test_every_sample_has_the_number_of_targets_asked_for(count: Count) -> None:
    asked = clip("x" * LENGTH, question="Which object was taken?", number=1)
    for one in (BOTH, asked):
        found = built(one, 150, count=count)
        assert {count_of(len(turn(sample).targets)) for sample in found} <= {count}
        assert len(found) > 100 or (one is asked and count == "none")


def test_the_reference_comes_first_in_the_clip_and_shows_every_marked_thing() -> None:
    for sample in built(BOTH, 200, kinds={"again": 1, "several": 1}):
        frames = shown(sample)
        assert frames[0] < min(frames[1:])
        assert turn(sample).asked == tuple(range(1, len(frames)))
        assert len(set(frames)) == len(frames)
        assert all(said(BOTH)[t, frames[0]].box for t in pointed_at(sample, BOTH))


def test_again_could_have_had_any_number_of_targets() -> None:
    """Never both away for long enough, never one alone: with `again` neither is asked at all."""
    never_none = clip("xxxxxx-xxxxxx-xxxxxx-xxx", "x" * LENGTH)
    assert not built(never_none, kinds={"again": 1}, objects=(2, 2))
    in_step = clip("xxxxxx----xxxx----xxxx--", "xxxxxx----xxxx----xxxx--")
    for count in COUNTS:
        assert not built(in_step, count=count, kinds={"again": 1}, objects=(2, 2))


def test_what_is_chosen_before_the_number_of_targets_is_the_same_for_every_number() -> None:
    per_count = {count: built(BOTH, 80, count=count, kinds={"again": 1}) for count in COUNTS}
    for samples in zip(*per_count.values(), strict=True):
        assert len({(len(s.images), shown(s)[0], tuple(pointed_at(s, BOTH))) for s in samples}) == 1


def test_several_accounts_for_every_object_in_every_frame() -> None:
    hidden = 0
    for sample in built(BOTH, 200, kinds={"several": 1}, hidden=1.0):
        one, tracks = turn(sample), pointed_at(sample, BOTH)
        assert len(tracks) == 2
        assert shown(sample) == sorted(shown(sample))
        gone = len(tracks) * len(one.asked) - len(one.targets)
        words = sum(one.answer.count(w) for w in ("not visible", "not in view", "out of sight"))
        assert words == gone
        assert {target.image for target in one.targets} == set(one.asked)
        hidden += gone > 0
    assert hidden > 100


def test_order_asks_for_the_image_that_shows_it_first_or_last() -> None:
    facts = said(BOTH)
    moments: Counter[str] = Counter()
    for sample in built(BOTH, 200, kinds={"order": 1}):
        frames, one = shown(sample), turn(sample)
        (track,) = pointed_at(sample, BOTH)
        assert frames[1:] == sorted(frames[1:])
        visible = [p for p in one.asked if facts[track, frames[p]].box is not None]
        (target,) = one.targets
        moment = "first" if target.image == visible[0] else "last"
        assert target.image in (visible[0], visible[-1])
        assert target.box == facts[track, frames[target.image]].box
        if len(visible) > 1:
            assert moment in one.question
            moments[moment] += 1
        assert frames[0] not in frames[1:]
    assert min(moments["first"], moments["last"]) > 10


def test_order_is_not_asked_of_a_thing_that_does_not_move() -> None:
    assert built(clip("xxxxxx----xxxx----xxxx--"), kinds={"order": 1})
    assert not built(clip("xxxxxx----xxxx----xxxx--", step=0), kinds={"order": 1})


def spread(places: Counter[tuple[int, int]]) -> float:
    """Chi-square per degree of freedom of (images, place) against a uniform place."""
    worst = 0.0
    for n in {n for n, _ in places}:
        mine = [places[n, place] for place in range(1, n)]
        mean = sum(mine) / len(mine)
        if mean >= 10 and len(mine) > 1:
            worst = max(worst, sum((m - mean) ** 2 / mean for m in mine) / (len(mine) - 1))
    return worst


@pytest.mark.parametrize("kind", ["again", "order"])
def test_no_place_has_the_target_more_often_than_another(kind: str) -> None:
    samples = built(BOTH, 900, count="one", kinds={kind: 1})
    places = Counter((len(s.images), turn(s).targets[0].image) for s in samples)
    assert len(samples) > 800
    assert spread(places) < 5


def test_before_and_after_show_only_frames_with_the_answer() -> None:
    facts = said(ASKED)
    ends: Counter[tuple[int, ...]] = Counter()
    for sample in built(ASKED, 200):
        frames, one = shown(sample), turn(sample)
        assert frames == sorted(frames)
        assert (frames[0], frames[-1]) == (0, 23)
        assert all(("0", frame) in facts and frame != 14 for frame in frames)
        assert "Which object was put down by the person?" in one.question
        assert not one.regions
        assert not any(image.edits for image in sample.images)
        last = len(frames) - 1
        assert {target.image for target in one.targets} <= {0, last}
        assert all(t.box == facts["0", frames[t.image]].box for t in one.targets)
        assert one.asked == tuple(target.image for target in one.targets)
        ends[tuple(min(target.image, 1) for target in one.targets)] += 1
    assert all(ends[which] > 20 for which in ((0,), (1,), (0, 1)))


def test_an_object_that_was_not_moved_has_no_before_and_after() -> None:
    still = clip("x" * LENGTH, question="Which object was opened?", step=0)
    assert not built(still)


def test_a_frame_with_another_of_the_class_is_not_shown() -> None:
    second = clip("x" * LENGTH, "......xxx...............", question="Which object was taken?")
    samples = built(second, 200, kinds={"before_after": 1})
    assert samples
    assert not {6, 7, 8}.intersection(frame for sample in samples for frame in shown(sample))


def test_a_question_about_two_classes_is_not_asked() -> None:
    one = clip("x" * LENGTH, "x" * LENGTH, labels=("goat", "car"), question="Which object?")
    both = one.expressions[0].__replace__(regions=(0, 1, 2, 3, 4, 5, 6, 7))
    assert not built(one.__replace__(expressions=(both,)), kinds={"before_after": 1})


def test_a_region_of_the_answer_that_a_filter_took_out_is_not_shown() -> None:
    filtered = clip("xxxiiixxxxxxxxxxxxxxxxxx", question="Which object was taken?")
    frames = {frame for sample in built(filtered, 200) for frame in shown(sample)}
    assert frames
    assert not {3, 4, 5}.intersection(frames)


def test_an_answer_that_is_an_action_is_not_called_an_object() -> None:
    done = clip("x" * LENGTH, question="What happened after the person took the goat?")
    assert all(
        "the answer" in turn(s).question or "action" in turn(s).question for s in built(done)
    )


def test_a_clip_with_questions_is_asked_these_first() -> None:
    hides = clip("xxxxxx----xxxx----xxxxxx", question="Which object was taken?")
    assert all('"Which object' in turn(s).question for s in built(hides, 60))
    assert all(
        '"Which object' not in turn(s).question for s in built(hides, 60, kinds={"again": 1})
    )


def test_a_clip_that_cannot_be_asked_again_is_asked_something_else() -> None:
    always = clip(*["x" * LENGTH] * 3)
    samples = built(always, 60)
    assert len(samples) > 50
    assert {len(turn(sample).regions) > 1 or bool(sample.images[0].edits) for sample in samples}
    assert not built(always, count="one")
