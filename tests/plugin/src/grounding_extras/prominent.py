"""Keeps records whose object is large enough, by the column that the measure `extent` adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mgdata.index import Index
from mgdata.plugins import Filter


@dataclass(frozen=True, kw_only=True)
class Prominent(Filter):
    """Looks at the whole index."""

    smallest: float = 0.05
    """Share of the image, 0 to 1."""

    def index(self, index: Index) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], str]:
        """True where the object is large enough."""
        return index.numbers("extent") >= self.smallest, "object not prominent"
