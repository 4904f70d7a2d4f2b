"""What happens to the target of a scene: it hides behind the pillar, leaves and returns, or roams.

Every event is a few timed points that keep together; between events the target wanders in view.
It knows where the pillar stands, and no picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mgdata.identity import Stream
from mgdata.synth.motion import Area, Knot, Path, through, wander

Story = Literal["hiding", "leaving", "free", "seen"]
"""It passes behind the pillar; it leaves the image and returns (in long clips a hiding or leaving
target does both, in turn); nothing is arranged; it stays wholly inside the image."""

_FIRST, _EVERY = 24, 40
"""Frame of the first event of a long clip, and frames from one event to the next."""
_HASTE = 1.4
"""How much faster than usual the target goes in an event, so that most frames show it."""


@dataclass(frozen=True)
class Pace:
    """How large the target is and how fast it goes, in pixels and pixels a frame."""

    across: float
    step: float


@dataclass(frozen=True)
class Setting:
    """Where a story is played: image size, number of frames, the pillar as the camera sees it."""

    size: tuple[int, int]
    frames: int
    pillar: tuple[float, ...]
    """The pillar's middle in every frame, pixels of the image; empty where there is none."""
    width: float
    """The pillar's width in pixels."""

    @property
    def end(self) -> float:
        """Time of the last frame; at least 1, so that there is a span to move in."""
        return float(max(self.frames - 1, 1))


def told(rng: Stream, place: Setting, pace: Pace, story: Story) -> Path:
    """The target's path through the whole clip; in its first frame it is clear of the pillar."""
    area = _inner(place, pace.across * 0.75)
    knots: list[Knot] = []
    for event in _events(rng, place, pace, story):
        if not knots and event[0].t > 0:
            knots.append(_opening(rng, place, area, pace))
        if knots:
            span = (knots[-1].t, event[0].t)
            knots += wander(rng, area, pace.step, knots[-1], event[0], span)
        knots += event
    if not knots:
        knots.append(_opening(rng, place, area, pace))
    if knots[-1].t < place.end:
        knots += wander(rng, area, pace.step, knots[-1], None, (knots[-1].t, place.end))
    path = through(knots, place.frames)
    if story == "seen":
        tight = _inner(place, pace.across * 0.62)
        return np.clip(path, (tight.x1, tight.y1), (tight.x2, tight.y2))
    return path


def _inner(place: Setting, reach: float) -> Area:
    """The image without a border of `reach` pixels."""
    return Area(reach, reach, place.size[0] - reach, place.size[1] - reach)


def _opening(rng: Stream, place: Setting, area: Area, pace: Pace) -> Knot:
    """A first point on one side of the pillar, with room to spare."""
    if place.pillar:
        reach = place.width / 2 + pace.across * 0.7
        sides = [
            Area(area.x1, area.y1, place.pillar[0] - reach, area.y2),
            Area(place.pillar[0] + reach, area.y1, area.x2, area.y2),
        ]
        area = rng.choice([side for side in sides if side.x1 < side.x2] or [area])
    return Knot(0.0, *area.point(rng))


def _events(rng: Stream, place: Setting, pace: Pace, story: Story) -> list[list[Knot]]:
    """The points of every event, in order."""
    events: list[list[Knot]] = []
    if story in ("free", "seen") or place.frames < 3:
        return events
    free = 0.0
    for n, t in enumerate(range(min(place.frames // 2, _FIRST), place.frames - 1, _EVERY)):
        hides = (n % 2 == 0) == (story == "hiding")
        make = _hide if hides and place.pillar else _leave
        events.append(make(rng, place, pace, t, t - free))
        free = events[-1][-1].t + 1
    return events


def _hide(rng: Stream, place: Setting, pace: Pace, t: int, room: float) -> list[Knot]:
    """Behind the pillar at `t`, in view on either side; begins up to `room` frames before."""
    reach = (place.width + pace.across) / 2 + 0.35 * pace.across
    lead = min(room, reach / (_HASTE * pace.step))
    side = rng.choice((-1.0, 1.0))
    y = place.size[1] * (0.3 + 0.4 * rng.uniform())
    slope = place.size[1] * 0.2 * (rng.uniform() - 0.5)
    middle = place.pillar[t]
    return [Knot(t + k * lead, middle + k * side * reach, y + k * slope) for k in (-1, 0, 1)]


def _leave(rng: Stream, place: Setting, pace: Pace, t: int, room: float) -> list[Knot]:
    """Wholly outside round frame `t`, by the left or right edge, and back near the same place."""
    away = min(3.0, place.frames / 14)
    lead = min(room - away, pace.across * 3 / (_HASTE * pace.step))
    sign = rng.choice((-1.0, 1.0))
    edge = place.size[0] / 2 + sign * (place.size[0] / 2 + pace.across * 0.63)
    inward = edge - sign * pace.across * 3
    if place.pillar:
        beside = place.pillar[int(t - away - lead)] + sign * (place.width / 2 + pace.across * 0.7)
        inward = max(inward, beside) if sign > 0 else min(inward, beside)
    beyond = edge + sign * pace.step * away * 0.5
    y = place.size[1] * (0.35 + 0.3 * rng.uniform())
    drift = rng.choice((-0.5, 0.5)) * pace.step
    stops = ((-away - lead, inward), (-away, edge), (0.0, beyond), (away, edge))
    return [Knot(t + dt, x, y + drift * dt) for dt, x in (*stops, (away + lead, inward))]
