from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
from made import index
from made import record as made_record

from builders.multi_view import WORDING, MultiView
from mgdata import audit, registry
from mgdata.data import Image, Record, Region, Sample, Turn
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.plugins import Notation
from mgdata.scoring.matching import score
from mgdata.validity import sample_fault

CAMERAS = ("aria01", "cam01", "cam02", "cam03", "cam04", "cam05")
ORDINAL = re.compile(r"\b(first|second|third|fourth|fifth|sixth) image|\bimages\b")
NUMBERED = re.compile(r"\bImage-\d")
MISSING = re.compile(
    r"(?i)not visible|no box|not show|cannot|can't|out of sight|no view|not in view"
)


def moment(
    objects: dict[str, str],
    cameras: Sequence[str] = CAMERAS,
    side: float = 60.0,
    ignore: Sequence[tuple[str, int]] = (),
    doubled: Sequence[tuple[str, int]] = (),
) -> Record:
    """Objects by name: for each camera `b` for a box, `-` for not visible, ` ` for silence."""
    images = [Image(uri=f"v:{name}.jpg", width=600, height=400, view=name) for name in cameras]
    regions: list[Region] = []
    for view in range(len(cameras)):
        for k, (name, seen) in enumerate(objects.items()):
            if seen[view] == " ":
                continue
            box = Box(10.0 + 90 * k, 20.0 + view, 10.0 + 90 * k + side, 20.0 + view + side)
            shown = Region(
                image=view,
                box=box if seen[view] == "b" else None,
                label=name.rstrip("0123456789_"),
                track=name,
                ignore=(name, view) in ignore,
            )
            regions += [shown] * (2 if (name, view) in doubled else 1)
    return Record(
        key="v/1",
        shape="views",
        unit="take",
        images=tuple(images),
        regions=tuple(regions),
        license="unknown",
    )


def built(record: Record, n: int = 60, **settings: Any) -> list[Sample]:
    builder = MultiView(**settings)
    return [
        sample
        for i in range(n)
        for sample in builder.build([record], Stream("t", str(i)))
        if isinstance(sample, Sample)
    ]


def words(sample: Sample) -> str:
    return "\n".join(f"{turn.question}\n{turn.answer}" for turn in sample.turns)


def asked(samples: Sequence[Sample]) -> list[tuple[str | None, Turn]]:
    """The camera of every asked view of polling samples."""
    return [(s.images[t.asked[0]].view, t) for s in samples for t in s.turns]


def test_the_boxes_are_those_of_the_annotation_of_one_object() -> None:
    record = moment({"plate_1": "bbbbbb", "plate_2": "bbbbbb", "knife_1": "bb-bb "})
    known = {(record.images[r.image].uri, r.box): r.track for r in record.regions}
    for sample in built(record, 200, given="both"):
        assert sample_fault(sample) is None
        boxes = [t for turn in sample.turns for t in (*turn.regions, *turn.targets)]
        assert len({known[sample.images[t.image].uri, t.box] for t in boxes}) == 1


def test_without_absent_views_only_views_with_a_box_are_shown() -> None:
    record = moment({"plate": "b-b bb"})
    shown = {i.view for s in built(record, 200) for i in s.images}
    assert shown == {"aria01", "cam02", "cam04", "cam05"}


def test_a_silent_view_is_never_asked_and_a_hidden_one_has_no_target() -> None:
    record = moment({"plate": "bb--b "})
    samples = built(record, 600, absent=0.4, turns="polling", images=(2, 4))
    views = asked(samples)
    assert "cam05" not in {view for view, _ in views}
    for view, turn in views:
        hidden = view in ("cam02", "cam03")
        assert (turn.targets == ()) is hidden
        assert bool(MISSING.search(turn.answer)) is hidden
    share = sum(not turn.targets for _, turn in views) / len(views)
    # Two visible views at most are there to be asked, so that hidden ones fill up now and then.
    assert 0.3 < share < 0.5
    assert all(s.images[0].view not in ("cam02", "cam03") for s in samples)


def test_one_answer_for_all_views_names_each_and_says_which_lack_the_object() -> None:
    record = moment({"plate": "bb--bb"})
    samples = built(record, 400, absent=0.4, turns="all", images=(4, 6), naming="number")
    forms = Counter[bool]()
    for sample in samples:
        (turn,) = sample.turns
        hidden = [i for i in turn.asked if sample.images[i].view in ("cam02", "cam03")]
        assert [t.image for t in turn.targets] == [i for i in turn.asked if i not in hidden]
        assert turn.asked == tuple(range(1, len(sample.images)))
        assert len(MISSING.findall(turn.answer)) == len(hidden)
        assert re.findall(r"[Ii]mage-(\d)", turn.answer) == [str(i + 1) for i in turn.asked]
        forms[bool(hidden)] += 1
    assert min(forms[True], forms[False]) > 30


