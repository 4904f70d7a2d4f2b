"""What is done to pixels: stored bytes in, one image's edits applied, JPEG bytes out.

Only edited images and thumbnails come through here; everything else is published as it is stored.
An edited file carries nothing over from the old one: no EXIF (its orientation would turn the
picture a second time), no colour profile (the samples are taken for sRGB). Knows nothing of
corpora or recipes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np
import simplejpeg

from mgdata.data import Edit, Image
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.headers import Header, probe
from mgdata.images import load

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""Height x width x 3 samples of 8-bit RGB."""

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "magenta": (255, 0, 255),
    "cyan": (0, 255, 255),
}
"""What a mark can be drawn in."""

_JPEG_SIDE = 65535


class Codec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How edited images are written: one setting for a whole release."""

    format: Literal["jpeg"] = "jpeg"
    quality: Annotated[int, msgspec.Meta(ge=1, le=100)] = 95
    """JPEG quality, 1 to 100."""
    subsampling: Literal["444", "422", "420"] = "444"
    """Chroma resolution. Full, because a thin red line smears and fades where chroma is halved."""


def render(data: bytes, image: Image, codec: Codec) -> bytes:
    """Encode `image` as its edits want it, from the stored bytes.

    The picture is always turned upright and made 8-bit RGB, whether or not `upright` and `convert`
    are among the edits: boxes are in upright pixels and the new file has no EXIF to say otherwise.
    Then comes the crop, then the marks. Same input, same bytes.

    Raises:
        Rejected: the bytes cannot be decoded, or the picture is larger than a JPEG can be.
        ValueError: edits that cannot be: two crops, a crop or mark outside the picture, an unknown
            colour, an orientation or a final size other than the image states.
    """
    header = probe(data)
    if header.orientation != image.orientation:
        raise ValueError(
            f"{image.uri} states orientation {image.orientation}, its file {header.orientation}"
        )
    pixels = _apply(_decode(data, header), image)
    height, width = pixels.shape[:2]
    if (width, height) != (image.width, image.height):
        raise ValueError(
            f"{image.uri} is {width}x{height} after its edits, but states "
            f"{image.width}x{image.height}"
        )
    return _encode(pixels, codec)


def thumbnail(data: bytes, size: int) -> bytes:
    """A JPEG of the whole upright picture that fits into `size` x `size` pixels; never enlarged.

    Decodes a JPEG at reduced size, and leniently: a gallery shows what a damaged file holds.

    Raises:
        Rejected: nothing can be decoded.
    """
    import cv2

    header = probe(data)
    tiff = header.format == "tiff"
    stored = header.upright if tiff else (header.width, header.height)
    scale = min(1.0, size / max(stored))
    width, height = (max(1, round(side * scale)) for side in stored)
    if header.format == "jpeg" and header.mode != "cmyk":
        pixels = _decode_jpeg(data, strict=False, min_height=height, min_width=width)
    else:
        pixels = _stored(data, header)
    small = np.asarray(
        cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
    turned = small if tiff else _TURNS[header.orientation](small)
    return _encode(turned, Codec(quality=85, subsampling="420"))


def crop_window(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """The whole pixels a crop keeps: `box` rounded outwards and cut at the picture's edge.

    Returns `(x1, y1, x2, y2)`, right and bottom exclusive; what is built on a crop takes its size
    and its shift from here.

    Raises:
        ValueError: nothing of the picture is left.
    """
    x1, y1 = max(0, math.floor(box.x1)), max(0, math.floor(box.y1))
    x2, y2 = min(width, math.ceil(box.x2)), min(height, math.ceil(box.y2))
    if x1 >= x2 or y1 >= y2:
        raise ValueError(f"{box} has no pixel in a picture of {width}x{height}")
    return x1, y1, x2, y2


def _apply(pixels: Pixels, image: Image) -> Pixels:
    left = top = 0
    crops = [_box(edit) for edit in image.edits if edit.kind == "crop"]
    if len(crops) > 1:
        raise ValueError(f"{image.uri} has {len(crops)} crops; give one, of their common part")
    for box in crops:
        left, top, right, bottom = crop_window(box, pixels.shape[1], pixels.shape[0])
        pixels = pixels[top:bottom, left:right]
    marks = [edit for edit in image.edits if edit.kind == "mark"]
    if marks:
        pixels = pixels.copy()
    for edit in marks:
        box = _box(edit)
        moved = Box(x1=box.x1 - left, y1=box.y1 - top, x2=box.x2 - left, y2=box.y2 - top)
        _mark(pixels, moved, edit.colour)
    return pixels


def _box(edit: Edit) -> Box:
    if edit.box is None:
        raise ValueError(f"a {edit.kind} needs a box")
    return edit.box


def _mark(pixels: Pixels, box: Box, colour: str) -> None:
    """Frame `box` in place, just outside it; pushed inwards where the picture ends first."""
    if colour not in COLOURS:
        raise ValueError(f"unknown colour {colour!r} of a mark; one of {', '.join(COLOURS)}")
    height, width = pixels.shape[:2]
    line = max(2, round(min(width, height) / 150))
    x1, y1, x2, y2 = crop_window(box, width, height)
    left, top = max(0, x1 - line), max(0, y1 - line)
    right, bottom = min(width, x2 + line), min(height, y2 + line)
    frame = pixels[top:bottom, left:right]
    frame[:line] = frame[-line:] = COLOURS[colour]
    frame[:, :line] = frame[:, -line:] = COLOURS[colour]


def _encode(pixels: Pixels, codec: Codec) -> bytes:
    if max(pixels.shape) > _JPEG_SIDE:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise Rejected("image too large", f"{size}; a JPEG's side is at most {_JPEG_SIDE}")
    return simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), codec.quality, "RGB", codec.subsampling, False
    )


def _decode(data: bytes, header: Header) -> Pixels:
    """The whole upright picture."""
    stored = _stored(data, header)
    return stored if header.format == "tiff" else _TURNS[header.orientation](stored)


def _stored(data: bytes, header: Header) -> Pixels:
    if header.format == "jpeg" and header.mode != "cmyk":
        return _decode_jpeg(data, strict=True)
    return _rgb(load(data, header), header)


def _decode_jpeg(data: bytes, *, strict: bool, min_height: int = 0, min_width: int = 0) -> Pixels:
    try:
        return simplejpeg.decode_jpeg(
            data, "RGB", min_height=min_height, min_width=min_width, strict=strict
        )
    except ValueError as error:
        raise Rejected("corrupt image", str(error)) from None


def _rgb(picture: Picture, header: Header) -> Pixels:
    """8-bit RGB of what Pillow decoded: deep samples scaled, not clipped; alpha over white."""
    if picture.mode[0] in "IF":
        return _scaled(picture, header)
    clear = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
    try:
        samples = np.asarray(picture.convert("RGBA" if clear else "RGB"))
    except ValueError as error:
        raise Rejected("unreadable image", str(error)) from None
    if not clear:
        return samples
    alpha = samples[:, :, 3:].astype(np.uint16)
    return ((samples[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _scaled(picture: Picture, header: Header) -> Pixels:
    if header.bits != 16 or picture.mode == "F":
        raise Rejected("unreadable image", f"{header.bits}-bit samples have no known white")
    deep = np.asarray(picture).astype(np.uint32)
    grey = ((deep * 255 + 32767) // 65535).astype(np.uint8)
    if (clear := picture.info.get("transparency")) is not None:
        grey[deep == clear] = 255
    return np.repeat(grey[:, :, None], 3, axis=2)


def _transverse(p: Pixels) -> Pixels:
    return p.transpose(1, 0, 2)[::-1, ::-1]


# EXIF 2.32, tag 0x0112: where the stored first row and first column belong in the upright picture.
_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: p.transpose(1, 0, 2)[:, ::-1],
    7: _transverse,
    8: lambda p: p.transpose(1, 0, 2)[::-1],
}
