"""What the tracking corpora share: frames on disk, lines of numbers, boxes made ours.

A clip whose files do not fit together raises `Rejected` and becomes one `Drop`; a box that is no
box inside its image is left out and counted. It knows no corpus' layout.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar

import msgspec
import numpy as np

from mgdata.data import Drop, Image, Record, Region
from mgdata.errors import (
    EnvironmentFailure,
    MgdataError,
    MissingFile,
    OutsideRoot,
    Rejected,
    UsageError,
)
from mgdata.geometry import Box, upright
from mgdata.headers import Header, header_of
from mgdata.plugins import Corpus

Rows = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Value = TypeVar("Value")

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
TARGET = "1"
"""Track of the object in a clip that follows only one."""
OUTSIDE = "path leaves the corpus root"

_UNPLACED = ("", "nan box", "inverted box", "zero box", "box outside the image")
_STEM = re.compile(r"[0-9]{1,18}")
_NUMBER = re.compile(
    r"\s*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)\s*", re.IGNORECASE
)


def read_clip(corpus: Corpus, part: str, read: Callable[[str], Record]) -> Iterator[Record | Drop]:
    """The one record that `read(part)` makes, or the drop that says why there is none.

    A file that is there but cannot be read (permissions) stays a `StorageError`: it says nothing
    about the corpus, and whoever reads it decides. A store that does not answer ends the run.
    """
    try:
        _stay_inside(part)
        result: Record | Drop = read(part)
    except Rejected as error:
        result = corpus.drop(part, error.reason, error.value)
    except OutsideRoot as error:
        result = corpus.drop(part, OUTSIDE, error.path)
    yield result


def _stay_inside(path: str) -> None:
    if any(step in ("", ".", "..") for step in path.replace("\\", "/").split("/")):
        raise Rejected(OUTSIDE, path)


def wrong_layout(corpus: Corpus, looked_for: str) -> MgdataError:
    """The error for a root in which nothing that the corpus needs was found."""
    url, kind = corpus.root.url, type(corpus).__name__
    if not corpus.root.exists():
        return EnvironmentFailure(
            f"root of {corpus.name} is not there: {url}; point it at a folder with {looked_for}, "
            f"or get the data from {corpus.homepage}"
        )
    found = corpus.root.list()
    some = ", ".join(found[:6]) + (f" and {len(found) - 6} more" if len(found) > 6 else "")
    return UsageError(
        f"{url} is no {kind} root: looked for {looked_for}, found {some or 'an empty folder'}; "
        f"get the data from {corpus.homepage}"
    )


def folders(corpus: Corpus, path: str = "") -> list[str]:
    """Names of the folders below `path`, sorted.

    A name without a dot is taken for a folder: asking the file system about each of 30,000
    sequences would take longer than reading their annotations.
    """
    return [
        name
        for name in corpus.root.list(path)
        if not name.startswith(".")
        and ("." not in name or corpus.root.list(posixpath.join(path, name)))
    ]


def listed(corpus: Corpus, path: str) -> list[str] | None:
    """The names in a list file, one a line, without repeats; None where there is no such file.

    Raises:
        UsageError: it is not UTF-8.
    """
    if not corpus.root.exists(path):
        return None
    try:
        lines = text(corpus, path).splitlines()
    except Rejected as error:
        raise UsageError(f"{corpus.root.url}: {error}; get a fresh copy of this list") from None
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def text(corpus: Corpus, path: str) -> str:
    """The UTF-8 text of one annotation file, without a byte order mark.

    Raises:
        Rejected: there is no such file, or it is not UTF-8.
    """
    try:
        return corpus.root.read(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Rejected("text is not UTF-8", path) from None
    except MissingFile:
        raise Rejected("missing annotation", path) from None


def numbers(corpus: Corpus, path: str, columns: Collection[int]) -> Rows:
    """A file of comma-separated numbers as (lines, columns); `columns` are the widths allowed.

    Trailing empty lines are no lines; an empty file has shape (0, smallest width).

    Raises:
        Rejected: missing, not UTF-8, or a line that is not such numbers.
    """
    content = text(corpus, path).rstrip()
    if not content:
        return np.empty((0, min(columns)))
    lines = content.splitlines()
    width = lines[0].count(",") + 1
    flat = None
    if width in columns and all(line.count(",") == width - 1 for line in lines):
        flat = _floats(",".join(lines))
    if flat is not None:
        return np.array(flat).reshape(-1, width)
    raise _malformed(path, lines, width if width in columns else min(columns))


def _floats(joined: str) -> list[float] | None:
    """Numbers between commas, or None where one is none."""
    try:
        # As JSON: a fifth of the time of float() on each, and as strict as can be.
        return msgspec.json.decode(f"[{joined}]", type=list[float])
    except msgspec.MsgspecError:
        pass
    fields = joined.split(",")
    # `nan`, `+1`, `01`, `1.`: numbers too, though not to JSON.
    return [float(field) for field in fields] if all(map(_NUMBER.fullmatch, fields)) else None


def _malformed(path: str, lines: Sequence[str], width: int) -> Rejected:
    for number, line in enumerate(lines, 1):
        fields = line.split(",")
        if len(fields) != width or not all(_NUMBER.fullmatch(field) for field in fields):
            return malformed_line(path, number, line)
    return malformed_line(path, 1, lines[0])


def malformed_line(path: str, number: int, line: str) -> Rejected:
    """The rejection of a clip for line `number` (from 1) of the file at `path`."""
    return Rejected(
        "malformed annotation line", f"{posixpath.basename(path)}:{number}: {line[:80]!r}"
    )


def flags(
    corpus: Corpus, path: str, meaning: Mapping[str, Value], separator: str = "\n"
) -> list[Value]:
    """What each flag of a file means, one a frame; written a line each or with a separator.

    Raises:
        Rejected: missing, not UTF-8, or a flag without a meaning.
    """
    tokens = text(corpus, path).rstrip().split(separator)
    try:
        return [meaning[token] for token in tokens]
    except KeyError:
        pass
    for number, token in enumerate(tokens, 1):
        if token.strip() not in meaning:
            raise malformed_line(path, number if separator == "\n" else 1, token)
    return [meaning[token.strip()] for token in tokens]


def agree(path: str, lines: int, frames: int) -> None:
    """Hold an annotation of one line a frame against the frames on disk.

    Toolkits assert this too (`got10k/datasets/got10k.py`): with one line missing, no one can say
    which frame it was.

    Raises:
        Rejected: they differ.
    """
    if lines == 1 and frames > 1:
        raise Rejected("annotated in the first frame only", f"{frames} frames")
    if lines != frames:
        name = posixpath.basename(path)
        raise Rejected(
            "annotation lines differ from frames", f"{name}: {lines} lines, {frames} frames"
        )


@dataclass(frozen=True)
class Frames:
    """The images of one clip in order, and the header of the first, which stands for all."""

    images: tuple[Image, ...]
    header: Header
    pixels: Literal["stored", "upright"]
    """Which pixels the corpus' boxes refer to."""

    def __len__(self) -> int:
        return len(self.images)


