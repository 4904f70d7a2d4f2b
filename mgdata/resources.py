"""Where the project's own files lie, in a checkout and in an installed wheel, and what they are.

In a wheel `schemas/` and `pipelines/` are mapped under `mgdata/`; in a checkout they stand beside
it. Everything that needs one of them asks here.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

from mgdata.identity import digest

PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder `schemas` or `pipelines`."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def recipes() -> dict[str, Path]:
    """The recipes that come with mgdata, by name."""
    return {path.stem: path for path in sorted(folder("pipelines").glob("*.yaml"))}


@cache
def package_digest() -> str:
    """SHA-256 over all source of mgdata and its builders, wording and prompts included."""
    root = PACKAGE.parent
    places = [(top, kind) for kind in ("*.py", "*.yaml") for top in ("mgdata", "builders")]
    files = [file for top, kind in places for file in sorted((root / top).rglob(kind))]
    return digest(*(p for f in files for p in (str(f.relative_to(root)), f.read_bytes())))


def versions() -> dict[str, str]:
    """What must be equal on driver and workers for equal bytes: Python, libraries, our source."""
    names = ("msgspec", "numpy", "opencv-python-headless", "pillow", "pyarrow", "simplejpeg")
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        **{name: version(name) for name in names},
        "mgdata's source": package_digest()[:12],
    }
