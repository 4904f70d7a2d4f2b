"""What a teacher is asked about a turn of a sample: one prompt for each kind, in a notation.

All prompts of a sample begin alike, with its images and then the turns before, whatever is asked
of them: a model server computes that beginning once. The words are in `prompts.yaml`. A blind
kind (`direct`, `reason`, `trajectory`) never looks at the turn's answer or targets, but for whether
an answer in words has boxes in it at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

import msgspec

from mgdata.data import Association, Image, Kind, PromptKind, Sample, Turn
from mgdata.placeholders import fill
from mgdata.plugins import Notation
from mgdata.teacher.notes import notes
from mgdata.teacher.quoting import plain_turn, quoted
from mgdata.teacher.scenes import Scene
from mgdata.teacher.specimens import coordinates, naming, specimens
from mgdata.teacher.texts import across, default_steps, numbered, words_digest, write
from mgdata.wording import ImageNames, capital, listed

TurnKind = Literal["direct", "reason", "rationalise", "trajectory", "verify"]
"""Kinds of prompt that ask about a turn; `fact_prompts` has the others."""

VERDICT = '{"reason": "...", "answerable": true|false, "unique": true|false, "correct": true|false}'
"""What a reply to `verify` looks like."""

_SLOTS = re.compile(r"\A(?:\s*<image:\d+>)+")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Span = tuple[Annotated[int, msgspec.Meta(ge=1)], Annotated[int, msgspec.Meta(ge=1)]]
"""Fewest and most words."""


class Lengths(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many words a teacher is asked for; what it keeps to is for acceptance to say."""

    reasoning: Span = (60, 250)
    """Thinking before an answer."""
    caption: Span = (40, 100)
    """Description of an image."""
    phrase: Span = (3, 15)
    """Phrase that refers to a region."""
    question: Span = (8, 45)
    """Free-form question."""
    verdict: Span = (10, 60)
    """Reason of a verdict."""


DEFAULT = Lengths()


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent to a model, besides the pictures."""

    kind: PromptKind
    """What is asked for."""
    system: str
    """What the model is told it is."""
    user: str
    """The question, with `<image>` where a picture stands, in the order of the sample's images."""
    words: str
    """Digest of the texts it was made from: `prompts.yaml`'s that it uses, and a task's steps."""


class _Asked(NamedTuple):
    """A turn beside what it is told with."""

    turn: Turn
    images: Sequence[Image]
    notation: Notation
    names: ImageNames

    def called(self) -> str:
        """The names of all images."""
        return listed([self.names.one(place) for place in range(len(self.images))])


class Parts:
    """A message as it grows, and the names of the texts it uses."""

    __slots__ = ("names", "parts")

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.names: list[str] = []

    def add(self, name: str, /, **slots: object) -> None:
        """Add a text with its slots filled."""
        self.parts.append(write(name, **slots))
        self.names.append(name)

    def prompt(self, kind: PromptKind, system: str, steps: tuple[str, ...] = ()) -> Prompt:
        """All of it, with a digest of what it used."""
        return Prompt(
            kind=kind,
            system=write(system),
            user="\n\n".join(self.parts),
            words=words_digest((system, *self.names), steps),
        )


def prompt(
    kind: TurnKind,
    sample: Sample,
    turn: int,
    notation: Notation,
    *,
    steps: Sequence[str] = (),
    scenes: Sequence[Scene] = (),
    lengths: Lengths = DEFAULT,
) -> Prompt:
    """What is asked about one turn of a sample; the turns before it are told with their answers.

    Args:
        kind: `direct` asks for the answer alone, `reason` for reasoning first, `rationalise` shows
            the answer as a hidden anchor, `trajectory` tells what is known of the images, `verify`
            asks whether the turn's answer is right.
        sample: With its images, all of which are shown.
        turn: Position of the turn.
        notation: How boxes are written, in question and answer.
        steps: The steps of reasoning of this task; empty: those of the sample's association.
        scenes: For `trajectory`, what is known of each image.
        lengths: How long the reasoning is asked to be.

    Raises:
        ValueError: a box, phrase or turn that the notation cannot write; no scene for each image.
        IndexError: there is no such turn.
    """
    asked = plain_turn(sample.turns[turn])
    names = naming(sample, turn)
    about = _Asked(asked, sample.images, notation, names)
    own = tuple(steps) or _default_steps(kind, sample.association, asked.kind)
    parts = Parts()
    parts.add("images", labelled=labelled(len(sample.images), names))
    if turn:
        _earlier(parts, about, sample.turns[:turn])
    parts.add("question", question=_question(asked, about))
    if asked.options and not all(option in asked.question for option in asked.options):
        parts.add("options", options=_options(asked.options))
    if kind == "verify":
        _tell_turn(parts, about)
        _verify(parts, about, lengths)
        return parts.prompt(kind, "system")
    if kind == "trajectory":
        _trajectory(parts, about, own, scenes, lengths)
    elif kind != "direct":
        _thinking(parts, kind, about, own, lengths)
    _form(parts, about)
    parts.add("reply_direct" if kind == "direct" else "reply_thought")
    return parts.prompt(kind, "system", () if kind == "direct" else own)


