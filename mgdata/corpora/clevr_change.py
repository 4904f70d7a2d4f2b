"""CLEVR-Change: a rendered scene, the same with one object changed, and the same unchanged.

    ROOT/images/CLEVR_default_000000.png          the scene
         sc_images/CLEVR_semantic_000000.png      one object changed, and the camera moved a little
         nsc_images/CLEVR_nonsemantic_000000.png  the camera moved a little, nothing else
         change_captions_with_bbox.json           {"0": {"bbox_before": [x, y, w, h] or null, ...}}
         change_captions.json                     {"CLEVR_default_000000.png": [sentence, ...]}
         type_mapping.json                        {"color": ["000000.png", ...], "add": ...}
         splits.json                              {"train": [0, ...], "val": ..., "test": ...}

After RobustChangeCaptioning (`evaluate_pointing.py`, `datasets/rcc_dataset.py`). An id is a pair
with a change and, where `unchanged` asks for it, a pair known to have none; both are one unit.
Camera and light differ in every pair, so nearly every pixel does: by its nature the corpus suits
tasks of robust difference, though MGrounding's static difference is made from it too.

Boxes are whole pixels from 0 of 480x360 pictures, null where the object is not there (before it
was added, after it was dropped). Where a copy has pictures of another size, boxes are scaled to it
and counted. The box and the type must agree: an object that changed its place, colour or material
has two boxes. A region's label is the type, its phrase the first sentence that is not blank.
Optional files: without type_mapping.json an added and a dropped object are known by their null and
anything else is a `change`; without change_captions.json there are no phrases;
no_change_captions.json is not read. No text states a licence: it is `unknown`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import msgspec

from mgdata.corpora import clips, sides
from mgdata.data import ALL, Drop, Record, Region, Shape
from mgdata.errors import MissingFile, Rejected, UsageError
from mgdata.geometry import from_xywh
from mgdata.plugins import Corpus

SIZE = (480, 360)
"""Width and height, in pixels, of the pictures that the boxes refer to."""
SCALED = f"box scaled from {SIZE[0]}x{SIZE[1]}"
BLOCK = 10_000
"""Ids a part."""

_BOXES = "change_captions_with_bbox.json"
_CAPTIONS = "change_captions.json"
_TYPES = "type_mapping.json"
_MALFORMED = "malformed"
"""The part of entries that name no scene, or one that another entry names too."""
_ID = re.compile(r"[0-9]{1,9}")
_NULLS = {"add": (True, False), "drop": (False, True)}
"""On which side an object of this type is not there; on none of them for all other types."""


@dataclass(frozen=True)
class _Annotation:
    """The files that concern all scenes."""

    boxes: dict[int, Any]
    faults: tuple[tuple[str, str], ...]
    """Keys that cannot be used, each with the reason."""
    types: dict[int, list[str]]
    captions: dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class ClevrChange(Corpus):
    """Reads CLEVR-Change: a record is a pair, its key `<name>/<id>/changed` or `.../unchanged`."""

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://github.com/Seth-Park/RobustChangeCaptioning"
    layout: ClassVar[str] = (
        "images/CLEVR_default_000000.png\n"
        "sc_images/CLEVR_semantic_000000.png, nsc_images/CLEVR_nonsemantic_000000.png\n"
        "change_captions_with_bbox.json, change_captions.json, type_mapping.json\n"
        "splits.json (for split: train, val or test)"
    )
    shape: ClassVar[Shape] = "pair"

    split: Literal["all", "train", "val", "test"] = "all"
    """All scenes that have boxes, or those that splits.json lists."""
    unchanged: bool = True
    """Also give the pairs that are known to have no change."""

    def parts(self) -> list[str]:
        """Numbers of blocks of 10,000 ids that hold a scene, and the entries without a usable id.

        Raises:
            UsageError: a file is missing, cut, or holds something else.
        """
        boxes, faults = self._boxes()
        self._types()  # a fault in these is better said before a run than in the middle of one
        self._captions()
        blocks = sorted({number // BLOCK for number in self._ids(boxes)})
        if not blocks:
            raise clips.wrong_layout(self, f"scenes in {_BOXES} (split: {self.split})")
        return [f"{block:05d}" for block in blocks] + [_MALFORMED] * bool(faults)

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The pairs of a block of ids, or their drops."""
        boxes, faults = self._boxes()
        if part == _MALFORMED:
            for key, reason in faults:
                yield self.drop(key, reason, f"{_BOXES}: {key!r}")
            return
        known = _Annotation(boxes, faults, self._types(), self._captions())
        for number in self._ids(boxes):
            if number // BLOCK != int(part):
                continue
            for kind in ("changed", "unchanged")[: 1 + self.unchanged]:
                key = f"{number:06d}/{kind}"
                try:
                    if kind == "changed":
                        yield self._changed(key, number, known)
                    else:
                        yield self._pair(key, number, "nsc_images/CLEVR_nonsemantic")[0]
                except sides.UNFIT as error:
                    yield sides.drop(self, key, error)

    def _changed(self, key: str, number: int, known: _Annotation) -> Record:
        """The pair of a scene and itself after the change."""
        found = _two(known.boxes, number)
        kind = _kind(known.types.get(number, []), found)
        record, headers = self._pair(key, number, "sc_images/CLEVR_semantic")
        phrase = _first(known.captions.get(f"CLEVR_default_{number:06d}.png", []))
        regions: list[Region] = []
        skipped: Counter[str] = Counter()
        for image, (value, (_, header)) in enumerate(zip(found, headers, strict=True)):
            box, clipped = None, False
            if value is not None:
                across, down = header.width / SIZE[0], header.height / SIZE[1]
                x, y, w, h = value
                box = from_xywh(x * across, y * down, w * across, h * down)
                placed = sides.placed(box, header)
                if isinstance(placed, str):
                    skipped[placed] += 1
                    continue
                box, clipped = placed
                skipped[SCALED] += (header.width, header.height) != SIZE
            regions.append(
                Region(image=image, box=box, label=kind, phrase=phrase, track="1", clipped=clipped)
            )
        if not any(region.box for region in regions):
            raise Rejected(next(iter(skipped)), f"{_BOXES}: {number}: {known.boxes[number]}")
        return msgspec.structs.replace(
            record,
            regions=tuple(regions),
            exhaustive=(ALL,) if len(regions) == len(found) else (),
            skipped={reason: count for reason, count in sorted(skipped.items()) if count},
        )

    def _pair(
        self, key: str, number: int, second: str
    ) -> tuple[Record, tuple[sides.Picture, sides.Picture]]:
        """The scene and another picture of it, with no change between them as yet."""
        before = sides.picture(self, f"images/CLEVR_default_{number:06d}.png")
        after = sides.picture(self, f"{second}_{number:06d}.png")
        record = Record(
            key=f"{self.name}/{key}",
            shape=self.shape,
            unit=f"{self.name}/{number:06d}",
            images=(before.image, after.image),
            regions=(),
            license=self.license,
            exhaustive=(ALL,),
        )
        return record, (before, after)

    def _ids(self, boxes: dict[int, Any]) -> list[int]:
        """The scenes of the split, sorted; a scene that has no boxes is listed all the same."""
        if self.split == "all":
            return sorted(boxes)
        splits = sides.decoded(self, "splits.json", dict[str, list[int]])
        if self.split not in splits:
            raise UsageError(
                f"{self.root.url}: splits.json has no {self.split!r}, it has {', '.join(splits)}"
            )
        return sorted({number for number in splits[self.split] if number >= 0})

    def _boxes(self) -> tuple[dict[int, Any], tuple[tuple[str, str], ...]]:
        """What is written of each scene, and the keys that cannot be used."""
        try:
            data = self.root.read(_BOXES)
        except MissingFile:
            raise clips.wrong_layout(self, _BOXES) from None
        try:
            # Python's reader shows a key that stands there twice; others keep the last one.
            pairs: Any = json.loads(data.decode("utf-8-sig"), object_pairs_hook=tuple)
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"{self.root.url}: {_BOXES} is no JSON: {error}; get a fresh copy of it"
            ) from None
        if not isinstance(pairs, tuple):
            raise UsageError(
                f"{self.root.url}: {_BOXES} holds a {type(pairs).__name__}, expected an object "
                "with an entry for each scene; get a fresh copy of it"
            )
        entries: tuple[tuple[str, Any], ...] = pairs
        count = Counter(int(key) for key, _ in entries if _ID.fullmatch(key))
        faults = [(_plain(key), "malformed id") for key, _ in entries if not _ID.fullmatch(key)]
        faults += [(f"{number:06d}", "repeated id") for number, n in count.items() if n > 1]
        usable = ((int(key), value) for key, value in entries if _ID.fullmatch(key))
        return {key: value for key, value in usable if count[key] == 1}, tuple(faults)

    def _types(self) -> dict[int, list[str]]:
        """The types of each scene, as listed; there should be one."""
        found: dict[int, list[str]] = {}
        if not self.root.exists(_TYPES):
            return found
        for kind, files in sides.decoded(self, _TYPES, dict[str, list[str | int]]).items():
            for file in files:
                stem = str(file).partition(".")[0]
                if not _ID.fullmatch(stem):
                    raise UsageError(
                        f"{self.root.url}: {_TYPES}: {kind}: found {file!r}, expected a scene's "
                        "number; get a fresh copy of it"
                    )
                found.setdefault(int(stem), []).append(kind.lower())
        return found

    def _captions(self) -> dict[str, list[str]]:
        if not self.root.exists(_CAPTIONS):
            return {}
        return sides.decoded(self, _CAPTIONS, dict[str, list[str]])


