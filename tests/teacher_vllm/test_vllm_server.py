"""What a backend over HTTP builds on: vLLM's OpenAI-compatible server, on real generations."""

from __future__ import annotations

import pytest
from environments import forms
from environments.photos import as_images
from environments.prompts import QUESTION, messages
from environments.server import MODEL

from mgdata.data import Turn
from mgdata.notations.json import Json

ASKED = Turn(question=QUESTION, answer="")


def ask(server, asked, **settings):
    """Status and body of a request for four short answers, unless `settings` say otherwise."""
    usual = {"model": MODEL, "n": 4, "max_tokens": 16, "temperature": 1.0, "seed": 1}
    return server.post("chat/completions", usual | {"messages": asked} | settings)


def texts(body) -> list[str]:
    return [choice["message"]["content"] for choice in body["choices"]]


@pytest.mark.parametrize("images", [3, 5])
@pytest.mark.parametrize("inline", [True, False], ids=["data", "file"])
def test_four_answers_repeat_with_their_seed(server, photos, images, inline):
    status, body = ask(server, messages(photos[:images], inline=inline))
    assert status == 200 and len(set(texts(body))) == 4
    assert body["usage"]["prompt_tokens"] > 24 * images
    assert body["usage"]["completion_tokens"] <= 4 * 16
    # Where the bytes came from changes nothing.
    again = ask(server, messages(photos[:images], inline=not inline))[1]
    assert texts(again) == texts(body)
    assert texts(ask(server, messages(photos[:images]), seed=2)[1]) != texts(body)


@pytest.mark.parametrize("images", [3, 5])
def test_answers_held_to_a_schema_parse_as_boxes(server, photos, images):
    form = {"name": "boxes", "schema": forms.boxes(images), "strict": True}
    held = {"type": "json_schema", "json_schema": form}
    status, body = ask(server, messages(photos[:images]), response_format=held, max_tokens=256)
    assert status == 200
    for text in texts(body):
        assert 1 <= len(Json().parse(text, ASKED, as_images(photos[:images]))) <= 3


def test_answers_held_to_an_expression_are_of_that_form(server, photos):
    held = {"regex": forms.trace(5)}
    status, body = ask(server, messages(photos[:5]), structured_outputs=held, max_tokens=400)
    assert status == 200
    assert all(text.startswith("<think>") and text.endswith("</answer>") for text in texts(body))


def test_a_small_limit_cuts_an_answer_and_says_so(server, photos):
    status, body = ask(server, messages(photos[:3]), max_tokens=4, ignore_eos=True)
    assert status == 200
    assert {choice["finish_reason"] for choice in body["choices"]} == {"length"}


REFUSED = [
    ({"images": 6}, 400, "At most 5 image"),
    ({"model": "another"}, 404, "another"),
    ({"max_tokens": 4096}, 400, "4096"),
    ({"n": 0}, 400, "n "),
    ({"temperature": "hot"}, 400, "temperature"),
    ({"structured_outputs": {"json": {"type": "nothing"}}}, 400, "nothing"),
]


@pytest.mark.parametrize(("asked", "code", "why"), REFUSED)
def test_a_wrong_request_is_refused_and_the_server_goes_on(server, photos, asked, code, why):
    settings = dict(asked)
    content = messages(photos[: settings.pop("images", 3)])
    status, body = ask(server, content, **settings)
    assert status == code and why in body["error"]["message"], body
    assert ask(server, messages(photos[:3]))[0] == 200


def test_a_file_outside_the_media_folder_is_not_read(server, tmp_path, photos):
    stray = tmp_path / "stray.png"
    stray.write_bytes(photos[0].read_bytes())
    status, body = ask(server, messages([stray]))
    assert status == 400 and "allowed" in body["error"]["message"]
