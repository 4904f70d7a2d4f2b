from __future__ import annotations

import difflib
import re
from collections import Counter
from itertools import combinations
from typing import Any

import cv2
import numpy as np
import pytest
from made import index
from made import record as made

from builders.region_locating import WORDING, RegionLocating
from mgdata import registry
from mgdata.data import Edit, Image, Record, Region, Sample
from mgdata.edits import Codec, render
from mgdata.errors import Rejected
from mgdata.geometry import Box, array, iou
from mgdata.identity import Stream
from mgdata.plugins import Notation
from mgdata.scoring.matching import score
from mgdata.validity import sample_fault

WIDTH, HEIGHT = 640, 480


def grid(side: float = 70.5, columns: int = 4, rows: int = 3) -> list[Box]:
    """Boxes that keep apart, with edges between pixels."""
    return [
        Box(20.3 + 150 * x, 10.6 + 150 * y, 20.3 + 150 * x + side, 10.6 + 150 * y + side)
        for y in range(rows)
        for x in range(columns)
    ]


def photo(boxes: list[Box], ignored: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Record:
    regions = [
        Region(image=0, box=box, label=f"thing {n}", ignore=n < ignored)
        for n, box in enumerate(boxes)
    ]
    return Record(
        key="p/1",
        shape="image",
        unit="1",
        images=(Image(uri="p:1.png", width=size[0], height=size[1], format="png"),),
        regions=tuple(regions),
        license="MIT",
    )


def built(record: Record, n: int = 60, **settings: Any) -> list[Sample]:
    builder = RegionLocating(**settings)
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


def cropped(image: Image) -> Box:
    (edit,) = image.edits
    assert edit.kind == "crop" and edit.box is not None
    return edit.box


def words(sample: Sample) -> str:
    return "\n".join(f"{turn.question}\n{turn.answer}" for turn in sample.turns)


def test_the_photo_comes_first_whole_and_crops_of_it_follow() -> None:
    record = photo(grid())
    for sample in built(record):
        assert sample_fault(sample) is None
        assert sample.images[0] == record.images[0]
        assert all(image.uri == "p:1.png" and image.edits for image in sample.images[1:])
        assert len({image.edits for image in sample.images}) == len(sample.images)


def test_the_answer_is_the_whole_pixels_of_the_crop() -> None:
    record = photo(grid())
    for sample in built(record):
        windows = {cropped(image) for image in sample.images[1:]}
        targets = [target for turn in sample.turns for target in turn.targets]
        assert {target.box for target in targets} == windows
        assert all(target.image == 0 for target in targets)
        for image in sample.images[1:]:
            window = cropped(image)
            assert (image.width, image.height) == (window.width, window.height)
            assert all(edge == int(edge) for edge in (window.x1, window.y1, window.x2, window.y2))
            overlap = iou(array([window]), array([r.box for r in record.regions if r.box]))
            assert overlap.max() > 0.94  # rounded outwards by less than a pixel a side


def test_the_pixels_shown_are_those_of_the_box_in_the_photo() -> None:
    ramp = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    ramp[..., 1] = np.linspace(0, 255, WIDTH)[None, :]
    ramp[..., 2] = np.linspace(0, 255, HEIGHT)[:, None]
    data = cv2.imencode(".png", ramp)[1].tobytes()
    for sample in built(photo(grid()), 8, turns="apart", crops=(1, 1)):
        (target,) = sample.turns[0].targets
        shown = render(data, sample.images[1], Codec())
        seen = cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_COLOR)
        x1, y1, x2, y2 = (
            int(v) for v in (target.box.x1, target.box.y1, target.box.x2, target.box.y2)
        )
        assert np.abs(seen.astype(int) - ramp[y1:y2, x1:x2].astype(int)).max() <= 4


def test_a_photo_with_too_few_boxes_is_left_out() -> None:
    few = photo(grid()[:10])
    assert refused(few) == "too few boxes"
    assert list(RegionLocating().groups(index([few]), Stream("g"))) == []
    assert built(few, min_boxes=10)
    assert list(RegionLocating(min_boxes=10).groups(index([few]), Stream("g"))) == [(0,)]


@pytest.mark.parametrize(
    ("size", "settings", "why"),
    [
        ((140, 60), {}, "wider than twice its height"),
        ((60, 140), {}, "higher than twice its width"),
        ((50, 50), {}, "0.8% of the photo"),
        ((300, 240), {}, "23% of the photo"),
        ((70, 70), {"min_pixels": 6000}, "5041 pixels at most"),
        ((100, 100), {"ratio": "side"}, "16% of the width"),
        ((320, 200), {"ratio": "side"}, "half of the width"),
        ((100, 100), {"band": (0.1, 0.2)}, "3% of the photo"),
    ],
)
def test_a_region_out_of_bounds_is_never_cropped(
    size: tuple[int, int], settings: dict[str, Any], why: str
) -> None:
    del why
    record = photo([Box(100, 100, 100 + size[0], 100 + size[1])] * 11)
    assert refused(record, **settings) == "no region to crop"


