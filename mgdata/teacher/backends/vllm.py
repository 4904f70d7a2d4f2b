"""vLLM in this process: one engine for the whole of a stage, fed while it works.

The engine proper is a process of its own (`AsyncLLM`), so that prompts are rendered and pictures
decoded and resized here while it generates there. It runs wherever vLLM does: in a Ray actor, with
GPUs or without, or in the process of a serial run. Knows nothing of samples or notations.

Its packages are not there where mgdata is merely installed, so they are imported by name.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import count
from typing import Any, Literal

from mgdata.data import Reply, Request, Scalar
from mgdata.errors import EnvironmentFailure, Rejected
from mgdata.plugins import Backend, Session
from mgdata.teacher.backends.chat import Chat, Pictures, failed
from mgdata.teacher.backends.checkpoints import engine_package, limit_pixels, named
from mgdata.teacher.backends.feed import in_flight
from mgdata.teacher.backends.leash import Leash

DECODERS = 4
"""Threads that read and decode pictures."""
TRIES = 3
"""How often a request with pictures is tried whose error may be another request's doing."""
SEEDS = 1 << 63
"""Seeds are taken modulo this: vLLM's are signed."""

_VARIABLES = {
    # A process that has threads, as every session has, must not be forked.
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
}
"""Set before vLLM is imported, where the user has set nothing else."""

_ON_CPU = {"enable_chunked_prefill": False}
"""A part of a prompt draws a random number too many, which vLLM takes back; a CPU's generators
cannot, and the engine would end (RuntimeError: CPU Generator does not use offset)."""

_ALONE = {"enable_prefix_caching": False, "mm_processor_cache_gb": 0}
"""What is left to compute of a prompt, and which of its pictures are seen together, would else hang
on what was asked before, and with it how floating-point sums are split."""


@dataclass(frozen=True, kw_only=True)
class Vllm(Backend):
    """vLLM's offline engine. Answers are held to a request's schema or pattern.

    Each request draws with a seed of its own, so what else is asked matters only by how it changes
    floating-point sums: what runs together, and what is cached, decides how they are split, and a
    near tie can turn. On vLLM's CPU build, with a small model, it turned none of 168 answers to
    prompts of up to 2,000 tokens with three to five pictures: in float32 with 1, 8 and 64 at once,
    in bfloat16 with 64, in any order, caches on or off. A large model may be less kind, and on GPUs
    it is known to happen. `reproducible` rules it out by design (measured on a CPU alone); so does,
    on some GPUs, vLLM's own VLLM_BATCH_INVARIANT=1.
    """

    checkpoint: str
    """Name on the hub, or the folder of a checkpoint."""
    revision: str = "main"
    """Branch, tag or commit on the hub; a commit is the only one that stays what it is."""
    device: Literal["gpu", "cpu"] = "gpu"
    """What vLLM here was built for."""
    tensor_parallel_size: int = 1
    """GPUs that the model is spread over: what one session takes."""
    dtype: str = "auto"
    """Of weights and activations; `auto` is the checkpoint's own."""
    max_model_len: int | None = None
    """Tokens of prompt and answer together; None: as many as the model was made for."""
    max_num_seqs: int = 64
    """Requests that the engine runs at once; as many again wait beside it, ready."""
    reproducible: bool = False
    """Answer one request at a time, and keep nothing of one for the next: an answer then hangs on
    its request alone, to the last bit, in every run on machines of one kind. Several times slower;
    `max_num_seqs` counts for nothing."""
    images: int = 8
    """Pictures a prompt may have."""
    min_pixels: int | None = None
    """A smaller picture is enlarged to this many pixels; None: the checkpoint's own limit."""
    max_pixels: int | None = None
    """A larger picture is reduced to this many pixels; None: the checkpoint's own limit."""
    template: dict[str, Scalar] = field(default_factory=dict[str, Scalar])
    """Further arguments of the chat template, such as `enable_thinking`."""
    trust_remote_code: bool = False
    """Whether code that comes with the checkpoint may run."""
    timeout: float = 1800.0
    """Seconds without any answer, while some are asked, after which the engine counts as dead."""
    engine: dict[str, Any] = field(default_factory=dict[str, Any])
    """Further arguments of `vllm.AsyncEngineArgs`, which win over those above. They count as part
    of the model: with others, all is asked anew."""

    @property
    def model(self) -> str:
        """Name, revision and the settings that shape answers."""
        shaping = ("dtype", "min_pixels", "max_pixels", "template", "reproducible", "engine")
        return named(
            self.checkpoint, self.revision, {name: getattr(self, name) for name in shaping}
        )

    @property
    def gpus(self) -> float:
        """GPUs that one session takes: none on a CPU build."""
        return 0.0 if self.device == "cpu" else float(self.tensor_parallel_size)

    @property
    def together(self) -> int:
        """Requests that the engine runs at once."""
        return 1 if self.reproducible else self.max_num_seqs

    @property
    def sessions(self) -> int | None:
        """As many as there are GPUs for; on a CPU, which one keeps busy, one."""
        return None if self.gpus else 1

    def arguments(self, size: Mapping[str, int]) -> dict[str, Any]:
        """All that `vllm.AsyncEngineArgs` is given; `size` as from `checkpoints.limit_pixels`."""
        return {
            "model": self.checkpoint,
            "revision": self.revision,
            "dtype": self.dtype,
            "max_model_len": self.max_model_len,
            "max_num_seqs": self.together,
            "tensor_parallel_size": self.tensor_parallel_size,
            "limit_mm_per_prompt": {"image": self.images, "video": 0},
            "mm_processor_kwargs": {"size": dict(size)} if size else None,
            "trust_remote_code": self.trust_remote_code,
            "enable_prefix_caching": True,
            "seed": 0,
            "disable_log_stats": True,
            **(_ON_CPU if self.device == "cpu" else {}),
            **(_ALONE if self.reproducible else {}),
        } | self.engine

    def open(self, pictures: Callable[[str], bytes]) -> Session:
        """Start the engine: seconds for a small model, minutes for a large one.

        Raises:
            EnvironmentFailure: vLLM is not installed, or the engine does not start.
        """
        _ = self.model  # says in a sentence that a folder is not there
        for name, value in _VARIABLES.items():
            os.environ.setdefault(name, value)
        engine_package("vllm", "`pip install vllm`, in the version that the documentation names")
        try:
            return VllmSession(self, Pictures(pictures))
        except Exception as error:  # the hub's, the driver's, the model's: of any type
            raise EnvironmentFailure(
                f"vLLM does not start with {self.checkpoint}: {_first_line(error)}; what its log "
                "says above is the cause"
            ) from error


