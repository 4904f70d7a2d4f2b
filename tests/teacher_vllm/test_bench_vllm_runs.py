"""The benchmark of vLLM runs: at sizes that say nothing about speed, so nothing looks at speed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from processes import finished

ROOT = Path(__file__).parent.parent.parent


def test_both_sides_do_the_same_work_and_both_figures_are_written(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "tests.benchmarks.vllm_answers", "--samples", "3",
               "--images", "2", "--tokens", "8", "--rounds", "1", "--folder", tmp_path / "work",
               "--json", out]  # fmt: skip
    done = finished(command, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "and 24 generated a round on each side" in done.stdout
    ratio, idle = json.loads(out.read_text())["figures"]
    assert (ratio["unit"], ratio["bound"], idle["unit"], idle["bound"]) == ("x", 1.1, "%", 2.0)
    assert ratio["value"] > 0 and ratio["beside"]["best bare s"] > 0 and 0 <= idle["value"] <= 100
