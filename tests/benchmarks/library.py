"""The same rows with the `datasets` library: a generator with image bytes, then to_parquet.

    python -m tests.benchmarks.library PLAN CORPUS OUT

The rows' other columns are given, as they are to the floor; each image is read once while its
neighbours use it. The generator's cache lies in OUT.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def main(plan: str, corpus: str, out: str) -> dict[str, float]:
    """Write one Parquet file; CPU seconds of its parts."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HOME"] = out
    import datasets
    import pyarrow as pa

    datasets.disable_progress_bars()
    settings = json.loads((Path(plan) / "plan.json").read_text())
    features = datasets.Features.from_dict(settings["features"])

    def rows() -> Iterator[dict[str, Any]]:
        for number, file in enumerate(settings["files"]):
            rest = pa.ipc.open_file(pa.memory_map(f"{plan}/{number:05d}.arrow")).read_all()
            held: dict[str, bytes] = {}
            for group in file:
                distinct, ends = group["distinct"], group["ends"]
                held = {uri: held[uri] for uri, _ in distinct if uri in held}
                for uri, _ in distinct:
                    if uri not in held:
                        held[uri] = Path(f"{corpus}/{uri}").read_bytes()
                table = rest.slice(group["start"], len(ends) - 1).to_pylist()
                for i, row in enumerate(table):
                    shown = [distinct[n] for n in group["numbers"][ends[i] : ends[i + 1]]]
                    row["images"] = [{"bytes": held[u], "path": name} for u, name in shown]
                    yield row

    begin = time.process_time()
    dataset = datasets.Dataset.from_generator(rows, features=features, cache_dir=f"{out}/cache")
    middle = time.process_time()
    dataset.to_parquet(f"{out}/rows.parquet")
    return {"from_generator": middle - begin, "to_parquet": time.process_time() - middle}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
