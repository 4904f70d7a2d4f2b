"""What can go wrong with an answer of the scripted teacher, on purpose.

Each fault spoils one thing and leaves the rest right, so that what rejects it can be seen to reject
it for that reason. Which request it hits is for the teacher to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from mgdata.data import Image, PromptKind, Sample, Target, Turn
from mgdata.geometry import Box, clip, valid
from mgdata.identity import Stream
from mgdata.teacher.backends.scripted_prose import Prose
from mgdata.wording import ordinal

FAULTS = {
    "failed": "there is no answer, with one of the reasons set as `failures`",
    "empty": "the answer is blank",
    "cut": "it ends in the middle, as at a limit of tokens",
    "bad_format": "tags are missing, twice, misspelt, out of order...: one of `BROKEN`",
    "repetition": "the reasoning says one sentence again and again",
    "other_language": "the reasoning is in Russian or Greek",
    "leaked_answer": "a sentence of the reasoning betrays that the answer was known",
    "conclusion_first": "the reasoning begins with its conclusion",
    "inconsistent": "the reasoning concludes with another image than the answer, or one not there",
    "offset_box": "a box lies aside, at an IoU of `offset_iou` or less",
    "wrong_image": "a box is in another image, or in one that is not there",
    "extra_box": "there is a box too many",
    "missing_box": "there is a box too few",
    "wrong_words": "a choice, order, number or short text is not the right one",
    "bad_json": "a phrase, question or verdict is not the JSON object that was asked for",
    "misfit": "a box is said not to hold what it is called",
    "hedging": "the explanation of a question is in doubt",
    "unknown_object": "a question asks for an object that was not listed",
    "told_box": "the explanation of a question gives coordinates",
    "wrong_verdict": "a question that holds is said not to",
}
"""Every fault, and what it does; from `bad_json` on they are of facts, questions and verdicts."""

REASONED = ("reason", "rationalise", "trajectory")
ANSWERED = ("direct", *REASONED)
_OF_REASONING = (
    "repetition", "other_language", "leaked_answer", "conclusion_first", "inconsistent"
)  # fmt: skip

_OF_FACTS: dict[str, tuple[PromptKind, ...]] = {
    "bad_json": ("refine", "write", "verify"),
    "misfit": ("refine",),
    "hedging": ("write",),
    "unknown_object": ("write",),
    "told_box": ("write",),
    "wrong_verdict": ("verify",),
}

BROKEN = {
    "no think": "<answer>{answer}</answer>",
    "think not opened": "{think}</think><answer>{answer}</answer>",
    "think not closed": "<think>{think}<answer>{answer}</answer>",
    "no answer": "<think>{think}</think>{answer}",
    "answer not opened": "<think>{think}</think>{answer}</answer>",
    "answer not closed": "<think>{think}</think><answer>{answer}",
    "tag twice": "<think>{think}</think><answer>{answer}</answer><answer>{answer}</answer>",
    "misspelt tag": "<thinking>{think}</thinking><answer>{answer}</answer>",
    "nested tags": "<think>{think}<answer>{answer}</answer></think>",
    "tags out of order": "<answer>{answer}</answer><think>{think}</think>",
    "text outside": "Sure, here it is: <think>{think}</think><answer>{answer}</answer>",
    "empty reasoning": "<think> </think><answer>{answer}</answer>",
    "empty answer": "<think>{think}</think><answer></answer>",
}
"""Ways to break the format of an answer with a reasoning, by what `thought.read` calls them."""

BROKEN_DIRECT = {
    "think not asked": "<think>I look at it.</think><answer>{answer}</answer>",
    "answer not opened": "{answer}</answer>",
    "answer not closed": "<answer>{answer}",
    "tag twice": "<answer>{answer}</answer><answer>{answer}</answer>",
    "misspelt tag": "<Answer>{answer}</Answer>",
    "text outside": "Sure, here it is: <answer>{answer}</answer>",
    "empty answer": "<answer>\n</answer>",
}
"""The same for a `direct` answer."""

LEAKS = (
    "This agrees with the ground truth.",
    "The given answer says the same.",
    "According to the hint, this is the place.",
    "I must not reveal the answer at this point.",
    "I worked backwards from the result to be sure of it.",
    "We already know where it is, after all.",
)
"""Sentences that betray an answer, whatever the question."""

FIRST = "The answer is clear, because only one reading of the question holds."
_AGAIN = "I look once more at the same place to be quite sure."
_FOREIGN = (
    "Сначала я внимательно смотрю на все изображения по порядку и сравниваю предметы между собой. "
    "Потом я выбираю то место, которое лучше всего подходит к вопросу, и на этом останавливаюсь.",
    "Κοιτάζω πρώτα όλες τις εικόνες με τη σειρά και συγκρίνω τα αντικείμενα μεταξύ τους. Μετά "
    "διαλέγω το σημείο που ταιριάζει καλύτερα στην ερώτηση και σταματώ εκεί.",
)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def can_have(fault: str, kind: PromptKind, turn: Turn) -> bool:
    """Whether an answer of this kind to this turn can have the fault at all."""
    if fault in ("failed", "empty", "cut"):
        return True
    if fault in _OF_FACTS:
        return kind in _OF_FACTS[fault] and (kind == "verify" or bool(turn.targets))
    if fault == "bad_format":
        return kind in ANSWERED
    if fault in _OF_REASONING:
        return kind in REASONED
    if fault == "wrong_words":
        return kind in ANSWERED and turn.kind != "boxes"
    if fault == "offset_box":
        return kind in ANSWERED and bool(turn.targets)
    boxes = kind in ANSWERED and turn.kind == "boxes"
    return boxes and (fault == "extra_box" or bool(turn.targets))


def spoilt_prose(fault: str, told: Prose, sample: Sample, turn: Turn, rng: Stream) -> str:
    """The reasoning with its fault; unchanged where the fault is not one of reasoning."""
    if fault == "repetition":
        return replace(told, weighing=" ".join([_AGAIN] * 40)).text()
    if fault == "other_language":
        return rng.choice(_FOREIGN)
    if fault == "leaked_answer":
        return replace(told, weighing=f"{rng.choice(LEAKS)} {told.weighing}").text()
    if fault == "conclusion_first":
        return replace(told, opening=f"{FIRST} {told.opening}").text()
    if fault == "inconsistent":
        place = _other_image(sample, turn, rng)
        return replace(told, conclusion=f"So it is in the {ordinal(place + 1)} image.").text()
    return told.text()


def spoilt_turn(
    fault: str, turn: Turn, images: Sequence[Image], rng: Stream, offset_iou: float
) -> Turn:
    """The turn as one believes it to be who makes the fault: other boxes, or other words.

    Its answer is written and its reasoning told as if it were right, so that the two agree. A
    target may be in an image one beyond the last.
    """
    if fault == "wrong_words":
        words = _wrong_words(turn, rng)
        return replace(turn, answer=words, gold=words)
    targets = [*turn.targets]
    if fault == "offset_box":
        at = rng.below(len(targets))
        box = aside(targets[at].box, images[targets[at].image], offset_iou)
        targets[at] = replace(targets[at], box=box)
        return replace(turn, targets=tuple(targets))
    if fault == "wrong_image":
        return _told(_in_another(turn, images, rng), turn)
    if fault == "extra_box":
        return _told([*targets, _extra(images, rng)], turn)
    if fault == "missing_box":
        del targets[rng.below(len(targets))]
        return _told(targets, turn)
    return turn


def aside(box: Box, image: Image, most: float) -> Box:
    """A box in the same image whose IoU with `box` is `most` or less, of the same size if it can.

    Moved by `d`, a box of width `w` keeps an IoU of (w - d) / (w + d).
    """
    step = (1 - most) / (1 + most)
    # A thin box must move by more than a notation rounds to.
    right = max(box.width * step, 0.02 * image.width)
    down = max(box.height * step, 0.02 * image.height)
    for dx, dy in ((right, 0.0), (-right, 0.0), (0.0, down), (0.0, -down)):
        moved = Box(box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy)
        if valid(moved, image.width, image.height):
            return moved
    return Box(box.x1, box.y1, box.x1 + box.width * most, box.y2)


def _other_image(sample: Sample, turn: Turn, rng: Stream) -> int:
    """An image that the answer is not in; beyond the last where there is none."""
    if turn.kind != "boxes":
        return len(sample.images)
    marked = {
        place
        for place, image in enumerate(sample.images)
        if any(edit.kind == "mark" for edit in image.edits)
    }
    known = {box.image for box in (*turn.targets, *turn.regions)} | marked
    others = [place for place in range(len(sample.images)) if place not in known]
    return rng.choice(others) if others else len(sample.images)


def _in_another(turn: Turn, images: Sequence[Image], rng: Stream) -> list[Target]:
    """The targets, one of them in an image where there is none; beyond the last if all have one."""
    targets = [*turn.targets]
    at = rng.below(len(targets))
    taken = {target.image for target in targets}
    others = [place for place in range(len(images)) if place not in taken]
    place = rng.choice(others) if others else len(images)
    image = images[min(place, len(images) - 1)]
    box = clip(targets[at].box, image.width, image.height)
    if not valid(box, image.width, image.height):
        box = Box(0.0, 0.0, image.width / 2, image.height / 2)
    targets[at] = replace(targets[at], image=place, box=box)
    return targets


def _extra(images: Sequence[Image], rng: Stream) -> Target:
    place = rng.below(len(images))
    image = images[place]
    left, top = rng.uniform() * image.width / 2, rng.uniform() * image.height / 2
    box = Box(left, top, left + image.width / 3, top + image.height / 3)
    return Target(image=place, box=box)


def _told(targets: Sequence[Target], turn: Turn) -> Turn:
    """A turn with other boxes, and an answer that names the image of each."""
    ordered = sorted(targets, key=lambda target: (target.image, target.box.x1))
    lines = [f"Image-{t.image + 1}: <target:{i}>" for i, t in enumerate(ordered)]
    answer = "\n".join(lines) or "There is none."
    return replace(turn, targets=tuple(ordered), answer=answer)


def _wrong_words(turn: Turn, rng: Stream) -> str:
    gold = turn.gold.strip()
    if turn.kind == "count":
        return str(int(gold) + 1) if gold.isdecimal() else "no number"
    if turn.kind == "order":
        items = [item.strip() for item in gold.split(",")]
        return ", ".join(items[1:] + items[:1]) if len(set(items)) > 1 else "no order"
    if turn.kind == "choice":
        options = turn.options or tuple(_LETTERS[:4])
        right = {gold.casefold(), turn.answer.strip().casefold()}
        others = [
            _LETTERS[place]
            for place, option in enumerate(options[: len(_LETTERS)])
            if right.isdisjoint((_LETTERS[place].casefold(), option.strip().casefold()))
        ]
        return rng.choice(others) if others else "no option"
    return "I cannot tell."
