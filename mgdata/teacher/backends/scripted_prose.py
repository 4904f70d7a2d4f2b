"""What the scripted teacher says where it is right: prose that follows from annotation alone.

Every sentence is true of the annotation: where targets lie, by thirds of the picture, and which of
the images that are asked about hold none. The answer itself is a notation's to write. Nothing here
is seen in a picture, and none is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from mgdata.data import Association, Image, PromptKind, Sample, Target, Turn
from mgdata.identity import Stream
from mgdata.plugins import Notation
from mgdata.wording import article, counted, listed, noun, number, ordinal

_OPENINGS: dict[Association, tuple[str, ...]] = {
    "referential": (
        "There are {images} to look through here, and the description has to fit in every respect "
        "before anything counts.",
        "The wording decides what counts here, so I take the {images} in turn and hold each of "
        "them against all of it.",
    ),
    "semantic": (
        "What matters here is kind, use and parts rather than colour or size, so I go through the "
        "{images} with that in mind.",
        "Things of one kind may look rather different, which is why I compare what the {images} "
        "show by what it is and what it is for.",
    ),
    "temporal": (
        "The {images} belong to one course of events, so I note what stays the same and then what "
        "has moved or changed.",
        "Time passes between these {images}, and I go from one to the next to see what moved, what "
        "stayed and what is new.",
    ),
    "spatial": (
        "These {images} are views of one place, so I use the fixed things in it to see how the "
        "cameras stand to each other.",
        "Left and right may be exchanged from one view to another, so in these {images} I go by "
        "what stands next to what.",
    ),
}
_POINTED = (
    "The question points at something in the {place} of the {image} image, which I keep in mind.",
    "I begin with what the question points at, in the {place} of the {image} image.",
)
_ONE = (
    "In the {image} image I find {thing} in the {place}.",
    "Looking at the {image} image, I see {thing} in the {place}.",
    "The {image} image has {thing} in the {place}.",
)
_SEVERAL = (
    "In the {image} image I find {count} that fit, {places}.",
    "The {image} image has {count} that belong here, {places}.",
)
_NONE = (
    "In the {image} image I find nothing that fits.",
    "I go over the {image} image from side to side, and nothing there belongs.",
    "The {image} image has other things in it, but not what I look for.",
    "Then comes the {image} image, where nothing comes close.",
    "Of the {image} image I can set everything aside.",
)
_BOXED = (
    "In the {image} image there is {thing} at {box}.",
    "The {image} image has {thing} at {box}.",
)
_WEIGHED: dict[Association, tuple[str, ...]] = {
    "referential": (
        "I check this once more against the wording, part by part, and what I singled out holds.",
        "Other things share a part of the description, but only what I singled out has all of it.",
    ),
    "semantic": (
        "I compare kind and use once more across the images, and what I singled out holds.",
        "Likeness in colour or outline alone does not count, so I keep to what I singled out.",
    ),
    "temporal": (
        "Shifts of the camera and of the light move everything alike, so I keep to what I singled "
        "out.",
        "I follow this once more from image to image, and what I singled out holds together.",
    ),
    "spatial": (
        "I check this once more by the fixed things around it, and what I singled out agrees.",
        "The neighbours are the same from each side, which speaks for what I singled out.",
    ),
}
_LOOKED = (
    "I go over the {image} image from side to side and keep what bears on the question.",
    "In the {image} image I look at the large things first and at the small ones after that.",
    "The {image} image I compare with what I have noted so far.",
    "From the {image} image I take what adds to this.",
)
_CONCLUDED = {
    "one": ("So it is in the {image} image.", "Therefore it must be in the {image} image."),
    "one image": ("So all of them are in the {image} image.",),
    "several": ("So there are {count} boxes, spread over {images}.",),
    "none": ("So there is nothing to box.", "So none of the images shows what is asked for."),
    "choice": ("Put together, one of the options fits best, and I choose it.",),
    "order": ("Put together, this gives one order of the images that runs without a break.",),
    "count": ("Adding up what I noted over the images gives the number.",),
    "text": ("Put together, this is enough to say it in a few words.",),
}
_MOST_BOXED = 4
"""Boxes of an image in a trajectory."""
_MOST_PLACES = 4
"""Parts of a picture in a sentence; more are all over it."""
_PLAIN = re.compile(r"[a-z]{2,20}(?:[ -][a-z]{2,20}){0,3}")
_LOADED = re.compile(
    r"\b(?:images?|pictures?|photos?|answers?|solution|option|choice|box|boxes|none|nothing|no|not|"
    r"never|given|provided|known|told|hint|anchor|ground|truth|labels?|annotat\w+|metadata|dataset|"
    r"question|targets?|objects?|things?|marked|region|change|first|second|third|fourth|fifth|"
    r"sixth|last|final|total|all)\b"
)
"""Words that a check may take for more than a name."""


class Prose(msgspec.Struct, frozen=True, kw_only=True):
    """A reasoning in its parts."""

    opening: str
    """What is to be done; names no image."""
    looks: tuple[str, ...]
    """What is in each image."""
    weighing: str
    """What speaks for it."""
    conclusion: str
    """What follows."""

    def text(self) -> str:
        """All of it, one sentence after the other."""
        return " ".join((self.opening, *self.looks, self.weighing, self.conclusion))


def prose(sample: Sample, turn: Turn, kind: PromptKind, notation: Notation, rng: Stream) -> Prose:
    """A reasoning that leads to the right answer; a `trajectory` has boxes in it."""
    count = counted(len(sample.images), "image")
    looks = [
        rng.choice(_POINTED).format(
            place=place_in(region, sample.images), image=_name(region.image)
        )
        for region in turn.regions[:1]
    ]
    asked = turn.asked or tuple(range(len(sample.images)))
    forms = {table: rng.sample(table, len(table)) for table in (_NONE, _LOOKED)}
    for at, place in enumerate(sorted({*asked, *(t.image for t in turn.targets)})):
        here = [target for target in turn.targets if target.image == place]
        if here:
            looks += _found(here, sample.images, notation if kind == "trajectory" else None, rng)
        else:
            table = forms[_NONE if turn.kind == "boxes" else _LOOKED]
            looks.append(table[at % len(table)].format(image=_name(place)))
    return Prose(
        opening=rng.choice(_OPENINGS[sample.association]).format(images=count),
        looks=tuple(looks),
        weighing=rng.choice(_WEIGHED[sample.association]),
        conclusion=_conclusion(turn, rng),
    )


def called(target: Target) -> str | None:
    """The name of what a box shows where it is plain words that say nothing else, or None."""
    phrase = (target.phrase or "").strip()
    if not _PLAIN.fullmatch(phrase) or _LOADED.search(phrase):
        return None
    return phrase.removeprefix("the ").removeprefix("an ").removeprefix("a ")


def _found(
    here: Sequence[Target], images: Sequence[Image], notation: Notation | None, rng: Stream
) -> list[str]:
    """Sentences on the targets in one image; with their boxes where there is a notation."""
    image = _name(here[0].image)
    if notation is not None:
        return [_boxed(target, images, notation, rng) for target in here[:_MOST_BOXED]]
    places = [place_in(target, images) for target in here]
    if len(here) > 1:
        each = listed([f"in the {place}" for place in dict.fromkeys(places)])
        if len({*places}) > _MOST_PLACES:
            each = "here and there"
        form = rng.choice(_SEVERAL)
        return [form.format(image=image, count=number(len(here)), places=each)]
    return [rng.choice(_ONE).format(image=image, thing=_thing(here[0]), place=places[0])]


def _boxed(target: Target, images: Sequence[Image], notation: Notation, rng: Stream) -> str:
    bare = msgspec.structs.replace(target, phrase=called(target))
    box = notation.region(bare, images[min(target.image, len(images) - 1)])
    return rng.choice(_BOXED).format(image=_name(target.image), thing=_thing(target), box=box)


def _conclusion(turn: Turn, rng: Stream) -> str:
    places = sorted({target.image for target in turn.targets})
    if turn.kind != "boxes":
        form = turn.kind
    elif len(turn.targets) == 1:
        form = "one"
    else:
        form = "none" if not places else "one image" if len(places) == 1 else "several"
    told = {
        "image": _name(places[0]) if places else "",
        "count": number(len(turn.targets)),
        "images": counted(len(places), "image"),
    }
    return rng.choice(_CONCLUDED[form]).format(**told)


def _thing(target: Target) -> str:
    name = called(target)
    return article(name) if name and noun(name) == name else "something that fits"


def _name(place: int) -> str:
    return ordinal(place + 1)


def place_in(target: Target, images: Sequence[Image]) -> str:
    """The part of the picture in which the middle of a box lies, by thirds."""
    # A fault may have put it one beyond the last.
    image, box = images[min(target.image, len(images) - 1)], target.box
    across = int(min(2, max(0, 3 * (box.x1 + box.x2) / 2 // image.width)))
    down = int(min(2, max(0, 3 * (box.y1 + box.y2) / 2 // image.height)))
    if across == down == 1:
        return "middle"
    words = [("upper", "", "lower")[down], ("left", "", "right")[across]]
    return f"{' '.join(word for word in words if word)} part"
