"""Samples and release rows as the gallery shows them.

The one place that knows both the data model and the view.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow.parquet as pq
from msgspec.structs import replace

from mgdata import media, placeholders
from mgdata.data import Drop, Image, Sample, Target, Trace, Turn
from mgdata.edits import Codec, render
from mgdata.errors import MgdataError
from mgdata.geometry import Box
from mgdata.notations import IMAGE_TOKEN
from mgdata.plugins import Notation
from mgdata.storage import Root, Store
from mgdata.teacher import thought
from mgdata.view import ACCEPTED, Exchange, Mark, Picture, Shown
from mgdata.view import Trace as ShownTrace


def show_sample(
    sample: Sample, roots: Mapping[str, Root], notation: Notation, codec: Codec, seed: int
) -> Shown:
    """A sample that is not released yet, its pictures read and edited now."""
    pictures = tuple(
        _picture(i, _pixels(image, roots, codec), image) for i, image in enumerate(sample.images)
    )
    names = [picture.name for picture in pictures]
    exchanges = tuple(_exchange(turn, sample.images, notation, names) for turn in sample.turns)
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


def show_traces(
    sample: Sample,
    traces: Iterable[Trace],
    roots: Mapping[str, Root],
    notation: Notation,
    codec: Codec,
) -> list[Shown]:
    """Answers of a teacher to one sample, an item each: its boxes over those that are annotated.

    Turns before the one that was asked are there to read, without their boxes. `notation` is the
    one that the teacher was told to write.
    """
    pictures = tuple(
        _picture(i, _pixels(image, roots, codec), image) for i, image in enumerate(sample.images)
    )
    return [_shown_trace(sample, trace, pictures, notation) for trace in traces]


def _shown_trace(
    sample: Sample, trace: Trace, pictures: tuple[Picture, ...], notation: Notation
) -> Shown:
    answer, names = trace.answer, [picture.name for picture in pictures]
    *earlier, asked = (
        _exchange(turn, sample.images, notation, names) for turn in sample.turns[: answer.turn + 1]
    )
    told = replace(asked, reasoning=trace.reasoning, trace=_trace(trace))
    drawn = msgspec.structs.asdict(answer.sampling)
    return Shown(
        id=f"{sample.id}/{answer.turn}/{answer.kind}/{answer.number}",
        task=sample.task,
        split=sample.split,
        images=pictures,
        turns=(*(replace(turn, given=(), targets=()) for turn in earlier), told),
        provenance={
            "records": ", ".join(sample.records),
            "license": sample.license,
            "model": answer.model,
            "sampling": ", ".join(f"{name} {value}" for name, value in drawn.items()),
            "seed": str(answer.seed),
            "finish": answer.reply.finish,
            "tokens": f"{answer.reply.prompt_tokens:,} + {answer.reply.tokens:,}",
            "prompt": answer.prompt,
            "words": answer.words,
        },
    )


def _trace(trace: Trace) -> ShownTrace:
    answer = trace.answer
    return ShownTrace(
        verdict=ACCEPTED if trace.accepted else str(trace.reason),
        quote=trace.value or "",
        prompt=answer.kind,
        number=answer.number,
        answer=_said(trace),
        raw=answer.reply.text,
        claimed=tuple(map(_mark, trace.targets)),
        scores=trace.scores,
    )


def _said(trace: Trace) -> str:
    """The answer proper; empty where the text is in no format."""
    kind = trace.answer.kind
    if kind not in ("direct", "reason", "rationalise", "trajectory"):
        return ""
    try:
        return thought.read(trace.answer.reply.text, kind).answer
    except thought.FormatError:
        return ""


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
    exchanges = [
        Exchange(
            question=_readable(messages[2 * i], names),
            answer=messages[2 * i + 1] if 2 * i + 1 < len(messages) else "",
            kind=turn["kind"],
            given=tuple(_row_mark(target) for target in turn["regions"]),
            targets=tuple(_row_mark(target) for target in turn["targets"]),
            gold=turn["gold"],
        )
        for i, turn in enumerate(row["turns"])
    ]
    if exchanges and "form" in row:
        exchanges[-1] = _taught(exchanges[-1], row, open=len(messages) % 2 == 1)
    return Shown(
        id=row["id"],
        task=row["task"],
        split=row["split"],
        images=pictures,
        turns=tuple(exchanges),
        provenance={
            "records": ", ".join(row["records"]),
            "license": row["license"],
            "association": row["association"],
            "notation": row["notation"],
            "order": str(row["order"]),
            **_taught_by(row),
        },
    )


def _taught(exchange: Exchange, row: Mapping[str, Any], *, open: bool) -> Exchange:
    """The turn that a lesson teaches, its parts apart as the row has them."""
    instruction, reasoning = row["instruction"], row["reasoning"]
    answer = exchange.answer
    if reasoning and answer.startswith(f"<think>{reasoning}</think>"):
        answer = answer.removeprefix(f"<think>{reasoning}</think>")
        answer = answer.removeprefix("<answer>").removesuffix("</answer>")
    question = exchange.question
    if instruction:
        question = question.removesuffix(_readable(instruction, ())).rstrip("\n")
    return replace(
        exchange, question=question, answer=answer, instruction=instruction, reasoning=reasoning,
        open=open,
    )  # fmt: skip


def _taught_by(row: Mapping[str, Any]) -> dict[str, str]:
    """Where a lesson comes from; nothing of a row that is none."""
    if "form" not in row:
        return {}
    told = {name: row[name] for name in ("source", "form", "kind", "model", "words") if row[name]}
    if row["pass_rate"] is not None:
        told["pass rate"] = f"{row['pass_rate']:.3f} of {row['answers']} answers"
    if row["iou"] is not None:
        told["teacher's IoU"] = f"{row['iou']:.3f}"
    if row["ground_truth"]:
        told["ground truth"] = row["ground_truth"]
    return told


def _exchange(
    turn: Turn, images: Sequence[Image], notation: Notation, names: Sequence[str]
) -> Exchange:
    return Exchange(
        question=_readable(notation.question(turn, images), names),
        answer=notation.answer(turn, images),
        kind=turn.kind,
        given=tuple(_mark(target) for target in turn.regions),
        targets=tuple(_mark(target) for target in turn.targets),
        gold=turn.gold,
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
