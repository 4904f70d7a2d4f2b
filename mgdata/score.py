"""Scoring a file of predictions against a release or a benchmark: what `mgdata score` does.

Every answer is judged by `judgement.judge`, as a teacher's is; here they are only counted. Nothing
is printed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from mgdata import registry
from mgdata.api import release_store
from mgdata.corpora.mc_bench import McBench
from mgdata.corpora.mig_bench import MigBench
from mgdata.data import Flow, Image, Target
from mgdata.engine.stage import Tell
from mgdata.errors import EnvironmentFailure, MgdataError, PluginError, UsageError
from mgdata.geometry import Box
from mgdata.gold import BENCHMARKS, Fault, Item, McBenchItems, MigBenchItems, Release, Source
from mgdata.judgement import Verdict, judge
from mgdata.notations import ceiling
from mgdata.plugins import Notation
from mgdata.predictions import Key, Predictions, read_predictions
from mgdata.recipe import read_roots
from mgdata.schema import nearest
from mgdata.scoring import mc_bench
from mgdata.scoring.matching import score
from mgdata.scoring.metrics import THRESHOLDS, Row, Tally, mean
from mgdata.scoring.pairs import Pair, matched
from mgdata.storage import Root

_SHOWN = ("items", "missing", "format", "acc@0.3", "acc@0.5", "acc@0.7", "miou", "f1", "soft_f1",
          "image")  # fmt: skip
_IMAGES = "mc-bench_images"
_GROUP = re.compile(r"\s*group\s*(\d{1,4})\s*", re.IGNORECASE)


class Report(Flow, frozen=True, kw_only=True):
    """All figures of one file of predictions; `metrics.Tally` says what each means."""

    against: str
    """The release or benchmark."""
    notation: str
    """How the answers were read."""
    total: Row
    """Over all items."""
    mean: Row
    """Mean over the tasks, each alike: what MIG-Bench's paper reports."""
    tasks: dict[str, Row]
    """For each task."""
    targets: dict[str, Row]
    """Items that ask for boxes, by their number of targets: none, one, many."""
    predictions: dict[str, int]
    """Texts that were read and used; `unknown` ids; `repeated` ones, of which the first counts."""
    unreadable: dict[str, int]
    """Answers that could not be read, by `judgement.REASONS`."""
    examples: dict[str, str]
    """For each of these reasons the first answer: its id, and what was wrong."""
    left_out: dict[str, int]
    """Items whose right answer is invalid, by reason: in no figure."""


def score_file(
    file: Path,
    against: str,
    notation: str,
    *,
    settings: Sequence[str] = (),
    split: str | None = None,
    roots_file: str | None = None,
    roots: Sequence[str] = (),
    tell: Tell = lambda name, facts: None,
) -> Report:
    """Score the predictions in `file`.

    Args:
        file: JSON lines, as `predictions` has them.
        against: `mig_bench`, `mc_bench`, or the folder or URL of a release or of its run.
        notation: A name of `mgdata.notations`.
        settings: `name=value` pairs of the notation, values in YAML.
        split: Of a release, only this split.
        roots_file: YAML lines of `corpus: path`, for a benchmark.
        roots: `corpus=path` pairs, which win.
        tell: Is told of every part that is done.

    Raises:
        UsageError: a wrong name, line, id or setting; says which.
        EnvironmentFailure: no root, or no release.
        StorageError: a benchmark's file that cannot be read.
    """
    speaker = notation_of(notation, settings)
    source = source_of(against, split, read_roots(roots_file, list(roots)), speaker)
    found = read_predictions(file)
    counted = _Counted(found, speaker)
    parts = source.parts()
    tell("stage started", {"stage": "score", "shards": len(parts), "done": 0})
    for part in parts:
        before = counted.items
        for item in source.items(part):
            counted.take(item)
        facts = {"stage": "score", "shard": part, "rows": counted.items - before}
        tell("shard done", facts)
    tell("stage done", {"stage": "score"})
    counted.refuse_strangers(file, against)
    return counted.report(against, notation)


def notation_of(name: str, pairs: Sequence[str]) -> Notation:
    """A notation with its settings, `name=value` pairs as `--set` takes them.

    Raises:
        UsageError: a wrong name, pair or setting.
    """
    return registry.make("notations", name, settings_of(pairs, "--set"), "--notation")


