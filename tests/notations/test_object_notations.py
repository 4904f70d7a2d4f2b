"""Boxes as JSON objects in pixels: of the resized image, and of the published one."""

from __future__ import annotations

import json

import pytest

from mgdata.data import Image, Target, Turn
from mgdata.geometry import Box
from mgdata.notations import settings_in
from mgdata.notations.json import Json
from mgdata.notations.qwen2_5_vl import Qwen2_5VL

IMAGES = [Image(uri=f"c:{i}.jpg", width=640, height=480) for i in range(3)]
ASKED = Turn(question="Where?", answer="", asked=(1,))
PROSE = Turn(question="Why?", answer="", kind="text", asked=(1,))
PLAIN = '{"image": 3, "box": [1.5, 2, 30, 40.25], "label": "kite"}'


def test_qwen2_5_writes_pixels_of_the_resized_image():
    # 640 x 480 becomes 644 x 476, the nearest multiples of 28
    target = Target(image=1, box=Box(0, 10, 320, 480), phrase="kite")
    text = Qwen2_5VL().region(target, IMAGES[1])
    assert text == '{"bbox_2d": [0, 10, 322, 475], "label": "kite", "image": 2}'


def test_the_frame_of_qwen2_5_states_its_settings():
    small = Qwen2_5VL(factor=32, min_pixels=4096, max_pixels=65536)
    assert small.frame == "resized factor=32 min_pixels=4096 max_pixels=65536"
    assert Qwen2_5VL(**settings_in(small.frame)) == small
    # 640 x 480 becomes 288 x 192: at most 65536 pixels in multiples of 32
    target = Target(image=0, box=Box(0, 0, 320, 240))
    assert json.loads(small.region(target, IMAGES[0]))["bbox_2d"] == [0, 0, 144, 96]


WRONG = [
    ({"factor": 1}, "factor is 2 or more, found 1"),
    ({"min_pixels": 0}, "min_pixels is 1 to max_pixels, found 0 to 1003520"),
    ({"max_pixels": 100}, "found 3136 to 100"),
]


@pytest.mark.parametrize(("settings", "why"), WRONG)
def test_settings_that_resize_nothing_are_refused(settings, why):
    with pytest.raises(ValueError, match=why):
        Qwen2_5VL(**settings)


def test_an_image_without_a_resized_size_is_refused_both_ways():
    strip = [Image(uri="c:0", width=5000, height=20)]
    with pytest.raises(ValueError, match="200 to 1"):
        Qwen2_5VL().region(Target(image=0, box=Box(0, 0, 10, 10)), strip[0])
    with pytest.raises(ValueError, match="200 to 1"):
        Qwen2_5VL().parse('[{"bbox_2d": [1, 2, 3, 4]}]', Turn(question="?", answer=""), strip)


def test_a_number_beyond_the_resized_image_is_refused():
    text = '[{"bbox_2d": [0, 0, 644, 100], "image": 1}]'
    with pytest.raises(ValueError, match="644 is outside 0 to 643, the range of frame resized"):
        Qwen2_5VL().parse(text, ASKED, IMAGES)


def test_plain_json_has_pixels_to_two_decimals():
    target = Target(image=2, box=Box(0, 1.9, 320.126, 480), phrase='a "red" größe')
    assert Json().region(target, IMAGES[2]) == (
        '{"image": 3, "box": [0.0, 1.9, 320.13, 480.0], "label": "a \\"red\\" größe"}'
    )
    assert Json().frame == "pixels to 0.01"


def test_a_box_thinner_than_a_hundredth_keeps_an_area():
    text = Json().region(Target(image=0, box=Box(10, 20, 10.001, 20.004)), IMAGES[0])
    assert json.loads(text)["box"] == [10.0, 20.0, 10.01, 20.01]


