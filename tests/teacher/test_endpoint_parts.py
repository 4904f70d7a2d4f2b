"""What the endpoint backend is made of, each by itself: rates, keys and what statuses mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgdata.teacher.backends.completions import read
from mgdata.teacher.backends.faults import refused, retry_after, said
from mgdata.teacher.backends.keys import Key
from mgdata.teacher.backends.rates import Bucket


@given(
    per_minute=st.floats(1, 1e6),
    asked=st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 100)), min_size=1, max_size=60),
)
def test_a_bucket_never_gives_more_than_its_rate_and_one_helping(per_minute, asked) -> None:
    bucket, now, taken = Bucket(per_minute), 0.0, 0.0
    rate = per_minute / 60
    for idle, amount in asked:
        now += idle
        now += bucket.wait(amount, now)
        assert bucket.wait(amount, now) == pytest.approx(0.0, abs=1e-6)
        # All that went before fits into the time that passed, and a second's worth.
        assert taken <= (rate * now + max(1.0, rate)) * (1 + 1e-9) + 1e-6
        bucket.take(amount)
        taken += amount


def test_what_is_given_back_can_be_taken_anew_but_not_hoarded() -> None:
    bucket = Bucket(60)
    bucket.take(100)
    assert bucket.wait(1, 0.0) == pytest.approx(100)
    bucket.take(-99)
    assert bucket.wait(1, 0.0) == pytest.approx(1)
    bucket.take(-1000)
    bucket.take(1)
    assert bucket.wait(1, 0.0) == pytest.approx(1)


DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
WAITS = [
    ({}, None),
    ({"Retry-After": "7"}, 7.0),
    ({"Retry-After": " 0.5 "}, 0.5),
    ({"Retry-After": "0"}, 0.0),
    ({"Retry-After": "-1"}, None),
    ({"Retry-After": "inf"}, None),
    ({"Retry-After": "1e3"}, None),
    ({"Retry-After": "later"}, None),
    ({"Retry-After": DATE}, 0.0),  # long gone
    ({"Retry-After": DATE, "Date": "Wed, 21 Oct 2015 07:27:30 GMT"}, 30.0),
    ({"Retry-After": DATE, "Date": "Wed, 21 Oct 2015 08:00:00 GMT"}, 0.0),
    ({"Retry-After": DATE, "Date": "yesterday"}, 0.0),
    # no zone: UTC
    ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 -0000", "Date": DATE}, 0.0),
]


@pytest.mark.parametrize(("headers", "expected"), WAITS)
def test_retry_after_is_read_as_seconds_or_date(headers, expected) -> None:
    assert retry_after(headers) == expected


SAID = [
    (b'{"error": {"message": "m", "code": "c"}}', "m (c)"),
    (b'{"error": {"message": "m", "type": "t", "code": 400}}', "m (t)"),
    (b'{"error": {"message": "m", "param": {"x": []}, "code": null}}', "m"),
    (b'{"object": "error", "message": "m", "type": "t", "code": 400}', "m (t)"),
    (b'{"error": "m"}', "m"),
    (b'{"detail": "m"}', "m"),
    (b'{"detail": [{"msg": "m"}]}', "[{'msg': 'm'}]"),
    (b'{"other": 1}', '{"other": 1}'),
    (b"<html>", "<html>"),
    (b"\xff", "\ufffd"),
    (b"", ""),
]


@pytest.mark.parametrize(("body", "expected"), SAID)
def test_an_errors_message_is_found_wherever_it_stands(body, expected) -> None:
    assert said(body) == expected


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_body_breaks_the_reading(body) -> None:
    said(body)
    try:
        read(body, 1)
    except ValueError:
        return
    raise AssertionError("no such text is an answer")


@given(st.integers(300, 599), st.text(max_size=100))
def test_every_status_means_something(status, text) -> None:
    fault = refused(status, text, None)
    assert fault.reason and str(status) in fault.value
    assert not (fault.again and fault.stops)
    assert fault.again == (status >= 500 or status in (408, 425, 429)) or fault.stops


NOT_LONG = [
    "The image is too long ago",  # no overflow
    "max_tokens must be at least 1, got 0.",
    "n must be 1 when using greedy sampling, got 4.",
    "Grammar error: Unimplemented keys in schema",
]


@pytest.mark.parametrize("text", NOT_LONG)
def test_other_refusals_are_not_taken_for_a_long_prompt(text) -> None:
    assert refused(400, text, None).reason == "refused by the server"


@given(st.text(max_size=30), st.text(max_size=30), st.integers(0, 400))
def test_no_part_of_a_cut_message_shows_the_key(before, after, filling) -> None:
    key = Key("sk-0123456789/abc")
    shown = key.told(f"{'x' * filling}{before}sk-0123456789/abc{after}")
    assert "sk-01" not in shown.replace("sk-0123456789%2Fabc", "") and len(shown) <= 303
