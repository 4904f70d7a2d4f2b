"""The instructions of a pickle that build plain data, and the refusal of every other one.

A pickle is a program for a machine with a stack and a memo. Protocols 0 to 5, as CPython's
pickletools describes them; texts that Python 2 wrote as bytes are Latin-1. It opens no file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

from mgdata.errors import Rejected

NAMED = "pickle names a class"
MORE = "pickle holds more than plain data"
CUT = "pickle ends early"
MALFORMED = "malformed pickle"

MOST = 1 << 25
"""Instructions of a file, and values of its data with each repeat counted."""
_NUMBER = 1 << 64
"""Whole numbers stay below: larger ones could be made to share a hash."""

_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|[\\'\"abfnrtv])")
_ESCAPED = {
    b"\\": b"\\", b"'": b"'", b'"': b'"', b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n",
    b"r": b"\r", b"t": b"\t", b"v": b"\v",
}  # fmt: skip
_INTEGER = re.compile(rb"[+-]?[0-9]{1,20}L?")
_FLOAT = re.compile(rb"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|nan|inf)", re.IGNORECASE)
_KEYS = frozenset((str, int, bytes, float, bool, type(None)))
"""What may be a key: a tuple's hash goes as deep as the tuple, beyond any stack."""


class Machine:
    """A pickle's stack, its marks and its memo; `at` is the next byte of `data`."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Carry out every instruction up to the end."""
        data, steps = self.data, STEPS
        try:
            for _ in range(MOST):
                code = data[self.at]
                self.at += 1
                if code == 0x2E:
                    return self._end()
                steps[code](self)
        except struct.error:
            raise self._cut() from None
        except IndexError:
            raise (self._cut() if self.at >= len(data) else self.malformed()) from None
        except KeyError:
            raise self.malformed() from None
        raise Rejected(MORE, f"over {MOST} instructions")

    def malformed(self) -> Rejected:
        """What to raise for a pickle that no program wrote."""
        return Rejected(MALFORMED, f"near byte {self.at}")

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        found = self.data[self.at : self.at + size]
        self.at += size
        if len(found) < size:
            raise IndexError
        return found

    def line(self) -> bytes:
        """The bytes up to the next line feed, without it."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            self.at = len(self.data)
            raise IndexError
        found = self.data[self.at : end]
        self.at = end + 1
        return found

    def marked(self) -> list[Any]:
        """What was put on the stack since the last mark."""
        if not self.below:
            raise self.malformed()
        found, self.stack = self.stack, self.below.pop()
        return found

    def number(self, value: int) -> None:
        """Put a whole number on the stack."""
        if not -_NUMBER < value < _NUMBER:
            raise Rejected(MORE, f"a number beyond 64 bits, near byte {self.at}")
        self.stack.append(value)

    def text(self, data: bytes) -> None:
        """Put a UTF-8 text on the stack."""
        try:
            self.stack.append(data.decode())
        except UnicodeDecodeError:
            raise Rejected("text is not UTF-8", f"near byte {self.at}") from None

    def recall(self, place: int) -> None:
        """Put what was kept at `place` on the stack."""
        self.stack.append(self.memo[place])

    def keep(self, place: int) -> None:
        """Remember the top of the stack as `place`."""
        self.memo[place] = self.stack[-1]

    def _cut(self) -> Rejected:
        return Rejected(CUT, f"after {len(self.data)} bytes")

    def _end(self) -> Any:
        if len(self.stack) != 1 or self.below or self.at != len(self.data):
            raise self.malformed()
        return self.stack[0]


Step = Callable[[Machine], None]


def _constant(value: Any) -> Step:
    return lambda m: m.stack.append(value)


def _sized(form: str, use: Callable[[Machine, bytes], None]) -> Step:
    """An instruction with a length and so many bytes."""
    read, width = struct.Struct(form).unpack_from, struct.calcsize(form)

    def step(m: Machine) -> None:
        (size,) = read(m.data, m.at)
        m.at += width
        use(m, m.take(size))

    return step


def _packed(form: str, use: Callable[[Machine, Any], None]) -> Step:
    """An instruction with one number of fixed width."""
    read, width = struct.Struct(form).unpack_from, struct.calcsize(form)

    def step(m: Machine) -> None:
        (value,) = read(m.data, m.at)
        m.at += width
        use(m, value)

    return step


def _push(m: Machine, value: Any) -> None:
    m.stack.append(value)


def _pass(m: Machine, value: Any) -> None:
    """Protocol numbers and frame lengths say nothing of the data."""


def _latin(m: Machine, data: bytes) -> None:
    m.stack.append(data.decode("latin1"))


def _long(m: Machine, data: bytes) -> None:
    if len(data) > 9:
        raise Rejected(MORE, f"a number of {len(data)} bytes, near byte {m.at}")
    m.number(int.from_bytes(data, "little", signed=True))


def _mark(m: Machine) -> None:
    m.below.append(m.stack)
    m.stack = []


def _written_integer(m: Machine) -> None:
    line = m.line()
    if line in (b"00", b"01"):
        m.stack.append(line == b"01")
    elif _INTEGER.fullmatch(line):
        m.number(int(line.rstrip(b"L")))
    else:
        raise m.malformed()


def _written_float(m: Machine) -> None:
    line = m.line()
    if not _FLOAT.fullmatch(line):
        raise m.malformed()
    m.stack.append(float(line))


def _written_string(m: Machine) -> None:
    """Python 2's text in quotes, as `repr` wrote it."""
    line = m.line().strip()
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        raise m.malformed()
    inner = line[1:-1]
    if b"\\" in inner:
        if b"\\" in _ESCAPE.sub(b"", inner):
            raise m.malformed()
        inner = _ESCAPE.sub(_unescaped, inner)
    m.stack.append(inner.decode("latin1"))


