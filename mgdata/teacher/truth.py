"""The right answer to one turn as a JSON text that a reward can judge by, without the sample.

    {"targets": [{"image": 0, "bbox": [x1, y1, x2, y2], "label": "the dog"}], "frame": "pixels",
     "sizes": [[640, 480]], "notation": "qwen3-vl", "written": "0-1000", "form": "reason", ...}

`image` counts from 0; `bbox` is in `frame`, `sizes` are width and height of the images; `notation`
and `written` say how the model writes boxes and what its numbers mean. Pixels, so that nothing is
rounded twice and a reward is what the judge says of the same text. Knows no notation itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from mgdata.data import Image, Kind, Target, Turn
from mgdata.geometry import PIXELS, THOUSAND, UNIT, Box, valid

Form = Literal["direct", "reason"]
"""The bare answer, or `<think>..</think><answer>..</answer>`."""

_FRAMES = {"pixels": PIXELS, "0-1": UNIT, "0-1000": THOUSAND}
_Side = Annotated[int, msgspec.Meta(ge=1)]


class TrueBox(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One box that is asked for."""

    image: Annotated[int, msgspec.Meta(ge=0)]
    """Index into the images, from 0."""
    bbox: tuple[float, float, float, float]
    """x1, y1, x2, y2 in the frame that the truth names; right and bottom exclusive."""
    label: str | None = None
    """What it shows."""


class Truth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a text is judged by. Keys beside these are not looked at."""

    targets: tuple[TrueBox, ...]
    """Boxes asked for; may be none."""
    frame: Literal["pixels", "0-1", "0-1000"]
    """What the numbers of `bbox` are: pixels of the published images, shares, or thousandths."""
    sizes: tuple[tuple[_Side, _Side], ...]
    """Width and height of each image, pixels."""
    notation: str
    """The notation that the model writes."""
    written: str
    """Coordinate frame of that notation, with its settings."""
    form: Form = "reason"
    """Whether a reasoning is asked for."""
    kind: Kind = "boxes"
    """How the answer is judged."""
    asked: tuple[int, ...] = ()
    """Images the question asks about; empty: all."""
    options: tuple[str, ...] = ()
    """What a choice offers."""
    gold: str = ""
    """The right short answer, for every kind but boxes."""
    answer: str = ""
    """The right sentence, likewise, with `<target:i>` where a box stands."""

    def images(self) -> tuple[Image, ...]:
        """Images of these sizes, with nothing else known of them."""
        return tuple(Image(uri="", width=width, height=height) for width, height in self.sizes)

    def turn(self) -> Turn:
        """The turn as far as judging needs it; boxes in pixels.

        Raises:
            ValueError: a box that is none in its image, or an image that is not there.
        """
        if any(not 0 <= place < len(self.sizes) for place in self.asked):
            raise ValueError(f"asked names an image that is not one of {len(self.sizes)}")
        places = range(len(self.targets))
        return Turn(
            question="",
            answer=self.answer or " ".join(f"<target:{i}>" for i in places),
            kind=self.kind,
            targets=tuple(self._target(place) for place in places),
            asked=self.asked,
            options=self.options,
            gold=self.gold,
        )

    def _target(self, place: int) -> Target:
        target = self.targets[place]
        if target.image >= len(self.sizes):
            raise ValueError(
                f"targets[{place}].image is 0 to {len(self.sizes) - 1}, found {target.image}"
            )
        width, height = self.sizes[target.image]
        if self.frame == "pixels":
            box = Box(*target.bbox)
            if not valid(box, width, height):
                raise ValueError(
                    f"targets[{place}].bbox {list(target.bbox)} is not a box in a {width} x "
                    f"{height} image"
                )
        else:
            box = _FRAMES[self.frame].read(target.bbox, width, height)
        return Target(image=target.image, box=box, phrase=target.label)


def write(
    turn: Turn, images: Sequence[Image], *, notation: str, written: str, form: Form = "reason"
) -> str:
    """The truth of a turn as JSON text; the same turn gives the same text.

    Args:
        turn: With its targets in pixels of `images`.
        images: Those of the sample.
        notation: Name of the notation that the model is to write.
        written: Its `Notation.frame`.
        form: What the prompt asks for.
    """
    boxes = turn.kind == "boxes"
    truth = Truth(
        targets=tuple(_true_box(target) for target in turn.targets),
        frame="pixels",
        sizes=tuple((image.width, image.height) for image in images),
        notation=notation,
        written=written,
        form=form,
        kind=turn.kind,
        asked=turn.asked,
        options=turn.options,
        gold=turn.gold,
        answer="" if boxes else turn.answer,
    )
    return msgspec.json.encode(_plain(truth)).decode()


def _true_box(target: Target) -> TrueBox:
    box = target.box
    return TrueBox(image=target.image, bbox=(box.x1, box.y1, box.x2, box.y2), label=target.phrase)


def _plain(truth: Truth) -> dict[str, Any]:
    """`form` and `kind` are written even where they are what is taken without them."""
    found: dict[str, Any] = msgspec.to_builtins(truth)
    return found | {"form": truth.form, "kind": truth.kind}


def read(text: str | bytes) -> Truth:
    """The truth that a JSON text holds.

    Raises:
        ValueError: it is no truth; says which key.
    """
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(
            f"the ground truth {str(text)[:60]!r} cannot be read: {error}; `teacher.truth.write` "
            "says how it looks"
        ) from None


_DECODER = msgspec.json.Decoder(Truth)
