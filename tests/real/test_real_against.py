"""Real questions of MIG-Bench and MC-Bench on their way from a model to figures.

The sample of MIG-Bench has no pixels: a copy gets pictures of one colour, since what is looked at
here is questions, labels and pictures' way, and no model. MC-Bench's has those of some items.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image as Picture

from mgdata.against import answer_against
from mgdata.asked import Kind
from mgdata.data import Sampling
from mgdata.errors import EnvironmentFailure
from mgdata.questions import Question, questions_of
from mgdata.score import notation_of, score_file, source_of
from mgdata.teacher.prompts import prompt

pytestmark = pytest.mark.real

LONG = Sampling(max_tokens=4096)
NOTATIONS = ("qwen2-vl", "json", "qwen3-vl")


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """MIG-Bench's sample with pictures; its root."""
    folder = tmp_path_factory.mktemp("mig_bench")
    for file in (Path(os.environ["MGDATA_CORPORA"]) / "mig_bench").glob("MIG_data*.json"):
        shutil.copy(file, folder / "MIG_data.json")
    for item in json.loads((folder / "MIG_data.json").read_text()):
        for name in item["images"]:
            path = folder / name.removeprefix("./MIG-Bench/")
            path.parent.mkdir(parents=True, exist_ok=True)
            colour = "#" + hashlib.sha256(name.encode()).hexdigest()[:6]
            Picture.new("RGB", (640, 480), colour).save(path)
    return f"mig_bench={folder}"


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("kind", ["direct", "reason"])
def test_a_perfect_teacher_earns_full_marks_on_real_questions(
    notation: str, kind: Kind, painted: str, real_corpora: Path, tmp_path: Path
) -> None:
    for name, root in (("mig_bench", painted), ("mc_bench", f"mc_bench={real_corpora}/mc_bench")):
        file = tmp_path / f"{name}.jsonl"
        report = answer_against(
            name, file, "scripted", (), notation, kind=kind, sampling=LONG, roots=[root]
        )
        scores = score_file(file, name, notation, roots=[root])
        assert report.items == report.answered == scores.total["items"] > 0
        assert scores.total["acc@0.7"] == scores.total["format"] == 1.0
        assert report.left_out == scores.left_out


@pytest.mark.parametrize("notation", NOTATIONS)
def test_real_questions_hold_no_tokens_of_another_family(notation: str, painted: str) -> None:
    speaker = notation_of(notation, ())
    source = source_of("mig_bench", None, dict([painted.split("=")]), speaker, pictures=True)
    asked = questions_of(source)
    found = [one for part in source.parts() for one in asked.questions(part)]
    sound = [one for one in found if isinstance(one, Question)]
    assert len(sound) > 10
    for one in sound:
        text = prompt("direct", one.sample, 0, speaker).user
        own = notation == "qwen2-vl"
        assert own or ("box_start" not in text and "object_ref" not in text)
        assert "\u2039" not in text  # nothing had to be made harmless


def test_a_sample_without_pixels_is_refused(real_corpora: Path, tmp_path: Path) -> None:
    root = f"mig_bench={real_corpora}/mig_bench"
    with pytest.raises(EnvironmentFailure, match="missing image"):
        answer_against("mig_bench", tmp_path / "p.jsonl", "scripted", (), "json", roots=[root])
