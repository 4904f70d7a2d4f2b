"""Finding plug-ins, giving them their settings, and knowing when their source changed."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar, Literal

import pytest

from mgdata import listing, registry
from mgdata.errors import PluginError, UsageError
from mgdata.filters.boxes import Boxes
from mgdata.plugins import Measure

FILTER = """\
from dataclasses import dataclass
from mgdata.plugins import Filter
@dataclass(frozen=True, kw_only=True)
class Mine(Filter):
    level: int = 1
    def __post_init__(self):
        BODY
"""


def test_settings_are_checked_converted_and_defaulted() -> None:
    made = registry.make("filters", "boxes", {"min_side": 7}, "r.yaml: filters.boxes")
    assert isinstance(made, Boxes)
    assert (made.min_side, made.max_area) == (7, 1.0)


def test_a_plug_in_without_settings_takes_none() -> None:
    with pytest.raises(UsageError, match=r"release\.notation\.level: unknown key"):
        registry.make("notations", "qwen2-vl", {"level": 1}, "r.yaml: release.notation")


def test_a_setting_that_must_be_given_is_asked_for() -> None:
    with pytest.raises(UsageError, match="missing key allow"):
        registry.make("filters", "licenses", {}, "r.yaml: filters.licenses")


def test_every_kind_of_setting_is_held_to_its_type() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Picky(Measure):
        keyed: ClassVar[Literal["image", "record"]] = "image"
        level: Literal["low", "high"] = "low"
        pair: tuple[int, int] = (1, 2)
        names: tuple[str, ...] = ()
        maybe: float | None = None

    found = registry.settings_of(Picky)
    assert list(found) == ["level", "pair", "names", "maybe"]


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        ("raise ValueError('level: too low')", UsageError, "r.yaml: filters.x: level: too low"),
        ("{}['x']", PluginError, "failed on its settings: KeyError: 'x' (mine.py:"),
    ],
)
def test_what_a_plug_in_says_of_its_settings_is_passed_on(
    body: str, error: type[Exception], said: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(FILTER.replace("BODY", body))
    with pytest.raises(error) as found:
        registry.make("filters", "./mine.py:Mine", {}, "r.yaml: filters.x", beside=tmp_path)
    assert said in str(found.value)


def test_a_file_is_looked_for_beside_the_recipe_and_again_when_it_changes(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILTER.replace("BODY", "pass"))
    first = registry.find("filters", "./mine.py:Mine", beside=tmp_path)
    assert registry.find("filters", "./mine.py:Mine", beside=tmp_path) is first
    (tmp_path / "mine.py").write_text(FILTER.replace("BODY", "pass").replace("= 1", "= 2"))
    second = registry.find("filters", "./mine.py:Mine", beside=tmp_path)
    assert second is not first
    assert registry.source_digest(first.__module__)


def test_a_class_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILTER.replace("BODY", "pass"))
    with pytest.raises(PluginError, match="is not a Builder"):
        registry.find("builders", "./mine.py:Mine", beside=tmp_path)


def test_a_module_that_shadows_ours_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shadow.py").write_text("class Task: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("task", "shadow:Task", "mgdata.builders")
    ours = SimpleNamespace(name="mgdata")
    point = point._for(ours)  # as importlib.metadata ties a point to its package
    monkeypatch.setattr(registry, "names", lambda kind: {"task": point})
    with pytest.raises(PluginError, match="a folder of that name shadows it"):
        registry.find("builders", "task")


def test_a_broken_plug_in_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = registry.names("builders")
    broken = EntryPoint("broken", "no_such_module_at_all:Task", "mgdata.builders")
    monkeypatch.setattr(registry, "names", lambda kind: {"broken": broken, **whole})
    told = list(listing.tasks())
    assert told[0].startswith("broken  cannot be loaded: plug-in broken failed on import of")
    assert any(line.startswith("object_tracking  [") for line in told)


def package(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.mark.parametrize(
    "changed",
    [
        "extras_REAL/task.py",
        # imported relatively, in a function, from a subpackage, and as the words of the task
        "extras_REAL/near.py",
        "extras_REAL/late.py",
        "extras_REAL/deep/inner.py",
        "extras_REAL/wording/task.yaml",
    ],
)
def test_the_digest_of_a_plug_in_follows_its_own_package(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = "extras_" + re.sub(r"\W", "_", changed)
    texts = {
        f"{top}/__init__.py": "",
        f"{top}/task.py": (
            "import json\nfrom .near import x\nfrom .deep import inner\n"
            f"def build():\n    from {top}.late import y\n"
        ),
        f"{top}/near.py": "x = 1\n",
        f"{top}/late.py": "y = 1\n",
        f"{top}/deep/__init__.py": "",
        f"{top}/deep/inner.py": "z = 1\n",
        f"{top}/wording/task.yaml": "ask: [a]\n",
        f"{top}/unrelated.py": "w = 1\n",
    }
    package(tmp_path, texts)
    monkeypatch.syspath_prepend(tmp_path)
    __import__(f"{top}.task")
    before = registry.source_digest(f"{top}.task")
    registry.source_digest.cache_clear()
    (tmp_path / top / "unrelated.py").write_text("w = 2\n")
    assert registry.source_digest(f"{top}.task") == before
    registry.source_digest.cache_clear()
    file = tmp_path / changed.replace("extras_REAL", top)
    file.write_text(file.read_text() + "# changed\n")
    assert registry.source_digest(f"{top}.task") != before
    registry.source_digest.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == top]:
        del sys.modules[name]
