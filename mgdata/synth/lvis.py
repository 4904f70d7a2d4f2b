"""Writes photos in the LVIS v1 layout: a federated data set, where silence is not absence.

An image has no `file_name`, only a `coco_url`; photos of val lie in either of COCO's folders. Of
the kinds in a photo one may be unannotated altogether, and one annotated but for one toy, which
then stands in `not_exhaustive_category_ids`; four kinds that are not there are in
`neg_category_ids`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mgdata.synth.camera import Camera
from mgdata.synth.coco import LICENSES, Lists, Shot, shots
from mgdata.synth.toybox import KINDS

_FIRST = 300_000
"""Number of the first photo: no other format has it."""
_URL = "http://images.cocodataset.org"


def write(out: Path, camera: Camera) -> int:
    """Write the photos, the last fifth to val; nothing annotated is absent: 0."""
    files = {split: Lists() for split in ("train", "val")}
    for shot in shots(camera, "lvis", things=(4, 8)):
        folder = "train2017" if shot.split == "train" or shot.number % 2 else "val2017"
        name = f"{_FIRST + shot.number:012d}.jpg"
        camera.shoot(shot.still.scene(), out / folder, lambda _, name=name: name)
        _annotate(files[shot.split], shot, camera, f"{_URL}/{folder}/{name}")
    for split, lists in files.items():
        lists.write(out / f"annotations/lvis_v1_{split}.json", list(_categories()), LICENSES)
    return 0


def _annotate(lists: Lists, shot: Shot, camera: Camera, url: str) -> None:
    """One image: what is looked for, what of it is complete, and the regions."""
    counts = Counter(thing.label for thing in shot.things)
    many = sorted(label for label, count in counts.items() if count > 1)
    partial = many[:1] if many and shot.rng.below(2) else []
    others = sorted(set(counts) - set(partial))
    silent = others[:1] if len(others) > 2 and shot.rng.below(3) == 0 else []
    absent = shot.rng.sample([kind for kind in KINDS if kind not in counts], 4)
    lists.image(
        _FIRST + shot.number,
        camera.job,
        coco_url=url,
        license=4,
        neg_category_ids=sorted(KINDS.index(kind) + 1 for kind in absent),
        not_exhaustive_category_ids=[KINDS.index(kind) + 1 for kind in partial],
    )
    left_out = {next(i for i, t in enumerate(shot.things) if t.label == kind) for kind in partial}
    for i, thing in enumerate(shot.things):
        if i not in left_out and thing.label not in silent:
            lists.region(KINDS.index(thing.label) + 1, thing.mask, thing.box)


def _categories() -> Iterator[dict[str, Any]]:
    for i, kind in enumerate(KINDS):
        yield {
            "id": i + 1,
            "name": kind,
            "synonyms": [kind],
            "synset": f"{kind}.n.01",
            "def": f"a toy {kind}",
            "frequency": "f",
        }
