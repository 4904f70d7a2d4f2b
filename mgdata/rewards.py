"""The judgement of a text as a reward, in the signatures that trainers call.

- `compute_score` for veRL, `easyr1_score` for EasyR1, `trl_reward` for TRL; each docstring says
  where the trainer calls it.
- What a text is judged by is the ground truth of the row, a JSON text (`teacher.truth`), in the
  notation named there.
- `teacher.terms.Terms` says what is rewarded; `PRESETS` has published formulas.

Deterministic, safe in threads, and never an error because of what a model wrote: such a text gets
0 and a reason. A ground truth or a setting that cannot be read is an error. Loads no trainer.

Trainers decode with `skip_special_tokens=True` unless told otherwise. In a notation whose box
tokens are special tokens of the model (`qwen2-vl`, `internvl`, `deepseek-vl2`) that leaves bare
numbers, which are refused; notations of JSON objects (`qwen2.5-vl`, `qwen3-vl`) lose nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import msgspec

from mgdata import registry
from mgdata.data import Image, Turn
from mgdata.errors import MgdataError
from mgdata.notations import settings_in
from mgdata.plugins import Notation
from mgdata.teacher import thought, truth
from mgdata.teacher.acceptance import ceilings_of, judged
from mgdata.teacher.terms import PRESETS, Settings, Terms, shares, terms_of

__all__ = [
    "PRESETS",
    "Parts",
    "Settings",
    "Terms",
    "compute_score",
    "easyr1_score",
    "grounding_reward",
    "judge",
    "trl_reward",
]

REWARD_NAME = "grounding"
"""What EasyR1 prints of this file (`verl/workers/reward/function.py`, `AutoRewardManager`)."""
REWARD_TYPE = "batch"
"""How EasyR1 is to call `easyr1_score`, likewise."""


class Parts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A reward and what it is made of."""

    score: float
    """The reward."""
    format: float = 0.0
    """The terms, unweighted; 0 for one that is left out."""
    image: float = 0.0
    box: float = 0.0
    text: float = 0.0
    iou: float = 0.0
    """Mean IoU over the targets."""
    acc: float = 0.0
    """1 where all is right: every target at `threshold`, no other box, the short answer."""
    reason: str = ""
    """Why it could not be read, `check: reason` as in `teacher.acceptance.REASONS`; else empty."""


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """A ground truth, ready to judge by."""

    turn: Turn
    images: tuple[Image, ...]
    notation: Notation
    form: truth.Form


def judge(text: object, ground_truth: object, settings: Settings = None) -> Parts:
    """The reward of one text with its parts: 15 to 30 microseconds, 100 at a truth's first.

    Args:
        text: What the model wrote: text, or a chat message's content, which may be None.
        ground_truth: The row's ground truth, as `teacher.truth.write` makes it: JSON text, or the
            object that was read from it.
        settings: What is rewarded.

    Raises:
        ValueError: the ground truth or the settings cannot be read; the text is never at fault.
    """
    terms = terms_of(settings)
    written = _written(ground_truth)
    case = _case(written)
    formed, answer, reason = _form(_text(text), case.form, terms)
    if answer is None:
        return _parts(terms, case.turn, format=formed, reason=reason)
    verdict = judged(
        answer,
        case.turn,
        case.images,
        case.notation,
        threshold=terms.threshold,
        capped=terms.capped,
    )
    if (score := verdict.score) is None:
        formed = 0.0 if terms.strict else formed
        reason = reason or f"answer: {verdict.reason}"
        return _parts(terms, case.turn, format=formed, reason=reason)
    ceilings = _ceilings(written) if terms.capped and score.pairs else None
    image, box = shares(score, terms, ceilings)
    return _parts(
        terms,
        case.turn,
        format=formed,
        image=image,
        box=box,
        text=score.partial,
        iou=score.iou,
        acc=float(score.full),
        reason=reason,
    )


