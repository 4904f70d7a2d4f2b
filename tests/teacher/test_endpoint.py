"""The endpoint backend against a server on loopback: what it sends, how fast, and what it leaves."""

from __future__ import annotations

import base64
import pickle
import threading
import time
from pathlib import Path

import pytest
from endpoint_requests import (
    STORED,
    asked,
    endless,
    opened,
    picture,
    request,
    requests,
    soon,
    threads,
)
from faulty_server import MODEL, Way, completion, serving, texts_of

from mgdata.data import Sampling
from mgdata.errors import UsageError
from mgdata.teacher.backends.endpoint import AHEAD, Endpoint

SHAS = tuple(STORED)


def test_each_request_gets_the_answer_to_what_it_asks() -> None:
    with serving() as server:
        found = asked(server, requests(50))
        assert sorted(found) == sorted(f"key-{number}" for number in range(50))
        for seen in server.seen:
            reply = found[f"key-{seen.body['seed']}"]
            assert [reply.text] == texts_of(seen.body)
            assert (reply.finish, reply.prompt_tokens, reply.tokens) == ("stop", 100, 12)


def test_pictures_stand_between_the_words_in_order() -> None:
    user = "First: <image>\nsecond: <image> Where is it?"
    with serving() as server:
        asked(server, [request(user=user, pictures=SHAS[:2])])
        told, said = server.seen[0].body["messages"]
        assert told == {"role": "system", "content": "Be brief."}
        kinds = [part["type"] for part in said["content"]]
        assert kinds == ["text", "image_url", "text", "image_url", "text"]
        assert said["content"][2]["text"] == "\nsecond: "
        for part, sha in zip(said["content"][1::2], SHAS, strict=False):
            head, _, data = part["image_url"]["url"].partition(",")
            assert head == "data:image/png;base64"
            assert base64.b64decode(data) == STORED[sha]


def test_pictures_are_written_once_where_the_server_reads_them(tmp_path: Path) -> None:
    given = [request(number, user="<image>", pictures=(SHAS[number % 2],)) for number in range(6)]
    with serving() as server:
        for _ in range(2):
            asked(server, given, images="path", folder=str(tmp_path / "media"))
            files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
            assert sorted(path.read_bytes() for path in files) == sorted(map(STORED.get, SHAS[:2]))
        named = {seen.body["messages"][1]["content"][0]["image_url"]["url"] for seen in server.seen}
        assert named == {path.as_uri() for path in files}
        assert {path.stem for path in files} == set(SHAS[:2])


def test_a_large_body_is_sent_whole() -> None:
    sha, data = picture(9, side=1200)
    assert len(data) > 4 << 20
    with serving() as server:
        session = Endpoint(url=server.url, name=MODEL).open(lambda asked: data)
        try:
            (reply,) = session.answer(iter([request(user="<image>", pictures=(sha,))]))
        finally:
            session.close()
        url = server.seen[0].body["messages"][1]["content"][0]["image_url"]["url"]
        assert reply.finish == "stop" and base64.b64decode(url.partition(",")[2]) == data


SAMPLING = Sampling(temperature=0.7, top_p=0.9, top_k=40, max_tokens=77)
DRAWN = {"temperature": 0.7, "top_p": 0.9, "seed": 5, "model": MODEL}
NEUTRAL = {"min_p": 0.0, "repetition_penalty": 1.0, "skip_special_tokens": False}
WORDED = [
    # vLLM and SGLang are told all, as a model's generation_config.json would fill what is left out
    ({"server": "vllm"}, SAMPLING, {**DRAWN, **NEUTRAL, "top_k": 40, "max_tokens": 77}),
    ({"server": "vllm"}, Sampling(), {**NEUTRAL, "temperature": 0.0, "top_p": 1.0, "top_k": 0}),
    ({"server": "sglang"}, Sampling(), {**NEUTRAL, "top_k": -1}),
    ({"server": "vllm"}, Sampling(ignore_eos=True), {"ignore_eos": True}),
    ({"server": "openai"}, Sampling(top_p=0.9), {"top_p": 0.9, "top_k": None, "min_p": None, "skip_special_tokens": None}),
    (
        {"server": "openai", "length": "max_completion_tokens"},
        Sampling(max_tokens=77),
        {"max_completion_tokens": 77, "max_tokens": None, "repetition_penalty": None},
    ),
    ({"extra": {"chat_template_kwargs": {"x": 1}}}, Sampling(), {"chat_template_kwargs": {"x": 1}}),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "sampling", "expected"), WORDED)
def test_sampling_is_said_in_the_servers_words(settings, sampling, expected) -> None:
    with serving() as server:
        asked(server, [request(seed=5, sampling=sampling)], **settings)
        assert {key: server.seen[0].body.get(key) for key in expected} == expected


def test_seeds_beyond_what_servers_take_are_folded() -> None:
    with serving() as server:
        asked(server, [request(seed=(1 << 63) + 3)])
        assert server.seen[0].body["seed"] == 3


