from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from string import ascii_uppercase
from typing import Any

import pytest
from made import index
from moments import CAMERAS, moment, moments

from builders.spatial_association import WORDING, SpatialAssociation
from mgdata import audit, registry
from mgdata.data import Count, Record, Region, Sample
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.plugins import Notation
from mgdata.scoring.matching import score
from mgdata.validity import sample_fault

EVERYWHERE, WHICH, SEVERAL = ({name: 1.0} for name in ("everywhere", "which", "several"))
COUNTS: tuple[Count, ...] = ("none", "one", "many")


def built(records: Sequence[Record], n: int = 1, **settings: Any) -> list[Sample]:
    """What comes of `n` tries of each record."""
    builder = SpatialAssociation(**settings)
    found: list[Sample] = []
    for record in records:
        for i in range(n):
            try:
                items = list(builder.build([record], Stream("t", record.key, str(i))))
            except Rejected:
                continue
            found += [item for item in items if isinstance(item, Sample)]
    return found


def annotated(record: Record) -> dict[tuple[str, Box | None], Region]:
    return {(record.images[r.image].uri, r.box): r for r in record.regions}


def tracks_given(sample: Sample, record: Record) -> list[str]:
    """Tracks of the boxes given in the reference, in the order of the letters."""
    known, uri = annotated(record), sample.images[0].uri
    boxes = [r.box for r in sample.turns[0].regions if r.image == 0]
    marks = [edit.box for edit in sample.images[0].edits]
    found = [known[uri, box].track for box in boxes or marks]
    return [track for track in found if track is not None]


def shows(record: Record, track: str, uri: str) -> Box | None:
    """The box of a track in an image that speaks of it."""
    (found,) = [r for r in record.regions if r.track == track and record.images[r.image].uri == uri]
    return found.box


def words(sample: Sample) -> str:
    return "\n".join(f"{turn.question}\n{turn.answer}" for turn in sample.turns)


@pytest.mark.parametrize("kind", [EVERYWHERE, WHICH, SEVERAL])
def test_the_targets_are_all_places_of_what_is_given_and_nothing_else(
    kind: dict[str, float],
) -> None:
    records = {record.key: record for record in moments(60)}
    samples = built([*records.values()], 6, kinds=kind)
    assert len(samples) > 200
    for sample in samples:
        record = records[sample.records[0]]
        (turn,) = sample.turns
        assert sample_fault(sample) is None
        assert turn.asked == tuple(range(1, len(sample.images)))
        tracks = tracks_given(sample, record)
        boxes = {
            (place, box)
            for place in turn.asked
            for track in tracks
            if (box := shows(record, track, sample.images[place].uri))
        }
        assert {(t.image, t.box) for t in turn.targets} == boxes
        assert len(turn.targets) == len(boxes)


@pytest.mark.parametrize("letter", [" ", "i", "d", "t", "s", "v"])
@pytest.mark.parametrize("kind", [EVERYWHERE, SEVERAL])
def test_a_view_of_which_nothing_is_certain_is_never_shown(
    kind: dict[str, float], letter: str
) -> None:
    record = moment({"mug_0": f"bb-{letter}b-", "mug_1": f"bb-{letter}b-"})
    samples = built([record], 80, kinds=kind)
    assert {i.view for s in samples for i in s.images} == set(CAMERAS) - {"cam03"}


def test_settings_admit_strips_small_boxes_and_hardly_visible_ones() -> None:
    for letter, settings in (
        ("t", {"area": (0.0, 1.0), "slivers": True}),
        ("s", {"slivers": True}),
        ("v", {"visibility": 0.3}),
    ):
        samples = built([moment({"mug": f"bb-{letter}b-"})], 40, kinds=EVERYWHERE, **settings)
        assert "cam03" in {i.view for s in samples for i in s.images}, letter


def test_a_box_nearly_that_of_another_is_neither_given_nor_a_candidate() -> None:
    # The second object lies over the first in view 0, which a third kind of thing does in view 1.
    record = moment({"mug_0": "bbbbbb", "mug_1": "obbbbb", "mug_2": "bbbbbb", "lid": " o    "})
    samples = built([record], 300, kinds={"everywhere": 1.0, "which": 1.0}, given="coordinates")
    known = annotated(record)
    given = {
        (r.track, r.image)
        for s in samples
        for t in s.turns[0].regions
        if (r := known[s.images[t.image].uri, t.box])
    }
    assert {view for track, view in given if track in ("mug_0", "mug_1")} == {1, 2, 3, 4, 5}
    assert {view for track, view in given if track == "mug_2"} == {0, 2, 3, 4, 5}
    targets = {
        (known[s.images[t.image].uri, t.box].track, known[s.images[t.image].uri, t.box].image)
        for s in samples
        if len(s.turns[0].regions) == 1
        for t in s.turns[0].targets
    }
    assert ("mug_0", 0) in targets


def test_a_view_with_another_of_its_class_may_be_one_without_a_target() -> None:
    record = moment({"mug_0": "bb--b ", "mug_1": "bbbbb "})
    samples = built([record], 200, kinds=EVERYWHERE, count="none", images=(3, 3))
    assert samples
    assert {i.view for s in samples for i in s.images[1:]} == {"cam02", "cam03"}
    assert all("<target" not in s.turns[0].answer for s in samples)


