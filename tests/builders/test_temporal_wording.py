from __future__ import annotations

import difflib
import re
from collections import Counter
from itertools import combinations

import pytest
from guesses import template_of
from presence import ASKED, BOTH, LENGTH, built, clip, turn

from builders.temporal_association import WORDING
from mgdata import registry
from mgdata.data import Record
from mgdata.plugins import Notation

QUESTIONS = ("ask_seen", "ask_which", "ask_several", "ask_order", "ask_both", "ask_moment")
ANSWERS = ("answer_seen", "answer_unseen", "answer_which", "answer_none", "answer_several",
           "answer_order", "answer_both", "answer_moment")  # fmt: skip


def content(text: str) -> list[str]:
    """The words of a form without its slots."""
    text = re.sub(r"\{([^{}|]*)\|[^{}|]*\}", r"\1", text)
    return re.findall(r"[a-z']+", re.sub(r"\{[^{}]*\}", " ", text).lower())


def test_there_are_many_forms() -> None:
    assert all(len(WORDING.forms[name]) >= 20 for name in QUESTIONS)
    assert all(len(WORDING.forms[name]) >= 8 for name in ANSWERS)


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_differ_in_syntax_and_not_in_one_word(name: str) -> None:
    texts = [form.text for form in WORDING.forms[name]]
    for one, other in combinations(texts, 2):
        alike = difflib.SequenceMatcher(None, content(one), content(other), autojunk=False).ratio()
        assert alike < 0.75, (one, other)


@pytest.mark.parametrize("name", ["ask_seen", "ask_which"])
def test_open_questions_do_not_say_that_there_is_something(name: str) -> None:
    """Each leaves room for none: by a word, or by asking whether."""
    room = re.compile(
        r"\b(if|none|no|not|any|whether|which|whatever|whichever|how many|is there|does|do|can|may"
        r"|absence|gets|match(es)?)\b"
    )
    for form in WORDING.forms[name]:
        assert room.search(form.text.lower()), form.text


ONE = clip("xxxxxx----xxxx----xxxxxx", number=1)
MANY = clip("xxxxxx----xxxx----xxxx--", "xxxxxx---xxxx-----xxxx--", "xxxxxx----xxx-----xxxxx-",
            number=2)  # fmt: skip


@pytest.mark.parametrize("record", [ONE, MANY, BOTH, ASKED])
def test_every_question_was_filled_from_one_form_and_reads_as_a_sentence(record: Record) -> None:
    for sample in built(record, 200):
        question = re.sub(r"<image:\d+>\n", "", turn(sample).question)
        template_of(question, WORDING)
        for text in (question, turn(sample).answer):
            assert not re.search(r"[{}\[\]]|  | [,.;?]|\.\.", text), text
            assert re.match(r"[A-Z\"<-]", text), text


def test_all_forms_are_used() -> None:
    used: Counter[str] = Counter()
    for record in (ONE, MANY, BOTH, ASKED):
        for sample in built(record, 500):
            used["/".join(template_of(turn(sample).question, WORDING))] += 1
    for name in QUESTIONS:
        missing = [f.text for f in WORDING.forms[name] if not used[f"{name}/{f.text}"]]
        assert not missing, (name, missing)


@pytest.mark.parametrize(
    "label", ["bmx rider", "scissors", "aerosol_can", "cup/glass/bottle", "人"]
)
def test_odd_labels_read_well(label: str) -> None:
    labels = (label,)
    for record in (
        clip("xxxxxx----xxxx----xxxxxx", labels=labels),
        clip("x" * LENGTH, labels=labels, question="Which object was taken?"),
    ):
        for sample in built(record, 60):
            text = turn(sample).question + " " + turn(sample).answer
            assert "_" not in text
            assert "/" not in text
            assert "人" not in text
            assert "the scissors" not in text.lower()


def test_images_come_before_their_boxes_and_in_order() -> None:
    """From left to right within an image, as the targets are: slots rise in the text."""
    for record in (ONE, MANY, BOTH, ASKED):
        for sample in built(record, 200, naming="number"):
            slots = [int(n) for n in re.findall(r"<target:(\d+)>", turn(sample).answer)]
            assert slots == list(range(len(turn(sample).targets)))
            if len(turn(sample).asked) == 1:
                continue
            image = -1
            for piece in re.findall(r"Image-\d+|<target:\d+>", turn(sample).answer):
                if piece.startswith("Image"):
                    image = int(piece.removeprefix("Image-")) - 1
                else:
                    assert turn(sample).targets[int(piece[8:-1])].image == image


def test_an_answer_without_a_target_has_no_box() -> None:
    writer: Notation = registry.make("notations", "qwen2-vl", {}, "test")
    for record in (ONE, BOTH):
        for sample in built(record, 100, count="none"):
            assert "<" not in turn(sample).answer
            text = writer.answer(turn(sample), sample.images)
            assert writer.parse(text, turn(sample), sample.images) == []


def test_questions_of_the_corpus_are_quoted_as_they_are() -> None:
    asked = 'Which object did the person take after they put down the "box"?'
    record = clip("x" * LENGTH, question=asked)
    assert all(asked in turn(sample).question for sample in built(record, 40))
