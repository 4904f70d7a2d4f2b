"""Crowds over an index; near-duplicates and box bands over finished samples."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from filter_samples import record, region, sample, target, turn

from mgdata import registry
from mgdata.data import Image, Sample
from mgdata.errors import UsageError
from mgdata.filters.boxes import Boxes
from mgdata.filters.crowds import Crowds
from mgdata.filters.near_duplicates import NearDuplicates
from mgdata.geometry import Box
from mgdata.index import Index
from mgdata.tables import RecordRows


def index() -> Index:
    rows = RecordRows()
    crowd, group = region("person", ignore=True), region("apple", ignore=True)
    rows.add(record(region("dog")))
    rows.add(record(region("dog"), crowd, crowd))
    rows.add(record(crowd, group))
    rows.add(record(crowd, shape="clip"))
    rows.add(record(group))
    return Index(rows.table())


@pytest.mark.parametrize(
    ("settings", "stays"),
    [
        ({}, [True, False, False, True, False]),
        ({"most": 1}, [True, True, False, True, True]),
        ({"labels": ("person",)}, [True, False, False, True, True]),
        ({"labels": ("apple", "car")}, [True, True, False, True, False]),
        ({"shapes": ("clip",)}, [True, True, True, False, True]),
    ],
)
def test_records_with_crowds_are_not_chosen(settings: dict[str, Any], stays: list[bool]) -> None:
    mask, reason = Crowds(**settings).index(index())
    assert (mask.tolist(), reason) == (stays, "crowd or group")


def test_a_view_without_any_crowd_or_any_row_keeps_all() -> None:
    for wanted in ([True, False, False, False, False], [False] * 5):
        view = index().view(np.array(wanted))
        assert Crowds().index(view)[0].tolist() == [True] * sum(wanted)


def pictured(*hashes: str | None, **more: Any) -> Sample:
    images = tuple(
        Image(uri=f"made:{i}.jpg", width=640, height=480, sha256=str(i), facts={"phash": value})
        for i, value in enumerate(hashes)
    )
    return msgspec.structs.replace(sample(turn()), images=images, **more)


def test_two_near_images_end_a_sample() -> None:
    drop = NearDuplicates().sample(pictured("0" * 16, "f" * 16, "00000000000000ff"))
    assert drop is not None
    assert (drop.reason, drop.value) == ("near-duplicates", "images 1 and 3, 8 bits apart")
    assert NearDuplicates(bits=7).sample(pictured("0" * 16, "f" * 16, "00000000000000ff")) is None


def test_flat_images_are_compared_by_their_bytes_alone() -> None:
    flat = pictured(None, None)
    assert NearDuplicates().sample(flat) is None
    equal = tuple(msgspec.structs.replace(image, sha256="same") for image in flat.images)
    drop = NearDuplicates().sample(msgspec.structs.replace(flat, images=equal))
    assert drop is not None and drop.reason == "near-duplicates"


def test_two_crops_of_one_photo_are_no_duplicates() -> None:
    near = pictured("0" * 16, "0" * 16)
    one_file = tuple(msgspec.structs.replace(image, uri="made:0.jpg") for image in near.images)
    assert NearDuplicates().sample(near) is not None
    assert NearDuplicates().sample(msgspec.structs.replace(near, images=one_file)) is None


def test_frames_are_compared_only_where_the_recipe_says_so() -> None:
    near = pictured("0" * 16, "0" * 16, association="temporal", task="track")
    assert NearDuplicates().sample(near) is None
    assert NearDuplicates(associations=("temporal",)).sample(near) is not None
    assert NearDuplicates(tasks=("track",)).sample(near) is not None
    assert NearDuplicates(tasks=("other",)).sample(near) is None


def test_images_that_were_not_measured_are_an_error_that_tells_the_way_out() -> None:
    with pytest.raises(UsageError, match=r"perceptual_hash: \{\}. to the recipe's measures"):
        NearDuplicates().sample(sample(turn()))


def test_settings_of_a_recipe_reach_the_filter() -> None:
    settings = {"associations": ["spatial"], "bits": 3}
    made = registry.make("filters", "near_duplicates", settings, "r.yaml: filters")
    assert made == NearDuplicates(associations=("spatial",), bits=3)
    with pytest.raises(UsageError, match="bits: expected 0 to 63, found 64"):
        registry.make("filters", "near_duplicates", {"bits": 64}, "r.yaml: filters")


def reason(filter_: Boxes, box: Box) -> str | None:
    drop = filter_.sample(sample(turn(targets=(target(box=box),))))
    return drop.reason if drop else None


def test_boxes_outside_the_bands_end_a_sample() -> None:
    wide, tall = Box(0, 0, 400, 100), Box(0, 0, 100, 400.5)
    assert reason(Boxes(), wide) is None
    assert reason(Boxes(max_aspect=4), wide) is None
    assert reason(Boxes(max_aspect=4), tall) == "target too elongated"
    assert reason(Boxes(max_aspect=3.9), wide) == "target too elongated"
    assert reason(Boxes(max_aspect=1), Box(0, 0, 3, 300)) == "target too thin"
    assert reason(Boxes(min_area=0.2), wide) == "target too small"
    assert reason(Boxes(max_area=0.1), wide) == "target too large"


@pytest.mark.parametrize(
    "make", [lambda: Boxes(max_aspect=0.5), lambda: Boxes(min_area=0.5, max_area=0.1)]
)
def test_bands_that_no_box_is_in_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="expected at least"):
        make()
