"""Other people's plug-ins: an installed package, and a task in one file that a recipe names.

The package in tests/plugin is installed with pip and used through the command line, as its users
would; nothing of mgdata knows it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from command import ledger
from PIL import Image as Picture
from processes import finished

PACKAGE = Path(__file__).parent / "plugin"
LABELS = ("red ball", "blue cube", "green cone", "yellow ring")
RECIPE = """\
name: extras
corpora:
  photos: {corpus: photolist, license: CC-BY-4.0}
tasks:
  find_among: {samples: 12, with: {images: 3}}
measures:
  integrity: {}
  brightness: {darkest: 30}
  extent: {}
filters:
  prominent: {smallest: 0.04}
  lively: {dullest: 80}
build: {groups: 4}
limits: {rejected: 0.9}
"""


def write_photos(root: Path) -> None:
    """Forty photos in two lists; some too dark, some dull, some with a tiny object."""
    root.mkdir()
    rng = np.random.default_rng(5)
    lists: list[list[str]] = [[], []]
    for number in range(40):
        level = {0: 5, 1: 45}.get(number % 10, 120)
        pixels = rng.integers(level, level + 20, (60, 80, 3)).astype(np.uint8)
        side = 4 if number % 10 == 2 else 24
        pixels[10 : 10 + side, 20 : 20 + side] += 60
        Picture.fromarray(pixels).save(root / f"{number:03d}.jpg", quality=95)
        line = {
            "file": f"{number:03d}.jpg",
            "label": LABELS[number % 4],
            "box": [20, 10, 20 + side, 10 + side],
        }
        lists[number % 2].append(json.dumps(line))
    lists[1] += [
        "{no json",
        json.dumps({"file": "../secret.jpg", "label": "x", "box": [0, 0, 1, 1]}),
    ]
    for name, lines in zip("ab", lists, strict=True):
        (root / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed to."""
    target = tmp_path_factory.mktemp("site")
    words = "install --quiet --no-deps --no-build-isolation --disable-pip-version-check --target"
    command = [sys.executable, "-m", "pip", *words.split(), str(target), str(PACKAGE)]
    subprocess.run(command, check=True, capture_output=True)
    return target


