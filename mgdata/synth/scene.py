"""Scenes put together: toys of distinct shapes and colours that roam, or people in a plaza.

A scene is a pure function of its stream. One toy, the target, follows a story; the others wander.
It knows no on-disk format.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mgdata.identity import Stream
from mgdata.synth.backdrop import Backdrop, Ground, ground, pillar
from mgdata.synth.drawing import Actor, Pillar, Placement, Scene, film
from mgdata.synth.motion import Area, Path, through, wander
from mgdata.synth.sprites import COLOURS, PHASES, SHAPES, TEXTURES, Pixels, toy, walker
from mgdata.synth.stories import Pace, Setting, Story, told

SMALLEST = 64
"""Pixels of the shorter side below which toys are too small to be told apart."""
GRAIN = 3.0
"""Usual speckle of the ground, grey levels."""


def render(
    seed: int,
    frames: int,
    size: tuple[int, int] = (320, 240),
    objects: int = 4,
    story: Story = "hiding",
) -> Iterator[tuple[Pixels, list[Placement]]]:
    """Frames [height, width, 3] BGR, each with the placements of all objects, nearest last.

    The placement at `target_index(objects, story)` is that of the object the story is about.
    Equal arguments give equal frames.

    Raises:
        ValueError: see `toys`.
    """
    return film(toys(Stream("synth", "render", str(seed)), frames, size, objects, story))


def target_index(objects: int, story: Story) -> int:
    """Which object the story is about: the middle one in depth; the nearest if it is to be seen."""
    return objects - 1 if story == "seen" else objects // 2


def toys(
    rng: Stream, frames: int, size: tuple[int, int], objects: int = 4, story: Story = "hiding"
) -> Scene:
    """A field with `objects` toys, no two of one shape or of one colour.

    Args:
        rng: decides everything that the other arguments leave open.
        frames: number of images.
        size: width and height of an image in pixels.
        objects: how many toys, 1 to 8.
        story: what happens to the target.

    Raises:
        ValueError: no frames, too small an image, or more toys than colours.
    """
    if not 1 <= objects <= len(COLOURS):
        raise ValueError(f"a scene holds 1 to {len(COLOURS)} toys, not {objects}")
    _check(frames, size)
    unit = min(size)
    camera, backdrop = _ground(rng, frames, size, "field")
    post = None if story == "seen" else _pillar(rng, backdrop, size, unit * 0.24)
    colours, shapes = rng.sample(list(COLOURS), objects), rng.sample(SHAPES, objects)
    actors: list[Actor] = []
    for i in range(objects):
        step = size[0] * (0.014 + 0.008 * rng.uniform())
        if i == target_index(objects, story):
            across = unit * 0.19
            path = told(rng, _setting(size, camera, post), Pace(across, step), story)
        else:
            across = unit * (0.14 + 0.1 * rng.uniform())
            path = _roam(rng, frames, size, step)
        actors.append(_toy(rng, shapes[i], colours[i], across, path))
    return Scene(
        size=size, backdrop=backdrop, grain=GRAIN, pan=camera, actors=tuple(actors), pillar=post
    )


def people(rng: Stream, frames: int, size: tuple[int, int], walkers: int = 4) -> Scene:
    """A plaza with people who walk at several depths, one who stands still, and a grey statue.

    Shapes of the actors: `person`, `stander`, `statue`.

    Raises:
        ValueError: no frames, too small an image, or more walkers than colours of shirts.
    """
    if not 1 <= walkers < len(COLOURS):
        raise ValueError(f"a plaza holds 1 to {len(COLOURS) - 1} walkers, not {walkers}")
    _check(frames, size)
    camera, backdrop = _ground(rng, frames, size, "plaza")
    post = _pillar(rng, backdrop, size, min(size) * 0.13)
    shapes = ["person"] * walkers + ["stander", "statue"]
    rng.shuffle(shapes)
    colours = rng.sample(list(COLOURS), walkers + 1)
    actors: list[Actor] = []
    for i, shape in enumerate(shapes):
        depth = (i + 0.5 + 0.4 * (rng.uniform() - 0.5)) / len(shapes)
        colour = "grey" if shape == "statue" else colours.pop()
        actors.append(_person(rng, shape, colour, depth, size, camera, post))
    return Scene(
        size=size, backdrop=backdrop, grain=GRAIN, pan=camera, actors=tuple(actors), pillar=post
    )


def _check(frames: int, size: tuple[int, int]) -> None:
    if frames < 1 or min(size) < SMALLEST:
        raise ValueError(
            f"a scene needs at least 1 frame and {SMALLEST} pixels a side, not {frames} and {size}"
        )


def _ground(
    rng: Stream, frames: int, size: tuple[int, int], kind: Ground
) -> tuple[NDArray[np.int64], Backdrop]:
    """A ground larger than the image, and where on it the camera looks: [frames, 2] of x and y.

    The camera stands still in one scene of three; else it goes slowly round an ellipse.
    """
    mx, my = size[0] // 12, size[1] // 16
    phase = 2 * math.pi * rng.uniform()
    t = phase + 2 * np.pi * np.arange(frames) / (70 + rng.below(40))
    swing = 0.0 if rng.below(3) == 0 else 0.95
    looks = np.stack([mx * (1 + swing * np.sin(t)), my * (1 + swing * np.sin(0.7 * t))], axis=1)
    backdrop = ground(rng, (size[0] + 2 * mx, size[1] + 2 * my), kind)
    return np.rint(looks).astype(np.int64), backdrop


def _pillar(rng: Stream, backdrop: Backdrop, size: tuple[int, int], width: float) -> Pillar:
    """A pillar in the middle third of the ground."""
    whole = backdrop.speckle.shape[1]
    middle = whole / 2 + size[0] * 0.3 * (rng.uniform() - 0.5)
    return Pillar(pixels=pillar(rng, round(width), size[1]), x=round(middle - width / 2))


def _setting(size: tuple[int, int], camera: NDArray[np.int64], post: Pillar | None) -> Setting:
    """The stage of a story, as the camera sees it."""
    if post is None:
        return Setting(size=size, frames=len(camera), pillar=(), width=0.0)
    width = post.pixels.shape[1]
    middles = tuple(post.x + width / 2 - float(x) for x in camera[:, 0])
    return Setting(size=size, frames=len(camera), pillar=middles, width=float(width))


def _roam(rng: Stream, frames: int, size: tuple[int, int], step: float) -> Path:
    """A path that now and then leaves the image."""
    width, height = size
    area = Area(-0.06 * width, -0.06 * height, 1.06 * width, 1.06 * height)
    return through(wander(rng, area, step, None, None, (0.0, float(max(frames - 1, 1)))), frames)


def _toy(rng: Stream, shape: str, colour: str, across: float, path: Path) -> Actor:
    """A toy that rocks to and fro on its path."""
    texture = rng.choice(TEXTURES)
    phase, period = 2 * math.pi * rng.uniform(), 30 + 30 * rng.uniform()
    rock = 0.35 * np.sin(phase + 2 * np.pi * np.arange(len(path)) / period)
    return Actor(
        name=f"{colour} {shape}",
        shape=shape,
        colour=colour,
        sprites=(toy(shape, colour, texture, across),),
        path=path,
        turn=rock,
    )


def _person(
    rng: Stream,
    shape: str,
    colour: str,
    depth: float,
    size: tuple[int, int],
    camera: NDArray[np.int64],
    post: Pillar,
) -> Actor:
    """Someone at a depth from 0 (far, small) to 1 (near, tall), walking or still."""
    width, height = size
    tall = height * (0.26 + 0.3 * depth)
    y = height * (0.42 + 0.55 * depth) - tall / 2
    looks = str(rng.below(1 << 62))
    phases = range(PHASES) if shape == "person" else range(1)
    shirt = None if shape == "statue" else colour
    sprites = tuple(walker(shirt, phase, tall, Stream(looks)) for phase in phases)
    if shape == "person":
        step = width * (0.013 + 0.005 * rng.uniform()) * (0.75 + 0.5 * depth)
        x, back = _pacing(rng, len(camera), step, (-0.1 * width - tall / 4, 1.1 * width + tall / 4))
    else:
        x, back = _standing(rng, width, camera, post), np.zeros(len(camera), bool)
    return Actor(
        name={"person": f"person in {colour}", "stander": f"standing person in {colour}"}.get(
            shape, "grey statue"
        ),
        shape=shape,
        colour=colour,
        sprites=sprites,
        path=np.stack([x, np.full(len(camera), y)], axis=1),
        mirrored=back,
    )


def _pacing(
    rng: Stream, frames: int, step: float, ends: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where someone walking to and fro is in every frame, and in which frames it goes left."""
    span = ends[1] - ends[0]
    along = (2 * span * rng.uniform() + step * np.arange(frames)) % (2 * span)
    back = along > span
    return ends[0] + np.where(back, 2 * span - along, along), back


def _standing(
    rng: Stream, width: int, camera: NDArray[np.int64], post: Pillar
) -> NDArray[np.float64]:
    """Where something is, in every frame, that stands beside the pillar: only the camera moves."""
    middle = post.x - float(camera[0, 0]) + post.pixels.shape[1] / 2
    x = width * (0.1 + 0.8 * rng.uniform())
    while abs(x - middle) < post.pixels.shape[1]:
        x = width * (0.1 + 0.8 * rng.uniform())
    return x - (camera[:, 0] - camera[0, 0]).astype(np.float64)
