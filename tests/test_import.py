"""What an import may load, and that the lists of what there is are complete."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import mgdata
from mgdata.registry import KINDS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOLDERS = {
    "corpora": "mgdata.corpora",
    "builders": "builders",
    "measures": "mgdata.measures",
    "filters": "mgdata.filters",
    "notations": "mgdata.notations",
    "backends": "mgdata.teacher.backends",
}
"""Where the plug-ins of each kind lie."""
TOP_LEVEL = {
    "pyproject.toml", "README.md", "builders", "schemas", "mgdata", "pipelines", "tests", "docs",
    "LICENSE", "CHANGELOG.md", "Makefile", "constraints.txt", "mkdocs.yml", "CITATION.cff",
    "CONTRIBUTING.md",
}  # fmt: skip
"""Beside dot-files, all that stands at the top."""
PYARROW = {"pyarrow", "cython_runtime", "cloudpickle", "typing_extensions"}
"""pyarrow, and what it loads by itself."""


def loaded_by(statement: str) -> set[str]:
    """Top-level modules outside the standard library that a statement loads in a fresh process."""
    code = (
        "import json, sys\n"
        "before = set(sys.modules)\n"
        f"{statement}\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(json.dumps(sorted(new - set(sys.stdlib_module_names))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import mgdata", {"mgdata"}),
        # what `mgdata --help` needs
        ("import mgdata.cli", {"mgdata", "typer", "annotated_doc", "shellingham", "typing_extensions"}),
        # what a plug-in author imports
        ("import mgdata.plugins", {"mgdata", "msgspec", "numpy", *PYARROW}),
        # what every verb needs; ray, cv2, scipy, PIL, fsspec, jsonschema wait until they are used
        (
            "import mgdata.api",
            {"mgdata", "msgspec", "numpy", *PYARROW, "yaml", "simplejpeg"},
        ),
    ],
)  # fmt: skip
def test_an_import_loads_no_more_than_it_may(statement: str, allowed: set[str]) -> None:
    found = {name for name in loaded_by(statement) if not name.startswith("_")}
    assert found <= allowed


def test_planning_and_serial_runs_do_not_load_ray(quick_corpora: Path, tmp_path: Path) -> None:
    roots, out = quick_corpora / "roots.yaml", tmp_path / "run"
    found = loaded_by(
        "from mgdata import load_recipe, run\n"
        f"run(load_recipe('quickstart', {str(roots)!r}), {str(out)!r}, engine='serial')"
    )
    assert not found & {"ray", "datasets", "torch", "s3fs", "av"}


def defined(package: str, kind: type) -> dict[str, str]:
    """The plug-in classes of a kind that a package's modules define themselves, to their modules."""
    found: dict[str, str] = {}
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        module = importlib.import_module(f"{package}.{info.name}")
        for name, value in vars(module).items():
            own = inspect.isclass(value) and value.__module__ == module.__name__
            if own and issubclass(value, kind) and not inspect.isabstract(value):
                found[name] = module.__name__
    return found


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_entry_points_are_the_plug_ins_that_there_are(kind: str) -> None:
    lines = PROJECT["entry-points"][f"mgdata.{kind}"]
    classes = defined(FOLDERS[kind], KINDS[kind])
    assert sorted(lines.values()) == sorted(f"{module}:{name}" for name, module in classes.items())
    for name, target in lines.items():
        assert target.partition(":")[0] == f"{FOLDERS[kind]}.{re.sub('[-.]', '_', name)}"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_installed_is_what_pyproject_lists(kind: str) -> None:
    installed = {
        point.name: point.value
        for point in entry_points(group=f"mgdata.{kind}")
        if point.dist is not None and point.dist.name == "mgdata"
    }
    assert installed == PROJECT["entry-points"][f"mgdata.{kind}"], "run `make setup`"


def test_no_other_entry_point_group_is_ours() -> None:
    assert {f"mgdata.{kind}" for kind in KINDS} == set(PROJECT["entry-points"])


def test_the_public_names_are_sorted_and_there() -> None:
    assert mgdata.__all__ == sorted(mgdata.__all__)
    for name in mgdata.__all__:
        assert callable(getattr(mgdata, name))


def modules_with_names() -> list[str]:
    """Every module of ours that says what it offers."""
    found: list[str] = []
    for top in ("mgdata", "builders"):
        for file in sorted((ROOT / top).rglob("*.py")):
            if "\n__all__ = " in file.read_text():
                module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
                found.append(module.removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("name", modules_with_names())
def test_every_list_of_public_names_is_sorted_and_true(name: str) -> None:
    module = importlib.import_module(name)
    # Constants first, then classes, then functions: each sorted, as the linter asks.
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)


def test_the_top_level_holds_what_the_architecture_lists() -> None:
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found - ignored == TOP_LEVEL


def test_no_module_is_named_for_everything() -> None:
    names = {"utils", "common", "helpers", "base", "core"}
    assert not [file for top in ("mgdata", "builders") for file in (ROOT / top).rglob("*.py") if file.stem in names]  # fmt: skip
