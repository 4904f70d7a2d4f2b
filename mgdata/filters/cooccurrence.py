"""Lets no class be asked for that its surroundings give away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mgdata.data import Record, Shape
from mgdata.plugins import Filter

NAMED = ("keyboard", "knife", "couch", "dining table")


@dataclass(frozen=True, kw_only=True)
class Cooccurrence(Filter):
    """Regions of named classes, which builders then see as regions to be ignored.

    A keyboard is where a monitor is, a knife where a fork is: asked what several pictures have in
    common, or which one shows it, a model can answer from the rest of the scene, and the answer is
    not the only right one. MGrounding-630k's paper drops classes that habitually occur with others
    and names the four that are the default; its whole list is not published.
    """

    labels: tuple[str, ...] = NAMED
    """Classes in the corpora's own words; case and spacing do not count."""
    shapes: tuple[Shape, ...] = ("image",)
    """Records that are looked at: in a clip or a pair the object itself is shown."""

    def regions(self, record: Record) -> Iterator[tuple[int, str]]:
        """The regions whose label is one of `labels`."""
        if record.shape not in self.shapes:
            return
        named = {_plain(label) for label in self.labels}
        for place, region in enumerate(record.regions):
            if _plain(region.label) in named:
                yield place, "habitually co-occurs"


def _plain(label: str) -> str:
    return " ".join(label.lower().split())
