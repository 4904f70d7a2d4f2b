from dataclasses import replace

import cv2
import numpy as np
import pytest

from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.synth.camera import encoded
from mgdata.synth.drawing import film
from mgdata.synth.scene import people, render, target_index, toys
from mgdata.synth.sprites import COLOURS

SIZE = (320, 240)


def coloured(image, colour):
    """Pixels of a toy's hue, found in a picture without knowing what was drawn where."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(int)
    paint = np.uint8([[COLOURS[colour][::-1]]])
    hue = int(cv2.cvtColor(paint, cv2.COLOR_BGR2HSV)[0, 0, 0])
    off = np.abs((hsv[..., 0] - hue + 90) % 180 - 90)
    return ((off <= 6) & (hsv[..., 1] > 105) & (hsv[..., 2] > 60)).astype(np.uint8)


def bounds(mask):
    x, y, w, h = cv2.boundingRect(mask)
    return Box(x, y, x + w, y + h)


def apart(a, b):
    return max(abs(a.x1 - b.x1), abs(a.y1 - b.y1), abs(a.x2 - b.x2), abs(a.y2 - b.y2))


def scene(seed, story, frames=24, objects=1):
    """With one object nothing else can have its colour or stand before it but the pillar."""
    return film(toys(Stream(str(seed)), frames, SIZE, objects, story))


def test_equal_seeds_draw_equal_frames_and_other_seeds_others():
    first, again, other = (
        [image.tobytes() for image, _ in render(seed, 3, SIZE)] for seed in (1, 1, 2)
    )
    assert first == again
    assert len({*first, *other}) == 6


@pytest.mark.parametrize("story", ["hiding", "leaving", "free", "seen"])
def test_the_visible_box_is_where_a_decoded_picture_shows_the_colour(story):
    checked = 0
    for seed in range(8):
        for image, (placement,) in scene(seed, story):
            if (
                placement.visibility > 0.5
            ):  # thin tips of a nearly hidden star are lost to the coder
                data = np.frombuffer(encoded(image, 95), np.uint8)
                decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
                assert apart(bounds(coloured(decoded, placement.colour)), placement.seen) <= 2
                checked += 1
    assert checked > 90


@pytest.mark.parametrize("story", ["hiding", "leaving"])
def test_an_absent_target_leaves_no_pixel_of_its_colour(story):
    absent = 0
    for seed in range(8):
        for image, (placement,) in scene(seed, story):
            if placement.visible == 0:
                assert placement.seen is None
                assert coloured(image, placement.colour).sum() == 0
                absent += 1
            else:
                assert placement.seen is not None
    assert absent >= 8


@pytest.mark.parametrize("frames", [3, 8, 12, 24, 50, 130])
@pytest.mark.parametrize(("story", "inside"), [("hiding", True), ("leaving", False)])
def test_a_story_is_told_in_clips_of_any_length(story, inside, frames):
    for seed in range(4):
        shown = [placement for _, (placement,) in scene(seed, story, frames)]
        assert shown[0].visibility > 0.8
        assert any(p.visible == 0 and (p.inside > 0) == inside for p in shown)


def test_a_target_to_be_seen_is_wholly_in_view_in_front_of_the_others():
    for seed in range(6):
        for _, placements in film(toys(Stream(str(seed)), 30, SIZE, 5, "seen")):
            target = placements[target_index(5, "seen")]
            assert target.visible == target.inside == target.full
            assert target.seen == target.box


def test_the_counts_agree_with_a_scene_drawn_without_the_pillar_and_the_others():
    whole = toys(Stream("counts"), 20, SIZE, 5, "hiding")
    for i, actor in enumerate(whole.actors):
        alone = replace(whole, actors=(actor,), pillar=None)
        for (_, among), (_, (single,)) in zip(film(whole), film(alone), strict=True):
            assert (among[i].full, among[i].inside) == (single.full, single.inside)
            assert among[i].box == single.box
            assert among[i].visible <= single.visible == single.inside


def test_objects_behind_others_lose_exactly_the_pixels_that_these_take():
    whole = toys(Stream("overlap"), 40, SIZE, 8, "seen")
    overlaps = 0
    for _, placements in film(whole):
        nearest = placements[-1]
        assert nearest.visible == nearest.inside
        overlaps += sum(0 < p.visible < p.inside for p in placements)
        # Without a pillar every pixel that is taken from one object is given to a nearer one.
        assert sum(p.visible for p in placements) <= sum(p.inside for p in placements)
    assert overlaps > 0


def test_a_box_outside_the_image_keeps_its_size():
    for seed in range(4):
        shown = [p for _, (p,) in scene(seed, "leaving") if p.inside == 0]
        assert shown
        for p in shown:
            assert p.box.width > 20
            assert p.box.x2 <= 0 or p.box.x1 >= SIZE[0]


def test_targets_move_several_pixels_a_frame():
    for story in ("hiding", "leaving", "seen"):
        for seed in range(5):
            target = [p for _, (p,) in scene(seed, story, 30)]
            x, y = (np.array(v) for v in zip(*[(p.box.x1, p.box.y1) for p in target], strict=True))
            assert np.median(np.hypot(np.diff(x), np.diff(y))) >= 3


def test_no_two_toys_share_a_shape_or_a_colour():
    for seed in range(10):
        actors = toys(Stream(str(seed)), 1, SIZE, 8).actors
        assert len({a.shape for a in actors}) == len({a.colour for a in actors}) == 8
        assert all(a.name == f"{a.colour} {a.shape}" for a in actors)


def test_people_have_shirts_of_their_own_and_walk_in_and_out_of_the_image():
    left = 0
    for seed in range(3):
        plaza = people(Stream(str(seed)), 40, SIZE, 5)
        assert len({a.name for a in plaza.actors}) == 7
        assert sorted(a.shape for a in plaza.actors)[-2:] == ["stander", "statue"]
        left += sum(p.inside == 0 for _, placements in film(plaza) for p in placements)
    assert left > 0


@pytest.mark.parametrize(
    "wrong", [{"frames": 0}, {"size": (320, 40)}, {"objects": 0}, {"objects": 9}]
)
def test_an_impossible_scene_is_refused(wrong):
    with pytest.raises(ValueError, match="a scene"):
        next(render(**{"seed": 0, "frames": 3, **wrong}))
