from __future__ import annotations

import difflib
import re
from collections import Counter
from itertools import combinations
from typing import Any

import pytest
from made import index
from made import record as made

from builders.robust_difference import RobustDifference
from builders.static_difference import WORDING, StaticDifference
from mgdata import registry
from mgdata.data import ALL, Image, Record, Region, Sample
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.plugins import Notation
from mgdata.scoring.matching import score
from mgdata.validity import sample_fault

BOX = Box(10, 20, 110, 90)
OTHER = Box(300, 200, 420, 330)
ORDINAL = re.compile(r"\b(?:first|second) image")
NUMBERED = re.compile(r"\bImage-\d")
NOTATIONS = ("qwen2-vl", "qwen3-vl")

Change = tuple[str, Box | None, Box | None, str | None]
"""Kind, box before, box after, sentence."""
MOVED: Change = ("move", BOX, Box(40, 20, 140, 90), "the mug moved")
ADDED: Change = ("add", None, BOX, "a mug was added")
DROPPED: Change = ("drop", BOX, None, "the mug is gone")


def pair(*changes: Change, number: int = 0, **fields: Any) -> Record:
    regions = [
        Region(image=side, box=change[1 + side], label=change[0], phrase=change[3], track=str(n))
        for side in (0, 1)
        for n, change in enumerate(changes)
    ]
    names = (f"p:{number}_before.png", f"p:{number}_after.png")
    return Record(
        **{
            "key": f"p/{number}",
            "shape": "pair",
            "unit": str(number),
            "images": tuple(Image(uri=uri, width=640, height=480) for uri in names),
            "regions": tuple(regions),
            "license": "MIT",
            "exhaustive": (ALL,),
            **fields,
        }
    )


def built(record: Record, n: int = 80, **settings: Any) -> list[Sample]:
    builder = StaticDifference(**settings)
    return [
        s
        for i in range(n)
        for s in builder.build([record], Stream("t", str(i)))
        if isinstance(s, Sample)
    ]


def refused(record: Record, **settings: Any) -> str:
    with pytest.raises(Rejected) as caught:
        built(record, 1, **settings)
    return caught.value.reason


def reversed_(sample: Sample) -> bool:
    return sample.images[0].uri.endswith("after.png")


def places(sample: Sample) -> set[int]:
    return {target.image for target in sample.turns[0].targets}


def known(record: Record) -> set[tuple[str, Box]]:
    return {(record.images[r.image].uri, r.box) for r in record.regions if r.box is not None}


def words(sample: Sample) -> str:
    return f"{sample.turns[0].question}\n{sample.turns[0].answer}"


@pytest.mark.parametrize("change", [MOVED, ADDED, DROPPED])
@pytest.mark.parametrize("missing", ["turn", "other"])
@pytest.mark.parametrize("asked", ["after", "before", "both", "mixed"])
def test_every_box_is_one_of_the_annotation_in_the_picture_it_belongs_to(
    change: Change, missing: str, asked: str
) -> None:
    record = pair(change)
    for sample in built(record, asked=asked, missing=missing, describe=0.5):
        assert sample_fault(sample) is None
        for target in sample.turns[0].targets:
            assert (sample.images[target.image].uri, target.box) in known(record)


def test_by_default_one_box_in_the_second_image_is_asked_for_whatever_the_change() -> None:
    for change in (MOVED, ADDED, DROPPED):
        for sample in built(pair(change)):
            assert [t.image for t in sample.turns[0].targets] == [1]
            assert sample.turns[0].asked == (1,)


def test_the_first_image_can_be_asked_for() -> None:
    for change in (MOVED, ADDED, DROPPED):
        assert all(places(s) == {0} for s in built(pair(change), asked="before"))


def test_both_images_are_boxed_where_both_show_the_change() -> None:
    assert all(places(s) == {0, 1} for s in built(pair(MOVED), asked="both"))
    for sample in built(pair(DROPPED), asked="both"):
        assert places(sample) == ({1} if reversed_(sample) else {0})
        assert sample.turns[0].asked == ()


