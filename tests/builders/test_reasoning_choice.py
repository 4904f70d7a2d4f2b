"""What `reasoning` takes for known, which sets it chooses, and what it refuses."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from made import index, record

from builders.reasoning import WORDING, Reasoning
from builders.reasoning_kinds import KINDS
from builders.reasoning_scene import Limits, look
from builders.reasoning_words import askable, distinct
from mgdata import audit, registry
from mgdata.data import ALL, Image, Record, Region, Sample, known_absent
from mgdata.errors import Rejected, UsageError
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.wording import ImageNames

LIMITS = Limits(
    min_area=0.003, most=10, ratio=1.5, shift=0.15, difference=2, at_once=0.5, followed=0.8
)
WHOLE = Box(0, 0, 100, 100)


def photo(number: int, *shown: str | Region, **fields: Any) -> Record:
    """A photo of 100 x 100; a class by its name is one box of a quarter of it."""
    made: dict[str, Any] = {
        "key": f"made/{number}",
        "shape": "image",
        "unit": str(number),
        "images": (Image(uri=f"made:{number}.jpg", width=100, height=100),),
        "regions": tuple(
            Region(image=0, box=Box(n, 10, 50 + n, 60), label=one) if isinstance(one, str) else one
            for n, one in enumerate(shown)
        ),
        "license": "CC0-1.0",
        "exhaustive": (ALL,),
    }
    return Record(**{**made, **fields})


def counts(*records: Record) -> dict[str, tuple[int | None, ...]]:
    return look(records, ImageNames("number"), WORDING, LIMITS).counts


def made(records: list[Record], n: int = 300, start: int = 0, **settings: Any) -> list[Sample]:
    builder = Reasoning(**settings)
    return [
        sample
        for i in range(start, start + n)
        for sample in builder.build(records, Stream("t", str(i)))
        if isinstance(sample, Sample)
    ]


def refused(records: list[Record], **settings: Any) -> bool:
    with pytest.raises(Rejected) as caught:
        made(records, 1, **settings)
    return caught.value.reason == "nothing clear to ask"


def test_what_is_annotated_completely_is_counted() -> None:
    assert counts(photo(0, "dog", "dog"), photo(1), photo(2, "dog")) == {"dog": (2, 0, 1)}


@pytest.mark.parametrize(
    "unclear",
    [
        photo(1, Region(image=0, box=WHOLE, label="dog", ignore=True)),  # a crowd
        photo(1, "dog", Region(image=0, box=WHOLE, label="dog", ignore=True)),  # one and a crowd
        photo(1, "dog", Region(image=0, box=Box(0, 0, 5, 5), label="dog")),  # one is tiny
        photo(1, Region(image=0, box=Box(0, 0, 5, 5), label="dog"), "dog"),  # in either order
        photo(1, Region(image=0, box=None, label="dog")),  # annotated as not visible
        photo(1, exhaustive=()),  # nobody looked for dogs
        photo(1, exhaustive=("cat",)),  # nobody looked for dogs, only for cats
        photo(1, "dog", exhaustive=()),  # there is one, and perhaps another
        photo(1, "dog", exhaustive=("cat",), absent=("cow",)),
    ],
)
def test_what_is_not_sure_is_no_number(unclear: Record) -> None:
    assert counts(photo(0, "dog"), unclear, photo(2)) == {"dog": (1, None, 0)}


def test_what_one_photo_lists_as_absent_or_annotated_is_known() -> None:
    absent = photo(1, exhaustive=(), absent=("dog",))
    listed = photo(2, "dog", exhaustive=("dog",))
    assert counts(photo(0, "dog"), absent, listed) == {"dog": (1, 0, 1)}


def test_an_unclear_photo_lets_no_kind_ask_about_all() -> None:
    crowd = photo(1, Region(image=0, box=WHOLE, label="dog", ignore=True))
    for unclear in (crowd, photo(1, exhaustive=("cat",))):
        for kind in KINDS:
            assert refused([photo(0, "dog"), unclear, photo(2)], kinds={kind: 1.0})


def test_parts_are_no_class() -> None:
    assert counts(photo(0, "dog", "dog:ear"), photo(1)) == {"dog": (1, 0)}


@pytest.mark.parametrize(
    ("label", "word"),
    [
        ("dog", "dog"),
        ("traffic_light", "traffic light"),
        ("wine glass", "wine glass"),
        ("potted plant", "potted plant"),
        ("glass", None),  # a substance as well
        ("plant", None),  # a tree is one too
        ("broccoli", None),  # "two broccolis"
        ("skis", None),  # "a skis"
        ("scissors", None),  # no singular
        ("tomato", "tomato"),  # its plural is in the table
        ("loaf", "loaf"),
        ("swine", "swine"),
        ("dice", None),  # a plural
        ("orange juice", None),
        ("other fish", None),  # other than what
        ("cell phones", None),
        ("n02084071", None),  # a code
        ("mouse_(computer_equipment)", None),
    ],
)
def test_a_class_is_asked_for_only_by_a_countable_noun(label: str, word: str | None) -> None:
    assert askable(label) == word


@pytest.mark.parametrize(
    ("labels", "clear"),
    [
        (["dog", "cat"], {"dog", "cat"}),
        (["armchair", "chair"], set()),  # one ends in the other
        (["folding_chair", "chair", "dog"], {"dog"}),
        (["dog", "hot dog"], set()),  # cautious
        (["boy", "person"], set()),  # a kind of it
        (["bird", "dog", "ducks"], {"dog"}),  # plurals too
        (["buses", "bus"], set()),
        (["coach", "bus"], set()),
        (["cup", "mug_(for_tea)"], set()),  # what is in brackets is no name
        (["hot_dog", "hot dog"], set()),  # the same in another writing
        (["sneakers", "leather shoes", "dog"], {"dog"}),  # a kind of what the name ends in
        (["cabinet/shelf", "shelf", "dog"], {"dog"}),  # several names
        (["pickup truck", "suv", "dog"], {"dog"}),
    ],
)
def test_classes_that_may_be_mistaken_for_each_other_are_left_out(
    labels: list[str], clear: set[str]
) -> None:
    assert set(distinct(labels)) == clear


def test_weights_decide_what_is_tried_first() -> None:
    records = [photo(i, *("dog", "cat", "bus", "kite")[: 1 + i]) for i in range(4)]
    found = made(records, 400, kinds={"counting": 9.0, "odd_one_out": 1.0})
    counting = sum(sample.turns[0].kind == "count" for sample in found)
    assert abs(counting - 360) <= 3 * (400 * 0.9 * 0.1) ** 0.5


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_boxes_at_once_thereafter_or_not_at_all(share: float) -> None:
    records = [photo(0, "dog", "dog"), photo(1, "cat"), photo(2, "cat", "kite")]
    kinds = {"odd_one_out": 1.0}
    at_once = made(records, 60, kinds=kinds, at_once=1.0, followed=share)
    odd_with = [s for s in at_once if s.turns[0].kind == "boxes"]
    assert odd_with and all(len(sample.turns) == 1 for sample in odd_with)
    later = made(records, 60, kinds=kinds, at_once=0.0, followed=share)
    assert {sample.turns[0].kind for sample in later} == {"text"}
    assert {len(sample.turns) for sample in later} == {1 + int(share)}


def test_two_photos_have_no_odd_one_and_no_fair_yes_or_no() -> None:
    two = [photo(0, "dog", "dog", "cat"), photo(1, "cat", "dog")]
    assert refused(two, kinds={"odd_one_out": 1.0, "same_or_different": 1.0})
    assert made(two, 5, kinds={"counting": 1.0})


def test_more_things_than_the_most_are_neither_counted_nor_boxed() -> None:
    many = [photo(0, *["dog"] * 8), photo(1, *["dog"] * 6, "cat"), photo(2)]
    assert {s.turns[0].gold for s in made(many, 60, kinds={"counting": 1.0})} == {"1", "2"}
    few = made(many, 60, kinds={"counting": 1.0}, most=14)
    assert {sample.turns[0].gold for sample in few} == {"1", "2", "14"}
    assert max(len(turn.targets) for sample in few for turn in sample.turns) == 14


@pytest.mark.parametrize("naming", ["ordinal", "number"])
def test_images_are_called_in_one_way(naming: str) -> None:
    records = [photo(i, *("dog", "cat", "bus", "kite")[: 1 + i]) for i in range(4)]
    for sample in made(records, 60, naming=naming):
        said = " ".join(turn.question + turn.answer for turn in sample.turns)
        assert ("Image-" in said) <= (naming == "number")
        assert any(f"{nth} image" in said for nth in ("first", "second")) <= (naming == "ordinal")


def test_every_form_of_an_answer_and_of_asking_for_boxes_is_used() -> None:
    records = [record(n, "image") for n in range(40)]
    said = "\n\n".join(
        f"{turn.question}\n\n{turn.answer}"
        for i in range(900)
        for sample in made([records[(7 * i + 11 * k) % 40] for k in range(2 + i % 4)], 1, i)
        for turn in sample.turns
    )
    for name, forms in WORDING.forms.items():
        for form in forms:
            text = re.sub(r"\{([^{}|]*)\|([^{}|]*)\}", r"\2", form.text)
            # What stands before, between and after slots and items, as it is.
            parts = re.split(r"\[[^]]*\](?:\[[^]]*\])+|\{\w+\}", text)
            told = "[^\n]*?(?:\n<[^\n]*)*?".join(re.escape(part) for part in parts)
            assert re.search(rf"(?m)(?:^|[.?!>] ){told}(?:$| )", said), (name, form.text)


def test_sets_keep_the_rules_and_have_every_mixture() -> None:
    records = [record(n, "image") for n in range(300)]
    builder = Reasoning(images=(4, 4), per_image=2)
    groups = list(builder.groups(index(records), Stream("g")))
    assert len(groups) > 100
    assert audit.faults(index(records), groups, "any", cap=2) == []
    mixtures: Counter[int] = Counter()
    for group in groups:
        first, *others = (records[row] for row in group)
        labels = {region.label for region in first.regions}
        # Any class of the first may be the one that the set was made for.
        for label in sorted(labels):
            mixtures[sum(not known_absent(other, label) for other in others)] += 1
    assert set(mixtures) == {0, 1, 2, 3}


def test_the_same_stream_gives_the_same_sample_whatever_the_order_of_regions_of_a_photo() -> None:
    records = [record(n, "image") for n in range(4)]
    builder = Reasoning()
    turned = [one.__replace__(regions=tuple(reversed(one.regions))) for one in records]
    for i in range(50):
        first, second = (next(builder.build(x, Stream(str(i)))) for x in (records, turned))
        assert first == second


def test_targets_are_in_order_for_any_order_of_regions() -> None:
    dogs = [Region(image=0, box=Box(x, 0, x + 20, 40), label="dog") for x in (70, 5, 40)]
    for sample in made([photo(0, *dogs), photo(1, "dog")], 40, kinds={"number": 1.0}):
        for turn in sample.turns:
            assert all(a.box.x1 < b.box.x1 for a, b in pairwise(turn.targets))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"images": [1, 3]}, "images"),
        ({"images": [4, 3]}, "images"),
        ({"kinds": {"riddle": 1}}, "unknown 'riddle'"),
        ({"kinds": {}}, "positive weights"),
        ({"kinds": {"size": 0}}, "positive weights"),
        ({"kinds": {"size": float("nan")}}, "positive weights"),
        ({"kinds": {"odd_one_out": 1}, "images": [2, 2]}, "need three"),
        ({"at_once": 1.5}, "0 to 1"),
        ({"ratio": 1.0}, "ratio > 1"),
        ({"difference": 0}, "difference >= 1"),
        ({"most": 1}, "most >= 2"),
        ({"per_image": 0}, "per_image >= 1"),
    ],
)
def test_settings_that_nothing_could_meet_are_refused(settings: Any, told: str) -> None:
    with pytest.raises((UsageError, ValueError), match=told):
        registry.make("builders", "reasoning", settings, "recipe.yaml: tasks.t.with")


@pytest.mark.parametrize(
    ("box", "clear"),
    [
        (Box(20, 20, 30, 30), True),  # 1 % of the photo, inside
        (Box(0, 20, 10, 30), False),  # as large, cut by the edge
        (Box(90, 20, 100, 30), False),
        (Box(0, 20, 40, 60), True),  # large enough to be no mere part that reaches in
    ],
)
def test_what_the_edge_all_but_cuts_off_leaves_a_count_unknown(box: Box, clear: bool) -> None:
    records = [photo(0, Region(image=0, box=box, label="dog"))]
    scene = look(records, ImageNames("ordinal"), WORDING, LIMITS)
    assert scene.counts == {"dog": (1 if clear else None,)}


def test_a_list_to_choose_from_reads_as_english() -> None:
    for name in ("logic_but_not", "logic_every"):
        for form in WORDING.forms[name]:
            assert not re.search(r"(among|between|[Cc]hoose from) \{kinds\}", form.text)
