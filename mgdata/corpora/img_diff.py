"""Img-Diff: pairs of generated pictures that differ in an object, boxes of 2 decimals.

    ROOT/img_diff_object_replacement.json
         object_replacement/filtered_new_edit_data/<path>_0.jpg, <path>_1.jpg

    [{"path": "...", "bbox": "[0.12, 0.30, 0.41, 0.66]", "captions1": ..., "captions2": ...,
      "conversations": [{"from": "human", "value": ...}, {"from": "gpt", "value": ...}]}, ...]

The dataset's card names its files and states Apache-2.0; it names no fields. The fields above are
those that public readers of the file use, the folder is where one of them unpacked it: a guess,
so each is a setting, and a field that no row has is said at once. Object removal is another file:
set `annotation`, `before` and `after` to read it.

A row is a box, x1, y1, x2, y2 from 0 to 1, as text or as numbers, or several. Rows of equal paths
are one pair. A box holds for both pictures, so each change is a region in both, of label `change`;
which picture shows an object that was removed is not told. The phrase is the last thing that the
assistant says. Boxes come from a segmenter and filters that keep few of them, and sentences from a
model: the pictures may differ elsewhere too, nothing is annotated completely, and both are noisy.

**What rounding costs.** An edge written as 0.12 lies between 0.115 and 0.125 (5 pixels of 512). A
perfect answer may then reach no more than `ceiling(box, image)` with the written box: (1 - 0.01/w)
(1 - 0.01/h) for sides w and h, which is 0.64 at 0.05 x 0.05 and 0.81 at 0.1 x 0.1. Boxes below
`min_ceiling` are left out and counted.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from mgdata.corpora import sides
from mgdata.data import Drop, Image, Record, Region, Shape
from mgdata.errors import Rejected, UsageError
from mgdata.geometry import Box
from mgdata.plugins import Corpus

LABEL = "change"
COARSE = "box too coarse"
PAIRS = 2000
"""Pairs a part."""
DECIMALS = 2
"""To which the corpus rounds its boxes."""

_FIELD = re.compile(r"\{([^{}]+)\}")
_NUMBERS = re.compile(r"[^\s,;()\[\]]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf", re.IGNORECASE)
_BEYOND = 0.05
"""How far a share may lie outside 0 to 1 before it is taken for something else than a share."""
_ANSWERS = ("gpt", "assistant")

Row = dict[str, Any]


def ceiling(box: Box, image: Image, decimals: int = DECIMALS) -> float:
    """The IoU that a perfect answer is sure to reach with a box written to so many decimals.

    The true edges lie within half a step of the written ones; the overlap is least where all four
    lie inside. 0 where the box could be nothing at all.
    """
    step = 10.0**-decimals
    across, down = box.width / image.width, box.height / image.height
    return max(0.0, 1 - step / across) * max(0.0, 1 - step / down)


@dataclass(frozen=True)
class _Pair:
    """The rows of two pictures."""

    key: str
    paths: tuple[str, str]
    rows: tuple[Row, ...]
    fault: Rejected | None = None
    """Why a row names no pictures."""


@dataclass(frozen=True, kw_only=True)
class ImgDiff(Corpus):
    """Reads Img-Diff: a record is a pair, its key `<name>/<path>`."""

    license: ClassVar[str] = "Apache-2.0"
    homepage: ClassVar[str] = "https://huggingface.co/datasets/datajuicer/Img-Diff"
    layout: ClassVar[str] = (
        "img_diff_object_replacement.json (path, bbox, conversations; settings name others)\n"
        "object_replacement/filtered_new_edit_data/<path>_0.jpg, <path>_1.jpg"
    )
    shape: ClassVar[Shape] = "pair"

    annotation: str = "img_diff_object_replacement.json"
    """The JSON file: a list of rows."""
    before: str = "object_replacement/filtered_new_edit_data/{path}_0.jpg"
    """Path of the first picture; `{name}` stands for a field of the row."""
    after: str = "object_replacement/filtered_new_edit_data/{path}_1.jpg"
    """Path of the second picture."""
    box: str = "bbox"
    """The field that holds a box, or a list of boxes."""
    caption: str = "conversations"
    """The field that says what differs: text, or turns of `from` and `value`; empty for none."""
    min_ceiling: float = 0.75
    """Least `ceiling` of a box, 0 to 1."""

    def parts(self) -> list[str]:
        """Numbers of the first pair of every 2,000 pairs.

        Raises:
            UsageError: the file is missing, cut, or has none of the fields that settings name.
        """
        rows = self._rows()
        for setting in ("before", "after", "box", "caption"):
            self._has(rows, setting)
        return [f"{start:06d}" for start in range(0, max(1, len(self._pairs(rows))), PAIRS)]

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The records of 2,000 pairs, or their drops."""
        for pair in self._pairs(self._rows())[int(part) : int(part) + PAIRS]:
            try:
                yield self._record(pair)
            except sides.UNFIT as error:
                yield sides.drop(self, pair.key, error)

    def _rows(self) -> list[Any]:
        return sides.decoded(self, self.annotation, list[Any])

    def _has(self, rows: list[Any], setting: str) -> None:
        """Hold a setting's field names against the rows."""
        text: str = getattr(self, setting)
        names = _FIELD.findall(text) if setting in ("before", "after") else [text] * bool(text)
        fields = {name for row in rows if isinstance(row, dict) for name in _row(row)}
        for name in names:
            if rows and name not in fields:
                raise UsageError(
                    f"{self.root.url}: no row of {self.annotation} has a field {name!r}, they have "
                    f"{', '.join(sorted(fields)) or 'none'}: set {setting!r} of {self.name} to the "
                    "one that is meant"
                )

    def _pairs(self, rows: list[Any]) -> list[_Pair]:
        """Rows of equal paths together, in the order in which they first come."""
        found: dict[tuple[str, str], tuple[str, list[Row]]] = {}
        pairs: list[_Pair] = []
        for number, row in enumerate(rows):
            try:
                filled = _row(row)
                paths = _filled(self.before, filled), _filled(self.after, filled)
            except Rejected as error:
                pairs.append(_Pair(f"#{number}", ("", ""), (), error))
                continue
            names = dict.fromkeys(_FIELD.findall(self.before + self.after))
            key = "+".join(str(filled[name]) for name in names) or paths[0]
            found.setdefault(paths, (key, []))[1].append(filled)
        return pairs + [_Pair(key, paths, tuple(own)) for paths, (key, own) in found.items()]

    def _record(self, pair: _Pair) -> Record:
        """The record of one pair.

        Raises:
            Rejected: a picture is missing, or no box is left.
        """
        if pair.fault is not None:
            raise pair.fault
        pictures = tuple(sides.picture(self, path) for path in pair.paths)
        regions: list[Region] = []
        skipped: Counter[str] = Counter()
        for track, (shares, phrase) in enumerate(self._changes(pair.rows, skipped), 1):
            for image, (picture, header) in enumerate(pictures):
                x1, y1, x2, y2 = shares
                width, height = header.width, header.height
                box = Box(x1 * width, y1 * height, x2 * width, y2 * height)
                placed = sides.placed(box, header)
                if isinstance(placed, str):
                    skipped[placed] += 1
                elif ceiling(placed[0], picture) < self.min_ceiling:
                    skipped[COARSE] += 1
                else:
                    regions.append(_region(image, placed, phrase, track))
        if not regions:
            said = ", ".join(f"{reason}: {count}" for reason, count in sorted(skipped.items()))
            raise Rejected("no usable box", said or "none is given")
        return Record(
            key=f"{self.name}/{pair.key}",
            shape=self.shape,
            unit=f"{self.name}/{posixpath.normpath(pair.paths[0])}",
            images=tuple(picture.image for picture in pictures),
            regions=tuple(sorted(regions, key=lambda region: region.image)),
            license=self.license,
            skipped=dict(sorted(skipped.items())),
        )

    def _changes(
        self, rows: tuple[Row, ...], skipped: Counter[str]
    ) -> Iterator[tuple[tuple[float, float, float, float], str | None]]:
        """Every box of the rows in shares of the picture, once, with its sentence."""
        seen: set[tuple[float, ...]] = set()
        for row in rows:
            for shares in _boxes(row.get(self.box)):
                if shares is None:
                    skipped["malformed box"] += 1
                elif any(v < -_BEYOND or v > 1 + _BEYOND for v in shares):
                    skipped["box is not from 0 to 1"] += 1
                elif shares in seen:
                    skipped["repeated box"] += 1
                else:
                    seen.add(shares)
                    yield shares, _said(row.get(self.caption))


