"""What one GranD annotation file holds: fast where it is as it should be, object by object else.

It knows the JSON only, no folder and no image.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec

from mgdata.errors import Rejected


class _Mask(msgspec.Struct):
    size: tuple[int, int]


class Thing(msgspec.Struct):
    """One object, as it is written."""

    bbox: list[float | None] | None = None
    """x1, y1, x2, y2 in pixels; a null was a NaN."""
    labels: list[str] | str | None = None
    attributes: list[str] | str | None = None
    score: float | None = None
    segmentation: msgspec.Raw = msgspec.Raw(b"null")


class Scene(msgspec.Struct):
    """The objects of one image."""

    objects: list[Thing] = []
    floating_objects: list[Thing] = []


_mask = msgspec.json.Decoder(_Mask).decode
_thing = msgspec.json.Decoder(Thing).decode
_scenes = msgspec.json.Decoder(dict[str, Scene]).decode


def read(data: bytes, path: str, skipped: Counter[str]) -> tuple[str, Scene]:
    """The image's name and its objects; objects of wrong types are counted in `skipped`.

    Raises:
        Rejected: `path` is cut, not UTF-8, or not one image with its objects.
    """
    try:
        scenes = _scenes(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        scenes = _patient(data, path, skipped)
    if len(scenes) != 1:
        raise Rejected("malformed annotation", f"{path}: {len(scenes)} images, not one")
    return next(iter(scenes.items()))


def _patient(data: bytes, path: str, skipped: Counter[str]) -> dict[str, Scene]:
    """As `_scenes`, object by object, where something in the file is not as it should be."""
    try:
        # Python's own JSON reads NaN, which Python also writes.
        raw = json.loads(data)
    except UnicodeDecodeError:
        raise Rejected("text is not UTF-8", path) from None
    except (ValueError, RecursionError) as error:
        raise Rejected("malformed annotation", f"{path}: {error}") from None
    scenes: dict[str, Scene] = {}
    for name, scene in _entries(raw, path):
        things: dict[str, list[Thing]] = {}
        for field in ("objects", "floating_objects"):
            listed = [] if scene.get(field) is None else scene[field]
            if not isinstance(listed, list):
                raise Rejected("malformed annotation", f"{path}: {field} is not a list")
            things[field] = _typed(listed, skipped)  # pyright: ignore[reportUnknownArgumentType]
        scenes[name] = Scene(**things)
    return scenes


def _entries(raw: Any, path: str) -> list[tuple[str, dict[str, Any]]]:
    entries: list[tuple[str, Any]] = list(raw.items()) if isinstance(raw, dict) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    # A half of a surrogate pair, which JSON can write, is not printable and names no file.
    if not entries or not all(n.isprintable() and isinstance(s, dict) for n, s in entries):
        raise Rejected("malformed annotation", f"{path}: not one image with its objects")
    return entries


def _typed(listed: list[Any], skipped: Counter[str]) -> list[Thing]:
    things: list[Thing] = []
    for thing in listed:
        try:
            things.append(_thing(msgspec.json.encode(thing)))
        except (msgspec.MsgspecError, ValueError, TypeError, OverflowError):
            skipped["malformed object"] += 1
    return things


def mask_size(thing: Thing) -> tuple[int, int] | None:
    """Width and height that the object's mask states; None where there is none that states any."""
    if thing.segmentation == b"null":
        return None
    try:
        high, wide = _mask(thing.segmentation).size
    except msgspec.MsgspecError:
        return None
    return wide, high
