"""Flickr30k Entities: 31,783 photos with five sentences each, whose phrases are boxed.

    ROOT/flickr30k-images/<id>.jpg
    ROOT/Annotations/<id>.xml      objects with one <name> or more (chain ids), each with a
                                   <bndbox>, or with <scene> and <nobndbox> flags
    ROOT/Sentences/<id>.txt        `[/EN#12/people A man] in [/EN#13/clothing a hat] .`, a line each
    ROOT/{train,val,test}.txt      an id a line
    ROOT/UNRELATED_CAPTIONS        `<id> <sentence number>` a line; `#` begins a comment

After the data set's readme and flickr30k_entities_utils.py, which takes 1 off every corner: they
are pixels, both included, counted from 1. An object may belong to several chains (one of "three
people", and "a woman"), and a chain may have several objects.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal
from xml.etree.ElementTree import Element

from mgdata.corpora import clips
from mgdata.corpora.flickr30k_sentences import askable, phrases, types
from mgdata.corpora.voc import parsed, placed
from mgdata.data import Drop, Expression, Image, Record, Region, Shape
from mgdata.errors import MissingFile, OutsideRoot, Rejected, StorageError, UsageError
from mgdata.geometry import Box, upright
from mgdata.headers import Header, header_of
from mgdata.plugins import Corpus

Split = Literal["train", "val", "test"]

PART = 1000
"""Photos in one part at most."""
UNRELATED = "UNRELATED_CAPTIONS"
LOST = "phrase of a chain with a lost box"
PARTIAL = "phrase of a chain boxed in part"
UNBOXED = "phrase of a chain without a box"

_ID = re.compile(r"[A-Za-z0-9_.-]+")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass
class _Chains:
    """What an XML file says of its chains."""

    regions: list[Region]
    uncertain: dict[str, str]
    """Chains whose phrases are not to be asked for, and why."""
    unnamed: bool
    """A box was lost of which no one knows the chain."""


@dataclass(frozen=True, kw_only=True)
class Flickr30kEntities(Corpus):
    """Reads Flickr30k Entities: a record is one photo, its key `<name>/<photo id>`.

    There is a region for every box and chain it belongs to: its track is the chain, its label the
    chain's type (`people`, `clothing`, `other` ...; the one most often written). A phrase is an
    expression of all boxes of its chain, once a photo however often it was said. Left out and
    counted are phrases that more than one chain bears (articles aside), pronouns, those of chains
    without a box or of which a box is lost, and the sentences listed as unrelated. An expression
    has no label: types are too wide to tell that nothing else is there. Nothing is exhaustive:
    what no sentence speaks of has no box, so a phrase may fit something else in the photo as well.

    The photos are given out for non-commercial research and education, under Flickr's terms of
    use; no licence is stated: `unknown`.
    """

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://github.com/BryanPlummer/flickr30k_entities"
    layout: ClassVar[str] = (
        "flickr30k-images/<id>.jpg, Annotations/<id>.xml, Sentences/<id>.txt\n"
        "train.txt, val.txt, test.txt, UNRELATED_CAPTIONS"
    )
    shape: ClassVar[Shape] = "image"

    splits: tuple[Split, ...] = ("train",)
    """Lists of the photos to read; empty: every photo that has an annotation or sentences."""
    images: str = "flickr30k-images"
    """Folder of the photos."""

    def parts(self) -> list[str]:
        """`<split>/<number of the first photo>` for every thousand; `all/...` without splits.

        Raises:
            UsageError: a list is missing or malformed, or nothing is annotated.
        """
        self._unrelated()
        parts = [
            f"{split}/{start:05d}"
            for split in self.splits or ("all",)
            for start in range(0, len(self._ids(split)), PART)
        ]
        if not parts:
            raise clips.wrong_layout(self, "Annotations/<id>.xml and the ids in its lists")
        return parts

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The records of a thousand photos, or their drops."""
        split, _, start = part.partition("/")
        unrelated = self._unrelated()
        for id_ in self._ids(split)[int(start) : int(start) + PART]:
            try:
                yield self._record(id_, unrelated.get(id_, set()))
            except Rejected as error:
                yield self.drop(id_, error.reason, error.value)
            except OutsideRoot as error:
                yield self.drop(id_, clips.OUTSIDE, error.path)
            except StorageError as error:
                yield self.drop(id_, "unreadable file", str(error))

    def _ids(self, split: str) -> list[str]:
        """The photos of a split, without those of an earlier one; all that there are for `all`."""
        if split == "all":
            stems = (
                name.removesuffix(ending)
                for folder, ending in (("Annotations", ".xml"), ("Sentences", ".txt"))
                for name in self.root.list(folder)
                if name.endswith(ending) and not name.startswith(".")
            )
            return sorted(set(stems))
        earlier: set[str] = set()
        for other in self.splits:
            ids = clips.listed(self, f"{other}.txt")
            if ids is None:
                raise clips.wrong_layout(self, f"{other}.txt (splits: [] reads all photos)")
            if other == split:
                return [id_ for id_ in ids if id_ not in earlier]
            earlier.update(ids)
        return []

    def _unrelated(self) -> dict[str, set[int]]:
        """Numbers of the sentences that do not speak of their photo, by photo.

        Raises:
            UsageError: a line is no photo's id and number.
        """
        found: dict[str, set[int]] = {}
        for line in clips.listed(self, UNRELATED) or ():
            words = line.split()
            if line.startswith("#"):
                continue
            if len(words) != 2 or not (words[1].isascii() and words[1].isdigit()):
                raise UsageError(
                    f"{self.root.url}: {UNRELATED}: found {line[:80]!r}, expected "
                    "<photo id> <sentence number>; get a fresh copy of this list"
                )
            found.setdefault(words[0], set()).add(int(words[1][:9]))
        return found

    def _record(self, id_: str, unrelated: set[int]) -> Record:
        if not _ID.fullmatch(id_):
            raise Rejected(clips.OUTSIDE if "/" in id_ else "malformed photo id", repr(id_)[:80])
        skipped: Counter[str] = Counter()
        path = f"{self.images}/{id_}.jpg"
        tree = parsed(self.root, f"Annotations/{id_}.xml")
        said = phrases(clips.text(self, f"Sentences/{id_}.txt"), unrelated, skipped)
        try:
            header = header_of(self.root, path)
        except MissingFile:
            raise Rejected("missing image", path) from None
        chains = self._chains(tree, types(said), header, _turned(tree, header, path), skipped)
        tracks = [region.track for region in chains.regions]
        if chains.unnamed:
            chains.uncertain.update({one.chain: LOST for one in said})
        for one in said:
            if one.chain not in tracks and chains.uncertain.get(one.chain) != LOST:
                chains.uncertain[one.chain] = UNBOXED
        asked = askable(said, chains.uncertain, skipped)
        width, height = header.upright
        return Record(
            key=f"{self.name}/{id_}",
            shape=self.shape,
            # The file is called by the photo's number at Flickr.
            unit=f"flickr-{id_}" if id_.isdecimal() else f"{self.name}/{path}",
            images=(
                Image(
                    uri=self.uri(path),
                    width=width,
                    height=height,
                    orientation=header.orientation,
                    format=header.format,
                ),
            ),
            regions=tuple(chains.regions),
            expressions=tuple(
                Expression(
                    text=text, regions=tuple(i for i, track in enumerate(tracks) if track == chain)
                )
                for text, chain in asked
            ),
            license=self.license,
            skipped=dict(sorted((+skipped).items())),
        )

    def _chains(
        self,
        tree: Element,
        labels: dict[str, str],
        header: Header,
        turned: bool,
        skipped: Counter[str],
    ) -> _Chains:
        """The regions of the XML's objects; what was left out is counted in `skipped`."""
        size = (header.width, header.height) if turned else header.upright
        found = _Chains([], {}, False)
        there: set[tuple[str, Box]] = set()
        for object_ in tree.findall("object"):
            written = [(name.text or "").strip() for name in object_.findall("name")]
            names = [name for name in dict.fromkeys(written) if name]
            corners = _corners(object_)
            if corners is None:
                flagged = any(_number(object_, flag) > 0 for flag in ("scene", "nobndbox"))
                found.uncertain.update(dict.fromkeys(names, PARTIAL if flagged else LOST))
                found.unnamed |= not flagged and not (written and all(written))
                skipped["object without a box"] += not flagged
                continue
            skipped["repeated name"] += len(written) - written.count("") - len(names)
            skipped["object without a name"] += written.count("") or not written
            found.unnamed |= not (written and all(written))
            try:
                box, cut = placed(corners, 1, size)
            except Rejected as error:
                skipped[error.reason] += len(names)
                found.uncertain.update(dict.fromkeys(names, LOST))
                continue
            if turned:
                box = upright(box, header.width, header.height, header.orientation)
            for name in names:
                if name not in labels:
                    skipped["chain that no sentence names"] += 1
                elif (name, box) in there:
                    skipped["repeated box"] += 1
                else:
                    there.add((name, box))
                    found.regions.append(
                        Region(image=0, box=box, label=labels[name], track=name, clipped=cut)
                    )
        return found


def _turned(tree: Element, header: Header, path: str) -> bool:
    """Whether boxes are in stored pixels that the photo's EXIF orientation turns.

    Raises:
        Rejected: the photo's size is not the one that its boxes were drawn at.
    """
    stated = tuple(_number(tree, f"size/{side}") for side in ("width", "height"))
    stored = (header.width, header.height)
    if stated == stored or not all(map(math.isfinite, stated)):
        return header.orientation != 1
    if stated == header.upright:
        return False
    value = f"{path}: {stored[0]}x{stored[1]}, stated {stated[0]:g}x{stated[1]:g}"
    raise Rejected("size differs from the annotation", value)


def _corners(object_: Element) -> list[float] | None:
    if object_.find("bndbox") is None:
        return None
    return [_number(object_, f"bndbox/{tag}") for tag in _CORNERS]


def _number(tree: Element, tag: str) -> float:
    """The number in a tag; NaN where there is none."""
    try:
        return float(tree.findtext(tag) or "nan")
    except ValueError:
        return math.nan
