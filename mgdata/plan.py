"""What a recipe would make and cost, from a few of its groups, before anything is built.

Drafts a block of neighbouring groups of every task, looks at the sizes of the images they use and
times a few of them at the recipe's own measures; everything else is multiplication.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mgdata import media
from mgdata.data import Flow, Image, Sample
from mgdata.edits import Codec, render
from mgdata.errors import EnvironmentFailure, Rejected, StorageError, boundary
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.manifest import Entry
from mgdata.recipe import Loaded
from mgdata.stages.choose import Chooser, allowed, assign_splits
from mgdata.stages.measure import Measurer
from mgdata.stages.unfit import UNFIT
from mgdata.storage import Store
from mgdata.tables import RecordTables

DRAFTED = 24
"""Groups, or samples where a group gives many, drafted a task and split."""
TIMED = 6
"""Images measured to tell the time."""


class Line(Flow, frozen=True, kw_only=True):
    """What one task makes in one split."""

    task: str
    split: str
    wanted: int
    """Samples the recipe asks for."""
    groups: int
    """Groups that its stream gave for them, in the first round."""
    samples: int
    """Samples expected, at the drafts' yield."""
    images: int
    """Distinct images expected."""
    bytes: int
    """Their encoded bytes."""


class Plan(Flow, frozen=True, kw_only=True):
    """What a recipe would make."""

    lines: tuple[Line, ...]
    shards: int
    """Build shards in the first round."""
    files: int
    """Release files."""
    seconds: float
    """Expected worker seconds for measuring and writing; divide by the workers."""

    @property
    def bytes(self) -> int:
        """Bytes the release will take."""
        return sum(line.bytes for line in self.lines)


def plan(loaded: Loaded, store: Store, index: Index, records: Sequence[Entry]) -> Plan:
    """The plan of a recipe over ingested records."""
    recipe = loaded.recipe
    mask, _ = allowed(index, loaded.filters)
    index = index.view(mask)
    splits = assign_splits(index, recipe.splits, recipe.seed)
    chooser = Chooser(recipe, loaded.builders, index, splits)
    payloads = list(chooser.round(0, {}))
    tables = RecordTables(store, [entry.data().path for entry in records])
    lines: list[Line] = []
    shown: dict[str, Image] = {}
    for (task, split), n in chooser.wanted.items():
        mine = [p for p in payloads if (p["task"], p["split"]) == (task, split)]
        groups = sum(len(p["rows"]) for p in mine)
        drafts, drafted = _draft(loaded, tables, mine[0], task, split) if mine else ([], 0)
        # A drawn mark or a crop makes another picture of the same file.
        images = {(i.uri, i.edits): i for sample in drafts for i in sample.images}
        shown.update((image.uri, image) for image in images.values())
        scale = min(groups * len(drafts) / drafted, n) / len(drafts) if drafts else 0.0
        distinct = round(len(images) * scale)
        mean = _mean_bytes(loaded, list(images.values()))
        lines.append(
            Line(
                task=task,
                split=split,
                wanted=n,
                groups=groups,
                samples=round(len(drafts) * scale),
                images=distinct,
                bytes=round(distinct * mean),
            )
        )
    files = sum(
        max(1, math.ceil(x.bytes / (recipe.release.file_mb * 1e6))) for x in lines if x.bytes
    )
    seconds = _seconds_an_image(loaded, list(shown.values())) * sum(line.images for line in lines)
    return Plan(lines=tuple(lines), shards=len(payloads), files=files, seconds=seconds)


def refuse_short_disk(found: Plan, store: Store) -> None:
    """Raise where the disk has no room for the release and its samples."""
    free = store.free()
    # Samples, ledger and manifest weigh a few kilobytes a sample beside the images.
    needed = found.bytes + sum(line.samples for line in found.lines) * 8_000
    if free is not None and needed > free:
        raise EnvironmentFailure(
            f"the release needs about {needed / 1e9:.1f} GB and {store.url} has "
            f"{free / 1e9:.1f} GB free: free some space or choose another --out"
        )


def lines(found: Plan) -> list[str]:
    """The plan for a terminal."""
    wide = max((len(line.task) for line in found.lines), default=4)
    numbers = " ".join(f"{name:>10}" for name in ("wanted", "samples", "images", "MB"))
    head = f"{'task':<{wide}} {'split':<12} {numbers}"
    shown = [head]
    for line in found.lines:
        shown.append(
            f"{line.task:<{wide}} {line.split:<12} {line.wanted:>10,} {line.samples:>10,} "
            f"{line.images:>10,} {line.bytes / 1e6:>10,.1f}"
        )
    total = sum(line.samples for line in found.lines)
    shown.append(
        f"{'total':<{wide + 13}} {sum(x.wanted for x in found.lines):>10,} {total:>10,} "
        f"{sum(x.images for x in found.lines):>10,} {found.bytes / 1e6:>10,.1f}"
    )
    shown.append(
        f"{found.shards:,} build shards, about {found.files:,} files, about "
        f"{found.seconds:,.0f} worker seconds"
    )
    return shown


def _draft(
    loaded: Loaded, tables: RecordTables, payload: dict[str, Any], task: str, split: str
) -> tuple[list[Sample], int]:
    """Samples of the first groups of a task, unmeasured and unfiltered, and of how many groups."""
    drafts: list[Sample] = []
    drafted = 0
    for rows, occurrence in zip(payload["rows"], payload["occurrences"], strict=True):
        if drafted == DRAFTED or len(drafts) >= DRAFTED:
            break
        drafted += 1
        records = [tables.record(row) for row in rows]
        keys = [record.key for record in records]
        rng = Stream("build", str(loaded.recipe.seed), task, split, *keys, str(occurrence))
        with suppress(*UNFIT), boundary(f"builder {task}", keys[0]):  # build says what it becomes
            built = loaded.builders[task].build(records, rng)
            drafts += [item for item in built if isinstance(item, Sample)]
    return drafts, drafted


def _mean_bytes(loaded: Loaded, images: Sequence[Image]) -> float:
    sizes: list[int] = []
    for image in images:
        corpus, _, path = image.uri.partition(":")
        try:
            sizes.append(media.size(loaded.corpora[corpus].root, path))
        except (StorageError, Rejected):
            continue
    if not sizes:
        return 0.0
    edited = [image for image in images if image.edits or media.is_frame(image.uri)]
    share = len(edited) / len(images)
    return sum(sizes) / len(sizes) * (1 - share + share * _growth(loaded, edited))


def _growth(loaded: Loaded, edited: Sequence[Image]) -> float:
    """How much larger an edited picture is than its file, from a few of them."""
    measurer = Measurer(loaded.roots, loaded.measures)
    codec = Codec(quality=loaded.recipe.release.codec.quality)
    before = after = 0
    for image in edited[:: max(1, len(edited) // TIMED)][:TIMED]:
        corpus, _, path = image.uri.partition(":")
        measured = measurer(image)
        if isinstance(measured, Image):
            data = media.read(loaded.corpora[corpus].root, path)
            before, after = before + len(data), after + len(render(data, measured, codec))
    return after / before if before else 1.0


def _seconds_an_image(loaded: Loaded, images: Sequence[Image]) -> float:
    """Seconds to measure one image, and as much again to write it."""
    some = images[:: max(1, len(images) // TIMED)][:TIMED]
    measurer = Measurer(loaded.roots, loaded.measures)
    begin = time.perf_counter()
    for image in some:
        measurer(image)
    return 2 * (time.perf_counter() - begin) / max(1, len(some))
