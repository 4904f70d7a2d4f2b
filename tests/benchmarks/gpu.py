"""`make bench-gpu`: the `transformers` backend with a Qwen2.5-VL of 7B shape, on a GPU.

    python -m tests.benchmarks.gpu        # any Python with torch, transformers and mgdata's needs

Weights are random, in bfloat16; answers mean nothing and are as long as asked for. Each line is
measured twice: answers of one token, which is what decoding, resizing, the vision tower and the
prompt take, and answers of full length. Without a GPU it says so and gives no figure.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgdata.data import Reply, Request
    from mgdata.plugins import Session

NEEDED = (
    "torch",
    "transformers",
    "torchvision",
    "PIL",
    "jinja2",
    "msgspec",
    "simplejpeg",
    "pyarrow",
)
NOTHING = "so the 7B shape did not run on the transformers backend, and nothing was measured."
QUESTION = "Which image shows a large box of one colour, and where? Think, then answer with boxes."


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One line of the table, and what it took."""

    images: int
    """Of a prompt."""
    answer: int
    """Tokens of each."""
    batch: int
    """Requests that run together."""
    requests: int
    prompt_tokens: int = 0
    """Of all requests, pictures among them."""
    first: float = 0.0
    """Seconds for one token each."""
    seconds: float = 0.0
    """Seconds for all tokens."""
    allocated: int = 0
    """Most bytes of GPU memory in tensors, weights among them."""
    reserved: int = 0
    """Most bytes that torch held for them."""

    def rates(self) -> dict[str, float | None]:
        """Per second: images, tokens of prompts until the first of the answer, and of answers."""
        rest, spent = self.requests * (self.answer - 1), self.seconds - self.first
        return {
            "images/s": self.requests * self.images / self.seconds,
            "prompt tokens/s": self.prompt_tokens / self.first,
            # Something else kept the machine busy where one token took longer than all.
            "answer tokens/s": rest / spent if spent > 0 else None,
        }


def missing() -> str:
    """Why nothing can be measured here, as a sentence; empty where it can."""
    for package in NEEDED:
        if find_spec(package) is None:
            return f"No GPU can be used: {package} is not installed in this Python, {NOTHING}"
    try:
        there = import_module("torch").cuda.is_available()
    except (ImportError, OSError) as error:  # a build for another machine
        return f"No GPU can be used: torch does not import ({type(error).__name__}), {NOTHING}"
    return "" if there else f"There is no GPU here that torch can use, {NOTHING}"


def on_the_gpu() -> AbstractContextManager[Any]:
    """Weights that a folder lacks are made on the GPU; without accelerate, on the CPU, in minutes.

    transformers takes torch's default device for where to make a model, but needs accelerate to.
    """
    if find_spec("accelerate") is None:
        print("accelerate is not installed here: weights are made on the CPU first", flush=True)
        return nullcontext()
    return import_module("torch").device("cuda")


def asked(cell: Cell, pictures: Sequence[str], tokens: int) -> list[Request]:
    """A cell's requests, each with pictures of its own as far as there are enough."""
    from mgdata.data import Request, Sampling

    user = "".join(f"Image {at + 1}: <image>" for at in range(cell.images)) + QUESTION
    sampling = Sampling(temperature=1.0, max_tokens=tokens, ignore_eos=True)
    made: list[Request] = []
    for number in range(cell.requests):
        start = number * cell.images
        shown = [pictures[(start + at) % len(pictures)] for at in range(cell.images)]
        made.append(
            Request(
                key=str(number), prompt=str(number), system="", user=user, pictures=tuple(shown),
                sampling=sampling, seed=number,
            )
        )  # fmt: skip
    return made


def timed(session: Session, requests: Sequence[Request]) -> tuple[float, list[Reply]]:
    """Seconds until the last reply.

    Raises:
        RuntimeError: a request failed, or its answer is not as long as asked for.
    """
    begin = time.perf_counter()
    replies = list(session.answer(iter(requests)))
    seconds = time.perf_counter() - begin
    for reply in replies:
        if reply.finish != "length" or reply.tokens != requests[0].sampling.max_tokens:
            raise RuntimeError(f"a request ended by {reply.finish}: {reply.reason} {reply.value}")
    return seconds, replies


def measured(session: Session, cell: Cell, pictures: Sequence[str], memory: Memory) -> Cell:
    """The cell with what it took; its answers of one token are run before, too, to warm up."""
    short = asked(cell, pictures, 1)
    timed(session, short)
    first, replies = timed(session, short)
    memory.begin()
    seconds, _ = timed(session, asked(cell, pictures, cell.answer))
    allocated, reserved = memory.peak()
    return dataclasses.replace(
        cell, first=first, seconds=seconds, allocated=allocated, reserved=reserved,
        prompt_tokens=sum(reply.prompt_tokens for reply in replies),
    )  # fmt: skip


