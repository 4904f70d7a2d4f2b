"""Whether a reasoning is prose of the right length and script at all, and no loop.

Knows no question and no answer, and no language: an English reasoning and a German one are one
script.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby

import msgspec

from mgdata.teacher.prose import Cues, Prose, as_prose
from mgdata.teacher.thought import Finding

REASONS = ("too short", "too long", "other script", "repetitive")
"""What can be wrong, in the order in which it is looked for."""

_GRAM = 4
_FEW_WORDS = 24
# Longer than a word, an address or a box between tokens.
_LONG_WORD = 64
_LONG_WORDS = Cues(f".{{{_LONG_WORD}}}")
# What zlib adds to content that is nothing but one short loop.
_ZLIB_FRAME = 14
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_QUOTED = re.compile(r"[“\"«「][^“”\"«»「」\n]{1,80}[”\"»」]")


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a reasoning may be, in which script, and how much it may repeat itself."""

    least_words: int = 12
    """Words are what white space parts; set 0 for a script that does not part them."""
    most_words: int = 1200
    """0: no bound."""
    least_characters: int = 0
    """Characters of the whole reasoning."""
    most_characters: int = 0
    """0: no bound."""
    scripts: tuple[str, ...] = ("LATIN",)
    """First words of the letters' Unicode names: `LATIN`, `CYRILLIC`; `CJK` for Chinese, with
    `HIRAGANA` and `KATAKANA` for Japanese. Empty: any."""
    script_share: float = 0.95
    """Least share of the letters that are of these scripts. Quoted words do not count."""
    longest_passage: int = 12
    """Most letters of another script in a row, outside quotation marks: a sentence in another
    language hardly changes the share of a long text."""
    repeated_share: float = 0.5
    """Most of the runs of four words that may have been there before, 0 to 1."""
    compressed_share: float = 0.1
    """Least size after compression, 0 to 1, of over 63 characters without white space."""

    def __post_init__(self) -> None:
        """Refuse bounds that no text can keep.

        Raises:
            ValueError: a share outside 0 to 1, or a least length over the greatest one.
        """
        for name in ("script_share", "repeated_share", "compressed_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is 0 to 1, found {getattr(self, name)}")
        for what in ("words", "characters"):
            least, most = getattr(self, f"least_{what}"), getattr(self, f"most_{what}")
            if most and least > most:
                raise ValueError(f"least_{what} is {least} and most_{what} {most}: no text fits")


DEFAULT = Bounds()
"""English prose, from a remark to about two pages."""


def check(reasoning: str | Prose, bounds: Bounds = DEFAULT) -> Finding | None:
    """What is wrong with the language of a reasoning, or None. Linear in its length."""
    prose = as_prose(reasoning)
    return (
        _length(prose, bounds)
        or _script(prose.text, bounds)
        or _loop(prose, bounds)
        or _long_words(prose, bounds)
    )


def _length(prose: Prose, bounds: Bounds) -> Finding | None:
    for what, size, least, most in (
        ("words", len(prose.words), bounds.least_words, bounds.most_words),
        ("characters", len(prose.text), bounds.least_characters, bounds.most_characters),
    ):
        if size < least:
            return Finding(reason="too short", quote=f"{size} {what}, at least {least}")
        if most and size > most:
            return Finding(reason="too long", quote=f"{size} {what}, at most {most}")
    return None


def _script(text: str, bounds: Bounds) -> Finding | None:
    latin = "LATIN" in bounds.scripts
    if not bounds.scripts or (latin and text.isascii()):
        return None  # the commonest text is not read letter by letter
    if latin and not _foreign("".join(_NOT_ASCII.findall(text)), bounds):
        return None
    letters = [letter for letter in _QUOTED.sub(" ", text) if letter.isalpha()]
    counts = Counter(letters)
    foreign = _foreign(counts, bounds)
    if not foreign:
        return None
    own = len(letters) - sum(counts[letter] for letter in foreign)
    if own < bounds.script_share * len(letters):
        share = f"{own} of {len(letters)} letters are {' or '.join(bounds.scripts)}"
        return Finding(reason="other script", quote=share)
    for is_foreign, run in groupby(letters, key=foreign.__contains__):
        passage = "".join(run) if is_foreign else ""
        if len(passage) > bounds.longest_passage:
            return Finding(reason="other script", quote=passage[:80])
    return None


def _foreign(letters: Iterable[str], bounds: Bounds) -> set[str]:
    """Letters of other scripts than those asked for."""
    found = {letter for letter in letters if letter.isalpha()}
    return {letter for letter in found if _script_of(letter) not in bounds.scripts}


@lru_cache(maxsize=8192)
def _script_of(letter: str) -> str:
    """LATIN for `e`, CJK for a Chinese sign; empty for what Unicode has no name for."""
    return unicodedata.name(letter, "").partition(" ")[0]


def _loop(prose: Prose, bounds: Bounds) -> Finding | None:
    runs = len(prose.words) - _GRAM + 1
    fewest = (1 - bounds.repeated_share) * runs
    # Every word but the last three begins a run, so that many words are as many runs or more; and
    # there are no more of them in lower case.
    if len(prose.words) < _FEW_WORDS or len(prose.distinct) - _GRAM + 1 >= fewest:
        return None
    pairs = {*zip(prose.words, prose.words[1:], strict=False)}
    if len(pairs) - _GRAM + 2 >= fewest:  # likewise, of every two words
        return None
    words = prose.text.split()
    grams = list(zip(*(words[i:] for i in range(_GRAM)), strict=False))
    if len(set(grams)) >= fewest:
        return None
    most, times = Counter(grams).most_common(1)[0]
    return Finding(reason="repetitive", quote=f"{times} times {' '.join(most)[:120]!r}")


def _long_words(prose: Prose, bounds: Bounds) -> Finding | None:
    """A loop in what is not parted into words: letters, brackets, Chinese."""
    if len(prose.text) < _LONG_WORD or not _LONG_WORDS.of(prose.distinct):
        return None
    for word in prose.text.split():
        if len(word) < _LONG_WORD:
            continue
        # A text may hold half a surrogate pair, which has no bytes of its own.
        data = word.encode("utf-8", "surrogatepass")
        if len(zlib.compress(data, 1)) - _ZLIB_FRAME < bounds.compressed_share * len(data):
            return Finding(reason="repetitive", quote=word[:80])
    return None
