"""Index tables of records of any shape that have no pixels: to plan at published size.

Columns are those of `mgdata.index.Index`, as `mgdata.tables` would write them for records of that
shape. It makes numbers only; nothing in it can be ingested. Classes and phrases come in long tails,
as they do: class k of C is drawn about as often as 1 / sqrt(k).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from mgdata.identity import Stream, name_hash
from mgdata.synth.records import index_table

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute

CHUNK = 200_000
"""Records made at a time: some hundred megabytes."""
KINDS = ("add", "color", "drop", "material", "move")
_LETTERS = "bcdfghjklmnpqrtvwxz"
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that it maps different numbers to different 64-bit ones (the golden ratio's bits)."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Photos:
    """What a corpus of photos is like."""

    records: int
    regions: int
    """Boxes a photo, on average; from half to one and a half times as many."""
    classes: int
    annotated: Literal["all", "own", "no"] = "all"
    """Every class completely, each photo's own class alone, or none known to be complete."""
    parts: int = 0
    """The last so many classes are parts, named `thing:part`."""
    phrases: bool = False
    crowded: float = 0.02
    """Share of the photos with a crowd."""
    absent: int = 0
    """Classes that each photo says are not there, drawn as the boxes' classes are."""
    texts: tuple[int, ...] = ()
    """Numbers of regions of each photo's texts, one text a number."""


LIKE: dict[str, Photos] = {
    "coco": Photos(records=0, regions=7, classes=80),
    # Described things are classes; a photo is one of a group, whose other things are not in it.
    "d3": Photos(records=0, regions=2, classes=422, absent=3, crowded=0.0),
    "grand": Photos(records=0, regions=40, classes=20_000, phrases=True),
    "lvis": Photos(records=0, regions=11, classes=1203, annotated="no"),
    "objects365": Photos(records=0, regions=15, classes=365),
    # Objects and their parts.
    "paco": Photos(records=0, regions=14, classes=531, parts=456),
    "refcoco": Photos(records=0, regions=10, classes=80, texts=(1, 1, 1, 0, 2, 3)),
    # As ImageNet's: one class a photo.
    "voc": Photos(records=0, regions=2, classes=1000, annotated="own", crowded=0.0),
}
"""What the corpora of each layout are like, about; how large they are is asked for."""
CLIPS = (
    "davis",
    "got10k",
    "lasot",
    "motchallenge",
    "sav",
    "star",
    "tao",
    "trackingnet",
    "youtube_vos",
)
PAIRS = ("clevr_change", "img_diff", "magicbrush", "spot_the_diff")
VIEWS = ("egoexo4d", "mvtrack", "wildtrack")
LAYOUTS = tuple(sorted((*LIKE, *CLIPS, *PAIRS, *VIEWS)))
"""All that have an index here."""


