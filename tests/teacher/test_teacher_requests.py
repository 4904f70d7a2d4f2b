"""Requests: what makes an answer the same answer, and which seed it has."""

from __future__ import annotations

import msgspec
import pytest
from scene_for_prompts import notation, sample

from mgdata.data import Sampling
from mgdata.teacher.asking import answer_seed, key, prompt_digest, requests
from mgdata.teacher.fact_prompts import caption_prompt
from mgdata.teacher.forms import Form
from mgdata.teacher.prompts import prompt

PICTURES = ("a" * 64, "b" * 64, "c" * 64)
SAMPLE = sample()
PROMPT = prompt("reason", SAMPLE, 0, notation("json"))
SAMPLING = Sampling(temperature=0.7)


def ask(n=1, pictures=PICTURES, made=PROMPT, **changes):
    known = {"model": "vllm:m@1", "sampling": SAMPLING, "seed": 3, "sample": SAMPLE, "turn": 0}
    return requests(made, pictures, n, **{**known, **changes})


def test_answers_to_one_prompt_share_all_but_seed_and_key():
    found = ask(8)
    assert len({r.key for r in found}) == len({r.seed for r in found}) == 8
    assert len({r.prompt for r in found}) == 1
    same = [msgspec.structs.replace(r, key="", seed=0) for r in found]
    assert same == [same[0]] * 8
    assert all(0 <= r.seed < 2**31 for r in found)
    assert found[0].system == PROMPT.system and found[0].user == PROMPT.user
    assert found[0].pictures == PICTURES and found[0].kind == "reason"


def test_more_answers_later_go_on_where_the_first_ended():
    assert ask(2) + ask(3, first=2) == ask(5)
    assert ask(2) == ask(2)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "vllm:m@2"},
        {"sampling": Sampling(temperature=0.8)},
        {"seed": 4},
        {"pictures": ("a" * 64, "c" * 64, "b" * 64)},
        {"pictures": ("a" * 64, "b" * 64, "d" * 64)},
        {"form": Form(pattern="a")},
        {"form": Form(schema="a")},
        {"form": Form(schema="")},
        {"made": msgspec.structs.replace(PROMPT, user=PROMPT.user + " ")},
        {"made": msgspec.structs.replace(PROMPT, system=PROMPT.system + " ")},
    ],
)
def test_whatever_shapes_an_answer_changes_its_key(changes):
    assert ask(**changes)[0].key != ask()[0].key


def test_the_digest_of_a_prompt_knows_neither_seed_nor_model_nor_form():
    others = ask(seed=9, model="x", form=Form(pattern="a"), sampling=Sampling())
    assert others[0].prompt == ask()[0].prompt == prompt_digest(PROMPT, PICTURES)
    assert ask(pictures=PICTURES[::-1])[0].prompt != ask()[0].prompt


def test_the_words_may_change_and_the_key_stays_where_the_prompt_does():
    assert ask(made=msgspec.structs.replace(PROMPT, words="other"))[0].key == ask()[0].key


def test_a_seed_hangs_on_sample_turn_kind_and_number_alone():
    seeds = {
        answer_seed(*parts)
        for parts in (
            (3, "s", 0, "reason", 0),
            (4, "s", 0, "reason", 0),
            (3, "t", 0, "reason", 0),
            (3, "s", 1, "reason", 0),
            (3, "s", 0, "direct", 0),
            (3, "s", 0, "reason", 1),
        )
    }
    assert len(seeds) == 6
    assert answer_seed(3, "s", 0, "reason", 0) == 259475544, "a seed once used stays"


def test_a_key_once_written_stays():
    """Else a journal of yesterday would serve nothing today."""
    assert key("p", "m", Sampling(), 1)[:16] == "6fb46b241fe4a022"
    assert key("p", "m", SAMPLING, 1, "{}", None)[:16] == "0f89b786d2ff600f"


def test_facts_are_asked_about_an_image_without_a_sample():
    made = caption_prompt()
    (found,) = ask(made=made, pictures=PICTURES[:1], sample=None, about="corpus:a.jpg")
    (other,) = ask(made=made, pictures=PICTURES[:1], sample=None, about="corpus:b.jpg")
    assert found.seed != other.seed and found.prompt == other.prompt
    with pytest.raises(ValueError, match="needs a sample"):
        ask(made=made, pictures=PICTURES[:1], sample=None)


@pytest.mark.parametrize("pictures", [(), PICTURES[:2], (*PICTURES, "d" * 64)])
def test_pictures_that_do_not_fit_the_slots_are_refused(pictures):
    with pytest.raises(ValueError, match=f"3 picture slots, and {len(pictures)} pictures"):
        ask(pictures=pictures)
