"""Corpora read from an object store and a run written to one, over S3's own protocol.

The server is moto's, on this machine; its address and keys are in the environment, where Ray's
workers find them too.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import small_runs
from processes import SECONDS, Started

from mgdata.errors import EnvironmentFailure, MissingFile, StorageError
from mgdata.manifest import Lock, holder
from mgdata.storage import Root, Store


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("copies")))
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield url
    server.stop()


@pytest.fixture(scope="module")
def s3(endpoint: str) -> Any:
    """The store, seen by other means than ours."""
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket="mgdata")
    yield client
    client.close()


@pytest.fixture(scope="module")
def local_roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return small_runs.write_corpora(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="module")
def roots(s3: Any, local_roots: dict[str, str]) -> dict[str, str]:
    for name, folder in local_roots.items():
        for path in Path(folder).rglob("*"):
            if path.is_file():
                key = f"corpora/{name}/{path.relative_to(folder).as_posix()}"
                s3.put_object(Bucket="mgdata", Key=key, Body=path.read_bytes())
    return {name: f"s3://mgdata/corpora/{name}" for name in local_roots}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    task = {"samples": 16, "with": {"per_clip": 16}}
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    return small_runs.write_recipe(path, tasks={"object_tracking": task}, ingest={"parts": 3})


@pytest.fixture(scope="module")
def whole(
    recipe: Path, local_roots: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Digests of the release of a run over local folders."""
    out = tmp_path_factory.mktemp("local") / "run"
    small_runs.done(recipe, local_roots, out, "--engine", "serial")
    return small_runs.digests(out / "release")


