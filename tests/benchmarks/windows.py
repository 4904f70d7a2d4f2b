"""The benchmarks' own builder: every window of four frames in a row, each frame in four windows.

The questions are object_tracking's; only which frames are shown is decided here, so that image
sharing is known exactly. A recipe names this file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from builders.object_tracking import ObjectTracking
from mgdata.data import Drop, Record, Sample
from mgdata.identity import Stream
from mgdata.index import Index


@dataclass(frozen=True, kw_only=True)
class Windows(ObjectTracking):
    """One group a clip, one sample a window of `frames` neighbours, by moves of one frame."""

    mixed: bool = False
    """Windows of frames from all over the clip instead of neighbours: sharing without order."""

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Every clip once, in table order."""
        del rng
        yield from ((int(row),) for row in index.rows)

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """A sample for each window in which the object is visible throughout."""
        (clip,) = records
        size = self.frames[0]
        regions = {r.image: r for r in clip.regions if r.box is not None}
        places = sorted(regions)
        for start in range(len(places) - size + 1):
            window = places[start : start + size]
            if self.mixed:
                window = sorted(rng.sample(places, size))
            view = msgspec.structs.replace(
                clip,
                images=tuple(clip.images[i] for i in window),
                regions=tuple(
                    msgspec.structs.replace(regions[i], image=k) for k, i in enumerate(window)
                ),
            )
            yield from super().build((view,), rng)
