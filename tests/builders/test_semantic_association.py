from __future__ import annotations

import re
from typing import Any

import pytest
from made import THINGS, index, record
from photos_of import photo, thing

from builders.asking import area_of
from builders.kinds_of_use import same_part, same_use
from builders.rivals import alike
from builders.semantic_association import SemanticAssociation
from mgdata import audit
from mgdata.data import Record, Sample, Turn
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.notations.qwen2_vl import Qwen2VL
from mgdata.validity import sample_fault

PHOTOS = [record(n, "image") for n in range(300)]
SPARSE = [
    photo(n, *(thing(THINGS[(n * step) % 17], step, side=23) for step in (1, 3, 4)))
    for n in range(200)
]
"""Photos of three classes at most, so that sets of them share few."""


def built(records: list[Record], kind: str, seed: str = "s", **settings: Any) -> Sample:
    task = SemanticAssociation(**{"kinds": {kind: 1.0}, **settings})
    (sample,) = task.build(records, Stream(seed))
    assert isinstance(sample, Sample)
    assert sample_fault(sample) is None
    return sample


def many(
    kind: str, n: int = 150, records: list[Record] = PHOTOS, **settings: Any
) -> list[tuple[Sample, Turn, list[Record]]]:
    """Samples of one kind, chosen and built from made photos, with the photos in their order."""
    by_key = {one.key: one for one in records}
    task = SemanticAssociation(**{"kinds": {kind: 1.0}, **settings})
    found: list[tuple[Sample, Turn, list[Record]]] = []
    for group in task.groups(index(records), Stream("g", kind)):
        some = [records[row] for row in group]
        try:
            (sample,) = task.build(some, Stream("b", *(one.key for one in some)))
        except Rejected:
            continue
        assert isinstance(sample, Sample)
        found.append((sample, sample.turns[0], [by_key[key] for key in sample.records]))
        if len(found) == n:
            break
    assert len(found) > n / 3
    return found


def label_at(photo: Record, box: object) -> str:
    (label,) = {region.label for region in photo.regions if region.box == box}
    return label


def three() -> list[Record]:
    return [photo(1, "dog", "cat"), photo(2, "dog", "dog"), photo(3, "bus"), photo(4, "dog")]


# Everything of a kind


def test_everything_of_the_given_things_kind_in_all_other_photos_is_the_answer() -> None:
    records = [photo(1, "dog", "dog"), *three()[1:]]
    for seed in range(30):
        sample = built(records, "kind", str(seed))
        turn = sample.turns[0]
        (first,) = (i for i in range(4) if i not in turn.asked)
        assert sample.records[first] == "made/1"
        found = sorted((sample.records[t.image], t.box.x1) for t in turn.targets)
        assert found == [("made/2", 0.0), ("made/2", 25.0), ("made/4", 0.0)]
        assert {target.phrase for target in turn.targets} == {"dog"}


def test_which_class_is_asked_about_hangs_on_the_first_photos_key_alone() -> None:
    asked: dict[int, set[str]] = {}
    for number in range(40):
        for seed in range(3):
            records = [photo(number, "dog", "cat"), photo(90 + seed, "dog", "cat", "cat")]
            targets = built(records, "kind", str(seed)).turns[0].targets
            asked.setdefault(number, set()).add(str(targets[0].phrase))
    assert {len(labels) for labels in asked.values()} == {1}
    assert {label for labels in asked.values() for label in labels} == {"dog", "cat"}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (photo(5, "dog", thing("dog", 9, ignore=True)), "to be ignored"),  # a crowd, or filtered
        (photo(5, thing("dog", 9, ignore=True)), "to be ignored"),
        (photo(5, "dog", thing("dog", 9, side=2)), "too small"),
        (photo(5, "dog", exhaustive=("cat",)), "not everything"),  # LVIS: not exhaustive
        (photo(5, "cat", exhaustive=("cat",)), "not known"),  # un-annotated is not absent
        (photo(5, "cat", exhaustive=()), "not known"),
        (photo(5, "hot dog"), "another name"),
        (photo(5, "puppy"), "another name"),
        (photo(5, *["dog"] * 11), "too many"),
    ],
)
def test_a_photo_where_the_answer_is_not_certain_is_never_asked_about(
    other: Record, reason: str
) -> None:
    records = [photo(1, "dog"), photo(2, "dog", "dog"), other]
    with pytest.raises(Rejected, match=reason):
        built(records, "kind")


