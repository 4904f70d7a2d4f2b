"""The turn that asks for objects of one view in others of the moment. Knows no choosing.

Not a task: `spatial_association` is the one that uses it. The wording comes from the task's file.
"""

from __future__ import annotations

from string import ascii_uppercase
from typing import NamedTuple

from builders.asking import box_of
from builders.spatial_cases import Kind
from builders.tracking_turns import Given
from builders.views import marked
from mgdata.data import Image, Region, Target, Turn
from mgdata.identity import Stream
from mgdata.wording import ImageNames, Needs, Wording, article, listed, plural

NEEDS = {
    "target_coordinates": Needs(must="noun box reference"),
    "target_mark": Needs(must="noun mark reference"),
    "target_both": Needs(must="noun box mark reference"),
    "several_coordinates": Needs(must="reference", may="nouns", each="name box"),
    "several_mark": Needs(must="reference", may="nouns", each="name mark"),
    "several_both": Needs(must="reference", may="nouns", each="name box mark"),
    "candidates": Needs(each="image boxes"),
    "candidate_coordinates": Needs(each="letter box"),
    "candidate_mark": Needs(each="letter mark"),
    "candidate_both": Needs(each="letter box mark"),
    "find_everywhere": Needs(must="target images", may="same"),
    "find_which": Needs(must="target candidates", may="same nouns"),
    "find_several": Needs(must="target images", may="nouns"),
    "found_everywhere": Needs(may="name", each="image box"),
    "found_which": Needs(may="same", each="image letter box"),
    "found_several": Needs(each="image boxes"),
    "none_everywhere": Needs(may="name images"),
    "none_which": Needs(may="same images"),
    "none_several": Needs(may="name nouns images"),
    "each_view": Needs(each="image there"),
    "each_of_several": Needs(each="letter there"),
    "not_there": Needs(),
    "no_candidate": Needs(),
}
"""Slots of the sets of forms used here."""
LETTERS = ascii_uppercase
EACH_VIEW = 1 / 3
"""Share of answers that speak of every view, also of one without a target."""


class Scene(NamedTuple):
    """What one sample shows. The reference is image 0."""

    words: Wording
    kind: Kind
    given: Given
    names: ImageNames
    noun: str
    things: list[Region]
    """What is asked for, in the reference: objects A, B ..."""
    shown: list[list[Region | None]]
    """In images 1, 2 ...: each of them, None where it is not visible."""
    candidates: list[list[Region]]
    """In images 1, 2 ...: boxes to choose from, lettered on from image to image."""
    colours: list[list[str]]
    """In images 0, 1 ...: what each of the things or candidates is marked with."""

    @property
    def places(self) -> range:
        """The images asked about."""
        return range(1, len(self.shown) + 1)

    @property
    def nouns(self) -> str:
        """Several of what is asked for."""
        return plural(self.noun)


def pictures(scene: Scene, images: list[Image]) -> list[Image]:
    """The images with what the question says is drawn on them."""
    if scene.given == "coordinates":
        return images
    found = list(images)
    for place, row in enumerate((scene.things, *scene.candidates)):
        for region, colour in zip(row, scene.colours[place], strict=True):
            found[place] = marked(found[place], box_of(region), colour)
    return found


def turn(scene: Scene, rng: Stream) -> Turn:
    """The question, with all that is given in it, and its answer."""
    targets: list[Target] = []
    slots: list[list[tuple[int, str]]] = []
    for place, row in zip(scene.places, scene.shown, strict=True):
        seen = [(k, region) for k, region in enumerate(row) if region]
        seen.sort(key=lambda found: box_of(found[1]).x1)
        slots.append([(k, f"<target:{len(targets) + i}>") for i, (k, _) in enumerate(seen)])
        targets += [_target(scene, place, k, region) for k, region in seen]
    many = len(scene.shown) > 1
    text = scene.words.pick(rng, f"find_{scene.kind}").fill(
        many=many,
        target=_asked_for(scene, rng),
        images=scene.names.several(scene.places),
        same=f"the same {scene.noun}",
        nouns=scene.nouns,
        candidates=_offered(scene, rng) if scene.candidates else "",
    )
    return Turn(
        question=text,
        answer=_answer(scene, slots, rng),
        regions=() if scene.given == "mark" else _regions(scene),
        targets=tuple(targets),
        asked=tuple(scene.places),
    )


