"""What makes a teacher's answer good enough, and the one reason of one that is not."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import TRACES, objections, scene, written

from mgdata import registry
from mgdata.data import Answer, Image, Reply, Sample, Sampling, Target, Trace, Turn
from mgdata.geometry import Box
from mgdata.notations import ceiling
from mgdata.schema import faults, schema_of
from mgdata.scoring.matching import hits
from mgdata.teacher import acceptance
from mgdata.teacher.acceptance import FAILURES, REASONS, Acceptance, Gain, accept, direct_iou
from mgdata.teacher.language import Bounds

QWEN3 = registry.make("notations", "qwen3-vl", {}, "test")
IMAGES = (Image(uri="a", width=1000, height=1000), Image(uri="b", width=1000, height=1000))
DOG = Target(image=1, box=Box(100, 100, 300, 300), phrase="the brown dog")
CAT = Target(image=0, box=Box(600, 600, 800, 900), phrase="the cat")
ONE = Turn(question="<image:0><image:1>Find the brown dog.", answer="<target:0>", targets=(DOG,))
MANY = msgspec.structs.replace(ONE, answer="<target:0><target:1>", targets=(CAT, DOG))
NONE = msgspec.structs.replace(ONE, answer="None.", targets=())
COUNT = msgspec.structs.replace(ONE, kind="count", gold="3", answer="There are 3.", targets=())
RIGHT = '[{"bbox_2d": [100, 100, 300, 300], "label": "the brown dog", "image": 2}]'
BOTH = f'[{{"bbox_2d": [600, 600, 800, 900], "image": 1}}, {RIGHT[1:]}'
# IoU 200 * 100 / (40000 + 40000 - 20000) = 1/3
OFFSET = RIGHT.replace("100, 100, 300, 300", "100, 200, 300, 400")
HONEST = (
    "Image 1 shows a cat on a sofa and a lamp beside it, and no other animal. Image 2 is a garden: "
    "a brown dog lies on the grass in the upper left part, next to a white fence."
)
RANGES = st.floats(0, 1, allow_nan=False)


def sample(turn: Turn, images: tuple[Image, ...] = IMAGES) -> Sample:
    return Sample(
        id="0123456789abcdef",
        task="t",
        association="referential",
        split="train",
        images=images,
        turns=(turn,),
        records=("r",),
        license="MIT",
    )


def answer(text: str, kind: str = "direct", number: int = 0, **reply) -> Answer:
    return Answer(
        sample="0123456789abcdef",
        turn=0,
        number=number,
        kind=kind,
        reply=Reply(key="k", text=text, **{"finish": "stop"} | reply),
        model="scripted:test",
        prompt="p",
        words="w",
        sampling=Sampling(max_tokens=77),
        seed=1,
    )


def trace(text: str, turn: Turn = ONE, kind: str = "direct", **more) -> Trace:
    given_ = {name: more.pop(name) for name in ("direct", "settings") if name in more}
    return accept(answer(text, kind, **more), sample(turn), QWEN3, **given_)


def reasoned(think: str = HONEST, text: str = RIGHT) -> str:
    return f"<think>{think}</think>\n<answer>{text}</answer>"


def test_the_right_answer_is_accepted_with_its_scores():
    found = trace(RIGHT)
    assert (found.accepted, found.reason, found.value) == (True, None, None)
    assert found.targets == (DOG,) and found.reasoning == ""
    assert found.scores["iou"] == found.scores["f1"] == found.scores["format"] == 1.0
    found = trace(reasoned(), kind="reason")
    assert found.accepted and found.reasoning == HONEST
    assert found.scores["words"] == len(HONEST.split())


REJECTED = [
    # text, kind, turn, reason, and a part of its value
    ("", "direct", ONE, "format: empty", "empty"),
    (reasoned(), "direct", ONE, "format: think not asked", "<think>"),
    (RIGHT, "reason", ONE, "format: no think", "<think>"),
    (reasoned().replace("</think>", ""), "rationalise", ONE, "format: think not closed", "<think>"),
    ("the dog is there", "direct", ONE, "answer: malformed", "not JSON"),
    (RIGHT.replace("2}", "0}"), "direct", ONE, "answer: no such image", "1 to 2"),
    (RIGHT.replace("2}", "3}"), "direct", ONE, "answer: no such image", "found 3"),
    (RIGHT.replace(', "image": 2', ""), "direct", ONE, "answer: image not told", "which"),
    (RIGHT.replace("300, 300", "300, 50"), "direct", ONE, "answer: inverted box", "50"),
    (RIGHT.replace("300, 300", "300, 1300"), "direct", ONE, "answer: out of range", "1300"),
    ("[]", "direct", ONE, "wrong: no box", "0 boxes for 1 targets"),
    (RIGHT, "direct", NONE, "wrong: box where none is", "1 boxes for 0 targets"),
    (RIGHT.replace("2}", "1}"), "direct", ONE, "wrong: image", "0.000"),
    (RIGHT, "direct", MANY, "wrong: image", "0.667"),
    (OFFSET, "direct", ONE, "wrong: box", "least IoU 0.333"),
    ("4", "direct", COUNT, "wrong: short answer", "0.000"),
    (reasoned("Image 2."), "reason", ONE, "language: too short", "2 words"),
    (
        reasoned("As the ground truth says, " + HONEST),
        "rationalise",
        ONE,
        "leak: ground truth",
        "ground truth",
    ),
    (
        reasoned(HONEST.replace("Image 2 is", "Image 5 is")),
        "reason",
        ONE,
        "inconsistent: no such image",
        "Image 5",
    ),
]


@pytest.mark.parametrize(("text", "kind", "turn", "reason", "value"), REJECTED)
def test_what_is_not_good_enough_has_one_reason_and_what_was_found(text, kind, turn, reason, value):
    found = trace(text, turn, kind)
    assert (found.accepted, found.reason) == (False, reason)
    assert found.reason in REASONS and value in found.value
    assert {*found.scores} == {*trace(RIGHT).scores}


@pytest.mark.parametrize("text", ["[]", "[ ]"])
def test_nothing_is_right_where_there_is_nothing(text):
    assert trace(text, NONE).accepted


def test_a_short_answer_is_judged_by_its_words():
    assert trace("There are three.", COUNT).accepted
    words = msgspec.structs.replace(COUNT, kind="text", gold="behind the white van")
    assert trace("behind the van", words).reason == "wrong: short answer"
    assert trace("behind the van", words, settings=Acceptance(text=0.7)).accepted


def test_a_failed_reply_tells_what_its_backend_told():
    for said in FAILURES:
        found = trace("", finish="failed", reason=said, value="after 60 s")
        assert (found.reason, found.value) == (f"reply: {said}", "after 60 s")
        assert found.reason in REASONS and found.scores["iou"] == 0
    found = trace("", finish="failed", reason="gremlins", value="at night")
    assert (found.reason, found.value) == ("reply: failed", "gremlins: at night")


def test_a_cut_reply_is_rejected_though_its_text_is_right_and_keeps_its_scores():
    found = trace(RIGHT, finish="length", tokens=76)
    assert (found.reason, found.value) == ("reply: cut", "after at most 77 tokens")
    assert found.scores["iou"] == 1.0 and found.targets == (DOG,)


def test_a_verdict_is_the_same_whatever_the_backend_counted():
    first = accept(answer(OFFSET, tokens=5, prompt_tokens=9), sample(ONE), QWEN3)
    other = msgspec.structs.replace(answer(OFFSET, tokens=6), model="vllm:x@y", seed=4)
    second = accept(other, sample(ONE), QWEN3)
    assert msgspec.structs.replace(first, answer=other) == second


def test_another_threshold_judges_the_same_answer_anew():
    kept = answer(OFFSET)
    verdicts = [accept(kept, sample(ONE), QWEN3, Acceptance(iou=iou)) for iou in (0.3, 0.34)]
    assert [found.accepted for found in verdicts] == [True, False]
    assert verdicts[0].scores["iou"] == verdicts[1].scores["iou"] == pytest.approx(1 / 3)
    assert accept(kept, sample(ONE), QWEN3, Acceptance(iou=0.3)) == verdicts[0]


def test_a_share_of_the_targets_may_be_enough():
    half = BOTH.replace("600, 600, 800, 900", "10, 10, 20, 20")
    assert trace(BOTH, MANY).accepted
    assert trace(half, MANY).reason == "wrong: box"
    assert trace(half, MANY, settings=Acceptance(f1=0.5)).accepted
    assert trace(RIGHT, MANY, settings=Acceptance(f1=0.6)).reason == "wrong: image"
    assert trace(RIGHT, MANY, settings=Acceptance(f1=0.6, images=False)).accepted
    assert trace(half, MANY).scores["least_iou"] == 0


def test_no_box_is_asked_to_be_better_than_the_right_answer_itself():
    tiny = Target(image=0, box=Box(10.4, 10.4, 11.3, 11.3))
    turn = Turn(question="?", answer="<target:0>", targets=(tiny,), asked=(0,))
    images = (Image(uri="a", width=1000, height=1000),)
    text = QWEN3.answer(turn, images)
    best = ceiling(QWEN3, turn, images)[0]
    assert best < 0.9
    whole = sample(turn, images)
    assert accept(answer(text), whole, QWEN3, Acceptance(iou=0.95)).accepted
    strict = Acceptance(iou=0.95, capped=False)
    assert accept(answer(text), whole, QWEN3, strict).reason == "wrong: box"
    off = text.replace("[10, 10, 11, 11]", "[10, 10, 12, 11]")
    assert off != text
    assert accept(answer(off), whole, QWEN3, Acceptance(iou=0.95)).reason == "wrong: box"


@given(x=st.floats(0, 980), w=st.floats(0.2, 19), threshold=RANGES, shift=st.integers(-1, 1))
@settings(max_examples=60, deadline=None)
def test_ceilings_that_are_looked_up_only_at_need_change_no_verdict(x, w, threshold, shift):
    turn = Turn(
        question="?",
        answer="<target:0>",
        targets=(Target(image=0, box=Box(x, x, x + w, x + w)),),
        asked=(0,),
    )
    images = (Image(uri="a", width=1000, height=1000),)
    low, high = round(x), max(round(x + w), round(x) + 1)
    text = f'[{{"bbox_2d": [{low}, {low}, {high + shift + 1}, {high}], "image": 1}}]'
    score = acceptance.judged(text, turn, images, QWEN3, threshold=threshold).score
    always = hits(score.pairs, threshold, ceiling(QWEN3, turn, images))
    assert score.f1 == len(always)


@pytest.mark.parametrize("row", TRACES, ids=lambda row: row.get("name"))
def test_every_trace_of_the_table_is_judged_as_its_checks_say(row):
    turn, images, notation = scene(row["scene"])
    kind = row.get("kind", "reason")
    # Whether the answer is right is not what the table is about.
    lax = Acceptance(iou=0, f1=0, images=False, text=0)
    found = accept(answer(written(row), kind), sample(turn, images), notation, lax)
    expected = objections(row)
    assert found.accepted == (not expected)
    if expected:
        check = next(name for name in ("format", "language", "leak", "consistency")
                     if name in expected)  # fmt: skip
        told = {"consistency": "inconsistent"}.get(check, check)
        assert found.reason == f"{told}: {expected[check]}"
        off = msgspec.structs.replace(lax, leaks=False, consistency=False, language=None)
        again = accept(answer(written(row), kind), sample(turn, images), notation, off)
        assert again.accepted == (check != "format")


GAINS = [
    # direct, reasoned, enough: MG-Thinker's three cases at 0.10, 0.20 and a threshold of 0.5
    (0.60, 0.70, True),
    (0.60, 0.69, False),
    (0.95, 1.00, False),
    (0.45, 0.50, True),  # wrong, then right
    (0.10, 0.30, True),  # wrong, then less wrong
    (0.10, 0.29, False),
    (0.00, 0.20, True),
    (0.50, 0.40, False),
]


@pytest.mark.parametrize(("direct", "reason", "enough"), GAINS)
def test_a_reasoning_must_add_to_the_direct_answer(direct, reason, enough):
    assert Gain().enough(direct, reason) == enough


def test_the_gain_is_asked_of_reasoned_answers_alone_and_after_all_else():
    rule = Acceptance(gain=Gain())
    assert trace(RIGHT, settings=rule).accepted
    assert trace(reasoned(), kind="reason", settings=rule).reason == "gain: no direct answer"
    good = trace(reasoned(), kind="reason", settings=rule, direct=0.3)
    assert good.accepted and good.scores["direct"] == 0.3
    assert trace(reasoned(), kind="reason", settings=rule, direct=0.95).reason == "gain: too little"
    mg_thinker = Acceptance(iou=0, f1=0, gain=Gain())
    text = reasoned(text=OFFSET)
    assert trace(text, kind="reason", settings=mg_thinker, direct=0.1).accepted
    assert trace(text, kind="reason", settings=rule, direct=0.1).reason == "wrong: box"


def test_the_direct_answer_to_compare_with_is_the_first_that_was_given():
    failed = trace("", number=0, finish="failed", reason="timeout")
    other, first = trace(RIGHT, number=2), trace(OFFSET, number=1)
    assert direct_iou([failed]) is None
    assert direct_iou([trace(reasoned(), kind="reason"), failed, other, first]) == pytest.approx(
        1 / 3
    )
    assert direct_iou([trace("no boxes at all", number=0), other]) == 0.0


def test_answers_are_asked_for_until_enough_are_accepted():
    rule = Acceptance(first=2, enough=2, most=9)
    assert rule.wanted(0, 0, 0) == 2
    assert rule.wanted(1, 2, 2) == 0
    assert rule.wanted(1, 1, 2) == 2  # half were accepted: two more should give one
    assert rule.wanted(1, 0, 2) == 2  # none: as many again
    assert rule.wanted(2, 0, 4) == 4
    assert rule.wanted(3, 0, 8) == 1  # no more than most
    assert rule.wanted(4, 0, 9) == 0
    assert Acceptance(enough=0, most=16).wanted(0, 0, 0) == 16
    assert Acceptance(enough=0, most=16).wanted(1, 3, 16) == 0


@given(
    rule=st.builds(Acceptance, first=st.integers(1, 9), enough=st.integers(0, 9),
                   most=st.integers(1, 20)),
    accepted=st.lists(st.booleans(), min_size=20, max_size=20),
)  # fmt: skip
@settings(deadline=None)
def test_asking_ends_with_enough_or_with_all(rule, accepted):
    asked = rounds = 0
    while more := rule.wanted(rounds, sum(accepted[:asked]), asked):
        asked, rounds = asked + more, rounds + 1
        assert asked <= rule.most and rounds <= 21
    assert asked == rule.most or sum(accepted[:asked]) >= rule.enough > 0


def test_settings_are_plain_fields_and_a_wrong_one_is_named():
    document = {
        "iou": 0.7,
        "gain": {"right": 0.1, "wrong": 0.2},
        "language": {"most_words": 300},
        "leaks": False,
        "enough": 3,
    }
    schema = schema_of(Acceptance, "accept")
    assert faults(document, schema) == []
    found = msgspec.convert(document, Acceptance)
    assert found.gain == Gain() and found.language == Bounds(most_words=300) and found.iou == 0.7
    assert "did you mean iou" in faults({"iuo": 0.7}, schema)[0]
    assert "at most 1" in faults({"iou": 50}, schema)[0]
    assert msgspec.convert(msgspec.to_builtins(found), Acceptance) == found


def test_an_answer_to_something_else_is_refused():
    with pytest.raises(ValueError, match="cannot be judged by sample"):
        accept(answer(RIGHT), msgspec.structs.replace(sample(ONE), id="other"), QWEN3)
    with pytest.raises(ValueError, match="turn 3"):
        accept(msgspec.structs.replace(answer(RIGHT), turn=3), sample(ONE), QWEN3)
    with pytest.raises(ValueError, match="caption"):
        trace(RIGHT, kind="caption")


@pytest.mark.parametrize("name", registry.names("notations"))
def test_a_number_beyond_all_floats_is_malformed_in_every_notation(name):
    notation = registry.make("notations", name, {}, "test")
    text = notation.answer(ONE, IMAGES)
    far = re.sub(r"(\d{3})(?=\D*$|\.0\]|[\])]+)", "3" + "0" * 400, text, count=1)
    text = far.replace("the brown dog", 'a \\"dog')
    assert "0" * 400 in text
    found = accept(answer(text), sample(ONE), notation)
    assert not found.accepted and found.reason in REASONS


@given(text=st.text(max_size=200) | st.text('<>/thinkanswer {}[]0123,":-e.', max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_is_judged_with_one_of_the_reasons(text):
    for kind in ("direct", "reason"):
        found = trace(text, kind=kind)
        assert found.accepted or (found.reason in REASONS and found.value)
