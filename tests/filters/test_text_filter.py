"""The text filter: each fault has its reason, and good questions of every kind pass."""

from __future__ import annotations

from typing import Any

import pytest
from filter_samples import sample, target, turn
from hypothesis import given
from hypothesis import strategies as st

from mgdata.data import Turn
from mgdata.filters.text import Text, images_named
from mgdata.geometry import Box
from mgdata.wording import ImageNames


def said(*turns: Turn, **more: Any) -> str | None:
    drop = Text().sample(sample(*turns, **more))
    return drop.reason if drop else None


def other(question: str, kind: Any, gold: str, options: tuple[str, ...] = ()) -> Turn:
    return turn(question, kind=kind, gold=gold, options=options)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (turn("<image:0>\n<image:1>\n?"), "empty question"),
        (other("Is it so?", "text", "yes").__replace__(answer="<image:0> ..."), "empty answer"),
        (turn(targets=(target(phrase=" - "),)), "blank phrase"),
        (turn(regions=(target(1, phrase=""),)), "blank phrase"),
        (turn("Where is the caf\ufffd?"), "unprintable character"),
        (turn("Where is\x00 it?"), "unprintable character"),
        (turn(answer="It is at\u0085 <target:0>"), "unprintable character"),
        (other("Which one?", "choice", "cat", ("cat", "do\x1bg")), "unprintable character"),
        (turn("Where is it? " * 200), "text too long"),
        (turn(answer="well, " * 200 + "<target:0>"), "text too long"),
        # The box asked for: in pixels, in thousandths, as shares, or given as a region.
        (turn("Is the dog at [100, 100, 200, 200]?"), "question holds the box"),
        (turn("The dog at (156,208),(312,417)?"), "question holds the box"),
        (turn("The dog at [0.16, 0.21, 0.31, 0.42]?"), "question holds the box"),
        (turn("What of <region:0>?", regions=(target(),)), "question holds the box"),
        # The only image with a target, where it is to be found.
        (turn("Find the dog, hidden in Image-1."), "question names the image"),
        (turn("The first image has a dog. Where?", asked=(0, 1)), "question names the image"),
        # The right answer.
        (
            other("Is the brown dog a dog or a brown dog?", "text", "is"),
            "question holds the answer",
        ),
        (other("What is this Dog called?", "text", "the dog"), "question holds the answer"),
        (other("Which image, as Image-2, fits?", "text", "Image-2"), "question holds the answer"),
        (other("How many of the 3 dogs?", "count", "3"), "question holds the answer"),
        (other("How many of three dogs?", "count", "3"), "question holds the answer"),
        (
            other("The cat is what? A. cat B. dog", "choice", "A", ("cat", "dog")),
            "question holds the answer",
        ),
    ],
)
def test_a_fault_has_its_reason(wrong: Turn, reason: str) -> None:
    assert said(wrong) == reason


@pytest.mark.parametrize(
    "good",
    [
        turn("<image:0><image:1><image:2>\nWhere is the dog?"),
        turn("O\u00f9 est le chien \u2013 \u72d7?\n\tBien."),
        # Where to look is said: nothing is to be found but the box.
        turn("Where is the dog in Image-1?", asked=(0,)),
        # The reference image is named, not the target's.
        turn("As at <region:0> in Image-2, where?", regions=(target(1),)),
        turn("Which of the first and second images has the dog?"),
        # A region in the target's own image is told apart from it.
        turn("Image-1 has <region:0>: what is left of it?", regions=(target(box=Box(0, 0, 9, 9)),)),
        # One given of two asked for.
        turn(
            "All like <region:0>?",
            answer="<target:0><target:1>",
            targets=(target(), target(1)),
            regions=(target(),),
        ),
        turn("In pixels of images 640, 480, 640, 480?"),
        turn("None of it?", answer="It is not there.", targets=()),
        other("Are they the same or different? Say same or different.", "text", "same"),
        other("Name it, or say none.", "text", "none"),
        other("Is it a dog or a cat?", "text", "dog"),
        other("Is it a dog, a cow or a cat?", "text", "dog"),
        other("Is it a dog, a cow or a cat?", "text", "a cat"),
        other("Which of Image-1 and Image-2 has more dogs?", "text", "Image-2"),
        other("Unlike Image-1, which has two dogs?", "text", "the second image"),
        other("In how many of the 3 images is a dog?", "count", "3"),
        other("In how many of the three given pictures is a dog?", "count", "3"),
        other("How many dogs has Image-2? Give one number.", "count", "1"),
        other("How many in Image-2?", "count", "2"),
        other("What is it? A. cat B. dog", "choice", "A", ("cat", "dog")),
        other("What is it? A. a cat B. a big cat", "choice", "a cat", ("a cat", "a big cat")),
        other("The dog or the cat, which? (A) cat (B) dog", "choice", "B", ("cat", "dog")),
        other("Put a list in order: 2, 1, 3", "order", "2, 1, 3", ("1", "2", "3")),
    ],
)
def test_a_good_question_passes(good: Turn) -> None:
    assert said(good) is None


def test_a_question_asked_twice_ends_a_sample() -> None:
    first, again = turn("Where is  the dog?"), turn("<image:2>\nwhere is the dog?")
    assert said(first, again) == "question asked twice"
    assert said(first, turn("Where is the cat?")) is None


def test_the_same_words_about_another_box_are_another_question() -> None:
    ask = "What is at <region:0>?"
    one, two = (turn(ask, kind="text", gold="cow", regions=(target(i),)) for i in (1, 2))
    assert said(one, two) is None
    assert said(one, one) == "question asked twice"


def test_neutral_answers_and_lengths_are_settings() -> None:
    asked = sample(other("Is it left of it?", "text", "left"))
    assert Text().sample(asked) is not None
    assert Text(neutral=("left",)).sample(asked) is None
    drop = Text(longest=5).sample(sample(turn()))
    assert drop is not None and drop.value == "17 characters: Where is the dog?"


def test_with_one_image_its_name_gives_nothing_away() -> None:
    assert said(turn("Where is the dog in Image-1?"), images=1) is None


@given(st.sets(st.integers(0, 19), min_size=1), st.sampled_from(["number", "ordinal"]))
def test_the_names_that_questions_use_are_read_back(images: set[int], style: Any) -> None:
    name = ImageNames(style).several(sorted(images))
    assert images_named(f"Look at {name}, please.") == images


@given(st.text(max_size=80), st.text(max_size=80), st.sampled_from(["text", "choice", "count"]))
def test_any_text_is_judged_without_a_crash(question: str, gold: str, kind: Any) -> None:
    said(other(question, kind, gold or "x", (gold, "other")))


def test_a_long_question_ends_too() -> None:
    long = turn("1, " * 20_000 + "image " * 20_000 + "first, " * 20_000)
    assert said(long) == "text too long"
    for odd in ("1, " * 300, "image " * 160, "first, " * 140, "a " * 450, "or, " * 240):
        said(other(odd, "text", "a b"), turn(odd), other(odd, "count", "12"))
