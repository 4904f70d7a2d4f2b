"""A teacher's answers in the gallery: its boxes apart from the annotated ones, its words harmless."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from msgspec.structs import replace
from test_gallery import HOSTILE, Read, hostile, jpeg, page, picture, sample

from mgdata.geometry import Box
from mgdata.view import ACCEPTED, Exchange, Mark, Shown, Trace, overlay, write
from mgdata.view.marks import CLAIMED, PALETTE

CLAIM = Mark(image=1, box=Box(32, 24, 48, 40), phrase="the dog")
REASONING = "Image-1 shows a dog.\n\nIn the second image it is at [32, 24, 48, 40],\nby the door."


def traced(id: str = "00ff", reasoning: str = REASONING, **changes: Any) -> Shown:
    """The sample of the gallery's tests, answered by a teacher with a box beside the target."""
    fields = {
        "verdict": "wrong: box",
        "prompt": "reason",
        "answer": "[32, 24, 48, 40]",
        "raw": "<think>..</think>",
        "claimed": (CLAIM,),
        "scores": {"iou": 0.25, "least_iou": 0.0},
    }
    shown = sample(id)
    turn = replace(shown.turns[0], reasoning=reasoning, trace=Trace(**fields | changes))
    return replace(shown, turns=(turn,))


def of_class(text: str, name: str) -> str:
    """What stands in the one element of a class."""
    found = re.findall(rf'<(\w+) class="{name}[^>]*>(.*?)</\1>', text, re.DOTALL)
    assert len(found) == 1, name
    return found[0][1]


def html(tmp_path: Path, *items: Shown) -> str:
    return write(items, tmp_path / "g", title="", facts={}).read_text("utf-8")


def test_whatever_a_teacher_wrote_stays_text(tmp_path: Path) -> None:
    bad = traced(
        reasoning=HOSTILE + "\n<script>alert(2)</script> in the first image",
        verdict=HOSTILE, quote="alert(2)", prompt=HOSTILE, answer=HOSTILE + " [32, 24, 48, 40]",
        raw=HOSTILE, scores={HOSTILE: 0.5}, claimed=(replace(CLAIM, phrase=HOSTILE),),
    )  # fmt: skip
    bad = replace(bad, turns=(replace(bad.turns[0], instruction=HOSTILE),))
    read = Read(html(tmp_path, bad, hostile()))
    assert len(read.of("script")) == 1 and len(read.of("style")) == 1
    assert len(read.of("img")) == 3
    for tag, attributes in read.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
    assert "<script>alert(2)</script> in the first image" in read.text
    assert read.text.count(HOSTILE) >= 10 + 6
    assert not read.open, "every element is closed"


def test_claimed_boxes_are_drawn_over_the_annotated_ones_in_a_style_of_their_own(
    tmp_path: Path,
) -> None:
    read = page(tmp_path, traced())
    marks = [(a["class"], a.get("data-mark")) for a in read.of("g", "mark")]
    assert marks[:3] == [("mark given", "A"), ("mark c0", "1"), ("mark claimed", "T1")]
    edges = [a for a in read.of("rect", "edge")]
    assert [edges[-1][n] for n in ("x", "y", "width", "height")] == ["32", "24", "16", "16"]
    dotted = re.search(r"\.mark\.claimed \.edge \{ stroke-dasharray: 0 ", read.inside["style"])
    assert dotted and CLAIMED in read.inside["style"] and CLAIMED not in PALETTE


def test_the_lines_are_explained_where_a_teacher_has_drawn_some(tmp_path: Path) -> None:
    text = html(tmp_path, traced())
    told = re.findall(r"<li><svg.*?</svg>(.*?)</li>", text)
    assert told == ["annotated", "claimed by the teacher", "given in the question"]
    assert not Read(html(tmp_path, sample(), traced(claimed=()))).of("ul", "key")


def test_numbers_in_a_reasoning_wear_the_teachers_colour(tmp_path: Path) -> None:
    # The target lies where the claim does: the question's box is the annotation's all the same.
    shown = traced()
    turn = replace(shown.turns[0], answer="[32, 24, 48, 40]", targets=(CLAIM,))
    text = html(tmp_path, replace(shown, turns=(turn,)))
    assert 'class="chip claimed" data-turn="0" data-mark="T1"' in of_class(text, "reasoning")
    assert 'class="chip c0" data-turn="0" data-mark="1"' in of_class(text, "answer")
    assert 'data-mark="T1"' in of_class(text, "said")


def test_a_claimed_box_that_the_answer_does_not_show_is_listed(tmp_path: Path) -> None:
    read = page(tmp_path, traced(answer="in the second one", reasoning=""))
    assert [a["data-mark"] for a in read.of("li") if "data-mark" in a] == ["A", "1", "T1"]
    read = page(tmp_path, traced())
    assert [a["data-mark"] for a in read.of("li") if "data-mark" in a] == ["A", "1"]


