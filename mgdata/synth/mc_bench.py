"""Writes a benchmark in MC-Bench's layout: a text and two photos a clip, with all it refers to.

    ROOT/mc-bench_v0.2_val.json
    ROOT/MC-Bench_images/{COCO, D3, winogavil_images}/...

As in the released file, ids start at 0, every item has two image entries of its own though it may
show another item's photos (here every third one does), a text may end in a line break, and a text
that speaks of several groups has a category for each. Boxes are those of the toys' visible pixels.
At the end stand the faulty labels of `PLANTED`, which a reader must report and not mend.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mgdata.identity import Stream
from mgdata.synth.camera import Camera, encoded
from mgdata.synth.photos import Photo, Thing, photo
from mgdata.synth.toybox import KINDS

FILE = "mc-bench_v0.2_val.json"
GROUPS = 7
PLANTED = {
    "annotation of no item": 1,
    "box outside the image": 1,
    "image id in use twice": 1,
    "image of no item": 1,
    "inverted box": 1,
    "missing image": 1,
    "nan box": 1,
    "negative with a box": 1,
    "positive without a box": 1,
    "repeated box": 1,
    "repeated item": 1,
    "size differs from the annotation": 1,
    "text ids disagree": 1,
    "unknown image id": 1,
    "wrong number of images": 1,
    "zero box": 1,
}
"""Faulty labels in every file written here, by what the reader calls them."""

_KINDS = tuple(KINDS)

Json = dict[str, Any]
Found = list[tuple[int, Thing, int]]
"""Image, what it shows, and number of its group."""


@dataclass
class _Pair:
    """Two photos and where they lie."""

    photos: list[Photo]
    files: list[str]

    def things(self) -> list[tuple[int, Thing]]:
        return [(place, thing) for place, one in enumerate(self.photos) for thing in one.things]

    def of(self, kind: str, group: int = 1) -> Found:
        """Every thing of a kind."""
        return [(place, thing, group) for place, thing in self.things() if thing.label == kind]

    def shared(self) -> list[str]:
        """Kinds that both photos show."""
        first, second = ({thing.label for thing in one.things} for one in self.photos)
        return sorted(first & second)


@dataclass
class _File:
    """What is written so far."""

    descriptions: list[Json] = field(default_factory=list[Json])
    images: list[Json] = field(default_factory=list[Json])
    annotations: list[Json] = field(default_factory=list[Json])

    def add(self, pair: _Pair, text: str, style: str, found: Found) -> None:
        """One item: a description, two image entries and a box for each thing."""
        number, first = len(self.descriptions), len(self.images)
        self.descriptions.append(
            {
                "id": number,
                "images_id": [first, first + 1],
                "text": text,
                "positive_sample": bool(found),
                "text_style": style,
            }
        )
        for place, (one, file) in enumerate(zip(pair.photos, pair.files, strict=True)):
            height, width = one.pixels.shape[:2]
            entry = {"id": first + place, "text_id": number, "inter_img_id": place}
            self.images.append(entry | {"file_name": file, "height": height, "width": width})
        for place, thing, group in sorted(found, key=lambda one: one[0]):
            self.box(first + place, number, group, thing)

    def box(self, image: int, text: int, group: int, thing: Thing) -> None:
        box = thing.box
        sides = [int(side) for side in (box.x1, box.y1, box.width, box.height)]
        entry = {"id": len(self.annotations), "image_id": image, "text_id": text}
        entry |= {"category_id": group, "area": sides[2] * sides[3], "bbox": sides, "iscrowd": 0}
        self.annotations.append(entry)

    def again(self, item: int) -> tuple[Json, list[Json], list[Json]]:
        """A copy of an item under new ids and with another text; its three kinds of entries."""
        number, first, start = len(self.descriptions), len(self.images), len(self.annotations)
        one = copy.deepcopy(self.descriptions[item])
        old = one["images_id"]
        new = {id_: first + place for place, id_ in enumerate(old)}
        images = [copy.deepcopy(self.images[id_]) | {"id": new[id_]} for id_ in old]
        boxes = [copy.deepcopy(a) for a in self.annotations if a["text_id"] == item]
        for entry in images:
            entry["text_id"] = number
        for place, entry in enumerate(boxes):
            ids = {"id": start + place, "image_id": new[entry["image_id"]], "text_id": number}
            entry |= ids
        one |= {"id": number, "images_id": list(new.values())}
        one["text"] = f"{one['text'].strip()} ({number})"
        self.descriptions.append(one)
        self.images += images
        self.annotations += boxes
        return one, images, boxes


def write(out: Path, camera: Camera) -> int:
    """Write the items and the planted faults; no annotated object is absent, so it gives 0."""
    file = _File()
    pair: _Pair | None = None
    for number in camera.clips():
        rng = Stream("synth", "mc_bench", str(camera.job.seed), str(number))
        if pair is None or number % 3 != 2:
            pair = _shot(out, camera, rng, number)
        style, ask = _ASKED[number % len(_ASKED)]
        text, found = ask(pair, rng)
        # Some texts of the released file end so; the number keeps two of one pair apart.
        file.add(pair, text + ("\n" if number % 8 == 5 else ""), style, found)
    _plant(file)
    content = {
        "info": {"year": 2024, "version": "0.2", "description": "synthetic"},
        "descriptions": file.descriptions,
        "images": file.images,
        "annotations": file.annotations,
        "categories": [{"id": n, "name": f"group {n}"} for n in range(1, GROUPS + 1)],
    }
    (out / FILE).write_text(json.dumps(content, indent=4))
    return 0


def _shot(out: Path, camera: Camera, rng: Stream, number: int) -> _Pair:
    """Two photos, one of three upright; both show a kind, most show another twice."""
    shared, *rest = rng.sample(_KINDS, 6)
    wide, high = camera.job.size
    photos: list[Photo] = []
    for place in range(2):
        size = (high, wide) if (number + place) % 3 == 2 else (wide, high)
        kinds = (shared, *rest[2 * place : 2 * place + 2])
        while True:
            one = photo(rng, size, 4, kinds=kinds)
            if any(thing.label == shared for thing in one.things):
                break
        photos.append(one)
    files = [_name(number, place) for place in range(2)]
    for one, name in zip(photos, files, strict=True):
        path = out / "MC-Bench_images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = encoded(one.pixels, camera.job.quality)
        path.write_bytes(data)
        camera.images += 1
        camera.bytes += len(data)
    return _Pair(photos, files)


def _name(number: int, place: int) -> str:
    """A file's name as its source has it: COCO's number, D3's group and Flickr number, a word."""
    kind = number % 4
    if kind == 3:
        return f"winogavil_images/word{number}{'ab'[place]}.jpg"
    if kind == 1:
        return f"D3/{number % 106 + 1:03d}_{2_100_000_000 + 2 * number + place}.jpg"
    return f"COCO/{200_000 + 2 * number + place:012d}.jpg"


