"""WILDTRACK and MultiviewX: a square full of people, seen by six or seven cameras that stand still.

    ROOT/annotations_positions/00000000.json    a moment; 8 digits, MultiviewX 5
    ROOT/Image_subsets/C1/00000000.png          its picture; MultiviewX C1/0000.jpg

After the data sets' own descriptions, MultiviewX's generator (generateAnnotation.py, generatePOM.py
of its repository) and the reader of MVDet. A JSON is a list of `{personID, positionID, views}`, a
view `{viewNum, xmin, ymin, xmax, ymax}` in pixels from 0, both ends counted; viewNum 0 is folder
C1. Four times -1 says that this camera does not see the person (but see `unseen`). The calibrations
and `rectangles.pom` are not read.

A box is that of a cylinder projected to where the person stands: it may leave the image, and it is
there for a person whom others hide. So `visibility` is an estimate of ours: the share of the
annotated box that lies in the image and under no box of someone nearer, who is whoever's foot (the
box's lower edge) is lower. Boxes are looser than people, which makes it too low; what is not
annotated hides too, which makes it too high. Nothing is looked up in the pixels.

Only people in a marked area are annotated, others walk past it: no class is complete or known
absent. The terms were not found in text: the licence is `unknown`.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import msgspec

from mgdata.corpora import clips, occlusion
from mgdata.data import Drop, Image, Record, Region, Shape
from mgdata.errors import OutsideRoot, Rejected, StorageError, UsageError
from mgdata.geometry import Box, array, clip, upright, valid
from mgdata.headers import Header, header_of
from mgdata.plugins import Corpus

LABEL = "person"
_T = TypeVar("_T")
_NOTES, _PICTURES = "annotations_positions", "Image_subsets"
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_CAMERA = re.compile(r"C([1-9][0-9]{0,3})", re.ASCII)


class _Person(msgspec.Struct):
    personID: int
    views: list[Any]


class _View(msgspec.Struct):
    viewNum: int
    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass(frozen=True)
class _Camera:
    """One camera's pictures by number, and the header of the first, which stands for all."""

    name: str
    pictures: Mapping[int, str]
    header: Header


_Sighted = tuple[str, Box | None]
"""Who, and the annotated box in stored pixels; None where the camera does not see them."""


