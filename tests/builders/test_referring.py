from __future__ import annotations

import difflib
import re
from collections import Counter
from itertools import combinations

import pytest
from made import index, record

from builders.referring import WORDING, Referring
from mgdata.data import ALL, Image, Record, Region, Sample
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.validity import sample_fault

LARGE = Box(10, 10, 80, 80)
SMALL = Box(60, 60, 80, 80)
TINY = Box(1, 1, 6, 6)


def photo(number: int, *shown: tuple[str, Box], exhaustive: str = ALL, ignored: str = "") -> Record:
    regions = [Region(image=0, box=box, label=label) for label, box in shown]
    if ignored:
        regions.append(Region(image=0, box=TINY, label=ignored, ignore=True))
    return Record(
        key=f"made/{number}",
        shape="image",
        unit=str(number),
        images=(Image(uri=f"made:{number}.jpg", width=100, height=100),),
        regions=tuple(regions),
        license="CC0-1.0",
        exhaustive=(exhaustive,),
    )


def shown() -> Record:
    return photo(1, ("dog", LARGE), ("bowl", TINY))


def searched() -> Record:
    return photo(2, ("cat", LARGE), ("dog", SMALL))


def built(records: list[Record], seed: str = "s", **settings: object) -> Sample:
    (sample,) = Referring(**settings).build(records, Stream(seed))  # type: ignore[arg-type]
    assert isinstance(sample, Sample)
    assert sample_fault(sample) is None
    return sample


def test_the_target_is_the_thing_of_the_same_class_in_the_second_image() -> None:
    for seed in range(30):
        sample = built([shown(), searched()], str(seed))
        assert [image.uri for image in sample.images] == ["made:1.jpg", "made:2.jpg"]
        (turn,) = sample.turns
        (target,) = turn.targets
        assert (target.image, target.box, target.phrase) == (1, SMALL, "dog")
        assert turn.asked == (1,)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        # two dogs to find; a crowd of dogs beside the dog; a dog too large
        (shown(), photo(2, ("dog", SMALL), ("dog", TINY)), "to find"),
        (shown(), photo(2, ("dog", SMALL), ignored="dog"), "to find"),
        (shown(), photo(2, ("dog", LARGE)), "to find"),
        # whether there are more dogs is not known
        (shown(), photo(2, ("dog", SMALL), exhaustive="cat"), "to find"),
        (photo(1, ("dog", LARGE), exhaustive="cat"), searched(), "to show"),
        # two dogs to show; one too small
        (photo(1, ("dog", LARGE), ("dog", TINY)), searched(), "to show"),
        (photo(1, ("dog", SMALL)), searched(), "to show"),
        # the bowl, or the cat, could be meant as well
        (photo(1, ("dog", LARGE), ("cat", SMALL)), searched(), "not one class"),
        (photo(1, ("dog", LARGE), ("bowl", Box(0, 0, 60, 60))), searched(), "nearly as large"),
        (photo(1, ("bowl", LARGE)), searched(), "not one class"),
        # cut by the edge
        (photo(1, ("dog", Box(0, 10, 80, 80))), searched(), "edge"),
        (photo(1, ("dog", Box(10, 10, 80, 99.5))), searched(), "edge"),
    ],
)
def test_a_pair_without_one_clear_answer_is_rejected(
    first: Record, second: Record, reason: str
) -> None:
    with pytest.raises(Rejected, match=reason):
        built([first, second])


def test_a_thing_at_the_edge_may_be_shown_where_that_is_set() -> None:
    first = photo(1, ("dog", Box(0, 10, 80, 80)))
    assert built([first, searched()], whole=False)
    cut = shown().__replace__(regions=(Region(image=0, box=LARGE, label="dog", clipped=True),))
    with pytest.raises(Rejected, match="edge"):
        built([cut, searched()])