def test_images_named_in_prose_point_at_their_picture_and_lines_stay(tmp_path: Path) -> None:
    text = of_class(html(tmp_path, traced()), "reasoning")
    named = re.findall(r'<span class="image" data-image="(\d)">([^<]+)</span>', text)
    assert named == [("0", "Image-1"), ("1", "second image")]
    assert text.count("\n") == 3
    beyond = html(tmp_path, traced(reasoning="See image 0, the ninth image and picture 2."))
    assert re.findall(r'data-image="(\d)">', of_class(beyond, "reasoning")) == ["1"]


@pytest.mark.parametrize(
    ("quote", "marked"),
    [
        ("shows a dog. In the second", "shows a dog.\n\nIn the second image"),
        ("the second image it is", "the second image it is"),
        ("it is at [32", "it is at T1 [32, 24, 48, 40]"),
        ("BY THE DOOR...", "by the door"),
        ("F1 0.900 at IoU 0.5", ""),
        ("", ""),
    ],
)
def test_the_quoted_words_are_marked_in_the_reasoning(
    tmp_path: Path, quote: str, marked: str
) -> None:
    text = of_class(html(tmp_path, traced(quote=quote)), "reasoning")
    found = "".join(re.findall(r"<mark>(.*?)</mark>", text, re.DOTALL))
    assert unescape(re.sub(r"<[^>]+>", "", found)) == marked
    assert unescape(re.sub(r"<[^>]+>", "", text)).replace("T1 ", "") == REASONING


def test_a_verdict_is_told_with_what_was_found_and_the_scores(tmp_path: Path) -> None:
    text = html(tmp_path, traced(quote="IoU 0.25", number=1))
    assert '<span class="pill rejected" dir="auto">wrong: box</span>' in text
    assert '<q dir="auto">IoU 0.25</q><span class="asked">reason #2</span>' in text
    assert "iou <b>0.25</b>" in text and "least iou <b>0</b>" in text
    assert '<span class="pill accepted"' in html(tmp_path, traced(verdict=ACCEPTED))


def test_the_whole_answer_is_folded_unless_it_is_all_there_is(tmp_path: Path) -> None:
    assert '<details class="raw"><summary>' in html(tmp_path, traced())
    cut = html(tmp_path, traced(reasoning="", answer="", claimed=(), raw="<think> a"))
    assert '<details class="raw" open><summary>' in cut
    assert of_class(cut, "raw").endswith('<pre dir="auto">&lt;think&gt; a</pre>')
    assert "details class" not in html(tmp_path, traced(raw="", answer="", reasoning=""))


def test_kind_and_verdict_can_be_filtered_by(tmp_path: Path) -> None:
    read = page(
        tmp_path,
        traced("1"),
        traced("2", verdict=ACCEPTED, prompt="direct"),
        traced("3", verdict="leak: hint"),
    )
    offered = [a["value"] for a in read.of("option") if "value" in a]
    assert offered == ["direct", "reason", ACCEPTED, "leak: hint", "wrong: box"]
    assert [a["id"] for a in read.of("select")] == ["kind", "verdict"]
    verdicts = [a["data-verdict"] for a in read.of("article")]
    assert verdicts == ["wrong: box", ACCEPTED, "leak: hint"]
    assert not page(tmp_path, sample("1"), sample("2")).of("select")


def test_a_row_that_reasons_shows_its_reasoning_before_the_answer(tmp_path: Path) -> None:
    shown = sample()
    turn = replace(shown.turns[0], reasoning=REASONING, instruction="Think first.")
    text = html(tmp_path, replace(shown, turns=(turn,)))
    places = [text.index(part) for part in ('class="question"', "Think first.", "by the door",
                                            'class="answer"')]  # fmt: skip
    assert places == sorted(places)
    assert 'class="trace"' not in text


def test_an_open_question_is_said_to_be_open(tmp_path: Path) -> None:
    turn = Exchange(question="Where?", answer="", open=True)
    assert "left open" in page(tmp_path, sample(turns=(turn,))).text


def test_a_contact_sheet_has_the_claimed_box_as_dots_and_the_reasoning(tmp_path: Path) -> None:
    shown = traced(claimed=(Mark(image=0, box=Box(16, 12, 48, 36)),))
    shown = replace(shown, images=(picture(jpeg()), picture(jpeg(), "Image-2")))
    with_words = cv2.imread(str(overlay(shown, tmp_path / "a.png")))
    without = cv2.imread(str(overlay(sample(), tmp_path / "b.png")))
    assert with_words.shape[0] > without.shape[0] + 4 * 31
    colour = np.array([int(CLAIMED[i : i + 2], 16) for i in (5, 3, 1)])
    rows, columns = np.nonzero((with_words[:600] == colour).all(axis=2))
    scale = 520 / 48
    assert abs(columns.min() - (40 + 16 * scale)) <= 4
    assert abs(columns.max() - (40 + 48 * scale)) <= 4
    assert abs(rows.min() - (40 + 12 * scale)) <= 4
    edge = with_words[int(40 + 12 * scale), int(44 + 17 * scale) : int(36 + 47 * scale)]
    share = (edge == colour).all(axis=1).mean()
    assert 0.1 < share < 0.6, "dots, not a line"
    assert not (without == colour).all(axis=2).any()
