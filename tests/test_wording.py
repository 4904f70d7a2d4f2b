from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import pytest

from mgdata.errors import UsageError
from mgdata.identity import Stream
from mgdata.wording import (
    Form,
    ImageNames,
    Needs,
    article,
    capital,
    counted,
    listed,
    load,
    noun,
    number,
    ordinal,
    parse,
    plural,
)

NEEDS = {
    "ask": Needs(must="target", may="image"),
    "tell": Needs(may="image", each="letter box"),
}
GOOD = """
ask: ["Where is {target}?", "{Target} in {image}?"]
tell: ["[{letter}: {box}][, ]"]
"""


@pytest.mark.parametrize(
    ("n", "written"),
    [
        (1, "first"),
        (2, "second"),
        (12, "twelfth"),  # the last in letters
        (13, "13th"),
        (21, "21st"),
        (22, "22nd"),
        (23, "23rd"),
        (24, "24th"),
        (100, "100th"),
        (101, "101st"),
        (111, "111th"),  # not 111st
        (112, "112th"),
        (113, "113th"),
        (121, "121st"),
        (1012, "1012th"),
    ],
)
def test_ordinals_are_right_for_any_number(n: int, written: str) -> None:
    assert ordinal(n) == written


def test_there_is_no_zeroth_image() -> None:
    with pytest.raises(ValueError, match="count from 1"):
        ordinal(0)


@pytest.mark.parametrize(
    ("one", "several"),
    [
        ("image", "images"),
        ("box", "boxes"),
        ("bus", "buses"),
        ("bench", "benches"),
        ("city", "cities"),
        ("monkey", "monkeys"),  # a vowel before the y
        ("person", "people"),
        ("person on vehicle", "person on vehicles"),  # the last word changes, whatever it means
        ("policeman", "policemen"),
        ("human", "humans"),  # no man
        ("sheep", "sheep"),
        ("polar bear", "polar bears"),
        ("potato", "potatoes"),
        ("tomato", "tomatoes"),
        ("hero", "heroes"),
        ("echo", "echoes"),
        ("photo", "photos"),  # most words in -o
        ("meatloaf", "meatloaves"),
        ("calf", "calves"),
        ("half", "halves"),
        ("headscarf", "headscarves"),
        ("hoof", "hooves"),
        ("roof", "roofs"),
        ("thief", "thieves"),
        ("handkerchief", "handkerchiefs"),
        ("elf", "elves"),
        ("golf", "golfs"),  # no elf
        ("ox", "oxen"),
        ("fox", "foxes"),
        ("die", "dice"),
        ("octopus", "octopuses"),
        ("cactus", "cacti"),
        ("moose", "moose"),
        ("swine", "swine"),
        ("goose", "geese"),
        ("mongoose", "mongooses"),
        ("mouse", "mice"),
        ("blouse", "blouses"),  # no louse
        ("goldfish", "goldfish"),
        ("spacecraft", "spacecraft"),
        ("ottoman", "ottomans"),
        ("snowman", "snowmen"),
        ("oasis", "oases"),
        ("passer-by", "passers-by"),
    ],
)
def test_plurals(one: str, several: str) -> None:
    assert plural(one) == several


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("image", "an image"),
        ("red rectangle", "a red rectangle"),
        ("hour", "an hour"),  # silent h
        ("horse", "a horse"),
        ("unicycle", "a unicycle"),  # said "you"
        ("uninteresting box", "an uninteresting box"),
        ("user", "a user"),
        ("umbrella", "an umbrella"),
        ("one-way sign", "a one-way sign"),  # said "won"
        ("8th frame", "an 8th frame"),
        ("11th frame", "an 11th frame"),
        ("110th frame", "a 110th frame"),
        ("18th frame", "an 18th frame"),
    ],
)
def test_articles_go_by_sound(word: str, written: str) -> None:
    assert article(word) == written


@pytest.mark.parametrize(
    ("items", "text"),
    [([], ""), (["A"], "A"), (["A", "B"], "A and B"), (["A", "B", "C"], "A, B and C")],
)
def test_lists(items: list[str], text: str) -> None:
    assert listed(items) == text


def test_numbers_and_counts() -> None:
    assert [number(n) for n in (0, 1, 12, 13)] == ["zero", "one", "twelve", "13"]
    assert [counted(n, "image") for n in (1, 3, 14)] == ["one image", "three images", "14 images"]


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("goat", "goat"),
        ("fire_hydrant", "fire hydrant"),
        ("BMX rider", "bmx rider"),
        ("t-shirt", "t-shirt"),
        ("bus", "bus"),  # not a plural
        ("glass", "glass"),
        ("sheep", "sheep"),
        ("people", "object"),  # "where is the people" would be wrong
        ("scissors", "object"),
        ("sunglasses", "object"),
        ("skis", "object"),
        ("dice", "object"),
        ("jeans", "object"),
        ("pizza slice", "pizza slice"),
        ("fishermen", "object"),
        ("laboratory specimen", "laboratory specimen"),
        ("tennis", "tennis"),
        ("contact lens", "contact lens"),
        ("rhinoceros", "rhinoceros"),
        ("n02084071", "object"),  # a code
        ("Hündin", "object"),  # cannot be judged
        ("the goat", "object"),
        ("", "object"),
        ("x" * 80, "object"),
    ],
)
def test_a_label_is_said_only_where_it_fits_a_sentence(label: str, said: str) -> None:
    assert noun(label) == said


