"""Finding plug-ins by name, checking where they came from, and giving them their settings.

Names come from entry points; a recipe may also name a file (`./my_task.py:MyTask`), which travels
to workers by content. Fingerprints of source live here, since only the registry knows which
module a plug-in is.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import msgspec

from mgdata.errors import PluginError, UsageError, boundary
from mgdata.identity import digest
from mgdata.plugins import Backend, Builder, Corpus, Filter, Measure, Notation
from mgdata.schema import faults, nearest, settings_schema

KINDS: dict[str, type] = {
    "corpora": Corpus,
    "builders": Builder,
    "measures": Measure,
    "filters": Filter,
    "notations": Notation,
    "backends": Backend,
}
_GIVEN = {"name", "root"}
"""Fields of a corpus that the run fills in, not the recipe."""


@cache
def names(kind: str) -> dict[str, EntryPoint]:
    """The entry points of a kind, by name, sorted."""
    found = entry_points(group=f"mgdata.{kind}")
    return {point.name: point for point in sorted(found, key=lambda p: p.name)}


def find(kind: str, name: str, where: str = "", beside: Path | None = None) -> type:
    """The plug-in class that a recipe calls `name`; `where` and `beside` as in `make`.

    Raises:
        UsageError: no such name, or a file that is not there.
        PluginError: its module does not import, or is not what the entry point says.
    """
    told = f"{where.removesuffix('.with')}: " if where else ""
    if ".py:" in name:
        return _from_file(kind, name, told, beside or Path())
    point = names(kind).get(name)
    if point is None:
        near = nearest(name, list(names(kind)))
        raise UsageError(f"{told}there is no {KINDS[kind].__name__.lower()} {name!r}{near}")
    with boundary(f"plug-in {name}", f"import of {point.module}"):
        found = point.load()
    _check_origin(point, sys.modules[point.module])
    return _checked(kind, name, found)


def make(
    kind: str,
    plugin: str,
    settings: Mapping[str, Any],
    where: str,
    /,
    beside: Path | None = None,
    **given: Any,
) -> Any:
    """An instance of a plug-in with its settings checked.

    `where` is the recipe's file and key, for messages; a plug-in file's path is relative to the
    folder `beside`; `given` fills fields the run owns.

    Raises:
        UsageError: an unknown setting or one of the wrong type.
    """
    kind_class = find(kind, plugin, where, beside)
    if not dataclasses.is_dataclass(kind_class):
        if settings:
            raise UsageError(f"{where}: {plugin} takes no settings, found {', '.join(settings)}")
        return kind_class()
    fields = _settings(kind_class)
    wrong = faults(dict(settings), settings_schema(fields))
    if wrong:
        raise UsageError("\n".join(f"{where}.{line}" for line in wrong))
    try:
        values = {key: msgspec.convert(value, fields[key][0]) for key, value in settings.items()}
        with boundary(f"plug-in {plugin}", "its settings"):
            return kind_class(**given, **values)
    except (PluginError, msgspec.ValidationError) as error:
        # What a plug-in refuses as ValueError or TypeError is a setting that does not fit.
        cause = error.__cause__ or error
        if not isinstance(cause, TypeError | ValueError):
            raise
        raise UsageError(f"{where}: {cause}") from error


def settings_of(kind_class: type) -> dict[str, tuple[Any, Any]]:
    """A plug-in's settings: name to (type, default)."""
    return _settings(kind_class) if dataclasses.is_dataclass(kind_class) else {}


def _settings(kind_class: Any) -> dict[str, tuple[Any, Any]]:
    hints = get_type_hints(kind_class)
    fields: dict[str, tuple[Any, Any]] = {}
    for field in dataclasses.fields(kind_class):
        if field.name in _GIVEN and issubclass(kind_class, Corpus):
            continue
        default: Any = field.default
        if default is dataclasses.MISSING:
            factory = field.default_factory
            default = msgspec.NODEFAULT if factory is dataclasses.MISSING else factory()
        fields[field.name] = (hints[field.name], default)
    return fields


def _checked(kind: str, name: str, found: Any) -> type:
    if not (isinstance(found, type) and issubclass(found, KINDS[kind])):
        raise PluginError(f"plug-in {name}: {found!r} is not a {KINDS[kind].__name__}")
    return found


def _check_origin(point: EntryPoint, module: ModuleType) -> None:
    """A folder named `builders` beside the user must not shadow ours, silently."""
    if not point.dist or not module.__file__ or point.dist.name != "mgdata":
        return
    own = Path(__file__).parent.parent
    if not Path(module.__file__).is_relative_to(own):
        raise PluginError(
            f"plug-in {point.name} should come from {own} but {point.module} was imported from "
            f"{module.__file__}: a folder of that name shadows it; run from another folder"
        )


def _from_file(kind: str, name: str, told: str, beside: Path) -> type:
    path_text, _, class_name = name.rpartition(":")
    path = (beside / path_text).absolute()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = "there is no file" if isinstance(error, FileNotFoundError) else "cannot read"
        raise UsageError(f"{told}{why} {path}: mend {name!r}, whose path is relative to the "
                         "recipe") from error  # fmt: skip
    module = _load(path, text)
    found = getattr(module, class_name, None)
    if found is None:
        public = [
            key
            for key, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == module.__name__
        ]
        near = nearest(class_name, public)
        raise UsageError(f"{told}{path_text} has no class {class_name}{near}")
    return _checked(kind, name, found)


@cache
def _load(path: Path, text: str) -> ModuleType:
    import cloudpickle

    module_name = f"mgdata_file_{digest(text)[:12]}"
    spec = importlib.util.spec_from_loader(module_name, loader=None, origin=str(path))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[module_name] = module
    with boundary(f"plug-in file {path}", "its own import"):
        exec(compile(text, str(path), "exec"), module.__dict__)
    cloudpickle.register_pickle_by_value(module)
    return module


_IMPORT = re.compile(
    r"^\s*(?:from\s+([\w.]+)\s+import\s+(?:\(([^)]*)\)|(.*))|import\s+([\w.]+))", re.MULTILINE
)


@cache
def source_digest(*modules: str) -> str:
    """SHA-256 over the source of `modules` and of all of ours that they import, however deep.

    "Ours" is the package a module lives in and mgdata itself. A builder's wording file counts as
    its source.
    """
    texts: dict[str, str] = {}
    waiting = sorted(modules)
    while waiting:
        name = waiting.pop()
        if name in texts:
            continue
        file = _source(name)
        if file is None:
            continue
        text = file.read_text()
        wording = file.parent / "wording" / f"{file.stem}.yaml"
        texts[name] = text + (wording.read_text() if wording.is_file() else "")
        tops = {"mgdata", name.partition(".")[0]}
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        found = _imports(text, package)
        waiting += [m for m in found if m.partition(".")[0] in tops and m not in texts]
    return digest(*(part for name in sorted(texts) for part in (name, texts[name])))


def _imports(text: str, package: str) -> list[str]:
    found: list[str] = []
    for match in _IMPORT.finditer(text):
        module = match[1] or match[4]
        if module.startswith("."):
            module = importlib.util.resolve_name(module, package)
        found.append(module)
        for name in re.findall(r"\w+", match[2] or match[3] or ""):
            found.append(f"{module}.{name}")
    return found


def _source(name: str) -> Path | None:
    module = sys.modules.get(name)
    if module is not None:
        return Path(module.__file__) if module.__file__ else None
    top, *rest = name.split(".")
    for folder in getattr(sys.modules.get(top), "__path__", ()):
        base = Path(folder).joinpath(*rest)
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.is_file():
                return file
    return None