def compute_score(
    data_source: object,
    solution_str: str | None,
    ground_truth: object,
    extra_info: object = None,
    *,
    settings: Settings = None,
    **others: object,
) -> dict[str, float | str]:
    """The reward as veRL asks for it: `score`, and beside it what it logs.

    `custom_reward_function.path` is this file or `pkg://mgdata.rewards`, its `reward_kwargs` may
    give `settings`. veRL calls it by keyword, in threads, for one text at a time
    (`verl/experimental/reward_loop/reward_manager/naive.py`, `NaiveRewardManager.run_single`;
    earlier `verl/workers/reward_manager/naive.py`), takes `score` for the reward, and makes a
    column of each key, so that all rows must have all of them; text is left out of its means
    (`verl/trainer/ppo/metric_utils.py`, `process_validation_metrics`).

    Args:
        data_source: Not looked at: the ground truth says what it is.
        solution_str: What the model wrote.
        ground_truth: `reward_model.ground_truth` of the row.
        extra_info: Not looked at.
        settings: What is rewarded.
        others: What veRL passes besides (`reward_router_address`); not looked at.

    Raises:
        TypeError: a field of `Terms` outside `settings`.
        ValueError: the ground truth or the settings cannot be read.
    """
    del data_source, extra_info
    if outside := sorted({*others} & {*Terms.__struct_fields__}):
        raise TypeError(f"{', '.join(outside)}: give it within settings, {{{outside[0]}: ..}}")
    return cast("dict[str, float | str]", msgspec.structs.asdict(judge(
        solution_str, ground_truth, settings)))  # fmt: skip


def easyr1_score(
    reward_inputs: Sequence[Mapping[str, Any]] | Mapping[str, Any], settings: Settings = None
) -> list[dict[str, float]] | dict[str, float]:
    """The reward as EasyR1 asks for it: `overall`, `format`, `accuracy`, and the other parts.

    `worker.reward.reward_function` is `<path of this file>:easyr1_score`, its
    `reward_function_kwargs` may give `settings`. EasyR1 calls it with a list of `{"response",
    "response_length", "ground_truth", ..}`, or with one of them where it rewards in sequence, and
    takes the mean of each key, so that all are numbers (`verl/workers/reward/function.py`,
    `BatchFunctionRewardManager` and `SequentialFunctionRewardManager`).

    Args:
        reward_inputs: `response` is what the model wrote, `ground_truth` the row's answer.
        settings: What is rewarded.

    Raises:
        ValueError: a ground truth or the settings cannot be read.
    """
    if isinstance(reward_inputs, Mapping):
        return _easyr1(reward_inputs, settings)
    return [_easyr1(one, settings) for one in reward_inputs]


def trl_reward(
    settings: Settings = None,
    *,
    part: str = "score",
    column: str = "ground_truth",
) -> Callable[..., list[float | None]]:
    """A reward function for TRL's `reward_funcs`: one number for each completion.

    TRL calls it by keyword with `prompts`, `completions`, `completion_ids`, each column of the
    dataset as a list of the same length, and `trainer_state`, which is none (`trl/trainer/
    grpo_trainer.py`, `GRPOTrainer._calculate_rewards`). A completion is text, or messages where
    the prompt is a conversation; the last message is judged. A row without a ground truth has the
    reward None, which TRL leaves out of its sums: other reward functions are for it.

    Args:
        settings: What is rewarded.
        part: A field of `Parts`: `score`, or one term, where TRL is to weight and log them.
        column: The dataset's column with the ground truth.

    Raises:
        ValueError: the settings cannot be read, or there is no such part.
    """
    terms = terms_of(settings)
    if part == "reason" or part not in Parts.__struct_fields__:
        known = ", ".join(name for name in Parts.__struct_fields__ if name != "reason")
        raise ValueError(f"there is no part {part!r}; there are {known}")

    def reward(completions: Sequence[object], **columns: Any) -> list[float | None]:
        if column not in columns:
            raise ValueError(f"the dataset has no column {column!r}: name it as column=")
        pairs = zip(completions, columns[column], strict=True)
        return [
            None if gold is None else cast("float", getattr(judge(_last(said), gold, terms), part))
            for said, gold in pairs
        ]

    # TRL logs a function under its name.
    reward.__name__ = reward.__qualname__ = f"grounding_{part}"
    return reward


def grounding_reward(completions: Sequence[object], **columns: Any) -> list[float | None]:
    """`trl_reward` with the default terms, for a column `ground_truth`."""
    return _DEFAULT_REWARD(completions, **columns)


_DEFAULT_REWARD = trl_reward()


def _easyr1(one: Mapping[str, Any], settings: Settings) -> dict[str, float]:
    found = judge(one["response"], one["ground_truth"], settings)
    return {
        "overall": found.score,
        "format": found.format,
        "accuracy": found.acc,
        "image": found.image,
        "box": found.box,
        "text": found.text,
        "iou": found.iou,
    }


