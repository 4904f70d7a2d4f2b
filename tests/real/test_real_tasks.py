"""Tasks over photos, pairs and views, built from the real samples of every folder that feeds one.

The samples hold a dozen photos, four pairs and two moments, so bands are wider than the tasks'
own and each task gives one to four rows. Not built: correspondence (no sample has parts), robust
difference (none of CLEVR-Change), and anything of MIG-Bench, whose sample has no pixels: it is
read only. The one pair of Img-Diff comes without annotation; ours is written beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest
import yaml
from command import ledger, mgdata
from processes import finished

pytestmark = pytest.mark.real

CORPORA = {
    "coco": {},
    "objects365": {"corpus": "coco"},
    "voc": {},
    "spot_the_diff": {"with": {"splits": ["train", "val", "test"]}},
    "img_diff": {"with": {"before": "{path}_1.jpg", "after": "{path}_2.jpg"}},
    "egoexo4d": {},
}
PHOTOS = ["coco", "objects365", "voc"]
TASKS = {
    "region_locating": (4, PHOTOS, {"min_boxes": 3, "band": [0.001, 0.5]}),
    "referring": (
        2,
        PHOTOS,
        {"reference": [0.05, 0.95], "area": [0.001, 0.6], "margin": 1.0, "whole": False},
    ),
    "common_object": (2, PHOTOS, {"images": [2, 3], "area": [0.005, 0.95]}),
    "group_grounding": (4, PHOTOS, {"words": "label", "images": [2, 4], "area": [0.001, 0.9]}),
    "reasoning": (4, PHOTOS, {"min_area": 0.0005}),
    "static_difference": (3, ["spot_the_diff", "img_diff"], {}),
    "multi_view": (1, ["egoexo4d"], {}),
}
"""Samples, corpora and settings of each task."""
ODD = {"empty image": 1, "unreadable image": 1, "truncated image": 1, "animated image": 1}
"""What becomes of the files of `robustness` that are no still pictures."""


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Where the real corpora lie; Img-Diff with an annotation of ours."""
    base = Path(os.environ["MGDATA_CORPORA"])
    pair = tmp_path_factory.mktemp("img_diff") / "pair"
    shutil.copytree(base / "img_diff", pair)
    rows = [{"path": "img_pair", "bbox": "[0.02, 0.3, 0.98, 0.8]", "conversations": "a boat"}]
    (pair / "img_diff_object_replacement.json").write_text(json.dumps(rows))
    places = {name: base / name for name in CORPORA} | {"img_diff": pair}
    return [f"--root={name}={place}" for name, place in places.items()]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    document = {
        "name": "real-tasks",
        "splits": {"train": 1.0},
        "corpora": CORPORA,
        "tasks": {
            name: {"samples": samples, "corpora": corpora, "with": settings}
            for name, (samples, corpora, settings) in TASKS.items()
        },
        "limits": {"rejected": 1.0},
    }
    path = tmp_path_factory.mktemp("recipe") / "real-tasks.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def run(recipe: Path, roots: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished serial run over the real corpora."""
    out = tmp_path_factory.mktemp("run") / "serial"
    ended = mgdata("run", recipe, "--out", out, "--engine", "serial", *roots)
    assert ended.code == 0, ended.err
    return out


