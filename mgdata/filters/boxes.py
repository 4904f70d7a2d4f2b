"""Drops samples whose targets are too small, too large or too elongated to be worth asking for."""

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
    max_aspect: float | None = None
    """Longer side by shorter side, at most; None: any."""

    def __post_init__(self) -> None:
        """Refuse bands that no box could be in."""
        if self.max_aspect is not None and not self.max_aspect >= 1:
            raise ValueError(f"max_aspect: expected at least 1, found {self.max_aspect}")
        if not self.min_area <= self.max_area:
            raise ValueError(
                f"max_area: expected at least min_area, {self.min_area}, found {self.max_area}"
            )

    def sample(self, sample: Sample) -> Drop | None:
        """A drop for the first target outside the bands."""
        for turn in sample.turns:
            for target in turn.targets:
                image, box = sample.images[target.image], target.box
                share = box.area / (image.width * image.height)
                shorter, longer = sorted((box.width, box.height))
                sides = f"{box.width:g}x{box.height:g}"
                if shorter < self.min_side:
                    return self._drop(sample, "target too thin", sides)
                if self.max_aspect is not None and longer > self.max_aspect * shorter:
                    return self._drop(sample, "target too elongated", sides)
                if not self.min_area <= share <= self.max_area:
                    reason = "target too small" if share < self.min_area else "target too large"
                    return self._drop(sample, reason, f"{share:.4f} of the image")
        return None

    def _drop(self, sample: Sample, reason: str, value: str) -> Drop:
        return Drop(key=sample.id, stage="filter", reason=reason, value=value)
