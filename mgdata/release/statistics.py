"""What a release holds, in numbers: added up from its files' entries. Opens no file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mgdata.data import Flow
from mgdata.manifest import Entry

CELLS = 8
"""Cells a side into which the middles of targets are counted, over the whole of their image."""


class Part(Flow, frozen=True):
    """One split of one configuration."""

    config: str
    """Its configuration."""
    split: str
    """Its split."""
    files: int
    """Parquet files."""
    rows: int
    """Rows."""
    images: int
    """Images over all rows; one shown by several rows counts as often."""
    download: int
    """Bytes of its files."""
    loaded: int
    """Bytes of the encoded images over all rows, each row with its own copy."""


def parts(entries: Iterable[Entry]) -> list[Part]:
    """The splits of every configuration, in the order of the entries."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        key = (only(entry, "config"), only(entry, "split"))
        groups.setdefault(key, []).append(entry)
    return [
        Part(
            config=config,
            split=split,
            files=len(found),
            rows=sum(entry.rows for entry in found),
            images=sum(int(n) * rows for n, rows in histogram(found, "images").items()),
            download=sum(entry.data().bytes for entry in found),
            loaded=total(found, "decoded bytes"),
        )
        for (config, split), found in groups.items()
    ]


def by_config(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The entries of each configuration, in order."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(only(entry, "config"), []).append(entry)
    return groups


def histogram(entries: Iterable[Entry], name: str) -> dict[str, int]:
    """How often each value of `name=value` was counted: numbers in order, else most first."""
    counts = Counter[str]()
    for entry in entries:
        for key, n in entry.counts.items():
            if key.startswith(f"{name}="):
                counts[key.partition("=")[2]] += n
    if all(value.replace(".", "", 1).isdigit() for value in counts):
        return dict(sorted(counts.items(), key=lambda item: float(item[0])))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def traces(entries: Iterable[Entry]) -> dict[tuple[str, str, str], int]:
    """How many answers of a teacher there are by task, kind of prompt and what became of them.

    The last is `accepted` or the reason why not, as the judge stage counts them
    (`trace|task|kind|reason`); entries of other stages have none.
    """
    counts = Counter[tuple[str, str, str]]()
    for entry in entries:
        for key, n in entry.counts.items():
            if key.startswith("trace|"):
                _, task, kind, became = key.split("|", 3)
                counts[task, kind, became] += n
    return dict(counts)


def cell(x: float, y: float) -> str:
    """Name of the cell that a point lies in, given as shares of its image from 0 to 1."""
    column, row = (min(CELLS - 1, int(value * CELLS)) for value in (x, y))
    return str(row * CELLS + column)


def total(entries: Iterable[Entry], name: str) -> int:
    """A plain count over all entries."""
    return sum(entry.counts.get(name, 0) for entry in entries)


def only(entry: Entry, name: str) -> str:
    """The one value that an entry has of `name`.

    Raises:
        ValueError: none, or several.
    """
    values = [key.partition("=")[2] for key in entry.counts if key.startswith(f"{name}=")]
    if len(values) != 1:
        raise ValueError(f"entry {entry.name} has {len(values)} values of {name}")
    return values[0]


def size_category(rows: int) -> str:
    """The Hub's bucket for a number of rows (`size_categories` of a dataset card)."""
    names = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
    for power, name in enumerate(names, 3):
        if rows < 10**power:
            return f"n<{name}" if power == 3 else f"{names[power - 4]}<n<{name}"
    return "n>1T"


def megabytes(size: int) -> str:
    """Bytes for people, in decimal units."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6)):
        if size >= scale:
            return f"{size / scale:,.1f} {unit}"
    return f"{size / 1000:,.1f} kB"


def shares(counts: Sequence[int]) -> list[str]:
    """Each count's share of their sum, in percent."""
    whole = sum(counts) or 1
    return [f"{100 * n / whole:.1f} %" for n in counts]
