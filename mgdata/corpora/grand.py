"""GranD: SA-1B photos with dense, machine-made objects and phrases, one JSON an image.

    ROOT/annotations/sa_<n>.json    {"sa_<n>.jpg": {objects, floating_objects, ...}}
    ROOT/images/sa_<n>.jpg          the SA-1B photo; either folder may have one level of folders
                                    (annotations/part_1/sa_<n>.json goes with images/part_1/ or
                                    images/)

After groundingLMM's preparation scripts and sample files. An object has `bbox` (x1, y1, x2, y2 in
pixels), `labels` (what several detectors and taggers called it, best first), `attributes` (phrases
of two captioners: a list, one string or null), mostly a `score`, and a `segmentation` in COCO's
RLE. Nobody looked at any of it, and it shows:

- Attributes keep rests of a prompt (`Assistant: `, `istant: `), are sentences ("the chair is red")
  or speak of something else than the labels ("beach umbrella" for a balloon). See `phrases`.
- Labels are LVIS names (`car_(automobile)`): underscores become spaces, the bracket goes. Where a
  box has several, the others are listed once an image as regions to be ignored: they may be there.
- `floating_objects`, which only one detector saw, have no phrases; most repeat an object. They are
  regions to be ignored unless `floating` says otherwise.
- One object comes several times with nearly the same box; see `same`.
- A box reaches a few pixels over the edge: it is cut.

Image sizes come from the files. Where every mask is of another size, the photo was scaled after it
was annotated and the record is dropped; one such mask among others loses its object only.
Captions, relationships and affordances are not read. SA-1B has a licence of its own, for research,
and GranD's terms were not found: `unknown`.
"""

from __future__ import annotations

import math
import posixpath
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal, NamedTuple

from mgdata.corpora import clips, phrases
from mgdata.corpora.grand_scene import Scene, Thing, mask_size, read
from mgdata.data import ALL, Drop, Image, Record, Region, Shape
from mgdata.errors import MissingFile, OutsideRoot, Rejected, StorageError
from mgdata.geometry import Box, clip, upright, valid
from mgdata.headers import Header, header_of
from mgdata.plugins import Corpus
from mgdata.storage import Root

VAGUE = (
    "air", "area", "atmosphere", "background", "city", "daytime", "environment", "foreground",
    "image", "landscape", "night", "photo", "picture", "scene", "scenery", "shadow", "view",
)  # fmt: skip
"""Labels that name no thing with an edge."""


class _Found(NamedTuple):
    """One object that is a box in the image."""

    box: Box
    clipped: bool
    labels: list[str]
    """What it may be; the first is what it is called."""
    phrase: str | None
    score: float
    ignore: bool


