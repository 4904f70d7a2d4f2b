"""What the release stage is handed: which rows there are, cut into files and into shards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute

from mgdata.fingerprint import shape as shape_of
from mgdata.fingerprint import shard
from mgdata.manifest import Entry, Shard
from mgdata.recipe import Loaded
from mgdata.release.layout import FilePlan, plan_files
from mgdata.stages.picked import picks_of
from mgdata.stages.settle import Settled
from mgdata.teachers import CONFIGS

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that are published, before they are: one for each row of a planning table."""

    table: pa.Table
    """`id`, `row`, `uri`, `pictures`, `bytes`, `config`, `split`, and where each row lies: `source`
    is a position in `entries`, `source_row` the row of that entry's table."""
    entries: tuple[Entry, ...]
    lessons: bool = False
    """Whether these are tables of lessons, not of samples."""


def plain_rows(loaded: Loaded, settled: Settled, entries: Sequence[Entry]) -> Rows:
    """Every kept sample as a row of its task's configuration."""
    names = {name: task.config or name for name, task in loaded.recipe.tasks.items()}
    table = settled.table.filter(pa.array(settled.kept))
    found = pc.index_in(table["task"], pa.array(list(names)))
    table = table.append_column("config", pa.array(list(names.values())).take(found))
    return Rows(table=table, entries=tuple(entries))


def plans(loaded: Loaded, rows: Rows) -> list[FilePlan]:
    """The files that the rows fill, configuration by configuration."""
    recipe, most = loaded.recipe, loaded.recipe.release.file_mb * 1e6
    # Where no task found a single group there is no table either.
    if not rows.entries:
        return []
    tasks = [task.config or name for name, task in recipe.tasks.items()]
    configs = list(dict.fromkeys([*(CONFIGS if rows.lessons else ()), *tasks]))
    return list(plan_files(rows.table, configs, list(recipe.splits), recipe.seed, most))


def shards(loaded: Loaded, rows: Rows, files: Sequence[FilePlan]) -> list[Shard]:
    """A shard for each file."""
    shape = shape_of("mgdata.stages.release", (loaded.notation,))
    # What the files hold; the card's own words make no file stale.
    written = loaded.recipe.release
    settings = msgspec.json.encode(
        (written.notation, written.settings, written.row_group_mb, written.codec),
        order="sorted",
    ).decode()
    if not files:
        return []
    source, row = rows.table["source"].to_numpy(), rows.table["source_row"].to_numpy()
    tables = [entry.data() for entry in rows.entries]
    made: list[Shard] = []
    for i, plan in enumerate(files):
        numbers = list(plan.rows)
        picks = picks_of([table.path for table in tables], source[numbers], row[numbers])
        payload = {"path": plan.path, "picks": picks, "order": list(plan.order)}
        made.append(
            shard(
                "release",
                f"{plan.config}-{plan.split}-{i:05d}",
                payload | ({"lessons": True} if rows.lessons else {}),
                shape,
                settings,
            )
        )
    return made
