"""The benchmark of the 7B shape where it cannot run: it says so, and gives no figure."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from processes import finished

from tests.benchmarks.seven_billion import text_parameters, vision_parameters

ROOT = Path(__file__).parent.parent


def test_where_nothing_can_be_measured_one_sentence_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.gpu", "--json", tmp_path / "no.json"]
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = finished(command, cwd=ROOT, env=hidden)
    assert done.returncode == 0, done.stderr
    (said,) = done.stdout.splitlines()
    assert said.startswith(("No GPU can be used: ", "There is no GPU here "))
    assert said.endswith("nothing was measured.")
    assert not any(letter.isdigit() for letter in said.replace("7B", ""))
    assert not (tmp_path / "no.json").exists()


def test_the_shape_has_as_many_parameters_as_the_published_model() -> None:
    # The sizes of its weights files, in the index that is published with them, give the sum:
    # 16,584,333,312 bytes of bfloat16.
    assert text_parameters() == 7_615_616_512
    assert vision_parameters() == 676_550_144
    assert 2 * (text_parameters() + vision_parameters()) == 16_584_333_312
