"""The recipe: what to make, of what, how much. Read, checked, and turned into plug-ins.

A recipe says everything that shapes data; where the corpora lie and how parallel to be are the
command line's. Knows no stage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from mgdata import registry
from mgdata.data import Flow
from mgdata.documents import read_yaml
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.identity import digest
from mgdata.plugins import Builder, Corpus, Filter, Measure, Notation
from mgdata.resources import recipes
from mgdata.schema import faults, nearest, schema_of
from mgdata.storage import Root
from mgdata.teacher.section import TeacherSection
from mgdata.teachers import Teacher, make_teacher

Positive = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class CorpusSection(Flow, frozen=True, kw_only=True):
    """One source corpus; its key names its root and is the first part of its records' keys."""

    corpus: str | None = None
    """Which reader: a name of `mgdata corpora`; the section's key where left out."""
    settings: dict[str, Any] = msgspec.field(name="with", default_factory=dict)
    """The reader's own settings."""
    license: str | None = None
    """Overrides the reader's licence, for a copy with terms of its own."""


class SharesSection(Flow, frozen=True, kw_only=True):
    """Shares of a task's samples by their number of targets; they add up to 1."""

    none: Share = 0.0
    """Samples that nothing answers."""
    one: Share = 0.0
    """Samples with a single target."""
    many: Share = 0.0
    """Samples with two targets or more."""


class TaskSection(Flow, frozen=True, kw_only=True):
    """One task: a builder, where it draws from and how many samples to make."""

    samples: Positive
    """Samples over all splits, exactly, unless the corpora run short."""
    builder: str | None = None
    """A name of `mgdata tasks` or `./file.py:Class`; the section's key where left out."""
    corpora: tuple[str, ...] = ()
    """Sections it draws from; all of them where left out."""
    config: str | None = None
    """Configuration of the release it goes to; the section's key where left out."""
    shares: SharesSection | None = None
    """How many of its samples have no, one and many targets, met exactly.

    For builders with a setting `count`. The section stands for one section each, `<key>-none`,
    `<key>-one` and `<key>-many`.
    """
    settings: dict[str, Any] = msgspec.field(name="with", default_factory=dict)
    """The builder's own settings."""


class IngestSection(Flow, frozen=True, kw_only=True):
    """How reading is cut up."""

    parts: Positive = 16
    """Parts (clips, annotation files) a shard."""


class BuildSection(Flow, frozen=True, kw_only=True):
    """How building is cut up."""

    groups: Positive = 256
    """Groups a shard."""


class CodecSection(Flow, frozen=True, kw_only=True):
    """How edited images, and only those, are encoded."""

    quality: Annotated[int, msgspec.Meta(ge=1, le=100)] = 95
    """JPEG quality."""


class ReleaseSection(Flow, frozen=True, kw_only=True):
    """What the published files look like."""

    notation: str = "qwen2-vl"
    """How boxes are written in `messages`."""
    settings: dict[str, Any] = msgspec.field(name="with", default_factory=dict)
    """The notation's own settings."""
    row_group_mb: Annotated[float, msgspec.Meta(gt=0, le=250)] = 100
    """Most decoded megabytes a row group; readers and viewers fail on large ones."""
    file_mb: Annotated[float, msgspec.Meta(gt=0)] = 500
    """About how many decoded megabytes a file."""
    codec: CodecSection = CodecSection()
    """For edited images."""
    pretty_name: str | None = None
    """The card's title."""
    date: str | None = None
    """The card's date; no clock is read."""
    repository: str | None = None
    """`owner/name` on the Hub, for the card's lines that load it."""


class Limits(Flow, frozen=True, kw_only=True):
    """When a run gives up."""

    rejected: Share = 0.5
    """Largest share of records, or of groups, that may be dropped in a stage."""


class Recipe(Flow, frozen=True, kw_only=True):
    """All that shapes the data of a release."""

    name: str
    """Of the release."""
    tasks: dict[str, TaskSection]
    """What to build, by name."""
    corpora: dict[str, CorpusSection]
    """What to build it from, by name."""
    seed: int = 0
    """All randomness starts here."""
    description: str = ""
    """A paragraph for the card."""
    splits: dict[str, Share] = msgspec.field(default_factory=lambda: {"train": 1.0})
    """Share of the records that each split gets; units are never cut."""
    measures: dict[str, dict[str, Any]] = msgspec.field(default_factory=lambda: {"integrity": {}})
    """Measures and their settings."""
    filters: dict[str, dict[str, Any]] = msgspec.field(default_factory=lambda: {"boxes": {}})
    """Filters and their settings."""
    ingest: IngestSection = IngestSection()
    """How reading is cut up."""
    build: BuildSection = BuildSection()
    """How building is cut up."""
    teacher: TeacherSection | None = None
    """A model that answers the samples; its rows are what is published."""
    release: ReleaseSection = ReleaseSection()
    """What the published files look like."""
    limits: Limits = Limits()
    """When a run gives up."""


