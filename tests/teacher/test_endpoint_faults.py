"""The endpoint backend against a server that fails: what is tried again, and what each fault is called."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from endpoint_requests import STORED, asked, endless, opened, request, requests, soon
from faulty_server import MODEL, Way, choice, error, serving

from mgdata.errors import EnvironmentFailure, MissingFile
from mgdata.identity import Stream
from mgdata.teacher.backends.attempts import LONGEST_PAUSE, backoff
from mgdata.teacher.backends.endpoint import Endpoint

BUSY = Way(status=429, body=b"slow down")
PASSING = [
    # what the first two requests meet, and what the third does no more
    BUSY,
    error(500, "engine died"),
    error(502, "bad gateway"),
    error(503, "loading"),
    error(408, "too slow"),
    Way(drops=True),
    Way(cut=20),
    Way(cut=0),
    Way(lengthless=True, cut=40),
    Way(hangs=True),
]


@pytest.mark.parametrize("way", PASSING)
def test_what_passes_is_tried_again(way) -> None:
    with serving(lambda number, body: way if number < 2 else Way()) as server:
        found = asked(server, [request()], timeout=0.3 if way.hangs else 10.0)
        assert found["key-0"].finish == "stop" and len(server.seen) == 3


LASTING = [
    # what every request meets, how often it is sent, what the failure is called and what it says
    (BUSY, 3, "rate limit", "429: slow down"),
    (error(500, "engine died"), 3, "server error", "500: engine died"),
    (error(529, "overloaded"), 3, "server error", "529: overloaded"),
    (Way(drops=True), 3, "server error", "Disconnected"),
    (Way(cut=20), 3, "cut stream", ""),
    (Way(lengthless=True, cut=40), 3, "cut stream", ""),
    (Way(hangs=True), 3, "timeout", "no answer within 0.2 s"),
    (Way(dribbles=0.01), 3, "timeout", "no answer within 0.2 s"),
    (Way(body=b'{"choices": ['), 1, "malformed reply", "truncated"),
    (Way(body=b"<html>hello</html>"), 1, "malformed reply", "<html>hello"),
    (Way(body=b"\xff\xfe"), 1, "malformed reply", ""),
    (Way(body=b"[" * 100_000), 1, "malformed reply", ""),
    (Way(body=b'{"choices": ' + b"[" * 100_000), 1, "malformed reply", ""),
    (Way(body=b'{"choices": [{"message": {"content": "\\ud800"}}]}'), 1, "malformed reply", ""),
    (Way(endless=True), 1, "malformed reply", "more than 32 MB"),
    (Way(body={}), 1, "malformed reply", "choices"),
    (Way(body={"choices": []}), 1, "malformed reply", "0 choices where 1"),
    (Way(body={"choices": [{"message": {}}]}), 1, "malformed reply", "content"),
    (choice(message={"content": 5}), 1, "malformed reply", "content"),
    (choice(finish_reason=None), 1, "malformed reply", "finish_reason"),
    (choice(finish_reason="tool_calls"), 1, "malformed reply", "tool_calls"),
    (choice(finish_reason="content_filter"), 1, "refused by the server", "content_filter"),
    (choice(finish_reason="abort"), 1, "server error", "abort"),
    (choice(message={"content": None, "refusal": "I cannot."}), 1, "refused by the server", "I cannot."),
    (error(400, "temperature must be a number"), 1, "refused by the server", "400: temperature"),
    (error(403, "flagged"), 1, "refused by the server", "403: flagged"),
    (error(413, "too large"), 1, "refused by the server", "413"),
    (Way(status=418, body=b""), 1, "refused by the server", "418"),
    # as vLLM, SGLang, OpenAI and FastAPI word it
    (error(400, "This model's maximum context length is 2048 tokens. However, you requested 9 output tokens"), 1, "prompt too long", "2048"),
    (error(400, "The decoder prompt (length 9000) is longer than the maximum model length of 2048."), 1, "prompt too long", "9000"),
    (Way(status=400, body={"object": "error", "message": "The input (9 tokens) is longer than the model's context length (8 tokens)."}), 1, "prompt too long", "9 tokens"),
    (Way(status=400, body={"detail": "Input length 131393 exceeds the maximum allowed input length of 131040 tokens."}), 1, "prompt too long", "131040"),
    (error(400, "Too much", code="context_length_exceeded"), 1, "prompt too long", "context_length_exceeded"),
    (error(400, "At most 5 image(s) may be provided in one prompt."), 1, "too many images", "At most 5"),
    (error(400, "Too many images in request. Max is 50."), 1, "too many images", "Max is 50"),
    (error(400, "Failed to load image: cannot identify image file"), 1, "image refused", "identify"),
    (error(400, "Bad", code="invalid_image_format"), 1, "image refused", "invalid_image_format"),
]  # fmt: skip


@pytest.mark.parametrize(("way", "sent", "reason", "value"), LASTING)
def test_a_request_fails_alone_with_its_reason(way, sent, reason, value) -> None:
    with serving(lambda number, body: way if body["seed"] == 0 else Way()) as server:
        # Only those that end nothing wait for it: a busy machine is slow, too.
        quick = {"attempts": 3, "timeout": 0.2 if way.hangs or way.dribbles else 10.0}
        found = asked(server, requests(3), **quick)
        assert [found[f"key-{number}"].finish for number in (1, 2)] == ["stop", "stop"]
        reply = found["key-0"]
        assert (reply.finish, reply.text, reply.reason) == ("failed", "", reason)
        assert reply.value is not None and value in reply.value and len(reply.value) <= 500
        assert sum(seen.body["seed"] == 0 for seen in server.seen) == sent


def test_an_empty_answer_is_an_answer() -> None:
    with serving(choice(message={"content": ""})) as server:
        reply = asked(server, [request()])["key-0"]
        assert (reply.finish, reply.text, reply.tokens) == ("stop", "", 0)


def test_an_answer_cut_at_its_limit_says_so() -> None:
    with serving(choice(finish_reason="length")) as server:
        assert asked(server, [request()])["key-0"].finish == "length"


STOPS = [
    (error(401, "Incorrect API key"), "set `key_from`"),
    (error(402, "Insufficient Balance"), "nothing left"),
    (error(429, "You exceeded your current quota", code="insufficient_quota"), "nothing left"),
    (error(404, "The model `tiny` does not exist."), "no such model: set `name`"),
    (Way(status=404, body={"detail": "Not Found"}), "set `name`"),
    (error(400, "Model Not Exist", code="invalid_request_error"), "no such model"),
    (Way(status=307, headers={"Location": "http://127.0.0.1:1/v2"}), "set `url` to that"),
    (error(400, "Cannot load local files without `--allowed-local-media-path`."), "images: data"),
]  # fmt: skip


@pytest.mark.parametrize(("way", "out"), STOPS)
def test_what_no_request_can_pass_stops_the_stage_with_the_way_out(way, out) -> None:
    with serving(way) as server:
        with pytest.raises(EnvironmentFailure, match=out) as caught:
            asked(server, requests(100), concurrency=2)
        assert server.url in str(caught.value) and "\n" not in str(caught.value)
        # Nothing is sent after the answer that says so.
        assert len(server.seen) <= 2


def test_what_was_answered_before_the_stop_is_yielded() -> None:
    with serving(lambda number, body: error(401, "no") if number == 5 else Way()) as server:
        got = []
        with opened(server, concurrency=1) as session, pytest.raises(EnvironmentFailure):
            for reply in session.answer(requests(20)):
                got.append(reply.key)
        assert got == [f"key-{number}" for number in range(5)]


def test_a_redirect_does_not_take_the_key_elsewhere(monkeypatch) -> None:
    monkeypatch.setenv("SOME_KEY", "secret-0123456789")
    with serving() as other, serving(Way(status=307, headers={"Location": f"{other.url}/chat/completions"})) as server:  # fmt: skip
        with pytest.raises(EnvironmentFailure, match=other.url):
            asked(server, requests(1), key_from="SOME_KEY")
        assert not other.seen and len(server.seen) == 1


def test_a_wait_that_the_server_asks_for_is_kept_by_all() -> None:
    busy = Way(status=429, headers={"Retry-After": "1"}, body=b"")
    with serving(lambda number, body: busy if number == 0 else Way()) as server:
        found = asked(server, requests(5), concurrency=1)
        assert len(found) == 5
        assert server.seen[1].at - server.seen[0].at >= 1.0


def test_a_wait_until_a_date_is_reckoned_by_the_servers_clock() -> None:
    wrong = datetime(2001, 1, 1, tzinfo=UTC)  # a server whose clock is long behind
    dates = {"Date": wrong, "Retry-After": wrong + timedelta(seconds=1)}
    headers = {name: format_datetime(date, usegmt=True) for name, date in dates.items()}
    busy = Way(status=503, headers=headers, body=b"")
    with serving(lambda number, body: busy if number == 0 else Way()) as server:
        asked(server, requests(1))
        assert server.seen[1].at - server.seen[0].at >= 1.0


def test_a_wait_beyond_the_deadline_stops_the_stage() -> None:
    told = Way(status=429, headers={"Retry-After": "3600"}, body=b"daily limit")
    why = r"asks to wait 3600 s .*daily limit"
    with serving(told) as server, pytest.raises(EnvironmentFailure, match=why):
        asked(server, requests(3))


@pytest.mark.parametrize("asks", ["soon", "-5", "nan", "1e9", "", "Mon, 99 Foo"])
def test_a_wait_that_says_nothing_is_not_kept(asks) -> None:
    busy = Way(status=429, headers={"Retry-After": asks}, body=b"")
    with serving(lambda number, body: busy if number == 0 else Way()) as server:
        assert asked(server, requests(1))["key-0"].finish == "stop"


def test_attempts_end_with_the_deadline() -> None:
    with serving(Way(hangs=True)) as server:
        reply = asked(server, requests(1), timeout=0.4, deadline=1.0, attempts=100)["key-0"]
        assert reply.reason == "timeout"
        assert 1 <= len(server.seen) <= 4


def test_waits_grow_and_are_drawn_from_the_requests_key() -> None:
    def waits(key: str) -> list[float]:
        stream = Stream("retry", key)
        return [backoff(0.1, number, stream) for number in range(20)]

    assert waits("a") == waits("a") != waits("b")
    assert all(wait < min(LONGEST_PAUSE, 0.1 * 2**n) for n, wait in enumerate(waits("a")))
    assert max(waits("a")) > 0.1 * 2**6


def test_every_attempt_is_made() -> None:
    with serving(BUSY) as server:
        asked(server, [request(key="a")], pause=0.01, attempts=4)
        assert len(server.seen) == 4


def test_a_server_that_goes_down_and_comes_back_costs_no_answer() -> None:
    with serving(Way(seconds=0.02)) as server, opened(server, pause=0.3, concurrency=4) as session:
        replies = session.answer(requests(60))
        found = [next(replies) for _ in range(10)]
        server.goes_down()
        timer = threading.Timer(0.4, server.comes_back)
        timer.start()
        found += replies
        timer.join()
        assert len(found) == 60 and {reply.finish for reply in found} == {"stop"}


def test_a_server_that_stays_down_stops_the_stage() -> None:
    with serving() as server, opened(server, attempts=2, give_up=5, concurrency=3) as session:
        replies = session.answer(endless())
        next(replies)
        server.goes_down()
        failed = []
        with pytest.raises(EnvironmentFailure, match="gave no answer to 5 requests in a row"):
            for reply in replies:
                failed += [reply] if reply.finish == "failed" else []
        # Those before the last one failed alone.
        assert 1 <= len(failed) <= 4
        assert {reply.reason for reply in failed} <= {"server error", "cut stream"}


def test_failures_between_answers_do_not_stop_the_stage() -> None:
    with serving(lambda number, body: error(500, "x") if body["seed"] % 3 else Way()) as server:
        found = asked(server, requests(60), attempts=1, give_up=3, concurrency=1)
        assert sum(reply.reason == "server error" for reply in found.values()) == 40


def test_a_picture_that_cannot_be_read_fails_its_request_alone() -> None:
    def stored(sha: str) -> bytes:
        if sha == "gone":
            raise MissingFile("clip/1.png")
        return b"no picture" if sha == "text" else STORED[sha]

    given = [
        request(0, user="<image>", pictures=("gone",)), request(1, user="<image>", pictures=("text",)),
        request(2, user="no slot", pictures=tuple(STORED)[:1]),
        request(3, user="<image>", pictures=tuple(STORED)[:1]),
    ]  # fmt: skip
    with serving() as server:
        session = Endpoint(url=server.url, name=MODEL).open(stored)
        found = {reply.key: reply for reply in session.answer(iter(given))}
        session.close()
        assert [found[f"key-{number}"].reason for number in range(4)] == ["image refused"] * 3 + [
            None
        ]
        assert "clip/1.png" in str(found["key-0"].value)
        assert len(server.seen) == 1


OPENING = [
    (error(401, "no key"), "set `key_from`"),
    (Way(status=301, headers={"Location": "http://127.0.0.1:1/"}), "set `url`"),
    (error(503, "loading"), "cannot be reached: 503: loading"),
    (Way(drops=True), "cannot be reached"),
    (Way(body={"data": [{"id": "tiny-2"}, {"id": "huge"}]}), "does not list 'tiny'.*tiny-2"),
]


@pytest.mark.parametrize(("models", "why"), OPENING)
def test_a_server_that_cannot_be_asked_is_found_on_opening(models, why) -> None:
    before = set(threading.enumerate())
    with serving(models=models) as server:
        with pytest.raises(EnvironmentFailure, match=why):
            Endpoint(url=server.url, name=MODEL).open(STORED.__getitem__)
        assert not server.seen
    assert soon(lambda: set(threading.enumerate()) == before)


TELLING_NOTHING = [
    error(404, "no such page"), error(403, "missing scope"), error(429, "busy"), Way(body=b"hello"),
    Way(body={"data": []}), Way(body={"data": [{"id": "models/tiny"}]}),
]  # fmt: skip


@pytest.mark.parametrize("models", TELLING_NOTHING)
def test_a_server_that_lists_no_models_is_asked_all_the_same(models) -> None:
    with serving(models=models) as server:
        assert asked(server, requests(1))["key-0"].finish == "stop"


def test_a_server_that_is_still_starting_is_waited_for() -> None:
    with serving() as server:
        server.goes_down()
        with pytest.raises(EnvironmentFailure, match="cannot be reached"):
            asked(server, requests(1))
        timer = threading.Timer(0.5, server.comes_back)
        timer.start()
        assert asked(server, requests(1), wait=10.0)["key-0"].finish == "stop"
        timer.join()
