"""Checking a release on its own: every row group of every file, one at a time.

Reads nothing but the release folder, so that whoever downloads one can check it. Memory holds one
row group, and eight bytes for each id, picture and record. What is asked of a row is in `faults`.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from mgdata import registry
from mgdata.data import Flow
from mgdata.errors import StorageError, UsageError
from mgdata.identity import content_id
from mgdata.notations import settings_in
from mgdata.plugins import Notation
from mgdata.release.faults import KINDS, Fault, Faults, Part, Picture, look, row_faults
from mgdata.release.footers import look_at
from mgdata.release.rows import Row
from mgdata.storage import Root, Store, filesystem

ROW_GROUP_LIMIT = 250_000_000
"""Most decoded bytes a row group; the Hub's viewer fails from 300,000,000 on."""

_NAME = re.compile(r"data/([^/]+)/([^/]+)-(\d{5})-of-(\d{5})\.parquet")
_BESIDE = frozenset(("README.md", "statistics.png", ".gitattributes"))
_BYTES = "images.list.element.bytes"


class Verdict(Flow, frozen=True):
    """What a check found."""

    rows: int
    """Rows read."""
    files: int
    """Parquet files read."""
    images: int
    """Pictures decoded: the distinct ones of each file."""
    faults: tuple[Fault, ...]
    """The first of each kind, in the order they were found."""
    counts: dict[str, int]
    """All faults, by kind."""


def check(release: Store | str | Path) -> Verdict:
    """Check a release, given its folder or the run's.

    Raises:
        UsageError: there is no release in that folder.
    """
    root = release if isinstance(release, Root) else Root(str(release))
    if not root.exists("data") and root.exists("release/data"):
        root = Root(f"{root.url}/release")
    if not root.exists("data"):
        raise UsageError(f"{root.url} holds no release: expected a folder data/ in it")
    checker = _Checker(root)
    checker.files()
    checker.splits()
    return Verdict(
        rows=sum(checker.rows.values()),
        files=checker.read,
        images=checker.images,
        faults=tuple(checker.faults.kept),
        counts=dict(sorted(checker.faults.counts.items())),
    )


def lines(verdict: Verdict) -> list[str]:
    """The verdict for a terminal."""
    read = f"{verdict.files:,} files, {verdict.rows:,} rows, {verdict.images:,} pictures"
    if not verdict.counts:
        return [f"{read}: no fault"]
    shown = [f"{read}: {sum(verdict.counts.values()):,} faults"]
    for kind, count in verdict.counts.items():
        shown.append(f"{kind}: {count:,} ({KINDS[kind]})")
        found = [fault for fault in verdict.faults if fault.kind == kind]
        shown += [f"    {_where(fault)}{fault.what}" for fault in found]
        if count > len(found):
            shown.append(f"    and {count - len(found):,} more")
    return shown


def _where(fault: Fault) -> str:
    row = "" if fault.row is None else f" row {fault.row}"
    id_ = f" ({fault.id})" if fault.id else ""
    return f"{fault.file}{row}{id_}: " if fault.file else ""


