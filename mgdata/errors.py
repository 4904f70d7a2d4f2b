"""The errors a user can meet, as a tree, and the boundary that says whose plug-in failed.

    MgdataError
    ├── UsageError          wrong command line or recipe; exit 2
    ├── EnvironmentFailure  missing root, full disk, engine that does not start; exit 3
    ├── StorageError        a file that cannot be read
    │   ├── MissingFile     it is not there
    │   └── OutsideRoot     its path leaves the root it belongs to
    ├── Rejected            one bad item: becomes a Drop, never a crash
    └── PluginError         a plug-in broke its contract; names the plug-in

It knows nothing of what any plug-in does.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class MgdataError(Exception):
    """Something a person can act on: its text is one sentence with the way out."""

    exit_code = 3


class UsageError(MgdataError):
    """The command line or the recipe is wrong. Nothing was written."""

    exit_code = 2


class EnvironmentFailure(MgdataError):
    """A root, a disk, a lock or an engine is not what the run needs."""

    exit_code = 3


class StorageError(MgdataError):
    """A file cannot be read: it says nothing about the others."""


class MissingFile(StorageError):
    """There is no such file."""

    def __init__(self, path: str) -> None:
        super().__init__(f"missing file: {path}")
        self.path = path

    def __reduce__(self) -> tuple[type[MissingFile], tuple[str]]:
        return MissingFile, (self.path,)


class OutsideRoot(StorageError):
    """A path that leaves the root it belongs to, by `..`, from `/`, or through a link."""

    def __init__(self, path: str, how: str = "") -> None:
        super().__init__(f"path leaves the corpus root{how}: {path!r}")
        self.path = path
        self.how = how

    def __reduce__(self) -> tuple[type[OutsideRoot], tuple[str, str]]:
        return OutsideRoot, (self.path, self.how)


class Rejected(MgdataError):
    """One item is unfit. The stage turns it into a `Drop` with this reason and value."""

    def __init__(self, reason: str, value: str | None = None) -> None:
        super().__init__(reason if value is None else f"{reason}: {value}")
        self.reason = reason
        self.value = value

    def __reduce__(self) -> tuple[type[Rejected], tuple[str, str | None]]:
        """Pickled by its parts: an exception's own way would lose the value."""
        return type(self), (self.reason, self.value)


class PluginError(MgdataError):
    """A plug-in broke its contract; the message names it and the item it was given.

    Whoever named the plug-in in a recipe can name another or mend it: their exit code is 2.
    """

    exit_code = 2


@contextmanager
def boundary(plugin: str, item: str) -> Generator[None]:
    """Attribute whatever a plug-in raises to that plug-in and the item it worked on.

    Our own errors pass through: they already say what is wrong. Anything else leaves as a
    `PluginError` whose cause is the original exception.
    """
    try:
        yield
    except MgdataError:
        raise
    except Exception as error:
        raise PluginError(
            f"{plugin} failed on {item}: {type(error).__name__}: {error}{_line(error)}"
        ) from error


def _line(error: Exception) -> str:
    """` (file.py:12)`, where a plug-in raised it: what its author looks for first."""
    # The first two frames are the boundary and its `with` block.
    frames = traceback.extract_tb(error.__traceback__)[2:]
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