@pytest.mark.parametrize(
    "other",
    [
        photo(5, "cat", exhaustive=("dog",)),
        photo(5, "cat", exhaustive=(), absent=("dog",)),
        photo(5, "dog", exhaustive=("dog",)),
        photo(5, "cat", thing("cat", 8, side=2), thing("cat", 9, ignore=True)),
    ],
)
def test_a_photo_of_which_enough_is_known_is(other: Record) -> None:
    assert built([photo(1, "dog"), other], "kind").turns[0].asked


def test_what_else_the_first_photo_shows_does_not_matter() -> None:
    first = photo(1, "dog", thing("dog", 8, side=2), thing("hot dog", 9, side=3), exhaustive=())
    assert len(built([first, photo(2, "dog")], "kind").turns[0].targets) == 1


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (photo(1, thing("dog", side=10)), "large enough"),
        (photo(1, thing("dog", side=95)), "large enough"),
        (photo(1, "dog", thing("dog", 9, ignore=True)), "large enough"),
        (photo(1, "other dogs"), "large enough"),
        (photo(1, "barrel/bucket", "dog:ear"), "large enough"),
        (photo(1, thing("dog"), thing("cat", side=19)), "another region"),
    ],
)
def test_the_given_thing_is_large_clear_and_of_a_kind(first: Record, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        built([first, photo(2, "dog", "cat"), photo(3, "car")], "kind", marked=(0.02, 0.8))


def test_a_filtered_region_is_no_answer_and_not_left_out_of_it() -> None:
    ignored = photo(2, "dog", thing("dog", 5, ignore=True))
    with pytest.raises(Rejected, match="ignored"):
        built([photo(1, "dog"), ignored], "kind")


def test_all_instances_are_there_in_hundreds_of_chosen_sets() -> None:
    for sample, turn, photos in many("kind", 300):
        (first,) = (i for i in range(len(photos)) if i not in turn.asked)
        given = [e.box for e in sample.images[first].edits] or [turn.regions[0].box]
        label = label_at(photos[first], given[0])
        things = {
            (place, region.box)
            for place in turn.asked
            for region in photos[place].regions
            if region.label == label
        }
        assert {(target.image, target.box) for target in turn.targets} == things
        rest = {r.label for place in turn.asked for r in photos[place].regions}
        assert label not in alike(rest | {label})
        assert not any(
            r.ignore for place in turn.asked for r in photos[place].regions if r.label == label
        )
        assert {place for place, _ in things} <= set(turn.asked)


# The odd one out


def test_of_the_given_things_all_but_the_answer_are_of_one_class() -> None:
    for sample, turn, photos in many("odd", given="mark"):
        boxes = [image.edits[0].box for image in sample.images]
        labels = [label_at(one, box) for one, box in zip(photos, boxes, strict=True)]
        (target,) = turn.targets
        assert target.box == boxes[target.image]
        others = {label for place, label in enumerate(labels) if place != target.image}
        assert len(others) == 1 and labels[target.image] not in others
        assert not alike({labels[target.image], *others})
        assert len(photos) >= 3 and turn.asked == ()


def test_an_odd_thing_may_stand_beside_one_of_the_others_kind() -> None:
    def beside(hard: float) -> int:
        found = 0
        for sample, turn, photos in many("odd", 100, given="mark", hard=hard):
            odd = turn.targets[0].image
            other = label_at(photos[odd - 1], sample.images[odd - 1].edits[0].box)
            found += other in {region.label for region in photos[odd].regions}
        return found

    assert beside(1.0) > beside(0.0) + 30


def test_what_only_a_name_tells_apart_is_not_odd() -> None:
    records = [photo(1, "dog"), photo(2, "puppy"), photo(3, "puppy")]
    with pytest.raises(Rejected, match="all the others"):
        built(records, "odd")


# All but one share a kind


def test_all_photos_but_one_share_one_class_and_all_of_it_is_the_answer() -> None:
    for _, turn, photos in many("odd_set", 60, SPARSE):
        labels = [{region.label for region in one.regions} for one in photos]
        often = {
            label
            for label in set[str]().union(*labels)
            if sum(label in there for there in labels) >= len(photos) - 1
        }
        assert len(often) == 1 and len(photos) >= 4
        things = [
            (place, region.box)
            for place, one in enumerate(photos)
            for region in one.regions
            if region.label in often
        ]
        assert {place for place, _ in things} == {target.image for target in turn.targets}
        assert len({place for place, _ in things}) == len(photos) - 1
        assert sorted(things, key=str) == sorted(
            ((target.image, target.box) for target in turn.targets), key=str
        )
        for place in {target.image for target in turn.targets}:
            some = [r for r in photos[place].regions if r.label in often]
            assert max(area_of(region, photos[place]) for region in some) >= 0.05


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([photo(1, "dog"), photo(2, "dog"), photo(3, "dog")], "not one class"),
        ([photo(1, "dog", "cat"), photo(2, "dog", "cat"), photo(3, "bus")], "not one class"),
        ([photo(1, "dog"), photo(2, "cat"), photo(3, "bus")], "not one class"),
        ([photo(1, "dog"), photo(2, "dog"), photo(3, "bus", exhaustive=("dog",))], "annotated"),
        ([photo(1, "dog"), photo(2, "dog"), photo(3, "puppy")], "another name"),
        ([photo(1, "cat", "car"), photo(2, "cat"), photo(3, "suv")], "another name"),
        ([photo(1, "dog"), photo(2, "dog", thing("dog", 9, ignore=True)), photo(3)], "ignored"),
        ([photo(1, "dog"), photo(2, "dog", thing("dog", 9, side=2)), photo(3)], "too small"),
        ([photo(1, "dog"), photo(2, thing("dog", side=8)), photo(3)], "too small"),
    ],
)
def test_photos_that_share_more_or_less_than_one_class_are_refused(
    records: list[Record], reason: str
) -> None:
    with pytest.raises(Rejected, match=reason):
        built(records, "odd_set", shared=(0.03, 0.8))


