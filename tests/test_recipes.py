"""Every recipe runs end to end on small synthetic corpora, with nothing changed but its counts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from small_runs import digests, done
from synthetic_corpora import write_corpora

from mgdata import load_recipe
from mgdata import run as run_recipe
from mgdata.data import count_of
from mgdata.manifest import Manifest
from mgdata.recipe import read
from mgdata.release.check import check
from mgdata.resources import recipes
from mgdata.run import Outcome
from mgdata.storage import Store
from mgdata.tables import read_ledger

SAMPLES = 10
"""Of each task, one of them held out where the recipe holds out a tenth."""
FEWER = {
    "mirg-trajectories": {"common_object": 6},
    "teacher-demo": {"object_tracking": 30},
    "cot-cold-start": {"common-objects365": 4},
    "rl-rejection": {"common-objects365": 4},
    # As many as the small corpora have; of four samples a tenth is none.
    "common-object": {"common_object": 4},
    "correspondence": {"correspondence": 4},
    "static-difference": {"generated": 4},
    "mgrounding-630k": {"common-objects365": 4},
    "mig-bench": {
        "static_difference": 4,
        "robust_difference": 2,
        "multi_view": 6,
        "correspondence": 6,
    },
}
ON_RAY = {"mig-bench": 10, "mg-data-240k": 4}
"""Recipes with the number of their configurations: each task, Parquet cells, video frames, crops."""
STAGES = ("ingest", "choose", "build", "settle", "release")

FAULTS: dict[str, dict[str, Any]] = {
    # A teacher that is always right passes every turn: none is worth training on.
    "rl-rejection": {"faults": {"offset_box": 0.4, "wrong_words": 0.1}},
    "cot-cold-start": {"faults": {"offset_box": 0.1, "leaked_answer": 0.1}},
}
"""Settings of the scripted teacher that stands in for a recipe's own."""
TAUGHT = {"cot": 20, "direct": 20, "rl": 10, "free_form": 12}
"""Rows that a recipe with a teacher is asked for, by configuration."""

