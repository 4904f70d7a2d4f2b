"""Release: one shard is one published Parquet file.

Bytes move once: an image that no edit touches goes from its corpus into the file as it is. Row
groups are cut here, where the true size of edited images is known.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import astuple

from mgdata import media
from mgdata.data import Image, Lesson, Sample, Target, Turn, count_of
from mgdata.edits import Codec, render
from mgdata.engine.stage import Worker
from mgdata.errors import EnvironmentFailure
from mgdata.manifest import Entry, Shard
from mgdata.notations import conversation
from mgdata.plugins import Notation
from mgdata.release import statistics, taught
from mgdata.release.layout import cut_group
from mgdata.release.rows import LESSON_SCHEMA, SCHEMA, Pictures, RowGroups
from mgdata.stages.collecting import rarely
from mgdata.stages.finish import Finish
from mgdata.stages.picked import picked, picked_lessons
from mgdata.storage import Root, Store
from mgdata.teacher import truth

_ENDINGS = {"jpeg": ".jpg", "png": ".png"}


@dataclass(frozen=True, kw_only=True)
class Release:
    """Writes the files of a release.

    A shard's payload is `{"path", "picks": [[samples file, [rows]]], "order": [...]}`, and
    `"lessons": true` where the picked files are tables of lessons.
    """

    out: str
    notation: Notation
    notation_name: str
    codec: Codec
    row_group_bytes: int
    roots: dict[str, Root]
    name: str = "release"

    def open(self) -> Worker:
        """The worker: a for-loop over files."""
        return self._work

    def _work(self, shards: Iterator[Shard]) -> Iterator[Entry]:
        store = Store(self.out)
        pictures = Pictures(self.row_group_bytes)
        for shard in shards:
            finish, counts = Finish(store, shard), Counter[str]()

            def write(path: Path, shard: Shard = shard, counts: Counter[str] = counts) -> None:
                lessons = shard.payload.get("lessons", False)
                schema = LESSON_SCHEMA if lessons else SCHEMA
                with rarely(), RowGroups(path, schema) as groups:
                    pending = Pending(self, groups, pictures, counts)
                    found = (picked_lessons if lessons else picked)(store, shard.payload["picks"])
                    for one, order in zip(found, shard.payload["order"], strict=True):
                        pending.add(one, order)
                    pending.flush()

            finish.file(f"release/{shard.payload['path']}", write)
            yield finish.entry(counts["rows"], counts, ())


class Pending:
    """Rows waiting until they fill a row group; holds each distinct image once."""

    def __init__(
        self, stage: Release, groups: RowGroups, pictures: Pictures, counts: Counter[str]
    ) -> None:
        self._stage = stage
        self._groups = groups
        self._pictures = pictures
        self._counts = counts
        self._rows: list[dict[str, Any]] = []
        self._sizes: list[int] = []
        self._size = 0
        self._names: dict[tuple[str, Any], tuple[str, str]] = {}

    def add(self, one: Sample | Lesson, order: int) -> None:
        """Append one row; writes a row group where it would no longer fit."""
        sample = one.sample if isinstance(one, Lesson) else one
        named = [self._image(image) for image in sample.images]
        row = self._row(sample, named, order)
        self._rows.append(self._taught(one, row) if isinstance(one, Lesson) else row)
        self._sizes.append(sum(self._pictures.size(name) for name, _ in named))
        self._size += self._sizes[-1]
        _count(self._counts, sample)
        if isinstance(one, Lesson):
            _count_lesson(self._counts, one)
        if len(self._rows) > 1 and self._size > self._stage.row_group_bytes:
            # The new row stays pending: its images are in use from here on.
            earlier = [row["paths"] for row in self._rows[:-1]]
            self._write(cut_group(earlier, self._sizes[:-1]))

    def flush(self) -> None:
        """Write what is left."""
        if self._rows:
            self._write(len(self._rows))

    def _write(self, n: int) -> None:
        rows, self._rows = self._rows[:n], self._rows[n:]
        written = sum(self._sizes[:n])
        self._size -= written
        del self._sizes[:n]
        self._groups.write(rows, self._pictures)
        self._counts["row groups"] += 1
        self._counts["decoded bytes"] += written
        used = {path for row in rows for path in row["paths"]}
        self._counts["stored image bytes"] += sum(map(self._pictures.size, used))
        # In the order in which the rows that are left use them, as the next row group needs it.
        still = dict.fromkeys(path for row in self._rows for path in row["paths"])
        self._pictures.keep(still)
        self._names = {key: name for key, name in self._names.items() if name[0] in still}

    def _image(self, image: Image) -> tuple[str, str]:
        """The stable name and SHA-256 of an image, its bytes read or rendered once."""
        key = (image.uri, image.edits)
        if key not in self._names:
            self._names[key] = self._rendered(image) if image.edits else self._untouched(image)
        return self._names[key]

    def _untouched(self, image: Image) -> tuple[str, str]:
        """An image whose bytes go from its corpus into the row group as they are."""
        sha256, size = str(image.sha256), image.bytes or 0
        name = sha256[:16] + _ENDINGS.get(image.format, ".jpg")
        if name not in self._pictures:
            # One byte more than it had, so that a file that has grown is noticed too.
            room = self._pictures.room(size + 1)
            found = media.readinto(self._root(image), _path(image), room)
            _refuse_changed(image, found)
            self._pictures.take(name, size)
        return name, sha256

    def _rendered(self, image: Image) -> tuple[str, str]:
        """An image that has to be decoded, edited and encoded anew."""
        data = media.read(self._root(image), _path(image))
        _refuse_changed(image, len(data))
        data = render(data, image, self._stage.codec)
        self._counts["images re-encoded"] += 1
        sha256 = hashlib.sha256(data).hexdigest()
        name = sha256[:16] + ".jpg"
        if name not in self._pictures:
            self._pictures.add(name, data)
        return name, sha256

    def _root(self, image: Image) -> Root:
        return self._stage.roots[image.uri.partition(":")[0]]

    def _row(self, sample: Sample, named: list[tuple[str, str]], order: int) -> dict[str, Any]:
        notation = self._stage.notation
        return {
            "id": sample.id,
            "task": sample.task,
            "association": sample.association,
            "split": sample.split,
            "paths": [name for name, _ in named],
            "image_info": [
                {
                    "uri": image.uri,
                    "frame": image.frame,
                    "view": image.view,
                    "width": image.width,
                    "height": image.height,
                    "sha256": sha256,
                }
                for image, (_, sha256) in zip(sample.images, named, strict=True)
            ],
            "turns": [_turn(turn) for turn in sample.turns],
            "messages": conversation(notation, sample.turns, sample.images),
            "notation": self._stage.notation_name,
            "frame": notation.frame,
            "records": sample.records,
            "license": sample.license,
            "order": order,
        }

    def _taught(self, lesson: Lesson, row: dict[str, Any]) -> dict[str, Any]:
        """The row of a lesson, from that of its sample."""
        columns = ("id", "source", "form", "instruction", "reasoning", "pass_rate", "answers",
                   "kind", "model", "words", "iou")  # fmt: skip
        return {
            **row,
            **{name: getattr(lesson, name) for name in columns},
            "messages": taught.messages(
                row["messages"],
                form=lesson.form,
                open=lesson.open,
                instruction=lesson.instruction,
                reasoning=lesson.reasoning,
            ),
            "ground_truth": truth.write(
                lesson.sample.turns[-1],
                lesson.sample.images,
                notation=row["notation"],
                written=row["frame"],
                form=lesson.form,
            ),
        }


def _path(image: Image) -> str:
    return image.uri.partition(":")[2]


def _refuse_changed(image: Image, size: int) -> None:
    if size != image.bytes:
        now = f"{size} bytes" if size <= (image.bytes or 0) else "longer"
        raise EnvironmentFailure(
            f"{image.uri} changed since it was measured ({image.bytes} bytes then, {now} now): "
            "use a fresh --out"
        )


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "question": turn.question,
        "answer": turn.answer,
        "kind": turn.kind,
        "regions": _targets(turn.regions),
        "targets": _targets(turn.targets),
        "asked": turn.asked,
        "options": turn.options,
        "gold": turn.gold,
    }


def _targets(targets: Sequence[Target]) -> list[dict[str, Any]]:
    return [
        {"image": target.image, "box": astuple(target.box), "phrase": target.phrase}
        for target in targets
    ]


def _count(counts: Counter[str], sample: Sample) -> None:
    """What the card's statistics are made of, as `name=value`."""
    counts["rows"] += 1
    counts[f"task={sample.task}"] += 1
    counts[f"association={sample.association}"] += 1
    counts[f"images={len(sample.images)}"] += 1
    counts[f"turns={len(sample.turns)}"] += 1
    counts[f"license={sample.license}"] += 1
    for record in sample.records:
        counts[f"corpus={record.partition('/')[0]}"] += 1
    for turn in sample.turns:
        counts[f"kind={turn.kind}"] += 1
        counts[f"targets={len(turn.targets)}"] += 1
        if turn.kind == "boxes":
            counts[f"count={count_of(len(turn.targets))}"] += 1
        for target in turn.targets:
            image, box = sample.images[target.image], target.box
            x, y = (box.x1 + box.x2) / 2 / image.width, (box.y1 + box.y2) / 2 / image.height
            counts[f"target image={target.image + 1}"] += 1
            counts[f"centre={statistics.cell(x, y)}"] += 1


_WORDS = (1, 25, 50, 100, 200, 400)
"""Where each bar of the reasonings' lengths begins, in words."""


def _count_lesson(counts: Counter[str], lesson: Lesson) -> None:
    """Likewise of what a teacher had to do with a row.

    `prompt` is the kind of prompt, for `kind` is that of a turn; `pass rate` is cut to tenths;
    `words of reasoning` names where its bar begins, and rows without a reasoning are in none.
    """
    counts[f"form={lesson.form}"] += 1
    if lesson.kind:
        counts[f"prompt={lesson.kind}"] += 1
    if lesson.model:
        counts[f"model={lesson.model}"] += 1
    if lesson.pass_rate is not None:
        # A pass rate of 3 in 10 is 0.3, whatever rounding says.
        counts[f"pass rate={int(lesson.pass_rate * 10 + 1e-9) / 10}"] += 1
    if lesson.reasoning:
        words = len(lesson.reasoning.split())
        counts[f"words of reasoning={max(n for n in _WORDS if n <= words)}"] += 1
