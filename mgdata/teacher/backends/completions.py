"""Chat completions as OpenAI words them, and vLLM's and SGLang's additions: bodies and replies.

Bytes in, bytes out: opens no connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from mgdata.data import Reply, Request, Sampling
from mgdata.errors import UsageError
from mgdata.teacher.backends.chat import messages

Dialect = Literal["vllm", "sglang", "openai"]
Forms = Literal["vllm", "guided", "sglang", "openai", "none"]
LengthName = Literal["max_tokens", "max_completion_tokens"]

SEEDS = 1 << 63
"""Seeds are taken modulo this: servers' are signed. The offline engines do the same."""
PICTURE_TOKENS = 1000
"""What a picture is reckoned to cost until the server has said it: about 0.8 megapixels."""
OURS = frozenset({
    "model", "messages", "n", "stream", "seed", "temperature", "top_p", "top_k", "ignore_eos",
    "max_tokens", "max_completion_tokens", "response_format", "structured_outputs", "guided_json",
    "guided_regex", "regex", "skip_special_tokens",
})  # fmt: skip
"""Parameters that are ours to set."""

Tokens = Annotated[int, msgspec.Meta(ge=0)]


class _Message(msgspec.Struct):
    content: str | None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    index: int = 0


class _Usage(msgspec.Struct):
    prompt_tokens: Tokens = 0
    completion_tokens: Tokens = 0


class Completion(msgspec.Struct):
    """What a server answers; whatever else it says is not looked at."""

    choices: list[_Choice]
    usage: _Usage | None = None


def content(request: Request, address: Callable[[str], str]) -> msgspec.Raw:
    """The `messages` of a request, pictures by what `address` makes of their SHA-256.

    Raises:
        Rejected: `image refused`: slots and pictures differ in number, or what `address` raises.
    """
    told = messages(request)
    pictures = iter(request.pictures)
    for message in told:
        message["content"] = [
            {"type": "image_url", "image_url": {"url": address(next(pictures))}}
            if part["type"] == "image"
            else part
            for part in message["content"]
        ]
        if message["role"] == "system":
            # Some templates take a system's words as a plain text alone.
            message["content"] = request.system
    return msgspec.Raw(msgspec.json.encode(told))


def parameters(
    sampling: Sampling, dialect: Dialect, length: LengthName = "max_tokens"
) -> dict[str, Any]:
    """How an answer is drawn, in a server's words.

    vLLM and SGLang take what a request does not say from the model's own `generation_config.json`:
    all is said to them, also what changes nothing.

    Raises:
        UsageError: the server knows no such thing.
    """
    said: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        length: sampling.max_tokens,
    }
    if dialect == "openai":
        wrong = "top_k" if sampling.top_k else "ignore_eos" if sampling.ignore_eos else ""
        if wrong:
            raise UsageError(
                f"{wrong}: no parameter of `server: openai`; leave it out, or set `server` to "
                "vllm or sglang if that is what answers there"
            )
        return said
    whole = {"vllm": 0, "sglang": -1}[dialect]
    said |= {"top_k": sampling.top_k or whole, "min_p": 0.0, "repetition_penalty": 1.0}
    said["skip_special_tokens"] = False  # some notations write boxes between special tokens
    return said | ({"ignore_eos": True} if sampling.ignore_eos else {})