def _parts(
    terms: Terms,
    turn: Turn,
    *,
    format: float,
    image: float = 0.0,
    box: float = 0.0,
    text: float = 0.0,
    iou: float = 0.0,
    acc: float = 0.0,
    reason: str = "",
) -> Parts:
    boxed, worded = turn.kind == "boxes" or bool(turn.targets), turn.kind != "boxes"
    image, box, iou = (image, box, iou) if boxed else (0.0, 0.0, 0.0)
    text = text if worded else 0.0
    # Both sums run in the same order, so that all right is 1 and not a little beside it.
    of_boxes, of_text = float(boxed), float(worded)
    total = terms.format * format + terms.image * image + terms.box * box + terms.text * text
    if terms.total == "mean":
        weights = (
            terms.format + terms.image * of_boxes + terms.box * of_boxes + terms.text * of_text
        )
        # A turn that has none of the terms there is a weight for has no reward.
        total = total / weights if weights else 0.0
    return Parts(
        score=total,
        format=format,
        image=image,
        box=box,
        text=text,
        iou=iou,
        acc=acc,
        reason=reason,
    )


def _form(text: str, form: truth.Form, terms: Terms) -> tuple[float, str | None, str]:
    """Share of the form that is right, the answer if it can be told, and else the reason."""
    for end in terms.ends:
        text = text.rstrip().removesuffix(end)
    if terms.opened and form == "reason" and not text.lstrip().startswith("<think>"):
        text = f"<think>{text}"
    try:
        return 1.0, thought.read(text, form).answer, ""
    except thought.FormatError as error:
        if terms.strict or form == "direct":
            return 0.0, None, f"format: {error.reason}"
        pairs = [_between(text, tag) for tag in ("think", "answer")]
        return sum(pair is not None for pair in pairs) / 2, pairs[1], f"format: {error.reason}"


def _between(text: str, tag: str) -> str | None:
    """What stands between a pair of tags that is there once and in order."""
    first, last = f"<{tag}>", f"</{tag}>"
    if text.count(first) != 1 or text.count(last) != 1 or text.index(last) < text.index(first):
        return None
    return text[text.index(first) + len(first) : text.index(last)]


def _text(said: object) -> str:
    """The text of a message's content: text, None, or a list of parts of which some are text."""
    if isinstance(said, str):
        return str(said)  # a string of numpy's is one, and no parser takes it
    if isinstance(said, bytes):
        return said.decode("utf-8", "replace")
    if isinstance(said, Mapping):
        return _text(cast("Mapping[str, object]", said).get("text"))
    if isinstance(said, Sequence):
        return "".join(_text(part) for part in cast("Sequence[object]", said))
    return ""


def _last(completion: object) -> object:
    """The content of a conversation's last message; anything else as it is."""
    if isinstance(completion, str) or not isinstance(completion, Sequence) or not completion:
        return completion
    message = cast("Sequence[object]", completion)[-1]
    if isinstance(message, Mapping):
        return cast("Mapping[str, object]", message).get("content")
    return message


def _written(ground_truth: object) -> str:
    if isinstance(ground_truth, str):
        return str(ground_truth)  # a string of numpy's is one, and no parser takes it
    if isinstance(ground_truth, bytes):
        return ground_truth.decode("utf-8", "replace")
    if isinstance(ground_truth, Mapping):
        return msgspec.json.encode(dict(cast("Mapping[str, Any]", ground_truth))).decode()
    if callable(item := getattr(ground_truth, "item", None)):
        return _written(item())  # an array of one object
    raise ValueError(f"the ground truth is JSON text, found {type(ground_truth).__name__}")


@lru_cache(maxsize=1 << 14)
def _case(ground_truth: str) -> _Case:
    found = truth.read(ground_truth)
    try:
        notation = _notation(found.notation, found.written)
        turn = found.turn()
    except (MgdataError, ValueError) as error:
        raise ValueError(f"the ground truth {ground_truth[:60]!r} is none: {error}") from error
    return _Case(turn=turn, images=found.images(), notation=notation, form=found.form)


@lru_cache(maxsize=64)
def _notation(name: str, written: str) -> Notation:
    # Checking settings takes half a millisecond, and a data set has one notation.
    return registry.make("notations", name, settings_in(written), "ground truth")


@lru_cache(maxsize=1 << 14)
def _ceilings(ground_truth: str) -> tuple[float, ...]:
    case = _case(ground_truth)
    return ceilings_of(case.notation, case.turn, tuple((i.width, i.height) for i in case.images))