@dataclass(frozen=True, kw_only=True)
class Wildtrack(Corpus):
    """Reads WILDTRACK and MultiviewX: a record is a moment, its key `<name>/<number of its JSON>`.

    Its images are the cameras that have its picture, in order of their numbers; a track is a
    person's number. All of it is one unit unless `unit_frames` is set. A camera without the picture
    is left out and counted, as is every entry of a person for such a camera.
    """

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://www.epfl.ch/labs/cvlab/data/data-wildtrack/"
    layout: ClassVar[str] = (
        "annotations_positions/00000000.json (MultiviewX 00001.json)\n"
        "Image_subsets/C1/00000000.png (MultiviewX C1/0000.jpg)"
    )
    shape: ClassVar[Shape] = "views"

    offset: int | None = None
    """Number of a moment's pictures less that of its JSON. None: 0, where both begin alike; an
    error where they do not. MultiviewX's generator counts JSON from 1 and pictures from 0: -1."""
    every: int = 1
    """Annotated moments from one record to the next."""
    unseen: Literal["hidden", "unknown"] = "hidden"
    """What four times -1 means: known not to be in the picture, or nothing, and then it is left out
    and counted. MultiviewX's generator writes it as well for a person so near that the box is wider
    than high or than a third of the picture: `unknown` is right there."""
    unit_frames: int = 0
    """Numbers of JSON that make a unit; 0: all of them. Cameras stand still and people stay, so
    that what is learnt of one moment is known of the next: blocks of moments let people and
    backgrounds of one split be seen in another."""

    def __post_init__(self) -> None:
        """Refuse steps that lead nowhere."""
        if self.every < 1:
            raise ValueError(f"every: expected at least 1, found {self.every}")
        if self.unit_frames < 0:
            raise ValueError(f"unit_frames: expected 0 or more, found {self.unit_frames}")

    def parts(self) -> list[str]:
        """One part: there are a few hundred moments, and they share the cameras' listings.

        Raises:
            UsageError: also where it is not told which picture belongs to which JSON.
        """
        moments = sorted(int(stem) for stem in map(_stem, self._notes()) if _NUMBER.fullmatch(stem))
        listings = [self._pictures(name) for name in self._cameras()]
        numbers = sorted(set[int]().union(*listings))
        if not moments or not numbers:
            looked = f"{_NOTES}/<number>.json and {_PICTURES}/C1/<number>.png"
            raise clips.wrong_layout(self, looked)
        if self.offset is None and moments[0] != numbers[0]:
            raise UsageError(
                f"{self.root.url}: the first of {_NOTES} is {moments[0]}, the first picture of "
                f"{_PICTURES} {numbers[0]}: say which belong together by `offset` of corpus "
                f"{self.name}, picture less JSON ({numbers[0] - moments[0]} if the first do, 0 if "
                "equal numbers do)"
            )
        return [_NOTES]

    def records(self, part: str) -> Iterator[Record | Drop]:
        """Every moment in order, or its drop; a drop for each camera that cannot be read."""
        cameras: dict[int, _Camera] = {}
        for name in self._cameras():
            try:
                cameras[int(name[1:]) - 1] = self._camera(name)
            except Rejected as error:
                yield self.drop(f"{_PICTURES}/{name}", error.reason, error.value)
            except StorageError as error:
                yield self.drop(f"{_PICTURES}/{name}", *_unreadable(error))
        moments: dict[int, str] = {}
        for file in self._notes():
            stem = _stem(file)
            if not _NUMBER.fullmatch(stem):
                yield self.drop(f"{part}/{file}", "bad frame number", file)
            elif int(stem) in moments:
                said = f"{moments[int(stem)]}, {file}"
                yield self.drop(f"{part}/{file}", "two files for one frame", said)
            else:
                moments[int(stem)] = file
        for number in sorted(moments)[:: self.every]:
            try:
                yield self._moment(number, f"{part}/{moments[number]}", cameras)
            except Rejected as error:
                yield self.drop(str(number), error.reason, error.value)
            except StorageError as error:
                yield self.drop(str(number), *_unreadable(error))

    def _notes(self) -> list[str]:
        names = self.root.list(_NOTES)
        return [name for name in names if name.endswith(".json") and not name.startswith(".")]

    def _cameras(self) -> list[str]:
        names = [name for name in clips.folders(self, _PICTURES) if _CAMERA.fullmatch(name)]
        return sorted(names, key=lambda name: int(name[1:]))

    def _pictures(self, camera: str) -> dict[int, str]:
        """A camera's pictures by number; the first in name order of those that share one."""
        found: dict[int, str] = {}
        for name in self.root.list(f"{_PICTURES}/{camera}"):
            stem, dot, suffix = name.rpartition(".")
            if _NUMBER.fullmatch(stem) and f"{dot}{suffix.lower()}" in clips.SUFFIXES:
                found.setdefault(int(stem), name)
        return found

    def _camera(self, name: str) -> _Camera:
        pictures = self._pictures(name)
        if not pictures:
            raise Rejected("no frames", f"{_PICTURES}/{name}")
        first = f"{_PICTURES}/{name}/{pictures[min(pictures)]}"
        return _Camera(name, pictures, header_of(self.root, first))

    def _moment(self, number: int, path: str, cameras: Mapping[int, _Camera]) -> Record:
        skipped: Counter[str] = Counter()
        sighted = self._sighted(path, skipped)
        wanted = number + (self.offset or 0)
        images: list[Image] = []
        regions: list[Region] = []
        for view in sorted(cameras):
            if wanted not in cameras[view].pictures:
                skipped["missing image"] += 1
                continue
            for region in _regions(sighted.pop(view, []), cameras[view].header, skipped):
                regions.append(region.__replace__(image=len(images)))
            images.append(self._image(cameras[view], wanted))
        if not images:
            said = f"no camera of {_PICTURES} has a picture {wanted} (offset {self.offset or 0})"
            raise Rejected("missing image", f"{said} for {path}")
        if blind := sum(map(len, sighted.values())):
            skipped["no picture of its camera"] += blind
        block = f"/{number // self.unit_frames}" if self.unit_frames else ""
        return Record(
            key=f"{self.name}/{number}",
            shape=self.shape,
            unit=f"{self.name}{block}",
            images=tuple(images),
            regions=tuple(regions),
            license=self.license,
            skipped=dict(sorted(skipped.items())),
        )

    def _image(self, camera: _Camera, number: int) -> Image:
        width, height = camera.header.upright
        return Image(
            uri=self.uri(f"{_PICTURES}/{camera.name}/{camera.pictures[number]}"),
            width=width,
            height=height,
            orientation=camera.header.orientation,
            format=camera.header.format,
            frame=number,
            view=camera.name,
        )

    def _sighted(self, path: str, skipped: Counter[str]) -> dict[int, list[_Sighted]]:
        """Who stands where, by number of the camera; what makes no sense is counted."""
        try:
            content = msgspec.json.decode(clips.text(self, path), type=list[Any])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Rejected("malformed annotation", f"{path}: {error}") from None
        found: defaultdict[int, list[_Sighted]] = defaultdict(list)
        seen: set[tuple[int, int]] = set()
        twice: set[tuple[int, int]] = set()
        for entry in content:
            person = _converted(entry, _Person)
            if person is None:
                skipped["malformed person"] += 1
                continue
            for each in person.views:
                try:
                    view, box = self._view(each)
                except Rejected as error:
                    skipped[error.reason] += 1
                    continue
                name = (view, person.personID)
                (twice if name in seen else seen).add(name)
                found[view].append((str(person.personID), box))
        for view, person in twice:  # two places for one person: nobody knows which is right
            kept = [one for one in found[view] if one[0] != str(person)]
            skipped["person twice in a view"] += len(found[view]) - len(kept)
            found[view] = kept
        return found

    def _view(self, entry: Any) -> tuple[int, Box | None]:
        """Number of the camera and the box as annotated, right and bottom exclusive."""
        view = _converted(entry, _View)
        if view is None:
            raise Rejected("malformed view")
        corners = (view.xmin, view.ymin, view.xmax, view.ymax)
        if corners == (-1, -1, -1, -1):
            if self.unseen == "unknown":
                raise Rejected("not seen, or too near")
            return view.viewNum, None
        if not all(map(math.isfinite, corners)):
            raise Rejected("nan box")
        if view.xmax < view.xmin or view.ymax < view.ymin:
            raise Rejected("inverted box")
        return view.viewNum, Box(view.xmin, view.ymin, view.xmax + 1, view.ymax + 1)


