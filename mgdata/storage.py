"""Files at the edge: corpora are read below a root, a run's files are published whole.

A local folder takes the operating system's own calls (fsspec costs ten times as much a file); any
other URL goes through fsspec. Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import errno
import os
import posixpath
import secrets
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from mgdata.errors import EnvironmentFailure, MgdataError, MissingFile, OutsideRoot, StorageError
from mgdata.identity import digest

PART = ".part"
"""Ending of a file that is being written; its name starts with a dot."""


def is_part(path: str) -> bool:
    """Whether `path` is what a killed process left of a file it was writing."""
    name = posixpath.basename(path)
    return name.startswith(".") and name.endswith(PART)


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
            MissingFile: it is not there.
            OutsideRoot: it is not below the root.
            StorageError: it is unreadable.
            EnvironmentFailure: a remote store does not answer.
        """
        name = self._inside(path)
        with self._reading(path):
            return self._fs.cat_file(name) if self.remote else self._read_local(name, path)

    def head(self, path: str, size: int) -> bytes:
        """The first `size` bytes of the file at `path`; raises as `read` does."""
        name = self._inside(path)
        with self._reading(path):
            if not self.remote:
                return self._read_local(name, path, size)
            if not self._fs.size(name):  # a range of nothing is an error to S3
                return b""
            return self._fs.cat_file(name, start=0, end=size)

    def readinto(self, path: str, memory: memoryview) -> int:
        """Fill `memory` from the file at `path`: how many bytes came, at most as many as fit.

        Raises as `read` does.
        """
        name = self._inside(path)
        with self._reading(path):
            if self.remote:
                data = self._fs.cat_file(name, start=0, end=len(memory))
                memory[: len(data)] = data
                return len(data)
            filled = 0
            with os.fdopen(self._open_local(name, path), "rb", buffering=0) as file:
                while filled < len(memory) and (more := file.readinto(memory[filled:])):
                    filled += more
            return filled

    def list(self, path: str = "") -> list[str]:
        """Names in the folder at `path`, sorted; empty where there is no such folder.

        Raises as `read` does.
        """
        name = self._inside(path)
        try:
            with self._reading(path):
                if not self.remote:
                    self._confined(_real(name), path)
                    return _utf8(path or name, sorted(os.listdir(name)))  # noqa: PTH208
                found = self._fs.ls(name, detail=False)
        except MissingFile:
            return []
        own = name.rstrip("/").partition("://")[2]
        paths = {entry.rstrip("/").removeprefix("/") for entry in found}
        return sorted(posixpath.basename(entry) for entry in paths if entry != own)

    def size(self, path: str) -> int:
        """Bytes of the file at `path`; raises as `read` does."""
        name = self._inside(path)
        with self._reading(path):
            return int(self._fs.size(name)) if self.remote else os.stat(name).st_size  # noqa: PTH116

    def exists(self, path: str = "") -> bool:
        """Whether there is a file or folder at `path`; raises as `read` does."""
        name = self._inside(path)
        with self._reading(path):
            return bool(self._fs.exists(name)) if self.remote else os.path.exists(name)  # noqa: PTH110

    @contextmanager
    def _reading(self, path: str) -> Generator[None, None, None]:
        """Say what went wrong with a file in our own errors.

        A remote store that does not answer says nothing about a file: that must end a run, which
        can go on later, and not drop a record.
        """
        try:
            yield
        except MgdataError:
            raise
        except (FileNotFoundError, NotADirectoryError):
            raise MissingFile(path) from None
        except Exception as error:
            if self.remote and not isinstance(error, PermissionError):
                raise unreachable(error, self.url) from error
            if not isinstance(error, OSError):
                raise
            where = path or self.url
            raise StorageError(f"cannot read {where}: {error.strerror or error}") from error

    def _inside(self, path: str) -> str:
        if path.startswith(("/", "\\")) or ".." in path.split("/") or "\0" in path:
            raise OutsideRoot(path)
        return posixpath.join(self.url, path) if path else self.url

    def _confined(self, real: str, path: str) -> None:
        if real != self._base and not real.startswith(self._base.rstrip(os.sep) + os.sep):
            raise OutsideRoot(path, " through a link")

    def _read_local(self, name: str, path: str, size: int = -1) -> bytes:
        with os.fdopen(self._open_local(name, path), "rb", buffering=0) as file:
            return file.read(size) if size >= 0 else file.readall()

    def _open_local(self, name: str, path: str) -> int:
        """A descriptor of a file that lies inside the root, links and all."""
        folder, file = os.path.split(name)
        real = _real(folder)
        self._confined(real, path)
        # The folder's own links are resolved once; O_NOFOLLOW catches a link in the last step
        # for free, where resolving every file would cost as much as reading a small one.
        name = f"{real}{os.sep}{file}"
        try:
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            name = os.path.realpath(name)
            self._confined(name, path)
            return os.open(name, os.O_RDONLY)


