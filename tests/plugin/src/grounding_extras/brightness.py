"""How bright a picture is; too dark ones are unfit."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from mgdata.data import Image, Scalar
from mgdata.errors import Rejected
from mgdata.plugins import Measure


@dataclass(frozen=True, kw_only=True)
class Brightness(Measure):
    """Fact `brightness`: mean grey level, 0 to 255."""

    keyed: ClassVar[Literal["image", "record"]] = "image"

    darkest: float = 20.0
    """Pictures below this are dropped."""

    def image(self, image: Image, data: bytes) -> Mapping[str, Scalar]:
        """The mean of a small grey copy."""
        from PIL import Image as Picture

        with Picture.open(io.BytesIO(data)) as picture:
            levels = picture.convert("L").resize((32, 32)).tobytes()
        mean = sum(levels) / len(levels)
        if mean < self.darkest:
            raise Rejected("too dark", f"{mean:.0f}")
        return {"brightness": round(mean, 1)}
