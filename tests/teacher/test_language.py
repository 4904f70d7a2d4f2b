"""Length, script and loops of a reasoning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgdata.teacher.language import REASONS, Bounds, check

WORDS = (
    "The brown dog in the third image lies on wet grass beside a wooden bench, and its collar is "
    "red with a small round tag; the dog in the second image has black fur and a longer muzzle."
)


def reason(text: str, **bounds: object) -> str | None:
    found = check(text, Bounds(**bounds))  # pyright: ignore[reportArgumentType]
    return found.reason if found else None


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({}, None),
        ({"least_words": 38}, None),
        ({"least_words": 39}, "too short"),
        ({"most_words": 38}, None),
        ({"most_words": 37}, "too long"),
        ({"least_characters": len(WORDS)}, None),
        ({"least_characters": len(WORDS) + 1}, "too short"),
        ({"most_characters": len(WORDS) - 1}, "too long"),
    ],
)
def test_bounds_of_length_hold_to_the_word_and_the_letter(bounds, expected):
    assert len(WORDS.split()) == 38
    assert reason(WORDS, **bounds) == expected


@pytest.mark.parametrize(
    ("text", "bounds", "expected"),
    [
        (f"{WORDS} Naïve façades, “Straße” and œuvre.", {}, None),  # letters with marks are Latin
        (f"{WORDS} Its length is 3 µm or ½ of it, 45° to the left → right.", {}, None),
        (f"{WORDS} A sign says “営業中です。どうぞお入りください”.", {}, None),  # quoted
        (f"{WORDS} 営業中です。どうぞお入りください。", {}, "other script"),
        (f"{WORDS} {WORDS} ძაღლი წევს ბალახზე.", {}, "other script"),
        (f"{WORDS} ძაღლი.", {"script_share": 1.0}, "other script"),
        (f"{WORDS} ძაღლი.", {}, None),
        ("ძაღლი სველ ბალახზე წევს სკამის გვერდით.", {"least_words": 0}, "other script"),
        (
            "ძაღლი სველ ბალახზე წევს სკამის გვერდით.",
            {"least_words": 0, "scripts": ("GEORGIAN",)},
            None,
        ),
        (WORDS, {"scripts": ("GEORGIAN",)}, "other script"),
        ("第三张图片中有一只棕色的狗。", {"least_words": 0, "scripts": ("CJK",)}, None),
        ("第三张图片中有一只棕色的狗。", {"least_words": 0, "scripts": ()}, None),
        ("12 34 " * 8, {"repeated_share": 1.0}, None),  # no letters at all
    ],
)
def test_letters_of_another_script_are_found_and_quoted_words_passed(text, bounds, expected):
    assert reason(text, **bounds) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" ".join(f"In image {i} there is a dog with a collar." for i in range(1, 5)), None),
        (f"{WORDS} {'It is the red collar. ' * 12}", "repetitive"),
        (f"{WORDS} {'no ' * 90}", "repetitive"),
        (f"{WORDS} {'!' * 400}", "repetitive"),
        (f"{WORDS} {'abcdefgh' * 40}", "repetitive"),
        (f"{WORDS} https://example.org/" + "q7Xp2LmZ9aRt4VbN8cKd1WsE6yHu3JfG5oIiTgBnQ" * 2, None),
        (f"{WORDS} <|box_start|>(120,340),(480,900)<|box_end|>,<|box_start|>(1,2),(3,4)", None),
    ],
)
def test_a_loop_is_found_and_a_list_is_none(text, expected):
    assert reason(text) == expected


def test_a_loop_of_signs_without_spaces_is_found():
    bounds = {"least_words": 0, "scripts": ("CJK",)}
    assert reason("第三张图片中有一只棕色的狗。" * 20, **bounds) == "repetitive"
    prose = (
        "第一张图片中有两只猫躺在沙发上、旁边放着一个绿色的靠垫。第二张图片中有一只戴红色项圈的黑狗在"
        "公园里奔跑。第三张图片里能看到草地、长椅和一只棕色的狗、它的脖子上有项圈。第四张是一匹马。"
    )
    assert reason(prose, **bounds) is None


@pytest.mark.parametrize(
    "bounds",
    [
        {"script_share": 1.5},
        {"repeated_share": -0.1},
        {"least_words": 20, "most_words": 10},
        {"least_characters": 20, "most_characters": 10},
    ],
)
def test_bounds_that_no_text_can_keep_are_refused(bounds):
    with pytest.raises(ValueError, match=r"found|no text fits"):
        Bounds(**bounds)


@given(st.text(), st.sampled_from([("LATIN",), ("CJK",), ()]))
def test_any_text_has_a_finding_of_a_known_reason_or_none(text, scripts):
    found = check(text, Bounds(least_words=0, scripts=scripts))
    assert found is None or (found.reason in REASONS and found.quote)
