"""Replies that are no answers: phrases and verdicts, read strictly or refused for one reason.

Here too is what a written question, which `written` reads, has in common with them: the reasons,
and the checks of a text. Pure; knows no box.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from mgdata.data import Reply
from mgdata.notations.naming import image_names
from mgdata.teacher import language, writing_rules
from mgdata.teacher.acceptance import FAILURES
from mgdata.teacher.language import Bounds
from mgdata.teacher.mentions import lowered

UNREAD = ("missing", "failed", "cut", "malformed")
"""Why there is nothing to read: it was not asked, has no reply, an unfinished one, or one that is
not the JSON object that was asked for."""
_ALL = {
    "reply": (*FAILURES, "failed", "cut"),
    "phrase": (*UNREAD, "does not fit", "empty", "too long", *writing_rules.REASONS, "names image"),
    "written": ("malformed", "declined"),
    "objects": ("none", "too many", "unknown", "repeated", "ambiguous", "again"),
    "question": (
        "empty", *language.REASONS, *writing_rules.REASONS,
        "unknown image", "names its image", "names its target",
    ),
    "explanation": ("empty", *language.REASONS, *writing_rules.REASONS, "unknown image"),
    "verdict": (*UNREAD, "not answerable", "not unique", "not correct"),
}  # fmt: skip
REASONS = tuple(f"{check}: {reason}" for check, reasons in _ALL.items() for reason in reasons)
"""Every reason, `check: what it found`: the reply to `write` is not there; the phrase of an object
is not fit to stand for it; the reply is not the object that was asked for, or says that there is no
question; the numbers are not such as were offered, or name what another thing is called too, or
what an earlier question has asked for; the question or the explanation says what it must not; the
second pass has not borne it out."""

MOST_PHRASE = 30
"""Words of a phrase."""
_FENCE = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*", re.DOTALL)
_ORDINAL = (
    r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|last|"
    r"[0-9]{1,3}(?:st|nd|rd|th))"
)
_JOIN = r"\s{0,3}(?:,|and|or|&|to|,\s?and|,\s?or)\s{0,3}"
# "the first and third images", "the first and the third image": the last is found as a name.
_SEVERAL = re.compile(
    rf"\b({_ORDINAL}(?:{_JOIN}(?:the )?{_ORDINAL}){{1,19}}) (?:images?|pictures?|photos?)\b"
)
# "images 1 and 3", "Image-1, 2 and 3".
_NUMBERED = re.compile(
    rf"\b(?:image|picture|photo)s?[ -]?((?:#\s?)?[0-9]{{1,4}}(?:{_JOIN}#?[0-9]{{1,4}}\b){{0,19}})"
)

T = TypeVar("T")


class ReplyError(ValueError):
    """A reply that is refused; `reason` is one of `REASONS`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail[:200])
        self.reason = reason
        self.detail = detail[:200]

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object with these keys and no others."""


class _Refined(Strict, frozen=True, kw_only=True):
    fits: bool
    phrase: str


class _Verdict(Strict, frozen=True, kw_only=True):
    reason: str
    answerable: bool
    unique: bool
    correct: bool


def read_name(label: str) -> str:
    """What a draft calls an object, as it may stand in an answer.

    Raises:
        ReplyError: it holds what no phrase may.
    """
    phrase = " ".join(label.split())
    check_words("phrase", phrase)
    if not phrase:
        raise ReplyError("phrase: empty")
    if len(phrase.split()) > MOST_PHRASE:
        raise ReplyError("phrase: too long", f"{len(phrase.split())} words")
    if named_images(phrase, 1):
        raise ReplyError("phrase: names image", phrase)
    return phrase


def read_phrase(reply: Reply | None) -> str:
    """The phrase of a reply to `refine`, on one line, without a full stop.

    Raises:
        ReplyError: there is none, it is malformed, or the box does not hold what it is called.
    """
    told = _read(reply, _Refined, "phrase")
    if not told.fits:
        raise ReplyError("phrase: does not fit", told.phrase[:160])
    return read_name(told.phrase.strip().removesuffix("."))


def read_verdict(reply: Reply | None) -> None:
    """Nothing, where a second pass has borne a question out in every respect.

    Raises:
        ReplyError: there is no verdict, it is malformed, or it objects; with its words.
    """
    told = _read(reply, _Verdict, "verdict")
    for name in ("answerable", "unique", "correct"):
        if not getattr(told, name):
            raise ReplyError(f"verdict: not {name}", " ".join(told.reason.split())[:160])


def _read(reply: Reply | None, kind: type[T], check: str) -> T:
    """A reply that others hang on, whatever became of it."""
    if reply is None:
        raise ReplyError(f"{check}: missing")
    if reply.finish == "failed":
        said = ": ".join(part for part in (reply.reason, reply.value) if part)
        raise ReplyError(f"{check}: failed", said)
    if reply.finish == "length":
        raise ReplyError(f"{check}: cut", reply.text[-80:])
    return decoded(reply.text, kind, check)


def decoded(text: str, kind: type[T], check: str) -> T:
    """The one JSON object that a text is, bare or in a ```json fence.

    Raises:
        ReplyError: `<check>: malformed`; it is none, or has other keys or kinds of values.
    """
    fenced = _FENCE.fullmatch(text) if "```" in text else None
    try:
        return msgspec.json.decode(fenced[1] if fenced else text, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ReplyError(f"{check}: malformed", str(error)) from None


def check_language(check: str, text: str, bounds: Bounds) -> None:
    """Refuse what is no prose of the right length and script; raises `ReplyError`."""
    if found := language.check(text, bounds):
        raise ReplyError(f"{check}: {found.reason}", found.quote)


def check_words(check: str, text: str) -> None:
    """Refuse what `writing_rules` finds; raises `ReplyError`."""
    if found := writing_rules.check(text):
        raise ReplyError(f"{check}: {found.reason}", found.quote)


def check_images(check: str, named: set[int], count: int) -> None:
    """Refuse names of images that are not there; raises `ReplyError`."""
    for place in sorted(named):
        if not 0 <= place < count:
            raise ReplyError(f"{check}: unknown image", f"image {place + 1} of {count}")


def named_images(text: str, count: int) -> set[int]:
    """Images that a text names (from 0, perhaps beyond the last), one by one or several at once."""
    low = lowered(text)
    found = {place for _, _, place in image_names(low, count)}
    for several in _SEVERAL.finditer(low):
        for ordinal in re.findall(_ORDINAL, several[1]):
            found |= {place for _, _, place in image_names(f"{ordinal} image", count)}
    for several in _NUMBERED.finditer(low):
        found |= {int(digits) - 1 for digits in re.findall("[0-9]{1,4}", several[1])}
    return found
