"""Three nodes, one of which is lost in the middle; and a node with another mgdata."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import small_runs

from mgdata import api
from mgdata.engine.ray import RayEngine
from mgdata.engine.serial import SerialEngine
from mgdata.engine.stage import Tell
from mgdata.resources import PACKAGE
from mgdata.run import Run

SLOW = '''
"""Object tracking that takes its time, until a file says that it must hurry."""
import os, pathlib, time
from dataclasses import dataclass
from builders.object_tracking import ObjectTracking

@dataclass(frozen=True, kw_only=True)
class Slow(ObjectTracking):
    def build(self, records, rng):
        hurry = os.environ.get("HURRY")
        if hurry and not pathlib.Path(hurry).exists():
            time.sleep(0.75)
        yield from super().build(records, rng)
'''
GROUPS = 4
"""A shard takes 3 s: the workers of a killed raylet live up to 2 s longer."""


@pytest.fixture(scope="module")
def hurry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file which, once it is there, ends all slowness."""
    return tmp_path_factory.mktemp("hurry") / "now"


@pytest.fixture(scope="module")
def cluster(hurry: Path) -> Iterator[Any]:
    """A head and two nodes, a CPU each, whose death is seen within a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HURRY", str(hurry))
        from ray.cluster_utils import Cluster

        store = {"object_store_memory": 100 * 1024 * 1024}
        checks = {
            "health_check_initial_delay_ms": 0,
            "health_check_period_ms": 300,
            "health_check_timeout_ms": 1000,
            "health_check_failure_threshold": 2,
        }
        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": checks, **store}
        made = Cluster(initialize_head=True, head_node_args=head)
        made.others = [made.add_node(num_cpus=1, **store) for _ in range(2)]
        made.wait_for_nodes()
    yield made
    made.shutdown()


class Assassin:
    """Hears a run's events; kills a node whose worker has just done a shard and got another.

    So the node holds a shard that has hardly begun, and one that waits beside it.
    """

    def __init__(self, cluster: Any, hurry: Path) -> None:
        self._hurry = hurry
        self._nodes = {node.node_id: node for node in cluster.others}
        self._cluster = cluster
        self._at: dict[str, str] = {}
        self._idle = ""
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.victim = ""
        self.held: set[str] = set()

    def __call__(self, name: str, facts: dict[str, Any]) -> None:
        self.events.append((name, facts))
        if name == "worker lost":
            self._hurry.touch()
        if facts.get("stage") != "build":
            return
        shard = facts.get("shard", "")
        if name == "shard done":
            self._idle = self._at.pop(shard)
        elif name == "shard started":
            node = self._at[shard] = facts["node"]
            held = {name for name, at in self._at.items() if at == node}
            if not self.victim and node == self._idle and node in self._nodes and len(held) == 2:
                self.victim, self.held = node, held
                self._cluster.remove_node(self._nodes[node], allow_graceful=False)

    def of(self, name: str) -> list[dict[str, Any]]:
        return [facts for told, facts in self.events if told == name]


def test_a_worker_with_another_mgdata_than_the_driver_is_refused(
    cluster: Any, tmp_path: Path
) -> None:
    for folder in (PACKAGE, PACKAGE.parent / "builders"):
        shutil.copytree(folder, tmp_path / "other" / folder.name)
    with (tmp_path / "other/mgdata/geometry.py").open("a") as file:
        file.write("# Somebody was here.\n")
    roots = small_runs.write_corpora(tmp_path / "corpora")
    recipe = small_runs.write_recipe(tmp_path / "small.yaml")
    refused = small_runs.run(
        recipe, roots, tmp_path / "run", "--address", cluster.address,
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "other")},
    )  # fmt: skip
    assert refused.returncode == 3
    (sentence,) = [x for x in refused.stderr.splitlines() if x.startswith("mgdata: ")]
    assert f"the worker on {os.uname().nodename} differs from this driver" in sentence
    assert "mgdata's source" in sentence
    assert "install the same mgdata and constraints.txt there" in sentence
    assert "Traceback" not in refused.stderr


def test_a_run_that_loses_a_node_does_its_shards_again_and_ends_in_the_same_bytes(
    cluster: Any, hurry: Path, tmp_path: Path
) -> None:
    roots = small_runs.write_corpora(tmp_path / "corpora")
    (tmp_path / "slow.py").write_text(SLOW)
    task = {"samples": 32, "builder": f"{tmp_path}/slow.py:Slow", "with": {"per_clip": 12}}
    recipe = small_runs.write_recipe(
        tmp_path / "small.yaml", tasks={"object_tracking": task}, build={"groups": GROUPS}
    )
    loaded = api.load(str(recipe), None, [f"{name}={path}" for name, path in roots.items()])
    told = Assassin(cluster, hurry)

    def on_cluster(tell: Tell) -> RayEngine:
        return RayEngine(tell, address=cluster.address)

    with Run(loaded, str(tmp_path / "ray"), tell=told, engine=on_cluster) as run:
        run.until("release")
    with Run(loaded, str(tmp_path / "one"), tell=lambda *_: None, engine=SerialEngine) as run:
        run.until("release")

    assert len({facts["node"] for facts in told.of("worker started")}) == 3
    assert told.held, "the lost node held no unfinished shard"
    (lost,) = told.of("worker lost")
    assert lost["node"] == told.victim
    assert set(lost["shards"]) == told.held
    (queued,) = told.of("shards re-queued")
    assert set(queued["shards"]) == told.held
    starts = [(f["shard"], f["node"]) for f in told.of("shard started") if f["stage"] == "build"]
    again = [shard for shard, _ in starts]
    assert {shard for shard in again if again.count(shard) > 1} == told.held
    assert all(dict(starts)[shard] != told.victim for shard in told.held)  # the last start
    assert small_runs.digests(tmp_path / "ray/release") == small_runs.digests(
        tmp_path / "one/release"
    )
