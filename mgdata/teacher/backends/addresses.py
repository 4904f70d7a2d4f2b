"""Where a server finds a picture: in the request itself, or in a folder that it may read."""

from __future__ import annotations

import binascii
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from mgdata.errors import Rejected, StorageError
from mgdata.headers import probe
from mgdata.storage import Store

REMEMBERED = 1 << 26
"""Characters of addresses that are kept: some hundred photos as data."""


class Addresses:
    """URLs of pictures by their SHA-256, the last ones remembered; for one thread at a time."""

    def __init__(self, stored: Callable[[str], bytes], folder: Path | None) -> None:
        self._stored = stored
        self._folder = folder
        self._store = Store(str(folder)) if folder else None
        self._held: OrderedDict[str, str] = OrderedDict()
        self._size = 0

    def __call__(self, sha256: str) -> str:
        """A `data:` URL with the picture's bytes, or `file://` of a copy below the folder.

        A picture is written once, under its hash: what is there is not looked at again.

        Raises:
            Rejected: `image refused`: it cannot be read, or is no picture.
            EnvironmentFailure: the folder cannot be written to.
        """
        if found := self._held.get(sha256):
            self._held.move_to_end(sha256)
            return found
        url = self._made(sha256)
        self._held[sha256] = url
        self._size += len(url)
        while self._size > REMEMBERED and len(self._held) > 1:
            self._size -= len(self._held.popitem(last=False)[1])
        return url

    def _made(self, sha256: str) -> str:
        try:
            data = self._stored(sha256)
            kind = probe(data).format
        except (Rejected, StorageError, OSError, KeyError) as error:
            raise Rejected("image refused", f"{sha256[:16]}: {error}") from error
        if self._store is None or self._folder is None:
            text = binascii.b2a_base64(data, newline=False).decode()
            return f"data:image/{kind};base64,{text}"
        path = f"{sha256[:2]}/{sha256}.{kind}"
        place = self._folder / path
        if not place.exists():
            self._store.write(path, data)
        return place.as_uri()