def frames(corpus: Corpus, folder: str, suffixes: Sequence[str] = SUFFIXES) -> Frames:
    """The numbered images of `folder`, sorted as numbers (`2.jpg` before `10.jpg`).

    Only the first is opened, and only its header: the size of a frame that is chosen later is
    checked when its bytes are read.

    Raises:
        Rejected: no frames, two files with one number, or a first frame that is no image.
    """
    numbered: list[tuple[int, str]] = []
    for name in corpus.root.list(folder):
        stem, dot, suffix = name.rpartition(".")
        if f"{dot}{suffix.lower()}" in suffixes and _STEM.fullmatch(stem):
            numbered.append((int(stem), name))
    if not numbered:
        raise Rejected("no frames", folder)
    numbered.sort()
    for (one, name), (other, second) in pairwise(numbered):
        if one == other:
            raise Rejected("two files for one frame", f"{name}, {second}")
    return _frames(corpus, folder, numbered)


def _frames(corpus: Corpus, folder: str, numbered: Sequence[tuple[int, str]]) -> Frames:
    header = header_of(corpus.root, f"{folder}/{numbered[0][1]}")
    width, height = header.upright
    base, orientation, encoding = corpus.uri(folder), header.orientation, header.format
    images = tuple(
        Image(
            uri=f"{base}/{name}",
            width=width,
            height=height,
            orientation=orientation,
            format=encoding,
            frame=number,
        )
        for number, name in numbered
    )
    return Frames(images, header, corpus.frame)


