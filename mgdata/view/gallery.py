"""Writing a gallery: one folder, published whole.

Same samples, same bytes. A gallery of ours is replaced; any other folder in the way is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from mgdata.errors import StorageError
from mgdata.view.page import Page
from mgdata.view.pictures import Pictures
from mgdata.view.shown import Shown

_GENERATOR = b'<meta name="generator" content="mgdata view">'


def write(
    items: Iterable[Shown],
    out: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    thumbs: int | None = 640,
) -> Path:
    """Write the gallery of `items` into the folder `out` and return its `index.html`.

    `facts` stand under the title, in their order. Images over `thumbs` pixels on the long side are
    scaled down; None keeps every byte. `items` is read once and no more than one item's image
    bytes are held at a time.

    Raises:
        StorageError: `out` exists and is neither empty nor a gallery.
    """
    out = out.absolute()
    _check_replaceable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch,
        ThreadPoolExecutor(4) as pool,
    ):
        made = Path(scratch) / "made"
        pictures, page = Pictures(made / "images", thumbs, pool), Page()
        for shown in items:
            page.add(shown, pictures.add(shown.images))
        text = page.render(title, facts)
        # A file name may hold bytes that are no UTF-8 (lone surrogates): they become references.
        (made / "index.html").write_bytes(text.encode("utf-8", "xmlcharrefreplace"))
        _replace(made, out, Path(scratch) / "before")
    return out / "index.html"


def _check_replaceable(out: Path) -> None:
    if not out.exists():
        return
    names = {entry.name for entry in out.iterdir()} if out.is_dir() else {out.name}
    index = out / "index.html"
    ours = index.is_file() and _GENERATOR in index.read_bytes()[:4096]
    if names and not (ours and names <= {"index.html", "images"}):
        raise StorageError(f"{out} exists and is no gallery: name another folder or remove it")


def _replace(made: Path, out: Path, before: Path) -> None:
    """Move `made` to `out`; what was there goes to `before`, or comes back if the move fails."""
    if not out.exists():
        made.rename(out)
        return
    out.rename(before)
    try:
        made.rename(out)
    except OSError:
        before.rename(out)
        raise
