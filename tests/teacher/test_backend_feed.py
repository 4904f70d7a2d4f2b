"""Requests taken while others are asked: nobody waits for ever, nothing is lost or left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from mgdata.data import Reply, Request, Sampling
from mgdata.errors import EnvironmentFailure
from mgdata.teacher.backends.feed import batches, in_flight


def request(number: int) -> Request:
    return Request(key=str(number), prompt="p", system="", user="?", pictures=(),
                   sampling=Sampling(), seed=number)  # fmt: skip


def reply(request: Request) -> Reply:
    return Reply(key=request.key, text=request.key, finish="stop")


def done(request: Request) -> Future[Reply]:
    future: Future[Reply] = Future()
    future.set_result(reply(request))
    return future


def waiting_for(shards: int, size: int, answered: list[str]) -> Iterator[Request]:
    """As a stage gives requests: the next shard but one comes when a shard is answered."""
    for shard in range(shards):
        end = time.monotonic() + 10
        while len(answered) < (shard - 1) * size:
            assert time.monotonic() < end, "no replies came while this waited"
            time.sleep(0.001)
        yield from map(request, range(shard * size, (shard + 1) * size))


@pytest.mark.parametrize("most", [1, 3, 100])
def test_every_request_is_answered_once_and_no_more_are_asked_at_once(most):
    lock, at_once, highest = threading.Lock(), 0, 0

    def work(one: Request) -> Reply:
        nonlocal at_once, highest
        with lock:
            at_once += 1
            highest = max(highest, at_once)
        time.sleep(0.002)
        with lock:
            at_once -= 1
        return reply(one)

    with ThreadPoolExecutor(200) as pool:
        asked = in_flight(lambda one: pool.submit(work, one), map(request, range(40)), most, 10)
        assert sorted(int(one.key) for one in asked) == list(range(40))
    assert highest <= most


@pytest.mark.parametrize("most", [2, 64])
def test_requests_that_wait_for_replies_get_them(most):
    answered: list[str] = []
    for one in in_flight(done, waiting_for(5, 3, answered), most, 10):
        answered.append(one.key)
    assert len(answered) == 15


@pytest.mark.parametrize("most", [1, 4, 64])
def test_batches_take_what_there_is_and_wait_a_moment_for_more(most):
    answered: list[str] = []
    for batch in batches(waiting_for(5, 3, answered), most):
        assert 1 <= len(batch) <= most
        answered += [one.key for one in batch]
    assert answered == [str(number) for number in range(15)]


def test_nothing_asked_is_nothing_answered():
    assert list(in_flight(done, iter(()), 4, 10)) == [] == list(batches(iter(()), 4))


def broken() -> Iterator[Request]:
    yield request(0)
    raise RuntimeError("the journal cannot be read")


def test_what_the_requests_raise_is_raised_after_what_came_before():
    found = in_flight(done, broken(), 4, 10)
    with pytest.raises(RuntimeError, match="journal"):
        list(found)
    taken = batches(broken(), 4)
    with pytest.raises(RuntimeError, match="journal"):
        assert [one.key for batch in taken for one in batch] == ["0"]


def test_a_failure_of_the_engine_cancels_the_rest():
    flying: list[Future[Reply]] = []

    def ask(one: Request) -> Future[Reply]:
        flying.append(Future())
        if one.key == "3":
            flying[-1].set_exception(EnvironmentFailure("the engine has ended"))
        return flying[-1]

    with pytest.raises(EnvironmentFailure, match="has ended"):
        list(in_flight(ask, map(request, range(1000)), 8, 10))
    assert all(future.done() for future in flying) and len(flying) < 20


def test_an_engine_that_hangs_is_given_up():
    began = time.monotonic()
    with pytest.raises(EnvironmentFailure, match=r"no answer for 0\.2 s with 2 requests"):
        list(in_flight(lambda _: Future(), map(request, range(9)), 2, 0.2))
    assert time.monotonic() - began < 60


def test_waiting_for_requests_is_no_hanging():
    def slow() -> Iterator[Request]:
        time.sleep(0.6)
        yield request(0)

    assert [one.key for one in in_flight(done, slow(), 2, 0.2)] == ["0"]


def test_whoever_stops_early_leaves_no_thread():
    found = in_flight(done, map(request, range(10_000_000)), 4, 10)
    next(found)
    found.close()
    taken = batches(map(request, range(10_000_000)), 4)
    next(taken)
    taken.close()
    end = time.monotonic() + 10
    while any(thread.name == "requests" for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)
