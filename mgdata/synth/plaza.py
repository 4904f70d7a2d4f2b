"""Things and people on a ground, seen at once by cameras that stand round it, a picture at a time.

Everything stands upright and turns its picture to whoever looks; what is nearer hides what is
behind it, and each camera looks a little aside, so that it misses a part of the ground. Pixels and
masks come from `drawing`. It knows no on-disk format.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count

import cv2
import numpy as np
from numpy.typing import NDArray

from mgdata.identity import Stream
from mgdata.synth.backdrop import PALETTES, Backdrop, Ground, ground
from mgdata.synth.drawing import Actor, Placement, Scene, film
from mgdata.synth.scene import GRAIN
from mgdata.synth.sprites import Pixels, Sprite

Path = NDArray[np.float64]
"""[moments, 2]: where something stands. Lengths are in radii of the ground, its middle is 0, 0."""

NEAREST = 0.45
"""Distance within which a camera looks over what is there, radii."""
_HALF = 127


@dataclass(frozen=True)
class Body:
    """Something that stands on the ground."""

    name: str
    """Unique in its place."""
    kind: str
    pictures: tuple[Sprite, ...]
    """One, or those of a step, used in turn."""
    tall: float
    """From its foot to its top, radii."""
    path: Path


@dataclass(frozen=True)
class Stand:
    """A camera: `away` from the middle, `high` above the ground, level."""

    name: str
    size: tuple[int, int]
    """Width and height in pixels."""
    angle: float
    """Radians round the ground."""
    away: float
    high: float
    aside: float
    """How far the middle of the ground is from the middle of its picture, as a share of that."""
    backdrop: Backdrop


@dataclass(frozen=True)
class Spot:
    """A point of the ground as a camera has it."""

    depth: float
    scale: float
    """Pixels a radius at that depth."""
    column: float
    row: float


def stands(
    rng: Stream, sizes: Mapping[str, tuple[int, int]], kind: Ground, away: tuple[float, float]
) -> tuple[Stand, ...]:
    """Cameras all round a ground of one colour, each `away[0]` to `away[1]` radii from its middle.

    Args:
        rng: decides everything else.
        sizes: width and height of each camera's pictures, by its name.
        kind: of the ground.
        away: the least and the greatest distance.
    """
    palette, start = rng.below(len(PALETTES)), 2 * math.pi * rng.uniform()
    found: list[Stand] = []
    for place, (name, size) in enumerate(sizes.items()):
        seed = str(rng.below(1 << 62))
        found.append(
            Stand(
                name=name,
                size=size,
                angle=start + 2 * math.pi * (place + 0.3 * (rng.uniform() - 0.5)) / len(sizes),
                away=away[0] + (away[1] - away[0]) * rng.uniform(),
                high=0.95 + 0.3 * rng.uniform(),
                aside=0.24 * (2 * rng.uniform() - 1),
                backdrop=ground(_tinted(seed, palette), size, kind),
            )
        )
    return tuple(found)


def _tinted(seed: str, palette: int) -> Stream:
    """A stream whose first choice of a palette, which is how `ground` begins, is `palette`."""
    for number in count():
        if Stream("ground", seed, str(number)).below(len(PALETTES)) == palette:
            return Stream("ground", seed, str(number))
    raise AssertionError("unreachable")


def project(stand: Stand, at: tuple[float, float]) -> Spot | None:
    """Where a camera sees a point of the ground; None if it is too near or behind it."""
    width, height = stand.size
    cos, sin = math.cos(stand.angle), math.sin(stand.angle)
    depth = stand.away - (at[0] * cos + at[1] * sin)
    if depth < NEAREST:
        return None
    scale = min(width, height * 4 / 3) / depth
    sideways = at[1] * cos - at[0] * sin
    column = width * (0.5 + stand.aside) + scale * sideways
    return Spot(depth, scale, column, 0.06 * height + scale * stand.high)


def look(
    stand: Stand, bodies: tuple[Body, ...], moment: int
) -> tuple[Pixels, dict[str, Placement]]:
    """A camera's picture, [height, width, 3] BGR, and where in it each body is, by its name.

    A body that is too near is not in it.
    """
    seen: list[tuple[float, str, Actor]] = []
    for body in bodies:
        x, y = (float(v) for v in body.path[moment])
        if (spot := project(stand, (x, y))) is not None:
            leftward = _leftward(stand, body, moment)
            seen.append((-spot.depth, body.name, _actor(body, spot, moment, leftward)))
    scene = Scene(
        size=stand.size,
        backdrop=stand.backdrop,
        grain=GRAIN,
        pan=np.zeros((1, 2), np.int64),
        actors=tuple(actor for _, _, actor in sorted(seen, key=lambda one: one[:2])),
    )
    image, placements = next(film(scene))
    return image, {placement.name: placement for placement in placements}


def _leftward(stand: Stand, body: Body, moment: int) -> bool:
    """Whether a walker goes left in the picture; its sprites walk right."""
    if len(body.pictures) == 1 or len(body.path) == 1:
        return False
    first = min(moment, len(body.path) - 2)
    across, down = body.path[first + 1] - body.path[first]
    return bool(down * math.cos(stand.angle) < across * math.sin(stand.angle))


def _actor(body: Body, spot: Spot, moment: int, leftward: bool) -> Actor:
    """The body as large as the camera has it, its lowest pixel on the spot's row."""
    picture = body.pictures[moment % len(body.pictures)]
    _, _, _, tall = _bounds(picture.bgra)
    share = body.tall * spot.scale / tall
    height, width = (max(3, round(side * share)) for side in picture.shadow.shape)
    bgra, shadow = (
        np.asarray(cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        for layer in (picture.bgra, picture.shadow)
    )
    _, top, _, tall = _bounds(bgra)
    middle = round(spot.row) - (top + tall) + height // 2
    return Actor(
        name=body.name,
        shape=body.kind,
        colour="",
        sprites=(replace(picture, bgra=bgra, shadow=shadow),),
        path=np.array([[round(spot.column), middle]], np.float64),
        mirrored=np.array([leftward]),
    )


def _bounds(bgra: Pixels) -> tuple[int, int, int, int]:
    """Left, top, width and height of the pixels that count."""
    x, y, w, h = cv2.boundingRect((bgra[..., 3] > _HALF).astype(np.uint8))
    return x, y, max(w, 1), max(h, 1)
