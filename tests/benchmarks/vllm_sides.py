"""One side of the benchmark of vLLM: a process that keeps its engine and runs round after round.

    python -m tests.benchmarks.vllm_sides ours|bare|inside FOLDER    # in .venv-vllm

Each line of its input is the number of a round; each line of its output is what the round took, as
JSON. `ours` is mgdata's stage `answer`, `bare` is `vllm.LLM.chat` with all conversations at once,
`inside` the same with the engine in the caller's process.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mgdata.data import Request
from mgdata.plugins import Session
from mgdata.stages.sessions import let_go
from mgdata.storage import Store
from mgdata.teacher.backends.vllm import SEEDS, Vllm
from mgdata.teacher.tables import read_answers
from tests.benchmarks.asked_samples import Work, answered, stage
from tests.environments.engine import set_variables

SAMPLED = 0.005
"""Seconds between two looks at the engine."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What both sides are told, in `given.json` of the folder."""

    rounds: list[Work]
    """The first is to warm up."""
    engine: dict[str, Any]
    """Arguments of the engine, equal on both sides."""

    @property
    def images(self) -> int:
        """Most images a prompt has."""
        return max(work.images for work in self.rounds)


def backend(folder: Path, given: Given) -> Watched:
    """mgdata's backend with the engine's arguments."""
    own = {"max_num_seqs", "max_model_len", "dtype"}
    return Watched(
        checkpoint=str(folder / "tiny"), device="cpu", images=given.images,
        **{name: value for name, value in given.engine.items() if name in own},
        engine={name: value for name, value in given.engine.items() if name not in own},
    )  # fmt: skip


def arguments(folder: Path, given: Given) -> dict[str, Any]:
    """The same for `vllm.LLM`: all that mgdata's backend would hand to its engine."""
    return {**backend(folder, given).arguments({}), "allowed_local_media_path": str(folder)}


class Ours:
    """mgdata's stage; its session, and so the engine, stays from round to round."""

    def __init__(self, folder: Path, given: Given) -> None:
        self._folder, self._given = folder, given
        self._backend = backend(folder, given)

    def round(self, number: int) -> dict[str, Any]:
        """Seconds from the stage's start to its last entry; engine's idle seconds among them."""
        work, out = self._given.rounds[number], self._folder / f"out-{number}"
        asking = stage(self._backend, self._folder / "photos", out, work)
        watch = Watch(self._backend.max_num_seqs, work.samples)
        watch.begin()
        begin, spent = time.perf_counter(), cpu()
        entries = answered(asking, work)
        seconds = time.perf_counter() - begin
        found = [a for e in entries for a in read_answers(Store(str(out)).local(e.data().path))]
        return {
            "seconds": seconds,
            "cpu": cpu() - spent,
            **watch.seen(),
            "prompt_tokens": sum(answer.reply.prompt_tokens for answer in found),
            "tokens": sum(answer.reply.tokens for answer in found),
            "texts": [_short(answer.reply.text) for answer in found],
        }

    def close(self) -> None:
        """Ends the engine."""
        let_go()


class Handed:
    """How many requests an engine was given in this round."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.requests = 0
        generate = engine.generate

        def counted(*given: Any) -> Any:
            self.requests += 1
            return generate(*given)

        engine.generate = counted


OPENED: list[Handed] = []
"""The engine of this process."""


@dataclass(frozen=True, kw_only=True)
class Watched(Vllm):
    """The backend as it is, but its engine can be looked at."""

    def open(self, pictures: Callable[[str], bytes]) -> Session:
        """As the backend's."""
        session = super().open(pictures)
        OPENED.append(Handed(session._llm))  # type: ignore[attr-defined]
        return session


