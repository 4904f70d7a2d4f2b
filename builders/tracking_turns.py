"""Turns about objects that one image shows and others ask for. Knows no sampling and no setting.

Not a task: `object_tracking` is the one that uses it. The wording comes from the task's own file.
"""

from __future__ import annotations

from math import factorial
from typing import Literal, NamedTuple

from builders.frames import Track, box_of
from mgdata.data import Edit, Image, Target, Turn
from mgdata.identity import Stream
from mgdata.wording import ImageNames, Needs, Wording, article, listed

NEEDS = {
    "target_coordinates": Needs(must="noun box reference"),
    "target_mark": Needs(must="noun mark reference"),
    "target_both": Needs(must="noun box mark reference"),
    "several_coordinates": Needs(must="reference", each="letter box"),
    "several_mark": Needs(must="reference", each="letter mark"),
    "several_both": Needs(must="reference", each="letter box mark"),
    "ask_one": Needs(must="target image"),
    "ask_next": Needs(must="image", may="same"),
    "ask_all": Needs(must="target images", may="reference"),
    "ask_order": Needs(must="earliest", each="letter order"),
    "shuffled": Needs(),
    "answer_one": Needs(must="box", may="name image"),
    "answer_several": Needs(may="image", each="letter box"),
    "answer_all": Needs(may="name", each="image box"),
    "answer_all_several": Needs(each="image boxes"),
    "boxes_several": Needs(each="letter box"),
    "answer_hidden": Needs(may="name image"),
    "answer_order": Needs(must="letter", may="order"),
}
"""Slots of the sets of forms used here."""
COLOURS = ("red", "blue", "green", "yellow", "magenta", "cyan")
"""Of the marks of objects A, B, C ..."""
LETTERS = "ABCDEF"

Given = Literal["coordinates", "mark", "both"]


class Scene(NamedTuple):
    """What the turns of one sample share. A place is an index into the sample's images."""

    words: Wording
    tracks: list[Track]
    """Of object A, B ..."""
    frames: list[int]
    """The frame at each place."""
    reference: int
    """Place of the frame that shows the target."""
    asked: list[int]
    """Places asked about."""
    given: Given
    names: ImageNames
    noun: str

    @property
    def many(self) -> bool:
        """Whether several objects are asked for."""
        return len(self.tracks) > 1

    def called(self, before: str) -> str:
        """The target once it is known: `the goat`, `objects A and B`."""
        several = f"objects {listed(LETTERS[: len(self.tracks)])}"
        return several if self.many else f"{before} {self.noun}"

    def box(self, place: int, number: int) -> Target:
        """Where object `number` is."""
        region = self.tracks[number][self.frames[place]]
        phrase = f"object {LETTERS[number]}" if self.many else region.phrase or region.label
        return Target(image=place, box=box_of(region), phrase=phrase)


def polling(scene: Scene, rng: Stream) -> list[Turn]:
    """A turn for each asked image; one answer form for all of them."""
    target, regions = pointed(scene, rng)
    asks = scene.words.pick_several(rng, "ask_next", len(scene.asked))
    asks[0] = scene.words.pick(rng, "ask_one")
    found = scene.words.pick(rng, "answer_several" if scene.many else "answer_one")
    hidden = scene.words.pick(rng, "answer_hidden")
    same, name = scene.called("the same"), scene.called("the")
    turns: list[Turn] = []
    for place, ask in zip(scene.asked, asks, strict=True):
        image = scene.names.one(place)
        targets, boxes = slotted(scene, [place])
        answer = found if targets else hidden
        turns.append(
            Turn(
                question=ask.fill(many=scene.many, target=target, image=image, same=same),
                answer=answer.fill(
                    many=scene.many, each=boxes[0], image=image, name=name, box="<target:0>"
                ),
                regions=() if turns else regions,
                targets=targets,
                asked=(place,),
            )
        )
    return turns


