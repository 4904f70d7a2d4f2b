"""Tests that need torch and transformers: `make test-teacher` runs them in .venv-transformers.

Anywhere else they are not collected, as `make test` has neither.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

if os.environ.get("MGDATA_TEACHER") == "transformers":
    # Read when torch is imported. Threads that wait for a busy core make small models slower.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    collect_ignore_glob = []
else:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Qwen2.5-VL with random weights; never written to."""
    from environments.checkpoint import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six small photos, one more than a prompt may have."""
    from environments.photos import write_photos

    return write_photos(tmp_path_factory.mktemp("photos"), 6)
