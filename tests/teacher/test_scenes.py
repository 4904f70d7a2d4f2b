"""What records know of a sample's images, moved to where the sample's pixels are."""

from __future__ import annotations

import msgspec

from mgdata.data import Edit, Image, Record, Region, Target
from mgdata.geometry import Box
from mgdata.teacher.scenes import scenes

PHOTO = Image(uri="p:1.jpg", width=640, height=480)
FRAME = Image(uri="p:2.jpg", width=640, height=480)
RECORD = Record(
    key="p/1",
    shape="set",
    unit="1",
    license="unknown",
    images=(PHOTO, FRAME),
    regions=(
        Region(image=0, box=Box(300, 100, 400, 200), label="traffic_light"),
        Region(image=0, box=Box(20, 30, 120, 230), label="dog", phrase="a wet dog"),
        Region(image=0, box=Box(0, 0, 640, 480), label="people", ignore=True),
        Region(image=1, box=None, label="dog"),
        Region(image=1, box=Box(1, 2, 3, 4), label="ball"),
    ),
)


def test_objects_are_named_and_come_from_left_to_right():
    found = scenes([FRAME, PHOTO], [RECORD], {"p:2.jpg": "A field."})
    assert [scene.caption for scene in found] == ["A field.", None]
    assert found[0].objects == (Target(image=0, box=Box(1, 2, 3, 4), phrase="ball"),)
    assert [(o.image, o.phrase) for o in found[1].objects] == [
        (1, "a wet dog"),
        (1, "traffic light"),
    ]


def test_an_image_of_no_record_has_nothing_known():
    (found,) = scenes([msgspec.structs.replace(PHOTO, uri="q:1.jpg")], [RECORD])
    assert found.caption is None and found.objects == ()


def test_boxes_move_with_a_crop_and_what_it_cuts_away_is_gone():
    crop = Edit(kind="crop", box=Box(99.5, 50.2, 500, 400))
    image = msgspec.structs.replace(PHOTO, width=401, height=350, edits=(crop,))
    (found,) = scenes([image], [RECORD])
    # The crop begins at the whole pixel (99, 50); four fifths of the dog are left of it.
    assert found.objects == (Target(image=0, box=Box(201, 50, 301, 150), phrase="traffic light"),)


def test_of_too_many_objects_those_of_the_turns_stay_then_the_largest():
    regions = tuple(
        Region(image=0, box=Box(x, 0, x + 5 + x / 10, 10), label=f"thing {x}")
        for x in range(0, 500, 10)
    )
    record = msgspec.structs.replace(RECORD, images=(PHOTO,), regions=regions)
    small = Target(image=0, box=Box(0, 0, 5, 10))
    (found,) = scenes([PHOTO], [record], first=[small], most=3)
    assert [o.phrase for o in found.objects] == ["thing 0", "thing 480", "thing 490"]