@pytest.mark.parametrize(
    ("size", "settings"),
    [
        ((130, 66), {}),
        ((56, 56), {}),
        ((150, 120), {"ratio": "side"}),
        ((210, 210), {"band": (0.1, 0.2)}),
        ((20, 20), {"band": (0.0, 1.0), "min_pixels": 400}),
    ],
)
def test_a_region_within_bounds_is(size: tuple[int, int], settings: dict[str, Any]) -> None:
    record = photo([Box(100, 100, 100 + size[0], 100 + size[1])] * 11)
    assert all(len(sample.images) == 2 for sample in built(record, **settings))


def test_two_thousand_pixels_are_not_more_than_two_thousand() -> None:
    small = photo([Box(10, 10, 50, 60)] * 11, size=(200, 150))
    assert refused(small) == "no region to crop"
    assert built(photo([Box(10, 10, 51, 60)] * 11, size=(200, 150)))


def test_regions_to_be_ignored_are_never_cropped() -> None:
    record = photo(grid(), ignored=10)
    left = {region.box for region in record.regions[10:]}
    assert len(left) == 2
    for sample in built(record, min_boxes=11):
        for image in sample.images[1:]:
            window = cropped(image)
            assert any(box and abs(box.x1 - window.x1) < 1 for box in left)


def test_crops_that_overlap_are_not_used_together() -> None:
    near = [Box(b.x1 + 8, b.y1 + 8, b.x2 + 8, b.y2 + 8) for b in grid()]
    record = photo([*grid(), *near])
    for sample in built(record, crops=(3, 3)):
        boxes = array([cropped(image) for image in sample.images[1:]])
        assert (iou(boxes, boxes) - np.eye(3)).max() <= 0.1
    closer = built(record, 200, crops=(3, 3), overlap=0.9)
    overlaps = [
        iou(boxes, boxes)[0, 1]
        for s in closer
        for boxes in [array([cropped(i) for i in s.images[1:]])]
    ]
    assert max(overlaps) > 0.5


def test_the_number_of_crops_is_uniform_and_at_least_the_fewest() -> None:
    counts = Counter(len(s.images) - 1 for s in built(photo(grid()), 600, turns="polling"))
    assert set(counts) == {1, 2, 3} and min(counts.values()) > 160
    alone = photo([Box(100, 100, 170, 170)] * 11)
    assert {len(s.images) for s in built(alone, crops=(1, 3))} == {2}
    assert refused(alone, crops=(2, 3)) == "no region to crop"


def test_every_region_comes_at_every_place_equally_often() -> None:
    counts: Counter[tuple[int, Box]] = Counter()
    for sample in built(photo(grid()), 1200, crops=(3, 3), turns="polling"):
        counts.update((place, cropped(image)) for place, image in enumerate(sample.images[1:]))
    assert len(counts) == 36
    expected = 1200 / 12
    chi = sum((n - expected) ** 2 / expected for n in counts.values())
    assert chi < 66  # 33 df, p 0.0006


def test_a_margin_shows_and_asks_for_more() -> None:
    record = photo(grid())
    for sample in built(record, margin=0.25, crops=(1, 1)):
        window = cropped(sample.images[1])
        assert sample.turns[0].targets[0].box == window
        assert window.width == pytest.approx(70.5 * 1.5, abs=2) or window.x1 in (0, 2, 3)
        assert sample_fault(sample) is None
    corner = photo([Box(0, 0, 80, 80)] * 11)
    for sample in built(corner, margin=0.5):
        assert cropped(sample.images[1]) == Box(0, 0, 120, 120)


def test_questions_come_one_at_a_time_all_at_once_or_apart() -> None:
    record = photo(grid())
    for sample in built(record, turns="polling", crops=(3, 3)):
        assert [len(turn.targets) for turn in sample.turns] == [1, 1, 1]
        for turn, image in zip(sample.turns, sample.images[1:], strict=True):
            assert turn.targets[0].box == cropped(image)
    for sample in built(record, turns="all", crops=(3, 3)):
        assert [len(turn.targets) for turn in sample.turns] == [3]
    apart = built(record, 20, turns="apart", crops=(3, 3))
    assert len(apart) == 60 and all(len(s.turns) == 1 for s in apart)
    assert all(re.search(r"(?i)first image|Image-1", s.turns[0].question) for s in apart)
    assert len({s.id for s in apart}) == len(apart)
    mixed = built(record, 300, turns="mixed", crops=(3, 3))
    assert 110 < sum(len(s.turns) == 1 for s in mixed) < 190


