"""The card's part about the teacher: who answered, what became of the answers, how to train on it.

Made from the recipe and from entries; reads no answer. Says plainly where no model answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from mgdata.data import Sampling
from mgdata.identity import digest
from mgdata.manifest import Entry
from mgdata.recipe import Loaded
from mgdata.release import statistics
from mgdata.release.markdown import cell, table
from mgdata.teacher.acceptance import FAILURES, REASONS, Acceptance
from mgdata.teacher.section import Cot, Rl, Write
from mgdata.teacher.texts import texts
from mgdata.teachers import Teacher

ACCEPTED = "accepted"
_NO_REPLY = frozenset(f"reply: {reason}" for reason in (*FAILURES, "failed"))
"""Reasons of answers that never came; one that was cut did come."""

WARNING = (
    "> **No model answered.** The teacher of this release is a program: it writes answers and "
    "reasonings from the annotation, with faults that its settings ask for, and looks at no "
    "picture. It is there to try a recipe out. **Do not train on these rows.**"
)
"""Stands on top of a card, and over what it says of the teacher, where that is so."""


def warning(loaded: Loaded) -> list[str]:
    """The lines on top of a card whose teacher is no model; else none."""
    return [WARNING, ""] if loaded.teacher and loaded.teacher.backend.simulated else []


def section(loaded: Loaded, entries: Sequence[Entry], teaching: Sequence[Entry]) -> str:
    """What the card says of a teacher; empty where the recipe has none.

    Args:
        loaded: The recipe.
        entries: Of the release stage, labelled `config=` and `split=`.
        teaching: Of the stages `answer` and `judge`.
    """
    if loaded.teacher is None:
        return ""
    teacher, of = loaded.teacher, statistics.traces(teaching)
    parts = [
        "## The teacher",
        *warning(loaded)[:1],
        _who(teacher, teaching),
        _drawing(teacher),
        "### What became of its answers",
        *_became(of),
        *_rates_and_lengths(entries),
        "### What the configurations hold",
        *_configurations(teacher, entries),
        _honesty(teacher),
    ]
    return "\n\n".join(part for part in parts if part)


def _who(teacher: Teacher, teaching: Sequence[Entry]) -> str:
    words = texts()
    asked = statistics.total(teaching, "requests")
    read, written = (statistics.total(teaching, name) for name in ("prompt tokens", "tokens"))
    kinds = statistics.histogram(teaching, "kind")
    rows = [
        ("model and revision", f"`{_code(public(teacher.model))}`"),
        ("reached through", f"the backend `{_code(teacher.section.backend)}`"),
        ("boxes in its answers", f"`{_code(teacher.notation_name)}`"),
        ("prompts", ", ".join(f"`{_code(kind)}` ({n:,})" for kind, n in kinds.items()) or "none"),
        ("words of the prompts", f"version {words.version}, digest `{_digest()}`"),
        ("asked", f"{asked:,} requests; {read:,} tokens read, {written:,} written"),
    ]
    return (
        f"{table(('', ''), rows)}\n\n"
        "The column `model` says of each row who answered and `words` is the digest of those "
        "words that its prompt used."
    )


def _digest() -> str:
    """Of all words that prompts are made from."""
    return digest(msgspec.json.encode(texts(), order="sorted"))[:16]


def _drawing(teacher: Teacher) -> str:
    made = teacher.section
    rows: list[tuple[str, ...]] = []
    if cot := made.cot:
        kinds = f"{cot.prompt}, direct" if cot.accept.gain else cot.prompt
        first = f"{cot.accept.first} to {cot.accept.most}"
        rows.append(("`cot`", kinds, *_drawn(cot.sampling), first))
    if rl := made.rl:
        rows.append(("`rl`", rl.prompt, *_drawn(rl.sampling), f"{rl.answers}"))
    if write := made.write:
        steps = ("caption", "refine", "write", "verify")
        used = (write.captions, write.refine, True, write.verify)
        kinds = ", ".join(step for step, there in zip(steps, used, strict=True) if there)
        rows.append(("written questions", kinds, *_drawn(write.sampling), f"{write.questions}"))
    head = ("for", "prompt", ">temperature", ">top p", ">top k", ">most tokens", ">answers each")
    return table(head, rows)


def _drawn(sampling: Sampling) -> tuple[str, str, str, str]:
    top = f"{sampling.top_k}" if sampling.top_k else "all"
    most = f"{sampling.max_tokens:,}"
    return f"{sampling.temperature:g}", f"{sampling.top_p:g}", top, most


def _became(of: Mapping[tuple[str, str, str], int]) -> list[str]:
    """The funnel of answers, by kind of prompt and by task."""
    if not of:
        return ["No answer was judged."]
    return [
        _by("prompt", of, lambda key: key[1]),
        _by("task", of, lambda key: key[0]),
        "*Failed* is a request that got no answer, *rejected* an answer that is not good enough "
        "for its use: of those for `rl` that is no loss, as they make the pass rate. The first "
        "check that objects gives the reason, in the order of this table. Answers that were "
        "rejected are kept with the run, and other thresholds judge them anew without asking.",
    ]


def _by(
    what: str, of: Mapping[tuple[str, str, str], int], group: Callable[[tuple[str, str, str]], str]
) -> str:
    """A column for each group, a row for each thing that can become of an answer."""
    groups = sorted({group(key) for key in of})
    counts = {
        outcome: [
            sum(n for key, n in of.items() if key[2] == outcome and group(key) == name)
            for name in groups
        ]
        for outcome in _ordered({outcome for *_, outcome in of})
    }
    asked = [sum(column) for column in zip(*counts.values(), strict=True)]
    accepted = counts.pop(ACCEPTED, [0] * len(groups))
    rows = [("**answers asked for**", *_numbers(asked))]
    rows += [
        (f"{_state(outcome)}: {cell(outcome.removeprefix('reply: '))}", *_numbers(found))
        for outcome, found in counts.items()
    ]
    shares = [f"{100 * n / (whole or 1):.1f} %" for n, whole in _pairs(accepted, asked)]
    rows += [("**accepted**", *_numbers(accepted)), ("share accepted", *shares)]
    return table((f"by {what}", *(f">{cell(name)}" for name in (*groups, "all"))), rows)


def _state(outcome: str) -> str:
    return "failed" if outcome in _NO_REPLY else "rejected"


def _ordered(outcomes: Iterable[str]) -> list[str]:
    """In the order of the checks, what no check is known for at the end."""
    place = {reason: i for i, reason in enumerate(REASONS)}
    return sorted(outcomes, key=lambda outcome: (place.get(outcome, len(place)), outcome))


def _numbers(counts: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"{n:,}" for n in (*counts, sum(counts)))


def _pairs(some: Sequence[int], whole: Sequence[int]) -> Iterable[tuple[int, int]]:
    return zip((*some, sum(some)), (*whole, sum(whole)), strict=True)


def _rates_and_lengths(entries: Sequence[Entry]) -> list[str]:
    """How often answers to `rl` were right, and how long published reasonings are."""
    rates = statistics.histogram(entries, "pass rate")
    words = statistics.histogram(entries, "words of reasoning")
    told: list[str] = []
    if rates:
        shown = {_tenth(float(name)): n for name, n in rates.items()}
        told += ["### Pass rates of `rl`", _bars("pass rate", shown)]
    if words:
        shown = {f"from {name}": n for name, n in words.items()}
        told += ["### Lengths of the reasonings", _bars("words", shown)]
    return told


def _bars(head: str, counts: Mapping[str, int]) -> str:
    most, shares = max(counts.values()), statistics.shares([*counts.values()])
    rows = [
        (name, f"{n:,}", share, "\u2588" * max(1, round(24 * n / most)))
        for (name, n), share in zip(counts.items(), shares, strict=True)
    ]
    return table((f">{head}", ">rows", ">share", ""), rows)


def _tenth(start: float) -> str:
    return "1" if start >= 1 else f"{start:.1f} to {start + 0.1:.1f}"


def _configurations(teacher: Teacher, entries: Sequence[Entry]) -> list[str]:
    made = teacher.section
    rows = {name: sum(e.rows for e in some) for name, some in statistics.by_config(entries).items()}
    told: list[str] = []
    if made.cot:
        told += _of_cot(made.cot, rows)
    if made.rl:
        told.append(_of_rl(made.rl, rows))
    if made.write:
        told.append(_of_writing(made.write))
    return told


def _of_cot(cot: Cot, rows: Mapping[str, int]) -> list[str]:
    reasoned, direct = rows.get("cot", 0), rows.get("direct", 0)
    met = f"{100 * reasoned / (reasoned + direct):.1f} %" if reasoned + direct else "none"
    wanted = f" of {cot.rows:,} asked for" if cot.rows else ""
    told = [
        f"**`cot`** ({reasoned:,} rows{wanted}): the last question ends with an instruction to "
        "reason, the last answer is `<think>..</think><answer>..</answer>`. The reasoning is the "
        f"teacher's, word for word, from prompts of kind `{cot.prompt}`; what stands in "
        "`<answer>` is the annotation in the release's notation, never the teacher's own boxes. "
        "Train on it by next-token loss, on the last answer alone where a conversation has "
        "several turns: the ones before it are there as context.",
    ]
    if cot.share < 1 or direct:
        told.append(
            f"**`direct`** ({direct:,} rows): other samples of the same tasks, answered at once by "
            "the annotation. Mixed with `cot` they keep a model able to answer without reasoning. "
            f"Share of `cot` among both: {100 * cot.share:.1f} % asked for, {met} met."
        )
    return told


def _of_rl(rl: Rl, rows: Mapping[str, int]) -> str:
    wanted = f" of {rl.rows:,} asked for" if rl.rows else ""
    return (
        f"**`rl`** ({rows.get('rl', 0):,} rows{wanted}): the last question is left open. Have the "
        "model answer it and judge the answer by `ground_truth`, as `mgdata.rewards` does for "
        f"veRL, EasyR1 and TRL. `pass_rate` is the share of {rl.answers} answers of the teacher "
        "that kept to the rules below; turns with a pass rate over "
        f"{rl.band.above:g} and under {rl.band.below:g} are here, as one that is always or never "
        "right teaches nothing. It is the pass rate of that teacher: measure it anew for another "
        "model."
    )


def _of_writing(write: Write) -> str:
    checked = (
        "A second pass of the same teacher found each of them answerable, by one thing alone, and "
        "answered as written."
        if write.verify
        else "Nothing checked them against the pictures."
    )
    reasoned = (
        " The reasoning before the answer is the writer's explanation." if write.reasoned else ""
    )
    return (
        "**Tasks of written questions**: the question's words are the teacher's, its answer is a "
        f"choice among annotated boxes.{reasoned} {checked}"
    )


def _honesty(teacher: Teacher) -> str:
    made = teacher.section
    rules = [("cot", made.cot.accept)] if made.cot else []
    rules += [("rl", made.rl.accept)] if made.rl else []
    shown = "\n".join(f"- `{name}`: {_rules(accept)}." for name, accept in rules)
    return (
        "### How far to trust it\n\n"
        "A row's boxes are the annotation's and its reasoning is the teacher's. A reasoning is "
        "published because the answer after it came out right, not because anybody found it "
        "sound: right boxes can follow from wrong thoughts. An answer was taken where it kept to "
        f"its format, could be read in the notation, and had\n\n{shown or '- no rule of its own.'}"
        "\n\nThe checks for betrayed answers know phrases and boxes: they catch some wordings "
        "only, and a teacher that was shown the answer (`rationalise`, `trajectory`) can write as "
        "if it had found it. Agreement of reasoning and answer is likewise checked for images, "
        "boxes, counts and options that are named outright. Reasonings share the teacher's errors, "
        "preferences and turns of phrase; turns that it never got right are missing from "
        "`cot`, which leans to what it finds easy."
    )


def _rules(accept: Acceptance) -> str:
    """The thresholds of a judgement, in the order of its checks."""
    told = ["every image named as often as it has targets and no other"] if accept.images else []
    capped = ", or what the notation's rounding leaves of it" if accept.capped else ""
    told.append(f"an F1 of at least {accept.f1:g} over boxes that count from IoU {accept.iou:g}")
    told[-1] += capped
    if accept.text > 0:
        told.append(f"{accept.text:.0%} of a short answer right")
    if bounds := accept.language:
        most = f" to {bounds.most_words:,}" if bounds.most_words else " or more"
        told.append(f"a reasoning of {bounds.least_words:,}{most} words")
        if bounds.scripts:
            share, scripts = f"{bounds.script_share:.0%}", " or ".join(bounds.scripts).title()
            told.append(f"{share} of its letters {scripts}")
        told.append(f"at most {bounds.repeated_share:.0%} of its runs of four words repeated")
    if accept.leaks:
        told.append("no phrase that betrays a given answer and no conclusion at its beginning")
    if accept.consistency:
        told.append(f"no image, box (IoU {accept.agree:g}), count or option that its answer denies")
    if gain := accept.gain:
        told.append(
            f"a mean IoU over the direct answer's by {gain.right:g}, or {gain.wrong:g} where that "
            f"is wrong (under {gain.threshold:g})"
        )
    return "; ".join(told)


def public(value: Any) -> Any:
    """Settings or a model's name without what they tell of a machine or a network.

    Folders are cut to their last part, and addresses of servers to their scheme.
    """
    if isinstance(value, dict):
        found = cast("dict[Any, Any]", value)
        return {key: public(inner) for key, inner in found.items()}
    if isinstance(value, list):
        return [public(inner) for inner in cast("list[Any]", value)]
    if not isinstance(value, str):
        return value
    text = re.sub(r"\b(https?)://[^\s/\"']+", r"\1://...", value.replace("file://", ""))
    return re.sub(r"(?<![\w/.])~?/(?!/)[^\s@\[\"',]+", lambda found: Path(found[0]).name, text)


def _code(text: str) -> str:
    """Text for between backticks in a table."""
    return " ".join(text.split()).replace("`", "'").replace("|", "\\|")
