"""From a model to predictions: each item of a release or a benchmark is asked, each reply kept.

What `mgdata answer` does. Replies go into a journal beside the predictions first, so that a run
that was killed goes on where it stopped and nothing is sent twice; the predictions are written from
it, whole, in the order of the items. Nothing is judged here: `score` does that.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from mgdata import registry
from mgdata.asked import BATCH, Asked, Batch, Kind, Line
from mgdata.data import Flow, Reply, Sampling
from mgdata.engine.stage import Tell
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.gold import Fault, Source
from mgdata.plugins import Backend
from mgdata.questions import questions_of
from mgdata.recipe import read_roots
from mgdata.score import notation_of, settings_of, source_of
from mgdata.storage import Store
from mgdata.teacher import thought
from mgdata.teacher.asking import model_of
from mgdata.teacher.journal import Journal

_READ = 256


class Report(Flow, frozen=True, kw_only=True):
    """What came of asking."""

    model: str
    """Which model, after its backend's name."""
    items: int
    """Items that were to be asked."""
    answered: int
    """Lines of the predictions."""
    known: int
    """Items whose reply was in the journal before."""
    failed: dict[str, int]
    """Items without an answer, by reason; the predictions leave them out."""
    unreadable: dict[str, int]
    """Answers that are not in the form that was asked for, by `thought.REASONS`; their whole text
    is the prediction."""
    left_out: dict[str, int]
    """Items that cannot be asked, by reason."""
    cut: int
    """Answers that were cut at `max_tokens`."""
    prompt_tokens: int
    """Tokens of the prompts of all answers, as the backend counts them."""
    tokens: int
    """Tokens of all answers."""
    limit: int | None
    """Most items that were to be asked."""
    score: str
    """The command that scores the predictions."""