@pytest.mark.parametrize(
    ("folder", "corpus", "records", "dropped"),
    [
        ("coco", "coco", 11, 2),
        ("objects365", "coco", 2, 0),
        ("lvis", "coco", 2, 0),
        ("voc", "voc", 3, 0),
        ("imagenet_vid", "voc", 5, 1),
        ("egoexo4d", "egoexo4d", 2, 0),
        ("spot_the_diff", "spot_the_diff", 1, 1),
        ("mig_bench", "mig_bench", 0, 30),  # no pixels
        ("d3", "d3", 6, 0),
        ("refcoco", "refcoco", 6, 0),
        ("flickr30k_entities", "flickr30k_entities", 2, 0),
        ("visual_genome", "visual_genome", 3, 0),
        ("wildtrack", "wildtrack", 1, 0),
        ("davis", "davis", 2, 0),
        ("davis2017", "davis", 1, 0),
        ("youtube_vos", "youtube_vos", 1, 0),
        ("tao", "tao", 1, 0),
        ("mc_bench", "mc_bench", 4, 0),
        ("sav", "sav", 0, 1),  # no pixels
    ],
)
def test_corpora_check_accounts_for_the_whole_folder(
    folder: str, corpus: str, records: int, dropped: int, real_corpora: Path, tmp_path: Path
) -> None:
    found = tmp_path / "report.json"
    ended = mgdata("corpora", "check", corpus, real_corpora / folder, "--json", found)
    assert ended.code == (0 if records else 1), ended.err
    report = msgspec.json.decode(found.read_bytes())
    assert report["layout"] == "as expected"
    assert report["records"] == records
    assert sum(drop["count"] for drop in report["drops"].values()) == dropped


def test_every_task_has_its_rows_and_the_release_passes_its_check(run: Path) -> None:
    import pyarrow.parquet as pq

    rows = {
        name: sum(pq.read_table(f).num_rows for f in (run / "release/data" / name).glob("*"))
        for name in TASKS
    }
    assert rows == {name: samples for name, (samples, _, _) in TASKS.items()}
    checked = mgdata("check", run)
    assert checked.code == 0, checked.out + checked.err


def test_ray_builds_the_same_files_from_real_photos_pairs_and_views(
    run: Path, recipe: Path, roots: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "ray"
    words = ["run", str(recipe), "--out", str(out), "--engine", "ray", "--workers", "2", *roots]
    ended = finished([str(Path(sys.executable).with_name("mgdata")), *words], seconds=300)
    assert ended.returncode == 0, ended.stderr
    serial, ray = (
        {f.relative_to(r): f.read_bytes() for f in (r / "release").rglob("*") if f.is_file()}
        for r in (run, out)
    )
    assert serial == ray


def test_odd_real_images_are_released_or_dropped_with_a_reason(
    real_corpora: Path, tmp_path: Path
) -> None:
    """Greyscale, CMYK, 16 bits, rotations, a cut file, one of no bytes: as photos of a corpus."""
    files = sorted(f for f in (real_corpora / "robustness").rglob("*") if f.is_file())
    folder = tmp_path / "odd/train2017"
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder / file.name)
    boxes = [[10 + 40 * n, 10 + 30 * n, 36, 27] for n in range(4)]
    annotation = {
        "images": [{"id": n, "file_name": file.name} for n, file in enumerate(files)],
        "annotations": [
            {"id": 10 * n + k, "image_id": n, "category_id": 1, "bbox": box}
            for n in range(len(files))
            for k, box in enumerate(boxes)
        ],
        "categories": [{"id": 1, "name": "spot"}],
    }
    (tmp_path / "odd/instances_train2017.json").write_text(json.dumps(annotation))
    task = {"samples": len(files), "with": {"min_boxes": 3, "band": [0.0, 0.5], "min_pixels": 500}}
    document = {
        "name": "odd",
        "splits": {"train": 1.0},
        "corpora": {"odd": {"corpus": "coco"}},
        "tasks": {"region_locating": task},
        "limits": {"rejected": 1.0},
    }
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump(document))
    out = tmp_path / "run"
    root = f"--root=odd={tmp_path / 'odd'}"
    assert mgdata("run", tmp_path / "odd.yaml", "--out", out, "--engine", "serial", root).code == 1
    found = Counter(drop.reason for drop in ledger(out))
    # Two of them pass for images by their headers, so that a sample each is planned and goes too.
    assert found == ODD | {"image unfit": 2}
    checked = mgdata("check", out)
    assert checked.out.startswith(f"1 files, {len(files) - sum(ODD.values())} rows")
    assert checked.code == 0
