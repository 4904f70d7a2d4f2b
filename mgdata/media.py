"""Encoded image bytes behind a path below a root: a file, a Parquet cell or a frame of a video.

    photos/a.jpg                        the file's own bytes
    train.parquet#row=12&column=image   that cell's bytes, as stored; rows count from 0 in the file
    takes/x/cam01.mp4#frame=30          that frame in presentation order, from 0, as a PNG

Only these two endings are parts of a file: any other `#` belongs to a file's name. The frame's PNG
is lossless and not compressed, since nobody stores it: it is the same bytes on every machine, and
quick. A remote Parquet file or video is read through a file object, in ranges; to number the frames
of a video all of it is read once, without decoding. Knows nothing of corpora, edits or records.
"""

from __future__ import annotations

import atexit
import errno
import re
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, TypeVar

import numpy as np

from mgdata.errors import MgdataError, Rejected, StorageError
from mgdata.storage import Root, filesystem, unreachable
from mgdata.video import Film, Video, png, png_size

_PART = re.compile(r"(.+)#(?:frame=([0-9]{1,9})|row=([0-9]{1,12})&column=([^#&]+))", re.DOTALL)
_VIDEOS = 6
"""Videos a process keeps open: the cameras of one moment. A 4K decoder holds up to 200 MB."""
_COLUMNS = 3
"""Columns of row groups that are remembered: a pair's images and a mask."""
_LOCK = threading.Lock()


class Part(NamedTuple):
    """A path with a part, taken apart: a video's frame, or a cell of a Parquet file."""

    file: str
    """Path of the file that holds it."""
    frame: int | None
    row: int
    column: str


def part_of(path: str) -> Part | None:
    """The part that `path` names, or None where it names a whole file."""
    if "#" not in path or (found := _PART.fullmatch(path)) is None:
        return None
    file, frame, row, column = found.groups()
    return Part(file, None if frame is None else int(frame), int(row or 0), column or "")


def file_of(path: str) -> str:
    """The file that holds what `path` names."""
    part = part_of(path)
    return part.file if part else path


def is_frame(path: str) -> bool:
    """Whether `path` names a frame of a video: no image file that could be published."""
    part = part_of(path)
    return part is not None and part.frame is not None


def read(root: Root, path: str) -> bytes:
    """The encoded image at `path`.

    Raises:
        MissingFile: there is no such file.
        OutsideRoot: it is not below the root.
        StorageError: it is unreadable.
        EnvironmentFailure: a remote store does not answer.
        Rejected: `no such column`, `no such row`, `no image bytes`, `unreadable parquet file`,
            `undecodable video`, `undecodable video frame`, `frame beyond the end of the video`.
    """
    part = part_of(path)
    if part is None:
        return root.read(path)
    if part.frame is None:
        with _table(root, part.file) as table:
            return table.cell(part.row, part.column)
    with _film(root, part.file) as film:
        return png(film.pixels(part.frame))


def readinto(root: Root, path: str, memory: memoryview) -> int:
    """Fill `memory` with the image at `path`: how many bytes came, at most as many as fit.

    Raises as `read` does.
    """
    if "#" not in path or part_of(path) is None:
        return root.readinto(path, memory)
    data = read(root, path)[: len(memory)]
    memory[: len(data)] = data
    return len(data)


def size(root: Root, path: str) -> int:
    """Bytes of the image at `path`, as `read` gives them; decodes nothing. Raises as `read`."""
    part = part_of(path)
    if part is None:
        return root.size(path)
    if part.frame is None:
        return len(read(root, path))
    found = video(root, part.file)
    return png_size(found.width, found.height)


def video(root: Root, path: str) -> Video:
    """What the header of the video at `path` says. Raises as `read` does."""
    with _film(root, path) as film:
        return film.header


def open_file(root: Root, path: str) -> IO[bytes]:
    """The file at `path` to read and seek in. Raises as `Root.read` does."""
    root.head(path, 1)  # it is there, and inside the root, links and all
    if not root.remote:
        return Path(root.url, path).open("rb")
    return filesystem(root.url).open(f"{root.url.rstrip('/')}/{path}", "rb")


