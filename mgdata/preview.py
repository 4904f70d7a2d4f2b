"""A few samples of a recipe, at once: no Ray, no run folder, no release.

Reads only some parts of every corpus, builds in this process, and shows what was dropped beside
what was made.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from mgdata.data import Drop, Record, Sample
from mgdata.edits import Codec
from mgdata.errors import UsageError, boundary
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Corpus
from mgdata.recipe import Loaded
from mgdata.show import show_drop, show_sample
from mgdata.stages.build import Maker
from mgdata.stages.choose import Chooser, allowed
from mgdata.stages.ingest import read_part
from mgdata.stages.measure import Measurer, record_facts
from mgdata.tables import RecordRows
from mgdata.view import Shown, write

PARTS = 12
"""Parts of a corpus a preview reads."""
DROPS = 40
"""Drops a preview shows at most."""


def preview(loaded: Loaded, out: Path, *, number: int = 20, key: str | None = None) -> Path:
    """Build `number` samples, those whose record key holds `key` where given; the page's path.

    Raises:
        UsageError: no record's key holds `key`, nor that of anything that was dropped.
    """
    items = list(_shown(loaded, number, key))
    if key is not None and not items:
        raise UsageError(
            f"no record's key holds {key!r}: keys begin with the corpus' name, as in "
            f"{next(iter(loaded.corpora))}/..."
        )
    kept = [item for item in items if item.reason is None]
    facts = {
        "recipe": loaded.recipe.name,
        "samples": str(len(kept)),
        "dropped": str(len(items) - len(kept)),
        "parts read": f"at most {PARTS} a corpus",
    }
    return write(items, out, title=f"{loaded.recipe.name}: preview", facts=facts)


def _shown(loaded: Loaded, number: int, key: str | None) -> Iterator[Shown]:
    samples, drops = build_few(loaded, number, key)
    codec = Codec(quality=loaded.recipe.release.codec.quality)
    for sample in samples:
        yield show_sample(sample, loaded.roots, loaded.notation, codec, loaded.recipe.seed)
    for drop in drops[:DROPS]:
        yield show_drop(drop)


def build_few(
    loaded: Loaded, number: int, key: str | None = None
) -> tuple[list[Sample], list[Drop]]:
    """Up to `number` samples, shared out over the recipe's tasks, and what was dropped."""
    records, drops = _read(loaded, key)
    if not records:
        return [], drops
    recipe = loaded.recipe
    rows = RecordRows()
    for _, record in records:
        rows.add(record)
    table = rows.table().append_column("corpus", pa.array([name for name, _ in records]))
    facts, unfit = record_facts(
        loaded.record_measures, (record for _, record in records), loaded.roots
    )
    for name in facts.column_names:
        table = table.append_column(name, facts[name])
    index = Index(table)
    mask, excluded = allowed(index, loaded.filters)
    drops += [*unfit, *excluded]
    index = index.view(mask)
    # Every record may serve every split here: a preview is looked at, not published.
    chooser = Chooser(recipe, loaded.builders, index, np.zeros(len(index), np.int8))
    maker = Maker(seed=recipe.seed, builders=loaded.builders, filters=loaded.filters,
                  measurer=Measurer(loaded.roots, loaded.measures))  # fmt: skip
    made: dict[str, Sample] = {}
    for i, task in enumerate(recipe.tasks):
        left = len(recipe.tasks) - i
        enough = len(made) + -(-(number - len(made)) // left)
        for found in _groups(chooser, maker, [r for _, r in records], task):
            if isinstance(found, Drop):
                drops.append(found)
            else:
                made[found.id] = found
            if len(made) >= enough:
                break
    return list(made.values()), drops


def _groups(
    chooser: Chooser, maker: Maker, records: list[Record], task: str
) -> Iterator[Sample | Drop]:
    split = next(iter(chooser.wanted))[1]
    for _, occurrence, group in chooser.stream(task, split).take(2_000):
        yield from maker.make(task, split, [records[row] for row in group], occurrence)


def _read(loaded: Loaded, key: str | None) -> tuple[list[tuple[str, Record]], list[Drop]]:
    records: list[tuple[str, Record]] = []
    drops: list[Drop] = []
    for name, corpus in loaded.corpora.items():
        for part in _parts(corpus, loaded.recipe.seed, key):
            for found in read_part(corpus, part):
                if isinstance(found, Drop):
                    drops += [found] if key is None or key in found.key else []
                elif key is None or key in found.key:
                    records.append((name, found))
    return records, drops


def _parts(corpus: Corpus, seed: int, key: str | None) -> list[str]:
    """The parts a preview reads: some at random, or those that a key may lie in."""
    with boundary(f"corpus {corpus.name}", "its parts"):
        parts = corpus.parts()
    if key is not None:
        near = [part for part in parts if part in key or key.rpartition("/")[2] in part]
        return near or parts
    rng = Stream("preview", str(seed), corpus.name)
    return sorted(rng.sample(parts, min(PARTS, len(parts))))
