"""Python pickles as plain data: lists, tuples, dicts, texts, bytes, numbers, booleans and None.

A pickle is a program, and Python's own reader runs it: it imports what the file names and calls
it. Here each instruction is carried out by hand (`pickle_steps`), and only those that build plain
data are known, so that a file can neither call anything nor take more memory than a small multiple
of its size. It knows no corpus.

Measured on one core: 26 MB of 50,000 refs with three texts each, as RefCOCO has, in 3 s; as
protocol 0, which Python 2 wrote, 33 MB in 9 s.
"""

from __future__ import annotations

from typing import Any

from mgdata.corpora.pickle_steps import MORE, MOST, Machine
from mgdata.errors import MissingFile, Rejected
from mgdata.storage import Root

DEEPEST = 32
"""Containers within each other; the deepest annotation has six."""
_CONTAINERS = frozenset((list, tuple, dict))


def plain(root: Root, path: str) -> Any:
    """The plain data of the pickle at `path`.

    Raises:
        Rejected: the pickle is missing, is cut, is none, names a class or function (the value
            gives the file and that name), or holds anything else that is no plain data.
        StorageError: it cannot be read.
    """
    try:
        data = root.read(path)
    except MissingFile:
        raise Rejected("missing annotation", path) from None
    try:
        return unpickled(data)
    except Rejected as error:
        found = path if error.value is None else f"{path}: {error.value}"
        raise Rejected(error.reason, found) from None


def unpickled(data: bytes) -> Any:
    """The plain data of a pickle; errors as `plain`, without the file."""
    found = Machine(data).run()
    _bounded(found)
    return found


def _bounded(found: Any) -> None:
    """Refuse data that is too much to walk through: too deep, within itself, or blown up.

    A container may be in several others. Each time counts, as whoever walks it meets it again.
    """
    level: list[Any] = [found] if type(found) in _CONTAINERS else []
    count = 0
    for _ in range(DEEPEST):
        if not level:
            return
        count += sum(map(len, level))
        if count > MOST:
            raise Rejected(MORE, f"over {MOST} values")
        level = [
            value
            for one in level
            for value in (one.values() if type(one) is dict else one)
            if type(value) in _CONTAINERS
        ]
    raise Rejected(MORE, f"more than {DEEPEST} containers within each other")
