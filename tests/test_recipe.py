"""Recipes: what is wrong with one is said in a sentence with file, key, what was found and the way
out, exits with 2, and writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import mgdata

from mgdata import recipe
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.resources import recipes

SOUND = """\
name: probe
corpora: {got10k: {}}
tasks: {object_tracking: {samples: 4}}
"""


def with_task(text: str) -> str:
    return SOUND.replace("samples: 4", f"samples: 4, {text}")


def with_setting(text: str) -> str:
    return with_task(f"with: {{{text}}}")


WRONG = [
    # unknown keys, the nearest name suggested
    (SOUND + "sede: 3", "sede: unknown key (did you mean seed?)"),
    (SOUND + "release: {notatoin: x}", "release.notatoin: unknown key (did you mean notation?)"),
    (SOUND + "zzz: 3", "zzz: unknown key (known: name, tasks, corpora"),
    (with_setting("frame: 4"), "tasks.object_tracking.with.frame: unknown key (did you mean frames?)"),
    ("corpora: {got10k: {}}\ntasks: {object_tracking: {samples: 1}}", "top level: missing key name"),
    # wrong types and ranges
    (SOUND + "seed: x", 'seed: found "x", expected a whole number'),
    (SOUND + "seed: 1.5", "seed: found 1.5, expected a whole number"),
    (SOUND.replace("probe", "12"), "name: found 12, expected text"),
    (SOUND.replace("4", "many"), 'tasks.object_tracking.samples: found "many", expected a whole number'),
    (SOUND.replace("4", "0"), "tasks.object_tracking.samples: found 0, expected at least 1"),
    (SOUND + "splits: [train]", 'splits: found ["train"], expected a mapping (`key: value`)'),
    (SOUND + "splits: {train: 2}", "splits.train: found 2, expected at most 1"),
    (SOUND + "splits: {train: 0.5}", "splits: shares add up to 0.5, expected 1"),
    (SOUND + "splits: {train: .nan}", "splits.train: found nan, expected a finite number"),
    (SOUND + "release: {file_mb: .inf}", "release.file_mb: found inf, expected a finite number"),
    (SOUND + "release: {row_group_mb: 0}", "release.row_group_mb: found 0, expected more than 0"),
    (with_setting("frames: 4"), "with.frames: found 4, expected a list"),
    (with_setting("frames: [4, 5, 6]"), "with.frames: found [4, 5, 6], expected at most 2 items"),
    (with_setting("frames: [6, 4]"), "with: frames: expected 2 <= fewest <= most, found 6 and 4"),
    (with_setting("sampler: evn"), "expected one of even, random, segments (did you mean even?)"),
    (with_setting("objects: 99"), "with: objects: expected 1 to 6, found 99"),
    # shares of numbers of targets
    (with_task("shares: {none: 0.5, many: 0.6}"), "tasks.object_tracking.shares add up to 1.1, expected 1"),
    (with_task("shares: {some: 1}"), "tasks.object_tracking.shares.some: unknown key (did you mean one?)"),
    (with_task("shares: {one: 1}"), "tasks.object_tracking-one: object_tracking has no setting count"),
    (with_task("shares: {one: 1}, with: {count: one}"), "tasks.object_tracking.with.count: shares say it already"),
    (with_task("shares: {one: 1}").replace("tasks: {", "tasks: {object_tracking-one: {samples: 1}, "), "stands for a share of object_tracking: rename it"),
    # nothing to do
    (SOUND.replace("{object_tracking: {samples: 4}}", "{}"), "tasks: found nothing"),
    (SOUND.replace("{got10k: {}}", "{}"), "corpora: found nothing"),
    (SOUND.replace("probe", "''"), "name: found nothing"),
    (SOUND + "measures: {}", "measures: integrity is missing"),
    # names that nothing has
    (SOUND.replace("object_tracking", "object_trakcing"), "there is no builder 'object_trakcing' (did you mean object_tracking?)"),
    (SOUND.replace("got10k", "gto10k"), "corpora.gto10k: there is no corpus 'gto10k' (did you mean got10k?)"),
    (SOUND.replace("got10k: {}", "mine: {corpus: lasto}"), "corpora.mine: there is no corpus 'lasto' (did you mean lasot?)"),
    (SOUND + "release: {notation: qwen2}", "release.notation: there is no notation 'qwen2' (did you mean qwen2-vl?)"),
    (SOUND + "measures: {integrety: {}}", "measures.integrety: there is no measure 'integrety' (did you mean integrity?)"),
    (SOUND + "filters: {box: {}}", "filters.box: there is no filter 'box' (did you mean boxes?)"),
    (with_task("corpora: [got01k]"), "tasks.object_tracking.corpora: unknown corpus 'got01k' (did you mean got10k?)"),
    # names that would leave the folders they name
    (with_task("config: ../x"), "'../x' names a file: use letters, digits, - and _"),
    (SOUND.replace("object_tracking:", "a/b: {builder: object_tracking, samples: 1}, object_tracking:"), "'a/b' names a file"),
    # YAML that means something else than it seems
    (SOUND + "seed: 1\nseed: 2", ":5: not YAML: key 'seed' is given twice"),
    (SOUND.replace("object_tracking:", "1:"), "tasks: key 1 is not text: write it in quotes"),
    (SOUND + "[a]: 1", "not YAML: a key is a list or a mapping, expected text"),
    (SOUND + "a: [", "not YAML: expected the node content"),
    (SOUND + "\ta: 1", "not YAML: found character '\\t'"),
    (SOUND + "seed: !!python/name:os.system", "not YAML: could not determine a constructor"),
    ("a: &a [*a]", "a.0: holds itself"),
    ("", "top level: found null, expected a mapping"),
    ("- a", 'top level: found ["a"], expected a mapping'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_recipe_says_where_and_what_and_writes_nothing(
    text: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "probe.yaml"
    file.write_text(text)
    root = tmp_path / "root"
    root.mkdir()
    ended = mgdata("run", file, "--root", f"got10k={root}", "--out", tmp_path / "run")
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert ended.err.startswith(f"mgdata: {file}")
    assert not (tmp_path / "run").exists()


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "probe.yaml"
    file.write_text(SOUND + "seed: x\nsplit: {}\nlimits: {rejected: 7}\n")
    with pytest.raises(UsageError) as found:
        recipe.read(file)
    lines = str(found.value).splitlines()
    assert len(lines) == 3 and all(line.startswith(f"{file}: ") for line in lines)


def test_text_that_is_not_utf8_says_which_byte(tmp_path: Path) -> None:
    file = tmp_path / "probe.yaml"
    file.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(UsageError, match="byte 9 is not UTF-8: save the file as UTF-8"):
        recipe.read(file)


def test_an_unknown_recipe_names_the_nearest_of_ours() -> None:
    with pytest.raises(UsageError, match=r"no recipe quikstart \(did you mean quickstart\?\)"):
        recipe.read("quikstart")


def test_a_folder_of_a_recipes_name_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "quickstart").mkdir()
    monkeypatch.chdir(tmp_path)
    assert recipe.read("quickstart").name == "quickstart"


def test_a_date_stays_the_text_it_was_written_as(tmp_path: Path) -> None:
    file = tmp_path / "probe.yaml"
    file.write_text(SOUND + "release: {date: 2025-01-31}\n")
    assert recipe.read(file).release.date == "2025-01-31"


def test_merge_keys_share_settings_between_sections(tmp_path: Path) -> None:
    file = tmp_path / "probe.yaml"
    file.write_text(
        "name: probe\n"
        "corpora: {got10k: {}}\n"
        "tasks:\n"
        "  one: &one {builder: object_tracking, samples: 4}\n"
        "  two: {<<: *one, samples: 5}\n"
    )
    tasks = recipe.read(file).tasks
    assert (tasks["two"].builder, tasks["two"].samples) == ("object_tracking", 5)


def test_a_task_with_shares_is_a_section_for_each_number_of_targets(tmp_path: Path) -> None:
    file = tmp_path / "probe.yaml"
    file.write_text(
        "name: probe\n"
        "corpora: {got10k: {}}\n"
        "tasks:\n"
        "  a: {builder: x, samples: 10, shares: {none: 0.25, one: 0.75}, with: {images: [2, 3]}}\n"
        "  b: {samples: 1, config: c, shares: {none: 0.4, many: 0.6}}\n"
    )
    tasks = recipe.read(file).tasks
    assert {name: task.samples for name, task in tasks.items()} == {
        "a-none": 3,
        "a-one": 7,
        "b-many": 1,
    }
    assert [(t.builder, t.config) for t in tasks.values()] == [("x", "a"), ("x", "a"), ("b", "c")]
    assert tasks["a-none"].settings == {"images": [2, 3], "count": "none"}


def test_a_root_that_is_not_named_says_how_to_name_it(tmp_path: Path) -> None:
    file = tmp_path / "probe.yaml"
    file.write_text(SOUND)
    ended = mgdata("run", file, "--root", f"got01k={tmp_path}", "--out", tmp_path / "run")
    assert ended.code == 3
    assert "corpora.got10k has no root (did you mean got01k?): add `got10k: PATH`" in ended.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["nothing", "a file"])
def test_a_root_that_is_no_folder_is_named(kind: str, tmp_path: Path) -> None:
    file, root = tmp_path / "probe.yaml", tmp_path / "root"
    file.write_text(SOUND)
    if kind == "a file":
        root.write_text("")
    ended = mgdata("run", file, "--root", f"got10k={root}", "--out", tmp_path / "run")
    assert ended.code == 3
    assert f"corpora.got10k: there is no folder {root}: mend the roots file" in ended.err


def test_roots_in_a_file_are_relative_to_it_and_flags_win(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "roots.yaml"
    file.parent.mkdir()
    file.write_text("a: here\nb: /there\nc: s3://bucket/there\n")
    assert recipe.read_roots(str(file), ["b=/else"]) == {
        "a": str(tmp_path / "sub" / "here"),
        "b": "/else",
        "c": "s3://bucket/there",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- got10k", "expected lines of `name: path`"),
        ("got10k: 3", "expected lines of `name: path`"),
        ("got10k: a\ngot10k: b", "key 'got10k' is given twice"),
    ],
)
def test_a_wrong_roots_file_says_what_is_expected(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "roots.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=said):
        recipe.read_roots(str(file), [])


def test_the_digest_covers_the_source_of_a_plug_in_that_a_recipe_brings(tmp_path: Path) -> None:
    file, task = tmp_path / "probe.yaml", tmp_path / "task.py"
    file.write_text(with_task("builder: './task.py:Mine'"))
    text = "from builders.object_tracking import ObjectTracking\nclass Mine(ObjectTracking): ...\n"
    task.write_text(text)
    before = recipe.load(file).sha256
    assert recipe.load(file).sha256 == before
    task.write_text(text + "# changed\n")
    assert recipe.load(file).sha256 != before


@pytest.mark.parametrize("name", sorted(recipes()))
def test_every_recipe_that_comes_along_loads_with_its_plug_ins(name: str) -> None:
    loaded = recipe.load(name)
    assert loaded.recipe.name == name
    assert loaded.recipe.description


def test_a_root_is_only_asked_for_where_it_is_used() -> None:
    with pytest.raises(EnvironmentFailure, match="has no root"):
        recipe.load("quickstart", {})


def test_a_filter_whose_measure_is_not_in_the_recipe_says_which_to_add(tmp_path: Path) -> None:
    file = tmp_path / "probe.yaml"
    text = (
        "name: probe\ncorpora: {got10k: {}}\ntasks: {object_tracking: {samples: 1}}\n"
        "filters: {near_duplicates: {}}\n"
    )
    file.write_text(text)
    with pytest.raises(UsageError, match=r"filters.near_duplicates .* add `perceptual_hash: {}`"):
        recipe.load(file)
    file.write_text(text + "measures: {integrity: {}, perceptual_hash: {}}\n")
    assert recipe.load(file).filters
