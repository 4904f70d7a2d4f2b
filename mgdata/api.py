"""What the verbs do, as functions: the small Python API for notebooks and the command line.

Each takes plain values and returns data; nothing here prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mgdata
from mgdata import recipe as recipes
from mgdata import registry
from mgdata.corpora.check import Report
from mgdata.corpora.check import check as check_records
from mgdata.engine.serial import SerialEngine
from mgdata.engine.stage import Engine, Tell
from mgdata.errors import EnvironmentFailure, UsageError, boundary
from mgdata.folder import RunFile, finished, read_run_file, refuse_other
from mgdata.manifest import Lock, Manifest
from mgdata.plan import Plan
from mgdata.preview import preview as make_preview
from mgdata.progress import reporter
from mgdata.recipe import Loaded
from mgdata.release.funnel import Step, funnel, lines
from mgdata.run import STAGES, Budget, Outcome, Run, Until
from mgdata.schema import nearest
from mgdata.show import show_release
from mgdata.show_run import show_answered, show_dropped
from mgdata.stages.answer import JOURNAL
from mgdata.storage import Root, Store, is_part
from mgdata.teacher.journal import Journal
from mgdata.view import write

_TABLES = ("records", "facts", "samples", "answers", "traces", "lessons", "ledger")
"""Folders of a run whose files an entry lists."""


def load(recipe: str, roots_file: str | None = None, pairs: Sequence[str] = ()) -> Loaded:
    """A recipe with its corpora opened; raises as `recipe.load`."""
    return recipes.load(recipe, recipes.read_roots(roots_file, list(pairs)))


def run(
    loaded: Loaded,
    out: str,
    *,
    engine: str = "ray",
    workers: int | None = None,
    address: str | None = None,
    last: Until = "release",
    tokens: int | None = None,
    minutes: float | None = None,
    retry: bool = False,
    quiet: bool = True,
) -> Outcome:
    """Run a recipe up to a stage; a finished run is read, not run.

    A teacher is asked no more once `tokens` or `minutes` are spent by this call. With `retry` it is
    asked again where a request had failed.

    Raises:
        UsageError: `answer` or `judge` of a recipe without a teacher.
    """
    if last in ("answer", "judge") and not loaded.teacher:
        raise UsageError(f"{loaded.path}: there is no teacher: add the section `teacher`")
    store = Store(out)
    refuse_other(store, loaded)
    if last == "release" and not retry and (found := finished(store, loaded)):
        steps = tuple(_steps(store))
        return Outcome(steps=steps, short=found.short, files=tuple(sorted(found.finished or {})),
                       worked=False)  # fmt: skip

    def make(tell: Tell) -> Engine:
        return make_engine(engine, tell, workers, address)

    budget = Budget(tokens, minutes)
    with Run(loaded, out, tell=reporter(quiet), engine=make, budget=budget) as running:
        if retry:
            running.retry()
        return running.until(last)


def make_engine(name: str, tell: Tell, workers: int | None, address: str | None) -> Engine:
    """An engine by name."""
    if name == "serial":
        return SerialEngine(tell)
    if name == "ray":
        from mgdata.engine.ray import RayEngine

        return RayEngine(tell, workers=workers, address=address)
    raise UsageError(f"--engine {name}: unknown{nearest(name, ['ray', 'serial'])}")


def plan(
    loaded: Loaded,
    out: str | None = None,
    *,
    engine: str = "serial",
    workers: int | None = None,
    address: str | None = None,
) -> Plan:
    """What a recipe would make; ingests its corpora into `out`, or a folder thrown away."""
    with TemporaryDirectory(prefix="mgdata-plan-") as scratch:

        def make(tell: Tell) -> Engine:
            return make_engine(engine, tell, workers, address)

        with Run(loaded, out or scratch, tell=reporter(), engine=make) as running:
            return running.plan()


def preview(loaded: Loaded, out: str, *, number: int = 20, key: str | None = None) -> Path:
    """Build a few samples at once and write a page; its path."""
    return make_preview(loaded, Path(out), number=number, key=key)


def open_run(out: str) -> tuple[RunFile, list[Step]]:
    """The run file and the funnel of a run's folder.

    Raises:
        UsageError: the folder is no run.
    """
    store = Store(out)
    if (found := read_run_file(store)) is None:
        raise UsageError(f"{out} is not a run folder: there is no run.json")
    return found, _steps(store)


def view(where: str, *, number: int = 200, key: str | None = None, out: str | None = None) -> Path:
    """Write the gallery of a release, with drops where `where` is a run; the page's path."""
    store, is_run = Store(where), Store(where).exists("run.json")
    items = list(show_release(release_store(where), number, key))
    rows = len(items)
    if is_run and (run := read_run_file(store)):
        items += show_answered(store, run, key)
    answers = len(items) - rows
    if is_run and key is None:
        items += show_dropped(store)
    if not items:
        raise UsageError(f"{where} has nothing to show{f' for {key!r}' if key else ''}")
    folder = (
        Path(out) if out else (Path(where) / "gallery" if not store.remote else Path("gallery"))
    )
    facts = {
        "rows": str(rows),
        "answers": str(answers),
        "dropped": str(len(items) - rows - answers),
    }
    return write(items, folder, title=_title(store, where), facts=facts)


