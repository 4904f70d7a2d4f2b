"""Boxes between tokens, as InternVL and DeepSeek-VL2 have them: written, read, refused."""

from __future__ import annotations

import pytest

from mgdata.data import Image, Target, Turn
from mgdata.geometry import Box
from mgdata.notations.deepseek_vl2 import DeepSeekVL2
from mgdata.notations.internvl import InternVL

IMAGES = [Image(uri=f"c:{i}.jpg", width=640, height=480) for i in range(3)]
ASKED = Turn(question="Where?", answer="", asked=(1,))
PROSE = Turn(question="Why?", answer="", kind="text", asked=(1,))
BOTH = [InternVL(), DeepSeekVL2()]
GOOD = "<ref>a kite</ref><box>[[1, 2, 30, 40]]</box>"

both = pytest.mark.parametrize("notation", BOTH, ids=["internvl", "deepseek-vl2"])


def said(notation: object, text: str) -> str:
    """A text with InternVL's tokens, with the tokens of a notation."""
    if isinstance(notation, InternVL):
        return text
    for mine, theirs in (
        ("ref", "|ref|"),
        ("/ref", "|/ref|"),
        ("box", "|det|"),
        ("/box", "|/det|"),
    ):
        text = text.replace(f"<{mine}>", f"<{theirs}>")
    return text


def test_internvl_rounds_to_thousandths():
    target = Target(image=0, box=Box(0, 1.9, 320, 480), phrase="a kite")
    text = InternVL().region(target, IMAGES[0])
    assert text == "<ref>a kite</ref><box>[[0, 4, 500, 1000]]</box>"
    assert InternVL().frame == "0-1000"


def test_deepseek_rounds_to_shares_of_999():
    target = Target(image=0, box=Box(0, 1.9, 320, 480), phrase="a kite")
    text = DeepSeekVL2().region(target, IMAGES[0])
    # 1.9 / 480 * 999 = 3.95; 320 / 640 * 999 = 499.5, a half, goes to the even number
    assert text == "<|ref|>a kite<|/ref|><|det|>[[0, 4, 500, 999]]<|/det|>"
    assert DeepSeekVL2().frame == "0-999 rounded"


def test_999_is_the_far_edge_for_deepseek():
    text = "<|ref|>all<|/ref|><|det|>[[0, 0, 999, 999]]<|/det|>"
    (found,) = DeepSeekVL2().parse(text, ASKED, IMAGES)
    assert found.box == Box(0, 0, 640, 480)


@both
def test_a_box_without_a_phrase_stands_alone(notation):
    text = notation.region(Target(image=0, box=Box(0, 0, 64, 48)), IMAGES[0])
    assert text == said(notation, "<box>[[0, 0, 100, 100]]</box>")
    assert notation.parse(text, ASKED, IMAGES)[0].phrase is None


@both
def test_the_sentence_names_the_image_and_the_phrase_names_none(notation):
    text = said(
        notation,
        "In the third image, <ref>the first image on the wall</ref><box>[[1, 2, 30, 40]]</box>.",
    )
    (found,) = notation.parse(text, Turn(question="?", answer=""), IMAGES)
    assert (found.image, found.phrase) == (2, "the first image on the wall")


@both
def test_a_list_of_boxes_is_read_as_one_target_each(notation):
    text = said(
        notation,
        "Image-3: <ref>kites</ref><box>[[1, 2, 30, 40], [5,6,70,80]]</box>; "
        "image 1: <box>[[7, 8, 90, 91],[1, 1, 2, 2]]</box>",
    )
    found = notation.parse(text, Turn(question="?", answer=""), IMAGES)
    assert [(t.image, t.phrase) for t in found] == [
        (2, "kites"),
        (2, "kites"),
        (0, None),
        (0, None),
    ]
    assert found[1] == notation.parse(
        said(notation, "image 3 <ref>kites</ref><box>[[5, 6, 70, 80]]</box>"), ASKED, IMAGES
    )[0]  # fmt: skip


@both
def test_spaces_inside_the_tokens_are_read(notation):
    spaced = said(notation, "<ref>a kite</ref> \n<box> [ [ 1, 2 ,30,40 ] ] </box>")
    good = said(notation, GOOD)
    assert notation.parse(spaced, ASKED, IMAGES) == notation.parse(good, ASKED, IMAGES)


