"""One sample as one PNG: its pictures side by side with their boxes, its turns beneath.

For a README and for checking by eye. Drawn with Pillow and the scalable font that Pillow carries,
which knows Latin script only; the gallery shows every script.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mgdata import placeholders
from mgdata.view.marks import CLAIMED, GIVEN, PALETTE, Tag, Tagged, tag
from mgdata.view.shown import Exchange, Picture, Shown

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

_WIDTH, _MARGIN, _GAP = 1600, 40, 16
_TALLEST, _SHORTEST = 520, 220
_INK, _SOFT, _GROUND, _WASH, _DARK = "#1d1f22", "#686d74", "#ffffff", "#ececea", "#24272c"


def overlay(shown: Shown, out: Path) -> Path:
    """Draw `shown` as a PNG, 1,600 px wide, at `out`; the file appears whole. Returns `out`."""
    tagged = tag(shown.turns)
    sheet = _stack([_pictures(shown, tagged), _words(shown, tagged)])
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        made = Path(scratch) / "made.png"
        sheet.save(made, "PNG")
        os.replace(made, out)  # noqa: PTH105
    return out


def _stack(parts: list[Image]) -> Image:
    from PIL import Image

    height = sum(part.height for part in parts) + 2 * _MARGIN
    sheet, top = Image.new("RGB", (_WIDTH, height), _GROUND), _MARGIN
    for part in parts:
        sheet.paste(part, (_MARGIN, top))
        top += part.height
    return sheet


def _pictures(shown: Shown, tagged: list[Tagged]) -> Image:
    from PIL import Image

    rows = _rows(shown.images)
    line = 30
    height = sum(tall + line + _GAP for _, tall in rows)
    sheet, top = Image.new("RGB", (_WIDTH - 2 * _MARGIN, height), _GROUND), 0
    tags = [one for turn in tagged for one in turn.all]
    for indices, tall in rows:
        left = 0
        for index in indices:
            picture = shown.images[index]
            drawn = _picture(picture, [one for one in tags if one.mark.image == index], tall)
            sheet.paste(drawn, (left, top))
            _caption(sheet, picture, (left, top + tall + 6), drawn.width)
            left += drawn.width + _GAP
        top += tall + line + _GAP
    return sheet


def _rows(images: tuple[Picture, ...]) -> list[tuple[list[int], int]]:
    """Image indices and height of each row: as few rows as keep every picture legible."""
    room = _WIDTH - 2 * _MARGIN
    for count in range(1, len(images) + 1):
        size = -(-len(images) // count)
        rows = [list(range(i, min(i + size, len(images)))) for i in range(0, len(images), size)]
        talls = [
            int((room - _GAP * (len(row) - 1)) / sum(_ratio(images[i]) for i in row))
            for row in rows
        ]
        tall = min(*talls, _TALLEST)
        if tall >= _SHORTEST or size == 1:
            return [(row, max(tall, 1)) for row in rows]
    return []


def _ratio(picture: Picture) -> float:
    return picture.width / picture.height if picture.width > 0 < picture.height else 1.5


def _picture(picture: Picture, tags: list[Tag], tall: int) -> Image:
    from PIL import ImageDraw

    size = (max(1, int(tall * _ratio(picture))), tall)
    image = _decoded(picture, size)
    draw = ImageDraw.Draw(image)
    for drawn in sorted(tags, key=lambda one: (one.claimed, -one.mark.box.area)):
        box, wide, high = drawn.mark.box, max(picture.width, 1), max(picture.height, 1)
        edges = (
            box.x1 * size[0] / wide,
            box.y1 * size[1] / high,
            box.x2 * size[0] / wide,
            box.y2 * size[1] / high,
        )
        _mark(draw, drawn, edges)
    return image


def _decoded(picture: Picture, size: tuple[int, int]) -> Image:
    """The picture upright and scaled; a crossed-out frame where it has no bytes or bad ones."""
    from PIL import Image, ImageDraw, ImageOps

    if picture.data is not None:
        try:
            opened = ImageOps.exif_transpose(Image.open(io.BytesIO(picture.data)))
            return opened.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        except (OSError, ValueError, SyntaxError):
            pass  # Pillow's ways to say that the bytes do not decode: shown as the frame below.
    blank = Image.new("RGB", size, _WASH)
    draw = ImageDraw.Draw(blank)
    draw.line((0, 0, *size), fill="#d6d6d2", width=2)
    draw.line((0, size[1], size[0], 0), fill="#d6d6d2", width=2)
    return blank


def _mark(draw: ImageDraw, tag: Tag, edges: tuple[float, float, float, float]) -> None:
    from PIL import ImageFont

    if tag.claimed:
        _claim(draw, tag, edges)
        return
    colour = GIVEN if tag.colour is None else PALETTE[tag.colour]
    _outline(draw, edges, "#101010", 5, dash=0)
    _outline(draw, edges, colour, 3, dash=9 if tag.colour is None else 0)
    across, high = 14 + 10 * len(tag.label), 24
    left, top = edges[0] - 2, edges[1] - high if edges[1] >= high else edges[1]
    ground, ink = (_DARK, GIVEN) if tag.colour is None else (colour, _INK)
    draw.rectangle((left, top, left + across, top + high), fill=ground)
    middle = (left + across / 2, top + high / 2)
    draw.text(middle, tag.label, fill=ink, anchor="mm", font=ImageFont.load_default(18))


def _claim(draw: ImageDraw, tag: Tag, edges: tuple[float, float, float, float]) -> None:
    """A teacher's box as dots, with its label at the last corner."""
    from PIL import ImageFont

    x1, y1, x2, y2 = edges
    for ax, ay, bx, by in ((x1, y1, x2, y1), (x2, y1, x2, y2), (x2, y2, x1, y2), (x1, y2, x1, y1)):
        steps = max(1, round((abs(bx - ax) + abs(by - ay)) / 14))
        for step in range(steps):
            place = ax + (bx - ax) * step / steps, ay + (by - ay) * step / steps
            draw.circle(place, 4, fill="#101010")
            draw.circle(place, 2.5, fill=CLAIMED)
    across, high = 14 + 10 * len(tag.label), 24
    top = y2 if y2 + high <= draw.im.size[1] else y2 - high
    area = (x2 - across, top, x2, top + high)
    draw.rounded_rectangle(area, 12, fill=CLAIMED, outline="#101010", width=2)
    middle = (x2 - across / 2, top + high / 2)
    draw.text(middle, tag.label, fill=_INK, anchor="mm", font=ImageFont.load_default(18))


