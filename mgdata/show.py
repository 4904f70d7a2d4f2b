"""Samples and release rows as the gallery shows them.

The one place that knows both the data model and the view.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq

from mgdata import media, placeholders
from mgdata.data import Drop, Image, Sample, Target
from mgdata.edits import Codec, render
from mgdata.errors import MgdataError
from mgdata.geometry import Box
from mgdata.notations import IMAGE_TOKEN
from mgdata.plugins import Notation
from mgdata.storage import Root, Store
from mgdata.view import Exchange, Mark, Picture, Shown


def show_sample(
    sample: Sample, roots: Mapping[str, Root], notation: Notation, codec: Codec, seed: int
) -> Shown:
    """A sample that is not released yet, its pictures read and edited now."""
    pictures = tuple(
        _picture(i, _pixels(image, roots, codec), image) for i, image in enumerate(sample.images)
    )
    names = [picture.name for picture in pictures]
    exchanges = tuple(
        Exchange(
            question=_readable(notation.question(turn, sample.images), names),
            answer=notation.answer(turn, sample.images),
            kind=turn.kind,
            given=tuple(_mark(target) for target in turn.regions),
            targets=tuple(_mark(target) for target in turn.targets),
            gold=turn.gold,
        )
        for turn in sample.turns
    )
    return Shown(
        id=sample.id,
        task=sample.task,
        split=sample.split,
        images=pictures,
        turns=exchanges,
        provenance={
            "records": ", ".join(sample.records),
            "license": sample.license,
            "association": sample.association,
            "seed": str(seed),
        },
    )


def show_drop(drop: Drop) -> Shown:
    """Something that was dropped, and why."""
    provenance = {"stage": drop.stage, "value": drop.value or ""}
    return Shown(id=drop.key, task="", split="", images=(), turns=(), provenance=provenance,
                 reason=drop.reason)  # fmt: skip


def show_release(store: Store, limit: int, key: str | None = None) -> Iterator[Shown]:
    """Up to `limit` rows of a release, spread over its files, or those of one id or record."""
    files = [path for path in store.walk("data") if path.endswith(".parquet")]
    share = max(1, -(-limit // max(1, len(files))))
    shown = 0
    for path in files:
        taken = 0
        for row in _rows(store, path):
            if shown >= limit or (key is None and taken >= share):
                break
            if key is None or key == row["id"] or any(key in record for record in row["records"]):
                yield show_row(row)
                taken, shown = taken + 1, shown + 1


def show_row(row: Mapping[str, Any]) -> Shown:
    """One release row."""
    pictures = tuple(
        Picture(
            data=image["bytes"],
            name=f"Image-{i + 1}",
            width=info["width"],
            height=info["height"],
            caption=_caption(info["uri"], info["frame"], info["view"]),
        )
        for i, (image, info) in enumerate(zip(row["images"], row["image_info"], strict=True))
    )
    names = [picture.name for picture in pictures]
    messages = [message["content"] for message in row["messages"]]
    exchanges = tuple(
        Exchange(
            question=_readable(messages[2 * i], names),
            answer=messages[2 * i + 1],
            kind=turn["kind"],
            given=tuple(_row_mark(target) for target in turn["regions"]),
            targets=tuple(_row_mark(target) for target in turn["targets"]),
            gold=turn["gold"],
        )
        for i, turn in enumerate(row["turns"])
    )
    return Shown(
        id=row["id"],
        task=row["task"],
        split=row["split"],
        images=pictures,
        turns=exchanges,
        provenance={
            "records": ", ".join(row["records"]),
            "license": row["license"],
            "association": row["association"],
            "notation": row["notation"],
            "order": str(row["order"]),
        },
    )


def _rows(store: Store, path: str) -> Iterator[dict[str, Any]]:
    file = pq.ParquetFile(store.local(path))
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(batch_size=16, row_groups=[group]):
            yield from batch.to_pylist()


def _pixels(image: Image, roots: Mapping[str, Root], codec: Codec) -> bytes | None:
    corpus, _, path = image.uri.partition(":")
    try:
        data = media.read(roots[corpus], path)
        return render(data, image, codec) if image.edits else data
    except MgdataError:
        return None


def _picture(i: int, data: bytes | None, image: Image) -> Picture:
    return Picture(
        data=data,
        name=f"Image-{i + 1}",
        width=image.width,
        height=image.height,
        caption=_caption(image.uri, image.frame, image.view),
    )


def _caption(uri: str, frame: int | None, view: str | None) -> str:
    extra = [f"frame {frame}"] if frame is not None else []
    return " · ".join([uri, *extra, *([view] if view else [])])


def _readable(question: str, names: Sequence[str]) -> str:
    """A question without the lines that only say where the pictures stand."""
    text = placeholders.fill(question, image=[f"[{name}]" for name in names])
    lines = [line for line in text.splitlines() if line.strip() not in ("", IMAGE_TOKEN)]
    slots = {f"[{name}]" for name in names}
    return "\n".join(line for line in lines if line.strip() not in slots)


def _mark(target: Target) -> Mark:
    return Mark(image=target.image, box=target.box, phrase=target.phrase or "")


def _row_mark(target: Mapping[str, Any]) -> Mark:
    return Mark(image=target["image"], box=Box(*target["box"]), phrase=target["phrase"] or "")
