"""The command line: verbs, flags and exit codes. All work is done elsewhere.

No flag changes data: flags say where, how parallel and how loud. Exit codes: 0 done; 1 finished but
short of the recipe, or a check that found faults; 2 wrong usage or recipe; 3 environment; 130
interrupted.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from mgdata import cli_teacher
from mgdata.cli_options import (
    Address,
    EngineName,
    Json,
    Quiet,
    Recipe,
    RootPairs,
    Roots,
    RunFolder,
    Where,
    Workers,
    asking_verb,
    verb,
)
from mgdata.errors import EnvironmentFailure, MgdataError

app = typer.Typer(
    help="Regenerate multi-image grounding corpora: recipes in, checked Parquet releases out.",
    epilog="Begin with: mgdata tasks; mgdata corpora; mgdata run quickstart --help. Exit codes: 0 "
    "done; 1 short of the recipe, or faults found; 2 wrong usage or recipe; 3 environment; 130 "
    "interrupted.",
    no_args_is_help=True,
    invoke_without_command=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
corpora_app = typer.Typer(
    help="List the corpora a recipe can name, with layout, licence and source; or check a copy.",
    epilog="Example: mgdata corpora",
)
app.add_typer(corpora_app, name="corpora", invoke_without_command=True)


def main() -> NoReturn:
    """Run the command line; turns our errors into one line and an exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app(standalone_mode=True)
    except MgdataError as error:
        print(f"mgdata: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        # What a verb writes beside a run: a report, a page.
        if error.filename is None:
            raise
        print(f"mgdata: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(EnvironmentFailure.exit_code)
    sys.exit(0)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


_RESUME = "What is finished is kept: the same command goes on where it stopped."
asking_verb(app, "run", "release", "Run a recipe to a release; run again to resume.", _RESUME)
verb(app, "ingest", "ingest", "Read the corpora into records, and stop.", "Writes RUN/records.")
verb(app, "measure", "measure", "Ingest, and measure every record where the recipe says so.",
      "Writes RUN/facts. Chosen images are measured by build.")  # fmt: skip
verb(app, "build", "build", "Ingest, measure and build samples, their images measured.",
      "Writes RUN/samples.")  # fmt: skip
cli_teacher.add(app)
asking_verb(app, "release", "release", "Everything up to the published files: the same as run.",
            _RESUME)  # fmt: skip


@app.command(epilog="Example: mgdata plan quickstart --roots corpora.yaml")
def plan(
    recipe: Recipe,
    roots: Roots = None,
    root: RootPairs = None,
    out: Annotated[str | None, typer.Option("--out", help="Keep the ingested records.")] = None,
    engine: EngineName = "serial",
    workers: Workers = None,
    address: Address = None,
) -> None:
    """Say what a recipe would make: samples, images, bytes, shards. Builds nothing."""
    from mgdata import api
    from mgdata.plan import lines

    loaded = api.load(recipe, roots, root or [])
    found = api.plan(loaded, out, engine=engine, workers=workers, address=address)
    for line in lines(found):
        print(line)


@app.command(epilog="Example: mgdata preview quickstart --roots corpora.yaml -n 20 --key got10k/")
def preview(
    recipe: Recipe,
    number: Annotated[int, typer.Option("-n", min=1, help="How many samples.")] = 20,
    key: Annotated[str | None, typer.Option("--key", help="Only records with this key.")] = None,
    roots: Roots = None,
    root: RootPairs = None,
    out: Annotated[str | None, typer.Option("--out", help="Folder of the page.")] = None,
) -> None:
    """Build a few samples at once, without Ray, and write a page to look at."""
    from mgdata import api

    loaded = api.load(recipe, roots, root or [])
    print(api.preview(loaded, out or f"preview-{loaded.recipe.name}", number=number, key=key))


@app.command(epilog="Example: mgdata view RUN --key got10k/train/GOT-10k_Train_000001 --out page")
def view(
    where: Where,
    number: Annotated[int, typer.Option("-n", min=1, help="How many samples at most.")] = 200,
    key: Annotated[str | None, typer.Option("--key", help="A sample id or record key.")] = None,
    out: Annotated[str | None, typer.Option("--out", help="Folder of the page.")] = None,
) -> None:
    """Write a page with samples of a release, and what was dropped on the way."""
    from mgdata import api

    print(api.view(where, number=number, key=key, out=out))


@app.command(
    epilog="Exits with 1 where there is a fault. Example: mgdata check RUN --json verdict.json"
)
def check(
    where: Where,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the verdict.")] = None,
) -> None:
    """Check a release row by row: schema, boxes, pixels, text, counts, hashes."""
    import msgspec

    from mgdata import api
    from mgdata.release.check import check as run_check
    from mgdata.release.check import lines

    verdict = run_check(api.release_store(where))
    for line in lines(verdict):
        print(line)
    if json:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(verdict)))
    if verdict.faults:
        raise typer.Exit(1)


