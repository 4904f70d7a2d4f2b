"""Fresh processes and what they cost: CPU time with their children's, and wall time."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
"""The checkout: where processes run."""


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    cpu: float
    """Seconds, user and system, with children that were waited for."""
    system: float
    """The system's part of them."""
    wall: float
    """Seconds."""
    said: dict[str, Any]
    """The JSON object that its last line of output was; empty where there was none."""


def fresh(arguments: Sequence[str], cache: Path) -> Cost:
    """Run Python with `arguments` and wait for it.

    Bytecode is read from and kept in `cache`: an installed package has its bytecode beside it,
    a checkout on a machine that writes none would compile everything every time.

    Raises:
        RuntimeError: it failed; with what it wrote to its error stream.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(cache), "PYTHONPATH": str(ROOT)}
    begin = time.perf_counter()
    with subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdout and process.stderr
        # Each writes a few lines at most: neither pipe can fill while the other is read.
        out, err = process.stdout.read(), process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begin
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{out[-2000:]}\n{err[-4000:]}")
    last = out.strip().rpartition("\n")[2]
    said = json.loads(last) if last.startswith("{") else {}
    return Cost(used.ru_utime + used.ru_stime, used.ru_stime, wall, said)


def interleaved(
    jobs: Mapping[str, Callable[[], Cost]], times: int, warm: bool = True
) -> dict[str, Cost]:
    """Each job `times` times, turn and turn about; the median of each measure, the last words.

    `warm`: each is run once before, unmeasured, so that files and bytecode are in memory for all.
    """
    if warm:
        for job in jobs.values():
            job()
    found: dict[str, list[Cost]] = {name: [] for name in jobs}
    names = list(jobs)
    for turn in range(times):
        # Each comes after each other one: what ran before leaves its mark on the page cache.
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(jobs[name]())
    return {name: _median(costs) for name, costs in found.items()}


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        cpu=statistics.median(cost.cpu for cost in costs),
        system=statistics.median(cost.system for cost in costs),
        wall=statistics.median(cost.wall for cost in costs),
        said=costs[-1].said,
    )
