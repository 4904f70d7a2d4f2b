"""YAML that a person wrote: read strictly, so that a slip is an error and not a surprise.

Stricter than YAML itself: a key is text and given once, a number is finite, nothing holds itself,
and a date stays the text it was written as. Knows no recipe.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mgdata.errors import UsageError

_MERGE = "tag:yaml.org,2002:merge"
_DATE = "tag:yaml.org,2002:timestamp"


def read_yaml(file: Path) -> Any:
    """The document in a file.

    Raises:
        UsageError: no such file, not UTF-8, not YAML, or looser than this module allows; says
            where.
    """
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), Loader=_Strict)
    except FileNotFoundError:
        raise UsageError(f"no file {file}") from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{file}: byte {error.start} is not UTF-8: save the file as UTF-8"
        ) from error
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise UsageError(f"{file}{line}: not YAML: {problem}") from error
    if odd := next(_odd(document, (), ()), None):
        raise UsageError(f"{file}: {odd}")
    return document


def _odd(value: Any, path: tuple[str, ...], inside: tuple[int, ...]) -> Iterator[str]:
    where = ".".join(path) or "top level"
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{where}: found {value}, expected a finite number"
    if not isinstance(value, dict | list):
        return
    if id(value) in inside:
        yield f"{where}: holds itself: write it out where it is meant"
        return
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        if isinstance(value, dict) and not isinstance(key, str):
            yield f"{where}: key {key} is not text: write it in quotes"
        yield from _odd(item, (*path, str(key)), (*inside, id(value)))


class _Strict(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, dict | list):
                problem = "a key is a list or a mapping, expected text"
            elif key in seen:
                problem = f"key {key!r} is given twice"
            else:
                seen.add(key)
                continue
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        return super().construct_mapping(node, deep)


_Strict.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != _DATE]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