@app.command(epilog="Example: mgdata explain RUN got10k/train/GOT-10k_Train_000001")
def explain(
    where: RunFolder,
    key: Annotated[str, typer.Argument(help="A sample id, record key or image uri.")],
) -> None:
    """Trace a sample to its records, group and seed, or say why something is not there."""
    from mgdata.explain import explain as tell
    from mgdata.storage import Store

    for line in tell(Store(where), key):
        print(line)


@app.command(epilog="Example: mgdata status RUN")
def status(where: RunFolder) -> None:
    """Say how far a run is, and its funnel so far."""
    from mgdata import api

    for line in api.status(where):
        print(line)


@app.command(epilog="Example: mgdata gc RUN")
def gc(where: RunFolder) -> None:
    """Delete files of a run that no manifest entry lists: leavings of killed attempts."""
    from mgdata import api

    count, size = api.gc(where)
    print(f"removed {count:,} files, {size / 1e6:,.1f} MB")


@app.command(epilog="Example: mgdata backends")
def backends() -> None:
    """List how a teacher can be reached: what a recipe's `teacher.backend` can name."""
    from mgdata import listing

    for line in listing.backends():
        print(line)


@app.command(epilog="Example: mgdata tasks")
def tasks() -> None:
    """List the tasks a recipe can name, with their settings."""
    from mgdata import listing

    for line in listing.tasks():
        print(line)


@corpora_app.callback(invoke_without_command=True)
def corpora(context: typer.Context) -> None:
    """List the corpora a recipe can name, with layout, licence and where to get them."""
    if context.invoked_subcommand is None:
        from mgdata import listing

        for line in listing.corpora():
            print(line)


@corpora_app.command(
    "check",
    epilog="Exits with 1 where nothing can be read: the layout is another, or there is no record. "
    "Example: mgdata corpora check got10k /data/got10k --set splits=[val] --json out.json",
)
def corpora_check(
    name: Annotated[str, typer.Argument(help="A name of `mgdata corpora`.")],
    root: Annotated[str, typer.Argument(help="Where your copy lies.")],
    json: Annotated[Path | None, typer.Option("--json", help="Also write the report.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the reader, name=value (YAML).")
    ] = None,
) -> None:
    """Read all of a corpus' annotations and say what was found."""
    import msgspec

    from mgdata import api
    from mgdata.corpora.check import lines

    report = api.check_corpus(name, root, setting or [])
    for line in lines(report):
        print(line)
    if json:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    if not report.records:
        raise typer.Exit(1)


@app.command(
    epilog='A prediction is a line {"id": "..", "text": ".."}: a sample id of the release (with '
    '"turn": n, from 0, where it has several), a row number of MIG-Bench, from 0, or a description '
    "id of MC-Bench; the text is what the model said. What is missing counts as wrong. "
    "docs/scoring.md explains the figures. Example: mgdata score predictions.jsonl --against RUN "
    "--notation qwen2-vl --split test --json scores.json",
)
def score(
    predictions: Annotated[Path, typer.Argument(help="A file of JSON lines.")],
    against: Annotated[
        str, typer.Option("--against", help="A release, its run, mig_bench or mc_bench.")
    ],
    notation: Annotated[
        str, typer.Option("--notation", help="How the model writes boxes: qwen2-vl, json ...")
    ],
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the notation, name=value.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Only this split of a release.")
    ] = None,
    roots: Roots = None,
    root: RootPairs = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Score a model's answers against a release, MIG-Bench or MC-Bench."""
    import msgspec

    from mgdata.progress import reporter
    from mgdata.score import lines, score_file

    report = score_file(predictions, against, notation, settings=setting or [], split=split,
                        roots_file=roots, roots=root or [], tell=reporter(quiet))  # fmt: skip
    for line in lines(report):
        print(line)
    if json:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))


@app.command(epilog="Example: mgdata synth got10k corpora/got10k --clips 8 --seed 7")
def synth(
    layout: Annotated[
        str,
        typer.Argument(help="coco, got10k, clevr_change, egoexo4d ...; a wrong one lists them."),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write; must not exist or be empty.")],
    clips: Annotated[
        int, typer.Option("--clips", min=1, help="How many clips, photos, pairs or takes.")
    ] = 6,
    frames: Annotated[int, typer.Option("--frames", min=2, help="Frames a clip or take.")] = 24,
    width: Annotated[int, typer.Option("--width", min=64, help="Pixels.")] = 480,
    height: Annotated[int, typer.Option("--height", min=64, help="Pixels.")] = 360,
    seed: Annotated[int, typer.Option("--seed", help="All randomness.")] = 0,
    jpeg_bytes: Annotated[
        int | None, typer.Option("--jpeg-bytes", help="About this size a frame.")
    ] = None,
    records_only: Annotated[
        bool, typer.Option("--records-only", help="Only an index table, for planning tests.")
    ] = False,
) -> None:
    """Write a small synthetic corpus in a real on-disk layout."""
    from mgdata import api

    size = (width, height)
    print(api.synth(layout, out, clips=clips, frames=frames, size=size, seed=seed,
                    jpeg_bytes=jpeg_bytes, records_only=records_only))  # fmt: skip


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version as version_of

        print(version_of("mgdata"))
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    del version