@pytest.mark.parametrize("sampling", [Sampling(top_k=5), Sampling(ignore_eos=True)])
def test_what_openai_has_no_word_for_is_a_wrong_setting(sampling) -> None:
    with serving() as server, pytest.raises(UsageError, match="no parameter of `server: openai`"):
        asked(server, [request(sampling=sampling)], server="openai")


SCHEMA = '{"type": "object"}'
FORMS = [
    ("vllm", SCHEMA, None, {"structured_outputs": {"json": {"type": "object"}}}),
    ("vllm", None, "a+", {"structured_outputs": {"regex": "a+"}}),
    ("guided", SCHEMA, None, {"guided_json": {"type": "object"}}),
    ("guided", None, "a+", {"guided_regex": "a+"}),
    ("sglang", None, "a+", {"regex": "a+"}),
    ("openai", None, "a+", {"regex": None, "response_format": None}),
    ("none", SCHEMA, "a+", {"structured_outputs": None, "response_format": None}),
]


@pytest.mark.parametrize(("forms", "schema", "pattern", "expected"), FORMS)
def test_an_answer_is_held_to_its_form_as_the_server_can(forms, schema, pattern, expected) -> None:
    with serving() as server:
        asked(server, [request(schema=schema, pattern=pattern)], forms=forms)
        assert {key: server.seen[0].body.get(key) for key in expected} == expected


@pytest.mark.parametrize("forms", ["openai", "sglang"])
def test_a_schema_goes_as_response_format(forms) -> None:
    with serving() as server:
        asked(server, [request(schema=SCHEMA)], forms=forms)
        held = server.seen[0].body["response_format"]
        assert held["type"] == "json_schema" and held["json_schema"]["schema"] == {"type": "object"}


def drawn(number: int, prompt: str = "p", **fields):
    """One of several answers to the same question."""
    warm = {"sampling": Sampling(temperature=1.0), "user": prompt}
    return request(number, **{"prompt": prompt, **warm, **fields})


def test_neighbours_sent_together_get_the_answers_they_would_get_alone() -> None:
    given = [
        *(drawn(n, "p") for n in range(5)),
        *(drawn(n, "q") for n in (5, 6, 8, 9)),
        drawn(10, "r"),
    ]
    with serving() as server:
        alone = asked(server, given)
        assert len(server.seen) == 10
    with serving() as server:
        together = asked(server, given, together=True)
        assert sorted(seen.body.get("n", 1) for seen in server.seen) == [1, 2, 2, 5]
    assert {key: reply.text for key, reply in together.items()} == {
        key: reply.text for key, reply in alone.items()
    }
    assert sum(reply.tokens for reply in together.values()) == 12 * 10


UNLIKE = [
    {"sampling": Sampling(temperature=0.0)}, {"sampling": Sampling(temperature=0.5)},
    {"schema": SCHEMA}, {"pattern": "a"}, {"prompt": "q", "user": "q"}, {"seed": 7},
]  # fmt: skip


@pytest.mark.parametrize("fields", UNLIKE)
def test_requests_that_differ_are_not_sent_together(fields) -> None:
    with serving() as server:
        asked(server, [drawn(0), drawn(1, **fields)], together=True)
        assert len(server.seen) == 2


def test_what_waits_for_neighbours_is_sent_when_none_come() -> None:
    answered = threading.Event()

    def waiting():
        yield drawn(0)
        assert answered.wait(5)
        yield drawn(1)

    with serving() as server, opened(server, together=True) as session:
        replies = session.answer(waiting())
        assert next(replies).key == "key-0"
        answered.set()
        assert next(replies).key == "key-1"


def test_no_more_are_asked_at_once_than_the_setting_says() -> None:
    with serving(Way(seconds=0.02)) as server:
        asked(server, requests(60), concurrency=7)
        assert server.peak == 7


def test_no_more_are_taken_than_there_is_room_for() -> None:
    taken = 0

    def counted():
        nonlocal taken
        for one in endless():
            taken += 1
            yield one

    with serving() as server, opened(server, concurrency=4) as session:
        replies = session.answer(counted())
        for yielded in range(1, 20):
            next(replies)
            time.sleep(0.01)  # a slow taker
            assert taken <= yielded + 4 + AHEAD + 1
        replies.close()


def test_replies_come_without_waiting_for_the_last() -> None:
    with serving(lambda number, body: Way(hangs=body["seed"] == 0)) as server:
        with opened(server, timeout=1.0, attempts=1) as session:
            keys = [reply.key for reply in session.answer(requests(10))]
        assert keys[-1] == "key-0" and len(keys) == 10


def test_an_iterator_that_waits_for_a_reply_gets_it() -> None:
    answered = threading.Event()

    def waiting():
        yield request(0)
        assert answered.wait(5)
        yield request(1)

    with serving() as server, opened(server) as session:
        for reply in session.answer(waiting()):
            assert reply.finish == "stop"
            answered.set()


