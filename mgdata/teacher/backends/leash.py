"""Ends the processes of an engine when the process that started them is gone, however it went.

vLLM's engine does not notice that nobody asks any more: after a SIGKILL of its parent it would live
on, and hold a GPU's memory. A leash is a small process of its own that waits for its parent's end;
this file is its program too, so it must import nothing but the standard library. Linux only, as
vLLM. Knows nothing of engines.

    python leash.py PARENT SECONDS
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

OFTEN = 0.2
"""Seconds between two looks at which processes the parent has started."""
SELDOM = 2.0
"""Seconds between two looks at whether the parent lives, should its pipe not say so: processes
that were forked from it hold the pipe too."""
TRACKER = "resource_tracker"
"""In the command line of a helper of `multiprocessing` that ends by itself, and must do so last: it
removes the shared memory that others have left."""

Process = tuple[int, int]
"""Id, and when it began in ticks since boot: ids are used again."""


class Leash:
    """Every process that this one starts until `hold` is called does not outlive it.

    Starts the watching process.

    Args:
        grace: Seconds that a process has to end by itself once it was told to.
    """

    def __init__(self, grace: float = 5.0) -> None:
        self._told = False
        words = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(grace)]
        self._watcher = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            # A signal for the whole group, as of Ctrl-C, must not reach it.
            start_new_session=True,
        )  # fmt: skip

    def hold(self, pids: Iterable[int]) -> None:
        """From now on these processes and what they start are held, and no others."""
        pipe, self._told = self._watcher.stdin, True
        assert pipe
        with suppress(BrokenPipeError):
            pipe.write((" ".join(map(str, pids)) + "\n").encode())
            pipe.flush()

    def close(self) -> None:
        """End what is held and still lives, and watch no longer; a second time does nothing.

        Where `hold` was not called nothing is ended: what was started may be another's.
        """
        pipe = self._watcher.stdin
        assert pipe
        if not self._told:
            self.hold(())
        with suppress(BrokenPipeError):
            pipe.close()
        self._watcher.wait()


def watch(parent: int, grace: float) -> None:
    """Wait for the parent's end, then end what is held.

    Until it is told which processes to hold, by a line on standard input, it holds those that the
    parent has started since this one was, and looks for them time and again.
    """
    held, told, me = set[Process](), False, process(os.getpid())
    assert me
    while os.getppid() == parent:
        if not told:
            held |= {one for one in children(parent) if one[1] > me[1]}
        if select.select([sys.stdin], [], [], SELDOM if told else OFTEN)[0]:
            line = sys.stdin.readline()
            if not line:
                break
            held, told = {one for pid in line.split() if (one := process(int(pid)))}, True
    end({one for one in held if TRACKER not in _words(one[0])}, grace)


def end(held: Iterable[Process], grace: float) -> None:
    """End processes and all below them: asked to first, and killed after `grace` seconds."""
    family = {one for top in held if process(top[0]) == top for one in (top, *below(top[0]))}
    _signal(family.intersection(held), signal.SIGTERM)
    until = time.monotonic() + grace
    while _living(family) and time.monotonic() < until:
        time.sleep(0.05)
    _signal(_living(family), signal.SIGKILL)


def below(pid: int) -> Iterator[Process]:
    """All processes that one has started, and those that these have."""
    for one in children(pid):
        yield one
        yield from below(one[0])


def children(pid: int) -> Iterator[Process]:
    """The processes that one has started and that live."""
    for folder in Path("/proc").glob("[0-9]*"):
        found = _stat(int(folder.name))
        if found and found[1] == pid and found[0] != "Z" and int(folder.name) != os.getpid():
            yield int(folder.name), found[2]


def process(pid: int) -> Process | None:
    """A process with when it began; None where there is none that lives."""
    found = _stat(pid)
    return (pid, found[2]) if found and found[0] != "Z" else None


def _stat(pid: int) -> tuple[str, int, int] | None:
    """State, parent and beginning (proc_pid_stat(5): fields 3, 4 and 22)."""
    try:
        # The name, in brackets before these, may have brackets and blanks.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[1]), int(fields[19])


def _words(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""


def _living(some: Iterable[Process]) -> set[Process]:
    return {one for one in some if process(one[0]) == one}


def _signal(some: Iterable[Process], number: int) -> None:
    for pid, _ in some:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


if __name__ == "__main__":
    watch(int(sys.argv[1]), float(sys.argv[2]))