def settings_of(pairs: Sequence[str], flag: str) -> dict[str, Any]:
    """What `name=value` pairs set, values in YAML; `flag` is what they were given with.

    Raises:
        UsageError: a pair that is none, or no YAML.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise UsageError(f"{flag} {pair}: expected name=value")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"{flag} {pair}: the value is not YAML") from error
    return values


def source_of(
    against: str,
    split: str | None,
    roots: Mapping[str, str],
    speaker: Notation,
    *,
    pictures: bool = False,
) -> Source:
    """Where the items of a release or benchmark come from; `pictures`: with all their images.

    Raises:
        UsageError: a split of what has none.
        EnvironmentFailure: no root, or no release.
    """
    if against not in BENCHMARKS:
        try:
            return Release(store=release_store(against), split=split)
        except EnvironmentFailure as error:
            near = nearest(against, list(BENCHMARKS))
            raise EnvironmentFailure(f"--against {against}: {error}{near}") from None
    if split is not None:
        raise UsageError(f"--split {split}: {against} has no splits: leave it out")
    if against not in roots:
        raise EnvironmentFailure(
            f"--against {against}: it has no root: say --root {against}=PATH, or name it in --roots"
        )
    root = Root(roots[against])
    if not root.exists():
        raise EnvironmentFailure(f"--root {against}: there is no folder {root.url}")
    if against == "mig_bench":
        corpus = MigBench(name=against, root=root)
        bare = not (pictures or root.exists("images") or root.exists("MIG-Bench/images"))
        return MigBenchItems(corpus=corpus, bare=bare and _sizeless(speaker))
    pixels = pictures or any(n.lower() == _IMAGES for f in ("", "MC-Bench") for n in root.list(f))
    return McBenchItems(corpus=McBench(name=against, root=root, pixels=pixels))


def _sizeless(notation: Notation) -> bool:
    """Whether a box is written as shares of its image, whatever the size of that."""
    box = Box(0.25, 0.25, 0.75, 0.75)
    sizes = ((1000, 1000), (2000, 500), (300, 700))
    written = {
        notation.region(
            Target(image=0, box=Box(box.x1 * w, box.y1 * h, box.x2 * w, box.y2 * h)),
            Image(uri="", width=w, height=h),
        )
        for w, h in sizes
    }
    return len(written) == 1


class _Counted:
    """What was found so far."""

    def __init__(self, found: Predictions, notation: Notation) -> None:
        self.items = 0
        self._found = found
        self._notation = notation
        self._known: set[Key] = set()
        self._faulty: set[str] = set()
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._unreadable: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._left_out: Counter[str] = Counter()
        self._marked: list[tuple[str, mc_bench.Item]] = []

    def take(self, item: Item | Fault) -> None:
        """Judge what was said about one item."""
        if isinstance(item, Fault):
            self._left_out[item.reason] += 1
            self._faulty.add(item.id)
            return
        self.items += 1
        key = (item.id, item.number)
        text = self._found.texts.get(key)
        verdict = None
        if text is not None:
            self._known.add(key)
            verdict = self._judged(text, item)
            if verdict.reason is not None:
                self._unreadable[verdict.reason] += 1
                self._examples.setdefault(verdict.reason, f"{_shown(key)}: {verdict.detail}")
        place = (item.task, _size(item))
        if place not in self._tallies:
            self._tallies[place] = Tally()
        told = None if verdict is None else verdict.score
        self._tallies[place].add(item.turn, told, missing=text is None)
        if item.groups is not None:
            predicted = verdict.targets if verdict else ()
            marked = mc_bench.Item(
                gold=item.turn.targets,
                groups=item.groups,
                predicted=predicted,
                predicted_groups=_groups(predicted),
                images=len(item.images),
            )
            self._marked.append((item.task, marked))

    def _judged(self, text: str, item: Item) -> Verdict:
        try:
            verdict = judge(text, item.turn, item.images, self._notation)
            found = verdict.score
            # What a perfect answer could reach is worked out only where an answer falls short.
            # What can be asked for matters only where an answer falls short of it.
            if found and _short(found.pairs) and (best := self._ceilings(item)):
                again = score(verdict.targets, item.turn, text=text, ceilings=best)
                return msgspec.structs.replace(verdict, score=again)
            return verdict
        except MgdataError:
            raise
        except Exception as error:
            raise PluginError(
                f"notation {type(self._notation).__name__} failed on the answer to {item.id}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _ceilings(self, item: Item) -> list[float] | None:
        """Ceilings of the targets, if one is under a threshold and so lowers it."""
        turn, images = item.turn, item.images
        try:
            right = self._notation.parse(self._notation.answer(turn, images), turn, images)
            # As the ceiling is, but without numpy: nearly all boxes are far larger than a step.
            pairs = matched(right, turn.targets)
            if len(pairs) == len(turn.targets) and not _short(pairs):
                return None
            return ceiling(self._notation, turn, images)
        except ValueError:  # not to be written in this notation: nothing is lowered
            return None

    def refuse_strangers(self, file: Path, against: str) -> None:
        """End where not one id is known: the file belongs to something else.

        Raises:
            UsageError: it does.
        """
        if not self._known and not any(id_ in self._faulty for id_, _ in self._found.texts):
            first = _shown(next(iter(self._found.texts)))
            raise UsageError(
                f"{file}: none of its {len(self._found.texts):,} ids is one of {against}, the "
                f"first is {first}: are these predictions for something else?"
            )

    def report(self, against: str, notation: str) -> Report:
        """All figures."""
        tasks: dict[str, Row] = {}
        targets: dict[str, Row] = {}
        for at, rows in ((0, tasks), (1, targets)):
            for name in sorted({place[at] for place in self._tallies} - {""}):
                rows[name] = _merged([t for place, t in self._tallies.items() if place[at] == name])
        total = _merged(list(self._tallies.values()))
        for task in tasks if self._marked else ():
            tasks[task] |= _marks([item for name, item in self._marked if name == task])
        if self._marked:
            total |= _marks([item for _, item in self._marked])
        unknown = [
            k for k in self._found.texts if k not in self._known and k[0] not in self._faulty
        ]
        read = len(self._found.texts) + len(self._found.repeated)
        counts = {"read": read, "used": len(self._known), "unknown": len(unknown),
                  "repeated": len(self._found.repeated)}  # fmt: skip
        return Report(
            against=against,
            notation=notation,
            total=total,
            mean=mean(tasks.values()),
            tasks=tasks,
            targets={name: targets[name] for name in ("none", "one", "many") if name in targets},
            predictions=counts,
            unreadable=dict(self._unreadable.most_common()),
            examples=self._examples,
            left_out=dict(self._left_out.most_common()),
        )


def lines(report: Report) -> list[str]:
    """The report for a terminal."""
    marks = [name for name in ("acc", "ap50") if name in report.total]
    columns = [*_SHOWN, *marks]
    rows = {**report.tasks, "mean over tasks": report.mean, "total": report.total}
    if len(report.targets) > 1:
        rows |= {f"{name} to find": row for name, row in report.targets.items()}
    width = max(map(len, rows))
    told = [" ".join([" " * width, *(f"{name:>8}" for name in columns)])]
    for name, row in rows.items():
        told.append(" ".join([f"{name:<{width}}", *(_figure(row.get(c)) for c in columns)]))
    short = {k: v for k, v in report.total.items() if k.partition("_")[0] in _KINDS}
    if short:
        told.append(
            "short answers: " + ", ".join(f"{k} {_figure(v).strip()}" for k, v in short.items())
        )
    counts = report.predictions
    told.append(
        f"predictions: {counts['read']:,} read, {counts['used']:,} used, {counts['unknown']:,} "
        f"with an unknown id, {counts['repeated']:,} repeated (the first counts)"
    )
    if missing := report.total["missing"]:
        told.append(f"missing: {missing:,} items have no prediction and count as wrong")
    told += [
        f"unreadable: {number:,} {reason}, as {report.examples[reason]}"
        for reason, number in report.unreadable.items()
    ]
    told += [
        f"left out: {number:,} items with an invalid label: {reason}"
        for reason, number in report.left_out.items()
    ]
    return told


_KINDS = ("choice", "order", "count", "text")


def _figure(value: float | None) -> str:
    if value is None:
        return f"{'-':>8}"
    return f"{value:>8,}" if isinstance(value, int) else f"{value:>8.4f}"


def _marks(items: Sequence[mc_bench.Item]) -> Row:
    """MC-Bench's own figures."""
    return {name: value for name, value in mc_bench.marks(items).items() if name != "items"}


def _short(pairs: Sequence[Pair]) -> bool:
    return any([value < THRESHOLDS[-1] for _, _, value in pairs])


def _merged(tallies: Sequence[Tally]) -> Row:
    return Tally().merged(tallies).row()


def _size(item: Item) -> str:
    """none, one or many targets; empty where no box is asked for."""
    if item.turn.kind != "boxes" and not item.turn.targets:
        return ""
    return ("none", "one", "many")[min(len(item.turn.targets), 2)]


def _groups(predicted: Sequence[Target]) -> tuple[int, ...]:
    """The groups of MC-Bench that an answer names: `group 2` as the label of each box."""
    named = [_GROUP.fullmatch(target.phrase or "") for target in predicted]
    found = tuple(int(match[1]) for match in named if match)
    return found if len(found) == len(predicted) else ()


def _shown(key: Key) -> str:
    return f"{key[0]!r}" + (f" turn {key[1]}" if key[1] else "")