@both
def test_prose_of_another_kind_holds_boxes_too(notation):
    text = said(notation, f"[2, 1, 3, 4], since {GOOD} moved.")
    assert len(notation.parse(text, PROSE, IMAGES)) == 1


@both
@pytest.mark.parametrize("token", ["<ref>", "</ref>", "<box>", "</box>"])
def test_a_phrase_with_a_token_is_refused(notation, token):
    target = Target(image=0, box=Box(0, 0, 64, 48), phrase=said(notation, f"a {token} sign"))
    with pytest.raises(ValueError, match="holds the token"):
        notation.region(target, IMAGES[0])


@both
def test_a_box_outside_its_image_is_not_written(notation):
    with pytest.raises(ValueError, match="640 x 480"):
        notation.region(Target(image=0, box=Box(0, 0, 641, 480)), IMAGES[0])


BROKEN = [
    ("<ref>a kite</ref><box>[[1, 2, 30, 40]]", "pair"),  # no end
    ("<ref>a kite</ref>[[1, 2, 30, 40]]</box>", "pair"),  # no start
    ("a kite[[1, 2, 30, 40]]", "pair"),  # tokens were stripped in decoding
    ("a kite[1, 2, 30, 40]", "pair"),
    ("<ref>a kite</ref>", "pair"),  # a phrase without a box
    ("<ref>a kite</ref>, at <box>[[1, 2, 30, 40]]</box>", "pair"),  # apart from its box
    ("<ref>a kite<box>[[1, 2, 30, 40]]</box>", "pair"),
    ("<ref>a <ref>kite</ref><box>[[1, 2, 30, 40]]</box>", "pair"),
    ("<box>[1, 2, 30, 40]</box>", "pair"),  # no list
    ("<box>[[1, 2, 30]]</box>", "pair"),
    ("<box>[[1, 2, 30, 40, 50]]</box>", "pair"),
    ("<box>[[]]</box>", "pair"),
    ("<box>[]</box>", "pair"),
    ("<box>[[1, 2, 30, 40],]</box>", "pair"),
    ("<box>[[0.1, 0.2, 0.3, 0.4]]</box>", "pair"),  # shares: another frame
    ("<box>[[-1, 2, 30, 40]]</box>", "pair"),
    ("<box>[[nan, 2, 30, 40]]</box>", "pair"),
    ("<box>[[1, 2, 30, 40]]<box>", "pair"),
    (f"<box>[[1, 2, 30, {'9' * 5000}]]</box>", "pair"),  # more digits than Python reads
    ("(1,2),(30,40)", "pair"),  # another notation's
    ('[{"bbox_2d": [1, 2, 30, 40]}]', "pair"),
    ("<box>[[30, 2, 1, 40]]</box>", "inverted"),
    ("<box>[[1, 2, 1, 40]]</box>", "empty"),
    ("<box>[[1, 2, 30, 40], [5, 6, 5, 8]]</box>", "empty"),
    ("<box>[[1, 2, 1001, 40]]</box>", "outside 0 to"),
    (f"Image-0: {GOOD}", "image 0"),
    (f"Image-4: {GOOD}", "image 4"),
]


@both
@pytest.mark.parametrize(("text", "why"), BROKEN, ids=[text[:50] for text, _ in BROKEN])
def test_a_broken_answer_is_refused(notation, text, why):
    with pytest.raises(ValueError, match=why):
        notation.parse(said(notation, text), ASKED, IMAGES)


def test_1000_is_out_of_range_for_deepseek_alone():
    text = "<box>[[1, 2, 1000, 40]]</box>"
    assert len(InternVL().parse(text, ASKED, IMAGES)) == 1
    with pytest.raises(ValueError, match="outside 0 to 999"):
        DeepSeekVL2().parse(said(DeepSeekVL2(), text), ASKED, IMAGES)


@both
def test_a_box_that_names_no_image_is_refused_where_several_are_asked_about(notation):
    with pytest.raises(ValueError, match="which of 3 images"):
        notation.parse(said(notation, GOOD), Turn(question="?", answer=""), IMAGES)
