"""One synthetic photo: several toys on a textured ground, and what of each really shows.

A `Still` says what is to be drawn, so that a second photo can differ from it by one toy; `shot`
draws it. Boxes and masks are those of the visible pixels, exact. It knows no on-disk format.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mgdata.geometry import Box, clip
from mgdata.identity import Stream
from mgdata.synth.backdrop import Backdrop, ground
from mgdata.synth.drawing import Actor, Scene, film
from mgdata.synth.scene import GRAIN, SMALLEST
from mgdata.synth.sprites import COLOURS, TEXTURES, Pixels
from mgdata.synth.toybox import KINDS, Cutout, cutout

Mask = NDArray[np.bool_]

_TRIES = 40
_APART = 0.04
"""Share of the smaller box that two toys may have in common while there is room elsewhere."""


@dataclass(frozen=True)
class Toy:
    """One thing that is to be drawn."""

    label: str
    """Its kind: "ball"."""
    colour: str
    texture: str
    across: float
    """Width in pixels before it is turned."""
    angle: float
    """Radians, clockwise."""
    at: tuple[int, int]
    """Column and row of its canvas' middle, pixels of the photo."""

    @property
    def phrase(self) -> str:
        """What to call it: "red ball"."""
        return f"{self.colour} {self.label}"

    def cutout(self) -> Cutout:
        """Its picture."""
        return cutout(self.label, self.colour, self.texture, self.across, self.angle)


@dataclass(frozen=True)
class Still:
    """What one photo shows: a ground and toys, the nearest last. No two have one phrase."""

    size: tuple[int, int]
    """Width and height in pixels."""
    backdrop: Backdrop
    toys: tuple[Toy, ...]
    grain: float = GRAIN
    """Standard deviation of the ground's speckle, grey levels."""

    def scene(self) -> Scene:
        """As a scene of one frame, for `drawing.film` or `Camera.shoot`."""
        actors = tuple(
            Actor(
                name=toy.phrase,
                shape=toy.label,
                colour=toy.colour,
                sprites=(toy.cutout().sprite,),
                path=np.array([toy.at], np.float64),
            )
            for toy in self.toys
        )
        start = np.zeros((1, 2), np.int64)
        return Scene(self.size, self.backdrop, self.grain, start, actors)


@dataclass(frozen=True)
class Part:
    """A visible part of a thing."""

    label: str
    """Its own name: "wheel"."""
    box: Box
    """Bounds of its visible pixels, right and bottom exclusive."""
    mask: Mask
    """[height, width] of the photo: its visible pixels."""


@dataclass(frozen=True)
class Thing:
    """One toy as the photo shows it. A toy of which nothing shows is no thing."""

    label: str
    colour: str
    phrase: str
    box: Box
    """Bounds of its visible pixels, right and bottom exclusive."""
    mask: Mask
    """[height, width] of the photo: its visible pixels."""
    share: float
    """Share of the photo that its box covers, 0 to 1."""
    visibility: float
    """Share of its pixels that show, 0 to 1."""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Photo:
    """A picture and what is in it."""

    pixels: Pixels
    """[height, width, 3], BGR as OpenCV has it (`camera.encoded` writes it as JPEG)."""
    things: list[Thing]
    """In order of depth, the nearest last."""


def photo(
    rng: Stream,
    size: tuple[int, int],
    things: int,
    *,
    kinds: Sequence[str] | None = None,
    large: bool = False,
) -> Photo:
    """A photo of `things` toys that hardly overlap; arguments and errors as `arranged`."""
    return shot(arranged(rng, size, things, kinds=kinds, large=large))


def arranged(
    rng: Stream,
    size: tuple[int, int],
    things: int,
    *,
    kinds: Sequence[str] | None = None,
    large: bool = False,
) -> Still:
    """Toys scattered on a ground of their own, wholly inside the photo.

    Args:
        rng: decides everything that the other arguments leave open.
        size: width and height in pixels.
        things: how many toys; 1 to 8 keep apart well.
        kinds: what they may be, from `toybox.KINDS` (the default). Kinds may repeat within a
            photo, a phrase (colour and kind) never does.
        large: the first toy's box covers 12 to 64 % of the photo.

    Raises:
        ValueError: no thing, more things than phrases, an unknown kind, or too small a photo.
    """
    chosen = tuple(KINDS if kinds is None else kinds)
    if not 1 <= things <= len(chosen) * len(COLOURS) or not set(chosen) <= set(KINDS):
        raise ValueError(f"cannot show {things} things of the kinds {', '.join(chosen)}")
    if min(size) < SMALLEST:
        raise ValueError(f"a photo has at least {SMALLEST} pixels a side, not {size}")
    backdrop = ground(rng, size, rng.choice(("field", "field", "plaza")))
    toys: list[Toy] = []
    taken: list[Box] = []
    for label, colour in _names(rng, chosen, things):
        across = min(size) * (0.15 + 0.13 * rng.uniform()) * min(1.0, 2.4 / math.sqrt(things))
        angle = 0.6 * (rng.uniform() - 0.5)
        toy = Toy(label, colour, rng.choice(TEXTURES), across, angle, (0, 0))
        if large and not toys:
            toy = _enlarged(toy, 0.16 + 0.34 * rng.uniform(), size)
        toy, box = put(rng, toy, size, taken)
        toys.append(toy)
        taken.append(box)
    return Still(size, backdrop, tuple(toys))


