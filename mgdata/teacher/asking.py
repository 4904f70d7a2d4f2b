"""From a prompt to requests: what makes an answer the same answer, and the seed of each.

A seed hangs on what is asked and which of several answers it is, never on when or where it is
asked. The key holds all that shapes an answer, so that a journal serves it again whatever else
changed. Knows no backend and reads no picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from mgdata.data import PromptKind, Request, Sample, Sampling
from mgdata.identity import digest
from mgdata.plugins import Backend
from mgdata.teacher.forms import Form
from mgdata.teacher.prompts import Prompt

_SEEDS = 1 << 31
"""Servers take a seed as a signed number of 32 bits."""
_FREE = Form()
_PLAIN = Sampling()


def requests(
    prompt: Prompt,
    pictures: Sequence[str],
    n: int,
    *,
    model: str,
    sampling: Sampling,
    seed: int,
    sample: Sample | None = None,
    turn: int = 0,
    about: str | None = None,
    first: int = 0,
    form: Form = _FREE,
) -> list[Request]:
    """Requests for `n` answers to a prompt, alike but for seed and key.

    Args:
        prompt: What is asked.
        pictures: SHA-256 of the encoded bytes of each picture, in the order of its slots.
        n: How many answers.
        model: Name and revision, as the backend gives it.
        sampling: How answers are drawn.
        seed: The recipe's.
        sample: What is asked about; travels with the request for a backend that is no model.
        turn: Position of the turn.
        about: What seeds hang on in place of sample and turn, as the digest of what is asked:
            then whoever asks it gets the same answers.
        first: Number of the first answer; the answers of a later round go on from the last one.
        form: What each answer is held to.

    Raises:
        ValueError: as many picture slots as pictures are needed, or neither sample nor `about`.
    """
    slots = prompt.user.count("<image>")
    if slots != len(pictures):
        raise ValueError(f"the prompt has {slots} picture slots, and {len(pictures)} pictures")
    if about is None and sample is None:
        raise ValueError("a request needs a sample, or `about` to hang its seed on")
    subject, place = (about, 0) if about is not None or sample is None else (sample.id, turn)
    asked = prompt_digest(prompt, pictures)
    alike = Request(
        key="", prompt=asked, system=prompt.system, user=prompt.user, pictures=tuple(pictures),
        sampling=sampling, seed=0, schema=form.schema, pattern=form.pattern, sample=sample,
        turn=turn, kind=prompt.kind,
    )  # fmt: skip
    seeds = [
        answer_seed(seed, str(subject), place, prompt.kind, number)
        for number in range(first, first + n)
    ]
    keys = [key(asked, model, sampling, own, form.schema, form.pattern) for own in seeds]
    pairs = zip(keys, seeds, strict=True)
    return [msgspec.structs.replace(alike, key=name, seed=own) for name, own in pairs]


def prompt_digest(prompt: Prompt, pictures: Sequence[str]) -> str:
    """Digest of what the model is shown: the rendered prompt and the contents of the pictures."""
    return digest("prompt", prompt.system, prompt.user, *pictures)


def answer_seed(seed: int, subject: str, turn: int, kind: PromptKind, number: int) -> int:
    """Seed of one answer, 0 to 2^31 - 1; a further answer changes none of the others'."""
    found = digest("answer", str(seed), subject, str(turn), kind, str(number))
    return int(found[:8], 16) % _SEEDS


def key(
    prompt: str,
    model: str,
    sampling: Sampling,
    seed: int,
    schema: str | None = None,
    pattern: str | None = None,
) -> str:
    """Digest of all that shapes an answer; equal keys, one answer.

    Args:
        prompt: `prompt_digest`.
        model: Name and revision.
        sampling: How it is drawn.
        seed: Of this answer.
        schema: JSON Schema that it is held to.
        pattern: Regular expression that it is held to.
    """
    held = ("", "") if schema is None else ("schema", schema)
    bound = ("", "") if pattern is None else ("pattern", pattern)
    return digest("answer key", prompt, model, _encoded(sampling), str(seed), *held, *bound)


@lru_cache(256)
def _encoded(sampling: Sampling) -> bytes:
    # Without its defaults, so that a setting yet to come leaves the keys of old answers alone.
    # By value: msgspec leaves out what *is* a default, and a number that went through a pickle is
    # another object.
    given = {
        name: value
        for name, value in msgspec.structs.asdict(sampling).items()
        if value != getattr(_PLAIN, name)
    }
    return msgspec.json.encode(given)


def model_of(backend_name: str, backend: Backend) -> str:
    """A model as keys and answers name it: `vllm:Qwen/Qwen2.5-VL-7B@main`."""
    return f"{backend_name}:{backend.model}"