class _Table:
    """One open Parquet file and the last columns of row groups that were read of it."""

    def __init__(self, file: IO[bytes], path: str) -> None:
        import pyarrow.parquet as pq

        self._path = path
        self._file = file
        try:
            self._parquet = pq.ParquetFile(self._file)
        except BaseException:
            self._file.close()
            raise
        counts = [
            self._parquet.metadata.row_group(group).num_rows
            for group in range(self._parquet.metadata.num_row_groups)
        ]
        self._starts: list[int] = np.cumsum([0, *counts]).tolist()
        self._columns: OrderedDict[tuple[int, str], Any] = OrderedDict()

    def close(self) -> None:
        self._file.close()

    def cell(self, row: int, column: str) -> bytes:
        """The encoded image of one cell."""
        if row >= self._starts[-1]:
            raise Rejected("no such row", f"{self._path} has {self._starts[-1]} rows, not {row}")
        group = bisect_right(self._starts, row) - 1
        key = (group, self._leaf(column))
        if key not in self._columns:
            self._columns[key] = self._parquet.read_row_group(group, [key[1]]).column(0)
            if len(self._columns) > _COLUMNS:
                self._columns.popitem(last=False)
        self._columns.move_to_end(key)
        value = self._columns[key][row - self._starts[group]].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not data:
            raise Rejected("no image bytes", f"{self._path}, row {row}, column {column}")
        return data

    def _leaf(self, column: str) -> str:
        """The leaf that holds the bytes: the column itself, or `bytes` of the Image feature."""
        import pyarrow as pa

        schema = self._parquet.schema_arrow
        if column not in schema.names:
            raise Rejected("no such column", f"{self._path} has {', '.join(schema.names)}")
        kind = schema.field(column).type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            column, kind = f"{column}.bytes", kind.field("bytes").type
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            raise Rejected("no image bytes", f"column {column} of {self._path} is {kind}")
        return column


class _Closable(Protocol):
    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=_Closable)


class _Open(OrderedDict[tuple[Any, ...], Any]):
    """The files this process holds open, the one used last at the end."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        atexit.register(self.shut)

    def shut(self) -> None:
        """Close them all."""
        while self:
            self.popitem()[1].close()

    def take(self, root: Root, path: str, opener: Callable[[], Opened]) -> Opened:
        """The open file of a path; a local file that has another size by now is opened anew."""
        key = (root.url, path, None if root.remote else root.size(path))
        if key not in self:
            self[key] = opener()
            if len(self) > self._most:
                self.popitem(last=False)[1].close()
        self.move_to_end(key)
        return self[key]


_tables = _Open(1)
_films = _Open(_VIDEOS)


@contextmanager
def _table(root: Root, path: str) -> Generator[_Table]:
    import pyarrow as pa

    with _LOCK, _reading(root, path):
        try:
            yield _tables.take(root, path, lambda: _Table(open_file(root, path), path))
        except pa.ArrowException as error:
            raise Rejected("unreadable parquet file", _told(path, error)) from None
        except OSError as error:  # so pyarrow tells of pages that do not unpack
            if root.remote or error.errno is not None:
                raise
            raise Rejected("unreadable parquet file", _told(path, error)) from None


@contextmanager
def _film(root: Root, path: str) -> Generator[Film]:
    from av.error import FFmpegError

    with _LOCK, _reading(root, path):
        try:
            yield _films.take(root, path, lambda: Film(open_file(root, path), path))
        except FFmpegError as error:
            raise Rejected("undecodable video", f"{path}: {error.strerror}") from None
        except (OSError, ValueError) as error:  # the demuxer asked for a byte that cannot be
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise
            raise Rejected("undecodable video", f"{path}: its index points nowhere") from None


@contextmanager
def _reading(root: Root, path: str) -> Generator[None]:
    """Say what went wrong with a file in our own errors, as `Root` does."""
    try:
        yield
    except MgdataError:
        raise
    except Exception as error:
        if root.remote:
            raise unreachable(error, root.url) from error
        if not isinstance(error, OSError):
            raise
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error


def _told(path: str, error: Exception) -> str:
    """A library's words on one line, cut: some hold a page of advice."""
    return f"{path}: {' '.join(str(error).split())[:120]}"
