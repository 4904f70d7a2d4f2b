"""Writes question sets in MIG-Bench's layout: its ten tasks in turn, one image set a clip.

    ROOT/MIG_data.json
    ROOT/images/<folder>/...

Boxes are those of the toys' visible pixels, rounded to three decimals as the format has them. The
tasks are easy ones: the layout is what counts. At the end stand the faulty labels of `PLANTED`,
which a reader must report and not mend.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.synth.camera import Camera, encoded
from mgdata.synth.photos import Photo, Thing, arranged, photo, shot
from mgdata.synth.sprites import COLOURS, Pixels
from mgdata.synth.toybox import KINDS

PLANTED = {
    "answer is not four numbers": 1,
    "asked image is not there": 1,
    "box outside the image": 1,
    "inverted box": 1,
    "malformed item": 1,
    "missing image": 1,
    "nan box": 1,
    "repeated item": 1,
    "unknown task": 1,
    "wrong number of images": 1,
    "zero box": 1,
}
"""Faulty labels in every corpus written here, by what the reader calls them."""

_KINDS = tuple(KINDS)
_NTH = ("first", "second", "third", "fourth", "fifth", "sixth")
_RED = (0, 0, 170)
_SEEN = "the object marked with a red bounding box in the first image"

Item = dict[str, Any]


@dataclass
class _Set:
    """One image set: writes its images and keeps what is asked about them."""

    camera: Camera
    out: Path
    task: str
    folder: str
    number: int
    rng: Stream
    images: list[str]
    items: list[Item]

    def show(self, pixels: Pixels, name: str) -> None:
        """Write one image of the set."""
        path = self.out / "images" / self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        good, png = cv2.imencode(".png", pixels) if name.endswith(".png") else (True, None)
        data = png.tobytes() if good and png is not None else encoded(pixels, self._quality)
        path.write_bytes(data)
        self.camera.images += 1
        self.camera.bytes += len(data)
        self.images.append(f"./MIG-Bench/images/{self.folder}/{name}")

    def ask(self, question: str, box: Box, more: str = "", plain: bool = True) -> None:
        """Add a question; `box` is the answer, in pixels."""
        item = {"task": self.task, "images": self.images, "question": question}
        item |= {"answer": self.shares(box), "additional_info": more, "need_format": plain}
        self.items.append(item)

    def shares(self, box: Box) -> list[float]:
        """A box as shares of the image's sides."""
        wide, high = self.camera.job.size
        sides = zip((box.x1, box.y1, box.x2, box.y2), (wide, high) * 2, strict=True)
        return [round(value / side, 3) for value, side in sides]

    def token(self, box: Box) -> str:
        """A box as a question gives it."""
        x1, y1, x2, y2 = (min(999, round(1000 * share)) for share in self.shares(box))
        return f"<|box_start|>({x1},{y1}),({x2},{y2})<|box_end|>"

    def one_of(self, kind: str) -> tuple[Photo, Thing]:
        """A photo with exactly one toy of this kind, and that toy."""
        others = [other for other in _KINDS if other != kind]
        while True:
            kinds = (kind, *self.rng.sample(others, 2))
            shown = photo(self.rng, self.camera.job.size, 3, kinds=kinds)
            found = [thing for thing in shown.things if thing.label == kind]
            if len(found) == 1:
                return shown, found[0]

    @property
    def _quality(self) -> int:
        return self.camera.job.quality


def write(out: Path, camera: Camera) -> int:
    """Write the sets and the planted faults; no annotated object is absent, so it gives 0."""
    items: list[Item] = []
    tasks = list(_TASKS.items())
    for number in camera.clips():
        task, (folder, make) = tasks[number % len(tasks)]
        rng = Stream("synth", "mig_bench", str(camera.job.seed), str(number))
        made = _Set(camera, out, task, folder, number, rng, [], [])
        make(made)
        items += made.items
    items += _faulty(items[0])
    (out / "MIG_data.json").write_text(json.dumps(items, indent=1))
    return 0