def mgdata(site: Path | None, *words: str | Path, code: int = 0) -> str:
    """A fresh process with the package on its path; its output."""
    paths = [*([str(site)] if site else []), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    ended = finished(
        [sys.executable, "-c", "from mgdata.cli import main; main()", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    assert "Traceback" not in ended.stderr
    assert ended.returncode == code, ended.stderr
    return ended.stdout if code == 0 else ended.stderr


def released(run: Path) -> dict[str, bytes]:
    """Every data file of a release."""
    data = run / "release" / "data"
    return {str(f.relative_to(data)): f.read_bytes() for f in sorted(data.rglob("*.parquet"))}


@pytest.fixture(scope="module")
def run(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A serial run of a recipe that uses all of the package."""
    folder = tmp_path_factory.mktemp("extras")
    write_photos(folder / "photos")
    (folder / "extras.yaml").write_text(RECIPE)
    words = ("run", folder / "extras.yaml", "--root", f"photos={folder / 'photos'}")
    mgdata(installed, *words, "--out", folder / "run", "--engine", "serial", "--quiet")
    return folder / "run"


def test_an_installed_package_is_in_the_lists(installed: Path) -> None:
    tasks = mgdata(installed, "tasks")
    assert "find_among  [referential; targets: one; image]" in tasks
    assert "images: int = 3" in tasks
    corpora = mgdata(installed, "corpora")
    assert "photolist  [image; licence: CC0-1.0; https://example.org/photolist]" in corpora
    assert "object_tracking  [" in tasks and "got10k  [" in corpora


def test_a_recipe_is_held_to_the_settings_of_other_peoples_plug_ins(
    installed: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "extras.yaml"
    recipe.write_text(RECIPE.replace("darkest", "darkset"))
    said = mgdata(installed, "run", recipe, "--root", f"photos={tmp_path}", "--out", tmp_path / "r", code=2)  # fmt: skip
    assert "measures.brightness.darkset: unknown key (did you mean darkest?)" in said


def test_their_corpus_task_measures_and_filters_shape_the_release(run: Path) -> None:
    (file,) = (run / "release" / "data" / "find_among").glob("*.parquet")
    rows = pq.read_table(file).to_pylist()
    assert len(rows) == 12
    for row in rows:
        assert (row["task"], row["association"], row["license"]) == ("find_among", "referential", "CC-BY-4.0")  # fmt: skip
        assert len(row["images"]) == 3 and len(row["turns"][0]["targets"]) == 1
    shown = {int(info["uri"][7:10]) % 10 for row in rows for info in row["image_info"]}
    assert shown and not shown & {0, 1, 2}


def test_what_they_drop_is_in_the_ledger_with_their_reasons(run: Path) -> None:
    drops = ledger(run)
    by_reason: dict[str, set[str]] = {}
    for drop in drops:
        by_reason.setdefault(drop.reason, set()).add(drop.key)
    assert by_reason["malformed line"] == {"photos/b.jsonl:21"}
    assert by_reason["object not prominent"] == {f"photos/{n:03d}.jpg" for n in (2, 12, 22, 32)}
    assert by_reason["too dark"] <= {f"photos:{n:03d}.jpg" for n in (0, 10, 20, 30)}
    assert by_reason["too dark"] and by_reason["dull picture"]
    leaving = [drop for drop in drops if "leaves the corpus root" in (drop.value or "")]
    assert [drop.key for drop in leaving] == ["photos/b.jsonl"]


def test_the_check_of_a_corpus_knows_theirs(installed: Path, run: Path) -> None:
    told = mgdata(installed, "corpora", "check", "photolist", run.parent / "photos")
    assert "records   40" in told and "malformed line" in told


def test_a_preview_shows_what_they_make_and_drop(
    installed: Path, run: Path, tmp_path: Path
) -> None:
    words = ("preview", run.parent / "extras.yaml", "--root", f"photos={run.parent / 'photos'}")
    page = Path(mgdata(installed, *words, "-n", "5", "--out", tmp_path / "page").strip())
    assert page.is_file()
    text = page.read_text()
    assert "find_among" in text and "object not prominent" in text


def test_ray_workers_find_an_installed_package(installed: Path, run: Path) -> None:
    folder = run.parent
    words = ("run", folder / "extras.yaml", "--root", f"photos={folder / 'photos'}", "--quiet")
    mgdata(installed, *words, "--out", folder / "ray", "--engine", "ray", "--workers", "1")
    assert released(folder / "ray") == released(run)


def test_without_the_package_its_names_are_unknown(run: Path) -> None:
    words = ("run", run.parent / "extras.yaml", "--root", f"photos={run.parent}", "--out", run)
    assert "there is no corpus 'photolist'" in mgdata(None, *words, code=2)


def test_a_changed_package_makes_a_finished_run_stale(
    installed: Path, run: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    for part in installed.iterdir():
        (site / part.name).symlink_to(part)
    words = ("run", run.parent / "extras.yaml", "--root", f"photos={run.parent / 'photos'}")
    again = (*words, "--out", run, "--engine", "serial", "--quiet")
    assert "nothing to do" in mgdata(site, *again)
    package = site / "grounding_extras"
    package.unlink()
    package.mkdir()
    for file in (installed / "grounding_extras").glob("*.py"):
        (package / file.name).write_bytes(file.read_bytes())
    wording = (installed / "grounding_extras" / "wording" / "find_among.yaml").read_text()
    (package / "wording").mkdir()
    (package / "wording" / "find_among.yaml").write_text(
        wording.replace("Find the", "Look for the")
    )
    assert "nothing to do" not in mgdata(site, *again)
    assert "Look for the" in str(
        [row["messages"] for row in pq.read_table(next((run / "release").rglob("*.parquet"))).to_pylist()]
    )  # fmt: skip


# A task in one file.

TASK = '''\
"""Last seen: where is the object in the last frame of its clip?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mgdata.data import Association, Drop, Record, Sample, Shape, Target, Turn
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.plugins import Builder


@dataclass(frozen=True, kw_only=True)
class LastSeen(Builder):
    """One sample a clip."""

    association: ClassVar[Association] = "temporal"
    shapes: ClassVar[tuple[Shape, ...]] = ("clip",)
    targets: ClassVar[str] = "one"

    words: str = "Where is it in the last image?"
    """The question."""

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """The first two and the last frame in which the object shows."""
        (clip,) = records
        seen = [r for r in clip.regions if r.box and not r.ignore]
        seen = [r for r in seen if r.track == seen[0].track]
        if len(seen) < 3:
            raise Rejected("seen too rarely", str(len(seen)))
        shown = [seen[0], seen[1], seen[-1]]
        turn = Turn(
            question=self.words + " It is at <region:0> in the first one.",
            answer="<target:0>",
            regions=(Target(image=0, box=shown[0].box),),
            targets=(Target(image=2, box=shown[2].box),),
        )
        FAULT
        yield self.sample(records, [clip.images[r.image] for r in shown], [turn])
'''
MINE = """\
name: mine
corpora: {got10k: {}, motchallenge: {}}
tasks:
  last:
    builder: ./tasks/last_seen.py:LastSeen
    samples: 6
    with: {words: Find it.}
splits: {train: 0.5, test: 0.5}
build: {groups: 2}
limits: {rejected: 0.6}
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A recipe and the file of its task, in a folder that is not the working one."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "last_seen.py").write_text(TASK.replace("FAULT", "pass"))
    (tmp_path / "mine.yaml").write_text(MINE)
    return tmp_path


def test_a_task_in_one_file_runs_serial_and_on_ray_alike(mine: Path, quick_corpora: Path) -> None:
    words = ("run", mine / "mine.yaml", "--roots", quick_corpora / "roots.yaml", "--quiet")
    mgdata(None, *words, "--out", mine / "serial", "--engine", "serial")
    mgdata(None, *words, "--out", mine / "ray", "--engine", "ray", "--workers", "1")
    files = released(mine / "serial")
    assert set(files) == {"last/train-00000-of-00001.parquet", "last/test-00000-of-00001.parquet"}
    assert released(mine / "ray") == files
    rows = pq.read_table(mine / "serial" / "release" / "data" / "last").to_pylist()
    assert len(rows) == 6 and all("Find it." in row["messages"][0]["content"] for row in rows)


@pytest.mark.parametrize(
    ("fault", "reason", "value"),
    [
        ("print(1 / (len(clip.images) - 16))", "plug-in error", "builder last failed on KEY: ZeroDivisionError: division by zero (last_seen.py:41)"),
        ("yield {}", "plug-in error", "builder last failed on KEY: TypeError: gave a dict, expected Sample or Drop"),
        ("yield self.sample(records, [clip.images[0]], [turn])", "invalid sample", "target in image 2, there are 1"),
        ("yield self.sample(records, list(clip.images[:3]), [Turn(question=3, answer='x')])", "plug-in error", "builder last failed on KEY: TypeError: argument of type 'int' is not iterable"),
    ],
    ids=["raises", "yields another thing", "target outside", "wrong type"],
)  # fmt: skip
def test_what_a_task_does_wrong_with_one_clip_is_a_drop_until_the_limit(
    fault: str, reason: str, value: str, mine: Path, quick_corpora: Path
) -> None:
    # Wrong with motchallenge alone: a third to half of the groups.
    faulty = f'if "motchallenge" in clip.key:\n            {fault}\n            return'
    (mine / "tasks" / "last_seen.py").write_text(TASK.replace("FAULT", faulty))
    words = ("run", mine / "mine.yaml", "--roots", quick_corpora / "roots.yaml", "--engine", "serial", "--quiet")  # fmt: skip
    recipe = mine / "mine.yaml"
    recipe.write_text(MINE.replace("samples: 6", "samples: 3"))
    mgdata(None, *words, "--out", mine / "run")
    mine_only = [drop for drop in ledger(mine / "run") if drop.stage == "build"]
    assert {drop.reason for drop in mine_only} == {reason}
    for drop in mine_only:
        assert drop.value is not None
        assert drop.value.startswith(value.replace("KEY", drop.key))
    recipe.write_text(MINE.replace("rejected: 0.6", "rejected: 0.1"))
    said = mgdata(None, *words, "--out", mine / "run", code=1)
    assert "limits.rejected: 0.1" in said and reason in said


BROKEN = [
    ("nowhere.py:LastSeen", None, 2, "tasks.last: there is no file"),
    ("task.py:LastSean", "class LastSeen: ...", 2, "tasks.last: ./task.py has no class LastSean (did you mean LastSeen?)"),
    ("task.py:LastSeen", "class LastSeen: ...", 2, "is not a Builder"),
    ("task.py:LastSeen", "def broken(:\n", 2, "SyntaxError: invalid syntax (task.py, line 1)"),
    ("task.py:LastSeen", "import nothing_of_that_name", 2, "ModuleNotFoundError: No module named 'nothing_of_that_name' (task.py:1)"),
    ("task.py:LastSeen", TASK.replace("FAULT", "pass").replace("    def build", "    def groups(self, index, rng):\n        yield from zip(range(len(index.table)))\n\n    def build"), 2, "which is not in the index it was given: rows are numbered by index.rows"),
    ("task.py:LastSeen", TASK.replace("FAULT", "pass").replace("    def build", "    def groups(self, index, rng):\n        yield ()\n\n    def build"), 2, "builder last failed on its groups: ValueError: yielded an empty group"),
    ("task.py:LastSeen", TASK.replace("FAULT", "pass").replace("    def build", "    def groups(self, index, rng):\n        return index.nothing\n\n    def build"), 2, "builder last failed on its groups: AttributeError: 'Index' object has no attribute 'nothing' (task.py:"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "code", "said"), BROKEN, ids=[row[3][:40] for row in BROKEN]
)
def test_a_task_file_that_cannot_work_is_named(
    name: str, text: str | None, code: int, said: str, mine: Path, quick_corpora: Path
) -> None:
    if text:
        (mine / "task.py").write_text(text)
    (mine / "mine.yaml").write_text(MINE.replace("tasks/last_seen.py:LastSeen", name).replace("with: {words: Find it.}", ""))  # fmt: skip
    words = (
        "run",
        mine / "mine.yaml",
        "--roots",
        quick_corpora / "roots.yaml",
        "--engine",
        "serial",
    )
    told = mgdata(None, *words, "--quiet", "--out", mine / "run", code=code)
    assert said in told
    assert len(told.strip().splitlines()) == 1
