"""The verbs of a teacher: try it on a few samples, have it answer, judge its answers anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mgdata.cli_options import (
    Address,
    EngineName,
    Minutes,
    Quiet,
    Recipe,
    Retry,
    RootPairs,
    Roots,
    Tokens,
    Workers,
    run_recipe,
    verb,
)
from mgdata.errors import UsageError

What = Annotated[
    str, typer.Argument(help="A recipe; with --against the file of predictions to write.")
]
RunOut = Annotated[str | None, typer.Option("--out", help="The run's folder; for a recipe.")]
Against = Annotated[
    str | None,
    typer.Option("--against", help="Ask about mig_bench, mc_bench, a release or its run."),
]
BackendName = Annotated[
    str | None, typer.Option("--backend", help="With --against: a name of mgdata backends.")
]
BackendSettings = Annotated[
    list[str] | None, typer.Option("--with", help="A setting of the backend, name=value.")
]
NotationName = Annotated[
    str | None, typer.Option("--notation", help="With --against: how it is to write boxes.")
]
NotationSettings = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the notation, name=value.")
]
KindName = Annotated[str, typer.Option("--kind", help="With --against: direct, or reason first.")]
Longest = Annotated[
    int, typer.Option("--max-tokens", min=1, help="With --against: longest answer.")
]
Temperature = Annotated[
    float, typer.Option("--temperature", min=0, help="With --against: 0 is greedy.")
]
Split = Annotated[
    str | None, typer.Option("--split", help="With --against: only this split of a release.")
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="With --against: only so many items.")
]


def add(app: typer.Typer) -> None:
    """Add these verbs to the command line."""
    app.command(epilog="Example: mgdata estimate cot-cold-start -n 20 --roots corpora.yaml")(
        estimate
    )
    app.command(
        epilog="Answers are kept in a journal: the same command goes on where it stopped and sends "
        "nothing twice. Example: mgdata answer cot-cold-start --roots corpora.yaml --out RUN. "
        "Example: mgdata answer answers.jsonl --against mig_bench --root mig_bench=/data/mig_bench "
        "--backend vllm --with checkpoint=Qwen/Qwen2.5-VL-7B-Instruct --notation qwen2.5-vl"
    )(answer)
    verb(app, "judge", "judge", "Judge a run's answers by the recipe as it is now; ask nothing.",
         "Answers that the recipe asks for and that are not there are left out.")  # fmt: skip


def estimate(
    recipe: Recipe,
    number: Annotated[int, typer.Option("-n", min=1, help="How many samples.")] = 20,
    roots: Roots = None,
    root: RootPairs = None,
    out: Annotated[str | None, typer.Option("--out", help="Folder of the page.")] = None,
    quiet: Quiet = False,
) -> None:
    """Have a recipe's teacher answer a few samples: what is accepted, what all would cost."""
    from mgdata import api, estimate

    loaded = api.load(recipe, roots, root or [])
    found = estimate.estimate(
        loaded, Path(out or f"estimate-{loaded.recipe.name}"), number=number, quiet=quiet
    )
    for line in estimate.lines(found):
        print(line)


def answer(
    what: What,
    out: RunOut = None,
    against: Against = None,
    backend: BackendName = None,
    settings: BackendSettings = None,
    notation: NotationName = None,
    setting: NotationSettings = None,
    kind: KindName = "direct",
    max_tokens: Longest = 1024,
    temperature: Temperature = 0.0,
    split: Split = None,
    limit: Limit = None,
    roots: Roots = None,
    root: RootPairs = None,
    engine: EngineName = "ray",
    workers: Workers = None,
    address: Address = None,
    tokens: Tokens = None,
    minutes: Minutes = None,
    retry: Retry = False,
    quiet: Quiet = False,
) -> None:
    """Have a recipe's teacher answer its samples; or a model a benchmark, to be scored."""
    if against is None:
        if out is None:
            raise UsageError("answer: name the run's folder with --out, or a benchmark --against")
        run_recipe(what, out, "answer", roots, root, engine=engine, workers=workers,
                   address=address, tokens=tokens, minutes=minutes, retry=retry,
                   quiet=quiet)  # fmt: skip
        return
    for flag, value in (("--backend", backend), ("--notation", notation)):
        if value is None:
            raise UsageError(f"answer --against {against}: {flag} is missing")
    if out is not None:
        raise UsageError("answer: --out is a recipe's; with --against the predictions come first")
    _predict(
        Path(what), against, str(backend), settings or [], str(notation), setting or [],
        kind=kind, max_tokens=max_tokens, temperature=temperature, split=split, limit=limit,
        roots=roots, root=root or [], quiet=quiet,
    )  # fmt: skip


def _predict(
    predictions: Path, against: str, backend: str, settings: list[str], notation: str,
    setting: list[str], *, kind: str, max_tokens: int, temperature: float, split: str | None,
    limit: int | None, roots: str | None, root: list[str], quiet: bool,
) -> None:  # fmt: skip
    """Have a model answer a benchmark or a release."""
    from mgdata.against import answer_against, lines
    from mgdata.data import Sampling
    from mgdata.progress import reporter
    from mgdata.schema import nearest

    if kind not in ("direct", "reason"):
        raise UsageError(f"--kind {kind}: unknown{nearest(kind, ['direct', 'reason'])}")
    asked: Literal["direct", "reason"] = "direct" if kind == "direct" else "reason"
    report = answer_against(
        against, predictions, backend, settings, notation, setting, kind=asked, split=split,
        sampling=Sampling(temperature=temperature, max_tokens=max_tokens), limit=limit,
        roots_file=roots, roots=root, tell=reporter(quiet),
    )  # fmt: skip
    for line in lines(report):
        print(line)
    if report.failed:
        raise typer.Exit(1)