def test_an_answer_about_all_crops_names_each_with_its_own_box() -> None:
    places = {"second": 1, "third": 2, "fourth": 3}
    for sample in built(photo(grid()), 300, turns="all", crops=(3, 3)):
        (turn,) = sample.turns
        told = re.findall(
            r"(?:Image-(\d)|(second|third|fourth) image)(?:(?!second|third|fourth|Image-[2-4]).)*?<target:(\d)>",
            turn.answer,
            re.DOTALL,
        )
        pairs = {
            (int(digit) - 1 if digit else places[word], int(target)) for digit, word, target in told
        }
        assert len(pairs) == 3, turn.answer
        for place, target in pairs:
            assert turn.targets[target].box == cropped(sample.images[place]), turn.answer


@pytest.mark.parametrize("notation", ["qwen2-vl", "qwen3-vl"])
@pytest.mark.parametrize("turns", ["polling", "all", "apart"])
def test_every_answer_form_puts_its_boxes_into_the_photo(notation: str, turns: str) -> None:
    writer: Notation = registry.make("notations", notation, {}, "test")
    for sample in built(photo(grid()), 150, turns=turns):
        for turn in sample.turns:
            text = writer.answer(turn, sample.images)
            found = writer.parse(text, turn, sample.images)
            assert score(found, turn, text=text).full, text


def test_the_question_never_names_what_is_to_be_seen() -> None:
    assert not any(
        "thing" in words(sample).replace("nothing", "") for sample in built(photo(grid()), 200)
    )


def test_images_are_named_in_one_way_within_a_sample() -> None:
    for naming, wanted in (("ordinal", {True}), ("number", {False}), ("mixed", {True, False})):
        found: set[bool] = set()
        for sample in built(photo(grid()), 200, naming=naming):
            ordinal = bool(re.search(r"\b(first|second|third|fourth)\b", words(sample)))
            assert ordinal != bool(re.search(r"Image-\d", words(sample))), words(sample)
            found.add(ordinal)
        assert found == wanted


def test_groups_are_photos_that_can_give_a_crop_each_once_before_again() -> None:
    records = [made(n, "image") for n in range(40)]
    small = photo([Box(n, n, n + 9, n + 9) for n in range(15)])
    rows = [
        row for (row,) in RegionLocating(per_image=2).groups(index([*records, small]), Stream("g"))
    ]
    assert sorted(rows[:40]) == sorted(rows[40:]) == list(range(40)) and rows[:40] != rows[40:]


def test_forms_are_many_and_differ_in_syntax() -> None:
    for name, forms in WORDING.forms.items():
        assert len(forms) >= (20 if name.startswith("ask_") else 8), name
    for name in ("ask_one", "ask_next", "ask_all"):
        texts = [form.text for form in WORDING.forms[name]]
        for one, other in combinations(texts, 2):
            first, second = (
                re.findall(r"[a-z']+", re.sub(r"\{[^{}]*\}", " ", t).lower()) for t in (one, other)
            )
            alike = difflib.SequenceMatcher(None, first, second, autojunk=False).ratio()
            assert alike < 0.75, (one, other)


def test_all_forms_come_and_are_filled() -> None:
    texts = [
        part
        for turns in ("polling", "all")
        for sample in built(photo(grid()), 400, turns=turns, crops=(2, 3))
        for turn in sample.turns
        for part in (re.sub(r"<image:\d>\n", "", turn.question), turn.answer)
    ]
    assert all((text[0].isupper() or text[0] in "<-") and "{" not in text for text in texts)
    for name, forms in WORDING.forms.items():
        for form in forms:
            longest = max(re.split(r"\{[^{}]*\}|\]\[|[][]", form.text), key=len)
            assert any(longest in text for text in texts), (name, form.text)


@pytest.mark.parametrize(
    "settings",
    [
        {"crops": (0, 2)},
        {"crops": (3, 2)},
        {"aspect": (2.0, 0.5)},
        {"band": (0.3, 0.1)},
        {"overlap": 1.5},
        {"margin": -0.1},
        {"per_image": 0},
    ],
)
def test_settings_that_no_photo_could_meet_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        RegionLocating(**settings)


def test_an_edit_of_the_photo_is_kept_in_its_crops() -> None:
    record = photo(grid())
    upright = record.images[0].__replace__(edits=(Edit(kind="convert"),))
    for sample in built(record.__replace__(images=(upright,)), 5):
        assert all(image.edits[0].kind == "convert" for image in sample.images)
