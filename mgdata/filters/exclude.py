"""Keeps a benchmark's images out of what is made, before anything is chosen.

By name: a copy of `sa_101.jpg` or of the clip `GOT-10k_Val_000001` is known wherever it lies. It
sees no pixels; copies under other names are the business of the duplicates' filter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from mgdata.errors import UsageError
from mgdata.identity import name_hash
from mgdata.index import Index
from mgdata.plugins import Filter

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Exclude(Filter):
    """Leaves out the records of some corpora and every record that shows one of their images.

    An image is known by its name without folder and ending, a numbered one with its folder, a clip
    by its folder (the index' column `names`).
    """

    corpora: tuple[str, ...]
    """Benchmarks, by the names that the recipe gives them."""

    def index(self, index: Index) -> tuple[Mask, str]:
        """True where a record is of no excluded corpus and shares no image's name with one.

        Raises:
            UsageError: a corpus of which there is no record, which would exclude nothing.
        """
        corpus = index.text("corpus")
        if absent := set(self.corpora) - set(pc.unique(corpus).to_pylist()):
            raise UsageError(
                f"exclude: no record of {', '.join(sorted(absent))} was read, so none of its "
                "images can be left out; name a corpus of the recipe whose check finds records "
                "(a benchmark without its images: names_only: true)"
            )
        own: Mask = np.asarray(pc.is_in(corpus, pa.array(self.corpora, pa.string())))
        starts, names, _ = index.lists("names")
        banned = np.unique(names[np.repeat(own, np.diff(starts))])
        # An image at the top of a root has no folder: that is no name.
        banned = banned[banned != np.uint64(name_hash(""))]
        found = np.concatenate([[0], np.cumsum(np.isin(names, banned))])
        shared = found[starts[1:]] > found[starts[:-1]]
        return ~(own | shared), "in a benchmark"
