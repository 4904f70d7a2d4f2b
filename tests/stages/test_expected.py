"""A task whose groups give several samples is asked for fewer groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from mgdata.data import Association, Drop, Record, Sample, Shape
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder
from mgdata.recipe import CorpusSection, Recipe, TaskSection
from mgdata.stages.choose import Chooser


@dataclass(frozen=True, kw_only=True)
class Five(Builder):
    association: ClassVar[Association] = "temporal"
    shapes: ClassVar[tuple[Shape, ...]] = ("clip",)
    targets: ClassVar[str] = "one"

    def expected(self) -> float:
        return 5.0

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        raise NotImplementedError


def chooser(samples: int) -> Chooser:
    columns = {
        "corpus": ["c"] * 100,
        "shape": ["clip"] * 100,
        "key": [f"c/{i}" for i in range(100)],
    }
    recipe = Recipe(
        name="r", corpora={"c": CorpusSection()}, tasks={"t": TaskSection(samples=samples)}
    )
    return Chooser(recipe, {"t": Five()}, Index(pa.table(columns)), np.zeros(100, np.int8))


def test_the_first_round_takes_as_many_groups_as_should_do() -> None:
    (payload,) = chooser(42).round(0, {})
    assert len(payload["rows"]) == 9


def test_a_later_round_goes_by_what_the_first_one_gave() -> None:
    found = chooser(40)
    assert len(next(iter(found.round(0, {})))["rows"]) == 8
    (payload,) = found.round(1, {("t", "train"): 20})  # 2.5 samples a group
    assert len(payload["rows"]) == 8