def filesystem(url: str, *, fresh: bool = False) -> Any:
    """The fsspec filesystem of a remote URL; a `fresh` one remembers no listing.

    Raises:
        EnvironmentFailure: nothing is installed that speaks this protocol.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(url, use_listings_cache=not fresh)[0]
    except (ImportError, ValueError) as error:
        raise EnvironmentFailure(
            f"cannot open {url}: {error}; for s3:// install mgdata[s3]"
        ) from error


def _utf8(folder: str, names: list[str]) -> list[str]:
    """The names, if keys and uris can be made of them."""
    for name in names:
        if not name.isascii():
            try:
                name.encode()
            except UnicodeEncodeError:
                raise StorageError(
                    f"{folder} holds a name that is not UTF-8: {os.fsencode(name)!r}: rename it"
                ) from None
    return names


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
    def writing(self, path: str) -> Generator[Path, None, None]:
        """A local file to fill, published at `path` when the block ends well, else removed.

        Raises:
            EnvironmentFailure: the disk is full or cannot be written to, or the store is away.
        """
        name = self._inside(path)
        local = self._scratch(name)
        try:
            try:
                yield local
            except OSError as error:
                raise disk_failure(error, str(local.parent) if self.remote else self.url) from error
            self._publish(local, name)
        finally:
            with suppress(OSError):
                local.unlink(missing_ok=True)

    def local(self, path: str) -> Path:
        """A local file with the content of `path`: itself, or a copy made once a node.

        Only for files whose name is unique to their content (an attempt's), never rewritten.
        Raises as `read` does.
        """
        name = self._inside(path)
        if not self.remote:
            return Path(name)
        cache = Path(tempfile.gettempdir()) / f"mgdata-{os.getuid()}" / digest(name)[:32]
        if not cache.exists():
            cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = cache.with_suffix(f".{secrets.token_hex(4)}")
            with self._reading(path):
                self._fs.get_file(name, str(partial))
            partial.replace(cache)
        return cache

    def remove(self, path: str) -> None:
        """Delete one file; nothing happens where there is none.

        Raises:
            EnvironmentFailure: it cannot be deleted.
        """
        name = self._inside(path)
        try:
            if self.remote:
                self._fs.rm_file(name)
            else:
                Path(name).unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            raise disk_failure(error, self.url) from error

    def walk(self, path: str = "") -> list[str]:
        """Every file below `path`, as paths of this store, sorted."""
        name = self._inside(path)
        if self.remote:
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

    @cached_property
    def _fs(self) -> Any:
        # Other processes write here too: what was listed a moment ago is not what is there.
        return filesystem(self.url, fresh=True)

    def _publish(self, local: Path, name: str) -> None:
        try:
            if self.remote:
                self._fs.put_file(str(local), name)
            else:
                local.replace(name)
        except OSError as error:
            raise disk_failure(error, self.url) from error
        except Exception as error:
            raise unreachable(error, self.url) from error

    def _scratch(self, name: str) -> Path:
        try:
            if self.remote:
                handle, scratch = tempfile.mkstemp(prefix="mgdata-")
                os.close(handle)
                return Path(scratch)
            target = Path(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            return target.with_name(f".{target.name}.{secrets.token_hex(4)}{PART}")
        except OSError as error:
            where = tempfile.gettempdir() if self.remote else self.url
            raise disk_failure(error, where) from error


def unreachable(error: Exception, url: str) -> EnvironmentFailure:
    """What to tell a user whose remote store failed."""
    return EnvironmentFailure(
        f"{url} did not answer: {str(error).strip() or type(error).__name__}; mend the connection "
        "or the credentials and run the same command again; what is finished is kept"
    )


def disk_failure(error: OSError, url: str) -> EnvironmentFailure:
    """What to tell a user whose disk refused a write to `url`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EnvironmentFailure(
            f"the disk of {url} is full: free some space and run the same command again; "
            "finished shards are kept"
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return EnvironmentFailure(f"{url} cannot be written to: {error.strerror}")
    return EnvironmentFailure(f"cannot write to {url}: {error.strerror or error}")