def _named(pair: _Pair, rng: Stream) -> tuple[str, Found]:
    """One thing by colour and kind, wherever it is."""
    _, asked = rng.choice(pair.things())
    found = [(place, thing, 1) for place, thing in pair.things() if thing.phrase == asked.phrase]
    return f"The {asked.phrase}", found


def _larger(pair: _Pair, rng: Stream) -> tuple[str, Found]:
    """The one of a kind that covers most pixels; all of the kind where that cannot be seen."""
    kind = rng.choice(pair.shared())
    found = sorted(pair.of(kind), key=lambda one: -one[1].mask.sum())
    areas = [int(thing.mask.sum()) for _, thing, _ in found]
    if areas[0] > 1.3 * areas[1]:
        return f"The largest {kind} of all", found[:1]
    return f"Every {kind} of much the same size as another one", found


def _kinds(pair: _Pair, rng: Stream) -> tuple[str, Found]:
    """What both images show: a group for each kind."""
    found = [one for n, kind in enumerate(pair.shared(), 1) for one in pair.of(kind, n)]
    return "Things of a kind that both images show", found


def _either(pair: _Pair, rng: Stream) -> tuple[str, Found]:
    """Two kinds, a group each."""
    first, second = rng.sample(sorted({thing.label for _, thing in pair.things()}), 2)
    text = f"Every {first}, and every {second}"
    return text, [*pair.of(first), *pair.of(second, 2)]


def _none(pair: _Pair, rng: Stream) -> tuple[str, Found]:
    """What neither image shows."""
    seen = {thing.label for _, thing in pair.things()}
    return f"The {rng.choice([kind for kind in _KINDS if kind not in seen])}", []


def _every(pair: _Pair, rng: Stream) -> tuple[str, Found]:
    """All of a kind."""
    kind = rng.choice(sorted({thing.label for _, thing in pair.things()}))
    return f"Every {kind}", pair.of(kind)


_ASKED: Sequence[tuple[str, Callable[[_Pair, Stream], tuple[str, Found]]]] = (
    ("Referring", _named),
    ("Comparison", _larger),
    ("Reasoning", _none),
    ("Comparison", _kinds),
    ("Reasoning", _either),
    ("Referring", _every),
    ("Referring", _none),
)
"""Style and maker of the texts, in turn; the first has a box always."""


def _plant(file: _File) -> None:
    """One of each fault of `PLANTED`, each in a copy of item 0."""
    for right, wide, high in (
        (100_000, 1, 1),
        (0, -1, 1),
        (float("nan"), 1, 1),
        (0, 1, 0),
    ):
        _, _, boxes = file.again(0)
        x, y, w, h = boxes[0]["bbox"]
        boxes[0]["bbox"] = [x + right, y, w * wide, h * high]
    one, _, _ = file.again(0)
    one["positive_sample"] = False
    _bare(file)
    _, _, boxes = file.again(0)
    file.annotations.append(boxes[0] | {"id": len(file.annotations)})
    one, _, _ = file.again(0)
    one["text"] = file.descriptions[0]["text"]
    _, images, _ = file.again(0)
    images[0]["file_name"] = "COCO/000000000000.jpg"
    _, images, _ = file.again(0)
    images[1]["width"] += 1
    _, _, boxes = file.again(0)
    boxes[0]["text_id"] = 100_000
    one, _ = _bare(file)
    one["images_id"][1] = 100_000  # its own second image is now of no item
    one, _, _ = file.again(0)
    one["images_id"].append(one["images_id"][0])
    one, images = _bare(file)
    one["images_id"][1] = one["images_id"][0]
    file.images.remove(images[1])
    stray = {"id": len(file.annotations), "image_id": 100_001, "text_id": 100_001}
    file.annotations.append(file.annotations[0] | stray)


def _bare(file: _File) -> tuple[Json, list[Json]]:
    """A copy of item 0 without its boxes."""
    one, images, boxes = file.again(0)
    del file.annotations[-len(boxes) :]
    return one, images
