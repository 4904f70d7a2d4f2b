"""What one process starts for an engine is gone when that process is, however it went."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import Started

from mgdata.teacher.backends import leash
from mgdata.teacher.backends.leash import Leash

HOLDER = """
import subprocess, sys, time
from mgdata.teacher.backends.leash import Leash
free = subprocess.Popen(["sleep", "600"])
leash = Leash(grace=0.3)
time.sleep(0.1)
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
family = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {stubborn!r}])"
engine = subprocess.Popen([sys.executable, "-c", family], stdout=subprocess.PIPE)
tracker = subprocess.Popen(["python", "-c", "import time; time.sleep(600)", "resource_tracker"])
engine.stdout.readline()
if sys.argv[1] == "up":
    leash.hold([engine.pid])
print(free.pid, engine.pid, tracker.pid, leash._watcher.pid, file=sys.stderr, flush=True)
time.sleep(600)
"""
"""Starts an engine that has a worker which ignores SIGTERM, and two processes that are none."""


def living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if leash.process(pid)]


def wait_for_end(pids: list[int]) -> None:
    end = time.monotonic() + 60
    while living(pids):
        assert time.monotonic() < end, living(pids)
        time.sleep(0.05)


@pytest.fixture(params=["up", "starting"])
def family(request: pytest.FixtureRequest):
    """The holder, what it started that is no engine, the engine with its worker, the watcher."""
    holder = Started([sys.executable, "-c", HOLDER, request.param])
    end = time.monotonic() + 60
    while not holder.lines:
        assert holder.process.poll() is None and time.monotonic() < end, holder.told
        time.sleep(0.02)
    free, engine, tracker, watcher = map(int, holder.lines[0].split())
    if request.param == "starting":
        time.sleep(5 * leash.OFTEN)  # it is seen the next time that the watcher looks
    worker = [pid for pid, _ in leash.children(engine)]
    assert len(worker) == 1
    yield holder, [free, tracker], [engine, *worker], watcher
    holder.kill()
    for pid in (free, tracker):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_engine_and_its_workers_end_when_their_holder_is_killed(family, number) -> None:
    holder, others, engine, watcher = family
    os.kill(holder.process.pid, number)
    holder.process.wait(30)
    wait_for_end([*engine, watcher])
    assert living(others) == others


def test_a_signal_for_the_holders_whole_group_spares_no_engine(family) -> None:
    holder, _, engine, watcher = family
    os.killpg(holder.process.pid, signal.SIGKILL)
    holder.process.wait(30)
    wait_for_end([*engine, watcher])


def test_a_leash_that_is_closed_ends_what_it_holds_and_nothing_else() -> None:
    with subprocess.Popen(["sleep", "600"]) as other:
        held = Leash()
        with subprocess.Popen(["sleep", "600"]) as engine:
            held.hold([engine.pid])
            held.close()
            held.close()
            assert engine.wait(30) == -signal.SIGTERM
        assert living([other.pid]) == [other.pid]
        other.kill()


def test_a_leash_that_is_closed_before_it_was_told_what_to_hold_ends_nothing() -> None:
    held = Leash()
    with subprocess.Popen(["sleep", "600"]) as other:
        time.sleep(3 * leash.OFTEN)
        held.close()
        assert living([other.pid]) == [other.pid]
        other.kill()


def test_an_id_that_is_anothers_by_now_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "600"]) as other:
        found = leash.process(other.pid)
        assert found
        leash.end([(found[0], found[1] - 1)], 0.1)
        assert living([other.pid]) == [other.pid]
        leash.end([found], 0.1)
        assert other.wait(30) == -signal.SIGTERM


def test_processes_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    name = tmp_path / "a ) name("
    name.symlink_to(Path("/bin/sleep").resolve())
    with subprocess.Popen([name, "600"]) as odd:
        end = time.monotonic() + 60
        while "name(" not in Path(f"/proc/{odd.pid}/stat").read_text():
            assert time.monotonic() < end
        assert (odd.pid, leash.process(odd.pid)[1]) in leash.children(os.getpid())
        odd.kill()
        end = time.monotonic() + 60
        while leash.process(odd.pid):  # a zombie is none that lives
            assert time.monotonic() < end
        assert Path(f"/proc/{odd.pid}").exists()
