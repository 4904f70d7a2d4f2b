"""Whether a machine-made text is a phrase that names a thing, and which of its labels it names.

Rules over English words, for texts that no person looked at: they would rather lose a good phrase
than keep a bad one. It knows no corpus and no image.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_PREFIX = re.compile(
    r"^\W*(?:(?:a?s?si|i)?stant|human|user|caption|answer|description)\W*:\s*", re.IGNORECASE
)
_BRACKET = re.compile(r"\s*\([^)]*\)")
_STRANGE = re.compile(r"[<>|{}\[\]\\/=_#*@:;?!�]|\.\s|\.\.|http|assistant", re.IGNORECASE)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_DETERMINERS = frozenset(("a", "an", "the", "one", "another", "some", "two", "three", "several"))
_OPENINGS = _set(
    """
    above and as at because behind but by for from he here his i if image images in inside is
    it its my near next no none not of on or our outside she so sorry that their there these
    they this those to under unknown we what when where which while who with yes you your
    """
)
"""Words that no noun phrase of ours begins with."""
_VERBS = _set(
    """
    am appears are be been being does did had has have holds is isn't rides seems should sits
    was wasn't wears were would
    """
)
"""Verbs that make a sentence of a phrase, unless `that`, `which` or `who` stands before them."""
_RELATIVES = frozenset(("that", "which", "who"))
_ENDS = _set(
    """
    above across against along among and around as at behind below beneath beside between by
    close closest down during for from full in inside into near nearest next of off on onto or
    outside over past that through to toward towards under up upon visible when where which
    while who with within without
    """
)
"""Words after which a phrase says more of the thing that it has already named."""
_PARTICIPLES = _set(
    """
    attached carrying containing covered covering crossing drinking dressed driving eating
    facing featuring filled flying growing hanging holding jumping kneeling laying leaning
    located looking lying made mounted parked playing posing pulling pushing reading
    reflecting riding running seated seen shining showing shown sitting standing surrounded
    surrounding swimming taken taking talking topped using walking watching wearing working
    written
    """
)
"""Ends too, but for a first word of a name: `a parked car`, `a walking stick`."""
_PARTS = _set(
    """
    basket bag bottle bowl box bunch cluster couple crowd cup field flock glass group herd jar
    line lot number pack pair patch piece pile plate row set slice stack team type
    """
)
"""`a pair of shoes` names shoes."""
_PEOPLE = _set(
    """
    adult athlete baby boy bride child cyclist dancer female gentleman girl groom guy kid lady
    male man pedestrian person player rider skateboarder skier soldier spectator surfer
    toddler tourist vendor woman worker
    """
)
_IRREGULAR = {
    "people": "person", "persons": "person", "men": "man", "women": "woman", "children": "child",
    "feet": "foot", "geese": "goose", "knives": "knife", "leaves": "leaf", "loaves": "loaf",
    "mice": "mouse", "shelves": "shelf", "teeth": "tooth", "wolves": "wolf", "ladies": "lady",
}  # fmt: skip


@lru_cache(maxsize=65536)
def label(text: str) -> str:
    """A class name as people write it: `Car_(automobile)` is `car`. Empty where it is no name."""
    name = " ".join(_BRACKET.sub("", text.replace("_", " ")).lower().split()).strip(" .,;:\"'")
    return name if name.isprintable() and any(map(str.isalpha, name)) else ""


def cleaned(text: str) -> str:
    """`text` without the rests of a prompt, quotes and the closing full stop; spaces single."""
    phrase = " ".join(text.split())
    while (rest := _PREFIX.sub("", phrase)) != phrase:
        phrase = rest
    phrase = phrase.strip(" .,;:!\"'`-")
    first = phrase.partition(" ")[0]
    return first.lower() + phrase[len(first) :] if first.lower() in _DETERMINERS else phrase


def fit(phrase: str, least: int, most: int) -> bool:
    """Whether a cleaned phrase can stand where a thing is named, by its words alone.

    Not: a sentence, a list, anything with signs of markup or of another language's letters, a word
    twice running, fewer than `least` or more than `most` words.
    """
    words = phrase.lower().replace(",", " ").split()
    if not least <= len(words) <= most or words[0] in _OPENINGS:
        return False
    if not phrase.isprintable() or _STRANGE.search(phrase) or not phrase[-1].isalnum():
        return False
    if not phrase.isascii() and any(ch.isalpha() and ch > "\u024f" for ch in phrase):
        return False  # beyond the Latin letters
    before = ""
    for word in words:
        if word == before or (word in _VERBS and before not in _RELATIVES):
            return False
        before = word
    return True


def bare(phrase: str) -> str:
    """The phrase in lower case without its determiner."""
    first, _, rest = phrase.lower().partition(" ")
    return rest if first in _DETERMINERS else phrase.lower()


def named(phrase: str, labels: Sequence[str]) -> str | None:
    """The first of `labels` that a fit phrase is about: its head is theirs, number aside.

    `a red chair at a table` is about a chair. A word for a person is about a `person`.
    """
    lasts = [_singular(name.rpartition(" ")[2]) for name in labels]
    head = _head(phrase, lasts)
    for name, last in zip(labels, lasts, strict=True):
        if last == head or (last == "person" and head in _PEOPLE):
            return name
    return None


def _head(phrase: str, lasts: Sequence[str]) -> str:
    """The noun that the phrase is about, singular: the last word before it goes on to say more.

    Empty where it is about two things: `the table and chairs`, of a table (in `lasts`).
    """
    head = ""
    for word in phrase.lower().replace(",", " ").split():
        if not head and word in _DETERMINERS:
            continue
        if word == "and":
            if _singular(head) in lasts:
                return ""
        elif word == "of" and _singular(head) in _PARTS:
            head = ""
        elif head and (word in _ENDS or word in _PARTICIPLES):
            break
        else:
            head = word
    return _singular(head)


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