def test_images_are_named_by_place() -> None:
    words, numbers = ImageNames("ordinal"), ImageNames("number")
    assert words.one(2) == "the third image" and numbers.one(2) == "Image-3"
    assert words.one(20) == "the 21st image"
    assert words.several([1]) == "the second image"
    assert words.several([1, 2, 3]) == "the second, third and fourth images"
    assert numbers.several([1, 2, 3]) == "Image-2, Image-3 and Image-4"


def test_a_form_fills_its_slots_with_a_capital_where_the_name_has_one() -> None:
    form = Form("{Image} shows {target}; so {image} it is.")
    assert form.fill(image="the third image", target="it") == (
        "The third image shows it; so the third image it is."
    )


def test_a_form_speaks_of_one_or_several() -> None:
    form = Form("Which {region|regions} of {image} {contains|contain} {target}?")
    assert form.fill(image="X", target="A") == "Which region of X contains A?"
    assert (
        form.fill(many=True, image="X", target="A and B") == "Which regions of X contain A and B?"
    )


@pytest.mark.parametrize(
    ("text", "n", "filled"),
    [
        ("I see [{letter} at {box}][, ][ and ].", 3, "I see A at 0, B at 1 and C at 2."),
        ("I see [{letter} at {box}][, ][ and ].", 2, "I see A at 0 and B at 1."),
        ("I see [{letter} at {box}][, ][ and ].", 1, "I see A at 0."),
        ("[{letter} {box}][; ].", 3, "A 0; B 1; C 2."),
        ("[- {letter}: {box}][\n]", 2, "- A: 0\n- B: 1"),
    ],
)
def test_items_are_repeated_and_joined(text: str, n: int, filled: str) -> None:
    each = [{"letter": letter, "box": str(i)} for i, letter in enumerate("ABC"[:n])]
    assert Form(text).fill(each=each) == filled


def test_braces_in_a_filled_text_stay() -> None:
    assert Form("{box}").fill(box='{"bbox_2d": [1, 2]}') == '{"bbox_2d": [1, 2]}'


def test_a_slot_without_text_is_an_error() -> None:
    with pytest.raises(KeyError):
        Form("{image}").fill(target="x")


def test_every_form_is_picked_equally_often() -> None:
    wording, rng = parse(GOOD, "g.yaml", NEEDS), Stream("w")
    counts = Counter(wording.pick(rng, "ask").text for _ in range(2000))
    assert len(counts) == 2 and min(counts.values()) > 900


def test_several_forms_repeat_only_once_all_were_used() -> None:
    wording = parse(GOOD, "g.yaml", NEEDS)
    picked = [form.text for form in wording.pick_several(Stream("w"), "ask", 5)]
    assert len(picked) == 5
    assert len(set(picked[:2])) == len(set(picked[2:4])) == 2
    assert wording.pick_several(Stream("w"), "ask", 0) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ask: [", "not YAML"),
        ("- ask", "expected a mapping"),
        ("", "expected a mapping"),
        (GOOD + 'asks: ["{target}"]', r"unknown set 'asks'; did you mean ask\?"),
        (GOOD + 'zzz: ["{target}"]', r"unknown set 'zzz'; known are ask, tell"),
        (GOOD + 'ask: ["{target}"]', "set 'ask' is there twice"),
        ('ask: ["{target}"]', "set 'tell' is missing"),
        (GOOD.replace("[{letter}: {box}][, ]", "plain"), r"tell\[0\]: needs items"),
        (GOOD.replace("Where is", "[{target}][, ] "), r"ask\[0\]: cannot have items"),
        (GOOD.replace("{box}", "box"), "slot 'box' is missing"),
        (GOOD.replace("{image}", "{frame}"), r"ask\[1\]: unknown slot 'frame'"),
        (GOOD.replace("{image}", "{image"), "'{' is no part of a slot"),
        (GOOD.replace("{box}", "{box|boxes}"), "is no part of a slot"),
        (GOOD.replace("{Target} in {image}?", "Where is {target}?"), "is there twice"),
        ("ask: Where\ntell: [x]", "expected a list of forms"),
        ("ask: []\ntell: [x]", "expected a list of forms"),
        ("ask: [yes]\ntell: [x]", r"ask\[0\]: expected text in quotes, found True"),
    ],
)
def test_a_faulty_file_is_refused_with_its_name_and_key(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        parse(text, "wording/task.yaml", NEEDS)
    assert str(caught.value).startswith("wording/task.yaml: ")


def test_the_file_is_found_beside_the_module(tmp_path: Path) -> None:
    folder = tmp_path / "wording"
    folder.mkdir()
    (folder / "my_task.yaml").write_text(GOOD)
    wording = load(str(tmp_path / "my_task.py"), NEEDS)
    assert [form.text for form in wording.forms["ask"]] == [
        "Where is {target}?",
        "{Target} in {image}?",
    ]
    with pytest.raises(UsageError, match=r"cannot read .*other.yaml, the wording of other"):
        load(str(tmp_path / "other.py"), NEEDS)


def test_wording_travels_by_pickle() -> None:
    wording = parse(GOOD, "g.yaml", NEEDS)
    again = pickle.loads(pickle.dumps(wording))
    assert again.pick(Stream("w"), "ask").fill(target="it", image="X") == wording.pick(
        Stream("w"), "ask"
    ).fill(target="it", image="X")


def test_only_the_first_letter_becomes_a_capital() -> None:
    assert capital("the BMX rider") == "The BMX rider"
    assert capital("") == ""
