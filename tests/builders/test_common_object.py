from __future__ import annotations

import difflib
import re
from collections import Counter
from itertools import combinations

import pytest
from made import index, record

from builders.asking import called, thing
from builders.common_object import WORDING, CommonObject
from mgdata.data import ALL, Image, Record, Region, Sample
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.notations.qwen2_vl import Qwen2VL
from mgdata.validity import sample_fault


def photo(number: int, *labels: str, exhaustive: str = ALL, ignored: str = "") -> Record:
    """A photo of 100 x 100; each label has a box of a fifth of it, at a place of its own."""
    regions = [
        Region(image=0, box=Box(number, i, number + 40, i + 50), label=label)
        for i, label in enumerate(labels)
    ]
    if ignored:
        regions.append(Region(image=0, box=Box(0, 0, 9, 9), label=ignored, ignore=True))
    return Record(
        key=f"made/{number}",
        shape="image",
        unit=str(number),
        images=(Image(uri=f"made:{number}.jpg", width=100, height=100),),
        regions=tuple(regions),
        license="CC0-1.0",
        exhaustive=(exhaustive,),
    )


def built(records: list[Record], seed: str = "s", **settings: object) -> list[Sample]:
    found = list(CommonObject(**settings).build(records, Stream(seed)))  # type: ignore[arg-type]
    assert [sample_fault(sample) for sample in found if isinstance(sample, Sample)] == [None] * len(
        found
    )
    return [sample for sample in found if isinstance(sample, Sample)]


def three(label: str = "dog") -> list[Record]:
    return [photo(1, label, "cat"), photo(2, label), photo(3, "bus", label)]


def test_every_photo_has_its_one_box_of_what_they_share() -> None:
    for seed in range(40):
        (sample,) = built(three(), str(seed), turns="all")
        (turn,) = sample.turns
        assert [target.image for target in turn.targets] == [0, 1, 2]
        for target in turn.targets:
            source = next(r for r in three() if r.images[0] == sample.images[target.image])
            assert target.box == next(r.box for r in source.regions if r.label == "dog")
            assert target.phrase == "dog"


def test_the_groups_of_many_records_share_one_class_of_one_thing_each() -> None:
    records = [record(n, "image") for n in range(80)]
    task = CommonObject()
    groups = list(task.groups(index(records), Stream("g")))
    assert len(groups) > 20
    for group in groups:
        members = [records[row] for row in group]
        (shared,) = set.intersection(*({r.label for r in m.regions} for m in members))
        for member in members:
            (one,) = [r for r in member.regions if r.label == shared]
            assert one.box is not None
            assert 0.12 <= one.box.area / (640 * 480) <= 0.64
        sample = next(iter(task.build(members, Stream("b"))))
        assert isinstance(sample, Sample)
        assert {t.phrase for turn in sample.turns for t in turn.targets} == {shared}


