"""Files at the edge: corpora are read below a root, a run's files are published whole.

A local folder takes the operating system's own calls (fsspec costs ten times as much a file); any
other URL goes through fsspec. Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import errno
import os
import posixpath
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from mgdata.errors import EnvironmentFailure, StorageError
from mgdata.identity import digest


def is_url(path: str) -> bool:
    """Whether `path` names a remote store (`s3://bucket/folder`) rather than a local folder."""
    return "://" in path and not path.startswith("file://")


@lru_cache(maxsize=4096)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


class Root:
    """A corpus root: every path is relative to it, and none may leave it.

    `..`, absolute paths and links that lead outside are refused, because paths come out of
    annotation files. Picklable; opens nothing until asked.
    """

    def __init__(self, url: str) -> None:
        self.url = url if is_url(url) else str(Path(url.removeprefix("file://")).absolute())
        self.remote = is_url(url)

    def __repr__(self) -> str:
        return f"Root({self.url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Root) and other.url == self.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "remote": self.remote}

    @cached_property
    def _fs(self) -> Any:
        return filesystem(self.url)

    @cached_property
    def _base(self) -> str:
        return os.path.realpath(self.url)

    def read(self, path: str) -> bytes:
        """All bytes of the file at `path`.

        Raises:
            StorageError: it is missing, unreadable, or outside the root.
        """
        name = self._inside(path)
        try:
            if self.remote:
                return self._fs.cat_file(name)
            return self._read_local(name, path)
        except FileNotFoundError:
            raise StorageError(f"missing file: {path}") from None
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror or error}") from error

    def head(self, path: str, size: int) -> bytes:
        """The first `size` bytes of the file at `path`; raises as `read` does."""
        name = self._inside(path)
        try:
            if self.remote:
                return self._fs.cat_file(name, start=0, end=size)
            return self._read_local(name, path, size)
        except FileNotFoundError:
            raise StorageError(f"missing file: {path}") from None
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror or error}") from error

    def list(self, path: str = "") -> list[str]:
        """Names in the folder at `path`, sorted; empty where there is no such folder."""
        name = self._inside(path)
        try:
            if not self.remote:
                return sorted(os.listdir(name))  # noqa: PTH208
            found = self._fs.ls(name, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        own = name.rstrip("/").partition("://")[2]
        paths = {entry.rstrip("/").removeprefix("/") for entry in found}
        return sorted(posixpath.basename(entry) for entry in paths if entry != own)

    def size(self, path: str) -> int:
        """Bytes of the file at `path`; raises as `read` does."""
        name = self._inside(path)
        try:
            return int(self._fs.size(name)) if self.remote else os.stat(name).st_size  # noqa: PTH116
        except FileNotFoundError:
            raise StorageError(f"missing file: {path}") from None

    def exists(self, path: str = "") -> bool:
        """Whether there is a file or folder at `path`."""
        name = self._inside(path)
        return bool(self._fs.exists(name)) if self.remote else os.path.exists(name)  # noqa: PTH110

    def _inside(self, path: str) -> str:
        if path.startswith(("/", "\\")) or ".." in path.split("/") or "\0" in path:
            raise StorageError(f"path leaves the corpus root: {path!r}")
        return posixpath.join(self.url, path) if path else self.url

    def _read_local(self, name: str, path: str, size: int = -1) -> bytes:
        folder, file = os.path.split(name)
        real = _real(folder)
        if real != self._base and not real.startswith(self._base + os.sep):
            raise StorageError(f"path leaves the corpus root through a link: {path!r}")
        # The folder's own links are resolved once; O_NOFOLLOW catches a link in the last step
        # for free, where resolving every file would cost as much as reading a small one.
        name = f"{real}{os.sep}{file}"
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            name = os.path.realpath(name)
            if not name.startswith(self._base + os.sep):
                raise StorageError(
                    f"path leaves the corpus root through a link: {path!r}"
                ) from None
            descriptor = os.open(name, os.O_RDONLY)
        with os.fdopen(descriptor, "rb", buffering=0) as file_:
            if size >= 0:
                return file_.read(size)
            return file_.readall()


def filesystem(url: str) -> Any:
    """The fsspec filesystem of a remote URL."""
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)[0]
    except (ImportError, ValueError) as error:
        raise StorageError(f"cannot open {url}: {error}") from error


class Store(Root):
    """A run's or a release's folder: what a `Root` reads, and files that are published whole.

    Locally a file is written beside its place and renamed; remotely it is made in a local
    scratch folder and put in one request, because an exception inside a remote `open("wb")`
    publishes the torso of what was being written.
    """

    def write(self, path: str, data: bytes) -> None:
        """Publish `data` at `path`, replacing what is there.

        Raises:
            EnvironmentFailure: the disk is full or cannot be written to.
        """
        with self.writing(path) as local:
            local.write_bytes(data)

    @contextmanager
    def writing(self, path: str) -> Iterator[Path]:
        """A local file to fill, published at `path` when the block ends well, else removed."""
        name = self._inside(path)
        local = self._scratch(name)
        try:
            yield local
            if self.remote:
                self._fs.put_file(str(local), name)
            else:
                local.replace(name)
        except OSError as error:
            raise disk_failure(error, self.url) from error
        finally:
            with suppress(OSError):
                local.unlink(missing_ok=True)

    def local(self, path: str) -> Path:
        """A local file with the content of `path`: itself, or a copy made once a node.

        Only for files whose name is unique to their content (an attempt's), never rewritten.
        """
        name = self._inside(path)
        if not self.remote:
            return Path(name)
        cache = Path(tempfile.gettempdir()) / f"mgdata-{os.getuid()}" / digest(name)[:32]
        if not cache.exists():
            cache.parent.mkdir(parents=True, exist_ok=True)
            partial = cache.with_suffix(f".{os.getpid()}")
            self._fs.get_file(name, str(partial))
            partial.replace(cache)
        return cache

    def remove(self, path: str) -> None:
        """Delete one file; nothing happens where there is none."""
        name = self._inside(path)
        with suppress(FileNotFoundError):
            if self.remote:
                self._fs.rm_file(name)
            else:
                Path(name).unlink()

    def walk(self, path: str = "") -> list[str]:
        """Every file below `path`, as paths of this store, sorted."""
        name = self._inside(path)
        if self.remote:
            self._fs.invalidate_cache()
            base = self._fs._strip_protocol(self.url).rstrip("/") + "/"
            return sorted(str(found).removeprefix(base) for found in self._fs.find(name))
        base = Path(self.url)
        return sorted(f.relative_to(base).as_posix() for f in Path(name).rglob("*") if f.is_file())

    def free(self) -> int | None:
        """Bytes free on the disk, or None where there is no such limit."""
        if self.remote:
            return None
        folder = Path(self.url)
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def _scratch(self, name: str) -> Path:
        try:
            if self.remote:
                handle, scratch = tempfile.mkstemp(prefix="mgdata-")
                os.close(handle)
                return Path(scratch)
            target = Path(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            return target.with_name(f".{target.name}.{os.getpid()}.part")
        except OSError as error:
            raise disk_failure(error, self.url) from error


def disk_failure(error: OSError, url: str) -> EnvironmentFailure:
    """What to tell a user whose disk refused a write to `url`."""
    if error.errno == errno.ENOSPC:
        return EnvironmentFailure(
            f"the disk of {url} is full: free some space and run the same command again; "
            "finished shards are kept"
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return EnvironmentFailure(f"{url} cannot be written to: {error.strerror}")
    return EnvironmentFailure(f"cannot write to {url}: {error.strerror or error}")
