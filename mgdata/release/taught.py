"""The text of a lesson: a conversation whose last turn is as its teacher's part asks for.

The one place that says how: the release writes by it and the check reads by it. Knows no notation;
the conversation comes in one already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from mgdata.notations import IMAGE_TOKEN
from mgdata.teacher import thought

OPEN = "rl"
"""The configuration whose last questions are left unanswered."""


def messages(
    told: Sequence[Mapping[str, str]],
    *,
    form: Literal["direct", "reason"],
    open: bool,
    instruction: str,
    reasoning: str,
) -> list[dict[str, str]]:
    """The messages of a lesson, from those of its sample.

    The last question ends with the instruction on a line of its own, where there is one. The last
    answer is left out where it is `open`, is `<think>reasoning</think><answer>gold</answer>` where
    the form is `reason`, and stays bare where it is `direct`.

    Args:
        told: What `notations.conversation` makes of the sample's turns; at least one.
        form: As `Lesson.form`.
        open: As `Lesson.open`.
        instruction: As `Lesson.instruction`.
        reasoning: As `Lesson.reasoning`.

    Raises:
        ValueError: a reasoning that cannot stand there, or none where one must.
    """
    *before, question, answer = map(dict, told)
    if instruction:
        question["content"] = f"{question['content']}\n{instruction}"
    if open:
        return [*before, question]
    if form == "reason":
        if fault := unfit(reasoning):
            raise ValueError(fault)
        answer["content"] = f"<think>{reasoning}</think><answer>{answer['content']}</answer>"
    return [*before, question, answer]


def unfit(reasoning: str) -> str | None:
    """Why a text cannot stand between think tags; None: it can."""
    if IMAGE_TOKEN in reasoning:
        return f"the reasoning holds {IMAGE_TOKEN}, which trainers replace by an image"
    try:
        read = thought.read(f"<think>{reasoning}</think><answer>.</answer>", "reason")
    except thought.FormatError as error:
        return f"the reasoning cannot be read back: {error}"
    return None if read.reasoning == reasoning else "there is white space round the reasoning"