def place(
    xywh: Rows, header: Header, pixels: Literal["stored", "upright"] = "stored"
) -> tuple[list[Box | None], list[bool], list[str]]:
    """Annotated boxes as ours: for each row its box, whether it was cut, and why there is none.

    Rows are x, y, width, height counted from 1 as MATLAB does: a box that begins at 1 begins at
    our 0, and right = x - 1 + width is exclusive. Boxes are cut at the image's edge; those in
    stored pixels are then turned upright where the photo is stored rotated.
    """
    turned = pixels == "stored" and header.orientation != 1
    measured = (header.width, header.height) if pixels == "stored" else header.upright
    size = np.array(measured, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        low = xywh[:, :2] - 1
        high = low + xywh[:, 2:4]
        inside_low, inside_high = np.clip(low, 0, size), np.clip(high, 0, size)
        why = np.select(
            [
                ~np.isfinite(low + high).all(axis=1),
                (xywh[:, 2:4] < 0).any(axis=1),
                (xywh[:, 2:4] == 0).any(axis=1),
                (inside_low >= inside_high).any(axis=1),
            ],
            [1, 2, 3, 4],
            0,
        )
    cut = ((low != inside_low) | (high != inside_high)).any(axis=1)
    corners = np.hstack([inside_low, inside_high]).tolist()
    reasons = [_UNPLACED[code] for code in why.tolist()]
    boxes = [None if no else Box(*four) for four, no in zip(corners, reasons, strict=True)]
    if turned:
        turn = (header.width, header.height, header.orientation)
        boxes = [box and upright(box, *turn) for box in boxes]
    return boxes, cut.tolist(), reasons


def follow(
    clip: Frames,
    xywh: Rows,
    *,
    label: str,
    phrase: str | None = None,
    visibility: Sequence[float | None],
) -> tuple[list[Region], Counter[str]]:
    """The regions of the one object a clip follows, and the boxes left out by reason.

    `visibility` is what the annotation says for each frame: 0 means known not to be visible, and
    the box written there is not looked at; None means that it says nothing.
    """
    boxes, cut, reasons = place(xywh, clip.header, clip.pixels)
    regions: list[Region] = []
    skipped: Counter[str] = Counter()
    for image, (box, clipped, reason, seen) in enumerate(
        zip(boxes, cut, reasons, visibility, strict=True)
    ):
        if seen == 0:
            box, clipped = None, False
        elif box is None:
            skipped[reason] += 1
            continue
        regions.append(
            Region(
                image=image,
                box=box,
                label=label,
                phrase=phrase,
                track=TARGET,
                visibility=seen,
                clipped=clipped,
            )
        )
    return regions, skipped


def record(
    corpus: Corpus,
    part: str,
    clip: Frames,
    found: tuple[list[Region], Counter[str]],
    unit: str | None = None,
) -> Record:
    """The record of one clip; its unit is the sequence's own name unless told."""
    regions, skipped = found
    return Record(
        key=f"{corpus.name}/{part}",
        shape=corpus.shape,
        unit=unit or posixpath.basename(part),
        images=clip.images,
        regions=tuple(regions),
        license=corpus.license,
        skipped=dict(sorted(skipped.items())),
    )
