"""The question about what things have in common, and its answer, in words.

Not a task: `semantic_association` is the one that uses it. It knows no sampling; the wording comes
from the task's own file.
"""

from __future__ import annotations

from collections import Counter
from string import ascii_uppercase as LETTERS
from typing import NamedTuple

from builders.asking import box_of, called, in_order, thing
from builders.association_facts import Facts, Found, Kind
from builders.kinds_of_use import purpose_of
from builders.parts import name_of, spoken
from builders.tracking_turns import COLOURS, Given
from mgdata.data import Edit, Image, Target, Turn
from mgdata.identity import Stream
from mgdata.wording import ImageNames, Needs, Wording, listed

NEEDS = {
    "target_coordinates": Needs(must="noun box reference"),
    "target_mark": Needs(must="noun mark reference"),
    "target_both": Needs(must="noun box mark reference"),
    "candidates": Needs(each="letter place image"),
    "marks_drawn": Needs(must="mark"),
    "marks_listed": Needs(each="image place"),
    "ask_kind": Needs(must="target others"),
    "ask_use": Needs(must="target candidates"),
    "ask_part": Needs(must="target candidates"),
    "ask_odd": Needs(must="marks"),
    "ask_odd_set": Needs(),
    "told_kind": Needs(must="thing"),
    "told_use": Needs(must="purpose"),
    "told_part": Needs(must="part"),
    "told_odd": Needs(must="thing other"),
    "told_odd_set": Needs(must="thing image"),
    "answer_none": Needs(may="others"),
    "answer_one": Needs(must="image box"),
    "answer_many": Needs(each="image boxes"),
    "answer_many_list": Needs(each="image boxes"),
    "answer_odd": Needs(must="image box"),
    "offered_none": Needs(),
    "offered_one": Needs(must="letter image box"),
    "offered_many": Needs(each="letter image box"),
}
"""Slots of the sets of forms used here."""
FEW = 5
"""Most boxes of an answer in a sentence; more are listed."""


class Scene(NamedTuple):
    """What one question is about and how it is asked."""

    kind: Kind
    facts: Facts
    places: list[int]
    """Where each record of the group stands among the sample's images."""
    names: ImageNames
    given: Given
    named: bool
    """Whether the question tells the class of what it gives."""
    wording: Wording


class Mark(NamedTuple):
    """A thing that the question gives."""

    found: Found
    colour: str


def asked(scene: Scene, images: list[Image], rng: Stream) -> tuple[Turn, list[Image]]:
    """The turn, and the images with what is drawn into them; `images` in the sample's order."""
    facts, kind = scene.facts, scene.kind
    marks = _marks(scene, rng)
    noun = _noun(scene)
    # A class is told of what the others are compared with, never of these.
    plain = "part" if kind == "part" else "object"
    told = [noun if mark.found == facts.first else plain for mark in marks]
    given = tuple(_target(mark.found, scene, t) for mark, t in zip(marks, told, strict=True))
    ask = scene.wording.pick(rng, f"ask_{kind}")
    if kind == "odd_set":
        question = ask.fill()
    elif kind == "odd":
        question = ask.fill(marks=_introduced(scene, marks, rng))
    else:
        first, *offered = marks
        question = ask.fill(
            target=scene.wording.pick(rng, f"target_{scene.given}").fill(
                noun=noun,
                box="<region:0>",
                mark=f"a {first.colour} rectangle",
                reference=_name(scene, first.found),
            ),
            candidates=_offered(scene, offered, rng) if offered else "",
            others=_rest(len(images)),
        )
    first = facts.first
    turn = Turn(
        question=question,
        answer=_answer(scene, len(images), rng),
        regions=() if scene.given == "mark" else given,
        targets=in_order([_target(one, scene) for one in facts.answers])[0],
        asked=() if first is None else _others(scene.places[first.place], len(images)),
    )
    return turn, _drawn(scene, marks, images)


def _marks(scene: Scene, rng: Stream) -> list[Mark]:
    """All that is given, in the order of the question, each in a colour of its own in its image."""
    first, marked = scene.facts.first, _shown(scene.facts.marked, scene)
    if first is None:
        return [Mark(one, COLOURS[0]) for one in marked]
    colours: dict[int, list[str]] = {}
    found = [Mark(first, COLOURS[0])]
    for one in marked:
        left = colours.setdefault(one.place, rng.sample(COLOURS, len(COLOURS)))
        found.append(Mark(one, left.pop()))
    return found


def _noun(scene: Scene) -> str:
    """What the question calls the things that it gives."""
    label = scene.facts.label
    if scene.kind == "part":
        return (scene.named and name_of(label)) or "part"
    return (scene.named and called(label)) or "object"


def _introduced(scene: Scene, marks: list[Mark], rng: Stream) -> str:
    """Which things one is to choose the odd one from."""
    if scene.given == "mark":
        return scene.wording.pick(rng, "marks_drawn").fill(mark=f"a {marks[0].colour} rectangle")
    each = [
        {"image": _name(scene, mark.found), "place": _place(scene, mark, place)}
        for place, mark in enumerate(marks)
    ]
    return scene.wording.pick(rng, "marks_listed").fill(each=each)