def _outline(
    draw: ImageDraw, edges: tuple[float, float, float, float], colour: str, width: int, dash: int
) -> None:
    x1, y1, x2, y2 = edges
    if not dash:
        half = width / 2
        draw.rectangle(
            (min(x1, x2) - half, min(y1, y2) - half, max(x1, x2) + half, max(y1, y2) + half),
            outline=colour,
            width=width,
        )
        return
    for ax, ay, bx, by in ((x1, y1, x2, y1), (x2, y1, x2, y2), (x2, y2, x1, y2), (x1, y2, x1, y1)):
        length = abs(bx - ax) + abs(by - ay)
        steps = max(1, int(length / (2 * dash)))
        for step in range(steps):
            start, stop = step / steps, (step + 0.55) / steps
            line = (
                ax + (bx - ax) * start,
                ay + (by - ay) * start,
                ax + (bx - ax) * stop,
                ay + (by - ay) * stop,
            )
            draw.line(line, fill=colour, width=width)


def _caption(sheet: Image, picture: Picture, place: tuple[int, int], room: int) -> None:
    from PIL import ImageDraw, ImageFont

    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(17)
    draw.text(place, picture.name, fill=_INK, font=font)
    used = draw.textlength(picture.name, font=font) + 12
    text = picture.caption
    while text and used + draw.textlength(text, font=font) > room:
        text = "..." + text.removeprefix("...")[1:] if len(text) > 4 else ""
    draw.text((place[0] + used, place[1]), text, fill=_SOFT, font=font)


def _words(shown: Shown, tagged: list[Tagged]) -> Image:
    """Task, split, id and reason, then every turn with its boxes named, wrapped to the width."""
    from PIL import Image, ImageDraw, ImageFont

    width, indent, leading, font = _WIDTH - 2 * _MARGIN, 40, 31, ImageFont.load_default(21)
    head = "   ".join(part for part in (shown.task, shown.split, shown.id, shown.reason) if part)
    lines = [("", "", _SOFT), *(("", text, _SOFT) for text in _wrapped(head, font, width - indent))]
    for turn, marks in zip(shown.turns, tagged, strict=True):
        lines.append(("", "", _INK))
        for label, text, ink in _told(turn, marks, shown):
            wrapped = _wrapped(text, font, width - indent)
            lines += [(label if i == 0 else "", line, ink) for i, line in enumerate(wrapped)]
    image = Image.new("RGB", (width, leading * len(lines)), _GROUND)
    draw = ImageDraw.Draw(image)
    for row, (label, text, ink) in enumerate(lines):
        draw.text((0, row * leading), label, fill=_SOFT, font=font)
        draw.text((indent, row * leading), text, fill=ink, font=font)
    return image


def _told(turn: Exchange, marks: Tagged, shown: Shown) -> Iterator[tuple[str, str, str]]:
    """What a turn says: a letter, the text and its colour. R and T are a teacher's."""
    trace, reasoning = turn.trace, _plain(turn.reasoning, marks, shown)
    yield "Q", _plain(turn.question, marks, shown), _SOFT
    if turn.instruction:
        yield "", turn.instruction, _SOFT
    if reasoning and trace is None:
        yield "R", reasoning, _INK
    yield "A", "(left open)" if turn.open else _plain(turn.answer, marks, shown), _INK
    yield "", _legend(marks), _SOFT
    if trace:
        yield "T", " ".join(filter(None, (f"[{trace.verdict}]", trace.quote))), _SOFT
        yield "", reasoning, _INK
        yield "", trace.answer or trace.raw, _INK


def _plain(text: str, tagged: Tagged, shown: Shown) -> str:
    """`text` with the placeholders that are left in it replaced by the names drawn above."""
    names = {
        "image": [f"[{picture.name}]" for picture in shown.images],
        "region": [f"[{one.label}]" for one in tagged.given],
        "target": [f"[{one.label}]" for one in tagged.targets],
    }
    for kind, index in placeholders.find(text):
        if index < len(names[kind]):
            text = text.replace(f"<{kind}:{index}>", names[kind][index])
    return text


def _legend(tagged: Tagged) -> str:
    named = (f"[{tag.label}] {tag.mark.phrase}" for tag in tagged.all if tag.mark.phrase)
    return "   ".join(named)


def _wrapped(text: str, font: FreeTypeFont | ImageFont, room: int) -> list[str]:
    """`text` cut into lines of at most `room` pixels, at spaces where there are any."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in re.findall(r"\s*\S{1,40}", paragraph):
            if line and font.getlength(line + word) > room:
                lines.append(line)
                line = word.lstrip()
            else:
                line += word
        lines.append(line)
    return lines
