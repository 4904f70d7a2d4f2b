"""Drops samples whose targets are too small or too large to be worth asking for."""

from __future__ import annotations

from dataclasses import dataclass

from mgdata.data import Drop, Sample
from mgdata.plugins import Filter


@dataclass(frozen=True, kw_only=True)
class Boxes(Filter):
    """Looks at every target box of every turn; given regions may have any size."""

    min_side: float = 4.0
    """Shortest side in pixels: below four, one pixel of annotation noise costs a quarter."""
    min_area: float = 0.0
    """Smallest share of the image, 0 to 1."""
    max_area: float = 1.0
    """Largest share of the image, 0 to 1."""

    def sample(self, sample: Sample) -> Drop | None:
        """A drop for the first target outside the bands."""
        for turn in sample.turns:
            for target in turn.targets:
                image, box = sample.images[target.image], target.box
                share = box.area / (image.width * image.height)
                if min(box.width, box.height) < self.min_side:
                    return self._drop(sample, "target too thin", f"{box.width:g}x{box.height:g}")
                if not self.min_area <= share <= self.max_area:
                    reason = "target too small" if share < self.min_area else "target too large"
                    return self._drop(sample, reason, f"{share:.4f} of the image")
        return None

    def _drop(self, sample: Sample, reason: str, value: str) -> Drop:
        return Drop(key=sample.id, stage="filter", reason=reason, value=value)