def _region(image: int, placed: tuple[Box, bool], phrase: str | None, track: int) -> Region:
    box, clipped = placed
    return Region(
        image=image, box=box, label=LABEL, phrase=phrase, track=str(track), clipped=clipped
    )


def _row(row: Any) -> Row:
    """A row with text keys, as JSON has them.

    Raises:
        Rejected: it is no object.
    """
    if not isinstance(row, dict):
        raise Rejected("malformed row", f"a {type(row).__name__} where an object should be")
    return row  # pyright: ignore[reportUnknownVariableType]


def _filled(template: str, row: Row) -> str:
    """A path with the row's fields in their places.

    Raises:
        Rejected: the row lacks one, or it is neither text nor a whole number.
    """

    def value(name: re.Match[str]) -> str:
        found = row.get(name[1])
        if type(found) not in (str, int) or found == "":
            raise Rejected("malformed row", f"{name[1]}: {found!r}"[:120])
        return str(found)

    return _FIELD.sub(value, template)


def _boxes(value: Any) -> list[tuple[float, float, float, float] | None]:
    """The boxes of a field: text or numbers, one or several; None stands for one that is none."""
    if isinstance(value, str):
        value = _spelled(value)
    if isinstance(value, list) and value and all(isinstance(v, list | str) for v in value):  # pyright: ignore
        each: list[Any] = [_spelled(v) if isinstance(v, str) else v for v in value]  # pyright: ignore
        return [sides.four(each)] if sides.four(each) else [sides.four(v) for v in each]
    return [sides.four(value)]


def _spelled(text: str) -> Any:
    """What text spells: a list, one number, or the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        words: list[str] = _NUMBERS.findall(text)
    if not words or not all(_NUMBER.fullmatch(word) for word in words):
        return None
    return [float(word) for word in words] if len(words) > 1 else float(words[0])


def _said(value: Any) -> str | None:
    """The sentence of a field: its text, or the assistant's last words."""
    if isinstance(value, list):
        turns: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        answers = [
            turn.get("value")
            for turn in turns
            if isinstance(turn, dict) and turn.get("from") in _ANSWERS  # pyright: ignore
        ]
        value = answers[-1] if answers else None
    return (" ".join(value.split()) or None) if isinstance(value, str) else None
