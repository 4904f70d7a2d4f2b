from typing import Any

import cv2
import numpy as np
import pytest
from mask_writers import painted, png
from pycocotools import mask as coco

from mgdata.corpora import masks
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.headers import Header


def numbers(data: bytes) -> np.ndarray:
    return masks.numbers(data, lambda size: None)


def packed(pixels: np.ndarray) -> str:
    found: Any = coco.encode(np.asfortranarray(pixels))
    return found["counts"].decode()


def test_numbers_of_a_palette_png_are_read_and_not_its_colours() -> None:
    pixels = painted({1: (2, 3, 10, 12), 2: (20, 5, 30, 40), 7: (40, 0, 64, 48)})
    assert (numbers(png(pixels)) == pixels).all()
    found = masks.marks(numbers(png(pixels)), 0.005)
    assert {n: mark.box for n, mark in found.items()} == {
        1: Box(2, 3, 10, 12),
        2: Box(20, 5, 30, 40),
        7: Box(40, 0, 64, 48),
    }
    assert found[1].pixels == 72


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (painted({255: (2, 3, 10, 12)}), {255}),  # grey, as DAVIS 2016
        (painted({1: (2, 3, 10, 12)}).astype(bool), {1}),  # one bit a pixel
        (np.repeat(painted({255: (2, 3, 10, 12)})[..., None], 3, axis=2), {255}),  # grey as RGB
        (np.repeat(painted({9: (2, 3, 10, 12)})[..., None], 4, axis=2), {9}),  # with alpha
        (np.zeros((48, 64), np.uint8), set()),
    ],
)
def test_other_kinds_of_png_that_hold_numbers_are_read(pixels: np.ndarray, expected: set[int]) -> None:  # fmt: skip
    assert set(masks.marks(numbers(png(pixels, "as it is")), 0.0)) == expected


def colours() -> bytes:
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[3:12, 2:10] = (128, 0, 0)
    return png(pixels, "as it is")


def flipped() -> bytes:
    data = bytearray(png(painted({1: (2, 3, 10, 12)})))
    data[data.index(b"IDAT") + 9] ^= 4
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (colours(), "mask without object numbers"),
        (png(np.zeros((48, 64), np.uint16), "16 bits"), "mask without object numbers"),
        (png(np.arange(48 * 64).reshape(48, 64).astype(np.uint8)), "mask without object numbers"),
        (cv2.imencode(".jpg", painted({255: (2, 3, 9, 9)}))[1].tobytes(), "mask without object numbers"),
        (flipped(), "corrupt image"),
        (png(painted({1: (2, 3, 10, 12)}))[:-30], "truncated image"),
        (b"", "empty image"),
        (b"not a mask", "unreadable image"),
    ],
)  # fmt: skip
def test_what_holds_no_numbers_is_rejected(data: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        masks.marks(numbers(data), 0.005)
    assert caught.value.reason == reason


def speckled(*pieces: tuple[int, int, int, int]) -> np.ndarray:
    """An object of 1000 pixels, 25 to 40 across and 8 to 48 down, and more pieces of it."""
    pixels = painted({1: (100, 20, 125, 60)}, (200, 100))
    for x1, y1, x2, y2 in pieces:
        pixels[y1:y2, x1:x2] = 1
    return pixels


OBJECT = (100, 20, 125, 60)


@pytest.mark.parametrize(
    ("pieces", "specks", "box", "left_out"),
    [
        ((), 0.005, OBJECT, 0),
        (((3, 90, 4, 91),), 0.005, OBJECT, 1),  # one stray pixel in the corner
        (((3, 90, 4, 91),), 0.0, (3, 20, 125, 91), 0),  # switched off
        (((3, 90, 8, 91),), 0.005, OBJECT, 5),
        (((3, 90, 9, 91),), 0.005, (3, 20, 125, 91), 0),  # 6 of 1006: a part
        (((3, 90, 6, 91), (190, 3, 193, 4)), 0.005, (3, 3, 193, 91), 0),  # 3 and 3: both or neither
        (((3, 90, 4, 91), (150, 20, 160, 40)), 0.005, (100, 20, 160, 60), 1),  # 200: a real part
        (((125, 60, 126, 61),), 0.005, (100, 20, 126, 61), 0),  # touches by a corner: no speck
        (((110, 62, 111, 63),), 0.005, OBJECT, 1),
    ],
)
def test_stray_pixels_do_not_stretch_a_box_and_parts_do(
    pieces: tuple[tuple[int, int, int, int], ...],
    specks: float,
    box: tuple[int, int, int, int],
    left_out: int,
) -> None:
    pixels = speckled(*pieces)
    made = masks.marks(pixels, specks)[1]
    by_runs = masks.rle_mark(packed(pixels), (200, 100), specks)
    assert made.box == Box(*map(float, box)) and made.specks == left_out
    assert by_runs == made


def test_what_a_speck_inside_the_box_adds_is_not_told() -> None:
    pixels = speckled()
    pixels[30:50, 105:120] = 0
    pixels[40, 112] = 1
    assert masks.marks(pixels, 0.005)[1].specks == 0


def test_an_object_in_many_small_pieces_keeps_nearly_all_of_them() -> None:
    pixels = np.zeros((100, 200), np.uint8)
    pixels[::4, ::4] = 1  # 1250 single pixels, each far below the share
    made = masks.marks(pixels, 0.005)[1]
    assert made.specks <= 6
    assert made.box.area >= 0.9 * 197 * 97


def test_runs_and_pixels_give_equal_boxes_on_random_masks() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        pixels = (rng.random((rng.integers(1, 40), rng.integers(1, 40))) < 0.2).astype(np.uint8)
        pixels = cv2.dilate(pixels, np.ones((int(rng.integers(1, 5)),) * 2, np.uint8))
        size = (pixels.shape[1], pixels.shape[0])
        share = float(rng.choice([0.0, 0.01, 0.1, 0.4]))
        made, by_runs = masks.mark(pixels, share), masks.rle_mark(packed(pixels), size, share)
        assert made == by_runs
        assert made is None or made.pixels == int(pixels.sum())


def test_runs_of_no_length_change_nothing() -> None:
    pixels = speckled((3, 90, 4, 91))
    runs = [0, 0, 5, 0, *_runs(pixels)]
    runs[4] -= 5
    text = _compressed([*runs, 0, 0])
    whole = masks.rle_mark(packed(pixels), (200, 100), 0.005)
    assert masks.rle_mark(text, (200, 100), 0.005) == whole


def _runs(pixels: np.ndarray) -> list[int]:
    flat = pixels.T.reshape(-1)
    edges = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), len(flat)]
    return np.diff(edges).tolist()


