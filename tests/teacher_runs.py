"""Small runs with a teacher that is no model, in this process, from samples that are built once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import command
import pyarrow.parquet as pq
import small_runs
import yaml

from mgdata import api
from mgdata.data import Answer, Drop, Lesson, Trace
from mgdata.manifest import Manifest
from mgdata.run import Outcome, Until
from mgdata.stages.answer import JOURNAL
from mgdata.storage import Store
from mgdata.synth import write as write_corpus
from mgdata.tables import read_ledger
from mgdata.teacher.journal import Journal, Tally
from mgdata.teacher.tables import read_answers, read_lessons, read_traces

RECIPE = {
    "name": "taught",
    "seed": 7,
    "splits": {"train": 0.5, "test": 0.5},
    "corpora": {"got10k": {}},
    "tasks": {
        "object_tracking": {
            "samples": 24,
            "with": {"per_clip": 12, "frames": [2, 4], "given": "mixed", "turns": "mixed"},
        }
    },
    "release": {"notation": "json"},
}
"""Two splits, and samples of one turn and of several."""


@dataclass(frozen=True)
class Taught:
    """A run's folder and the recipe that stands beside it."""

    roots: dict[str, str]
    out: Path

    @property
    def recipe(self) -> Path:
        """The recipe's file."""
        return self.out.with_suffix(".yaml")

    def write(self, teacher: dict[str, Any] | None, **changes: Any) -> Path:
        """Write the recipe with this section, and `RECIPE`'s others but for `changes`."""
        found = RECIPE | changes | ({} if teacher is None else {"teacher": teacher})
        self.recipe.write_text(yaml.safe_dump(found, sort_keys=False))
        return self.recipe

    def run(self, teacher: dict[str, Any] | None, last: Until = "release", **how: Any) -> Outcome:
        """Run the recipe with this section up to a stage."""
        self.write(teacher, **how.pop("changes", {}))
        return self.go(last, **how)

    def go(self, last: Until = "release", **how: Any) -> Outcome:
        """Run the recipe as it stands up to a stage."""
        pairs = [f"{name}={path}" for name, path in self.roots.items()]
        loaded = api.load(str(self.recipe), None, pairs)
        return api.run(loaded, str(self.out), engine="serial", last=last, **how)

    def words(self, verb: str, *flags: str) -> list[str]:
        """The words of a verb that takes a recipe, after `mgdata`."""
        pairs = [word for name, path in self.roots.items() for word in ("--root", f"{name}={path}")]
        return [verb, str(self.recipe), *pairs, "--out", str(self.out), "--quiet", *flags]

    def command(self, verb: str, *flags: str) -> command.Ended:
        """A verb that takes a recipe, as on the command line, on the serial engine."""
        return command.mgdata(*self.words(verb, "--engine", "serial", *flags))

    def copy(self, out: Path) -> Taught:
        """A copy of the folder, with its recipe if there is one."""
        made = Taught(self.roots, small_runs.copy_run(self.out, out))
        if self.recipe.exists():
            made.recipe.write_bytes(self.recipe.read_bytes())
        return made

    # What the folder holds.

    @property
    def release(self) -> dict[str, str]:
        """SHA-256 of every file of the release."""
        return small_runs.digests(self.out / "release")

    @property
    def tally(self) -> Tally:
        """What the journal holds."""
        return Journal(Store(str(self.out)), JOURNAL).tally

    @property
    def lines(self) -> int:
        """Lines of the journal: requests that were sent and came back."""
        return sum(p.read_bytes().count(b"\n") for p in (self.out / JOURNAL).rglob("*.jsonl*"))

    def answers(self) -> list[Answer]:
        """Answers of all rounds."""
        return [answer for path in self._tables("answer") for answer in read_answers(path)]

    def traces(self) -> list[Trace]:
        """Traces of all rounds."""
        return [trace for path in self._tables("judge") for trace in read_traces(path)]

    def lessons(self) -> list[Lesson]:
        """Lessons, published or not."""
        return [lesson for path in self._tables("teach") for lesson in read_lessons(path)]

    def drops(self, stage: str) -> list[Drop]:
        """The ledger of a stage."""
        store = Store(str(self.out))
        return [
            drop
            for entry in Manifest(store).entries(stage).values()
            for file in entry.files
            if file.path.startswith("ledger/")
            for drop in read_ledger(store.local(file.path))
        ]

    def rows(self, config: str, split: str = "*") -> list[dict[str, Any]]:
        """Rows of the release, without their pictures."""
        found: list[dict[str, Any]] = []
        for path in sorted(self.out.glob(f"release/data/{config}/{split}-*.parquet")):
            names = [name for name in pq.read_schema(path).names if name != "images"]
            split_ = path.name.partition("-")[0]
            found += [
                row | {"in": split_} for row in pq.read_table(path, columns=names).to_pylist()
            ]
        return found

    def _tables(self, stage: str) -> list[Path]:
        entries = Manifest(Store(str(self.out))).entries(stage)
        return [self.out / entries[name].data().path for name in sorted(entries)]


def built(folder: Path, **changes: Any) -> Taught:
    """A run whose samples are there and nothing is asked; to be copied."""
    write_corpus("got10k", folder / "got10k", clips=6, frames=10, size=(96, 72), seed=3)
    made = Taught({"got10k": str(folder / "got10k")}, folder / "built")
    made.run(None, "build", changes=changes)
    return made


def section(**changes: Any) -> dict[str, Any]:
    """A teacher's section: the scripted teacher in the release's notation."""
    return {"backend": "scripted", "notation": "json", "samples": 5, **changes}


def by_turn(traces: Iterable[Trace]) -> dict[tuple[str, int, str], list[Trace]]:
    """Traces by sample, turn and kind, in the order of their numbers."""
    found: defaultdict[tuple[str, int, str], list[Trace]] = defaultdict(list)
    for trace in traces:
        found[trace.answer.sample, trace.answer.turn, trace.answer.kind].append(trace)
    return {key: sorted(some, key=lambda t: t.answer.number) for key, some in found.items()}