@pytest.mark.parametrize("notation", ["qwen2-vl", "qwen3-vl"])
@pytest.mark.parametrize("turns", ["polling", "all", "apart"])
def test_answers_with_hidden_views_earn_full_marks(turns: str, notation: str) -> None:
    writer: Notation = registry.make("notations", notation, {}, "test")
    record = moment({"bench": "bb-bb-"})
    for sample in built(record, 120, absent=0.4, turns=turns):
        for turn in sample.turns:
            text = writer.answer(turn, sample.images)
            found = writer.parse(text, turn, sample.images)
            assert score(found, turn, text=text).full, text


def test_a_box_outside_the_size_band_an_ignored_or_a_doubled_one_is_neither_asked_nor_shown() -> (
    None
):
    for settings in ({"area": (0.0, 0.01)}, {"area": (0.02, 1.0)}):
        with pytest.raises(Rejected, match="too few views"):
            built(moment({"plate": "bbbbbb"}), 1, **settings)
    record = moment({"plate": "bbbbbb"}, ignore=[("plate", 1)], doubled=[("plate", 2)])
    shown = {i.view for s in built(record, 200, absent=0.5) for i in s.images}
    assert shown == {"aria01", "cam03", "cam04", "cam05"}


def test_a_view_that_shows_another_of_its_class_is_never_called_empty() -> None:
    record = moment({"mug_0": "bb-b--", "mug_1": "bbb  -"})
    samples = built(record, absent=0.6, turns="polling")
    empty = {view for view, turn in asked(samples) if not turn.targets}
    assert empty == {"cam05"} | {"cam04"}


@pytest.mark.parametrize(
    ("size", "sliver"),
    [
        ((15.0, 40.0), True),
        ((40.0, 15.0), True),
        ((15.0, 20.0), False),  # small, of nearly the same shape
        ((26.0, 60.0), False),  # too wide for a strip: more than a sixteenth of 400
    ],
)
def test_a_strip_of_the_object_is_neither_asked_nor_shown(
    size: tuple[float, float], sliver: bool
) -> None:
    record = moment({"mug": "bbbb"}, CAMERAS[:4])
    strip = Box(200.0, 50.0, 200.0 + size[0], 50.0 + size[1])
    regions = tuple(
        region.__replace__(box=strip) if region.image == 2 else region for region in record.regions
    )
    record = record.__replace__(regions=regions)
    shown = {image.view for s in built(record) for image in s.images}
    assert shown == set(CAMERAS[:4]) - ({"cam02"} if sliver else set())
    assert {i.view for s in built(record, slivers=True) for i in s.images} == set(CAMERAS[:4])


def test_an_object_known_in_one_view_only_is_rejected() -> None:
    with pytest.raises(Rejected, match="too few views"):
        built(moment({"plate": "b-----"}), 1)
    with pytest.raises(Rejected, match="too few views"):
        built(moment({"plate": "b     "}), 1, absent=1.0)
    assert built(moment({"plate": "b-----"}), 20, absent=1.0)


@pytest.mark.parametrize(
    ("reference", "share"), [("ego", 1.0), ("exo", 0.0), ("any", 1 / 6), ("mixed", 0.5)]
)
def test_the_reference_is_of_the_side_asked_for(reference: str, share: float) -> None:
    samples = built(moment({"plate": "bbbbbb"}), 600, reference=reference, turns="all")
    ego = sum(s.images[0].view == "aria01" for s in samples) / len(samples)
    assert abs(ego - share) < (0.06 if 0 < share < 1 else 1e-9)


def test_a_side_that_does_not_show_the_object_is_no_reference() -> None:
    record = moment({"plate": " bbb  "})
    with pytest.raises(Rejected, match="too few views"):
        built(record, 1, reference="ego")
    assert {s.images[0].view for s in built(record, 100)} == {"cam01", "cam02", "cam03"}


