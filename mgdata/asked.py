"""Items on their way through a model: questions made into requests, known ones left out.

A backend may take requests in a thread of its own while replies come back in another. Knows no
backend, and not what an answer says.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, NamedTuple

from mgdata.data import Reply, Request, Sampling
from mgdata.errors import boundary
from mgdata.gold import Fault, Source
from mgdata.plugins import Notation
from mgdata.questions import Question, Questions
from mgdata.teacher.asking import requests
from mgdata.teacher.journal import Journal
from mgdata.teacher.prompts import prompt

BATCH = 64
"""Items that are looked up, and told of, together."""

Kind = Literal["direct", "reason"]
"""The answer alone, or reasoning before it."""


class Line(NamedTuple):
    """Where the reply to an item is found."""

    id: str
    turn: int
    key: str


@dataclass
class Batch:
    """Items that were looked up together."""

    number: int
    items: int
    missing: set[str]
    """Keys without a reply."""


@dataclass(kw_only=True)
class Asked:
    """What is asked of a model, and how far it is."""

    source: Source
    questions: Questions
    notation: Notation
    model: str
    """Name and revision, after its backend's name."""
    kind: Kind
    sampling: Sampling
    seed: int
    limit: int | None
    """Most items."""
    journal: Journal
    lines: list[Line] = field(default_factory=list[Line])
    """All items that were asked so far, in order."""
    left_out: Counter[str] = field(default_factory=Counter[str])
    """Items that cannot be asked, by reason."""
    known: int = 0
    """Items whose reply was in the journal."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, Batch] = {}
        self._ready: list[Batch] = []
        self._names: set[tuple[str, int]] = set()

    def requests(self) -> Iterator[Request]:
        """What is still to be asked, in the order of the items."""
        found = islice(self._all(), self.limit)
        number = 0
        while some := list(islice(found, BATCH)):
            known = self.journal.known([request.key for _, request in some])
            new = {request.key: request for _, request in some if request.key not in known}
            batch = Batch(number, len(some), set(new))
            self.known += len(some) - len(new)
            self.lines += [line for line, _ in some]
            number += 1
            with self._lock:
                self._waiting |= dict.fromkeys(new, batch)
                if not new:
                    self._ready.append(batch)
            yield from new.values()

    def take(self, reply: Reply) -> None:
        """A reply has come, and is in the journal."""
        with self._lock:
            batch = self._waiting.pop(reply.key, None)
            if batch is not None:
                batch.missing.discard(reply.key)
                if not batch.missing:
                    self._ready.append(batch)

    def ready(self) -> list[Batch]:
        """Batches that have all their replies, each told once."""
        with self._lock:
            found, self._ready = self._ready, []
        return found

    def _all(self) -> Iterator[tuple[Line, Request]]:
        for part in self.source.parts():
            for found in self.questions.questions(part):
                if isinstance(found, Fault):
                    self.left_out[found.reason] += 1
                elif (name := (found.sample.id, found.turn)) in self._names:
                    # Predictions go by id: one line serves both.
                    self.left_out["repeated id"] += 1
                elif (request := self._request(found)) is None:
                    self.left_out["cannot be asked"] += 1
                else:
                    self._names.add(name)
                    yield Line(*name, request.key), request

    def _request(self, question: Question) -> Request | None:
        """The request, or None where the notation cannot write what it needs."""
        sample, turn = question.sample, question.turn
        with boundary(f"notation {type(self.notation).__name__}", f"the question of {sample.id}"):
            try:
                words = prompt(self.kind, sample, turn, self.notation)
                (made,) = requests(
                    words, question.pictures, 1, model=self.model, sampling=self.sampling,
                    seed=self.seed, sample=sample, turn=turn,
                )  # fmt: skip
            except ValueError:
                return None
        return made
