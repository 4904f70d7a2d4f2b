"""Small photos made by hand, for tests of tasks that ask what several photos show."""

from __future__ import annotations

from collections.abc import Iterable

from mgdata.data import ALL, Image, Record, Region
from mgdata.geometry import Box

SIDE = 100
"""Width and height of every photo, in pixels."""


def thing(label: str, place: int = 0, *, side: float = 20, ignore: bool = False) -> Region:
    """A square thing at one of sixteen places, none of which touches another at side 20."""
    x, y = 25.0 * (place % 4), 25.0 * (place // 4 % 4)
    return Region(image=0, box=Box(x, y, x + side, y + side), label=label, ignore=ignore)


def photo(
    number: int,
    *things: str | Region,
    exhaustive: Iterable[str] = (ALL,),
    absent: Iterable[str] = (),
) -> Record:
    """A photo of some things; a label alone stands for a thing at the next free place."""
    regions = [
        thing(one, place) if isinstance(one, str) else one for place, one in enumerate(things)
    ]
    return Record(
        key=f"made/{number}",
        shape="image",
        unit=str(number),
        images=(Image(uri=f"made:{number}.jpg", width=SIDE, height=SIDE),),
        regions=tuple(regions),
        license="CC0-1.0",
        exhaustive=tuple(exhaustive),
        absent=tuple(absent),
    )
