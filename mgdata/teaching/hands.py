"""The stages of teaching, each handed out over blocks of samples: cut, sealed and done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mgdata.data import Sampling
from mgdata.edits import Codec
from mgdata.engine.stage import Stage
from mgdata.fingerprint import shape as shape_of
from mgdata.fingerprint import shard
from mgdata.identity import digest
from mgdata.manifest import Entry, Shard
from mgdata.recipe import Loaded
from mgdata.stages.answer import Ask, Asker
from mgdata.stages.judge import Judge
from mgdata.stages.teach import Teach
from mgdata.stages.writing import Written
from mgdata.storage import Store
from mgdata.teacher.acceptance import Acceptance
from mgdata.teacher.texts import texts
from mgdata.teachers import Teacher
from mgdata.teaching.samples import Samples

Do = Callable[[Stage, list[Shard]], list[Entry]]
"""Has a stage's shards done, and gives their entries in order."""


class Hands:
    """Has the stages of teaching done.

    Args:
        loaded: With its teacher.
        store: The run's.
        do: What does them.
        samples: What the blocks are of.
        entries: Those of the tables that the samples lie in.
        asking: False: judge what the journal knows, ask nothing.
        retry: Ask again what is known to fail.
    """

    def __init__(
        self, loaded: Loaded, store: Store, do: Do, samples: Samples, entries: Sequence[Entry],
        *, asking: bool, retry: bool = False,
    ) -> None:  # fmt: skip
        assert loaded.teacher
        self._loaded, self._store, self._do_stage, self._samples = loaded, store, do, samples
        self._teacher: Teacher = loaded.teacher
        self._sha = {file.path: file.sha256 for entry in entries for file in entry.files}
        self.asking = asking
        self._retry = retry
        self.done: dict[str, list[Entry]] = {"answer": [], "judge": [], "teach": []}
        """Entries by stage, of all rounds."""

    def ask(
        self, name: str, asker: Asker, sampling: Sampling, blocks: Sequence[Sequence[int]],
        payloads: Sequence[Mapping[str, Any]],
    ) -> list[Entry]:  # fmt: skip
        """Have questions put to the teacher, block by block; `payloads` go to the asker."""
        teacher, recipe = self._teacher, self._loaded.recipe
        stage = Ask(
            out=self._store.url,
            backend=teacher.backend,
            backend_name=teacher.section.backend,
            asker=asker,
            sampling=sampling,
            seed=recipe.seed,
            codec=Codec(quality=recipe.release.codec.quality),
            roots=self._loaded.roots,
            asking=self.asking,
            retry=self._retry,
        )
        section = teacher.section
        said = written((sampling, section.lengths, section.structured, teacher.steps, texts()))
        shape = digest(
            self.shape(type(asker).__module__, teacher.backend), said, teacher.model,
            str(recipe.seed), str(recipe.release.codec.quality),
        )  # fmt: skip
        named = name if self.asking else f"known-{name}"
        return self.do(stage, self.shards("answer", named, blocks, payloads, shape))

    def judge(
        self, name: str, accept: Acceptance, blocks: Sequence[Sequence[int]],
        answers: Sequence[Entry], before: Sequence[Sequence[str]], product: str = "",
    ) -> list[Entry]:  # fmt: skip
        """Have the answers to each block judged, beside direct answers of earlier rounds."""
        stage = Judge(out=self._store.url, notation=self._teacher.notation, acceptance=accept,
                      product=product)  # fmt: skip
        payloads = [
            {"answers": [entry.data().path], "beside": earlier}
            for entry, earlier in zip(answers, before, strict=True)
        ]
        shape = digest(self.shape("mgdata.stages.judge"), written(accept))
        named = name if self.asking else f"known-{name}"
        return self.do(stage, self.shards("judge", named, blocks, payloads, shape))

    def teach(
        self, config: str, rows: Sequence[int], traces: Mapping[int, Sequence[str]]
    ) -> list[Entry]:
        """Have lessons made of samples and their traces, given by row."""
        section, release = self._teacher.section, self._loaded.recipe.release
        same = (self._teacher.notation_name, self._teacher.notation.frame) == (
            release.notation, self._loaded.notation.frame,
        )  # fmt: skip
        stage = Teach(out=self._store.url, section=section, same_notation=same)
        blocks = self.blocks(rows)
        payloads = [
            {
                "config": config,
                "traces": list(dict.fromkeys(p for row in block for p in traces.get(row, ()))),
            }
            for block in blocks
        ]
        said = written((section.cot, section.rl, same, texts()))
        shape = digest(self.shape("mgdata.stages.teach"), said)
        named = config if self.asking else f"known-{config}"
        return self.do(stage, self.shards("teach", named, blocks, payloads, shape))

    def write(
        self, task: str, settings: dict[str, Any],
        blocks: Sequence[Sequence[int]], payloads: Sequence[Mapping[str, Any]],
    ) -> list[Entry]:  # fmt: skip
        """Have lessons made of written questions."""
        shape = digest(self.shape("mgdata.stages.writing"), written(settings["write"]))
        made = Written(out=self._store.url, write=settings["write"])
        named = task if self.asking else f"known-{task}"
        return self.do(made, self.shards("teach", named, blocks, payloads, shape))

    def do(self, stage: Stage, shards: list[Shard]) -> list[Entry]:
        """Have shards done, and remember what they read and wrote."""
        entries = self._do_stage(stage, shards)
        self.done[stage.name] += entries
        self._sha |= {file.path: file.sha256 for entry in entries for file in entry.files}
        return entries

    def blocks(self, rows: Sequence[int]) -> list[list[int]]:
        """Rows in pieces of as many samples as a shard has."""
        size = self._teacher.section.samples
        return [list(rows[at : at + size]) for at in range(0, len(rows), size)]

    def shards(
        self, stage: str, name: str, blocks: Sequence[Sequence[int]],
        payloads: Iterable[Mapping[str, Any]], shape: str,
    ) -> list[Shard]:  # fmt: skip
        """A shard for each block; stale where any file that it reads is another."""
        made: list[Shard] = []
        for i, (block, payload) in enumerate(zip(blocks, payloads, strict=True)):
            picks = self._samples.picks(block)
            paths = [path for path, _ in picks]
            for key in ("answers", "beside", "described", "written", "verified", "traces"):
                paths += payload.get(key, ())
            inputs = [self._sha[path] for path in paths]
            whole = {"picks": picks, **payload}
            made.append(shard(stage, f"{name}-{i:05d}", whole, shape, *inputs))
        return made

    def shape(self, module: str, *plugins: Any) -> str:
        """Digest of what shapes a stage: its source, the notation, further plug-ins."""
        return shape_of(module, (self._teacher.notation, *plugins))

    def local(self, entry: Entry) -> Path:
        """The table of an entry, on this machine."""
        return self._store.local(entry.data().path)


def written(value: Any) -> str:
    """Settings as text, equal where they are."""
    return msgspec.json.encode(value, order="sorted").decode()