def _compressed(runs: list[int]) -> str:
    """COCO's text for run lengths, written out after its description."""
    text = ""
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            group, value = value & 31, value >> 5
            more = value != (-1 if group & 16 else 0)
            text += chr((group | 32 if more else group) + 48)
    return text


@pytest.mark.parametrize(
    ("mask", "frame", "box"),
    [
        ((64, 48), (64, 48), (32, 24, 64, 48)),
        ((65, 48), (64, 48), (32, 24, 65, 48)),  # a pixel wider: cut by whoever clips it
        ((63, 47), (64, 48), (32, 24, 63, 47)),
        ((128, 96), (64, 48), (16, 12, 32, 24)),
        ((32, 24), (64, 48), (64, 48, 64, 48)),
    ],
)
def test_a_mask_of_another_size_is_cut_by_a_pixel_or_scaled(
    mask: tuple[int, int], frame: tuple[int, int], box: tuple[int, ...]
) -> None:
    masks.fit(mask, frame)
    header = Header(format="jpeg", width=frame[0], height=frame[1])
    right, bottom = (32, 24) if mask == (32, 24) else (min(mask[0], 64), min(mask[1], 48))
    whole = Box(32, 24, mask[0] if mask[0] < 100 else 64, mask[1] if mask[1] < 90 else 48)
    if mask == (32, 24):
        whole = Box(0, 0, right, bottom)
        assert masks.scaled(whole, mask, header) == Box(0, 0, 64, 48)
        return
    assert masks.scaled(whole, mask, header) == Box(*map(float, box))


@pytest.mark.parametrize("mask", [(48, 64), (70, 48), (64, 36), (640, 500)])
def test_a_mask_of_another_shape_is_rejected_before_it_is_decoded(mask: tuple[int, int]) -> None:
    data = png(painted({1: (0, 0, 9, 9)}, mask))
    with pytest.raises(Rejected, match="mask and frame disagree"):
        masks.numbers(data, lambda size: masks.fit(size, (64, 48)))
