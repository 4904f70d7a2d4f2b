"""One process of mgdata for the benchmarks: a recipe to a folder, or the planning of a million.

    python -m tests.benchmarks.ours run RECIPE ROOT OUT STAGE ENGINE WORKERS
    python -m tests.benchmarks.ours plan INDEX RECIPE

Its last line is a JSON object with what the driver saw.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def run(recipe: str, root: str, out: str, stage: str, engine: str, workers: str) -> dict[str, Any]:
    """Run a recipe; seconds without Ray's start, and what each worker's memory came to."""
    begin = time.perf_counter()
    from mgdata import api
    from mgdata.run import Run

    peaks: dict[int, int] = {}
    started = 0.0

    def tell(name: str, facts: dict[str, Any]) -> None:
        nonlocal started
        if name == "worker started":
            peaks[facts["pid"]] = 0
        elif name == "engine started":
            started = facts["seconds"]
        elif name == "stage done":
            peaks.update({pid: peak(pid) for pid in peaks})

    loaded = api.load(recipe, None, [f"got10k={root}"])
    with Run(loaded, out, tell=tell,
             engine=lambda told: api.make_engine(engine, told, int(workers), None)) as running:  # fmt: skip
        outcome = running.until(stage)  # pyright: ignore[reportArgumentType]
        seconds = time.perf_counter() - begin - started
    return {"seconds": seconds, "start": started, "peaks": list(peaks.values()),
            "peak": peak(), "files": len(outcome.files), "worked": outcome.worked}  # fmt: skip


def peak(pid: int | str = "self") -> int:
    """Most resident bytes of a process so far (proc(5), VmHWM).

    Not `ru_maxrss`, which begins with what the process that forked this one held.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/{pid}/status has no VmHWM")


def plan(index: str, recipe: str) -> dict[str, Any]:
    """Split, choose and cut payloads for an index that lies in Arrow IPC files, as a run has it."""
    import msgspec
    import pyarrow as pa

    from mgdata import recipe as recipes
    from mgdata.index import Index
    from mgdata.stages.choose import Chooser, allowed, assign_splits

    loaded = recipes.load(recipe)
    begin = time.perf_counter()
    files = sorted(Path(index).glob("*.arrow"))
    tables = [pa.ipc.open_file(pa.memory_map(str(file))).read_all() for file in files]
    whole = Index(pa.concat_tables(tables))
    mask, _ = allowed(whole, loaded.filters)
    view = whole.view(mask)
    splits = assign_splits(view, loaded.recipe.splits, loaded.recipe.seed)
    chooser = Chooser(loaded.recipe, loaded.builders, view, splits)
    groups = shards = 0
    for payload in chooser.round(0, {}):
        groups += len(payload["rows"])
        shards += 1
        msgspec.json.encode(payload, order="sorted")
    seconds = time.perf_counter() - begin
    return {
        "seconds": seconds,
        "records": len(whole),
        "groups": groups,
        "shards": shards,
        "peak": peak(),
    }


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    print(json.dumps({"run": run, "plan": plan}[verb](*rest)))
