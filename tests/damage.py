"""Tiny GOT-10k clips, and every way in which tests damage one."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image as Picture

WIDTH, HEIGHT = 128, 96
FRAMES = 6
BOX = (40, 20, 36, 28)
"""x, y, width, height from 0, in stored pixels: a bright patch on dark noise."""
RECIPE = """\
name: damaged
seed: 3
corpora: {got10k: {}}
tasks:
  object_tracking:
    samples: SAMPLES
    with: {frames: [6, 6], given: coordinates, turns: all, asked: 5}
limits: {rejected: 1.0}
"""


def pixels(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    picture = rng.integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    x, y, w, h = BOX
    picture[y : y + h, x : x + w] = (40, 230, 40)
    return picture


def encoded(picture: Picture.Image, kind: str = "jpeg", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, format=kind, **options)
    return out.getvalue()


def jpeg(number: int, **options: object) -> bytes:
    return encoded(Picture.fromarray(pixels(number)), quality=92, **options)


def write_clip(root: Path, name: str) -> Path:
    folder = root / "train" / name
    folder.mkdir(parents=True)
    x, y, w, h = BOX
    for number in range(1, FRAMES + 1):
        (folder / f"{number:08d}.jpg").write_bytes(jpeg(number))
    (folder / "groundtruth.txt").write_text(f"{x + 1},{y + 1},{w},{h}\n" * FRAMES)
    (folder / "absence.label").write_text("0\n" * FRAMES)
    (folder / "cover.label").write_text("8\n" * FRAMES)
    (folder / "meta_info.ini").write_text("[METAINFO]\nobject_class: lamp\n")
    return folder


# Each of these damages one clip.


def lines(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    file = folder / "groundtruth.txt"
    file.write_text("\n".join(change(file.read_text().splitlines())) + "\n")


def line(folder: Path, text: str) -> None:
    lines(folder, lambda found: [*found[:2], text, *found[3:]])


def frames(folder: Path, make: Callable[[int, bytes], bytes], first: int = 2) -> None:
    """Another content for every frame from `first` on."""
    for number in range(first, FRAMES + 1):
        file = folder / f"{number:08d}.jpg"
        file.write_bytes(make(number, file.read_bytes()))


def renamed(folder: Path, suffix: str, make: Callable[[int], bytes]) -> None:
    for number in range(1, FRAMES + 1):
        file = folder / f"{number:08d}.jpg"
        file.unlink()
        file.with_suffix(suffix).write_bytes(make(number))


def out_of_the_root(folder: Path) -> None:
    elsewhere = folder.parent.parent.with_name("elsewhere")
    shutil.move(folder, elsewhere)
    folder.symlink_to(elsewhere)


def frame_out_of_the_root(folder: Path) -> None:
    file = folder / "00000002.jpg"
    elsewhere = folder.parent.parent.with_name("secret.jpg")
    shutil.move(file, elsewhere)
    file.symlink_to(elsewhere)


UNUSED = "a record that no group takes"


@dataclass(frozen=True)
class Case:
    damage: Callable[[Path], object]
    reason: str | None
    """The reason of its drop, `UNUSED`, or None where the clip gives its sample."""
    image: bool = False
    """Found when a chosen image is measured: the reason is the image's, the sample goes with it."""
    counted: dict[str, int] = field(default_factory=dict)


def gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


