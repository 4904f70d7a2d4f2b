import cv2
import numpy as np
import pytest

from mgdata.geometry import Box
from mgdata.view import Exchange, Mark, Picture, Shown, overlay
from mgdata.view.marks import PALETTE

BOX = Box(100, 60, 260, 180)


def picture(index: int, width: int = 400, height: int = 300) -> Picture:
    data = cv2.imencode(".png", np.full((height, width, 3), 128, np.uint8))[1].tobytes()
    return Picture(
        data=data, name=f"Image-{index + 1}", width=width, height=height, caption="a/b.png"
    )


def shown(images: tuple[Picture, ...], answer: str = "At <target:0>.") -> Shown:
    turn = Exchange(
        question="Where? " * 80,
        answer=answer,
        given=(Mark(image=0, box=Box(5, 5, 50, 50)),),
        targets=(Mark(image=len(images) - 1, box=BOX, phrase="a dog"),),
    )
    return Shown(id="00ff", task="tracking", split="train", images=images, turns=(turn,))


def colour(name: str) -> tuple[int, int, int]:
    return int(name[5:7], 16), int(name[3:5], 16), int(name[1:3], 16)


def test_the_target_is_drawn_where_its_box_lies(tmp_path):
    sheet = cv2.imread(str(overlay(shown((picture(0), picture(1))), tmp_path / "one.png")))
    assert sheet.shape[1] == 1600
    # Two 4:3 pictures of 520 px height in a row: 693 px wide, 40 px margin, 16 px between.
    scale, left, top = 520 / 300, 40 + 693 + 16, 40
    rows, columns = np.nonzero((sheet == colour(PALETTE[0])).all(axis=2))
    under_label = rows > top + BOX.y1 * scale + 10
    assert abs(columns[under_label].min() - (left + BOX.x1 * scale)) <= 3
    assert abs(columns[under_label].max() - (left + BOX.x2 * scale)) <= 3
    assert abs(rows.max() - (top + BOX.y2 * scale)) <= 3


def test_the_same_sample_gives_the_same_file(tmp_path):
    item = shown((picture(0), picture(1)))
    first = overlay(item, tmp_path / "one.png").read_bytes()
    assert overlay(item, tmp_path / "two.png").read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]


@pytest.mark.parametrize(
    "sizes",
    [
        [(400, 300)],
        [(400, 300)] * 9,
        [(4000, 100)],
        [(20, 4000)],
        [(400, 300), (100, 900), (3000, 400), (1, 1)],
    ],
)
def test_any_set_of_pictures_fits_the_sheet(tmp_path, sizes):
    images = tuple(picture(i, *size) for i, size in enumerate(sizes))
    sheet = cv2.imread(str(overlay(shown(images), tmp_path / "one.png")))
    assert sheet.shape[1] == 1600
    assert (sheet[:, 1562:] == 255).all(), "the right margin stays empty"


@pytest.mark.parametrize("data", [None, b"", b"no image"])
def test_a_picture_that_cannot_be_had_is_a_crossed_out_frame(tmp_path, data):
    lost = Picture(data=data, name="Image-1", width=400, height=300)
    sheet = cv2.imread(str(overlay(shown((lost,)), tmp_path / "one.png")))
    assert (sheet == colour(PALETTE[0])).all(axis=2).any()


def test_a_dropped_item_without_pictures_is_drawn(tmp_path):
    item = Shown(id="k", task="", split="", images=(), turns=(), reason="too small")
    assert cv2.imread(str(overlay(item, tmp_path / "one.png"))).shape[1] == 1600


def test_text_of_any_script_and_length_is_drawn(tmp_path):
    item = shown(
        (picture(0),), answer="红色的汽车 <target:7> " + "x" * 500 + "\n\n" + "word " * 300
    )
    assert cv2.imread(str(overlay(item, tmp_path / "one.png"))).shape[0] > 900
