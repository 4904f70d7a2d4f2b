from __future__ import annotations

import difflib
import re
from collections import Counter
from itertools import combinations

import pytest
from made import index, record

from builders.group_grounding import WORDING, GroupGrounding
from builders.group_grounding_turns import of_label, of_phrase
from mgdata.data import ALL, Image, Record, Region, Sample, Turn, complete, known_absent
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.notations.qwen2_vl import Qwen2VL
from mgdata.validity import sample_fault


def photo(
    number: int,
    *shown: str,
    exhaustive: tuple[str, ...] = (ALL,),
    absent: tuple[str, ...] = (),
    ignored: str = "",
) -> Record:
    """A photo of 100 x 100 with a thing for each of `label` or `label=phrase`."""
    regions: list[Region] = []
    for i, text in enumerate(shown):
        label, _, phrase = text.partition("=")
        box = Box(10 * i, number, 10 * i + 30, number + 30)
        regions.append(Region(image=0, box=box, label=label, phrase=phrase or None))
    if ignored:
        regions.append(Region(image=0, box=Box(0, 0, 9, 9), label=ignored, ignore=True))
    return Record(
        key=f"made/{number}",
        shape="image",
        unit=str(number),
        images=(Image(uri=f"made:{number}.jpg", width=100, height=100),),
        regions=tuple(regions),
        license="CC0-1.0",
        exhaustive=exhaustive,
        absent=absent,
    )


def built(records: list[Record], seed: str = "s", **settings: object) -> list[Sample]:
    found = list(GroupGrounding(**settings).build(records, Stream(seed)))  # type: ignore[arg-type]
    samples = [sample for sample in found if isinstance(sample, Sample)]
    assert [sample_fault(sample) for sample in samples] == [None] * len(found)
    return samples


def asked(records: list[Record], **settings: object) -> set[str]:
    """All that a set of photos is ever asked about."""
    found: set[str] = set()
    for seed in range(60):
        try:
            samples = built(records, str(seed), direction="ground", **settings)
        except Rejected:
            continue
        found |= {str(t.phrase) for s in samples for turn in s.turns for t in turn.targets}
    return found


def three() -> list[Record]:
    return [
        photo(1, "dog=brown dog", "cat"),
        photo(2, "cat=black cat", "bus"),
        photo(3, "kite", "tree"),
    ]


def test_only_what_is_in_one_photo_alone_is_asked_for() -> None:
    assert asked(three()) == {"brown dog", "bus", "kite", "tree"}


@pytest.mark.parametrize(
    ("records", "right"),
    [
        # two dogs in one photo, and a crowd of dogs beside the dog
        ([photo(1, "dog", "dog"), photo(2, "cat")], {"cat"}),
        ([photo(1, "dog", ignored="dog"), photo(2, "cat")], {"cat"}),
        # a crowd of dogs in another photo
        ([photo(1, "dog"), photo(2, "cat", ignored="dog")], {"cat"}),
        # nobody looked for dogs in the other photo
        ([photo(1, "dog"), photo(2, "cat", exhaustive=("cat",))], {"cat"}),
        ([photo(1, "dog"), photo(2, "cat", exhaustive=("cat",), absent=("dog",))], {"cat", "dog"}),
        ([photo(1, "dog"), photo(2, "cat", exhaustive=("cat", "dog"))], {"cat", "dog"}),
        # nobody looked for more dogs in the dog's own photo
        ([photo(1, "dog", exhaustive=()), photo(2, "cat")], set()),
        # the same phrase for two classes
        ([photo(1, "man=tall person"), photo(2, "woman=tall person", "cat")], {"cat"}),
        # a class that is called as a phrase of another
        ([photo(1, "dog"), photo(2, "toy=dog", "cat")], {"cat"}),
        # no words
        ([photo(1, "n02084071"), photo(2, "chair:leg", "cat")], {"cat"}),
        ([photo(1, "dog=it is a dog"), photo(2, "cat")], {"cat"}),
    ],
)
def test_what_fits_two_regions_or_is_not_known_is_not_asked_for(
    records: list[Record], right: set[str]
) -> None:
    assert asked(records) == right


@pytest.mark.parametrize(
    ("shown", "right"),
    [
        (["dog=brown dog", "dog=white dog"], {"brown dog", "white dog"}),
        # the second dog may be brown too
        (["dog=brown dog", "dog"], set()),
        # `brown dog` fits the other one
        (["dog=brown dog", "dog=brown dog with a ball"], {"brown dog with a ball"}),
        (["dog=brown dog", "dog=Brown  dog"], set()),
    ],
)
def test_a_phrase_may_tell_apart_things_of_one_class(shown: list[str], right: set[str]) -> None:
    records = [photo(1, *shown), photo(2), photo(3)]
    assert asked(records, unique="phrase") == right
    assert asked(records) == set()


