"""Settings under which vLLM's CPU build runs small and the same each time.

`VARIABLES` must be in the environment before vLLM is imported, in Ray actors too.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Any

IMAGES = 5
"""Images a prompt may have; one more is refused."""

VARIABLES = {
    "VLLM_TARGET_DEVICE": "cpu",
    # Threads are left to the machine: a server and two actors share its cores.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    # In one process `LLM` starts in 1.5 s; with an engine process of its own, 30 s.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # Compiling takes 60 s and gains nothing at this size.
    "TORCH_COMPILE_DISABLE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}

ARGUMENTS: dict[str, Any] = {
    "max_model_len": 2048,
    "max_num_seqs": 8,
    "limit_mm_per_prompt": {"image": IMAGES, "video": 0},
    "enforce_eager": True,
    "dtype": "float32",
    "seed": 0,
    "kv_cache_memory_bytes": 64 << 20,
    # Random weights prefer white space without end, which JSON allows.
    "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
}
"""What `vllm.LLM` and `vllm.AsyncEngineArgs` take, besides `model`."""


def set_variables(environment: MutableMapping[str, str] = os.environ) -> None:
    """Puts `VARIABLES` where they are not set yet."""
    for name, value in VARIABLES.items():
        environment.setdefault(name, value)
