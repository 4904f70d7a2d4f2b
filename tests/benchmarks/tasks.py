"""How fast tasks build samples of facts alone: no image is opened, nothing is written."""

from __future__ import annotations

import time
from importlib.metadata import entry_points
from itertools import islice

from mgdata import registry
from mgdata.data import Record, Sample
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.plugins import Builder
from tests.builders.made import index, record

RECORDS = 400
"""Of each shape that a task can use."""
GROUPS = 2_000
"""Built of each task, over and over where there are fewer."""


def samples_a_second(name: str, records: int, groups: int) -> float:
    """Samples that a task builds in a second of one core, over records made by rule."""
    builder: Builder = registry.make("builders", name, {}, "benchmark")
    made = [record(n, shape) for n in range(records) for shape in builder.shapes]
    chosen = list(islice(builder.groups(index(made), Stream("groups", name)), groups))
    if not chosen:
        return 0.0
    members: list[list[Record]] = [[made[row] for row in rows] for rows in chosen]
    samples, begin = 0, time.process_time()
    for turn in range(-(-groups // len(members))):
        for number, group in enumerate(members):
            try:
                found = list(builder.build(group, Stream("build", str(turn), str(number))))
            except Rejected:
                continue
            samples += sum(isinstance(item, Sample) for item in found)
    return samples / (time.process_time() - begin)


def speeds(quick: bool) -> dict[str, float]:
    """Samples a second of every registered task, the slowest first."""
    records, groups = (40, 40) if quick else (RECORDS, GROUPS)
    names = sorted(point.name for point in entry_points(group="mgdata.builders"))
    found = {name: samples_a_second(name, records, groups) for name in names}
    return dict(sorted(found.items(), key=lambda item: item[1]))
