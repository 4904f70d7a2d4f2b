"""Drops samples that show nearly the same picture twice where pictures should differ."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

from mgdata.data import Association, Drop, Image, Sample
from mgdata.errors import UsageError
from mgdata.plugins import Filter


@dataclass(frozen=True, kw_only=True)
class NearDuplicates(Filter):
    """Compares the stored files of a sample's images by the measure `perceptual_hash`.

    A distractor that is a copy of the image asked for makes two answers right. Images of one
    stored file (two crops of a photo) are no duplicates; files of equal bytes are, whatever they
    show. Flat images have no hash and are compared by their bytes alone.
    """

    needs: ClassVar[tuple[str, ...]] = ("perceptual_hash",)

    bits: int = 8
    """Hashes that differ in at most this many of 64 bits are of one picture. Copies of photos,
    re-encoded and resized, were up to 4 apart, or 6 with 1 % cut off each side; of 859 pairs
    of different photos none was under 19, of 3160 pairs of synthetic scenes none under 15."""
    associations: tuple[Association, ...] = ("referential", "semantic")
    """Samples that are looked at: frames of a clip and before and after are alike by nature."""
    tasks: tuple[str, ...] = ()
    """Names of tasks in the recipe; where given, these are looked at instead."""

    def __post_init__(self) -> None:
        """Refuse what is no number of 64 bits."""
        if not 0 <= self.bits < 64:
            raise ValueError(f"bits: expected 0 to 63, found {self.bits}")

    def sample(self, sample: Sample) -> Drop | None:
        """A drop for the first two images that are nearly the same.

        Raises:
            UsageError: the images were not measured.
        """
        looked_at = sample.task in self.tasks if self.tasks else None
        if looked_at is None:
            looked_at = sample.association in self.associations
        if not looked_at:
            return None
        hashes = [_hash(image) for image in sample.images]
        for (i, first), (j, second) in combinations(enumerate(sample.images), 2):
            if first.uri == second.uri:
                continue
            apart = _apart(hashes[i], hashes[j])
            if first.sha256 is not None and first.sha256 == second.sha256:
                apart = 0
            if apart is not None and apart <= self.bits:
                value = f"images {i + 1} and {j + 1}, {apart} bits apart"
                return Drop(key=sample.id, stage="filter", reason="near-duplicates", value=value)
        return None


def _apart(first: str | None, second: str | None) -> int | None:
    """In how many bits two hashes differ."""
    if first is None or second is None:
        return None
    return (int(first, 16) ^ int(second, 16)).bit_count()


def _hash(image: Image) -> str | None:
    if "phash" not in image.facts:
        raise UsageError(
            f"filters.near_duplicates: {image.uri} has no perceptual hash: add "
            "`perceptual_hash: {}` to the recipe's measures"
        )
    found = image.facts["phash"]
    return None if found is None else str(found)
