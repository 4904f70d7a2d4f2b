"""`make plan-full`: the large recipes planned at published size, over records that have no pixels.

A table a corpus is made once, by another process, as large as the corpus is known or said to be;
then every recipe's groups are chosen from them as a run would, all of them, and the finished lists
are audited. Nothing is built: what filters and broken images would take is not in these numbers.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from mgdata import audit, recipe
from mgdata.index import Index
from mgdata.stages.choose import Chooser, allowed, assign_splits, joined
from mgdata.synth.photo_records import like
from mgdata.tables import RECORDS, read_columns

SEED = 7
RECIPES = ("mgrounding-630k", "mg-data-240k", "mig-bench")


CORPORA: dict[str, tuple[str, int]] = {
    # The two sizes that planning is measured at.
    "objects365": ("objects365", 1_700_000),
    "grand": ("grand", 3_000_000),
    "objects365_val": ("objects365", 80_000),
    # Training photos of the 2012 challenge that have boxes.
    "imagenet": ("voc", 544_546),
    "coco": ("coco", 118_287),
    "paco": ("paco", 45_790),
    "clevr_change": ("clevr_change", 79_606),
    "magicbrush": ("magicbrush", 8_807),
    "magicbrush_dev": ("magicbrush", 528),
    "img_diff": ("img_diff", 12_688),
    "spot_the_diff": ("spot_the_diff", 9_524),
    "trackingnet": ("trackingnet", 30_132),
    "got10k": ("got10k", 9_335),
    "got10k_val": ("got10k", 180),
    "lasot": ("lasot", 1_120),
    "motchallenge": ("motchallenge", 7),
    "egoexo4d": ("egoexo4d", 20_000),
    # D3's photos; RefCOCOg's and gRefCOCO's in train; one record a question of STAR's in train.
    "d3": ("d3", 10_578),
    "refcocog": ("refcoco", 21_899),
    "grefcoco": ("refcoco", 16_994),
    "star": ("star", 40_000),
    "tao": ("tao", 500),
    "youtube_vos": ("youtube_vos", 3_471),
    "sav": ("sav", 50_000),
    # Moments: 234,000 frames of three or four views, each tenth; annotated moments of WILDTRACK.
    "mvtrack": ("mvtrack", 6_600),
    "wildtrack": ("wildtrack", 400),
    # Only their names matter.
    "mc_bench": ("spot_the_diff", 2_000),
    "mig_bench": ("spot_the_diff", 4_295),
}
"""Layout and records of each corpus: published sizes where there are any, else enough."""


def write_tables(folder: Path, scale: float = 1.0) -> None:
    """Make the tables that are not there, a file a corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    for corpus, (layout, records) in CORPORA.items():
        path = folder / f"{corpus}.arrow"
        if path.exists():
            continue
        partial = path.with_suffix(f".{os.getpid()}")
        writer = None
        with pa.OSFile(str(partial), "wb") as sink:
            for batch in like(layout, max(1, round(records * scale)), corpus, SEED):
                schema = batch.schema.with_metadata(RECORDS.metadata)
                batch = pa.RecordBatch.from_arrays(batch.columns, schema=schema)
                writer = writer or pa.ipc.new_file(sink, schema)
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
            tables += read_columns(path)
    return joined(tables)


def plan(name: str, folder: Path) -> dict[str, Any]:
    """A recipe's groups by task as lines to print, whether all is met, and what it took."""
    loaded = recipe.load(name)
    begin = time.monotonic()
    index = read_tables(folder, list(loaded.corpora))
    mask, drops = allowed(index, loaded.filters)
    index = index.view(mask)
    splits = assign_splits(index, loaded.recipe.splits, loaded.recipe.seed)
    chooser = Chooser(loaded.recipe, loaded.builders, index, splits)
    needed = {
        (task, split): math.ceil(n / loaded.builders[task].expected())
        for (task, split), n in chooser.wanted.items()
    }
    groups = {
        (task, split): [rows for _, _, rows in chooser.stream(task, split).take(n)]
        for (task, split), n in needed.items()
    }
    seconds = time.monotonic() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    lines, configs, met = list[str](), defaultdict[str, list[int]](lambda: [0, 0]), True
    for (task, split), rows in groups.items():
        wanted, section = chooser.wanted[task, split], loaded.recipe.tasks[task]
        whole = len(rows) == needed[task, split]
        samples = wanted if whole else int(len(rows) * loaded.builders[task].expected())
        cause = f"{len(rows):,} groups"
        if not whole:
            cause += f": short, all that {', '.join(section.corpora)} can give under its settings"
        lines.append(f"    {task:<24} {split:<6} {samples:>9,} of {wanted:>9,}  from {cause}")
        met &= whole
        count = configs[section.config or task]
        count[0], count[1] = count[0] + samples, count[1] + wanted
        builder = loaded.builders[task]
        cap = getattr(builder, "per_image", None)
        for fault in audit.faults(index, rows, builder.grouping, cap=cap):
            lines.append(f"        fault: {fault}")
            met = False
    total, asked = (sum(column) for column in zip(*configs.values(), strict=True))
    head = f"{name}: {total:,} samples of {asked:,}, planned from {len(mask):,} records"
    by_config = [f"  {c:<33} {n:>9,} of {w:>9,}" for c, (n, w) in configs.items()]
    figures = f"  planned in {seconds:.1f} s, {memory:.2f} GB; {len(drops):,} records left out"
    return {
        "lines": [head, *by_config, "  by section:", *lines, figures],
        "met": met,
        "seconds": seconds,
        "GB": memory,
    }


def planned(name: str, folder: Path, scale: float = 1.0) -> dict[str, Any]:
    """What `plan` says in a process of its own; the tables are made first by another."""
    here = [sys.executable, "-m", "tests.benchmarks.plan_full", "--folder", str(folder)]
    subprocess.run([*here, "--step", "tables", "--scale", str(scale)], check=True)
    told = subprocess.run([*here, "--step", "plan", name], check=True, stdout=subprocess.PIPE)
    return json.loads(told.stdout)


def main() -> None:
    """Make the tables, plan each recipe in a process of its own, tell what is short."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.plan_full", description=__doc__
    )
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--folder", type=Path, default=Path("build/plan-full"))
    parser.add_argument("--scale", type=float, default=1.0, help="of every corpus")
    parser.add_argument("--step", choices=("tables", "plan"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step == "tables":
        write_tables(asked.folder, asked.scale)
        return
    if asked.step == "plan":
        (name,) = asked.recipes
        print(json.dumps(plan(name, asked.folder)))
        return
    found = [planned(name, asked.folder, asked.scale) for name in asked.recipes]
    for one in found:
        print("\n".join(one["lines"]), flush=True)
    sys.exit(0 if all(one["met"] for one in found) else 1)


if __name__ == "__main__":
    main()
