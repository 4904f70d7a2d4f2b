"""Small runs whose teacher is a model with random weights: samples of three to five images.

Of what such a model says next to nothing is right, so what is accepted is asked for twice over:
`LOOSE` takes whatever can be read, the defaults take none of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from teacher_runs import Taught, built, section

IMAGES = 5
TASKS = {
    "object_tracking": {
        "samples": 9,
        "with": {"per_clip": 6, "frames": [3, IMAGES], "given": "mixed", "turns": "mixed"},
    }
}
TOKENS = 4096
"""Tokens of prompt and answer together: prompts have some 2,000 in the small vocabulary."""
LOOSE: dict[str, Any] = {"iou": 0.0, "f1": 0.0, "images": False}
BLIND: dict[str, Any] = {"leaks": False, "consistency": False, "language": None}
"""How it is reasoned is not looked at."""


def samples(folder: Path) -> Taught:
    """Samples about which nothing is asked yet."""
    return built(folder, tasks=TASKS)


def asked(backend: str, settings: dict[str, Any], *, loose: bool) -> dict[str, Any]:
    """The recipe's section: answers that reason, and short ones, several a turn."""
    accept = {**LOOSE, **BLIND} if loose else {}
    return section(
        backend=backend,
        **{"with": settings},
        cot={
            "accept": {"first": 2, "most": 2, **accept},
            "sampling": {"temperature": 1.0, "max_tokens": 200},
        },
        rl={
            "share": 0.4, "answers": 8, "prompt": "direct", **(LOOSE if loose else {}),
            "sampling": {"temperature": 1.0, "max_tokens": 200},
        },
    )  # fmt: skip
