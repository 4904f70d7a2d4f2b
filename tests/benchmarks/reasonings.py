"""Reasoned answers to be judged: varied honest prose of a given length, some of it at fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mgdata.data import Answer, Image, Reply, Sample, Sampling, Target, Turn
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.plugins import Notation

WIDTH, HEIGHT = 1280, 720
_IMAGES = tuple(Image(uri=str(i), width=WIDTH, height=HEIGHT) for i in range(4))
_SAMPLING = Sampling(max_tokens=2048)

_OPENINGS = (
    "We are looking for {a thing} with {a part}, so both have to be in view at once.",
    "The question is about {a thing} that has {a part}; I go through the four pictures in turn.",
    "What sets this one apart is {a part}, and {a thing} without it would not do.",
    "Four scenes are shown, taken at different times of day, and only details tell them apart.",
    "First I need to find every {thing} here, then compare what each of them carries.",
    "Let me look at each scene for {a thing}, and for {a part} next to or on it.",
)
_SEEN = (
    "In image {n} there is {a thing} {where}, but I cannot make out {a part} anywhere near it.",
    "The {nth} image shows {a thing} {where}, with {a part} hanging over its left side.",
    "Image {n} is darker: {a thing} and two people stand {where}, half hidden behind a fence.",
    "Turning to the {nth} picture, the ground is wet and {a thing} casts a long shadow {where}.",
    "Image {n} has several of them, one {where} and another further back, both rather small.",
    "In the {nth} image, {a thing} {where} catches the eye because of {a part}.",
    "As for image {n}, most of it is sky and road; {a thing} is only just visible {where}.",
    "Then, in image {n}, a woman in a {colour} jacket walks past {a thing} {where}.",
)
_WEIGHED = (
    "Its colour is close to {colour}, although the light in this scene makes that hard to say.",
    "The shape of the roof, the two posts and the sign next to it are the same in every view.",
    "A similar one further back is too small, and its outline is wrong for {a thing}.",
    "Compared with the others, it is larger and turned a little towards the camera.",
    "What looks like {a part} from afar is really a {colour} bag that someone put down there.",
    "I also checked the reflections in the window, which repeat the {thing} without {a part}.",
    "Nothing else {where} has that pattern of {colour} stripes, as far as I can tell.",
    "The background, a row of {colour} houses with a hedge, does not help to tell them apart.",
    "Some of it is covered by {a thing}, so its left edge has to be guessed from the rest.",
    "It might be {a thing} of another make, since the wheels and the handle look different.",
    "Size and distance fit together: what is near the kerb appears twice as tall as the rest.",
    "A closer look at the lower part shows {a part}, which is worn and slightly bent.",
    "People are walking by, two of them with umbrellas, and one child is pointing at {a thing}.",
    "The edges run from the top of {a part} down to where it touches the pavement.",
)
_ENDS = (
    "So the one that fits is in image {n}, {where}.",
    "Therefore it must be the {thing} in the {nth} image.",
    "Only there do both parts come together, so it is in image {n}.",
    "That leaves the {nth} image, where it stands {where}.",
    "Both details are there in image {n}, and in no other.",
)
_SLOTS = {
    "thing": "dog;bicycle;lamp post;delivery van;wooden bench;kite;market stall;grey cat;ladder",
    "part": "red collar;broken mirror;blue handle;striped cover;metal basket;white label;torn flag",
    "colour": "dark green;red;pale blue;brown;silver;yellow;black",
    "where": "on the left;near the gate;in the upper part;by the kerb;in front of the shop;"
    "under the trees;at the far end;to the right of the door",
}
_WORDS = {slot: words.split(";") for slot, words in _SLOTS.items()}
_NTH = ("first", "second", "third", "fourth")
_FAULTS = (
    "According to the ground truth, this is where it lies.",
    "The given answer is consistent with all of this.",
    "The same can be seen in image 7, from another side.",
    "So the answer is in none of the images.",
)


class Written(NamedTuple):
    """An answer of a teacher and what it is judged by."""

    answer: Answer
    sample: Sample


def written(number: int, words: int, notation: Notation, *, flawless: bool) -> list[Written]:
    """Answers with a reasoning of about so many words before one box in one of four images.

    With no words they are `direct` ones. `flawless` ones pass every check. Of others a quarter has a box that misses, 15 of a hundred
    are wrong in their prose, and five are cut: what a teacher that is right now and then gives.
    """
    return [
        _written(Stream("reasonings", str(words), str(n)), words, notation, flawless)
        for n in range(number)
    ]


def _written(rng: Stream, words: int, notation: Notation, flawless: bool) -> Written:
    fault = 1.0 if flawless else rng.uniform()
    place = rng.below(4)
    x, y = rng.uniform() * WIDTH * 0.5, rng.uniform() * HEIGHT * 0.5
    box = Box(x, y, x + WIDTH * (0.1 + 0.2 * rng.uniform()), y + HEIGHT * 0.3)
    gold = Target(image=place, box=box, phrase="what is asked for")
    aside = Box(box.x1, box.y1 + HEIGHT * 0.15, box.x2, box.y2 + HEIGHT * 0.15)
    near = Box(box.x1, box.y1 + HEIGHT * 0.02, box.x2, box.y2)
    turn = Turn(question="Which, and where?", answer=_told(gold), targets=(gold,))
    said = gold.__replace__(box=aside if fault < 0.25 else near)
    answer = notation.answer(turn.__replace__(targets=(said,), answer=_told(said)), _IMAGES)
    text = answer
    if words:
        told = prose(rng, words, place, rng.choice(_FAULTS) if 0.25 <= fault < 0.4 else "")
        text = f"<think>\n{told}\n</think>\n<answer>{answer}</answer>"
    sample = Sample(
        id="0123456789abcdef", task="t", association="semantic", split="train", images=_IMAGES,
        turns=(turn,), records=("r",), license="MIT",
    )  # fmt: skip
    text = text[: len(text) // 2] if 0.4 <= fault < 0.45 else text
    reply = Reply(key="k", text=text, finish="stop")
    return Written(
        Answer(
            sample=sample.id, turn=0, number=0, kind="reason" if words else "direct", reply=reply,
            model="m", prompt="p", words="w", sampling=_SAMPLING, seed=0,
        ),
        sample,
    )  # fmt: skip


def _told(target: Target) -> str:
    return f"Image-{target.image + 1}: <target:0>"


def prose(rng: Stream, words: int, place: int, fault: str) -> str:
    """About so many words that look at all four images and end in the one at `place`."""
    images = [0, 1, 2, 3]
    parts = [_filled(rng, rng.choice(_OPENINGS), 0)]
    end = [_filled(rng, rng.choice(_ENDS), place)]
    if fault:
        end.insert(0, fault)
    left = words - sum(len(part.split()) for part in (*parts, *end))
    while left > 0:
        seen = images and rng.below(5) < 3
        parts.append(_filled(rng, rng.choice(_SEEN if seen else _WEIGHED),
                             images.pop(0) if seen else 0))  # fmt: skip
        left -= len(parts[-1].split())
    return _lines([*parts, *end], rng)


def _lines(parts: Sequence[str], rng: Stream) -> str:
    return "".join(part + (" ", " ", " ", "\n\n")[rng.below(4)] for part in parts).strip()


def _filled(rng: Stream, text: str, place: int) -> str:
    slots = {slot: rng.choice(words) for slot, words in _WORDS.items()}
    for slot in ("thing", "part"):
        slots[f"a {slot}"] = f"a {slots[slot]}"
    return text.format(n=place + 1, nth=_NTH[place], **slots)