def keys(s3: Any, prefix: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="mgdata", Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def digests(s3: Any, prefix: str) -> dict[str, str]:
    return {
        key.removeprefix(f"{prefix}/"): hashlib.sha256(
            s3.get_object(Bucket="mgdata", Key=key)["Body"].read()
        ).hexdigest()
        for key in keys(s3, f"{prefix}/")
    }


@pytest.mark.parametrize("flags", [("serial",), ("ray", "--workers", "2")], ids=["serial", "ray"])
def test_a_run_from_and_to_an_object_store_equals_a_local_one(
    s3: Any, recipe: Path, roots: dict[str, str], whole: dict[str, str], flags: tuple[str, ...]
) -> None:
    out = f"s3://mgdata/{flags[0]}"
    small_runs.done(recipe, roots, out, "--engine", *flags)
    assert digests(s3, f"{flags[0]}/release") == whole
    assert f"{flags[0]}/lock" not in keys(s3, flags[0])
    again = small_runs.done(recipe, roots, out, "--engine", *flags)
    assert "nothing to do" in again.stdout


def test_a_killed_run_on_an_object_store_is_taken_over_and_goes_on(
    s3: Any, recipe: Path, roots: dict[str, str], whole: dict[str, str]
) -> None:
    out = "s3://mgdata/killed"
    started = Started(small_runs.command(recipe, roots, out, "--engine", "serial"))
    started.wait_for("shard done: stage=build", 2)
    started.kill()
    done_before = {key for key in keys(s3, "killed/manifest/")}
    assert len(done_before) > 5
    # Nobody can tell a killed holder from a slow one until its heart has stopped long enough.
    refused = small_runs.run(recipe, roots, out, "--engine", "serial")
    assert refused.returncode == 3
    assert "is in use by another run" in refused.stderr
    held = json.loads(s3.get_object(Bucket="mgdata", Key="killed/lock")["Body"].read())
    held["beat"] -= Lock.STALE
    s3.put_object(Bucket="mgdata", Key="killed/lock", Body=json.dumps(held).encode())
    result = small_runs.done(recipe, roots, out, "--engine", "serial")
    assert result.stderr.count("shard done: stage=ingest") == 0
    assert digests(s3, "killed/release") == whole


def test_a_lock_on_an_object_store_keeps_a_second_run_out_and_is_given_back(s3: Any) -> None:
    store = Store("s3://mgdata/locked")
    with Lock(store):
        with (
            pytest.raises(EnvironmentFailure, match=f"in use by .*process {os.getpid()}"),
            Lock(Store("s3://mgdata/locked")),
        ):
            pass
        assert holder(store)
    assert holder(store) == ""
    with Lock(store):
        pass


def test_the_heart_of_a_lock_beats_by_itself(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lock, "BEAT", 0.05)
    with Lock(Store("s3://mgdata/beating")):
        first = s3.get_object(Bucket="mgdata", Key="beating/lock")["Body"].read()
        end = time.monotonic() + SECONDS
        while s3.get_object(Bucket="mgdata", Key="beating/lock")["Body"].read() == first:
            assert time.monotonic() < end, "no beat came"
            time.sleep(0.05)


def test_a_writer_that_raises_publishes_nothing(s3: Any) -> None:
    store = Store("s3://mgdata/torso")
    with pytest.raises(ValueError, match="in the middle"), store.writing("a.bin") as local:
        local.write_bytes(b"half of it")
        raise ValueError("in the middle")
    assert keys(s3, "torso/") == []
    assert not local.exists()


def test_a_store_that_is_not_there_or_refuses_is_told_in_a_sentence(
    s3: Any, recipe: Path, roots: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = small_runs.run(recipe, roots, "s3://no-such-bucket/run", "--engine", "serial")
    assert result.returncode == 3
    assert "s3://no-such-bucket/run" in result.stderr
    assert "Traceback" not in result.stderr
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    result = small_runs.run(recipe, roots, "s3://mgdata/away", "--engine", "serial")
    assert result.returncode == 3
    assert "did not answer" in result.stderr
    assert "run the same command again" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_a_root_says_of_objects_equals_what_it_says_of_files(s3: Any, tmp_path: Path) -> None:
    files = {"a.txt": b"hello", "empty.txt": b"", "folder/b.txt": b"deep", "folder/c d.txt": b"x"}
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
        s3.put_object(Bucket="mgdata", Key=f"root/{path}", Body=data)
    for root in (Root(str(tmp_path)), Root("s3://mgdata/root"), Store("s3://mgdata/root")):
        assert {path: root.read(path) for path in files} == files
        assert root.head("a.txt", 3) == b"hel"
        assert root.head("a.txt", 99) == b"hello"
        assert root.head("empty.txt", 10) == b""
        assert root.list() == ["a.txt", "empty.txt", "folder"]
        assert root.list("folder") == ["b.txt", "c d.txt"]
        assert root.list("nothing") == []
        assert root.size("a.txt") == 5
        assert [root.exists(p) for p in ("a.txt", "folder", "b.txt", "")] == [
            True, True, False, True,
        ]  # fmt: skip
        for ask in (root.read, root.size, lambda path, root=root: root.head(path, 4)):
            with pytest.raises(MissingFile, match=r"^missing file: folder/z\.txt$"):
                ask("folder/z.txt")
        with pytest.raises(StorageError, match="leaves the corpus root"):
            root.read("../a.txt")


def test_a_store_sees_at_once_what_others_write_and_remove(s3: Any) -> None:
    store = Store("s3://mgdata/shared")
    assert store.list("manifest") == []
    s3.put_object(Bucket="mgdata", Key="shared/manifest/a.json", Body=b"{}")
    assert store.list("manifest") == ["a.json"]
    assert store.exists("manifest/a.json")
    s3.put_object(Bucket="mgdata", Key="shared/manifest/a.json", Body=b"{} ")
    assert store.size("manifest/a.json") == 3
    assert store.walk() == ["manifest/a.json"]
    s3.delete_object(Bucket="mgdata", Key="shared/manifest/a.json")
    assert not store.exists("manifest/a.json")
    store.remove("manifest/a.json")


def test_a_file_is_copied_to_a_node_once(s3: Any, monkeypatch: pytest.MonkeyPatch,
                                         tmp_path: Path) -> None:  # fmt: skip
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = Store("s3://mgdata/copied")
    store.write("records/a.1f.arrow", b"table")
    first = store.local("records/a.1f.arrow")
    assert first.read_bytes() == b"table"
    s3.delete_object(Bucket="mgdata", Key="copied/records/a.1f.arrow")
    assert store.local("records/a.1f.arrow") == first
    with pytest.raises(MissingFile):
        store.local("records/b.1f.arrow")
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
