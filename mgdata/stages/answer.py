"""Answer: a teacher answers one shard of samples, and every reply is in the journal first.

An asker makes prompts of the shard, these become requests; what the journal knows is not asked
again; the rest goes to the one session of the process. A shard ends when each of its requests has a
reply, be it a failure. Nothing is judged here.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, Protocol

from mgdata.data import Answer, Drop, Image, Reply, Request, Sample, Sampling
from mgdata.edits import Codec
from mgdata.engine.stage import Worker
from mgdata.manifest import Entry, Shard
from mgdata.plugins import Backend
from mgdata.remembered import Remembered
from mgdata.stages.finish import Finish
from mgdata.stages.sessions import desk, pictures_of
from mgdata.storage import Root, Store
from mgdata.teacher.asking import model_of, prompt_digest, requests
from mgdata.teacher.forms import Form
from mgdata.teacher.journal import LASTING, Journal
from mgdata.teacher.prompts import Prompt
from mgdata.teacher.tables import write_answers

JOURNAL = "answers/journal"
"""Folder of the run in which replies are kept."""


class Wanted(NamedTuple):
    """Answers that are wanted to one prompt."""

    sample: Sample
    turn: int
    """Position of what is asked about: a turn, or whatever its asker counts."""
    prompt: Prompt
    images: Sequence[Image]
    """Those that the prompt shows, in order."""
    first: int
    """Number of the first answer."""
    n: int
    form: Form = Form()
    shared: bool = False
    """Whoever asks the same of the same pictures gets the same answers, as a caption."""


class Asker(Protocol):
    """What is asked of a shard. Plain data that travels to workers."""

    def wanted(self, store: Store, shard: Shard) -> Iterator[Wanted | Drop]:
        """Prompts in an order of their own, or why there is none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Puts a shard's questions to a teacher."""

    out: str
    backend: Backend
    backend_name: str
    asker: Asker
    sampling: Sampling
    seed: int
    codec: Codec
    """For edited images: as in the release."""
    roots: dict[str, Root]
    asking: bool = True
    """False: take what the journal knows, ask nothing, and leave out the rest."""
    retry: bool = False
    """Ask again what is known to fail, as where a limit that it ran into was raised."""
    name: str = "answer"

    @property
    def gpus(self) -> float:
        """GPUs a worker."""
        return self.backend.gpus

    @property
    def most_workers(self) -> int | None:
        """Most workers at once."""
        return self.backend.sessions

    @property
    def model(self) -> str:
        """The model as answers and keys name it."""
        return model_of(self.backend_name, self.backend)

    def open(self) -> Worker:
        """The worker: one session, one journal, pictures remembered."""
        return self._work

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        store = Store(self.out)
        if not self.asking:
            flow = _Flow(self, store, pictures_of(self.roots, self.codec), shards)
            yield from map(_finished, flow.known())
            return
        with desk(self.backend, self.roots, self.codec) as found:
            flow = _Flow(self, store, found.pictures, shards)
            with flow.journal.writer() as writer:
                while not flow.ended:
                    requests = flow.requests()
                    for first in requests:  # where there is none, no model is loaded
                        for reply in found.session().answer(chain([first], requests)):
                            flow.take(writer.add(reply))
                            if ready := flow.ready():
                                writer.flush()  # what an entry counts must be there before it
                                flow.flushed()
                                yield from map(_finished, ready)
                    writer.flush()
                    flow.flushed()
                    yield from map(_finished, flow.ready())


class _Open:
    """A shard whose replies are not all there."""

    def __init__(self, store: Store, shard: Shard) -> None:
        self.finish = Finish(store, shard)
        self.asked: list[tuple[Answer, str]] = []
        """Answers without their replies, in the order of the table, each with its request's key."""
        self.replies: dict[str, Reply] = {}
        self.missing: set[str] = set()
        self.alone: set[str] = set()
        """Keys that no shard before it waits for."""
        self.shared: set[str] = set()
        """Keys that other shards may have asked for."""
        self.known: set[str] = set()
        """Keys that the journal knew before."""
        self.drops: list[Drop] = []
        self.counts = Counter[str]()


