"""How much of its picture the object of a record covers: a column to choose by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from mgdata.data import Record, Scalar
from mgdata.errors import Rejected
from mgdata.plugins import Measure


@dataclass(frozen=True, kw_only=True)
class Extent(Measure):
    """Fact `extent`: share of the first image that its first region covers."""

    keyed: ClassVar[Literal["image", "record"]] = "record"

    def record(self, record: Record) -> Mapping[str, Scalar]:
        """The share; a record without a box is unfit."""
        image = record.images[0]
        boxes = [region.box for region in record.regions if region.image == 0 and region.box]
        if not boxes:
            raise Rejected("nothing in the first image")
        return {"extent": boxes[0].area / (image.width * image.height)}
