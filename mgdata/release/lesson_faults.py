"""What can be wrong with a lesson beyond what can be with any row. Pure functions over one row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mgdata.data import Image, Turn
from mgdata.release import taught
from mgdata.release.rows import LessonRow
from mgdata.teacher import truth

Found = tuple[str, str]
"""Kind and what was found."""

_FORMS = {"cot": "reason", "direct": "direct"}
"""The form that all lessons of a configuration have, where they all have one."""
_ROUNDING = 1e-6


def fields(row: LessonRow, config: str) -> Iterator[Found]:
    """What is wrong with what is said of the teacher, in a file of `config`."""
    if not row.source.strip():
        yield "empty field", "source is empty"
    if row.form != _FORMS.get(config, row.form):
        yield "form", f"form is {row.form!r} in the configuration {config}"
    if fault := _pass_rate_fault(row):
        yield "pass rate", fault
    if row.iou is not None and not 0 <= row.iou <= 1:
        yield "teacher", f"iou is {row.iou}"
    told = {name: bool(getattr(row, name).strip()) for name in ("kind", "model", "words")}
    if len(set(told.values())) > 1:
        empty = ", ".join(name for name, there in told.items() if not there)
        yield "teacher", f"{empty} is empty, and not all of {', '.join(told)}"
    if row.reasoning and not any(told.values()):
        yield "teacher", "there is a reasoning, and nobody whose it is"


def _pass_rate_fault(row: LessonRow) -> str | None:
    rate, answers = row.pass_rate, row.answers
    if rate is None:
        return None if answers == 0 else f"{answers} answers, and no pass_rate"
    if not 0 <= rate <= 1 or answers <= 0:
        return f"pass_rate is {rate} of {answers} answers"
    if abs(rate * answers - round(rate * answers)) > _ROUNDING:
        return f"pass_rate {rate} is no share of {answers} answers"
    return None


def reasoning_faults(row: LessonRow, config: str) -> Iterator[Found]:
    """What is wrong with the reasoning, so that no text can be made of it."""
    written = row.form == "reason" and config != taught.OPEN
    if written and (fault := taught.unfit(row.reasoning)):
        yield "reasoning", fault
    if row.reasoning and not written:
        what = "a reasoning, but its last answer"
        yield "reasoning", f"{what} {'is left open' if config == taught.OPEN else 'is bare'}"


def truth_faults(
    row: LessonRow, frame: str, turn: Turn, images: Sequence[Image]
) -> Iterator[Found]:
    """What is wrong with the ground truth of a row whose notation has this `frame`."""
    try:
        found = truth.read(row.ground_truth)
    except ValueError as error:
        yield "ground truth", str(error)
        return
    wanted = truth.read(
        truth.write(turn, images, notation=row.notation, written=frame, form=row.form)
    )
    wrong = [name for name in truth.Truth.__struct_fields__
             if getattr(found, name) != getattr(wanted, name)]  # fmt: skip
    if wrong:
        name = wrong[0]
        says, asks = (str(getattr(one, name))[:60] for one in (found, wanted))
        yield "ground truth", f"{', '.join(wrong)}: {says}, the last turn gives {asks}"


def expected(
    row: LessonRow, config: str, told: Sequence[Mapping[str, str]]
) -> list[dict[str, str]]:
    """The messages of a lesson whose turns are `told`; raises as `taught.messages`."""
    return taught.messages(
        told,
        form=row.form,
        open=config == taught.OPEN,
        instruction=row.instruction,
        reasoning=row.reasoning,
    )
