"""Every way in which the damage tests spoil a corpus: a seeded change to a few of its files.

A corpus is a mapping of paths to bytes. It knows the kinds of files, not whose they are.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mgdata.corpora.pickles import unpickled
from mgdata.identity import Stream

Files = Mapping[str, bytes]
Changes = dict[str, bytes | None]
"""New content of files by path; None: the file is not there any more."""

PIXELS = (".jpg", ".jpeg", ".png", ".mp4")
NUMBERS = (
    math.nan, math.inf, -math.inf, -1, 0, -0.0, 0.5, 1e308, -1e308, 1e-320, 2**31, 2**63, 10**400,
    True, None, "7", "", [], {},
)  # fmt: skip
TEXTS = (
    "", "   ", "\n", "../../etc/passwd", "/etc/passwd", "..\\..\\x", "a/../../b", "\ud800", "\0",
    "x" * 3000, "caf\u00e9", "\u202e", ".", "..", "nan", "-1", "1e999", 7, None, True, ["a"], {},
)  # fmt: skip
REST: tuple[Any, ...] = (None, [], {}, "x", 3, math.nan, [[]], [None], {"": None}, True)
WORDS = (
    "nan", "inf", "-inf", "-1", "0", "1e308", "-1e308", "1e999", "99999999999999999999", "", "x",
    "0x10", "1_000", "\u00bd", "\u0663", "../..", "1,2", "1 2", "\0", "\t", "\ud7ff",
)  # fmt: skip


@dataclass(frozen=True)
class Damage:
    what: str
    changes: Changes


def damage(files: Files, rng: Stream) -> Damage:
    """One thing wrong with a corpus; three times of four in a file that holds annotations."""
    notes = sorted(path for path in files if not path.lower().endswith(PIXELS))
    pixels = sorted(path for path in files if path.lower().endswith(PIXELS))
    path = rng.choice(notes if notes and (not pixels or rng.below(4)) else pixels)
    data = files[path]
    kinds: list[tuple[str, Callable[[], Changes]]] = []
    for name, change in _changes_of(path).items():
        kinds.append((name, lambda change=change: {path: change(data, rng)}))
    # Half of the damage is what that kind of file can suffer, half what any file can.
    if not kinds or not rng.below(2):
        kinds = [(name, lambda change=change: change(files, path, rng)) for name, change in ANY]
    what, make = rng.choice(kinds)
    return Damage(f"{what}: {path}", make())


def _changes_of(path: str) -> dict[str, Callable[[bytes, Stream], bytes]]:
    ending = path.rpartition(".")[2].lower()
    return {"json": JSON, "xml": XML, "parquet": PARQUET, "p": PICKLE, "pkl": PICKLE}.get(
        ending, {} if path.lower().endswith(PIXELS) else LINES
    )


# What any file can suffer.


def flipped(data: bytes, rng: Stream) -> bytes:
    spoilt = bytearray(data)
    for _ in range(rng.between(1, 8) if spoilt else 0):
        spoilt[rng.below(len(spoilt))] ^= 1 << rng.below(8)
    return bytes(spoilt)


def cut(data: bytes, rng: Stream) -> bytes:
    return data[: rng.below(len(data) + 1)]


def flipped_head(data: bytes, rng: Stream) -> bytes:
    return flipped(data[:200], rng) + data[200:]


def zeroed(data: bytes, rng: Stream) -> bytes:
    start, length = rng.below(len(data) + 1), rng.between(1, 200)
    return data[:start] + bytes(len(data[start : start + length])) + data[start + length :]


def latin(data: bytes, rng: Stream) -> bytes:
    at = rng.below(len(data) + 1)
    return data[:at] + rng.choice([b"\xe9", b"\xff\xfe", b"\xed\xa0\x80", b"\xc3"]) + data[at:]


def overlapping(data: bytes, rng: Stream) -> bytes:
    start = rng.below(len(data) + 1)
    return data + data[start:]


def gone(files: Files, path: str, rng: Stream) -> Changes:
    return {path: None}


def emptied(files: Files, path: str, rng: Stream) -> Changes:
    return {path: b""}


def renamed(files: Files, path: str, rng: Stream) -> Changes:
    folder, slash, name = path.rpartition("/")
    stem, _, suffix = name.rpartition(".")
    other = rng.choice(
        [f"{stem}.txt", f"{stem}", f"{stem}1.{suffix}", f".{name}", f"{stem}.PNG", f" {name}",
         f"{name}.part", f"caf\u00e9.{suffix}", f"{name[:-1]}"]
    )  # fmt: skip
    return {path: None, f"{folder}{slash}{other or 'x'}": files[path]}


def folder_in_its_place(files: Files, path: str, rng: Stream) -> Changes:
    return {path: None, f"{path}/inside": files[path]}


def doubled(files: Files, path: str, rng: Stream) -> Changes:
    stem, _, suffix = path.rpartition(".")
    return {f"{stem}{rng.choice(['0', '_1', ' copy', '-2'])}.{suffix}": files[path]}


def swapped(files: Files, path: str, rng: Stream) -> Changes:
    other = rng.choice(sorted(files))
    return {path: files[other], other: files[path]}


def _on_bytes(change: Callable[[bytes, Stream], bytes]) -> Callable[[Files, str, Stream], Changes]:
    return lambda files, path, rng: {path: change(files[path], rng)}


ANY: list[tuple[str, Callable[[Files, str, Stream], Changes]]] = [
    ("flipped", _on_bytes(flipped)),
    ("flipped head", _on_bytes(flipped_head)),
    ("cut", _on_bytes(cut)),
    ("zeroed", _on_bytes(zeroed)),
    ("not UTF-8", _on_bytes(latin)),
    ("overlapping", _on_bytes(overlapping)),
    ("gone", gone),
    ("emptied", emptied),
    ("renamed", renamed),
    ("folder in its place", folder_in_its_place),
    ("doubled", doubled),
    ("swapped", swapped),
]


# Lines of numbers, names and `key: value`.


def _lines(
    change: Callable[[list[str], Stream], list[str]],
) -> Callable[[bytes, Stream], bytes]:
    def changed(data: bytes, rng: Stream) -> bytes:
        return "\n".join(change(data.decode().split("\n"), rng)).encode("utf-8", "surrogatepass")

    return changed


def line_gone(lines: list[str], rng: Stream) -> list[str]:
    at = rng.below(len(lines))
    return lines[:at] + lines[at + 1 :]


def line_twice(lines: list[str], rng: Stream) -> list[str]:
    at = rng.below(len(lines))
    return lines[: at + 1] + lines[at:]


def lines_shuffled(lines: list[str], rng: Stream) -> list[str]:
    return rng.sample(lines, len(lines))


def word_replaced(lines: list[str], rng: Stream) -> list[str]:
    at = rng.below(len(lines))
    words = list(re.finditer(r"[^\s,:;=<>\"]+", lines[at]))
    if not words:
        return [*lines[:at], rng.choice(WORDS), *lines[at:]]
    word = rng.choice(words)
    line = lines[at][: word.start()] + rng.choice(WORDS) + lines[at][word.end() :]
    return [*lines[:at], line, *lines[at + 1 :]]


def line_replaced(lines: list[str], rng: Stream) -> list[str]:
    at = rng.below(len(lines))
    line = rng.choice([*WORDS, "../../etc/passwd", "/etc", "nan,nan,nan,nan", "-5,-5,2,2", ",,,"])
    return [*lines[:at], line, *lines[at + 1 :]]


LINES = {
    "line gone": _lines(line_gone),
    "line twice": _lines(line_twice),
    "lines shuffled": _lines(lines_shuffled),
    "word replaced": _lines(word_replaced),
    "line replaced": _lines(line_replaced),
}
XML = {
    **LINES,
    "entity": lambda data, rng: b'<!DOCTYPE a [<!ENTITY b "c">]>' + data.replace(b">1<", b">&b;<"),
    "words replaced": lambda data, rng: _lines(word_replaced)(_lines(word_replaced)(data, rng), rng),
}  # fmt: skip


# JSON: a value, a key or an element.


def _json(change: Callable[[Any, Stream], Any]) -> Callable[[bytes, Stream], bytes]:
    def changed(data: bytes, rng: Stream) -> bytes:
        tree = [json.loads(data)]
        change(tree, rng)
        return json.dumps(tree[0], separators=(", ", ": ")).encode()

    return changed


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container in a tree with each of its keys."""
    found: list[tuple[Any, Any]] = []
    queue = [tree]
    while queue:
        one = queue.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one))
        found += [(one, key) for key in keys]
        queue += [one[key] for key in keys if isinstance(one[key], dict | list)]
    return found