def test_one_annotated_class_a_photo_is_enough_unless_all_are_asked_for() -> None:
    pair = [photo(1, ("dog", LARGE), exhaustive="dog"), photo(2, ("dog", SMALL), exhaustive="dog")]
    assert built(pair)
    assert list(Referring().groups(index(pair), Stream("g"))) == [(0, 1)]
    assert list(Referring(complete=True).groups(index(pair), Stream("g"))) == []
    with pytest.raises(Rejected, match="not all annotated"):
        built(pair, complete=True)


def test_the_groups_of_many_records_are_large_and_small_and_share_one_class() -> None:
    records = [record(n, "image") for n in range(80)]
    task = Referring()
    groups = list(task.groups(index(records), Stream("g")))
    assert len(groups) > 20
    for a, b in groups:
        first, second = records[a], records[b]
        (shared,) = {r.label for r in first.regions} & {r.label for r in second.regions}
        (large,) = [r.box for r in first.regions if r.label == shared]
        (small,) = [r.box for r in second.regions if r.label == shared]
        assert large is not None and small is not None
        assert large.area == max(r.box.area for r in first.regions if r.box)
        assert 0.005 <= small.area / (640 * 480) <= 0.15
        assert 0.2 <= large.area / (640 * 480) <= 0.9
    assert max(Counter(row for group in groups for row in group).values()) <= 3
    assert len({frozenset(group) for group in groups}) == len(groups)


def test_the_class_is_told_only_where_it_is_asked_for() -> None:
    told = Counter(
        "dog" in built([shown(), searched()], str(i)).turns[0].question for i in range(200)
    )
    assert told == {False: 200}
    half = [
        "dog" in built([shown(), searched()], str(i), named=0.5).turns[0].question
        for i in range(200)
    ]
    assert 70 < sum(half) < 130


def test_a_class_without_a_name_is_never_told() -> None:
    pair = [photo(1, ("n02084071", LARGE)), photo(2, ("n02084071", SMALL))]
    for i in range(60):
        (turn,) = built(pair, str(i), named=1.0).turns
        assert "n02084071" not in turn.question + turn.answer
        assert turn.targets[0].phrase is None


@pytest.mark.parametrize("naming", ["ordinal", "number"])
def test_images_are_named_in_one_way(naming: str) -> None:
    for i in range(100):
        (turn,) = built([shown(), searched()], str(i), naming=naming, named=0.5).turns
        text = re.sub(r"<image:\d>\n", "", turn.question) + turn.answer
        assert bool(re.search(r"Image-[12]", text)) is (naming == "number")
        assert bool(re.search(r"(first|second) image", text, re.I)) is (naming == "ordinal")


def test_every_form_is_used_and_reads_as_a_sentence() -> None:
    asked: set[str] = set()
    answered: set[str] = set()
    for i in range(900):
        (turn,) = built([shown(), searched()], str(i), named=0.4, naming="number").turns
        question = turn.question.split("\n")[-1]
        assert re.match(r"[A-Z]", question), question
        asked.add(question)
        answered.add(turn.answer)
    assert len(asked) == len(WORDING.forms["ask"]) + len(WORDING.forms["ask_named"])
    assert len(answered) == len(WORDING.forms["answer"]) >= 8


@pytest.mark.parametrize(("name", "least"), [("ask", 20), ("ask_named", 12)])
def test_questions_differ_in_more_than_a_word(name: str, least: int) -> None:
    texts = [form.text for form in WORDING.forms[name]]
    assert len(texts) >= least
    for one, other in combinations(texts, 2):
        words = [re.findall(r"[a-z']+", re.sub(r"\{.*?\}", "", t).lower()) for t in (one, other)]
        assert difflib.SequenceMatcher(None, *words, autojunk=False).ratio() < 0.75, (one, other)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"reference": (0.9, 0.2)}, "reference"),
        ({"area": (0.1, 1.2)}, "area"),
        ({"area": (0.1, 0.95)}, "area"),
        ({"named": 2.0}, "named"),
        ({"margin": -0.1}, "margin"),
        ({"per_image": 0}, "per_image"),
    ],
)
def test_settings_that_nothing_meets_are_refused(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Referring(**settings)  # type: ignore[arg-type]