class Memory:
    """Peak of the GPU's memory, as torch counts it."""

    def __init__(self) -> None:
        self._cuda = import_module("torch").cuda

    def begin(self) -> None:
        """Forget what was used up to now."""
        self._cuda.reset_peak_memory_stats()

    def peak(self) -> tuple[int, int]:
        """Most bytes allocated and reserved since."""
        return self._cuda.max_memory_allocated(), self._cuda.max_memory_reserved()


def cells(batch: int, rounds: int) -> Iterator[Cell]:
    """Three and five images, short and long answers."""
    for images in (3, 5):
        for answer in (128, 512):
            yield Cell(images=images, answer=answer, batch=batch, requests=batch * rounds)


COLUMNS = (
    "batch", "images", "answer", "requests", "prompt", "seconds", "images/s", "prompt tok/s",
    "answer tok/s", "peak GB", "held GB",
)  # fmt: skip
"""`prompt` and `answer`: tokens of each; `peak GB`: in tensors; `held GB`: what torch took."""
WIDTHS = tuple(max(6, len(name)) for name in COLUMNS)


def line(cell: Cell) -> str:
    """A cell for a terminal, under `COLUMNS`."""
    rates = cell.rates()
    drawn = rates["answer tokens/s"]
    values = (
        f"{cell.batch}", f"{cell.images}", f"{cell.answer}", f"{cell.requests}",
        f"{cell.prompt_tokens // cell.requests}", f"{cell.seconds:.2f}",
        f"{rates['images/s']:.2f}", f"{rates['prompt tokens/s']:.0f}",
        "-" if drawn is None else f"{drawn:.1f}", f"{cell.allocated / 1e9:.1f}",
        f"{cell.reserved / 1e9:.1f}",
    )  # fmt: skip
    return row(values)


def row(values: Sequence[str]) -> str:
    """Values at the right of their columns."""
    return "  ".join(f"{value:>{wide}}" for value, wide in zip(values, WIDTHS, strict=True))


def stored(folder: Path, count: int) -> tuple[list[str], Callable[[str], bytes]]:
    """Photos on disk by their SHA-256, and what reads them."""
    from tests.benchmarks.photographs import write_photographs

    paths = write_photographs(folder, count)
    by_name = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in paths}
    return list(by_name), lambda name: by_name[name].read_bytes()


def run(folder: Path, batches: Sequence[int], rounds: int) -> dict[str, Any]:
    """All cells, each printed when it is done; facts of the machine and the table."""
    from tests.benchmarks.seven_billion import write_folder

    logging = import_module("transformers").logging
    logging.set_verbosity_error()  # every weight is missing, as it should be
    logging.disable_progress_bar()
    write_folder(folder / "shape")
    names, pictures = stored(folder / "photos", 5 * max(batches) * rounds)
    facts = machine()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    print("random weights in bfloat16; photos of 640 x 480, JPEG; temperature 1, a seed each")
    done: list[Cell] = []
    for batch in batches:
        begin = time.perf_counter()
        session = opened(folder / "shape", batch, pictures)
        print(f"made in {time.perf_counter() - begin:.0f} s\n{row(COLUMNS)}", flush=True)
        for cell in cells(batch, rounds):
            done.append(measured(session, cell, names, Memory()))
            print(line(done[-1]), flush=True)
        session.close()
    return {"machine": facts, "lines": [dataclasses.asdict(one) | one.rates() for one in done]}


def machine() -> dict[str, Any]:
    """What the figures are taken on."""
    from tests.benchmarks.seven_billion import text_parameters, vision_parameters

    torch, transformers = import_module("torch"), import_module("transformers")
    return {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "parameters": text_parameters() + vision_parameters(),
    }


def opened(shape: Path, batch: int, pictures: Callable[[str], bytes]) -> Session:
    """The backend's own session, its model on the GPU."""
    from mgdata.teacher.backends.transformers import Transformers
    from tests.benchmarks.seven_billion import PIXELS

    settings = Transformers(
        checkpoint=str(shape), device="gpu", dtype="bfloat16", batch=batch,
        min_pixels=PIXELS[0], max_pixels=PIXELS[1],
    )  # fmt: skip
    with on_the_gpu():
        return settings.open(pictures)


def main() -> None:
    """Measure where there is a GPU, else say that there is none."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu", description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8],
                        help="requests that run together")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=2, help="batches a line")
    parser.add_argument("--json", type=Path, default=Path("build/bench-gpu.json"))
    told = parser.parse_args()
    if why := missing():
        print(why)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), told.batches, told.rounds)
    told.json.parent.mkdir(parents=True, exist_ok=True)
    told.json.write_text(json.dumps(found, indent=1))
    print(f"{told.json} written")


if __name__ == "__main__":
    sys.exit(main())
