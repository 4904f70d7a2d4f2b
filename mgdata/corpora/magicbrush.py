"""MagicBrush: photos edited step by step with a mask and an instruction, in Parquet.

    ROOT/data/train-00000-of-00051-<hex>.parquet    8,807 rows
    ROOT/data/dev-00000-of-00004-<hex>.parquet      528 rows
    columns: img_id (a COCO id as text), turn_index, source_img, mask_img, instruction, target_img;
    an image is a struct of `bytes` and `path`

After the dataset card of osunlp/MagicBrush (CC-BY-4.0). From turn 2 on the source is the picture
that the turn before made, so all turns of a photo are one unit.

`dev` is left out unless asked for: MIG-Bench's static differences have as many items, 528, and
file names of the same make, `<img_id>_<turn>_source.png`, so they are very likely all of it.

The mask limits the edit and covers more than what it changed. It is found in two makes, told apart
by their pixels: transparent where the edit is (as DALL-E 2 takes it), or white there, on black or
over the photo. Each of its parts is cut down to the pixels in it that differ between source and
target (`differences`). A turn is dropped where that box agrees too little with the mask's, or where
too many of the changed pixels lie outside; changes outside are counted, and then the pair is not
said to be annotated completely. The region stands in both pictures at the same
place, as an edit does not say which side lacks something. The label is `change`, the phrase the
instruction.

An image's uri has a part, `data/<file>.parquet#row=12&column=source_img`, with rows counted from 0
over the whole file. A worker holds a row group's images twice: about a gigabyte for 100 rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from mgdata import media
from mgdata.corpora import clips, differences
from mgdata.corpora.differences import Mask, Pixels
from mgdata.data import ALL, Drop, Image, Record, Region, Shape
from mgdata.errors import Rejected, StorageError
from mgdata.headers import Header
from mgdata.plugins import Corpus
from mgdata.storage import unreachable

Row = dict[str, Any]
"""A pyarrow scalar a column."""

LABEL = "change"
COLUMNS = ("img_id", "turn_index", "source_img", "mask_img", "instruction", "target_img")
ROWS = 4
"""Rows held in memory at a time: three pictures of a megabyte each."""

BUFFER = 1 << 20
"""Bytes of a column read at a time: 950 MB at the peak instead of 1,175 over a row group of 317."""

OUTSIDE = "changed outside the mask"
UNTOUCHED = "nothing changed in the mask"
UNREADABLE = "unreadable parquet file"
WHITE = 250
"""Grey level from which a channel counts as white."""
DARK = 5
"""Grey level up to which a channel counts as black."""
HALF = 128
"""Alpha below which a pixel counts as transparent."""
ALIKE = 0.01
"""How far the proportions of mask or target may be from the source's, as a share."""
SPECK = 0.0002
"""Least part of a mask, as a share of the picture: less is a slip of the brush."""
NEAR = 0.02
"""Parts of a mask nearer than this share of the picture's shorter side are one."""
RIM = 0.01
"""How far a change may reach beyond its mask, as a share of the picture's shorter side."""


@dataclass(frozen=True)
class _Side:
    """One picture of a row."""

    image: Image
    header: Header
    pixels: Pixels


