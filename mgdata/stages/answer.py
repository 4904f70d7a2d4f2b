"""Answer: a teacher answers one shard of samples, and every reply is in the journal first.

What happens to a sample: its turns are made into prompts of each kind asked for, these into
requests; what the journal knows is not asked again; the rest goes to the one session that the
worker keeps for the whole stage. A shard ends when each of its requests has a reply, be it a
failure. Nothing is judged here.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from mgdata import media
from mgdata.data import Answer, Drop, Image, Reply, Request, Sample, Sampling
from mgdata.edits import Codec, render
from mgdata.engine.stage import Worker
from mgdata.errors import EnvironmentFailure
from mgdata.manifest import Entry, Shard
from mgdata.plugins import Backend, Notation
from mgdata.stages.finish import Finish
from mgdata.stages.picked import picked
from mgdata.storage import Root, Store
from mgdata.tables import write_answers
from mgdata.teacher.asking import requests
from mgdata.teacher.forms import Form, form
from mgdata.teacher.journal import Journal
from mgdata.teacher.prompts import DEFAULT, Lengths, TurnKind, prompt

JOURNAL = "answers/journal"
"""Folder of the run in which replies are kept."""
REMEMBERED = 256 << 20
"""Bytes of pictures that are kept for requests to come: neighbours share images."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Asks a teacher about samples.

    A shard's payload is `{"picks", "asks"}`: rows of sample tables, `[path, rows]` each, and for
    each kind of prompt `[kind, first, n]`: n answers a turn, numbered from `first`.
    """

    out: str
    backend: Backend
    notation: Notation
    """How the teacher is to write boxes."""
    sampling: Sampling
    seed: int
    codec: Codec
    """For edited images: as in the release."""
    roots: dict[str, Root]
    steps: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Steps of reasoning that a task has of its own."""
    lengths: Lengths = DEFAULT
    formed: bool = True
    """Hold answers to a form where the notation has one and the backend can."""
    name: str = "answer"

    def open(self) -> Worker:
        """The worker: one session, one journal, pictures remembered."""
        return self._work

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        store = Store(self.out)
        pictures = _Pictures(self.roots, self.codec)
        flow = _Flow(self, store, pictures, shards)
        session = self.backend.open(pictures)
        try:
            with flow.journal.writer() as writer:
                while not flow.ended:
                    for reply in session.answer(flow.requests()):
                        flow.take(writer.add(reply))
                        if ready := flow.ready():
                            writer.flush()  # what an entry counts must be there before it
                            yield from map(_finished, ready)
                    writer.flush()
                    yield from map(_finished, flow.ready())
        finally:
            session.close()


class _Open:
    """A shard whose replies are not all there."""

    def __init__(self, store: Store, shard: Shard) -> None:
        self.finish = Finish(store, shard)
        self.asked: list[tuple[Answer, str]] = []
        """Answers without their replies, in the order of the table, each with its request's key."""
        self.replies: dict[str, Reply] = {}
        self.missing: set[str] = set()
        self.drops: list[Drop] = []
        self.counts = Counter[str]()


