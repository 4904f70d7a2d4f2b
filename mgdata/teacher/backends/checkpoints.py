"""Which model a checkpoint is, and the packages that run it. Loads nothing by itself."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mgdata.errors import EnvironmentFailure
from mgdata.identity import content_id

BLOCKS = 64
"""Places at which a weights file is looked at."""
BLOCK = 4096
"""Bytes that are read at each."""


def named(checkpoint: str, revision: str, settings: Mapping[str, Any]) -> str:
    """What a model is called in requests and on the card: `name@revision[setting=value,...]`.

    A folder is called by its last part and a digest of its files, so that neither its place nor
    whose machine it lies on matters, and other weights under the same path are another model. Of
    weights the digest reads 64 blocks a file, which tells trained weights apart, in milliseconds.
    `settings` are those that shape answers; empty ones are left out.

    Raises:
        EnvironmentFailure: `checkpoint` is a path, and no folder with a model is there.
    """
    name = checkpoint
    if is_path(checkpoint):
        folder = Path(checkpoint).expanduser()
        if not (folder / "config.json").is_file():
            raise EnvironmentFailure(
                f"no such model: there is no config.json in {checkpoint}; name the folder of a "
                "checkpoint as `save_pretrained` writes it, or a model of the hub"
            )
        name, revision = folder.resolve().name, _digest(tuple(_stated(folder)))
    told = ",".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value, sort_keys=True)}"
        for key, value in settings.items()
        if value not in (None, "", "auto", {}, False)
    )
    return f"{name}@{revision}" + (f"[{told}]" if told else "")


def is_path(checkpoint: str) -> bool:
    """Whether a checkpoint is a folder of this machine and not a name on the hub."""
    return checkpoint.startswith(("/", "./", "../", "~")) or Path(checkpoint).is_dir()


def engine_package(name: str, way_out: str) -> Any:
    """A package that only this backend needs.

    Raises:
        EnvironmentFailure: it is not installed, or does not import.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:  # a compiled package that does not fit fails in any way
        if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == name:
            raise EnvironmentFailure(f"{name} is not installed here: {way_out}") from error
        raise EnvironmentFailure(
            f"{name} does not import: {type(error).__name__}: {error}"
        ) from error


def limit_pixels(processor: Any, least: int | None, most: int | None) -> dict[str, int]:
    """Set how many pixels a processor makes of a picture; its `size` argument, empty if unchanged.

    Works for processors that keep these two limits as `shortest_edge` and `longest_edge`, which
    are numbers of pixels there: those of Qwen2-VL and its successors.

    Raises:
        EnvironmentFailure: this processor has no such limits.
    """
    limits = {"shortest_edge": least, "longest_edge": most}
    asked = {name: pixels for name, pixels in limits.items() if pixels is not None}
    if not asked:
        return {}
    size = dict(processor.image_processor.size)
    if not size.keys() >= limits.keys():
        raise EnvironmentFailure(
            f"{type(processor).__name__} has no limits on pixels but {size}: leave out min_pixels "
            "and max_pixels"
        )
    processor.image_processor.size = size | asked
    return size | asked


def _stated(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Files by path, size and time of change, sorted; what is no part of a model is left out."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".md":
            stat = path.stat()
            yield str(path), stat.st_size, stat.st_mtime_ns


@cache
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    parts: list[str | bytes] = []
    for name, size, _ in files:
        parts += [Path(name).name, str(size)]
        with Path(name).open("rb") as file:
            if size <= BLOCKS * BLOCK:
                parts.append(file.read())
                continue
            for number in range(BLOCKS):
                file.seek(number * (size - BLOCK) // (BLOCKS - 1), os.SEEK_SET)
                parts.append(file.read(BLOCK))
    return content_id(*parts)
