"""The image files of a gallery: each distinct image once, small enough to look at.

Knows bytes and sizes, nothing of samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

from mgdata.errors import Rejected
from mgdata.view.shown import Picture

_SIGNATURES = ((b"\xff\xd8\xff", "jpg"), (b"\x89PNG\r\n\x1a\n", "png"), (b"GIF8", "gif"))


class Pictures:
    """Writes images into a folder and remembers which are there."""

    def __init__(self, folder: Path, thumbs: int | None, pool: Executor) -> None:
        """`pool` scales the pictures of one sample side by side: libjpeg frees the lock."""
        self.folder = folder
        self.thumbs = thumbs
        self._pool = pool
        self._names: dict[str, str | None] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, pictures: Sequence[Picture]) -> list[str | None]:
        """File names of `pictures`; None for one that has no bytes or whose bytes do not decode.

        Bytes that a browser shows and that are small enough are written untouched. A picture over
        `thumbs` pixels on its long side, or of another format, becomes a JPEG of that size.
        """
        keys = [_key(picture) for picture in pictures]
        fresh = {
            key: picture
            for key, picture in zip(keys, pictures, strict=True)
            if key is not None and key not in self._names
        }
        names = self._pool.map(self._write, fresh.keys(), fresh.values())
        self._names.update(zip(fresh, names, strict=True))
        return [None if key is None else self._names[key] for key in keys]

    def _write(self, key: str, picture: Picture) -> str | None:
        data, longest = picture.data or b"", max(picture.width, picture.height)
        kind = browser_format(data)
        if kind is None or (self.thumbs is not None and longest > self.thumbs):
            small = _thumbnail(data, self.thumbs or longest)
            if small is None:
                return None
            kind, data = "jpg", small
        name = f"{key}.{kind}"
        (self.folder / name).write_bytes(data)
        return name


def _key(picture: Picture) -> str | None:
    return None if picture.data is None else hashlib.sha256(picture.data).hexdigest()[:16]


def browser_format(data: bytes) -> str | None:
    """File ending of an encoding that every browser shows; None for others."""
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    return "webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def _thumbnail(data: bytes, size: int) -> bytes | None:
    from mgdata.edits import thumbnail  # loads cv2, which a gallery of small pictures never needs

    try:
        return thumbnail(data, size)
    except Rejected:
        return None
