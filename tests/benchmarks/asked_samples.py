"""Samples about photos on disk, and the stage `answer` over them, for the benchmark of vLLM.

A round is a folder of its own, with samples and photos that no other round has, so that whatever
an engine remembers of one round spares it nothing in the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mgdata.data import Image, Reply, Request, Sample, Sampling, Target, Turn
from mgdata.edits import Codec
from mgdata.engine.serial import SerialEngine
from mgdata.geometry import Box
from mgdata.manifest import Entry, Shard
from mgdata.notations.json import Json
from mgdata.plugins import Backend, Session
from mgdata.stages.answer import Ask
from mgdata.stages.turns import Turns
from mgdata.storage import Root
from mgdata.tables import SampleRows
from tests.benchmarks.photographs import SIZE, write_photographs

TABLE = "samples.parquet"
A_SHARD = 16
"""Samples."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much is asked."""

    samples: int
    images: int
    """Each, all different."""
    tokens: int
    """Each answer, whatever the model says."""

    @property
    def sampling(self) -> Sampling:
        """As a teacher is asked who is to give different answers."""
        return Sampling(temperature=1.0, max_tokens=self.tokens, ignore_eos=True)


def write_round(corpus: Path, out: Path, work: Work, number: int) -> None:
    """Photos of round `number` into `corpus`, its sample table into `out`."""
    rows = SampleRows()
    photos = write_photographs(corpus / str(number), work.samples * work.images, seed=number)
    for at in range(work.samples):
        shown = photos[at * work.images : (at + 1) * work.images]
        rows.add(_sample(shown, f"{number:08x}{at:08x}"), at, at, 0)
    out.mkdir(parents=True, exist_ok=True)
    rows.write(out / TABLE)


def _sample(photos: Sequence[Path], name: str) -> Sample:
    images = tuple(
        Image(
            uri=f"photos:{photo.parent.name}/{photo.name}", width=SIZE[0], height=SIZE[1],
            format="jpeg", bytes=photo.stat().st_size,
            sha256=hashlib.sha256(photo.read_bytes()).hexdigest(),
        )
        for photo in photos
    )  # fmt: skip
    shown = "".join(f"<image:{at}>" for at in range(len(images)))
    turn = Turn(
        question=f"{shown}Which image shows a large box of one colour, and where?",
        answer="<target:0>",
        targets=(Target(image=0, box=Box(10, 20, 300, 200)),),
    )
    return Sample(
        id=name, task="group_grounding", association="referential", split="train", images=images,
        turns=(turn,), records=tuple(image.uri for image in images), license="unknown",
    )  # fmt: skip


def stage(backend: Backend, corpus: Path, out: Path, work: Work) -> Ask:
    """The stage as a run has it: journal, tables and all."""
    return Ask(
        out=str(out), backend=backend, backend_name="vllm", sampling=work.sampling, seed=7,
        # A form would end an answer before its 512 tokens.
        asker=Turns(notation=Json(), formed=False),
        codec=Codec(), roots={"photos": Root(str(corpus))},
    )  # fmt: skip


def shards(work: Work) -> list[Shard]:
    """All samples of a round, one answer each."""
    made: list[Shard] = []
    for start in range(0, work.samples, A_SHARD):
        rows = list(range(start, min(start + A_SHARD, work.samples)))
        payload = {"picks": [(TABLE, rows)], "wants": [[(0, "reason", 0, 1)] for _ in rows]}
        made.append(Shard(stage="answer", name=f"s{start:05d}", fingerprint="f", payload=payload))
    return made


def answered(asking: Ask, work: Work) -> list[Entry]:
    """The entries of a round that is run to its end."""
    return list(SerialEngine(lambda *_: None).run(asking, shards(work)))


def asked(corpus: Path, out: Path, work: Work) -> list[Request]:
    """What the stage asks in a round, in order, without any engine."""
    recorder = Recorder()
    answered(stage(recorder, corpus, out, work), work)
    return recorder.asked


@dataclass(frozen=True, kw_only=True)
class Recorder(Backend):
    """Keeps requests; its replies say nothing."""

    asked: list[Request] = field(default_factory=list[Request])

    @property
    def model(self) -> str:
        """No model."""
        return "recorder@1"

    def open(self, pictures: Callable[[str], bytes]) -> Session:
        """Looks at no picture."""
        return _Recording(self.asked)


@dataclass(frozen=True)
class _Recording(Session):
    kept: list[Request]

    def answer(self, requests: Iterator[Request]) -> Iterator[Reply]:
        for request in requests:
            self.kept.append(request)
            yield Reply(key=request.key, text="", finish="stop")

    def close(self) -> None: ...
