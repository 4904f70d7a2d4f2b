"""D3's annotation files as one table: boxes by image, sentences as categories, groups.

The pickles are the source of truth where they are plain: they alone say which sentences a photo's
group has, which objects a sentence of another group finds in it, and what is a crowd. The JSON
files were derived from them by the toolkit (`convert2coco` of d_cube/d3.py), which leaves out the
objects that only sentences of other groups find, unless told otherwise, and writes no crowd. The
same code shows the boxes in annotations.pkl as numpy arrays, though doc.md calls them lists; such a
pickle is refused, and the boxes then come from the JSON file, the rest from the other pickles.

It knows no image file and makes no record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec

from mgdata.corpora.coco_table import Id, Lost, Picture
from mgdata.corpora.instances import Annotation, Four, Instances, instances, label_of, shown
from mgdata.corpora.pickles import plain
from mgdata.errors import Rejected
from mgdata.storage import Root

Half = Literal["full", "presence", "absence"]

PICKLES = ("images", "sentences", "groups", "annotations")
JSON: dict[str, str] = {"full": "full", "presence": "pres", "absence": "abs"}
"""Part of a JSON file's name for each choice of sentences."""


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    id: int


class _Image(_Entry, frozen=True, kw_only=True):
    file_name: str
    height: float | None = None
    width: float | None = None
    anno_id: list[int]
    group_id: int | None = None


class _Sentence(_Entry, frozen=True, kw_only=True):
    raw_sent: str
    is_negative: bool | int
    anno_id: list[int]


class _Group(_Entry, frozen=True, kw_only=True):
    inner_sent_id: list[int]


class _Anno(_Entry, frozen=True, kw_only=True):
    image_id: int
    sent_id: list[int]
    bbox: Any = None
    """Four numbers, or a list of four numbers, as the toolkit's code takes it."""
    iscrowd: int | bool | list[int] = 0


Entry = TypeVar("Entry", bound=_Entry)


@dataclass(kw_only=True)
class Tables:
    """All that the files say."""

    found: Instances
    groups: dict[Id, tuple[str, ...]]
    """Sentences of the image's own group, by image id; none where that is not known."""
    expected: dict[Id, Counter[str]] | None
    """How many objects each sentence finds in an image, by image id. None: the files do not say,
    so that a sentence of another group without a box is not known to find nothing."""
    refused: list[Lost] = field(default_factory=list[Lost])
    """Whole files that could not be used."""


def tables(root: Root, half: Half) -> Tables:
    """Read the files below `root`.

    Raises:
        Rejected: no file with boxes can be used; says why the first could not.
        StorageError: a file cannot be read.
    """
    pickles, refused = _pickles(root)
    boxes = json_file(root, half)
    if "annotations" in pickles and "images" in pickles and "sentences" in pickles:
        found = Instances(path=pickles["annotations"].path)
        _annotate(found, pickles)
    elif boxes is not None:
        found = instances(root, boxes)
    else:
        raise Rejected(refused[0].reason, refused[0].value)
    for entries in pickles.values():
        found.lost += entries.lost
    made = Tables(found=found, groups={}, expected=None, refused=refused)
    sentences = pickles["sentences"].of(_Sentence) if "sentences" in pickles else {}
    if sentences:
        _choose(found, pickles["sentences"], half)
    if "images" not in pickles:
        made.groups = _groups_by_name(found)
        return made
    images = pickles["images"].of(_Image)
    for id_, image in images.items():  # of the JSON file's entries too: it may lack some
        found.pictures[id_] = Picture(
            id=id_, file_name=image.file_name, width=image.width, height=image.height
        )
    if sentences:
        made.expected = _expected(found, images, sentences)
    if "groups" in pickles:
        made.groups = _groups(found, pickles["images"], pickles["groups"])
    return made


def pickle_folder(root: Root) -> str | None:
    """Folder of the pickles, with a slash at its end; None where there are none."""
    for folder in ("d3_pkl", ""):
        if not set(root.list(folder)).isdisjoint(f"{name}.pkl" for name in PICKLES):
            return f"{folder}/" if folder else ""
    return None


def json_file(root: Root, half: Half) -> str | None:
    """Path of the JSON file for a choice of sentences; None where it is not there."""
    name = f"d3_{JSON[half]}_annotations.json"
    return next((p for p in (f"d3_json/{name}", name) if root.exists(p)), None)


@dataclass(frozen=True)
class _Entries:
    """The entries of one pickle that are as they should be, by id."""

    path: str
    entries: dict[int, _Entry]
    lost: list[Lost]
    broken: list[Any]
    """What the other entries hold."""

    def of(self, kind: type[Entry]) -> dict[int, Entry]:
        return {id_: entry for id_, entry in self.entries.items() if isinstance(entry, kind)}


def _pickles(root: Root) -> tuple[dict[str, _Entries], list[Lost]]:
    """The pickles that can be read, by name, and those that cannot."""
    kinds: dict[str, type[_Entry]] = dict(
        zip(PICKLES, (_Image, _Sentence, _Group, _Anno), strict=True)
    )
    folder, found, refused = pickle_folder(root), dict[str, _Entries](), list[Lost]()
    for name, kind in kinds.items() if folder is not None else ():
        path = f"{folder}{name}.pkl"
        try:
            found[name] = _entries(path, plain(root, path), kind)
        except Rejected as error:
            refused.append(Lost(path, error.reason, error.value))
    # Why there are no boxes is said first.
    return found, sorted(refused, key=lambda lost: not lost.where.endswith("annotations.pkl"))


