"""Lets nothing be asked for of which hardly anything can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mgdata.data import Record
from mgdata.plugins import Filter


@dataclass(frozen=True, kw_only=True)
class Visibility(Filter):
    """Looks at the visible share of each boxed region; where the corpus gives none, it stays.

    A region without a box stays too: that an object cannot be seen is worth asking.
    """

    least: float = 0.25
    """Visible share, 0 to 1, under which a region must not be asked for."""

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        if not 0 <= self.least <= 1:
            raise ValueError(f"least: expected a share from 0 to 1, found {self.least}")

    def regions(self, record: Record) -> Iterator[tuple[int, str]]:
        """The boxed regions known to be less visible than `least`."""
        for place, region in enumerate(record.regions):
            seen = region.visibility
            if region.box is not None and seen is not None and seen < self.least:
                yield place, "hardly visible"
