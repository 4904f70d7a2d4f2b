"""How fast answers are judged: parsed and scored, against a floor that can do one thing only."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mgdata import registry
from mgdata.data import Image, Target, Turn
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.judgement import judge
from mgdata.plugins import Notation
from mgdata.scoring.metrics import Tally

WIDTH, HEIGHT = 1280, 720
_BOX = re.compile(r"\((\d+),(\d+)\),\((\d+),(\d+)\)")


class Asked(NamedTuple):
    """One answer to be judged."""

    text: str
    turn: Turn
    images: tuple[Image, ...]


def answers(number: int, notation: Notation, most: int) -> list[Asked]:
    """Answers over four images: right, shifted, in a wrong image or cut off; 1 to `most` targets."""
    images = tuple(Image(uri=str(i), width=WIDTH, height=HEIGHT) for i in range(4))
    return [_answer(Stream("answers", str(n)), notation, most, images) for n in range(number)]


def _answer(rng: Stream, notation: Notation, most: int, images: tuple[Image, ...]) -> Asked:
    gold = [_target(rng) for _ in range(1 + rng.below(most))]
    gold.sort(key=lambda target: (target.image, target.box.x1))
    turn = Turn(question="Where?", answer=_told(gold), targets=tuple(gold))
    said = [_moved(target, rng) for target in gold]
    text = notation.answer(turn.__replace__(targets=tuple(said), answer=_told(said)), images)
    return Asked(text if rng.uniform() < 0.98 else text[: len(text) // 2], turn, images)


def _told(targets: Sequence[Target]) -> str:
    return "\n".join(f"Image-{t.image + 1}: <target:{i}>" for i, t in enumerate(targets))


def _target(rng: Stream) -> Target:
    x, y = rng.uniform() * WIDTH * 0.7, rng.uniform() * HEIGHT * 0.7
    wide, high = (0.05 + 0.2 * rng.uniform() for _ in range(2))
    return Target(image=rng.below(4), box=Box(x, y, x + wide * WIDTH, y + high * HEIGHT))


def _moved(target: Target, rng: Stream) -> Target:
    x, y = ((rng.uniform() - 0.5) * 0.03 for _ in range(2))
    box = target.box
    x, y = max(x * WIDTH, -box.x1), max(y * HEIGHT, -box.y1)
    moved = Box(box.x1 + x, box.y1 + y, box.x2 + x, box.y2 + y)
    return Target(image=target.image if rng.uniform() < 0.9 else rng.below(4), box=moved)


def judged(asked: Sequence[Asked], notation: Notation) -> Tally:
    """All answers, as `mgdata score` judges and counts them."""
    tally = Tally()
    for one in asked:
        tally.add(one.turn, judge(one.text, one.turn, one.images, notation).score)
    return tally


def floor(asked: Sequence[Asked]) -> float:
    """The least that scoring a box can take: find one, ignore its image, and overlap it."""
    total = 0.0
    for one in asked:
        if found := _BOX.search(one.text):
            a, b, c, d = (int(n) / 1000 for n in found.groups())
            box = one.turn.targets[0].box
            e, f, g, h = box.x1 / WIDTH, box.y1 / HEIGHT, box.x2 / WIDTH, box.y2 / HEIGHT
            wide, high = min(c, g) - max(a, e), min(d, h) - max(b, f)
            if wide > 0 and high > 0:
                shared = wide * high
                total += shared / ((c - a) * (d - b) + (g - e) * (h - f) - shared)
    return total


def speeds(quick: bool, names: Sequence[str], most: int) -> Iterator[tuple[str, float, float]]:
    """For each notation: answers a second of one core, and how many times the floor they take."""
    number, times = (500, 1) if quick else (20_000, 7)
    for name in names:
        notation: Notation = registry.make("notations", name, {}, "benchmark")
        asked = answers(number, notation, most)
        ours: list[float] = []
        least: list[float] = []
        for _ in range(times):  # turn and turn about, so that both meet the same machine
            ours.append(_seconds(lambda: judged(asked, notation)))  # noqa: B023
            least.append(_seconds(lambda: floor(asked)))  # noqa: B023
        took = statistics.median(ours)
        yield name, number / took, took / statistics.median(least)


def _seconds(job: Callable[[], object]) -> float:
    begin = time.process_time()
    job()
    return time.process_time() - begin
