"""Headers of image files that several items of a corpus show: each file is looked at once.

Knows no layout and no item.
"""

from __future__ import annotations

from mgdata.corpora import clips
from mgdata.errors import MissingFile, OutsideRoot, Rejected, StorageError
from mgdata.headers import Header, header_of
from mgdata.storage import Root


class Looked:
    """The headers of a root's images, remembered, and so is what is wrong with one."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._found: dict[str, Header | Rejected] = {}

    def header(self, path: str) -> Header:
        """The header of one image.

        Raises:
            Rejected: it is missing, leaves the root, cannot be read or is no image; each time
                anew, for each item that shows it.
        """
        if path not in self._found:
            self._found[path] = self._look(path)
        found = self._found[path]
        if isinstance(found, Rejected):
            raise Rejected(found.reason, found.value)
        return found

    def _look(self, path: str) -> Header | Rejected:
        try:
            return header_of(self._root, path)
        except MissingFile:
            return Rejected("missing image", path)
        except OutsideRoot:
            return Rejected(clips.OUTSIDE, path)
        except StorageError as error:  # one item's folder or permissions, not the whole file's
            return Rejected("unreadable file", str(error))
        except Rejected as error:
            return error
