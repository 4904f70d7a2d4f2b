"""The format of a teacher's text: two pairs of tags and nothing else, or one of a few reasons."""

from __future__ import annotations

import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import CHECKS, TRACES, objections

from mgdata.teacher.thought import REASONS, FormatError, Thought, read

KINDS = ("direct", "reason", "rationalise", "trajectory")
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
SOUP = st.lists(
    st.one_of(
        st.sampled_from(
            [*TAGS, "<Think>", "< answer >", "</think", "<", ">", "/", " ", "\n", "[]"]
        ),
        st.text(max_size=8),
    ),
    max_size=14,
).map("".join)


@pytest.mark.parametrize("row", TRACES, ids=lambda row: row["name"])
def test_every_check_says_of_a_trace_what_the_table_says(row):
    assert objections(row) == row.get("expect", {})


def test_the_table_has_honest_traces_and_every_reason_of_every_check():
    expected = {
        (check, reason) for row in TRACES for check, reason in row.get("expect", {}).items()
    }
    known = {(check, reason) for check, reasons in CHECKS.items() for reason in reasons}
    # What no trace of a few lines shows has tests of its own.
    alone = {
        ("language", "too long"),
        ("format", "think not asked"),
        ("format", "answer not opened"),
    }
    assert expected == known - alone
    assert sum("expect" not in row for row in TRACES) >= 20
    assert len({row["name"] for row in TRACES}) == len(TRACES) >= 60


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("gap", ["", " ", "\n\n", "\u00a0\t"])
def test_white_space_round_and_between_the_tags_is_passed(kind, gap):
    text = f"{gap}<think>{gap}a < b{gap}</think>{gap}<answer>{gap}[]{gap}</answer>{gap}"
    assert read(text, kind) == Thought(reasoning="a < b", answer="[]")


@pytest.mark.parametrize("text", ["[]", " [] ", "<answer>[]</answer>", "\n<answer> []\n</answer> "])
def test_a_direct_answer_is_bare_or_between_its_tags(text):
    assert read(text, "direct") == Thought(reasoning="", answer="[]")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("<think>a</think> []", "think not asked"),
        ("</think>[]", "think not asked"),
        ("<answer>[]", "answer not closed"),
        ("[]</answer>", "answer not opened"),
        ("</answer>[]<answer>", "tags out of order"),
        ("<answer>[]</answer> I hope this helps.", "text outside"),
        ("<answer></answer>", "empty answer"),
        ("<answer>[]</answer><answer>[]</answer>", "tag twice"),
        ("<ANSWER>[]</ANSWER>", "misspelt tag"),
    ],
)
def test_a_direct_answer_out_of_its_format_has_a_reason(text, reason):
    with pytest.raises(FormatError) as error:
        read(text, "direct")
    assert error.value.reason == reason and str(error.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # crossed pairs, a closing tag first, a repeated tag that is also cut
        ("<think>a<answer>b</think>c</answer>", "nested tags"),
        ("<answer><think>a</think>b</answer>", "nested tags"),
        ("</think>a<think><answer>b</answer>", "tags out of order"),
        ("<think>a</think>b</answer>", "answer not opened"),
        ("<think>a</think><answer>b</answer><think>", "tag twice"),
        ("<think>a</think> so <answer>b</answer>", "text outside"),
        ("<think>a</think><answer>b</answer>\u200b", "text outside"),
        ("<think>a</think>< answer >b</answer>", "misspelt tag"),
        ("<thinking>a</thinking><answer>b</answer>", "misspelt tag"),
    ],
)
def test_tags_out_of_place_have_a_reason(text, reason):
    with pytest.raises(FormatError) as error:
        read(text, "reason")
    assert error.value.reason == reason


def test_a_kind_of_prompt_without_a_format_is_refused():
    with pytest.raises(ValueError, match="caption"):
        read("text", "caption")  # pyright: ignore[reportArgumentType]


def test_a_format_error_survives_pickling():
    error = pickle.loads(pickle.dumps(FormatError("no think", "there is no <think>")))
    assert (error.reason, str(error)) == ("no think", "there is no <think>")


@given(SOUP, st.sampled_from(KINDS))
def test_any_text_is_read_or_refused_with_a_known_reason(text, kind):
    try:
        thought = read(text, kind)
    except FormatError as error:
        assert error.reason in REASONS and str(error)
        return
    assert thought.answer and thought.answer == thought.answer.strip()
    assert bool(thought.reasoning) == (kind != "direct")
    parts = thought.reasoning + thought.answer
    assert not any(tag in parts for tag in TAGS)


@pytest.mark.parametrize(
    "piece", ["<think>", "<", "< ", "<    /", "</think><answer>", "<think", " \n"]
)
def test_a_long_text_takes_no_long_time(piece):
    text = piece * (300_000 // len(piece))
    begun = time.process_time()
    for kind in KINDS:
        with pytest.raises(FormatError):
            if read(text, kind).answer == text.strip():
                raise FormatError("empty", "bare text is a direct answer")
    assert time.process_time() - begun < 30