def test_photos_come_in_any_order() -> None:
    firsts = Counter(built(three(), str(i))[0].images[0].uri for i in range(600))
    assert sum((n - 200) ** 2 / 200 for n in firsts.values()) < 13.8  # 2 degrees, p 0.001


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        # nothing in common, and two things in common
        ([photo(1, "dog"), photo(2, "cat"), photo(3, "bus")], "not one class"),
        ([photo(1, "dog", "cat"), photo(2, "dog", "cat")], "not one class"),
        # a second dog, a group of dogs, a dog that a filter will not have asked for
        ([photo(1, "dog", "dog"), photo(2, "dog")], "no single thing"),
        ([photo(1, "dog", ignored="dog"), photo(2, "dog")], "no single thing"),
        ([photo(1, ignored="dog"), photo(2, "dog")], "no single thing"),
        # what else they share is not known
        ([photo(1, "dog", exhaustive="dog"), photo(2, "dog")], "not all annotated"),
    ],
)
def test_a_set_without_one_clear_answer_is_rejected(records: list[Record], reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        built(records)


def test_an_ignored_class_in_common_is_in_common_all_the_same() -> None:
    with pytest.raises(Rejected, match="not one class"):
        built([photo(1, "dog", ignored="cat"), photo(2, "dog", "cat")])


def test_photos_with_one_class_annotated_are_for_those_who_ask() -> None:
    records = [photo(n, "dog", exhaustive="dog") for n in (1, 2, 3)]
    assert built(records, complete=False)
    assert list(CommonObject().groups(index(records), Stream("g"))) == []
    assert len(list(CommonObject(complete=False).groups(index(records), Stream("g")))) == 1
    unknown = [photo(n, "dog", exhaustive="cat") for n in (1, 2, 3)]
    assert list(CommonObject(complete=False).groups(index(unknown), Stream("g"))) == []


def test_the_size_band_holds_for_every_target() -> None:
    with pytest.raises(Rejected, match="no single thing"):
        built(three(), area=(0.3, 0.64))


def test_turns_are_polled_at_once_or_apart() -> None:
    (polled,) = built(three(), turns="polling")
    assert [len(turn.targets) for turn in polled.turns] == [1, 1, 1]
    assert sorted(turn.asked for turn in polled.turns) == [(0,), (1,), (2,)]
    apart = built(three(), turns="apart")
    assert [len(sample.turns) for sample in apart] == [1, 1, 1]
    assert len({sample.id for sample in apart}) == 3
    nexts = {form.text for form in WORDING.forms["ask_next"]}
    assert not any(sample.turns[0].question.split("\n")[-1] in nexts for sample in apart)
    lengths = Counter(len(built(three(), str(i))[0].turns) for i in range(200))
    assert set(lengths) == {1, 3}


def test_the_class_is_told_only_where_it_is_asked_for() -> None:
    for i in range(150):
        for sample in built(three(), str(i), turns="apart"):
            assert not any("dog" in turn.question for turn in sample.turns)
    told = [
        any("dog" in turn.question for turn in built(three(), str(i), named=0.5)[0].turns)
        for i in range(200)
    ]
    assert 70 < sum(told) < 130


@pytest.mark.parametrize(
    ("label", "answered"),
    [
        ("dog", "a dog"),
        ("apple", "an apple"),
        ("street lights", '"street lights"'),
        ("cabinet/shelf", "a cabinet or shelf"),
        ("other fish", "a fish"),
        ("toilet_paper", " toilet paper"),
        ("scissors", " scissors"),
        ("tench, tinca tinca", "a tench"),
        ("car_(automobile)", "a car"),
        ("traffic_light", "a traffic light"),
    ],
)
def test_answers_name_the_class_in_words(label: str, answered: str) -> None:
    for i in range(60):
        (sample,) = built(three(label), str(i), turns="all", naming="number")
        answer = sample.turns[0].answer
        assert answered in answer
        assert "_" not in answer


def test_what_nobody_counts_has_no_article() -> None:
    for label in ("toilet_paper", "bread", "scissors", "okra"):
        words = called(label)
        assert words is not None
        assert thing(words) == words
    assert thing("bread knife") == "a bread knife"


def test_what_is_spoken_letter_by_letter_is_written_so() -> None:
    assert called("tv") == "TV" and thing("TV") == "a TV"
    assert called("CD player") == "CD player"
    assert called("moniter/tv") == "moniter or TV"


def test_a_code_is_no_name() -> None:
    assert called("n02084071") is None
    assert called("chair:leg") is None
    assert called("Canned") is None  # an adjective
    assert called("Table Tennis") is None  # a ball or a table
    assert thing("street lights") == '"street lights"'
    for i in range(100):
        (sample,) = built(three("n02084071"), str(i), named=1.0)
        text = " ".join(turn.question + turn.answer for turn in sample.turns)
        assert "n02084071" not in text
        assert not re.search(r"\{|\}|None", text)
        assert {t.phrase for turn in sample.turns for t in turn.targets} == {None}


@pytest.mark.parametrize("naming", ["ordinal", "number"])
def test_images_are_named_in_one_way(naming: str) -> None:
    for i in range(100):
        for sample in built(three(), str(i), naming=naming):
            text = " ".join(turn.question + turn.answer for turn in sample.turns)
            text = re.sub(r"<image:\d>", "", text)
            assert bool(re.search(r"Image-\d", text)) <= (naming == "number")
            assert bool(re.search(r"(first|second|third) image", text, re.I)) <= (
                naming == "ordinal"
            )


def test_every_form_is_used_and_reads_as_a_sentence() -> None:
    seen: set[str] = set()
    for i in range(700):
        for sample in built(three(), str(i), naming="number", named=0.4):
            for turn in sample.turns:
                for text in (turn.question.split("\n")[-1], turn.answer):
                    assert re.match(r'["<\-A-Z]', text), text
                    assert "  " not in text
                    seen.add(re.sub(r"Image-\d|<target:\d>", "*", text))
                assert Qwen2VL().parse(Qwen2VL().answer(turn, sample.images), turn, sample.images)
    assert sum(len(forms) for forms in WORDING.forms.values()) * 0.8 < len(seen)


@pytest.mark.parametrize(
    "name", ["ask_all", "ask_all_named", "ask_one", "ask_one_named", "ask_next"]
)
def test_questions_differ_in_more_than_a_word(name: str) -> None:
    texts = [form.text for form in WORDING.forms[name]]
    assert len(texts) >= (12 if name.endswith("named") else 20)
    for one, other in combinations(texts, 2):
        words = [re.findall(r"[a-z']+", re.sub(r"\{.*?\}", "", t).lower()) for t in (one, other)]
        assert difflib.SequenceMatcher(None, *words, autojunk=False).ratio() < 0.75, (one, other)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"images": (1, 3)}, "images"),
        ({"images": (4, 3)}, "images"),
        ({"area": (0.5, 0.5)}, "area"),
        ({"named": 1.5}, "named"),
        ({"power": -1.0}, "power"),
        ({"per_image": 0}, "per_image"),
    ],
)
def test_settings_that_nothing_meets_are_refused(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        CommonObject(**settings)  # type: ignore[arg-type]


def test_a_photo_is_used_up_to_its_cap() -> None:
    records = [record(n, "image") for n in range(80)]
    for cap in (1, 2):
        groups = CommonObject(per_image=cap).groups(index(records), Stream("g"))
        used = Counter(row for group in groups for row in group)
        assert max(used.values()) == cap
