"""Encoded bytes of images by their SHA-256, the last ones remembered: neighbours share images.

Knows not where an image lies: it is given what reads one.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from mgdata.data import Image
from mgdata.errors import EnvironmentFailure

REMEMBERED = 256 << 20
"""Bytes that are kept for requests to come."""


class Remembered:
    """Pictures by content. May be asked by any thread.

    Args:
        read: Gives the bytes of an image, its edits made.
        way_out: What to do where a file has changed since it was named.
    """

    def __init__(self, read: Callable[[Image], bytes], way_out: str) -> None:
        self._read, self._way_out = read, way_out
        self._lock = threading.Lock()
        self._images: dict[str, Image] = {}
        self._names: dict[tuple[str, Any], str] = {}
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def names(self, images: Sequence[Image]) -> list[str]:
        """The SHA-256 of each image's bytes; one that was not measured, or is edited, is read."""
        return [self._name(image) for image in images]

    def __call__(self, name: str) -> bytes:
        """The bytes of an image that `names` has named.

        Raises:
            EnvironmentFailure: its file has changed since.
        """
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
            image = self._images[name]
        data = self._read(image)
        if hashlib.sha256(data).hexdigest() != name:
            raise EnvironmentFailure(f"{image.uri} changed since it was measured: {self._way_out}")
        self._keep(name, data)
        return data

    def _name(self, image: Image) -> str:
        key = (image.uri, image.edits)
        with self._lock:
            found = self._names.get(key)
        if found is None:
            found = "" if image.edits else image.sha256
            if not found:
                data = self._read(image)
                found = hashlib.sha256(data).hexdigest()
                self._keep(found, data)
            with self._lock:
                self._names[key] = found
                self._images.setdefault(found, image)
        return found

    def _keep(self, name: str, data: bytes) -> None:
        with self._lock:
            if name not in self._kept:
                self._kept[name] = data
                self._size += len(data)
            while self._size > REMEMBERED and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1])
