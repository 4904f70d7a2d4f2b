"""Run lengths against pycocotools, and those that pycocotools would get wrong."""

import numpy as np
import pytest
from pycocotools import mask as coco

from mgdata.corpora.rle import decode_box, decompress
from mgdata.errors import Rejected
from mgdata.geometry import Box

SIZE = (30, 20)


def masks() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    found = []
    for density in (0.001, 0.01, 0.3, 0.99):
        for _ in range(50):
            found.append((rng.random(SIZE) < density).astype(np.uint8))
    block = np.zeros(SIZE, np.uint8)
    block[4:9, 3:17] = 1
    return [*found, block, np.ones(SIZE, np.uint8)]


def compressed(mask: np.ndarray) -> bytes:
    return coco.encode(np.asfortranarray(mask))["counts"]


def plain(mask: np.ndarray) -> list[int]:
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *runs] if flat[0] else runs


def test_boxes_are_those_of_pycocotools() -> None:
    for mask in masks():
        counts = compressed(mask)
        x, y, w, h = coco.toBbox({"size": list(SIZE), "counts": counts}).tolist()
        box = Box(x, y, x + w, y + h) if mask.any() else None
        assert decode_box(counts, SIZE, SIZE) == box
        assert decode_box(counts.decode(), SIZE, SIZE) == box
        assert decode_box(plain(mask), SIZE, SIZE) == box
        assert decompress(counts).tolist() == plain(mask)


def test_a_large_mask_decodes() -> None:
    mask = np.zeros((2160, 3840), np.uint8)
    mask[1000:1200, 3000:3100] = 1
    assert decode_box(compressed(mask), mask.shape, mask.shape) == Box(3000, 1000, 3100, 1200)


def test_an_empty_mask_has_no_box() -> None:
    assert decode_box(compressed(np.zeros(SIZE, np.uint8)), SIZE, SIZE) is None


@pytest.mark.parametrize("size", [(30, 21), (20, 30), (0, 0)])
def test_a_mask_of_another_size_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(Rejected, match="RLE of the wrong size"):
        decode_box(compressed(np.ones(SIZE, np.uint8)), size, SIZE)


BLOCK = compressed(masks()[-2])


@pytest.mark.parametrize(
    "counts",
    [
        b"",
        "",
        [],
        BLOCK[:-1],  # pycocotools reads beyond its end, or gives a box outside
        BLOCK + b"99",
        b"~~~~~~~~",
        b"\xff\xff",
        "żółw",
        b"oooooooooooooo0",
        [600.5],
        [-1, 601],
        [300, 299],
        [float("nan"), 600],
        ["six hundred"],
        [[600]],
        [True, "x"],
    ],
)
def test_what_does_not_fill_the_mask_is_refused(counts: object) -> None:
    with pytest.raises(Rejected, match="RLE does not decode"):
        decode_box(counts, SIZE, SIZE)


def test_no_damaged_string_gives_a_box_outside_its_mask() -> None:
    rng = np.random.default_rng(1)
    kept = 0
    for _ in range(2000):
        data = bytearray(BLOCK)
        for _ in range(rng.integers(1, 3)):
            data[rng.integers(len(data))] = rng.integers(256)
        try:
            box = decode_box(bytes(data), SIZE, SIZE)
        except Rejected:
            continue
        kept += 1
        assert box is None or (0 <= box.x1 < box.x2 <= 20 and 0 <= box.y1 < box.y2 <= 30)
    assert kept < 200
