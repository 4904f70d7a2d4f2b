"""transformers in this process: the plain way to run a checkpoint, which others are compared with.

One process, a GPU if there is one, else the CPU. Prompts are rendered as for vLLM; nothing but the
request says how an answer is drawn, whatever `generation_config.json` suggests. It cannot hold an
answer to a form: a request's schema or pattern is not looked at. Knows no sample and no notation.

Its packages are not there where mgdata is merely installed, so they are imported by name.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from mgdata.data import Reply, Request, Sampling, Scalar
from mgdata.errors import EnvironmentFailure, Rejected
from mgdata.plugins import Backend, Session
from mgdata.teacher.backends.chat import Chat, Pictures, failed
from mgdata.teacher.backends.checkpoints import engine_package, limit_pixels, named
from mgdata.teacher.backends.feed import batches

SEEDS = 1 << 63
"""Seeds are taken modulo this, as for vLLM."""


@dataclass(frozen=True, kw_only=True)
class Transformers(Backend):
    """transformers' `generate`. Forms (`schema`, `pattern`) are not enforced here."""

    checkpoint: str
    """Name on the hub, or the folder of a checkpoint."""
    revision: str = "main"
    """Branch, tag or commit on the hub; a commit is the only one that stays what it is."""
    device: Literal["auto", "gpu", "cpu"] = "auto"
    """Where it runs; `auto`: on a GPU if this machine has one."""
    dtype: str = "auto"
    """Of weights and activations; `auto` is the checkpoint's own."""
    max_model_len: int | None = None
    """Tokens of prompt and answer together; None: as many as the model was made for."""
    images: int = 8
    """Pictures a prompt may have."""
    min_pixels: int | None = None
    """A smaller picture is enlarged to this many pixels; None: the checkpoint's own limit."""
    max_pixels: int | None = None
    """A larger picture is reduced to this many pixels; None: the checkpoint's own limit."""
    batch: int = 1
    """Requests that run together, padded at the left. With one, an answer depends on its request
    alone; with more, the sums that round otherwise can turn a near tie."""
    template: dict[str, Scalar] = field(default_factory=dict[str, Scalar])
    """Further arguments of the chat template, such as `enable_thinking`."""
    trust_remote_code: bool = False
    """Whether code that comes with the checkpoint may run."""

    @property
    def model(self) -> str:
        """Name, revision and the settings that shape answers."""
        shaping = ("dtype", "min_pixels", "max_pixels", "template")
        return named(
            self.checkpoint, self.revision, {name: getattr(self, name) for name in shaping}
        )

    @property
    def gpus(self) -> float:
        """GPUs that one session takes; `auto` looks at the machine that asks."""
        if self.device == "auto":
            return float(any(Path("/dev").glob("nvidia[0-9]*")))
        return float(self.device == "gpu")

    def open(self, pictures: Callable[[str], bytes]) -> Session:
        """Load the model.

        Raises:
            EnvironmentFailure: torch or transformers is not installed, or the model does not load.
        """
        _ = self.model  # says in a sentence that a folder is not there
        for package in ("torch", "transformers"):
            engine_package(package, "`pip install 'mgdata[transformers]'`")
        try:
            return TransformersSession(self, Pictures(pictures))
        except EnvironmentFailure:
            raise
        except Exception as error:  # the hub's, the driver's, the model's: of any type
            raise EnvironmentFailure(
                f"transformers does not load {self.checkpoint}: {type(error).__name__}: {error}"
            ) from error


class TransformersSession(Session):
    """A model that is loaded."""

    def __init__(self, settings: Transformers, pictures: Pictures) -> None:
        self._settings = settings
        self._pictures = pictures
        self._processor, self._model = _loaded(settings)
        self._chat = Chat(self._processor, settings.template)
        self._ends = _ends(self._model, self._processor.tokenizer)
        text = self._model.config.get_text_config()
        self._most = settings.max_model_len or text.max_position_embeddings
        # What a checkpoint suggests (a temperature, a penalty) is not what was asked.
        self._model.generation_config = type(self._model.generation_config)(
            pad_token_id=self._processor.tokenizer.pad_token_id or self._ends[0]
        )

    def answer(self, requests: Iterator[Request]) -> Iterator[Reply]:
        """One reply for each request, in their order but for failures, which come first."""
        for batch in batches(requests, self._settings.batch):
            ready: list[tuple[Request, str, list[Any]]] = []
            for request in batch:
                try:
                    ready.append((request, *self._prompt(request)))
                except Rejected as error:
                    yield failed(request, error.reason, error.value or "")
            if ready:
                yield from self._replies(ready)

    def close(self) -> None:
        """Lets the weights go."""
        torch = import_module("torch")
        del self._model, self._processor
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _prompt(self, request: Request) -> tuple[str, list[Any]]:
        """Text and pictures of one request, both fit to be asked."""
        if len(request.pictures) > self._settings.images:
            raise Rejected("too many images", f"{len(request.pictures)} of {self._settings.images}")
        if request.sampling.max_tokens < 1:
            raise Rejected("refused by the server", "max_tokens must be at least 1")
        text = self._chat.text(request)
        pictures = [self._pictures[one] for one in request.pictures]
        try:
            length = self._inputs([text], [pictures])["input_ids"].shape[1]
        except ValueError as error:
            reason = "image refused" if pictures else "refused by the server"
            raise Rejected(reason, str(error)) from error
        if length >= self._most:
            raise Rejected("prompt too long", f"{length} tokens of {self._most}")
        return text, pictures

    def _inputs(self, texts: list[str], pictures: list[list[Any]]) -> Any:
        return self._processor(
            text=texts,
            images=pictures if any(pictures) else None,
            padding=True,
            add_special_tokens=False,  # the chat template has written them
            return_tensors="pt",
        )

    def _replies(self, ready: Sequence[tuple[Request, str, list[Any]]]) -> Iterator[Reply]:
        torch = import_module("torch")

        requests = [request for request, _, _ in ready]
        inputs = self._inputs([text for _, text, _ in ready], [held for *_, held in ready])
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        rooms = [
            min(request.sampling.max_tokens, self._most - length)
            for request, length in zip(requests, lengths, strict=True)
        ]
        try:
            rows = self._generated(inputs.to(self._model.device), requests, rooms)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            yield from (failed(one, "server error", f"out of memory: {error}") for one in requests)
            return
        for request, length, room, row in zip(requests, lengths, rooms, rows, strict=True):
            yield self._reply(request, length, row[:room])

    def _generated(
        self, inputs: Any, requests: Sequence[Request], rooms: Sequence[int]
    ) -> list[list[int]]:
        """Tokens of each answer, up to the longest of them."""
        torch = import_module("torch")

        start = inputs["input_ids"].shape[1]
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs,
                max_new_tokens=max(rooms),
                do_sample=False,
                logits_processor=[Drawn(requests)],
                stopping_criteria=[Ended(requests, rooms, start, self._ends)],
            )
        return tokens[:, start:].tolist()

    def _reply(self, request: Request, length: int, tokens: list[int]) -> Reply:
        ends = [] if request.sampling.ignore_eos else self._ends
        end = next((at for at, token in enumerate(tokens) if token in ends), None)
        return Reply(
            key=request.key,
            text=self._chat.decoded(tokens[:end]),
            finish="length" if end is None else "stop",
            prompt_tokens=length,
            tokens=len(tokens) if end is None else end + 1,
        )