def _regions(sighted: Sequence[_Sighted], header: Header, skipped: Counter[str]) -> list[Region]:
    """What one camera shows; the image of each is filled in by whoever knows it."""
    boxes = [box for _, box in sighted if box is not None]
    shares = iter(occlusion.shown(array(boxes), (header.width, header.height)).tolist())
    regions: list[Region] = []
    for person, box in sighted:
        if box is None:
            regions.append(Region(image=0, box=None, label=LABEL, track=person, visibility=0.0))
            continue
        share, inside = next(shares), clip(box, header.width, header.height)
        if not valid(inside, header.width, header.height):
            skipped["box outside the image"] += 1
            continue
        regions.append(
            Region(
                image=0,
                box=upright(inside, header.width, header.height, header.orientation),
                label=LABEL,
                track=person,
                visibility=share,
                clipped=inside != box,
            )
        )
    return regions


def _converted(entry: Any, kind: type[_T]) -> _T | None:
    try:
        return msgspec.convert(entry, kind)
    except msgspec.ValidationError:
        return None


def _unreadable(error: StorageError) -> tuple[str, str]:
    if isinstance(error, OutsideRoot):
        return clips.OUTSIDE, error.path
    return "unreadable file", str(error)


def _stem(file: str) -> str:
    return file.removesuffix(".json")
