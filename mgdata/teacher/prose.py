"""A reasoning read once for all checks, and which phrases it can hold, told by its words alone.

Most of a check's time is a search for phrases that are not there. Knows no rule.
"""

from __future__ import annotations

import re
from functools import cached_property

from mgdata.notations.naming import Name, image_names
from mgdata.teacher.mentions import BoxMention, Span, boxes, lowered, sentences

_MOST_KNOWN = 1 << 16
_LONG = 64


class Prose:
    """A text with what more than one check asks of it. What few ask is found when it is asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.low = lowered(text)
        """In lower case, letter for letter."""
        self.words = self.low.split()
        """What white space parts, in lower case."""
        self._names: tuple[int, list[Name]] | None = None

    @cached_property
    def distinct(self) -> frozenset[str]:
        """Its words, each once."""
        return frozenset(self.words)

    @cached_property
    def spans(self) -> list[Span]:
        """Its sentences."""
        return sentences(self.text)

    @cached_property
    def boxes(self) -> list[BoxMention]:
        """The boxes that it names."""
        return boxes(self.text)

    def names(self, count: int) -> list[Name]:
        """Where it names one of `count` images."""
        if self._names is None or self._names[0] != count:
            self._names = count, image_names(self.text, count)
        return self._names[1]


def as_prose(text: str | Prose) -> Prose:
    """A text read, if it is not yet."""
    return text if isinstance(text, Prose) else Prose(text)


class Cues:
    """Patterns of a word, and which of them some words match.

    To search a text for a phrase takes a hundred times as long as to ask whether it has the words
    for it. Words come again from text to text, so that each is looked at once and remembered;
    that most of them are cues for nothing is found in one step for all.

    Args:
        patterns: Searched for in one word in lower case, with what stands at it without a space.
    """

    def __init__(self, *patterns: str) -> None:
        self._patterns = [re.compile(pattern) for pattern in patterns]
        self._plain: set[str] = set()
        self._known: dict[str, int] = {}

    def of(self, words: set[str] | frozenset[str]) -> int:
        """The patterns that any of the words match, as bits; the first pattern is the lowest."""
        found = 0
        for word in words - self._plain:
            known = self._known.get(word)
            found |= self._learn(word) if known is None else known
        return found

    def _learn(self, word: str) -> int:
        bits = sum(1 << bit for bit, p in enumerate(self._patterns) if p.search(word))
        if len(word) <= _LONG:
            if len(self._plain) + len(self._known) >= _MOST_KNOWN:
                self._plain.clear()
                self._known.clear()
            if bits:
                self._known[word] = bits
            else:
                self._plain.add(word)
        return bits
