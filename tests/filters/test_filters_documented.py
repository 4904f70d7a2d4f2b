"""The page about recipes names every measure and filter, their settings and reasons."""

from __future__ import annotations

import ast
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from mgdata import registry

PAGE = (Path(__file__).parents[2] / "docs/recipes.md").read_text()


def row(name: str) -> str:
    (found,) = re.findall(rf"^\| `{name}` \|.*$", PAGE, re.MULTILINE)
    return found


@pytest.mark.parametrize("kind", ["filters", "measures"])
def test_every_filter_and_measure_has_a_row_with_its_settings(kind: str) -> None:
    for point in entry_points(group=f"mgdata.{kind}"):
        if not point.value.startswith("mgdata."):
            continue
        settings = registry.settings_of(registry.find(kind, point.name))
        assert {name for name in settings if f"`{name}`" not in row(point.name)} == set()


@pytest.mark.parametrize("name", sorted(p.name for p in entry_points(group="mgdata.filters")))
def test_a_filter_gives_the_reasons_in_its_row_and_no_others(name: str) -> None:
    source = (Path(registry.__file__).parent / "filters" / f"{name}.py").read_text()
    told = row(name).split("|")[3]
    assert reasons(source) == set(re.findall(r"`([^`]+)`", told))


def reasons(source: str) -> set[str]:
    """Lower-case strings of several words in the code: no docstring, no part of a message."""
    tree = ast.parse(source)
    apart = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.Raise)
             for part in ast.walk(node)}  # fmt: skip
    apart |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    apart |= {id(part) for node in tree.body if isinstance(node, ast.Assign)
              for part in ast.walk(node)}  # fmt: skip
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart
        if re.fullmatch(r"[a-z]+(?:[ -][a-z-]+)+", node.value)
    }