def all_at_once(scene: Scene, rng: Stream) -> Turn:
    """One turn for all asked images; each is named before its boxes."""
    target, regions = pointed(scene, rng)
    targets, boxes = slotted(scene, scene.asked)
    answer = scene.words.pick(rng, "answer_all_several" if scene.many else "answer_all")
    inside = scene.words.pick(rng, "boxes_several")
    each = [
        {"image": scene.names.one(place), "box": there[0]["box"], "boxes": inside.fill(each=there)}
        for place, there in zip(scene.asked, boxes, strict=True)
    ]
    return Turn(
        question=scene.words.pick(rng, "ask_all").fill(
            many=scene.many,
            target=target,
            images=scene.names.several(scene.asked),
            reference=scene.names.one(scene.reference),
        ),
        answer=answer.fill(many=scene.many, each=each, name=scene.called("the")),
        regions=regions,
        targets=targets,
        asked=tuple(scene.asked),
    )


def pointed(scene: Scene, rng: Stream) -> tuple[str, tuple[Target, ...]]:
    """How the question says what it is about, and the boxes that it gives."""
    each = [
        {"letter": LETTERS[k], "box": f"<region:{k}>", "mark": article(f"{COLOURS[k]} rectangle")}
        for k in range(len(scene.tracks))
    ]
    form = scene.words.pick(rng, f"{'several' if scene.many else 'target'}_{scene.given}")
    image = scene.names.one(scene.reference)
    box, mark = each[0]["box"], each[0]["mark"]
    text = form.fill(each=each, noun=scene.noun, reference=image, box=box, mark=mark)
    if scene.given == "mark":
        return text, ()
    return text, tuple(scene.box(scene.reference, k) for k in range(len(scene.tracks)))


def slotted(
    scene: Scene, places: list[int]
) -> tuple[tuple[Target, ...], list[list[dict[str, str]]]]:
    """What is to be found, and for each place its objects' letters and target slots."""
    targets: list[Target] = []
    boxes: list[list[dict[str, str]]] = []
    for place in places:
        seen = [k for k, track in enumerate(scene.tracks) if scene.frames[place] in track]
        from_left = sorted(seen, key=lambda k: scene.box(place, k).box.x1)
        slots = {k: f"<target:{len(targets) + i}>" for i, k in enumerate(from_left)}
        targets += [scene.box(place, k) for k in from_left]
        boxes.append([{"letter": LETTERS[k], "box": slots[k]} for k in seen])
    return tuple(targets), boxes


def with_order(turns: list[Turn], scene: Scene, rng: Stream) -> list[Turn]:
    """The turns, told that frames are out of order, and a last one that asks for the order.

    The earliest frame is told: whether a video runs forwards can often not be seen.
    """
    told = f"{scene.words.pick(rng, 'shuffled').fill()} {turns[0].question}"
    right = sorted(range(len(scene.frames)), key=scene.frames.__getitem__)
    options = [right]
    while len(options) < min(4, factorial(len(right) - 1)):
        tail = right[1:]
        rng.shuffle(tail)
        if [right[0], *tail] not in options:
            options.append([right[0], *tail])
    rng.shuffle(options)
    letter = LETTERS[options.index(right)]
    written = [", ".join(scene.names.one(place) for place in option) for option in options]
    each = [{"letter": LETTERS[i], "order": order} for i, order in enumerate(written)]
    order = Turn(
        kind="choice",
        question=scene.words.pick(rng, "ask_order").fill(
            each=each, earliest=scene.names.one(right[0])
        ),
        answer=scene.words.pick(rng, "answer_order").fill(
            letter=letter, order=written[options.index(right)]
        ),
        options=tuple(written),
        gold=letter,
    )
    return [turns[0].__replace__(question=told), *turns[1:], order]


def shown(image: Image, scene: Scene, place: int) -> Image:
    """The image at a place; on the reference the target may be drawn."""
    if place != scene.reference or scene.given == "coordinates":
        return image
    marks = [
        Edit(kind="mark", box=scene.box(place, k).box, colour=COLOURS[k])
        for k in range(len(scene.tracks))
    ]
    return image.__replace__(edits=(*image.edits, *marks))
