"""`statistics.png` of a release: how many images and targets there are, and where targets lie.

A row of four panels a configuration, for the eye that looks for a shortcut: a target should be as
likely in one image as in the next, and its middle anywhere that things are. Drawn from the counts
in the files' entries; opens no file. Same counts, same picture, under one version of Pillow.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from mgdata.manifest import Entry
from mgdata.release import statistics

PANELS = (
    ("images", "images a row"),
    ("targets", "targets a turn"),
    ("target image", "image of a target"),
)
"""Counts that are drawn as bars, with their titles."""

_WIDE, _HIGH, _HEAD, _GAP = 250, 150, 46, 24
_BARS = 13
"""Bars a panel; the last one holds all that is beyond."""
_INK, _FAINT, _FILL = (31, 41, 55), (156, 163, 175), (59, 130, 246)


def draw(entries: Sequence[Entry]) -> bytes:
    """The picture of a release's files as PNG."""
    configs = statistics.by_config(entries)
    columns = len(PANELS) + 1
    size = (columns * (_WIDE + _GAP) + _GAP, max(1, len(configs)) * (_HEAD + _HIGH + 2 * _GAP))
    image = Image.new("RGB", size, "white")
    canvas = ImageDraw.Draw(image)
    for row, (config, found) in enumerate(configs.items()):
        top = row * (_HEAD + _HIGH + 2 * _GAP)
        canvas.text((_GAP, top + 6), config, _INK, ImageFont.load_default(16))
        for column, (name, title) in enumerate(PANELS):
            counts = statistics.histogram(found, name)
            _bars(canvas, (_GAP + column * (_WIDE + _GAP), top + _HEAD), title, counts)
        place = (_GAP + len(PANELS) * (_WIDE + _GAP), top + _HEAD)
        _cells(canvas, place, "middle of a target", statistics.histogram(found, "centre"))
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()


def _bars(
    canvas: ImageDraw.ImageDraw, place: tuple[int, int], title: str, counts: Mapping[str, int]
) -> None:
    left, top = place
    small = ImageFont.load_default(11)
    canvas.text((left, top - 18), title, _FAINT, ImageFont.load_default(12))
    bars = _cut(counts)
    whole, most = sum(bars.values()) or 1, max(bars.values(), default=0) or 1
    step = _WIDE / max(len(bars), 4)
    for i, (name, n) in enumerate(bars.items()):
        x, tall = left + i * step, round((_HIGH - 30) * n / most)
        foot = top + _HIGH - 14
        canvas.rectangle((x, foot - tall, x + step * 0.8, foot), _FILL)
        canvas.text((x + step * 0.4, foot + 2), name, _INK, small, anchor="ma")
        share = f"{100 * n / whole:.0f}%"
        canvas.text((x + step * 0.4, foot - tall - 2), share, _FAINT, small, anchor="md")
    canvas.line((left, top + _HIGH - 14, left + _WIDE, top + _HIGH - 14), _FAINT)


def _cut(counts: Mapping[str, int]) -> dict[str, int]:
    """The first bars, the last of which stands for all that follow."""
    bars = dict(list(counts.items())[:_BARS])
    if rest := sum(counts.values()) - sum(bars.values()):
        last = list(bars)[-1]
        bars[f"{last}+"] = bars.pop(last) + rest
    return bars


def _cells(
    canvas: ImageDraw.ImageDraw, place: tuple[int, int], title: str, counts: Mapping[str, int]
) -> None:
    left, top = place
    canvas.text((left, top - 18), title, _FAINT, ImageFont.load_default(12))
    most = max(counts.values(), default=0) or 1
    wide, high = _WIDE / statistics.CELLS, _HIGH / statistics.CELLS
    for number in range(statistics.CELLS * statistics.CELLS):
        row, column = divmod(number, statistics.CELLS)
        share = counts.get(str(number), 0) / most
        r, g, b = (round(255 + (end - 255) * share) for end in _FILL)
        x, y = left + column * wide, top + row * high
        canvas.rectangle((x, y, x + wide, y + high), (r, g, b))
    canvas.rectangle((left, top, left + _WIDE, top + _HIGH), outline=_FAINT)
