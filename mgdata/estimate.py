"""Before spending: a few samples put to a recipe's teacher, a page of its answers, what all costs.

Nothing is kept but the page: a run asks anew. Time is that of one session over a handful of
requests; a local model is faster when it has many at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mgdata.data import Flow, Trace
from mgdata.edits import Codec
from mgdata.progress import reporter
from mgdata.projection import Interval, Projection, project, taught, wilson
from mgdata.recipe import Loaded
from mgdata.show import show_drop, show_sample, show_traces
from mgdata.storage import Store
from mgdata.trial import PRODUCTS, Part, Product, Trial, ask_few, check_teacher
from mgdata.view import Shown, write


class Estimate(Flow, frozen=True, kw_only=True):
    """What a few samples say of a whole recipe."""

    name: str
    """Of the recipe."""
    model: str
    """The teacher, as answers name it."""
    simulated: bool
    """No model answered, but a program that reads the annotation."""
    gpus: float
    """GPUs that a session takes; 0: none of ours, as of a server or on a CPU."""
    sessions: int | None
    """Most sessions that a run has at once; None: as many as there is room for."""
    samples: int
    """Samples that were asked about."""
    opened: float
    """Seconds that the session took to open; in no other figure."""
    parts: tuple[Part, ...]
    """What was found, by product and task."""
    seconds: dict[str, float]
    """Seconds asking, by product."""
    projected: Projection
    """The whole recipe, if all goes on like this."""
    poor: Projection
    """With the least share of samples that give a row that is likely, by Wilson's interval."""
    rich: Projection
    """With the largest."""
    page: str
    """The page with the answers."""

    @property
    def asking(self) -> float:
        """Seconds asking, over all products."""
        return sum(self.seconds.values())

    @property
    def answers(self) -> int:
        """Requests that were sent."""
        return sum(part.answers for part in self.parts)

    @property
    def hours(self) -> tuple[float, Interval]:
        """Of one session over the whole recipe, as projected and between which."""
        likely = sorted(found.seconds / 3600 for found in (self.projected, self.poor, self.rich))
        return self.projected.seconds / 3600, Interval(likely[0], likely[-1])

    @property
    def gpu_hours(self) -> float | None:
        """GPU hours of the whole recipe; None: a session takes no GPU, and none are claimed."""
        return self.hours[0] * self.gpus if self.gpus else None

    def acceptance(self, product: Product) -> tuple[int, int, Interval]:
        """Answers of a product accepted, and judged, and 95 % round their share.

        As wide as if each sample had had one answer, since answers about one sample are alike.
        """
        some = [part for part in self.parts if part.product == product]
        accepted, judged = (sum(getattr(p, n) for p in some) for n in ("accepted", "judged"))
        samples = min(sum(part.samples for part in some), judged)
        return accepted, judged, wilson(samples * accepted / judged if judged else 0.0, samples)


def estimate(loaded: Loaded, out: Path, *, number: int = 20, quiet: bool = True) -> Estimate:
    """Ask a recipe's teacher about `number` samples, and write the page of its answers to `out`.

    Raises:
        UsageError: the recipe has no teacher, or no sample could be built.
        StorageError: `out` is there and is no page of ours.
        EnvironmentFailure: the teacher cannot be reached or loaded.
    """
    check_teacher(loaded)
    told: dict[str, str] = {}
    made: list[Estimate] = []

    def shown() -> Iterator[Shown]:
        with TemporaryDirectory(prefix="mgdata-estimate-") as scratch:
            trial = ask_few(loaded, Store(scratch), number, reporter(quiet))
        made.append(estimated(loaded, trial, out.absolute() / "index.html"))
        told.update(facts(made[0]))
        yield from _shown(loaded, trial)

    # Asked from within: a folder in the way is refused before anything is spent.
    write(shown(), out, title=f"{loaded.recipe.name}: estimate", facts=told)
    return made[0]


def estimated(loaded: Loaded, trial: Trial, page: Path) -> Estimate:
    """What a trial says of its recipe."""
    teacher = check_teacher(loaded)
    backend = teacher.backend
    poor, rich = (
        project(loaded.recipe, teacher, trial.parts, trial.seconds, shares)
        for shares in _likely(trial.parts)
    )
    return Estimate(
        name=loaded.recipe.name,
        model=teacher.model,
        simulated=backend.simulated,
        gpus=backend.gpus,
        sessions=backend.sessions,
        samples=len(trial.samples),
        opened=trial.opened,
        parts=trial.parts,
        seconds=trial.seconds,
        projected=project(loaded.recipe, teacher, trial.parts, trial.seconds),
        poor=poor,
        rich=rich,
        page=str(page),
    )


