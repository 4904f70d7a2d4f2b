"""A figure: what was measured, what it must be, and whether it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table."""

    name: str
    """What is compared or measured, in words."""
    value: float
    bound: float
    """What the value must reach, or must not pass."""
    least: bool = False
    """The bound is a least value; otherwise a most."""
    unit: str = "x"
    """`x` is a ratio; `s`, `MB`, `/s`."""
    beside: dict[str, float] = field(default_factory=dict)
    """Numbers without a bound that belong to it: the parts of a ratio, wall times."""

    @property
    def verdict(self) -> str:
        """`met` or `missed`."""
        reached = self.value >= self.bound if self.least else self.value <= self.bound
        return "met" if reached else "missed"

    def line(self) -> str:
        """The figure for a terminal; ends in its verdict."""
        bound = f"{'at least' if self.least else 'at most'} {self.bound:g} {self.unit}"
        parts = ", ".join(f"{name} {value:.4g}" for name, value in self.beside.items())
        return f"{self.name:<58} {self.value:>8.3f} {self.unit:<2} {bound:<16} ({parts}) {self.verdict}"


def as_json(figures: Sequence[Figure], machine: dict[str, Any]) -> str:
    """All figures with what they were measured on."""
    lines = [
        {
            "name": f.name,
            "value": f.value,
            "unit": f.unit,
            "bound": f.bound,
            "least": f.least,
            "beside": f.beside,
            "verdict": f.verdict,
        }
        for f in figures
    ]
    return json.dumps({"machine": machine, "figures": lines}, indent=1)