def test_words_are_phrases_or_labels_as_set() -> None:
    assert asked(three(), words="phrase") == {"brown dog"}
    assert asked(three(), words="label") == {"dog", "bus", "kite", "tree"}


def test_the_size_band_holds_for_what_is_asked() -> None:
    assert asked(three(), area=(0.2, 0.8)) == set()
    with pytest.raises(Rejected, match="nothing unique"):
        built(three(), area=(0.2, 0.8))


def test_a_set_that_cannot_give_enough_questions_is_rejected() -> None:
    with pytest.raises(Rejected, match="nothing unique"):
        built(three(), asked=(5, 6))
    assert {
        len(built(three(), str(i), asked=(1, 4), turns="polling")[0].turns) for i in range(99)
    } == {1, 2, 3, 4}


def test_the_answer_is_the_region_that_the_question_names() -> None:
    boxes = {
        (r.images[0].uri, region.phrase or region.label): region.box
        for r in three()
        for region in r.regions
    }
    for seed in range(80):
        for sample in built(three(), str(seed)):
            for turn in sample.turns:
                if turn.kind == "text":
                    (given,) = turn.regions
                    assert turn.targets == ()
                    assert given.phrase is None
                    assert boxes[sample.images[given.image].uri, turn.gold] == given.box
                    assert turn.gold in turn.answer
                    assert turn.gold not in turn.question
                    assert turn.asked == (given.image,)
                for target in turn.targets:
                    assert boxes[sample.images[target.image].uri, target.phrase or ""] == target.box
                    assert str(target.phrase) in turn.question
                    assert turn.asked == ()


def test_the_groups_of_many_records_can_be_asked_and_are_unique() -> None:
    records = {record(n, "image").key: record(n, "image") for n in range(80)}
    rows = list(records.values())
    task = GroupGrounding(direction="ground")
    groups = list(task.groups(index(rows), Stream("g")))
    assert len(groups) > 40
    for group in groups:
        for sample in task.build([rows[row] for row in group], Stream("b", str(group))):
            assert isinstance(sample, Sample)
            shown = [records[key] for key in sample.records]
            for turn in sample.turns:
                for target in turn.targets:
                    unique(shown, sample, target.image, target.box)


def unique(records: list[Record], sample: Sample, image: int, box: Box) -> None:
    """Nothing else in any of the photos has the class of what is in the box."""
    own = next(r for r in records if r.images[0].uri == sample.images[image].uri)
    label = next(region.label for region in own.regions if region.box == box)
    assert complete(own, label)
    assert sum(region.label == label for region in own.regions) == 1
    assert all(known_absent(r, label) for r in records if r is not own)


def test_phrases_alone_need_photos_that_have_some() -> None:
    records = [photo(n, "dog" if n % 2 else "cat=black cat") for n in range(40)]
    groups = list(GroupGrounding(words="phrase").groups(index(records), Stream("g")))
    assert groups == []
    records += [photo(n, "bus=red bus") for n in range(40, 60)]
    groups = list(GroupGrounding(words="phrase", images=(2, 2)).groups(index(records), Stream("g")))
    assert len(groups) > 10
    assert all(records[row].regions[0].phrase for group in groups for row in group)


def test_targets_are_equally_often_in_every_image() -> None:
    records = [record(n, "image") for n in range(60)]
    task = GroupGrounding(images=(4, 4), asked=(1, 1), direction="ground", per_image=9)
    places: Counter[int] = Counter()
    for group in task.groups(index(records), Stream("g")):
        for repeat in range(8):
            for sample in task.build(
                [records[row] for row in group], Stream(str(repeat), str(group))
            ):
                assert isinstance(sample, Sample)
                places[sample.turns[0].targets[0].image] += 1
    expected = places.total() / 4
    assert expected > 100
    assert sum((n - expected) ** 2 / expected for n in places.values()) < 16.3  # p 0.001
    assert len(places) == 4


def test_one_image_may_be_asked_about_twice() -> None:
    same = 0
    for i in range(200):
        (sample,) = built(three(), str(i), asked=(2, 2), turns="polling", direction="ground")
        first, second = (turn.targets[0] for turn in sample.turns)
        same += first.image == second.image
        assert (first.image, first.box) != (second.image, second.box)
    assert 20 < same < 120


def test_turns_are_polled_at_once_or_apart() -> None:
    settings = {"asked": (3, 3), "direction": "ground"}
    (polled,) = built(three(), turns="polling", **settings)
    assert [len(turn.targets) for turn in polled.turns] == [1, 1, 1]
    (whole,) = built(three(), turns="all", **settings)
    assert [len(turn.targets) for turn in whole.turns] == [3]
    apart = built(three(), turns="apart", **settings)
    assert [len(sample.turns) for sample in apart] == [1, 1, 1]
    assert len({sample.id for sample in apart}) == 3
    nexts = [form.text.split("{thing}")[0] for form in WORDING.forms["ask_next"]]
    for sample in apart:
        question = sample.turns[0].question.split("\n")[-1]
        assert not any(question.startswith(start) and len(start) > 9 for start in nexts)


