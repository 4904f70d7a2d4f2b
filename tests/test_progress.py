"""What a run shows: bars on a terminal, one line a shard elsewhere, nothing when told so."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest
import small_runs

from mgdata.progress import reporter


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return small_runs.write_corpora(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_runs.write_recipe(tmp_path_factory.mktemp("recipe") / "small.yaml")


def on_terminal(words: list[str], stop_at: str = "") -> tuple[int, str]:
    """Exit code and what a terminal was shown on standard error; Ctrl-C once it shows `stop_at`."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                some = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not some:
                break
            shown += some
            if stop_at and stop_at.encode() in shown:
                process.send_signal(signal.SIGINT)
                stop_at = ""
        code = process.wait(60)
    os.close(ours)
    return code, shown.decode()


def test_a_terminal_sees_a_bar_for_every_stage_and_rows(
    recipe: Path, roots: dict[str, str], tmp_path: Path
) -> None:
    code, shown = on_terminal(
        small_runs.command(recipe, roots, tmp_path / "run", "--engine", "serial")
    )
    assert code == 0, shown
    for stage in ("ingest", "build", "release"):
        assert stage in shown
    assert "12/12" in shown.replace(" ", "") or "11/11" in shown.replace(" ", "")
    assert "rows" in shown
    assert "shard done" not in shown
    assert "Traceback" not in shown


def test_a_terminal_gets_its_cursor_back_when_a_run_is_stopped(
    recipe: Path, roots: dict[str, str], tmp_path: Path
) -> None:
    words = small_runs.command(recipe, roots, tmp_path / "run", "--engine", "serial")
    code, shown = on_terminal(words, stop_at="build")
    assert code == 130, shown
    assert "mgdata: stopped; what is finished is kept" in shown
    assert "Traceback" not in shown
    hidden, back = shown.rfind("\x1b[?25l"), shown.rfind("\x1b[?25h")
    assert 0 < hidden < back


def test_elsewhere_every_shard_is_one_line_and_quiet_is_quiet(
    recipe: Path, roots: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    told = small_runs.done(recipe, roots, out, "--engine", "serial").stderr
    shards = len(list(out.glob("manifest/ingest/*.json")))
    shards += len(list(out.glob("manifest/build/*.json")))
    shards += len(list(out.glob("manifest/release/*.json")))
    lines = told.splitlines()
    assert sum(line.startswith("shard done: stage=") for line in lines) == shards
    assert "\x1b" not in told
    assert "Warning" not in told
    flags = ("--engine", "serial", "--quiet")
    assert small_runs.done(recipe, roots, tmp_path / "quiet", *flags).stderr == ""


def test_the_log_keeps_every_event_with_its_time(
    recipe: Path, roots: dict[str, str], tmp_path: Path
) -> None:
    import json

    out = tmp_path / "run"
    small_runs.done(recipe, roots, out, "--engine", "serial", "--quiet")
    (log,) = out.glob("events/*.jsonl")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    times = [event["at"] for event in events]
    assert times == sorted(times)
    done = [event for event in events if event["event"] == "shard done"]
    started = [event for event in events if event["event"] == "shard started"]
    assert sorted(e["shard"] for e in done) == sorted(e["shard"] for e in started)
    assert len(done) >= 24


def test_a_line_shows_numbers_short_and_lists_with_commas(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell = reporter()
    tell("worker lost", {"pid": 7, "seconds": 1.23456, "shards": ["a", "b"]})
    tell("shard started", {"shard": "a"})
    assert capsys.readouterr().err == "worker lost: pid=7 seconds=1.23 shards=a,b\n"
    reporter(quiet=True)("worker lost", {"pid": 7})
    assert capsys.readouterr().err == ""
