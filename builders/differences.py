"""Two pictures of one scene and what changed between them: choosing pairs, asking for the change.

Not a task; `static_difference` and `robust_difference` are, and bring their own wording. It knows
no corpus: which pairs hold a still camera and which a moved one is the recipe's choice.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from builders.asking import Naming, image_names
from mgdata.data import ALL, Association, Drop, Record, Sample, Shape, Target, Turn
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.notations import image_names as named_images
from mgdata.plugins import Builder
from mgdata.wording import ImageNames, Needs, Wording, listed

NEEDS = {
    "ask_one": Needs(must="image", may="other"),
    "ask_many": Needs(must="image", may="other"),
    "ask_both": Needs(must="where", may="first second"),
    "ask_open": Needs(must="where"),
    "tell": Needs(),
    "tell_open": Needs(),
    "answer_one": Needs(must="box", may="image"),
    "answer_many": Needs(may="image", each="box"),
    "answer_both": Needs(each="image boxes"),
    "answer_told": Needs(must="sentence box", may="image"),
    "answer_told_many": Needs(may="image", each="sentence box"),
    "answer_told_both": Needs(must="sentence", each="image boxes"),
    "answer_none": Needs(),
}
"""Slots of the sets of forms used here."""

_BRACKET = re.compile(r"[<>()\[\]]")
_SIDE = re.compile(
    r"\b(?:left|right|top|bottom|other|before|after|previous|original|edited|1st|2nd|first|second)"
    r"(?:[ -]hand)? (?:image|picture|photo|frame|shot|one)s?\b",
    re.IGNORECASE,
)
_ORDER = re.compile(
    r"(?:add|change|delete|edit|erase|get|give|have|insert|let|make|move|paint|put|remove|replace"
    r"|swap|take|turn)\b",
    re.IGNORECASE,
)
"""How an order to edit begins: with verbs that are hardly ever nouns there."""
_REQUEST = re.compile(
    r"\?|\b(?:please|let's|lets|let us|should|could|would|i want|i'd like)\b", re.IGNORECASE
)
Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


class Change(NamedTuple):
    """One thing that changed."""

    boxes: tuple[Box | None, Box | None]
    """In the corpus' first image and in its second; None where it is not there."""
    sentence: str | None
    """Says what changed, in the direction from the first to the second; None: it has none."""


class Scene(NamedTuple):
    """One pair as a sample shows it. A place is 0 for the image shown first, 1 for the other."""

    changes: list[Change]
    turned: bool
    """Whether the corpus' second image is shown first."""
    asked: tuple[int, ...]
    """Places asked about."""
    told: bool
    """Whether the answer says what changed before it says where."""
    names: ImageNames

    def at(self, change: Change, place: int) -> Box | None:
        """Where a change is at a place."""
        return change.boxes[1 - place if self.turned else place]


Given = tuple[Target, Change]
"""A box asked for, and the change that it belongs to."""


