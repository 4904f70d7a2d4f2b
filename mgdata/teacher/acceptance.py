"""Whether an answer of a teacher is good enough to learn from, and if not, the one reason why.

A pure function of the answer, its sample, the notation and the settings: the same text gets the
same verdict whatever backend it comes from, and other settings judge it anew without asking. Knows
no journal and no release.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Annotated, cast

import msgspec

from mgdata import judgement
from mgdata.data import Answer, Image, Sample, Trace, Turn
from mgdata.judgement import Verdict
from mgdata.notations.ceilings import ceiling
from mgdata.plugins import Notation
from mgdata.scoring.matching import Score, hits
from mgdata.teacher import consistency, language, leaks, thought
from mgdata.teacher.prose import Prose
from mgdata.teacher.thought import Finding, FormatError, Kind, Thought

FAILURES = (
    "timeout",
    "server error",
    "refused by the server",
    "rate limit",
    "malformed reply",
    "cut stream",
    "prompt too long",
    "too many images",
    "image refused",
    "no such model",
)
"""What backends call a failure; whatever else one says is `reply: failed`."""

WRONG = ("no box", "box where none is", "image", "box", "short answer")
"""What can be wrong in an answer that can be read: it names no box, or one where there is nothing;
not the right images; boxes that miss; other words than the gold ones."""

GAIN = ("no direct answer", "too little")
"""Why a reasoning is not worth it: nothing to compare it with, or hardly better than without."""

_ALL = {
    "reply": (*FAILURES, "failed", "cut"),
    "format": thought.REASONS,
    "answer": judgement.REASONS,
    "wrong": WRONG,
    "language": language.REASONS,
    "leak": leaks.REASONS,
    "inconsistent": consistency.REASONS,
    "gain": GAIN,
}
REASONS = tuple(f"{check}: {reason}" for check, reasons in _ALL.items() for reason in reasons)
"""Every reason for which a trace is rejected, `check: what it found`, in the order of the checks.
They come cheapest first, and the first that objects gives the reason: whether there is a whole
reply; whether it is in the format of its kind; whether its answer can be read in the notation; how
right it is; then, of kinds that reason, the language of the reasoning, whether it betrays the
answer, whether it agrees with it, and whether it was of any use."""

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Number = Annotated[int, msgspec.Meta(ge=0)]


class Gain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much better a reasoned answer must be than a direct one of the same model, in mean IoU.

    MG-Thinker's rule (arXiv 2609.37374, data curation): where the direct answer is right, `right`
    more; where it is wrong, the reasoned one is right or `wrong` more. As the paper has it, set
    `iou` and `f1` of `Acceptance` to 0 beside it: it keeps some answers that are better, not right.
    """

    right: _Share = 0.10
    """Least increase where the direct answer is right already."""
    wrong: _Share = 0.20
    """Least increase where it is wrong, and the reasoned one as well."""
    threshold: _Share = 0.5
    """Least mean IoU of an answer that is right."""

    def enough(self, direct: float, reasoned: float) -> bool:
        """Whether a mean IoU of `reasoned` after one of `direct` is enough."""
        # 0.75 - 0.65 is a little under 0.1 in floating point.
        more = reasoned - direct + 1e-9
        if direct >= self.threshold:
            return more >= self.right
        return reasoned >= self.threshold or more >= self.wrong


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a recipe asks of a teacher's answers, and how many it asks for."""

    iou: _Share = 0.5
    """Least IoU of a box that counts; a box in another image than its target never does."""
    f1: _Share = 1.0
    """Least F1 of the boxes that count, over all targets and boxes of the answer."""
    images: bool = True
    """Every image must be named as often as it has targets, and no other."""
    capped: bool = True
    """Ask of no box more than the right answer itself gets once the notation has rounded it."""
    text: _Share = 1.0
    """Least share of a short answer that is right: 1, or less for words and orders."""
    language: language.Bounds | None = language.DEFAULT
    """How long a reasoning may be, in which script and how repetitive; None: not looked at."""
    leaks: bool = True
    """Reject a reasoning that betrays a given answer or begins with its conclusion."""
    consistency: bool = True
    """Reject a reasoning that names what is not there or concludes other than its answer."""
    agree: _Share = 0.5
    """Least IoU at which a box in a reasoning is taken for one of the answer's."""
    gain: Gain | None = None
    """What a reasoning must add to a direct answer; None: nothing."""
    first: Annotated[int, msgspec.Meta(ge=1)] = 2
    """Answers asked for in the first round."""
    enough: _Number = 1
    """Accepted answers after which no more are asked for; 0: ask for `most` at once."""
    most: Annotated[int, msgspec.Meta(ge=1)] = 8
    """Answers asked for in all."""

    def wanted(self, round: int, accepted: int, asked: int) -> int:
        """How many more answers to ask for to one turn: a function of earlier rounds alone.

        The first round asks for `first`. A later one asks for as many as the share that was
        accepted until now makes likely to be enough, and never for more than doubles them all.

        Args:
            round: Rounds that are over.
            accepted: Answers of theirs that were accepted.
            asked: Answers that they asked for.
        """
        left = max(self.most - asked, 0)
        if not self.enough:
            return left
        if round == 0:
            return min(self.first, left)
        if accepted >= self.enough:
            return 0
        missing = self.enough - accepted
        likely = -(-missing * asked // accepted) if accepted else asked
        return min(max(likely, missing), max(asked, 1), left)


DEFAULT = Acceptance()
"""Every box at IoU 0.5 or its ceiling, every image, and a clean reasoning."""


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as far as it can be read."""

    answer: Answer
    turn: Turn
    images: Sequence[Image]
    notation: Notation
    thought: Thought | None = None
    prose: Prose | None = None
    unformed: FormatError | None = None
    verdict: Verdict | None = None


def accept(
    answer: Answer,
    sample: Sample,
    notation: Notation,
    settings: Acceptance = DEFAULT,
    *,
    direct: float | None = None,
) -> Trace:
    """Judge one answer. Its scores are there whatever the verdict, 0 where it cannot be read.

    Scores: `format` (it could be read), `image`, `iou`, `least_iou` (of the worst target),
    `precision`, `recall`, `f1`, `soft_f1`, `text`, `partial`, `predicted` and `targets` (numbers of
    boxes), `words` of the reasoning, and `direct` where that was given. The reason is the first of
    `REASONS`, its value a quote or a figure.

    Args:
        answer: Of kind `direct`, `reason`, `rationalise` or `trajectory`.
        sample: What was asked about.
        notation: The notation that the prompt asked for.
        settings: The thresholds.
        direct: Mean IoU of a direct answer to the same turn (`direct_iou`), for `gain`.

    Raises:
        ValueError: an answer of another kind, to another sample, or to a turn it has not.
    """
    if answer.sample != sample.id or not 0 <= answer.turn < len(sample.turns):
        raise ValueError(
            f"an answer to turn {answer.turn} of {answer.sample} cannot be judged by sample "
            f"{sample.id} of {len(sample.turns)} turns"
        )
    read = _read(answer, sample, notation, settings)
    score = read.verdict.score if read.verdict else None
    found = next(_objections(read, score, settings, direct), None)
    return Trace(
        answer=answer,
        accepted=found is None,
        reason=found.reason if found else None,
        value=found.quote if found else None,
        reasoning=read.thought.reasoning if read.thought else "",
        targets=read.verdict.targets if read.verdict else (),
        scores=_scores(read, score, direct),
    )


def judged(
    text: str,
    turn: Turn,
    images: Sequence[Image],
    notation: Notation,
    *,
    threshold: float = 0.5,
    capped: bool = True,
) -> Verdict:
    """`judgement.judge` of any text at all, with ceilings where they can make a difference.

    A number too large to be a float makes a text malformed, like one with too many digits.
    """
    try:
        verdict = judgement.judge(text, turn, images, notation, threshold=threshold)
        score = verdict.score
        # To find a ceiling takes fifty times as long as to judge: only a miss can need it.
        if not (capped and score and score.pairs) or min(v for *_, v in score.pairs) >= threshold:
            return verdict
        ceilings = ceilings_of(notation, turn, tuple((i.width, i.height) for i in images))
        if len(hits(score.pairs, threshold, ceilings)) == len(hits(score.pairs, threshold)):
            return verdict
        return judgement.judge(text, turn, images, notation, threshold=threshold, ceilings=ceilings)
    except ArithmeticError as error:
        return Verdict(reason="malformed", detail=str(error))


@lru_cache(maxsize=1 << 12)
def ceilings_of(
    notation: Notation, turn: Turn, sizes: tuple[tuple[int, int], ...]
) -> tuple[float, ...]:
    """The IoU that the right answer gets for each target once written in `notation`.

    Remembered, because a turn is answered more than once. 0, which lowers no threshold, where the
    notation cannot write the turn at all.

    Args:
        notation: A frozen plug-in.
        turn: What was asked.
        sizes: Width and height of each image, pixels.
    """
    images = [Image(uri="", width=width, height=height) for width, height in sizes]
    try:
        return tuple(ceiling(notation, turn, images))
    except ValueError:
        return (0.0,) * len(turn.targets)


def direct_iou(traces: Iterable[Trace]) -> float | None:
    """Mean IoU of the direct answer that reasoned ones are compared with; None: there is none.

    Of several direct answers it is the first by number whose reply did not fail. One that cannot
    be read has 0.
    """
    direct = [
        trace
        for trace in traces
        if trace.answer.kind == "direct" and trace.answer.reply.finish != "failed"
    ]
    first = min(direct, key=lambda trace: trace.answer.number, default=None)
    return first.scores["iou"] if first else None


def _read(answer: Answer, sample: Sample, notation: Notation, settings: Acceptance) -> _Read:
    turn, images = sample.turns[answer.turn], sample.images
    parts = prose = verdict = unformed = None
    if answer.reply.finish != "failed":
        try:
            parts = thought.read(answer.reply.text, cast("Kind", answer.kind))
        except FormatError as error:
            unformed = error
    if parts:
        prose = Prose(parts.reasoning) if parts.reasoning else None
        verdict = judged(
            parts.answer, turn, images, notation, threshold=settings.iou, capped=settings.capped
        )
    return _Read(
        answer=answer, turn=turn, images=images, notation=notation,
        thought=parts, prose=prose, unformed=unformed, verdict=verdict,
    )  # fmt: skip


def _objections(
    read: _Read, score: Score | None, settings: Acceptance, direct: float | None
) -> Iterator[Finding]:
    yield from _reply(read.answer)
    if read.unformed:
        yield _finding("format", read.unformed.reason, read.unformed.detail)
    if read.verdict is None:
        return
    if score is None:
        yield _finding("answer", read.verdict.reason or "malformed", read.verdict.detail or "")
        return
    yield from _wrong(score, settings)
    if read.answer.kind != "direct":
        yield from _reasoning(read, settings)
        yield from _gained(score, settings, direct)


def _finding(check: str, reason: str, quote: str) -> Finding:
    return Finding(reason=f"{check}: {reason}", quote=quote)


def _reply(answer: Answer) -> Iterator[Finding]:
    reply = answer.reply
    if reply.finish == "failed":
        said = [reply.value] if reply.reason in FAILURES else [reply.reason, reply.value]
        reason = reply.reason if reply.reason in FAILURES else "failed"
        yield _finding("reply", reason or "failed", ": ".join(part for part in said if part))
    elif reply.finish == "length":
        # Not how many tokens the backend counted, which another may count otherwise.
        yield _finding("reply", "cut", f"after at most {answer.sampling.max_tokens} tokens")


def _wrong(score: Score, settings: Acceptance) -> Iterator[Finding]:
    if score.full:
        return
    numbers = f"{score.predicted} boxes for {score.targets} targets"
    if score.targets and not score.predicted and (settings.images or settings.f1):
        yield _finding("wrong", "no box", numbers)
    if score.predicted and not score.targets and (settings.images or settings.f1):
        yield _finding("wrong", "box where none is", numbers)
    if settings.images and score.image < 1:
        yield _finding("wrong", "image", f"F1 of the images {score.image:.3f}")
    if score.f1 < settings.f1:
        told = f"F1 {score.f1:.3f} at IoU {settings.iou:g}, least IoU {_least(score):.3f}"
        yield _finding("wrong", "box", f"{told}, {numbers}")
    if score.text < 1 and not (settings.text < 1 and score.partial >= settings.text):
        yield _finding("wrong", "short answer", f"share that is right {score.partial:.3f}")


def _least(score: Score) -> float:
    """The IoU of the worst target; 0 where no box was matched to it."""
    if not score.targets:
        return score.iou
    found = [value for _, _, value in score.pairs]
    return min(found) if len(found) == score.targets else 0.0


def _reasoning(read: _Read, settings: Acceptance) -> Iterator[Finding]:
    prose, parts, verdict = read.prose, read.thought, read.verdict
    turn, images, notation = read.turn, read.images, read.notation
    kind = cast("Kind", read.answer.kind)
    if not (prose and parts and verdict):
        return
    if settings.language and (found := language.check(prose, settings.language)):
        yield _finding("language", found.reason, found.quote)
    if settings.leaks and (
        found := leaks.check(prose, kind=kind, turn=turn, images=images, notation=notation)
    ):
        yield _finding("leak", found.reason, found.quote)
    if settings.consistency:
        found = consistency.check(
            prose,
            answer=parts.answer,
            targets=verdict.targets,
            turn=turn,
            images=images,
            notation=notation,
            agree=settings.agree,
        )
        if found:
            yield _finding("inconsistent", found.reason, found.quote)


def _gained(score: Score, settings: Acceptance, direct: float | None) -> Iterator[Finding]:
    if settings.gain is None:
        return
    if direct is None or math.isnan(direct):
        yield _finding("gain", "no direct answer", "")
    elif not settings.gain.enough(direct, score.iou):
        yield _finding("gain", "too little", f"IoU {score.iou:.3f} after {direct:.3f} directly")


def _scores(read: _Read, score: Score | None, direct: float | None) -> dict[str, float]:
    words = float(len(read.prose.words)) if read.prose else 0.0
    scores = {
        "format": float(score is not None),
        "image": score.image if score else 0.0,
        "iou": score.iou if score else 0.0,
        "least_iou": _least(score) if score else 0.0,
        "precision": score.precision if score else 0.0,
        "recall": score.recall if score else 0.0,
        "f1": score.f1 if score else 0.0,
        "soft_f1": score.soft_f1 if score else 0.0,
        "text": score.text if score else 0.0,
        "partial": score.partial if score else 0.0,
        "predicted": float(score.predicted) if score else 0.0,
        "targets": float(len(read.turn.targets)),
        "words": words,
    }
    return scores if direct is None else scores | {"direct": direct}
