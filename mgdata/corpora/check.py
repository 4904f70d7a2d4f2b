"""Reads a whole corpus at header level and says what it found, before anyone waits for a run.

It knows a corpus by its contract only, so it checks third parties' corpora too.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from mgdata.data import Drop, Record
from mgdata.errors import EnvironmentFailure, Rejected, StorageError, UsageError, boundary
from mgdata.media import file_of
from mgdata.plugins import Corpus
from mgdata.validity import record_fault

EXAMPLES = 3
"""Keys shown for each reason of a drop, and files shown that are not there."""
AS_EXPECTED = "as expected"


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """The drops of one reason."""

    count: int
    examples: tuple[str, ...]
    """The first keys, each with what was found there."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What reading every part of a corpus found. `msgspec.json.encode` writes it."""

    corpus: str
    root: str
    layout: str
    """`as expected`, or what was looked for and what was found instead."""
    license: str
    """The corpus' own."""
    homepage: str
    licenses: dict[str, int] = {}
    """Records by the licence they state, most first."""
    parts: int = 0
    records: int = 0
    images: int = 0
    regions: int = 0
    hidden: int = 0
    """Regions whose annotation says that the object is not visible in that image."""
    clipped: int = 0
    """Regions whose box left the image and was cut."""
    ignored: int = 0
    """Regions that the corpus asks not to count either way."""
    labels: dict[str, int] = {}
    """Regions by label, most first."""
    drops: dict[str, Dropped] = {}
    """Records that are not there, by reason."""
    skipped: dict[str, int] = {}
    """Regions and frames left out of records, by reason."""
    missing: tuple[str, ...] = ()
    """The first images that a record names and that are not on disk."""
    missing_images: int = 0
    seconds: float = 0.0
    seconds_per_1000_records: float = 0.0


@dataclass
class _Tally:
    counts: Counter[str] = field(default_factory=Counter[str])
    labels: Counter[str] = field(default_factory=Counter[str])
    licenses: Counter[str] = field(default_factory=Counter[str])
    skipped: Counter[str] = field(default_factory=Counter[str])
    drops: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    dropped: Counter[str] = field(default_factory=Counter[str])
    missing: list[str] = field(default_factory=list[str])
    folders: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])


def check(corpus: Corpus) -> Report:
    """Read every record of `corpus`; images by their header where the corpus itself does.

    Raises:
        EnvironmentFailure: the root is not there.
        PluginError: the corpus' own code failed; names the part.
    """
    if not corpus.root.exists():
        raise EnvironmentFailure(
            f"root of {corpus.name} is not there: {corpus.root.url}; "
            f"give the folder that holds the data, or get it from {corpus.homepage}"
        )
    begin = time.perf_counter()
    try:
        parts = corpus.parts()
    except UsageError as error:
        return _report(corpus, str(error), 0, _Tally(), time.perf_counter() - begin)
    tally = _Tally()
    for part in parts:
        # Every image of a clip lies in one folder: it is listed once, then forgotten.
        tally.folders.clear()
        for item in _read(corpus, part):
            if isinstance(item, Drop):
                _count_drop(tally, item)
            else:
                _count_record(tally, corpus, item)
    return _report(corpus, AS_EXPECTED, len(parts), tally, time.perf_counter() - begin)


def _read(corpus: Corpus, part: str) -> Iterator[Record | Drop]:
    """What ingest would make of one part: its records, and a drop for whatever is wrong."""
    try:
        with boundary(f"corpus {corpus.name}", f"part {part}"):
            for item in corpus.records(part):
                fault = record_fault(item) if isinstance(item, Record) else None
                yield corpus.drop(part, "invalid record", fault) if fault else item
    except Rejected as error:
        yield corpus.drop(part, error.reason, error.value)
    except StorageError as error:
        yield corpus.drop(part, "unreadable file", str(error))


def _count_drop(tally: _Tally, drop: Drop) -> None:
    tally.dropped[drop.reason] += 1
    examples = tally.drops.setdefault(drop.reason, [])
    if len(examples) < EXAMPLES:
        examples.append(f"{drop.key} ({drop.value})" if drop.value else drop.key)