def _place(tree: Any, rng: Stream, kind: type | tuple[type, ...] = object) -> tuple[Any, Any]:
    """A container and a key of it whose value is of a kind; the whole tree where none is."""
    places = [(one, key) for one, key in _places(tree) if isinstance(one[key], kind)]
    return rng.choice(places) if places else (tree, 0)


def number_replaced(tree: Any, rng: Stream) -> None:
    one, key = _place(tree, rng, (int, float))
    one[key] = rng.choice(NUMBERS)


def text_replaced(tree: Any, rng: Stream) -> None:
    one, key = _place(tree, rng, str)
    one[key] = rng.choice(TEXTS)


def text_cut(tree: Any, rng: Stream) -> None:
    one, key = _place(tree, rng, str)
    text = str(one[key])
    one[key] = text[: rng.below(len(text) + 1)] + rng.choice(["", "", "0", "~"])


def value_replaced(tree: Any, rng: Stream) -> None:
    one, key = _place(tree, rng)
    one[key] = rng.choice(REST)


def value_gone(tree: Any, rng: Stream) -> None:
    one, key = _place(tree, rng)
    if one is not tree:
        del one[key]


def key_renamed(tree: Any, rng: Stream) -> None:
    one, _ = _place(tree, rng, dict)
    places = [(one, key) for one, key in _places(tree) if isinstance(one, dict)]
    if places:
        one, key = rng.choice(places)
        one[str(rng.choice([*TEXTS[:16], f"{key}s", "-3", "00"]))] = one.pop(key)


