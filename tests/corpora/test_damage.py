"""A thousand damages to corpora of every layout: no crash, no bad box, no item lost in silence."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import dirname
from typing import Any

import msgspec
import pytest
from accounts import OWED, unpaid
from mutations import Changes, damage

from mgdata.corpora.voc import Voc
from mgdata.data import Drop, Image, Record, Region
from mgdata.errors import EnvironmentFailure, StorageError, UsageError
from mgdata.identity import Stream
from mgdata.plugins import Corpus
from mgdata.registry import find, names
from mgdata.stages.ingest import read_part
from mgdata.storage import Root
from mgdata.synth import FORMATS, write
from mgdata.tables import RecordRows, write_ledger
from mgdata.validity import record_fault


@dataclass(frozen=True)
class Layout:
    """How a layout is read here."""

    corpus: str
    damages: int
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


LAYOUTS = {
    "clevr_change": Layout("clevr_change", 70),
    "coco": Layout("coco", 75, {"sizes": "header"}),
    "d3": Layout("d3", 75),
    "davis": Layout("davis", 70),
    "egoexo4d": Layout("egoexo4d", 75),
    "flickr30k_entities": Layout("flickr30k_entities", 75, {"splits": ("train", "val")}),
    "got10k": Layout("got10k", 70),
    "grand": Layout("grand", 70),
    "img_diff": Layout("img_diff", 70),
    "lasot": Layout("lasot", 70),
    "lvis": Layout("coco", 50),
    "magicbrush": Layout("magicbrush", 75),
    "mc_bench": Layout("mc_bench", 80),
    "mig_bench": Layout("mig_bench", 70),
    "motchallenge": Layout("motchallenge", 70),
    "mvtrack": Layout("mvtrack", 70, {"every": 1}),
    "objects365": Layout("coco", 50, {"empty": "keep"}),
    "paco": Layout("coco", 50),
    "refcoco": Layout("refcoco", 75),
    "sav": Layout("sav", 70),
    "spot_the_diff": Layout("spot_the_diff", 70),
    "star": Layout("star", 75, {"splits": ("train", "val")}),
    "tao": Layout("tao", 75),
    "trackingnet": Layout("trackingnet", 70),
    "visual_genome": Layout("visual_genome", 75),
    "voc": Layout("voc", 75),
    "wildtrack": Layout("wildtrack", 70, {"offset": 0}),
    "youtube_vos": Layout("youtube_vos", 70, {"splits": ("train", "valid")}),
}
"""Every format that is written here; a thousand damages and some."""
REAL: dict[str, tuple[str, dict[str, Any]]] = {
    "coco": ("coco", {"sizes": "header"}),
    "d3": ("d3", {}),
    "davis": ("davis", {}),
    "davis2017": ("davis", {}),
    "egoexo4d": ("egoexo4d", {}),
    "flickr30k_entities": ("flickr30k_entities", {"splits": ("train", "val")}),
    "got10k": ("got10k", {"splits": ("train", "val")}),
    "imagenet_vid": ("voc", {}),
    "img_diff": ("img_diff", {"before": "{path}_1.jpg", "after": "{path}_2.jpg"}),
    "lasot": ("lasot", {}),
    "lvis": ("coco", {}),
    "mc_bench": ("mc_bench", {}),
    "mig_bench": ("mig_bench", {}),
    "mot": ("motchallenge", {}),
    "objects365": ("coco", {}),
    "refcoco": ("refcoco", {}),
    "spot_the_diff": ("spot_the_diff", {"splits": ("train", "val", "test")}),
    "tao": ("tao", {}),
    "trackingnet": ("trackingnet", {"splits": ("TRAIN", "TEST")}),
    "visual_genome": ("visual_genome", {"annotations": "regions"}),
    "voc": ("voc", {}),
    "wildtrack": ("wildtrack", {"offset": 0}),
    "youtube_vos": ("youtube_vos", {}),
}
"""Corpus and settings of each real folder. Real pairs of Img-Diff come without annotation."""
ROW = [{"path": "img_pair", "bbox": "[0.02, 0.3, 0.98, 0.8]", "conversations": "a boat"}]
replace = msgspec.structs.replace


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_damage_crashes_a_reader_lets_a_bad_box_in_or_loses_an_item(
    layout: str, tmp_path: Path
) -> None:
    write(layout, tmp_path / "whole", clips=5, frames=3, size=(64, 64), seed=1)
    how = LAYOUTS[layout]
    assert not spoilt(layout, how.corpus, how.settings, tmp_path, how.damages)


@pytest.mark.real
@pytest.mark.parametrize("folder", REAL)
def test_no_damage_to_a_real_sample_does_either(
    folder: str, real_corpora: Path, tmp_path: Path
) -> None:
    shutil.copytree(real_corpora / folder, tmp_path / "whole")
    if folder == "img_diff":
        (tmp_path / "whole/img_diff_object_replacement.json").write_text(json.dumps(ROW))
    corpus, settings = REAL[folder]
    assert not spoilt(folder, corpus, settings, tmp_path, 40)


def test_every_layout_that_can_be_read_is_damaged() -> None:
    assert set(LAYOUTS) == set(FORMATS)
    assert {how.corpus for how in LAYOUTS.values()} == set(names("corpora")) == set(OWED)
    assert sum(how.damages for how in LAYOUTS.values()) >= 1000


class Crashing(Voc):
    def records(self, part: str) -> Iterator[Record | Drop]:
        for item in super().records(part):
            yield item if isinstance(item, Record) else [][0]


class Silent(Voc):
    def records(self, part: str) -> Iterator[Record | Drop]:
        return (item for item in super().records(part) if isinstance(item, Record))


class Credulous(Voc):
    def records(self, part: str) -> Iterator[Record | Drop]:
        for item in super().records(part):
            if isinstance(item, Record):
                wide = [replace(r, box=r.box and replace(r.box, x2=1e9)) for r in item.regions]
                item = replace(item, regions=tuple(wide))
            yield item


class Forgetful(Voc):
    def records(self, part: str) -> Iterator[Record | Drop]:
        for item in super().records(part):
            yield replace(item, skipped={}) if isinstance(item, Record) else item


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        (Crashing, "plug-in error"),
        (Silent, "nothing for"),
        (Credulous, "invalid record"),
        (Forgetful, "annotations, "),
    ],
)
def test_a_reader_that_does_is_found_out(reader: type[Voc], said: str, tmp_path: Path) -> None:
    write("voc", tmp_path / "whole", clips=3, frames=1, size=(64, 64), seed=1)
    assert any(said in fault for fault in spoilt("voc", "voc", {}, tmp_path, 60, reader))


def spoilt(
    layout: str,
    corpus: str,
    settings: Mapping[str, Any],
    folder: Path,
    damages: int,
    reader: type[Corpus] | None = None,
) -> list[str]:
    """What went wrong in reading `folder/whole` after each of so many damages."""
    whole = folder / "whole"
    files = {f.relative_to(whole).as_posix(): f.read_bytes() for f in whole.rglob("*") if f.is_file()}  # fmt: skip
    reader = reader or find("corpora", corpus)
    faults: list[str] = []
    for number in range(damages):
        found = damage(files, Stream("damage", layout, str(number)))
        # A folder of its own each time: readers remember what they listed and opened.
        copy = folder / str(number)
        after = _laid_out(files, whole, found.changes, copy)
        read = reader(name="c", root=Root(str(copy)), **settings)
        faults += [f"{number}, {found.what}: {fault}" for fault in _faults(read, corpus, after)]
        shutil.rmtree(copy)
    return faults


def _laid_out(
    files: Mapping[str, bytes], whole: Path, changes: Changes, copy: Path
) -> dict[str, bytes]:
    """Write the damaged corpus, sound files as links; gives its files."""
    after = {path: data for path, data in (files | changes).items() if data is not None}
    copy.mkdir()
    for path, data in after.items():
        place = copy / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if path in changes:
            place.write_bytes(data)
        else:
            os.link(whole / path, place)
    return after


def _faults(corpus: Corpus, layout: str, files: Mapping[str, bytes]) -> list[str]:
    try:
        parts = corpus.parts()
    except (UsageError, EnvironmentFailure, StorageError) as error:
        told = str(error)
        named = corpus.root.url in told or any(f in told or dirname(f) in told for f in files)
        return [] if named else [f"names no file: {told}"]
    except Exception as error:
        return [f"parts: {type(error).__name__}: {error}"]
    outcome: dict[str, list[Record | Drop]] = {}
    for part in parts:
        try:
            outcome[part] = list(read_part(corpus, part))
        except (UsageError, EnvironmentFailure) as error:
            return [f"sound for parts(), not for {part}: {error}"]
        except Exception as error:
            return [f"{part}: {type(error).__name__}: {error}"]
    items = [item for items in outcome.values() for item in items]
    faults = [fault for item in items for fault in _wrong(item)]
    faults += [fault for read in outcome.values() for fault in _twice(read)]
    return faults + _unwritten(items, Path(corpus.root.url)) + unpaid(layout, files, outcome)


def _wrong(item: Record | Drop) -> list[str]:
    if isinstance(item, Record):
        boxes = [(region, item.images[region.image]) for region in item.regions if region.box]
        faults = [f"{item.key}: {r.box} in {i.width}x{i.height}" for r, i in boxes if not _in(r, i)]
        return faults + ([record_fault(item) or ""] if record_fault(item) else [])
    if item.reason in ("plug-in error", "invalid record"):
        return [f"{item.key}: {item.reason}: {item.value}"]
    return [] if item.key.startswith("c/") and item.reason else [f"a drop of nothing: {item}"]


def _in(region: Region, image: Image) -> bool:
    box = region.box
    assert box is not None
    sides = (box.x1, box.y1, box.x2, box.y2)
    across, down = 0 <= box.x1 < box.x2 <= image.width, 0 <= box.y1 < box.y2 <= image.height
    return all(map(math.isfinite, sides)) and across and down


def _twice(items: list[Record | Drop]) -> list[str]:
    """Keys that more than one record of a part has; a run drops those of several parts."""
    counts = Counter(item.key for item in items if isinstance(item, Record))
    return [f"{key}: {count} records" for key, count in counts.items() if count > 1]


def _unwritten(items: list[Record | Drop], folder: Path) -> list[str]:
    """What cannot be written to the tables of a run, such as half a character in a key."""
    rows = RecordRows()
    try:
        for item in items:
            if isinstance(item, Record):
                rows.add(item)
        rows.write(folder / "records.arrow")
        write_ledger(folder / "ledger.parquet", [i for i in items if isinstance(i, Drop)])
    except Exception as error:
        return [f"cannot be stored: {type(error).__name__}: {error}"]
    return []
