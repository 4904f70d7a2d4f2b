"""Forms that a model can be held to, so that random weights give text that parses.

For vLLM's structured output: a JSON Schema or a regular expression, every number and every string
in it bounded, as a random model ends nothing by itself. Boxes are in pixels of `photos`, valid as
far as a grammar can say so: left and top come from the upper left half, right and bottom from the
other, so that none is inverted, empty or out of the image.
"""

from __future__ import annotations

from typing import Any

from environments.photos import HEIGHT, WIDTH


def boxes(images: int, most: int = 3) -> dict[str, Any]:
    """JSON Schema of a list of one to `most` boxes, as the `json` notation reads it."""
    edges = [
        {"type": "integer", "minimum": least, "maximum": last}
        for least, last in (
            (0, WIDTH // 2 - 1), (0, HEIGHT // 2 - 1), (WIDTH // 2, WIDTH), (HEIGHT // 2, HEIGHT),
        )
    ]  # fmt: skip
    fields = {
        "image": {"type": "integer", "minimum": 1, "maximum": images},
        "box": {"type": "array", "prefixItems": edges, "items": False, "minItems": 4},
        "label": {"enum": ["kite", "bus", "dog"]},
    }
    one = {
        "type": "object", "properties": fields, "required": list(fields),
        "additionalProperties": False,
    }  # fmt: skip
    return {"type": "array", "items": one, "minItems": 1, "maxItems": most}


def trace(images: int) -> str:
    """Regular expression of `<think>...</think><answer>...</answer>` with one box in `json`."""
    # 10 to 83 across, 10 to 55 down; 84 to 168 across, 56 to 112 down.
    edges = "[1-7][0-9]", "[1-4][0-9]", "(8[4-9]|9[0-9]|1[0-5][0-9])", "([6-9][0-9]|10[0-9])"
    found = f'\\[\\{{"image": [1-{images}], "box": \\[{", ".join(edges)}\\], "label": "kite"\\}}\\]'
    return f"<think>[a-z ]{{20,80}}</think><answer>{found}</answer>"