def _likely(parts: Sequence[Part]) -> tuple[dict[Product, float], dict[Product, float]]:
    """The least and the largest share of samples that give a row, by product."""
    low: dict[Product, float] = {}
    high: dict[Product, float] = {}
    for product in _products(parts):
        low[product], high[product] = taught(parts, product)
    return low, high


def _products(parts: Iterable[Part]) -> list[Product]:
    asked = {part.product for part in parts}
    return [product for product in PRODUCTS if product in asked]


# The page.


def _shown(loaded: Loaded, trial: Trial) -> Iterator[Shown]:
    """Every answer beside its sample, questions that were written, and what was left out."""
    assert loaded.teacher
    codec = Codec(quality=loaded.recipe.release.codec.quality)
    notation, seed = loaded.teacher.notation, loaded.recipe.seed
    traces: dict[str, list[Trace]] = {}
    for trace in trial.traces:
        traces.setdefault(trace.answer.sample, []).append(trace)
    for sample in trial.samples:
        yield from show_traces(sample, traces.get(sample.id, ()), loaded.roots, notation, codec)
    for sample in trial.written:
        yield show_sample(sample, loaded.roots, loaded.notation, codec, seed)
    yield from map(show_drop, trial.drops)


def facts(found: Estimate) -> dict[str, str]:
    """What stands on top of the page."""
    told = {"teacher": found.model}
    if found.simulated:
        told["no model was asked"] = _SIMULATED
    for product in _products(found.parts):
        told[f"accepted: {product}"] = _accepted(found, product)
    told["rejected"] = ", ".join(f"{n} {why}" for why, n in _reasons(found.parts)) or "none"
    told |= {"tokens": _tokens(found), "time": _time(found), "projection": _basis(found)}
    told |= {name: text for name, text in _projected(found)}
    return told


# The terminal.


def lines(found: Estimate) -> Iterator[str]:
    """The estimate for a terminal."""
    yield f"{found.name}: {found.samples:,} samples put to {found.model}"
    if found.simulated:
        yield f"no model was asked: {_SIMULATED}"
    yield ""
    yield from _table(
        ("product", "task", "prompt", "answers", "accepted", "samples", "rows"),
        [row for part in found.parts for row in _counted(part)],
    )
    for product in _products(found.parts):
        yield f"{product}: accepted {_accepted(found, product)}"
        mine = [part for part in found.parts if part.product == product]
        yield from (f"  {n:>6,} {why}" for why, n in _reasons(mine))
    yield f"tokens: {_tokens(found)}"
    yield f"time: {_time(found)}"
    yield ""
    yield f"projection: {_basis(found)}"
    yield from _table(
        ("product", "task", "", "samples", "asked", "answers", "tokens", "hours", "rows"),
        [
            (x.product, x.task, "" if x.own else "*", f"{x.samples:,}", f"{x.asked:,}",
             f"{x.answers:,}", f"{x.prompt_tokens + x.tokens:,}", _hours(x.seconds / 3600),
             f"{x.rows:,}")
            for x in found.projected.lines
        ],
    )  # fmt: skip
    yield from (f"{name}: {text}" for name, text in _projected(found))
    yield f"page: {found.page}"


_SIMULATED = "a program answered from the annotation; its times and tokens are no model's"


def _counted(part: Part) -> Iterator[tuple[str, ...]]:
    """A part's line for each kind of prompt; samples and rows stand with the kind they are of."""
    for kind, some in part.verdicts.items():
        mine = kind == part.kind
        yield (
            part.product, part.task, kind, f"{sum(some.values()):,}",
            _of(some.get("accepted", 0), sum(some.values())),
            f"{part.samples:,}" if mine else "", f"{part.rows:,}" if mine else "",
        )  # fmt: skip


def _accepted(found: Estimate, product: Product) -> str:
    accepted, judged, within = found.acceptance(product)
    mine = [part for part in found.parts if part.product == product]
    gave, samples = (sum(getattr(part, name) for part in mine) for name in ("taught", "samples"))
    if not judged:
        return "none: nothing was answered that could be judged"
    return (
        f"{_of(accepted, judged)} of answers ({_range(within)}); {gave} of {samples} samples give "
        f"a row ({_range(taught(found.parts, product))})"
    )


def _of(some: int, all: int) -> str:
    return f"{some:,}/{all:,} {some / all:.0%}" if all else "0/0"


