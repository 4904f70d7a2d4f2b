"""A page of documentation for each plug-in, written from its docstrings.

`python -m mgdata.pages` writes `docs/reference/`; a test holds the files equal to the code.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from mgdata import registry, resources
from mgdata.schema import field_texts

KINDS = {
    "corpora": ("Corpus", "corpora"),
    "builders": ("Task", "tasks"),
    "measures": ("Measure", "measures"),
    "filters": ("Filter", "filters"),
    "notations": ("Notation", "notations"),
    "backends": ("Backend", "backends"),
}
"""What a page calls one of a kind, and the folder of its pages."""


def texts() -> dict[str, str]:
    """The pages of everything that comes with mgdata, by path below `docs/reference`."""
    pages = {"index.md": "\n".join(_index()) + "\n"}
    for kind, (word, folder) in KINDS.items():
        for name in _ours(kind):
            pages[f"{folder}/{name}.md"] = "\n".join(_page(kind, word, name)) + "\n"
    return pages


def write(folder: Path) -> None:
    """Write every page below `folder`, and remove those of plug-ins that are gone."""
    found = texts()
    for old in folder.rglob("*.md"):
        if old.relative_to(folder).as_posix() not in found:
            old.unlink()
    for path, text in found.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def _ours(kind: str) -> list[str]:
    """Names of what comes with mgdata: a page for another's plug-in is theirs to write."""
    found = registry.names(kind)
    return sorted(
        name
        for name, point in found.items()
        if point.value.partition(".")[0] in ("mgdata", "builders")
    )


def _index() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield "What a recipe can name, each with a page written from its docstring."
    for kind, (_, folder) in KINDS.items():
        yield f"\n## {folder.capitalize()}\n"
        for name in _ours(kind):
            found = registry.find(kind, name)
            told = inspect.getdoc(inspect.getmodule(found)) or ""
            sentence = " ".join(told.partition("\n\n")[0].split())
            yield f"- [`{name}`]({folder}/{name}.md): {sentence}"


def _page(kind: str, word: str, name: str) -> Iterator[str]:
    found: Any = registry.find(kind, name)
    yield f"# {word} `{name}`"
    yield ""
    yield inspect.getdoc(inspect.getmodule(found)) or ""
    own = inspect.getdoc(found)
    if own:
        yield f"\n{own}"
    yield ""
    yield from _facts(kind, found)
    yield from _settings(found)


def _facts(kind: str, found: Any) -> Iterator[str]:
    if kind == "corpora":
        yield f"- Shape of a record: {found.shape}"
        yield f"- Licence: `{found.license}`"
        yield f"- Where to get it: <{found.homepage}>"
        yield "\nLayout:\n"
        yield textwrap.indent(found.layout.strip(), "    ")
        yield ""
    elif kind == "builders":
        yield f"- Association: {found.association}"
        yield f"- Targets: {found.targets}"
        yield f"- Made from records of shape: {', '.join(found.shapes)}"
        yield ""
    elif kind == "notations" and not registry.settings_of(found):
        yield f"- Coordinate frame: `{found().frame}`"
        yield ""
    elif kind == "backends":
        yield f"- Answers come from {'no model' if found.simulated else 'a model'}"
        yield ""


def _settings(found: Any) -> Iterator[str]:
    settings = registry.settings_of(found)
    if not settings:
        return
    told = field_texts(found)
    yield "## Settings"
    yield ""
    for name, (kind, default) in settings.items():
        shown = "needed" if default is msgspec.NODEFAULT else f"`{default!r}`"
        yield f"- `{name}` ({_type(kind)}; {shown}): {told.get(name, '')}".rstrip(": ")


def _type(kind: Any) -> str:
    text = getattr(kind, "__name__", str(kind)) if isinstance(kind, type) else str(kind)
    return f"`{text.replace('typing.', '')}`"


if __name__ == "__main__":
    write(resources.PACKAGE.parent / "docs" / "reference")
