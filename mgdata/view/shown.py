"""What the gallery shows: one sample, its pictures and its turns, as text and boxes.

Whoever calls the view fills these from a release, a run or a preview.
"""

from __future__ import annotations

import msgspec

from mgdata.geometry import Box

ACCEPTED = "accepted"
"""Verdict of an answer that is good enough to learn from."""


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """One image of a sample, as published."""

    data: bytes | None
    """The encoded image; None when it cannot be had, and its boxes are drawn on an empty frame."""
    name: str
    """What the text calls it: `Image-1`."""
    width: int
    """Pixels of the frame its boxes are written in."""
    height: int
    """Pixels of the frame its boxes are written in."""
    caption: str = ""
    """Where it comes from: uri, frame number, view."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A box drawn on one picture."""

    image: int
    """Index into the sample's images."""
    box: Box
    """Pixels of that picture's frame."""
    phrase: str = ""
    """What the box shows, in words."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A teacher's answer beside the annotated one, and what was thought of it."""

    verdict: str
    """`ACCEPTED`, or why it was not, the same words for the same cause."""
    quote: str = ""
    """What was found: words of the reasoning, or a figure."""
    prompt: str = ""
    """Kind of the prompt: direct, reason, rationalise, trajectory."""
    number: int = 0
    """Which of several answers to the same prompt, from 0."""
    answer: str = ""
    """The answer proper; empty where it cannot be told from the rest."""
    raw: str = ""
    """All that the teacher wrote."""
    claimed: tuple[Mark, ...] = ()
    """Boxes of its answer, drawn dotted."""
    scores: dict[str, float] = {}
    """How right it is, by name."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One question and its answer, with the boxes they speak of."""

    question: str
    """Text as a reader should see it; placeholders that are left in it are shown as tags."""
    answer: str
    """Text as a reader should see it, boxes written in any notation."""
    kind: str = "boxes"
    """How the answer is judged: boxes, text, choice, order, count."""
    given: tuple[Mark, ...] = ()
    """Boxes of the question, drawn dashed."""
    targets: tuple[Mark, ...] = ()
    """Boxes of the answer, drawn solid."""
    gold: str = ""
    """The right answer in its shortest form, where it is no box."""
    instruction: str = ""
    """What the question ends with, of how to answer."""
    open: bool = False
    """The question is left unanswered, for a model to answer."""
    reasoning: str = ""
    """What stands before an answer, with its line breaks."""
    trace: Trace | None = None
    """What a teacher answered to the question; None: it was not asked."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One sample, kept or dropped."""

    id: str
    """Sample id, or the key of what was dropped."""
    task: str
    """Task it was built for."""
    split: str
    """Split it was assigned to; empty when it never got that far."""
    images: tuple[Picture, ...]
    """In the order the question shows them."""
    turns: tuple[Exchange, ...]
    """In order; a dropped record may have none."""
    provenance: dict[str, str] = {}
    """Records, group, seed, licence and whatever else tells where it comes from, in order."""
    reason: str | None = None
    """Why it was dropped, in the ledger's words; None for a kept sample."""
