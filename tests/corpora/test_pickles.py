"""Pickles as plain data: what is admitted, what is refused by name, and what is no pickle at all."""

from __future__ import annotations

import collections
import datetime
import os
import pickle
import pickletools
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mgdata.corpora.pickles import plain, unpickled
from mgdata.errors import OutsideRoot, Rejected
from mgdata.storage import Root

DATA = [
    {"id": 1, "text": "a dog", "none": None, "yes": True, "no": False, "more": {"a": [1.5, -2]}},
    (1, (2, 3), (), (1, 2, 3, 4)),
    [-1, 255, 256, 65535, 65536, -(1 << 31), 1 << 40, (1 << 64) - 1, -(1 << 63)],
    ["caf\u00e9", "\u65e5\u672c", "\U0001f600", "line\nbreak \\ 'x' \"y\"", "", "x" * 300],
    [0.1, 1e300, float("inf"), -0.0],
    {1: "int", 2.5: "float", None: "none", False: []},
]


def refused(data: bytes) -> tuple[str, str | None]:
    with pytest.raises(Rejected) as caught:
        unpickled(data)
    return caught.value.reason, caught.value.value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_of_every_protocol_is_read_as_python_reads_it(protocol: int) -> None:
    data = pickle.dumps(DATA, protocol=protocol)
    assert unpickled(data) == pickle.loads(data) == DATA
    assert unpickled(pickletools.optimize(data)) == DATA


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
def test_bytes_are_plain_data_where_the_protocol_has_them(protocol: int) -> None:
    data = [b"", b"\0\xff", b"x" * 300]
    assert unpickled(pickle.dumps(data, protocol=protocol)) == data


def test_a_container_may_be_there_twice() -> None:
    shared = ["a", "b"]
    found = unpickled(pickle.dumps([shared, shared, {"k": shared}], protocol=2))
    assert found == [shared, shared, {"k": shared}]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"(lp0\nS'a dog'\np1\naI3\naI01\naL5L\naF1.5\naNa.", ["a dog", 3, True, 5, 1.5, None]),
        (b"(dp0\nS'it\\'s'\np1\nV\\u65e5\\u672c\np2\ns.", {"it's": "\u65e5\u672c"}),
        (b"]q\x00(U\x04caf\xe9q\x01T\x02\x00\x00\x00\xe9\xe8e.", ["caf\xe9", "\xe9\xe8"]),
        (b"S'caf\\xe9\\n\\t\\\\'\n.", "caf\xe9\n\t\\"),
        (b'S"it\'s"\n.', "it's"),
        (b"(I1\nI2\nt.", (1, 2)),
        (b"(S'a'\nI1\nd.", {"a": 1}),
    ],
)
def test_what_python_2_wrote_is_read_as_latin_1(data: bytes, found: Any) -> None:
    assert unpickled(data) == found == pickle.loads(data, encoding="latin1")


class Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Harm(), f"{os.system.__module__}.system"),
        (collections.OrderedDict(a=1), "collections.OrderedDict"),
        (np.array([[1, 2, 3, 4]]), "numpy"),
        (np.float64(1), "scalar"),
        (datetime.date(2020, 1, 1), "datetime.date"),
        (1j, "complex"),
        (len, "len"),
        (Path, "pathlib"),
    ],
)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_names_a_class_or_function_is_refused_with_that_name(
    value: Any, name: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reason, what = refused(pickle.dumps([{"a": value}], protocol=protocol))
    assert reason == "pickle names a class"
    assert name in (what or "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"(ios\nsystem\n.", "os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"\x80\x04\x93.", "?.?"),
        (b"c__builtin__\neval\n(S'1'\ntR.", "__builtin__.eval"),
    ],
)
def test_every_way_of_naming_one_is_known(data: bytes, what: str) -> None:
    assert refused(data) == ("pickle names a class", repr(what))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"Pfile-7\n.", "persistent id 'file-7'"),
        (b"K\x01Q.", "persistent id"),
        (b"\x82\x01.", "extension code"),
        (b"\x83\x01\x00.", "extension code"),
        (b"\x84\x01\x00\x00\x00.", "extension code"),
        (b"K\x01)R.", "REDUCE"),
        (b"]}b.", "BUILD"),
        (b"(K\x01o.", "OBJ"),
        (b"K\x01)\x81.", "NEWOBJ"),
        (b"K\x01)}\x92.", "NEWOBJ_EX"),
        (pickle.dumps({1, 2}, protocol=4), "a set"),
        (pickle.dumps(frozenset((1, 2)), protocol=4), "a set"),
        (pickle.dumps(bytearray(b"x"), protocol=5), "a byte array"),
        (b"\x97.", "a buffer"),
        (b"K\x01\x98.", "a buffer"),
        (b"K\x01K\x020.", "POP"),
        (b"K\x01(1.", "POP_MARK"),
        (b"K\x012.", "DUP"),
    ],
)
def test_anything_but_plain_data_is_refused(data: bytes, what: str) -> None:
    reason, value = refused(data)
    assert reason == "pickle holds more than plain data"
    assert what in (value or "")


