"""`make plan-full`: the large recipes planned at published size, over records that have no pixels.

A table a corpus is made once, by another process, as large as the corpus is known or said to be;
then every recipe's groups are chosen from them as a run would, all of them, and the finished lists
are audited. Nothing is built: what filters and broken images would take is not in these numbers.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from mgdata import audit, recipe
from mgdata.index import Index
from mgdata.stages.choose import Chooser, allowed, assign_splits, joined
from mgdata.synth import photo_records
from mgdata.synth.photo_records import Photos
from mgdata.synth.records import index_table

SEED = 7
RECIPES = ("mgrounding-630k", "mig-bench")
Tables = Iterator[pa.RecordBatch]


def _clips(clips: int) -> Callable[[str], Tables]:
    def make(corpus: str) -> Tables:
        table = index_table(clips, SEED, [corpus])
        names = pa.array([corpus] * clips, pa.string())
        yield from table.append_column("corpus", names).combine_chunks().to_batches()

    return make


def _photos(**spec: Any) -> Callable[[str], Tables]:
    return lambda corpus: photo_records.photos(Photos(**spec), corpus, SEED)


def _pairs(records: int, turns: int = 1) -> Callable[[str], Tables]:
    return lambda corpus: iter(
        photo_records.pairs(records, corpus, SEED, turns=turns).combine_chunks().to_batches()
    )


def _views(records: int) -> Callable[[str], Tables]:
    return lambda corpus: iter(
        photo_records.views(records, corpus, SEED).combine_chunks().to_batches()
    )


CORPORA: dict[str, Callable[[str], Tables]] = {
    # The two sizes that planning is measured at.
    "objects365": _photos(records=1_700_000, regions=15, classes=365),
    "grand": _photos(records=3_000_000, regions=40, classes=20_000, phrases=True),
    # Training photos with boxes, one class each; classes of the 2012 challenge.
    "imagenet": _photos(records=544_546, regions=2, classes=1000, annotated="own", crowded=0.0),
    "coco": _photos(records=118_287, regions=7, classes=80),
    # Objects and parts of them, as PACO names them.
    "paco": _photos(records=45_790, regions=14, classes=531, parts=456),
    "clevr_change": _pairs(79_606),
    "magicbrush": _pairs(8_807, turns=2),
    "magicbrush_dev": _pairs(528, turns=2),
    "img_diff": _pairs(12_688),
    "spot_the_diff": _pairs(9_524),
    "trackingnet": _clips(30_132),
    "got10k": _clips(9_335),
    "got10k_val": _clips(180),
    "lasot": _clips(1_120),
    "motchallenge": _clips(7),
    "egoexo4d": _views(20_000),
    "mig_bench": _pairs(0),
}
"""Records of each corpus: published sizes where there are any, else what a recipe needs."""


def write_tables(folder: Path) -> None:
    """Make the tables that are not there, a file a corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    for corpus, make in CORPORA.items():
        path = folder / f"{corpus}.arrow"
        if path.exists():
            continue
        partial = path.with_suffix(f".{os.getpid()}")
        writer = None
        with pa.OSFile(str(partial), "wb") as sink:
            for batch in make(corpus):
                writer = writer or pa.ipc.new_file(sink, batch.schema)
                writer.write_batch(batch)
            if writer:
                writer.close()
        if writer:
            partial.rename(path)
        else:
            partial.unlink()


def read_tables(folder: Path, corpora: list[str]) -> Index:
    """The index over the tables of some corpora, mapped and not read; a table for each batch."""
    tables: list[pa.Table] = []
    for corpus in corpora:
        if (path := folder / f"{corpus}.arrow").exists():
            file = pa.ipc.open_file(pa.memory_map(str(path)))
            tables += [
                pa.Table.from_batches([file.get_batch(i)]) for i in range(file.num_record_batches)
            ]
    return joined(tables)


def plan(name: str, folder: Path) -> tuple[list[str], bool]:
    """Lines that tell a recipe's groups by task, and whether all is as the recipe asks."""
    loaded = recipe.load(name)
    begin = time.monotonic()
    index = read_tables(folder, list(loaded.corpora))
    mask, drops = allowed(index, loaded.filters)
    index = index.view(mask)
    splits = assign_splits(index, loaded.recipe.splits, loaded.recipe.seed)
    chooser = Chooser(loaded.recipe, loaded.builders, index, splits)
    groups = {
        (task, split): [rows for _, _, rows in chooser.stream(task, split).take(n)]
        for (task, split), n in chooser.wanted.items()
    }
    seconds = time.monotonic() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    total, met = sum(map(len, groups.values())), True
    lines, configs = list[str](), defaultdict[str, list[int]](lambda: [0, 0])
    for (task, split), rows in groups.items():
        wanted, section = chooser.wanted[task, split], loaded.recipe.tasks[task]
        cause = (
            ""
            if len(rows) == wanted
            else f"  short: {chooser.stream(task, split).taken:,} "
            f"groups are all that {', '.join(section.corpora)} can give under its settings"
        )
        lines.append(f"    {task:<34} {split:<6} {len(rows):>9,} of {wanted:>9,}{cause}")
        met &= len(rows) == wanted
        count = configs[section.config or task]
        count[0], count[1] = count[0] + len(rows), count[1] + wanted
        builder = loaded.builders[task]
        cap = getattr(builder, "per_image", None)
        for fault in audit.faults(index, rows, builder.grouping, cap=cap):
            lines.append(f"        fault: {fault}")
            met = False
    asked = sum(chooser.wanted.values())
    head = f"{name}: {total:,} groups of {asked:,} asked for, from {len(mask):,} records"
    by_config = [f"  {c:<36} {'':<6} {n:>9,} of {w:>9,}" for c, (n, w) in configs.items()]
    figures = f"  planned in {seconds:.1f} s, {memory:.2f} GB; {len(drops):,} records left out"
    return [head, *by_config, "  by section:", *lines, figures], met


def main() -> None:
    """Make the tables, plan each recipe in a process of its own, tell what is short."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.plan_full", description=__doc__
    )
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--folder", type=Path, default=Path("build/plan-full"))
    parser.add_argument("--step", choices=("tables", "plan"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step == "tables":
        write_tables(asked.folder)
        return
    if asked.step == "plan":
        (name,) = asked.recipes
        lines, met = plan(name, asked.folder)
        print("\n".join(lines), flush=True)
        sys.exit(0 if met else 1)
    here = [sys.executable, "-m", "tests.benchmarks.plan_full", "--folder", str(asked.folder)]
    subprocess.run([*here, "--step", "tables"], check=True)
    codes = [
        subprocess.run([*here, "--step", "plan", name], check=False).returncode
        for name in asked.recipes
    ]
    sys.exit(max(codes))


if __name__ == "__main__":
    main()
