"""What the corpora of annotated pairs share: an image's header, a JSON file, four numbers as a box.

It knows no corpus' layout and no difference: those that find changes in pixels use `differences`.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple, TypeVar

import msgspec

from mgdata.corpora import clips
from mgdata.data import Drop, Image
from mgdata.errors import MissingFile, OutsideRoot, Rejected, StorageError, UsageError
from mgdata.geometry import Box, clip, upright, valid
from mgdata.headers import Header, header_of
from mgdata.plugins import Corpus

Decoded = TypeVar("Decoded")

UNFIT = (Rejected, StorageError)
"""What `drop` makes a drop of."""


class Picture(NamedTuple):
    """One side of a pair."""

    image: Image
    header: Header


def picture(corpus: Corpus, path: str) -> Picture:
    """The image at `path`, of which the header alone is read.

    Raises:
        Rejected: it is not there, or is no image.
        StorageError: it cannot be read, or its path leaves the root.
    """
    try:
        header = header_of(corpus.root, path)
    except MissingFile:
        raise Rejected("missing image", path) from None
    width, height = header.upright
    image = Image(
        uri=corpus.uri(path),
        width=width,
        height=height,
        orientation=header.orientation,
        format=header.format,
    )
    return Picture(image, header)


def decoded(corpus: Corpus, path: str, kind: type[Decoded]) -> Decoded:
    """The content of a JSON file, held against `kind`; NaN and infinities are numbers here.

    Raises:
        UsageError: it is not there, cut, no JSON, or something else than `kind`.
    """
    try:
        data = corpus.root.read(path)
    except MissingFile:
        raise clips.wrong_layout(corpus, path) from None
    try:
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            # `NaN`, which Python writes, is no JSON to msgspec; half a surrogate is no text to us.
            content = json.loads(data.decode("utf-8-sig"))
            json.dumps(content, ensure_ascii=False).encode()
            return msgspec.convert(content, kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{corpus.root.url}: {path} is not what it should be: {error}; get a fresh copy of it"
        ) from None


def drop(corpus: Corpus, key: str, error: Rejected | StorageError) -> Drop:
    """The drop of the record `key`, for what its reading raised."""
    if isinstance(error, Rejected):
        return corpus.drop(key, error.reason, error.value)
    if isinstance(error, OutsideRoot):
        return corpus.drop(key, clips.OUTSIDE, error.path)
    return corpus.drop(key, "unreadable file", str(error))


def four(value: Any) -> tuple[float, float, float, float] | None:
    """Four numbers, whole or not, finite or not; None where `value` is something else."""
    if not isinstance(value, list | tuple):
        return None
    numbers: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
    if len(numbers) != 4 or any(type(n) not in (int, float) for n in numbers):
        return None
    try:
        x, y, z, w = (float(n) for n in numbers)
    except OverflowError:
        return None
    return x, y, z, w


def placed(box: Box, header: Header) -> tuple[Box, bool] | str:
    """A box in stored pixels as one in upright pixels and whether it was cut; or why it is none.

    Reasons are those of the tracking corpora: `nan box`, `inverted box`, `zero box`, `box outside
    the image`.
    """
    if not all(math.isfinite(v) for v in (box.x1, box.y1, box.x2, box.y2)):
        return "nan box"
    if box.width < 0 or box.height < 0:
        return "inverted box"
    if box.width == 0 or box.height == 0:
        return "zero box"
    inside = clip(box, header.width, header.height)
    if not valid(inside, header.width, header.height):
        return "box outside the image"
    turned = upright(inside, header.width, header.height, header.orientation)
    return turned, inside != box