@dataclass(frozen=True, kw_only=True)
class Grand(Corpus):
    """Reads GranD: a record is one photo, its key `<name>/<path of its JSON without the ending>`.

    A region's label is the object's head label, its phrase an attribute that is fit to name it.
    Objects without a box in the image or without a label are skipped and counted.
    """

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://github.com/mbzuai-oryx/groundingLMM"
    layout: ClassVar[str] = "annotations/[<folder>/]sa_<n>.json\nimages/[<folder>/]sa_<n>.jpg"
    shape: ClassVar[Shape] = "image"

    annotations: str = "annotations"
    """Folder of the JSON files."""
    images: str = "images"
    """Folder of the photos."""
    files: int = 2000
    """JSON files a part: a second or two of one core."""
    head: Literal["named", "first", "specific"] = "named"
    """Which of an object's labels is its label: the one its phrase names (else the first), the
    first, or the one of most words."""
    agreeing: bool = True
    """Take a phrase only where what it names is one of the object's labels."""
    words: tuple[int, int] = (2, 15)
    """Words of a phrase, at least and at most."""
    min_score: float = 0.3
    """Objects of a lower score are regions to be ignored; those without a score are kept."""
    floating: Literal["ignore", "use"] = "ignore"
    """`use` takes floating objects for objects."""
    same: float = 0.9
    """IoU beyond which two boxes are one object: the better of them stays, with a phrase if one
    has it; another is left out and counted, or ignored where it is called something else."""
    vague: tuple[str, ...] = VAGUE
    """Labels whose regions are ignored."""
    dense: bool = False
    """Take every class for completely annotated, so that what is not annotated is known absent.

    This is an assumption, the one that random groups from this corpus rest on, and not a fact: no
    person looked, and what no detector found may well be there.
    """

    def parts(self) -> list[str]:
        """`<folder>/<first file>..<last file>` for every `files` of them, by name."""
        _listing.cache_clear()
        found: list[str] = []
        files, folders = _listing(self.root, self.annotations)
        for folder in [self.annotations] * bool(files) + folders:
            names, _ = _listing(self.root, folder)
            for start in range(0, len(names), self.files):
                some = names[start : start + self.files]
                found.append(f"{folder}/{some[0]}..{some[-1]}")
        if not found:
            raise clips.wrong_layout(self, f"{self.annotations}/sa_<n>.json")
        return found

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The record of each file of a part, or its drop."""
        folder, _, ends = part.rpartition("/")
        first, _, last = ends.partition("..")
        names, _ = _listing(self.root, folder)
        for name in names[bisect_left(names, first) : bisect_right(names, last)]:
            key = f"{folder}/{name}".removeprefix(f"{self.annotations}/").removesuffix(".json")
            try:
                yield self._read(key, f"{folder}/{name}")
            except Rejected as error:
                yield self.drop(key, error.reason, error.value)
            except OutsideRoot as error:
                yield self.drop(key, clips.OUTSIDE, error.path)
            except StorageError as error:
                yield self.drop(key, "unreadable file", str(error))

    def _read(self, key: str, path: str) -> Record:
        skipped: Counter[str] = Counter()
        name, scene = read(self.root.read(path), path, skipped)
        place, header = self._photo(posixpath.dirname(key), name)
        width, height = header.upright
        regions = self._regions(scene, header, skipped)
        return Record(
            key=f"{self.name}/{key}",
            shape=self.shape,
            unit=posixpath.splitext(name)[0],
            images=(
                Image(
                    uri=self.uri(place),
                    width=width,
                    height=height,
                    orientation=header.orientation,
                    format=header.format,
                ),
            ),
            regions=tuple(regions),
            license=self.license,
            exhaustive=(ALL,) if self.dense else (),
            skipped=dict(sorted(skipped.items())),
        )

    def _photo(self, folder: str, name: str) -> tuple[str, Header]:
        """Where the photo lies and what its file says about itself."""
        for path in dict.fromkeys(
            posixpath.join(self.images, below, name) for below in (folder, "")
        ):
            try:
                return path, header_of(self.root, path)
            except MissingFile:
                continue
        raise Rejected("missing image", posixpath.join(self.images, name))

    def _regions(self, scene: Scene, header: Header, skipped: Counter[str]) -> list[Region]:
        found: list[_Found] = []
        other: list[str] = []
        for things, floats in ((scene.objects, False), (scene.floating_objects, True)):
            for thing in things:
                try:
                    _check_mask(thing, header)
                    found.append(self._found(thing, floats, header))
                except Rejected as error:
                    if error.reason == _OTHER_SIZE:
                        other.append(str(error.value))
                    skipped[error.reason] += 1
        if other and not found:
            raise Rejected(_OTHER_SIZE, f"{other[0]}, image {header.width}x{header.height}")
        found.sort(key=_rank)
        kept = self._merged(found, skipped)
        regions = [_region(one, header, one.labels[0], one.ignore) for one in kept]
        named = {region.label for region in regions}
        for one in kept:
            for label in one.labels[1:]:
                if label not in named:
                    named.add(label)
                    regions.append(_region(one, header, label, True))
        return regions

    def _found(self, thing: Thing, floats: bool, header: Header) -> _Found:
        box, clipped = _box(thing.bbox, header)
        labels = list(dict.fromkeys(filter(None, map(phrases.label, _texts(thing.labels)))))
        if not labels:
            raise Rejected("no label")
        if self.head == "specific":
            labels.sort(key=lambda text: -len(text.split()))
        phrase, named = self._phrase(_texts(thing.attributes), labels)
        if named is not None and self.head == "named":
            labels.remove(named)
            labels.insert(0, named)
        score = 1.0 if thing.score is None else thing.score
        ignore = (
            (floats and self.floating == "ignore")
            or score < self.min_score
            or labels[0] in self.vague
        )
        return _Found(box, clipped, labels, None if ignore else phrase, score, ignore)

    def _phrase(self, texts: Sequence[str], labels: list[str]) -> tuple[str | None, str | None]:
        """The first attribute that is fit, and the label that it names."""
        unnamed: str | None = None
        for text in texts:
            phrase = phrases.cleaned(text)
            if not phrases.fit(phrase, *self.words) or phrases.bare(phrase) in labels:
                continue
            if (named := phrases.named(phrase, labels)) is not None:
                return phrase, named
            unnamed = unnamed or phrase
        return (None if self.agreeing else unnamed), None

    def _merged(self, found: list[_Found], skipped: Counter[str]) -> list[_Found]:
        """The objects, best first, without those that repeat a better one."""
        better = _repeats([one.box for one in found], self.same)
        kept: list[_Found] = []
        gone: set[int] = set()
        for place, one in enumerate(found):
            over = [at for at in better.get(place, ()) if at not in gone]
            if over and any(one.labels[0] in found[at].labels for at in over):
                gone.add(place)
                skipped["repeated box"] += 1
            else:
                kept.append(one._replace(ignore=True, phrase=None) if over else one)
        return kept


_OTHER_SIZE = "mask of another size"


@lru_cache(maxsize=2)
def _listing(root: Root, folder: str) -> tuple[list[str], list[str]]:
    """JSON files of a folder and paths of the folders in it, sorted.

    Kept for the next part: a folder of millions takes seconds to list. What has no dot in its
    name is taken for a folder.
    """
    names = [name for name in root.list(folder) if not name.startswith(".")]
    files = [name for name in names if name.endswith(".json")]
    return files, [f"{folder}/{name}" for name in names if "." not in name]


def _texts(field: list[str] | str | None) -> Sequence[str]:
    return [field] if isinstance(field, str) else field or ()


def _check_mask(thing: Thing, header: Header) -> None:
    """Hold the size that a mask states against the image's."""
    size = mask_size(thing)
    if size is not None and size != (header.width, header.height):
        raise Rejected(_OTHER_SIZE, f"mask {size[0]}x{size[1]}")


