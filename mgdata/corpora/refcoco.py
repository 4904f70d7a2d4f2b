"""RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO: texts that refer to objects in photos of COCO.

    ROOT/refcoco/{refs(unc).p, instances.json}        refs(google).p as well
    ROOT/refcoco+/{refs(unc).p, instances.json}       no words for places
    ROOT/refcocog/{refs(umd).p, instances.json}       longer texts; refs(google).p as well
    ROOT/grefcoco/{grefs(unc).json, instances.json}   none, one or many objects a text
    ROOT/images/mscoco/images/train2014/COCO_train2014_000000581857.jpg

After refer.py (lichengunc/refer) and gRefCOCO's converter. A ref names an annotation of
instances.json by `ann_id`; gRefCOCO a list of them, or [-1] where nothing is meant. Boxes are
COCO's: x, y, width, height in pixels of the stored image, from 0, the right edge x + width. A
record is a photo with all its instances, crowds to be ignored; every category is complete, as in
COCO. Its `expressions` are the texts of the chosen splits, in the files' order; `label` is the
category of all that a text refers to. A text for nothing has the category that its words name, as
far as simple rules can tell (`phrases.named`). A ref's `file_name` carries the number of its
annotation and is not looked at.

Left out and counted in `skipped`: blank texts; a text that stands for two different things in one
photo (both); a text that comes again for the same thing; texts whose box is missing, was left out,
is a crowd, or is of another photo or category than the ref says. A photo that no ref names is
dropped; one that only other splits name is not asked for.

The pickles hold plain data (Python 2 texts as Latin-1) and are read as such: `pickles`. The code
of refer is Apache-2.0; a photo's licence is the one that its entry in instances.json names, and
`unknown` where it names none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from mgdata.corpora import clips, phrases
from mgdata.corpora.coco_places import Places
from mgdata.corpora.coco_table import Id
from mgdata.corpora.instances import (
    Found,
    Instances,
    face_of,
    instances,
    regions_of,
    unit_of,
)
from mgdata.corpora.refs import Ref, Refs, refs_of
from mgdata.data import ALL, Drop, Expression, Record, Region, Shape
from mgdata.errors import Rejected, UsageError
from mgdata.plugins import Corpus

IMAGES = ("images/mscoco/images/train2014", "images/train2014", "train2014", "images", "")
_BEST = {"refcoco": "unc", "refcoco+": "unc", "refcocog": "umd", "grefcoco": "unc"}


@dataclass(frozen=True, kw_only=True)
class RefCoco(Corpus):
    """Reads one of the four data sets: a record is a photo, its key `<name>/<set>/<image id>`."""

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://github.com/lichengunc/refer"
    layout: ClassVar[str] = (
        "{refcoco,refcoco+,refcocog}/{refs(<who split it>).p, instances.json}\n"
        "grefcoco/{grefs(unc).json, instances.json}\n"
        "images/mscoco/images/train2014/COCO_train2014_*.jpg (or train2014/)"
    )
    shape: ClassVar[Shape] = "image"

    dataset: Literal["refcoco", "refcoco+", "refcocog", "grefcoco"] = "refcoco"
    """Which of the four."""
    split_by: Literal["", "unc", "umd", "google"] = ""
    """Who split it. Empty: umd for refcocog (google's train and val share photos), else unc."""
    splits: tuple[str, ...] = ("train",)
    """Splits whose texts are wanted: train, val, testA, testB; refcocog has test."""
    images: tuple[str, ...] = IMAGES
    """Folders that the photos may lie in."""

    def parts(self) -> list[str]:
        """The file of refs."""
        by = self.split_by or _BEST[self.dataset]
        stem = f"grefs({by}).json" if self.dataset == "grefcoco" else f"refs({by}).p"
        path = f"{self.dataset}/{stem}"
        if not self.root.exists(path):
            raise clips.wrong_layout(self, path)
        if not self.splits:
            raise UsageError(f"corpus {self.name}: splits is empty: name one, such as train")
        return [path]

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The photos in the order of instances.json, after what is wrong with the files."""
        beside = f"{part.rpartition('/')[0]}/instances.json"
        try:
            refs = refs_of(self.root, part)
            found = instances(self.root, beside)
        except Rejected as error:
            yield self.drop(part, error.reason, error.value)
            return
        for path, lost in ((part, refs.lost), (beside, found.lost)):
            for one in lost:
                yield self.drop(f"{path}#{one.where}", one.reason, one.value)
        there = {ref.split for several in refs.refs.values() for ref in several}
        for split in self.splits:
            if split not in there:
                value = f"there are {', '.join(sorted(there)) or 'none'}"
                yield self.drop(f"{part}#split={split}", "no ref of this split", value)
        places = Places(self.root, beside, self.images)
        for id_ in found.pictures:
            try:
                record = self._record(refs, found, id_, places)
            except Rejected as error:
                yield self.drop(self._key(id_), error.reason, error.value)
                continue
            if record is not None:
                yield record
        for id_ in dict.fromkeys((*found.boxes, *refs.refs)):
            if id_ not in found.pictures:
                texts = sum(len(ref.sentences) for ref in refs.refs.get(id_, ()))
                value = f"{len(found.boxes.get(id_, ()))} annotations, {texts} texts"
                yield self.drop(self._key(id_), "annotation for an unknown image", value)

    def _key(self, id_: Id) -> str:
        return f"{self.dataset}/{id_}"

    def _record(self, refs: Refs, found: Instances, id_: Id, places: Places) -> Record | None:
        """The record of one photo; None where only other splits have texts of it."""
        mine = refs.refs.get(id_)
        if mine is None:
            raise Rejected("image without expression")
        if not any(ref.split in self.splits for ref in mine):
            return None
        face = face_of(self.root, found, id_, places)
        made = regions_of(found, id_, face)
        expressions = _expressions(mine, self.splits, found, id_, made)
        picture = found.pictures[id_]
        terms = None if picture.license is None else found.terms.get(picture.license)
        return Record(
            key=f"{self.name}/{self._key(id_)}",
            shape=self.shape,
            unit=unit_of(self, face.path),
            images=(face.image(self),),
            regions=tuple(made.regions),
            expressions=expressions,
            license=terms or self.license,
            exhaustive=_complete(found, made),
            skipped=dict(sorted(made.skipped.items())),
        )


def _complete(found: Instances, made: Found) -> tuple[str, ...]:
    """All categories, but for those of boxes that were left out."""
    if None in made.lost:
        return ()
    return tuple(sorted(set(found.labels.values()) - made.lost)) if made.lost else (ALL,)


def _expressions(
    refs: Sequence[Ref], splits: Sequence[str], found: Instances, id_: Id, made: Found
) -> tuple[Expression, ...]:
    """The texts of one photo; those left out are counted in `made.skipped`."""
    meant: dict[str, set[tuple[int, ...]]] = {}
    for ref in refs:
        for sentence in ref.sentences:
            meant.setdefault(_same(sentence), set()).add(ref.targets)
    place = {ann: at for at, ann in enumerate(made.ids) if ann is not None}
    written: set[str] = set()
    kept: list[Expression] = []
    for ref in refs:
        if ref.split not in splits:
            continue
        fault = _fault(ref, found, id_, place, made.regions)
        regions = () if fault else tuple(sorted(place[ann] for ann in ref.targets))
        for sentence in ref.sentences:
            text = " ".join(sentence.split())
            reason = fault
            if not text:
                reason = "blank expression"
            elif len(meant[_same(sentence)]) > 1:
                reason = "expression for two different things"
            elif not fault and _same(sentence) in written:
                reason = "repeated expression"
            if reason:
                made.skipped[reason] += 1
                continue
            written.add(_same(sentence))
            label = _label(text, regions, made.regions, found.labels)
            kept.append(Expression(text=text, regions=regions, label=label))
    return tuple(kept)


def _fault(
    ref: Ref, found: Instances, id_: Id, place: Mapping[Any, int], regions: Sequence[Region]
) -> str:
    """Why the texts of a ref cannot be joined to boxes; empty where they can."""
    if ref.fault:
        return ref.fault
    written = {one.id: one for one in found.boxes.get(id_, ())}
    for ann, category in zip(ref.targets, ref.categories, strict=True):
        if ann in found.repeated:
            return "expression for a repeated annotation id"
        if ann not in written:
            return "expression for an unknown annotation"
        if category is not None and written[ann].category_id != category:
            return "expression and annotation differ in category"
        if ann not in place:
            return "expression for a box left out"
        if regions[place[ann]].ignore:
            return "expression for a crowd"
    return ""


def _label(
    text: str, regions: Sequence[int], all_: Sequence[Region], labels: Mapping[Id, str]
) -> str | None:
    """The one category of the regions; of a text for nothing, the category that it names."""
    if regions:
        one = {all_[at].label for at in regions}
        return one.pop() if len(one) == 1 else None
    lower = text.lower()
    # Names of several words first, and only whole: a hot dog is no dog, a light no traffic light.
    full = [name for name in labels.values() if " " in name and re.search(rf"\b{name}", lower)]
    single = [name for name in labels.values() if " " not in name]
    return phrases.named(text, [*full, *single])


def _same(text: str) -> str:
    return " ".join(text.lower().split())
