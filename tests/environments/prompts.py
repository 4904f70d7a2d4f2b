"""Prompts about photos: as chat messages with images by address, and as rendered text."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

QUESTION = "Where is the kite? Answer with boxes."
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


def messages(photos: Sequence[Path], *, inline: bool = False) -> list[dict[str, Any]]:
    """One user's turn: numbered images, then the question.

    `inline` writes images as `data:` addresses; else they are `file://`, for an engine that may
    read them.
    """
    content: list[dict[str, Any]] = []
    for number, photo in enumerate(photos, 1):
        url = inlined(photo) if inline else photo.as_uri()
        content.append({"type": "text", "text": f"Image {number}: "})
        content.append({"type": "image_url", "image_url": {"url": url}})
    content.append({"type": "text", "text": QUESTION})
    return [{"role": "user", "content": content}]


def rendered(count: int) -> str:
    """The same turn about `count` images, as the small checkpoint's chat template writes it."""
    images = "".join(f"Image {number}: {IMAGE}" for number in range(1, count + 1))
    return f"<|im_start|>user\n{images}{QUESTION}<|im_end|>\n<|im_start|>assistant\n"


def inlined(photo: Path) -> str:
    """A PNG file as a `data:` address."""
    return "data:image/png;base64," + base64.b64encode(photo.read_bytes()).decode()
