"""What is rewarded: published formulas and single terms, on answers whose overlaps are known."""

from __future__ import annotations

import pytest
from test_rewards import (
    CHOICE,
    ELSEWHERE,
    GOLD,
    IMAGES,
    MANY,
    MOST,
    NONE,
    ONE,
    QWEN3,
    RIGHT,
    THIRD,
    boxes,
    reasoned,
    truth,
)

from mgdata import registry
from mgdata.data import Target, Turn
from mgdata.geometry import Box
from mgdata.judgement import judge as judged_directly
from mgdata.rewards import judge


def mg_thinker(text: str, gold: str) -> float:
    return judge(text, gold, "mg-thinker").score


def test_mg_thinker_adds_tags_images_and_banded_boxes_of_each_target():
    assert mg_thinker(RIGHT, GOLD) == 0.5 + 1 + 1
    assert mg_thinker(MOST, GOLD) == pytest.approx(0.5 + 1 + 9 / 11)
    assert mg_thinker(ELSEWHERE, GOLD) == 0.5
    near = reasoned(boxes([2, 100, 100, 300, 290]))  # 0.95
    assert mg_thinker(near, GOLD) == 0.5 + 1 + 1
    far = reasoned(boxes([2, 280, 100, 480, 300]))  # 20 / 380
    assert mg_thinker(far, GOLD) == 0.5 + 1
    both = reasoned(boxes([1, 600, 600, 800, 900], [2, 100, 200, 300, 400]))
    assert mg_thinker(both, truth(MANY)) == pytest.approx(0.5 + 2 + 1 + 1 / 3)
    no_think = RIGHT.replace("<think>", "")
    assert mg_thinker(no_think, GOLD) == 0.25 + 1 + 1
    assert mg_thinker(RIGHT.replace("</answer>", ""), GOLD) == 0.25


def test_leap_is_the_f1_of_overlaps_and_a_tenth_for_the_format():
    two = reasoned(boxes([2, 100, 200, 300, 400], [2, 700, 700, 900, 900]))
    precision, recall = (1 / 3) / 2, 1 / 3
    expected = 2 * precision * recall / (precision + recall)
    assert judge(two, GOLD, "leap").score == pytest.approx(0.1 + expected)
    assert judge(reasoned("[]"), truth(NONE), "leap").score == 1.1
    assert judge(RIGHT, truth(NONE), "leap").score == 0.1
    assert judge(reasoned("[]"), GOLD, "leap").score == 0.1
    assert judge("not json", GOLD, "leap").score == 0.0


def test_terms_are_weighted_and_the_best_reward_is_one():
    found = judge(THIRD, GOLD, {"format": 1, "image": 2, "box": 3})
    assert found.score == pytest.approx((1 + 2 + 3 / 3) / 6)
    assert (found.format, found.image, found.acc) == (1.0, 1.0, 0.0)
    assert found.box == found.iou == pytest.approx(1 / 3)
    for name in ("default", "threshold"):
        assert judge(RIGHT, GOLD, name).score == 1.0
    assert judge(THIRD, GOLD, "threshold").box == 0.0
    assert judge(MOST, GOLD, "threshold").box == 1.0


def test_a_turn_without_any_of_the_terms_has_no_reward():
    words = {"format": 0, "image": 0, "box": 0}
    assert judge(RIGHT, GOLD, words).score == 0.0
    assert judge(reasoned("B"), truth(CHOICE), words).score == 1.0


def test_boxes_too_many_cost_nothing_only_where_that_is_asked_for():
    spam = reasoned(boxes([2, 100, 100, 300, 300], [1, 1, 1, 9, 9], [2, 700, 1, 900, 9]))
    assert judge(spam, GOLD).box == 0.5 and judge(spam, GOLD).acc == 0
    assert judge(spam, GOLD, {"over": "targets"}).box == 1.0


def test_a_short_answer_is_a_term_of_its_own():
    gold = truth(CHOICE)
    assert judge(reasoned("B"), gold).score == 1.0
    wrong = judge(reasoned("A"), gold)
    assert (wrong.format, wrong.text, wrong.image, wrong.box) == (1.0, 0.0, 0.0, 0.0)
    assert wrong.score == pytest.approx(0.1 / 0.8)


def test_a_box_as_good_as_can_be_written_is_worth_all():
    tiny = Turn(question="?", answer="<target:0>", asked=(0,),
                targets=(Target(image=0, box=Box(10.4, 10.4, 11.3, 11.3)),))  # fmt: skip
    text, gold = reasoned(QWEN3.answer(tiny, IMAGES)), truth(tiny)
    assert judge(text, gold).score == 1.0
    assert judge(text, gold, {"capped": False}).score < 0.95


def test_what_stands_before_and_after_a_text_can_be_told():
    assert judge(RIGHT + "<|im_end|>\n", GOLD).score == 1.0
    opened = RIGHT.removeprefix("<think>")
    assert judge(opened, GOLD).reason == "format: think not opened"
    assert judge(opened, GOLD, {"opened": True}) == judge(RIGHT, GOLD)
    assert judge(RIGHT, GOLD, {"opened": True}).score == 1.0
    direct = truth(ONE, form="direct")
    bare = boxes([2, 100, 100, 300, 300])
    assert judge(bare, direct).score == 1.0 and judge(bare, GOLD).reason == "format: no think"


@pytest.mark.parametrize("name", registry.names("notations"))
def test_a_reward_is_what_the_judge_says_in_every_notation(name):
    notation = registry.make("notations", name, {}, "test")
    gold = truth(MANY, notation=name)
    text = notation.answer(MANY, IMAGES)
    found = judge(reasoned(text), gold)
    assert found.acc == 1.0 and found.reason == "" and found.score > 0.99
    verdict = judged_directly(text, MANY, IMAGES, notation)
    assert found.iou == verdict.score.iou