def test_an_error_of_the_iterator_reaches_the_caller() -> None:
    def broken():
        yield request(0)
        raise LookupError("no more samples")

    with serving() as server, opened(server) as session:
        with pytest.raises(LookupError, match="no more samples"):
            list(session.answer(broken()))
        assert len(list(session.answer(requests(3)))) == 3  # the session goes on


def test_closing_early_cancels_what_is_asked_and_leaves_no_thread() -> None:
    with serving(lambda number, body: Way(hangs=number > 0)) as server:
        before = threads()
        with opened(server, concurrency=5) as session:
            replies = session.answer(endless())
            assert next(replies).finish == "stop"
            assert soon(lambda: server.running == 5)
            replies.close()
            assert soon(lambda: server.running == 0) and server.gone == 5
            sent = len(server.seen)
        assert soon(lambda: threads() == before)
        assert len(server.seen) == sent


def test_a_session_leaves_no_thread_and_no_connection() -> None:
    with serving() as server:
        before = threads()
        # A name is looked up in threads of its own.
        url = server.url.replace("127.0.0.1", "localhost")
        for _ in range(3):
            asked(server, requests(20), url=url)
        assert soon(lambda: threads() == before)
        assert soon(lambda: not server._connections)


def test_a_session_serves_shard_after_shard() -> None:
    with serving() as server, opened(server) as session:
        for _ in range(3):
            assert len(list(session.answer(requests(5)))) == 5
        session.close()
        session.close()
        with pytest.raises(ValueError, match="closed"):
            session.answer(requests(1))


def test_requests_a_minute_are_kept_to() -> None:
    with serving() as server:
        asked(server, requests(25), requests_per_minute=1200)
        moments = [seen.at for seen in server.seen]
        # A second's worth at once, 20; then one every 0.05 s.
        assert moments[-1] - moments[0] >= 0.2


def test_tokens_a_minute_are_kept_to_and_estimates_corrected() -> None:
    # Reckoned at 10,000 tokens an answer, six would take 6 s; they cost 112 each.
    given = [request(number, sampling=Sampling(max_tokens=10_000)) for number in range(6)]
    with serving() as server:
        asked(server, given, tokens_per_minute=600_000, concurrency=1)
        assert len(server.seen) == 6
    costly = Way(
        body={
            **completion({"seed": 0}),
            "usage": {"prompt_tokens": 4000, "completion_tokens": 1000},
        }
    )
    with serving(costly) as server:
        begin = time.monotonic()
        asked(server, requests(5), tokens_per_minute=600_000, concurrency=1)
        # 25,000 tokens at 10,000 a second, the first 10,000 at once, the last not waited for.
        assert time.monotonic() - begin > 0.9


def test_reasoning_that_a_server_cut_out_is_put_back() -> None:
    def way(number, body):
        said = completion(body)
        message = {"content": "<answer>1</answer>", "reasoning_content": "It is red."}
        said["choices"][0]["message"] = (
            message if body["seed"] == 0 else {"content": None, "reasoning": "It"}
        )
        said["choices"][0]["finish_reason"] = "stop" if body["seed"] == 0 else "length"
        return Way(body=said)

    with serving(way) as server:
        found = asked(server, requests(2))
        assert found["key-0"].text == "<think>It is red.</think><answer>1</answer>"
        assert (found["key-1"].text, found["key-1"].finish) == ("<think>It", "length")


def test_the_model_is_named_with_what_shapes_its_answers() -> None:
    url = "http://127.0.0.1:1/v1"
    assert Endpoint(url=url, name="a/b").model == "a/b"
    assert Endpoint(url=url, name="a/b", revision="2025").model == "a/b@2025"
    one = Endpoint(url=url, name="a", forms="none", extra={"b": {"d": 1, "c": 2}})
    assert one.model == 'a[forms=none,b={"c": 2, "d": 1}]'
    # How fast it is asked shapes nothing.
    assert Endpoint(url=url, name="a", concurrency=3, timeout=9, together=True).model == "a"
    assert pickle.loads(pickle.dumps(one)) == one


WRONG = [
    ({"url": "127.0.0.1:8000"}, "url: expected such as"),
    ({"url": "http://127.0.0.1/v1/chat/completions"}, "what stands before"),
    ({"name": ""}, "name"),
    ({"concurrency": 0}, "concurrency: expected at least 1"),
    ({"attempts": 0}, "attempts"),
    ({"timeout": 0}, "timeout: expected seconds"),
    ({"deadline": float("inf")}, "deadline"),
    ({"requests_per_minute": -1}, "requests_per_minute"),
    ({"images": "path"}, "folder"),
    ({"folder": "/tmp"}, "folder"),
    ({"images": "path", "folder": "s3://bucket"}, "folder"),
    ({"together": True, "server": "openai"}, "together"),
    ({"extra": {"seed": 1}}, "extra: seed"),
]


@pytest.mark.parametrize(("settings", "why"), WRONG)
def test_settings_that_cannot_be_are_refused(settings, why) -> None:
    with pytest.raises(ValueError, match=why):
        Endpoint(**({"url": "http://127.0.0.1:1/v1", "name": "a"} | settings))
