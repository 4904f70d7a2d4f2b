"""The one session of a process with its teacher, and the pictures that it is shown.

A model takes minutes to load, and a stage comes again, round after round: the session stays open
until another teacher is asked for or the engine lets go of its workers.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mgdata import media
from mgdata.data import Image
from mgdata.edits import Codec, render
from mgdata.engine.stage import on_close
from mgdata.errors import EnvironmentFailure
from mgdata.plugins import Backend, Session
from mgdata.storage import Root

REMEMBERED = 256 << 20
"""Bytes of pictures that are kept for requests to come: neighbours share images."""

_kept: list[Desk] = []
# A worker may be closed by another thread, even while it loads the model.
_lock = threading.RLock()


class Desk:
    """A teacher's place in this process: the pictures it is shown, the model once it is needed."""

    def __init__(self, backend: Backend, roots: Mapping[str, Root], codec: Codec) -> None:
        self.key = (type(backend), backend, dict(roots), codec)
        self.pictures = Pictures(roots, codec)
        self._backend = backend
        self._session: Session | None = None

    def session(self) -> Session:
        """The one session, opened now if it was not; raises as `Backend.open`."""
        with _lock:
            if self._session is None:
                self._session = self._backend.open(self.pictures)
            return self._session

    def close(self) -> None:
        """Close the session, if it is open."""
        if self._session is not None:
            self._session.close()
            self._session = None


@contextmanager
def desk(backend: Backend, roots: Mapping[str, Root], codec: Codec) -> Generator[Desk]:
    """The desk of a teacher, new or found as it was left.

    It stays when the block ends, unless by an error: what state the session is in is then unknown.
    """
    new = Desk(backend, roots, codec)
    with _lock:
        if not (_kept and _kept[0].key == new.key):
            let_go()
            _kept.append(new)
        found = _kept[0]
    try:
        yield found
    except BaseException:
        let_go()
        raise


def let_go() -> None:
    """Close the session, if one is open."""
    with _lock:
        while _kept:
            _kept.pop().close()


on_close(let_go)


class Pictures:
    """Encoded bytes of images as the release has them, by SHA-256. May be asked by any thread."""

    def __init__(self, roots: Mapping[str, Root], codec: Codec) -> None:
        self._roots, self._codec = roots, codec
        self._lock = threading.Lock()
        self._images: dict[str, Image] = {}
        self._names: dict[tuple[str, Any], str] = {}
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def names(self, images: Sequence[Image]) -> list[str]:
        """The SHA-256 of each image's bytes; an edited one is rendered for it."""
        return [self._name(image) for image in images]

    def __call__(self, name: str) -> bytes:
        """The bytes of an image that `names` has named."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
            image = self._images[name]
        data = self._bytes(image)
        if hashlib.sha256(data).hexdigest() != name:
            raise EnvironmentFailure(
                f"{image.uri} changed since it was measured: use a fresh --out"
            )
        self._keep(name, data)
        return data

    def _name(self, image: Image) -> str:
        key = (image.uri, image.edits)
        with self._lock:
            found = self._names.get(key)
        if found is None:
            found = str(image.sha256)
            if image.edits:
                data = self._bytes(image)
                found = hashlib.sha256(data).hexdigest()
                self._keep(found, data)
            with self._lock:
                self._names[key], self._images[found] = found, image
        return found

    def _bytes(self, image: Image) -> bytes:
        corpus, _, path = image.uri.partition(":")
        data = media.read(self._roots[corpus], path)
        return render(data, image, self._codec) if image.edits else data

    def _keep(self, name: str, data: bytes) -> None:
        with self._lock:
            if name not in self._kept:
                self._kept[name] = data
                self._size += len(data)
            while self._size > REMEMBERED and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1])
