"""Where two pictures of one scene differ: from pixels to a mask of what changed, to boxes.

Made for a camera that stands still: noise, compression, a change of light over the whole picture
and a shift of about one pixel are no change; anything else is. It knows no corpus, and not what
changed: an object that came and one that went look alike from here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mgdata.data import Image, Region
from mgdata.errors import MissingFile, Rejected
from mgdata.geometry import Box, clip, upright, valid
from mgdata.headers import Header
from mgdata.images import MAX_PIXELS, load, verify
from mgdata.storage import Root

Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
"""[height, width, channels], as stored, 8 bits."""
Mask = np.ndarray[tuple[int, int], np.dtype[np.bool_]]
"""[height, width] at working size."""
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

WORKING = 512
"""Longest side at which pictures are compared; larger ones are averaged down to it."""
NOISY = 6.0
"""How many times the usual difference a change must pass, where that beats the threshold."""
LOUD = 2.0
"""How far noise may raise the threshold: two scenes differ all over, that is no noise."""
FAINT = 0.5
"""Share of the threshold that suffices beside pixels that pass it: the soft rim of an object."""
_SAMPLES = 5_000
"""Pixels from which the change of light is fitted."""


def decode(data: bytes, mode: str = "RGB") -> tuple[Header, Pixels]:
    """The header and the pixels, in a Pillow `mode`, of one encoded image, as stored.

    Raises:
        Rejected: it is no image, cut, corrupt, animated or too large.
    """
    # By structure too: Pillow may decode a PNG whose checksum is wrong, and its pixels would count.
    header = verify(data, "structural", MAX_PIXELS)
    return header, np.asarray(load(data, header).convert(mode), np.uint8)


def read(root: Root, path: str) -> tuple[Header, Pixels]:
    """The header and the RGB pixels of the image file at `path`, as stored.

    Raises:
        Rejected: as `decode`, naming the file, and `missing image`.
    """
    try:
        return decode(root.read(path))
    except MissingFile:
        raise Rejected("missing image", path) from None
    except Rejected as error:
        found = path if error.value is None else f"{path}: {error.value}"
        raise Rejected(error.reason, found) from None


def image(uri: str, header: Header) -> Image:
    """The reference to an image whose header was read."""
    width, height = header.upright
    return Image(
        uri=uri,
        width=width,
        height=height,
        orientation=header.orientation,
        format=header.format,
    )


def working_size(width: int, height: int) -> tuple[int, int]:
    """Width and height at which pictures of this size are compared."""
    ratio = min(1.0, WORKING / max(width, height))
    return max(1, round(width * ratio)), max(1, round(height * ratio))


def changed(before: Pixels, after: Pixels, *, threshold: float) -> Mask:
    """The pixels that changed, at the working size of `before`; `after` is scaled to it.

    A pixel passes where one of its channels lies outside the range that the other picture has in
    the 3 x 3 pixels around it, by `threshold` grey levels, or more (up to twice as many) where
    most pixels of the pair differ a little; its neighbours need half of that. The light of
    `before` is fitted to that of `after` first, a gain and an offset a channel.

    Args:
        before: 3 channels.
        after: 3 channels, of the same proportions.
        threshold: grey levels, 0 to 255.
    """
    size = working_size(before.shape[1], before.shape[0])
    first, second = (_prepared(pixels, size) for pixels in (before, after))
    first = _lit_as(first, second)
    strength = _largest(np.maximum(_outside(first, second), _outside(second, first)))
    noise = _largest(np.abs(first - second))
    limit = float(np.clip(NOISY * np.median(noise), threshold, LOUD * threshold))
    faint = strength > FAINT * limit
    count, parts = _parts(faint)
    strong = np.zeros(count, np.bool_)
    strong[parts[strength > limit]] = True
    strong[0] = False
    return strong[parts]


def clusters(mask: Mask, *, min_area: float, gap: float) -> list[Mask]:
    """The changes in a mask, each with its own pixels, from the top and from left to right.

    Pixels that lie within `gap` of each other belong together, and so do changes whose boxes
    do.

    Args:
        mask: as `changed` gives it.
        min_area: least number of changed pixels, as a share of the picture's.
        gap: as a share of the picture's shorter side.
    """
    import cv2

    reach = max(1, round(gap * min(mask.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach + 1, reach + 1))
    count, parts = _parts(cv2.dilate(mask.astype(np.uint8), kernel) > 0)
    least = max(2.0, min_area * mask.size)
    found = [mask & (parts == part) for part in range(1, count)]
    kept = [part for part in found if np.count_nonzero(part) >= least]
    return sorted(_merged(kept, reach), key=lambda part: bounds(part)[1::-1])


def grown(mask: Mask, share: float) -> Mask:
    """A mask and the pixels around it, within a share of the picture's shorter side."""
    import cv2

    reach = max(1, round(share * min(mask.shape)))
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel)) > 0


