"""Markdown for cards: tables, and text of data that is safe in them. Knows nothing of a release."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a heading that begins with `>` is a column of numbers."""
    rule = ["---:" if name.startswith(">") else "---" for name in head]
    lines = [[name.removeprefix(">") for name in head], rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """Text that may hold anything, for a table's cell; what stands in backticks is code."""
    pieces = " ".join(text.split()).replace("|", "\\|").split("`")
    if len(pieces) % 2 == 0:
        pieces = ["".join(pieces)]
    # Inside code Markdown shows `<` as it is; outside it would begin a tag.
    pieces[::2] = [piece.replace("<", "&lt;") for piece in pieces[::2]]
    return "`".join(pieces)
