"""A run that is killed while its teacher answers goes on where it was: the same release, and no
answer that had come is paid for again.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Started
from small_runs import MGDATA
from teacher_runs import Taught, built, section

from mgdata.data import Sampling
from mgdata.teacher.asking import key

FAULTS = {"offset_box": 0.3, "failed": 0.1}
# Two of the four reasons of failures are forgotten at once, so that they are asked for again.
TEACHER = section(
    **{"with": {"faults": FAULTS, "delay": 0.02}},
    cot={"share": 0.7, "accept": {"first": 1, "most": 3}},
    rl={"share": 0.3, "answers": 3},
)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    return built(tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="module")
def whole(samples: Taught, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """A run that nobody stopped."""
    made = samples.copy(tmp_path_factory.mktemp("whole") / "run")
    made.run(TEACHER)
    return made


@pytest.fixture
def run(samples: Taught, tmp_path: Path) -> Taught:
    """The same run before anything is asked."""
    made = samples.copy(tmp_path / "run")
    made.write(TEACHER)
    return made


def started(run: Taught, verb: str, *flags: str) -> Started:
    return Started([MGDATA, *run.words(verb, *flags)])


def wait_for_lines(run: Taught, process: Started, n: int) -> None:
    """Until the journal has that many lines, the process being at work."""
    end = time.monotonic() + 120
    while run.lines < n:
        assert process.process.poll() is None, process.told[-3000:]
        assert time.monotonic() < end, process.told[-3000:]
        time.sleep(0.005)


def keys(run: Taught) -> set[str]:
    return {answer.reply.key for answer in run.answers()}


@pytest.mark.parametrize("verb", ["answer", "run"])
def test_a_run_killed_while_it_asks_gives_the_same_release_and_asks_nothing_twice(
    verb: str, run: Taught, whole: Taught
) -> None:
    for more in (5, 20, 20):
        process = started(run, verb, "--engine", "serial")
        wait_for_lines(run, process, run.lines + more)
        process.kill()
    before = run.lines
    assert before < whole.lines
    run.go()
    assert run.release == whole.release
    assert keys(run) == keys(whole)
    tally, calm = run.tally, whole.tally
    assert (tally.replies, tally.repeated, tally.damaged) == (calm.replies, 0, 0)
    # Failures that may pass are sent again by each call that comes to them.
    assert run.lines == tally.replies + tally.transient
    assert calm.transient <= tally.transient <= 4 * calm.transient


def test_a_question_has_the_same_key_in_every_process() -> None:
    drawn = Sampling(temperature=1.0, max_tokens=1024)
    moved = pickle.loads(pickle.dumps(drawn))
    assert key("p", "m", moved, 1) == key("p", "m", drawn, 1) == key("p", "m", Sampling(
        temperature=1.0), 1)  # fmt: skip


def hands(pid: int) -> Iterator[int]:
    """The actors below a driver that do shards; Ray's own agents would take the node with them."""
    parents: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_text()
        except (OSError, ValueError):
            continue
        parents.setdefault(parent, []).append(int(folder.name))
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        waiting += parents.get(one, [])
        if names.get(one, "").startswith("ray::Hand"):
            yield one


def test_a_ray_run_that_loses_its_workers_and_then_is_killed_gives_the_same_release(
    run: Taught, whole: Taught
) -> None:
    flags = ("--engine", "ray", "--workers", "2")
    process = started(run, "run", *flags)
    wait_for_lines(run, process, 10)
    workers = [*hands(process.process.pid)]
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_for_lines(run, process, run.lines + 10)
    process.kill()
    before = run.lines
    assert before < whole.lines
    process = started(run, "run", *flags)
    code, told = process.end()
    assert code == 0, told[-3000:]
    assert run.release == whole.release
    tally = run.tally
    assert (tally.replies, tally.damaged) == (whole.tally.replies, 0)
    # What was on its way when a worker died: scripted answers are on their way one at a time.
    assert tally.repeated <= 2
    assert run.lines == tally.replies + tally.transient + tally.repeated
