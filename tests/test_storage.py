"""Files at the edge: published whole or not at all, read below their root or not at all."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest

from mgdata.errors import EnvironmentFailure, MissingFile, OutsideRoot, StorageError
from mgdata.storage import Root, Store, disk_failure, is_part, is_url


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A root with one file, beside a folder with a secret."""
    (tmp_path / "root/clip").mkdir(parents=True)
    (tmp_path / "root/clip/1.jpg").write_bytes(b"picture")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_bytes(b"secret")
    return tmp_path / "root"


def test_a_file_is_published_whole_and_replaces_what_was_there(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "run"))
    store.write("a/b.bin", b"first")
    with store.writing("a/b.bin") as local:
        local.write_bytes(b"sec")
        assert store.read("a/b.bin") == b"first"
        assert is_part(str(local))
        local.write_bytes(b"second")
    assert store.read("a/b.bin") == b"second"
    assert files(tmp_path / "run") == ["a/b.bin"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError(5, "I/O error")])
def test_a_writer_that_raises_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    store = Store(str(tmp_path))
    kind = EnvironmentFailure if isinstance(error, OSError) else type(error)
    with pytest.raises(kind), store.writing("a.bin") as local:
        local.write_bytes(b"half")
        raise error
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "path",
    ["../secret/key", "clip/../../secret/key", "/etc/passwd", "\\\\host\\share", "clip/1.jpg\0",
     "..", "clip/.."],
)  # fmt: skip
def test_a_path_that_leaves_its_root_is_refused(corpus: Path, path: str) -> None:
    root = Root(str(corpus))
    for ask in (root.read, root.list, root.size, root.exists, lambda p: root.head(p, 4)):
        with pytest.raises(OutsideRoot, match=r"^path leaves the corpus root: ") as refused:
            ask(path)
        assert refused.value.path == path


def test_a_link_to_a_file_outside_is_refused(corpus: Path) -> None:
    (corpus / "clip/2.jpg").symlink_to("../../secret/key")
    with pytest.raises(OutsideRoot, match=r"through a link: 'clip/2\.jpg'"):
        Root(str(corpus)).read("clip/2.jpg")
    with pytest.raises(OutsideRoot):
        Root(str(corpus)).head("clip/2.jpg", 3)


def test_a_link_to_a_folder_outside_is_refused(corpus: Path) -> None:
    (corpus / "other").symlink_to(corpus.parent / "secret")
    with pytest.raises(OutsideRoot, match="through a link"):
        Root(str(corpus)).read("other/key")
    with pytest.raises(OutsideRoot, match="through a link"):
        Root(str(corpus)).list("other")


def test_a_link_to_a_sibling_whose_name_starts_alike_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root-2").mkdir()
    (tmp_path / "root-2/key").write_bytes(b"secret")
    (tmp_path / "root/key").symlink_to(tmp_path / "root-2/key")
    with pytest.raises(OutsideRoot):
        Root(str(tmp_path / "root")).read("key")


def test_links_inside_a_root_and_a_root_that_is_a_link_are_followed(corpus: Path) -> None:
    (corpus / "copy").symlink_to("clip")
    (corpus / "first.jpg").symlink_to(corpus / "clip/1.jpg")
    (corpus.parent / "alias").symlink_to(corpus)
    for root in (Root(str(corpus)), Root(str(corpus.parent / "alias"))):
        assert root.read("copy/1.jpg") == b"picture"
        assert root.head("first.jpg", 3) == b"pic"
        assert root.list("copy") == ["1.jpg"]


def test_a_link_that_turns_in_a_circle_cannot_be_read(corpus: Path) -> None:
    (corpus / "circle").symlink_to("circle")
    with pytest.raises(StorageError, match="cannot read circle"):
        Root(str(corpus)).read("circle")


def test_what_is_not_there_and_what_is_no_file_are_told_apart(corpus: Path) -> None:
    root = Root(str(corpus))
    for path in ("clip/2.jpg", "none/1.jpg", "clip/1.jpg/2.jpg"):
        with pytest.raises(MissingFile, match=f"^missing file: {path}$"):
            root.read(path)
        with pytest.raises(MissingFile):
            root.size(path)
        assert not root.exists(path)
    with pytest.raises(StorageError, match="cannot read clip: Is a directory"):
        root.read("clip")
    assert root.list("none") == root.list("clip/1.jpg") == []
    assert root.list() == ["clip"]


def test_errors_and_roots_survive_the_way_to_a_worker_and_back(corpus: Path) -> None:
    for error in (MissingFile("a"), OutsideRoot("../a", " through a link")):
        copy = pickle.loads(pickle.dumps(error))
        assert (str(copy), copy.path) == (str(error), error.path)
    root = Root(str(corpus))
    root.read("clip/1.jpg")
    copy = pickle.loads(pickle.dumps(root))
    assert copy == root
    assert copy.read("clip/1.jpg") == b"picture"


def test_a_store_lists_every_file_below_it_and_removes_one(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for path in ("b.txt", "a/c.txt", "a/d/e.txt"):
        store.write(path, b"")
    assert store.walk() == ["a/c.txt", "a/d/e.txt", "b.txt"]
    assert store.walk("a") == ["a/c.txt", "a/d/e.txt"]
    assert store.walk("none") == []
    store.remove("a/c.txt")
    store.remove("a/c.txt")
    assert store.walk("a") == ["a/d/e.txt"]
    assert store.local("b.txt") == tmp_path / "b.txt"


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "the disk of /runs/one is full: free some space and run the same command"),
        (errno.EDQUOT, "the disk of /runs/one is full: free some space and run the same command"),
        (errno.EROFS, "/runs/one cannot be written to: Read-only file system"),
        (errno.EACCES, "/runs/one cannot be written to: Permission denied"),
        (errno.EIO, "cannot write to /runs/one: Input/output error"),
    ],
)
def test_a_disk_that_refuses_says_what_to_do(number: int, told: str) -> None:
    failure = disk_failure(OSError(number, os.strerror(number)), "/runs/one")
    assert str(failure).startswith(told)
    assert failure.exit_code == 3


def test_a_remote_store_that_nothing_here_speaks_to_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="cannot open nosuch://bucket/a"):
        Root("nosuch://bucket/a").read("b")


def test_urls_are_told_from_paths() -> None:
    assert [is_url(x) for x in ("s3://b/k", "/a/b", "a:b/c", "file:///a/b")] == [
        True, False, False, False,
    ]  # fmt: skip
    assert Root("file:///a/b") == Root("/a/b")