class Drawn:
    """A logits processor that leaves each row one token: drawn with its own request's seed.

    `generate` then takes the likeliest, which is that one. Its own sampling has one stream of
    random numbers for all rows, so that an answer would depend on its neighbours.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        torch = import_module("torch")

        self._sampling = [request.sampling for request in requests]
        # On the CPU, so that a seed gives the same numbers on every device.
        self._streams = [
            torch.Generator().manual_seed(request.seed % SEEDS) for request in requests
        ]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores of the next token, rows x vocabulary, all but one of each drawn row at -inf."""
        del input_ids
        for row, (sampling, stream) in enumerate(zip(self._sampling, self._streams, strict=True)):
            if sampling.temperature:
                token = drawn(scores[row], sampling, stream)
                scores[row].fill_(float("-inf"))[token] = 0.0
        return scores


def drawn(logits: Any, sampling: Sampling, stream: Any) -> Any:
    """One token: the temperature first, then `top_k`, then `top_p` of what is left, as in vLLM."""
    torch = import_module("torch")

    likely = torch.softmax(logits.double() / sampling.temperature, dim=-1)
    likely, tokens = likely.sort(descending=True, stable=True)
    if sampling.top_k:
        likely[sampling.top_k :] = 0.0
    before = likely.cumsum(0) - likely
    likely[before >= sampling.top_p * likely.sum()] = 0.0
    upto = likely.cumsum(0)
    point = torch.rand((), generator=stream, dtype=torch.float64).to(upto.device) * upto[-1]
    return tokens[torch.searchsorted(upto, point, right=True).clamp(max=(likely > 0).sum() - 1)]


class Ended:
    """A stopping criterion: each row ends at its own end of turn, or where its room does."""

    def __init__(
        self, requests: Sequence[Request], rooms: Sequence[int], start: int, ends: Sequence[int]
    ) -> None:
        torch = import_module("torch")

        self._start = start
        self._ends = torch.tensor(ends)
        self._rooms = torch.tensor(rooms)
        self._told = torch.tensor([not request.sampling.ignore_eos for request in requests])
        self._over = torch.zeros(len(requests), dtype=torch.bool)

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Which rows are over."""
        torch = import_module("torch")

        del scores
        last = input_ids[:, -1].cpu()
        self._over |= self._told & torch.isin(last, self._ends)
        self._over |= input_ids.shape[1] - self._start >= self._rooms
        return self._over.to(input_ids.device)


def _loaded(settings: Transformers) -> tuple[Any, Any]:
    """Processor and model, the model where it is to run."""
    torch, automatic = import_module("torch"), import_module("transformers")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if settings.device == "gpu" and device == "cpu":
        raise EnvironmentFailure("torch sees no GPU here: set device to cpu or auto")
    source: dict[str, Any] = {
        "revision": settings.revision,
        "trust_remote_code": settings.trust_remote_code,
    }
    processor = automatic.AutoProcessor.from_pretrained(settings.checkpoint, **source)
    limit_pixels(processor, settings.min_pixels, settings.max_pixels)
    processor.tokenizer.padding_side = "left"
    model = automatic.AutoModelForImageTextToText.from_pretrained(
        settings.checkpoint, dtype=settings.dtype, **source
    )
    return processor, model.to("cpu" if settings.device == "cpu" else device).eval()


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """Tokens that end a turn, as vLLM takes them: the tokenizer's and the generation's."""
    stated = model.generation_config.eos_token_id
    found = stated if isinstance(stated, list) else [stated]
    return sorted({end for end in (*found, tokenizer.eos_token_id) if end is not None})
