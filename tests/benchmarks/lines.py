"""The lines of the table: each function measures a few figures that share their preparation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.benchmarks.corpora import Source, recipe, source
from tests.benchmarks.figures import Figure
from tests.benchmarks.given import give
from tests.benchmarks.processes import Cost, fresh, interleaved

RECORDS, GROUPS = 1_000_000, 630_000


@dataclass(frozen=True)
class Bench:
    """Where to work and how large: the full size, or a small one that only shows that it works."""

    folder: Path
    quick: bool = False

    @property
    def times(self) -> int:
        """Runs of each side of a ratio."""
        return 1 if self.quick else 7

    @cached_property
    def large(self) -> Source:
        """The corpus of most lines: 10,240 images of 200 KB."""
        return (
            source(self.folder, 10, 20_000, (320, 240)) if self.quick else source(self.folder, 160)
        )

    @cached_property
    def small(self) -> Source:
        """A tenth of it."""
        return source(self.folder, 5, 20_000, (320, 240)) if self.quick else source(self.folder, 16)

    @cached_property
    def recipe(self) -> Path:
        """All windows, header integrity, a recipe's own defaults for the rest."""
        return recipe(self.folder, "windows", self.large.clips)

    @cached_property
    def given(self) -> dict[str, Any]:
        """A finished release, taken apart for the floor and for `datasets`; its facts."""
        self.ours()
        return give(self.folder / "out" / "release", self.folder / "plan")

    def cold(self) -> None:
        """Remove what the sides of a ratio wrote, and let the machine take its memory back.

        A virtual machine hands freed pages to its host within seconds, and pays the kernel's time
        to get them again. A side that writes at once would find the other's still warm, and one
        that thinks first would not.
        """
        for name in ("out", "floor", "library"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        if not self.quick:
            time.sleep(4)

    def python(self, *arguments: str | Path) -> Cost:
        """A fresh process."""
        return fresh([str(a) for a in arguments], self.folder / "bytecode")

    def ours(self, recipe: Path | None = None, corpus: Source | None = None, *,
             stage: str = "release", engine: str = "serial", workers: int = 1,
             again: bool = False) -> Cost:  # fmt: skip
        """One run of mgdata in a new folder; `again` resumes the folder there is."""
        out = self.folder / "out"
        if not again:
            self.cold()
        return self.python("-m", "tests.benchmarks.ours", "run", recipe or self.recipe,
                           (corpus or self.large).root, out, stage, engine, str(workers))  # fmt: skip

    def release_alone(self) -> Cost:
        """The release stage of a run that is built: what it takes to write the files, and to start."""
        out = self.folder / "built"
        if not out.exists():
            self.python("-m", "tests.benchmarks.ours", "run", self.recipe, self.large.root, out,
                        "build", "serial", "1")  # fmt: skip
        for part in ("release", "manifest/release"):
            shutil.rmtree(out / part, ignore_errors=True)
        self.cold()
        return self.python("-m", "tests.benchmarks.ours", "run", self.recipe, self.large.root, out,
                           "release", "serial", "1")  # fmt: skip

    def floor(self, hash_images: bool) -> Cost:
        """One run of the floor."""
        out = self.folder / "floor"
        self.cold()
        return self.python("-m", "tests.benchmarks.floor", self.folder / "plan", self.large.root,
                           out, "1" if hash_images else "0")  # fmt: skip

    def library(self) -> Cost:
        """One run of `datasets`."""
        out = self.folder / "library"
        self.cold()
        return self.python("-m", "tests.benchmarks.library", self.folder / "plan", self.large.root,
                           out)  # fmt: skip


def floor(bench: Bench) -> list[Figure]:
    """CPU time from ingest to release against the floor."""
    facts = bench.given
    jobs: dict[str, Callable[[], Cost]] = {
        "ours": bench.ours,
        "floor": lambda: bench.floor(True),
    }
    found = interleaved(jobs, bench.times, warm=not bench.quick)
    ours, least = found["ours"], found["floor"]
    given = interleaved({"given": lambda: bench.floor(False)}, min(3, bench.times), warm=False)
    return [
        Figure(
            name="ingest to release, CPU time against the floor",
            value=ours.cpu / least.cpu,
            bound=1.5,
            beside={
                "ours s": ours.cpu,
                "system's part": ours.system,
                "floor s": least.cpu,
                "its system's part": least.system,
                "wall s": ours.wall,
                "floor's wall s": least.wall,
                "against a floor given the images' digests": ours.cpu / given["given"].cpu,
                "images": facts["distinct"],
                "rows": facts["rows"],
            },
        )
    ]


def library(bench: Bench) -> list[Figure]:
    """CPU time against `datasets`: end to end, and the release's writing alone."""
    _ = bench.given
    # Apart from the floor: after 8 GB of this one's files, whoever comes next pays for new memory.
    jobs: dict[str, Callable[[], Cost]] = {
        "ours": bench.ours,
        "release": bench.release_alone,
        "library": bench.library,
    }
    found = interleaved(jobs, bench.times, warm=not bench.quick)
    ours, alone, theirs = found["ours"], found["release"], found["library"]
    return [
        Figure(
            name="ingest to release, times faster than datasets",
            value=theirs.cpu / ours.cpu,
            bound=2.0,
            least=True,
            beside={
                "ours s": ours.cpu,
                "datasets s": theirs.cpu,
                "wall s": ours.wall,
                "datasets' wall s": theirs.wall,
            },
        ),
        Figure(
            name="writing the release alone, times faster than datasets",
            value=theirs.cpu / alone.cpu,
            bound=3.0,
            least=True,
            beside={
                "ours s": alone.cpu,
                "datasets s": theirs.cpu,
                "wall s": alone.wall,
                "than its to_parquet alone": theirs.said["to_parquet"] / alone.cpu,
            },
        ),
    ]


def size(bench: Bench) -> list[Figure]:
    """What the files weigh beside the distinct images in them."""
    local = bench.given
    mixed = recipe(bench.folder, "mixed", bench.large.clips, mixed=True)
    bench.ours(mixed)
    random = give(bench.folder / "out" / "release", bench.folder / "plan-mixed")
    return [
        Figure(
            name="output against the distinct images, clip-local sharing",
            value=local["bytes"] / local["distinct_bytes"],
            bound=1.03,
            beside={
                "MB": local["bytes"] / 1e6,
                "row groups": local["groups"],
                "random sharing in a clip": random["bytes"] / random["distinct_bytes"],
            },
        )
    ]


def scaling(bench: Bench) -> list[Figure]:
    """Two Ray workers against one, Ray's start apart; wall time."""
    figures: list[Figure] = []
    shards = {"ingest": {"parts": 2}, "build": {"groups": 2}, "release": {"file_mb": 100}}
    for level, bound in (("header", 1.5), ("strict", 1.8)):
        path = recipe(bench.folder, f"ray-{level}", bench.large.clips, level=level, sections=shards)
        seconds: dict[int, list[float]] = {1: [], 2: []}
        said: dict[str, Any] = {}
        for _ in range(1 if bench.quick else 3):
            for workers in seconds:
                said = bench.ours(path, engine="ray", workers=workers).said
                seconds[workers].append(said["seconds"])
        one, two = (sorted(found)[len(found) // 2] for found in seconds.values())
        figures.append(
            Figure(
                name=f"two Ray workers against one, {level} integrity",
                value=one / two,
                bound=bound,
                least=True,
                beside={"one s": one, "two s": two, "Ray's start s": said["start"],
                        "release files": said["files"] - 1},
            )
        )  # fmt: skip
    return figures


def rerun(bench: Bench) -> list[Figure]:
    """A finished run, run again by the command line."""
    bench.ours()
    code = (
        "import json, sys\n"
        "from mgdata.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert end.code in (0, 1), end.code\n"
        "print(json.dumps({'ray': 'ray' in sys.modules}))"
    )
    arguments = ("-c", code, "run", bench.recipe, "--root", f"got10k={bench.large.root}",
                 "--out", bench.folder / "out", "--engine", "ray", "--quiet")  # fmt: skip
    found = interleaved({"rerun": lambda: bench.python(*arguments)}, bench.times)["rerun"]
    started = found.said["ray"]
    return [
        Figure(
            name="a finished run, run again (inf: Ray was loaded)",
            value=float("inf") if started else found.wall,
            bound=2.0,
            unit="s",
            beside={"CPU s": found.cpu},
        )
    ]


def planning(bench: Bench) -> list[Figure]:
    """A million records to 630,000 groups: splits, choice, payloads."""
    records, groups = (20_000, 12_600) if bench.quick else (RECORDS, GROUPS)
    folder = bench.folder / f"index-{records}"
    if not folder.exists():
        _write_index(folder, records)
    path = recipe(bench.folder, "planning", 1)
    text = path.read_text().replace(str(Path(__file__).with_name("windows.py")) + ":Windows",
                                    "object_tracking")  # fmt: skip
    text = text.replace('"mixed": false', '"per_clip": 1').replace('"samples": 64',
                                                                   f'"samples": {groups}')  # fmt: skip
    text = text.replace('"seed": 7,', '"seed": 7, "splits": {"train": 0.8, "test": 0.2},')
    path.write_text(text)
    found = bench.python("-m", "tests.benchmarks.ours", "plan", folder, path).said
    parts = {name: found[name] for name in ("records", "groups", "shards")}
    return [
        Figure(name="planning a million records", value=found["seconds"], bound=15.0, unit="s",
               beside=parts),
        Figure(name="planning a million records, memory", value=found["peak"] / 1e6, bound=2000.0,
               unit="MB", beside=parts),
    ]  # fmt: skip


def _write_index(folder: Path, records: int) -> None:
    """The index of `records` clips as 64 Arrow files, as ingest would leave it."""
    import pyarrow as pa

    from mgdata.synth.records import index_table

    table = index_table(records, 7, ["got10k"])
    table = table.append_column("corpus", pa.array(["got10k"] * records, pa.string()))
    folder.mkdir(parents=True)
    step = -(-records // 64)
    for start in range(0, records, step):
        some = table.slice(start, step)
        path = str(folder / f"{start:09d}.arrow")
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, some.schema) as writer:
            writer.write_table(some)


def full(bench: Bench) -> list[Figure]:
    """Every group of the large recipes, over records at published size."""
    from tests.benchmarks.plan_full import planned

    scale = 0.002 if bench.quick else 1.0
    figures: list[Figure] = []
    for name, seconds, megabytes in (
        ("mgrounding-630k", 180.0, 6000.0),
        ("mg-data-240k", 90.0, 4000.0),
    ):
        found = planned(name, bench.folder / f"plan-full-{scale:g}", scale)
        beside = {"seconds": found["seconds"], "GB": found["GB"]}
        figures += [
            Figure(name=f"planning {name}, time", value=found["seconds"], bound=seconds,
                   unit="s", beside=beside),
            Figure(name=f"planning {name}, memory", value=found["GB"] * 1e3, bound=megabytes,
                   unit="MB", beside=beside),
        ]  # fmt: skip
    return figures


def tasks(bench: Bench) -> list[Figure]:
    """Samples a second of the slowest task, facts given; the slowest three beside it."""
    from tests.benchmarks.tasks import speeds

    found = list(speeds(bench.quick).items())
    return [
        Figure(name=f"slowest task ({found[0][0]}), samples a second", value=found[0][1],
               bound=2000.0, least=True, unit="/s", beside=dict(found[:3]))
    ]  # fmt: skip


def score(bench: Bench) -> list[Figure]:
    """Answers a second, parsed, scored and counted; others with more boxes and notations beside."""
    from tests.benchmarks.answers import speeds

    ((_, speed, ratio),) = speeds(bench.quick, ["qwen2-vl"], 1)
    beside = {"times the floor": ratio}
    for most in (1, 4):
        for name, each, _ in speeds(bench.quick, ["qwen2-vl", "qwen3-vl", "internvl"], most):
            beside[f"{name}, 1 to {most}" if most > 1 else name] = each
    return [
        Figure(name="score: answers without reasoning a second, with parsing", value=speed,
               bound=50_000.0, least=True, unit="/s", beside=beside)
    ]  # fmt: skip


def judging(bench: Bench) -> list[Figure]:
    """A teacher's answers a second: direct ones, and reasoned ones with all checks of the prose."""
    from tests.benchmarks.judging import figures

    return figures(bench.quick)


def memory(bench: Bench) -> list[Figure]:
    """Most resident memory of worker and driver, with a corpus and with ten times as much."""
    engines = ("serial",) if bench.quick else ("serial", "ray")
    # Memory goes with the size of a shard: the small corpus must fill one, too.
    full = {"ingest": {"parts": 4}, "build": {"groups": 4}, "release": {"file_mb": 150}}
    figures: list[Figure] = []
    for engine in engines:
        peaks: list[tuple[float, float]] = []
        for corpus in (bench.small, bench.large):
            path = recipe(bench.folder, f"memory-{corpus.clips}", corpus.clips, sections=full)
            said = bench.ours(path, corpus, engine=engine, workers=1).said
            peaks.append((said["peak"], max(said["peaks"], default=said["peak"])))
        names = ("driver", "worker") if engine == "ray" else ("worker and driver in one",)
        for place, name in enumerate(names):
            small, large = (peak[place] / 1e6 for peak in peaks)
            beside = {"1x MB": small, "10x MB": large}
            bound = 2000.0 if name == "driver" else 1000.0
            figures += [
                Figure(name=f"memory, {engine}: {name}", value=large, bound=bound, unit="MB",
                       beside=beside),
                Figure(name=f"memory, {engine}: {name}, 10x against 1x corpus",
                       value=large / small, bound=1.1, beside=beside),
            ]  # fmt: skip
    return figures


def start(bench: Bench) -> list[Figure]:
    """Importing and asking for help, with bytecode compiled as an installed package has it."""
    found = interleaved(
        {
            "python": lambda: bench.python("-c", "pass"),
            "import": lambda: bench.python("-c", "import mgdata"),
            "help": lambda: bench.python("-c", "from mgdata.cli import main; main()", "--help"),
        },
        bench.times,
    )
    bare = {"python alone s": found["python"].wall}
    return [
        Figure(name="import mgdata", value=found["import"].wall, bound=0.3, unit="s", beside=bare),
        Figure(name="mgdata --help", value=found["help"].wall, bound=0.5, unit="s", beside=bare),
    ]


LINES: dict[str, Callable[[Bench], list[Figure]]] = {
    "floor": floor,
    "library": library,
    "size": size,
    "scaling": scaling,
    "rerun": rerun,
    "planning": planning,
    "full": full,
    "tasks": tasks,
    "score": score,
    "judging": judging,
    "memory": memory,
    "start": start,
}


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    import pyarrow

    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True,
                            check=False).stdout.strip()  # fmt: skip
    return {
        "cores": os.cpu_count(),
        "memory GB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "python": ".".join(map(str, sys.version_info[:3])),
        "pyarrow": pyarrow.__version__,
        "commit": commit,
    }
