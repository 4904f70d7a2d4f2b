from __future__ import annotations

import difflib
import re
from collections import Counter
from itertools import combinations
from typing import Any

import pytest
from made import index
from made import record as made_record

from builders.correspondence import WORDING, Correspondence
from builders.parts import NO_FUNCTION, name_of, thing_of
from mgdata import audit
from mgdata.data import ALL, Image, Record, Region, Sample
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.notations.qwen3_vl import Qwen3VL
from mgdata.validity import sample_fault


def photo(
    number: int,
    *labels: str,
    exhaustive: tuple[str, ...] = (ALL,),
    ignored: tuple[str, ...] = (),
    side: float = 30.0,
) -> Record:
    """A photo of 400 x 300 with a box apart from the others for each label."""
    shown = [*labels, *ignored]
    regions = [
        Region(
            image=0,
            box=Box(45.0 * (k % 8), 45.0 * (k // 8), 45.0 * (k % 8) + side, 45.0 * (k // 8) + side),
            label=label,
            ignore=k >= len(labels),
        )
        for k, label in enumerate(shown)
    ]
    return Record(
        key=f"made/{number}",
        shape="image",
        unit=f"unit {number}",
        images=(Image(uri=f"made:{number}.jpg", width=400, height=300),),
        regions=tuple(regions),
        license="CC0-1.0",
        exhaustive=exhaustive,
    )


def built(first: Record, second: Record, n: int = 20, **settings: Any) -> list[Sample]:
    wide: dict[str, Any] = {"area": (0.0, 1.0), **settings}
    builder = Correspondence(**wide)
    return [
        sample
        for i in range(n)
        for sample in builder.build([first, second], Stream("t", str(i)))
        if isinstance(sample, Sample)
    ]


def answer(first: Record, second: Record, **settings: Any) -> set[str]:
    """Labels in image 2 that are the answer."""
    labels = {region.box: region.label for region in second.regions}
    samples = built(first, second, **settings)
    assert all(len(s.turns) == 1 and len(s.turns[0].targets) == 1 for s in samples)
    return {labels[s.turns[0].targets[0].box] for s in samples}


def no_answer(first: Record, second: Record, **settings: Any) -> bool:
    with pytest.raises(Rejected):
        built(first, second, **settings)
    return True


MUG = photo(1, "mug", "mug:handle")


def test_the_same_part_of_the_same_kind_of_object_is_found() -> None:
    second = photo(2, "chair:seat", "mug", "mug:handle", "mug:body")
    assert answer(MUG, second, kinds="semantic") == {"mug:handle"}
    assert no_answer(MUG, second, kinds="functional")


def test_the_part_of_the_same_purpose_on_another_object_is_found() -> None:
    second = photo(2, "drawer", "drawer:handle", "drawer:body")
    assert answer(MUG, second) == {"drawer:handle"}
    assert no_answer(MUG, second, kinds="semantic")


@pytest.mark.parametrize(
    ("labels", "ignored"),
    [
        (("mug", "mug:handle", "mug:handle"), ()),  # two of the part
        (("mug", "mug", "mug:handle"), ()),  # two mugs, one without an annotated handle
        (("mug", "mug:handle"), ("mug",)),  # several mugs in one region
        (("mug", "mug:handle"), ("mug:handle",)),
        (("mug",), ("mug:handle",)),  # a filter took it out
        (("mug",), ()),
    ],
)
def test_a_semantic_question_needs_one_part_of_one_object(
    labels: tuple[str, ...], ignored: tuple[str, ...]
) -> None:
    assert no_answer(MUG, photo(2, *labels, ignored=ignored), kinds="semantic")


@pytest.mark.parametrize(
    ("labels", "ignored"),
    [
        (("drawer:handle", "door:handle"), ()),  # two parts serve
        (("drawer:handle", "mug:handle"), ()),  # the same part is there too
        (("drawer:handle",), ("door:handle",)),
        (("drawer", "drawer", "drawer:handle"), ()),
    ],
)
def test_a_functional_question_needs_one_part_of_its_purpose_over_all_objects(
    labels: tuple[str, ...], ignored: tuple[str, ...]
) -> None:
    assert no_answer(MUG, photo(2, *labels, ignored=ignored), kinds="functional")


def test_a_part_of_which_not_every_instance_is_annotated_is_no_answer() -> None:
    second = photo(2, "mug", "mug:handle", exhaustive=("mug",))
    assert no_answer(MUG, second)
    assert answer(MUG, photo(2, "mug", "mug:handle", exhaustive=("mug", "mug:handle")))


def test_where_other_parts_may_be_unknown_a_functional_question_names_the_object() -> None:
    known = ("drawer", "drawer:handle")
    samples = built(MUG, photo(2, *known, exhaustive=known), 80)
    assert all("the drawer" in sample.turns[0].question for sample in samples)
    # Another drawer may be there, or the object has no name in the singular: nothing is asked.
    assert no_answer(MUG, photo(2, *known, exhaustive=("drawer:handle",)))
    several = ("scissors", "scissors:handle")
    assert no_answer(MUG, photo(2, *several, exhaustive=several))
    assert answer(MUG, photo(2, *several)) == {"scissors:handle"}
    everything = built(MUG, photo(2, *known), 80)
    assert not any("drawer" in sample.turns[0].question for sample in everything)


@pytest.mark.parametrize("part", ["body", "head", "top", "inner_side", "logo", "blade"])
def test_equal_names_that_tell_no_purpose_are_not_functional_but_semantic(part: str) -> None:
    assert part in NO_FUNCTION
    first, other = photo(1, f"knife:{part}"), photo(2, f"fan:{part}")
    assert no_answer(first, other)
    assert answer(first, other, no_function=()) == {f"fan:{part}"}
    assert answer(first, photo(3, f"knife:{part}")) == {f"knife:{part}"}


def test_a_table_of_purposes_joins_other_names_and_counts_them_when_it_asks_for_one() -> None:
    table = {"to pull": ("handle", "drawer:knob"), "to cut": ("blade",)}
    assert answer(MUG, photo(2, "drawer:knob"), functions=table) == {"drawer:knob"}
    assert no_answer(MUG, photo(2, "drawer:knob"))
    assert no_answer(MUG, photo(2, "radio:knob"), functions=table)
    assert no_answer(MUG, photo(2, "drawer:knob", "door:handle"), functions=table)
    cut = (photo(1, "knife:blade"), photo(2, "scissors:blade"))
    assert answer(*cut, functions=table) == {"scissors:blade"}
    with pytest.raises(ValueError, match="functions: 'blade' is listed twice"):
        Correspondence(functions={"a": ("blade",), "b": ("blade",)})


def test_whole_objects_and_two_parts_of_one_object_do_not_correspond() -> None:
    assert no_answer(photo(1, "mug"), photo(2, "mug"))
    table = {"to hold": ("handle", "grip")}
    assert no_answer(MUG, photo(2, "mug:grip"), functions=table)


def test_a_given_box_that_fits_another_region_is_refused() -> None:
    box = Box(10, 10, 110, 110)
    whole = Region(image=0, box=Box(10, 10, 112, 120), label="mug")
    part = Region(image=0, box=box, label="mug:handle")
    first = MUG.__replace__(regions=(whole, part))
    second = photo(2, "mug:handle")
    with pytest.raises(Rejected, match="fits another region"):
        built(first, second)
    assert built(first, second, overlap=0.95)


def test_parts_outside_the_size_band_are_neither_given_nor_asked() -> None:
    large, small = photo(1, "mug:handle", side=40), photo(2, "mug:handle", side=4)
    assert no_answer(large, small, area=(0.001, 0.5))
    assert no_answer(small, large, area=(0.001, 0.5))
    assert built(large, large.__replace__(key="made/3"), area=(0.001, 0.5))


def test_the_given_box_is_in_image_one_and_drawn_or_written_as_the_setting_says() -> None:
    second = photo(2, "bag:strap", "drawer:handle")
    for given in ("coordinates", "mark", "both"):
        for sample in built(MUG, second, given=given):
            (turn,) = sample.turns
            box = MUG.regions[1].box
            assert sample_fault(sample) is None
            assert [i.uri for i in sample.images] == ["made:1.jpg", "made:2.jpg"]
            assert [(t.image, t.box) for t in turn.regions] == (
                [] if given == "mark" else [(0, box)]
            )
            assert [e.box for e in sample.images[0].edits] == (
                [] if given == "coordinates" else [box]
            )
            assert ("red rectangle" in turn.question) is (given != "coordinates")
            assert turn.asked == (1,) and turn.targets[0].image == 1


def test_a_question_names_the_part_only_where_it_shall() -> None:
    first = photo(1, "mug_(cup):handle")
    second = photo(2, "drawer:handle")
    writer = Qwen3VL()
    for kinds, other in (("functional", second), ("semantic", photo(3, "mug_(cup):handle"))):
        for sample in built(first, other, 120, kinds=kinds):
            asked = writer.question(sample.turns[0], sample.images)
            assert not re.search(r"handle|mug", asked), asked
        named = built(first, other, 400, kinds=kinds, named=0.5)
        share = sum("mug's handle" in s.turns[0].question for s in named) / len(named)
        assert 0.42 < share < 0.58


@pytest.mark.parametrize("kinds", ["semantic", "functional", "mixed"])
def test_groups_keep_their_promise_and_nearly_every_one_gives_a_sample(kinds: Any) -> None:
    records = [made_record(n, "image") for n in range(200)]
    table = index(records)
    builder = Correspondence(kinds=kinds, per_image=2)
    groups = list(builder.groups(table, Stream("g")))
    assert audit.faults(table, groups, builder.grouping, cap=2) == []
    assert len(groups) > 60
    sorts = Counter[str]()
    for number, (one, two) in enumerate(groups):
        (sample,) = builder.build([records[one], records[two]], Stream("b", str(number)))
        assert isinstance(sample, Sample)
        (target,) = sample.turns[0].targets
        sorts[sort_of(records[one], records[two], sample)] += 1
        # Over the record itself: one such part, on one such object, and in functional ones one
        # part of that name over all objects.
        there = [r.label for r in records[two].regions]
        label = next(r.label for r in records[two].regions if r.box == target.box)
        thing, part = label.split(":")
        assert there.count(label) == 1 and there.count(thing) == 1
        if sort_of(records[one], records[two], sample) == "functional":
            assert sum(name.endswith(f":{part}") for name in there) == 1
    assert set(sorts) == ({kinds} if kinds != "mixed" else {"semantic", "functional"})
    if kinds == "mixed":
        assert 0.3 < sorts["functional"] / len(groups) < 0.7


def sort_of(first: Record, second: Record, sample: Sample) -> str:
    """By the labels of the given and the target box."""
    (turn,) = sample.turns
    box = turn.regions[0].box if turn.regions else sample.images[0].edits[0].box
    given = {r.label for r in first.regions if r.box == box}
    found = {r.label for r in second.regions if r.box == turn.targets[0].box}
    return "semantic" if given == found else "functional"


def test_the_share_of_functional_questions_is_settable() -> None:
    second = photo(2, "mug:handle", "knife:spout", "jar:lid")
    first = photo(1, "mug:handle", "mug:lid")
    for share, low, high in ((0.0, 0, 0), (0.5, 150, 250), (1.0, 400, 400)):
        samples = built(first, second, 400, functional=share)
        assert low <= sum(sort_of(first, second, s) == "functional" for s in samples) <= high


def test_groups_use_the_table_of_purposes_and_stop_without_parts() -> None:
    records = [photo(n, ("drawer:knob", "mug:handle")[n % 2]) for n in range(20)]
    table = index(records)
    settings: dict[str, Any] = {"kinds": "functional", "area": (0.0, 1.0)}
    assert not list(Correspondence(**settings).groups(table, Stream("g")))
    joined = Correspondence(functions={"to pull": ("knob", "handle")}, **settings)
    groups = list(joined.groups(table, Stream("g")))
    assert groups and all((one + two) % 2 for one, two in groups)
    plain = index([photo(n, "mug", "chair") for n in range(20)])
    assert not list(Correspondence().groups(plain, Stream("g")))


@pytest.mark.parametrize(
    "settings",
    [
        {"area": (0.5, 0.4)},
        {"functional": 1.1},
        {"named": -0.1},
        {"overlap": 2},
        {"per_image": 0},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Correspondence(**settings)


@pytest.mark.parametrize(
    ("label", "thing", "name"),
    [
        ("mug:handle", "mug", "mug's handle"),
        ("glass_(drink_container):inner_side", "glass", "glass's inner side"),
        ("scissors:finger_hole", None, None),
        ("dog:teeth", "dog", None),
        ("scarf:fringes", "scarf", None),
        ("n01440764:fin", None, None),
    ],
)
def test_parts_have_a_name_only_where_it_is_english(
    label: str, thing: str | None, name: str | None
) -> None:
    assert (thing_of(label), name_of(label)) == (thing, name)


def test_every_form_is_used_and_none_gives_the_answer_away() -> None:
    known = ("ice_chest", "ice_chest:handle")
    samples = built(MUG, photo(2, *known, exhaustive=known), 800)
    samples += built(MUG, photo(2, *known), 800)
    samples += built(MUG, photo(2, "mug", "mug:handle"), 800)
    used = "\n".join(f"{s.turns[0].question}\n{s.turns[0].answer}" for s in samples)
    for name, forms in WORDING.forms.items():
        for form in forms:
            pattern = re.escape(max(re.split(r"\{[^}]*\}", form.text), key=len).strip())
            assert re.search(pattern, used), (name, form.text)
    assert not re.search(r"(?i)_|\ba [aeiou]|the the\b|\.\.|\{|\[|the part's", used)


@pytest.mark.parametrize("name", ["ask_semantic", "ask_functional", "ask_functional_on"])
def test_there_are_many_questions_and_they_differ_in_syntax(name: str) -> None:
    texts = [form.text for form in WORDING.forms[name]]
    assert len(texts) >= 20 and len(WORDING.forms["answer"]) >= 8
    plain = [re.findall(r"[a-z']+", re.sub(r"\{[^}]*\}", " ", t).lower()) for t in texts]
    for one, other in combinations(plain, 2):
        assert difflib.SequenceMatcher(None, one, other, autojunk=False).ratio() < 0.75, (
            one,
            other,
        )
    asking = sum(text.endswith("?") for text in texts)
    assert 5 <= asking <= len(texts) - 5
