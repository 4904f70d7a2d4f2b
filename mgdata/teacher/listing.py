"""What a writer of questions may choose from: a draft's objects, named and numbered.

A draft lists annotated objects; what a teacher said of each makes its name a phrase, or leaves it
out with a reason. Knows no prompt and no store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import astuple

from mgdata.data import Image, Reply, Sample, Target
from mgdata.teacher.replies import ReplyError, read_name, read_phrase
from mgdata.teacher.scenes import Scene

MOST_RIVALS = 12
"""Things of the same name that a phrase is told to keep apart: those nearest to it."""


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """An object of a draft that cannot be asked for."""

    place: int
    """Position among the draft's targets."""
    reason: str
    """One of `replies.REASONS`."""
    value: str
    """What was found."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A draft as its writer is told of it."""

    draft: Sample
    """With a turn of `objects` alone, in their order."""
    objects: tuple[Target, ...]
    """Object number 1 first: by image, then left to right; each called by its phrase."""
    labels: tuple[str, ...]
    """What the draft calls each of them."""
    scenes: tuple[Scene, ...]
    """The same by image, with captions."""
    others: tuple[Target, ...]
    """Objects that are left out, as the draft calls them: they are there all the same."""
    left_out: tuple[LeftOut, ...]
    """Why."""


def listing(
    draft: Sample,
    captions: Mapping[int, str] | None = None,
    phrases: Mapping[int, Reply] | None = None,
) -> Listing:
    """The objects of a draft's turn with what was answered about them.

    Args:
        draft: A sample of one turn, whose targets are all that is annotated.
        captions: By position of the image.
        phrases: Replies to `refine` by position of the target; None: nobody was asked, and an
            object is called what the draft calls it.
    """
    (turn,) = draft.turns
    kept: list[tuple[Target, str]] = []
    left: list[tuple[Target, LeftOut]] = []
    for place, target in enumerate(turn.targets):
        label = target.phrase or "object"
        try:
            phrase = read_name(label) if phrases is None else read_phrase(phrases.get(place))
            kept.append((msgspec.structs.replace(target, phrase=phrase), label))
        except ReplyError as error:
            left.append((target, LeftOut(place=place, reason=error.reason, value=error.detail)))
    kept.sort(key=lambda one: (one[0].image, one[0].box.x1, one[0].box.y1))
    objects = tuple(target for target, _ in kept)
    slots = " ".join(f"<target:{place}>" for place in range(len(objects)))
    told = msgspec.structs.replace(turn, targets=objects, answer=slots or "none")
    return Listing(
        draft=msgspec.structs.replace(draft, turns=(told,)),
        objects=objects,
        labels=tuple(label for _, label in kept),
        scenes=tuple(
            Scene(
                caption=(captions or {}).get(place),
                objects=tuple(target for target in objects if target.image == place),
            )
            for place in range(len(draft.images))
        ),
        others=tuple(target for target, _ in left),
        left_out=tuple(why for _, why in left),
    )


def rivals(targets: Sequence[Target], place: int) -> list[Target]:
    """Targets of the same image and name as the one at `place`, the nearest, left to right."""
    own = targets[place]
    same = [
        target
        for other, target in enumerate(targets)
        if other != place and target.image == own.image and target.phrase == own.phrase
    ]
    same.sort(key=lambda target: (_apart(own, target), astuple(target.box)))
    return sorted(same[:MOST_RIVALS], key=lambda target: astuple(target.box))


def first_places(images: Sequence[Image]) -> dict[int, int]:
    """For each position the first one with the same picture: an image may be there twice."""
    found: dict[str, int] = {}
    names = (f"{image.uri}\n{image.edits}" for image in images)
    return {place: found.setdefault(name, place) for place, name in enumerate(names)}


def _apart(one: Target, other: Target) -> float:
    """Squared distance of two middles, times four."""
    a, b = one.box, other.box
    return (a.x1 + a.x2 - b.x1 - b.x2) ** 2 + (a.y1 + a.y2 - b.y1 - b.y2) ** 2