def _entries(path: str, content: Any, kind: type[_Entry]) -> _Entries:
    if not isinstance(content, dict):
        raise Rejected("malformed annotation", f"{path}: {type(content).__name__}, not a dict")
    made = _Entries(path, {}, [], [])
    items: dict[Any, Any] = content
    for key, value in items.items():
        try:
            entry = msgspec.convert(value, kind)
            if entry.id != key:
                raise msgspec.ValidationError(f"id {entry.id} under key {key!a}")
        except (msgspec.ValidationError, OverflowError) as error:
            what = path.rpartition("/")[2].removesuffix(".pkl").removesuffix("s")
            made.lost.append(Lost(f"{path}[{shown(key)}]", f"malformed {what}", str(error)[:80]))
            made.broken.append(value)
            continue
        made.entries[entry.id] = entry
    return made


def _annotate(found: Instances, pickles: dict[str, _Entries]) -> None:
    """The boxes of the pickles, one for each sentence that an annotation serves."""
    images = pickles["images"].of(_Image)
    sentences = pickles["sentences"].of(_Sentence)
    listed = {a: id_ for id_, image in images.items() for a in image.anno_id}
    for one in pickles["annotations"].of(_Anno).values():
        if one.image_id in images and listed.get(one.id) != one.image_id:
            where = f"{pickles['annotations'].path}[{one.id}]"
            value = f"image {one.image_id}"
            found.lost.append(Lost(where, "annotation that its image does not list", value))
            found.add(Annotation(image_id=one.image_id))
            continue
        crowd = any(one.iscrowd) if isinstance(one.iscrowd, list) else bool(one.iscrowd)
        texts: set[str] = set()
        for sentence in one.sent_id:
            known = sentences.get(sentence)
            text = str(sentence) if known is None else label_of(known.raw_sent)
            if text not in texts:  # two sentences with one text are one label
                texts.add(text)
                found.add(
                    Annotation(
                        image_id=one.image_id,
                        category_id=sentence,
                        bbox=_four(one.bbox),
                        iscrowd=crowd,
                    )
                )
    for value in pickles["annotations"].broken:
        image: Any = value.get("image_id") if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if type(image) is int:
            found.add(Annotation(image_id=image))
        else:
            found.unattributed = True


def _four(value: Any) -> Four | None:
    try:
        return msgspec.convert(value, Four)
    except (msgspec.ValidationError, OverflowError):
        pass
    inner: list[Any] = value if isinstance(value, list) else []
    return _four(inner[0]) if len(inner) == 1 and not isinstance(inner[0], int) else None


def _choose(found: Instances, entries: _Entries, half: Half) -> None:
    """Make labels of the sentences that are asked for, and pass over those of the other half."""
    wanted: dict[Id, str] = {}
    passed: set[Id] = set()
    for id_, sentence in entries.of(_Sentence).items():
        label = label_of(sentence.raw_sent)
        if half != "full" and bool(sentence.is_negative) != (half == "absence"):
            passed.add(id_)
        elif label:
            wanted[id_] = label
        else:
            found.lost.append(
                Lost(f"{entries.path}[{id_}]", "blank sentence", shown(sentence.raw_sent))
            )
    if found.labels and found.labels != wanted:
        both = {**found.labels, **wanted}
        differing = sorted(str(i) for i in both if found.labels.get(i) != wanted.get(i))
        found.lost.append(
            Lost(entries.path, "sentences differ from the JSON file's", ", ".join(differing)[:80])
        )
        wanted = {i: label for i, label in found.labels.items() if wanted.get(i) == label}
    found.labels, found.passed = wanted, frozenset(passed)


def _expected(
    found: Instances, images: dict[int, _Image], sentences: dict[int, _Sentence]
) -> dict[Id, Counter[str]]:
    """What the images' and sentences' own lists of annotations say of each pair."""
    texts: dict[int, set[str]] = {}
    for id_, label in found.labels.items():
        if isinstance(id_, int) and id_ in sentences:
            for annotation in sentences[id_].anno_id:
                texts.setdefault(annotation, set()).add(label)
    return {
        id_: Counter(label for a in set(image.anno_id) for label in texts.get(a, ()))
        for id_, image in images.items()
    }


def _groups(found: Instances, images: _Entries, groups: _Entries) -> dict[Id, tuple[str, ...]]:
    known: dict[int, tuple[str, ...]] = {}
    for id_, group in groups.of(_Group).items():
        labels = {found.labels[s] for s in group.inner_sent_id if s in found.labels}
        known[id_] = tuple(sorted(labels))
        unknown = set(group.inner_sent_id) - set(found.labels) - found.passed
        if unknown:
            value = str(sorted(unknown))[:80]
            found.lost.append(Lost(f"{groups.path}[{id_}]", "unknown sentence", value))
    made: dict[Id, tuple[str, ...]] = {}
    for id_, image in images.of(_Image).items():
        if image.group_id in known:
            made[id_] = known[image.group_id]
        else:
            value = str(image.group_id)
            found.lost.append(Lost(f"{images.path}[{id_}]", "unknown group", value))
    return made


def _groups_by_name(found: Instances) -> dict[Id, tuple[str, ...]]:
    """Groups as far as the JSON file alone tells: photos are named `<group>_<photo>`.

    A sentence with a box in one photo of a group was looked for in all of them.
    """
    seen: dict[str, set[str]] = {}
    for id_, prefix in _prefixes(found):
        for one in found.boxes.get(id_, ()):
            label = None if one.category_id is None else found.labels.get(one.category_id)
            if label is not None:
                seen.setdefault(prefix, set()).add(label)
    return {id_: tuple(sorted(seen.get(prefix, ()))) for id_, prefix in _prefixes(found)}


def _prefixes(found: Instances) -> Iterator[tuple[Id, str]]:
    for id_, picture in found.pictures.items():
        prefix, mark, _ = (picture.file_name or "").rpartition("/")[2].partition("_")
        if mark:
            yield id_, prefix
