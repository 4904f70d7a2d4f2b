"""Boxes as JSON objects: one list of them, or prose with objects inside.

Knows no model: a notation says how its keys are called and what its numbers mean.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NoReturn, cast

import msgspec

from mgdata.data import Image, Target, Turn
from mgdata.geometry import Frame
from mgdata.notations.naming import only_image
from mgdata.plugins import Notation

_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n?```", re.DOTALL)
_WHOLE: frozenset[type] = frozenset({int})
_REAL: frozenset[type] = frozenset({int, float})


@dataclass(frozen=True, kw_only=True)
class ObjectNotation(Notation):
    """A notation that writes a box as one JSON object with `label` and `image` beside it.

    An answer of kind `boxes` is one list of objects and nothing else; answers of other kinds are
    prose in which a box is written as one object. How several images are told apart is the same
    for all: `"image": k` is the image's place, counted from 1, as prose counts images.
    """

    keys: ClassVar[tuple[str, str, str]]
    """`label`, `image` and the key of the box, in the order in which they are written."""
    key: ClassVar[str]
    """Which of the keys has the box."""
    mark: ClassVar[str]
    """What prose must not hold outside an object."""
    whole: ClassVar[bool]
    """Whether its numbers are whole."""

    @abstractmethod
    def coordinates(self) -> Frame:
        """What the numbers mean."""

    @property
    def frame(self) -> str:
        """The name of its coordinates."""
        return self.coordinates().name

    def region(self, target: Target, image: Image) -> str:
        """One object; it has a `label` where the box has a phrase.

        Raises:
            ValueError: the box is not inside the image.
        """
        values = {
            self.key: self.coordinates().write(target.box, image.width, image.height),
            "label": target.phrase,
            "image": target.image + 1,
        }
        written = {key: values[key] for key in self.keys if values[key] is not None}
        return json.dumps(written, ensure_ascii=False)

    def answer(self, turn: Turn, images: Sequence[Image]) -> str:
        """A JSON list with an object for each target, in order; prose for kinds but `boxes`."""
        if turn.kind != "boxes":
            return super().answer(turn, images)
        return f"[{', '.join(self._written(turn.targets, images))}]"

    def parse(self, text: str, turn: Turn, images: Sequence[Image]) -> list[Target]:
        """The boxes of an answer, in order.

        For kind `boxes` the whole text is a list, or one object, bare or in a ```json fence. An
        object without `image` belongs to the one image asked about.

        Raises:
            ValueError: anything else; says what.
        """
        if turn.kind != "boxes":
            return self._parse_prose(text, turn, images)
        fenced = _FENCE.fullmatch(text.strip()) if "```" in text else None
        text = fenced[1] if fenced else text
        items = _plain_list(text) or _items(text)
        return [self._target(item, turn, images) for item in items]

    def _parse_prose(self, text: str, turn: Turn, images: Sequence[Image]) -> list[Target]:
        inline = _inline(self.keys[0], self.key)
        targets: list[Target] = []
        end = 0
        while found := inline.search(text, end):
            if text.find(self.mark, end, found.start()) >= 0:
                break
            item, end = _decode(text, found.start())
            targets.append(self._target(item, turn, images))
        if text.find(self.mark, end) >= 0:
            raise ValueError(f'"{self.key}" stands outside a JSON object that begins with it')
        return targets

    def _target(self, item: object, turn: Turn, images: Sequence[Image]) -> Target:
        if not isinstance(item, dict):
            raise ValueError(f"expected an object with {self.key}, found {_short(item)}")
        found = cast("dict[str, Any]", item)
        if not found.keys() <= {*self.keys}:
            unknown = next(key for key in found if key not in self.keys)
            raise ValueError(f"unknown key {unknown!r}; known are {', '.join(self.keys)}")
        numbers, label = found.get(self.key), found.get("label")
        if not isinstance(numbers, list) or not {*map(type, cast("list[Any]", numbers))} <= (
            _WHOLE if self.whole else _REAL
        ):
            what = "whole numbers" if self.whole else "numbers"
            raise ValueError(f"{self.key} is a list of 4 {what}, found {_short(numbers)}")
        if label is not None and not isinstance(label, str):
            raise ValueError(f"label is text, found {_short(label)}")
        if "image" not in found:
            index = only_image(turn, len(images))
        elif type(place := found["image"]) is int and 1 <= place <= len(images):
            index = place - 1
        else:
            raise ValueError(f"image is 1 to {len(images)}, found {_short(place)}")
        image = images[index]
        box = self.coordinates().read(cast("list[float]", numbers), image.width, image.height)
        return Target(image=index, box=box, phrase=label)


@cache
def _inline(*keys: str) -> re.Pattern[str]:
    return re.compile(rf'\{{\s*"(?:{"|".join(map(re.escape, keys))})"')


def _plain_list(text: str) -> list[object]:
    """The objects of the commonest answer, at a tenth of `_items`' cost; none of any other.

    The quick decoder takes a key that is there twice for one. Without escapes and nested objects
    quotes stand round keys and labels alone, so that their number shows it.
    """
    if "\\" in text:
        return []
    try:
        items = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return []
    quoted = 0
    for item in cast("list[Any]", items if isinstance(items, list) else [items]):
        if not isinstance(item, dict):
            return []
        known = cast("dict[str, object]", item)
        quoted += len(known) + isinstance(known.get("label"), str)
    return items if isinstance(items, list) and text.count('"') == 2 * quoted else []


def _items(text: str) -> list[object]:
    document, end = _decode(text, len(text) - len(text.lstrip()))
    if text[end:].strip():
        raise ValueError(f"the answer goes on after its JSON: {text[end : end + 40]!r}")
    return cast("list[object]", document) if isinstance(document, list) else [document]


def _decode(text: str, start: int) -> tuple[object, int]:
    """The JSON value that begins at `start`, and where it ends."""
    try:
        return _DECODER.raw_decode(text, start)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos}") from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise ValueError(f"the key {twice!r} is there twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _short(value: object) -> str:
    return repr(value)[:60]


_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_once)
