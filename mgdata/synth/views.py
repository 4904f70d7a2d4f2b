"""One place seen by several cameras at once: a camera worn, which moves, and others that stand.

Things stand or slide on a ground round a pillar, each upright and turned to whoever looks. What a
camera sees of each is its exact mask: pixels whose alpha is at least half and that nothing nearer
covers. A thing may be hidden from one camera, by the pillar, by another or by the edge of the
picture, and seen by the next. It knows no on-disk format.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

import cv2
import numpy as np
from numpy.typing import NDArray

from mgdata.identity import Stream
from mgdata.synth.backdrop import PALETTES, Backdrop, ground, pillar
from mgdata.synth.scene import GRAIN
from mgdata.synth.sprites import COLOURS, TEXTURES, Pixels
from mgdata.synth.toybox import KINDS, cutout

Mask = NDArray[np.bool_]

_DRAWN = 160
"""Width in pixels at which a thing is drawn once; pictures scale it by its distance."""
_HALF = 127
_NEAREST = 0.35
"""Distance within which nothing is drawn, radii of the place."""


@dataclass(frozen=True)
class Thing:
    """One thing on the ground. Lengths are in radii of the place, whose middle is the origin."""

    name: str
    """Unique in its place: `red ball_0`."""
    bgra: Pixels
    """Its picture, premultiplied."""
    at: tuple[float, float]
    across: float
    swing: float
    """How far it slides to and fro."""
    phase: float

    def where(self, seconds: float) -> tuple[float, float]:
        """Its place at a time."""
        turn = self.phase + 0.9 * seconds
        return self.at[0] + self.swing * math.cos(turn), self.at[1] + self.swing * math.sin(turn)


@dataclass(frozen=True)
class Post:
    """The pillar."""

    pixels: Pixels
    at: tuple[float, float]
    across: float


@dataclass(frozen=True)
class Eye:
    """One camera: it looks at the middle of the place, from `away` and `high` above the ground."""

    name: str
    worn: bool
    size: tuple[int, int]
    """Width and height in pixels."""
    angle: float
    """Radians round the place."""
    away: float
    high: float
    horizon: float
    """Row of the horizon as a share of the height; it may lie above the picture."""
    backdrop: Backdrop
    phase: float

    def bearing(self, seconds: float) -> tuple[float, float]:
        """Its angle at a time, and how far it looks aside, as a share of the width."""
        if not self.worn:
            return self.angle, 0.0
        turn = self.phase + 1.1 * seconds
        return self.angle + 0.45 * math.sin(turn), 0.16 * math.sin(1.7 * turn)


@dataclass(frozen=True)
class Place:
    """All that there is to be seen, and who sees it; the camera worn comes first."""

    things: tuple[Thing, ...]
    post: Post
    eyes: tuple[Eye, ...]


@dataclass(frozen=True)
class Sight:
    """What one camera sees at one time."""

    image: Pixels
    """[height, width, 3], BGR."""
    masks: Mapping[str, Mask]
    """[height, width] of every thing, in order of their names; empty where it does not show."""
    whole: Mapping[str, int]
    """Pixels that every thing would have, were nothing before it and no border; 0 if too near."""


@dataclass(frozen=True)
class _Layer:
    """Something upright as a camera has it: a picture at (x, y), which may leave the image."""

    name: str | None
    depth: float
    x: int
    y: int
    bgra: Pixels
    foot: int
    """Row where it stands."""


def place(
    rng: Stream, size: tuple[int, int], names: tuple[str, ...], things: int = 5, twins: bool = False
) -> Place:
    """A place with `things` things and a camera for each of `names`, of which the first is worn.

    Args:
        rng: decides everything else.
        size: width and height of the standing cameras' pictures; the worn one's are square.
        names: of the cameras.
        things: how many, 2 to 8; no two of one kind, but for twins.
        twins: the last two are alike: `red ball_0` and `red ball_1`.
    """
    if not 2 <= things <= len(COLOURS):
        raise ValueError(f"a place holds 2 to {len(COLOURS)} things, not {things}")
    kinds, colours = rng.sample(KINDS, things), rng.sample(list(COLOURS), things)
    textures = [rng.choice(TEXTURES) for _ in range(things)]
    if twins:
        kinds[-1], colours[-1], textures[-1] = kinds[-2], colours[-2], textures[-2]
    spots = _spots(rng, things + 1)
    shown = tuple(
        Thing(
            name=f"{colours[i]} {kinds[i]}_{int(twins and i == things - 1)}",
            bgra=cutout(kinds[i], colours[i], textures[i], _DRAWN).sprite.bgra,
            at=spots[i + 1],
            across=0.32 + 0.12 * rng.uniform(),
            swing=rng.choice((0.0, 0.0, 0.1, 0.16)),
            phase=2 * math.pi * rng.uniform(),
        )
        for i in range(things)
    )
    post = Post(pixels=pillar(rng, 80, 400), at=spots[0], across=0.42)
    return Place(things=shown, post=post, eyes=_eyes(rng, size, names))


def _spots(rng: Stream, number: int) -> list[tuple[float, float]]:
    """Places on the ground, the first near the middle, apart as far as a few tries allow."""
    found = [(0.25 * (rng.uniform() - 0.5), 0.25 * (rng.uniform() - 0.5))]
    while len(found) < number:
        tries: list[tuple[float, float]] = []
        for _ in range(12):
            angle, reach = 2 * math.pi * rng.uniform(), math.sqrt(0.12 + 0.88 * rng.uniform())
            tries.append((reach * math.cos(angle), reach * math.sin(angle)))
        found.append(max(tries, key=lambda spot: min(math.dist(spot, other) for other in found)))
    return found


def _eyes(rng: Stream, size: tuple[int, int], names: tuple[str, ...]) -> tuple[Eye, ...]:
    """Cameras all round the place, on grounds of one colour."""
    palette, start = rng.below(len(PALETTES)), 2 * math.pi * rng.uniform()
    eyes: list[Eye] = []
    for i, name in enumerate(names):
        worn = i == 0
        wide, high = (min(size), min(size)) if worn else size
        margin = wide // 4 if worn else 0
        seed = str(rng.below(1 << 62))
        eyes.append(
            Eye(
                name=name,
                worn=worn,
                size=(wide, high),
                angle=start + 2 * math.pi * (i + 0.4 * (rng.uniform() - 0.5)) / len(names),
                away=1.85 if worn else 2.3 + 0.7 * rng.uniform(),
                high=1.2 if worn else 0.9 + 0.4 * rng.uniform(),
                horizon=-0.08 if worn else 0.08,
                backdrop=ground(_tinted(seed, palette), (wide + 2 * margin, high), "field"),
                phase=2 * math.pi * rng.uniform(),
            )
        )
    return tuple(eyes)


def _tinted(seed: str, palette: int) -> Stream:
    """A stream whose first choice of a palette, which is how `ground` begins, is `palette`."""
    for number in count():
        if Stream("ground", seed, str(number)).below(len(PALETTES)) == palette:
            return Stream("ground", seed, str(number))
    raise AssertionError("unreachable")


def look(place: Place, eye: Eye, seconds: float) -> Sight:
    """What `eye` sees of the place at a time."""
    width, height = eye.size
    angle, aside = eye.bearing(seconds)
    image = _ground(eye, aside)
    layers = [_thing(thing, eye, angle, aside, seconds) for thing in place.things]
    layers.append(_post(place.post, eye, angle, aside))
    masks = {thing.name: np.zeros((height, width), np.bool_) for thing in place.things}
    whole = dict.fromkeys(masks, 0)
    for layer in sorted((layer for layer in layers if layer), key=lambda layer: -layer.depth):
        _shade(image, layer)
        mask = _paint(image, layer)
        for nearer_covers in masks.values():
            nearer_covers &= ~mask
        if layer.name is not None:
            masks[layer.name] = mask
            whole[layer.name] = int(np.count_nonzero(layer.bgra[..., 3] > _HALF))
    return Sight(image=image, masks=masks, whole=whole)


def _ground(eye: Eye, aside: float) -> Pixels:
    """The ground behind everything, shifted as the camera looks aside."""
    width, height = eye.size
    painted = eye.backdrop.painted(GRAIN)
    spare = painted.shape[1] - width
    left = min(max(round(spare / 2 + aside * width), 0), spare)
    return painted[:height, left : left + width].copy()


def _seen(
    at: tuple[float, float], eye: Eye, angle: float, aside: float
) -> tuple[float, float, float, float] | None:
    """Depth, pixels a radius at that depth, column, and row of the ground; None if too near."""
    width, height = eye.size
    depth = eye.away - (at[0] * math.cos(angle) + at[1] * math.sin(angle))
    if depth < _NEAREST:
        return None
    scale = min(width, height * 4 / 3) / depth
    sideways = at[1] * math.cos(angle) - at[0] * math.sin(angle)
    column = width / 2 + scale * sideways - aside * width
    return depth, scale, column, eye.horizon * height + scale * eye.high


def _thing(thing: Thing, eye: Eye, angle: float, aside: float, seconds: float) -> _Layer | None:
    found = _seen(thing.where(seconds), eye, angle, aside)
    if found is None:
        return None
    depth, scale, column, row = found
    share = thing.across * scale / _DRAWN
    height, width = (max(2, round(side * share)) for side in thing.bgra.shape[:2])
    drawn = cv2.resize(thing.bgra, (width, height), interpolation=cv2.INTER_AREA)
    bgra = np.asarray(drawn, np.uint8)
    x, foot = round(column - width / 2), round(row)
    _, _, _, low = cv2.boundingRect((bgra[..., 3] > _HALF).astype(np.uint8))
    top = (height - low) // 2
    return _Layer(thing.name, depth, x, foot - top - low, bgra, foot)


def _post(post: Post, eye: Eye, angle: float, aside: float) -> _Layer | None:
    found = _seen(post.at, eye, angle, aside)
    if found is None:
        return None
    depth, scale, column, row = found
    width, foot = max(2, round(post.across * scale)), round(row)
    stone = cv2.resize(post.pixels, (width, max(2, foot)), interpolation=cv2.INTER_AREA)
    solid = np.full(stone.shape[:2], 255, np.uint8)
    bgra = np.asarray(cv2.merge([*cv2.split(stone), solid]), np.uint8)
    return _Layer(None, depth, round(column - width / 2), 0, bgra, foot)


def _shade(image: Pixels, layer: _Layer) -> None:
    """Darken the ground where it stands."""
    width = layer.bgra.shape[1]
    shadow = np.zeros(image.shape[:2], np.uint8)
    middle = (layer.x + width // 2, layer.foot)
    axes = (max(1, round(width * 0.42)), max(1, round(width * 0.11)))
    cv2.ellipse(shadow, middle, axes, 0, 0, 360, 70, -1, cv2.LINE_AA)
    cv2.multiply(image, cv2.merge([~shadow] * 3), dst=image, scale=1 / 255)


def _paint(image: Pixels, layer: _Layer) -> Mask:
    """Lay it over the image; where it covers that by half or more."""
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.bool_)
    x1, x2 = max(layer.x, 0), min(layer.x + layer.bgra.shape[1], width)
    y1, y2 = max(layer.y, 0), min(layer.y + layer.bgra.shape[0], height)
    if x1 >= x2 or y1 >= y2:
        return mask
    part = layer.bgra[y1 - layer.y : y2 - layer.y, x1 - layer.x : x2 - layer.x]
    clear = cv2.merge([~np.ascontiguousarray(part[..., 3])] * 3)
    here = np.ascontiguousarray(image[y1:y2, x1:x2])
    kept = cv2.multiply(here, clear, scale=1 / 255)
    image[y1:y2, x1:x2] = cv2.add(kept, np.ascontiguousarray(part[..., :3]))
    mask[y1:y2, x1:x2] = part[..., 3] > _HALF
    return mask
