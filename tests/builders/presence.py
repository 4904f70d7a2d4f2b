"""Clips of which presence is written frame by frame, and what temporal association makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from builders.temporal_association import TemporalAssociation
from mgdata.data import Expression, Image, Record, Region, Sample, Turn
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream

LENGTH = 24


def clip(
    *tracks: str,
    labels: Sequence[str] = (),
    exhaustive: tuple[str, ...] = (),
    question: str | None = None,
    step: float = 9,
    number: int = 0,
) -> Record:
    """A clip of one track a text: in each frame `x` seen, `-` said to be hidden, `.` silence.

    `c` is cut by the border, `s` seen as a sliver, `t` tiny, `v` seen by a fifth; `i` and `h` are
    to be ignored, seen and hidden. All frames of a
    question about track 0 show it.
    """
    regions: list[Region] = []
    for frame in range(len(tracks[0])):
        for k, track in enumerate(tracks):
            if (mark := track[frame]) == ".":
                continue
            label = labels[k] if labels else "goat"
            regions.append(
                Region(
                    image=frame,
                    box=None if mark in "-h" else box_at(mark, k, frame, step),
                    label=label,
                    track=str(k),
                    clipped=mark == "c",
                    visibility=0.2 if mark == "v" else None,
                    ignore=mark in "ih",
                )
            )
    places = [i for i, r in enumerate(regions) if r.track == "0" and r.box is not None]
    asked = Expression(text=question or "", regions=tuple(places), label="goat", form="question")
    return Record(
        key=f"hand/clip{number}",
        shape="clip",
        unit=f"clip{number}",
        images=tuple(
            Image(uri=f"hand:{number}/{i:04d}.jpg", width=640, height=480, frame=i)
            for i in range(len(tracks[0]))
        ),
        regions=tuple(regions),
        license="CC-BY-4.0",
        exhaustive=exhaustive,
        expressions=(asked,) if question else (),
    )


def box_at(mark: str, track: int, frame: int, step: float) -> Box:
    # Every other thing moves to the left, so that they pass each other.
    x = max(200 - step * frame / 2, 0) if track % 2 else 10 + step * frame
    y = 10 + 70 * track
    width, height = {"s": (9, 60), "t": (3, 3)}.get(mark, (60, 60))
    return Box(x, y, x + width, y + height)


def built(one: Record, times: int = 60, **settings: Any) -> list[Sample]:
    """What some tries at one clip give, without those that are rejected."""
    builder = TemporalAssociation(**settings)
    found: list[Sample] = []
    for number in range(times):
        try:
            made = list(builder.build([one], Stream("test", one.key, str(number))))
        except Rejected:
            continue
        assert len(made) == 1
        assert isinstance(made[0], Sample)
        found.append(made[0])
    return found


def turn(sample: Sample) -> Turn:
    assert len(sample.turns) == 1
    return sample.turns[0]


def shown(sample: Sample) -> list[int]:
    """Frames, in the order of the images."""
    return [image.frame if image.frame is not None else -1 for image in sample.images]


def pointed_at(sample: Sample, one: Record) -> list[str]:
    """Tracks that the first image shows by boxes in the question or drawn: from left to right."""
    boxes = [target.box for target in turn(sample).regions]
    drawn = [edit.box for edit in sample.images[0].edits if edit.kind == "mark"]
    assert not boxes or not drawn or boxes == drawn
    there = {r.box: r.track for r in one.regions if r.image == shown(sample)[0] and r.box}
    return [str(there[box]) for box in boxes or drawn if box is not None]


def said(one: Record) -> dict[tuple[str, int], Region]:
    return {(str(region.track), region.image): region for region in one.regions}


BOTH = clip("xxxxxx----xxxx--xxxx----", "xxxxxxx----xxxxx---xx---")
"""Two things that come and go, at times one without the other."""
ASKED = clip("xxxxxx..xxxxxxsxx.xxxxxx", "x" * LENGTH, labels=("goat", "car"),
             question="Which object was put down by the person?")  # fmt: skip
"""A clip with a question; nothing is known of its answer in some frames, and one shows a sliver."""
