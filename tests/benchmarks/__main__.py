"""`python -m tests.benchmarks`: measure, print the table, write the JSON, say where it is."""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from tests.benchmarks.figures import Figure, as_json
from tests.benchmarks.lines import LINES, Bench, machine


def main() -> None:
    """Parse what is asked for and measure it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("lines", nargs="*", help=f"which, of {', '.join(LINES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works")
    parser.add_argument("--folder", type=Path, default=Path("build/bench"),
                        help="corpora are made here once and kept")  # fmt: skip
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    asked = parser.parse_args()
    if unknown := [name for name in asked.lines if name not in LINES]:
        parser.error(f"unknown line {unknown[0]}: choose of {', '.join(LINES)}")
    folder = asked.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    bench, figures = Bench(folder, asked.quick), list[Figure]()
    for name in asked.lines or LINES:
        for figure in LINES[name](bench):
            figures.append(figure)
            print(figure.line(), flush=True)
    for name in ("out", "floor", "library", "built", "plan", "plan-mixed"):
        shutil.rmtree(folder / name, ignore_errors=True)
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(as_json(figures, machine()))
    print(f"{asked.json} written after {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