class VllmSession(Session):
    """An engine that is up, and the loop that talks to it."""

    def __init__(self, settings: Vllm, pictures: Pictures) -> None:
        self._settings = settings
        self._pictures = pictures
        processor = import_module("transformers").AutoProcessor.from_pretrained(
            settings.checkpoint,
            revision=settings.revision,
            trust_remote_code=settings.trust_remote_code,
        )
        self._size = limit_pixels(processor, settings.min_pixels, settings.max_pixels)
        self._chat = Chat(processor, settings.template)
        self._numbers = count()
        self._sendings: dict[str, int] = {}
        self._turn = asyncio.Lock()
        self._pool = ThreadPoolExecutor(DECODERS, thread_name_prefix="pictures")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="vllm")
        self._thread.start()
        self._leash = Leash()
        self._llm: Any = None
        try:
            self._llm = asyncio.run_coroutine_threadsafe(self._started(), self._loop).result()
            manager = self._llm.engine_core.resources.engine_manager
            self._leash.hold(one.pid for one in manager.processes)
        except BaseException:
            self.close()
            raise

    def answer(self, requests: Iterator[Request]) -> Iterator[Reply]:
        """One reply for each request, in the order in which the engine ends them."""
        most = 2 * self._settings.together
        yield from in_flight(self._asked, requests, most, self._settings.timeout)

    def close(self) -> None:
        """Ends the engine's processes and the loop; a second time does nothing.

        Whoever does not come to call it, as it is killed, has them ended by the leash.
        """
        if self._loop.is_closed():
            return
        if self._llm is not None:
            # Where the loop runs, as it cancels what reads from the engine.
            self._loop.call_soon_threadsafe(self._llm.shutdown)
        asyncio.run_coroutine_threadsafe(_drained(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._llm is not None:
            # vLLM leaves its sockets' context to the garbage collector, which may wait for it.
            self._llm.engine_core.resources.ctx.destroy(linger=0)
        self._pool.shutdown(cancel_futures=True)
        self._leash.close()

    async def _started(self) -> Any:
        asked = import_module("vllm").AsyncEngineArgs(**self._settings.arguments(self._size))
        return import_module("vllm.v1.engine.async_llm").AsyncLLM.from_engine_args(asked)

    def _asked(self, request: Request) -> Future[Reply]:
        return asyncio.run_coroutine_threadsafe(self._replied(request), self._loop)

    async def _replied(self, request: Request) -> Reply:
        reply = await self._tried(request)
        for _ in range(TRIES - 1):
            if request.pictures and reply.reason == "server error":
                reply = await self._tried(request)
        return reply

    async def _tried(self, request: Request) -> Reply:
        refusals, deaths = map(import_module, ("vllm.exceptions", "vllm.v1.engine.exceptions"))
        try:
            prompt = self._loop.run_in_executor(self._pool, self._prompt, request)
            # Neighbours share a prompt: they go in by their order, whoever is decoded first.
            async with self._turn:
                processed = await self._processed(await prompt)
            reply = self._reply(request, await self._generated(processed, request))
        except Rejected as error:
            return failed(request, error.reason, error.value or "")
        except refusals.VLLMClientError as error:
            reply = failed(request, _refusal(str(error)), steady(str(error)))
        except (deaths.EngineDeadError, deaths.EngineGenerateError, AssertionError) as error:
            if self._llm.errored:
                raise _dead() from error
            reply = failed(request, "server error", steady(str(error.__cause__ or error)))
        if reply.finish == "failed":
            self._send_anew(request)
        return reply

    async def _processed(self, prompt: dict[str, Any]) -> Any:
        """Tokens, and pictures as the model takes them, with the checkpoint's own processor."""
        renderer = self._llm.renderer
        # The chat template has written the special tokens.
        tokens = replace(renderer.default_cmpl_tok_params, add_special_tokens=False)
        try:
            (processed,) = await renderer.render_cmpl_async([prompt], tokens)
        except ValueError as error:  # of a processor, whose own error lies below others
            reason = "image refused" if "multi_modal_data" in prompt else "refused by the server"
            raise Rejected(reason, steady(str(_root(error)))) from error
        return processed

    async def _generated(self, processed: Any, request: Request) -> Any:
        answers = self._llm.generate(processed, sampled(request), str(next(self._numbers)))
        return [answer async for answer in answers][-1]

    def _reply(self, request: Request, output: Any) -> Reply:
        (said,) = output.outputs
        if said.finish_reason not in ("stop", "length"):
            return failed(request, "server error", f"the engine ended it: {said.finish_reason}")
        # Where the model ended its turn, the token that says so is the last.
        tokens = said.token_ids[:-1] if said.finish_reason == "stop" else said.token_ids
        return Reply(
            key=request.key,
            text=self._chat.decoded(tokens),
            finish=said.finish_reason,
            prompt_tokens=len(output.prompt_token_ids),
            tokens=len(said.token_ids),
        )

    def _prompt(self, request: Request) -> dict[str, Any]:
        """Text and pictures, these by names from which vLLM knows what it has seen before."""
        if len(request.pictures) > self._settings.images:
            raise Rejected("too many images", f"{len(request.pictures)} of {self._settings.images}")
        prompt: dict[str, Any] = {"prompt": self._chat.text(request)}
        if request.pictures:
            names = [f"{one}.{self._sendings.get(one, 0)}" for one in request.pictures]
            prompt["multi_modal_data"] = {
                "image": [self._pictures[one] for one in request.pictures]
            }
            prompt["multi_modal_uuids"] = {"image": names}
        return prompt

    def _send_anew(self, request: Request) -> None:
        """Gives a failed request's pictures other names.

        vLLM remembers here which pictures its engine has. Those of a request that it refuses once
        they are processed, as one that is too long by them, are never sent; whoever asks about
        them next has an error, or fails an assertion here while another's error is dealt with.
        """
        for one in request.pictures:
            self._sendings[one] = self._sendings.get(one, 0) + 1


def sampled(request: Request) -> Any:
    """`vllm.SamplingParams` of one request: tokens are asked for, and made text once at the end."""
    taken = import_module("vllm.sampling_params")
    held = None
    if request.schema is not None or request.pattern is not None:
        held = taken.StructuredOutputsParams(json=request.schema, regex=request.pattern)
    asked = request.sampling
    return taken.SamplingParams(
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        max_tokens=asked.max_tokens,
        ignore_eos=asked.ignore_eos,
        seed=request.seed % SEEDS,
        structured_outputs=held,
        detokenize=False,
        output_kind=taken.RequestOutputKind.FINAL_ONLY,
    )


def _refusal(said: str) -> str:
    """The reason for what vLLM said when it refused a request."""
    if "maximum model length" in said or "maximum context length" in said:
        return "prompt too long"
    return "too many images" if "At most" in said else "refused by the server"


def steady(said: str) -> str:
    """What an engine said, without the time of day and addresses that differ from run to run."""
    return " ".join(re.sub(r"\[\d\d:\d\d:\d\d\] (\S+:\d+: )?| at 0x[0-9A-Fa-f]+", "", said).split())


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _dead() -> EnvironmentFailure:
    return EnvironmentFailure(
        "vLLM's engine has ended: its log above says why, most often that memory ran out; what was "
        "answered is kept, so run again, with a smaller max_num_seqs or max_model_len"
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


async def _drained() -> None:
    """Lets the loop's tasks, cancelled by now, come to their end."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