def form(request: Request, forms: Forms) -> dict[str, Any]:
    """What holds an answer to a request's schema, or else its pattern; empty where nothing can."""
    if forms == "none" or not (request.schema or request.pattern):
        return {}
    if request.schema:
        schema = msgspec.Raw(request.schema.encode())
        if forms == "vllm":
            return {"structured_outputs": {"json": schema}}
        if forms == "guided":
            return {"guided_json": schema}
        named = {"name": "answer", "schema": schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    if forms == "vllm":
        return {"structured_outputs": {"regex": request.pattern}}
    name = {"guided": "guided_regex", "sglang": "regex"}.get(forms)
    return {name: request.pattern} if name else {}


def body(
    name: str, requests: Sequence[Request], told: msgspec.Raw, settings: Mapping[str, Any]
) -> bytes:
    """The body that asks for one answer, or for several of neighbours with rising seeds."""
    asked = {"model": name, "messages": told, "seed": requests[0].seed % SEEDS, **settings}
    if len(requests) > 1:
        asked["n"] = len(requests)
    return msgspec.json.encode(asked)


def follows(before: Request, after: Request) -> bool:
    """Whether `after` is what a server answers next, asked for several answers to `before`.

    vLLM draws answer i of a request with its seed + i: with other seeds it would not be the same.
    """
    return (
        after.prompt == before.prompt
        and after.seed == before.seed + 1
        and after.sampling == before.sampling
        and before.sampling.temperature > 0  # greedy, vLLM gives but one
        and (after.schema, after.pattern) == (before.schema, before.pattern)
    )


def reckoned(requests: Sequence[Request]) -> float:
    """Tokens that requests sent together may cost: what limits are counted by until it is known."""
    first = requests[0]
    words = (len(first.system) + len(first.user)) / 4
    prompt = words + PICTURE_TOKENS * len(first.pictures)
    return prompt + len(requests) * first.sampling.max_tokens


def read(data: bytes, count: int) -> Completion:
    """A server's answer, its `count` choices in order.

    Raises:
        ValueError: it is no such thing; says what is wrong.
    """
    try:
        found = msgspec.json.decode(data, type=Completion)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if len(found.choices) != count:
        raise ValueError(f"{len(found.choices)} choices where {count} were asked for")
    found.choices.sort(key=lambda choice: choice.index)
    return found


def spent(found: Completion) -> int:
    """Tokens that an answer cost, prompt and all; 0 where the server does not say."""
    return found.usage.prompt_tokens + found.usage.completion_tokens if found.usage else 0


def replies(
    requests: Sequence[Request], found: Completion, hide: Callable[[str], str]
) -> list[Reply]:
    """A reply for each request; `hide` takes out of a text what no file may hold."""
    usage = found.usage or _Usage()
    texts = [hide(_text(choice)) for choice in found.choices]
    shares = _shares(usage.completion_tokens, [len(text) for text in texts])
    return [
        _reply(request, choice, text, usage.prompt_tokens, tokens, hide)
        for request, choice, text, tokens in zip(
            requests, found.choices, texts, shares, strict=True
        )
    ]


def _reply(
    request: Request,
    choice: _Choice,
    text: str,
    prompt_tokens: int,
    tokens: int,
    hide: Callable[[str], str],
) -> Reply:
    ended = choice.finish_reason
    wrong: tuple[str, str] | None = None
    if choice.message.refusal:
        wrong = "refused by the server", hide(choice.message.refusal)
    elif ended == "content_filter":
        wrong = "refused by the server", ended
    elif ended in ("abort", "error"):
        wrong = "server error", f"finish_reason {ended}"
    elif ended not in ("stop", "length"):
        wrong = "malformed reply", f"finish_reason {hide(str(ended))}"
    return Reply(
        key=request.key,
        text="" if wrong else text,
        finish="failed" if wrong else "length" if ended == "length" else "stop",
        reason=wrong and wrong[0],
        value=wrong and wrong[1][:300],  # hidden before it is cut: half a key tells half of it
        prompt_tokens=prompt_tokens,
        tokens=tokens,
    )


def _text(choice: _Choice) -> str:
    """The answer with its reasoning, which some servers cut out of it, back in its place."""
    text = choice.message.content or ""
    reasoning = choice.message.reasoning or choice.message.reasoning_content
    if not reasoning or "<think>" in text:
        return text
    cut = choice.finish_reason == "length" and not text
    return f"<think>{reasoning}" if cut else f"<think>{reasoning}</think>{text}"


def _shares(total: int, lengths: Sequence[int]) -> list[int]:
    """`total` tokens over answers by their lengths: servers count those of a request together."""
    if len(lengths) == 1:
        return [total]
    whole, before, shares = sum(lengths) or len(lengths), 0, list[int]()
    reached = 0
    for length in lengths:
        reached += length if sum(lengths) else 1
        upto = total * reached // whole
        shares.append(upto - before)
        before = upto
    return shares
