"""The verbs: what each says, the code it ends with, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from command import mgdata
from processes import Started

from mgdata.manifest import Lock
from mgdata.storage import Store

VERBS = [
    "run", "ingest", "measure", "build", "release", "plan", "preview", "view", "check", "explain",
    "status", "gc", "tasks", "corpora", "corpora check", "synth", "score",
]  # fmt: skip


def roots(corpora: Path) -> tuple[str | Path, ...]:
    return ("--roots", corpora / "roots.yaml")


def test_help_lists_every_verb_with_a_sentence() -> None:
    ended = mgdata("--help")
    assert ended.code == 0
    for verb in VERBS:
        assert f"\n  {verb.split()[0]} " in ended.out
    assert "Exit codes: 0 done; 1 short" in " ".join(ended.out.split())


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_teaches_by_an_example(verb: str) -> None:
    ended = mgdata(*verb.split(), "--help")
    assert ended.code == 0
    text = " ".join(ended.out.split())
    assert f"Example: mgdata {verb}" in text
    assert text.count("  ") == 0 and "Usage: mgdata" in text


def test_without_a_verb_help_is_shown_and_the_code_is_that_of_wrong_usage() -> None:
    ended = mgdata()
    assert ended.code == 2
    assert "Commands:" in ended.out + ended.err


def test_the_version_is_printed() -> None:
    assert mgdata("--version").out.strip() == "0.1.0"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rnu",), "No such command 'rnu'"),
        (("run",), "Missing argument"),
        (("run", "quickstart"), "Missing option '--out'"),
        (("run", "quickstart", "--out", "x", "--wrkers", "2"), "No such option: --wrkers"),
        (("run", "quickstart", "--out", "x", "--workers", "none"), "Invalid value for '--workers'"),
        (("run", "quickstart", "--out", "x", "--workers", "0"), "Invalid value for '--workers'"),
        (("run", "quickstart", "--out", "x", "--engine", "rey"), "--engine rey: unknown (did you mean ray?)"),
        (("run", "quickstart", "--out", "x", "--root", "got10k"), "--root got10k: expected name=path"),
        (("run", "quickstrat", "--out", "x"), "no recipe quickstrat (did you mean quickstart?)"),
        (("run", "quickstart", "--out", "x", "--roots", "nowhere.yaml"), "no file nowhere.yaml"),
        (("corpora", "check", "got01k", "."), "there is no corpus 'got01k' (did you mean got10k?)"),
        (("corpora", "check", "got10k", ".", "--set", "splits"), "--set splits: expected name=value"),
        (("corpora", "check", "got10k", ".", "--set", "splits=[a"), "--set splits=[a: the value is not YAML"),
        (("corpora", "check", "got10k", ".", "--set", "split=[a]"), "split: unknown key (did you mean splits?)"),
        (("synth", "got01k", "x"), "got01k"),
        (("synth", "got01k", "x", "--records-only"), "no index of layout 'got01k' (did you mean got10k?)"),
        (("synth", "got10k", "x", "--width", "3"), "Invalid value for '--width'"),
    ],
)  # fmt: skip
def test_wrong_usage_ends_with_2_and_says_what_was_found(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = mgdata(*words)
    assert ended.code == 2
    assert said in ended.err
    assert not list(tmp_path.iterdir())


def test_a_finished_run_prints_its_funnel_and_the_lines_that_load_it(
    quick_corpora: Path, tmp_path: Path
) -> None:
    words = ("run", "quickstart", *roots(quick_corpora), "--out", tmp_path / "run")
    ended = mgdata(*words, "--engine", "serial")
    assert ended.code == 0
    assert "release           120 rows" in ended.out
    assert "shard done: stage=build" in ended.err
    lines = [line[4:] for line in ended.out.splitlines() if line.startswith("    ")][-3:]
    assert lines[0] == "from datasets import load_dataset"
    again = mgdata(*words, "--engine", "serial", "--quiet")
    assert (again.code, again.err) == (0, "")
    assert "nothing to do" in again.out and "release           120 rows" in again.out


def test_the_printed_lines_load_the_release(quick_run: Path, tmp_path: Path) -> None:
    import datasets

    rows = datasets.load_dataset(
        str(quick_run / "release"), "object_tracking", cache_dir=str(tmp_path)
    )
    assert {name: len(rows[name]) for name in rows} == {"train": 96, "test": 24}
    assert rows["train"][0]["images"][0].size == (192, 144)


def test_verbs_stop_at_their_stage_and_the_next_goes_on(
    quick_corpora: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    there = {"ingest": "records", "build": "samples", "release": "release"}
    for verb, folder in there.items():
        ended = mgdata(verb, "quickstart", *roots(quick_corpora), "--out", out, "--engine", "serial", "--quiet")  # fmt: skip
        assert ended.code == 0, ended.err
        assert (out / folder).is_dir()
        later = [name for name in list(there.values())[list(there).index(verb) + 1 :]]
        assert not any((out / name).exists() for name in later)
    assert "finished yes" in mgdata("status", out).out


def test_status_tells_how_far_a_run_is(quick_corpora: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    mgdata("build", "quickstart", *roots(quick_corpora), "--out", out, "--engine", "serial", "--quiet")  # fmt: skip
    ended = mgdata("status", out)
    assert ended.code == 0
    assert "recipe   quickstart" in ended.out and "finished no" in ended.out
    assert "ingest" in ended.out and "shards done" in ended.out


def test_gc_removes_what_no_entry_lists_and_nothing_else(
    quick_corpora: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    mgdata("run", "quickstart", *roots(quick_corpora), "--out", out, "--engine", "serial", "--quiet")  # fmt: skip
    before = {path for path in out.rglob("*") if path.is_file()}
    orphan = out / "samples" / "object_tracking" / "r00-object_tracking-train-00000.dead.parquet"
    orphan.write_bytes(b"x" * 2_000_000)
    ended = mgdata("gc", out)
    assert ended.code == 0
    assert "removed 1 files, 2.0 MB" in ended.out
    assert {path for path in out.rglob("*") if path.is_file()} == before
    assert "no fault" in mgdata("check", out).out


def test_gc_keeps_out_of_a_folder_that_a_run_works_in(quick_run: Path) -> None:
    with Lock(Store(str(quick_run))):
        ended = mgdata("gc", quick_run)
    assert ended.code == 3
    assert "is in use by another run" in ended.err


def test_tasks_and_corpora_say_what_a_recipe_can_name_with_settings() -> None:
    tasks = mgdata("tasks").out
    assert "object_tracking  [temporal; targets: one a frame" in tasks
    assert "per_clip: int = 1" in tasks
    corpora = mgdata("corpora").out
    for name in ("got10k", "lasot", "motchallenge", "trackingnet"):
        assert f"{name}  [clip; licence: unknown; http" in corpora
    assert "<split>/<sequence>/gt/gt.txt" in corpora


def test_a_check_of_a_corpus_writes_what_it_prints(quick_corpora: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    ended = mgdata("corpora", "check", "got10k", quick_corpora / "got10k", "--json", report)
    assert ended.code == 0
    found = msgspec.json.decode(report.read_bytes())
    assert found["layout"] == "as expected" and found["records"] == found["parts"] > 0
    assert f"records   {found['records']} from {found['parts']} parts" in ended.out
    other = mgdata("corpora", "check", "got10k", quick_corpora / "got10k", "--set", "splits=[val]")
    assert "records   1 from 1 part" in other.out


def test_a_check_of_another_layout_ends_with_1(quick_corpora: Path) -> None:
    ended = mgdata("corpora", "check", "lasot", quick_corpora / "got10k")
    assert ended.code == 1
    assert "no Lasot root" in ended.out


def test_a_check_of_a_folder_that_is_not_there_ends_with_3(tmp_path: Path) -> None:
    ended = mgdata("corpora", "check", "got10k", tmp_path / "nowhere")
    assert ended.code == 3
    assert f"there is no folder {tmp_path / 'nowhere'}" in ended.err


@pytest.mark.parametrize("words", [("check", "RUN", "--json", "OUT"), ("corpora", "check", "got10k", "ROOT", "--json", "OUT")])  # fmt: skip
def test_a_report_that_cannot_be_written_is_one_line(
    words: tuple[str, ...], quick_run: Path, quick_corpora: Path, tmp_path: Path
) -> None:
    places = {"RUN": quick_run, "ROOT": quick_corpora / "got10k", "OUT": tmp_path / "no" / "x.json"}
    ended = mgdata(*(places.get(word, word) for word in words))
    assert ended.code == 3
    assert ended.err == f"mgdata: {places['OUT']}: No such file or directory\n"


def test_check_passes_a_sound_release_and_fails_a_damaged_one_with_1(
    quick_corpora: Path, tmp_path: Path
) -> None:
    out, report = tmp_path / "run", tmp_path / "verdict.json"
    mgdata("run", "quickstart", *roots(quick_corpora), "--out", out, "--engine", "serial", "--quiet")  # fmt: skip
    sound = mgdata("check", out / "release", "--json", report)
    assert sound.code == 0 and "no fault" in sound.out
    assert json.loads(report.read_text())["faults"] == []
    file = next((out / "release" / "data").rglob("*.parquet"))
    table = pq.read_table(file)
    pq.write_table(table.slice(1), file)
    damaged = mgdata("check", out)
    assert damaged.code == 1 and str(file.name) in damaged.out


def test_view_writes_a_page_and_finds_one_sample_by_its_key(
    quick_run: Path, tmp_path: Path
) -> None:
    ended = mgdata("view", quick_run, "--out", tmp_path / "all", "-n", "10")
    page = Path(ended.out.strip())
    assert ended.code == 0 and page.is_file()
    file = next((quick_run / "release" / "data").rglob("*.parquet"))
    (identity,) = pq.read_table(file, columns=["id"])["id"].slice(0, 1).to_pylist()
    one = mgdata("view", quick_run / "release", "--out", tmp_path / "one", "--key", identity)
    text = Path(one.out.strip()).read_text()
    assert identity in text and text.count("<article") == 1
    none = mgdata("view", quick_run, "--key", "nobody", "--out", tmp_path / "none")
    assert none.code == 2 and "has nothing to show for 'nobody'" in none.err


def test_synth_writes_a_corpus_that_its_reader_finds_whole(tmp_path: Path) -> None:
    words = ("synth", "lasot", tmp_path / "lasot", "--clips", "2", "--frames", "6", "--width", "96", "--height", "80")  # fmt: skip
    ended = mgdata(*words)
    assert ended.code == 0
    assert ended.out.startswith("2 lasot clips, 12 images, ")
    checked = mgdata("corpora", "check", "lasot", tmp_path / "lasot")
    assert "layout    as expected" in checked.out and "records   2" in checked.out
    again = mgdata(*words)
    assert again.code == 2 and str(tmp_path / "lasot") in again.err


def test_synth_records_only_writes_an_index_to_plan_with(tmp_path: Path) -> None:
    ended = mgdata("synth", "got10k", tmp_path, "--clips", "1000", "--records-only")
    assert ended.code == 0
    table = pq.read_table(tmp_path / "index.parquet")
    assert table.num_rows == 1000
    assert {"key", "unit", "labels", "longest"} <= set(table.column_names)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on_and_goes_on(
    number: signal.Signals, quick_corpora: Path, tmp_path: Path
) -> None:
    recipe, out = tmp_path / "long.yaml", tmp_path / "run"
    recipe.write_text(
        "name: long\ncorpora: {got10k: {}, motchallenge: {}}\n"
        "tasks: {object_tracking: {samples: 600, with: {per_clip: 400}}}\nbuild: {groups: 4}\n"
    )
    words = ["run", recipe, *roots(quick_corpora), "--out", out, "--engine", "serial"]
    code = "from mgdata.cli import main; main()"
    begun = Started([sys.executable, "-c", code, *words])
    begun.wait_for("shard done: stage=build")
    os.kill(begun.process.pid, number)
    ended, err = begun.end()
    assert ended == 130, err
    assert f"mgdata: stopped; what is finished is kept in {out}: run the same command again" in err
    assert "Traceback" not in err
    done = len(list((out / "manifest" / "build").glob("*.json")))
    assert done
    begin = time.time()
    again = mgdata(*words)
    assert again.code == 0, again.err
    kept = [f for f in (out / "manifest" / "build").glob("*.json") if f.stat().st_mtime < begin]
    assert len(kept) >= done