def _count_record(tally: _Tally, corpus: Corpus, record: Record) -> None:
    tally.counts["records"] += 1
    tally.licenses[record.license] += 1
    tally.counts["images"] += len(record.images)
    tally.counts["regions"] += len(record.regions)
    for region in record.regions:
        tally.labels[region.label] += 1
        tally.counts["hidden"] += region.box is None
        tally.counts["clipped"] += region.clipped
        tally.counts["ignored"] += region.ignore
    tally.skipped.update(record.skipped)
    for path in _missing(tally, corpus, (image.uri for image in record.images)):
        tally.counts["missing"] += 1
        if len(tally.missing) < EXAMPLES:
            tally.missing.append(path)


def _missing(tally: _Tally, corpus: Corpus, uris: Iterable[str]) -> list[str]:
    """Paths of images that are not in the listing of their folder."""
    absent: list[str] = []
    for uri in uris:
        path = file_of(uri.removeprefix(f"{corpus.name}:"))
        folder, _, name = path.rpartition("/")
        if folder not in tally.folders:
            tally.folders[folder] = frozenset(corpus.root.list(folder))
        if name not in tally.folders[folder]:
            absent.append(path)
    return absent


def _report(corpus: Corpus, layout: str, parts: int, tally: _Tally, seconds: float) -> Report:
    counts = tally.counts
    records = counts["records"]
    return Report(
        corpus=corpus.name,
        root=corpus.root.url,
        layout=layout,
        license=corpus.license,
        homepage=corpus.homepage,
        licenses=_most_first(tally.licenses),
        parts=parts,
        records=records,
        images=counts["images"],
        regions=counts["regions"],
        hidden=counts["hidden"],
        clipped=counts["clipped"],
        ignored=counts["ignored"],
        labels=_most_first(tally.labels),
        drops={
            reason: Dropped(count=count, examples=tuple(tally.drops[reason]))
            for reason, count in _most_first(tally.dropped).items()
        },
        skipped=_most_first(tally.skipped),
        missing=tuple(tally.missing),
        missing_images=counts["missing"],
        seconds=round(seconds, 3),
        seconds_per_1000_records=round(1000 * seconds / records, 3) if records else 0.0,
    )


def _most_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def lines(report: Report, labels: int = 10) -> list[str]:
    """The report as a terminal shows it; `labels` is how many labels are named."""
    text = [
        f"{report.corpus} at {report.root}",
        f"layout    {report.layout}",
        f"licence   {_licence(report)}",
        f"data from {report.homepage}",
    ]
    if report.layout != AS_EXPECTED:  # nothing was read: noughts would only hide that
        return text
    notes = [
        f"{count:,} {words}"
        for count, words in (
            (report.hidden, "known not visible"),
            (report.clipped, "cut at the edge"),
            (report.ignored, "to ignore"),
        )
        if count
    ]
    shown = [f"{name} {count:,}" for name, count in report.labels.items()][:labels]
    more = len(report.labels) - len(shown)
    text += [
        f"records   {report.records:,} from {report.parts:,} part{'s' * (report.parts != 1)}",
        f"images    {report.images:,}",
        f"regions   {report.regions:,}" + (f": {', '.join(notes)}" if notes else ""),
        f"labels    {', '.join(shown) or 'none'}" + (f" and {more} more" if more > 0 else ""),
    ]
    for reason, drop in report.drops.items():
        text.append(f"dropped   {drop.count:,}  {reason}: {'; '.join(drop.examples)}")
    text.extend(f"skipped   {count:,}  {reason}" for reason, count in report.skipped.items())
    if report.missing_images:
        text.append(f"missing   {report.missing_images:,} images: {', '.join(report.missing)}")
    each = f", {report.seconds_per_1000_records:.2f} s per 1,000 records" if report.records else ""
    return [*text, f"time      {report.seconds:.2f} s{each}"]


def _licence(report: Report) -> str:
    """The corpus' licence, or what its records state where that is more."""
    if set(report.licenses) <= {report.license}:
        return report.license
    return ", ".join(f"{name} {count:,}" for name, count in report.licenses.items())
