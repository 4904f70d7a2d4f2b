"""The wheel: built, installed beside the test environment's packages, and used from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from processes import finished

ROOT = Path(__file__).parent.parent
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    flags = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*PIP, "wheel", str(ROOT), *flags], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that it is installed to."""
    folder = tmp_path_factory.mktemp("site")
    flags = ["--no-deps", "--target", str(folder)]
    subprocess.run([*PIP, "install", str(wheel), *flags], check=True, capture_output=True)
    return folder


def elsewhere(site: Path, folder: Path, *words: str | Path) -> str:
    """Run the installed copy's own command in another folder; its output."""
    command = [sys.executable, str(site / "bin" / "mgdata"), *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = finished(command, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(*folders: str) -> set[str]:
    """Every file of the checkout's folders that is no compiled one."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in found if path.parent.name != "__pycache__"}


def test_the_wheel_holds_its_folders_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    data = {f"mgdata/{name}" for name in files("schemas", "pipelines")}
    assert found == files("mgdata", "builders") | data
    assert "builders/wording/object_tracking.yaml" in found
    assert {
        "mgdata/view/gallery.html",
        "mgdata/view/gallery.css",
        "mgdata/view/gallery.js",
    } <= found


def test_the_wheel_carries_licence_readme_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        folder = info.rpartition("/")[0]
        text = archive.read(info).decode()
        points = archive.read(f"{folder}/entry_points.txt").decode()
        names = archive.namelist()
    assert "License-Expression: Apache-2.0" in text
    assert "Description-Content-Type: text/markdown" in text
    assert any(name.endswith("LICENSE") for name in names)
    assert "mgdata = mgdata.cli:main" in points


def test_the_installed_copy_is_the_one_that_runs_and_finds_its_data(
    site: Path, tmp_path: Path
) -> None:
    code = (
        "import builders, mgdata, sys\n"
        "from mgdata import resources\n"
        "print(mgdata.__file__, builders.__file__)\n"
        "print(resources.folder('schemas'), resources.folder('pipelines'))\n"
        "print(*sorted(resources.recipes()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours, data, recipes = done.stdout.splitlines()
    assert ours == f"{site}/mgdata/__init__.py {site}/builders/__init__.py"
    assert data == f"{site}/mgdata/schemas {site}/mgdata/pipelines"
    assert recipes.split() == sorted(Path(name).stem for name in files("pipelines"))


def test_the_quickstart_runs_from_another_directory(
    site: Path, quick_corpora: Path, tmp_path: Path
) -> None:
    # A folder of that name beside the user must not shadow our tasks.
    (tmp_path / "builders").mkdir()
    (tmp_path / "builders" / "__init__.py").write_text("raise RuntimeError('not these')\n")
    roots = quick_corpora / "roots.yaml"
    ran = elsewhere(site, tmp_path, "run", "quickstart", "--roots", roots, "--out", "run",
                    "--workers", "1", "--quiet")  # fmt: skip
    assert "120 rows" in ran
    assert (tmp_path / "run" / "release" / "README.md").is_file()
    assert "no fault" in elsewhere(site, tmp_path, "check", "run")
    assert "object_tracking" in elsewhere(site, tmp_path, "tasks")
    page = tmp_path / elsewhere(site, tmp_path, "view", "run").strip()
    assert page.is_file()


def test_a_checkout_and_the_wheel_make_the_same_release(
    site: Path, quick_run: Path, quick_corpora: Path, tmp_path: Path
) -> None:
    roots = quick_corpora / "roots.yaml"
    elsewhere(site, tmp_path, "run", "quickstart", "--roots", roots, "--out", "run",
              "--engine", "serial", "--quiet")  # fmt: skip
    mine, theirs = quick_run / "release" / "data", tmp_path / "run" / "release" / "data"
    here = {f.relative_to(mine): f.read_bytes() for f in mine.rglob("*.parquet")}
    assert here == {f.relative_to(theirs): f.read_bytes() for f in theirs.rglob("*.parquet")}