def bounds(mask: Mask) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of the pixels of a mask that is not empty, right and bottom exclusive."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def box(mask: Mask, header: Header) -> Box:
    """The box of a mask's pixels, in upright pixels of the image whose header this is."""
    height, width = mask.shape
    across, down = header.width / width, header.height / height
    x1, y1, x2, y2 = bounds(mask)
    stored = Box(x1 * across, y1 * down, x2 * across, y2 * down)
    found = clip(stored, header.width, header.height)
    if not valid(found, header.width, header.height):
        raise Rejected("no box", f"{found} in {header.width}x{header.height}")
    if header.orientation == 1:
        return found
    return upright(found, header.width, header.height, header.orientation)


def both_sides(
    masks: Sequence[Mask], headers: Sequence[Header], *, label: str, phrase: str | None
) -> tuple[Region, ...]:
    """A region for every change in either picture, in the same place, `track` telling them apart.

    Pixels do not say on which side an object is, so neither side is called absent.
    """
    return tuple(
        Region(
            image=image,
            box=box(mask, header),
            label=label,
            phrase=phrase,
            track=str(number),
        )
        for image, header in enumerate(headers)
        for number, mask in enumerate(masks, 1)
    )


def _parts(mask: Mask) -> tuple[int, np.ndarray[tuple[int, int], np.dtype[np.int32]]]:
    """Connected parts of a mask: how many numbers, and each pixel's; 0 is what is not in it."""
    import cv2

    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return count, np.asarray(parts, np.int32)


def _prepared(pixels: Pixels, size: tuple[int, int]) -> Floats:
    import cv2

    if (pixels.shape[1], pixels.shape[0]) != size:
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.GaussianBlur(pixels, (3, 3), 0.8), np.float32)


def _lit_as(first: Floats, second: Floats) -> Floats:
    """`first` with the light of `second`: least squares over the pixels that fit best."""
    step = max(1, int((first.shape[0] * first.shape[1] / _SAMPLES) ** 0.5))
    fitted = np.empty_like(first)
    for channel in range(first.shape[2]):
        x = first[::step, ::step, channel].ravel()
        y = second[::step, ::step, channel].ravel()
        gain, offset = 1.0, float(np.median(y - x))
        for _ in range(3):
            off = np.abs(gain * x + offset - y)
            near = off <= max(np.quantile(off, 0.7), 1.0)
            gain, offset = _line(x[near], y[near])
        fitted[..., channel] = first[..., channel] * gain + offset
    return np.clip(fitted, 0, 255)


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Gain and offset of the least squares line; the offset alone where x hardly varies."""
    spread = float(np.var(x))
    if spread < 4.0:
        return 1.0, float(np.mean(y - x))
    gain = float(np.mean((x - x.mean()) * (y - y.mean()))) / spread
    gain = min(max(gain, 0.5), 2.0)
    return gain, float(np.mean(y) - gain * np.mean(x))


def _outside(first: Floats, second: Floats) -> Floats:
    """How far `first` lies outside the range of `second` in the 3 x 3 pixels around."""
    import cv2

    kernel = np.ones((3, 3), np.uint8)
    above = first - cv2.dilate(second, kernel)
    below = cv2.erode(second, kernel) - first
    return np.maximum(np.maximum(above, below), 0)


def _largest(values: Floats) -> Floats:
    """The greatest of three channels: a tenth of the time of `max(axis=2)`."""
    return np.maximum(np.maximum(values[..., 0], values[..., 1]), values[..., 2])


def _merged(parts: list[Mask], reach: int) -> list[Mask]:
    """Parts whose boxes lie within `reach` pixels of each other made one, until none do."""
    parts = list(parts)
    while pair := _near(parts, reach):
        first, second = pair
        parts[first] = parts[first] | parts.pop(second)
    return parts


def _near(parts: Sequence[Mask], reach: int) -> tuple[int, int] | None:
    boxes = [bounds(part) for part in parts]
    for first, (ax1, ay1, ax2, ay2) in enumerate(boxes):
        for second in range(first + 1, len(boxes)):
            bx1, by1, bx2, by2 = boxes[second]
            if max(ax1 - bx2, bx1 - ax2, ay1 - by2, by1 - ay2) < reach:
                return first, second
    return None
