"""Smooth paths through a frame: a curve through timed points, and how those points are chosen.

A path is a point of the plane a frame, in pixels of the image. It knows no shape and no picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgdata.identity import Stream

Path = NDArray[np.float64]
"""[frames, 2]: x and y of the centre in every frame."""

STRIDE = 7
"""Frames between two points of a wandering path."""
_TRIES = 24


@dataclass(frozen=True)
class Knot:
    """Where the path is at one time; time in frames, place in pixels."""

    t: float
    x: float
    y: float


@dataclass(frozen=True)
class Area:
    """The rectangle in which wandering points are chosen; it may be larger than the image."""

    x1: float
    y1: float
    x2: float
    y2: float

    def point(self, rng: Stream) -> tuple[float, float]:
        """A uniform point of it."""
        x = self.x1 + rng.uniform() * (self.x2 - self.x1)
        return x, self.y1 + rng.uniform() * (self.y2 - self.y1)


def through(knots: Sequence[Knot], frames: int) -> Path:
    """A Catmull-Rom curve (cubic Hermite, tangents from the neighbours' times and places).

    `knots` rise in time and span at least one frame; outside them the path goes straight on.
    """
    t = np.array([k.t for k in knots])
    p = np.array([(k.x, k.y) for k in knots])
    slope = np.gradient(p, t, axis=0)
    now = np.arange(frames, dtype=np.float64)
    left = np.clip(np.searchsorted(t, now, side="right") - 1, 0, len(t) - 2)
    span = (t[left + 1] - t[left])[:, None]
    inside = np.clip(now, t[0], t[-1])
    u = (inside - t[left])[:, None] / span
    u2, u3 = u * u, u * u * u
    curve = (2 * u3 - 3 * u2 + 1) * p[left] + (3 * u2 - 2 * u3) * p[left + 1]
    curve += span * ((u3 - 2 * u2 + u) * slope[left] + (u3 - u2) * slope[left + 1])
    beyond = (now - inside)[:, None]
    return curve + beyond * np.where(beyond < 0, slope[0], slope[-1])


def wander(
    rng: Stream,
    area: Area,
    pace: float,
    start: Knot | None,
    end: Knot | None,
    span: tuple[float, float],
) -> list[Knot]:
    """Points between two times, each about `pace` pixels a frame from the one before.

    Of a few random points the one is taken that keeps the pace best and can still reach `end`.

    Args:
        rng: the stream.
        area: where the points lie.
        pace: pixels a frame.
        start: the point before, or None to begin anywhere.
        end: the point after, or None.
        span: first and last time, in frames; where `start` or `end` is given, its own time.
    """
    first, last = span
    steps = max(1, round((last - first) / STRIDE))
    times = [first + (last - first) * i / steps for i in range(steps + 1)]
    times = times[1 if start else 0 : -1 if end else None]
    knots: list[Knot] = []
    before = start
    for t in times:
        before = _next(rng, area, pace, t, before, end)
        knots.append(before)
    return knots


def _next(
    rng: Stream, area: Area, pace: float, t: float, before: Knot | None, end: Knot | None
) -> Knot:
    """The best of a few random points of the area, at time `t`."""

    def cost(knot: Knot) -> float:
        off = 0.0
        if before is not None:
            off += abs(_apart(before, knot) - pace * (t - before.t))
        if end is not None:
            off += max(0.0, _apart(knot, end) - pace * (end.t - t))
        return off

    return min((Knot(t, *area.point(rng)) for _ in range(_TRIES)), key=cost)


def _apart(a: Knot, b: Knot) -> float:
    return math.hypot(a.x - b.x, a.y - b.y)