class _Flow:
    """Shards on their way through one session.

    A session may take requests in a thread of its own, while replies come back in another.
    """

    def __init__(
        self, stage: Ask, store: Store, pictures: _Pictures, shards: Iterator[Shard]
    ) -> None:
        self._stage, self._store, self._pictures, self._shards = stage, store, pictures, shards
        self._lock = threading.Lock()
        self._waiting: dict[str, list[_Open]] = {}
        self._ready: list[_Open] = []
        self._model = stage.backend.model
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
            yield from self._registered(one, made)
        self.ended = True

    def take(self, reply: Reply) -> None:
        """A reply has come, and is in the journal."""
        with self._lock:
            for one in self._waiting.pop(reply.key, ()):
                one.replies[reply.key] = reply
                one.missing.discard(reply.key)
                if not one.missing:
                    self._ready.append(one)

    def ready(self) -> list[_Open]:
        """Shards that have all their replies, each told once."""
        with self._lock:
            found, self._ready = self._ready, []
        return found

    def _opened(self, shard: Shard) -> tuple[_Open, dict[str, Request]]:
        """A shard with its requests by key, those known to the journal answered already."""
        one = _Open(self._store, shard)
        made: dict[str, Request] = {}
        for sample in picked(self._store, shard.payload["picks"]):
            for answer, request in self._asked(sample, shard.payload["asks"], one):
                one.asked.append((answer, request.key))
                made[request.key] = request
        with self._lock:
            one.replies = self.journal.known(made)
        one.missing = set(made) - set(one.replies)
        one.counts["requests"] = len(made)
        one.counts["known before"] = len(one.replies)
        if not one.missing:
            with self._lock:
                self._ready.append(one)
        return one, made

    def _registered(self, one: _Open, made: Mapping[str, Request]) -> list[Request]:
        """What a shard lacks and no other waits for already."""
        with self._lock:
            alone = one.missing - self._waiting.keys()
            for key in one.missing:
                self._waiting.setdefault(key, []).append(one)
        return [request for key, request in made.items() if key in alone]

    def _asked(
        self, sample: Sample, asks: Sequence[Sequence[Any]], one: _Open
    ) -> Iterator[tuple[Answer, Request]]:
        """Every answer that is wanted of a sample, with its request."""
        stage = self._stage
        names = self._pictures.names(sample.images)
        for place, turn in enumerate(sample.turns):
            for kind, first, n in asks:
                try:
                    words = prompt(
                        cast("TurnKind", kind), sample, place, stage.notation,
                        steps=stage.steps.get(sample.task, ()), lengths=stage.lengths,
                    )  # fmt: skip
                    held = (
                        form(kind, turn, sample.images, stage.notation) if stage.formed else Form()
                    )
                    made = requests(
                        words, names, n, model=self._model, sampling=stage.sampling,
                        seed=stage.seed, sample=sample, turn=place, first=first, form=held,
                    )  # fmt: skip
                except ValueError as error:
                    key = f"{sample.id}/{place}/{kind}"
                    one.drops.append(
                        Drop(key=key, stage=stage.name, reason="cannot be asked", value=str(error))
                    )
                    continue
                for number, request in enumerate(made, first):
                    yield (
                        Answer(
                            sample=sample.id,
                            turn=place,
                            number=number,
                            kind=kind,
                            reply=Reply(key=request.key, text="", finish="failed"),
                            model=self._model,
                            prompt=request.prompt,
                            words=words.words,
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
    return one.finish.entry(len(answers), one.counts, one.drops)


class _Pictures:
    """Encoded bytes of images as the release has them, by SHA-256. May be asked by any thread."""

    def __init__(self, roots: Mapping[str, Root], codec: Codec) -> None:
        self._roots, self._codec = roots, codec
        self._lock = threading.Lock()
        self._images: dict[str, Image] = {}
        self._names: dict[tuple[str, Any], str] = {}
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def names(self, images: Sequence[Image]) -> list[str]:
        """The SHA-256 of each image's bytes; an edited one is rendered for it."""
        return [self._name(image) for image in images]

    def __call__(self, name: str) -> bytes:
        """The bytes of an image that `names` has named."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
            image = self._images[name]
        data = self._bytes(image)
        if hashlib.sha256(data).hexdigest() != name:
            raise EnvironmentFailure(
                f"{image.uri} changed since it was measured: use a fresh --out"
            )
        self._keep(name, data)
        return data

    def _name(self, image: Image) -> str:
        key = (image.uri, image.edits)
        with self._lock:
            found = self._names.get(key)
        if found is None:
            found = str(image.sha256)
            if image.edits:
                data = self._bytes(image)
                found = hashlib.sha256(data).hexdigest()
                self._keep(found, data)
            with self._lock:
                self._names[key], self._images[found] = found, image
        return found

    def _bytes(self, image: Image) -> bytes:
        corpus, _, path = image.uri.partition(":")
        data = media.read(self._roots[corpus], path)
        return render(data, image, self._codec) if image.edits else data

    def _keep(self, name: str, data: bytes) -> None:
        with self._lock:
            if name not in self._kept:
                self._kept[name] = data
                self._size += len(data)
            while self._size > REMEMBERED and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1])