def answer_against(
    against: str,
    predictions: Path,
    backend: str,
    settings: Sequence[str],
    notation: str,
    notation_settings: Sequence[str] = (),
    *,
    kind: Kind = "direct",
    sampling: Sampling = Sampling(),  # noqa: B008  frozen
    seed: int = 0,
    split: str | None = None,
    roots_file: str | None = None,
    roots: Sequence[str] = (),
    limit: int | None = None,
    tell: Tell = lambda name, facts: None,
) -> Report:
    """Ask a model about every item and write what it says as predictions.

    Args:
        against: `mig_bench`, `mc_bench`, or the folder or URL of a release or of its run.
        predictions: File to write, or to write anew. The journal `<predictions>.journal` stands
            beside it.
        backend: A name of `mgdata.backends`.
        settings: `name=value` pairs of the backend, values in YAML.
        notation: A name of `mgdata.notations`: how the model is asked to write boxes.
        notation_settings: `name=value` pairs of the notation.
        kind: `direct` asks for the answer alone, `reason` for reasoning first.
        sampling: How answers are drawn.
        seed: Of all answers.
        split: Of a release, only this split.
        roots_file: YAML lines of `corpus: path`, for a benchmark.
        roots: `corpus=path` pairs, which win.
        limit: Ask so many items, the first ones.
        tell: Is told of every `asked.BATCH` items that are done.

    Raises:
        UsageError: a wrong name or setting, or no folder for the predictions.
        EnvironmentFailure: no root, no release, no item that can be asked, a model that cannot be
            reached, or a full disk.
        StorageError: a benchmark's file that cannot be read.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: expected at least 1")
    speaker = notation_of(notation, notation_settings)
    made = _backend(backend, settings, notation, settings_of(notation_settings, "--set"))
    store = _beside(predictions)
    source = source_of(against, split, read_roots(roots_file, list(roots)), speaker, pictures=True)
    asked = Asked(
        source=source, questions=questions_of(source), notation=speaker,
        model=model_of(backend, made), kind=kind, sampling=sampling, seed=seed, limit=limit,
        journal=Journal(store, f"{predictions.name}.journal"),
    )  # fmt: skip
    expected = _counted(source, against, limit)
    tell("stage started", {"stage": "answer", "shards": -(-expected // BATCH), "done": 0})
    transient = _ask(asked, made, tell)
    tell("stage done", {"stage": "answer"})
    command = _score_command(
        predictions,
        {
            "--against": [against],
            "--notation": [notation],
            "--set": notation_settings,
            "--split": [split] if split else [],
            "--roots": [roots_file] if roots_file else [],
            "--root": roots,
        },
    )
    return _written(store, predictions.name, asked, transient, command)


def _score_command(predictions: Path, flags: Mapping[str, Sequence[str]]) -> str:
    words = [word for flag, values in flags.items() for value in values for word in (flag, value)]
    return shlex.join(["mgdata", "score", str(predictions), *words])


def _backend(
    name: str, settings: Sequence[str], notation: str, notation_settings: dict[str, Any]
) -> Backend:
    """A backend with its settings; one that writes boxes itself does so in the notation asked."""
    given = settings_of(settings, "--with")
    found = registry.find("backends", name, "--backend")
    if "notation_settings" in registry.settings_of(found) and "notation" not in given:
        given |= {"notation": notation, "notation_settings": notation_settings}
    return registry.make("backends", name, given, "--backend")


def _beside(predictions: Path) -> Store:
    """The folder of the predictions.

    Raises:
        UsageError: it is not there, or the predictions are a folder.
    """
    if not predictions.parent.is_dir():
        raise UsageError(f"{predictions}: there is no folder {predictions.parent}: make it first")
    if predictions.is_dir():
        raise UsageError(f"{predictions} is a folder: name a file for the predictions")
    return Store(str(predictions.parent))


def _counted(source: Source, against: str, limit: int | None) -> int:
    """How many items there are to ask; before a model is loaded, which may take minutes.

    Raises:
        EnvironmentFailure: none.
    """
    left_out: Counter[str] = Counter()

    def sound() -> Iterator[int]:
        for part in source.parts():
            for item in source.items(part):
                if isinstance(item, Fault):
                    left_out[item.reason] += 1
                else:
                    yield 1

    if found := sum(islice(sound(), limit)):
        return found
    why = ", ".join(f"{number:,} {reason}" for reason, number in left_out.most_common())
    raise EnvironmentFailure(f"no item of {against} can be asked: {why or 'it has none'}")


def _ask(asked: Asked, backend: Backend, tell: Tell) -> dict[str, str]:
    """Ask what is not known; the reasons of failures, by key. Loads no model for nothing."""
    failed: dict[str, str] = {}
    requests = asked.requests()
    first = next(requests, None)
    if first is not None:
        session = backend.open(asked.questions.picture)
        try:
            with asked.journal.writer() as writer:
                for reply in session.answer(chain([first], requests)):
                    writer.add(reply)
                    if reply.finish == "failed":
                        failed[reply.key] = reply.reason or "unknown"
                    asked.take(reply)
                    _tell_ready(asked.ready(), tell)
        finally:
            session.close()
    _tell_ready(asked.ready(), tell)
    return failed


def _tell_ready(batches: Sequence[Batch], tell: Tell) -> None:
    for batch in batches:
        facts = {"stage": "answer", "shard": f"{batch.number:06d}", "rows": batch.items}
        tell("shard done", facts)


def _written(
    store: Store, name: str, asked: Asked, transient: dict[str, str], command: str
) -> Report:
    """Write the predictions out of the journal, in the order of the items."""
    failed: Counter[str] = Counter()
    unreadable: Counter[str] = Counter()
    answered = cut = prompt_tokens = tokens = 0
    encode = msgspec.json.Encoder().encode
    with store.writing(name) as local, local.open("wb") as file:
        for line, reply in _replies(asked):
            if reply is None or reply.finish == "failed":
                known = None if reply is None else reply.reason
                failed[known or transient.get(line.key, "no reply")] += 1
                continue
            text, fault = _prediction(reply.text, asked.kind)
            if fault is not None:
                unreadable[fault] += 1
            turn = {"turn": line.turn} if line.turn else {}
            file.write(encode({"id": line.id, **turn, "text": text}) + b"\n")
            answered += 1
            cut += reply.finish == "length"
            prompt_tokens += reply.prompt_tokens
            tokens += reply.tokens
    return Report(
        model=asked.model,
        items=len(asked.lines),
        answered=answered,
        known=asked.known,
        failed=dict(failed.most_common()),
        unreadable=dict(unreadable.most_common()),
        left_out=dict(asked.left_out.most_common()),
        cut=cut,
        prompt_tokens=prompt_tokens,
        tokens=tokens,
        limit=asked.limit,
        score=command,
    )


def _replies(asked: Asked) -> Iterator[tuple[Line, Reply | None]]:
    asked.journal.refresh()
    lines = iter(asked.lines)
    while some := list(islice(lines, _READ)):
        found = asked.journal.known([line.key for line in some])
        for line in some:
            yield line, found.get(line.key)


def _prediction(text: str, kind: Kind) -> tuple[str, str | None]:
    """What is judged of a reply; all of it, and why, where it is not in the form asked for."""
    try:
        return thought.read(text, kind).answer, None
    except thought.FormatError as error:
        return text, error.reason


def lines(report: Report) -> list[str]:
    """The report for a terminal."""
    told = [
        f"model: {report.model}",
        f"items: {report.items:,} asked, {report.answered:,} answered, {report.known:,} known "
        "before",
    ]
    told += [f"failed: {n:,} {reason}" for reason, n in report.failed.items()]
    told += [f"left out: {n:,} items: {reason}" for reason, n in report.left_out.items()]
    told += [
        f"unreadable: {n:,} answers not in the form asked for: {reason}"
        for reason, n in report.unreadable.items()
    ]
    if report.cut:
        told.append(f"cut: {report.cut:,} answers reached max_tokens")
    told.append(f"tokens: {report.prompt_tokens:,} of prompts, {report.tokens:,} of answers")
    if report.failed:
        told.append("the same command asks again for what failed and may pass")
    if report.limit is not None:
        told.append(
            f"limit: at most {report.limit:,} items were asked; mgdata score counts the others as "
            "missing"
        )
    return [*told, f"score them: {report.score}"] if report.answered else told