def _target(scene: Scene, place: int, number: int, region: Region) -> Target:
    phrase = f"{scene.noun} {LETTERS[number]}" if scene.kind == "several" else region.label
    return Target(image=place, box=box_of(region), phrase=phrase)


def _regions(scene: Scene) -> tuple[Target, ...]:
    """Boxes given in the question; without a phrase, since a class may tell how often it hides."""
    found = [(0, region) for region in scene.things]
    for place, row in enumerate(scene.candidates, 1):
        found += [(place, region) for region in row]
    return tuple(Target(image=place, box=box_of(region)) for place, region in found)


def _asked_for(scene: Scene, rng: Stream) -> str:
    """How the question says what it is about."""
    reference = scene.names.one(0)
    each = [
        {
            "name": f"{scene.noun} {LETTERS[k]}",
            "box": f"<region:{k}>",
            "mark": article(f"{colour} rectangle"),
        }
        for k, colour in enumerate(scene.colours[0])
    ]
    if scene.kind == "several":
        form = scene.words.pick(rng, f"several_{scene.given}")
        return form.fill(reference=reference, nouns=scene.nouns, each=each)
    form = scene.words.pick(rng, f"target_{scene.given}")
    return form.fill(reference=reference, noun=scene.noun, box=each[0]["box"], mark=each[0]["mark"])


def _offered(scene: Scene, rng: Stream) -> str:
    """The candidates of every view, by letter."""
    inside = scene.words.pick(rng, f"candidate_{scene.given}")
    number = 0
    views: list[dict[str, str]] = []
    for place, colours in zip(scene.places, scene.colours[1:], strict=True):
        each: list[dict[str, str]] = []
        for colour in colours:
            mark = article(f"{colour} rectangle")
            box = f"<region:{len(scene.things) + number}>"
            each.append({"letter": LETTERS[number], "box": box, "mark": mark})
            number += 1
        views.append({"image": scene.names.one(place), "boxes": inside.fill(each=each)})
    return scene.words.pick(rng, "candidates").fill(each=views)


def _answer(scene: Scene, slots: list[list[tuple[int, str]]], rng: Stream) -> str:
    """What the views show, each named before its boxes; or that none of them shows anything."""
    if rng.uniform() < EACH_VIEW:
        return _view_by_view(scene, slots, rng)
    name = f"the {scene.noun}"
    if scene.kind == "several":
        name = f"{scene.nouns} {listed(LETTERS[: len(scene.things)])}"
    found = [(place, row) for place, row in zip(scene.places, slots, strict=True) if row]
    if not found:
        return scene.words.pick(rng, f"none_{scene.kind}").fill(
            many=len(scene.shown) > 1,
            name=name,
            same=f"the same {scene.noun}",
            nouns=scene.nouns,
            images=scene.names.several(scene.places),
        )
    inside = scene.words.pick(rng, "each_of_several")
    each = [
        {
            "image": scene.names.one(place),
            "box": row[0][1],
            "letter": _letter(scene, place),
            "boxes": inside.fill(each=[{"letter": LETTERS[k], "there": box} for k, box in row]),
        }
        for place, row in found
    ]
    form = scene.words.pick(rng, f"found_{scene.kind}")
    return form.fill(each=each, name=name, same=f"the same {scene.noun}")


def _view_by_view(scene: Scene, slots: list[list[tuple[int, str]]], rng: Stream) -> str:
    missing = scene.words.pick(rng, "no_candidate" if scene.candidates else "not_there").fill()
    inside = scene.words.pick(rng, "each_of_several")
    each: list[dict[str, str]] = []
    for place, row in zip(scene.places, slots, strict=True):
        there = row[0][1] if row else missing
        if scene.kind == "several":
            hidden = set(range(len(scene.things))).difference(k for k, _ in row)
            all_of_it = [*row, *((k, missing) for k in sorted(hidden))]
            there = inside.fill(each=[{"letter": LETTERS[k], "there": x} for k, x in all_of_it])
        elif scene.candidates and row:
            there = f"{_letter(scene, place)}, {there}"
        each.append({"image": scene.names.one(place), "there": there})
    return scene.words.pick(rng, "each_view").fill(many=len(scene.shown) > 1, each=each)


def _letter(scene: Scene, place: int) -> str:
    """The right candidate of a view; empty where there is none."""
    shown = scene.shown[place - 1][0]
    if not scene.candidates or shown is None:
        return ""
    before = sum(len(row) for row in scene.candidates[: place - 1])
    return LETTERS[before + scene.candidates[place - 1].index(shown)]
