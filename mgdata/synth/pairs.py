"""One synthetic scene photographed twice, with a known change between, by a still or moved camera.

A `Stage` is what lies there, `changed` gives the next stage and what became of which toy, `side`
takes the picture: pixels, and mask and box of the toy in question, exact for that very picture.
It knows no on-disk format.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.synth import photos
from mgdata.synth.backdrop import Backdrop, ground
from mgdata.synth.camera import Camera
from mgdata.synth.photos import Mask, Still, Toy
from mgdata.synth.scene import SMALLEST
from mgdata.synth.sprites import COLOURS, TEXTURES, Pixels
from mgdata.synth.toybox import FLAT, KINDS

Kind = Literal["add", "drop", "move", "color", "material", "none"]
CHANGES: tuple[Kind, ...] = ("color", "material", "add", "drop", "move")
"""All that can happen to a toy; CLEVR-Change's words, a new texture for its new material."""

_MARGIN = 0.09
"""Ground beyond each edge of the picture, share of its longer side: what a moved camera sees."""
_INSET = 0.07
"""Edge that toys keep off, share of the shorter side, so that a moved camera still sees them."""
_SEEN = 0.6
"""Share of a toy that must show for it to be the one that changes."""


@dataclass(frozen=True)
class Stage:
    """What lies before the camera."""

    size: tuple[int, int]
    """Width and height of a picture of it."""
    still: Still
    """The toys, in pixels of the part of the picture where they may lie."""
    earth: Backdrop
    """The ground, larger than the picture by a margin on every side."""

    @property
    def toys(self) -> tuple[Toy, ...]:
        """What lies there, the nearest last. No two have one phrase."""
        return self.still.toys

    def world(self) -> Still:
        """The whole ground with the toys on it, in pixels of the ground."""
        wide, high = self.still.size
        down, across = self.earth.speckle.shape
        x, y = (across - wide) // 2, (down - high) // 2
        toys = tuple(replace(t, at=(t.at[0] + x, t.at[1] + y)) for t in self.toys)
        return Still((across, down), self.earth, toys, self.still.grain)


@dataclass(frozen=True)
class View:
    """How a camera looks at a stage; the default is the one all boxes of a still camera share."""

    x: float = 0.0
    """Pixels that everything lies further right in the picture."""
    y: float = 0.0
    """Pixels that everything lies further down."""
    zoom: float = 1.0
    """Larger than 1: nearer."""
    light: float = 0.0
    """Grey levels brighter."""
    noise: float = 0.0
    """Standard deviation of this one picture's noise, grey levels."""
    grain: str = ""
    """Seed of the noise."""


STILL = View()


@dataclass(frozen=True)
class Change:
    """What became of one toy. `before` is None for what was added, `after` for what is gone."""

    kind: Kind
    before: Toy | None = None
    after: Toy | None = None

    @property
    def phrase(self) -> str:
        """What to call the toy: as it was, where it was there; empty where nothing changed."""
        toy = self.before or self.after
        return toy.phrase if toy else ""


@dataclass(frozen=True)
class Side:
    """One picture of a pair, and where in it the changed toy is."""

    pixels: Pixels
    """[height, width, 3], BGR."""
    mask: Mask | None
    """[height, width]: the toy's visible pixels; None where it is not there."""
    box: Box | None
    """Bounds of the mask."""


@dataclass(frozen=True)
class Pair:
    """Two pictures and the one change between them."""

    before: Side
    after: Side
    change: Change
    sentences: tuple[str, ...]
    """Captions of equal meaning: "the red ball has been removed"."""


def pair(
    rng: Stream,
    size: tuple[int, int],
    kind: Kind,
    *,
    shaken: bool = False,
    things: int = 5,
    kinds: Sequence[str] = FLAT,
) -> Pair:
    """A scene twice, with one change of `kind` or none.

    Args:
        rng: decides everything that the other arguments leave open.
        size: width and height in pixels.
        kind: what happens between the pictures.
        shaken: the second picture is taken by a camera that moved a little and in other light, so
            that hardly a pixel is equal; otherwise pixels outside the change are equal.
        things: how many toys lie there before.
        kinds: what they may be, from `toybox.KINDS`; things made of parts have no texture.

    Raises:
        ValueError: see `photos.arranged` and `changed`.
    """
    first = staged(rng, size, things, kinds)
    second, change = changed(rng, first, kind, kinds=kinds)
    view = jitter(rng, size) if shaken else STILL
    return Pair(
        before=side(first, STILL, change.before),
        after=side(second, view, change.after),
        change=change,
        sentences=sentences(change),
    )


