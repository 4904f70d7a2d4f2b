"""Turns about where things are over time, for each kind of question. Knows no sampling.

Not a task: `temporal_association` is the one that uses it. The wording comes from its own file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from builders.frames import box_of
from builders.tracking_turns import LETTERS, Scene, pointed, slotted
from mgdata.data import Region, Target, Turn
from mgdata.identity import Stream
from mgdata.wording import ImageNames, Needs, Wording, listed, noun

NEEDS = {
    "target_coordinates": Needs(must="noun box reference"),
    "target_mark": Needs(must="noun mark reference"),
    "target_both": Needs(must="noun box mark reference"),
    "several_coordinates": Needs(must="reference", each="letter box"),
    "several_mark": Needs(must="reference", each="letter mark"),
    "several_both": Needs(must="reference", each="letter box mark"),
    "ask_seen": Needs(must="target images"),
    "ask_which": Needs(must="target images"),
    "ask_several": Needs(must="target images"),
    "ask_order": Needs(must="target images when"),
    "ask_both": Needs(must="question it first last"),
    "ask_moment": Needs(must="question it image", may="when"),
    "thing_asked": Needs(),
    "thing_handled": Needs(),
    "answer_seen": Needs(may="name", each="image box"),
    "answer_unseen": Needs(may="name images"),
    "answer_which": Needs(each="image boxes"),
    "boxes_which": Needs(each="letter box"),
    "answer_none": Needs(may="objects images"),
    "answer_several": Needs(each="image states"),
    "states": Needs(each="letter state"),
    "unseen_state": Needs(),
    "answer_order": Needs(must="image box", may="name when"),
    "answer_both": Needs(may="name", each="image box"),
    "answer_moment": Needs(must="box", may="name image"),
}

_THING = re.compile(r"(?:which|what) (?:other )?object\b", re.IGNORECASE)
"""How a question begins that an object answers, and not an action on one."""


def again(scene: Scene, rng: Stream) -> Turn:
    """Which of the things the asked images show, and where: none, one or many."""
    target, regions = pointed(scene, rng)
    images = scene.names.several(scene.asked)
    ask = scene.words.pick(rng, "ask_which" if scene.many else "ask_seen")
    targets, boxes = slotted(scene, scene.asked)
    if not targets:
        answer = _nowhere(scene, images, rng)
    elif scene.many:
        inside = scene.words.pick(rng, "boxes_which")
        each = [
            {"image": scene.names.one(place), "boxes": inside.fill(each=_from_left(there))}
            for place, there in zip(scene.asked, boxes, strict=True)
            if there
        ]
        answer = scene.words.pick(rng, "answer_which").fill(each=each)
    else:
        each = [
            {"image": scene.names.one(place), "box": there[0]["box"]}
            for place, there in zip(scene.asked, boxes, strict=True)
            if there
        ]
        answer = scene.words.pick(rng, "answer_seen").fill(each=each, name=scene.called("the"))
    return Turn(
        question=ask.fill(target=target, images=images),
        answer=answer,
        regions=regions,
        targets=targets,
        asked=tuple(scene.asked),
    )


def _nowhere(scene: Scene, images: str, rng: Stream) -> str:
    if not scene.many:
        form = scene.words.pick(rng, "answer_unseen")
        return form.fill(name=scene.called("the"), images=images)
    objects = f"objects {listed(LETTERS[: len(scene.tracks)])}"
    return scene.words.pick(rng, "answer_none").fill(objects=objects, images=images)


def several(scene: Scene, rng: Stream) -> Turn:
    """Each thing in each asked image; in an image first what is visible, from left to right."""
    target, regions = pointed(scene, rng)
    targets, boxes = slotted(scene, scene.asked)
    gone = scene.words.pick(rng, "unseen_state").text
    states = scene.words.pick(rng, "states")
    each: list[dict[str, str]] = []
    for place, there in zip(scene.asked, boxes, strict=True):
        visible = [{"letter": one["letter"], "state": one["box"]} for one in _from_left(there)]
        letters = {one["letter"] for one in there}
        hidden = [
            {"letter": letter, "state": gone}
            for letter in LETTERS[: len(scene.tracks)]
            if letter not in letters
        ]
        each.append({"image": scene.names.one(place), "states": states.fill(each=visible + hidden)})
    return Turn(
        question=scene.words.pick(rng, "ask_several").fill(
            target=target, images=scene.names.several(scene.asked)
        ),
        answer=scene.words.pick(rng, "answer_several").fill(each=each),
        regions=regions,
        targets=targets,
        asked=tuple(scene.asked),
    )


def order(scene: Scene, place: int, when: str, rng: Stream) -> Turn:
    """The `first` or `last` image that shows the thing: the one at `place`."""
    target, regions = pointed(scene, rng)
    return Turn(
        question=scene.words.pick(rng, "ask_order").fill(
            target=target, images=scene.names.several(scene.asked), when=when
        ),
        answer=scene.words.pick(rng, "answer_order").fill(
            image=scene.names.one(place), box="<target:0>", name=scene.called("the"), when=when
        ),
        regions=regions,
        targets=(scene.box(place, 0),),
        asked=tuple(scene.asked),
    )


class Deed(NamedTuple):
    """A question about an action, and where the object that it is about is."""

    words: Wording
    names: ImageNames
    question: str
    """The corpus' own."""
    boxes: list[Region]
    """The object in each image."""


def before_after(deed: Deed, rng: Stream) -> Turn:
    """Where the object is in the first image and in the last."""
    last = len(deed.boxes) - 1
    targets = _targets(deed, (0, last))
    each = [
        {"image": deed.names.one(target.image), "box": f"<target:{i}>"}
        for i, target in enumerate(targets)
    ]
    return Turn(
        question=deed.words.pick(rng, "ask_both").fill(
            question=deed.question,
            it=_it(deed, rng),
            first=deed.names.one(0),
            last=deed.names.one(last),
        ),
        answer=deed.words.pick(rng, "answer_both").fill(each=each, name=_name(deed)),
        targets=targets,
        asked=(0, last),
    )


def moment(deed: Deed, rng: Stream) -> Turn:
    """Where the object is in the first image or in the last."""
    place = rng.choice((0, len(deed.boxes) - 1))
    image = deed.names.one(place)
    return Turn(
        question=deed.words.pick(rng, "ask_moment").fill(
            question=deed.question,
            it=_it(deed, rng),
            image=image,
            when="at the end" if place else "at the start",
        ),
        answer=deed.words.pick(rng, "answer_moment").fill(
            box="<target:0>", name=_name(deed), image=image
        ),
        targets=_targets(deed, (place,)),
        asked=(place,),
    )


def _targets(deed: Deed, places: Sequence[int]) -> tuple[Target, ...]:
    """The object's boxes in some images."""
    found = [(place, deed.boxes[place]) for place in places]
    return tuple(Target(image=i, box=box_of(r), phrase=r.label) for i, r in found)


def _it(deed: Deed, rng: Stream) -> str:
    asked = "thing_asked" if _THING.match(deed.question) else "thing_handled"
    return deed.words.pick(rng, asked).text


def _name(deed: Deed) -> str:
    return f"the {noun(deed.boxes[0].label)}"


def _from_left(boxes: list[dict[str, str]]) -> list[dict[str, str]]:
    """Boxes of one image in the order of their slots, which is that of the targets."""
    return sorted(boxes, key=lambda one: int(one["box"].removeprefix("<target:")[:-1]))
