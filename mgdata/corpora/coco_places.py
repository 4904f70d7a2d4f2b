"""Where the images of a COCO-style file lie: every copy has its own idea of that.

The file name of an entry, or its URL's last two parts, or less of it, below one of a few folders.
Folders are listed once; no file is asked for by name. It knows no annotation.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from mgdata.corpora.coco_table import Picture
from mgdata.errors import OutsideRoot, Rejected
from mgdata.storage import Root

_SPLIT = re.compile(r"(train|val|test|minival|trainval)(20\d\d)?(?![a-z])")


class Places:
    """Finds images below the folders that an annotation file's name suggests, or those given."""

    def __init__(self, root: Root, annotations: str, folders: Sequence[str]) -> None:
        self._root = root
        self._folders = [f.strip("/") for f in folders] or _likely(root, annotations)
        self._names: dict[str, frozenset[str]] = {}
        self._last = (0, 0)

    def find(self, picture: Picture) -> str:
        """Path of the image below the root.

        Raises:
            Rejected: `missing image`, or `path leaves the corpus root`.
        """
        names = _candidates(picture)
        # What was right for the image before is right for this one, nearly always.
        folder, way = self._last
        if way < len(names) and self._there(
            path := posixpath.join(self._folders[folder], names[way])
        ):
            return path
        for folder, base in enumerate(self._folders):
            for way, name in enumerate(names):
                if self._there(path := posixpath.join(base, name)):
                    self._last = (folder, way)
                    return path
        raise Rejected("missing image", names[0] if names else "no file_name and no coco_url")

    def _there(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(self._root.list(folder))
            except OutsideRoot:
                self._names[folder] = frozenset()
        return name in self._names[folder]


def _candidates(picture: Picture) -> list[str]:
    """What the file may be called below a folder, the likeliest first; a place in it is a way."""
    names = list(_spelled(picture.file_name or ""))
    if picture.coco_url:
        names += _spelled("/".join(picture.coco_url.split("/")[-2:]))
    for name in names:
        if any(step in ("", ".", "..") for step in name.split("/")) or "\0" in name:
            raise Rejected("path leaves the corpus root", name)
    return names


def _spelled(name: str) -> Iterator[str]:
    """The name, and with all folders but one left out, and with none."""
    if name:
        steps = name.replace("\\", "/").split("/")
        yield "/".join(steps)
        if len(steps) > 2:
            yield "/".join(steps[-2:])
        if len(steps) > 1:
            yield steps[-1]


def _likely(root: Root, annotations: str) -> list[str]:
    """Folders to look in, the likeliest first."""
    found = list(_SPLIT.finditer(posixpath.basename(annotations).lower()))
    splits = [found[-1][0], found[-1][1]] if found else []
    folders = [*splits, "", *(f"images/{split}" for split in splits), "images"]
    folders += [f"{split}/images" for split in splits]
    # A folder given away by no name: all there are, in order.
    folders += [name for name in root.list() if "." not in name]
    return list(dict.fromkeys(folders))
