"""The benchmarks run: at sizes that say nothing about speed, and so nothing here looks at speed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from processes import finished

LINES = {
    "floor": 1,
    "library": 2,
    "size": 1,
    "rerun": 1,
    "planning": 2,
    "full": 4,
    "tasks": 1,
    "score": 1,
    "judging": 2,
    "memory": 2,
    "start": 2,
}
"""Figures of each line that needs no Ray; the two of `scaling` start it four times."""


def test_every_figure_is_printed_and_written_with_its_bound_and_verdict(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--folder", tmp_path / "work",
               "--json", out, *LINES]  # fmt: skip
    done = finished(command, cwd=Path(__file__).parent.parent)
    assert done.returncode == 0, done.stderr
    *table, last = done.stdout.strip().splitlines()
    assert str(out) in last
    found = json.loads(out.read_text())
    assert found["machine"]["cores"] >= 1
    assert len(found["figures"]) == len(table) == sum(LINES.values())
    for figure, line in zip(found["figures"], table, strict=True):
        assert line.startswith(figure["name"]) and line.endswith(f" {figure['verdict']}")
        reached = (figure["value"] >= figure["bound"] if figure["least"]
                   else figure["value"] <= figure["bound"])  # fmt: skip
        assert figure["verdict"] == ("met" if reached else "missed")
        assert figure["value"] > 0 and figure["unit"] in ("x", "s", "MB", "/s") and figure["beside"]


def test_an_unknown_line_is_refused_by_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "speed", "--json", tmp_path / "no.json"]
    done = finished(command, cwd=Path(__file__).parent.parent)
    assert done.returncode == 2 and "unknown line speed" in done.stderr
    assert not (tmp_path / "no.json").exists()