def like(layout: str, records: int, corpus: str, seed: int) -> Iterator[pa.RecordBatch]:
    """The index of so many records of a layout, a piece at a time.

    Raises:
        KeyError: a layout of which there is no such index.
    """
    if layout in LIKE:
        yield from photos(replace(LIKE[layout], records=records), corpus, seed)
    elif layout in CLIPS:
        table = index_table(records, seed, [corpus])
        table = table.append_column("corpus", _same(corpus, records))
        if layout == "star":  # a question a clip, about a thing that every other frame shows
            table = table.append_column("expressions", _own(_same("toy", records)))
            halves = pa.array(table["images"].to_numpy() // 2, pa.int32())
            table = table.append_column("referents", _own(halves))
        yield from table.combine_chunks().to_batches()
    elif layout in PAIRS:
        table = pairs(records, corpus, seed, turns=2 if layout == "magicbrush" else 1)
        yield from table.combine_chunks().to_batches()
    elif layout in VIEWS:
        yield from views(records, corpus, seed).combine_chunks().to_batches()
    else:
        raise KeyError(layout)


def photos(spec: Photos, corpus: str, seed: int) -> Iterator[pa.RecordBatch]:
    """The index of a corpus of photos, a piece at a time, so that no more need be in memory."""
    names = _class_names(spec)
    for start in range(0, spec.records, CHUNK):
        rows = np.arange(start, min(start + CHUNK, spec.records), dtype=np.int64)
        yield _photos(spec, names, corpus, _raw(corpus, seed, start), rows)


def pairs(records: int, corpus: str, seed: int, *, turns: int = 1) -> pa.Table:
    """The index of a corpus of pairs with one change each, `turns` pairs a unit."""
    rows = np.arange(records, dtype=np.int64)
    raw = _raw(corpus, seed, 0)
    kind = _below(raw, len(KINDS), records)
    sides = np.where((kind == 0) | (kind == 2), 1, 2)
    own = _own(pa.array(KINDS).take(pa.array(kind)))
    return _table(
        corpus,
        rows,
        rows // turns * turns,
        "pair",
        images=np.full(records, 2),
        regions=np.full(records, 2),
        tracks=np.ones(records, np.int64),
        longest=sides,
        labels=own,
        counts=_own(pa.array(sides, pa.int32())),
        areas=_own(pa.array(0.02 + 0.1 * _unit(raw, records), pa.float32())),
        exhaustive=_own(pa.array(["*"] * records)),
    )


def views(records: int, corpus: str, seed: int, *, moments: int = 20) -> pa.Table:
    """The index of a corpus of takes, `moments` records each, three to five cameras a record."""
    rows = np.arange(records, dtype=np.int64)
    raw = _raw(corpus, seed, 0)
    cameras = 3 + _below(raw, 3, records)
    return _table(
        corpus,
        rows,
        rows // moments * moments,
        "views",
        images=cameras,
        regions=cameras * 3,
        tracks=np.full(records, 3),
        longest=cameras,
        labels=_own(pa.array([f"object {i}" for i in range(64)]).take(pa.array(rows % 64))),
        counts=_own(pa.array(cameras, pa.int32())),
        areas=_own(pa.array(0.01 + 0.1 * _unit(raw, records), pa.float32())),
    )


def _photos(spec: Photos, names: pa.Array, corpus: str, raw: Any, rows: Ints) -> pa.RecordBatch:
    n = len(rows)
    boxes = spec.regions // 2 + _below(raw, spec.regions + 1, n)
    boxes = np.maximum(boxes, 1)
    owner = np.repeat(np.arange(n), boxes)
    if spec.annotated == "own":  # every box of such a photo shows its own class
        drawn = _tail(raw, spec.classes, n)[owner]
    else:
        drawn = _tail(raw, spec.classes, len(owner))
    keys, counts = np.unique(owner * spec.classes + drawn, return_counts=True)
    at, codes = keys // spec.classes, keys % spec.classes
    starts = pa.array(np.searchsorted(at, np.arange(n + 1)), pa.int32())
    label = names.take(pa.array(codes))
    crowd = _unit(raw, n) < spec.crowded
    crowd_starts = pa.array(np.concatenate([[0], np.cumsum(crowd)]), pa.int32())
    crowds = names.take(pa.array(_tail(raw, spec.classes, int(crowd.sum()))))
    # Most boxes are small: the square of a uniform share.
    areas = _unit(raw, len(codes)) ** 2
    columns: dict[str, Any] = {
        "labels": pa.ListArray.from_arrays(starts, label),
        "counts": pa.ListArray.from_arrays(starts, pa.array(counts, pa.int32())),
        "areas": pa.ListArray.from_arrays(starts, pa.array(areas, pa.float32())),
        "smallest": pa.ListArray.from_arrays(starts, pa.array(areas / counts**2, pa.float32())),
        "crowds": pa.ListArray.from_arrays(crowd_starts, crowds),
    }
    if spec.annotated == "all":
        columns["exhaustive"] = _own(pa.array(["*"] * n))
    elif spec.annotated == "own":
        columns["exhaustive"] = pa.ListArray.from_arrays(starts, label)
    if spec.phrases:
        said = (_tail(raw, 1 << 22, len(owner)).astype(np.uint64) + np.uint64(1)) * _SPREAD
        offsets = pa.array(np.concatenate([[0], np.cumsum(boxes)]), pa.int32())
        columns["phrases"] = pa.ListArray.from_arrays(offsets, pa.array(said))
    if spec.absent:
        gone = names.take(pa.array(_tail(raw, spec.classes, n * spec.absent)))
        columns["absent"] = _each(gone, n)
    if spec.texts:
        # Each is about the first class of its photo.
        about = label.take(pa.array(np.repeat(starts.to_numpy()[:-1], len(spec.texts))))
        columns["expressions"] = _each(about, n)
        columns["referents"] = _each(pa.array(list(spec.texts) * n, pa.int32()), n)
    one = np.ones(n, np.int64)
    table = _table(corpus, rows, rows, "image", images=one, regions=boxes, tracks=0 * one,
                   longest=0 * one, **columns)  # fmt: skip
    return table.combine_chunks().to_batches()[0]


def _table(
    corpus: str,
    rows: Ints,
    units: Ints,
    shape: str,
    *,
    images: Ints,
    regions: Ints,
    tracks: Ints,
    longest: Ints,
    labels: pa.Array,
    counts: pa.Array,
    areas: pa.Array,
    **lists: pa.Array,
) -> pa.Table:
    n = len(rows)
    none = pa.array(np.zeros(n + 1, np.int32))
    empty = pa.ListArray.from_arrays(none, pa.array([], pa.string()))
    no_numbers = pa.ListArray.from_arrays(none, pa.array([], pa.uint64()))
    no_counts = pa.ListArray.from_arrays(none, pa.array([], pa.int32()))
    return pa.table(
        {
            "key": _keys(corpus, rows),
            "shape": _same(shape, n),
            "unit": _keys(corpus, units),
            "license": _same("unknown", n),
            "labels": labels,
            "counts": counts,
            "areas": areas,
            "smallest": lists.get("smallest", areas),
            "crowds": lists.get("crowds", empty),
            "exhaustive": lists.get("exhaustive", empty),
            "absent": lists.get("absent", empty),
            "expressions": lists.get("expressions", empty),
            "referents": lists.get("referents", no_counts),
            "phrases": lists.get("phrases", no_numbers),
            "names": _own(
                pa.array(rows.astype(np.uint64) * _SPREAD + np.uint64(name_hash(corpus)))
            ),
            "images": pa.array(images, pa.int32()),
            "regions": pa.array(regions, pa.int32()),
            "tracks": pa.array(tracks, pa.int32()),
            "longest": pa.array(longest, pa.int32()),
            "corpus": _same(corpus, n),
        }
    )


def _class_names(spec: Photos) -> pa.Array:
    whole = spec.classes - spec.parts
    names = [_word(i) for i in range(whole)]
    names += [f"{_word(i % max(whole, 1))}:part {i % 7}" for i in range(spec.parts)]
    return pa.array(names)


def _word(number: int) -> str:
    """A name that a question can use: `toy bcd`. No two differ in their plural's ending alone."""
    letters = ""
    while number or not letters:
        number, digit = divmod(number, len(_LETTERS))
        letters = _LETTERS[digit] + letters
    return f"toy {letters}"


def _raw(corpus: str, seed: int, start: int) -> Any:
    bits = Stream("synth", "photo records", corpus, str(seed), str(start)).below(1 << 62)
    return np.random.PCG64(bits).random_raw


def _unit(raw: Any, n: int) -> NDArray[np.float64]:
    """Uniform in [0, 1)."""
    return (np.asarray(raw(n), np.uint64) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _below(raw: Any, limit: int, n: int) -> Ints:
    return (_unit(raw, n) * limit).astype(np.int64)


def _tail(raw: Any, limit: int, n: int) -> Ints:
    """Numbers below a limit, small ones more often."""
    return (_unit(raw, n) ** 2 * limit).astype(np.int64)


def _each(values: pa.Array, n: int) -> pa.ListArray:
    """Lists of equal length, `n` of them."""
    return pa.ListArray.from_arrays(
        pa.array(np.arange(n + 1) * (len(values) // n), pa.int32()), values
    )


def _own(values: pa.Array) -> pa.ListArray:
    """Lists of one value each."""
    return pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1), pa.int32()), values)


def _same(text: str, n: int) -> pa.Array:
    return pa.array([text], pa.string()).take(pa.array(np.zeros(n, np.int64)))


def _keys(corpus: str, numbers: Ints) -> pa.Array:
    text = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 8, "0")
    return pc.binary_join_element_wise(_same(corpus, len(numbers)), text, "/")
