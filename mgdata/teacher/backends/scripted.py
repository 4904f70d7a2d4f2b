"""A teacher that is no model: it answers from annotation, with the faults that it is told to make.

For tests, demos and dry runs, through the same door as every other backend. It looks at no picture,
and a release made with it says so on its card (`simulated`).
"""

from __future__ import annotations

import importlib
import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import msgspec

from mgdata.data import Reply, Request, Sample, Turn
from mgdata.identity import Stream, content_id
from mgdata.plugins import Backend, Notation, Session
from mgdata.teacher.backends.scripted_facts import FACTS, fact
from mgdata.teacher.backends.scripted_faults import (
    BROKEN,
    BROKEN_DIRECT,
    FAULTS,
    can_have,
    spoilt_prose,
    spoilt_turn,
)
from mgdata.teacher.backends.scripted_prose import prose

SCRIPT = 2
"""Version of what it says; raised when its words change, so that old answers are not taken for
new ones."""

_TOKEN = 4


@dataclass(frozen=True, kw_only=True)
class Scripted(Backend):
    """Answers from the sample that a request carries. Tokens are guessed: four characters each.

    Pure: the answer to a request, and its fault, is a function of the settings and the request's
    key. A fault that a request cannot have (a box too few where none is asked for, a leak where
    there is no reasoning) leaves its answer right.
    """

    simulated: ClassVar[bool] = True

    faults: dict[str, float] = field(default_factory=dict[str, float])
    """Share of the requests that each fault hits, 0 to 1, together at most 1; the rest is right.
    What there is to choose from is in `scripted_faults.FAULTS`."""
    offset_iou: float = 0.3
    """IoU, over 0 and under 1, that a box that lies aside keeps at most; the notation rounds it."""
    failures: tuple[str, ...] = ("timeout", "server error", "prompt too long", "image refused")
    """Reasons of failed requests, one of them each."""
    notation: str = "json"
    """Notation in which it writes boxes; one of mgdata's own."""
    notation_settings: dict[str, Any] = field(default_factory=dict[str, Any])
    """Its settings."""
    delay: float = 0.0
    """Seconds that each answer takes."""

    def __post_init__(self) -> None:
        """Refuse settings that say nothing.

        Raises:
            ValueError: an unknown fault or notation, or shares that are none.
        """
        if unknown := sorted(set(self.faults) - set(FAULTS)):
            raise ValueError(f"there is no fault {unknown[0]!r}: there are {', '.join(FAULTS)}")
        if not all(share >= 0 for share in self.faults.values()) or not (
            sum(self.faults.values()) <= 1 + 1e-9
        ):
            raise ValueError(f"shares of faults are 0 to 1, together at most 1: {self.faults}")
        if not 0 < self.offset_iou < 1:
            raise ValueError(f"offset_iou is over 0 and under 1, found {self.offset_iou}")
        if "failed" in self.faults and not self.failures:
            raise ValueError("failures is empty: name the reasons of failed requests")
        if not 0 <= self.delay < float("inf"):
            raise ValueError(f"delay is a number of seconds, found {self.delay}")
        self._notation  # noqa: B018  says what is wrong with it

    @property
    def model(self) -> str:
        """Its name and a digest of what shapes its answers."""
        shaping = {name: getattr(self, name) for name in ("faults", "offset_iou", "failures")}
        shaping |= {"notation": self.notation, "settings": self.notation_settings, "v": SCRIPT}
        told = msgspec.json.encode(shaping, order="sorted")
        return f"annotation@{content_id(told)[:8]}"

    def open(self, pictures: Callable[[str], bytes]) -> Session:
        """A session that opens no picture."""
        del pictures
        return _Reading(self)

    def fault(self, request: Request) -> str | None:
        """The fault of the answer to a request, or None where it is right."""
        if request.sample is None:
            return None
        drawn = Stream("fault", request.key).uniform()
        for fault in FAULTS:
            drawn -= self.faults.get(fault, 0.0)
            if drawn < 0:
                turn = _turn(request, request.sample)
                return fault if can_have(fault, request.kind, turn) else None
        return None

    def reply(self, request: Request) -> Reply:
        """The answer to a request."""
        fault = self.fault(request)
        rng = Stream("answer", request.key)
        if request.sample is None:
            return _failed(request, "nothing to answer from", "the request carries no sample")
        if fault == "failed":
            return _failed(request, rng.choice(self.failures), "a failure of the scripted teacher")
        text = "" if fault == "empty" else self._text(request, request.sample, fault or "", rng)
        end = _TOKEN * request.sampling.max_tokens
        if fault == "cut":
            end = min(end, 1 + int(len(text) * (0.2 + 0.6 * rng.uniform())))
        return Reply(
            key=request.key,
            text=text[:end],
            finish="length" if len(text) > end or fault == "cut" else "stop",
            prompt_tokens=_tokens(request.system + request.user),
            tokens=_tokens(text[:end]),
        )

    def _text(self, request: Request, sample: Sample, fault: str, rng: Stream) -> str:
        if request.kind in FACTS:
            return fact(request.kind, sample, request.turn, fault, rng)
        turn = _turn(request, sample)
        images = (*sample.images, sample.images[-1])
        believed = spoilt_turn(fault, turn, sample.images, rng, self.offset_iou)
        answer = self._notation.answer(believed, images)
        if request.kind == "direct":
            form = "{answer}" if rng.below(2) else "<answer>{answer}</answer>"
            if fault == "bad_format":
                form = rng.choice([*BROKEN_DIRECT.values()])
            return form.format(answer=answer)
        told = prose(sample, believed, request.kind, self._notation, rng)
        think = spoilt_prose(fault, told, sample, turn, rng)
        form = "<think>\n{think}\n</think>\n<answer>{answer}</answer>"
        if fault == "bad_format":
            form = rng.choice([*BROKEN.values()])
        return form.format(think=think, answer=answer)

    @cached_property
    def _notation(self) -> Notation:
        return notation_named(self.notation, self.notation_settings)


class _Reading(Session):
    """Answers one request after the other."""

    def __init__(self, teacher: Scripted) -> None:
        self._teacher = teacher

    def answer(self, requests: Iterator[Request]) -> Iterator[Reply]:
        """Replies in the order of the requests."""
        for request in requests:
            if self._teacher.delay:
                time.sleep(self._teacher.delay)
            yield self._teacher.reply(request)

    def close(self) -> None:
        """Nothing was opened."""


def notation_named(name: str, settings: dict[str, Any]) -> Notation:
    """The notation that a recipe calls `name`: the one class of its module in `mgdata.notations`.

    A teacher lies below the registry and cannot ask it.

    Raises:
        ValueError: there is no such notation here.
        TypeError: settings that it does not have.
    """
    module = f"mgdata.notations.{name.replace('-', '_').replace('.', '_')}"
    try:
        found = vars(importlib.import_module(module))
    except ImportError:
        found = {}
    for kind in found.values():
        if (
            isinstance(kind, type)
            and issubclass(kind, Notation)
            and kind.__module__ == module
            and not inspect.isabstract(kind)
        ):
            return kind(**settings)
    raise ValueError(f"there is no notation {name!r} in mgdata.notations")


def _turn(request: Request, sample: Sample) -> Turn:
    """The turn that is asked about; of facts `turn` counts images, objects or questions."""
    return sample.turns[0 if request.kind in FACTS else request.turn]


def _failed(request: Request, reason: str, value: str) -> Reply:
    return Reply(key=request.key, text="", finish="failed", reason=reason, value=value)


def _tokens(text: str) -> int:
    return -(-len(text) // _TOKEN)
