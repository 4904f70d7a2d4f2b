"""How fast a teacher's answers are judged whole: format, boxes, and every check of the prose."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mgdata import registry
from mgdata.judgement import judge
from mgdata.plugins import Notation
from mgdata.teacher import thought
from mgdata.teacher.acceptance import accept
from tests.benchmarks.figures import Figure
from tests.benchmarks.reasonings import Written, written

NOTATIONS = ("qwen3-vl", "json", "qwen2.5-vl", "qwen2-vl")
LENGTHS = (60, 120, 250)
_WORD = re.compile(r"\w+")


class Speed(NamedTuple):
    """How fast answers of one sort are judged."""

    each_second: float
    """Answers a second of one core."""
    accepted: float
    """Share of them that is accepted."""
    read: float
    """Times what it takes to take them apart, parse and match them, without a look at the prose."""
    passed: float
    """Times that and one pass of a plain regular expression for words over the prose."""


def speed(quick: bool, name: str, words: int, *, flawless: bool) -> Speed:
    """Answers in the notation `name` with a reasoning of so many words; 0: `direct` ones."""
    number, times = (100, 1) if quick else (2_000, 7)
    notation: Notation = registry.make("notations", name, {}, "benchmark")
    some = written(number, words, notation, flawless=flawless)
    accepted = sum(accept(one.answer, one.sample, notation).accepted for one in some)
    jobs: list[Callable[[], object]] = [
        lambda: [accept(one.answer, one.sample, notation) for one in some],
        lambda: _read(some, notation),
        lambda: [_WORD.findall(one.answer.reply.text) for one in some],
    ]
    took = [[_seconds(job) for job in jobs] for _ in range(times)]  # turn and turn about
    ours, read, passed = (statistics.median(column) for column in zip(*took, strict=True))
    return Speed(number / ours, accepted / number, ours / read, ours / (read + passed))


def figures(quick: bool) -> list[Figure]:
    """Direct answers a second; reasoned ones against the least that looking at them takes.

    One pass of a regular expression for words is slower alone than 50,000 long reasonings a
    second, so that these have a ratio for a bound; the numbers a second stand beside it.
    """
    direct = {name: speed(quick, name, 0, flawless=True).each_second for name in NOTATIONS}
    beside: dict[str, float] = {}
    ratios: list[float] = []
    for words in LENGTHS:
        for flawless in (True, False):
            found = speed(quick, NOTATIONS[0], words, flawless=flawless)
            named = f"{words} words{'' if flawless else f', {found.accepted:.0%} accepted'}"
            beside |= {f"{named}, /s": found.each_second, f"{named}, times read": found.read}
            ratios.append(found.passed)
    for name in NOTATIONS[1:]:
        found = speed(quick, name, LENGTHS[1], flawless=True)
        beside[f"{LENGTHS[1]} words, {name}, /s"] = found.each_second
    return [
        Figure(name="judge: direct answers a second with parsing, slowest", value=min(direct.values()),
               bound=50_000.0, least=True, unit="/s", beside=direct),
        Figure(name="judge: reasoned answers against reading and a word pass", value=max(ratios),
               bound=8.0, beside=beside),
    ]  # fmt: skip


def _read(some: Sequence[Written], notation: Notation) -> None:
    for answer, sample in some:
        kind: thought.Kind = "reason" if answer.kind == "reason" else "direct"
        try:
            text = thought.read(answer.reply.text, kind).answer
        except thought.FormatError:
            continue
        judge(text, sample.turns[0], sample.images, notation)


def _seconds(job: Callable[[], object]) -> float:
    begin = time.process_time()
    job()
    return time.process_time() - begin