def nested(depth: int) -> bytes:
    return b"]" * depth + b"a" * (depth - 1) + b"."


def blown_up() -> bytes:
    """Lists of ten times the list before, twelve times over: a million millions of values."""
    data = b"](" + b"K\x01" * 10 + b"eq\x00"
    for level in range(12):
        data += b"](" + b"h" + bytes((level,)) + (b"h" + bytes((level,))) * 9
        data += b"eq" + bytes((level + 1,))
    return b"(" + data + b"t."


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (nested(33), "within each other"),
        (nested(1_000_000), "within each other"),
        (b"N" + b"\x85" * 1_000_000 + b".", "within each other"),
        (b"]q\x00h\x00a.", "within each other"),
        (b"}q\x00K\x01h\x00s.", "within each other"),
        (b"](" + b"]q\x00(" + b"h\x00" * 1000 + b"e" + b"e.", "values"),
        (blown_up(), "values"),
        (b"\x8b" + struct.pack("<I", 1000) + b"\x7f" * 1000 + b".", "number of 1000 bytes"),
        (b"\x8a\x09" + b"\xff" * 8 + b"\x7f.", "beyond 64 bits"),
        (b"L99999999999999999999L\n.", "beyond 64 bits"),
    ],
)
def test_bombs_are_refused(data: bytes, what: str) -> None:
    reason, value = refused(data)
    assert reason == "pickle holds more than plain data"
    assert what in (value or "")


@pytest.mark.parametrize(
    "data",
    [
        b"X\xff\xff\xff\xff" + b"abc",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc",
        b"B\xff\xff\xff\x7fabc",
        b"T\xff\xff\xff\x7fabc",
        b"\x8b\xff\xff\xff\x7fabc",
        b"\x80\x04\x95\xff",
        b"",
        b"I12",
        b"]",
    ],
)
def test_lengths_beyond_the_file_are_a_cut_file(data: bytes) -> None:
    assert refused(data)[0] == "pickle ends early"


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"\xff\xd8\xff\xe0",
        b"a.",
        b"K\x01K\x02.",
        b"(K\x01.",
        b"e.",
        b"K\x01a.",
        b"K\x01K\x02a.",
        b"](K\x01u.",
        b"}(K\x01u.",
        b"}]K\x01s.",
        b"})K\x01s.",
        b"h\x07.",
        b"j\xff\xff\xff\xff.",
        b"gx\n.",
        b"px\n.",
        b"q\x00.",
        b"K\x01\x87.",
        b"I1x\n.",
        b"I\xd9\xa3\n.",
        b"Fx\n.",
        b"F1_0\n.",
        b"Sabc\n.",
        b"S'a\\z'\n.",
        b"S'a\\'\n.",
        b"}(K\x01NK\x01Nu.",
        b"K\x01.K\x02.",
        b"I" + b"9" * 5000 + b"\n.",
    ],
)
def test_what_no_program_wrote_is_malformed(data: bytes) -> None:
    assert refused(data)[0] == "malformed pickle"


@pytest.mark.parametrize("data", [b"X\x01\x00\x00\x00\xff.", b"V\\ud800\n.", b"V\\u12\n."])
def test_text_that_is_none_is_refused(data: bytes) -> None:
    assert refused(data)[0] == "text is not UTF-8"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_damage_is_more_than_a_refusal(protocol: int) -> None:
    whole, rng = pickle.dumps(DATA, protocol=protocol), random.Random(protocol)
    for end in range(len(whole)):
        assert refused(whole[:end])[0] in ("pickle ends early", "malformed pickle")
    for _ in range(1000):
        spoilt = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
        try:
            unpickled(bytes(spoilt))
        except Rejected as error:
            assert error.reason
    for _ in range(1000):
        try:
            unpickled(rng.randbytes(rng.randint(1, 40)) + b".")
        except Rejected as error:
            assert error.reason


def test_an_error_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(np.zeros(3), protocol=2))
    (tmp_path / "b.pkl").write_bytes(b"")
    for name, told in (("a.pkl", "a.pkl: 'numpy"), ("b.pkl", "b.pkl: "), ("c.pkl", "c.pkl")):
        with pytest.raises(Rejected, match=told):
            plain(Root(str(tmp_path)), name)
    with pytest.raises(OutsideRoot):
        plain(Root(str(tmp_path)), "../a.pkl")


def test_nothing_of_a_pickle_is_ever_imported_or_called() -> None:
    source = Path(unpickled.__code__.co_filename).parent
    for name in ("pickles.py", "pickle_steps.py"):
        text = (source / name).read_text()
        assert "import pickle\n" not in text
        assert not any(word in text for word in ("__import__", "import_module", "getattr", "eval("))