def values_swapped(tree: Any, rng: Stream) -> None:
    one, key = _place(tree, rng)
    two, other = _place(tree, rng, type(one[key]))
    if not isinstance(one[key], dict | list):
        one[key], two[other] = two[other], one[key]


def list_longer(tree: Any, rng: Stream) -> None:
    one, key = _place(tree, rng, list)
    if one[key]:
        one[key].insert(rng.below(len(one[key])), rng.choice(one[key]))


def list_shorter(tree: Any, rng: Stream) -> None:
    one, key = _place(tree, rng, list)
    if isinstance(one[key], list):
        del one[key][rng.below(len(one[key]) + 1) :]


def key_twice(data: bytes, rng: Stream) -> bytes:
    """A key with a value that stands there a second time, with another value or the same."""
    tree = [json.loads(data)]
    places = [(one, key) for one, key in _places(tree) if isinstance(one, dict)]
    if not places:
        return data + data
    one, key = rng.choice(places)
    value = json.dumps(one[key])
    again = json.dumps(rng.choice([one[key], *NUMBERS, *REST]))
    one[key] = "@twice@"
    text = json.dumps(tree[0])
    return text.replace('"@twice@"', f"{value}, {json.dumps(key)}: {again}").encode()


def deep(data: bytes, rng: Stream) -> bytes:
    """One value nested deeper than any reader's stack."""
    tree = [json.loads(data)]
    one, key = _place(tree, rng)
    one[key] = "@deep@"
    text = json.dumps(tree[0])
    return text.replace('"@deep@"', "[" * 3000 + "]" * 3000).encode()


