import io

import cv2
import numpy as np
import pytest

from mgdata.corpora import differences
from mgdata.corpora.differences import Mask, Pixels
from mgdata.errors import Rejected
from mgdata.geometry import Box, array, iou
from mgdata.headers import Header, probe

SIDE = 224


def scene(width: int = SIDE, height: int = SIDE, seed: int = 0) -> Pixels:
    """A picture with detail at every scale, as photos have it."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for cells, strength in ((4, 60), (12, 35), (40, 20), (110, 10)):
        coarse = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(total + 120, 0, 255).astype(np.uint8)


def with_disc(pixels: Pixels, x: int, y: int, radius: int) -> Pixels:
    """A two-coloured disc painted on a copy, unlike the ground."""
    after = pixels.copy()
    ground = pixels[y, x].astype(int)
    colours = [tuple(int((c + by) % 256) for c in ground) for by in (128, 100)]
    cv2.circle(after, (x, y), radius, colours[0], -1)
    cv2.circle(after, (x, y), radius // 2, colours[1], -1)
    return after


def around(x: int, y: int, radius: int) -> Box:
    return Box(x - radius, y - radius, x + radius + 1, y + radius + 1)


def disturbed(pixels: Pixels, how: str) -> Pixels:
    rng = np.random.default_rng(7)
    if how in ("noise", "grain"):
        strength = 4 if how == "noise" else 20
        noisy = pixels + rng.normal(0, strength, pixels.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8)
    if how == "jpeg":
        data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    if how == "light":
        return np.clip(pixels * np.float32(0.75) - 10, 0, 255).astype(np.uint8)
    if how == "shift":
        moved = np.array([[1, 0, 0.6], [0, 1, -0.4]], np.float32)
        size = (pixels.shape[1], pixels.shape[0])
        moved = cv2.warpAffine(pixels, moved, size, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.uint8)
    return pixels


def found(before: Pixels, after: Pixels, min_area: float = 0.0005) -> list[Mask]:
    mask = differences.changed(before, after, threshold=30)
    return differences.clusters(mask, min_area=min_area, gap=0.03)


def header(width: int = SIDE, height: int = SIDE, orientation: int = 1) -> Header:
    return Header(format="png", width=width, height=height, orientation=orientation)


def png(pixels: Pixels) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


CONDITIONS = ("clean", "noise", "grain", "jpeg", "light", "shift")


@pytest.mark.parametrize("how", CONDITIONS)
def test_what_no_one_did_is_no_change(how: str) -> None:
    for seed in range(5):
        before = scene(seed=seed)
        assert found(before, disturbed(before, how), min_area=0.0001) == []


@pytest.mark.parametrize("how", CONDITIONS)
def test_each_change_has_a_box_that_fits_it(how: str) -> None:
    for seed in range(5):
        before = scene(seed=seed)
        after = disturbed(with_disc(with_disc(before, 60, 50, 20), 160, 150, 8), how)
        boxes = [differences.box(mask, header()) for mask in found(before, after)]
        wanted = [around(60, 50, 20), around(160, 150, 8)]
        assert len(boxes) == 2
        assert np.diag(iou(array(boxes), array(wanted))).min() > 0.75


def test_the_order_of_the_pictures_does_not_matter() -> None:
    before = scene()
    after = with_disc(before, 60, 50, 20)
    forth, back = found(before, after), found(after, before)
    assert len(forth) == len(back) == 1
    assert np.array_equal(forth[0], back[0])


def test_changes_that_lie_near_each_other_are_one() -> None:
    mask = np.zeros((200, 200), np.bool_)
    mask[20:40, 20:40] = mask[20:40, 44:60] = True  # 4 pixels apart, gap is 6
    mask[20:40, 80:100] = True
    parts = differences.clusters(mask, min_area=0.0005, gap=0.03)
    assert [differences.bounds(part) for part in parts] == [(20, 20, 60, 40), (80, 20, 100, 40)]


def test_changes_within_one_box_are_one() -> None:
    mask = np.zeros((200, 200), np.bool_)
    mask[20:22, 20:180] = mask[20:180, 20:22] = True  # two arms of an angle
    mask[100:110, 100:110] = True  # inside its box, far from its pixels
    (only,) = differences.clusters(mask, min_area=0.0005, gap=0.03)
    assert differences.bounds(only) == (20, 20, 180, 180)


def test_a_speck_is_no_change() -> None:
    mask = np.zeros((200, 200), np.bool_)
    mask[10:13, 10:13] = True  # 9 pixels of 40,000
    assert differences.clusters(mask, min_area=0.0005, gap=0.03) == []
    assert len(differences.clusters(mask, min_area=0.0002, gap=0.03)) == 1


def test_large_pictures_are_compared_small_and_their_boxes_are_in_their_own_pixels() -> None:
    before = scene(1600, 1200)
    (mask,) = found(before, with_disc(before, 1000, 400, 120))
    assert max(mask.shape) == differences.WORKING
    box = differences.box(mask, header(1600, 1200))
    assert iou(array([box]), array([around(1000, 400, 120)]))[0, 0] > 0.9
    half = differences.box(mask, header(800, 600))
    assert half == Box(box.x1 / 2, box.y1 / 2, box.x2 / 2, box.y2 / 2)


def test_a_box_of_a_photo_stored_rotated_is_upright() -> None:
    mask = np.zeros((60, 80), np.bool_)
    mask[0:10, 0:20] = True
    assert differences.box(mask, header(80, 60)) == Box(0, 0, 20, 10)
    assert differences.box(mask, header(80, 60, 6)) == Box(50, 0, 60, 20)


def test_a_change_stands_in_both_pictures_under_one_track() -> None:
    masks = np.zeros((2, 60, 80), np.bool_)
    masks[0, :10, :20] = masks[1, 40:50, 60:70] = True
    regions = differences.both_sides(
        list(masks), [header(80, 60), header(160, 120)], label="change", phrase=None
    )
    assert [(r.image, r.track) for r in regions] == [(0, "1"), (0, "2"), (1, "1"), (1, "2")]
    assert [r.box for r in regions[1::2]] == [Box(60, 40, 70, 50), Box(120, 80, 140, 100)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty image"),
        (b"not an image at all", "unreadable image"),
        (png(scene())[:5000], "truncated image"),
        (b"\x89PNG\r\n\x1a\n", "truncated image"),
    ],
)
def test_what_is_no_picture_is_rejected(data: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as raised:
        differences.decode(data)
    assert raised.value.reason == reason


def test_an_animated_picture_and_one_too_large_are_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from PIL import Image

    data = io.BytesIO()
    frames = [Image.fromarray(scene(seed=seed)) for seed in (0, 1)]
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(Rejected, match="animated image"):
        differences.decode(data.getvalue())
    monkeypatch.setattr(differences, "MAX_PIXELS", 1000)
    with pytest.raises(Rejected, match="image too large: 224x224"):
        differences.decode(png(scene()))


def test_pixels_come_as_stored_in_the_mode_asked_for() -> None:
    blue = np.zeros((4, 6, 3), np.uint8)
    blue[..., 0] = 200  # cv2 writes BGR
    read, pixels = differences.decode(png(blue))
    assert read == probe(png(blue))
    assert pixels.shape == (4, 6, 3)
    assert pixels[0, 0].tolist() == [0, 0, 200]
    assert differences.decode(png(blue), "RGBA")[1][0, 0].tolist() == [0, 0, 200, 255]