def test_the_other_views_come_in_random_order_and_their_number_is_uniform() -> None:
    samples = built(moment({"plate": "bbbbbb"}), 1000, turns="all", reference="ego")
    sizes = Counter(len(s.images) for s in samples)
    assert set(sizes) == {2, 3, 4, 5, 6} and min(sizes.values()) > 150
    second = Counter(s.images[1].view for s in samples)
    expected = len(samples) / 5
    assert sum((n - expected) ** 2 / expected for n in second.values()) < 18.5  # p = 0.001, df 4
    assert set(second) == set(CAMERAS[1:])
    assert all(len({i.uri for i in s.images}) == len(s.images) for s in samples)


@pytest.mark.parametrize("given", ["coordinates", "mark", "both"])
def test_the_object_is_given_as_the_setting_says(given: str) -> None:
    for sample in built(moment({"plate": "bbbb  "}), 80, given=given):
        first = sample.turns[0]
        assert bool(first.regions) is (given != "mark")
        assert ("<region:0>" in first.question) is (given != "mark")
        assert ("red rectangle" in first.question) is (given != "coordinates")
        marks = [[e.kind for e in image.edits] for image in sample.images]
        assert marks == [["mark"] if given != "coordinates" else []] + [[]] * (len(marks) - 1)
        for edit in sample.images[0].edits:
            assert edit.box in {r.box for r in moment({"plate": "bbbb  "}).regions}


def test_apart_gives_a_whole_sample_for_each_view() -> None:
    samples = built(moment({"plate": "bbb   "}), 40, turns="apart", images=(3, 3), given="both")
    assert len(samples) == 80
    for sample in samples:
        (turn,) = sample.turns
        assert turn.regions and len(turn.targets) == 1 and len(sample.images) == 3
        assert turn.targets[0].image in (1, 2)


def test_image_names_are_never_mixed_in_a_sample() -> None:
    styles = Counter[bool]()
    for sample in built(moment({"plate": "bbbbbb"}), 300):
        text = words(sample)
        numbered = bool(NUMBERED.search(text))
        assert numbered is not bool(re.search(r"\b(first|second|third) image", text)), text
        styles[numbered] += 1
    assert min(styles.values()) > 100


def test_groups_are_alone_and_every_record_comes_before_any_comes_again() -> None:
    records = [made_record(n, "views") for n in range(40)]
    table = index([*records, made_record(99, "views").__replace__(regions=())])
    groups = list(MultiView(per_record=3).groups(table, Stream("g")))
    assert audit.faults(table, groups, MultiView.grouping, cap=3) == []
    assert len(groups) == 120
    assert all(len({row for (row,) in groups[i : i + 40]}) == 40 for i in (0, 40, 80))
    assert not list(MultiView(images=(5, 6)).groups(table, Stream("g")))


@pytest.mark.parametrize(
    "settings",
    [
        {"images": (1, 3)},
        {"images": (4, 3)},
        {"area": (0.5, 0.5)},
        {"area": (-0.1, 0.5)},
        {"absent": 1.5},
        {"per_record": 0},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        MultiView(**settings)


def test_every_form_is_used_and_none_speaks_of_time() -> None:
    record = moment({"coffee_cup": "bbb-bb", "scissors": "bb-bb-"})
    used = "\n".join(words(s) for s in built(record, 1500, absent=0.2))
    for name, forms in WORDING.forms.items():
        for form in forms:
            pattern = re.escape(max(re.split(r"\{[^}]*\}|[\[\]]", form.text), key=len).strip())
            assert re.search(pattern, used), (name, form.text)
    every = "\n".join(f.text for forms in WORDING.forms.values() for f in forms)
    assert not re.search(r"(?i)\b(later|earlier|videos?|frames?|track)\b", every)
    assert not re.search(r"(?i)the scissors\b|_|\ba [aeiou]|the the\b|\.\.|\{|\[", used)


@pytest.mark.parametrize(("name", "least"), [("ask_one", 20), ("ask_next", 20), ("ask_all", 20),
    ("answer_one", 8), ("answer_hidden", 8), ("answer_all", 8), ("answer_all_some", 8)])  # fmt: skip
def test_there_are_many_forms_and_questions_differ_in_syntax(name: str, least: int) -> None:
    texts = [form.text for form in WORDING.forms[name]]
    assert len(texts) >= least
    if name.startswith("ask"):
        plain = [re.findall(r"[a-z']+", re.sub(r"\{[^}]*\}", " ", t).lower()) for t in texts]
        for one, other in combinations(plain, 2):
            alike = difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()
            assert alike < 0.75, (one, other)
        asking = sum(text.endswith("?") for text in texts)
        assert 5 <= asking <= len(texts) - 5
