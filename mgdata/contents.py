"""What makes two samples one: their pixels and what is asked about them, not the words.

Whoever makes a sample, a builder or a teacher's question, names it by this.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mgdata.data import Image, Turn
from mgdata.identity import content_id


def sample_id(images: Sequence[Image], turns: Sequence[Turn]) -> str:
    """Sixteen hex digits of images and turns; wording does not change it."""
    asked = msgspec.json.encode(
        (
            [(image.uri, image.edits) for image in images],
            [(t.kind, t.regions, t.targets, t.gold, t.options) for t in turns],
        )
    )
    return content_id(asked)


def with_slots(question: str, images: int) -> str:
    """A first question with an `<image:i>` slot for every image before it."""
    return "".join(f"<image:{i}>\n" for i in range(images)) + question