Made = tuple[Path, Path, Outcome]
"""The recipe with small counts, the run's folder, and how it ended."""


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Roots of small corpora, for each recipe by the names that it gives them."""
    roots = write_corpora(tmp_path_factory.mktemp("all"))
    return {name: {corpus: roots[corpus] for corpus in read(name).corpora} for name in recipes()}


@pytest.fixture(scope="session", params=sorted(recipes()))
def made(
    request: pytest.FixtureRequest,
    corpora: dict[str, dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Made:
    """One finished serial run of each recipe; never written to."""
    folder = tmp_path_factory.mktemp(request.param)
    small = with_small_counts(request.param, folder)
    pairs = [f"{name}={path}" for name, path in corpora[request.param].items()]
    loaded = load_recipe(str(small), None, pairs)
    return small, folder / "run", run_recipe(loaded, str(folder / "run"), engine="serial")


def with_small_counts(name: str, folder: Path) -> Path:
    """The recipe as it is but for the counts."""
    document = yaml.safe_load(recipes()[name].read_text())
    for task, section in document["tasks"].items():
        section["samples"] = FEWER.get(name, {}).get(task, SAMPLES)
    if "teacher" in document:
        _teach_by_script(document)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def _teach_by_script(document: dict[str, Any]) -> None:
    """Put a teacher that needs no weights in the place of a model, and ask for few rows of it."""
    teacher, name = document["teacher"], document["name"]
    if teacher["backend"] == "scripted":
        return
    teacher |= {"backend": "scripted", "with": FAULTS.get(name, {}), "samples": 8}
    if "rows" in teacher.get("cot", {}):
        teacher["cot"]["rows"] = 20
    if "rl" in teacher:
        teacher["rl"] |= {"rows": 10, "answers": 4}
    if "write" in teacher:
        teacher["write"]["rows"] = dict.fromkeys(document["tasks"], 4)
    if "embedding" in document.get("measures", {}):
        document["measures"]["appearance"] = document["measures"].pop("embedding") and {}
        for section in document["tasks"].values():
            if section["with"]["by"] == "alike":
                section["with"]["vectors"] = "appearance"


def test_every_task_has_a_recipe_of_its_own() -> None:
    tasks = {name.replace("-", "_") for name in recipes()}
    used = {task.builder or key for name in recipes() for key, task in read(name).tasks.items()}
    assert used <= tasks
    assert len(used) == 15


def test_a_recipe_makes_what_it_asks_for_and_nothing_is_wrong_with_it(made: Made) -> None:
    small, folder, outcome = made
    assert outcome.worked
    assert outcome.short == ()
    wanted = read(small).tasks
    verdict = check(folder)
    assert verdict.faults == ()
    found = Counter[str]()
    for path in (folder / "release/data").rglob("*.parquet"):
        table = pq.read_table(path)
        assert table.num_rows > 0
        found.update({path.parent.name: table.num_rows})
    asked = Counter[str]()
    for name, task in wanted.items():
        asked[task.config or name] += task.samples
    if read(small).name == "teacher-demo":  # which asks for no numbers
        assert set(found) == {"cot", "direct", "rl"}
        asked = found
    elif read(small).teacher:
        asked = Counter({config: TAUGHT[config] for config in found})
        assert found
    assert verdict.rows == asked.total()
    assert found == asked


def test_shares_of_none_one_and_many_targets_are_met_to_the_sample(made: Made) -> None:
    small, folder, _ = made
    shares = {name: task for name, task in read(small).tasks.items() if task.shares is not None}
    if read(small).teacher:  # whose answers decide what becomes a row
        shares = {}
    found = Counter[tuple[str, str]]()
    for path in (folder / "release/data").rglob("*.parquet"):
        for row in pq.read_table(path, columns=["task", "turns"]).to_pylist():
            if row["task"] in shares:
                targets = sum(len(turn["targets"]) for turn in row["turns"])
                found[row["task"], count_of(targets)] += 1
    asked = {(name, task.settings["count"]): task.samples for name, task in shares.items()}
    assert found == asked


def test_whatever_a_recipe_drops_has_a_reason_in_the_ledger(made: Made) -> None:
    store = Store(str(made[1]))
    manifest = Manifest(store)
    for stage in STAGES:
        for entry in manifest.entries(stage).values():
            ledger = [file.path for file in entry.files if file.path.startswith("ledger/")]
            drops = [drop for path in ledger for drop in read_ledger(store.local(path))]
            assert all(drop.key and drop.reason for drop in drops)
            assert Counter(drop.reason for drop in drops) == entry.drops
    out = {step.stage: step.out for step in made[2].steps}
    lost = {step.stage: sum(step.dropped.values()) for step in made[2].steps}
    assert out["ingest"] == out["choose"] + lost["choose"] + lost.get("measure", 0)
    settled = next(step for step in made[2].steps if step.stage == "settle")
    surplus = settled.noted.get("surplus samples", 0)
    assert out["build"] == out["settle"] + lost["settle"] + surplus
    if not read(made[0]).teacher:
        assert out["settle"] == out["release"]


@pytest.mark.parametrize("made", ["mig-bench"], indirect=True)
def test_the_benchmark_asks_one_question_for_one_box_of_as_many_images_as_published(
    made: Made,
) -> None:
    images = {
        "static_difference": {2}, "robust_difference": {2}, "common_object": {3, 4, 5},
        "object_tracking": {6}, "multi_view": {2, 3, 4, 5, 6}, "region_locating": {2, 3, 4},
        "referring": {2}, "group_grounding": {3, 4, 5}, "reasoning": {2}, "correspondence": {2},
    }  # fmt: skip
    published = [528, 94, 816, 550, 288, 1203, 99, 499, 101, 117]
    assert [read("mig-bench").tasks[task].samples for task in images] == published
    for path in (made[1] / "release/data").rglob("*.parquet"):
        for row in pq.read_table(path, columns=["image_info", "turns"]).to_pylist():
            (turn,) = row["turns"]
            assert len(turn["targets"]) == 1
            assert len(row["image_info"]) in images[path.parent.name]


def test_the_training_set_asks_for_the_published_counts_of_each_source() -> None:
    counts = Counter[str]()
    for task in read("mgrounding-630k").tasks.values():
        counts.update({task.corpora[0]: task.samples})
    assert counts.total() == 530_000
    assert counts == {
        "clevr_change": 40_000, "magicbrush": 10_000, "img_diff": 10_000, "spot_the_diff": 10_000,
        "objects365": 51_000 + 70_000, "imagenet": 16_000 + 70_000, "coco": 3_000,
        "trackingnet": 100_000, "got10k": 18_000, "lasot": 10_000, "motchallenge": 2_000,
        "grand": 120_000,
    }  # fmt: skip


@pytest.mark.parametrize("made", sorted(ON_RAY), indirect=True)
def test_ray_makes_the_same_files_of_every_task(
    made: Made, corpora: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    small, folder, _ = made
    name = read(small).name
    done(small, corpora[name], tmp_path / "ray", "--engine", "ray", "--workers", "2")
    data = digests(folder / "release/data")
    assert digests(tmp_path / "ray/release/data") == data
    assert len(data) == ON_RAY[name]