@dataclass(frozen=True, kw_only=True)
class Differences(Builder):
    """What both tasks do; each says in its own docstring what is asked."""

    association: ClassVar[Association] = "temporal"
    shapes: ClassVar[tuple[Shape, ...]] = ("pair",)
    targets: ClassVar[str] = "one; many where several changes or both images are asked; or none"
    words: ClassVar[Wording]
    """The task's wording, of the sets in `NEEDS`."""

    asked: Literal["after", "before", "both", "mixed"] = "after"
    """Image to box: shown second, shown first, both, or any of the three, equally often."""
    missing: Literal["turn", "other", "leave"] = "turn"
    """A change that the asked image lacks: show the pair in reverse, ask the other image, or drop
    the pair."""
    many: bool = False
    """Also use pairs with several changes; how many there are is then not told."""
    kinds: tuple[str, ...] = ()
    """Labels to use, such as `add` or `move`; empty: all. A pair with another one is left out."""
    describe: float = 0.2
    """Share of samples whose answer first says what changed, where the corpus has a sentence."""
    unchanged: float = 0.0
    """Share of pairs known to hold no change. Above 0 every question allows for none."""
    swap: bool = True
    """Show half of the pairs in reverse, where no sentence speaks of their order."""
    complete: bool = True
    """Only pairs of which every change is annotated; else the corpus' boxes pass for all."""
    naming: Naming = "mixed"
    """`the second image`, `Image-2`, or either; never both in a sample."""
    per_pair: int = 1
    """Most samples a pair; each is used once before any is used again."""

    def __post_init__(self) -> None:
        """Refuse settings that no pair could meet."""
        if not (0 <= self.describe <= 1 and 0 <= self.unchanged <= 1):
            raise ValueError("describe and unchanged: expected a share from 0 to 1")
        if self.per_pair < 1:
            raise ValueError(f"per_pair: expected at least 1, found {self.per_pair}")

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Changed pairs in random order, and so many unchanged ones among them as are wanted."""
        sure = _holding(index, "exhaustive", {ALL})
        empty = index.numbers("regions") == 0
        changed = ~empty & ~_filled(index, "crowds")
        if self.complete:
            changed &= sure
        if not self.many:
            changed &= index.numbers("tracks") <= 1
        if self.kinds:
            others = set(index.lists("labels").names) - set(self.kinds)
            changed &= ~_holding(index, "labels", others)
        return self._mixed(index.rows[changed], index.rows[empty & sure], rng)

    def _mixed(
        self,
        changed: np.ndarray[tuple[int], np.dtype[np.int64]],
        same: np.ndarray[tuple[int], np.dtype[np.int64]],
        rng: Stream,
    ) -> Iterator[tuple[int]]:
        for _ in range(self.per_pair):
            rest = iter(same[rng.permutation(len(same))].tolist() if self.unchanged else [])
            if self.unchanged == 1:
                yield from zip(rest, strict=True)
                continue
            for row in changed[rng.permutation(len(changed))].tolist():
                # A run of unchanged pairs before each changed one, of the length that gives the
                # share: rows rejected later make it a little larger, never a matter of chance.
                while rng.uniform() < self.unchanged and (other := next(rest, None)) is not None:
                    yield (other,)
                yield (row,)

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """One sample of the pair; `Rejected` where it has no change, or one that cannot be asked.

        Everything is looked at again: since `groups`, a filter may have taken regions out.
        """
        pair = records[0]
        if len(pair.images) != 2:
            raise Rejected("not a pair", f"{len(pair.images)} images")
        if not pair.regions:
            if not self.unchanged or ALL not in pair.exhaustive:
                raise Rejected("no change")
        elif self.complete and ALL not in pair.exhaustive:
            raise Rejected("perhaps other changes")
        scene = self._scene(self._changes(pair), rng)
        images = pair.images[::-1] if scene.turned else pair.images
        yield self.sample(records, images, [self._turn(scene, rng)])

    def _changes(self, pair: Record) -> list[Change]:
        found = changes(pair)
        if len(found) > 1 and not self.many:
            raise Rejected("several changes", str(len(found)))
        if self.kinds:
            for region in pair.regions:
                if region.label not in self.kinds:
                    raise Rejected("another kind of change", region.label)
        return found

    def _scene(self, found: list[Change], rng: Stream) -> Scene:
        """Which way round the pair is shown, and which image is asked about."""
        names = image_names(self.naming, rng)
        told = rng.uniform() < self.describe
        if found:
            said = [change.sentence for change in found]
            told = told and None not in said and len(set(said)) == len(said)
        asked = self.asked if self.asked != "mixed" else rng.choice(("after", "before", "both"))
        turned = self.swap and not (told and found) and rng.below(2) == 1
        if asked == "both":
            # Several sentences and two boxes each would be a list of lists.
            return Scene(found, turned, (0, 1), told and len(found) < 2, names)
        place = 1 if asked == "after" else 0
        as_is, reverse = _visible(found, place), _visible(found, 1 - place)
        if not as_is and self.missing == "leave":
            raise Rejected("not in the image asked for")
        here, there = (reverse, as_is) if turned else (as_is, reverse)
        if here:
            return Scene(found, turned, (place,), told, names)
        if self.missing != "other" and there:
            return Scene(found, not turned, (place,), told and turned, names)
        if self.missing == "other":
            # What the asked image lacks the other has, unless there are several changes.
            return Scene(found, turned, (1 - place,) if there else (0, 1), told and there, names)
        raise Rejected("not in the image asked for")

    def _turn(self, scene: Scene, rng: Stream) -> Turn:
        asked = () if len(scene.asked) == 2 else scene.asked
        question = self._question(scene, rng)
        if not scene.changes:
            answer = self.words.pick(rng, "answer_none").fill()
            return Turn(question=question, answer=answer, asked=asked)
        given = _targets(scene)
        answer = self._alone(scene, given, rng) if asked else self._both(scene, given, rng)
        targets = tuple(target for target, _ in given)
        return Turn(question=question, answer=answer, targets=targets, asked=asked)

    def _question(self, scene: Scene, rng: Stream) -> str:
        both, many = len(scene.asked) == 2, len(scene.changes) > 1
        image, other = (scene.names.one(p) for p in (scene.asked[-1], 1 - scene.asked[-1]))
        # One change may be called one; "every change" does not say how many there are.
        several = many or (self.many and rng.below(2) == 0)
        where = f"in {image}"
        if both:
            # A question that allows for no change must read the same for every pair.
            sure = not self.unchanged and all(None not in change.boxes for change in scene.changes)
            where = "in both images" if sure else "in both images (where visible)"
        if self.unchanged:
            text = self.words.pick(rng, "ask_open").fill(where=where)
        elif both:
            first, second = scene.names.one(0), scene.names.one(1)
            form = self.words.pick(rng, "ask_both")
            text = form.fill(many=several, where=where, first=first, second=second)
        else:
            form = self.words.pick(rng, "ask_many" if several else "ask_one")
            text = form.fill(image=image, other=other)
        if scene.told:
            tell = self.words.pick(rng, "tell_open" if self.unchanged else "tell")
            text = f"{text} {tell.fill()}"
        return self._introduced(text, rng)

    @abstractmethod
    def _introduced(self, question: str, rng: Stream) -> str:
        """The question, with what the task has to say beside it."""

    def _alone(self, scene: Scene, given: Sequence[Given], rng: Stream) -> str:
        """The answer about one image."""
        image, many = scene.names.one(scene.asked[0]), len(scene.changes) > 1
        each = [
            {"box": f"<target:{i}>", "sentence": change.sentence or ""}
            for i, (_, change) in enumerate(given)
        ]
        if many or (self.many and not scene.told):
            form = self.words.pick(rng, "answer_told_many" if scene.told else "answer_many")
            return form.fill(many=many, each=each, image=image)
        form = self.words.pick(rng, "answer_told" if scene.told else "answer_one")
        return form.fill(image=image, box=each[0]["box"], sentence=each[0]["sentence"])

    def _both(self, scene: Scene, given: Sequence[Given], rng: Stream) -> str:
        """The answer about both images: each is named before its boxes."""
        boxes: dict[int, list[str]] = {}
        for i, (target, _) in enumerate(given):
            boxes.setdefault(target.image, []).append(f"<target:{i}>")
        each = [
            {"image": scene.names.one(place), "boxes": listed(here)}
            for place, here in boxes.items()
        ]
        form = self.words.pick(rng, "answer_told_both" if scene.told else "answer_both")
        told = scene.changes[0].sentence or ""
        return form.fill(many=len(scene.changes) > 1, each=each, sentence=told)


def _targets(scene: Scene) -> list[Given]:
    """The boxes asked for as a turn wants them, by image and from left to right."""
    given = [
        (Target(image=place, box=box, phrase=(scene.told and change.sentence) or "change"), change)
        for change in scene.changes
        for place in scene.asked
        if (box := scene.at(change, place)) is not None
    ]
    return sorted(given, key=lambda one: (one[0].image, one[0].box.x1))


def changes(pair: Record) -> list[Change]:
    """The changes of a pair, as they come in it; a region without a track is one by itself.

    Raises:
        Rejected: a region is to be ignored, so that there is more than may be asked for; two boxes
            of one change in one image; or a change with no box at all.
    """
    boxes: dict[str, list[Box | None]] = {}
    sentences: dict[str, str | None] = {}
    seen: set[tuple[str, int]] = set()
    for number, region in enumerate(pair.regions):
        if region.ignore:
            raise Rejected("a change to be ignored", region.label)
        track = f"#{number}" if region.track is None else region.track
        if (track, region.image) in seen:
            raise Rejected("two boxes of one change", track)
        seen.add((track, region.image))
        boxes.setdefault(track, [None, None])[region.image] = region.box
        sentences[track] = sentences.get(track) or sentence(region.phrase)
    found = [
        Change((sides[0], sides[1]), sentences[track])
        for track, sides in boxes.items()
        if sides != [None, None]
    ]
    if len(found) < len(boxes):
        raise Rejected("a change without a box")
    return found


def sentence(phrase: str | None) -> str | None:
    """A corpus' sentence without its full stop, or None where it cannot stand in an answer.

    One that names an image ("the left picture") would give its box to that image, and is wrong
    where images are named otherwise; brackets may be read as a placeholder or a box. An order to
    edit ("remove the cup") does not say what happened: it is told as one; one that is put as a
    question or a wish is not used.
    """
    said = " ".join((phrase or "").split()).rstrip(" .!")
    if not said or _BRACKET.search(said) or _SIDE.search(said) or named_images(said, 2):
        return None
    if _REQUEST.search(said):
        return None
    if _ORDER.match(said):
        return f"the edit was to {said[0].lower()}{said[1:]}"
    return said


def _visible(found: Sequence[Change], side: int) -> bool:
    return all(change.boxes[side] is not None for change in found)


def _holding(index: Index, column: str, wanted: set[str]) -> Mask:
    """Which rows have any of some names in a list column."""
    lists = index.lists(column)
    codes = [code for code, name in enumerate(lists.names) if name in wanted]
    at = np.repeat(np.arange(len(index)), np.diff(lists.starts))
    mask: Mask = np.zeros(len(index), np.bool_)
    mask[at[np.isin(lists.values, codes)]] = True
    return mask


def _filled(index: Index, column: str) -> Mask:
    return np.diff(index.lists(column).starts) > 0
