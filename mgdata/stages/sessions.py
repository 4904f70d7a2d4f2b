"""The one session of a process with its teacher, and the pictures that it is shown.

A model takes minutes to load, and a stage comes again, round after round: the session stays open
until another teacher is asked for or the engine lets go of its workers.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from mgdata import media
from mgdata.data import Image
from mgdata.edits import Codec, render
from mgdata.engine.stage import on_close
from mgdata.plugins import Backend, Session
from mgdata.remembered import Remembered
from mgdata.storage import Root

_kept: list[Desk] = []
# A worker may be closed by another thread, even while it loads the model.
_lock = threading.RLock()


class Desk:
    """A teacher's place in this process: the pictures it is shown, the model once it is needed."""

    def __init__(self, backend: Backend, roots: Mapping[str, Root], codec: Codec) -> None:
        self.key = (type(backend), backend, dict(roots), codec)
        self.pictures = pictures_of(roots, codec)
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


def pictures_of(roots: Mapping[str, Root], codec: Codec) -> Remembered:
    """Images as the release has them."""

    def read(image: Image) -> bytes:
        corpus, _, path = image.uri.partition(":")
        data = media.read(roots[corpus], path)
        return render(data, image, codec) if image.edits else data

    return Remembered(read, "use a fresh --out")


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