CASES = {
    # annotation files
    "no-annotation": Case(gone("groundtruth.txt"), "missing annotation"),
    "no-absence": Case(gone("absence.label"), "missing annotation"),
    "no-meta": Case(gone("meta_info.ini"), "missing annotation"),
    "line-missing": Case(lambda f: lines(f, lambda x: x[:-1]), "annotation lines differ from frames"),
    "frame-missing": Case(gone("00000004.jpg"), "annotation lines differ from frames"),
    "first-only": Case(lambda f: lines(f, lambda x: x[:1]), "annotated in the first frame only"),
    "no-number": Case(lambda f: line(f, "1,2,x,4"), "malformed annotation line"),
    "three-numbers": Case(lambda f: line(f, "1,2,3"), "malformed annotation line"),
    "latin-1": Case(lambda f: (f / "meta_info.ini").write_bytes(b"object_class: caf\xe9\n"), "text is not UTF-8"),
    "latin-1-boxes": Case(lambda f: (f / "groundtruth.txt").write_bytes(b"1,2,3,4\n\xb5\n"), "text is not UTF-8"),
    "clip-missing": Case(shutil.rmtree, "listed but missing"),
    "no-frames": Case(lambda f: [x.unlink() for x in f.glob("*.jpg")], "no frames"),
    "link-out": Case(out_of_the_root, "path leaves the corpus root"),
    # boxes: the region is left out and counted; five frames of six are too few for these samples
    "nan-box": Case(lambda f: line(f, "nan,21,30,20"), UNUSED, counted={"nan box": 1}),
    "infinite-box": Case(lambda f: line(f, "inf,21,30,20"), UNUSED, counted={"nan box": 1}),
    "inverted-box": Case(lambda f: line(f, "60,40,-30,-20"), UNUSED, counted={"inverted box": 1}),
    "zero-box": Case(lambda f: line(f, "11,21,0,20"), UNUSED, counted={"zero box": 1}),
    "box-outside": Case(lambda f: line(f, "500,21,30,20"), UNUSED, counted={"box outside the image": 1}),
    "box-clipped": Case(lambda f: line(f, "100,21,300,20"), None, counted={"clipped boxes": 1}),
    # a clip takes its size from its first frame
    "first-frame-empty": Case(lambda f: frames(f, lambda n, d: b"" if n == 1 else d, 1), "empty image"),
    "first-frame-text": Case(lambda f: frames(f, lambda n, d: b"no picture" * 9 if n == 1 else d, 1), "unreadable image"),
    # later frames are opened when they are chosen
    "truncated": Case(lambda f: frames(f, lambda n, d: d[: len(d) // 2]), "truncated image", image=True),
    "corrupt": Case(lambda f: frames(f, lambda n, d: d[:900] + bytes(600) + d[1500:]), "corrupt image", image=True),
    "empty": Case(lambda f: frames(f, lambda n, d: b""), "empty image", image=True),
    "text": Case(lambda f: frames(f, lambda n, d: b"<html>404 not found</html>" * 40), "unreadable image", image=True),
    "other-size": Case(lambda f: frames(f, lambda n, d: encoded(Picture.new("RGB", (64, 48)))), "size differs from the record", image=True),
    "other-turn": Case(lambda f: frames(f, lambda n, d: jpeg(n, exif=turned(6))), "orientation differs from the record", image=True),
    "bomb": Case(lambda f: frames(f, lambda n, d: encoded(Picture.new("1", (20000, 20000)), "png")), "image too large", image=True),
    "frame-link-out": Case(frame_out_of_the_root, "unreadable file", image=True),
    # sound, and converted where they must be
    "sound": Case(lambda f: None, None),
    "png-called-jpg": Case(lambda f: frames(f, lambda n, d: encoded(Picture.fromarray(pixels(n)), "png"), 1), None),
    "rotated": Case(lambda f: frames(f, lambda n, d: jpeg(n, exif=turned(6)), 1), None, counted={"turned upright": 6}),
    "cmyk": Case(lambda f: frames(f, lambda n, d: encoded(Picture.fromarray(pixels(n)).convert("CMYK"), quality=92), 1), None, counted={"converted: cmyk": 6}),
    "grey": Case(lambda f: frames(f, lambda n, d: encoded(Picture.fromarray(pixels(n)).convert("L"), quality=92), 1), None, counted={"converted: greyscale": 6}),
    "palette": Case(lambda f: renamed(f, ".png", lambda n: encoded(Picture.fromarray(pixels(n)).quantize(64), "png")), None, counted={"converted: palette": 6}),
    "sixteen-bit": Case(lambda f: renamed(f, ".png", sixteen_bit), None, counted={"converted: 16-bit": 6}),
    "webp": Case(lambda f: renamed(f, ".webp", lambda n: encoded(Picture.fromarray(pixels(n)), "webp", quality=92)), None, counted={"converted: webp": 6}),
}  # fmt: skip
LISTED = {
    # list.txt may name anything
    "../../etc": "path leaves the corpus root",
    "/etc": "path leaves the corpus root",
    "a/../../b": "path leaves the corpus root",
}


def turned(orientation: int) -> Picture.Exif:
    exif = Picture.Exif()
    exif[0x0112] = orientation
    return exif


def sixteen_bit(number: int) -> bytes:
    grey = np.asarray(Picture.fromarray(pixels(number)).convert("L")).astype(np.uint16) * 257
    return encoded(Picture.fromarray(grey), "png")
