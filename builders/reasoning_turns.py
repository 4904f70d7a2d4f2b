"""How what was found out is asked and answered: turns of `reasoning`, alike for all its kinds.

Not a task. It knows no kind of question; the wording comes from the task's own file. A short answer
is right or wrong as text; boxes of an image that was to be found follow the image's name.
"""

from __future__ import annotations

from collections.abc import Sequence

from builders.reasoning_scene import Scene
from mgdata.data import Kind, Turn
from mgdata.identity import Stream
from mgdata.wording import Needs, article, listed, plural

_COMPARED = {"size": "noun larger", "position": "noun further", "number": "things more"}
NEEDS = {
    "count_images": Needs(must="thing"),
    "count_all": Needs(must="things"),
    **{name: Needs(must=f"images {slots}") for name, slots in _COMPARED.items()},
    "odd_without": Needs(must="thing"),
    "odd_with": Needs(must="thing"),
    "both_show": Needs(must="images thing"),
    "same_number": Needs(must="images things"),
    "logic_but_not": Needs(must="kinds with without"),
    "logic_every": Needs(must="kinds"),
    "box_it": Needs(must="noun"),
    "box_them": Needs(must="noun"),
    "box_all": Needs(must="noun images"),
    "box_in": Needs(must="image"),
    "answer_image": Needs(must="image"),
    "answer_count": Needs(must="number"),
    "answer_yes": Needs(),
    "answer_no": Needs(),
    "answer_kind": Needs(must="thing"),
    "answer_box": Needs(must="image box", may="noun"),
    "answer_boxes": Needs(must="image", each="box"),
    "answer_all": Needs(each="image boxes"),
    "answer_kind_box": Needs(must="thing box", may="image"),
    "answer_box_in": Needs(must="box", may="image noun"),
}
"""Slots of the sets of forms."""


def ask(scene: Scene, rng: Stream, name: str, word: str = "", **slots: str) -> str:
    """A question of a set; `word` is the noun that it is about."""
    form = scene.words.pick(rng, name)
    if not word:
        return form.fill(many=False, each=(), **slots)
    told = {"noun": word, "thing": article(word), "things": plural(word)}
    return form.fill(many=False, each=(), **told, **slots)


def called(scene: Scene, places: Sequence[int]) -> str:
    """Photos that a question compares: by name unless they are all there are."""
    if len(places) < len(scene.sizes):
        return scene.names.several(places)
    return "the two images" if len(places) == 2 else "the images"


def short(
    scene: Scene,
    rng: Stream,
    question: str,
    *,
    kind: Kind,
    form: str,
    gold: str,
    places: Sequence[int] = (),
    options: tuple[str, ...] = (),
) -> Turn:
    """A question with an answer in words; `form` is the set that the answer is taken from."""
    return Turn(
        kind=kind,
        question=question,
        answer=scene.words.pick(rng, form).fill(number=gold, image=gold, thing=gold),
        gold=gold,
        asked=_asked(scene, places),
        options=options,
    )


def which_image(
    scene: Scene, rng: Stream, question: str, word: str, places: Sequence[int], found: int
) -> list[Turn]:
    """An image to be found among some, and what it has of a class; boxes at once or thereafter."""
    many = scene.counts[word][found] != 1
    boxes = ask(scene, rng, "box_them" if many else "box_it", word)
    if rng.uniform() < scene.limits.at_once:
        return [_there(scene, rng, f"{question} {boxes}", word, places, found)]
    name = scene.names.one(found)
    turns = [
        short(scene, rng, question, kind="text", form="answer_image", gold=name, places=places)
    ]
    if rng.uniform() < scene.limits.followed:
        turns.append(_there(scene, rng, boxes, word, places, found))
    return turns


def all_of(
    scene: Scene, rng: Stream, word: str, places: Sequence[int], images: str | None = None
) -> list[Turn]:
    """What may follow a short answer: every one of a class in some photos, if not too many."""
    total = scene.total(word, places)
    if not total or total > scene.limits.most or rng.uniform() >= scene.limits.followed:
        return []
    targets = scene.targets(word, places)
    slots: dict[int, list[str]] = {}
    for i, target in enumerate(targets):
        slots.setdefault(target.image, []).append(f"<target:{i}>")
    each = [{"image": scene.names.one(p), "boxes": listed(s)} for p, s in slots.items()]
    return [
        Turn(
            question=ask(scene, rng, "box_all", word, images=images or called(scene, places)),
            answer=scene.words.pick(rng, "answer_all").fill(each=each),
            targets=targets,
            asked=_asked(scene, places),
        )
    ]


def which_kind(
    scene: Scene, rng: Stream, question: str, options: list[str], word: str, place: int
) -> list[Turn]:
    """A class to be found among some, and its only box in one photo; at once or thereafter."""
    image = scene.names.one(place)
    thing = article(word)
    boxes = ask(scene, rng, "box_in", image=image)
    targets = scene.targets(word, [place])
    if rng.uniform() < scene.limits.at_once:
        answer = scene.words.pick(rng, "answer_kind_box")
        told = answer.fill(thing=thing, image=image, box="<target:0>")
        return [Turn(question=f"{question} {boxes}", answer=told, targets=targets, asked=(place,))]
    offered = tuple(article(option) for option in options)
    turns = [
        short(scene, rng, question, kind="choice", form="answer_kind", gold=thing, options=offered)
    ]
    if rng.uniform() < scene.limits.followed:
        answer = scene.words.pick(rng, "answer_box_in")
        told = answer.fill(noun=word, image=image, box="<target:0>")
        turns.append(Turn(question=boxes, answer=told, targets=targets, asked=(place,)))
    return turns


def _there(
    scene: Scene, rng: Stream, question: str, word: str, places: Sequence[int], found: int
) -> Turn:
    targets = scene.targets(word, [found])
    image, many = scene.names.one(found), len(targets) > 1
    if many:
        each = [{"box": f"<target:{i}>"} for i in range(len(targets))]
        answer = scene.words.pick(rng, "answer_boxes").fill(image=image, each=each, many=many)
    else:
        answer = scene.words.pick(rng, "answer_box").fill(image=image, noun=word, box="<target:0>")
    return Turn(question=question, answer=answer, targets=targets, asked=_asked(scene, places))


def _asked(scene: Scene, places: Sequence[int]) -> tuple[int, ...]:
    """Which photos a turn asks about; none named where it is all of them."""
    return tuple(places) if 0 < len(places) < len(scene.sizes) else ()