# Candidates


@pytest.mark.parametrize("kind", ["use", "part"])
def test_the_right_candidates_are_those_of_the_same_use_or_part_and_none_is_arguable(
    kind: str,
) -> None:
    same = same_use if kind == "use" else same_part
    for sample, turn, photos in many(kind, 100, given="coordinates", marked=(0.003, 0.8)):
        first, *offered = turn.regions
        label = label_at(photos[first.image], first.box)
        sides = [same(label, label_at(photos[one.image], one.box)) for one in offered]
        assert None not in sides and "another" in sides
        right = [one.box for one, side in zip(offered, sides, strict=True) if side == "same"]
        assert [target.box for target in turn.targets] == right
        assert {one.image for one in offered} == set(turn.asked)
        assert len(offered) >= max(3, len(sample.images) - 1)
        order = [(one.image, one.box.x1) for one in offered]
        assert order == sorted(order)
        if kind == "use":
            assert label not in {label_at(photos[t.image], t.box) for t in turn.targets}


def test_an_answer_names_the_letters_that_the_question_gave_its_boxes() -> None:
    notation, seen = Qwen2VL(), 0
    for sample, turn, _ in many("use", 100, given="coordinates"):
        answer = notation.answer(turn, sample.images)
        for target in turn.targets:
            region = 1 + [(one.image, one.box) for one in turn.regions[1:]].index(
                (target.image, target.box)
            )
            before = turn.question[: turn.question.index(f"<region:{region}>")]
            letter = re.findall(r"\b([A-F])\b", before)[-1]
            assert re.search(rf"\b{letter}\b", answer), (turn.question, answer)
            seen += 1
    assert seen > 50