def staged(rng: Stream, size: tuple[int, int], things: int, kinds: Sequence[str] = KINDS) -> Stage:
    """A stage with `things` toys, for pictures of `size`; errors as `photos.arranged`."""
    inset = min(math.ceil(_INSET * min(size)), (min(size) - SMALLEST) // 2)
    still = photos.arranged(rng, (size[0] - 2 * inset, size[1] - 2 * inset), things, kinds=kinds)
    margin = math.ceil(_MARGIN * max(size))
    whole = (size[0] + 2 * margin, size[1] + 2 * margin)
    return Stage(size, still, ground(rng, whole, rng.choice(("field", "field", "plaza"))))


def changed(
    rng: Stream,
    stage: Stage,
    kind: Kind,
    *,
    keep: Collection[str] = (),
    kinds: Sequence[str] = KINDS,
) -> tuple[Stage, Change]:
    """The stage after one change, and the change.

    Args:
        rng: chooses the toy and what becomes of it.
        stage: what lies there before.
        kind: what happens.
        keep: phrases of toys that stay as they are, and that no toy may take on.
        kinds: what an added toy may be.

    Raises:
        ValueError: there is no toy left to which this can happen.
    """
    if kind == "none":
        return stage, Change("none")
    taken = {toy.phrase for toy in stage.toys} | set(keep)
    if kind == "add":
        new = _new(rng, stage, taken, kinds)
        return _with(stage, (*stage.toys, new)), Change("add", None, new)
    old = _chosen(rng, stage, kind, keep)
    if kind == "drop":
        return _with(stage, tuple(t for t in stage.toys if t is not old)), Change("drop", old)
    if kind == "move":
        new = photos.put(rng, old, stage.still.size, _boxes(stage))[0]
    elif kind == "color":
        new = replace(old, colour=rng.choice(_colours(old, taken)))
    else:
        new = replace(old, texture=rng.choice([t for t in TEXTURES if t != old.texture]))
    toys = tuple(new if toy is old else toy for toy in stage.toys)
    return _with(stage, toys), Change(kind, old, new)


def jitter(rng: Stream, size: tuple[int, int], noise: float = 1.5) -> View:
    """A camera that moved by 1.5 to 4 % each way, is 1 to 4 % nearer or farther, in other light."""
    unit = min(size)

    def swing(low: float, high: float) -> float:
        return rng.choice((-1.0, 1.0)) * (low + (high - low) * rng.uniform())

    return View(
        x=swing(0.015, 0.04) * unit,
        y=swing(0.015, 0.04) * unit,
        zoom=1 + swing(0.01, 0.04),
        light=swing(4.0, 7.0),
        noise=noise,
        grain=str(rng.below(1 << 62)),
    )


def side(stage: Stage, view: View, toy: Toy | None) -> Side:
    """A picture of the stage; mask and box of `toy` in it, None where it does not show."""
    mask = None if toy is None else seen(stage, view, toy)
    return Side(picture(stage, view), mask, None if mask is None else photos.bounds(mask))


def picture(stage: Stage, view: View = STILL) -> Pixels:
    """What the camera sees, [height, width, 3] BGR."""
    pixels = _framed(photos.shot(stage.world()).pixels, stage.size, view)
    if not view.light and not view.noise:
        return pixels
    spread = view.noise * _normal(Stream("synth", "pairs", "noise", view.grain), pixels.shape)
    return np.clip(np.rint(pixels + view.light + spread), 0, 255).astype(np.uint8)


def seen(stage: Stage, view: View, toy: Toy) -> Mask | None:
    """[height, width]: where one toy of the stage shows in the picture; None if nowhere."""
    for thing in photos.shown(stage.world()):
        if thing.phrase == toy.phrase:
            mask = _framed(np.where(thing.mask, 255, 0).astype(np.uint8), stage.size, view) > 127
            return mask if mask.any() else None
    return None


def around(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all of these; there must be one at least."""
    low = [min(v) for v in zip(*((b.x1, b.y1) for b in boxes), strict=True)]
    high = [max(v) for v in zip(*((b.x2, b.y2) for b in boxes), strict=True)]
    return Box(*low, *high)


def sentences(change: Change) -> tuple[str, ...]:
    """Three ways to say what changed, lower case, without a full stop."""
    old, new, it = change.before, change.after, f"the {change.phrase}"
    if old is None and new is None:
        return "nothing has changed", "there is no change", "the two scenes are the same"
    if old is None:
        one = f"{'an' if change.phrase[0] in 'aeiou' else 'a'} {change.phrase}"
        return f"{one} has been added", f"there is {one} that was not there before", f"{it} is new"
    if new is None:
        return f"{it} has been removed", f"{it} is gone", f"{it} is no longer there"
    if change.kind == "move":
        return f"{it} has moved", f"{it} is in a different place", f"someone moved {it}"
    if change.kind == "color":
        return (
            f"{it} became {new.colour}",
            f"{it} has turned {new.colour}",
            f"{it} changed its colour to {new.colour}",
        )
    return (
        f"the {old.texture} {old.phrase} became {new.texture}",
        f"{it} is {new.texture} now",
        f"{it} changed from {old.texture} to {new.texture}",
    )


def instruction(change: Change) -> str:
    """What to tell an editor to make the change: "remove the red ball"."""
    old, new, it = change.before, change.after, f"the {change.phrase}"
    if old is None:
        return f"add a {change.phrase}" if change.phrase[0] not in "aeiou" else f"add an {it[4:]}"
    if new is None:
        return f"remove {it}"
    if change.kind == "move":
        return f"move {it} to another place"
    return f"make {it} {new.colour if change.kind == 'color' else new.texture}"


def png(pixels: Pixels) -> bytes:
    """A PNG of [height, width] or [height, width, 3] BGR."""
    good, data = cv2.imencode(".png", pixels)
    if not good:
        raise ValueError(f"PNG encoder refused an image of shape {pixels.shape}")
    return data.tobytes()


def keep(camera: Camera, path: Path, data: bytes) -> None:
    """Write an encoded image, and count it among what the camera took."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    camera.images += 1
    camera.bytes += len(data)


def _with(stage: Stage, toys: tuple[Toy, ...]) -> Stage:
    return replace(stage, still=replace(stage.still, toys=toys))


def _boxes(stage: Stage) -> list[Box]:
    """Where in the still something shows."""
    return [thing.box for thing in photos.shown(stage.still)]


def _chosen(rng: Stream, stage: Stage, kind: Kind, keep: Collection[str]) -> Toy:
    """A toy to which this can happen and that shows well."""
    clear = {t.phrase for t in photos.shown(stage.still) if t.visibility >= _SEEN} - set(keep)
    toys = [t for t in stage.toys if t.phrase in clear and (kind != "material" or t.label in FLAT)]
    if not toys:
        raise ValueError(f"no toy is left for a change of kind {kind!r}")
    return rng.choice(toys)


def _new(rng: Stream, stage: Stage, taken: Collection[str], kinds: Sequence[str]) -> Toy:
    """A toy of a phrase that is not taken, where there is room."""
    free = [(k, c) for k in kinds for c in COLOURS if f"{c} {k}" not in taken]
    label, colour = rng.choice(free)
    across = min(stage.still.size) * (0.17 + 0.1 * rng.uniform())
    toy = Toy(label, colour, rng.choice(TEXTURES), across, 0.6 * (rng.uniform() - 0.5), (0, 0))
    return photos.put(rng, toy, stage.still.size, _boxes(stage))[0]


def _colours(toy: Toy, taken: Collection[str]) -> list[str]:
    """What colour it may turn, so that no other toy goes by the same phrase."""
    return [c for c in COLOURS if f"{c} {toy.label}" not in taken]


def _framed(world: Pixels, size: tuple[int, int], view: View) -> Pixels:
    """The part of the ground's picture that the camera sees: cut out, or moved by parts of pixels.

    The default view is cut out, so that two pictures of it are equal wherever the stage is.
    """
    width, height = size
    left, top = (world.shape[1] - width) // 2, (world.shape[0] - height) // 2
    if (view.x, view.y, view.zoom) == (0.0, 0.0, 1.0):
        return world[top : top + height, left : left + width].copy()
    middle = ((width - 1) / 2, (height - 1) / 2)
    matrix = np.array(
        [
            [view.zoom, 0.0, middle[0] + view.x - view.zoom * (left + middle[0])],
            [0.0, view.zoom, middle[1] + view.y - view.zoom * (top + middle[1])],
        ]
    )
    moved = cv2.warpAffine(world, matrix, size, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8)


def _normal(rng: Stream, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Nearly normal noise of deviation 1: sums of three bytes of a PCG64, guaranteed by numpy."""
    count = 3 * math.prod(shape)
    words = np.random.PCG64(rng.below(1 << 62)).random_raw(-(-count // 8))
    raw = np.frombuffer(np.asarray(words, dtype="<u8").tobytes(), np.uint8)[:count]
    total = raw.reshape(3, *shape).sum(axis=0, dtype=np.uint16).astype(np.float32)
    return (total - np.float32(382.5)) / np.float32(math.sqrt(3 * (256**2 - 1) / 12))
