"""A turn's text as HTML: box coordinates wear their box's colour, special tokens step back.

No notation is known here. Four bracketed numbers are a box when they lie where one of the turn's
boxes lies, in pixels or on a scale of 1, 999 or 1000; whatever fits none stays plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from mgdata.notations.naming import image_names
from mgdata.view.marks import Tag, Tagged
from mgdata.view.shown import Picture

_N = r"-?\d+(?:\.\d+)?"
_QUAD = rf"[\[(]\s*{_N}\s*,\s*{_N}\s*(?:\)\s*,\s*\(|,)\s*{_N}\s*,\s*{_N}\s*[\])]"
_SLOT = r"<(?:image|region|target):\d{1,6}>"
_TOKEN = r"<\|[A-Za-z0-9_]{1,40}\|>"
_NUMBER = re.compile(_N)
_SCALES = (1.0, 999.0, 1000.0)
_TOLERANCE = 0.004
"""Largest miss of an edge, as a share of the scale: rounding to whole units of 1000 misses 0.001,
flooring a pixel of a 320 px picture 0.003."""


def highlight(
    text: str,
    tagged: Tagged,
    images: Sequence[Picture],
    *,
    spoken: bool = False,
    quoted: str = "",
) -> str:
    """`text` as HTML, escaped, with tags for boxes, names of images and special tokens.

    Args:
        text: Anything at all.
        tagged: The boxes that it may speak of.
        images: The sample's.
        spoken: Images are named as prose does too: `the second image`, `picture 2`.
        quoted: Words of the text to be marked, however their white space is.
    """
    inside = _found(text, quoted)
    parts: list[str] = []
    end = 0
    for start, stop, piece in _pieces(text, tagged, images, spoken=spoken):
        parts.append(_plain(text, end, start, inside))
        within = start < inside[1] and stop > inside[0]
        parts.append(f"<mark>{piece}</mark>" if within else piece)
        end = stop
    parts.append(_plain(text, end, len(text), inside))
    return "".join(parts)


def _pieces(
    text: str, tagged: Tagged, images: Sequence[Picture], *, spoken: bool
) -> Iterator[tuple[int, int, str]]:
    """Start, end and HTML of what stands out, in order; nothing overlaps."""
    names = {image.name: index for index, image in enumerate(images) if image.name}
    unused = list(tagged.all)
    told = [
        (start, stop, _image(index, text[start:stop]))
        for start, stop, index in (image_names(text, len(images)) if spoken else ())
        if 0 <= index < len(images)
    ]
    end = 0
    for match in _pattern(names).finditer(text):
        while told and told[0][0] < match.end():
            if end <= told[0][0] and told[0][1] <= match.start():
                yield told[0]
            del told[0]
        yield match.start(), match.end(), _piece(match, tagged, unused, names, images)
        end = match.end()
    yield from (name for name in told if end <= name[0])


def _found(text: str, quoted: str) -> tuple[int, int]:
    """Start and end of a quote in a text, (0, 0) where it is not there."""
    words = quoted.removesuffix("...").split()
    found = re.search(r"\s+".join(map(re.escape, words)), text, re.IGNORECASE) if words else None
    return found.span() if found else (0, 0)


def _plain(text: str, start: int, end: int, inside: tuple[int, int]) -> str:
    """Text without anything that stands out, the part of it that is `inside` marked."""
    first, last = (min(max(edge, start), end) for edge in inside)
    marked = f"<mark>{escape(text[first:last])}</mark>" if first < last else ""
    return escape(text[start:first]) + marked + escape(text[last:end])


def _pattern(names: dict[str, int]) -> re.Pattern[str]:
    """One pattern for every piece; longer image names first, so that Image-12 is not Image-1."""
    ordered = sorted(names, key=lambda name: (-len(name), name))
    image = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in ordered) or r"(?!)"
    return re.compile(f"(?P<quad>{_QUAD})|(?P<slot>{_SLOT})|(?P<token>{_TOKEN})|(?P<image>{image})")


def _piece(
    match: re.Match[str],
    tagged: Tagged,
    unused: list[Tag],
    names: dict[str, int],
    images: Sequence[Picture],
) -> str:
    text = match[0]
    if match["token"]:
        return f'<span class="token">{escape(text)}</span>'
    if match["image"]:
        return _image(names[text], text)
    if match["slot"]:
        return _slot(text, tagged, images)
    found = _nearest(text, unused, images) or _nearest(text, tagged.all, images)
    if found is None:
        return escape(text)
    if found in unused:
        unused.remove(found)
    return chip(found, text)


def _slot(text: str, tagged: Tagged, images: Sequence[Picture]) -> str:
    kind, _, number = text[1:-1].partition(":")
    index = int(number)
    if kind == "image":
        if index >= len(images):
            return escape(text)
        return _image(index, images[index].name or f"image {index}", "image slot")
    tags = tagged.given if kind == "region" else tagged.targets
    return chip(tags[index], "") if index < len(tags) else escape(text)


def _image(index: int, name: str, style: str = "image") -> str:
    return f'<span class="{style}" data-image="{index}">{escape(name)}</span>'


def chip(tag: Tag, text: str) -> str:
    """A box named in running text: its number and, after it, how the text writes it."""
    written = f' <span class="box">{escape(text)}</span>' if text else ""
    return (
        f'<span class="chip {colour(tag)}" data-turn="{tag.turn}" data-mark="{tag.label}">'
        f"<b>{tag.label}</b>{written}</span>"
    )


def colour(tag: Tag) -> str:
    """CSS class of a mark's colour."""
    if tag.claimed:
        return "claimed"
    return "given" if tag.colour is None else f"c{tag.colour}"


def _nearest(text: str, tags: Sequence[Tag], images: Sequence[Picture]) -> Tag | None:
    numbers = [float(number) for number in _NUMBER.findall(text)]
    best, least = None, _TOLERANCE
    for tag in tags:
        if tag.mark.image >= len(images):
            continue
        miss = _miss(numbers, tag, images[tag.mark.image])
        if miss < least:
            best, least = tag, miss
    return best


def _miss(numbers: Sequence[float], tag: Tag, image: Picture) -> float:
    """How far `numbers` lie from the box on the scale that fits best, as a share of that scale."""
    if image.width <= 0 or image.height <= 0:
        return 1.0
    box, size = tag.mark.box, (image.width, image.height) * 2
    edges = [edge / side for edge, side in zip((box.x1, box.y1, box.x2, box.y2), size, strict=True)]
    scales = [size, *((scale,) * 4 for scale in _SCALES)]
    return min(
        max(abs(n / s - edge) for n, s, edge in zip(numbers, scale, edges, strict=True))
        for scale in scales
    )
