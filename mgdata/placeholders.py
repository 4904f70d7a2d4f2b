"""`<image:i>`, `<region:i>` and `<target:i>`: where pixels and boxes stand in a turn's text.

Text never holds the digits of a box before a notation writes them. Indices are 0-based: image i
of the sample, region i and target i of the turn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_SLOT = re.compile(r"<(image|region|target):(\d+)>")


def find(text: str) -> list[tuple[str, int]]:
    """Every placeholder of `text` in order, as (kind, index)."""
    return [(m[1], int(m[2])) for m in _SLOT.finditer(text)]


def fill(text: str, **written: Sequence[str]) -> str:
    """Replace the placeholders of the kinds given in `written` by its i-th text.

    Raises:
        ValueError: an index beyond what is given.
    """

    def replace(match: re.Match[str]) -> str:
        texts = written.get(match[1])
        if texts is None:
            return match[0]
        index = int(match[2])
        if index >= len(texts):
            raise ValueError(f"{match[0]} has no value: {len(texts)} given")
        return texts[index]

    return _SLOT.sub(replace, text)


def check(question: str, answer: str, sizes: Mapping[str, int]) -> str | None:
    """What is wrong with a turn's placeholders, or None.

    `sizes` holds how many images, regions and targets the turn has. Every region must be written
    in the question or the answer and every target in the answer, each at least once; a target
    must not stand in the question, which would give the answer away.
    """
    asked, told = find(question), find(answer)
    for kind, index in asked + told:
        if index >= sizes[kind]:
            return f"<{kind}:{index}> is beyond the last {kind}"
    if any(kind == "target" for kind, _ in asked):
        return "the question holds a target"
    written = {(kind, index) for kind, index in asked + told}
    for kind in ("region", "target"):
        for index in range(sizes[kind]):
            if (kind, index) not in written:
                return f"<{kind}:{index}> is written nowhere"
    return None
