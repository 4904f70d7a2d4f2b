"""Qwen3-VL's JSON boxes, whole numbers 0 to 1000.

Its common form is a list of `{"bbox_2d": [x1, y1, x2, y2], "label": "..."}`. How several images are
told apart is not defined there, so `"image": k` is our own key: the image's place, counted from 1,
as prose counts images. It knows no task and no wording.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from mgdata.data import Image, Target, Turn
from mgdata.geometry import THOUSAND
from mgdata.notations import only_image
from mgdata.plugins import Notation

_KEYS = ("bbox_2d", "label", "image")
_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n?```", re.DOTALL)
_INLINE = re.compile(r'\{\s*"bbox_2d"')


@dataclass(frozen=True, kw_only=True)
class Qwen3VL(Notation):
    """Boxes as JSON objects; an answer of kind `boxes` is one JSON list and nothing else.

    Answers of other kinds are prose in which a box is written as one object.
    """

    frame = THOUSAND.name

    def region(self, target: Target, image: Image) -> str:
        """One object: `bbox_2d`, `label` where the box has a phrase, `image` counted from 1.

        Raises:
            ValueError: the box is not inside the image.
        """
        written: dict[str, Any] = {"bbox_2d": THOUSAND.write(target.box, image.width, image.height)}
        if target.phrase is not None:
            written["label"] = target.phrase
        written["image"] = target.image + 1
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
        fenced = _FENCE.fullmatch(text.strip())
        text = fenced[1] if fenced else text
        document, end = _decode(text, len(text) - len(text.lstrip()))
        if text[end:].strip():
            raise ValueError(f"the answer goes on after its JSON: {text[end : end + 40]!r}")
        items = cast("list[object]", document) if isinstance(document, list) else [document]
        return [_target(item, turn, images) for item in items]

    def _parse_prose(self, text: str, turn: Turn, images: Sequence[Image]) -> list[Target]:
        targets: list[Target] = []
        end = 0
        while found := _INLINE.search(text, end):
            if "bbox_2d" in text[end : found.start()]:
                break
            item, end = _decode(text, found.start())
            targets.append(_target(item, turn, images))
        if "bbox_2d" in text[end:]:
            raise ValueError('"bbox_2d" stands outside a JSON object that begins with it')
        return targets


def _target(item: object, turn: Turn, images: Sequence[Image]) -> Target:
    if not isinstance(item, dict):
        raise ValueError(f"expected an object with bbox_2d, found {_short(item)}")
    found = cast("dict[str, object]", item)
    if unknown := [key for key in found if key not in _KEYS]:
        raise ValueError(f"unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    numbers, label = found.get("bbox_2d"), found.get("label")
    if not isinstance(numbers, list) or not all(type(n) is int for n in cast("list[Any]", numbers)):
        raise ValueError(f"bbox_2d is a list of 4 whole numbers, found {_short(numbers)}")
    if label is not None and not isinstance(label, str):
        raise ValueError(f"label is text, found {_short(label)}")
    if "image" not in found:
        index = only_image(turn, len(images))
    elif type(place := found["image"]) is int and 1 <= place <= len(images):
        index = place - 1
    else:
        raise ValueError(f"image is 1 to {len(images)}, found {_short(place)}")
    image = images[index]
    box = THOUSAND.read(cast("list[int]", numbers), image.width, image.height)
    return Target(image=index, box=box, phrase=label)


def _decode(text: str, start: int) -> tuple[object, int]:
    """The JSON value that begins at `start`, and where it ends."""
    decoder = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_once)
    try:
        return decoder.raw_decode(text, start)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos}") from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ValueError(f"the key {twice[0]!r} is there twice")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _short(value: object) -> str:
    return repr(value)[:60]
