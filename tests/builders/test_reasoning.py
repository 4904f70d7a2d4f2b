"""Questions over photos: what each says is read back from its text and counted in the records."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest
from made import index

from builders.reasoning import WORDING, Reasoning
from builders.reasoning_kinds import KINDS
from mgdata.data import ALL, Image, Record, Region, Sample, Turn
from mgdata.errors import Rejected
from mgdata.filters.text import Text, images_named
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.validity import sample_fault
from mgdata.wording import article, plural

LABELS = ("person", "umbrella", "bus", "knife", "traffic light", "apple", "hour hand", "city",
          "unicycle", "dog", "scissors", "n02084071", "broccoli")  # fmt: skip
ASKABLE = LABELS[:10]
ORDINALS = ("first", "second", "third", "fourth", "fifth")
SLOTS = {
    "noun": "|".join(ASKABLE),
    "thing": "|".join(article(label) for label in ASKABLE),
    "things": "people|umbrellas|buses|knives|traffic lights|apples|hour hands|cities|unicycles|dogs",
    "images": r"the images|the two images|the other images|Image-\d(?:(?:, | and )Image-\d)+"
    rf"|the (?:{'|'.join(ORDINALS)}|, | and )+ images",
    "larger": "larger|smaller|largest|smallest",
    "further": "(?:further|furthest) (?:to the left|to the right|up|down)",
    "more": "more|the most|fewer|the fewest",
    "image": rf"Image-\d|the (?:{'|'.join(ORDINALS)}) image",
    "with": rf"(?:both )?(?:Image-\d(?: and Image-\d)?|the (?:{'|'.join(ORDINALS)}| and )+ images?)",
    "without": rf"Image-\d|the (?:{'|'.join(ORDINALS)}) image",
    "kinds": rf"(?:{'|'.join(article(label) for label in ASKABLE)}|, | or )+",
}
ASKS = {
    "counting": ("count_images", "count_all"),
    "size": ("size",),
    "position": ("position",),
    "number": ("number",),
    "odd_one_out": ("odd_without", "odd_with"),
    "same_or_different": ("both_show", "same_number"),
    "set_logic": ("logic_but_not", "logic_every"),
}
BOXES = ("box_it", "box_them", "box_all", "box_in")
WIDTH, HEIGHT = 400, 300


def box(rng: Stream, share: float) -> Box:
    """A box of a share of the photo, anywhere."""
    w, h = WIDTH * share**0.5, HEIGHT * share**0.5
    x, y = rng.uniform() * (WIDTH - w), rng.uniform() * (HEIGHT - h)
    return Box(x, y, x + w, y + h)


def photo(number: int, regions: list[Region], **fields: Any) -> Record:
    return Record(
        **{
            "key": f"made/{number}",
            "shape": "image",
            "unit": str(number),
            "images": (Image(uri=f"made:{number}.jpg", width=WIDTH, height=HEIGHT),),
            "regions": tuple(regions),
            "license": "CC0-1.0",
            "exhaustive": (ALL,),
            **fields,
        }
    )


def anything(number: int) -> Record:
    """A photo with classes, numbers and sizes at random; crowds, tiny things, half knowledge."""
    rng = Stream("anything", str(number))
    regions: list[Region] = []
    for label in rng.sample(LABELS, rng.between(2, 7)):
        for _ in range((1, 1, 1, 2, 3, 5)[rng.below(6)]):
            share = 0.001 if rng.below(25) == 0 else 0.01 + 0.3 * rng.uniform() ** 2
            ignore = rng.below(40) == 0
            regions.append(
                Region(image=0, box=box(rng, share), label=label, track=None, ignore=ignore)
            )
    there = {region.label for region in regions}
    listed = tuple(rng.sample(LABELS, 8))
    absent = tuple(label for label in rng.sample(LABELS, 3) if label not in there)
    known = {"exhaustive": listed, "absent": absent} if rng.below(4) == 0 else {}
    return photo(number, regions, **known)


RECORDS = {record.key: record for record in map(anything, range(3000))}


@lru_cache
def built(kind: str | None = None, images: tuple[int, int] = (2, 5)) -> tuple[Sample, ...]:
    """Samples of the photos above; of one kind, or of all."""
    builder = Reasoning(kinds=None if kind is None else {kind: 1.0}, images=images)
    records = list(RECORDS.values())
    samples: list[Sample] = []
    for group in builder.groups(index(records), Stream("groups")):
        samples += made(builder, [records[row] for row in group])
    return tuple(samples)


def made(builder: Reasoning, records: list[Record], seed: str = "") -> list[Sample]:
    rng = Stream("build", seed, *(record.key for record in records))
    try:
        return [item for item in builder.build(records, rng) if isinstance(item, Sample)]
    except Rejected:
        return []


def pattern(text: str) -> re.Pattern[str]:
    """A form as a regular expression whose groups are its slots."""
    text = re.sub(r"\{([^{}|]*)\|([^{}|]*)\}", r"\1", text)
    parts = re.split(r"\{(\w+)\}", text)
    made, seen = "", set[str]()
    for literal, name in itertools.zip_longest(parts[::2], parts[1::2], fillvalue=""):
        made += re.escape(literal)
        slot = name[:1].lower() + name[1:]
        if slot in seen:
            made += f"(?P={slot})"
        elif slot:
            made += f"(?P<{slot}>(?i:{SLOTS[slot]}))"
            seen.add(slot)
    return re.compile(made)


FORMS = {
    name: [pattern(form.text) for form in WORDING.forms[name]]
    for name in (*itertools.chain(*ASKS.values()), *BOXES)
}


def asked(question: str) -> str:
    return re.sub(r"<image:\d>\n", "", question)


def read(turn: Turn, names: tuple[str, ...]) -> tuple[str, int, dict[str, str], str]:
    """The set, number and slots of the form that a turn begins with, and what comes after."""
    text = asked(turn.question)
    for name in names:
        for number, form in enumerate(FORMS[name]):
            if found := form.match(text):
                rest = text[found.end() :].strip()
                slots = {slot: value.lower() for slot, value in found.groupdict().items()}
                if not rest or any(one.fullmatch(rest) for key in BOXES for one in FORMS[key]):
                    return name, number, slots, rest
    raise AssertionError(f"no form of {names} reads {text!r}")


def label_of(slots: dict[str, str]) -> str:
    told = slots.get("noun") or slots.get("thing") or slots["things"]
    return next(x for x in ASKABLE if told in (x, article(x), plural(x)))


def places(told: str, sample: Sample) -> list[int]:
    """The images that a text names; all for `the images`."""
    if told in ("the images", "the two images"):
        return list(range(len(sample.images)))
    digits = [int(n) - 1 for n in re.findall(r"image-(\d)", told)]
    return digits or [i for i, name in enumerate(ORDINALS) if re.search(rf"\b{name}\b", told)]


def record_of(sample: Sample, place: int) -> Record:
    return RECORDS[sample.images[place].uri.replace(":", "/").removesuffix(".jpg")]


def seen(sample: Sample, place: int, label: str) -> list[Box]:
    """The boxes of a class in an image, having made sure that the class is wholly known there."""
    record = record_of(sample, place)
    regions = [region for region in record.regions if region.label == label]
    known = {ALL, label} & set(record.exhaustive) or (not regions and label in record.absent)
    assert known, f"{label} was not looked for in {record.key}"
    assert not any(region.ignore for region in regions)
    boxes = [region.box for region in regions if region.box is not None]
    assert all(one.area >= 0.005 * WIDTH * HEIGHT for one in boxes)
    return boxes


def check_boxes(sample: Sample, turn: Turn, label: str, where: list[int]) -> None:
    """The targets are every one of a class in some images, and nothing else."""
    right = [(place, one) for place in where for one in seen(sample, place, label)]
    assert sorted((t.image, t.box.x1) for t in turn.targets) == sorted(
        (place, one.x1) for place, one in right
    )
    assert 1 <= len(turn.targets) <= 10


def check_counting(sample: Sample, name: str, slots: dict[str, str]) -> None:
    label, every = label_of(slots), list(range(len(sample.images)))
    counts = [len(seen(sample, place, label)) for place in every]
    right = sum(counts) if name == "count_all" else sum(n > 0 for n in counts)
    assert sample.turns[0].kind == "count" and sample.turns[0].gold == str(right)
    assert sum(n > 0 for n in counts) > 1 or name == "count_images"
    for turn in sample.turns[1:]:
        check_boxes(sample, turn, label, every)


def check_compared(sample: Sample, name: str, slots: dict[str, str]) -> None:
    label, where = label_of(slots), places(slots["images"], sample)
    boxes = {place: seen(sample, place, label) for place in where}
    word = slots.get("larger") or slots.get("further") or slots["more"]
    assert len(where) >= 2 and all(boxes.values())
    assert (len(where) > 2) == (
        word.split()[0] not in ("larger", "smaller", "further", "more", "fewer")
    )
    assert name == "number" or all(len(found) == 1 for found in boxes.values())
    measure: dict[str, Callable[[int], float]] = {
        "number": lambda place: len(boxes[place]),
        "size": lambda place: boxes[place][0].area,
        "position": lambda place: (boxes[place][0].x1 + boxes[place][0].x2) / 2 / WIDTH
        if word.endswith(("left", "right"))
        else (boxes[place][0].y1 + boxes[place][0].y2) / 2 / HEIGHT,
    }  # fmt: skip
    high = bool(re.search(r"larg|right|down|more|most", word))
    ranked = sorted(where, key=measure[name], reverse=high)
    best, next_ = measure[name](ranked[0]), measure[name](ranked[1])
    low, top = sorted((best, next_))
    assert {
        "number": top - low >= 2,
        "size": top >= 1.5 * low,
        "position": top - low >= 0.15 - 1e-9,
    }[name]
    check_found(sample, label, ranked[0])


def check_found(sample: Sample, label: str, place: int) -> None:
    """An image was to be found: its name, where a turn asks for it, then its boxes."""
    for turn in sample.turns:
        if turn.kind == "boxes":
            check_boxes(sample, turn, label, [place])
            assert images_named(asked(turn.answer)) == {place}
        else:
            assert images_named(turn.gold) == images_named(turn.answer) == {place}


def check_odd(sample: Sample, name: str, slots: dict[str, str]) -> None:
    label = label_of(slots)
    has = [bool(seen(sample, place, label)) for place in range(len(sample.images))]
    wanted = name == "odd_with"
    assert has.count(wanted) == 1 and len(has) > 2
    odd = has.index(wanted)
    if wanted:
        check_found(sample, label, odd)
        return
    assert images_named(sample.turns[0].gold) == {odd}
    for turn in sample.turns[1:]:
        check_boxes(sample, turn, label, [i for i in range(len(has)) if i != odd])


def check_same(sample: Sample, name: str, slots: dict[str, str]) -> None:
    label, (one, other) = label_of(slots), places(slots["images"], sample)
    first, second = len(seen(sample, one, label)), len(seen(sample, other, label))
    assert (first or second) if name == "both_show" else (first and second)
    right = bool(first and second) if name == "both_show" else first == second
    assert sample.turns[0].gold == ("yes" if right else "no")
    for turn in sample.turns[1:]:
        check_boxes(sample, turn, label, [one, other])


def check_logic(sample: Sample, name: str, slots: dict[str, str]) -> None:
    every = list(range(len(sample.images)))
    inside = places(slots["with"], sample) if name == "logic_but_not" else every
    outside = places(slots["without"], sample) if name == "logic_but_not" else []
    offered = re.split(", | or ", slots["kinds"])
    labels = [next(x for x in ASKABLE if article(x) == told) for told in offered]
    assert len(set(labels)) == len(labels) >= 3

    def surely(label: str, place: int, shown: bool) -> bool:
        try:
            return bool(seen(sample, place, label)) == shown
        except AssertionError:
            return False

    def fits(label: str) -> bool:
        return all(surely(label, i, True) for i in inside) and all(
            surely(label, o, False) for o in outside
        )

    def fails(label: str) -> bool:
        return any(surely(label, i, False) for i in inside) or any(
            surely(label, o, True) for o in outside
        )

    right = [label for label in labels if fits(label)]
    assert len(right) == 1 and all(fails(label) for label in labels if label not in right)
    if sample.turns[0].kind == "choice":
        assert sample.turns[0].gold == article(right[0])
        assert set(sample.turns[0].options) == set(offered)
    if sample.turns[-1].targets:
        (target,) = sample.turns[-1].targets
        assert target.image in inside and sample.turns[-1].asked == (target.image,)
        check_boxes(sample, sample.turns[-1], right[0], [target.image])
        assert sum(surely(label, target.image, True) for label in labels) > 1


CHECKS = {
    "counting": check_counting,
    "size": check_compared,
    "position": check_compared,
    "number": check_compared,
    "odd_one_out": check_odd,
    "same_or_different": check_same,
    "set_logic": check_logic,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_of_a_kind_is_what_the_records_say(kind: str) -> None:
    samples = built(kind)
    assert len(samples) > 250
    for sample in samples:
        name, _, slots, _ = read(sample.turns[0], ASKS[kind])
        CHECKS[kind](sample, name, slots)
        assert sample_fault(sample) is None


@pytest.mark.parametrize("kind", KINDS)
def test_all_question_forms_of_a_kind_are_used(kind: str) -> None:
    used = Counter(read(sample.turns[0], ASKS[kind])[:2] for sample in built(kind))
    assert set(used) == {(name, i) for name in ASKS[kind] for i in range(len(FORMS[name]))}


def test_there_are_forms_enough() -> None:
    assert all(sum(len(FORMS[name]) for name in names) >= 6 for names in ASKS.values())
    assert sum(len(FORMS[name]) for names in ASKS.values() for name in names) >= 20
    with_boxes = ("answer_box", "answer_boxes", "answer_all", "answer_kind_box", "answer_box_in")
    assert all(len(WORDING.forms[name]) >= 8 for name in with_boxes)


def kind_of(sample: Sample) -> str:
    every = tuple(itertools.chain(*ASKS.values()))
    name = read(sample.turns[0], every)[0]
    return next(kind for kind, names in ASKS.items() if name in names)


def test_each_kind_has_its_share_when_all_are_on() -> None:
    shares = Counter(kind_of(sample) for sample in built())
    assert set(shares) == set(KINDS)
    assert min(shares.values()) >= 0.05 * shares.total()


def test_most_samples_ask_for_boxes() -> None:
    grounded = [any(turn.targets for turn in sample.turns) for sample in built()]
    assert sum(grounded) > 0.75 * len(grounded)


def within_three_sigma(n: int, of: int, share: float) -> bool:
    return abs(n - of * share) <= 3 * (of * share * (1 - share)) ** 0.5


def test_yes_is_as_frequent_as_no_for_the_same_class_too() -> None:
    golds: dict[str, list[str]] = {"both_show": [], "same_number": []}
    for sample in built("same_or_different"):
        name, _, slots, _ = read(sample.turns[0], ASKS["same_or_different"])
        golds[name].append(sample.turns[0].gold)
        golds.setdefault(label_of(slots), []).append(sample.turns[0].gold)
    assert len(golds) == 2 + len(ASKABLE)
    for told in golds.values():
        assert within_three_sigma(told.count("yes"), len(told), 0.5)


@pytest.mark.parametrize("kind", ["size", "position", "number", "odd_one_out", "set_logic"])
def test_every_image_is_the_answer_as_often(kind: str) -> None:
    samples = built(kind, (4, 4))
    found = Counter(sample.turns[-1].targets[0].image for sample in samples
                    if len({t.image for t in sample.turns[-1].targets}) == 1)  # fmt: skip
    # Chi-square of three degrees of freedom: 16.3 is exceeded once in a thousand.
    expected = found.total() / 4
    assert sum((n - expected) ** 2 / expected for n in found.values()) < 16.3
    assert len(found) == 4


@pytest.mark.parametrize("kind", ["size", "position", "number"])
def test_both_directions_are_asked_as_often(kind: str) -> None:
    read_ = [read(sample.turns[0], ASKS[kind])[2] for sample in built(kind)]
    words = [slots.get("larger") or slots.get("further") or slots["more"] for slots in read_]
    high = sum(bool(re.search(r"larg|right|down|more|most", word)) for word in words)
    assert within_three_sigma(high, len(words), 0.5)


def test_no_number_is_the_usual_answer_of_counting() -> None:
    golds = Counter(sample.turns[0].gold for sample in built("counting"))
    assert len(golds) >= 6
    assert max(golds.values()) < 0.45 * golds.total()


def test_nothing_is_given_away() -> None:
    drops = [drop.reason for kind in KINDS for s in built(kind) if (drop := Text().sample(s))]
    assert drops == []