def _range(within: Interval) -> str:
    return f"95 %: {within.low:.0%} to {within.high:.0%}"


def _reasons(parts: Iterable[Part]) -> list[tuple[str, int]]:
    """Why answers were rejected, most first; the kind of prompt where there are several."""
    counts = Counter[tuple[str, str]]()
    for part in parts:
        for kind, some in part.verdicts.items():
            counts.update({(kind, why): n for why, n in some.items() if why != "accepted"})
    kinds = {kind for kind, _ in counts}
    told = {f"{w} ({kind})" if len(kinds) > 1 else w: n for (kind, w), n in counts.items()}
    return sorted(told.items(), key=lambda item: (-item[1], item[0]))


def _tokens(found: Estimate) -> str:
    read, written, pictures, failed = (
        sum(getattr(part, name) for part in found.parts)
        for name in ("prompt_tokens", "tokens", "pictures", "failed")
    )
    n, came = found.answers, found.answers - failed
    if not n:
        return "nothing was asked"
    each = f"{read / came:,.0f} a prompt and {written / came:,.0f} an answer" if came else "none"
    counted = "" if read else "; the backend does not count those of prompts"
    return (
        f"{read:,} read and {written:,} written, {each}{counted}; {pictures / n:.1f} images a "
        f"prompt; {failed:,} of {n:,} requests failed"
    )


def _time(found: Estimate) -> str:
    speed = f"{found.answers / found.asking:,.2f} answers a second" if found.asking else "no answer"
    takes = f"a session takes {found.gpus:g} GPUs" if found.gpus else "a session takes no GPU here"
    return (
        f"{found.opened:,.1f} s to open the session, then {found.asking:,.1f} s asking, {speed}; "
        f"{takes}"
    )


def _basis(found: Estimate) -> str:
    return (
        f"from these {found.samples:,} samples to all that the recipe asks for, if the corpora "
        "give them and they are like these; between brackets what the number of samples alone "
        "leaves open (95 %)"
    )


def _projected(found: Estimate) -> Iterator[tuple[str, str]]:
    """The projection in words, and what it does not know."""
    whole = found.projected
    if whole.lines:
        answers, read, written = (
            sum(getattr(line, name) for line in whole.lines)
            for name in ("answers", "prompt_tokens", "tokens")
        )
        yield "to ask", f"{answers:,} answers, {read:,} tokens read and {written:,} written"
        yield from _cost(found)
        yield "rows", ", ".join(_rows(found))
    if any(not line.own for line in whole.lines):
        yield "*", "none of its samples was asked: taken to be as the others; raise -n"
    if whole.unknown:
        names = ", ".join(f"{product} of {task}" for product, task in whole.unknown)
        yield "not known", f"{names}: no sample was asked about it; raise -n"


def _cost(found: Estimate) -> Iterator[tuple[str, str]]:
    hours, within = found.hours
    room = "as many sessions as there is room for" if found.sessions is None else (
        "one session" if found.sessions == 1 else f"{found.sessions} sessions"
    )  # fmt: skip
    yield (
        "hours of one session",
        f"{_span(hours, within)}, opening left out; so few requests do not fill a model, many at "
        f"once may be faster; a run has {room} at most",
    )
    if found.gpu_hours is not None:
        likely = Interval(within.low * found.gpus, within.high * found.gpus)
        yield "GPU hours", _span(found.gpu_hours, likely)
    else:
        yield "GPU hours", "none claimed: the session takes no GPU of this machine"


def _rows(found: Estimate) -> Iterator[str]:
    cases = (found.projected, found.poor, found.rich)
    for product in _products(found.parts):
        yield f"{product} {_between([case.rows(product) for case in cases])}"
    if any(case.direct for case in cases):
        yield f"direct {_between([case.direct for case in cases])}"


def _between(cases: Sequence[int]) -> str:
    """The first of some numbers, and between which they lie."""
    return f"{cases[0]:,} ({min(cases):,} to {max(cases):,})"


def _span(hours: float, within: Interval) -> str:
    low, high = map(_hours, within)
    return _hours(hours) if low == high else f"{_hours(hours)} ({low} to {high})"


def _hours(hours: float) -> str:
    """With two digits behind the point at most."""
    if hours < 0.005:
        return "under 0.01" if hours else "0"
    return f"{hours:,.2f}" if hours < 1 else f"{hours:,.1f}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Columns, those of names to the left, those of numbers to the right."""
    wide = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        yield "  ".join(
            text.ljust(n) if i < 3 else text.rjust(n)
            for i, (text, n) in enumerate(zip(row, wide, strict=True))
        )
