"""Short answers as what they are: a choice, an order, a number, words.

An answer that names the right one among others has not answered: it must commit itself. What
stands after "the answer is", where it says so, is the answer; before that it may think aloud.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import msgspec

from mgdata.data import Turn
from mgdata.scoring.words import Word, denies, forms, images, named, numbers, straight, words

_MARK = re.compile(r"\banswer(?: is\b| would be\b| ?:)", re.IGNORECASE)
_OPENING = re.compile(
    r"\W*(?:(?:it|this|that)(?:'s| is| was| would be)|(?:they|these|those) are|"
    r"i(?:'d| would) (?:say|choose)|i (?:say|think|choose)|indeed|in fact|so)\b[\s,:]*",
    re.IGNORECASE,
)
_PARTS = re.compile(r"\s*(?:,|;|->|=>|→|>|<|\n|\bthen\b|\band\b)\s*", re.IGNORECASE)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Said(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How right a short answer is."""

    right: bool
    """Whether it is the gold one, and no other beside it."""
    partial: float
    """0 to 1. An order: share of the pairs of its items that stand in the right order. Free text:
    F1 over words. Anything else: 1 or 0."""
    off: int | None = None
    """A count: distance from the right number; None where no one number can be read."""


def read(text: str, turn: Turn) -> Said:
    """Judge the words of an answer to a turn of a kind other than `boxes`.

    The gold answer, or the whole right sentence, is right as it stands (compared as `plain` text).
    Otherwise by kind:

    - `choice`: the option's letter or its text, and no other option;
    - `order`: the items, each once, in the right order, and no other;
    - `count`: one whole number, in digits or words;
    - `text`: the gold words, articles and openings ("It is") left out; one image where the gold
      answer is one, however it is called; `yes` or `no` at the beginning and not both.

    An answer with "not" or the like names nothing, but for `yes` and `no`.
    """
    said = plain(text)
    if said and (said == plain(turn.gold) or said == plain(turn.answer)):
        return Said(right=True, partial=1.0, off=0 if turn.kind == "count" else None)
    if not said or not turn.gold.strip():
        return _marked(False)
    text = straight(text)
    mark = _MARK.search(text)
    rest = text[mark.end() :] if mark and text[mark.end() :].strip(" .") else text
    if turn.kind == "choice":
        return _choice(words(rest), turn)
    if turn.kind == "order":
        return _order(words(rest), turn)
    return _count(rest, turn) if turn.kind == "count" else _text(rest, turn)


def plain(text: str) -> str:
    """Lower case, runs of white space made one space, none of `.,;:!?` or spaces at the end."""
    return " ".join(text.casefold().split()).rstrip(".,;:!? ")


def _marked(right: bool) -> Said:
    return Said(right=right, partial=float(right))


def _choice(said: list[Word], turn: Turn) -> Said:
    options = turn.options or tuple(_LETTERS)
    found, left = named(said, options)
    return _marked(set(found) == {_place(turn.gold, options)} and not denies(left))


def _place(item: str, options: Sequence[str]) -> int | None:
    """Place of an option that is given by its text or its letter."""
    wanted = forms(item)
    for place, option in enumerate(options):
        if forms(option) == wanted:
            return place
    letter = item.strip().upper()
    return _LETTERS.index(letter) if len(letter) == 1 and letter in _LETTERS else None


def _order(said: list[Word], turn: Turn) -> Said:
    items = [part for part in _PARTS.split(turn.gold) if part.strip()]
    found: list[int] | list[int | None]
    wanted: list[int | None]
    numbered = [_numbered(item) for item in items]
    if None not in numbered:
        # "2, 1" and "Image-2, Image-1" are the same order.
        called = [int(name.partition("#")[2]) for name in images(said)]
        found, wanted, left = called or numbers(said), numbered, said
    else:
        options = turn.options or tuple(sorted(items))
        found, left = named(said, options)
        wanted = [_place(item, options) for item in items]
    if denies(left):
        return _marked(False)
    if found == wanted:
        return _marked(True)
    if len(set(found)) < len(found) or len(wanted) < 2:
        return _marked(False)
    at = {item: place for place, item in enumerate(found)}
    pairs = list(combinations(wanted, 2))
    kept = sum(a in at and b in at and at[a] < at[b] for a, b in pairs)
    return Said(right=False, partial=kept / len(pairs))


def _numbered(item: str) -> int | None:
    """The number of an item that is one, or the name of an image."""
    said = words(item)
    if len(said) != 1:
        return None
    if called := images(said):
        return int(called[0].partition("#")[2])
    found = numbers(said)
    return found[0] if found else None


def _count(text: str, turn: Turn) -> Said:
    said = words(text)
    found = set(numbers(said))
    negative = re.search(r"(?<![\w)])-\s?\d", text)
    if len(found) != 1 or denies(said) or negative or not turn.gold.strip().isdecimal():
        return _marked(False)
    number = found.pop()
    if number is None:
        return _marked(False)
    off = abs(number - int(turn.gold))
    return Said(right=off == 0, partial=float(off == 0), off=off)


def _text(text: str, turn: Turn) -> Said:
    while (opening := _OPENING.match(text)) and opening.end() < len(text):
        text = text[opening.end() :]
    gold, said = forms(turn.gold), words(text)
    told = tuple(word.form for word in said)
    if told == gold and gold:
        return _marked(True)
    if len(gold) == 1 and gold[0].startswith("image#"):
        return _marked({*images(said)} == {*gold} and not denies(said))
    if gold in (("yes",), ("no",)):
        return _marked(told[:1] == gold and not {"yes", "no"} <= {*told})
    shared = (Counter(told) & Counter(gold)).total()
    return Said(right=False, partial=2 * shared / ((len(told) + len(gold)) or 1))
