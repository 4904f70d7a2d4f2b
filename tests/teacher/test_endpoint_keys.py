"""The endpoint backend's key and proxies: what is shown to whom, and nothing to anybody else."""

from __future__ import annotations

import logging
import pickle
import threading
import traceback

import pytest
from endpoint_requests import STORED, asked, request, requests
from faulty_server import MODEL, Way, choice, completion, error, serving

from mgdata.errors import EnvironmentFailure
from mgdata.teacher.backends.endpoint import Endpoint

KEY = "sk-0123456789abcdef/+="


def echoing(number: int, body: object) -> Way:
    """Every way in which a server may send a key back."""
    shown = f"you sent Authorization: Bearer {KEY}, sk-0123456789abcdef%2F%2B%3D"
    return [
        error(400, shown), error(500, shown), error(429, shown), Way(status=403, body=shown.encode()),
        Way(body=shown.encode()), choice(message={"content": shown}), choice(finish_reason=shown),
        choice(message={"content": "", "refusal": shown}),
        Way(status=400, body=b'{"error": {"message": "' + b"x" * 290 + KEY.encode() + b'"}}'),
        Way(body={"choices": [{"message": {"content": "a", shown: 1}, "index": shown}]}),
    ][number % 10]  # fmt: skip


def test_the_key_is_shown_to_the_server_and_to_nobody_else(
    monkeypatch, caplog, capfd, tmp_path
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    with serving(echoing) as server:
        backend = Endpoint(
            url=server.url, name=MODEL, key_from="SOME_KEY", attempts=1, images="path",
            folder=str(tmp_path), concurrency=1,
        )  # fmt: skip
        told += [repr(backend), str(vars(backend)), backend.model, repr(pickle.dumps(backend))]
        session = backend.open(STORED.__getitem__)
        told += [repr(session), repr(vars(session))]
        given = (request(n, user="<image>", pictures=tuple(STORED)[:1]) for n in range(20))
        told += [repr(reply) for reply in session.answer(given)]
        session.close()
        assert len(server.seen) == 20
        for seen in [*server.looked_up, *server.seen]:
            assert seen.headers["authorization"] == f"Bearer {KEY}"
            assert seen.raw.count(KEY.encode()) == 1
    assert sum("[key]" in text for text in told) == 20
    for status in (301, 401, 404, 500):
        way = Way(status=status, headers={"Location": f"http://x/?key={KEY}"}, body={"error": KEY})
        for models in (way, None):
            with serving(way, models=models) as server, pytest.raises(EnvironmentFailure) as caught:
                asked(server, requests(20), key_from="SOME_KEY", attempts=1, give_up=2)
            chain = traceback.TracebackException.from_exception(caught.value, capture_locals=False)
            told += ["".join(chain.format()), repr(caught.value), repr(pickle.dumps(caught.value))]
            told += [repr(caught.value.__context__), repr(caught.value.__cause__)]
    with serving() as server:
        server.goes_down()
        with pytest.raises(EnvironmentFailure) as caught:
            asked(server, requests(1), key_from="SOME_KEY")
        told += ["".join(traceback.format_exception(caught.value))]
    told += [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*.*")]
    told += [caplog.text, *capfd.readouterr()]
    assert len(told) > 50
    secret = KEY.removeprefix("sk-")
    for text in told:
        assert secret not in text and "sk-0123456789" not in text


def test_a_key_written_in_place_of_its_variable_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="name of an environment variable") as caught:
        Endpoint(url="http://127.0.0.1:1/v1", name="a", key_from="sk-0123")
    assert "0123" not in str(caught.value)
    with pytest.raises(ValueError, match="no user, password") as caught:
        Endpoint(url="http://me:pass-word@127.0.0.1:1/v1", name="a")
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize("value", [None, "", "  ", "two words", "a\nb", "\u20ac"])
def test_a_variable_without_a_key_is_a_failure_of_the_environment(monkeypatch, value) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SOME_KEY", value)
    before = set(threading.enumerate())
    with pytest.raises(EnvironmentFailure, match="SOME_KEY") as caught:
        Endpoint(url="http://127.0.0.1:1/v1", name="a", key_from="SOME_KEY").open(
            STORED.__getitem__
        )
    assert not value or not value.strip() or value not in str(caught.value)
    assert set(threading.enumerate()) == before


def test_no_key_is_sent_where_none_is_named(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving() as server:
        asked(server, requests(1))
        assert "authorization" not in server.seen[0].headers


def test_a_word_that_serves_as_key_is_left_in_answers(monkeypatch) -> None:
    monkeypatch.setenv("SOME_KEY", "EMPTY")
    with serving(lambda number, body: Way(body=completion(body) | {"choices": [{"message": {"content": "EMPTY"}, "finish_reason": "stop"}]})) as server:  # fmt: skip
        assert asked(server, requests(1), key_from="SOME_KEY")["key-0"].text == "EMPTY"


def test_loopback_is_reached_past_any_proxy(monkeypatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with serving() as server:
        assert asked(server, requests(1))["key-0"].finish == "stop"


def test_another_host_is_reached_through_the_proxy_of_the_environment(monkeypatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    with serving() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        found = asked(proxy, requests(1), url="http://teacher.invalid/v1")
        assert found["key-0"].finish == "stop"
        assert proxy.seen[0].path == "http://teacher.invalid/v1/chat/completions"