def test_both_images_are_asked_for_without_reserve_only_if_both_have_every_box() -> None:
    for change, sure in ((MOVED, True), (ADDED, False), (DROPPED, False)):
        for sample in built(pair(change), asked="both"):
            assert ("(where visible)" not in sample.turns[0].question) is sure
    # Where there may be no change at all, every pair is asked about in the same words.
    for record in (pair(), pair(MOVED), pair(ADDED)):
        for sample in built(record, asked="both", unchanged=0.3):
            assert "in both images (where visible)" in sample.turns[0].question


def test_mixed_asks_for_each_equally_often() -> None:
    samples = built(pair(MOVED), 900, asked="mixed")
    counts = Counter(tuple(sorted(places(s))) for s in samples)
    assert set(counts) == {(0,), (1,), (0, 1)}
    assert sum((n - 300) ** 2 / 300 for n in counts.values()) < 13.8  # chi-square, 2 df, p 0.001


def test_half_of_the_pairs_are_shown_in_reverse_where_no_sentence_is_used() -> None:
    turned = sum(reversed_(s) for s in built(pair(MOVED), 600, describe=0))
    assert 245 < turned < 355
    assert not any(reversed_(s) for s in built(pair(MOVED), swap=False))
    assert not any(reversed_(s) for s in built(pair(MOVED), describe=1))


def test_a_change_that_the_asked_image_lacks_is_shown_in_reverse() -> None:
    assert all(reversed_(s) for s in built(pair(DROPPED), describe=1, swap=False))
    assert not any(reversed_(s) for s in built(pair(ADDED)))


def test_or_it_is_asked_for_in_the_other_image() -> None:
    samples = built(pair(DROPPED), missing="other")
    assert all(places(s) == ({1} if reversed_(s) else {0}) for s in samples)
    assert {reversed_(s) for s in samples} == {True, False}
    told = built(pair(DROPPED), missing="other", describe=1)
    assert all(places(s) == {0} and "the mug is gone" in words(s).lower() for s in told)


def test_or_its_pair_is_left_out() -> None:
    assert refused(pair(DROPPED), missing="leave") == "not in the image asked for"
    assert refused(pair(ADDED), missing="leave", asked="before") == "not in the image asked for"
    assert not any(reversed_(s) for s in built(pair(ADDED), missing="leave"))


def test_several_changes_are_left_out_unless_they_are_wanted() -> None:
    two = pair(MOVED, ("color", OTHER, OTHER, "the ball is red now"))
    assert refused(two) == "several changes"
    for sample in built(two, many=True):
        assert len(sample.turns[0].targets) == 2 and sample_fault(sample) is None
    both = built(two, many=True, asked="both")
    assert all(len(s.turns[0].targets) == 4 for s in both)


def test_a_question_does_not_tell_how_many_changes_there_are() -> None:
    one, two = pair(MOVED), pair(MOVED, ("color", OTHER, OTHER, "the ball is red now"))

    def asked(record: Record) -> set[str]:
        found = built(record, 1500, many=True, naming="number", describe=0, swap=False)
        return {s.turns[0].question for s in found}

    assert asked(two) <= asked(one)


def test_changes_of_which_the_asked_image_shows_some_need_both_images() -> None:
    mixed = pair(ADDED, ("drop", OTHER, None, "the ball is gone"))
    assert refused(mixed, many=True) == "not in the image asked for"
    for sample in built(mixed, many=True, missing="other", describe=0.5):
        assert places(sample) == {0, 1} and len(sample.turns[0].targets) == 2


def test_only_the_wanted_kinds_are_used() -> None:
    assert refused(pair(MOVED), kinds=("add", "drop")) == "another kind of change"
    records = [made(n, "pair") for n in range(60)]
    builder = StaticDifference(kinds=("add", "drop"))
    rows = [group[0] for group in builder.groups(index(records), Stream("g"))]
    assert {r.label for row in rows for r in records[row].regions} == {"add", "drop"}
    assert len(rows) == sum(r.regions[0].label in ("add", "drop") for r in records if r.regions)


