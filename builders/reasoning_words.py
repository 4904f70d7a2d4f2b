"""Which classes of a set of photos can be counted, compared and asked for by their name.

Not a task; `reasoning` uses it. It knows English words and no image. A class is left out where its
article would be wrong, where its name is for a substance or for things in general, or where another
class that is seen in the same photos may be the same thing to a reader (`rivals`).
"""

from __future__ import annotations

from functools import lru_cache

from builders.asking import without_article
from builders.rivals import alike
from mgdata.wording import noun

# Names for things in general: another class of the photo may be one as well.
_GENERAL = """
    animal background building container device electronics glass group instrument item mammal
    object other part plant product room scene stuff thing tool toy vegetable vehicle"""
_WHOLE = frozenset(_GENERAL.split())
"""Whole names."""
# What one reader counts by the piece and another does not.
_DISPUTED = frozenset(("crowd", "fruit"))
"""Last words of a class' name."""


@lru_cache(1 << 16)
def askable(label: str) -> str | None:
    """A class as a noun with a plural and an article, or None where it has none of both."""
    word = noun(label)
    last = word.rpartition(" ")[2]
    if word in _WHOLE or last in _DISPUTED or word.startswith("other "):
        return None
    return None if without_article(word) else word


def distinct(labels: list[str]) -> dict[str, str]:
    """The nouns of those classes that no other of `labels` could be mistaken for, by class."""
    doubtful = alike(labels)
    words = {label: askable(label) for label in labels if label not in doubtful}
    return {label: word for label, word in words.items() if word}
