"""A reasoning read once, and the words that say which phrases it can hold."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgdata.teacher import conclusions
from mgdata.teacher.leak_rules import RULES
from mgdata.teacher.prose import Cues, Prose, as_prose


def test_the_words_of_a_text_match_patterns_as_bits_and_are_remembered():
    cues = Cues("answer", r"^box\b", "[0-9]")
    for _ in range(2):  # learnt, and then known
        assert cues.of({"the", "answer,"}) == 0b001
        assert cues.of({"(box)", "boxes", "on"}) == 0
        assert cues.of({"box.", "[12", "answers"}) == 0b111
        assert cues.of(set()) == 0


def test_no_more_words_are_remembered_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr("mgdata.teacher.prose._MOST_KNOWN", 5)
    cues = Cues("a")
    for number in range(40):
        assert cues.of({f"a{number}", f"b{number}", "b" * 1000}) == 1
        assert cues.of({f"b{number}"}) == 0


def test_a_text_is_read_letter_for_letter():
    prose = as_prose("İt is in Image 2. So\nit is.")
    assert as_prose(prose) is prose
    assert len(prose.low) == len(prose.text) and prose.words[:2] == ["it", "is"]
    assert [prose.text[start:end].strip() for start, end in prose.spans] == [
        "İt is in Image 2.",
        "So",
        "it is.",
    ]
    assert prose.names(2) == [(9, 16, 1)] and prose.boxes == []
    last = Prose("the last image")
    assert (last.names(2)[0][2], last.names(3)[0][2]) == (1, 2)


# Gaps of any letters would mostly be filled with what no text has.
LETTERS = st.sampled_from([*"abcdefghijklmnopqrstuvwxyz .,;:'?-0123456789"])


def _phrases(pattern: re.Pattern[str]) -> st.SearchStrategy[str]:
    return st.from_regex(pattern.pattern.replace("\\Z", ""), alphabet=LETTERS).filter(
        lambda text: bool(pattern.search(text))
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.reason)
@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_phrase_of_a_rule_has_the_words_that_it_needs(rule, data):
    needs = [Cues(need) for need in rule.needs]
    text = data.draw(_phrases(rule.pattern))
    assert all(need.of({*text.split()}) for need in needs), text


CONCLUDING = [
    (conclusions._DENIED, conclusions._DENIES),
    (conclusions._SUPPOSED, conclusions._SUPPOSES),
    (conclusions._SO, conclusions._FOLLOWS),
    (conclusions._COUNT, conclusions._TOTAL | conclusions._NUMERAL),
    (conclusions._ABSENT, conclusions._ABSENCE),
    (conclusions._GONE, conclusions._ABSENCE),
]


@pytest.mark.parametrize(("pattern", "bits"), CONCLUDING)
@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_phrase_of_a_conclusion_has_the_words_that_it_needs(pattern, bits, data):
    text = data.draw(_phrases(pattern))
    assert conclusions._CUES.of({*text.split()}) & bits == bits, text


@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_joint_of_clauses_has_the_words_that_it_needs(data):
    text = data.draw(_phrases(conclusions._CLAUSE))
    cues = conclusions._CUES.of({*text.split()})
    pauses = conclusions._PAUSES | conclusions._JOINS
    assert cues & conclusions._PARTS or cues & pauses == pauses, text