def test_directions_are_as_set_and_never_mixed_in_a_sample() -> None:
    kinds: Counter[str] = Counter()
    for i in range(200):
        (sample,) = built(three(), str(i), turns="polling")
        (kind,) = {turn.kind for turn in sample.turns}
        kinds[kind] += 1
    assert 70 < kinds["text"] < 130
    for direction, kind in (("ground", "boxes"), ("describe", "text")):
        for i in range(20):
            for sample in built(three(), str(i), direction=direction):
                assert {turn.kind for turn in sample.turns} == {kind}


def test_the_question_never_names_the_image_to_be_found() -> None:
    for i in range(200):
        for sample in built(three(), str(i), direction="ground"):
            for turn in sample.turns:
                text = re.sub(r"<image:\d>", "", turn.question)
                assert not re.search(r"Image-\d|(first|second|third) image\b(?!, second)", text)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("brown dog", "the brown dog"),
        ("a man in red", "a man in red"),
        ("the left-most cup.", "the left-most cup"),
        ("Two  dogs on grass", "Two dogs on grass"),
        ("man that is running", "the man that is running"),
        ("picture frame on a wall", "the picture frame on a wall"),
        # no noun phrases, as far as rules can see
        ("it is a dog", None),
        ("the dog is brown", None),
        ("in the corner", None),
        ("dog next to a", None),
        ("dog next to the", None),
        ("<image> dog", None),
        ("the dog in the second image", None),
        ("dog (12, 13)\nin", None),
        ("What a dog!", None),
        ("", None),
        ("...", None),
        ("7", None),
        ("word " * 30, None),
    ],
)
def test_a_phrase_is_used_where_it_names_a_thing(text: str, spoken: str | None) -> None:
    words = of_phrase(text)
    assert (words.thing if words else None) == spoken


@pytest.mark.parametrize(
    ("label", "gold", "spoken"),
    [
        ("dog", "dog", "a dog"),
        ("umbrella", "umbrella", "an umbrella"),
        ("street lights", "street lights", "the street lights"),
        ("cabinet/shelf", "cabinet or shelf", "a cabinet or shelf"),
        ("crab_(animal)", "crab", "a crab"),
        ("skis", "skis", "skis"),
        ("bread", "bread", "bread"),
        ("traffic_light", "traffic light", "a traffic light"),
    ],
)
def test_a_label_is_spoken_of_with_an_article(label: str, gold: str, spoken: str) -> None:
    assert of_label(label) == (gold, spoken)


def turns(n: int, **settings: object) -> list[tuple[Turn, Sample]]:
    return [
        (turn, sample)
        for i in range(n)
        for sample in built(three(), str(i), naming="number", **settings)
        for turn in sample.turns
    ]


def test_every_form_is_used_and_reads_as_a_sentence() -> None:
    seen: set[str] = set()
    for turn, sample in turns(1200):
        for text in (re.sub(r"<image:\d>\n", "", turn.question), turn.answer):
            assert re.match(r"[\-A-Z]", text), text
            assert "  " not in text
            text = re.sub(r"Image-\d|<\w+:\d>", "*", text)
            seen.add(re.sub(r"(?:[Tt]he|[Aa]) (?:brown dog|kite|bus|tree)", "#", text))
        found = Qwen2VL().parse(Qwen2VL().answer(turn, sample.images), turn, sample.images)
        assert [t.image for t in sorted(found, key=lambda t: t.image)] == [
            t.image for t in turn.targets
        ]
    assert len(seen) >= 0.9 * sum(len(forms) for forms in WORDING.forms.values())


@pytest.mark.parametrize("name", ["ask", "ask_next", "ask_all", "describe", "describe_next"])
def test_questions_differ_in_more_than_a_word(name: str) -> None:
    texts = [form.text for form in WORDING.forms[name]]
    assert len(texts) >= 20
    for one, other in combinations(texts, 2):
        words = [re.findall(r"[a-z']+", re.sub(r"\{.*?\}", "", t).lower()) for t in (one, other)]
        if min(map(len, words)) > 3:
            assert difflib.SequenceMatcher(None, *words, autojunk=False).ratio() < 0.75, texts


@pytest.mark.parametrize("name", ["answer", "answer_all", "answer_words"])
def test_answers_have_eight_forms(name: str) -> None:
    assert len(WORDING.forms[name]) >= 8


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"images": (1, 3)}, "images"),
        ({"asked": (0, 3)}, "asked"),
        ({"asked": (3, 2)}, "asked"),
        ({"area": (0.5, 0.5)}, "area"),
        ({"unique": "phrase", "words": "label"}, "unique"),
        ({"power": 2.0}, "power"),
        ({"per_image": 0}, "per_image"),
    ],
)
def test_settings_that_nothing_meets_are_refused(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        GroupGrounding(**settings)  # type: ignore[arg-type]
