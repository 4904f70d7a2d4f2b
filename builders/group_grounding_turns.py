"""Turns that ask a group of images for what words say, or for words for what a box holds.

Not a task: `group_grounding` is the one that uses it. It knows no sampling; the wording comes from
the task's own file.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from builders.asking import box_of, called, in_order, without_article
from mgdata.data import Region, Target, Turn
from mgdata.identity import Stream
from mgdata.wording import ImageNames, Needs, Wording, article, noun

NEEDS = {
    "ask": Needs(must="thing"),
    "ask_next": Needs(must="thing"),
    "ask_all": Needs(each="thing"),
    "answer": Needs(must="image box", may="thing"),
    "answer_all": Needs(each="thing image box"),
    "describe": Needs(must="image box"),
    "describe_next": Needs(must="image box"),
    "answer_words": Needs(must="thing"),
}
"""Slots of the sets of forms used here."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_DETERMINERS = _set(
    """a an the one two three four five six seven eight nine ten another some several many both each
    his her its their my your our this that these those"""
)
_NEVER_FIRST = _set(
    """it there he she they we you i who what which where when while is are was were has have in on
    at of with without and or but to from by for not no none nothing as if this that these those
    another each"""
)
_NEVER_LAST = _set(
    """a an the and or but of in on at with without to from by for near next is are was were has
    have that which who whose wearing holding"""
)
_STRANGE = re.compile(r"[<>{}\[\]|\\/=_#*@:;?!\"\n\t]|\.\s")
_SENTENCE = re.compile(r"(?<!that )(?<!which )(?<!who )\b(?:is|are|was|were)\b")
_PICTURE = re.compile(r"\b(?:images?|photos?|pictures?)\b(?! frame)", re.IGNORECASE)
MOST_WORDS = 20
"""Words of a phrase; longer ones tell a story."""


class Words(NamedTuple):
    """How a region is spoken of."""

    gold: str
    """As the corpus has it."""
    thing: str
    """As an object of a verb: `the man in red`, `a dog`."""


class Asked(NamedTuple):
    """One region that a question is about."""

    image: int
    """Place of its image in the sample."""
    region: Region
    words: Words

    @property
    def target(self) -> Target:
        """Its box as an answer."""
        return Target(image=self.image, box=box_of(self.region), phrase=self.words.gold)


class Scene(NamedTuple):
    """What the turns of one sample share."""

    wording: Wording
    asked: list[Asked]
    """In the order of asking."""
    names: ImageNames
    apart: bool
    """Whether each question must stand alone."""


@lru_cache(1 << 16)
def of_phrase(text: str) -> Words | None:
    """A corpus' phrase as a question can use it; None where it is no noun phrase as far as seen.

    Rules over English words: no sentence, no mark-up, no talk of images, whole at both ends.
    """
    phrase = " ".join(text.split()).strip(" .,")
    words = phrase.lower().split()
    if not words or len(words) > MOST_WORDS or not re.match(r"[a-z0-9]", words[0]):
        return None
    if words[0] in _NEVER_FIRST or words[-1] in _NEVER_LAST or words[-1] in _DETERMINERS:
        return None
    if _STRANGE.search(phrase) or _SENTENCE.search(phrase.lower()) or _PICTURE.search(phrase):
        return None
    if not phrase.isprintable() or not any(len(word) > 1 and word.isalpha() for word in words):
        return None
    return Words(phrase, phrase if words[0] in _DETERMINERS else f"the {phrase}")


@lru_cache(1 << 16)
def of_label(label: str) -> Words | None:
    """A class as a question can use it, where its name is words."""
    words = called(label)
    if words is None:
        return None
    if without_article(words):
        return Words(words, words)
    return Words(words, article(words) if noun(words) == words else f"the {words}")


def found(scene: Scene, rng: Stream) -> list[Turn]:
    """A turn for each thing asked for; the answer names the image before the box."""
    nexts = scene.wording.pick_several(rng, "ask_next", len(scene.asked))
    answer = scene.wording.pick(rng, "answer")
    turns: list[Turn] = []
    for one, ask in zip(scene.asked, nexts, strict=True):
        if scene.apart or not turns:
            ask = scene.wording.pick(rng, "ask")
        if scene.apart:
            answer = scene.wording.pick(rng, "answer")
        turns.append(
            Turn(
                question=ask.fill(thing=one.words.thing),
                answer=answer.fill(
                    thing=one.words.thing, image=scene.names.one(one.image), box="<target:0>"
                ),
                targets=(one.target,),
            )
        )
    return turns


def at_once(scene: Scene, rng: Stream) -> Turn:
    """One turn for all that is asked for, in the order of the question."""
    targets, slots = in_order([one.target for one in scene.asked])
    each = [
        {"thing": one.words.thing, "image": scene.names.one(one.image), "box": slot}
        for one, slot in zip(scene.asked, slots, strict=True)
    ]
    return Turn(
        question=scene.wording.pick(rng, "ask_all").fill(each=each),
        answer=scene.wording.pick(rng, "answer_all").fill(each=each),
        targets=targets,
    )


def described(scene: Scene, rng: Stream) -> list[Turn]:
    """A turn for each box given; its words are asked for."""
    nexts = scene.wording.pick_several(rng, "describe_next", len(scene.asked))
    turns: list[Turn] = []
    for one, ask in zip(scene.asked, nexts, strict=True):
        if scene.apart or not turns:
            ask = scene.wording.pick(rng, "describe")
        given = Target(image=one.image, box=box_of(one.region))
        turns.append(
            Turn(
                kind="text",
                question=ask.fill(image=scene.names.one(one.image), box="<region:0>"),
                answer=scene.wording.pick(rng, "answer_words").fill(thing=one.words.thing),
                regions=(given,),
                asked=(one.image,),
                gold=one.words.gold,
            )
        )
    return turns