class _Places:
    """Keys of eight bytes and where each stands, for questions over all files."""

    def __init__(self) -> None:
        self._keys = array("Q")
        self._files = array("I")
        self._rows = array("I")

    def add(self, key: str, file: int, row: int) -> None:
        """`key` begins with sixteen hex digits."""
        self._keys.append(int(key[:16], 16))
        self._files.append(file)
        self._rows.append(row)

    def keys(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """All keys, in the order they were added."""
        return np.frombuffer(self._keys, np.uint64) if self._keys else np.zeros(0, np.uint64)

    def at(self, index: int) -> tuple[int, int]:
        """File number and row of one key."""
        return self._files[index], self._rows[index]


class _Checker:
    """One pass over a release's files, then questions over all of them."""

    def __init__(self, root: Root) -> None:
        self.faults = Faults()
        self.rows: Counter[Part] = Counter()
        self.read = 0
        self.images = 0
        self._root = root
        self._names: list[str] = []
        self._kinds: dict[str, tuple[type[Row], str]] = {}
        """What the rows of each configuration are, and the first file that says so."""
        self._torn: set[Part] = set()
        """Parts of which some rows could not be read: asking for their totals says nothing new."""
        self._ids: defaultdict[str, _Places] = defaultdict(_Places)
        self._orders: defaultdict[Part, array[int]] = defaultdict(lambda: array("q"))
        self._pictures: defaultdict[str, _Places] = defaultdict(_Places)
        self._records: defaultdict[str, _Places] = defaultdict(_Places)

    def files(self) -> None:
        """Every file, in order of its name."""
        numbered: defaultdict[tuple[Part, int], set[int]] = defaultdict(set)
        for name in _walk(self._root):
            match = _NAME.fullmatch(name)
            if match and int(match[3]) < int(match[4]):
                numbered[(match[1], match[2]), int(match[4])].add(int(match[3]))
            elif name not in _BESIDE:
                self.faults.add("stray file", name, "is not part of a release")
        for (part, total), numbers in sorted(numbered.items()):
            if len([0 for other, _ in numbered if other == part]) > 1:
                self.faults.add("stray file", "", f"{part[0]}/{part[1]} is there in two numberings")
                self._torn.add(part)
            for number in range(total):
                name = f"data/{part[0]}/{part[1]}-{number:05d}-of-{total:05d}.parquet"
                if number in numbers:
                    self._file(name, part)
                else:
                    self.faults.add("missing file", name, "is not there")
                    self._torn.add(part)

    def _file(self, name: str, part: Part) -> None:
        self.read += 1
        self._names.append(name)
        try:
            with _opened(self._root, name) as source:
                file = pq.ParquetFile(source, read_dictionary=[_BYTES])
                if kind := self._shape(name, part[0], file.metadata):
                    self._groups(name, part, file, kind)
                else:
                    self._torn.add(part)
        except (pa.ArrowException, OSError, StorageError) as error:
            self.faults.add("unreadable file", name, " ".join(str(error).split())[:200])
            self._torn.add(part)

    def _shape(self, name: str, config: str, metadata: pq.FileMetaData) -> type[Row] | None:
        """Look at a file's footer; what its rows are, where they can be read."""
        kind, found = look_at(metadata)
        for fault, what in found:
            self.faults.add(fault, name, what)
        first, file = self._kinds.setdefault(config, (kind, name)) if kind else (None, "")
        if kind is not first:
            what = f"holds another kind of rows than {file}, of the same configuration"
            self.faults.add("mixed rows", name, what)
        return kind

    def _groups(self, name: str, part: Part, file: pq.ParquetFile, kind: type[Row]) -> None:
        known: dict[str, Picture] = {}
        seen: set[str] = set()
        first = 0
        for number in range(file.metadata.num_row_groups):
            rows = file.metadata.row_group(number).num_rows
            if file.metadata.row_group(number).total_byte_size > 2 * ROW_GROUP_LIMIT:
                self.faults.add("row group size", name, f"row group {number} was not read")
                self._torn.add(part)
            else:
                table = file.read_row_group(number)
                size = self._rows(name, part, table, kind, first, known, seen)
                if size > ROW_GROUP_LIMIT:
                    what = f"row group {number} decodes to {size:,} bytes"
                    self.faults.add("row group size", name, what)
            first += rows
        self.images += len(known)

    def _rows(self, name: str, part: Part, table: pa.Table, kind: type[Row], first: int,
              known: dict[str, Picture], seen: set[str]) -> int:  # fmt: skip
        """Check one row group; returns its decoded image bytes."""
        table, data = _without_bytes(table)
        file, size = len(self._names) - 1, 0
        pictures: list[Picture] = []
        for item in data:
            picture = look(item, known)
            known[picture.sha256] = picture
            pictures.append(picture)
        for at, raw in enumerate(table.to_pylist(), first):
            indices = [image["bytes"] for image in raw["images"] or ()]
            mine = [pictures[i] for i in indices if i is not None]
            size += sum(picture.bytes for picture in mine)
            for image, i in zip(raw["images"] or (), indices, strict=True):
                image["bytes"] = None if i is None else data[i]
            try:
                row = msgspec.convert(raw, kind)
            except msgspec.ValidationError as error:
                self.faults.add("row type", name, str(error), row=at, id=str(raw["id"] or ""))
                self._torn.add(part)
                continue
            self.rows[part] += 1
            for fault, what in row_faults(row, part, mine, _notation):
                self.faults.add(fault, name, what, row=at, id=row.id)
            self._ids[part[0]].add(content_id(row.id), file, at)
            self._orders[part].append(row.order)
            for places, keys in (
                (self._pictures, (picture.sha256 for picture in mine)),
                (self._records, (content_id(key) for key in row.records)),
            ):
                for key in keys:
                    if key not in seen:
                        seen.add(key)
                        places[part[1]].add(key, file, at)
        return size

    def splits(self) -> None:
        """What must hold over all files of a configuration, a split, or the release."""
        for config, places in sorted(self._ids.items()):
            for index in _repeated(places.keys()):
                self._add_at("duplicate id", places, index, f"the id is twice in {config}")
        for part, order in sorted(self._orders.items()):
            found = np.sort(np.frombuffer(order, np.int64))
            wrong = np.flatnonzero(found != np.arange(len(found)))
            if len(wrong) and part not in self._torn:
                what = f"order of {part[0]}/{part[1]} is not 0 to {len(found) - 1}, each once"
                self.faults.add("order", "", f"{what}: {found[wrong[0]]} at place {wrong[0]}")
        self._shared("shared picture", self._pictures)
        self._shared("shared record", self._records)
        self._card()

    def _shared(self, kind: str, by_split: dict[str, _Places]) -> None:
        names = sorted(by_split)
        unique = {name: np.unique(by_split[name].keys()) for name in names}
        for i, one in enumerate(names):
            for other in names[i + 1 :]:
                both = np.intersect1d(unique[one], unique[other], assume_unique=True)
                keys = by_split[one].keys()
                for index in np.flatnonzero(np.isin(keys, both)):
                    what = f"a {kind.partition(' ')[2]} is also in split {other}"
                    self._add_at(kind, by_split[one], int(index), what)

    def _add_at(self, kind: str, places: _Places, index: int, what: str) -> None:
        file, row = places.at(index)
        self.faults.add(kind, self._names[file], what, row=row)

    def _card(self) -> None:
        try:
            front = _front_matter(self._root)
            stated: dict[Part, int] = {
                (info["config_name"], split["name"]): split["num_examples"]
                for info in front["dataset_info"]
                for split in info["splits"]
            }
        except (StorageError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
            self.faults.add("no card", "README.md", " ".join(str(error).split())[:200])
            return
        for part in sorted(set(stated) | set(self.rows)):
            if part not in self._torn and stated.get(part) != self.rows.get(part):
                what = f"{part[0]}/{part[1]} has {stated.get(part)} rows, its files"
                self.faults.add("card", "README.md", f"{what} {self.rows.get(part)}")


def _walk(root: Root) -> list[str]:
    return Store(root.url).walk()


def _opened(root: Root, name: str) -> AbstractContextManager[BinaryIO]:
    if root.remote:
        return filesystem(root.url).open(f"{root.url}/{name}", "rb")
    return (Path(root.url) / name).open("rb")


@cache
def _notation(name: str, frame: str) -> Notation:
    return registry.make("notations", name, settings_in(frame), "the release")


def _front_matter(root: Root) -> Any:
    parts = root.read("README.md").decode().split("---\n", 2)
    if len(parts) != 3 or parts[0]:
        raise ValueError("it does not begin with front matter")
    return yaml.safe_load(parts[1])


def _without_bytes(table: pa.Table) -> tuple[pa.Table, Sequence[bytes]]:
    """The table with each image's bytes replaced by its number, and the distinct bytes."""
    at = table.schema.get_field_index("images")
    lists = table.column(at).combine_chunks()
    pictures = lists.values
    encoded = pictures.field("bytes")
    numbers = pa.StructArray.from_arrays(
        [encoded.indices, pictures.field("path")], names=["bytes", "path"]
    )
    mask = lists.is_null() if lists.null_count else None
    column = pa.ListArray.from_arrays(lists.offsets, numbers, mask=mask)
    return table.set_column(at, "images", column), encoded.dictionary.to_pylist()


def _repeated(keys: np.ndarray[Any, Any]) -> Iterator[int]:
    """Places of every key that was there before."""
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(keys[order][1:] == keys[order][:-1]) + 1
    yield from sorted(order[again].tolist())
