"""`make bench-vllm`: mgdata's stage `answer` on vLLM against a bare vLLM call, and the idle engine.

Both begin with the same JPEG files, prompts, seeds and engine arguments and generate the same
number of tokens. Each side is a process that keeps its engine; rounds are run turn and turn about,
so that a slow minute hits both, and no round has a photo that an earlier one had. The checkpoint is
the small one with random weights: what is compared is all that is not the model.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks.asked_samples import Work, asked, write_round
from tests.benchmarks.figures import Figure, as_json
from tests.benchmarks.lines import machine
from tests.benchmarks.processes import ROOT
from tests.environments.engine import ARGUMENTS

ENGINE: dict[str, Any] = {
    "max_num_seqs": 64,
    "max_model_len": 4096,
    "dtype": "float32",
    "enforce_eager": True,
    "kv_cache_memory_bytes": 256 << 20,
    "structured_outputs_config": ARGUMENTS["structured_outputs_config"],
}
"""Arguments of the engine, on both sides."""
MOST_RATIO, MOST_IDLE = 1.10, 2.0
SETTINGS = """\
ours:   stage `answer`, shards of 16 samples, journal and tables; engine in a process of its own
bare:   one vllm.LLM.chat over all conversations, pictures by file://; engine in a process of its
        own, which is vLLM's default; its other settings, detokenizing among them, are vLLM's too
inside: with --inside, the bare call with the engine in the caller's process"""
SIDES = ("ours", "bare", "inside")
Rounds = dict[str, list[dict[str, Any]]]
"""By side, what `vllm_sides` told of each round."""


class Side:
    """A process of `vllm_sides`."""

    def __init__(self, which: str, folder: Path) -> None:
        self.name = which
        self._log = (folder / f"{which}.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.vllm_sides", which, str(folder)],
            cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def round(self, number: int) -> dict[str, Any]:
        """What round `number` took.

        Raises:
            RuntimeError: the process ended; says where its log is.
        """
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(f"{number}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self._process.wait()}: {self._log.name}")
        return msgspec.json.decode(line)

    def close(self) -> None:
        """Ends it, and its engine with it."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()


def prepare(folder: Path, rounds: Sequence[Work]) -> None:
    """Checkpoint, photos, samples, and what the stage will ask, as the bare call is told."""
    from tests.environments.checkpoint import write_checkpoint

    shutil.rmtree(folder, ignore_errors=True)
    write_checkpoint(folder / "tiny")
    given = {"rounds": rounds, "engine": ENGINE}
    (folder / "given.json").write_bytes(msgspec.json.encode(given, enc_hook=vars))
    for number, work in enumerate(rounds):
        for name in ("out", "asked"):
            write_round(folder / "photos", folder / f"{name}-{number}", work, number)
        requests = asked(folder / "photos", folder / f"asked-{number}", work)
        (folder / f"asked-{number}.json").write_bytes(msgspec.json.encode(requests))


def measured(folder: Path, rounds: int, sides: Sequence[str]) -> Rounds:
    """What each side took for each round, turn and turn about, after round 0 to warm up."""
    running: dict[str, Side] = {}
    found: Rounds = {name: [] for name in sides}
    try:
        for name in sides:
            running[name] = Side(name, folder)
            running[name].round(0)
        for number in range(1, rounds + 1):
            # Each goes first in its turn.
            turn = number % len(sides)
            for name in (*sides[turn:], *sides[:turn]):
                found[name].append(running[name].round(number))
                seconds = found[name][-1]["seconds"]
                used = found[name][-1]["cpu"]
                print(f"  round {number} {name:<6} {seconds:7.2f} s, CPU {used:7.2f} s", flush=True)
    finally:
        for side in running.values():
            side.close()
    return found


def unlike(rounds: Rounds) -> str:
    """What makes a comparison worth nothing: other prompts or other amounts; empty if nothing."""
    for name in ("prompt_tokens", "tokens"):
        amounts = {side: [one[name] for one in took] for side, took in rounds.items()}
        if len(set(map(tuple, amounts.values()))) > 1:
            return f"{name} differ: {amounts}"
    return ""


def equal(rounds: Rounds) -> tuple[int, int]:
    """Answers that mgdata and the bare call have in common, of how many."""
    ours, bare = ([text for one in rounds[side] for text in one["texts"]] for side in SIDES[:2])
    return sum(one == two for one, two in zip(ours, bare, strict=True)), len(ours)


def figures(rounds: Rounds) -> list[Figure]:
    """The ratio to the bare call, and the engine's idle share."""
    seconds = {side: [one["seconds"] for one in took] for side, took in rounds.items()}
    best = {side: min(took) for side, took in seconds.items()}
    beside = {f"best {side} s": took for side, took in best.items()}
    beside |= {f"median {side} s": statistics.median(took) for side, took in seconds.items()}
    # Tells, unlike wall time, of the work alone where others use the machine.
    beside |= {
        f"median {side} CPU s": statistics.median(one["cpu"] for one in took)
        for side, took in rounds.items()
    }
    shares = {
        name: [100 * one[name] / one["seconds"] for one in rounds["ours"]]
        for name in ("idle", "room")
    }
    return [
        Figure(name="answer on vLLM / bare vllm.LLM.chat", value=best["ours"] / best["bare"],
               bound=MOST_RATIO, beside=beside),
        Figure(name="engine idle while requests wait", value=statistics.median(shares["idle"]),
               bound=MOST_IDLE, unit="%",
               beside={"worst %": max(shares["idle"]),
                       "not full %": statistics.median(shares["room"])}),
    ]  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.vllm_answers", description=__doc__
    )
    parser.add_argument("--samples", type=int, default=128, help="a round, one answer each")
    parser.add_argument("--images", type=int, default=3, help="a sample")
    parser.add_argument("--tokens", type=int, default=512, help="an answer")
    parser.add_argument("--rounds", type=int, default=3, help="of each side, after one to warm up")
    parser.add_argument("--inside", action="store_true",
                        help="also the bare call with the engine in its own process")  # fmt: skip
    parser.add_argument("--folder", type=Path, default=Path("build/bench-vllm"))
    parser.add_argument("--json", type=Path, default=Path("build/bench-vllm.json"))
    told = parser.parse_args()
    if find_spec("vllm") is None:
        print("vLLM is not installed here: nothing was measured; `make bench-vllm` installs it.")
        return
    work = Work(samples=told.samples, images=told.images, tokens=told.tokens)
    begin, folder = time.monotonic(), told.folder.absolute()
    warm = Work(samples=min(16, work.samples), images=work.images, tokens=min(32, work.tokens))
    prepare(folder, [warm, *[work] * told.rounds])
    print(f"{work.samples} requests a round, {work.images} photos of 640 x 480 each from JPEG "
          f"files, {work.tokens} tokens an answer, temperature 1, a seed each, ignore_eos")  # fmt: skip
    print(f"engine, on all sides: {ENGINE}, no chunked prefill, prefix caching")
    print(SETTINGS, flush=True)
    rounds = measured(folder, told.rounds, SIDES if told.inside else SIDES[:2])
    if fault := unlike(rounds):
        raise SystemExit(f"not the same work on both sides: {fault}")
    took, (same, all_) = rounds["ours"][0], equal(rounds)
    print(f"{took['prompt_tokens']} prompt tokens and {took['tokens']} generated a round on each "
          f"side; {same} of {all_} answers are equal")  # fmt: skip
    found = figures(rounds)
    for figure in found:
        print(figure.line())
    told.json.parent.mkdir(parents=True, exist_ok=True)
    told.json.write_text(as_json(found, machine()))
    print(f"{told.json} written after {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