@pytest.mark.parametrize("given", ["coordinates", "mark", "both"])
def test_candidates_are_of_one_class_equally_many_in_each_view_and_lettered(given: str) -> None:
    records = {record.key: record for record in moments(60, hidden=0.3)}
    samples = built([*records.values()], 6, kinds=WHICH, given=given)
    right: Counter[int] = Counter()
    for sample in samples:
        record, (turn,) = records[sample.records[0]], sample.turns
        (track,) = tracks_given(sample, record)
        known, boxes = annotated(record), candidates(sample)
        assert len({len(row) for row in boxes}) == 1 and len(boxes[0]) in (2, 3)
        letters, expected = iter(ascii_uppercase), list[str]()
        for place, row in enumerate(boxes, 1):
            found = [known[sample.images[place].uri, box] for box in row]
            assert len({r.track for r in found}) == len(found)
            assert {r.label for r in found} == {track.rstrip("0123456789_")}
            visible = shows(record, track, sample.images[place].uri) is not None
            called = [(next(letters), r.track == track) for r in found]
            expected += [letter for letter, own in called if own]
            assert sum(own for _, own in called) == visible
            for k in (k for k, (_, own) in enumerate(called) if own):
                right[k] += len(row) == 2
        assert re.findall(r"\b([A-Z])(?=,? <|,? in |,? at |: )", turn.answer) == expected
    assert abs(right[0] - right[1]) < 4 * sum(right.values()) ** 0.5


def candidates(sample: Sample) -> list[list[Box | None]]:
    """The boxes offered in images 1, 2 ..., in the order of their letters."""
    (turn,) = sample.turns
    if turn.regions:
        return [[r.box for r in turn.regions if r.image == i] for i in turn.asked]
    told = [
        (one or other, colour or another)
        for one, colour, another, other in re.findall(
            r"\b([A-Z]) (?:\(|in |marked with )a (\w+) rectangle|a (\w+) rectangle \(([A-Z])\)",
            turn.question,
        )
    ]
    assert [letter for letter, _ in told] == [*ascii_uppercase[: len(told)]]
    colours = iter(colour for _, colour in told)
    rows: list[list[Box | None]] = []
    for place in turn.asked:
        drawn = {edit.colour: edit.box for edit in sample.images[place].edits}
        rows.append([drawn[next(colours)] for _ in drawn])
    assert next(colours, None) is None
    return rows


def test_a_view_with_too_few_of_the_class_is_never_shown_to_choose_from() -> None:
    # In cam02 the object is hidden beside one other, in cam03 visible alone.
    record = moment({"mug_0": "bb-bb-", "mug_1": "bbb-bb", "mug_2": "bb--bb"})
    samples = built([record], 300, kinds=WHICH, candidates=(2, 2), reference="ego")
    assert {i.view for s in samples for i in s.images} == {"aria01", "cam01", "cam04", "cam05"}


def test_several_objects_are_answered_from_left_to_right_by_their_letters() -> None:
    records = {record.key: record for record in moments(60)}
    samples = built([*records.values()], 6, kinds=SEVERAL, given="coordinates")
    sizes = Counter(len(s.turns[0].regions) for s in samples)
    assert set(sizes) == {2, 3} and min(sizes.values()) > 60
    for sample in samples:
        record, (turn,) = records[sample.records[0]], sample.turns
        given, known = tracks_given(sample, record), annotated(record)
        told = re.findall(r"\b([ABC]) \(?<target:(\d+)>", turn.answer)
        assert [int(slot) for _, slot in told] == [*range(len(turn.targets))]
        for letter, slot in told:
            target = turn.targets[int(slot)]
            region = known[sample.images[target.image].uri, target.box]
            assert region.track == given["ABC".index(letter)]


@pytest.mark.parametrize("notation", ["qwen2-vl", "qwen3-vl"])
@pytest.mark.parametrize("kind", [EVERYWHERE, WHICH, SEVERAL])
def test_answers_earn_full_marks(kind: dict[str, float], notation: str) -> None:
    writer: Notation = registry.make("notations", notation, {}, "test")
    for sample in built(moments(40), 8, kinds=kind):
        for turn in sample.turns:
            text = writer.answer(turn, sample.images)
            found = writer.parse(text, turn, sample.images)
            assert score(found, turn, text=text).full, text


@pytest.mark.parametrize(
    ("reference", "share"), [("ego", 1.0), ("exo", 0.0), ("any", 1 / 6), ("mixed", 0.5)]
)
def test_the_reference_is_of_the_side_asked_for(reference: str, share: float) -> None:
    record = moment({"plate": "bbbbbb", "mug": "bbbbbb"})
    samples = built([record], 600, reference=reference, kinds={"everywhere": 1, "several": 1})
    ego = sum(s.images[0].view == "aria01" for s in samples) / len(samples)
    assert abs(ego - share) < (0.06 if 0 < share < 1 else 1e-9)