def _faulty(good: Item) -> list[Item]:
    """One item for each planted fault, each made from a good one, in the order of `PLANTED`."""
    x1, y1, x2, y2 = good["answer"]
    boxes = {
        "more": [x1, y1, x2, y2, 0.5],
        "outside": [x1, y1, 1.2, y2],
        "inverted": [x2, y1, x1, y2],
        "nan": [x1, float("nan"), x2, y2],
        "zero": [x1, y1, x1, y2],
    }
    away = [path.replace(".jpg", "_away.jpg") for path in good["images"]]
    ninth = good["question"].replace("1th", "9th")
    return [
        {**good, "answer": boxes["more"]},
        {**good, "question": ninth},
        {**good, "answer": boxes["outside"]},
        {**good, "answer": boxes["inverted"]},
        {**good, "images": None},
        {**good, "images": away},
        {**good, "answer": boxes["nan"]},
        dict(good),
        {**good, "task": "common_subject"},
        {**good, "images": good["images"][:1]},
        {**good, "answer": boxes["zero"]},
    ]


def _common(made: _Set) -> None:
    kind = made.rng.choice(_KINDS)
    shown = [made.one_of(kind) for _ in range(3)]
    made.folder += f"/{kind.title().replace(' ', '_')}_{made.number}"
    for place, (picture, _) in enumerate(shown):
        made.show(picture.pixels, f"objects365_v2_{10 * made.number + place:08d}.jpg")
    for place, (_, thing) in enumerate(shown, 1):
        made.ask(
            f"One object is in all of these images. Locate it in the {place}th image. ", thing.box
        )


def _correspondence(made: _Set) -> None:
    kind = made.rng.choice(_KINDS)
    (first, given), (second, thing) = made.one_of(kind), made.one_of(kind)
    made.show(_marked(first.pixels, given.box), f"case{made.number:03d}_r.jpg")
    made.show(second.pixels, f"case{made.number:03d}_1.jpg")
    made.ask(f"Which area of the second image is like {_SEEN}? Locate it. ", thing.box)


def _diff(made: _Set) -> None:
    before, after, thing = _changed(made)
    made.show(before, f"{140000 + made.number}_1_source.png")
    made.show(after, f"{140000 + made.number}_1_target.png")
    made.ask("Compare the two images and give me the box of their difference. ", thing.box)


def _view_diff(made: _Set) -> None:
    before, after, thing = _changed(made)
    made.show(before, f"DSC_{2000 + made.number}_r.jpg")
    shift = np.array([[1, 0, 3], [0, 1, 2]], np.float64)
    high, wide = after.shape[:2]
    moved = cv2.warpAffine(after, shift, (wide, high), borderMode=cv2.BORDER_REFLECT)
    made.show(moved.astype(np.uint8), f"DSC_{2000 + made.number}.jpg")
    box = thing.box
    box = Box(box.x1 + 3, box.y1 + 2, min(box.x2 + 3, wide), min(box.y2 + 2, high))
    made.ask("Find the real difference and locate it in the second image. ", box)


def _group(made: _Set) -> None:
    kinds = made.rng.sample(_KINDS, 4)
    shown = [made.one_of(kind) for kind in kinds]
    for place, (picture, _) in enumerate(shown):
        made.show(picture.pixels, f"sa_{1000 * (made.number + 1) + place}.jpg")
    labels = [thing.label for picture, _ in shown for thing in picture.things]
    for place, (_, thing) in enumerate(shown):
        if labels.count(thing.label) == 1:  # else the phrase may fit two images
            named = f"<|object_ref_start|>a {thing.phrase}<|object_ref_end|>"
            more = f"It is in the {_NTH[place]} image. {made.token(thing.box)}. "
            made.ask(f"Give the box of: {named}.", thing.box, more, plain=False)


def _multi_view(made: _Set) -> None:
    kind = made.rng.choice(_KINDS)
    shown = [made.one_of(kind) for _ in range(3)]
    given = shown[0][1].box
    for place, (picture, _) in enumerate(shown):
        pixels = picture.pixels if place else _marked(picture.pixels, given)
        made.show(pixels, f"{130000 + 10 * made.number + place}.jpg")
    for place, (_, thing) in enumerate(shown[1:], 2):
        question = f"Look at {_SEEN}({made.token(given)}). Locate it in the {place}th image. "
        made.ask(question, thing.box)


