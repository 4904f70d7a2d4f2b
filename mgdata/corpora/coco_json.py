"""A COCO-style JSON file read in one pass, a few megabytes at a time, whatever its size.

The top level is an object of arrays. Each array is cut into blocks of whole elements, which
msgspec decodes into given types. A cut is guessed (`}, {` near the end of what was read) and
proved by decoding: what stands between a true start and a cut decodes if and only if the cut is
true. Only where a block does not decode (NaN, a wrong type, nested objects) its elements are found
one by one. It knows nothing of images; `coco_table` has the figures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from mgdata.errors import Rejected
from mgdata.storage import Root, filesystem, unreachable

Element = TypeVar("Element")

BLOCK = 4 << 20
"""Bytes read at a time."""
CUT = "JSON ends early"
MALFORMED = "malformed JSON"

_SPACE = re.compile(rb"[ \t\r\n]*")
_CLOSING = re.compile(rb"\}[ \t\r\n]*\]")
_BEFORE = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*\Z")
_TOKEN = re.compile(rb'"(?:[^"\\]+|\\.)*+(")?|[\[\]{},]', re.DOTALL)
_SCALAR = re.compile(rb"[^,\]} \t\r\n]+")
_LARGEST = 256 << 20
"""Bytes of one element beyond which it is taken for damage."""
_GUESSES = 8
"""Cuts tried before a block's elements are found one by one."""


@dataclass(frozen=True)
class Broken:
    """An element that is not what it should be."""

    at: int
    """Its number in its array, from 0."""
    value: Any
    """What it holds, decoded leniently; None where it is not even JSON."""


@dataclass(frozen=True)
class Section(Generic[Element]):
    """What to do with one top-level array."""

    type: type[Element]
    """A msgspec struct; fields of the file that it lacks are passed over."""
    take: Callable[[list[Element]], None]
    """Given every block of good elements, in order."""
    broken: Callable[[Broken], None]
    """Given every other element."""


def read(root: Root, path: str, sections: Mapping[str, Section[Any]]) -> set[str]:
    """Read the file at `path`, passing its arrays to `sections`; gives the top-level names found.

    Raises:
        Rejected: `JSON ends early` or `malformed JSON`; names the file and where in it.
        StorageError: it cannot be read.
    """
    with opened(root, path) as file:
        return _File(file, path).read(sections)


@contextmanager
def opened(root: Root, path: str) -> Generator[Any]:
    """The file at `path` as a binary stream that can `seek`, closed after the block.

    Raises as `Root.read` does.
    """
    root.head(path, 1)  # refuses what is missing, unreadable or leads out of the root
    if not root.remote:
        with (Path(root.url) / path).open("rb", buffering=0) as file:
            yield file
        return
    try:
        with filesystem(root.url).open(f"{root.url}/{path}", "rb") as file:
            yield file
    except (OSError, TimeoutError) as error:
        raise unreachable(error, root.url) from error


