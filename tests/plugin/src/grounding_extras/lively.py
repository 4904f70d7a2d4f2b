"""Drops samples that show a dull picture, by the fact that the measure `brightness` adds."""

from __future__ import annotations

from dataclasses import dataclass

from mgdata.data import Drop, Sample
from mgdata.plugins import Filter


@dataclass(frozen=True, kw_only=True)
class Lively(Filter):
    """Looks at every image of a sample."""

    dullest: float = 60.0
    """Mean grey level below which a picture is dull."""

    def sample(self, sample: Sample) -> Drop | None:
        """A drop for the first dull image."""
        for image in sample.images:
            brightness = float(image.facts["brightness"] or 0)
            if brightness < self.dullest:
                value = f"{image.uri}: {brightness}"
                return Drop(key=sample.id, stage="filter", reason="dull picture", value=value)
        return None