def _tracking(made: _Set) -> None:
    wide, high = made.camera.job.size
    still = arranged(made.rng, (wide, high), 1)
    made.folder += f"/GOT-10k_Val_{made.number + 1:06d}"
    boxes: list[Box] = []
    for frame in range(6):
        at = (wide // 3 + frame * wide // 18, high // 2)
        moved = shot(replace(still, toys=(replace(still.toys[0], at=at),)))
        boxes.append(moved.things[0].box)
        pixels = moved.pixels if frame else _marked(moved.pixels, boxes[0])
        made.show(pixels, f"{1 + 10 * frame:08d}.jpg")
    for place, box in enumerate(boxes[1:], 2):
        question = (
            f"Follow {_SEEN}({made.token(boxes[0])}), please locate it in the {place}th image. "
        )
        made.ask(question, box, plain=False)


def _reasoning(made: _Set) -> None:
    kind = made.rng.choice(_KINDS)
    (first, given), (second, thing) = made.one_of(kind), made.one_of(kind)
    made.show(first.pixels, f"case{made.number:03d}_r.png")
    made.show(second.pixels, f"case{made.number:03d}_2.png")
    asked = (
        f"Which object in Image-2 is what the {given.phrase} in image-1 is, whatever its colour?"
    )
    made.ask(f"{asked} Find it and locate it in the second image. ", thing.box, asked)


def _referring(made: _Set) -> None:
    kind = made.rng.choice(_KINDS)
    (first, given), (second, thing) = made.one_of(kind), made.one_of(kind)
    made.show(_cropped(first.pixels, given.box), f"case{made.number}_ref.jpg")
    made.show(second.pixels, f"case{made.number}_raw.jpg")
    made.ask("Where in image-2 is the kind of object of image-1?", thing.box)


def _region(made: _Set) -> None:
    source = photo(made.rng, made.camera.job.size, 3)
    name = f"objects365_v2_{900000 + made.number:08d}"
    made.show(source.pixels, f"{name}.jpg")
    for place, thing in enumerate(source.things, 1):
        made.show(_cropped(source.pixels, thing.box), f"{name}_{place}.jpg")
    for place, thing in enumerate(source.things, 1):
        made.ask(f"Locate the {place}th region picture in the source image. ", thing.box)


_TASKS: dict[str, tuple[str, Callable[[_Set], None]]] = {
    "common_object": ("common", _common),
    "correspondence": ("correspondence/semantic_co", _correspondence),
    "diff": ("static_diff", _diff),
    "group_grounding": ("group_grounding", _group),
    "multi_view": ("multi_view", _multi_view),
    "object_tracking": ("object_tracking", _tracking),
    "reasoning": ("reasoning", _reasoning),
    "refer_grounding": ("refer_grounding", _referring),
    "region": ("region", _region),
    "view_diff": ("view_diff", _view_diff),
}
"""Folder and maker of each task; the first is the one that `_faulty` knows."""


def _changed(made: _Set) -> tuple[Pixels, Pixels, Thing]:
    """Two pictures that differ by the colour of one toy, and that toy as the second shows it."""
    still = arranged(made.rng, made.camera.job.size, 3)
    first, *rest = still.toys
    used = {toy.colour for toy in still.toys}
    other = replace(first, colour=made.rng.choice([c for c in sorted(COLOURS) if c not in used]))
    after = shot(replace(still, toys=(other, *rest)))
    (thing,) = [t for t in after.things if t.phrase == other.phrase]
    return shot(still).pixels, after.pixels, thing


def _marked(pixels: Pixels, box: Box) -> Pixels:
    corners: Sequence[tuple[int, int]] = ((int(box.x1), int(box.y1)), (int(box.x2), int(box.y2)))
    return cv2.rectangle(pixels.copy(), corners[0], corners[1], _RED, 2)  # pyright: ignore[reportReturnType]


def _cropped(pixels: Pixels, box: Box) -> Pixels:
    return pixels[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)]
