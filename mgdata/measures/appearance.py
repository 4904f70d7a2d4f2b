"""What does the first image of a record look like, in 192 numbers: its colours, eight by eight.

Needs no model and knows no object: a beach looks like a desert. Knows nothing of which images are
compared.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import simplejpeg

from mgdata.data import Image, Record
from mgdata.edits import thumbnail
from mgdata.errors import Rejected, StorageError
from mgdata.images import verify
from mgdata.measures.vectors import as_bytes
from mgdata.plugins import Fact, Measure, MeasureMany

SIDE = 8
"""The picture is shrunk to this many values a side."""


@dataclass(frozen=True, kw_only=True)
class Appearance(Measure):
    """Fact `appearance` of one record: a vector of 192 whole numbers, a byte each.

    The record's first image, upright, is shrunk to 8 x 8 values of Y, Cb and Cr (ITU-R BT.601),
    without regard to its shape; 128 is taken off each, all are divided by their length and
    multiplied by 127. The product of two such vectors over 127 * 127 is their cosine: 1 for copies,
    0 for pictures that have nothing to do with each other. A picture that is all mid-grey is 0.
    """

    keyed: ClassVar[Literal["image", "record"]] = "record"

    fact: str = "appearance"
    """Name of the fact, a column of the index."""

    @contextmanager
    def open(self, read: Callable[[Image], bytes]) -> Generator[MeasureMany]:
        """One picture after the other; nothing is loaded."""

        def measured(
            records: Sequence[Record],
        ) -> list[Mapping[str, Fact] | Rejected | StorageError]:
            found: list[Mapping[str, Fact] | Rejected | StorageError] = []
            for record in records:
                try:
                    found.append({self.fact: colours(read(record.images[0]))})
                except (Rejected, StorageError) as error:
                    found.append(error)
            return found

        yield measured


def colours(data: bytes) -> bytes:
    """The vector of one stored image.

    Raises:
        Rejected: as `images.verify`.
    """
    import cv2

    verify(data)
    small = simplejpeg.decode_jpeg(thumbnail(data, 8 * SIDE), "RGB")
    shrunk = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    layout = cv2.cvtColor(np.asarray(shrunk, np.uint8), cv2.COLOR_RGB2YCrCb)
    return as_bytes(np.asarray(layout, np.float64).reshape(1, -1) - 128.0)[0]