def _box(bbox: list[float | None] | None, header: Header) -> tuple[Box, bool]:
    """A box in stored pixels as it lies in the image, and whether it was cut."""
    if bbox is None or len(bbox) != 4:
        raise Rejected("box is not four numbers")
    if None in bbox or not all(map(math.isfinite, bbox)):  # pyright: ignore[reportArgumentType]
        raise Rejected("nan box")
    box = Box(*bbox)  # pyright: ignore[reportArgumentType]
    if valid(box, header.width, header.height):
        return box, False
    if box.x1 > box.x2 or box.y1 > box.y2:
        raise Rejected("inverted box")
    if box.x1 == box.x2 or box.y1 == box.y2:
        raise Rejected("zero box")
    inside = clip(box, header.width, header.height)
    if inside.x1 >= inside.x2 or inside.y1 >= inside.y2:
        raise Rejected("box outside the image")
    return inside, inside != box


def _rank(one: _Found) -> tuple[bool, bool, float]:
    """Best first: to be asked for, with a phrase, of the higher score."""
    return one.ignore, one.phrase is None, -one.score


def _repeats(boxes: Sequence[Box], same: float) -> dict[int, list[int]]:
    """For each box the earlier ones that it overlaps by more than `same`.

    By a sweep from left to right: boxes of such an overlap begin within a share of 1 - `same` of
    their width, which leaves few pairs of hundreds of boxes to look at.
    """
    found: dict[int, list[int]] = {}
    order = sorted(range(len(boxes)), key=lambda i: boxes[i].x1)
    for at, one in enumerate(order):
        a = boxes[one]
        width, height, reach = a.width, a.height, a.x1 + (1 - same) * a.width
        for two in order[at + 1 :]:
            b = boxes[two]
            if b.x1 > reach:
                break
            if abs(a.y1 - b.y1) > (1 - same) / same * height:
                continue
            wide = min(a.x2, b.x2) - b.x1
            high = min(a.y2, b.y2) - max(a.y1, b.y1)
            shared = wide * high if wide > 0 and high > 0 else 0.0
            if shared > same * (width * height + b.area - shared):
                found.setdefault(max(one, two), []).append(min(one, two))
    return found


def _region(one: _Found, header: Header, label: str, ignore: bool) -> Region:
    box = one.box
    if header.orientation != 1:
        box = upright(box, header.width, header.height, header.orientation)
    return Region(
        image=0,
        box=box,
        label=label,
        phrase=None if ignore else one.phrase,
        clipped=one.clipped,
        ignore=ignore,
    )