JSON = {
    "number replaced": _json(number_replaced),
    "another number replaced": _json(number_replaced),
    "text replaced": _json(text_replaced),
    "text cut": _json(text_cut),
    "value replaced": _json(value_replaced),
    "value gone": _json(value_gone),
    "key renamed": _json(key_renamed),
    "values swapped": _json(values_swapped),
    "list longer": _json(list_longer),
    "list shorter": _json(list_shorter),
    "key twice": key_twice,
    "deep": deep,
}


# Pickles: as JSON, and a value that is no plain data.


def _pickle(change: Callable[[Any, Stream], Any]) -> Callable[[bytes, Stream], bytes]:
    def changed(data: bytes, rng: Stream) -> bytes:
        tree = [unpickled(data)]
        change(tree, rng)
        return pickle.dumps(tree[0], protocol=rng.choice((0, 2, 4)))

    return changed


def object_put_in(tree: Any, rng: Stream) -> None:
    one, key = _place(tree, rng)
    one[key] = rng.choice([OrderedDict(a=1), {3}, 1j, range(3), b"x", Damage, one])


PICKLE = {
    name: _pickle(change)
    for name, change in {
        "number replaced": number_replaced,
        "another number replaced": number_replaced,
        "text replaced": text_replaced,
        "value replaced": value_replaced,
        "value gone": value_gone,
        "key renamed": key_renamed,
        "values swapped": values_swapped,
        "list longer": list_longer,
        "list shorter": list_shorter,
        "object put in": object_put_in,
    }.items()
}


# Parquet: a sound file that holds something else.


def _parquet(change: Callable[[pa.Table, Stream], pa.Table]) -> Callable[[bytes, Stream], bytes]:
    def changed(data: bytes, rng: Stream) -> bytes:
        out = io.BytesIO()
        pq.write_table(change(pq.read_table(io.BytesIO(data)), rng), out)
        return out.getvalue()

    return changed


def column_gone(table: pa.Table, rng: Stream) -> pa.Table:
    return table.remove_column(rng.below(table.num_columns))


def column_retyped(table: pa.Table, rng: Stream) -> pa.Table:
    at = rng.below(table.num_columns)
    values = pa.array(rng.choice([[1.5], [None], ["x"], [b"\xff\xd8"], [[1]]]) * len(table))
    return table.set_column(at, table.column_names[at], values)


def cell_replaced(table: pa.Table, rng: Stream) -> pa.Table:
    at, row = rng.below(table.num_columns), rng.below(len(table))
    column = table.column(at)
    values = column.to_pylist()
    values[row] = rng.choice([None, _spoilt(values[row], rng), _spoilt(values[row], rng)])
    return table.set_column(at, table.column_names[at], pa.array(values, column.type))


def rows_changed(table: pa.Table, rng: Stream) -> pa.Table:
    order = [rng.below(len(table)) for _ in range(rng.below(2 * len(table) + 1))]
    return table.take(pa.array(order, pa.int64()))


def _spoilt(value: Any, rng: Stream) -> Any:
    if isinstance(value, dict):
        return {**value, "bytes": rng.choice([cut, flipped, flipped_head])(value["bytes"], rng)}
    if isinstance(value, int):
        return rng.choice([-1, 0, 7, 2**31 - 1])
    return rng.choice(["", "  ", "../../x", "x" * 3000, "a/b#c&d"])


PARQUET = {
    "column gone": _parquet(column_gone),
    "column retyped": _parquet(column_retyped),
    "cell replaced": _parquet(cell_replaced),
    "another cell replaced": _parquet(cell_replaced),
    "rows changed": _parquet(rows_changed),
}