def test_a_stepwise_answer_holds_the_sentence_before_the_box() -> None:
    for sample in built(pair(MOVED), describe=1):
        answer = sample.turns[0].answer.lower()
        assert answer.index("the mug moved") < answer.index("<target:0>")
        assert sample.turns[0].targets[0].phrase == "the mug moved"
    share = sum("mug" in words(s) for s in built(pair(MOVED), 600, describe=0.3)) / 600
    assert 0.24 < share < 0.36
    assert not any("mug" in words(s).lower() for s in built(pair(MOVED), describe=0))


@pytest.mark.parametrize(
    "sentence",
    [
        None,
        " . ",
        "there is no one in the second image",  # would claim the box for that image
        "the car in image 1 is gone",
        "the right image has a cross here",
        "In the after picture there is a dog",
        "see <target:0>",
        "the mug moved (10,20),(110,90)",
    ],
)
def test_a_sentence_that_would_spoil_the_answer_is_not_used(sentence: str | None) -> None:
    for sample in built(pair(("move", BOX, BOX, sentence)), describe=1):
        assert sample.turns[0].targets[0].phrase == "change"
        assert not re.search(r"(?i)describe|description|words|what changed b", words(sample))


def test_pairs_without_a_change_come_in_as_often_as_wanted_and_have_no_target() -> None:
    records = [pair(MOVED, number=n) for n in range(900)] + [
        pair(number=n) for n in range(900, 1500)
    ]
    builder = StaticDifference(unchanged=0.25)
    rows = [row for (row,) in builder.groups(index(records), Stream("g"))]
    share = sum(row >= 900 for row in rows) / len(rows)
    assert len(set(rows)) == len(rows) and 0.21 < share < 0.29
    assert all(row < 900 for (row,) in StaticDifference().groups(index(records), Stream("g")))
    only = list(StaticDifference(unchanged=1).groups(index(records), Stream("g")))
    assert sorted(only) == [(n,) for n in range(900, 1500)]
    for sample in built(pair(), unchanged=0.25):
        assert sample.turns[0].targets == () and sample_fault(sample) is None
        assert "<target" not in sample.turns[0].answer


def test_a_question_does_not_tell_whether_there_is_a_change() -> None:
    def asked(record: Record) -> set[str]:
        found = built(record, 3000, unchanged=0.3, naming="number", describe=0)
        return {s.turns[0].question for s in found}

    assert asked(pair()) == asked(pair(MOVED))


def test_no_change_is_claimed_only_where_everything_was_annotated() -> None:
    silent = pair(exhaustive=())
    assert refused(silent, unchanged=0.5) == "no change"
    assert refused(pair()) == "no change"
    builder = StaticDifference(unchanged=0.5)
    assert list(builder.groups(index([silent]), Stream("g"))) == []


def test_a_pair_that_may_hold_other_changes_is_used_only_if_wanted() -> None:
    unsure = pair(MOVED, exhaustive=())
    assert refused(unsure) == "perhaps other changes"
    assert list(StaticDifference().groups(index([unsure]), Stream("g"))) == []
    assert built(unsure, complete=False)
    assert list(StaticDifference(complete=False).groups(index([unsure]), Stream("g"))) == [(0,)]


def test_a_change_that_a_filter_took_out_takes_its_pair_along() -> None:
    first = pair(MOVED)
    regions = (first.regions[0].__replace__(ignore=True), *first.regions[1:])
    assert refused(first.__replace__(regions=regions)) == "a change to be ignored"


def test_regions_that_are_no_change_are_refused() -> None:
    twice = (Region(image=0, box=BOX, label="move", track="1"),) * 2
    assert refused(pair(regions=twice)) == "two boxes of one change"
    nowhere = (Region(image=0, box=None, label="drop", track="1"),)
    assert refused(pair(regions=nowhere)) == "a change without a box"
    single = pair(MOVED)
    assert refused(single.__replace__(images=single.images[:1])) == "not a pair"


def test_each_pair_is_used_once_before_any_is_used_again() -> None:
    records = [pair(MOVED, number=n) for n in range(40)]
    rows = [row for (row,) in StaticDifference(per_pair=2).groups(index(records), Stream("g"))]
    assert sorted(rows[:40]) == sorted(rows[40:]) == list(range(40)) and rows[:40] != rows[40:]


