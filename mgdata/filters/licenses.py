"""Keeps records whose licence a release may carry, before anything is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from mgdata.index import Index
from mgdata.plugins import Filter

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute


@dataclass(frozen=True, kw_only=True)
class Licenses(Filter):
    """Named licences only; `unknown` must be named to be let through."""

    allow: tuple[str, ...]
    """SPDX ids, or a corpus' own name for its terms."""

    def index(self, index: Index) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], str]:
        """True where the record's licence is allowed."""
        kept = pc.is_in(index.text("license"), pa.array(self.allow))
        return np.asarray(kept), "licence not allowed"
