"""The benchmark of vLLM, but for vLLM: what it asks, and what it makes of the rounds."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
from processes import finished

from tests.benchmarks.asked_samples import A_SHARD, Work, asked, shards, write_round
from tests.benchmarks.vllm_answers import equal, figures, unlike

ROOT = Path(__file__).parent.parent
WORK = Work(samples=A_SHARD + 3, images=2, tokens=512)


def test_where_vllm_is_not_installed_nothing_is_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.vllm_answers", "--folder", tmp_path / "w",
               "--json", tmp_path / "no.json"]  # fmt: skip
    done = finished(command, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "not installed here" in done.stdout and "nothing was measured" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_every_sample_is_asked_once_about_photos_of_its_own(tmp_path: Path) -> None:
    rounds = []
    for number in (1, 2):
        out = tmp_path / f"out-{number}"
        write_round(tmp_path / "photos", out, WORK, number)
        rounds.append(asked(tmp_path / "photos", out, WORK))
    on_disk = {hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.rglob("*.jpg")}
    shown = [name for requests in rounds for request in requests for name in request.pictures]
    assert len(shown) == 2 * WORK.samples * WORK.images and set(shown) == on_disk
    assert len(on_disk) == len(shown)
    for requests in rounds:
        assert len(requests) == WORK.samples == len({request.seed for request in requests})
        assert all(request.user.count("<image>") == WORK.images for request in requests)
        # A form could end an answer early; so could the model's own end.
        assert all(request.schema is None and request.pattern is None for request in requests)
        assert all(r.sampling.ignore_eos and r.sampling.max_tokens == 512 for r in requests)


def test_shards_hold_every_sample_once() -> None:
    rows = [row for shard in shards(WORK) for _, some in shard.payload["picks"] for row in some]
    assert rows == list(range(WORK.samples))
    assert [len(shard.payload["wants"]) for shard in shards(WORK)] == [A_SHARD, 3]


def side(*rounds: dict[str, float]) -> list[dict[str, float]]:
    return [{"prompt_tokens": 9, "tokens": 4, "cpu": 2.0, **one} for one in rounds]


def test_the_ratio_is_of_the_best_rounds_and_the_idle_share_the_median() -> None:
    ours = [{"seconds": s, "idle": i, "room": 1.0} for s, i in ((11, 0.11), (10, 1.0), (20, 0.2))]
    ratio, idle = figures({"ours": side(*ours), "bare": side({"seconds": 12}, {"seconds": 8})})
    assert ratio.value == pytest.approx(10 / 8) and ratio.verdict == "missed"
    assert idle.value == pytest.approx(1.0) and idle.verdict == "met"
    assert idle.beside["worst %"] == pytest.approx(10.0)


def test_sides_that_did_other_work_are_not_compared() -> None:
    ours = side({"seconds": 1})
    assert unlike({"ours": ours, "bare": side({"seconds": 2})}) == ""
    for name in ("tokens", "prompt_tokens"):
        other = side({"seconds": 2, name: 3})
        assert unlike({"ours": ours, "bare": other}).startswith(f"{name} differ")


def test_equal_answers_are_counted_over_all_rounds() -> None:
    ours, bare = ([{"texts": t} for t in texts] for texts in (["ab", "cd"], ["ab", "ce"]))
    assert equal({"ours": ours, "bare": bare}) == (3, 4)