def _default_steps(kind: TurnKind, association: Association, asked: Kind) -> tuple[str, ...]:
    if kind == "trajectory":
        return *across(association, asked), write("trajectory_last")
    return default_steps(association, asked)


@lru_cache(1024)
def labelled(images: int, names: ImageNames) -> str:
    """A picture's slot after each name, one a line."""
    return "\n".join(f"{capital(names.one(place))}: <image>" for place in range(images))


def _question(turn: Turn, about: _Asked) -> str:
    """The question in the notation; its images are shown before it, and called by name in it."""
    text = about.notation.question(turn, about.images)
    text = _SLOTS.sub("", text, count=1)
    if "<image:" in text:
        text = fill(text, image=[about.names.one(place) for place in range(len(about.images))])
    return text.strip()


def _earlier(parts: Parts, about: _Asked, turns: Sequence[Turn]) -> None:
    told = [
        write(
            "earlier_turn",
            question=_question(one, about),
            answer=about.notation.answer(one, about.images),
        )
        for one in map(plain_turn, turns)
    ]
    parts.add("earlier", turns="\n".join(told))
    parts.names.append("earlier_turn")


def _options(options: Sequence[str]) -> str:
    return "\n".join(f"{_LETTERS[i]}. {quoted(text)}" for i, text in enumerate(options[:26]))


def _thinking(
    parts: Parts,
    kind: Literal["reason", "rationalise"],
    about: _Asked,
    steps: tuple[str, ...],
    lengths: Lengths,
) -> None:
    told: dict[str, object] = {"steps": numbered(steps), "names": about.called()}
    told["least"], told["most"] = lengths.reasoning
    if kind == "rationalise":
        told["anchor"] = about.notation.answer(about.turn, about.images)
    parts.add(kind, **told)


def _trajectory(
    parts: Parts,
    about: _Asked,
    steps: tuple[str, ...],
    scenes: Sequence[Scene],
    lengths: Lengths,
) -> None:
    least, most = lengths.reasoning
    parts.add(
        "trajectory",
        notes=notes(scenes, about.images, about.notation, about.names),
        steps=numbered((write("trajectory_first"), *steps)),
        names=about.called(),
        least=least,
        most=most,
    )
    parts.names.append("trajectory_first")


def _form(parts: Parts, about: _Asked) -> None:
    """How the answer is written: boxes in the notation, or words of the turn's kind."""
    turn, images = about.turn, len(about.images)
    if turn.kind == "boxes":
        shown = specimens(about.notation, "boxes", images, about.names)
        parts.add(
            "boxes",
            one_name=shown.names[0],
            two_name=shown.names[1],
            one=shown.one,
            two=shown.two,
            none=shown.none,
        )
    elif turn.targets and turn.kind == "text":
        shown = specimens(about.notation, "text", images, about.names)
        parts.add("boxes_in_text", one_name=shown.names[0], one=shown.one)
    elif turn.kind == "choice":
        parts.add("choice", letters=listed(list(_LETTERS[: len(turn.options) or 4]), " or "))
    else:
        parts.add(turn.kind)
    _tell_turn(parts, about)


def _tell_turn(parts: Parts, about: _Asked) -> None:
    turn = about.turn
    if turn.kind == "boxes" or turn.regions or turn.targets:
        tell_boxes(parts, about.images, about.notation, about.names)


def tell_boxes(
    parts: Parts, images: Sequence[Image], notation: Notation, names: ImageNames
) -> None:
    """Add what the numbers of boxes mean, where that can be told."""
    for text, *used in coordinates(notation, images, names):
        parts.parts.append(text)
        parts.names += used


def _verify(parts: Parts, about: _Asked, lengths: Lengths) -> None:
    least, most = lengths.verdict
    anchor = about.notation.answer(about.turn, about.images)
    parts.add("verify", anchor=anchor, least=least, most=most, reply=VERDICT)
