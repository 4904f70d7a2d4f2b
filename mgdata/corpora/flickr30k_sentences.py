"""The marked sentences of Flickr30k Entities, and which of their phrases can be asked for.

A phrase is `[/EN#<chain>/<type>[/<type>...] <words>]`; a chain is everything that five people's
sentences say of one thing or group of things. Chain 0 is nothing that can be seen, each phrase of
it another. After the data set's readme and flickr30k_entities_utils.py. It knows no box and no
file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

UNSEEN = "0"
"""The chain of what nobody can see."""

_PHRASE = re.compile(r"\[/EN#([^\s/\]]+)((?:/[^\s/\]]+)+)\s+([^\[\]]*)\]")
_MARK = "[/EN#"
_ARTICLES = frozenset(("a", "an", "the"))
_PRONOUNS = frozenset((
    "all", "another", "anybody", "anyone", "both", "each", "everybody", "everyone", "he", "her",
    "hers", "herself", "him", "himself", "his", "it", "its", "itself", "many", "me", "mine", "my",
    "nobody", "none", "one", "ones", "other", "others", "our", "ours", "several", "she", "some",
    "somebody", "someone", "something", "that", "their", "theirs", "them", "themselves", "there",
    "these", "they", "this", "those", "three", "two", "us", "we", "what", "which", "who", "whom",
    "whose", "you", "your",
))  # fmt: skip
"""Words that name nothing by themselves, alone or with each other (`the other one`)."""


@dataclass(frozen=True)
class Phrase:
    """One marked phrase."""

    chain: str
    types: tuple[str, ...]
    """Lower case, in the order they are written."""
    text: str
    related: bool
    """Its sentence speaks of this photo."""


def phrases(text: str, unrelated: Collection[int], skipped: Counter[str]) -> list[Phrase]:
    """The phrases of a photo's sentences, one sentence a line.

    Marks that are not as they should be are counted in `skipped`, and so are the sentences that
    `unrelated` names, by number from 1.
    """
    found: list[Phrase] = []
    for number, line in enumerate(text.split("\n"), 1):
        related = number not in unrelated
        skipped["unrelated sentence"] += bool(line.strip()) and not related
        marked = list(_PHRASE.finditer(line))
        skipped["malformed phrase"] += line.count(_MARK) - len(marked)
        for one in marked:
            types = tuple(kind.lower() for kind in one[2].split("/") if kind)
            words = " ".join(one[3].split())
            if words:
                found.append(Phrase(one[1], types, words, related))
            else:
                skipped["blank phrase"] += 1
    return found


def types(found: Sequence[Phrase]) -> dict[str, str]:
    """The type of every chain: the one most often written of it, the first of those alike."""
    counts: dict[str, Counter[str]] = {}
    for phrase in found:
        if phrase.chain != UNSEEN:
            counts.setdefault(phrase.chain, Counter()).update(phrase.types)
    # max gives the first of equals, and a Counter keeps the order of arrival.
    return {chain: max(kinds, key=lambda kind: kinds[kind]) for chain, kinds in counts.items()}


def askable(
    found: Sequence[Phrase], uncertain: Mapping[str, str], skipped: Counter[str]
) -> list[tuple[str, str]]:
    """Text and chain of each distinct phrase that names one chain and no other.

    Args:
        found: the phrases of one photo.
        uncertain: chains of which not all boxes are known, or which have none, and what to call
            a phrase of theirs; it is left out.
        skipped: counts what is left out.
    """
    chains: dict[str, set[str]] = {}
    for number, phrase in enumerate(found):
        own = f"{UNSEEN}, {number}" if phrase.chain == UNSEEN else phrase.chain
        chains.setdefault(_meaning(phrase.text), set()).add(own)
    asked: dict[str, tuple[str, str]] = {}
    told: set[str] = set()
    for phrase in found:
        folded = phrase.text.casefold()
        if not phrase.related or phrase.chain == UNSEEN or folded in told:
            continue
        told.add(folded)
        if _pronoun(folded):
            skipped["pronoun"] += 1
        elif len(chains[_meaning(folded)]) > 1:
            skipped["phrase of two chains"] += 1
        elif phrase.chain in uncertain:
            skipped[uncertain[phrase.chain]] += 1
        else:
            asked[folded] = (phrase.text, phrase.chain)
    return list(asked.values())


def _meaning(text: str) -> str:
    """The words without their article: `a man` and `the man` may be two men."""
    words = text.casefold().split()
    return " ".join(words[words[0] in _ARTICLES and len(words) > 1 :])


def _pronoun(text: str) -> bool:
    return all(word in _PRONOUNS or word in _ARTICLES for word in text.split())