class _File:
    """A window on the file: `data[at:]` is what was read and is not yet used."""

    def __init__(self, file: Any, path: str) -> None:
        self._file = file
        self._path = path
        self.data = b""
        self.at = 0
        self.ended = False

    def read(self, sections: Mapping[str, Section[Any]]) -> set[str]:
        """Walk the top-level object."""
        self._more()
        if self.data[:3] == b"\xef\xbb\xbf":
            self.at = 3
        self._expect(b"{", "the file")
        names: set[str] = set()
        if self._peek("the file") == b"}":
            self.at += 1
            return self._ended(names)
        while True:
            name = self._value("a name")
            self._expect(b":", "the file")
            if not isinstance(name, str):
                raise self._malformed("a name")
            section = sections.get(name)
            if section is not None and self._peek(name) == b"[":
                self._array(name, section)
            else:
                self._skip(name)
            names.add(name)
            following = self._take(name)
            if following == b"}":
                return self._ended(names)
            if following != b",":
                raise self._malformed(name)

    def _ended(self, names: set[str]) -> set[str]:
        """`names`, if nothing follows the top-level object: what does was meant to be read."""
        try:
            self._peek("the file")
        except Rejected:
            return names
        raise self._malformed("what follows the end")

    def _array(self, name: str, section: Section[Any]) -> None:
        self.at += 1
        blocks = msgspec.json.Decoder(list[section.type])
        count = 0
        if self._peek(name) == b"]":
            self.at += 1
            return
        while True:
            where = f"{name}, after {count} elements"
            found = self._block(blocks)
            if found is None:
                closed, good, bad = self._slowly(section.type, count, where)
            else:
                (closed, good), bad = found, []
            count += len(good) + len(bad)
            if good:
                section.take(good)
            for broken in bad:
                section.broken(broken)
            if closed:
                return

    def _block(self, decoder: msgspec.json.Decoder[list[Any]]) -> tuple[bool, list[Any]] | None:
        """The next elements, and whether they are the array's last; None where no cut is found."""
        while len(self.data) - self.at < BLOCK and self._more():
            pass
        closing = _CLOSING.search(self.data, self.at)
        if closing is not None:
            good = self._decoded(decoder, closing.start() + 1)
            if good is not None:
                self.at = closing.end()
                return True, good
        end = len(self.data)
        for _ in range(_GUESSES):
            end = self.data.rfind(b"{", self.at + 1, end)
            if end < 0:
                return None
            before = _BEFORE.search(self.data, max(self.at, end - 64), end)
            if before is None:
                continue
            good = self._decoded(decoder, before.start() + 1)
            if good is not None:
                self.at = end
                return False, good
        return None

    def _decoded(self, decoder: msgspec.json.Decoder[list[Any]], end: int) -> list[Any] | None:
        try:
            return decoder.decode(b"[%b]" % self.data[self.at : end])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def _slowly(
        self, kind: type[Any], count: int, where: str
    ) -> tuple[bool, list[Any], list[Broken]]:
        """As `_block`, element by element: about as many bytes, and what each broken one holds."""
        good: list[Any] = []
        bad: list[Broken] = []
        start = self.at
        while True:
            raw = self._raw(where)
            try:
                good.append(msgspec.json.decode(raw, type=kind))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                bad.append(Broken(count + len(good) + len(bad), _lenient(raw)))
            following = self._take(where)
            if following == b"]":
                return True, good, bad
            if following != b",":
                raise self._malformed(where)
            if self.at - start > BLOCK or self.at < start:
                return False, good, bad

    def _value(self, where: str) -> Any:
        raw = self._raw(where)
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            raise self._malformed(where) from None

    def _raw(self, where: str) -> bytes:
        """The bytes of the value that comes next."""
        self._peek(where)
        while (end := _end(self.data, self.at, self.ended)) is None:
            # Of a value with a quote too few the end is never found.
            if len(self.data) - self.at > _LARGEST:
                raise self._malformed(where)
            if not self._more(len(self.data) - self.at):
                raise self._cut(where)
        if end == self.at:
            raise self._malformed(where)
        raw, self.at = self.data[self.at : end], end
        return raw

    def _skip(self, name: str) -> None:
        """Pass over a value that nobody asked for; a long array element by element."""
        if self._peek(name) != b"[":
            self._raw(name)
            return
        self.at += 1
        if self._peek(name) == b"]":
            self.at += 1
            return
        while True:
            self._raw(name)
            following = self._take(name)
            if following == b"]":
                return
            if following != b",":
                raise self._malformed(name)

    def _peek(self, where: str) -> bytes:
        """The next character that is no space, not used up."""
        while True:
            space = _SPACE.match(self.data, self.at)
            assert space is not None
            self.at = space.end()
            if self.at < len(self.data):
                return self.data[self.at : self.at + 1]
            if not self._more():
                raise self._cut(where)

    def _take(self, where: str) -> bytes:
        found = self._peek(where)
        self.at += 1
        return found

    def _expect(self, character: bytes, where: str) -> None:
        if self._take(where) != character:
            raise self._malformed(where)

    def _more(self, least: int = 0) -> bool:
        """Read on, and forget what was used; False at the file's end."""
        if self.ended:
            return False
        more = self._file.read(max(BLOCK, least))
        self.ended = not more
        self.data, self.at = self.data[self.at :] + more, 0
        return not self.ended

    def _cut(self, where: str) -> Rejected:
        return Rejected(CUT, f"{self._path}: in {where}")

    def _malformed(self, where: str) -> Rejected:
        return Rejected(MALFORMED, f"{self._path}: in {where}")


def _lenient(raw: bytes) -> Any:
    """What Python makes of an element: it takes NaN, and any type."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _end(data: bytes, at: int, ended: bool) -> int | None:
    """Where the value that starts at `at` ends; None where more must be read."""
    if data[at : at + 1] not in (b"{", b"[", b'"'):
        scalar = _SCALAR.match(data, at)
        end = scalar.end() if scalar else at
        return end if end < len(data) or ended else None
    depth = 0
    for token in _TOKEN.finditer(data, at):
        first = data[token.start()]
        if first == 0x22:
            if token[1] is None:
                return None
        elif first in b"{[":
            depth += 1
        elif first in b"]}":
            depth -= 1
        if depth == 0:
            return token.end()
    return None
