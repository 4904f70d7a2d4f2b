"""What can be named in a recipe, as text: every task and corpus with its settings and needs."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterator
from typing import Any

from mgdata import registry, resources
from mgdata.errors import MgdataError


def tasks() -> Iterator[str]:
    """The tasks, each with what it is, its association, targets, shapes and settings."""
    for name, found in _found("builders"):
        if isinstance(found, str):
            yield f"{name}  cannot be loaded: {found}"
            continue
        yield f"{name}  [{found.association}; targets: {found.targets}; {', '.join(found.shapes)}]"
        yield f"    {_sentence(found)}"
        yield from _settings(found)
    yield from missing("builders")


def backends() -> Iterator[str]:
    """How a teacher can be reached, each with what it is and its settings."""
    for name, found in _found("backends"):
        if isinstance(found, str):
            yield f"{name}  cannot be loaded: {found}"
            continue
        yield f"{name}  [{'no model' if found.simulated else 'a model'}]"
        yield f"    {_sentence(found)}"
        yield from _settings(found)
    yield from missing("backends")


def corpora() -> Iterator[str]:
    """The corpora, each with layout, licence, source and settings."""
    for name, found in _found("corpora"):
        if isinstance(found, str):
            yield f"{name}  cannot be loaded: {found}"
            continue
        yield f"{name}  [{found.shape}; licence: {found.license}; {found.homepage}]"
        yield f"    {_sentence(found)}"
        yield from (f"        {line}" for line in found.layout.strip().splitlines())
        yield from _settings(found)
    yield from missing("corpora")


def missing(kind: str) -> Iterator[str]:
    """A warning for each entry point that pyproject.toml has and the installation does not.

    An editable install does not see a new line by itself.
    """
    project = resources.PACKAGE.parent / "pyproject.toml"
    if not project.is_file():
        return
    document = tomllib.loads(project.read_text())["project"]
    if document["name"] != "mgdata":
        return
    points = document["entry-points"]
    for name in points.get(f"mgdata.{kind}", {}):
        if name not in registry.names(kind):
            yield f"warning: {name} is in pyproject.toml but not installed: run `pip install -e .`"


def _found(kind: str) -> Iterator[tuple[str, Any]]:
    """Every plug-in of a kind; in place of one that is broken, what is wrong with it."""
    for name in registry.names(kind):
        try:
            yield name, registry.find(kind, name)
        except MgdataError as error:
            yield name, str(error)


def _sentence(found: type) -> str:
    text = inspect.getdoc(inspect.getmodule(found)) or inspect.getdoc(found) or ""
    return text.partition("\n\n")[0].replace("\n", " ")


def _settings(found: type) -> Iterator[str]:
    for name, (kind, default) in registry.settings_of(found).items():
        shown = getattr(kind, "__name__", None) if isinstance(kind, type) else None
        yield f"      {name}: {shown or str(kind).replace('typing.', '')} = {default!r}"
