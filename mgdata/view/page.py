"""The HTML of a gallery. Every text passes `html.escape`; every number is formatted here.

Styles that depend on the data (picture frames, colours) are classes in a generated style sheet,
because the page's policy allows no style attributes.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template

from mgdata.view.highlight import colour, highlight
from mgdata.view.marks import PALETTE, Tag, Tagged, tag
from mgdata.view.shown import ACCEPTED, Exchange, Picture, Shown
from mgdata.view.traces import judged, key, legend, number, reasoned, words

KEPT = "kept"
"""What the reason filter calls samples that were not dropped."""


_FACETS = ("task", "split", "reason", "kind", "verdict")


class Page:
    """Collects samples and renders the page. Holds text only, never image bytes."""

    def __init__(self) -> None:
        self._articles: list[str] = []
        self._anchors: set[str] = set()
        self._frames: dict[str, str] = {}
        self._facets = {name: Counter[str]() for name in _FACETS}

    def add(self, shown: Shown, sources: Sequence[str | None]) -> None:
        """Append a sample; `sources` are its images' file names, None where there is none."""
        values = {
            "task": shown.task,
            "split": shown.split,
            "reason": shown.reason or KEPT,
            **_asked(shown),
        }
        for name, value in values.items():
            self._facets[name][value] += 1
        data = "".join(f' data-{name}="{escape(value)}"' for name, value in values.items())
        tagged = tag(shown.turns)
        self._articles.append(
            f'<article class="sample" id="{self._anchor(shown.id)}" tabindex="-1"{data}>'
            f"{_head(shown)}{self._pictures(shown, tagged, sources)}{_turns(shown, tagged)}"
            f"{_provenance(shown)}</article>\n"
        )

    def render(self, title: str, facts: Mapping[str, str]) -> str:
        """The whole page, self-contained but for the image files."""
        script, style = _asset("gallery.js"), _asset("gallery.css") + self._rules()
        return Template(_asset("gallery.html")).substitute(
            policy=_policy(script, style),
            title=escape(title),
            style=style,
            script=script,
            facts=_pairs(facts),
            count=f"{len(self._articles):,}",
            noun="sample" if len(self._articles) == 1 else "samples",
            facets="".join(_facet(name, counts) for name, counts in self._facets.items()),
            samples="".join(self._articles),
        )

    def _anchor(self, identity: str) -> str:
        """A unique element id that stays the same while the sample's id does."""
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in identity)
        name, again = f"s-{plain}", 1
        while name in self._anchors:
            again += 1
            name = f"s-{plain}-{again}"
        self._anchors.add(name)
        return name

    def _pictures(
        self, shown: Shown, tagged: Sequence[Tagged], sources: Sequence[str | None]
    ) -> str:
        if not shown.images:
            return ""
        tags = [one for turn in tagged for one in turn.all]
        figures = (
            self._figure(index, picture, source, [one for one in tags if one.mark.image == index])
            for index, (picture, source) in enumerate(zip(shown.images, sources, strict=True))
        )
        row = self._row([_ratio(picture) for picture in shown.images])
        return f'<div class="pictures {row}">{"".join(figures)}</div>{key(tagged)}'

    def _figure(self, index: int, picture: Picture, source: str | None, tags: Sequence[Tag]) -> str:
        drawn = _drawing(picture, tags)
        if source is None:
            shown = f'<div class="frame missing">{drawn}<span>image not available</span></div>'
        else:
            shown = (
                f'<a class="frame" href="images/{source}">'
                f'<img src="images/{source}" width="{picture.width}" height="{picture.height}"'
                f' alt="{escape(picture.name)}" loading="lazy" decoding="async">{drawn}</a>'
            )
        folder, slash, file = picture.caption.rpartition("/")
        caption = f'<span>{escape(folder)}</span><span class="file">{escape(slash + file)}</span>'
        return (
            f'<figure class="{self._frame(picture)}" data-image="{index}">{shown}'
            f"<figcaption><b>{escape(picture.name)}</b>"
            f'<span class="uri" dir="auto" title="{escape(picture.caption)}">{caption}</span>'
            f'<span class="size">{picture.width} x {picture.height}</span></figcaption></figure>'
        )

    def _frame(self, picture: Picture) -> str:
        name = f"f{picture.width}x{picture.height}"
        self._frames[name] = f".{name}{{--ratio:{_ratio(picture):.4f}}}"
        return name

    def _row(self, ratios: Sequence[float]) -> str:
        """Class that lets a sample's pictures share one row as long as they stay legible."""
        total = round(sum(round(ratio, 4) for ratio in ratios), 4)
        name = f"r{len(ratios)}-{round(total * 10000)}"
        self._frames[name] = f".{name}{{--count:{len(ratios)};--sum:{total:.4f}}}"
        return name

    def _rules(self) -> str:
        colours = (f".c{i}{{--c:{value}}}" for i, value in enumerate(PALETTE))
        return "\n".join((*colours, *(self._frames[name] for name in sorted(self._frames)))) + "\n"


def _asset(name: str) -> str:
    return files("mgdata.view").joinpath(name).read_text("utf-8")


