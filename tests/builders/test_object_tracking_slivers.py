from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from builders.object_tracking import ObjectTracking
from mgdata.data import Image, Record, Region, Sample
from mgdata.geometry import Box
from mgdata.identity import Stream


def cropped(frames: Iterable[int], box: Box) -> Record:
    """A clip of 60 frames with this box in some: the object is 50 x 50 elsewhere."""
    cut = set(frames)
    boxes = [box if i in cut else Box(300.0 + i, 100, 350.0 + i, 150) for i in range(60)]
    return Record(
        key="c/s",
        shape="clip",
        unit="s",
        images=tuple(Image(uri=f"c:s/{i}.jpg", width=640, height=480, frame=i) for i in range(60)),
        regions=tuple(
            Region(image=i, box=box, label="goat", track="1") for i, box in enumerate(boxes)
        ),
        license="MIT",
    )


def built(record: Record, n: int = 60, **settings: Any) -> list[Sample]:
    builder = ObjectTracking(**settings)
    return [
        s
        for i in range(n)
        for s in builder.build([record], Stream("t", str(i)))
        if isinstance(s, Sample)
    ]


def times(sample: Sample) -> list[int]:
    return [image.frame for image in sample.images if image.frame is not None]


@pytest.mark.parametrize("sampler", ["random", "even", "segments"])
@pytest.mark.parametrize(
    "box",
    [
        Box(300, 100, 312, 150),  # a strip beside an occluder
        Box(200, 100, 230, 110),
        Box(0, 100, 20, 120),  # a corner at the border
        Box(621, 461, 639, 479),
    ],
)
def test_frames_that_show_a_piece_of_the_object_give_way_to_others(box: Box, sampler: Any) -> None:
    poor = {0, 7, 8, 9, 20, 21, 30, 59}
    record = cropped(poor, box)
    for sample in built(record, 60, sampler=sampler):
        assert not poor.intersection(times(sample))
        assert times(sample) == sorted(set(times(sample))) and 4 <= len(sample.images) <= 6
    kept = built(record, 60, sampler=sampler, slivers=True)
    assert any(poor.intersection(times(sample)) for sample in kept)


@pytest.mark.parametrize(
    "box",
    [
        Box(300, 100, 318, 118),  # far away
        Box(300, 100, 322, 148),  # narrow, but not much smaller
        Box(0, 100, 30, 130),  # half of it left at the border
    ],
)
def test_frames_that_show_enough_of_it_stay(box: Box) -> None:
    record = cropped({7, 8, 9, 20, 21, 30}, box)
    plain, kept = built(record), built(record, slivers=True)
    assert [times(sample) for sample in plain] == [times(sample) for sample in kept]


def test_pieces_are_shown_where_there_is_nothing_else() -> None:
    record = cropped({0, 1, 2}, Box(300, 100, 312, 150))
    short = record.__replace__(
        images=record.images[:6],
        regions=tuple(region for region in record.regions if region.image < 6),
    )
    assert all(times(s) == [0, 1, 2, 3, 4, 5] for s in built(short, 10, frames=(6, 6)))
