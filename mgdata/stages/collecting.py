"""Python's cycle collector while a shard is worked on. Knows no stage."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

_OBJECTS = 100_000


@contextmanager
def rarely() -> Generator[None]:
    """Let the collector look only once in 100,000 new objects, instead of 700.

    Rows are trees: the collector walks thousands of them and finds nothing, for 4 % of the CPU time
    of a run at header integrity. What has cycles (a traceback) still goes, only later.
    """
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