def _unescaped(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if code in _ESCAPED:
        return _ESCAPED[code]
    return bytes((int(code[1:], 16) if code[:1] == b"x" else int(code, 8) & 255,))


def _written_unicode(m: Machine) -> None:
    line = m.line()
    try:
        text = line.decode("raw-unicode-escape")
        text.encode()
    except UnicodeError:
        raise Rejected("text is not UTF-8", f"near byte {m.at}") from None
    m.stack.append(text)


def _written_place(m: Machine) -> int:
    line = m.line()
    if not _INTEGER.fullmatch(line):
        raise m.malformed()
    return int(line.rstrip(b"L"))


def _tuple(size: int) -> Step:
    def step(m: Machine) -> None:
        if len(m.stack) < size:
            raise m.malformed()
        m.stack[-size:] = [tuple(m.stack[-size:])]

    return step


def _append(m: Machine) -> None:
    value = m.stack.pop()
    _last(m, list).append(value)


def _appends(m: Machine) -> None:
    values = m.marked()
    _last(m, list).extend(values)


def _set_item(m: Machine) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    _filled(m, _last(m, dict), [key, value])


def _set_items(m: Machine) -> None:
    pairs = m.marked()
    _filled(m, _last(m, dict), pairs)


def _last(m: Machine, kind: type[Any]) -> Any:
    found = m.stack[-1]
    if type(found) is not kind:
        raise m.malformed()
    return found


def _filled(m: Machine, into: dict[Any, Any], pairs: list[Any]) -> dict[Any, Any]:
    keys = pairs[::2]
    if len(pairs) % 2 or not _KEYS.issuperset(map(type, keys)):
        raise m.malformed()
    before = len(into)
    into.update(zip(keys, pairs[1::2], strict=True))
    if len(into) != before + len(keys):
        raise Rejected(MALFORMED, f"a key twice, near byte {m.at}")
    return into


def _named(m: Machine) -> None:
    module, name = m.line(), m.line()
    raise Rejected(NAMED, ascii(f"{module.decode('latin1')}.{name.decode('latin1')}"[:200]))


def _named_on_stack(m: Machine) -> None:
    module, name = m.stack[-2:] if len(m.stack) > 1 else ("?", "?")
    raise Rejected(NAMED, ascii(f"{module}.{name}"[:200]))


def _persistent(m: Machine) -> None:
    raise Rejected(MORE, f"the persistent id {m.line().decode('latin1')[:80]!a}")


def _refused(what: str) -> Step:
    def step(m: Machine) -> None:
        raise Rejected(MORE, f"{what}, near byte {m.at}")

    return step


_KNOWN: dict[bytes, Step] = {
    b"\x80": _packed("B", _pass),
    b"\x95": _packed("<Q", _pass),
    b"(": _mark,
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b"I": _written_integer,
    b"L": _written_integer,
    b"J": _packed("<i", _push),
    b"K": _packed("B", _push),
    b"M": _packed("<H", _push),
    b"\x8a": _sized("B", _long),
    b"\x8b": _sized("<I", _long),
    b"F": _written_float,
    b"G": _packed(">d", _push),
    b"S": _written_string,
    b"T": _sized("<I", _latin),
    b"U": _sized("B", _latin),
    b"V": _written_unicode,
    b"X": _sized("<I", Machine.text),
    b"\x8c": _sized("B", Machine.text),
    b"\x8d": _sized("<Q", Machine.text),
    b"B": _sized("<I", _push),
    b"C": _sized("B", _push),
    b"\x8e": _sized("<Q", _push),
    b"]": lambda m: m.stack.append([]),
    b"a": _append,
    b"e": _appends,
    b"l": lambda m: _push(m, m.marked()),
    b")": _constant(()),
    b"t": lambda m: _push(m, tuple(m.marked())),
    b"\x85": _tuple(1),
    b"\x86": _tuple(2),
    b"\x87": _tuple(3),
    b"}": lambda m: m.stack.append({}),
    b"d": lambda m: _push(m, _filled(m, {}, m.marked())),
    b"s": _set_item,
    b"u": _set_items,
    b"g": lambda m: m.recall(_written_place(m)),
    b"h": _packed("B", Machine.recall),
    b"j": _packed("<I", Machine.recall),
    b"p": lambda m: m.keep(_written_place(m)),
    b"q": _packed("B", Machine.keep),
    b"r": _packed("<I", Machine.keep),
    b"\x94": lambda m: m.keep(len(m.memo)),
    b"c": _named,
    b"i": _named,
    b"\x93": _named_on_stack,
    b"P": _persistent,
    b"Q": _refused("a persistent id"),
    b"\x82": _refused("an extension code"),
    b"\x83": _refused("an extension code"),
    b"\x84": _refused("an extension code"),
    b"R": _refused("a call (REDUCE)"),
    b"b": _refused("an object's state (BUILD)"),
    b"o": _refused("an object (OBJ)"),
    b"\x81": _refused("an object (NEWOBJ)"),
    b"\x92": _refused("an object (NEWOBJ_EX)"),
    b"\x8f": _refused("a set"),
    b"\x90": _refused("a set"),
    b"\x91": _refused("a set"),
    b"\x96": _refused("a byte array"),
    b"\x97": _refused("a buffer"),
    b"\x98": _refused("a buffer"),
    b"0": _refused("a value taken back (POP)"),
    b"1": _refused("values taken back (POP_MARK)"),
    b"2": _refused("a value doubled (DUP)"),
}


def _unknown(m: Machine) -> None:
    raise Rejected(MALFORMED, f"byte {m.data[m.at - 1]:#04x} at {m.at - 1} is no instruction")


STEPS: list[Step] = [_KNOWN.get(bytes((code,)), _unknown) for code in range(256)]