class Loaded(Flow, frozen=True, kw_only=True):
    """A recipe with its plug-ins made: what the run works with."""

    recipe: Recipe
    path: str
    corpora: dict[str, Corpus]
    builders: dict[str, Builder]
    measures: dict[str, Measure]
    filters: dict[str, Filter]
    notation: Notation
    teacher: Teacher | None = None

    @property
    def roots(self) -> dict[str, Root]:
        """Where each corpus lies."""
        return {name: corpus.root for name, corpus in self.corpora.items()}

    @property
    def record_measures(self) -> dict[str, Measure]:
        """The measures that are asked of every record, before choosing."""
        return {name: found for name, found in self.measures.items() if found.keyed == "record"}

    @property
    def sha256(self) -> str:
        """Digest of all the recipe says, settings and counts, and of others' plug-ins' source."""
        made = (self.corpora, self.builders, self.measures, self.filters)
        plugins = [self.notation, *(plugin for found in made for plugin in found.values())]
        if self.teacher:
            plugins += [self.teacher.backend, self.teacher.notation]
        modules = {type(plugin).__module__ for plugin in plugins}
        others = sorted(m for m in modules if m.partition(".")[0] not in ("mgdata", "builders"))
        text = msgspec.json.encode(self.recipe, order="sorted")
        return digest(text, *(registry.source_digest(module) for module in others))


def read(path: str | Path) -> Recipe:
    """A recipe from its file, or one that comes with mgdata by its bare name.

    Raises:
        UsageError: no such file, not YAML, a key given twice, or it does not fit the schema.
    """
    file = _located(str(path))
    document = read_yaml(file)
    wrong = faults(document, schema_of(Recipe, "recipe", described=False))
    if wrong:
        raise UsageError("\n".join(f"{file}: {line}" for line in wrong))
    try:
        recipe = msgspec.convert(document, Recipe)
    except msgspec.ValidationError as error:
        raise UsageError(f"{file}: {error}") from error
    _check(recipe, str(file))
    return _by_count(recipe, str(file))