def _title(store: Store, where: str) -> str:
    found = read_run_file(store)
    return found.name if found else Path(where).name


def release_store(where: str) -> Store:
    """The release's folder, given itself or its run's."""
    store = Store(where)
    if store.exists("run.json"):
        store = Store(f"{store.url}/release")
    if not store.exists():
        raise EnvironmentFailure(f"there is no release at {store.url}")
    return store


def status(where: str) -> list[str]:
    """How far a run is, line by line."""
    store = Store(where)
    found, steps = open_run(where)
    told = [f"recipe   {found.name}", f"finished {'yes' if found.finished is not None else 'no'}"]
    told += [f"short    {sentence}" for sentence in found.short]
    manifest = Manifest(store)
    for stage in STAGES:
        if entries := manifest.entries(stage):
            seconds = sum(entry.seconds for entry in entries.values())
            told.append(
                f"{stage:<8} {len(entries):>12,} shards done, {seconds:,.1f} worker seconds"
            )
    return told + lines(steps)


def gc(where: str) -> tuple[int, int]:
    """Delete what no entry lists; how many files and bytes went."""
    open_run(where)
    store = Store(where)
    # A run at work publishes files before the entry that lists them.
    with Lock(store):
        if store.exists(JOURNAL):
            before = _size(store, JOURNAL)
            Journal(store, JOURNAL).compact()
            freed = before - _size(store, JOURNAL)
        else:
            freed = 0
        count, size = _collect(store, Manifest(store))
        return count, size + freed


def _size(store: Store, folder: str) -> int:
    return sum(store.size(path) for path in store.walk(folder))


def _collect(store: Store, manifest: Manifest) -> tuple[int, int]:
    listed = {
        file.path
        for stage in (*STAGES, "choose", "settle")
        for entry in manifest.entries(stage).values()
        for file in entry.files
    }
    count = size = 0
    for path in store.walk():
        kept = path.startswith(JOURNAL) or path.partition("/")[0] not in _TABLES
        if is_part(path) or not (kept or path in listed):
            count, size = count + 1, size + store.size(path)
            store.remove(path)
    return count, size


def check_corpus(name: str, root: str, settings: Sequence[str] = ()) -> Report:
    """Read all of a corpus; `settings` are `name=value` pairs of its reader, values in YAML."""
    import yaml

    values: dict[str, Any] = {}
    for pair in settings:
        key, equals, value = pair.partition("=")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {pair}: the value is not YAML") from error
        if not (key and equals):
            raise UsageError(f"--set {pair}: expected name=value")
    if not Root(root).exists():
        raise EnvironmentFailure(f"there is no folder {root}")
    corpus = registry.make("corpora", name, values, "--set", name=name, root=Root(root))
    with boundary(f"corpus {name}", root):
        return check_records(corpus)


def synth(
    layout: str,
    out: Path,
    *,
    clips: int,
    frames: int,
    size: tuple[int, int],
    seed: int,
    jpeg_bytes: int | None = None,
    records_only: bool = False,
) -> str:
    """Write a synthetic corpus, or only an index table of one; what was written, in words."""
    if records_only:
        import pyarrow.parquet as pq

        table = _index(layout, clips, seed)
        out.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, out / "index.parquet")
        return f"{clips:,} index rows in {out / 'index.parquet'}"
    from mgdata.synth import write as write_corpus

    summary = write_corpus(
        layout, out, clips=clips, frames=frames, size=size, seed=seed, jpeg_bytes=jpeg_bytes
    )
    return (
        f"{summary.clips:,} {layout} clips, {summary.images:,} images, "
        f"{summary.bytes / 1e6:,.1f} MB in {out}"
    )


def _index(layout: str, records: int, seed: int) -> Any:
    """The index of records that have no pixels."""
    import pyarrow as pa

    from mgdata.synth.photo_records import LAYOUTS, like

    if layout not in LAYOUTS:
        raise UsageError(f"no index of layout {layout!r}{nearest(layout, list(LAYOUTS))}")
    return pa.Table.from_batches(list(like(layout, records, layout, seed)))


def _steps(store: Store) -> list[Step]:
    manifest = Manifest(store)
    stages = (*STAGES, "choose", "settle")
    return funnel({stage: list(manifest.entries(stage).values()) for stage in stages})


__all__ = [
    "check_corpus",
    "gc",
    "load",
    "make_engine",
    "open_run",
    "plan",
    "preview",
    "release_store",
    "run",
    "status",
    "synth",
    "view",
]

# `mgdata.run` is this function; importing the module of that name has just put the module there.
mgdata.__dict__.update(run=run, plan=plan, preview=preview)