class Watch:
    """Looks at the engine again and again while requests wait for it, from `begin` to `seen`.

    `idle`: seconds in which it had none. `room`: in which it had fewer than it runs at once.
    """

    def __init__(self, most: int, requests: int) -> None:
        self._most, self._requests = most, requests
        self._spent = {"idle": 0.0, "room": 0.0}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def begin(self) -> None:
        """Starts the clock."""
        for one in OPENED:
            one.requests = 0
        self._thread.start()

    def seen(self) -> dict[str, float]:
        """Stops it; seconds of each."""
        self._over.set()
        self._thread.join()
        return dict(self._spent)

    def _look(self) -> None:
        last = time.perf_counter()
        while not self._over.wait(SAMPLED):
            now = time.perf_counter()
            # While it is not open yet, as in the round that warms up, it is idle.
            inside = (
                OPENED[0].engine.output_processor.get_num_unfinished_requests() if OPENED else 0
            )
            handed = OPENED[0].requests if OPENED else 0
            if handed < self._requests:
                self._spent["idle"] += (now - last) * (inside == 0)
                self._spent["room"] += (now - last) * (inside < self._most)
            last = now


class Bare:
    """`vllm.LLM.chat`, everything at once."""

    def __init__(self, folder: Path, given: Given) -> None:
        from vllm import LLM

        self._folder, self._given = folder, given
        self._llm = LLM(**arguments(folder, given))
        photos = (folder / "photos").rglob("*.jpg")
        self._paths = {hashlib.sha256(one.read_bytes()).hexdigest(): one for one in photos}

    def round(self, number: int) -> dict[str, Any]:
        """Seconds of one call."""
        from vllm import SamplingParams

        text = (self._folder / f"asked-{number}.json").read_bytes()
        requests = msgspec.json.decode(text, type=list[Request])
        conversations = [self._conversation(request) for request in requests]
        params = [
            SamplingParams(
                temperature=request.sampling.temperature, max_tokens=request.sampling.max_tokens,
                ignore_eos=True, seed=request.seed % SEEDS, skip_special_tokens=False,
            )
            for request in requests
        ]  # fmt: skip
        begin, spent = time.perf_counter(), cpu()
        found = self._llm.chat(conversations, params, use_tqdm=False)
        return {
            "seconds": time.perf_counter() - begin,
            "cpu": cpu() - spent,
            "prompt_tokens": sum(len(one.prompt_token_ids or ()) for one in found),
            "tokens": sum(len(one.outputs[0].token_ids) for one in found),
            "texts": [_short(one.outputs[0].text) for one in found],
        }

    def _conversation(self, request: Request) -> Any:
        """The request with its pictures by address, as vLLM's documentation has it."""
        first, *rest = request.user.split("<image>")
        content = [{"type": "text", "text": first}] if first else []
        for name, text in zip(request.pictures, rest, strict=True):
            url = self._paths[name].absolute().as_uri()
            content.append({"type": "image_url", "image_url": {"url": url}})  # type: ignore[dict-item]
            if text:
                content.append({"type": "text", "text": text})
        told = [{"role": "system", "content": request.system}] if request.system else []
        return [*told, {"role": "user", "content": content}]

    def close(self) -> None:
        """Ends the engine with the process."""


def cpu(process: str = "self") -> float:
    """CPU seconds of a process, its threads and all that it started and that still runs."""
    seconds = 0.0
    for thread in Path(f"/proc/{process}/task").iterdir():
        spent = (thread / "stat").read_text().rpartition(")")[2].split()[11:13]
        seconds += sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")
        seconds += sum(map(cpu, (thread / "children").read_text().split()))
    return seconds


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def main() -> None:
    """Start, say so, run the rounds that are asked for."""
    which, folder = sys.argv[1], Path(sys.argv[2])
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0" if which == "inside" else "1"
    os.environ["VLLM_LOGGING_LEVEL"] = "ERROR"
    set_variables()
    given = msgspec.json.decode((folder / "given.json").read_bytes(), type=Given)
    # Answers to the one who asks; whatever else prints does so elsewhere.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    side = (Ours if which == "ours" else Bare)(folder, given)
    for line in sys.stdin:
        print(json.dumps(side.round(int(line))), file=out, flush=True)
    side.close()


if __name__ == "__main__":
    main()
