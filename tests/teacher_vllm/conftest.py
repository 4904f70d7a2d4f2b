"""Tests that need vLLM: `make test-vllm` runs them in .venv-vllm, on its CPU build.

Anywhere else they are not collected, as `make test` has no engine. An engine takes seconds to
start, so each kind is started once and shared: a test changes nothing of it. The benchmark's own
test runs where MGDATA_BENCH is set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from environments.engine import ARGUMENTS, set_variables

if os.environ.get("MGDATA_TEACHER") == "vllm":
    # Before vLLM or Ray is imported, as both read them then.
    set_variables()
    # The benchmark starts two engines, for a minute in which nothing of mgdata is judged.
    collect_ignore_glob = [] if os.environ.get("MGDATA_BENCH") else ["test_bench_*.py"]
else:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Qwen2.5-VL with random weights; never written to."""
    from environments.checkpoint import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six small photos, one more than a prompt may have; their folder is the server's `media`."""
    from environments.photos import write_photos

    return write_photos(tmp_path_factory.mktemp("photos"), 6)


@pytest.fixture(scope="session")
def server(checkpoint: Path, photos: list[Path]) -> Iterator[Any]:
    """An OpenAI-compatible server, as `environments.server.Server`."""
    from environments.server import serving
    from environments.taught import TOKENS

    # With seeds and prompts cut in parts, the CPU build's engine would end.
    whole = {"max_model_len": TOKENS, "enable_chunked_prefill": False}
    with serving(checkpoint, photos[0].parent, **whole) as server:
        yield server


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """Ray on this machine, with more logical cores than there are: engines here mostly wait."""
    import ray

    ray.init(address="local", num_cpus=8, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def engine(cluster: None, checkpoint: Path, photos: list[Path]) -> Iterator[Any]:
    """Handle of a Ray actor without a GPU that holds a `vllm.LLM`: `environments.actors.Engine`."""
    import ray
    from environments.actors import Engine, started

    actor = started(Engine, str(checkpoint), str(photos[0].parent), ARGUMENTS)
    yield actor
    ray.kill(actor)