def _policy(script: str, style: str) -> str:
    """A policy under which nothing runs or loads but this script, this style and local images."""

    def source(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {source(script)}; style-src {source(style)}; "
        "img-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


def _ratio(picture: Picture) -> float:
    return picture.width / picture.height if picture.width > 0 < picture.height else 1.5


def _drawing(picture: Picture, tags: Sequence[Tag]) -> str:
    """The boxes as SVG in the picture's own pixels; tag labels are sized to its height."""
    scale = max(picture.height, picture.width * 0.5) / 400
    size = f"0 0 {picture.width} {picture.height}"
    # Dots over lines, and the smallest box on top, so that it can be pointed at.
    ordered = sorted(tags, key=lambda one: (one.claimed, -one.mark.box.area))
    drawn = "".join(_box(one, scale, picture) for one in ordered)
    return f'<svg viewBox="{size}" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'


def _box(tag: Tag, scale: float, picture: Picture) -> str:
    box = tag.mark.box
    place = " ".join(
        f'{name}="{number(value)}"'
        for name, value in zip(
            ("x", "y", "width", "height"), (box.x1, box.y1, box.width, box.height), strict=True
        )
    )
    title = f"<title>{escape(words(tag))}</title>"
    return (
        f'<g class="mark {colour(tag)}" data-turn="{tag.turn}" data-mark="{tag.label}">{title}'
        f'<rect class="casing" {place}/><rect class="edge" {place}/>'
        f"{_sign(tag, scale, picture)}</g>"
    )


def _sign(tag: Tag, scale: float, picture: Picture) -> str:
    """The label at the first corner of a box, of a claimed one at the last.

    A claimed box often lies on the very one that was asked for.
    """
    box, across = tag.mark.box, 20 + 9 * (len(tag.label) - 1)
    if tag.claimed:
        place, left = (box.x2, box.y2), -across
        top = 0 if box.y2 + 20 * scale <= picture.height else -20
    else:
        place, left = (box.x1, box.y1), 0
        top = -20 if box.y1 >= 20 * scale else 0
    start = f' x="{left}"' if left else ""
    return (
        f'<g class="tag" transform="translate({number(place[0])} {number(place[1])}) '
        f'scale({number(scale)})"><rect{start} y="{top}" width="{across}" height="20"/>'
        f'<text x="{left + across / 2:g}" y="{top + 15}">{tag.label}</text></g>'
    )


def _asked(shown: Shown) -> dict[str, str]:
    """How a teacher was asked, and the verdict on it; of several answers in a sample the last."""
    traces = [turn.trace for turn in shown.turns if turn.trace]
    return {
        "kind": traces[-1].prompt if traces else "",
        "verdict": traces[-1].verdict if traces else "",
    }


def _head(shown: Shown) -> str:
    task = f'<span class="task">{escape(shown.task)}</span>' if shown.task else ""
    split = f'<span class="split">{escape(shown.split)}</span>' if shown.split else ""
    reason = (
        f'<span class="reason" dir="auto">{escape(shown.reason)}</span>' if shown.reason else ""
    )
    return f'<header>{task}{split}{reason}<code dir="auto">{escape(shown.id)}</code></header>'


def _turns(shown: Shown, tagged: Sequence[Tagged]) -> str:
    return "".join(
        _turn(index, turn, marks, shown.images)
        for index, (turn, marks) in enumerate(zip(shown.turns, tagged, strict=True))
    )


def _turn(index: int, turn: Exchange, tagged: Tagged, images: Sequence[Picture]) -> str:
    gold = f'<span class="gold" dir="auto">{escape(turn.gold)}</span>' if turn.gold else ""
    boxes = "".join(legend(one, images) for one in tagged.given + tagged.targets)
    marks = f'<ul class="marks">{boxes}</ul>' if boxes else ""
    before = "" if turn.trace else reasoned(turn, tagged, images)
    return (
        f'<section class="turn" data-turn="{index}" tabindex="0">'
        f'<p class="question" dir="auto">{highlight(turn.question, tagged, images)}</p>'
        f"{_instruction(turn)}{before}{_answer(turn, tagged, images)}"
        f'<div class="under"><span class="kind">{escape(turn.kind)}</span>{gold}{marks}</div>'
        f"{judged(turn, tagged, images)}</section>"
    )


def _instruction(turn: Exchange) -> str:
    text = escape(turn.instruction)
    return f'<p class="instruction" dir="auto">{text}</p>' if text else ""


def _answer(turn: Exchange, tagged: Tagged, images: Sequence[Picture]) -> str:
    if turn.open:
        return '<p class="answer left">left open, for a model to answer</p>'
    return f'<p class="answer" dir="auto">{highlight(turn.answer, tagged, images)}</p>'


def _provenance(shown: Shown) -> str:
    if not shown.provenance:
        return ""
    return f"<details><summary>Provenance</summary><dl>{_pairs(shown.provenance)}</dl></details>"


def _pairs(facts: Mapping[str, str]) -> str:
    return "".join(
        f'<div><dt>{escape(name)}</dt><dd dir="auto">{escape(value)}</dd></div>'
        for name, value in facts.items()
    )


def _facet(name: str, counts: Counter[str]) -> str:
    if len(counts) < 2:
        return ""
    options = "".join(
        f'<option value="{escape(value)}">{escape(value) or "none"} ({counts[value]:,})</option>'
        for value in _ordered(counts)
    )
    return f'<label>{name}<select id="{name}"><option>all</option>{options}</select></label>'


def _ordered(values: Iterable[str]) -> list[str]:
    """By name, what was kept or accepted first."""
    return sorted(values, key=lambda value: (value not in (KEPT, ACCEPTED), value))
