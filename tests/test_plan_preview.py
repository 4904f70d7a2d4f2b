"""What a recipe would make, before it is made: the plan near the truth, the preview at once."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from command import counted, mgdata
from PIL import Image as Picture

from mgdata import load_recipe, run
from mgdata import plan as plan_of
from mgdata.data import Sample
from mgdata.errors import EnvironmentFailure
from mgdata.plan import Plan, refuse_short_disk
from mgdata.preview import build_few
from mgdata.storage import Store

RECIPE = """\
name: probe
corpora: {{got10k: {{}}, motchallenge: {{}}, lasot: {{}}, trackingnet: {{}}}}
splits: {{train: 0.7, test: 0.3}}
tasks:
  object_tracking:
    samples: {samples}
    with: {settings}
build: {{groups: 32}}
release: {{file_mb: {file_mb}}}
"""


@pytest.mark.parametrize(
    ("samples", "settings", "file_mb"),
    [
        # a few of many groups
        (24, "{}", 500),
        # most frames of every clip several times
        (160, "{per_clip: 30}", 1),
        # long samples that share their frames
        (120, "{per_clip: 20, frames: [6, 10], given: coordinates}", 500),
        # every later frame is drawn on: nothing is shared
        (60, "{per_clip: 10, given: mark}", 500),
        # more than there is
        (900, "{per_clip: 2}", 500),
    ],
)
def test_a_plan_is_near_what_the_run_then_makes(
    samples: int, settings: str, file_mb: float, quick_corpora: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "probe.yaml"
    recipe.write_text(RECIPE.format(samples=samples, settings=settings, file_mb=file_mb))
    loaded = load_recipe(str(recipe), str(quick_corpora / "roots.yaml"))
    found = plan_of(loaded)
    run(loaded, str(tmp_path / "run"), engine="serial")
    data = tmp_path / "run" / "release" / "data"
    rows = [
        row
        for file in data.rglob("*.parquet")
        for row in pq.read_table(file, columns=["split", "image_info"]).to_pylist()
    ]
    images = {(row["split"], info["sha256"]) for row in rows for info in row["image_info"]}
    stored = counted(tmp_path / "run", "release")["stored image bytes"]
    said = (
        sum(line.samples for line in found.lines),
        sum(line.images for line in found.lines),
        found.bytes,
    )
    truth = (len(rows), len(images), stored)
    for name, guess, true in zip(("samples", "images", "bytes"), said, truth, strict=True):
        print(f"{name}: {guess:,} planned, {true:,} made")
        assert guess == pytest.approx(true, rel=0.25), name


def test_a_plan_builds_nothing_and_keeps_nothing_unless_asked(
    quick_corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = mgdata("plan", "quickstart", "--roots", quick_corpora / "roots.yaml")
    assert ended.code == 0
    assert not list(tmp_path.iterdir())
    head, *lines = ended.out.splitlines()
    assert head.split() == ["task", "split", "wanted", "samples", "images", "MB"]
    assert [line.split()[:3] for line in lines[:2]] == [
        ["object_tracking", "train", "96"],
        ["object_tracking", "test", "24"],
    ]
    assert re.fullmatch(r"\d+ build shards, about 2 files, about \d+ worker seconds", lines[-1])
    mgdata("plan", "quickstart", "--roots", quick_corpora / "roots.yaml", "--out", "kept")
    kept = {path.name for path in (tmp_path / "kept").iterdir()}
    assert "records" in kept and not kept & {"samples", "release"}


def test_a_disk_too_small_for_the_plan_is_refused_with_both_sizes(tmp_path: Path) -> None:
    from mgdata.plan import Line

    free = shutil.disk_usage(tmp_path).free
    line = Line(task="t", split="s", wanted=1, groups=1, samples=1, images=1, bytes=2 * free)
    found = Plan(lines=(line,), shards=1, files=1, seconds=0)
    with pytest.raises(EnvironmentFailure, match=r"needs about .* GB and .* GB free: free some"):
        refuse_short_disk(found, Store(str(tmp_path)))
    small = Plan(lines=(), shards=0, files=0, seconds=0)
    refuse_short_disk(small, Store(str(tmp_path)))


# Preview.


def test_a_preview_writes_a_page_with_as_many_samples_and_no_run(
    quick_corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = mgdata("preview", "quickstart", "--roots", quick_corpora / "roots.yaml", "-n", "20")
    assert ended.code == 0
    page = Path(ended.out.strip())
    assert page == tmp_path / "preview-quickstart" / "index.html"
    assert page.read_text().count('data-reason="kept"') >= 20
    assert [path.name for path in tmp_path.iterdir()] == ["preview-quickstart"]
    pictures = [path for path in page.parent.rglob("*") if path.suffix in (".jpg", ".png", ".webp")]
    assert pictures
    assert np.asarray(Picture.open(pictures[0])).std() > 5


def test_a_preview_of_one_key_shows_only_that_record(quick_corpora: Path) -> None:
    loaded = load_recipe("quickstart", str(quick_corpora / "roots.yaml"))
    samples, _ = build_few(loaded, 8)
    key = samples[-1].records[0]
    for part in (key, key.rpartition("/")[2]):
        mine, _ = build_few(loaded, 8, part)
        assert mine and {record for one in mine for record in one.records} == {key}


def test_a_preview_of_an_unknown_key_says_that_nothing_matches(
    quick_corpora: Path, tmp_path: Path
) -> None:
    words = ("preview", "quickstart", "--roots", quick_corpora / "roots.yaml", "--key", "nobody")
    ended = mgdata(*words, "--out", tmp_path / "page")
    assert ended.code == 2
    assert "no record's key holds 'nobody'" in ended.err
    assert not (tmp_path / "page").exists()


def test_a_preview_shares_its_samples_out_over_the_tasks(
    quick_corpora: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "two.yaml"
    recipe.write_text(
        "name: two\n"
        "corpora: {got10k: {}, lasot: {}}\n"
        "tasks:\n"
        "  a: {builder: object_tracking, samples: 50, with: {per_clip: 9}}\n"
        "  b: {builder: object_tracking, samples: 50, with: {per_clip: 9}, corpora: [lasot]}\n"
    )
    loaded = load_recipe(str(recipe), str(quick_corpora / "roots.yaml"))
    samples, _ = build_few(loaded, 9)
    assert [one.task for one in samples] == ["a"] * 5 + ["b"] * 4


def test_a_preview_shows_samples_that_the_run_makes_too(
    quick_corpora: Path, quick_run: Path
) -> None:
    loaded = load_recipe("quickstart", str(quick_corpora / "roots.yaml"))
    samples, _ = build_few(loaded, 20)
    assert all(isinstance(one, Sample) for one in samples) and len(samples) == 20
    assert len({one.id for one in samples}) == 20
    files = (quick_run / "release" / "data").rglob("*.parquet")
    released = {uri["uri"].partition(":")[0] for f in files for row in pq.read_table(f, columns=["image_info"]).to_pylist() for uri in row["image_info"]}  # fmt: skip
    assert {one.images[0].uri.partition(":")[0] for one in samples} <= released
