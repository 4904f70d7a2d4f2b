"""A run's folder: whose it is, how far it is, and the log of what happened in it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import msgspec

from mgdata.data import Flow
from mgdata.engine.stage import Tell
from mgdata.errors import EnvironmentFailure, StorageError, UsageError
from mgdata.identity import digest
from mgdata.recipe import Loaded, Recipe
from mgdata.resources import versions
from mgdata.storage import Store


class RunFile(Flow, frozen=True, kw_only=True):
    """`run.json`: which recipe a run folder belongs to, and how far it is."""

    name: str
    """The recipe's name."""
    recipe: Recipe
    """The recipe itself."""
    recipe_sha256: str
    """Digest of the recipe: a folder serves one recipe."""
    roots: dict[str, str]
    """Where the corpora lay."""
    source: str
    """Digest of mgdata's source and of the libraries that shape data."""
    version: int = 1
    """Of this file's format."""
    finished: dict[str, int] | None = None
    """The release's files and their sizes, once all is done."""
    short: tuple[str, ...] = ()
    """Why the run finished short of the recipe, a sentence each."""


def refuse_other(store: Store, loaded: Loaded) -> None:
    """Raise where the folder belongs to another recipe, or is no run at all."""
    found = read_run_file(store)
    if found is None:
        names = [name for name in store.list() if name not in ("lock", "events")]
        if names:
            raise UsageError(
                f"{store.url} is not a run folder (it holds {', '.join(names[:3])}): choose an "
                "empty or new --out"
            )
    elif found.name != loaded.recipe.name:
        raise UsageError(
            f"{store.url} holds a run of recipe {found.name!r}, not of {loaded.recipe.name!r}: "
            "choose another --out"
        )


def finished(store: Store, loaded: Loaded) -> RunFile | None:
    """The run file where this very recipe is done and every file of its release is there."""
    found = read_run_file(store)
    if found is None or found.finished is None or found.recipe_sha256 != loaded.sha256:
        return None
    if found.source != made_with():
        return None
    try:
        whole = all(store.size(path) == size for path, size in found.finished.items())
    except StorageError:
        return None
    return found if whole else None


def made_with() -> str:
    """Digest of what, beside the recipe, decides a release's bytes."""
    return digest(*(f"{name}={version}" for name, version in sorted(versions().items())))


def read_run_file(store: Store) -> RunFile | None:
    """`run.json` of a folder, or None where there is none."""
    if not store.exists("run.json"):
        return None
    try:
        return msgspec.json.decode(store.read("run.json"), type=RunFile)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{store.url}/run.json is not a run file: {error}") from error


def write_run_file(store: Store, run: RunFile) -> None:
    """Publish `run.json`."""
    store.write("run.json", msgspec.json.format(msgspec.json.encode(run)))


class Events:
    """Tells each event to the user and keeps it in the run's event log."""

    def __init__(self, store: Store, tell: Tell) -> None:
        self._store = store
        self._tell = tell
        self._lines: list[bytes] = []
        self._path = f"events/{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**6:06d}.jsonl"
        self._saved = time.monotonic()

    def tell(self, name: str, facts: dict[str, Any]) -> None:
        """One event. The log is saved at most every two seconds, and at the end."""
        self._lines.append(msgspec.json.encode({"at": time.time(), "event": name, **facts}))
        self._tell(name, facts)
        if time.monotonic() - self._saved > 2:
            self.save()

    def save(self) -> None:
        """Publish the log as it stands."""
        self._store.write(self._path, b"\n".join(self._lines) + b"\n")
        self._saved = time.monotonic()

    def close(self) -> None:
        """Save the rest; a full disk must not hide what went wrong before it."""
        if self._lines:
            with suppress(EnvironmentFailure):
                self.save()
