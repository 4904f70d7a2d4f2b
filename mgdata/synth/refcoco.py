"""Writes photos with texts about their toys in the layouts of RefCOCO, +, g and gRefCOCO.

All four describe the same photos, each with its own instances.json. Texts name colour and kind
(no two toys of a photo share both), or the place where a kind is there twice; gRefCOCO's mean
every toy of a kind, two toys, or nothing. As in the real files, a few texts (`ball` with two balls
there) stand for two different toys, a ref's `file_name` carries its annotation's number, and some
photos have a crowd: there the toys of one kind are one region.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mgdata.synth.camera import Camera
from mgdata.synth.coco import LICENSES, Lists, Shot, categories, number_of, shots
from mgdata.synth.photos import Thing, bounds
from mgdata.synth.sprites import COLOURS

SETS = {"refcoco": "unc", "refcoco+": "unc", "refcocog": "umd", "grefcoco": "unc"}
"""Who split each set."""
KINDS = ("ball", "star", "heart", "car", "mug")
_FIRST = 500_000
"""Number of the first photo: no other format has it."""


@dataclass(frozen=True)
class _Toy:
    """A thing with its annotation."""

    thing: Thing
    id: int

    @property
    def category(self) -> int:
        return number_of(self.thing.label)


def write(out: Path, camera: Camera) -> int:
    """Write the photos; the last fifth to val and the tests. Nothing is absent: 0."""
    lists = Lists()
    refs = {name: _Refs() for name in SETS}
    for shot in shots(camera, "refcoco", kinds=KINDS, things=(3, 7)):
        name = f"COCO_train2014_{_FIRST + shot.number:012d}.jpg"
        folder = out / "images/mscoco/images/train2014"
        camera.shoot(shot.still.scene(), folder, lambda _, name=name: name)
        lists.image(_FIRST + shot.number, camera.job, file_name=name, license=4)
        toys = _annotated(lists, shot)
        for dataset, several in refs.items():
            several.photo(_FIRST + shot.number, _split(dataset, shot))
            if dataset == "grefcoco":
                _many(several, shot, toys)
            else:
                _single(dataset, several, shot, toys)
    for dataset, by in SETS.items():
        lists.write(out / dataset / "instances.json", categories(), LICENSES)
        if dataset == "grefcoco":
            (out / dataset / f"grefs({by}).json").write_text(json.dumps(refs[dataset].all))
        else:
            data = pickle.dumps(refs[dataset].all, protocol=2)
            (out / dataset / f"refs({by}).p").write_bytes(data)
    return 0


@dataclass
class _Refs:
    """The refs of one set as they grow."""

    all: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    sentences: int = 0
    image: int = 0
    split: str = ""

    def photo(self, image: int, split: str) -> None:
        """Refs that follow are about this photo."""
        self.image, self.split = image, split

    def add(self, toys: Sequence[_Toy], texts: Sequence[str], *, several: bool = False) -> None:
        """One more ref; `several` as gRefCOCO writes it."""
        first = self.sentences
        self.sentences += len(texts)
        stem = f"COCO_train2014_{self.image:012d}"
        ref: dict[str, Any] = {
            "ref_id": len(self.all),
            "image_id": self.image,
            "split": self.split,
            "file_name": f"{stem}.jpg" if several else f"{stem}_{toys[0].id}.jpg",
            "sent_ids": list(range(first, self.sentences)),
            "sentences": [
                {"tokens": text.split(), "raw": text.title(), "sent": text, "sent_id": first + i}
                for i, text in enumerate(texts)
            ],
        }
        if several:
            ref["ann_id"] = [toy.id for toy in toys] or [-1]
            ref["category_id"] = [toy.category for toy in toys] or [-1]
            ref["no_target"] = not toys
            for sentence in ref["sentences"]:
                sentence["exist"] = bool(toys)
        else:
            ref["ann_id"], ref["category_id"] = toys[0].id, toys[0].category
        self.all.append(ref)


def _split(dataset: str, shot: Shot) -> str:
    if shot.split == "train":
        return "train"
    test = "test" if dataset == "refcocog" else ("testA", "testB")[shot.number // 2 % 2]
    return "val" if shot.number % 2 else test


def _annotated(lists: Lists, shot: Shot) -> list[_Toy]:
    """Write the regions of a photo; gives those that a text may be about."""
    crowd = None
    kinds = [thing.label for thing in shot.things]
    twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
    if twice and len(set(kinds)) > 1 and shot.rng.below(6) == 0:
        crowd = shot.rng.choice(twice)
        mask = np.logical_or.reduce([t.mask for t in shot.things if t.label == crowd])
        lists.region(number_of(crowd), mask, bounds(mask), crowd=True)
    return [
        _Toy(thing, lists.region(number_of(thing.label), thing.mask, thing.box))
        for thing in shot.things
        if thing.label != crowd
    ]


def _single(dataset: str, refs: _Refs, shot: Shot, toys: Sequence[_Toy]) -> None:
    """A ref for each toy."""
    careless = shot.rng.below(4) == 0
    for toy in toys:
        thing = toy.thing
        same = [other for other in toys if other.thing.label == thing.label]
        texts = [
            thing.phrase if dataset != "refcocog" else f"the {thing.phrase} lying on the ground"
        ]
        if len(same) == 1 or careless:
            texts.append(thing.label)
        if dataset == "refcoco" and len(same) == 2:
            left = min(same, key=lambda other: other.thing.box.x1) is toy
            texts.append(f"{thing.label} on the {'left' if left else 'right'}")
        refs.add([toy], texts)


def _many(refs: _Refs, shot: Shot, toys: Sequence[_Toy]) -> None:
    """Texts for all of a kind, for two toys, for one, and for nothing."""
    by_kind = {kind: [toy for toy in toys if toy.thing.label == kind] for kind in KINDS}
    for kind, several in by_kind.items():
        if several:
            refs.add(several, [f"all {kind}s" if len(several) > 1 else f"the {kind}"], several=True)
        elif not any(thing.label == kind for thing in shot.things):
            refs.add([], [f"the {shot.rng.choice(list(COLOURS))} {kind}"], several=True)
    phrases = {thing.phrase for thing in shot.things}
    other = [f"{colour} {kind}" for kind in KINDS for colour in COLOURS]
    refs.add([], [shot.rng.choice([p for p in other if p not in phrases])], several=True)
    if len(toys) > 1:
        two = shot.rng.sample(toys, 2)
        text = f"the {two[0].thing.phrase} and the {two[1].thing.phrase}"
        refs.add(two, [text], several=True)
    if toys:
        one = shot.rng.choice(list(toys))
        refs.add([one], [one.thing.phrase], several=True)