def test_candidates_in_one_photo_are_marked_in_different_colours() -> None:
    for sample, turn, _ in many("use", 100, given="mark"):
        assert turn.regions == ()
        (first,) = (i for i in range(len(sample.images)) if i not in turn.asked)
        assert [edit.colour for edit in sample.images[first].edits] == ["red"]
        for place in turn.asked:
            colours = [edit.colour for edit in sample.images[place].edits]
            assert colours and len(set(colours)) == len(colours)
            assert all(f"the {colour} rectangle" in turn.question for colour in colours)


def test_there_is_nothing_to_choose_where_all_candidates_would_be_arguable() -> None:
    records = [photo(1, "chair"), photo(2, "bed", "chair"), photo(3, "bed", "toilet")]
    with pytest.raises(Rejected, match="too little"):
        built(records, "use")


# Settings


@pytest.mark.parametrize(
    ("given", "edits", "regions"), [("mark", 1, 0), ("coordinates", 0, 1), ("both", 1, 1)]
)
def test_a_thing_is_given_as_a_box_a_mark_or_both(given: str, edits: int, regions: int) -> None:
    sample = built(three(), "kind", given=given)
    assert sum(len(image.edits) for image in sample.images) == edits
    assert len(sample.turns[0].regions) == regions
    assert ("red rectangle" in sample.turns[0].question) is (edits == 1)


def test_the_class_is_told_in_the_share_of_questions_that_the_setting_says() -> None:
    for named in (0.0, 1.0):
        for seed in range(20):
            turn = built(three()[1:], "kind", str(seed), named=named, given="coordinates").turns[0]
            assert ("dog" in turn.question) is (named == 1.0)
            assert turn.regions[0].phrase == ("dog" if named else "object")


def test_two_photos_are_one_and_the_other() -> None:
    for seed in range(60):
        sample = built([photo(1, "dog"), photo(2, "cat")], "kind", str(seed))
        assert "other images" not in sample.turns[0].question + sample.turns[0].answer


def test_hard_photos_share_a_class_with_the_first() -> None:
    def sharing(hard: float) -> float:
        found = total = 0
        for sample, turn, photos in many("kind", 150, count="none", hard=hard):
            (first,) = (i for i in range(len(sample.images)) if i not in turn.asked)
            mine = {region.label for region in photos[first].regions}
            for place in turn.asked:
                found += not mine.isdisjoint(r.label for r in photos[place].regions)
                total += 1
        return found / total

    assert sharing(1.0) > sharing(0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": (1, 4)}, "images"),
        ({"images": (4, 3)}, "images"),
        ({"images": (2, 21)}, "images"),
        ({"candidates": (2, 4)}, "candidates"),
        ({"candidates": (3, 7)}, "candidates"),
        ({"marked": (0.5, 0.5)}, "marked"),
        ({"area": (0.0, 1.5)}, "area"),
        ({"shared": (-0.1, 1.0)}, "shared"),
        ({"most": 1}, "most"),
        ({"per_image": 0}, "per_image"),
        ({"named": 1.5}, "named"),
        ({"hard": -0.1}, "hard"),
        ({"power": 2.0}, "power"),
        ({"overlap": 1.1}, "overlap"),
        ({"kinds": {"kinds": 1.0}}, "unknown 'kinds'"),
        ({"kinds": {}}, "positive weights"),
        ({"kinds": {"kind": float("nan")}}, "positive weights"),
        ({"kinds": {"odd": 1.0}, "count": "many"}, "cannot have count"),
        ({"kinds": {"odd": 1.0}, "images": (2, 2)}, "need more photos"),
    ],
)
def test_settings_that_no_set_could_meet_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SemanticAssociation(**settings)


def test_groups_are_of_one_corpus_and_different_photos_and_keep_the_cap() -> None:
    for per_image in (1, 4):
        task = SemanticAssociation(per_image=per_image)
        groups = list(task.groups(index(PHOTOS), Stream("g")))
        assert audit.faults(index(PHOTOS), groups, task.grouping, cap=per_image) == []
        assert len(groups) > 30


def test_nothing_comes_of_nothing() -> None:
    assert list(SemanticAssociation().groups(index([]), Stream("g"))) == []
    alone = [photo(n, f"thing {n}") for n in range(5)]
    assert list(SemanticAssociation().groups(index(alone), Stream("g"))) == []
