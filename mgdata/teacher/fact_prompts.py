"""What a teacher is asked about images that nobody has asked about yet: facts, and new questions.

`caption` and `refine` ask for facts of an image and of a region; `write` asks for a question about
several images, to be answered with objects that are listed by number, so that no box comes from
nowhere. Words are in `prompts.yaml`; what comes back is JSON, but for a caption.
"""

from __future__ import annotations

from collections.abc import Sequence

from mgdata.data import Image, Target
from mgdata.plugins import Notation
from mgdata.teacher.notes import notes
from mgdata.teacher.prompts import DEFAULT, Lengths, Parts, Prompt, labelled, tell_boxes
from mgdata.teacher.quoting import quoted
from mgdata.teacher.scenes import Scene
from mgdata.teacher.texts import write
from mgdata.wording import ImageNames, listed

REFINED = '{"fits": true|false, "phrase": "the ..."}'
"""What a reply to `refine` looks like."""
WRITTEN = '{"question": "...", "explanation": "...", "objects": [number, ...]}'
"""What a reply to `write` looks like."""

_ONE = ImageNames("number")


def caption_prompt(lengths: Lengths = DEFAULT) -> Prompt:
    """Asks for a description of one image."""
    least, most = lengths.caption
    parts = Parts()
    parts.add("caption", least=least, most=most)
    return parts.prompt("caption", "system_facts")


def refine_prompt(
    target: Target,
    image: Image,
    notation: Notation,
    *,
    rivals: Sequence[Target] = (),
    lengths: Lengths = DEFAULT,
) -> Prompt:
    """Asks whether a box holds what it is called, and for a phrase that fits nothing else there.

    Args:
        target: The box and what it is called now.
        image: The one image that is shown.
        notation: How boxes are written.
        rivals: Boxes of the same image that are called the same.
        lengths: How long the phrase is asked to be.

    Raises:
        ValueError: a box that the notation cannot write.
    """

    def box(one: Target) -> str:
        return notation.region(Target(image=0, box=one.box), image)

    parts = Parts()
    others = write("refine_rivals", boxes="\n".join(map(box, rivals))) if rivals else ""
    least, most = lengths.phrase
    parts.add("picture")
    tell_boxes(parts, [image], notation, _ONE)
    parts.add(
        "refine",
        box=box(target),
        name=quoted(target.phrase or "object"),
        rivals=others,
        least=least,
        most=most,
        reply=REFINED,
    )
    if rivals:
        parts.names.append("refine_rivals")
    return parts.prompt("refine", "system_facts")


def write_prompt(
    images: Sequence[Image],
    scenes: Sequence[Scene],
    notation: Notation,
    *,
    most_objects: int = 1,
    shown: bool = True,
    names: ImageNames = _ONE,
    lengths: Lengths = DEFAULT,
) -> Prompt:
    """Asks for one question that links these images, with listed objects as its answer.

    Args:
        images: All that the question is about.
        scenes: What is known of each; `numbered_objects` tells which number is whose.
        notation: How boxes are written.
        most_objects: Most objects that may be asked for.
        shown: Whether the model sees the images; without, it writes from the scenes alone, as a
            model without eyes can.
        names: What the question is to call images, if it does.
        lengths: How long the question is asked to be.

    Raises:
        ValueError: there is not one scene for each image, or a box that cannot be written.
    """
    parts = Parts()
    if shown:
        parts.add("images", labelled=labelled(len(images), names))
    tell_boxes(parts, images, notation, names)
    one = most_objects == 1
    wanted = "write_wanted_one" if one else "write_wanted_many"
    least, most = lengths.question
    parts.add(
        "write",
        notes=notes(scenes, images, notation, names, number=True),
        wanted=write(wanted) if one else write(wanted, most=most_objects),
        names=listed([names.one(place) for place in range(len(images))]),
        least=least,
        most=most,
        reply=WRITTEN,
    )
    parts.names.append(wanted)
    return parts.prompt("write", "system_facts")


def numbered_objects(scenes: Sequence[Scene]) -> dict[int, Target]:
    """The objects of `write_prompt` by the number that they are told with."""
    return dict(enumerate((thing for scene in scenes for thing in scene.objects), 1))
