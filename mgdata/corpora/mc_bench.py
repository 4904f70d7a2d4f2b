"""MC-Bench: a text, two images, and all instances it refers to in both, or none.

    ROOT/mc-bench_v0.2_val.json         descriptions, images, annotations, categories
    ROOT/MC-Bench_images/COCO/...       as the archive unpacks; D3/, winogavil_images/ and others
    ROOT/mc-bench_images/...            the folder's name in its description; any case is read
    ROOT/MC-Bench/...                   all of that one folder further down is read as well

After the released file, its README and its evaluation script (XuYunqiu/MC-Bench). Boxes are x, y,
width and height in pixels from 0. A category is a group: which instances belong together where a
text speaks of several ("the bald man, and the woman with striped sleeves"). Each item has two
image entries of its own, so that a file occurs under several image ids. The evaluation's second
file, MC-Bench_coco_format.json, says the same in another form and is not read.

The released labels hold faults. An item that one touches is a drop with a reason, and none is
mended: a positive without a box or a negative with one; a box that is none or lies outside; a box,
an item or an id twice; ids that lead nowhere or that contradict each other; an image whose size is
not the stated one. What belongs to no item is a drop of its own. Labels are looked at before
images. Only a box that leaves its image in part is kept, cut at the edge and marked so.

Nothing is known absent or annotated completely: only what a text refers to has a box. The images
are those of COCO, D3, WinoGAViL, BLINK, Mantis-Eval, SEED-Bench, DocVQA and others, whose terms
differ, and no text names a licence for all: it is `unknown`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from msgspec.structs import astuple

from mgdata.corpora import clips, mc_bench_items
from mgdata.corpora.looked import Looked
from mgdata.corpora.mc_bench_items import GROUP, Instance, Item, Labels, Picture
from mgdata.data import Drop, Expression, Image, Record, Region, Shape
from mgdata.errors import Rejected
from mgdata.geometry import clip, from_xywh, upright, valid
from mgdata.plugins import Corpus

FILE = "mc-bench_v0.2_val.json"
IMAGES = "MC-Bench_images"
FOLDER = "MC-Bench"
LABEL = "object"
"""Label of every region: what it is, only the text says."""

_FILES = re.compile(r"mc-bench(?!.*coco).*\.json", re.IGNORECASE)
_SLACK = 0.01
"""Pixels by which a box may leave its image without being called cut: x + width is a float sum."""
_TELLING = 8
"""Digits that make a file's name its own in whatever folder a copy lies: D3's has eleven."""


@dataclass(frozen=True, kw_only=True)
class McBench(Corpus):
    """Reads MC-Bench: a record is one item, its key `<name>/<description id>`.

    Its one expression is the text, with the positions of all its regions: none for a negative. The
    track of a region is its group, `group 1` at least. A drop of an item has the item's key. Items
    that share an image share a unit, and so do those that hang together by others.
    """

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://github.com/XuYunqiu/MC-Bench"
    layout: ClassVar[str] = f"{FILE}\n{IMAGES}/<source>/..."
    shape: ClassVar[Shape] = "set"

    pixels: bool = True
    """Look at the images. False: they are not opened and need not be there, and sizes are the
    stated ones, as suffices to score answers; an image turned by EXIF is then not known to be."""
    names_only: bool = False
    """For `filters.exclude` alone: every item becomes a record, faulty or not, without regions.

    Its images are not opened and need not be there; they pass for 1 x 1 pixels. A file named by a
    word or a small number has its folder's name before it, and excludes no other.
    Without this, a faulty item or one whose images are missing is no record, and excludes nothing.
    """

    def parts(self) -> list[str]:
        """The file of version 0.2, or whatever such files lie beside each other without it."""
        for folder in ("", f"{FOLDER}/"):
            names = [name for name in self.root.list(folder) if _FILES.fullmatch(name)]
            if names:
                return [folder + name for name in ([FILE] if FILE in names else names)]
        raise clips.wrong_layout(self, f"{FILE} and {IMAGES}/")

    def records(self, part: str) -> Iterator[Record | Drop]:
        """A record or a drop for every item of the file, then a drop for every entry of none."""
        try:
            labels = self._labels(part)
        except Rejected as error:
            yield self.drop(part, error.reason, error.value)
            return
        base = self._base(posixpath.dirname(part))
        if self.names_only:
            yield from self._names(labels, base)
            return
        of = dict(mc_bench_items.units(labels.files))
        looked = Looked(self.root)
        for position, id_ in enumerate(labels.ids):
            key = _key(position, id_)
            try:
                if position in labels.faults:
                    raise labels.faults[position]
                item = labels.items[position]
                yield self._record(key, item, base, base + of[position], looked)
            except Rejected as error:
                yield self.drop(key, error.reason, error.value)
        for place, error in labels.loose:
            yield self.drop(f"{part}#{place}", error.reason, error.value)

    def styles(self) -> dict[str, str]:
        """Record key to the style of its text: `Referring`, `Comparison` or `Reasoning`.

        Raises:
            UsageError: as `parts`.
            Rejected: the file cannot be read at all.
        """
        return {
            f"{self.name}/{_key(position, item.description.id)}": item.description.text_style
            for part in self.parts()
            for position, item in self._labels(part).items.items()
        }

    def _labels(self, part: str) -> Labels:
        try:
            return mc_bench_items.read(clips.text(self, part))
        except Rejected as error:
            value = error.value if part in (error.value or "") else f"{part}: {error.value}"
            raise Rejected(error.reason, value) from None

    def _base(self, folder: str) -> str:
        """The folder of images beside a file, with a slash at its end."""
        above = f"{folder}/" if folder else ""
        names = [name for name in self.root.list(folder) if name.lower() == IMAGES.lower()]
        return f"{above}{IMAGES if IMAGES in names or not names else names[0]}/"

    def _names(self, labels: Labels, base: str) -> Iterator[Record | Drop]:
        seen: set[str] = set()
        for position, id_ in enumerate(labels.ids):
            key, files = _key(position, id_), labels.files.get(position, ())
            error = labels.faults.get(position)
            if error is not None and (not files or error.reason in mc_bench_items.IMAGE_FAULTS):
                yield self.drop(key, error.reason, error.value)
            if files:  # of one id all that it is used for, the first under the id itself
                yield self._named(_key(position, None) if key in seen else key, files, base)
            seen.add(key)
        for place, error in labels.loose:
            if place in labels.spare:
                yield self._named(place, (labels.spare[place],), base)
            elif place.startswith("images"):
                yield self.drop(place, error.reason, error.value)

    def _named(self, key: str, files: tuple[str, ...], base: str) -> Record:
        paths = [base + _telling(file) for file in files]
        images = tuple(Image(uri=self.uri(path), width=1, height=1) for path in paths)
        return self._made(key, images, paths[0])

    def _record(self, key: str, item: Item, base: str, unit: str, looked: Looked) -> Record:
        for instance in item.instances:  # before any image, so that labels are checked without
            if (size := item.pictures[instance.image].size) is not None:
                _region(instance, _Face("", size))
        faces = [self._face(picture, base, looked) for picture in item.pictures]
        regions = [_region(instance, faces[instance.image]) for instance in item.instances]
        images = tuple(face.image(self) for face in faces)
        places = tuple(place for place, region in enumerate(regions) if not region.ignore)
        said = Expression(text=item.text, regions=places)
        return self._made(key, images, unit, tuple(regions), (said,))

    def _face(self, picture: Picture, base: str, looked: Looked) -> _Face:
        path, stated = base + _inside(picture.file_name), picture.size
        if ".." in path.split("/"):
            raise Rejected(clips.OUTSIDE, path)
        if not self.pixels:
            if stated is None:
                raise Rejected("size is not stated", path)
            return _Face(path, stated)
        header = looked.header(path)
        stored = (header.width, header.height)
        if stated in (None, stored):
            return _Face(path, stored, header.orientation, header.orientation, header.format)
        if stated == header.upright:
            return _Face(path, stated, 1, header.orientation, header.format)
        value = f"{path}: {stored[0]}x{stored[1]}, stated {stated[0]}x{stated[1]}"
        raise Rejected("size differs from the annotation", value)

    def _made(
        self,
        key: str,
        images: tuple[Image, ...],
        unit: str,
        regions: tuple[Region, ...] = (),
        expressions: tuple[Expression, ...] = (),
    ) -> Record:
        return Record(
            key=f"{self.name}/{key}",
            shape=self.shape,
            unit=f"{self.name}/{unit}",
            images=images,
            regions=regions,
            license=self.license,
            expressions=expressions,
        )


@dataclass(frozen=True)
class _Face:
    """One image of an item."""

    path: str
    size: tuple[int, int]
    """Of the pixels that its boxes refer to."""
    turn: int = 1
    """EXIF orientation from those pixels; 1 where they are upright."""
    orientation: int = 1
    """Of the stored file."""
    format: str = ""

    def image(self, corpus: McBench) -> Image:
        width, height = self.size if self.turn < 5 else self.size[::-1]
        return Image(
            uri=corpus.uri(self.path),
            width=width,
            height=height,
            orientation=self.orientation,
            format=self.format,
        )


def groups(record: Record) -> tuple[int, ...]:
    """The group's number of each region that a record's expression names, in its order."""
    (expression,) = record.expressions
    found = (GROUP.fullmatch(record.regions[place].track or "") for place in expression.regions)
    return tuple(int(named[1]) for named in found if named)


def _key(position: int, id_: int | None) -> str:
    return f"descriptions[{position}]" if id_ is None else str(id_)


def _region(instance: Instance, face: _Face) -> Region:
    width, height = face.size
    whole = from_xywh(*instance.xywh)
    box = clip(whole, width, height)
    if not valid(box, width, height):
        shown = ", ".join(f"{number:g}" for number in instance.xywh)
        raise Rejected("box outside the image", f"[{shown}] in {width}x{height}")
    sides = zip(astuple(whole), astuple(box), strict=True)
    return Region(
        image=instance.image,
        box=upright(box, width, height, face.turn),
        label=LABEL,
        track=instance.group,
        clipped=any(abs(side - inner) > _SLACK for side, inner in sides),
        ignore=instance.crowd,
    )


def _inside(file: str) -> str:
    """A path below the folder of images; one that leaves it stays as it is, to be refused."""
    return posixpath.normpath(file) if ".." not in file else file


def _telling(file: str) -> str:
    """The path, with its folder's name in the file's where that is a mere word or small number.

    WinoGAViL's `bear` is not the clip of that name in DAVIS, nor Mantis-Eval's `12_2` the second
    picture of Spot-the-Diff's pair 12.
    """
    folder, name = posixpath.split(_inside(file))
    stem = posixpath.splitext(name)[0]
    if not folder or sum(map(str.isdigit, stem)) >= _TELLING:
        return _inside(file)
    return f"{folder}/{posixpath.basename(folder)}-{name}"
