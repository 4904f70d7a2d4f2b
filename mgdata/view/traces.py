"""The HTML of a teacher's answer, accepted or not, and of the reasoning before any answer.

All of it is data that a model wrote: every text passes `html.escape`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mgdata.view.highlight import chip, highlight
from mgdata.view.marks import Tag, Tagged
from mgdata.view.shown import ACCEPTED, Exchange, Picture, Trace

_LONG = 900
"""Characters from which a reasoning is set in two columns where there is room."""


def reasoned(turn: Exchange, tagged: Tagged, images: Sequence[Picture]) -> str:
    """The reasoning as a block that keeps its lines; empty where there is none.

    What the verdict on it quotes is marked.
    """
    if not turn.reasoning:
        return ""
    quoted = turn.trace.quote if turn.trace else ""
    text = highlight(turn.reasoning, tagged.told, images, spoken=True, quoted=quoted)
    size = " long" if len(turn.reasoning) > _LONG else ""
    return f'<div class="reasoning{size}" dir="auto">{text}</div>'


def judged(turn: Exchange, tagged: Tagged, images: Sequence[Picture]) -> str:
    """What a teacher answered, with the verdict on top and all that it wrote folded away."""
    trace = turn.trace
    if trace is None:
        return ""
    rows = (
        ("Verdict", _verdict(trace)),
        ("Reasoning", reasoned(turn, tagged, images)),
        ("Answer", _said(trace, tagged, images)),
        ("Scores", _scores(trace)),
        ("", _raw(trace)),
    )
    shown = "".join(
        f'<div class="label">{label}</div><div>{content}</div>'
        for label, content in rows
        if content
    )
    return f'<div class="trace">{shown}</div>'


def key(tagged: Sequence[Tagged]) -> str:
    """What the lines round boxes mean, where a teacher's are among them."""
    if not any(turn.claimed for turn in tagged):
        return ""
    kinds = (
        ("annotated", "annotated", any(turn.targets for turn in tagged)),
        ("claimed", "claimed by the teacher", True),
        ("given", "given in the question", any(turn.given for turn in tagged)),
    )
    shown = "".join(
        f'<li><svg class="line" viewBox="0 0 34 12" aria-hidden="true"><g class="mark {kind}">'
        '<path class="casing" d="M3 6H31"/><path class="edge" d="M3 6H31"/></g></svg>'
        f"{words}</li>"
        for kind, words, there in kinds
        if there
    )
    return f'<ul class="key">{shown}</ul>'


def _verdict(trace: Trace) -> str:
    kind = "accepted" if trace.verdict == ACCEPTED else "rejected"
    quote = f'<q dir="auto">{escape(trace.quote)}</q>' if trace.quote else ""
    asked = f"{trace.prompt} #{trace.number + 1}" if trace.prompt else ""
    return (
        f'<p class="verdict"><span class="pill {kind}" dir="auto">{escape(trace.verdict)}</span>'
        f'{quote}<span class="asked">{escape(asked)}</span></p>'
    )


def _said(trace: Trace, tagged: Tagged, images: Sequence[Picture]) -> str:
    """The answer proper, and beneath it the boxes that its text does not show."""
    if not trace.answer:
        return ""
    text = highlight(trace.answer, tagged.told, images, spoken=True)
    left = [tag for tag in tagged.claimed if chip(tag, "").removesuffix("</span>") not in text]
    boxes = "".join(legend(tag, images) for tag in left)
    under = f'<ul class="marks">{boxes}</ul>' if boxes else ""
    return f'<p class="said" dir="auto">{text}</p>{under}'


def legend(tag: Tag, images: Sequence[Picture]) -> str:
    """A box with the image it is in and what it shows."""
    index = tag.mark.image
    name = images[index].name if index < len(images) else f"image {index}"
    phrase = f" <bdi>{escape(tag.mark.phrase)}</bdi>" if tag.mark.phrase else ""
    return (
        f'<li data-turn="{tag.turn}" data-mark="{tag.label}" title="{escape(words(tag))}">'
        f'{chip(tag, "")} <span class="where">{escape(name)}</span>{phrase}</li>'
    )


def words(tag: Tag) -> str:
    """A box for who points at it: its label, what it shows, and its edges in pixels."""
    box = tag.mark.box
    edges = ", ".join(number(edge) for edge in (box.x1, box.y1, box.x2, box.y2))
    return f"{tag.label} {tag.mark.phrase} [{edges}]".replace("  ", " ")


def number(value: float) -> str:
    """Up to three decimals, without trailing zeros: boxes keep more than a pixel's precision."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _scores(trace: Trace) -> str:
    shown = "".join(
        f"<span>{escape(name.replace('_', ' '))} <b>{_figure(value)}</b></span>"
        for name, value in trace.scores.items()
    )
    return f'<p class="scores">{shown}</p>' if shown else ""


def _figure(value: float) -> str:
    """Two decimals, none where there is nothing after the point."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.2f}"


def _raw(trace: Trace) -> str:
    if not trace.raw:
        return ""
    # Where its parts cannot be told, the whole is all that there is to read.
    open_ = "" if trace.answer else " open"
    return (
        f'<details class="raw"{open_}><summary>All that was answered</summary>'
        f'<pre dir="auto">{escape(trace.raw)}</pre></details>'
    )
