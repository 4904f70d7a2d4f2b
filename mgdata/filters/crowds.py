"""Keeps records in which objects can be told apart, before anything is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from mgdata.data import Shape
from mgdata.index import Index
from mgdata.plugins import Filter

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute


@dataclass(frozen=True, kw_only=True)
class Crowds(Filter):
    """Records with few labels, or none, of which the corpus marks a crowd, a group or the like.

    Counts labels of regions to be ignored, as the corpus has them (COCO's `iscrowd`, Objects365's
    and Open Images' groups, VOC's `difficult`), and not what other filters have ignored.
    """

    most: int = 0
    """Labels of a record that may have such a region."""
    labels: tuple[str, ...] = ()
    """Count these labels alone; empty: all."""
    shapes: tuple[Shape, ...] = ("image",)
    """Records that are looked at: a clip of pedestrians nearly always has a distractor."""

    def __post_init__(self) -> None:
        """Refuse a number that no record could keep to."""
        if self.most < 0:
            raise ValueError(f"most: expected 0 or more, found {self.most}")

    def index(self, index: Index) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], str]:
        """True where the record has at most `most` such labels, or a shape not looked at."""
        starts, codes, names = index.lists("crowds")
        counted = np.array([not self.labels or name in self.labels for name in names], np.bool_)
        upto = np.concatenate([[0], np.cumsum(counted[codes] if len(codes) else codes)])
        few = upto[starts[1:]] - upto[starts[:-1]] <= self.most
        seen = pc.is_in(index.text("shape"), pa.array(self.shapes, pa.string()))
        return few | ~np.asarray(seen, np.bool_), "crowd or group"