def test_images_are_named_in_one_way_within_a_sample() -> None:
    for naming, wanted in (("ordinal", {True}), ("number", {False}), ("mixed", {True, False})):
        found: set[bool] = set()
        for sample in built(pair(MOVED), 300, naming=naming, asked="mixed", unchanged=0.1):
            ordinal, number = (bool(p.search(words(sample))) for p in (ORDINAL, NUMBERED))
            assert not (ordinal and number), words(sample)
            found |= {ordinal} if ordinal or number else set()
        assert found == wanted


@pytest.mark.parametrize("builder", [StaticDifference, RobustDifference])
@pytest.mark.parametrize("notation", NOTATIONS)
def test_every_answer_form_is_read_back_as_it_was_meant(builder: Any, notation: str) -> None:
    writer: Notation = registry.make("notations", notation, {}, "test")
    second: Change = ("color", OTHER, OTHER, "the ball is red now")
    records = (pair(MOVED), pair(ADDED), pair(MOVED, second), pair(MOVED, second, ADDED), pair())
    task = builder(asked="mixed", many=True, describe=0.5, unchanged=0.2, missing="other")
    for record in records:
        for i in range(250):
            for sample in task.build([record], Stream("f", str(i))):
                turn = sample.turns[0]
                text = writer.answer(turn, sample.images)
                assert score(writer.parse(text, turn, sample.images), turn, text=text).full, text


@pytest.mark.parametrize("builder", [StaticDifference, RobustDifference])
def test_all_forms_come_and_all_begin_and_end_as_sentences_do(builder: Any) -> None:
    forms = builder.words.forms
    task = builder(asked="mixed", many=True, describe=0.5, missing="other")
    open_task = builder(asked="mixed", unchanged=0.5, describe=0.5)
    second: Change = ("color", OTHER, OTHER, "the ball is red now")
    texts = [
        f"{s.turns[0].question.removeprefix('<image:0>' + chr(10) + '<image:1>' + chr(10))}"
        for t in (task, open_task)
        for record in (pair(MOVED), pair(MOVED, second))
        for i in range(900)
        if not (t is open_task and len(record.regions) > 2)
        for s in t.build([record], Stream("w", str(i)))
    ]
    assert all(text[0].isupper() and text[-1] in ".?!" for text in texts)
    assert not any("{" in text or "|" in text or "  " in text for text in texts)
    for name in ("ask_one", "ask_many", "ask_both", "ask_open", "tell", "tell_open"):
        for form in forms[name]:
            longest = max(re.split(r"\{[^{}]*\}", form.text), key=len)
            assert any(longest in text for text in texts), form.text


@pytest.mark.parametrize("builder", [StaticDifference, RobustDifference])
def test_questions_are_many_and_differ_in_syntax(builder: Any) -> None:
    for name, forms in builder.words.forms.items():
        least = 20 if name.startswith("ask_") else 8
        assert len(forms) >= least, name
    for name in ("ask_one", "ask_many", "ask_both", "ask_open"):
        texts = [form.text for form in builder.words.forms[name]]
        for one, other in combinations(texts, 2):
            first, second = (
                re.findall(r"[a-z']+", re.sub(r"\{[^{}]*\}", " ", t).lower()) for t in (one, other)
            )
            alike = difflib.SequenceMatcher(None, first, second, autojunk=False).ratio()
            assert alike < 0.75, (one, other)
        openings = Counter(tuple(text.split()[:2]) for text in texts)
        assert max(openings.values()) <= 3, openings.most_common(2)


def test_no_question_says_what_kind_of_change_it_is() -> None:
    for name in ("ask_one", "ask_many", "ask_both", "ask_open"):
        for form in WORDING.forms[name]:
            assert not re.search(r"(?i)\b(added|new|removed|moved|colou?r|object)\b", form.text)


@pytest.mark.parametrize(
    "settings", [{"unchanged": 1.5}, {"describe": -0.1}, {"per_pair": 0}, {"asked": "later"}]
)
def test_settings_that_no_pair_could_meet_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=next(iter(settings))):
        registry.make("builders", "static_difference", settings, "recipe.yaml: tasks.t.with")