def test_a_moment_without_a_worn_camera_has_any_reference_unless_it_must_be_worn() -> None:
    record = moment({"plate": "bbb"}, cameras=("C1", "C2", "C3"))
    assert {s.images[0].view for s in built([record], 60)} == {"C1", "C2", "C3"}
    assert not built([record], 5, reference="ego")


@pytest.mark.parametrize("given", ["coordinates", "mark", "both"])
def test_objects_are_given_as_the_setting_says(given: str) -> None:
    for sample in built(moments(40), 3, given=given, kinds={"everywhere": 1, "several": 1}):
        (turn,) = sample.turns
        marks = [len(image.edits) for image in sample.images]
        assert bool(turn.regions) is (given != "mark")
        assert bool(marks[0]) is (given != "coordinates") and not any(marks[1:])
        assert ("a red rectangle" in turn.question) is (given != "coordinates")
        if given == "both":
            assert [r.box for r in turn.regions] == [e.box for e in sample.images[0].edits]


def test_the_class_is_named_only_where_wanted_and_people_always_are() -> None:
    for named in (0.0, 1.0):
        seen: Counter[str] = Counter()
        for sample in built(moments(60), 3, named=named):
            (turn,) = sample.turns
            assert all(region.phrase is None for region in turn.regions)
            for word in ("mug", "plate", "person|people", "object"):
                seen[word] += bool(re.search(rf"\b({word})s?\b", turn.question))
        assert min(seen["person|people"], seen["object"]) > 10
        assert (seen["mug"] > 10 and seen["plate"] > 10) if named else not seen["mug"] + seen["plate"]  # fmt: skip


def test_image_names_are_never_mixed_in_a_sample() -> None:
    styles: Counter[bool] = Counter()
    for sample in built(moments(60), 4):
        numbered = bool(re.search(r"\bImage-\d", words(sample)))
        named = re.search(r"\b(first|second|third|fourth|fifth)( image| and|,)", words(sample))
        assert numbered is not bool(named), words(sample)
        styles[numbered] += 1
    assert min(styles.values()) > 60


def test_groups_are_alone_and_used_as_often_as_the_caps_allow() -> None:
    records = [moment({"a": "bbbb  "}, key=str(n)).__replace__(unit=str(n % 4)) for n in range(40)]
    table = index([*records, moment({"a": "b-    "}, key="x"), moment({"a": "------"}, key="y")])
    builder = SpatialAssociation(per_record=3, count="many")
    groups = list(builder.groups(table, Stream("g")))
    assert audit.faults(table, groups, builder.grouping, cap=3) == []
    assert Counter(row for (row,) in groups) == dict.fromkeys(range(40), 3)
    assert all(len({row for (row,) in groups[i : i + 40]}) == 40 for i in (0, 40, 80))
    some = list(SpatialAssociation(per_unit=2, per_record=5).groups(table, Stream("g")))
    assert Counter(table.text("unit")[row].as_py() for (row,) in some) == {
        **dict.fromkeys("0123", 2),
        "take x": 2,
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"images": (1, 3)},
        {"images": (4, 3)},
        {"images": (2, 2), "count": "many", "kinds": {"everywhere": 1.0}},
        {"kinds": {}},
        {"kinds": {"which": 0.0}},
        {"kinds": {"which": float("nan")}},
        {"candidates": (1, 3)},
        {"candidates": (2, 7)},
        {"objects": (1, 2)},
        {"objects": (2, 7)},
        {"area": (0.5, 0.5)},
        {"named": 1.5},
        {"visibility": -0.1},
        {"per_record": 0},
        {"per_unit": 0},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        SpatialAssociation(**settings)


def test_a_kind_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(Exception, match="nowhere"):
        registry.make("builders", "spatial_association", {"kinds": {"nowhere": 1}}, "recipe: with")


def test_every_form_is_used_and_none_speaks_of_time() -> None:
    used = "\n".join(words(s) for s in built(moments(200), 12, named=0.2))
    for name, forms in WORDING.forms.items():
        for form in forms:
            pieces = re.split(r"\{[^}]*\}|[\[\]]", form.text)
            assert re.search(re.escape(max(pieces, key=len).strip()), used), (name, form.text)
    every = "\n".join(f.text for forms in WORDING.forms.values() for f in forms)
    assert not re.search(r"(?i)\b(later|earlier|videos?|frames?|track|before|after)\b", every)
    assert not re.search(r"_|\ba [aeiou]|the the\b|\.\.|\{|\[|  |persons| ,", used)


@pytest.mark.parametrize("name", [n for n in WORDING.forms if n.startswith(("find", "found", "none", "each_view"))])  # fmt: skip
def test_there_are_many_forms_and_questions_differ_in_syntax(name: str) -> None:
    texts = [form.text for form in WORDING.forms[name]]
    assert len(texts) >= (20 if name.startswith("find") else 8)
    if name.startswith("find"):
        plain = [re.findall(r"[a-z']+", re.sub(r"\{[^}]*\}", " ", t).lower()) for t in texts]
        for one, other in combinations(plain, 2):
            alike = difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()
            assert alike < 0.75, (one, other)
        assert 5 <= sum("?" in text for text in texts) <= len(texts) - 5