def test_plain_json_is_read_with_any_decimals_and_in_any_order_of_keys():
    for text in (
        f"[{PLAIN}]",
        PLAIN,
        f"```json\n[{PLAIN}]\n```",
        '[{"box": [1.5, 2.0, 30, 40.25], "label": "kite", "image": 3}]',
        '[{"label": "\\u006bite", "box": [1.50000, 2, 3e1, 40.25], "image": 3}]',
    ):
        expected = Target(image=2, box=Box(1.5, 2, 30, 40.25), phrase="kite")
        assert Json().parse(text, ASKED, IMAGES) == [expected]


def test_plain_json_stands_in_prose_by_image_or_box_first():
    text = f'The "box" moved: {PLAIN} and {{"box": [1, 2, 3, 4]}}.'.replace(
        '"box" moved', "box moved"
    )
    found = Json().parse(text, PROSE, IMAGES)
    assert [(t.image, t.phrase) for t in found] == [(2, "kite"), (1, None)]


BROKEN = [
    ("", "not JSON"),
    ("It is on the left.", "not JSON"),
    (f"[{PLAIN}", "not JSON"),
    (f"[{PLAIN}] and more", "goes on"),
    ("null", "expected an object with box"),
    ("[[1, 2, 30, 40]]", "expected an object"),
    ("{}", "box is a list of 4 numbers"),
    ("[{}]", "box is a list of 4 numbers"),
    ('{"bbox_2d": [1, 2, 30, 40]}', "unknown key 'bbox_2d'"),
    ('[{"box": [1, 2, 30, 40], "box": [1, 2, 3, 4]}]', "twice"),
    ('[{"box": [1, 2, 30, 40], "image": 1, "image": 2}]', "twice"),
    ('[{"box": [1, 2, 30, 40], "label": "box", "label": "box"}]', "twice"),
    ('[{"box": [1, 2, 30, 40], "\\u0062ox": [1, 2, 3, 4]}]', "twice"),  # the same key, escaped
    ('[{"box": [1, 2, 30, "40"]}]', "4 numbers"),
    ('[{"box": [true, 2, 30, 40]}]', "4 numbers"),
    ('[{"box": [1, 2, 30]}]', "4 numbers"),
    ('[{"box": [NaN, 2, 30, 40]}]', "NaN"),
    ('[{"box": [1, 2, 30, 1e400]}]', "outside 0 to 480"),
    ('[{"box": [30, 2, 1, 40]}]', "inverted"),
    ('[{"box": [1, 2, 30, 2]}]', "empty"),
    ('[{"box": [1, 2, 640.01, 40]}]', "outside 0 to 640"),
    ('[{"box": [-0.5, 2, 30, 40]}]', "outside 0 to 640"),
    ('[{"box": [1, 2, 30, 40], "label": 7}]', "label is text"),
    ('[{"box": [1, 2, 30, 40], "image": 0}]', "image is 1 to 3"),
    ('[{"box": [1, 2, 30, 40], "image": 1.0}]', "image is 1 to 3"),
    ('[{"box": [1, 2, 30, 40], "image": null}]', "image is 1 to 3"),
    ("[" * 100000, "nested"),
    # Too large for a float, read by the slow decoder too.
    (f'[{{"box": [1, 2, 1{"0" * 400}, 40]}}]', "outside 0 to 640"),
    (f'[{{"box": [1, 2, 1{"0" * 400}, 40], "label": "a\\u0041"}}]', "outside 0 to 640"),
]


@pytest.mark.parametrize(("text", "why"), BROKEN, ids=[text[:50] for text, _ in BROKEN])
def test_broken_plain_json_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        Json().parse(text, ASKED, IMAGES)


BROKEN_PROSE = [
    ('It is at {"image": 1}.', "4 numbers"),
    ('It is at {"box": [1, 2, 30].', "not JSON"),
    ('It is at "box": [1, 2, 30, 40].', "outside a JSON object"),
    ('It is at {"label": "x", "box": [1, 2, 30, 40]}.', "outside a JSON object"),
]


@pytest.mark.parametrize(("text", "why"), BROKEN_PROSE)
def test_broken_plain_json_in_prose_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        Json().parse(text, PROSE, IMAGES)
