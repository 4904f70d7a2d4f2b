"""Processes that tests start: their output goes to files, and none outlives its time.

A pipe is read to its end only when everybody who holds it is gone, and helpers of Ray can outlive
the driver that started them: a test that reads a pipe can wait for ever.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SECONDS = 180.0
"""Longer than any command of these tests takes, even where four run at once."""


def finished(
    words: Sequence[str | Path], *, seconds: float = SECONDS, **options: Any
) -> subprocess.CompletedProcess[str]:
    """A command to its end, whatever that is.

    Raises:
        AssertionError: it took longer than `seconds`; with what it had said by then.
    """
    started = Started(words, **options)
    code, told = started.end(seconds)
    return subprocess.CompletedProcess(list(words), code, started.printed, told)


class Started:
    """A command in a process group of its own, watched line by line."""

    def __init__(self, words: Sequence[str | Path], **options: Any) -> None:
        self._out, self._err = os.memfd_create("stdout"), os.memfd_create("stderr")
        for file in (self._out, self._err):
            weakref.finalize(self, os.close, file)
        self._words = list(map(str, words))
        self.process = subprocess.Popen(
            self._words, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err,
            start_new_session=True,
            # A shell in whose background the tests run has left the signal ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            **options,
        )  # fmt: skip

    @property
    def printed(self) -> str:
        """Standard output so far."""
        return _read(self._out)

    @property
    def told(self) -> str:
        """Standard error so far."""
        return _read(self._err)

    @property
    def lines(self) -> list[str]:
        """Whole lines of standard error so far."""
        return self.told.split("\n")[:-1]

    def wait_for(self, text: str, times: int = 1) -> None:
        """Until `text` stood on that many lines of standard error."""
        end = time.monotonic() + SECONDS
        while (ended := self.process.poll()) is None and time.monotonic() < end:
            if self._count(text) >= times:
                return
            time.sleep(0.001)
        assert self._count(text) >= times, f"exit code {ended}: {self.told[-3000:]}"

    def reached(self, text: str, times: int = 1) -> bool:
        """As `wait_for`; False where the process came to its end before."""
        end = time.monotonic() + SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            if self._count(text) >= times:
                return True
            time.sleep(0.001)
        assert self.process.poll() == 0, f"exit code {self.process.poll()}: {self.told[-3000:]}"
        return False

    def kill(self, *, workers: bool = True) -> None:
        """SIGKILL for the driver, and for every process that it started."""
        family = list(_family(self.process.pid)) if workers else [self.process.pid]
        for pid in family:
            _signal(pid, signal.SIGKILL)
        self.process.wait(30)
        for pid in family:
            _await_end(pid)

    def interrupt(self) -> None:
        """What Ctrl-C does on a terminal: SIGINT for the whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self, seconds: float = SECONDS) -> tuple[int, str]:
        """Exit code and standard error."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"{' '.join(self._words)} did not end within {seconds:g} s\n{self.told[-3000:]}"
            ) from None
        return code, self.told

    def _count(self, text: str) -> int:
        return sum(text in line for line in self.lines)


def _read(file: int) -> str:
    # The process writes through the same offset, so reading must not move it.
    return os.pread(file, os.fstat(file).st_size, 0).decode()


def _family(pid: int) -> Iterator[int]:
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    waiting = [pid]
    while waiting:
        yield (one := waiting.pop())
        waiting += parents.get(one, [])


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _await_end(pid: int) -> None:
    """Until a process is gone, or a zombie whose parent is slow to look."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(300):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.02)