def _offered(scene: Scene, marks: list[Mark], rng: Stream) -> str:
    each = [
        {"letter": letter, "image": _name(scene, mark.found), "place": _place(scene, mark, place)}
        for place, (letter, mark) in enumerate(zip(LETTERS, marks, strict=False), 1)
    ]
    return scene.wording.pick(rng, "candidates").fill(each=each)


def _place(scene: Scene, mark: Mark, region: int) -> str:
    """Where a given thing is in its image."""
    drawn = f"the {mark.colour} rectangle"
    if scene.given == "mark":
        return drawn
    return f"<region:{region}>" if scene.given == "coordinates" else f"{drawn} at <region:{region}>"


def _answer(scene: Scene, images: int, rng: Stream) -> str:
    """The answer; before it, for half of the questions, what makes it one."""
    told = _told(scene, rng) if rng.below(2) else None
    answer = _found(scene, images, rng)
    if told is None:
        return answer
    # A list begins on a line of its own.
    return f"{told}\n{answer}" if "\n" in answer else f"{told} {answer}"


def _found(scene: Scene, images: int, rng: Stream) -> str:
    wording, answers = scene.wording, scene.facts.answers
    if scene.facts.first and scene.facts.marked:
        return _chosen(scene, rng)
    if not answers:
        return wording.pick(rng, "answer_none").fill(others=_rest(images))
    if len(answers) == 1:
        form = wording.pick(rng, "answer_odd" if scene.kind == "odd" else "answer_one")
        return form.fill(image=_name(scene, answers[0]), box="<target:0>")
    counts = Counter(scene.places[one.place] for one in answers)
    each: list[dict[str, str]] = []
    slots = iter(range(len(answers)))
    for place, n in sorted(counts.items()):
        boxes = listed([f"<target:{next(slots)}>" for _ in range(n)])
        each.append({"image": scene.names.one(place), "boxes": boxes})
    name = "answer_many" if len(answers) <= FEW else "answer_many_list"
    return wording.pick(rng, name).fill(each=each)


def _chosen(scene: Scene, rng: Stream) -> str:
    """The right ones of the candidates, by letter; letters and targets have the same order."""
    facts, wording = scene.facts, scene.wording
    offered = zip(LETTERS, _shown(facts.marked, scene), strict=False)
    right = [(letter, _name(scene, one)) for letter, one in offered if one in facts.answers]
    if not right:
        return wording.pick(rng, "offered_none").fill()
    if len(right) == 1:
        letter, image = right[0]
        return wording.pick(rng, "offered_one").fill(letter=letter, image=image, box="<target:0>")
    each = [
        {"letter": letter, "image": image, "box": f"<target:{place}>"}
        for place, (letter, image) in enumerate(right)
    ]
    return wording.pick(rng, "offered_many").fill(each=each)


def _told(scene: Scene, rng: Stream) -> str | None:
    """What the answer follows from, where there are words for it."""
    facts, kind, pick = scene.facts, scene.kind, scene.wording.pick
    if kind == "use":
        return pick(rng, "told_use").fill(purpose=purpose_of(facts.label) or "")
    if kind == "part":
        part = name_of(facts.label)
        return part and pick(rng, "told_part").fill(part=part)
    if (name := called(facts.label)) is None:
        return None
    if kind == "odd":
        other = called(facts.marked[1].region.label)
        return other and pick(rng, "told_odd").fill(thing=thing(name), other=thing(other))
    if kind == "kind":
        return pick(rng, "told_kind").fill(thing=thing(name))
    (missing,) = set(range(len(scene.places))) - {one.place for one in facts.answers}
    image = scene.names.one(scene.places[missing])
    return pick(rng, "told_odd_set").fill(thing=thing(name), image=image)


def _drawn(scene: Scene, marks: list[Mark], images: list[Image]) -> list[Image]:
    if scene.given == "coordinates":
        return images
    drawn = list(images)
    for found, colour in marks:
        place = scene.places[found.place]
        edit = Edit(kind="mark", box=box_of(found.region), colour=colour)
        drawn[place] = drawn[place].__replace__(edits=(*drawn[place].edits, edit))
    return drawn


def _target(one: Found, scene: Scene, phrase: str | None = None) -> Target:
    label = one.region.label
    return Target(
        image=scene.places[one.place],
        box=box_of(one.region),
        phrase=phrase or (spoken(label) if ":" in label else called(label)),
    )


def _shown(some: list[Found], scene: Scene) -> list[Found]:
    """Things by image and from left to right, as one sees them."""
    return sorted(some, key=lambda one: (scene.places[one.place], box_of(one.region).x1))


def _name(scene: Scene, one: Found) -> str:
    return scene.names.one(scene.places[one.place])


def _rest(images: int) -> str:
    return f"the other image{'s' if images > 2 else ''}"


def _others(place: int, images: int) -> tuple[int, ...]:
    return tuple(i for i in range(images) if i != place)