def _plain(key: str) -> str:
    """A key that is no number, short and in ASCII, so that it can be shown."""
    return key[:60].encode("ascii", "backslashreplace").decode()


def _two(boxes: dict[int, Any], number: int) -> list[tuple[float, ...] | None]:
    """The four numbers before and after, None where the object is not there.

    Raises:
        Rejected: there is no such entry, or it is none.
    """
    if number not in boxes:
        raise Rejected("missing annotation", f"{_BOXES}: {number}")
    entry = boxes[number]
    # The reader gives objects as tuples of pairs, and arrays as lists.
    named = dict(entry) if isinstance(entry, tuple) else {}  # pyright: ignore
    found: list[tuple[float, ...] | None] = []
    for side in ("bbox_before", "bbox_after"):
        value: Any = named.get(side, "nothing")
        numbers = sides.four(value)
        if numbers is None and value is not None:
            raise Rejected("malformed box", f"{_BOXES}: {number}: {side}: {value!r}"[:160])
        found.append(numbers)
    return found


def _kind(types: list[str], found: list[tuple[float, ...] | None]) -> str:
    """The type of a change, which its boxes must bear out.

    Raises:
        Rejected: there are several types, no box at all, or the boxes tell another story.
    """
    nulls = tuple(box is None for box in found)
    if all(nulls):
        raise Rejected("no box on either side")
    if len(set(types)) > 1:
        raise Rejected("several types", ", ".join(sorted(set(types))))
    derived = next((kind for kind, sides_ in _NULLS.items() if sides_ == nulls), "change")
    if not types:
        return derived
    if _NULLS.get(types[0], (False, False)) != nulls:
        raise Rejected("type disagrees with boxes", f"{types[0]}, but boxes tell of {derived}")
    return types[0]


def _first(sentences: list[str]) -> str | None:
    """The first sentence that is not blank."""
    return next((said for sentence in sentences if (said := " ".join(sentence.split()))), None)
