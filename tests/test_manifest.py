"""What counts as done, and who may work in a run's folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mgdata.errors import EnvironmentFailure
from mgdata.manifest import Entry, File, Lock, Manifest, Shard, holder
from mgdata.storage import Store

HOLD = """
import sys, time
from mgdata.manifest import Lock
from mgdata.storage import Store
with Lock(Store(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def shard(name: str, fingerprint: str = "f") -> Shard:
    return Shard(stage="build", name=name, fingerprint=fingerprint)


def publish(store: Store, name: str, data: bytes = b"rows", fingerprint: str = "f") -> Entry:
    store.write(f"samples/{name}", data)
    file = File(path=f"samples/{name}", bytes=len(data), sha256="0" * 64)
    entry = Entry(
        stage="build", name=name, fingerprint=fingerprint, rows=1, files=(file,), counts={"a": 1}
    )
    Manifest(store).write(entry)
    return entry


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def test_an_entry_is_read_back_as_it_was_written(store: Store) -> None:
    entry = publish(store, "a")
    assert Manifest(store).entries("build") == {"a": entry}
    assert Manifest(store).entries("release") == {}
    assert entry.data().path == "samples/a"


def test_done_means_same_fingerprint_and_every_file_there_in_its_size(store: Store) -> None:
    for name in "abcd":
        publish(store, name)
    store.remove("samples/b")
    store.write("samples/c", b"row")
    asked = [shard("a"), shard("b"), shard("c"), shard("d", "other"), shard("e")]
    assert set(Manifest(store).finished(asked)) == {"a"}
    assert Manifest(store).finished([]) == {}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"stage": "build"}', "\x00\xff",
     '{"stage":"build","name":"a","fingerprint":"f","rows":"one","files":[]}',
     '{"stage":"build","name":"a","fingerprint":"f","rows":1,"files":[],"unknown":1}'],
)  # fmt: skip
def test_an_entry_that_does_not_parse_counts_as_missing(store: Store, text: str) -> None:
    publish(store, "a")
    publish(store, "b")
    store.write("manifest/build/a.json", text.encode("latin-1"))
    assert set(Manifest(store).entries("build")) == {"b"}
    assert set(Manifest(store).finished([shard("a"), shard("b")])) == {"b"}


def test_what_is_no_entry_is_not_read(store: Store) -> None:
    publish(store, "a")
    store.write("manifest/build/.b.json.12ab.part", b"{")
    store.write("manifest/build/notes.txt", b"mine")
    assert set(Manifest(store).entries("build")) == {"a"}


def test_a_forgotten_entry_leaves_its_file_an_orphan(store: Store) -> None:
    publish(store, "a")
    Manifest(store).forget("build", {"a", "never there"})
    assert Manifest(store).entries("build") == {}
    assert store.exists("samples/a")


def test_a_second_holder_is_refused_and_told_who_the_first_is(store: Store) -> None:
    with Lock(store):
        with (
            pytest.raises(EnvironmentFailure, match=rf"in use by .*process {os.getpid()}\b"),
            Lock(store),
        ):
            pass
        # The refused one has changed nothing.
        assert f"process {os.getpid()}" in holder(store)
    with Lock(store):
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_is_freed_when_its_holder_dies(store: Store, number: signal.Signals) -> None:
    words = [sys.executable, "-c", HOLD, store.url]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        with pytest.raises(EnvironmentFailure, match=f"process {process.pid}"), Lock(store):
            pass
        process.send_signal(number)
        process.wait(10)
        with Lock(store):
            assert re.search(rf"process {os.getpid()},", holder(store))


def test_a_folder_that_nobody_locked_has_no_holder(store: Store) -> None:
    assert holder(store) == ""
    for text in (b"", b"{", b"[]", b'"me"', b'{"beat": 1}'):
        store.write("lock", text)
        assert holder(store) == ""


def test_a_lock_where_no_folder_can_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with (
        pytest.raises(EnvironmentFailure, match=r"cannot write to .*file/run"),
        Lock(Store(str(tmp_path / "file/run"))),
    ):
        pass
