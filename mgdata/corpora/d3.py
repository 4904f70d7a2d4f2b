"""D3, the Description Detection Dataset: every object that a sentence describes, in every photo.

    ROOT/d3_pkl/{images,sentences,groups,annotations}.pkl     dicts by id
    ROOT/d3_json/d3_{full,pres,abs}_annotations.json           COCO-style, a sentence a category
    ROOT/d3_images/018_15029126048.jpg                         <group>_<flickr id>.jpg

After the toolkit's doc.md and d_cube/d3.py (shikras/d-cube). Boxes are x, y, width, height in
pixels of the stored image, from 0, the right edge x + width; run-length masks are not looked at,
the box counts. Each sentence that finds an object is a region of its own: its label and its phrase
are the sentence in lower case. 316 sentences name what is there (presence), 106 what is not (`a
dog without a leash`, absence); both kinds have boxes. Crowds are to be ignored.

A photo belongs to a group that was collected for about four sentences; yet "each category is
actually annotated on each image" (doc.md), so a sentence without a box is absent. Those of its own
group are named in `absent`: the hard negatives. Where files disagree, nothing is taken for
absent: a sentence that finds an object whose box is not there, or was left out, is not complete.

Which of the two kinds of files counts, and what becomes of a pickle that is not plain data:
`d3_tables`. With the JSON file alone groups are told by the photos' names, and only sentences of
the own group with a box in some photo of it are known absent, for the toolkit may have left out
what sentences of other groups find.

The repository's licence is CC BY-NC 4.0; the photos are Flickr's. D3 is an evaluation set, and
MC-Bench holds some of its photos.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from mgdata.corpora import clips
from mgdata.corpora.coco_places import Places
from mgdata.corpora.coco_table import Id
from mgdata.corpora.d3_tables import JSON, Half, Tables, json_file, pickle_folder, tables
from mgdata.corpora.instances import Found, face_of, regions_of
from mgdata.data import ALL, Drop, Record, Shape
from mgdata.errors import Rejected
from mgdata.plugins import Corpus

MISSING = "annotated, but without a box in this file"

_FLICKR = re.compile(r"[^_]*_(\d+)")


@dataclass(frozen=True, kw_only=True)
class D3(Corpus):
    """Reads D3: a record is a photo, its key `<name>/<image id>`, its unit the Flickr photo."""

    license: ClassVar[str] = "CC-BY-NC-4.0"
    homepage: ClassVar[str] = "https://github.com/shikras/d-cube"
    layout: ClassVar[str] = (
        "d3_pkl/{images,sentences,groups,annotations}.pkl\n"
        "d3_json/d3_{full,pres,abs}_annotations.json (either of the two will do; both are best)\n"
        "d3_images/<group>_<flickr id>.jpg"
    )
    shape: ClassVar[Shape] = "image"

    sentences: Half = "full"
    """All of them, those that say what is there, or those that say what is not."""
    negatives: Literal["inter", "intra"] = "inter"
    """Sentences without a box are absent, whichever group they are of (`inter`), or only those of
    the photo's own group (`intra`)."""
    images: tuple[str, ...] = ("d3_images", "images", "")
    """Folders that the photos may lie in."""

    def parts(self) -> list[str]:
        """The pickles' folder, or the JSON file where there are no pickles."""
        pickles = pickle_folder(self.root)
        if pickles is not None:
            return [pickles.rstrip("/") or "images.pkl"]
        found = json_file(self.root, self.sentences)
        if found is None:
            name = f"d3_json/d3_{JSON[self.sentences]}_annotations.json"
            raise clips.wrong_layout(self, f"d3_pkl/*.pkl or {name}")
        return [found]

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The photos in the files' order, after what is wrong with the files."""
        try:
            made = tables(self.root, self.sentences)
        except Rejected as error:
            yield self.drop(part, error.reason, error.value)
            return
        for lost in made.refused:
            yield self.drop(lost.where, lost.reason, lost.value)
        for lost in made.found.lost:
            where = lost.where if ".pkl" in lost.where else f"{made.found.path}#{lost.where}"
            yield self.drop(where, lost.reason, lost.value)
        places = Places(self.root, made.found.path, self.images)
        for id_ in made.found.pictures:
            try:
                yield self._record(made, id_, places)
            except Rejected as error:
                yield self.drop(str(id_), error.reason, error.value)
        for id_, boxes in made.found.boxes.items():
            if id_ not in made.found.pictures:
                value = f"{len(boxes)} annotations"
                yield self.drop(str(id_), "annotation for an unknown image", value)

    def _record(self, made: Tables, id_: Id, places: Places) -> Record:
        face = face_of(self.root, made.found, id_, places)
        found = regions_of(made.found, id_, face, phrases=True)
        _account(made, id_, found)
        exhaustive, absent = self._known(made, id_, found)
        return Record(
            key=f"{self.name}/{id_}",
            shape=self.shape,
            unit=self._unit(face.path),
            images=(face.image(self),),
            regions=tuple(found.regions),
            license=self.license,
            exhaustive=exhaustive,
            absent=absent,
            skipped=dict(sorted(found.skipped.items())),
        )

    def _known(
        self, made: Tables, id_: Id, found: Found
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Sentences of which every object has a box, and those of the group that find none."""
        if None in found.lost:
            return (), ()
        own = set(made.groups.get(id_, ())) - found.lost
        absent = own - {region.label for region in found.regions}
        if self.negatives == "intra" or made.expected is None:
            return tuple(sorted(own)), tuple(sorted(absent))
        if not found.lost:
            return (ALL,), tuple(sorted(absent))
        return tuple(sorted(set(made.found.labels.values()) - found.lost)), tuple(sorted(absent))

    def _unit(self, path: str) -> str:
        photo = _FLICKR.match(posixpath.basename(path))
        return f"flickr-{photo[1]}" if photo else f"{self.name}/{path}"


def _account(made: Tables, id_: Id, found: Found) -> None:
    """Count the objects that other files know of and that have no box here."""
    if made.expected is None:
        return
    there = Counter(
        made.found.labels.get(one.category_id)
        for one in made.found.boxes.get(id_, ())
        if one.category_id is not None
    )
    for label, count in made.expected.get(id_, Counter[str]()).items():
        if there[label] < count:
            found.skipped[MISSING] += count - there[label]
            found.lost.add(label)
