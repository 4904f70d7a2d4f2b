"""Is the stored image whole, and is it what its record says? Its size, hash and needed conversion.

Knows nothing of what a record shows, nor of where the bytes were read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from mgdata.data import Image, Scalar
from mgdata.errors import Rejected
from mgdata.images import MAX_PIXELS, Level, needs_convert, verify
from mgdata.plugins import Measure


@dataclass(frozen=True, kw_only=True)
class Integrity(Measure):
    """Facts `bytes`, `sha256`, `format`, `orientation` and `convert` of one stored image.

    `convert` is the reason why the stored bytes cannot be published untouched, or None.
    """

    keyed: ClassVar[Literal["image", "record"]] = "image"

    level: Level = "strict"
    """How much of the file is looked at: `header`, `structural` or `strict` (all is decoded)."""
    max_pixels: int = MAX_PIXELS
    """Width times height above which an image is dropped before anything is decoded."""

    def image(self, image: Image, data: bytes) -> Mapping[str, Scalar]:
        """Check one image against its record.

        Raises:
            Rejected: as `images.verify`, or the upright size or the orientation differs from the
                record's, whose boxes would then lie elsewhere.
        """
        header = verify(data, self.level, self.max_pixels)
        if header.orientation != image.orientation:
            raise Rejected(
                "orientation differs from the record",
                f"{header.orientation}, record says {image.orientation}",
            )
        width, height = header.upright
        if (width, height) != (image.width, image.height):
            raise Rejected(
                "size differs from the record",
                f"{width}x{height}, record says {image.width}x{image.height}",
            )
        return {
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "format": header.format,
            "orientation": header.orientation,
            "convert": needs_convert(header),
        }