@dataclass(frozen=True, kw_only=True)
class MagicBrush(Corpus):
    """Reads MagicBrush: a record is a turn, its key `<name>/<img_id>-<turn_index>`."""

    license: ClassVar[str] = "CC-BY-4.0"
    homepage: ClassVar[str] = "https://huggingface.co/datasets/osunlp/MagicBrush"
    layout: ClassVar[str] = (
        "data/train-*.parquet, data/dev-*.parquet\n"
        "(img_id, turn_index, source_img, mask_img, instruction, target_img)"
    )
    shape: ClassVar[Shape] = "pair"

    splits: tuple[Literal["train", "dev"], ...] = ("train",)
    """Which files are read. `dev` is very likely MIG-Bench's: read it only to exclude it."""
    tighten: bool = True
    """Cut the mask's box down to the pixels that changed; else the mask's box is taken as it is."""
    agreement: float = 0.1
    """Least IoU of the tightened box with its mask's box: below, the mask says little."""
    spill: float = 0.5
    """Share of the changed pixels that may lie outside the mask."""
    threshold: float = 30.0
    """Grey levels by which a pixel must differ, more where the pictures are noisy."""
    min_area: float = 0.0005
    """Least number of changed pixels of a box, as a share of the picture's."""

    def parts(self) -> list[str]:
        """The Parquet files of the splits.

        Raises:
            UsageError: a split has none.
        """
        names = self.root.list("data")
        found: list[str] = []
        for split in self.splits:
            own = [n for n in names if n.startswith(f"{split}-") and n.endswith(".parquet")]
            if not own:
                raise clips.wrong_layout(self, f"data/{split}-*.parquet")
            found += [f"data/{name}" for name in own]
        return found

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The records of one file in its order, or their drops."""
        seen: set[str] = set()
        done = 0
        try:
            for row in _rows(self, part):
                yield self._turn(part, done, row, seen)
                done += 1
        except Rejected as error:
            where = f"{part}#row={done}" if done else part
            yield self.drop(where, error.reason, error.value)

    def _turn(self, part: str, number: int, row: Row, seen: set[str]) -> Record | Drop:
        place = key = f"{part}#row={number}"
        try:
            img_id, turn = _name(row)
            if f"{img_id}-{turn}" in seen:
                raise Rejected("repeated id", f"{img_id}-{turn}")
            key = f"{img_id}-{turn}"
            seen.add(key)
            return self._record(self.uri(place), key, img_id, row)
        except Rejected as error:
            return self.drop(key, error.reason, error.value)

    def _record(self, uri: str, key: str, unit: str, row: Row) -> Record:
        phrase = _instruction(row)
        sides = [_side(uri, row, column) for column in ("source_img", "target_img")]
        _alike("target", sides[0].header, sides[1].header)
        masks, skipped = self._masks(row, sides)
        skipped["blank instruction"] += phrase is None
        return Record(
            key=f"{self.name}/{key}",
            shape=self.shape,
            unit=unit,
            images=tuple(side.image for side in sides),
            regions=self._regions(masks, sides, phrase),
            license=self.license,
            exhaustive=(ALL,) if self.tighten and not skipped[OUTSIDE] else (),
            skipped=dict(sorted((+skipped).items())),
        )

    def _regions(
        self, masks: Sequence[Mask], sides: Sequence[_Side], phrase: str | None
    ) -> tuple[Region, ...]:
        headers = [side.header for side in sides]
        return differences.both_sides(masks, headers, label=LABEL, phrase=phrase)

    def _masks(self, row: Row, sides: Sequence[_Side]) -> tuple[list[Mask], Counter[str]]:
        """The parts of the mask, tightened where that is asked for; what was left out.

        Raises:
            Rejected: no mask, nothing masked, nothing changed, or the change is elsewhere.
        """
        header, drawn = _decoded(row, "mask_img", "RGBA")
        source = sides[0]
        _alike("mask", source.header, header)
        size = differences.working_size(source.header.width, source.header.height)
        whole = masked(drawn, source.pixels, size)
        parts = differences.clusters(whole, min_area=SPECK, gap=NEAR)
        if not parts:
            raise Rejected("nothing masked")
        if not self.tighten:
            return parts, Counter()
        return self._tightened(parts, sides)

    def _tightened(
        self, parts: Sequence[Mask], sides: Sequence[_Side]
    ) -> tuple[list[Mask], Counter[str]]:
        change = differences.changed(sides[0].pixels, sides[1].pixels, threshold=self.threshold)
        found = differences.clusters(change, min_area=self.min_area, gap=NEAR)
        if not found:
            raise Rejected("nothing changed")
        change = np.logical_or.reduce(found)
        elsewhere = ~differences.grown(np.logical_or.reduce(parts), RIM)
        spill = _share(elsewhere, change)
        if spill > self.spill:
            raise Rejected(OUTSIDE, f"{spill:.0%} of the changed pixels")
        skipped = Counter({OUTSIDE: sum(_share(elsewhere, cluster) > 0.5 for cluster in found)})
        kept: list[Mask] = []
        for part in parts:
            tight = part & change
            if np.count_nonzero(tight) < self.min_area * tight.size:
                skipped[UNTOUCHED] += 1
                continue
            overlap = _area(tight) / _area(part)  # the tight box lies in the mask's: this is IoU
            if overlap < self.agreement:
                raise Rejected("change disagrees with the mask", f"IoU {overlap:.2f}")
            kept.append(tight)
        if not kept:
            raise Rejected(UNTOUCHED)
        return kept, skipped


def masked(drawn: Pixels, source: Pixels, size: tuple[int, int]) -> Mask:
    """The pixels that a mask marks, at `size` (width, height).

    Transparent ones where there are some, unless all that is opaque is white: then the white ones.
    Without transparency the white ones: all of them where the mask is black and white, and those
    where the source is not white itself where it is the photo with white painted over.

    Args:
        drawn: RGBA.
        source: RGB, the photo that was edited.
        size: at which the mask is wanted.
    """
    clear: Mask = drawn[..., 3] < HALF
    white = _all(drawn >= WHITE)
    if clear.any():
        opaque_white = bool(white[~clear].all()) and not clear.all()
        return _scaled(~clear if opaque_white else clear, size)
    black = _all(drawn <= DARK)
    if np.count_nonzero(white | black) > 0.95 * white.size:
        return _scaled(white, size)
    already = _all(source >= WHITE)
    return _scaled(white, size) & ~_scaled(already, size)


def _all(channels: np.ndarray[Any, np.dtype[np.bool_]]) -> Mask:
    """Where the first three channels all are: a tenth of the time of `all(axis=2)`."""
    return channels[..., 0] & channels[..., 1] & channels[..., 2]


def _scaled(mask: Mask, size: tuple[int, int]) -> Mask:
    import cv2

    shades = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    return np.asarray(shades) >= HALF


def _share(of: Mask, among: Mask) -> float:
    """The share of the pixels of `among` that are in `of`."""
    return float(np.count_nonzero(of & among) / np.count_nonzero(among))


def _area(mask: Mask) -> float:
    x1, y1, x2, y2 = differences.bounds(mask)
    return (x2 - x1) * (y2 - y1)


def _side(uri: str, row: Row, column: str) -> _Side:
    header, pixels = _decoded(row, column, "RGB")
    return _Side(differences.image(f"{uri}&column={column}", header), header, pixels)


def _decoded(row: Row, column: str, mode: str) -> tuple[Header, Pixels]:
    cell = _cell(row, column)
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes) or not data:
        raise Rejected("missing mask" if column == "mask_img" else "missing image", column)
    try:
        return differences.decode(data, mode)
    except Rejected as error:
        found = column if error.value is None else f"{column}: {error.value}"
        raise Rejected(error.reason, found) from None


def _name(row: Row) -> tuple[str, int]:
    img_id, turn = _cell(row, "img_id"), _cell(row, "turn_index")
    if not isinstance(img_id, str) or not img_id.strip() or not isinstance(turn, int):
        raise Rejected("malformed annotation", f"img_id {img_id!r}, turn_index {turn!r}")
    return img_id, turn


def _instruction(row: Row) -> str | None:
    text = _cell(row, "instruction")
    if text is not None and not isinstance(text, str):
        raise Rejected("malformed annotation", f"instruction {text!r}"[:80])
    return " ".join((text or "").split()) or None


def _alike(what: str, source: Header, other: Header) -> None:
    """Hold the proportions of another picture of a row against the source's.

    Raises:
        Rejected: they differ by more than scaling does.
    """
    across, down = other.width / source.width, other.height / source.height
    if abs(across / down - 1) > ALIKE or source.orientation != other.orientation:
        sizes = f"{other.width}x{other.height}, source {source.width}x{source.height}"
        raise Rejected(f"{what} size differs from the source", sizes)


def _rows(corpus: Corpus, part: str) -> Iterator[Row]:
    """The rows of one file, a few at a time.

    Raises:
        Rejected: it is no whole Parquet file, or lacks a column.
        MissingFile: it is not there.
        EnvironmentFailure: a remote store does not answer.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    done = total = 0
    try:
        with media.open_file(corpus.root, part) as source:
            file = pq.ParquetFile(source, pre_buffer=False, buffer_size=BUFFER)
            total = file.metadata.num_rows
            lacking = [name for name in COLUMNS if name not in file.schema_arrow.names]
            if lacking:
                raise Rejected("missing column", f"{part}: {', '.join(lacking)}")
            for row in _each(file):
                yield row
                done += 1
            # A damaged page may end a column early, and pyarrow then ends the others with it.
            if done < total:
                raise _unreadable(part, done, total, "a column ends early")
    except pa.ArrowException as error:
        raise _unreadable(part, done, total, error) from None
    except OSError as error:
        if corpus.root.remote:
            raise unreachable(error, corpus.root.url) from error
        if error.errno is None:  # so pyarrow tells of pages that do not unpack
            raise _unreadable(part, done, total, error) from None
        raise StorageError(f"cannot read {part}: {error.strerror}") from error


def _each(file: Any) -> Iterator[Row]:
    """The rows of an open file, by row group, so that a damaged one spoils none before it."""
    for group in range(file.metadata.num_row_groups):
        for batch in file.iter_batches(ROWS, row_groups=[group], columns=list(COLUMNS)):
            columns = batch.columns
            for row in range(batch.num_rows):
                cells = (column[row] for column in columns)
                yield dict(zip(batch.schema.names, cells, strict=True))


def _unreadable(part: str, done: int, total: int, error: Exception | str) -> Rejected:
    lost = f", rows {done} to {total - 1} are lost" if total else ""
    return Rejected(UNREADABLE, f"{part}{lost}: {' '.join(str(error).split())[:120]}")


def _cell(row: Row, column: str) -> Any:
    """The value of one cell.

    Raises:
        Rejected: a text that is not UTF-8.
    """
    try:
        return row[column].as_py()
    except UnicodeDecodeError:
        raise Rejected("text is not UTF-8", column) from None
