"""What a teacher is asked about the turns of samples: an asker of the stage `answer`.

For a trajectory it gathers what is known of the images: objects from the records that the sample
was made from, captions from answers of an earlier round.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from mgdata.data import Drop, PromptKind, Sample
from mgdata.manifest import Shard
from mgdata.plugins import Notation
from mgdata.stages.answer import Wanted
from mgdata.stages.picked import picked
from mgdata.storage import Store
from mgdata.tables import RecordTables
from mgdata.teacher.forms import Form, form
from mgdata.teacher.prompts import DEFAULT, Lengths, TurnKind, prompt
from mgdata.teacher.scenes import Scene, scenes
from mgdata.teacher.tables import read_answers


@dataclass(frozen=True, kw_only=True)
class Turns:
    """Asks about turns, in words of any kind that does.

    A shard's payload is `{"picks", "wants"}`: rows of sample tables, `[path, rows]` each, and for
    every picked sample the answers wanted, `[turn, kind, first, n]` each. For trajectories it also
    has `"described"`, the files with answers of kind `caption` about these samples.
    """

    notation: Notation
    """How the teacher is to write boxes."""
    records: tuple[str, ...] = ()
    """Record tables of the run, for trajectories."""
    steps: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Steps of reasoning that a task has of its own."""
    lengths: Lengths = DEFAULT
    formed: bool = True
    """Hold answers to a form where the notation has one."""

    def wanted(self, store: Store, shard: Shard) -> Iterator[Wanted | Drop]:
        """The prompts of a shard, sample by sample."""
        samples = list(picked(store, shard.payload["picks"]))
        wants: Sequence[Sequence[Sequence[Any]]] = shard.payload["wants"]
        seen = self._scenes(store, shard, samples)
        for sample, some in zip(samples, wants, strict=True):
            for turn, kind, first, n in some:
                yield self._one(sample, turn, kind, first, n, seen.get(sample.id, ()))

    def _one(
        self, sample: Sample, turn: int, kind: PromptKind, first: int, n: int,
        known: Sequence[Scene],
    ) -> Wanted | Drop:  # fmt: skip
        try:
            words = prompt(
                cast("TurnKind", kind), sample, turn, self.notation,
                steps=self.steps.get(sample.task, ()),
                scenes=known if kind == "trajectory" else (), lengths=self.lengths,
            )  # fmt: skip
            held = Form()
            if self.formed:
                held = form(kind, sample.turns[turn], sample.images, self.notation)
        except ValueError as error:
            key = f"{sample.id}/{turn}/{kind}"
            return Drop(key=key, stage="answer", reason="cannot be asked", value=str(error))
        return Wanted(sample, turn, words, sample.images, first, n, held)

    def _scenes(
        self, store: Store, shard: Shard, samples: Sequence[Sample]
    ) -> Mapping[str, tuple[Scene, ...]]:
        """What is known of each sample's images, by its id; nothing but for trajectories."""
        if "described" not in shard.payload:
            return {}
        told = captions(store, shard.payload["described"])
        keys = {key for sample in samples for key in sample.records}
        records = RecordTables(store, self.records).by_key(keys)
        return {
            sample.id: scenes(
                sample.images,
                [records[key] for key in sample.records],
                {
                    image.uri: told[sample.id, place]
                    for place, image in enumerate(sample.images)
                    if (sample.id, place) in told
                },
                first=[t for turn in sample.turns for t in (*turn.regions, *turn.targets)],
            )
            for sample in samples
        }


def captions(store: Store, paths: Sequence[str]) -> dict[tuple[str, int], str]:
    """Captions by sample and image, of the files with answers; failed ones are left out."""
    return {
        (answer.sample, answer.turn): text
        for path in paths
        for answer in read_answers(store.local(path))
        if answer.kind == "caption" and answer.reply.finish == "stop"
        if (text := " ".join(answer.reply.text.split()))
    }
