"""vLLM inside a Ray actor, as thin as can be: what a backend is compared with.

Both take prompts as lists of chat messages and settings as those of `vllm.SamplingParams`, with
`held` for its structured output.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from environments.engine import VARIABLES

Said = tuple[str, tuple[int, ...], str]
"""Text, token ids and why it ended: `stop` or `length`."""


def started(kind: type, *arguments: Any) -> Any:
    """Handle of a new actor of one of the classes below, which needs no GPU."""
    import ray
    from ray import cloudpickle

    # Workers of Ray do not see the folder of tests that this module was found in.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    options = {"num_cpus": 1, "num_gpus": 0, "runtime_env": {"env_vars": VARIABLES}}
    remote: Any = ray.remote(**options)(kind)
    return remote.remote(*arguments)


class Engine:
    """A `vllm.LLM`: all prompts at once, answers in their order."""

    def __init__(self, checkpoint: str, media: str, arguments: Mapping[str, Any]) -> None:
        from vllm import LLM

        self.llm = LLM(
            model=checkpoint, allowed_local_media_path=media, disable_log_stats=True, **arguments
        )

    def chat(
        self, prompts: Sequence[list[Any]], settings: Sequence[Mapping[str, Any]]
    ) -> list[list[Said]]:
        """The answers to each prompt under its own settings."""
        sampling = [sampled(one) for one in settings]
        return [said(out) for out in self.llm.chat(list(prompts), sampling, use_tqdm=False)]


class AsyncEngine:
    """A `vllm.AsyncLLM`: prompts one by one, those that come together run together."""

    def __init__(self, checkpoint: str, arguments: Mapping[str, Any]) -> None:
        from vllm import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        self.llm = AsyncLLM.from_engine_args(
            AsyncEngineArgs(model=checkpoint, disable_log_stats=True, **arguments)
        )

    async def generate(
        self, text: str, paths: Sequence[str], settings: Mapping[str, Any], name: str
    ) -> list[Said]:
        """The answers to one rendered prompt about images of local files."""
        from PIL import Image

        pictures = [await asyncio.to_thread(Image.open, path) for path in paths]
        prompt = {"prompt": text, "multi_modal_data": {"image": pictures}}
        (out,) = [one async for one in self.llm.generate(prompt, sampled(settings), name)]
        return said(out)

    def stop(self) -> None:
        """Ends the engine's own process."""
        self.llm.shutdown()


def sampled(settings: Mapping[str, Any]) -> Any:
    """Settings as vLLM takes them; of a stream, only its last state is asked for."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    plain = {key: value for key, value in settings.items() if key != "held"}
    held = StructuredOutputsParams(**settings["held"]) if "held" in settings else None
    kind = RequestOutputKind.FINAL_ONLY
    return SamplingParams(**plain, structured_outputs=held, output_kind=kind)


def said(out: Any) -> list[Said]:
    """What one request gave, as plain values."""
    return [(one.text, tuple(one.token_ids), one.finish_reason) for one in out.outputs]
