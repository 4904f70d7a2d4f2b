"""What verbs have in common: their arguments and flags, and verbs that run a recipe up to a stage.

No flag changes data: flags say where, how parallel and how loud.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgdata.errors import UsageError

if TYPE_CHECKING:
    from mgdata.recipe import Loaded
    from mgdata.run import Outcome, Until

Recipe = Annotated[str, typer.Argument(help="A recipe file, or the name of one that comes along.")]
Out = Annotated[str, typer.Option("--out", help="The run's folder or URL; made, or resumed.")]
Roots = Annotated[str | None, typer.Option("--roots", help="YAML file of `corpus: path` lines.")]
RootPairs = Annotated[
    list[str] | None, typer.Option("--root", help="corpus=path; may be given again; wins.")
]


def known_engine(name: str) -> str:
    """Refuse an unknown engine before anything is read or written."""
    from mgdata.schema import nearest

    if name not in ("ray", "serial"):
        raise UsageError(f"--engine {name}: unknown{nearest(name, ['ray', 'serial'])}")
    return name


EngineName = Annotated[str, typer.Option("--engine", help="ray or serial.", callback=known_engine)]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Ray workers, those with GPUs too; default: all."),
]
Address = Annotated[str | None, typer.Option("--address", help="A Ray cluster, HOST:PORT.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
Where = Annotated[str, typer.Argument(help="A run's folder or a release's.")]
RunFolder = Annotated[str, typer.Argument(help="A run's folder.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures.")]
Tokens = Annotated[
    int | None,
    typer.Option("--tokens", min=1, help="Stop asking a teacher after so many tokens."),
]
Minutes = Annotated[
    float | None, typer.Option("--minutes", min=0, help="Stop asking a teacher after so long.")
]
Retry = Annotated[
    bool,
    typer.Option("--retry", help="Ask a teacher again where a request had failed."),
]


def verb(app: typer.Typer, name: str, last: Until, text: str, after: str) -> None:
    """A verb that runs a recipe up to a stage that asks no teacher; `after` stands below it."""

    def command(
        recipe: Recipe,
        out: Out,
        roots: Roots = None,
        root: RootPairs = None,
        engine: EngineName = "ray",
        workers: Workers = None,
        address: Address = None,
        quiet: Quiet = False,
    ) -> None:
        run_recipe(recipe, out, last, roots, root, engine=engine, workers=workers,
                   address=address, quiet=quiet)  # fmt: skip

    _register(app, name, command, text, after)


def asking_verb(app: typer.Typer, name: str, last: Until, text: str, after: str) -> None:
    """A verb that runs a recipe up to a stage and may ask a teacher on the way."""

    def command(
        recipe: Recipe,
        out: Out,
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
        run_recipe(recipe, out, last, roots, root, engine=engine, workers=workers, tokens=tokens,
                   address=address, minutes=minutes, retry=retry, quiet=quiet)  # fmt: skip

    _register(app, name, command, text, after)


def _register(
    app: typer.Typer, name: str, command: Callable[..., None], text: str, after: str
) -> None:
    command.__doc__ = text
    example = f"mgdata {name} quickstart --roots corpora.yaml --out RUN"
    app.command(name, epilog=f"{after} Example: {example}")(command)


def run_recipe(
    recipe: str, out: str, last: Until, roots: str | None, root: list[str] | None, **how: Any
) -> None:
    """Run a recipe up to a stage and print what came of it; `how` as `api.run` takes it."""
    from mgdata import api

    try:
        loaded = api.load(recipe, roots, root or [])
        outcome = api.run(loaded, out, last=last, **how)
    except KeyboardInterrupt:
        print(
            f"mgdata: stopped; what is finished is kept in {out}: run the same command again "
            "to go on",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    _report(outcome, out, loaded, last)


def _report(outcome: Outcome, out: str, loaded: Loaded, last: str) -> None:
    from mgdata.release.funnel import lines

    for line in lines(outcome.steps):
        print(line)
    data = [file.split("/") for file in outcome.files if file.startswith("release/data/")]
    if last == "release":
        print(f"release  {out}/release")
        print(f"card     {out}/release/README.md")
    if last == "release" and data:
        print("load it:")
        print("    from datasets import load_dataset")
        print(f"    rows = load_dataset({f'{out}/release'!r}, {data[0][2]!r})")
        print(f"    print(rows[{next(iter(loaded.recipe.splits))!r}][0]['messages'])")
    if not outcome.worked:
        print("nothing to do: every shard was there already")
    for sentence in outcome.short:
        print(f"short: {sentence}", file=sys.stderr)
    if outcome.short:
        raise typer.Exit(1)
