"""Writes photos in the layout of D3: sentences that hold for none, one or many of the toys.

A group is a handful of photos around one kind, with four sentences, two of which say what is not
(`a ball that is not red`, `a blue toy that is not a ball`). Every sentence is looked for in every
photo, so that those of one group find toys in the photos of another. Pickles hold plain data, as
doc.md describes them; the JSON files hold the same boxes, a sentence a category.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mgdata.identity import Stream
from mgdata.synth.camera import Camera
from mgdata.synth.coco import run_lengths
from mgdata.synth.photos import Still, Thing, arranged, shown
from mgdata.synth.sprites import COLOURS
from mgdata.synth.toybox import KINDS

PHOTOS = 5
"""Photos in a group."""
_FIRST = 7_000_000_000
"""Flickr id of the first photo."""


@dataclass(frozen=True)
class Sentence:
    """A description that can be checked against a toy."""

    text: str
    kind: str
    colour: str
    which: Literal["both", "not the colour", "not the kind"] = "both"

    @property
    def without(self) -> bool:
        """Whether it says what is not."""
        return self.which != "both"

    def holds(self, thing: Thing) -> bool:
        """Whether it describes the toy."""
        kind, colour = thing.label == self.kind, thing.colour == self.colour
        return kind != (self.which == "not the kind") and colour != (self.which == "not the colour")


def sentences_of(group: int) -> list[Sentence]:
    """The four sentences of a group."""
    kind, colours = KINDS[group % len(KINDS)], list(COLOURS)
    turn = group + group // len(KINDS)
    first, second = colours[turn % len(colours)], colours[(turn + 3) % len(colours)]
    return [
        Sentence(f"{_a(first)} {kind}", kind, first),
        Sentence(f"{_a(second)} {kind}", kind, second),
        Sentence(f"a {kind} that is not {first}", kind, first, "not the colour"),
        Sentence(f"{_a(second)} toy that is not a {kind}", kind, second, "not the kind"),
    ]


def _a(colour: str) -> str:
    return f"{'an' if colour[0] in 'aeiou' else 'a'} {colour}"


def write(out: Path, camera: Camera) -> int:
    """Write the photos; nothing annotated is absent: 0."""
    tables: dict[str, dict[int, dict[str, Any]]] = {
        name: {} for name in ("images", "sentences", "groups", "annotations")
    }
    groups = (camera.job.clips - 1) // PHOTOS + 1
    asked = _sentences(tables, groups)
    for number in camera.clips():
        still = _still(camera, number)
        name = f"{number // PHOTOS:03d}_{_FIRST + number}.jpg"
        camera.shoot(still.scene(), out / "d3_images", lambda _, name=name: name)
        _annotate(tables, number, name, still, asked)
    _finish(tables)
    (out / "d3_pkl").mkdir()
    for name, table in tables.items():
        (out / f"d3_pkl/{name}.pkl").write_bytes(pickle.dumps(table, protocol=4))
    (out / "d3_json").mkdir()
    for half, wanted in (("full", (False, True)), ("pres", (False,)), ("abs", (True,))):
        content = _coco(tables, wanted)
        (out / f"d3_json/d3_{half}_annotations.json").write_text(json.dumps(content))
    return 0


def _sentences(tables: dict[str, dict[int, dict[str, Any]]], groups: int) -> list[Sentence]:
    """Write sentences and groups; a text that two groups ask for is one sentence."""
    asked: list[Sentence] = []
    for group in range(groups):
        inner: list[int] = []
        for sentence in sentences_of(group):
            if sentence not in asked:
                asked.append(sentence)
                tables["sentences"][len(asked)] = {
                    "id": len(asked),
                    "anno_id": [],
                    "group_id": [],
                    "is_negative": sentence.without,
                    "raw_sent": sentence.text,
                    "raw_sent_zh": "",
                }
            inner.append(asked.index(sentence) + 1)
            tables["sentences"][inner[-1]]["group_id"].append(group)
        tables["groups"][group] = {
            "id": group,
            "pos_sent_id": [],
            "inner_sent_id": inner,
            "outer_sent_id": [],
            "img_id": [],
            "scene": ["toys"],
            "group_name": KINDS[group % len(KINDS)],
            "group_name_zh": "",
        }
    return asked


def _still(camera: Camera, number: int) -> Still:
    """A photo of a group: its kind and two others, or only others, now and then."""
    job, group = camera.job, number // PHOTOS
    rng = Stream("synth", "d3", str(job.seed), str(number))
    kind = KINDS[group % len(KINDS)]
    others = tuple(rng.sample([k for k in KINDS if k != kind], 2))
    kinds = others if rng.below(5) == 0 else (kind, *others)
    return arranged(rng, job.size, rng.between(2, 6), kinds=kinds)


def _annotate(
    tables: dict[str, dict[int, dict[str, Any]]],
    number: int,
    name: str,
    still: Still,
    asked: list[Sentence],
) -> None:
    group = number // PHOTOS
    image: dict[str, Any] = {
        "id": number,
        "file_name": name,
        "height": still.size[1],
        "width": still.size[0],
        "flickr_url": "",
        "anno_id": [],
        "group_id": group,
        "license": "4",
    }
    tables["images"][number] = image
    tables["groups"][group]["img_id"].append(number)
    for thing in shown(still):
        holding = [i + 1 for i, sentence in enumerate(asked) if sentence.holds(thing)]
        if not holding:
            continue
        id_, box = len(tables["annotations"]), thing.box
        tables["annotations"][id_] = {
            "id": id_,
            "sent_id": holding,
            "segmentation": run_lengths(thing.mask),
            "area": int(thing.mask.sum()),
            "iscrowd": 0,
            "image_id": number,
            "bbox": [int(box.x1), int(box.y1), int(box.width), int(box.height)],
            "group_id": group,
        }
        image["anno_id"].append(id_)
        for sentence in holding:
            tables["sentences"][sentence]["anno_id"].append(id_)


def _finish(tables: dict[str, dict[int, dict[str, Any]]]) -> None:
    """Which sentences find something in each group, its own and others'."""
    for annotation in tables["annotations"].values():
        group = tables["groups"][annotation["group_id"]]
        for sentence in annotation["sent_id"]:
            own = sentence in group["inner_sent_id"]
            found = group["pos_sent_id" if own else "outer_sent_id"]
            if sentence not in found:
                found.append(sentence)


def _coco(
    tables: dict[str, dict[int, dict[str, Any]]], wanted: tuple[bool, ...]
) -> dict[str, list[dict[str, Any]]]:
    """The JSON file of the sentences whose `is_negative` is wanted."""
    chosen = {i: s for i, s in tables["sentences"].items() if s["is_negative"] in wanted}
    boxes = [
        {
            "image_id": annotation["image_id"],
            "category_id": sentence,
            "segmentation": annotation["segmentation"],
            "area": annotation["area"],
            "bbox": annotation["bbox"],
            "iscrowd": 0,
        }
        for annotation in tables["annotations"].values()
        for sentence in annotation["sent_id"]
        if sentence in chosen
    ]
    keys = ("id", "file_name", "height", "width")
    return {
        "images": [{key: image[key] for key in keys} for image in tables["images"].values()],
        "categories": [{"id": i, "name": s["raw_sent"]} for i, s in chosen.items()],
        "annotations": [{"id": i, **box} for i, box in enumerate(boxes)],
    }