def apportioned(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """How much of a total each share gets: largest remainders, in the order of the shares."""
    exact = {name: total * share for name, share in shares.items()}
    whole = {name: math.floor(value) for name, value in exact.items()}
    rest = total - sum(whole.values())
    for name in sorted(exact, key=lambda n: whole[n] - exact[n])[:rest]:
        whole[name] += 1
    return whole


def load(path: str | Path, roots: dict[str, str] | None = None) -> Loaded:
    """A recipe and its plug-ins, corpora opened at `roots`.

    With `roots` None no root is asked for, and corpora stand on an empty one: enough to check a
    recipe, not to run it.

    Raises:
        UsageError: as `read`, or a plug-in's settings are wrong.
        EnvironmentFailure: a root is not named or not there.
    """
    recipe, file = read(path), _located(str(path))

    def made(kind: str, plugin: str, settings: dict[str, Any], key: str, **given: Any) -> Any:
        where = f"{file}: {key}"
        return registry.make(kind, plugin, settings, where, beside=file.parent, **given)

    corpora: dict[str, Corpus] = {}
    for name, section in recipe.corpora.items():
        reader, key = section.corpus or name, f"corpora.{name}.with"
        # The reader first: a section with a misspelt name has no root either.
        registry.find("corpora", reader, f"{file}: {key}", file.parent)
        root = Root(_root(name, roots, str(file))) if roots is not None else Root("unset")
        corpora[name] = made("corpora", reader, section.settings, key, name=name, root=root)
    measures = {
        name: made("measures", name, settings, f"measures.{name}")
        for name, settings in recipe.measures.items()
    }
    filters: dict[str, Filter] = {
        name: made("filters", name, settings, f"filters.{name}")
        for name, settings in recipe.filters.items()
    }
    _check_measures(recipe, filters, str(file))
    builders: dict[str, Builder] = {}
    for name, task in recipe.tasks.items():
        builder, key = task.builder or name, f"tasks.{name}"
        found = registry.find("builders", builder, f"{file}: {key}", file.parent)
        if task.shares and "count" not in registry.settings_of(found):
            raise UsageError(f"{file}: {key}: {builder} has no setting count, take out shares")
        builders[name] = made("builders", builder, task.settings, f"{key}.with")
    written = recipe.release
    registry.find("notations", written.notation, f"{file}: release.notation", file.parent)
    return Loaded(
        recipe=recipe,
        path=str(file),
        corpora=corpora,
        builders=builders,
        measures=measures,
        filters=filters,
        notation=made("notations", written.notation, written.settings, "release.with"),
        teacher=_teacher(recipe, builders, str(file)),
    )


def _teacher(recipe: Recipe, builders: dict[str, Builder], file: str) -> Teacher | None:
    if recipe.teacher is None:
        return None
    configs = {name: task.config or name for name, task in recipe.tasks.items()}
    own = (recipe.release.notation, recipe.release.settings)
    return make_teacher(recipe.teacher, builders, configs, own, file)


def read_roots(file: str | None, pairs: list[str]) -> dict[str, str]:
    """Roots from a roots file (`name: path`) and from `name=path` pairs, which win.

    Paths in a file are relative to it.
    """
    roots: dict[str, str] = {}
    if file:
        document = read_yaml(Path(file))
        if not isinstance(document, dict) or not all(isinstance(v, str) for v in document.values()):
            raise UsageError(f"{file}: expected lines of `name: path`")
        for name, path in document.items():
            local = "://" not in path and not Path(path).is_absolute()
            roots[str(name)] = str(Path(file).parent / path) if local else path
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not equals or not name or not path:
            raise UsageError(f"--root {pair}: expected name=path")
        roots[name] = path
    return roots


def _located(path: str) -> Path:
    file = Path(path)
    if file.is_file():
        return file
    if path in recipes():
        return recipes()[path]
    if not file.exists():
        raise UsageError(f"no recipe {path}{nearest(path, [*recipes()])}")
    return file


def _root(name: str, roots: dict[str, str] | None, file: str) -> str:
    roots = roots or {}
    if name not in roots:
        near = nearest(name, list(roots)) if roots else ""
        raise EnvironmentFailure(
            f"{file}: corpora.{name} has no root{near}: add `{name}: PATH` to the roots file "
            f"or --root {name}=PATH"
        )
    root = Root(roots[name])
    if not root.exists() or not (root.remote or Path(root.url).is_dir()):
        raise EnvironmentFailure(
            f"corpora.{name}: there is no folder {root.url}: mend the roots file or "
            f"--root {name}=PATH"
        )
    return roots[name]


def _by_count(recipe: Recipe, file: str) -> Recipe:
    """The recipe with a section for each share of a task in place of the task."""
    tasks: dict[str, TaskSection] = {}
    for name, task in recipe.tasks.items():
        if task.shares is None:
            tasks[name] = task
            continue
        if "count" in task.settings:
            raise UsageError(f"{file}: tasks.{name}.with.count: shares say it already: take it out")
        for count, samples in apportioned(
            task.samples, msgspec.structs.asdict(task.shares)
        ).items():
            key = f"{name}-{count}"
            if key in recipe.tasks:
                raise UsageError(f"{file}: tasks.{key}: stands for a share of {name}: rename it")
            if samples:
                tasks[key] = msgspec.structs.replace(
                    task,
                    samples=samples,
                    builder=task.builder or name,
                    config=task.config or name,
                    shares=SharesSection(**{count: 1.0}),
                    settings={**task.settings, "count": count},
                )
    return msgspec.structs.replace(recipe, tasks=tasks)


def _check_measures(recipe: Recipe, filters: dict[str, Filter], file: str) -> None:
    """Raise where a measure is missing that the release or a filter reads."""
    if "integrity" not in recipe.measures:
        raise UsageError(
            f"{file}: measures: integrity is missing, which finds broken images and gives each "
            "its hash: add `integrity: {}`"
        )
    for name, found in filters.items():
        for needed in found.needs:
            if needed not in recipe.measures:
                raise UsageError(
                    f"{file}: filters.{name} reads what the measure {needed} finds: add "
                    f"`{needed}: {{}}` to measures"
                )


def _check(recipe: Recipe, file: str) -> None:
    total = sum(recipe.splits.values())
    if abs(total - 1) > 1e-6:
        raise UsageError(f"{file}: splits: shares add up to {total:g}, expected 1")
    for section in ("name", "tasks", "corpora"):
        if not getattr(recipe, section):
            raise UsageError(f"{file}: {section}: found nothing, expected at least one")
    for name, task in recipe.tasks.items():
        for source in task.corpora:
            if source not in recipe.corpora:
                near = nearest(source, list(recipe.corpora))
                raise UsageError(f"{file}: tasks.{name}.corpora: unknown corpus {source!r}{near}")
        shares = msgspec.structs.astuple(task.shares) if task.shares else (1.0,)
        if abs((total := sum(shares)) - 1) > 1e-6:
            raise UsageError(f"{file}: tasks.{name}.shares add up to {total:g}, expected 1")
    for split in recipe.splits:
        if not split.replace("_", "").isalnum():
            raise UsageError(f"{file}: splits.{split}: use letters, digits and _ alone")
    configs = [task.config for task in recipe.tasks.values() if task.config]
    for key in [*recipe.tasks, *recipe.corpora, *configs]:
        if not key.replace("_", "").replace("-", "").isalnum():
            raise UsageError(f"{file}: {key!r} names a file: use letters, digits, - and _")
