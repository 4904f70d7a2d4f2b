"""What an offline backend builds on: vLLM in Ray actors without a GPU, on real generations."""

from __future__ import annotations

import re

import pytest
import ray
from environments import forms
from environments.actors import AsyncEngine, started
from environments.engine import ARGUMENTS
from environments.photos import as_images
from environments.prompts import messages, rendered
from environments.requirements import unmet
from ray.exceptions import RayTaskError

from mgdata.data import Turn
from mgdata.notations.json import Json

ASKED = Turn(question="Where is the kite?", answer="")
FREE = {"n": 4, "temperature": 1.0, "seed": 1, "max_tokens": 16}


def chat(engine, photos, **settings):
    """Answers to one prompt."""
    return ray.get(engine.chat.remote([messages(photos)], [settings]))[0]


def held_to_boxes(images: int) -> dict:
    return {**FREE, "max_tokens": 256, "held": {"json": forms.boxes(images)}}


def test_the_environment_meets_what_mgdata_asks_for():
    assert unmet("mgdata") == []


@pytest.mark.parametrize("images", [3, 5])
def test_four_answers_repeat_with_their_seed(engine, photos, images):
    answers = chat(engine, photos[:images], **FREE)
    assert len(set(answers)) == 4
    assert chat(engine, photos[:images], **FREE) == answers
    assert chat(engine, photos[:images], **{**FREE, "seed": 2}) != answers


def test_what_runs_together_changes_no_answer(engine, photos):
    prompts = [messages(photos[:3]), messages(photos[:5]), messages(photos[2:5])]
    settings = [{**FREE, "seed": seed} for seed in range(3)]
    together = ray.get(engine.chat.remote(prompts, settings))
    apart = [
        ray.get(engine.chat.remote([one], [its]))[0]
        for one, its in zip(prompts, settings, strict=True)
    ]
    assert together == apart


@pytest.mark.parametrize("images", [3, 5])
def test_answers_held_to_a_schema_parse_as_boxes(engine, photos, images):
    answers = chat(engine, photos[:images], **held_to_boxes(images))
    assert [end for _, _, end in answers] == ["stop"] * 4
    found = [Json().parse(text, ASKED, as_images(photos[:images])) for text, _, _ in answers]
    assert all(1 <= len(targets) <= 3 for targets in found)
    assert len({target.image for targets in found for target in targets}) > 1


def test_answers_held_to_an_expression_think_and_then_answer(engine, photos):
    held = {"regex": forms.trace(5)}
    answers = chat(engine, photos[:5], **{**FREE, "max_tokens": 400, "held": held})
    for text, _, end in answers:
        told = re.fullmatch(r"<think>(.+)</think><answer>(.+)</answer>", text)
        assert end == "stop" and told, text
        assert len(Json().parse(told[2], ASKED, as_images(photos[:5]))) == 1


def test_one_image_too_many_is_refused_and_the_engine_goes_on(engine, photos):
    with pytest.raises(RayTaskError, match="At most 5 image"):
        chat(engine, photos[:6], **FREE)
    assert len(chat(engine, photos[:5], **FREE)) == 4


def test_answers_of_any_length_can_be_asked_for(engine, photos):
    (one,) = chat(engine, photos[:5], temperature=1.0, seed=1, max_tokens=512, ignore_eos=True)
    assert len(one[1]) == 512 and one[2] == "length"


def test_an_asynchronous_engine_takes_prompts_as_they_come(engine, photos, checkpoint, cluster):
    other = started(AsyncEngine, str(checkpoint), ARGUMENTS)
    try:
        paths = [str(photo) for photo in photos[:5]]
        asked = [
            other.generate.remote(rendered(5), paths, {**FREE, "seed": seed}, f"request {seed}")
            for seed in range(6)
        ]
        answers = ray.get(asked, timeout=240)
        offline = [chat(engine, photos[:5], **{**FREE, "seed": seed}) for seed in range(6)]
        assert answers == offline
        ray.get(other.stop.remote(), timeout=30)
    finally:
        ray.kill(other)