class _Flow:
    """Shards on their way through one session.

    A session may take requests in a thread of its own, while replies come back in another.
    """

    def __init__(
        self, stage: Ask, store: Store, pictures: Remembered, shards: Iterator[Shard]
    ) -> None:
        self._stage, self._store, self._pictures, self._shards = stage, store, pictures, shards
        self._lock = threading.Lock()
        self._waiting: dict[str, list[_Open]] = {}
        self._ready: list[_Open] = []
        self._fresh: dict[str, Reply] = {}
        """Replies that may not be in the journal yet."""
        self._model = stage.model
        self.journal = Journal(store, JOURNAL)
        self.ended = False

    def requests(self) -> Iterator[Request]:
        """What is still to be asked of the shards, one after the other.

        Ends early where a shard has nothing to ask: whoever feeds the shards waits for its entry,
        and no reply would come after which to yield it. Called again it goes on.
        """
        for shard in self._shards:
            one, made = self._opened(shard)
            if not one.missing:
                return
            yield from (request for key, request in made.items() if key in one.alone)
        self.ended = True

    def known(self) -> Iterator[_Open]:
        """Every shard with what the journal knows of it."""
        for shard in self._shards:
            one, _ = self._opened(shard)
            one.counts["not asked"] = len(one.missing)
            one.asked = [(answer, key) for answer, key in one.asked if key in one.replies]
            yield one

    def take(self, reply: Reply) -> None:
        """A reply has come, and is in the journal, or will be by the next flush."""
        with self._lock:
            if reply.finish != "failed" or reply.reason in LASTING:
                self._fresh[reply.key] = reply
            for one in self._waiting.pop(reply.key, ()):
                one.replies[reply.key] = reply
                one.missing.discard(reply.key)
                if not one.missing:
                    self._ready.append(one)

    def flushed(self) -> None:
        """All replies taken are in the journal."""
        with self._lock:
            self._fresh.clear()

    def ready(self) -> list[_Open]:
        """Shards that have all their replies, each told once."""
        with self._lock:
            found, self._ready = self._ready, []
        return found

    def _opened(self, shard: Shard) -> tuple[_Open, dict[str, Request]]:
        """A shard with its requests by key, those known to the journal answered already."""
        one = _Open(self._store, shard)
        made: dict[str, Request] = {}
        for found in self._stage.asker.wanted(self._store, shard):
            if isinstance(found, Drop):
                one.drops.append(found)
                continue
            for answer, request in self._requests(found):
                one.asked.append((answer, request.key))
                made[request.key] = request
                if found.shared:
                    one.shared.add(request.key)
        # In one go: a reply that another shard waits for may come at any time.
        with self._lock:
            self._register(one, made)
        one.counts["requests"] = len(made)
        one.counts["known before"] = len(one.known)
        return one, made

    def _register(self, one: _Open, made: Mapping[str, Request]) -> None:
        """Have a shard wait for what is not known."""
        one.replies = self.journal.known(made, failures=not self._stage.retry)
        one.replies |= self._since(one.shared - one.replies.keys() - self._waiting.keys())
        one.known = set(one.replies)
        one.missing = set(made) - one.known
        one.alone = one.missing - self._waiting.keys()
        for key in one.missing:
            self._waiting.setdefault(key, []).append(one)
        if not one.missing:
            self._ready.append(one)

    def _since(self, keys: set[str]) -> dict[str, Reply]:
        """What was answered since the journal was opened, by this session or another."""
        found = {key: self._fresh[key] for key in keys if key in self._fresh}
        if left := sorted(keys - found.keys()):
            self.journal.refresh()
            found |= self.journal.known(left)
        return found

    def _requests(self, wanted: Wanted) -> Iterator[tuple[Answer, Request]]:
        """Every answer that is wanted to a prompt, with its request."""
        stage, sample = self._stage, wanted.sample
        names = self._pictures.names(wanted.images)
        about = prompt_digest(wanted.prompt, names) if wanted.shared else None
        made = requests(
            wanted.prompt, names, wanted.n, model=self._model, sampling=stage.sampling,
            seed=stage.seed, sample=sample, turn=wanted.turn, about=about, first=wanted.first,
            form=wanted.form,
        )  # fmt: skip
        for number, request in enumerate(made, wanted.first):
            yield (
                Answer(
                    sample=sample.id,
                    turn=wanted.turn,
                    number=number,
                    kind=wanted.prompt.kind,
                    reply=Reply(key=request.key, text="", finish="failed"),
                    model=self._model,
                    prompt=request.prompt,
                    words=wanted.prompt.words,
                    sampling=stage.sampling,
                    seed=request.seed,
                ),
                request,
            )


def _finished(one: _Open) -> Entry:
    answers = [answer.__replace__(reply=one.replies[key]) for answer, key in one.asked]
    one.finish.table("answers", ".parquet", lambda path: write_answers(path, answers))
    for answer in answers:
        one.counts[f"kind={answer.kind}"] += 1
        one.counts[f"finish={answer.reply.finish}"] += 1
        one.counts["prompt tokens"] += answer.reply.prompt_tokens
        one.counts["tokens"] += answer.reply.tokens
        if answer.reply.key not in one.known:
            one.counts["tokens spent"] += answer.reply.prompt_tokens + answer.reply.tokens
    return one.finish.entry(len(answers), one.counts, one.drops)
