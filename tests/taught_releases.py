"""Lessons written by hand from the samples of a finished run, released through the release stage."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from mgdata import registry
from mgdata.data import Lesson, Sample
from mgdata.edits import Codec
from mgdata.engine.serial import SerialEngine
from mgdata.identity import content_id
from mgdata.manifest import Entry, Manifest, Shard
from mgdata.release.layout import plan_files
from mgdata.stages.release import Release
from mgdata.storage import Root, Store
from mgdata.tables import decode_sample, read_samples
from mgdata.teacher.tables import write_lessons

INSTRUCTION = "Think first, then answer."
TABLE = "lessons/hand.parquet"
CONFIGS = ("cot", "direct", "rl", "written")


@dataclass(frozen=True)
class Taught:
    """A release of lessons and what it was made from."""

    release: Path
    lessons: list[Lesson]
    entries: list[Entry]

    def files(self, config: str = "*", split: str = "*") -> list[Path]:
        """Its Parquet files, in order."""
        return sorted(self.release.glob(f"data/{config}/{split}-*.parquet"))

    def rows(self, config: str = "*") -> list[dict[str, Any]]:
        """Their rows."""
        return [row for file in self.files(config) for row in pq.read_table(file).to_pylist()]


def release(run: Path, out: Path, notation: str = "qwen2-vl") -> Taught:
    """A release of hand-made lessons over the published samples of `run`, with its card's front."""
    found = [(row, lesson) for row, sample in samples(run) for lesson in lessons(sample)]
    store = Store(str(out))
    with store.writing(TABLE) as local:
        write_lessons(local, found)
    splits = list(dict.fromkeys(lesson.sample.split for _, lesson in found))
    table = pq.read_table(store.local(TABLE))
    column = pa.array([lesson.sample.split for _, lesson in found])
    plans = list(plan_files(table.append_column("split", column), CONFIGS, splits, 3, 250_000))
    shards = [
        Shard(
            stage="release",
            name=f"{plan.config}-{plan.split}-{number:05d}",
            fingerprint="f",
            payload={"path": plan.path, "picks": [(TABLE, list(plan.rows))],
                     "order": list(plan.order), "lessons": True},
        )
        for number, plan in enumerate(plans)
    ]  # fmt: skip
    roots = json.loads((run / "run.json").read_bytes())["roots"]
    stage = Release(
        out=str(out),
        notation=registry.make("notations", notation, {}, "the test"),
        notation_name=notation,
        codec=Codec(),
        row_group_bytes=200_000,
        roots={name: Root(url) for name, url in roots.items()},
    )
    entries = list(SerialEngine(lambda *_: None).run(stage, shards))
    _front(out / "release", [lesson for _, lesson in found], splits)
    return Taught(out / "release", [lesson for _, lesson in found], entries)


def samples(run: Path) -> list[tuple[int, Sample]]:
    """The samples that a run published, by id, each with the row of its first record."""
    files = sorted((run / "release/data").rglob("*.parquet"))
    kept = {id_ for file in files for id_ in pq.read_table(file, columns=["id"])["id"].to_pylist()}
    found: dict[str, tuple[int, Sample]] = {}
    for entry in Manifest(Store(str(run))).entries("build").values():
        table = read_samples(run / entry.data().path, ["row", "sample"])
        for row, data in zip(table["row"].to_pylist(), table["sample"], strict=True):
            sample = decode_sample(data.as_buffer())
            if sample.id in kept:
                found[sample.id] = (row, sample)
    return [found[id_] for id_ in sorted(found)]


def lessons(sample: Sample) -> list[Lesson]:
    """What is taught with one sample: by its id it reasons, answers, is left open or written."""
    place = int(sample.id, 16) % 4
    own: dict[str, Any] = {"sample": sample, "source": sample.id}
    told: dict[str, Any] = {"model": "scripted:script@1", "words": "w" * 16}
    if place == 0:
        return [_reasoned(sample, turn, told) for turn in range(len(sample.turns))]
    if place == 1:
        return [Lesson(id=sample.id, config="direct", **own)]
    if place == 2:
        form = "reason" if int(sample.id, 16) % 8 < 4 else "direct"
        rate: dict[str, Any] = {"pass_rate": 3 / 8, "answers": 8, "kind": form, "form": form}
        return [Lesson(id=sample.id, config="rl", open=True, instruction=INSTRUCTION,
                       **own, **told, **rate)]  # fmt: skip
    return [Lesson(id=sample.id, config="written", kind="write", **own, **told)]


def _reasoned(sample: Sample, turn: int, told: dict[str, Any]) -> Lesson:
    return Lesson(
        id=content_id(f"{sample.id}/{turn}".encode()),
        config="cot",
        sample=msgspec.structs.replace(sample, turns=sample.turns[: turn + 1]),
        source=sample.id,
        form="reason",
        instruction=INSTRUCTION,
        reasoning="The first image shows it at the left.\nIt moves to the right, < than before.",
        kind="reason",
        iou=0.75,
        **told,
    )


def _front(folder: Path, found: list[Lesson], splits: list[str]) -> None:
    """The front matter that a card begins with."""
    configs: list[Any] = []
    infos: list[Any] = []
    for config in CONFIGS:
        rows = [lesson.sample.split for lesson in found if lesson.config == config]
        mine = [split for split in splits if split in rows]
        files = [{"split": s, "path": f"data/{config}/{s}-*.parquet"} for s in mine]
        configs.append({"config_name": config, "data_files": files})
        counts = [{"name": s, "num_bytes": 0, "num_examples": rows.count(s)} for s in mine]
        infos.append({"config_name": config, "splits": counts})
    front = yaml.safe_dump({"configs": configs, "dataset_info": infos})
    (folder / "README.md").write_text(f"---\n{front}---\n# Lessons\n")
