"""Pascal VOC and what is written like it: ImageNet's boxes (CLS-LOC), ImageNet VID's frames.

    ROOT/VOCdevkit/VOC2007/Annotations/000001.xml      VOC2012 likewise
                          /JPEGImages/000001.jpg
                          /ImageSets/Main/trainval.txt
    ROOT/ILSVRC/Annotations/CLS-LOC/train/n01440764/n01440764_10026.xml
               /Data/CLS-LOC/train/n01440764/n01440764_10026.JPEG
    ROOT/LOC_synset_mapping.txt                        `n01440764 tench, Tinca tinca` a line
    ROOT/ILSVRC2015/Annotations/VID/train/<set>/<video>/000000.xml
                   /Data/VID/train/<set>/<video>/000000.JPEG

After the VOC development kit (VOCcode/VOCreadrecxml.m): corners are pixels, both included, counted
from 1; in VID from 0. Tags are read by name, never by place: VID writes xmax before xmin. The image
has the name of its XML file, whatever `<filename>` says, and the size its own header says. VOC
annotates all its classes in every image; of ImageNet's images only the classes that have a box are
taken to be complete. `difficult` objects are to be ignored unless told. A wnid becomes the first
word of its synset where the mapping is there. A VID frame is an image of its own; its unit is the
video, and `<trackid>` its region's track. The terms of use were not found in text: `unknown`.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from mgdata.corpora import clips
from mgdata.data import ALL, Drop, Image, Record, Region, Shape
from mgdata.errors import MissingFile, Rejected, UsageError
from mgdata.geometry import Box, clip, upright, valid
from mgdata.headers import Header, header_of
from mgdata.plugins import Corpus
from mgdata.storage import Root

PART = 1000
"""Annotation files in one part at most."""
DEEPEST = 6
"""Folders below `Annotations`."""

_SLICE = re.compile(r"(.*)#(\d+)/(\d+)", re.DOTALL)
_WNID = re.compile(r"n\d{8}")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, kw_only=True)
class Voc(Corpus):
    """Reads VOC-style XML: a record is an image, its key `<name>/<path of the XML file>`."""

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "http://host.robots.ox.ac.uk/pascal/VOC/"
    layout: ClassVar[str] = (
        "[VOCdevkit/]VOC<year>/{Annotations/*.xml,JPEGImages/*.jpg,ImageSets/Main/*.txt}\n"
        "ILSVRC*/{Annotations,Data}/{CLS-LOC,DET,VID}/<split>/.../*.{xml,JPEG}\n"
        "LOC_synset_mapping.txt (names of wnids)"
    )
    shape: ClassVar[Shape] = "image"

    under: str = ""
    """Read only annotations below this folder, as `ILSVRC/Annotations/CLS-LOC/train`."""
    sets: tuple[str, ...] = ()
    """Read only what lists of these names (`trainval`) in ImageSets name. Empty: everything."""
    difficult: Literal["ignore", "keep"] = "ignore"
    """Whether objects marked difficult count as regions to be ignored, or like all others."""
    complete: Literal["auto", "all", "own"] = "auto"
    """Labels annotated completely: all, or only those with a box. `auto`: `own` for ILSVRC."""
    base: Literal["auto", "0", "1"] = "auto"
    """Number of the first pixel. `auto`: 0 for VID, 1 elsewhere."""
    synsets: str = "LOC_synset_mapping.txt"
    """Path of the names of wnids below the root."""

    def parts(self) -> list[str]:
        """Folders of annotation files, large ones as `<folder>#<slice>/<slices>`."""
        parts: list[str] = []
        for folder in _annotated(self.root, self.under):
            slices = -(-len(_stems(self.root, folder, ".xml")) // PART)
            parts += [folder] if slices == 1 else [f"{folder}#{i}/{slices}" for i in range(slices)]
        if not parts:
            raise clips.wrong_layout(self, f"{self.under or 'Annotations'}/.../*.xml")
        for base in {part.partition("/Annotations")[0] for part in parts}:
            self._listed("" if base.startswith("Annotations") else base)
        return parts

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The records of one part, by name; every XML file gives a record or a drop."""
        sliced = _SLICE.fullmatch(part)
        folder, i, n = (sliced[1], int(sliced[2]), int(sliced[3])) if sliced else (part, 0, 1)
        stems = sorted(_stems(self.root, folder, ".xml"))
        pictures = _stems(self.root, _pictures(self.root, folder), *clips.SUFFIXES)
        names = _synsets(self.root, self.synsets)
        base, _, below = folder.rpartition("Annotations")
        listed = self._listed(base.rstrip("/"))
        for stem in stems[i * len(stems) // n : (i + 1) * len(stems) // n]:
            path = f"{folder}/{stem}.xml"
            if listed is not None and not _named(f"{below.strip('/')}/{stem}".strip("/"), listed):
                continue
            try:
                if stem not in pictures:
                    raise Rejected("missing image", f"{_pictures(self.root, folder)}/{stem}")
                yield self._record(path, pictures[stem], names)
            except Rejected as error:
                yield self.drop(path.removesuffix(".xml"), error.reason, error.value)

    def _record(self, path: str, picture: str, names: dict[str, str]) -> Record:
        tree = parsed(self.root, path)
        objects = tree.findall("object")
        if not objects:
            raise Rejected("image without annotation", path)
        header = header_of(self.root, picture)
        stated = tuple(_number(tree, f"size/{side}") for side in ("width", "height"))
        turned = header.orientation != 1 and stated != header.upright
        regions: list[Region] = []
        skipped: Counter[str] = Counter()
        lost: set[str | None] = set()
        for found in objects:
            label = self._label(found, names)
            try:
                regions.append(self._region(found, label, path, header, turned))
            except Rejected as error:
                skipped[error.reason] += 1
                lost.add(label)
        width, height = header.upright
        return Record(
            key=f"{self.name}/{path.removesuffix('.xml')}",
            shape=self.shape,
            unit=posixpath.dirname(path) if _video(path) else f"{self.name}/{picture}",
            images=(
                Image(
                    uri=self.uri(picture),
                    width=width,
                    height=height,
                    orientation=header.orientation,
                    format=header.format,
                ),
            ),
            regions=tuple(regions),
            license=self.license,
            exhaustive=self._exhaustive(path, regions, lost),
            skipped=dict(sorted(skipped.items())),
        )

    def _region(
        self, found: Element, label: str | None, path: str, header: Header, turned: bool
    ) -> Region:
        if label is None:
            raise Rejected("object without a name")
        first = int(self.base) if self.base != "auto" else int(not _video(path))
        size = (header.width, header.height) if turned else header.upright
        box, cut = placed([_number(found, f"bndbox/{tag}") for tag in _CORNERS], first, size)
        if turned:
            box = upright(box, header.width, header.height, header.orientation)
        return Region(
            image=0,
            box=box,
            label=label,
            track=(found.findtext("trackid") or "").strip() or None,
            clipped=cut,
            ignore=self.difficult == "ignore" and _number(found, "difficult") == 1,
        )

    def _label(self, found: Element, names: dict[str, str]) -> str | None:
        name = " ".join((found.findtext("name") or "").lower().split())
        return names.get(name, name) or None

    def _exhaustive(
        self, path: str, regions: list[Region], lost: set[str | None]
    ) -> tuple[str, ...]:
        """The labels of which every instance has a region here.

        Where an object was left out, what its class was silent about is not known.
        """
        own = self.complete == "own" or (self.complete == "auto" and "ILSVRC" in path)
        if own or lost:
            return () if None in lost else tuple(sorted({r.label for r in regions} - lost))
        return (ALL,)

    def _listed(self, base: str) -> frozenset[str] | None:
        """What the chosen lists name below one folder of data; None: there is no choice."""
        if not self.sets:
            return None
        where = posixpath.join(base, "ImageSets")
        names: set[str] = set()
        there = False
        for folder in ("", *clips.folders(self, where)):
            for one in self.sets:
                lines = clips.listed(self, posixpath.join(where, folder, f"{one}.txt"))
                there |= lines is not None
                names.update(line.split()[0] for line in lines or ())
        if not there:
            raise UsageError(
                f"{self.root.url}: no list in {where} is called {' or '.join(self.sets)} (sets)"
            )
        return frozenset(names)


def placed(corners: list[float], base: int, size: tuple[int, int]) -> tuple[Box, bool]:
    """The box of corner pixels xmin, ymin, xmax, ymax, and whether the image's edge cut it.

    Args:
        corners: pixels, both ends included; NaN where there is no number.
        base: number of the first pixel.
        size: width and height of the image.

    Raises:
        Rejected: `nan box`, `inverted box` or `box outside the image`.
    """
    if not all(map(math.isfinite, corners)):
        raise Rejected("nan box")
    x1, y1, x2, y2 = corners
    if x2 < x1 or y2 < y1:
        raise Rejected("inverted box")
    whole = Box(x1 - base, y1 - base, x2 - base + 1, y2 - base + 1)
    box = clip(whole, *size)
    if not valid(box, *size):
        raise Rejected("box outside the image")
    return box, box != whole


def parsed(root: Root, path: str) -> Element:
    """The root element of an XML file.

    A document type is refused: only there can entities be made, and no annotation has one.

    Raises:
        Rejected: `malformed XML`, `XML with a document type`, or `missing annotation`.
    """
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data

    def refuse(*_: object) -> None:
        raise Rejected("XML with a document type", path)

    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(root.read(path), True)
    except MissingFile:
        raise Rejected("missing annotation", path) from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise Rejected("malformed XML", f"{path}: {error}") from None
    return builder.close()


def _number(tree: Element, tag: str) -> float:
    try:
        return float(tree.findtext(tag) or "nan")
    except ValueError:
        return math.nan


def _video(path: str) -> bool:
    return "/Annotations/VID/" in f"/{path}"


def _annotated(root: Root, under: str) -> list[str]:
    """Folders that hold XML files, below any `Annotations` up to two folders down, sorted."""
    if under:
        return sorted(_with_xml(root, under.strip("/"), DEEPEST))
    found: list[str] = []
    bases = [""]
    for _ in range(3):
        found += [base for base in bases if "Annotations" in root.list(base)]
        bases = [
            posixpath.join(base, name)
            for base in bases
            if base not in found
            for name in root.list(base)
            if "." not in name
        ]
    folders = [posixpath.join(base, "Annotations") for base in found]
    return sorted(path for folder in folders for path in _with_xml(root, folder, DEEPEST))


def _with_xml(root: Root, folder: str, deep: int) -> Iterator[str]:
    """The folder itself and those below that hold XML files. A name with a dot is no folder."""
    names = root.list(folder)
    if any(name.endswith(".xml") for name in names):
        yield folder
    if deep:
        for name in names:
            if "." not in name:
                yield from _with_xml(root, f"{folder}/{name}", deep - 1)


def _stems(root: Root, folder: str, *suffixes: str) -> dict[str, str]:
    """Paths of the files with one of these endings, by their names without it."""
    found: dict[str, str] = {}
    for name in root.list(folder):
        stem, dot, suffix = name.rpartition(".")
        if stem and f"{dot}{suffix.lower()}" in suffixes:
            found[stem] = f"{folder}/{name}"
    return found


def _pictures(root: Root, folder: str) -> str:
    """Where the images of a folder of annotations lie."""
    base, _, below = folder.rpartition("Annotations")
    images = "Data" if below and root.exists(f"{base}Data") else "JPEGImages"
    return f"{base}{images}{below}"


def _named(path: str, listed: frozenset[str]) -> bool:
    """Whether a list names this image or its folder, by the whole path or the end of it."""
    steps = path.split("/")
    return any(
        "/".join(steps[start:end]) in listed
        for end in (len(steps), len(steps) - 1)
        for start in range(end)
    )


def _synsets(root: Root, path: str) -> dict[str, str]:
    """First word of each wnid, lower case; empty where there is no list."""
    try:
        text = root.read(path).decode("utf-8", "replace")
    except MissingFile:
        return {}
    pairs = (line.partition(" ") for line in text.splitlines())
    return {
        wnid: words.split(",")[0].strip().lower()
        for wnid, _, words in pairs
        if _WNID.fullmatch(wnid) and words.strip(" ,")
    }
