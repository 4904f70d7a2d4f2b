"""Moments seen by several cameras, written as patterns: what a corpus of views would give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mgdata.data import Image, Record, Region
from mgdata.geometry import Box
from mgdata.identity import Stream

CAMERAS = ("aria01", "cam01", "cam02", "cam03", "cam04", "cam05")
SIZE = (600, 400)


def moment(objects: Mapping[str, str], cameras: Sequence[str] = CAMERAS, key: str = "1") -> Record:
    """Objects by name, a letter for each camera; a name without its digits is the label.

    `b` a box, `-` known not to be visible, a space: nothing is said; `i` a box to be ignored, `d`
    two boxes, `t` a tiny one, `s` a strip, `v` one of which little is visible, `o` one that lies
    over that of the object before.
    """
    images = [Image(uri=f"v:{key}/{c}.jpg", width=SIZE[0], height=SIZE[1], view=c) for c in cameras]
    regions: list[Region] = []
    for view in range(len(cameras)):
        for k, (name, seen) in enumerate(objects.items()):
            if (letter := seen[view]) == " ":
                continue
            regions += [_region(view, k, name, letter)] * (2 if letter == "d" else 1)
    return Record(
        key=f"v/{key}",
        shape="views",
        unit=f"take {key}",
        images=tuple(images),
        regions=tuple(regions),
        license="unknown",
    )


def _region(view: int, number: int, name: str, letter: str) -> Region:
    # From left to right in one view, from right to left in the next.
    place = number - (letter == "o")
    x, y = 10.0 + 70 * (place if view % 2 == 0 else 7 - place), 20.0 + 40 * view
    shift = 4.0 if letter == "o" else 0.0
    wide, tall = {"t": (5.0, 5.0), "s": (12.0, 50.0)}.get(letter, (55.0, 60.0))
    box = Box(x + shift, y + shift, x + shift + wide, y + shift + tall)
    return Region(
        image=view,
        box=None if letter == "-" else box,
        label=name.rstrip("0123456789_"),
        track=name,
        visibility={"v": 0.3, "-": 0.0}.get(letter),
        ignore=letter == "i",
    )


def moments(n: int, hidden: float = 0.4) -> list[Record]:
    """Moments of three mugs, a plate and two people, each visible in a view or known not to be."""
    found: list[Record] = []
    names = ("mug_0", "mug_1", "mug_2", "plate", "person_0", "person_1")
    for number in range(n):
        rng = Stream("moments", str(number))
        seen = {
            name: "".join("-" if rng.uniform() < hidden else "b" for _ in CAMERAS) for name in names
        }
        found.append(moment(seen, key=str(number)))
    return found
