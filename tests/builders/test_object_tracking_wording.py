from __future__ import annotations

import difflib
import re
from collections import Counter
from itertools import combinations

import pytest

from builders.object_tracking import WORDING


def content(text: str) -> list[str]:
    """The words of a form without its slots."""
    text = re.sub(r"\{([^{}|]*)\|[^{}|]*\}", r"\1", text)
    return re.findall(r"[a-z']+", re.sub(r"\{[^{}]*\}", " ", text).lower())


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("ask_one", 20),
        ("ask_next", 20),
        ("ask_all", 20),
        ("ask_order", 10),
        ("answer_one", 8),
        ("answer_several", 8),
        ("answer_all", 8),
        ("answer_all_several", 8),
        ("answer_hidden", 8),
        ("answer_order", 8),
        ("shuffled", 8),
    ],
)
def test_there_are_many_forms(name: str, least: int) -> None:
    assert len(WORDING.forms[name]) >= least


@pytest.mark.parametrize("name", ["ask_one", "ask_next", "ask_all", "ask_order"])
def test_questions_differ_in_syntax_and_not_in_one_word(name: str) -> None:
    texts = [form.text for form in WORDING.forms[name]]
    for one, other in combinations(texts, 2):
        first, second = content(one), content(other)
        alike = difflib.SequenceMatcher(None, first, second, autojunk=False).ratio()
        assert alike < 0.75, (one, other)
    openings = Counter(tuple(text.split()[:2]) for text in texts)
    assert max(openings.values()) <= 3, openings.most_common(2)


@pytest.mark.parametrize("name", ["ask_one", "ask_next", "ask_all"])
def test_questions_are_of_several_moods(name: str) -> None:
    texts = [form.text for form in WORDING.forms[name]]
    asking = sum(text.rstrip().endswith("?") for text in texts)
    assert 5 <= asking <= len(texts) - 5