def shot(still: Still) -> Photo:
    """The photo of a still."""
    ((pixels, _),) = film(still.scene())
    return Photo(pixels, shown(still))


def shown(still: Still) -> list[Thing]:
    """What a still's photo shows of each toy, in its order; wholly hidden toys are left out."""
    free = np.ones(still.size[::-1], bool)
    things: list[Thing] = []
    for toy in reversed(still.toys):
        made = toy.cutout()
        whole = made.mask
        mask = _on_photo(whole, toy, still.size) & free
        if mask.any():
            box = bounds(mask)
            things.append(
                Thing(
                    label=toy.label,
                    colour=toy.colour,
                    phrase=toy.phrase,
                    box=box,
                    mask=mask,
                    share=box.area / (still.size[0] * still.size[1]),
                    visibility=float(mask.sum() / whole.sum()),
                    parts=tuple(_parts(made, toy, still.size, mask)),
                )
            )
        free &= ~mask
    return things[::-1]


def bounds(mask: Mask) -> Box:
    """The box of a mask's pixels; the mask must have one at least."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, top = float(columns[0]), float(rows[0])
    return Box(left, top, float(columns[-1] + 1), float(rows[-1] + 1))


def put(rng: Stream, toy: Toy, size: tuple[int, int], taken: Sequence[Box]) -> tuple[Toy, Box]:
    """The toy at a random place inside the photo, as far from `taken` boxes as there is room.

    Also gives its box, hidden parts included. A toy too large for the photo is made smaller.
    """
    mask = toy.cutout().mask
    own = bounds(mask)
    room = min((size[0] - 4) / own.width, (size[1] - 4) / own.height)
    if room < 1:
        return put(rng, replace(toy, across=toy.across * room * 0.98), size, taken)
    left, top = mask.shape[1] // 2, mask.shape[0] // 2
    best: tuple[float, Toy, Box] | None = None
    for _ in range(_TRIES):
        x = rng.between(2, int(size[0] - own.width) - 2) - int(own.x1)
        y = rng.between(2, int(size[1] - own.height) - 2) - int(own.y1)
        box = Box(own.x1 + x, own.y1 + y, own.x2 + x, own.y2 + y)
        crowded = max((_common(box, other) for other in taken), default=0.0)
        if best is None or crowded < best[0]:
            best = crowded, replace(toy, at=(x + left, y + top)), box
        if crowded <= _APART:
            break
    assert best is not None
    return best[1], best[2]


def _names(rng: Stream, kinds: tuple[str, ...], things: int) -> list[tuple[str, str]]:
    """Kind and colour of every toy. One toy in four repeats a kind that is there already."""
    names: list[tuple[str, str]] = []
    while len(names) < things:
        again = names and rng.below(4) == 0
        label = rng.choice(names)[0] if again else rng.choice(kinds)
        name = (label, rng.choice(list(COLOURS)))
        if name not in names:
            names.append(name)
    return names


def _enlarged(toy: Toy, share: float, size: tuple[int, int]) -> Toy:
    """The toy at the size whose box covers `share` of the photo, or as much as fits."""
    trial = replace(toy, across=float(min(size)))
    own = bounds(trial.cutout().mask)
    scale = math.sqrt(share * size[0] * size[1] / own.area)
    fits = min((size[0] - 5) / own.width, (size[1] - 5) / own.height)
    return replace(trial, across=trial.across * min(scale, fits))


def _common(box: Box, other: Box) -> float:
    """Area that two boxes share, as a share of the smaller one; 0 to 1."""
    shared = clip(
        Box(box.x1 - other.x1, box.y1 - other.y1, box.x2 - other.x1, box.y2 - other.y1),
        int(other.width),
        int(other.height),
    )
    return max(shared.width, 0.0) * max(shared.height, 0.0) / min(box.area, other.area)


def _on_photo(mask: Mask, toy: Toy, size: tuple[int, int]) -> Mask:
    """A mask of the toy's canvas, where `drawing` puts that canvas on the photo."""
    height, width = mask.shape
    left, top = toy.at[0] - width // 2, toy.at[1] - height // 2
    x1, x2 = max(left, 0), min(left + width, size[0])
    y1, y2 = max(top, 0), min(top + height, size[1])
    placed = np.zeros(size[::-1], bool)
    if x1 < x2 and y1 < y2:
        placed[y1:y2, x1:x2] = mask[y1 - top : y2 - top, x1 - left : x2 - left]
    return placed


def _parts(made: Cutout, toy: Toy, size: tuple[int, int], visible: Mask) -> list[Part]:
    """The parts that show."""
    found: list[Part] = []
    for name, own in made.parts:
        mask = _on_photo(own, toy, size) & visible
        if mask.any():
            found.append(Part(name, bounds(mask), mask))
    return found
